/* SPDX-License-Identifier: MIT
 *
 * omq's own method: a learned step for each width, after LSQ (Esser et al.,
 * ICLR 2020), for weights and activations alike.
 */
#include "quant/quant_internal.h"

static void init_step(const struct omq_weights *q, omq_real *step)
{
    omq_weights_init_step(&q->grid, q->out, q->n, q->w, step, q->n_steps);
}

static void forward(struct omq_weights *q)
{
    q->x = q->w;
    q->scale = 1;
    q->n_units = q->n_steps;
    for (int i = 0; i < q->n_units; i++)
        q->unit[i] = omq_grid_unit(&q->grid, q->step[i]);
    omq_weights_quantize(&q->grid, q->out, q->n, q->w, q->step, q->n_steps, q->k);
}

static void backward(const struct omq_weights *q, const omq_real *dq, omq_real *dw,
                     omq_real *dstep)
{
    for (int o = 0; o < q->out; o++) {
        const size_t at = (size_t)o * q->n;
        const int s = q->n_steps == 1 ? 0 : o;

        omq_weights_backward(&q->grid, q->n, q->n_shared, q->w + at, q->k + at, q->step[s],
                             dq + at, dw + at, dstep + s);
    }
}

const struct omq_method omq_method_omq = {
    .grid = omq_grid_of, .wstep = OMQ_WSTEP_PRECISION, .init_step = init_step,
    .forward = forward, .backward = backward, .act = &omq_act_step, .is_separable = true,
};
