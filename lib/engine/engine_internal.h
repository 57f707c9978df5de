/* SPDX-License-Identifier: MIT
 *
 * Inside engine: a planned unit and what it runs on. Apart from the plan so
 * that the golden vectors can drive one operator at a time.
 */
#ifndef OMQ_ENGINE_ENGINE_INTERNAL_H
#define OMQ_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"

struct omq_engine_unit {
    enum omq_unit_kind kind;
    int in, out, res;      /* tensors; res -1 = none */
    struct omq_window win; /* of the first group */
    int groups, oc;
    int zp_in;             /* zero point of the input codes */
    int q_max;             /* of the output codes; 0: the output is real (the logits) */
    int16_t *w;            /* CONV: codes [oc][kh][kw][in of a group] */
    omq_real *m, *b, *r;   /* CONV: the epilogue, [oc]; AVGPOOL: m and b, [1] */
    uint8_t *table;        /* REQUANT: [256] */
    omq_real *table_v;     /* REQUANT: [256], before rounding */
};

struct omq_engine_io {
    int n;                  /* images */
    int unit;               /* what watch is told */
    const uint8_t *in, *res;
    uint8_t *out;
    float *logits;          /* in place of out, where q_max is 0 */
    int16_t *rows;          /* omq_engine_rows() of them */
    int32_t *acc;           /* omq_engine_accs() of them */
    const struct omq_engine_watch *watch;
};

/* Scratch of a unit for n images, in elements; 0 for units other than CONV. */
uint64_t omq_engine_rows(const struct omq_engine_unit *u, int n);
uint64_t omq_engine_accs(const struct omq_engine_unit *u, int n);

void omq_engine_unit_run(const struct omq_engine_unit *u, const struct omq_engine_io *io);

#endif
