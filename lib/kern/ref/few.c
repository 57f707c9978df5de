/* SPDX-License-Identifier: MIT
 *
 * The weights' gradient of a convolution of few channels, plainly. Sums run in
 * the order of im2row and gemm, so that either way gives the same bits.
 */
#include "kern/kern_internal.h"

/* dw[kh * kw * c] += dy * the window of x (reals) at one output pixel. */
static void dweight_pixel(const struct omq_window *g, int oy, int ox, const omq_real *x,
                          omq_real dy, omq_real *restrict dw)
{
    for (int ky = 0; ky < g->kh; ky++)
        for (int kx = 0; kx < g->kw; kx++, dw += g->c) {
            const int iy = oy * g->sh - g->ph + ky, ix = ox * g->sw - g->pw + kx;
            const omq_real *restrict p = x + ((ptrdiff_t)iy * g->w + ix) * g->c;

            if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
                continue;
            for (int i = 0; i < g->c; i++)
                dw[i] += dy * p[i];
        }
}

void omq_conv_dweight_few_ref(const struct omq_window *g, int oc, int n, const uint8_t *x,
                          int zero_point, const omq_real *dy, omq_real *dw, void *scratch)
{
    const ptrdiff_t k = (ptrdiff_t)g->kh * g->kw * g->c, image = (ptrdiff_t)g->h * g->w * g->c;
    omq_real *real = scratch;

    for (int i = 0; i < n; i++, x += image, dy += (ptrdiff_t)g->oh * g->ow * oc) {
        for (ptrdiff_t e = 0; e < image; e++)
            real[e] = (omq_real)((int)x[e] - zero_point);
        for (int o = 0; o < oc; o++)
            for (int oy = 0; oy < g->oh; oy++)
                for (int ox = 0; ox < g->ow; ox++)
                    dweight_pixel(g, oy, ox, real, dy[((ptrdiff_t)oy * g->ow + ox) * oc + o],
                                  dw + o * k);
    }
}
