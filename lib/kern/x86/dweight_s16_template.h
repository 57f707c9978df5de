/* SPDX-License-Identifier: MIT
 *
 * The weights' gradient of direct convolutions, with dy in 16 bits:
 *   dw[o][ky][kx][i] += sum over pixels of dy[pixel][o] * x[pixel's window][i]
 * An instruction multiplies pairs and adds both products to a 32-bit sum. A pair
 * is one pixel of two images: their windows are then one run of pairs, whatever
 * the tap and the stride.
 *
 * What is summed before it is rounded, a band of output rows, goes through all
 * taps, channels and outputs before the next: its pairs of dy are joined then and,
 * as those of x, lie in the order in which blocks of sums read them, near by.
 *   x    [pairs of images][vectors of channels][rows][cols][LANES]
 *   dy   [blocks of outputs][pixels of the band][MO]
 * Where vectors do not fill the channels, or blocks the outputs, the last one
 * begins earlier, and what it has in common with the one before is not stored again.
 *
 * The includer defines VEC (of LANES 32-bit sums), MO and NRW (outputs, vectors in
 * a block), and
 *   VEC zero(void), load(const void *), broadcast(const void *)   a pair, 4 bytes
 *   VEC dot(VEC sums, VEC a, VEC b)
 *   void store_scaled(float *, VEC sums, float scale, bool add, int skip)
 * where the first `skip` lanes, if that is positive, are not stored.
 */

struct dweight {
    const struct omq_window *g;
    int oc, padded;              /* outputs, and up to whole blocks and vectors of them */
    float scale;
    bool few;                    /* channels */
    int vectors, width;          /* vectors of channels, pairs of a pixel in each */
    ptrdiff_t k;                 /* values of a filter */
    ptrdiff_t image, plane, row; /* pairs in the tiles: of two images, a vector, a row */
};

/* Rows [first, first + n) of all pairs' output rows, and their pixels. */
struct band {
    int first, n;
    ptrdiff_t pixels;
};

static int first_channel(const struct dweight *t, int v)
{
    return t->few || v * LANES + LANES <= t->g->c ? v * LANES : t->g->c - LANES;
}

static int blocks_of_outputs(int oc) { return (oc + MO - 1) / MO; }

static int first_output(const struct dweight *t, int block)
{
    return block * MO + MO <= t->oc ? block * MO : t->oc - MO;
}

/* Pairs of n values of images a and b. */
OMQ_INLINE void pair_up(ptrdiff_t n, int zero_point, const uint8_t *a, const uint8_t *b,
                        uint32_t *to)
{
    const __m256i zp = _mm256_set1_epi16((int16_t)zero_point);

    for (; n >= 8; n -= 8, a += 8, b += 8, to += 8) {
        const __m128i both = _mm_unpacklo_epi8(_mm_loadl_epi64((const void *)a),
                                               _mm_loadl_epi64((const void *)b));

        _mm256_storeu_si256((void *)to, _mm256_sub_epi16(_mm256_cvtepu8_epi16(both), zp));
    }
    for (; n > 0; n--, a++, b++, to++)
        *to = (uint16_t)(*a - zero_point) | (uint32_t)(*b - zero_point) << 16;
}

/* Images a and b with their padding, which ends where the last window does. */
static void fill_pairs(const struct dweight *t, int zero_point, const uint8_t *a,
                       const uint8_t *b, uint32_t *tile)
{
    const struct omq_window *g = t->g;
    const int rows = (int)(t->plane / t->row), cols = (int)(t->row / t->width);
    const int w = g->w + g->pw < cols ? g->w : cols - g->pw;
    const ptrdiff_t begin = (ptrdiff_t)g->pw * t->width, end = begin + (ptrdiff_t)w * t->width;

    for (int r = 0; r < t->vectors * rows; r++, tile += t->row) {
        const int y = r % rows - g->ph;
        const ptrdiff_t at = (ptrdiff_t)y * g->w * g->c + first_channel(t, r / rows);

        if (r % rows % g->sh >= g->kh) /* no window sees it */
            continue;
        if (y < 0 || y >= g->h) {
            memset(tile, 0, sizeof(*tile) * (size_t)t->row);
            continue;
        }
        memset(tile, 0, sizeof(*tile) * (size_t)begin);
        if (t->few)
            pair_up(end - begin, zero_point, a + at, b + at, tile + begin);
        else
            for (int x = 0; x < w; x += g->kw == 1 ? g->sw : 1)
                pair_up(LANES, zero_point, a + at + x * (ptrdiff_t)g->c,
                        b + at + x * (ptrdiff_t)g->c, tile + begin + x * LANES);
        memset(tile + end, 0, sizeof(*tile) * (size_t)(t->row - end));
    }
}

