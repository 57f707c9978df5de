/* SPDX-License-Identifier: MIT
 *
 * The integer engine: a network at one precision a layer, as a plan of integer
 * operations. With the reference kernels it is the specification of the
 * numerics (docs/architecture.md); with any others it gives the same bits.
 *
 * A plan owns copies of all it needs, its weights at their true width: the net
 * may change or go once it is open. It is immutable: any number of threads may
 * run it, each with its own scratch. Running allocates nothing and cannot fail.
 */
#ifndef OMQ_ENGINE_ENGINE_H
#define OMQ_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/real.h"
#include "nn/nn.h"

struct omq_engine;

/* Plans net at a precision (an index into net->precisions). layer_precision
 * [n_layers], if not NULL, gives each layer a precision of its own: its
 * weights, its batch norm and the quantizers that it alone reads; the residual
 * stream stays at `precision`. OMQ_EUNSUP for float precisions, for layers
 * whose sums could leave int32, and for steps that were never set. */
int omq_engine_open(struct omq_engine **out, const struct omq_net *net,
                    const int *layer_precision, int precision,
                    struct omq_err *err) OMQ_WARN_UNUSED;
void omq_engine_close(struct omq_engine *e); /* NULL is fine */

/* What its convolutions run on, as "avx512vnni", or "avx512vnni+avx512vpopcntdq"
 * where some count bits: into buf, which is returned. */
const char *omq_engine_kernel(const struct omq_engine *e, char *buf, size_t size);

/* Bytes of the weights as they are kept. */
size_t omq_engine_weight_bytes(const struct omq_engine *e);

/* Bytes that running n images on `threads` threads needs, aligned to OMQ_ALIGN
 * (omq_calloc() is); SIZE_MAX if they cannot be counted. */
size_t omq_engine_scratch_size(const struct omq_engine *e, int n, int threads);

/* Whether threads gain by sharing the units of one image: what lies between two
 * meetings must be worth more than those. */
bool omq_engine_is_shareable(const struct omq_engine *e);

/* How many images are best taken together: as many as the activations of which
 * stay in a core's cache, so that the weights are unpacked for all of them. */
int omq_engine_batch(const struct omq_engine *e);

/* codes [n][h][w][c], zero point 128 -> logits [n][n_classes], on one thread. */
void omq_engine_run(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                    void *scratch);
/* The same, each unit shared by the pool's threads: for batches that have fewer
 * images than the machine has processors. */
void omq_engine_run_shared(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                           void *scratch, struct omq_pool *pool);

/* What a run can show of itself. Either may be NULL. */
struct omq_engine_watch {
    void *ctx;
    /* Every value that a unit rounds to a code, [n][h][w][c] of its output: v
     * before rounding, zero point included, and q after. */
    void (*value)(void *ctx, int unit, omq_real v, uint8_t q);
    /* The codes of a unit's output, once it has run: image i's row y is at
     * codes + i * image + y * row, w * c codes. Not called for the logits. */
    void (*codes)(void *ctx, int unit, const uint8_t *codes, ptrdiff_t image, ptrdiff_t row);
};
void omq_engine_run_watched(const struct omq_engine *e, const uint8_t *codes, int n,
                            float *logits, void *scratch, const struct omq_engine_watch *watch);

/* How a tensor of the plan is quantized, and the step of its codes (of the logits,
 * 1). */
struct omq_act omq_engine_act(const struct omq_engine *e, int tensor);
double omq_engine_step(const struct omq_engine *e, int tensor);

/* What a unit computes with, for those who write it down: the plan's own arrays.
 * CONV: omq_fold() of output o of group g stands at g * group + o, and in add
 * omq_fold_residual(), if there is one. AVGPOOL:
 * omq_fold_pool() in m[0] and b[0]. */
struct omq_engine_numbers {
    const omq_real *m, *b;
    struct omq_addend add;
    int group;
    struct omq_rescale rescale; /* REQUANT */
};
struct omq_engine_numbers omq_engine_numbers(const struct omq_engine *e, int unit);

#endif
