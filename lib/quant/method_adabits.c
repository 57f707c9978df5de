/* SPDX-License-Identifier: MIT
 *
 * AdaBits (Jin, Yang, Liao, CVPR 2020) on SAT (BMVC 2020), its 'centered'
 * scheme, the one that its authors found best at low widths:
 *   q = (min(floor(2^b u), 2^b - 1) + 0.5) / 2^b,  u = (x + 1) / 2,
 * value 2q - 1, with x = tanh(w) / max|tanh(w)|; exactly the mid-rise grid on x
 * with the step 2^(1-b). Then SAT rescales the layer so that the weights'
 * deviation is 1 / sqrt(fan-out): times 1 / (sqrt(fan_out) std(values)), a
 * constant to the gradient, which passes the rounding straight.
 *
 * Its 256 levels of 8 bits need odd codes of nine bits. There the symmetric
 * grid stands in, with 1/127 before the rescale: over the range its levels are
 * a third of a step from the paper's on average, those of 2^-7 half a step.
 *
 * Activations have a learned clipping level for each width (act.c). First and
 * last layer are quantized as all others are, as in the paper, at quant.first_last_bits;
 * there the last one reads activations of the width's own bits.
 */
#include "quant/quant_internal.h"

static struct omq_grid grid(enum omq_grid_kind kind, int bits)
{
    (void)kind;
    return omq_grid_of(OMQ_GRID_MIDRISE, bits);
}

/* Deviation of the codes; of codes that are all alike, their size. */
static double deviation(size_t n, const int8_t *k)
{
    double sum = 0, squares = 0, var;

    for (size_t i = 0; i < n; i++) {
        sum += k[i];
        squares += (double)k[i] * k[i];
    }
    var = n > 1 ? (squares - sum * sum / (double)n) / (double)(n - 1) : 0;
    if (var > 0)
        return sqrt(var);
    return squares > 0 ? sqrt(squares / (double)n) : 1;
}

static void forward(struct omq_weights *q)
{
    omq_real levels = (omq_real)(1 << q->grid.bits);
    omq_real unit = q->grid.midrise ? 1 / levels : 1 / (omq_real)q->grid.k_max;
    omq_real step = q->grid.midrise ? 2 * unit : unit;

    omq_tanh_forward(q);
    omq_weights_quantize(&q->grid, q->out, q->n, q->x, &step, 1, q->k);
    q->unit[0] = (omq_real)(1 / (sqrt((double)q->fan_out) *
                                 deviation((size_t)q->out * q->n, q->k)));
    q->n_units = 1;
    q->scale = q->unit[0] / unit;
}

const struct omq_method omq_method_adabits = {
    .grid = grid, .wstep = OMQ_WSTEP_NONE, .forward = forward, .backward = omq_tanh_backward,
    .act = &omq_act_clip,
};
