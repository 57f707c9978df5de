/* SPDX-License-Identifier: MIT
 *
 * Direct convolutions, plainly. Sums of reals run in the order of im2row, gemm
 * and row2im, so that either way gives the same bits.
 */
#include <string.h>

#include "kern/kern_internal.h"

enum { MIN_ROW = 4 }; /* output pixels: the kernels keep a few of one row in registers */

bool omq_conv_direct(const struct omq_window *g, int oc)
{
    return g->c_begin == 0 && g->c_count == g->c && g->c % 16 == 0 && oc % 16 == 0 &&
           g->ow >= MIN_ROW;
}

/* Room for every image with its padding as reals, the most that a kernel
 * keeps, and for four numbers a channel. */
size_t omq_conv_scratch(const struct omq_window *g, int oc, int n)
{
    size_t rows = (size_t)(g->oh - 1) * (size_t)g->sh + (size_t)g->kh;
    size_t cols = (size_t)(g->ow - 1) * (size_t)g->sw + (size_t)g->kw;

    return ((size_t)n * rows * cols * (size_t)g->c + 4 * (size_t)oc) * sizeof(omq_real);
}

/* acc[oc][4] += four channels of a pixel times w[oc][4], four outputs at a time:
 * a loop that compilers vectorize. */
static void add_four(int oc, const int *x, const int8_t *restrict w, int32_t *restrict acc)
{
    int16_t x4[16];

    for (int e = 0; e < 16; e++)
        x4[e] = (int16_t)x[e % 4];
    for (int o = 0; o < oc; o += 4, w += 16, acc += 16)
        for (int e = 0; e < 16; e++)
            acc[e] += x4[e] * (int16_t)w[e];
}

static void conv_pixel(const struct omq_window *g, int oc, int oy, int ox, const uint8_t *image,
                       int zero_point, const int8_t *w, int32_t *acc)
{
    for (int ky = 0; ky < g->kh; ky++)
        for (int kx = 0; kx < g->kw; kx++) {
            const int iy = oy * g->sh - g->ph + ky, ix = ox * g->sw - g->pw + kx;
            const uint8_t *q = image + ((ptrdiff_t)iy * g->w + ix) * g->c;
            const int8_t *tap = w + (ptrdiff_t)(ky * g->kw + kx) * g->c * oc;

            if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
                continue;
            for (int i = 0; i < g->c; i += 4) {
                const int x[4] = {q[i] - zero_point, q[i + 1] - zero_point,
                                  q[i + 2] - zero_point, q[i + 3] - zero_point};

                add_four(oc, x, tap + (ptrdiff_t)i * oc, acc);
            }
        }
}

void omq_conv_u8_ref(const struct omq_window *g, int oc, int n, const uint8_t *x, int zero_point,
                     const int8_t *w, omq_real *y, void *scratch)
{
    int32_t *acc = scratch;

    for (int i = 0; i < n; i++, x += (ptrdiff_t)g->h * g->w * g->c)
        for (int oy = 0; oy < g->oh; oy++)
            for (int ox = 0; ox < g->ow; ox++, y += oc) {
                memset(acc, 0, sizeof(*acc) * 4 * (size_t)oc);
                conv_pixel(g, oc, oy, ox, x, zero_point, w, acc);
                for (int o = 0; o < oc; o++)
                    y[o] = (omq_real)(acc[4 * o] + acc[4 * o + 1] + acc[4 * o + 2] +
                                      acc[4 * o + 3]);
            }
}
