/* SPDX-License-Identifier: MIT
 *
 * Passes over x[n][c] that leave a sum for each channel. They add in the order
 * of the rows, so kernels that take some channels at a time give the same bits.
 */
#include "kern/kern_internal.h"

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
