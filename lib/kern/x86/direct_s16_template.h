/* SPDX-License-Identifier: MIT
 *
 * Gradients of direct convolutions, in vectors of channels of the input, with
 * dy and the weights in 16 bits:
 *   dw[o][ky][kx][i] += sum over pixels of dy[pixel][o] * x[pixel's window][i]
 *   dx[pixel][i]      = sum over (ky, kx, o) of dy[pixel's windows][o] * w[o][ky][kx][i]
 * An instruction multiplies pairs and adds both products to a 32-bit sum. For
 * dx, a pair is two channels o. For dw it is one pixel of two images: their
 * windows are then one run of pairs, whatever the tap and the stride.
 *
 * Where vectors do not fill a run of dw, or blocks the outputs, the last one begins
 * earlier, and what it has in common with the one before is not stored again.
 *
 * The includer defines VEC (of LANES 32-bit sums), OMQ_MR and NR (most pixels and
 * vectors of a block of dx), NR_LAST (vectors where fewer channels are left), MO and NRW (channels of the output, vectors of the
 * input in a block of dw), and
 *   VEC zero(void), load(const void *), broadcast(const void *)   a pair, 4 bytes
 *   VEC dot(VEC sums, VEC a, VEC b)
 *   void store_scaled(float *, VEC sums, float scale, bool add, int skip)
 *   void store_first(float *, VEC sums, float scale, bool add, int n)
 * where the first `skip` lanes, if that is positive, are not stored, or the first n
 * alone, if that is less than all.
 */

/* ---- dw: as if by the window's rows, a run of kw * c pairs each */

struct dweight {
    int n, oc, oh, ow;          /* n pairs of images */
    int band;                   /* output rows between two roundings */
    float scale;
    ptrdiff_t k;                /* values of a filter */
    ptrdiff_t image, row, step; /* pairs in the tiles: to the next image, output row, pixel */
};

/* The pairs of images a and b, with their padding; it ends where the last
 * window does. */
static void fill_pairs(const struct omq_window *g, const uint8_t *a, const uint8_t *b,
                       int zero_point, uint32_t *tile)
{
    const int rows = (g->oh - 1) * g->sh + g->kh, cols = (g->ow - 1) * g->sw + g->kw;
    const int x1 = g->w + g->pw < cols ? g->w + g->pw : cols;
    const ptrdiff_t c = g->c, left = g->pw * c, n = (x1 - g->pw) * c, row = cols * c;

    for (int y = 0; y < rows; y++, tile += row) {
        const int iy = y - g->ph;
        const uint8_t *restrict from_a = a + (ptrdiff_t)iy * g->w * c;
        const uint8_t *restrict from_b = b + (ptrdiff_t)iy * g->w * c;
        uint32_t *restrict to = tile + left;

        if (iy < 0 || iy >= g->h) {
            memset(tile, 0, sizeof(*tile) * (size_t)row);
            continue;
        }
        memset(tile, 0, sizeof(*tile) * (size_t)left);
        for (ptrdiff_t i = 0; i < n; i++)
            to[i] = (uint16_t)(from_a[i] - zero_point) |
                    (uint32_t)(from_b[i] - zero_point) << 16;
        memset(to + n, 0, sizeof(*tile) * (size_t)(row - left - n));
    }
}

/* The pairs of a and b; of a and zeros if b is NULL. */
static void join(ptrdiff_t n, const int16_t *restrict a, const int16_t *restrict b,
                 uint32_t *restrict pairs)
{
    if (b)
        for (ptrdiff_t i = 0; i < n; i++)
            pairs[i] = (uint16_t)a[i] | (uint32_t)b[i] << 16;
    else
        for (ptrdiff_t i = 0; i < n; i++)
            pairs[i] = (uint16_t)a[i];
}

/* Without the first outputs and the first values of each that `rows` and `lanes`
 * say. */
