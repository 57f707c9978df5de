/* SPDX-License-Identifier: MIT
 *
 * Inside quant: the rows of the table of methods and what they share, and the
 * wavelet transform that the views work with.
 *
 * Coefficients have the shape of the weights, [out][in][kh][kw]. Each level
 * splits its box into a half of sums and a half of differences along every
 * axis that is transformed; the next level works on the box of sums, which
 * begins at 0 of every axis. Scale s (0 is the coarsest) is the box after
 * levels - s levels without the one after levels - s + 1.
 */
#ifndef OMQ_QUANT_QUANT_INTERNAL_H
#define OMQ_QUANT_QUANT_INTERNAL_H

#include "quant/quant.h"

extern const struct omq_method omq_method_omq, omq_method_any_precision, omq_method_adabits,
    omq_method_double_rounding;

/* Activations: a learned step (LSQ), a learned clipping level (SAT), or none. */
extern const struct omq_act_method omq_act_step, omq_act_clip, omq_act_unit_range;

/* What DoReFa (Zhou et al., 2016) does to weights before it rounds them:
 * q->x = tanh(w) / max|tanh(w)|, in -1..1; q->peak = max|tanh(w)|. Zeros stay. */
void omq_tanh_forward(struct omq_weights *q);
/* The backward of a method without steps whose codes stand for x times q->scale;
 * the gradient flows through the maximum too. */
void omq_tanh_backward(const struct omq_weights *q, const omq_real *dq, omq_real *dw,
                       omq_real *dstep);
/* In place; x has the shape of v. The odd last element of a length is
 * multiplied by `last`: with 1 the transform is orthonormal. tmp: as many reals
 * as x. */
void omq_wavelet_analyse(const struct omq_view_spec *v, omq_real *x, omq_real last, omq_real *tmp);
/* The transpose, and with 1/last the inverse. */
void omq_wavelet_synthesise(const struct omq_view_spec *v, omq_real *x, omq_real last,
                            omq_real *tmp);

/* Is axis a (0 out, 1 in, 2 kh, 3 kw) transformed? */
bool omq_wavelet_along(const struct omq_view_spec *v, int a);

/* What is transformed at a time: all filters where they are mixed, else one
 * after the other, which stays in the cache. */
struct omq_view_spec omq_view_block(const struct omq_view_spec *v);
size_t omq_view_count(const int dims[4]);

/* One axis of one level: lines of n elements, `stride` apart; `run` lines lie
 * side by side, and there are outer * rows such bundles. */
struct omq_pass {
    int n;
    size_t stride, run;
    size_t outer, outer_stride, rows, row_stride;
};
struct omq_pass omq_pass_of(const struct omq_view_spec *v, int level, int a);

/* bands.c: do the codes that are multiplied with stay int8? */
bool omq_bands_fit(const struct omq_view_spec *v, const struct omq_grid *g);
/* Weights to coefficients, in place; and their gradient, which is added to dw. */
void omq_bands_forward(const struct omq_view_spec *v, omq_real *x, omq_real *tmp);
void omq_bands_backward(const struct omq_view_spec *v, const omq_real *dx, omq_real *dw,
                        omq_real *scratch);

#endif
