/* SPDX-License-Identifier: MIT
 *
 * The weights' gradient of direct convolutions by tiles:
 *   dw[o][ky][kx][i] += sum over pixels of dy[pixel][o] * x[pixel's window][i]
 * dy is 256 * high + low, of a signed and an unsigned byte, which have sums of their
 * own; all are whole numbers, so theirs is exact too. A is 16 outputs by 16 fours of
 * dy, B 16 channels by as many of x: a four is two neighbouring output pixels of two
 * images. x lies so that those of successive places are next to one another, whatever
 * the tap and the stride; a place is a four of dy in a row with room for the taps:
 *   x    [vectors of 16 channels][sh][2 sw][pairs of images][rows][places][16][4]
 *   dy   [blocks of 16 outputs][tiles][high, low][16][16][4]
 * with rows (columns) of x by what they leave divided by sh (2 sw). Where vectors do
 * not fill the channels, or blocks the outputs, the last one begins earlier, and what
 * it has in common with the one before is not stored again.
 *
 * The includer defines what tiles.h asks for.
 */
#include "kern/x86/tiles.h"

enum { SIDE = 16, TILE = SIDE * 64 }; /* outputs, channels and places of a tile; its bytes */

/* Of two taps' sums by high and low bytes, and of what is multiplied. */
#define C_HIGH0 0
#define C_LOW0 1
#define C_HIGH1 2
#define C_LOW1 3
#define A_HIGH 4
#define A_LOW 5
#define B0 6
#define B1 7

struct dweight {
    const struct omq_window *g;
    int oc, n;             /* outputs; images */
    float scale;
    int zero_point;
    int vectors, blocks;
    int rows, places;      /* of two images in a plane; of a row */
    ptrdiff_t plane;       /* places of all images with one row and column left */
    ptrdiff_t k;           /* values of a filter */
    /* in scratch */
    uint8_t *x, *dy;
    int32_t *start;        /* [blocks][16]: -zero_point * sum of dy */
    struct four *tiles;    /* the first of each tile of a band */
};

static int first_of(int all, int i) { return i * SIDE + SIDE <= all ? i * SIDE : all - SIDE; }

/* ---- x ---- */

/* Both images' channels, in 16 bits each. */
OMQ_INLINE __m256i pair_of(const uint8_t *a, const uint8_t *b)
{
    const __m256i va = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)a));
    const __m256i vb = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)b));

    return _mm256_or_si256(va, _mm256_slli_epi16(vb, 8));
}

/* A row of places, from column `col` of x on, which may be outside. a and b are the
 * images' rows; NULL: the row is outside. */
static void fill_places(const struct dweight *t, int col, const uint8_t *a, const uint8_t *b,
                        uint8_t *to)
{
    const struct omq_window *g = t->g;
    const __m256i outside = _mm256_set1_epi8((char)t->zero_point);

    for (int p = 0; p < t->places; p++, col += 2 * g->sw, to += 64) {
        const int next = col + g->sw;
        const bool in = a && col >= 0 && col < g->w, next_in = a && next >= 0 && next < g->w;
        const ptrdiff_t at = (ptrdiff_t)col * g->c, at_next = (ptrdiff_t)next * g->c;
        const __m256i first = in ? pair_of(a + at, b + at) : outside;
        const __m256i second = next_in ? pair_of(a + at_next, b + at_next) : outside;

        _mm512_store_si512(to, _mm512_or_si512(
            _mm512_cvtepu16_epi32(first), _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16)));
    }
}

