/* SPDX-License-Identifier: MIT
 *
 * The input's gradient of direct convolutions, in vectors of its channels, with
 * dy and the weights in 16 bits:
 *   dx[pixel][i] = sum over (ky, kx, o) of dy[pixel's windows][o] * w[o][ky][kx][i]
 * An instruction multiplies pairs, of two channels o, and adds both products to a
 * 32-bit sum.
 *
 * The includer defines VEC (of LANES 32-bit sums), OMQ_MR and NR (most pixels and
 * vectors of a block), NR_LAST (vectors where fewer channels are left), and
 *   VEC zero(void), load(const void *), broadcast(const void *)   a pair, 4 bytes
 *   VEC dot(VEC sums, VEC a, VEC b)
 *   void store_first(float *, VEC sums, float scale, bool add, int n)
 * where the first n lanes alone are stored, if that is less than all.
 */

#include "kern/x86/dinput_rows.h"

struct dinput {
    const struct omq_window *g;
    int oc;
    struct residue at;
    struct seen seen;
    ptrdiff_t row; /* values of a row of the tile of dy */
    float scale;
    bool add;
};

/* Of nr vectors; the channels that are left, if fewer, are stored. d is dy at the last
 * tap of the first row that is seen. */
OMQ_INLINE void dinput_block(const int mr, const int nr, const struct dinput *t, const int16_t *d,
                             const int16_t *w, float *dx, int left)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t tap = (ptrdiff_t)t->oc * GROUP, group = g->kh * g->kw * tap;
    VEC sums[OMQ_MR][NR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero();
    w += t->at.last * tap;
    for (int ky = t->seen.begin; ky < t->seen.end; ky += g->sh, d -= t->row) {
        const int16_t *v = w + ky * g->kw * tap, *p = d;

        for (int n = t->at.taps; n > 0; n -= t->at.joined, v += (g->sw - 1) * tap)
            for (int o = t->at.joined * t->oc; o > 0; o -= 2, p += 2, v += 2 * GROUP) {
                VEC wv[NR];

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    wv[j] = load(v + LANES * j / GROUP * group + LANES * j % GROUP * 2);
                OMQ_UNROLL for (int r = 0; r < mr; r++) {
                    VEC b = broadcast(p + (ptrdiff_t)r * t->oc);

                    OMQ_UNROLL for (int j = 0; j < nr; j++)
                        sums[r][j] = dot(sums[r][j], b, wv[j]);
                }
            }
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            if (left > LANES * j)
                store_first(dx + (ptrdiff_t)r * g->sw * g->c + LANES * j, sums[r][j], t->scale,
                            t->add, left - LANES * j);
}

OMQ_INLINE void dinput_row(const int nr, const struct dinput *t, const int16_t *d,
                           const int16_t *w, float *dx, int left)
{
    const ptrdiff_t next = (ptrdiff_t)t->g->sw * t->g->c;
    const int pixels = t->at.pixels, n = (pixels + OMQ_MR - 1) / OMQ_MR;

    for (int i = 0; i < n; i++) {
        const ptrdiff_t p = omq_block_begin(pixels, n, i);
        const int mr = omq_block_begin(pixels, n, i + 1) - (int)p;

        OMQ_BLOCK_OF(mr, dinput_block, nr, t, d + p * t->oc, w, dx + p * next, left)
    }
}

static void fill_dy(const struct omq_window *g, const struct dy_tile *d, ptrdiff_t oc,
                    const int16_t *dy, int16_t *tile)
{
    const size_t row = (size_t)(d->cols * oc), left = (size_t)(d->left * oc);
    const size_t n = (size_t)(g->ow * oc);

    for (int y = 0; y < g->oh; y++, tile += row, dy += n) {
        memset(tile, 0, sizeof(*tile) * left);
        memcpy(tile + left, dy, sizeof(*tile) * n);
        memset(tile + left + n, 0, sizeof(*tile) * (row - left - n));
    }
}

/* The pixels of residue t->at, whose channels go through all of them in turn. */
static void dinput_residue(struct dinput *t, const int16_t *tile, const int16_t *w, float *dx)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t filter = (ptrdiff_t)g->kh * g->kw * t->oc;

    for (int j = 0, nr; j < g->c; j += nr * LANES) {
        nr = g->c - j > NR_LAST * LANES ? NR : NR_LAST;
        for (int y = t->at.y0; y < g->h; y += g->sh) {
            float *out = dx + ((ptrdiff_t)y * g->w + t->at.x0) * g->c + j;
            const int16_t *d;

            t->seen = seen_from(g, &t->at, y);
            d = tile + t->seen.oy * t->row + (ptrdiff_t)t->at.col * t->oc;
            if (nr == NR)
                dinput_row(NR, t, d, w + j * filter, out, g->c - j);
            else
                dinput_row(NR_LAST, t, d, w + j * filter, out, g->c - j);
        }
    }
}

void OMQ_DIRECT(conv_dinput_s16)(const struct omq_window *g, int oc, int n, const int16_t *dy,
                                 const int16_t *w, float scale, bool add, float *dx,
                                 void *scratch)
{
    const struct dy_tile dt = dy_tile_of(g);
    struct dinput t = {.g = g, .oc = oc, .row = (ptrdiff_t)dt.cols * oc, .scale = scale,
                       .add = add};
    int16_t *tile = omq_aligned(scratch);

    for (int i = 0; i < n; i++) {
        fill_dy(g, &dt, oc, dy + (ptrdiff_t)i * g->oh * g->ow * oc, tile);
        for (int ky = 0; ky < g->sh; ky++)
            for (int kx = 0; kx < g->sw; kx++)
                if (!add || (ky < g->kh && kx < g->kw)) {
                    t.at = residue_of(g, &dt, ky, kx);
                    dinput_residue(&t, tile, w, dx + (ptrdiff_t)i * g->h * g->w * g->c);
                }
    }
}
