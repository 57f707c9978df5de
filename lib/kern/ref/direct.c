/* SPDX-License-Identifier: MIT
 *
 * Gradients of convolutions without rows, plainly.
 */
#include <string.h>

#include "kern/kern_internal.h"

enum {
    MIN_DY = 1023, /* what dy is rounded to 16 bits for must leave of them */
    MIN_OUT = 8,   /* outputs: no block of sums of dw has more */
    GROUP = 16,    /* channels of x whose weights for dx are together */
};

/* But for the number of channels of the input. */
static bool serves(const struct omq_window *g, int oc)
{
    return g->c_begin == 0 && g->c_count == g->c && oc >= MIN_OUT && g->ph < g->kh &&
           g->pw < g->kw && omq_conv_dy_max(g, oc) >= MIN_DY;
}

bool omq_conv_direct(const struct omq_window *g, int oc)
{
    return g->c >= 16 && oc % 2 == 0 && serves(g, oc);
}

bool omq_conv_few(const struct omq_window *g, int oc)
{
    return g->c < 16 && serves(g, oc);
}

static int groups_of(const struct omq_window *g) { return (g->c + GROUP - 1) / GROUP; }

size_t omq_conv_dinput_weights(const struct omq_window *g, int oc)
{
    return GROUP * (size_t)groups_of(g) * (size_t)g->kh * (size_t)g->kw * (size_t)oc;
}

/* dx, which few channels have none of, sums kh * kw * oc products with weights, dw at
 * least one output row of two images with codes. */
int omq_conv_dy_max(const struct omq_window *g, int oc)
{
    const int64_t dx = INT32_MAX / ((int64_t)g->kh * g->kw * oc * 128);
    const int64_t dw = INT32_MAX / ((int64_t)2 * g->ow * 255);
    const int64_t least = g->c < 16 || dw < dx ? dw : dx;

    return least < INT16_MAX ? (int)least : INT16_MAX;
}

int omq_conv_band(const struct omq_window *g, int oc)
{
    return (int)(INT32_MAX / ((int64_t)2 * g->ow * 255 * omq_conv_dy_max(g, oc)));
}

