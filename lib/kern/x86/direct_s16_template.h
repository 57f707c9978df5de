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

enum { GROUP = 16 }; /* channels of the weights */

/* With a stride, the pixels of one residue see the same taps, and successive ones see
 * successive pixels of dy. Taps that follow one another in w, to the left, see pixels
 * that follow one another to the right. */

struct dinput {
    int oc, kh, kw, sh, sw, c;
    int ky, kx;          /* the first taps of this residue */
    int begin, end;      /* rows of taps that see dy from this row of x */
    int taps, joined;    /* its taps in a row of the window; how many follow in w, too */
    ptrdiff_t row;       /* values of a row of the tile of dy */
    float scale;
    bool add;
};

/* Of nr vectors, whose weights are in groups of 16 channels; the channels that are left,
 * if fewer, are stored. d is dy at the last tap of row t->begin; rows of taps below see
 * rows above. */
OMQ_INLINE void dinput_block(const int mr, const int nr, const struct dinput *t, const int16_t *d,
                             const int16_t *w, float *dx, int left)
{
    const ptrdiff_t tap = (ptrdiff_t)t->oc * GROUP, group = t->kh * t->kw * tap;
    VEC sums[OMQ_MR][NR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero();
    w += (ptrdiff_t)(t->kw - 1 - t->kx - (t->taps - 1) * t->sw) * tap;
    for (int ky = t->begin; ky < t->end; ky += t->sh, d -= t->row) {
        const int16_t *v = w + ky * t->kw * tap, *p = d;

        for (int n = t->taps; n > 0; n -= t->joined, v += (t->sw - 1) * tap)
            for (int o = t->joined * t->oc; o > 0; o -= 2, p += 2, v += 2 * GROUP) {
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
                store_first(dx + (ptrdiff_t)r * t->sw * t->c + LANES * j, sums[r][j], t->scale,
                            t->add, left - LANES * j);
}

OMQ_INLINE void dinput_row(const int nr, const struct dinput *t, int pixels, const int16_t *d,
                           const int16_t *w, float *dx, int left)
{
    const int n = (pixels + OMQ_MR - 1) / OMQ_MR;

    for (int i = 0; i < n; i++) {
        const ptrdiff_t p = omq_block_begin(pixels, n, i);
        const int mr = omq_block_begin(pixels, n, i + 1) - (int)p;

        OMQ_BLOCK_OF(mr, dinput_block, nr, t, d + p * t->oc, w, dx + p * t->sw * t->c, left)
    }
}

/* Rows of dy with zeros on either side: of one image, as far as any pixel of x sees. */
struct dy_tile {
    int left, cols;
};

static struct dy_tile dy_tile_of(const struct omq_window *g)
{
    const int left = (g->kw - 1 - g->pw) / g->sw;

    return (struct dy_tile){left, left + (g->w - 1 + g->pw) / g->sw + 1};
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

/* Rows of taps that see rows of dy from row y of x, whose first tap sees row `first` and
 * each later one a row above; returns the row of dy that the first of them sees. */
static int seen_rows(const struct omq_window *g, struct dinput *t, int first)
{
    const int below = first - (g->oh - 1) > 0 ? first - (g->oh - 1) : 0;

    t->begin = t->ky + below * t->sh;
    t->end = t->ky + (first + 1) * t->sh < t->kh ? t->ky + (first + 1) * t->sh : t->kh;
    return first - below;
}

/* The pixels of x with (y + ph) % sh = ky and (x + pw) % sw = kx. */
static void dinput_residue(const struct omq_window *g, struct dinput *t,
                           const struct dy_tile *dt, const int16_t *tile, const int16_t *w,
                           float *dx)
{
    const int y0 = (t->ky + (g->ph / g->sh + 1) * g->sh - g->ph) % g->sh;
    const int x0 = (t->kx + (g->pw / g->sw + 1) * g->sw - g->pw) % g->sw;
    const int pixels = (g->w - x0 + g->sw - 1) / g->sw;
    const int col = (x0 + g->pw - t->kx) / g->sw + dt->left - (t->taps - 1);

    const ptrdiff_t filter = (ptrdiff_t)g->kh * g->kw * t->oc;

    for (int j = 0, nr; j < g->c; j += nr * LANES) {
        nr = g->c - j > NR_LAST * LANES ? NR : NR_LAST;
        for (int y = y0; y < g->h; y += g->sh) {
            const int oy = seen_rows(g, t, (y + g->ph - t->ky) / g->sh);
            const int16_t *d = tile + oy * t->row + (ptrdiff_t)col * t->oc;
            float *out = dx + ((ptrdiff_t)y * g->w + x0) * g->c + j;

            if (nr == NR)
                dinput_row(NR, t, pixels, d, w + j * filter, out, g->c - j);
            else
                dinput_row(NR_LAST, t, pixels, d, w + j * filter, out, g->c - j);
        }
    }
}

void OMQ_DIRECT(conv_dinput_s16)(const struct omq_window *g, int oc, int n, const int16_t *dy,
                                 const int16_t *w, float scale, bool add, float *dx,
                                 void *scratch)
{
    const struct dy_tile dt = dy_tile_of(g);
    struct dinput t = {
        .oc = oc, .kh = g->kh, .kw = g->kw, .sh = g->sh, .sw = g->sw, .c = g->c,
        .row = (ptrdiff_t)dt.cols * oc, .scale = scale, .add = add,
    };
    int16_t *tile = omq_aligned(scratch);

    for (int i = 0; i < n; i++) {
        fill_dy(g, &dt, oc, dy + (ptrdiff_t)i * g->oh * g->ow * oc, tile);
        for (t.ky = 0; t.ky < g->sh; t.ky++)
            for (t.kx = 0; t.kx < g->sw; t.kx++) {
                t.taps = (g->kw - t.kx + g->sw - 1) / g->sw; /* of stride > kernel, some have 0 */
                t.joined = g->sw == 1 ? t.taps : 1;
                if (!add || (t.ky < g->kh && t.kx < g->kw))
                    dinput_residue(g, &t, &dt, tile, w, dx + (ptrdiff_t)i * g->h * g->w * g->c);
            }
    }
}
