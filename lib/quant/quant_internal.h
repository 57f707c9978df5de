/* SPDX-License-Identifier: MIT
 *
 * Inside quant: the rows of the table of methods and what they share.
 */
#ifndef OMQ_QUANT_QUANT_INTERNAL_H
#define OMQ_QUANT_QUANT_INTERNAL_H

#include "quant/quant.h"

extern const struct omq_method omq_method_omq, omq_method_any_precision, omq_method_adabits,
    omq_method_double_rounding;

/* Activations: a learned step (LSQ), a learned clipping level (SAT), or none. */
extern const struct omq_act_method omq_act_step, omq_act_clip, omq_act_unit_range;

/* Weights up to this are zero to every sum that they enter. It stands in for 0 where a unit
 * comes of them: batch norm's gradient divides by that, and a packed model has none of 0. */
#define OMQ_NOTHING ((omq_real)1e-30)

/* What DoReFa (Zhou et al., 2016) does to weights before it rounds them:
 * q->x = tanh(w) / max|tanh(w)|, in -1..1; q->peak = max|tanh(w)|. Zeros stay. */
void omq_tanh_forward(struct omq_weights *q);
/* The backward of a method without steps whose codes stand for x times q->scale;
 * the gradient flows through the maximum too. */
void omq_tanh_backward(const struct omq_weights *q, const omq_real *dq, omq_real *dw,
                       omq_real *dstep);

#endif