int omq_conv_images(const struct omq_window *g, int oc)
{
    const int pairs = omq_conv_direct(g, oc) ? omq_conv_band(g, oc) / g->oh : 1;

    return pairs < 1 ? 2 : pairs > 32 ? 64 : 2 * pairs;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* For dw: pairs of all images of x with their padding and of dy, and one filter's sums,
 * or, with few channels, all of them. Channels are those of whole vectors. */
static size_t dweight_scratch(const struct omq_window *g, int oc, int n)
{
    const size_t image = (size_t)(g->h + 2 * g->ph) * (size_t)(g->w + 2 * g->pw);
    const size_t c = ((size_t)g->c + 15) / 16 * 16, c_out = ((size_t)oc + 22) / 16 * 16;
    const size_t pairs = ((size_t)n + 1) / 2, y = (size_t)g->oh * (size_t)g->ow + 4;
    const size_t k = g->c < 16 ? (size_t)g->kh * (size_t)g->kw * (size_t)g->c : 0;

    return ((pairs + 1) * image * c + (pairs * y + k) * c_out) * sizeof(int32_t);
}

/* The same by tiles: places of x, each with two columns of two images, as many in front
 * of dy as a tile may read beyond, dy in high and low bytes, and for each tile and each
 * block of outputs a little. */
static size_t dweight_tiles_scratch(const struct omq_window *g, int oc, int n)
{
    const size_t rows = (size_t)(g->oh + (g->kh - 1) / g->sh), c = ((size_t)g->c + 15) / 16;
    const size_t places = (size_t)((g->ow + 1) / 2 + (g->kw - 1) / (2 * g->sw));
    const size_t plane = ((size_t)n + 1) / 2 * rows * places, tiles = plane / 16 + 1;
    const size_t x = c * (size_t)(2 * g->sh * g->sw) * plane + 16;

    return 64 * (x + ((size_t)oc + 15) / 16 * (32 * tiles + 1) + tiles);
}

/* For dx: an image of dy in 16 bits with all that any pixel of x sees, or by tiles two
 * of them, and the weights in 8 bits. */
static size_t dinput_scratch(const struct omq_window *g, int oc)
{
    const size_t h = (size_t)(g->h + g->kh) / (size_t)g->sh + 2;
    const size_t w = (size_t)(g->w + g->kw) / (size_t)g->sw + 2;

    return 2 * h * w * (size_t)oc * sizeof(int16_t) + omq_conv_dinput_weights(g, oc);
}

/* And for the alignment. */
size_t omq_conv_scratch(const struct omq_window *g, int oc, int n)
{
    const size_t dw = larger(dweight_scratch(g, oc, n), dweight_tiles_scratch(g, oc, n));

    return larger(dw, dinput_scratch(g, oc)) + 64;
}

/* sum[kh * kw * c] += dy * the window of x at one output pixel. */
static void dweight_pixel(const struct omq_window *g, int oy, int ox, const int16_t *x, int16_t dy,
                          int32_t *restrict sum)
{
    for (int ky = 0; ky < g->kh; ky++)
        for (int kx = 0; kx < g->kw; kx++, sum += g->c) {
            const int iy = oy * g->sh - g->ph + ky, ix = ox * g->sw - g->pw + kx;
            const int16_t *restrict p = x + ((ptrdiff_t)iy * g->w + ix) * g->c;

            if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
                continue;
            for (int i = 0; i < g->c; i++)
                sum[i] += dy * p[i];
        }
}

/* dw[kh * kw * c] of channel o: rows [begin, end) of all pairs' output rows. */
static void dweight_band(const struct omq_window *g, int oc, int n, int begin, int end,
                         const int16_t *x, const int16_t *dy, omq_real scale, omq_real *dw,
                         int32_t *sum)
{
    const int k = g->kh * g->kw * g->c;

    memset(sum, 0, sizeof(*sum) * (size_t)k);
    for (int r = begin; r < end; r++) {
        const int pair = r / g->oh, oy = r % g->oh;

        for (int i = 2 * pair; i < n && i < 2 * pair + 2; i++)
            for (int ox = 0; ox < g->ow; ox++)
                dweight_pixel(g, oy, ox, x + (ptrdiff_t)i * g->h * g->w * g->c,
                              dy[(((ptrdiff_t)i * g->oh + oy) * g->ow + ox) * oc], sum);
    }
    for (int e = 0; e < k; e++)
        dw[e] = fma((omq_real)sum[e], scale, dw[e]);
}

void omq_conv_dweight_s16_ref(const struct omq_window *g, int oc, int n, const uint8_t *x,
                              int zero_point, const int16_t *dy, omq_real scale, omq_real *dw,
                              void *scratch)
{
    const ptrdiff_t k = (ptrdiff_t)g->kh * g->kw * g->c, images = (ptrdiff_t)n * g->h * g->w * g->c;
    const int rows = (n + 1) / 2 * g->oh, band = omq_conv_band(g, oc);
    int32_t *sum = scratch;
    int16_t *x16 = (int16_t *)(sum + k);

    for (ptrdiff_t e = 0; e < images; e++)
        x16[e] = (int16_t)(x[e] - zero_point);
    for (int r = 0; r < rows; r += band)
        for (int o = 0; o < oc; o++)
            dweight_band(g, oc, n, r, rows - r < band ? rows : r + band, x16, dy + o, scale,
                         dw + o * k, sum);
}

/* sum[16] += dy[oc] * w[oc/2][16][2] */
static void dinput_tap(int oc, const int16_t *dy, const int16_t *restrict w, int32_t *restrict sum)
{
    for (int o = 0; o < oc; o += 2, w += 2 * GROUP)
        for (int i = 0; i < GROUP; i++)
            sum[i] += dy[o] * w[2 * i] + dy[o + 1] * w[2 * i + 1];
}

/* sum[c, rounded up] of pixel (y, x) of one image. */
static void dinput_pixel(const struct omq_window *g, int oc, int y, int x, const int16_t *dy,
                         const int16_t *w, int32_t *sum)
{
    const ptrdiff_t tap = (ptrdiff_t)oc * GROUP;

    memset(sum, 0, sizeof(*sum) * GROUP * (size_t)groups_of(g));
    for (int j = 0; j < groups_of(g); j++, sum += GROUP, w += g->kh * g->kw * tap)
        for (int ky = (y + g->ph) % g->sh; ky < g->kh; ky += g->sh)
            for (int kx = (x + g->pw) % g->sw; kx < g->kw; kx += g->sw) {
                const int oy = (y + g->ph - ky) / g->sh, ox = (x + g->pw - kx) / g->sw;

                if (y + g->ph < ky || oy >= g->oh || x + g->pw < kx || ox >= g->ow)
                    continue;
                dinput_tap(oc, dy + ((ptrdiff_t)oy * g->ow + ox) * oc,
                           w + (ky * g->kw + g->kw - 1 - kx) * tap, sum);
            }
}

void omq_conv_dinput_s16_ref(const struct omq_window *g, int oc, int n, const int16_t *dy,
                             const int16_t *w, omq_real scale, bool add, omq_real *dx,
                             void *scratch)
{
    int32_t *sum = scratch;

    for (int i = 0; i < n; i++, dy += (ptrdiff_t)g->oh * g->ow * oc)
        for (int y = 0; y < g->h; y++)
            for (int x = 0; x < g->w; x++, dx += g->c) {
                if (add && ((y + g->ph) % g->sh >= g->kh || (x + g->pw) % g->sw >= g->kw))
                    continue;
                dinput_pixel(g, oc, y, x, dy, w, sum);
                for (int j = 0; j < g->c; j++)
                    dx[j] = add ? fma((omq_real)sum[j], scale, dx[j]) : (omq_real)sum[j] * scale;
            }
}
