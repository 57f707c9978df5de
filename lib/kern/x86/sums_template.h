/* SPDX-License-Identifier: MIT
 *
 * Passes over x[n][c], sixteen channels at a time down all rows: sums and
 * coefficients stay in registers. The formulas are in kern/ref/sums.c.
 */
#include "kern/x86/vec_template.h"

VEC_FN void channel_stats_lanes(int n, ptrdiff_t c, int lanes, const float *x, double *mean,
                                double *m2)
{
    const vecd x0 = vecd_from(vec_load(lanes, x));
    vecd s1 = vecd_from(vec_set(0)), s2 = s1;
    double sum[VEC], squares[VEC];

    for (ptrdiff_t i = 0; i < n * c; i += c) {
        const vecd d = vecd_sub(vecd_from(vec_load(lanes, x + i)), x0);

        s1 = vecd_add(s1, d);
        s2 = vecd_add(s2, vecd_mul(d, d));
    }
    vecd_store_all(sum, s1);
    vecd_store_all(squares, s2);
    for (int j = 0; j < lanes; j++) {
        mean[j] = (double)x[j] + sum[j] / n;
        m2[j] = squares[j] - sum[j] * sum[j] / n;
    }
}

void OMQ_FN(channel_stats)(int n, int c, const float *x, double *mean, double *m2)
{
    FOR_VECS(c, channel_stats_lanes(n, c, lanes, x + j, mean + j, m2 + j));
}

VEC_FN void rescale_lanes(int n, ptrdiff_t c, int lanes, const uint8_t *q,
                          const struct omq_rescale *r, const float *g, bool store, float *dq,
                          float *ds)
{
    const vec ratio = vec_set(r->ratio), zero = vec_set((float)r->zp_out);
    const vec top = vec_set((float)r->q_max), none = vec_set(0);
    const int zp_in = r->zp_in;
    vec sum = vec_load(lanes, ds);

    for (int i = 0; i < n; i++, q += c, g += c, dq += c) {
        const vec v = vec_fma(vec_codes(lanes, q, zp_in), ratio, zero);
        const vec t = vec_min(top, vec_max(none, v));
        const vec slope = vec_sub(vec_rint(t), vec_if_equal(t, v, t, zero));
        const vec gi = vec_load(lanes, g);

        vec_ahead(g);
        vec_ahead(dq);
        sum = vec_add(sum, vec_mul(gi, slope));
        vec_store(lanes, dq, vec_add(store ? none : vec_load(lanes, dq),
                                     vec_if_equal(t, v, gi, none)));
    }
    vec_store(lanes, ds, sum);
}

void OMQ_FN(rescale_backward)(int n, int c, const uint8_t *q, const struct omq_rescale *r,
                              const float *g, bool store, float *dq, float *ds)
{
    if (store)
        FOR_VECS(c, rescale_lanes(n, c, lanes, q + j, r, g + j, true, dq + j, ds + j));
    else
        FOR_VECS(c, rescale_lanes(n, c, lanes, q + j, r, g + j, false, dq + j, ds + j));
}

/* Channels j on; has_res and has_mu are constants. c is fma(acc, m, b). */
VEC_FN vec epilogue_value(int lanes, bool has_res, vec c, const struct omq_addend *add,
                          const uint8_t *res)
{
    return has_res ? vec_add_codes(lanes, c, vec_set(add->r), vec_set(add->zero), res) : c;
}

VEC_FN void epilogue_lanes(int n, ptrdiff_t c, int j, int lanes, bool has_res,
                           const struct omq_epilogue *e, const float *acc, const uint8_t *res,
                           uint8_t *q)
{
    const vec m = vec_load(lanes, e->m + j), b = vec_load(lanes, e->b + j);
    const vec none = vec_set(0), top = vec_set((float)e->q_max);

    for (ptrdiff_t i = j; i < n * c; i += c) {
        const vec v = epilogue_value(lanes, has_res, vec_fma(vec_load(lanes, acc + i), m, b),
                                     &e->add, has_res ? res + i : NULL);

        vec_ahead(acc + i);
        vec_store_codes(lanes, q + i, vec_min(vec_max(vec_rint(v), none), top));
    }
}

void OMQ_FN(epilogue)(int n, int c, const struct omq_epilogue *e, const float *acc,
                      const uint8_t *res, uint8_t *q)
{
    if (res)
        FOR_VECS(c, epilogue_lanes(n, c, j, lanes, true, e, acc, res, q));
    else
        FOR_VECS(c, epilogue_lanes(n, c, j, lanes, false, e, acc, NULL, q));
}

