/* SPDX-License-Identifier: MIT */
#include "quant/quant.h"

/* A NaN is lo: what follows converts to an integer. */
static omq_real clamp(omq_real x, omq_real lo, omq_real hi)
{
    return x > lo ? (x < hi ? x : hi) : lo;
}

static double error_at(const struct omq_act *a, size_t n, size_t stride, const omq_real *x,
                       omq_real s)
{
    omq_real lo = (omq_real)-a->zero_point, hi = (omq_real)(a->q_max - a->zero_point);
    omq_real inv = 1 / s;
    double sum = 0;

    for (size_t i = 0; i < n; i += stride) {
        double d = (double)(x[i] - s * clamp(rint(x[i] * inv), lo, hi));

        sum += d * d;
    }
    return sum;
}

omq_real omq_act_init_step(const struct omq_act *a, size_t n, const omq_real *x)
{
    size_t stride = n / 16384 | 1; /* odd, so that it meets every channel */
    omq_real lo = (omq_real)a->zero_point, hi = (omq_real)(a->q_max - a->zero_point);
    omq_real top = 0, s, best;
    double least;

    for (size_t i = 0; i < n; i += stride) {
        if (x[i] > 0)
            top = fmax(top, x[i] / hi);
        else if (a->zero_point)
            top = fmax(top, -x[i] / lo);
    }
    if (!(top > 0))
        return 1; /* nothing but zeros so far: training will find its scale */
    s = best = top;
    least = error_at(a, n, stride, x, s);
    for (int i = 1; i < 32; i++) {
        double e;

        s *= (omq_real)0.870550563296124; /* 2^(-1/5) */
        e = error_at(a, n, stride, x, s);
        if (e < least) {
            least = e;
            best = s;
        }
    }
    return best;
}

void omq_requant_table(struct omq_act in, omq_real s_in, struct omq_act out, omq_real s_out,
                       uint8_t table[256], omq_real *v)
{
    omq_real ratio = s_in / s_out;

    for (int q = 0; q < 256; q++) {
        omq_real x = fma((omq_real)(q - in.zero_point), ratio, (omq_real)out.zero_point);

        table[q] = (uint8_t)clamp(rint(x), 0, (omq_real)out.q_max);
        if (v)
            v[q] = x;
    }
}