/* Two images, or one twice. */
static void fill_pair(const struct dweight *t, int pair, const uint8_t *a, const uint8_t *b)
{
    const struct omq_window *g = t->g;
    const int cols = 2 * g->sw;

    for (int i = 0; i < t->vectors * g->sh * cols; i++) {
        const int row = i / cols % g->sh, col = i % cols, c = first_of(g->c, i / cols / g->sh);
        uint8_t *to = t->x + (i * t->plane + (ptrdiff_t)pair * t->rows * t->places) * 64;

        if (row >= g->kh || col >= g->kw) /* no window sees it */
            continue;
        for (int r = 0; r < t->rows; r++, to += (ptrdiff_t)t->places * 64) {
            const int y = r * g->sh + row - g->ph;
            const bool in = y >= 0 && y < g->h;
            const ptrdiff_t at = (ptrdiff_t)y * g->w * g->c + c;

            fill_places(t, col - g->pw, in ? a + at : NULL, in ? b + at : NULL, to);
        }
    }
}

/* ---- dy ---- */

/* A four of dy: output row r of all pairs', oy of its own, and pixels 2q and 2q + 1. */
struct four {
    int pair, r, oy, q;
    ptrdiff_t place;
};

static struct four four_at(const struct dweight *t, int r)
{
    const int oh = t->g->oh;

    return (struct four){r / oh, r, r % oh, 0,
                         ((ptrdiff_t)r / oh * t->rows + r % oh) * t->places};
}

OMQ_INLINE void next_four(const struct dweight *t, struct four *f)
{
    const int all = (t->g->ow + 1) / 2;

    f->place++;
    if (++f->q < all)
        return;
    f->q = 0;
    f->r++;
    f->place += t->places - all;
    if (++f->oy == t->g->oh) {
        f->oy = 0;
        f->pair++;
        f->place += (ptrdiff_t)(t->rows - t->g->oh) * t->places;
    }
}