VEC_FN void epilogue_backward_lanes(int n, ptrdiff_t c, int j, int lanes, bool has_res,
                                    bool has_mu, const struct omq_epilogue *e, const float *acc,
                                    const uint8_t *res, float *g,
                                    const struct omq_epilogue_sums *sum)
{
    const vec m = vec_load(lanes, e->m + j), b = vec_load(lanes, e->b + j);
    const vec mu = has_mu ? vec_load(lanes, e->mu + j) : vec_set(0);
    const vec none = vec_set(0), top = vec_set((float)e->q_max);
    const vec zero = vec_set((float)e->zero_point);
    vec ds = vec_load(lanes, sum->ds + j), sum_g = vec_load(lanes, sum->g + j);
    vec sum_gx = has_mu ? vec_load(lanes, sum->gx + j) : none;

    for (ptrdiff_t i = j; i < n * c; i += c) {
        const vec x = vec_load(lanes, acc + i), all = vec_load(lanes, g + i);
        const vec part = vec_fma(x, m, b), within = vec_part(part);
        const vec v = epilogue_value(lanes, has_res, part, &e->add, has_res ? res + i : NULL);
        const vec t = vec_min(top, vec_max(none, v));
        vec slope = vec_sub(vec_rint(t), vec_if_equal(t, v, t, zero));
        vec passed = vec_if_equal(t, v, all, none);

        vec_ahead(acc + i);
        vec_ahead(g + i);
        vec_store(lanes, g + i, passed);
        if (has_res) {
            const vec of_part = vec_sub(vec_rint(within),
                                        vec_if_equal(within, part, part, none));

            slope = vec_add(slope, vec_if_equal(t, v, of_part, none));
            passed = vec_if_equal(within, part, passed, none);
        }
        ds = vec_add(ds, vec_mul(all, slope));
        sum_g = vec_add(sum_g, passed);
        if (has_mu)
            sum_gx = vec_add(sum_gx, vec_mul(passed, vec_sub(x, mu)));
    }
    vec_store(lanes, sum->ds + j, ds);
    vec_store(lanes, sum->g + j, sum_g);
    if (has_mu)
        vec_store(lanes, sum->gx + j, sum_gx);
}

void OMQ_FN(epilogue_backward)(int n, int c, const struct omq_epilogue *e, const float *acc,
                               const uint8_t *res, float *g, const struct omq_epilogue_sums *sum)
{
    if (res && e->mu)
        FOR_VECS(c, epilogue_backward_lanes(n, c, j, lanes, true, true, e, acc, res, g, sum));
    else if (res)
        FOR_VECS(c, epilogue_backward_lanes(n, c, j, lanes, true, false, e, acc, res, g, sum));
    else if (e->mu)
        FOR_VECS(c, epilogue_backward_lanes(n, c, j, lanes, false, true, e, acc, NULL, g, sum));
    else
        FOR_VECS(c, epilogue_backward_lanes(n, c, j, lanes, false, false, e, acc, NULL, g, sum));
}

VEC_FN void norm_backward_lanes(int n, ptrdiff_t c, int j, int lanes, float *g, const float *xs,
                                const float *mu, const float *a, const float *k, const float *d,
                                const struct omq_epilogue *e)
{
    const vec vmu = vec_load(lanes, mu + j), va = vec_load(lanes, a + j);
    const vec vk = vec_load(lanes, k + j), vd = vec_load(lanes, d + j), none = vec_set(0);
    const vec m = e ? vec_load(lanes, e->m + j) : none, b = e ? vec_load(lanes, e->b + j) : none;

    for (ptrdiff_t i = j; i < n * c; i += c) {
        const vec x = vec_load(lanes, xs + i), of_x = vec_mul(vk, vec_sub(x, vmu));
        const vec part = vec_fma(x, m, b);
        vec gi = vec_load(lanes, g + i);

        if (e)
            gi = vec_if_equal(vec_part(part), part, gi, none);
        vec_store(lanes, g + i, vec_add(vec_add(vec_mul(va, gi), of_x), vd));
    }
}

void OMQ_FN(norm_backward)(int n, int c, float *g, const float *x, const float *mu,
                           const float *a, const float *k, const float *d,
                           const struct omq_epilogue *e)
{
    if (e)
        FOR_VECS(c, norm_backward_lanes(n, c, j, lanes, g, x, mu, a, k, d, e));
    else
        FOR_VECS(c, norm_backward_lanes(n, c, j, lanes, g, x, mu, a, k, d, NULL));
}
