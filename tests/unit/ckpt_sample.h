/* SPDX-License-Identifier: MIT
 *
 * The model file that the tests of lib/ckpt write, read and damage: every type,
 * every kind, one kind from the future.
 */
#ifndef OMQ_TESTS_CKPT_SAMPLE_H
#define OMQ_TESTS_CKPT_SAMPLE_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "../fuzz/ckpt/ckpt_image.h"
#include "ckpt/ckpt.h"

/* Long enough to be compressed. */
#define SAMPLE_META "{\"format_version\": 1, \"graph\": [\"a network network network\"]}"

/* Sections of the sample. */
enum { META, NAME, DIMS, CONV1, CONV2, WEIGHT, SCALAR, PACK, N_ENTRIES = 12 };
enum { N_SAMPLES = N_ENTRIES - 3 };

struct sample {
    const char *kind, *name;
    enum omq_dtype dtype;
    int bits, ndim;
    uint64_t dims[OMQ_CKPT_MAX_DIMS];
    const void *data;
    size_t n_bytes;
};

extern const struct sample ckpt_tensors[N_SAMPLES]; /* in the order of the file */
extern const float ckpt_floats[6];

/* Fixture: a directory with the sample in a file, and its bytes. */
extern char ckpt_dir[], ckpt_path[64], ckpt_fifo[64];
extern uint8_t *ckpt_good;
extern size_t ckpt_size;
void ckpt_setup(void);
void ckpt_teardown(void);

/* A writer to which the sample has been added, not in the order of the file. */
struct omq_ckpt_writer *ckpt_writer(const char *meta);
void ckpt_write(const char *to, const char *meta);
void ckpt_assert_is_sample(const struct omq_ckpt *c);
/* That the file has the bytes of the fixture. */
void ckpt_assert_is_old(void);

void ckpt_read_bytes(const char *from, uint8_t **p, size_t *n);
void ckpt_write_bytes(const char *to, const void *p, size_t n);

/* Opens from a block of exactly n bytes, so that a sanitizer sees reads beyond. */
int ckpt_open_bytes(const uint8_t *p, size_t n, uint64_t max_bytes, struct omq_ckpt **c,
                    struct omq_err *err);
void ckpt_assert_opens(const uint8_t *p, size_t n, uint64_t max_bytes);
/* Fails with code, a message that has text in it, and nothing opened. */
void ckpt_assert_refused(const uint8_t *p, size_t n, uint64_t max_bytes, int code,
                         const char *text);

/* The sample with all its sections compressed; allocated. */
uint8_t *ckpt_compress_all(size_t *n);

/* In ckpt_checks.c: each check of the loader, and damage everywhere. */
TCase *omq_tcase_ckpt_checks(void);

#endif
