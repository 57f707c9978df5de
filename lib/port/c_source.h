/* SPDX-License-Identifier: MIT
 *
 * Format c, inside: one C99 file that is tables of layers and the few functions
 * that run them.
 *
 *   c_source.c   the whole, and what it says to its user (also in NAME.h)
 *   c_tables.c   shapes, weights and factors, as C arrays
 *   c_places.c   where tensors lie in the arena
 *   c_fixed.c    factors as integers, for --integer
 *   c_runtime.c  the text of the functions
 *
 * and with --cmsis, in place of the last three:
 *
 *   c_cmsis.c          weights, biases and multipliers as CMSIS-NN wants them
 *   c_cmsis_tables.c   the same as C arrays
 *   c_cmsis_runtime.c  the text of the calls
 */
#ifndef OMQ_PORT_C_SOURCE_H
#define OMQ_PORT_C_SOURCE_H

#include "port/port.h"

/* ---- c_source.c ---- */

struct omq_c_places;

struct omq_c_source {
    const struct omq_export_job *job;
    const struct omq_plan *plan;
    const struct omq_c_places *places;
    FILE *f;
    char upper[64]; /* job->name in capitals */
    int logit_one;  /* of integer logits, the one that is 1.0; else 1 */
};

/* Whether a unit's weights and codes are of one bit: its sums are counts then, and
 * the weights of each output begin a word of their own. */
bool omq_c_by_bits(const struct omq_export_numbers *n, int unit);
/* Text as part of a comment, and as a string with its quotes. */
void omq_c_put_comment(FILE *f, const char *text);
void omq_c_put_string(FILE *f, const char *text);

/* ---- c_tables.c ---- */

/* layers[], and for each precision layers_N[] with the arrays that it points to. */
int omq_c_put_tables(const struct omq_c_source *s, struct omq_err *err) OMQ_WARN_UNUSED;
/* The beginning of an array; value i of it, after what separates it from the one before. */
void omq_c_put_start(const struct omq_c_source *s, const char *type, const char *name, int choice,
                     int unit);
void omq_c_put_value(const struct omq_c_source *s, size_t i, size_t a_line, int32_t x);
/* A whole one, of int32_t. */
void omq_c_put_integers(const struct omq_c_source *s, const char *name, int choice, int unit,
                        const int32_t *x, int n);
/* The same of rows that are written otherwise: a unit's shape, and of a choice its
 * arrays, to the file, with its row of layers_N[], to `rows`. */
typedef void omq_c_put_layer(const struct omq_c_source *s, int unit);
typedef int omq_c_put_numbers(const struct omq_c_source *s, int choice, int unit, FILE *rows,
                              struct omq_err *err);
