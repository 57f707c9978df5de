/* SPDX-License-Identifier: MIT
 *
 * Passes over x[n][c] that leave a sum for each channel. The formulas are in
 * kern/ref/sums.c.
 */
#include "kern/x86/vec_template.h"

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
