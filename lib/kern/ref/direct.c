/* SPDX-License-Identifier: MIT
 *
 * Direct convolutions, plainly. Sums of reals run in the order of im2row, gemm
 * and row2im, so that either way gives the same bits.
 */
#include <string.h>

#include "kern/kern_internal.h"

enum { MIN_ROW = 4 }; /* output pixels: the kernels keep a few of one row in registers */

/* But for the number of channels of the input. */
static bool serves(const struct omq_window *g, int oc)
{
    return g->c_begin == 0 && g->c_count == g->c && oc % 16 == 0 && g->ph < g->kh &&
           g->pw < g->kw && g->ow >= MIN_ROW;
}

bool omq_conv_direct(const struct omq_window *g, int oc)
{
    return g->c % 16 == 0 && serves(g, oc);
}

bool omq_conv_few(const struct omq_window *g, int oc)
{
    return g->c < 16 && serves(g, oc);
}

size_t omq_conv_weights(const struct omq_window *g, int oc)
{
    return (size_t)g->kh * (size_t)((g->kw * g->c + 3) / 4 * 4) * (size_t)oc;
}

/* Room for four numbers a channel and, as reals, all images of x with their
 * padding, or one of dy with all that any pixel of x sees. */
size_t omq_conv_scratch(const struct omq_window *g, int oc, int n)
{
    size_t h = (size_t)(g->h + 2 * g->ph), w = (size_t)(g->w + 2 * g->pw);
    size_t dy_h = (size_t)(g->h + g->kh) / (size_t)g->sh + 2;
    size_t dy_w = (size_t)(g->w + g->kw) / (size_t)g->sw + 2;
    size_t x = (size_t)n * h * w * (size_t)g->c, dy = dy_h * dy_w * (size_t)oc;

    return ((x > dy ? x : dy) + 4 * (size_t)oc) * sizeof(omq_real);
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

/* A row of the window is one run of kw * c values, here four at a time. */
static void conv_pixel(const struct omq_window *g, int oc, int oy, int ox, const uint8_t *image,
                       int zero_point, const int8_t *w, int32_t *acc)
{
    const int run = g->kw * g->c, row = g->w * g->c, first = (ox * g->sw - g->pw) * g->c;

    for (int ky = 0; ky < g->kh; ky++) {
        const int iy = oy * g->sh - g->ph + ky;

        for (int i = 0; i < run; i += 4, w += 4 * (ptrdiff_t)oc) {
            int x[4] = {0};

            if (iy < 0 || iy >= g->h || first + i + 3 < 0 || first + i >= row)
                continue;
            for (int e = 0; e < 4; e++) {
                const int at = first + i + e;

                if (i + e < run && at >= 0 && at < row)
                    x[e] = image[(ptrdiff_t)iy * row + at] - zero_point;
            }
            add_four(oc, x, w, acc);
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

void omq_conv_dweight_ref(const struct omq_window *g, int oc, int n, const uint8_t *x,
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

/* dx += row[kh * kw * c], where the window at one output pixel lies in it. */
static void add_window(const struct omq_window *g, int oy, int ox, const omq_real *restrict row,
                       omq_real *dx)
{
    for (int ky = 0; ky < g->kh; ky++)
        for (int kx = 0; kx < g->kw; kx++, row += g->c) {
            const int iy = oy * g->sh - g->ph + ky, ix = ox * g->sw - g->pw + kx;
            omq_real *restrict p = dx + ((ptrdiff_t)iy * g->w + ix) * g->c;

            if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
                continue;
            for (int i = 0; i < g->c; i++)
                p[i] += row[i];
        }
}

void omq_conv_dinput_ref(const struct omq_window *g, int oc, int n, const omq_real *dy,
                         const omq_real *w, bool add, omq_real *dx, void *scratch)
{
    const ptrdiff_t k = (ptrdiff_t)g->kh * g->kw * g->c, image = (ptrdiff_t)g->h * g->w * g->c;
    omq_real *restrict row = scratch;

    for (int i = 0; i < n; i++, dx += image) {
        if (!add)
            memset(dx, 0, sizeof(*dx) * (size_t)image);
        for (int oy = 0; oy < g->oh; oy++)
            for (int ox = 0; ox < g->ow; ox++, dy += oc) {
                memset(row, 0, sizeof(*row) * (size_t)k);
                for (int o = 0; o < oc; o++)
                    for (ptrdiff_t e = 0; e < k; e++)
                        row[e] += dy[o] * w[o * k + e];
                add_window(g, oy, ox, row, dx);
            }
    }
}