int omq_c_put_rows(const struct omq_c_source *s, omq_c_put_layer *put_shape,
                   omq_c_put_numbers *put_factors, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- c_places.c ---- */

struct omq_c_places {
    uint32_t *tensors; /* [plan.n_tensors]; not of the logits */
    uint32_t *scratch; /* [plan.n_units], multiples of 4 */
    uint32_t n_bytes;  /* of all, a multiple of 4 */
};
int omq_c_places_init(struct omq_c_places *p, const struct omq_export_job *job,
                      struct omq_err *err) OMQ_WARN_UNUSED;
void omq_c_places_release(struct omq_c_places *p);

/* ---- factors: what follows the sums ---- */

/* v = fmaf(sum, m[o], b[o]), and with a residual what struct omq_export_unit says */
struct omq_c_factors {
    int n;              /* one an output, or one; 0: none */
    const omq_real *m, *b;
    struct omq_addend add;
};
struct omq_c_factors omq_c_factors_of(const struct omq_export_numbers *n, int unit,
                                      omq_real room[2]);

/* c_fixed.c: v = (sum * m[o] + b[o] * 2^b_shift) / 2^shift, which no sum takes beyond
 * 63 bits; with a residual t of it, v = t + (add + res * r) / 2^shift; of logits, v in
 * units of 2^-OMQ_C_LOGIT_SHIFT. */
enum { OMQ_C_LOGIT_SHIFT = 16 };
struct omq_c_fixed {
    int32_t *m, *b; /* caller's room, [n] */
    int64_t r, add;
    int shift, b_shift;
};
/* OMQ_EUNSUP if a factor is beyond what that holds. */
int omq_c_fix(const struct omq_export_numbers *n, int unit, const struct omq_c_factors *from,
              struct omq_c_fixed *to, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- c_runtime.c, c_epilogue.c ---- */

/* Lines of C, NULL at their end. In them stand $n for the network's name, $N for it in
 * capitals, $l for the type of logits and $u for how many units of it are 1. After
 * omq_c_main come what follows an answer, and omq_c_main_end. */
extern const char *const omq_c_layer[], *const omq_c_conv[], *const omq_c_conv_bits[],
    *const omq_c_requant[], *const omq_c_average[], *const omq_c_max_pool[],
    *const omq_c_concat[], *const omq_c_shortcut[], *const omq_c_set[], *const omq_c_run[],
    *const omq_c_main[], *const omq_c_main_end[];
extern const char *const omq_c_float_numbers[], *const omq_c_float_code[],
    *const omq_c_float_rescaled[], *const omq_c_fixed_numbers[], *const omq_c_fixed_code[],
    *const omq_c_fixed_rescaled[];

/* ---- c_cmsis.c: a convolution for CMSIS-NN ----
 *
 * Codes are signed there: those of more than 7 bits are stored less 128. Weights are
 * multiplied by what their container leaves room for, in each output its own factor, a
 * multiple of the bias' parts; negative factors m go into their signs. */

/* The convolution's part and the residual, as arm_elementwise_add_s8() adds. */
struct omq_c_cmsis_sum {
    int32_t in_multiplier, in_shift; /* of the convolution, whose zero is 0 */
    int32_t res_offset, res_multiplier, res_shift;
    int32_t out_offset, out_multiplier, out_shift, min, max;
};
enum { OMQ_C_CMSIS_ADD_SHIFT = 20 }; /* to the left, of both; stands in the text too */

struct omq_c_cmsis_conv {
    bool int4, depthwise;
    size_t n, filter; /* weights, of them of one output */
    int8_t *k;      /* [oc][kh][kw][channels of a group], depthwise [kh][kw][oc] */
    int32_t *bias, *multiplier, *shift; /* [oc] */
    int32_t in_offset, out_offset, min, max;
    struct omq_c_cmsis_sum add;         /* with a residual */
};
/* OMQ_EUNSUP for what the calls cannot express. Logits are in units of 1 / logit_one. */
int omq_c_cmsis_conv_init(struct omq_c_cmsis_conv *to, const struct omq_export_numbers *n,
                          int unit, int logit_one, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_c_cmsis_conv_release(struct omq_c_cmsis_conv *c);
/* Less than a code, as it is stored. */
int omq_c_cmsis_less(struct omq_act act);
/* Whether a convolution sees one channel a group. */
bool omq_c_cmsis_depthwise(const struct omq_unit *u);
/* Whether its weights are stored in int4. */
bool omq_c_cmsis_int4(const struct omq_export_numbers *n, int unit);
/* The largest logit_one for which no logit can leave 16 bits. */
int omq_c_cmsis_logit_one(const struct omq_export_job *job, int *one,
                          struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- c_cmsis_tables.c ---- */

int omq_c_cmsis_put_tables(const struct omq_c_source *s, struct omq_err *err) OMQ_WARN_UNUSED;
/* Bytes that no call's buffer goes beyond, on any core. */
uint32_t omq_c_cmsis_buffer(const struct omq_c_source *s);

/* ---- c_cmsis_runtime.c ---- */

extern const char *const omq_c_cmsis_layer[], *const omq_c_cmsis_params[],
    *const omq_c_cmsis_add[], *const omq_c_cmsis_conv_s8[], *const omq_c_cmsis_conv_s4[],
    *const omq_c_cmsis_depthwise_s8[], *const omq_c_cmsis_logits[], *const omq_c_cmsis_max_pool[],
    *const omq_c_cmsis_concat[], *const omq_c_cmsis_shortcut[], *const omq_c_cmsis_requant[],
    *const omq_c_cmsis_average[], *const omq_c_cmsis_run[], *const omq_c_cmsis_main_check[];

#endif
