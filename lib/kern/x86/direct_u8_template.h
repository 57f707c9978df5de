/* SPDX-License-Identifier: MIT
 *
 * conv_u8: y[pixel][o] = sum over (ky, kx, i) of (x - zero_point) * w. An image
 * is copied into a tile with its padding, where a row of the window is one run
 * of kw * c values; four of them are multiplied at a time, the last perhaps by
 * weights of 0, and a few values behind the tile.
 *
 * The includer defines TILE (type of the tile's values), VEC, OMQ_MR and NR
 * (most pixels and vectors of a block), NR_LAST (vectors where fewer channels
 * are left), LANES (channels of a vector) and
 *   VEC zero_sums(void)
 *   VEC load_weights(const int8_t *w)          [LANES][4]
 *   VEC broadcast(const TILE *x)               4 values, in every lane
 *   VEC dot(VEC sums, VEC x, VEC w)
 *   void store_sums(int nr, const VEC *sums, const int32_t *start, float *y)
 * where start, unless NULL, is added to the sums: that is how a tile of codes
 * makes up for its zero point. Where vectors do not fill the channels, the last
 * block begins earlier and stores some of the same again.
 */
#include "kern/x86/direct_fill_template.h"

struct conv_u8 {
    int oc, kh;
    ptrdiff_t run;             /* values: of a window's row, filled up to fours */
    ptrdiff_t row, step, tile; /* of a tile's row, to the next pixel, of a tile */
};

OMQ_INLINE void conv_u8_block(const int mr, const int nr, const struct conv_u8 *t, const TILE *x,
                              const int8_t *w, const int32_t *start, float *y)
{
    VEC sums[OMQ_MR][NR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero_sums();
    for (int ky = 0; ky < t->kh; ky++, x += t->row) {
        for (ptrdiff_t i = 0; i < t->run; i += 4, w += 4 * t->oc) {
            VEC wv[NR];

            OMQ_UNROLL for (int j = 0; j < nr; j++)
                wv[j] = load_weights(w + 4 * LANES * j);
            OMQ_UNROLL for (int r = 0; r < mr; r++) {
                VEC xv = broadcast(x + r * t->step + i);

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    sums[r][j] = dot(sums[r][j], xv, wv[j]);
            }
        }
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        store_sums(nr, sums[r], start, y + (ptrdiff_t)r * t->oc);
}

OMQ_INLINE void conv_u8_row(const int nr, const struct conv_u8 *t, int pixels, const TILE *x,
                            const int8_t *w, const int32_t *start, float *y)
{
    const int n = (pixels + OMQ_MR - 1) / OMQ_MR;

    for (int i = 0; i < n; i++) {
        const int p = omq_block_begin(pixels, n, i), end = omq_block_begin(pixels, n, i + 1);

        OMQ_BLOCK_OF(end - p, conv_u8_block, nr, t, x + p * t->step, w, start,
                     y + (ptrdiff_t)p * t->oc)
    }
}

static void conv_u8_image(const struct omq_window *g, const struct conv_u8 *t, const TILE *tile,
                          const int8_t *w, const int32_t *start, float *y)
{
    const ptrdiff_t row = t->row * g->sh;

    for (int o = 0, nr; o < t->oc; o += nr * LANES) {
        nr = omq_block_vectors(t->oc, o, NR, NR_LAST, LANES);
        const int first = o + nr * LANES <= t->oc ? o : t->oc - nr * LANES;
        const int32_t *start_first = start ? start + first : NULL;

        for (int oy = 0; oy < g->oh; oy++) {
            float *out = y + (ptrdiff_t)oy * g->ow * t->oc + first;

            if (nr == NR)
                conv_u8_row(NR, t, g->ow, tile + oy * row, w + 4 * first, start_first, out);
            else
                conv_u8_row(NR_LAST, t, g->ow, tile + oy * row, w + 4 * first, start_first, out);
        }
    }
}

static struct conv_u8 conv_u8_of(const struct omq_window *g, int oc)
{
    const int cols = (g->ow - 1) * g->sw + g->kw;
    const ptrdiff_t row = (ptrdiff_t)cols * g->c;

    return (struct conv_u8){oc, g->kh, ((ptrdiff_t)g->kw * g->c + 3) / 4 * 4, row,
                            (ptrdiff_t)g->sw * g->c, ((g->oh - 1) * g->sh + g->kh) * row};
}