OMQ_INLINE void dweight_block(const int nr, const struct dweight *t, const uint32_t *x,
                              const uint32_t *dy, float *dw, int skip_rows, int skip_lanes)
{
    int oy = 0;

    for (int left = t->n * t->oh; left > 0; left -= t->band) {
        VEC sums[MO][NRW];

        OMQ_UNROLL for (int r = 0; r < MO; r++)
            OMQ_UNROLL for (int j = 0; j < nr; j++)
                sums[r][j] = zero();
        for (int rows = left < t->band ? left : t->band; rows > 0; rows--) {
            const uint32_t *p = x + oy * t->row;

            for (int ox = 0; ox < t->ow; ox++, p += t->step, dy += t->oc) {
                VEC xv[NRW];

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    xv[j] = load(p + LANES * j);
                OMQ_UNROLL for (int r = 0; r < MO; r++) {
                    VEC d = broadcast(dy + r);

                    OMQ_UNROLL for (int j = 0; j < nr; j++)
                        sums[r][j] = dot(sums[r][j], d, xv[j]);
                }
            }
            if (++oy == t->oh)
                oy = 0, x += t->image;
        }
        OMQ_UNROLL for (int r = 0; r < MO; r++)
            if (r >= skip_rows)
                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    store_scaled(dw + r * t->k + LANES * j, sums[r][j], t->scale, true,
                                 skip_lanes - LANES * j);
    }
}

/* All outputs, of nr vectors of a run. */
OMQ_INLINE void dweight_outputs(const int nr, const struct dweight *t, const uint32_t *x,
                                const uint32_t *dy, float *dw, int skip)
{
    for (int o = 0; o < t->oc; o += MO) {
        const int first = o + MO <= t->oc ? o : t->oc - MO;

        dweight_block(nr, t, x, dy + first, dw + first * t->k, o - first, skip);
    }
}

void OMQ_DIRECT(conv_dweight_s16)(const struct omq_window *g, int oc, int n, const uint8_t *x,
                                  int zero_point, const int16_t *dy, float scale, float *dw,
                                  void *scratch)
{
    const int rows = (g->oh - 1) * g->sh + g->kh, cols = (g->ow - 1) * g->sw + g->kw;
    const ptrdiff_t row = (ptrdiff_t)cols * g->c, y_image = (ptrdiff_t)g->oh * g->ow * oc;
    const ptrdiff_t x_image = (ptrdiff_t)g->h * g->w * g->c;
    const struct dweight t = {
        (n + 1) / 2, oc, g->oh, g->ow, omq_conv_band(g, oc), scale,
        (ptrdiff_t)g->kh * g->kw * g->c, rows * row, g->sh * row, (ptrdiff_t)g->sw * g->c,
    };
    uint32_t *tiles = omq_aligned(scratch), *pairs = tiles + t.n * t.image;

    for (int i = 0; i < n; i += 2, x += 2 * x_image, dy += 2 * y_image) {
        const bool two = i + 1 < n;

        fill_pairs(g, x, two ? x + x_image : x, zero_point, tiles + i / 2 * t.image);
        join(y_image, dy, two ? dy + y_image : NULL, pairs + i / 2 * y_image);
    }
    for (int ky = 0; ky < g->kh; ky++) {
        const ptrdiff_t run = (ptrdiff_t)g->kw * g->c;
        int left = (int)((run + LANES - 1) / LANES), nr;

        for (ptrdiff_t j = 0; left > 0; left -= nr, j += nr * LANES) {
            nr = NRW == 3 && left % 3 == 0 && run >= 3 * LANES ? 3
                 : left == 1 || run < 2 * LANES ? 1 : 2;
            const ptrdiff_t first = j + nr * LANES <= run ? j : run - nr * LANES;
            const uint32_t *from = tiles + ky * row + first;
            float *to = dw + ky * run + first;

            if (nr == NRW)
                dweight_outputs(NRW, &t, from, pairs, to, (int)(j - first));
            else if (nr == 2)
                dweight_outputs(2, &t, from, pairs, to, (int)(j - first));
            else
                dweight_outputs(1, &t, from, pairs, to, (int)(j - first));
        }
    }
}

enum { GROUP = 16 }; /* channels of the weights for dx */

/* ---- dx: with a stride, the pixels of one residue see the same taps, and
 * successive ones see successive pixels of dy. Taps that follow one another in
 * w, to the left, see pixels that follow one another to the right. */

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