/* MO outputs of a pixel of images a and b. */
OMQ_INLINE void join_block(const int16_t *a, const int16_t *b, __m128i second, uint32_t *to)
{
    if (MO % 8 == 0) {
        for (int r = 0; r < MO; r += 8) {
            const __m128i va = _mm_loadu_si128((const void *)(a + r));
            const __m128i vb = _mm_and_si128(_mm_loadu_si128((const void *)(b + r)), second);

            _mm_store_si128((void *)(to + r), _mm_unpacklo_epi16(va, vb));
            _mm_store_si128((void *)(to + r + 4), _mm_unpackhi_epi16(va, vb));
        }
    } else {
        for (int r = 0; r < MO; r += 4) {
            const __m128i va = _mm_loadl_epi64((const void *)(a + r));
            const __m128i vb = _mm_and_si128(_mm_loadl_epi64((const void *)(b + r)), second);

            _mm_store_si128((void *)(to + r), _mm_unpacklo_epi16(va, vb));
        }
    }
}

/* The pairs of dy of a band, a pixel's `pixel` apart, those of blocks of outputs
 * `block`; n images. */
static void join_band(const struct dweight *t, const struct band *b, int n, const int16_t *dy,
                      ptrdiff_t pixel, ptrdiff_t block, uint32_t *to)
{
    const int oh = t->g->oh, ow = t->g->ow;
    const ptrdiff_t row = (ptrdiff_t)ow * t->oc, image = oh * row;

    for (int r = b->first; r < b->first + b->n; r++, to += ow * pixel) {
        const bool two = r / oh * 2 + 1 < n;
        const __m128i second = _mm_set1_epi16(two ? -1 : 0);
        const int16_t *from = dy + r / oh * 2 * image + r % oh * row;

        for (int o = 0; o < blocks_of_outputs(t->oc); o++) {
            const int16_t *p = from + first_output(t, o), *q = two ? p + image : p;
            uint32_t *out = to + o * block;

            for (int ox = 0; ox < ow; ox++, p += t->oc, q += t->oc, out += pixel)
                join_block(p, q, second, out);
        }
    }
}

/* ---- many channels */

/* The taps of one vector of channels: where they begin in the tiles and in dw. */
struct tap {
    ptrdiff_t from, to;
    int skip;
};

/* Without the first outputs, as many as `skip` says. */
OMQ_INLINE void dweight_block(const int nr, const struct dweight *t, const struct band *b,
                              const struct tap *tap, const uint32_t *x, const uint32_t *dy,
                              float *dw, int skip)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t step = (ptrdiff_t)g->sw * LANES, down = g->sh * t->row;
    int oy = b->first % g->oh;
    ptrdiff_t from[NRW];
    VEC sums[MO][NRW];

    OMQ_UNROLL for (int j = 0; j < nr; j++)
        from[j] = tap[j].from - tap[0].from;
    OMQ_UNROLL for (int r = 0; r < MO; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero();
    if (LANES == 8) /* of AVX2 by so much the faster, of AVX-512 by as much the slower */
        OMQ_UNROLL for (int r = 0; r < MO; r++)
            OMQ_UNROLL for (int j = 0; j < nr; j++)
                __builtin_prefetch(dw + r * t->k + tap[j].to, 1);
    x += b->first / g->oh * t->image + tap[0].from;
    for (int rows = b->n; rows > 0; rows--) {
        const uint32_t *p = x + oy * down;

        for (int ox = g->ow; ox > 0; ox--, p += step, dy += MO) {
            VEC xv[NRW];

            OMQ_UNROLL for (int j = 0; j < nr; j++)
                xv[j] = load(p + from[j]);
            OMQ_UNROLL for (int r = 0; r < MO; r++) {
                VEC d = broadcast(dy + r);

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    sums[r][j] = dot(sums[r][j], d, xv[j]);
            }
        }
        if (++oy == g->oh)
            oy = 0, x += t->image;
    }
    OMQ_UNROLL for (int r = 0; r < MO; r++)
        if (r >= skip)
            OMQ_UNROLL for (int j = 0; j < nr; j++)
                store_scaled(dw + r * t->k + tap[j].to, sums[r][j], t->scale, true, tap[j].skip);
}

