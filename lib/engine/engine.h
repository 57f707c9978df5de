/* SPDX-License-Identifier: MIT
 *
 * The integer engine: a network at one precision a layer, as a plan of integer
 * operations, and the plain interpreter that executes it. The interpreter is
 * the specification of the numerics (DESIGN.md, "Numerics"): kernels, the
 * training forward and exports are judged by it.
 *
 * A plan owns copies of all it needs: the net may change or go once it is
 * open. It is immutable: any number of threads may run it, each with its own
 * scratch. Running allocates nothing and cannot fail.
 */
#ifndef OMQ_ENGINE_ENGINE_H
#define OMQ_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"
#include "nn/nn.h"

struct omq_engine;

/* Plans net at a precision (an index into net->precisions). layer_precision
 * [n_layers], if not NULL, gives each layer a precision of its own: its
 * weights, its batch norm and the quantizers that it alone reads; the residual
 * stream stays at `precision`. OMQ_EUNSUP for float precisions and for layers
 * whose sums could leave int32; OMQ_EARG for steps that were never set. */
int omq_engine_open(struct omq_engine **out, const struct omq_net *net,
                    const int *layer_precision, int precision,
                    struct omq_err *err) OMQ_WARN_UNUSED;
void omq_engine_close(struct omq_engine *e); /* NULL is fine */

/* Bytes that omq_engine_run() needs for n images, aligned to OMQ_ALIGN
 * (omq_calloc() is); SIZE_MAX if they cannot be counted. */
size_t omq_engine_scratch_size(const struct omq_engine *e, int n);

/* codes [n][h][w][c], zero point 128 -> logits [n][n_classes]. tensors, if not
 * NULL, gets [n_tensors] pointers to the codes of each of the plan's tensors,
 * [n][h][w][c] in scratch (the input's is codes, the logits' is NULL). */
void omq_engine_run(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                    void *scratch, const uint8_t **tensors);

/* Looks at every value that a unit of the plan rounds to a code: v before
 * rounding, zero point included, and q after. */
struct omq_engine_watch {
    void *ctx;
    void (*value)(void *ctx, int unit, omq_real v, uint8_t q);
};
void omq_engine_run_watched(const struct omq_engine *e, const uint8_t *codes, int n,
                            float *logits, void *scratch, const struct omq_engine_watch *watch);

/* How a tensor of the plan is quantized. */
struct omq_act omq_engine_act(const struct omq_engine *e, int tensor);

#endif
