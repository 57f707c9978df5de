/* SPDX-License-Identifier: MIT
 *
 * Any-Precision Deep Neural Networks (Yu et al., AAAI 2021): DoReFa's weights,
 *   W_b = E (2 round(u (2^b - 1)) / (2^b - 1) - 1),  u = (x + 1) / 2,
 * with x = tanh(w) / max|tanh(w)| and E = mean|w|, a constant to the gradient,
 * which passes the rounding straight. That is the mid-rise grid on x, its step
 * fixed at 2 / (2^b - 1): codes are odd, the unit is E / (2^b - 1).
 *
 * Their 256 levels of 8 bits need odd codes of nine bits. There the symmetric
 * grid stands in, with the unit E / 127: the same range, 255 levels.
 *
 * Activations are clamped to 0..1 and have nothing to learn. Their networks are
 * pre-activation ones: a batch norm of the width comes before every clamp, and fits what is
 * clamped to it. Where none does, as between a sum and the layers that read it, a learned step
 * of the width stands for both: clamped to 0..1 a third to a half of what these read is lost
 * (docs/study.md). First and last layer, which they leave in float, are omq's; convolutions of
 * shortcuts, which they leave in float too, and the batch norm behind those, which their widths
 * share, are as all others. Their highest precision may be float (bits: [32, ...]). Their loss
 * is a matter of the configuration: train.distill 1 with train.teacher next.
 */
#include "quant/quant_internal.h"

static struct omq_grid grid(enum omq_grid_kind kind, int bits)
{
    (void)kind;
    return omq_grid_of(OMQ_GRID_MIDRISE, bits);
}

static void forward(struct omq_weights *q)
{
    size_t n = (size_t)q->out * q->n;
    omq_real top = (omq_real)q->grid.k_max, step = (q->grid.midrise ? 2 : 1) / top;
    double sum = 0;

    omq_tanh_forward(q);
    for (size_t i = 0; i < n; i++)
        sum += (double)fabs(q->w[i]);
    q->scale = (omq_real)(sum / (double)n);
    if (q->scale < OMQ_NOTHING) /* all are zero; a NaN stays one */
        q->scale = OMQ_NOTHING;
    q->unit[0] = q->scale / top;
    q->n_units = 1;
    omq_weights_quantize(&q->grid, q->out, q->n, q->x, &step, 1, q->k);
}

const struct omq_method omq_method_any_precision = {
    .grid = grid, .wstep = OMQ_WSTEP_NONE, .forward = forward, .backward = omq_tanh_backward,
    .act = &omq_act_unit_range, .act_unnormed = &omq_act_step, .edges_of_omq = true,
};