/* m[i][j] to m[j][i]. */
static void transpose(__m512i m[SIDE])
{
    __m512i t[SIDE];

    OMQ_UNROLL for (int i = 0; i < SIDE; i += 2) {
        t[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
    }
    OMQ_UNROLL for (int i = 0; i < SIDE; i += 4)
        OMQ_UNROLL for (int j = 0; j < 2; j++) {
            m[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
            m[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    OMQ_UNROLL for (int i = 0; i < 4; i++)
        OMQ_UNROLL for (int j = 0; j < SIDE; j += 8) {
            t[i + j] = _mm512_shuffle_i32x4(m[i + j], m[i + j + 4], 0x88);
            t[i + j + 4] = _mm512_shuffle_i32x4(m[i + j], m[i + j + 4], 0xdd);
        }
    OMQ_UNROLL for (int i = 0; i < 8; i++) {
        m[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        m[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
}

/* dy of pixel (oy, ox) of the first image of its pair, or the second; 0 if there is
 * none. */
OMQ_INLINE __m512i dy_at(const struct dweight *t, const int16_t *dy, const struct four *f,
                         int second, int ox)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t i = (ptrdiff_t)f->pair * 2 + second;

    if (i >= t->n || ox >= g->ow)
        return _mm512_setzero_si512();
    dy += ((i * g->oh + f->oy) * g->ow + ox) * t->oc;
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)dy));
}

/* The fours of a tile from f on, before row `end`, of one block of outputs; adds dy up. */
static void join_tile(const struct dweight *t, struct four f, int end, const int16_t *dy,
                      uint8_t *to, __m512i *sum)
{
    const ptrdiff_t begin = f.place;
    const __m512i byte = _mm512_set1_epi32(0xff);
    __m512i high[SIDE], low[SIDE];

    for (int i = 0; i < SIDE; i++)
        high[i] = low[i] = _mm512_setzero_si512();
    for (; f.r < end && f.place < begin + SIDE; next_four(t, &f)) {
        __m512i h = _mm512_setzero_si512(), l = h;

        OMQ_UNROLL for (int e = 3; e >= 0; e--) {
            const __m512i v = dy_at(t, dy, &f, e % 2, 2 * f.q + e / 2);

            *sum = _mm512_add_epi32(*sum, v);
            l = _mm512_or_si512(_mm512_slli_epi32(l, 8), _mm512_and_si512(v, byte));
            h = _mm512_or_si512(_mm512_slli_epi32(h, 8),
                                _mm512_and_si512(_mm512_srli_epi32(v, 8), byte));
        }
        high[f.place - begin] = h;
        low[f.place - begin] = l;
    }
    transpose(high);
    transpose(low);
    for (int i = 0; i < SIDE; i++) {
        _mm512_store_si512(to + i * 64, high[i]);
        _mm512_store_si512(to + TILE + i * 64, low[i]);
    }
}

/* dy of output rows [begin, end) of all pairs; tiles leave out places between rows where
 * they can. Returns how many there are. */
static int join_band(const struct dweight *t, int begin, int end, const int16_t *dy)
{
    int tiles = 0;

    for (struct four f = four_at(t, begin); f.r < end; tiles++) {
        const ptrdiff_t next = f.place + SIDE;

        t->tiles[tiles] = f;
        while (f.r < end && f.place < next)
            next_four(t, &f);
    }
    for (int o = 0; o < t->blocks; o++) {
        uint8_t *to = t->dy + (ptrdiff_t)o * tiles * 2 * TILE;
        __m512i sum = _mm512_setzero_si512();

        for (int i = 0; i < tiles; i++, to += 2 * TILE)
            join_tile(t, t->tiles[i], end, dy + first_of(t->oc, o), to, &sum);
        _mm512_storeu_si512(t->start + o * SIDE,
                            _mm512_mullo_epi32(sum, _mm512_set1_epi32(-t->zero_point)));
    }
    return tiles;
}

/* ---- sums ---- */

/* A tap of one vector of channels: where it begins in x, in bytes, and in dw, and how
 * many of the channels are not stored. */
struct tap {
    const uint8_t *x;
    ptrdiff_t to;
    int skip;
};

static struct tap tap_of(const struct dweight *t, int i)
{
    const struct omq_window *g = t->g;
    const int v = i / (g->kh * g->kw), ky = i / g->kw % g->kh, kx = i % g->kw;
    const int first = first_of(g->c, v), cols = 2 * g->sw;
    const ptrdiff_t plane = ((ptrdiff_t)v * g->sh + ky % g->sh) * cols + kx % cols;
    const ptrdiff_t place = plane * t->plane + (ptrdiff_t)(ky / g->sh) * t->places + kx / cols;

    return (struct tap){t->x + place * 64, (ptrdiff_t)(ky * g->kw + kx) * g->c + first,
                        v * SIDE - first};
}

OMQ_INLINE void sum_taps(const int taps, const struct dweight *t, int tiles,
                         const struct tap *tap, const uint8_t *dy,
                         int32_t acc[4][SIDE * SIDE])
{
    TILE_ZERO(C_HIGH0);
    TILE_ZERO(C_LOW0);
    if (taps == 2) {
        TILE_ZERO(C_HIGH1);
        TILE_ZERO(C_LOW1);
    }
    for (int i = 0; i < tiles; i++, dy += 2 * TILE) {
        TILE_LOAD(B0, tap[0].x + t->tiles[i].place * 64, 64);
        TILE_LOAD(A_HIGH, dy, 64);
        TILE_DOT_SU(C_HIGH0, A_HIGH, B0);
        TILE_LOAD(A_LOW, dy + TILE, 64);
        TILE_DOT_UU(C_LOW0, A_LOW, B0);
        if (taps == 2) {
            TILE_LOAD(B1, tap[1].x + t->tiles[i].place * 64, 64);
            TILE_DOT_SU(C_HIGH1, A_HIGH, B1);
            TILE_DOT_UU(C_LOW1, A_LOW, B1);
        }
    }
    TILE_STORE(C_HIGH0, acc[0], 64);
    TILE_STORE(C_LOW0, acc[1], 64);
    if (taps == 2) {
        TILE_STORE(C_HIGH1, acc[2], 64);
        TILE_STORE(C_LOW1, acc[3], 64);
    }
}

/* The outputs of a block, but for those that the one before has. */
static void put_sums(const struct dweight *t, int block, const struct tap *tap,
                     const int32_t *high, const int32_t *low, float *dw)
{
    const __mmask16 stored = (__mmask16)(0xffffu << tap->skip);
    const __m512 scale = _mm512_set1_ps(t->scale);
    const int first = first_of(t->oc, block);

    for (int r = block * SIDE - first; r < SIDE; r++) {
        float *to = dw + (first + r) * t->k + tap->to;
        const __m512i sum = _mm512_add_epi32(
            _mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(high + r * SIDE), 8),
                             _mm512_load_si512(low + r * SIDE)),
            _mm512_set1_epi32(t->start[block * SIDE + r]));

        _mm512_mask_storeu_ps(to, stored, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale,
                                                          _mm512_maskz_loadu_ps(stored, to)));
    }
}