/* All outputs, of nr vectors. */
OMQ_INLINE void dweight_outputs(const int nr, const struct dweight *t, const struct band *b,
                                const struct tap *tap, const uint32_t *x, const uint32_t *dy,
                                float *dw)
{
    for (int o = 0; o < blocks_of_outputs(t->oc); o++, dy += b->pixels * MO)
        dweight_block(nr, t, b, tap, x, dy, dw + first_output(t, o) * t->k,
                      o * MO - first_output(t, o));
}

/* Tap i of all vectors' taps. */
static struct tap tap_of(const struct dweight *t, int i)
{
    const struct omq_window *g = t->g;
    const int v = i / (g->kh * g->kw), ky = i / g->kw % g->kh, kx = i % g->kw;
    const int first = first_channel(t, v);

    return (struct tap){v * t->plane + ky * t->row + kx * LANES,
                        (ptrdiff_t)(ky * g->kw + kx) * g->c + first, v * LANES - first};
}

static void dweight_band(const struct dweight *t, const struct band *b, const uint32_t *x,
                         const uint32_t *dy, float *dw)
{
    const int taps = t->vectors * t->g->kh * t->g->kw, blocks = (taps + NRW - 1) / NRW;

    for (int i = 0; i < blocks; i++) {
        const int begin = omq_block_begin(taps, blocks, i);
        const int nr = omq_block_begin(taps, blocks, i + 1) - begin;
        struct tap tap[NRW];

        for (int j = 0; j < nr; j++)
            tap[j] = tap_of(t, begin + j);
        if (nr == NRW)
            dweight_outputs(NRW, t, b, tap, x, dy, dw);
        else if (nr == 2)
            dweight_outputs(2 < NRW ? 2 : 1, t, b, tap, x, dy, dw);
        else
            dweight_outputs(1, t, b, tap, x, dy, dw);
    }
}

#include "kern/x86/dweight_few_template.h"

void OMQ_DIRECT(conv_dweight_s16)(const struct omq_window *g, int oc, int n, const uint8_t *x,
                                  int zero_point, const int16_t *dy, float scale, float *dw,
                                  void *scratch)
{
    const int rows = (g->oh - 1) * g->sh + g->kh, cols = (g->ow - 1) * g->sw + g->kw;
    const bool few = g->c < 16;
    const int vectors = few ? 1 : (g->c + LANES - 1) / LANES, width = few ? g->c : LANES;
    const int all = (n + 1) / 2 * g->oh, most = omq_conv_band(g, oc);
    const ptrdiff_t row = (ptrdiff_t)cols * width, image = (ptrdiff_t)g->h * g->w * g->c;
    const struct dweight t = {
        .g = g, .oc = oc, .scale = scale, .few = few, .vectors = vectors, .width = width,
        .padded = (blocks_of_outputs(oc) * MO + LANES - 1) / LANES * LANES,
        .k = (ptrdiff_t)g->kh * g->kw * g->c, .image = vectors * rows * row,
        .plane = rows * row, .row = row,
    };
    float *sums = omq_aligned(scratch);
    uint32_t *pairs = (uint32_t *)(sums + (few ? t.k * t.padded : 0));
    uint32_t *tiles = pairs + (all < most ? all : most) * (ptrdiff_t)g->ow * t.padded;
    int filled = 0;

    if (few)
        few_begin(&t, dw, sums);
    for (int r = 0; r < all; r += most) {
        const int n_rows = all - r < most ? all - r : most;
        const struct band b = {r, n_rows, (ptrdiff_t)n_rows * g->ow};

        for (; filled * g->oh < r + n_rows; filled++) {
            const uint8_t *from = x + 2 * filled * image;

            fill_pairs(&t, zero_point, from, 2 * filled + 1 < n ? from + image : from,
                       tiles + filled * t.image);
        }
        join_band(&t, &b, n, dy, few ? t.padded : MO, few ? MO : b.pixels * MO, pairs);
        (few ? few_band : dweight_band)(&t, &b, tiles, pairs, few ? sums : dw);
    }
    if (few)
        few_end(&t, sums, dw);
}
