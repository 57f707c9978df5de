/* SPDX-License-Identifier: MIT
 *
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A generator is a
 * pure function of (seed, stream, a, b): nothing depends on threads or order.
 */
#ifndef OMQ_BASE_RNG_H
#define OMQ_BASE_RNG_H

#include <stdint.h>

/* What the numbers are for; keeps uses of one seed apart. Values are part of
 * reproducibility: never renumber. */
enum omq_stream {
    OMQ_STREAM_INIT = 1,    /* a: parameter index */
    OMQ_STREAM_SHUFFLE = 2, /* a: epoch */
    OMQ_STREAM_AUGMENT = 3, /* a: epoch, b: sample */
    OMQ_STREAM_WIDTHS = 4,  /* a: step */
    OMQ_STREAM_DATA = 5,    /* a: split, b: sample (synthetic data) */
    OMQ_STREAM_SPLIT = 6,   /* held-out share */
    OMQ_STREAM_TEST = 7,
    OMQ_STREAM_VECTORS = 8, /* a: image */
    OMQ_STREAM_CROP = 16,   /* this and the next two, a: epoch, b: sample */
    OMQ_STREAM_JITTER = 17,
    OMQ_STREAM_ERASE = 18,
    OMQ_STREAM_MIX = 19,    /* a: epoch, b: batch */
};

struct omq_rng {
    uint32_t key[2], ctr[4], out[4];
    int left; /* unread words in out */
};

void omq_rng_init(struct omq_rng *r, uint64_t seed, enum omq_stream stream, uint32_t a, uint32_t b);
uint32_t omq_rng_u32(struct omq_rng *r);
uint32_t omq_rng_below(struct omq_rng *r, uint32_t n); /* uniform in [0, n), n >= 1, unbiased */
double omq_rng_uniform(struct omq_rng *r);             /* uniform in [0, 1), 53 bits */
double omq_rng_normal(struct omq_rng *r);              /* mean 0, variance 1 */

#endif
