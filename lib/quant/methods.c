/* SPDX-License-Identifier: MIT
 *
 * The table of methods, and how DoReFa and its heirs squash weights.
 */
#include "quant/quant_internal.h"

static const struct omq_method *const methods[] = {
    [OMQ_METHOD_OMQ] = &omq_method_omq,
    [OMQ_METHOD_ANY_PRECISION] = &omq_method_any_precision,
    [OMQ_METHOD_ADABITS] = &omq_method_adabits,
    [OMQ_METHOD_DOUBLE_ROUNDING] = &omq_method_double_rounding,
};

const struct omq_method *omq_method_of(enum omq_quant_method kind, bool plain_edge)
{
    const struct omq_method *m = methods[kind];

    return plain_edge && m->edges_of_omq ? &omq_method_omq : m;
}

const struct omq_act_method *omq_stream_method(void) { return &omq_act_step; }

/* Index of the largest |x|: the first of equal ones. */
static size_t peak_of(size_t n, const omq_real *x)
{
    size_t at = 0;

    for (size_t i = 1; i < n; i++)
        if (fabs(x[i]) > fabs(x[at]))
            at = i;
    return at;
}

void omq_tanh_forward(struct omq_weights *q)
{
    size_t n = (size_t)q->out * q->n;
    omq_real *x = q->scratch, peak;

    for (size_t i = 0; i < n; i++)
        x[i] = tanh(q->w[i]);
    peak = fabs(x[peak_of(n, x)]);
    for (size_t i = 0; i < n; i++)
        x[i] = peak > 0 ? x[i] / peak : 0;
    q->peak = peak;
    q->x = x;
}

/* With t = tanh(w), M = |t_m| the largest, x = t / M, dx = dq times the scale:
 *   dt_i = dx_i / M;   dM = -sum dx_i x_i / M;   dt_m += sign(t_m) dM. */
void omq_tanh_backward(const struct omq_weights *q, const omq_real *dq, omq_real *dw,
                       omq_real *dstep)
{
    size_t n = (size_t)q->out * q->n, at = peak_of(n, q->x);
    double sum = 0;

    (void)dstep;
    for (size_t i = 0; i < n; i++)
        sum += (double)(dq[i] * q->scale) * (double)q->x[i];
    for (size_t i = 0; i < n; i++) {
        omq_real t = q->x[i] * q->peak, d = dq[i] * q->scale;

        if (i == at)
            d -= (omq_real)(q->x[i] > 0 ? sum : -sum);
        dw[i] = q->peak > 0 ? d / q->peak * (1 - t * t) : d;
    }
}
