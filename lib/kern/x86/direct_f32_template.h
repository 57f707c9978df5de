/* SPDX-License-Identifier: MIT
 *
 * Gradients of direct convolutions, in vectors of channels of the input:
 *   dw[o][ky][kx][i] += sum over pixels of dy[pixel][o] * x[pixel's window][i]
 *   dx[pixel][i]      = sum over (ky, kx, o) of dy[pixel's windows][o] * w[o][ky][kx][i]
 * Each sum stays in a register from its first product to its last. The includer
 * defines VEC, LANES, OMQ_MR, NR and NR_LAST as for direct_u8_template.h,
 * MO (channels of the output in a block of dw), and
 *   VEC zero(void), load(const float *), broadcast(const float *),
 *   VEC add_of(VEC a, VEC b), fma_of(VEC a, VEC b, VEC c)     a * b + c
 *   void store(float *, VEC)
 */
#define TILE float
#include "kern/x86/direct_fill_template.h"

/* ---- dw: as if by the window's rows, a run of kw * c values each */

struct dweight {
    int n, oc, oh, ow;
    ptrdiff_t k;                /* values of a filter */
    ptrdiff_t image, row, step; /* values in the tiles: to the next image, output row, pixel */
};

OMQ_INLINE void dweight_block(const int nr, const struct dweight *t, const float *x,
                              const float *dy, float *dw)
{
    VEC sums[MO][3];

    OMQ_UNROLL for (int r = 0; r < MO; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero();
    for (int i = 0; i < t->n; i++)
        for (int oy = 0; oy < t->oh; oy++) {
            const float *p = x + i * t->image + oy * t->row;

            for (int ox = 0; ox < t->ow; ox++, p += t->step, dy += t->oc) {
                VEC xv[3];

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    xv[j] = load(p + LANES * j);
                OMQ_UNROLL for (int r = 0; r < MO; r++) {
                    VEC d = broadcast(dy + r);

                    OMQ_UNROLL for (int j = 0; j < nr; j++)
                        sums[r][j] = fma_of(d, xv[j], sums[r][j]);
                }
            }
        }
    OMQ_UNROLL for (int r = 0; r < MO; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++) {
            float *at = dw + r * t->k + LANES * j;

            store(at, add_of(load(at), sums[r][j]));
        }
}

void OMQ_DIRECT(conv_dweight)(const struct omq_window *g, int oc, int n, const uint8_t *x,
                              int zero_point, const float *dy, float *dw, void *scratch)
{
    const int rows = (g->oh - 1) * g->sh + g->kh, cols = (g->ow - 1) * g->sw + g->kw;
    const ptrdiff_t row = (ptrdiff_t)cols * g->c;
    const struct dweight t = {
        n, oc, g->oh, g->ow, (ptrdiff_t)g->kh * g->kw * g->c, rows * row, g->sh * row,
        (ptrdiff_t)g->sw * g->c,
    };
    float *tiles = scratch;

    for (int i = 0; i < n; i++)
        fill_tile(g, x + (ptrdiff_t)i * g->h * g->w * g->c, zero_point, 0, tiles + i * t.image);
    for (int ky = 0; ky < g->kh; ky++) {
        int left = g->kw * g->c / LANES;

        for (ptrdiff_t j = 0; left > 0;) {
            const int nr = left % 3 == 0 ? 3 : left == 1 ? 1 : 2;
            const float *from = tiles + ky * row + j;
            float *to = dw + (ptrdiff_t)ky * g->kw * g->c + j;

            for (int o = 0; o < oc; o += MO)
                if (nr == 3)
                    dweight_block(3, &t, from, dy + o, to + o * t.k);
                else if (nr == 2)
                    dweight_block(2, &t, from, dy + o, to + o * t.k);
                else
                    dweight_block(1, &t, from, dy + o, to + o * t.k);
            left -= nr;
            j += nr * LANES;
        }
    }
}

/* ---- dx: with a stride, the pixels of one residue see the same taps, and
 * successive ones see successive pixels of dy */

struct dinput {
    int oc, kh, kw, sh, sw, c;
    int ky, kx;          /* the first taps of this residue */
    ptrdiff_t k, row;    /* values of a filter; of a row of the tile of dy */
    bool add;
};

/* d is dy at the first tap; later taps see earlier pixels. */
OMQ_INLINE void dinput_block(const int mr, const int nr, const struct dinput *t, const float *d,
                             const float *w, float *dx)
{
    VEC sums[OMQ_MR][NR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero();
    for (int ky = t->ky; ky < t->kh; ky += t->sh, d -= t->row) {
        const float *tap_d = d;

        for (int kx = t->kx; kx < t->kw; kx += t->sw, tap_d -= t->oc) {
            const float *v = w + (ptrdiff_t)(ky * t->kw + kx) * t->c;

            for (int o = 0; o < t->oc; o++, v += t->k) {
                VEC wv[NR];

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    wv[j] = load(v + LANES * j);
                OMQ_UNROLL for (int r = 0; r < mr; r++) {
                    VEC b = broadcast(tap_d + (ptrdiff_t)r * t->oc + o);

                    OMQ_UNROLL for (int j = 0; j < nr; j++)
                        sums[r][j] = fma_of(b, wv[j], sums[r][j]);
                }
            }
        }
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++) {
            float *at = dx + (ptrdiff_t)r * t->sw * t->c + LANES * j;

            store(at, t->add ? add_of(load(at), sums[r][j]) : sums[r][j]);
        }
}

OMQ_INLINE void dinput_row(const int nr, const struct dinput *t, int pixels, const float *d,
                           const float *w, float *dx)
{
    const int n = (pixels + OMQ_MR - 1) / OMQ_MR;

    for (int i = 0; i < n; i++) {
        const ptrdiff_t p = omq_block_begin(pixels, n, i);
        const int mr = omq_block_begin(pixels, n, i + 1) - (int)p;

        OMQ_BLOCK_OF(mr, dinput_block, nr, t, d + p * t->oc, w, dx + p * t->sw * t->c)
    }
}

/* dy with zeros around: one image, as far as any pixel of x sees. */
struct dy_tile {
    int top, left, rows, cols;
};

static struct dy_tile dy_tile_of(const struct omq_window *g)
{
    const int top = (g->kh - 1 - g->ph) / g->sh, left = (g->kw - 1 - g->pw) / g->sw;

    return (struct dy_tile){top, left, top + (g->h - 1 + g->ph) / g->sh + 1,
                            left + (g->w - 1 + g->pw) / g->sw + 1};
}

static void fill_dy(const struct omq_window *g, const struct dy_tile *d, ptrdiff_t oc,
                    const float *dy, float *tile)
{
    const size_t row = (size_t)(d->cols * oc), left = (size_t)(d->left * oc);
    const size_t n = (size_t)(g->ow * oc);

    for (int y = 0; y < d->rows; y++, tile += row) {
        const int oy = y - d->top;

        if (oy < 0 || oy >= g->oh) {
            memset(tile, 0, sizeof(*tile) * row);
            continue;
        }
        memset(tile, 0, sizeof(*tile) * left);
        memcpy(tile + left, dy + (size_t)oy * n, sizeof(*tile) * n);
        memset(tile + left + n, 0, sizeof(*tile) * (row - left - n));
    }
}

/* The pixels of x with (y + ph) % sh = ky and (x + pw) % sw = kx. */
static void dinput_residue(const struct omq_window *g, const struct dinput *t,
                           const struct dy_tile *dt, const float *tile, const float *w, float *dx)
{
    const int y0 = (t->ky + (g->ph / g->sh + 1) * g->sh - g->ph) % g->sh;
    const int x0 = (t->kx + (g->pw / g->sw + 1) * g->sw - g->pw) % g->sw;
    const int pixels = (g->w - x0 + g->sw - 1) / g->sw;
    const int col = (x0 + g->pw - t->kx) / g->sw + dt->left;

    for (int j = 0; j < g->c;) {
        const int nr = g->c - j >= NR * LANES ? NR : NR_LAST;

        for (int y = y0; y < g->h; y += g->sh) {
            const float *d = tile + ((y + g->ph - t->ky) / g->sh + dt->top) * t->row +
                             (ptrdiff_t)col * t->oc;
            float *out = dx + ((ptrdiff_t)y * g->w + x0) * g->c + j;

            if (nr == NR)
                dinput_row(NR, t, pixels, d, w + j, out);
            else
                dinput_row(NR_LAST, t, pixels, d, w + j, out);
        }
        j += nr * LANES;
    }
}

void OMQ_DIRECT(conv_dinput)(const struct omq_window *g, int oc, int n, const float *dy,
                             const float *w, bool add, float *dx, void *scratch)
{
    const struct dy_tile dt = dy_tile_of(g);
    struct dinput t = {
        .oc = oc, .kh = g->kh, .kw = g->kw, .sh = g->sh, .sw = g->sw, .c = g->c,
        .k = (ptrdiff_t)g->kh * g->kw * g->c, .row = (ptrdiff_t)dt.cols * oc, .add = add,
    };

    for (int i = 0; i < n; i++) {
        fill_dy(g, &dt, oc, dy + (ptrdiff_t)i * g->oh * g->ow * oc, scratch);
        for (t.ky = 0; t.ky < g->sh; t.ky++)
            for (t.kx = 0; t.kx < g->sw; t.kx++)
                if (!add || (t.ky < g->kh && t.kx < g->kw))
                    dinput_residue(g, &t, &dt, scratch, w,
                                   dx + (ptrdiff_t)i * g->h * g->w * g->c);
    }
}
