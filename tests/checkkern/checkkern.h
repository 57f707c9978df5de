/* SPDX-License-Identifier: MIT
 *
 * What checkkern consists of: operators (ops.c) say how a kernel is called and
 * what it writes; jobs (job.c, and codes.c for the integer engine) are one call
 * each, with its inputs and outputs; checkkern.c compares and times them. There
 * is no error to handle: what fails ends the program with a message.
 */
#ifndef OMQ_TESTS_CHECKKERN_H
#define OMQ_TESTS_CHECKKERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "kern/kern_internal.h"

enum shape { FLAT, ROWS, WINDOW, POOL, CONV, GEMM, CODES, BITS, DWCONV, DWCODES };
#define IS_CODES(op) ((op)->shape == CODES || (op)->shape == BITS || (op)->shape == DWCODES)
enum out {
    NONE, NC_REAL, NC_U8, C_REAL, C3_REAL, C_DOUBLE, TAPS_REAL, IMAGE_REAL, POOL_REAL, POOL_U8,
    X_REAL, W_REAL, MN_REAL, N_S16, ONE_REAL, CODES_Y, CODES_PACKED, CODES_START, DK_REAL,
};

/* An array at an odd place: ends where its allocation ends, but for the guard. */
struct buf {
    char *base, *p;
    size_t size;
    size_t mapped; /* bytes, where it has pages of its own; else 0 */
};

/* One call: what goes in, and room for what comes out. */
struct job {
    int n, c;                /* FLAT, ROWS */
    struct omq_window g;     /* WINDOW, POOL, DWCONV, CONV */
    int oc, images;          /* CONV */
    int m, k, lda, ldb, ldc; /* GEMM, with n; FLAT: k is the most in 16 bits */
    bool ta, tb, in_place, whole;
    omq_real beta, scale;    /* GEMM; of dy, CONV */
    int q_max, zero_point;
    struct omq_rescale r;
    struct omq_addend add;   /* of a residual */
    struct buf x, y, ch[4], q, q2; /* inputs */
    struct buf dy, w_s16, scratch; /* CONV */
    struct omq_conv_shape cs;      /* IS_CODES, with scratch; q2 is k, q is x, ch are m, b */
    struct omq_conv_io io;
    ptrdiff_t run_at[64];
    struct buf packed, start, res;
    struct buf out[2], init[2];    /* results; what they hold before the call */
};

#define REALS(b) ((omq_real *)(void *)(b).p)
#define S16S(b) ((int16_t *)(void *)(b).p)
#define S32S(b) ((int32_t *)(void *)(b).p)
#define DOUBLES(b) ((double *)(void *)(b).p)
#define U8S(b) ((uint8_t *)(b).p)
#define S8S(b) ((int8_t *)(void *)(b).p)
#define COUNT(j) ((size_t)(j)->n * (size_t)(j)->c)

struct op {
    const char *slot;
    void (*run)(const struct omq_kern *k, struct job *j);
    enum shape shape;
    enum out out[2];
    bool specials;  /* inputs hold NaN and infinities too */
    size_t traffic; /* bytes read and written for one element (WINDOW: of the rows) */
};

/* The operator of a slot of struct omq_kern, and its place in the table, which
 * chooses the random numbers of its jobs. */
const struct op *op_find(const char *slot);
uint32_t op_index(const struct op *op);

/* Elements of rows, an image, a batch of outputs and their weights. */
size_t window_taps(const struct omq_window *g);
size_t image_size(const struct omq_window *g);
size_t conv_outputs(const struct job *j);
size_t conv_weights(const struct job *j);
/* Elements of an output, and bytes of one. */
size_t out_count(const struct job *j, enum out out, size_t *size);
/* The sizes of a job as text. */
void job_shape(const struct job *j, const struct op *op, char *s, size_t size);

/* Zeros, at a random place; guarded: with canaries on both sides. */
struct buf buf_make(struct omq_rng *r, size_t count, size_t size);
struct buf buf_guarded(struct omq_rng *r, size_t count, size_t size);
void buf_free(struct buf *b);
/* Whether the canaries around an output are as they were. */
bool buf_intact(const struct buf *b);

enum { WINDOW_CASES = 4 * 4 * 3 * 3 * 4 * 4 }; /* small kernels, strides and paddings */

/* Inputs and room for outputs of a job whose sizes are chosen. Results start
 * as data (many kernels add), but as NaN where a sum must not read them. */
void job_fill(struct job *j, const struct op *op, struct omq_rng *r);
/* The same with random sizes; WINDOW, POOL and CONV take kernel, stride and
 * padding from the index. False, with nothing allocated, if there is no such job. */
bool job_make(struct job *j, const struct op *op, struct omq_rng *r, int index);
void job_free(struct job *j);
/* A sum over all inputs, which no kernel may change. */
uint64_t job_inputs(const struct job *j);
/* One call, on outputs that are as they were at first. */
void job_run(struct job *j, const struct op *op, const struct omq_kern *k);

/* CODES, BITS, DWCODES: what the functions above are for the other shapes, and the jobs to time. */
size_t codes_count(const struct job *j, enum out out, size_t *size);
void codes_shape(const struct job *j, char *s, size_t size);
double codes_macs(const struct job *j);
void codes_make(struct job *j, const struct op *op, struct omq_rng *r);
void codes_free(struct job *j);
int codes_bench_count(const struct op *op);
bool codes_bench(struct job *j, const struct op *op, struct omq_rng *r, int i);

/* The kernels of AMX, without it; the gradients' need AVX-512. */
__typeof__(*((struct omq_kern *)0)->conv_codes) conv_codes_emulated;
__typeof__(*((struct omq_kern *)0)->conv_dinput_s16) conv_dinput_s16_emulated;
__typeof__(*((struct omq_kern *)0)->conv_dweight_s16) conv_dweight_s16_emulated;

/* Peaks of the machine, one file each: see peak_template.h. */
double peak_avx2(int rounds);
double peak_bits_avx2(int rounds);
double peak_avxvnni(int rounds);
double peak_avx512vnni(int rounds);
double peak_avx512vpopcntdq(int rounds);
double peak_amx(int rounds);

#endif
