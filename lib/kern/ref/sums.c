/* SPDX-License-Identifier: MIT
 *
 * Passes over x[n][c] that gain from taking some channels down all rows, as
 * kern/x86/sums_template.h does: sums add in the order of the rows, a channel
 * apart, so that gives the same bits.
 */
#include "kern/kern_internal.h"
#include "kern/ref/epilogue.h"

void omq_channel_stats_ref(int n, int c, const omq_real *restrict x, double *restrict mean,
                           double *restrict m2)
{
    const omq_real *x0 = x;

    for (int j = 0; j < c; j++)
        mean[j] = m2[j] = 0;
    for (int i = 0; i < n; i++, x += c) {
        for (int j = 0; j < c; j++) {
            const double d = (double)x[j] - (double)x0[j];

            mean[j] += d;
            m2[j] += d * d;
        }
    }
    for (int j = 0; j < c; j++) {
        m2[j] -= mean[j] * mean[j] / n;
        mean[j] = (double)x0[j] + mean[j] / n;
    }
}

void omq_rescale_backward_ref(int n, int c, const uint8_t *restrict q, const struct omq_rescale *r,
                              const omq_real *restrict g, bool store, omq_real *restrict dq,
                              omq_real *restrict ds)
{
    const omq_real zero = r->zp_out, top = r->q_max;

    for (int i = 0; i < n; i++, q += c, g += c, dq += c) {
        for (int j = 0; j < c; j++) {
            const omq_real v = fma((omq_real)((int)q[j] - r->zp_in), r->ratio, zero);
            omq_real t = 0 > v ? 0 : v;

            t = top < t ? top : t;
            ds[j] += g[j] * (rint(t) - (t == v ? t : zero));
            dq[j] = (store ? 0 : dq[j]) + (t == v ? g[j] : 0);
        }
    }
}

static omq_real value(const struct omq_epilogue *e, int j, omq_real acc, const uint8_t *res)
{
    const omq_real c = fma(acc, e->m[j], e->b[j]);

    return res ? omq_add_codes(c, e->add, res[j]) : c;
}

void omq_epilogue_ref(int n, int c, const struct omq_epilogue *e, const omq_real *acc,
                      const uint8_t *res, uint8_t *q)
{
    const omq_real top = e->q_max;

    for (int i = 0; i < n; i++, acc += c, q += c, res = res ? res + c : NULL) {
        for (int j = 0; j < c; j++) {
            omq_real t = rint(value(e, j, acc[j], res));

            t = t > 0 ? t : 0; /* also a NaN */
            q[j] = (uint8_t)(t < top ? t : top);
        }
    }
}

/* Whether a convolution's part in a sum is within its ends. */
static bool is_inside(const struct omq_epilogue *e, int j, omq_real acc)
{
    const omq_real c = fma(acc, e->m[j], e->b[j]);

    return omq_part(c) == c;
}

/* What the step's gradient has of that part: its rounding, or its end. */
static omq_real part_slope(const struct omq_epilogue *e, int j, omq_real acc)
{
    const omq_real c = fma(acc, e->m[j], e->b[j]), within = omq_part(c);

    return rint(within) - (within == c ? c : 0);
}

void omq_epilogue_backward_ref(int n, int c, const struct omq_epilogue *e, const omq_real *acc,
                               const uint8_t *res, omq_real *g,
                               const struct omq_epilogue_sums *sum)
{
    const omq_real zero = e->zero_point, top = e->q_max;

    for (int i = 0; i < n; i++, acc += c, g += c, res = res ? res + c : NULL) {
        for (int j = 0; j < c; j++) {
            const omq_real v = value(e, j, acc[j], res);
            omq_real t = 0 > v ? 0 : v, slope, passed;

            t = top < t ? top : t;
            slope = rint(t) - (t == v ? t : zero);
            if (res && t == v)
                slope += part_slope(e, j, acc[j]);
            sum->ds[j] += g[j] * slope;
            g[j] = t == v ? g[j] : 0;
            passed = !res || is_inside(e, j, acc[j]) ? g[j] : 0;
            sum->g[j] += passed;
            if (e->mu)
                sum->gx[j] += passed * (acc[j] - e->mu[j]);
        }
    }
}

void omq_norm_backward_ref(int n, int c, omq_real *restrict g, const omq_real *restrict x,
                           const omq_real *restrict mu, const omq_real *restrict a,
                           const omq_real *restrict k, const omq_real *restrict d,
                           const struct omq_epilogue *e)
{
    for (int i = 0; i < n; i++, g += c, x += c)
        for (int j = 0; j < c; j++)
            g[j] = a[j] * (!e || is_inside(e, j, x[j]) ? g[j] : 0) + k[j] * (x[j] - mu[j]) +
                   d[j];
}