static void sum_band(const struct dweight *t, int tiles, float *dw)
{
    const int taps = t->vectors * t->g->kh * t->g->kw;
    _Alignas(64) int32_t acc[4][SIDE * SIDE];

    for (int i = 0; i < taps; i += 2) {
        const struct tap tap[2] = {tap_of(t, i), tap_of(t, i + 1 < taps ? i + 1 : i)};
        const uint8_t *dy = t->dy;

        for (int o = 0; o < t->blocks; o++, dy += (ptrdiff_t)tiles * 2 * TILE) {
            if (i + 1 < taps) {
                sum_taps(2, t, tiles, tap, dy, acc);
                put_sums(t, o, &tap[1], acc[2], acc[3], dw);
            } else
                sum_taps(1, t, tiles, tap, dy, acc);
            put_sums(t, o, &tap[0], acc[0], acc[1], dw);
        }
    }
}

/* ---- all of it ---- */

/* The sizes, and the parts of scratch. A tile covers at least 16 places, and reads as
 * many from its first. */
static struct dweight dweight_of(const struct omq_window *g, int oc, int n, void *scratch)
{
    const int pairs = (n + 1) / 2;
    struct dweight t = {
        .g = g, .oc = oc, .n = n, .vectors = (g->c + SIDE - 1) / SIDE,
        .blocks = (oc + SIDE - 1) / SIDE, .rows = g->oh + (g->kh - 1) / g->sh,
        .places = (g->ow + 1) / 2 + (g->kw - 1) / (2 * g->sw), .k = (ptrdiff_t)g->kh * g->kw * g->c,
    };
    ptrdiff_t tiles;

    t.plane = (ptrdiff_t)pairs * t.rows * t.places;
    tiles = t.plane / SIDE + 1;
    t.x = omq_aligned(scratch);
    t.dy = t.x + (t.vectors * g->sh * 2 * g->sw * t.plane + SIDE) * 64;
    t.start = (int32_t *)(void *)(t.dy + t.blocks * tiles * 2 * TILE);
    t.tiles = (struct four *)(void *)(t.start + t.blocks * SIDE);
    return t;
}

/* 16 channels of x and outputs, or more. */
static void dweight_by_tiles(const struct omq_window *g, int oc, int n, const uint8_t *x,
                             int zero_point, const int16_t *dy, float scale, float *dw,
                             void *scratch)
{
    const int all = (n + 1) / 2 * g->oh, most = omq_conv_band(g, oc);
    const ptrdiff_t image = (ptrdiff_t)g->h * g->w * g->c;
    const struct tile_config config = tile_config_of(SIDE, SIDE, A_HIGH, B0);
    struct dweight t = dweight_of(g, oc, n, scratch);
    int filled = 0;

    t.scale = scale;
    t.zero_point = zero_point;
    TILES_CONFIGURE(&config);
    for (int r = 0; r < all; r += most) {
        const int end = all - r < most ? all : r + most;

        for (; filled * g->oh < end; filled++) {
            const uint8_t *from = x + 2 * filled * image;

            fill_pair(&t, filled, from, 2 * filled + 1 < n ? from + image : from);
        }
        sum_band(&t, join_band(&t, r, end, dy), dw);
    }
    TILES_RELEASE();
}
