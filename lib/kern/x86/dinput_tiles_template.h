/* SPDX-License-Identifier: MIT
 *
 * The input's gradient of direct convolutions by tiles, of two images at a time:
 *   dx[pixel][i] = sum over (ky, kx, o) of dy[pixel's windows][o] * w[o][ky][kx][i]
 * A is up to 16 pixels of a row by up to 64 outputs, of taps that follow one another,
 * B 16 channels by as many. dy is 256 * high + low, of a signed and an unsigned byte,
 * which have sums of their own; both are whole numbers, so theirs is exact too.
 *
 * The includer defines what tiles.h asks for.
 */
#include "kern/x86/dinput_rows.h"
#include "kern/x86/tiles.h"

/* Of the images' sums by high and low bytes, and of what is multiplied. */
#define C_HIGH0 0
#define C_LOW0 1
#define C_HIGH1 2
#define C_LOW1 3
#define A0 4
#define A1 5
#define A2 6
#define B0 7

struct dinput {
    const struct omq_window *g;
    int oc;
    struct residue at;
    struct seen seen;
    int pixels;            /* of a tile */
    ptrdiff_t steps;       /* of four outputs, of a tile */
    ptrdiff_t row, plane;  /* bytes of a row of the tile of dy, of all of it */
    float scale;
    bool add;
};

/* ---- operands ---- */

/* An image's high and low bytes of dy, in planes. */
static void fill_bytes(const struct dinput *t, const struct dy_tile *d, const int16_t *dy,
                       int8_t *high)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t left = (ptrdiff_t)d->left * t->oc, n = (ptrdiff_t)g->ow * t->oc;
    uint8_t *low = (uint8_t *)high + t->plane;

    memset(high, 0, (size_t)(2 * t->plane));
    for (int y = 0; y < g->oh; y++, dy += n) {
        int8_t *restrict to = high + y * t->row + left;
        uint8_t *restrict to_low = low + y * t->row + left;

        for (ptrdiff_t i = 0; i < n; i++) {
            to[i] = (int8_t)(dy[i] >> 8);
            to_low[i] = (uint8_t)dy[i];
        }
    }
}

/* n weights of 8 bits in fours of outputs, from pairs of 16 bits: [4n/64][16][4] */
static void fill_fours(size_t n, const int16_t *pairs, uint32_t *restrict fours)
{
    for (size_t i = 0; i < n; i += 4 * GROUP, pairs += 4 * GROUP, fours += GROUP) {
        uint32_t first[GROUP], second[GROUP];

        memcpy(first, pairs, sizeof(first));
        memcpy(second, pairs + 2 * GROUP, sizeof(second));
        for (int j = 0; j < GROUP; j++)
            fours[j] = (first[j] & 0xff) | (first[j] >> 8 & 0xff00) |
                       (second[j] & 0xff) << 16 | (second[j] & 0xff0000) << 8;
    }
}

/* ---- a tile ---- */

/* d is dy at the last tap of the first row that is seen. */
OMQ_INLINE void sum_pixels(const struct dinput *t, const int8_t *d, const int8_t *w,
                           int32_t acc[4][TILE_ROWS * GROUP])
{
    const struct omq_window *g = t->g;
    const ptrdiff_t tap = (ptrdiff_t)t->oc * GROUP, plane = t->plane;

    TILE_ZERO(C_HIGH0);
    TILE_ZERO(C_LOW0);
    TILE_ZERO(C_HIGH1);
    TILE_ZERO(C_LOW1);
    w += t->at.last * tap;
    for (int ky = t->seen.begin; ky < t->seen.end; ky += g->sh, d -= t->row) {
        const int8_t *v = w + ky * g->kw * tap, *p = d;

        for (int n = t->at.taps; n > 0; n -= t->at.joined, v += (g->sw - 1) * tap)
            for (ptrdiff_t left = t->at.joined * t->oc; left > 0; left -= 4 * t->steps) {
                TILE_LOAD(B0, v, 64);
                TILE_LOAD(A0, p, t->oc);
                TILE_DOT_SS(C_HIGH0, A0, B0);
                TILE_LOAD(A1, p + plane, t->oc);
                TILE_DOT_US(C_LOW0, A1, B0);
                TILE_LOAD(A2, p + 2 * plane, t->oc);
                TILE_DOT_SS(C_HIGH1, A2, B0);
                TILE_LOAD(A0, p + 3 * plane, t->oc);
                TILE_DOT_US(C_LOW1, A0, B0);
                p += 4 * t->steps;
                v += 64 * t->steps;
            }
    }
    TILE_STORE(C_HIGH0, acc[0], 64);
    TILE_STORE(C_LOW0, acc[1], 64);
    TILE_STORE(C_HIGH1, acc[2], 64);
    TILE_STORE(C_LOW1, acc[3], 64);
}

/* The pixels of one image from `again` on. */
OMQ_INLINE void put_pixels(const struct dinput *t, int again, __mmask16 stored,
                           const int32_t *high, const int32_t *low, float *dx)
{
    const ptrdiff_t next = (ptrdiff_t)t->g->sw * t->g->c;
    const __m512 scale = _mm512_set1_ps(t->scale);

    for (int i = again; i < t->pixels; i++) {
        const __m512i sum = _mm512_add_epi32(
            _mm512_slli_epi32(_mm512_loadu_si512(high + i * GROUP), 8),
            _mm512_loadu_si512(low + i * GROUP));
        const __m512 s = _mm512_cvtepi32_ps(sum);
        float *to = dx + i * next;

        _mm512_mask_storeu_ps(to, stored,
                              t->add ? _mm512_fmadd_ps(s, scale, _mm512_maskz_loadu_ps(stored, to))
                                     : _mm512_mul_ps(s, scale));
    }
}

/* ---- all of them ---- */

/* A row of pixels of two images, or of one, by a group of channels, of which the first
 * `count` are there. Of tiles that do not fill it, the last one begins earlier. */
static void dinput_row(const struct dinput *t, bool two, const int8_t *d, const int8_t *w,
                       float *dx, int count)
{
    const struct omq_window *g = t->g;
    const __mmask16 stored = (__mmask16)(count < GROUP ? (1u << count) - 1 : 0xffffu);
    const ptrdiff_t next = (ptrdiff_t)g->sw * g->c, image = (ptrdiff_t)g->h * g->w * g->c;
    _Alignas(64) int32_t acc[4][TILE_ROWS * GROUP];

    for (int i = 0; i < t->at.pixels; i += t->pixels) {
        const int last = t->at.pixels - t->pixels, p = i < last ? i : last;

        sum_pixels(t, d + (ptrdiff_t)p * t->oc, w, acc);
        put_pixels(t, i - p, stored, acc[0], acc[1], dx + p * next);
        if (two)
            put_pixels(t, i - p, stored, acc[2], acc[3], dx + p * next + image);
    }
}

static void dinput_residue(struct dinput *t, bool two, const int8_t *tile, const int8_t *w,
                           float *dx)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t group = (ptrdiff_t)g->kh * g->kw * t->oc * GROUP;
    const int rows = (t->at.pixels + TILE_ROWS - 1) / TILE_ROWS;
    struct tile_config config;

    if (t->at.pixels < 1) /* of images that are narrower than the stride */
        return;
    t->pixels = (t->at.pixels + rows - 1) / rows;
    t->steps = steps_of_tile((ptrdiff_t)(t->at.joined > 0 ? t->at.joined : 1) * t->oc / 4);
    config = tile_config_of(t->pixels, t->steps, A0, B0);
    TILES_CONFIGURE(&config);
    for (int j = 0; j < g->c; j += GROUP, w += group)
        for (int y = t->at.y0; y < g->h; y += g->sh) {
            t->seen = seen_from(g, &t->at, y);
            dinput_row(t, two, tile + t->seen.oy * t->row + (ptrdiff_t)t->at.col * t->oc, w,
                       dx + ((ptrdiff_t)y * g->w + t->at.x0) * g->c + j, g->c - j);
        }
    TILES_RELEASE();
}

/* oc is a multiple of four. */
static void dinput_by_tiles(const struct omq_window *g, int oc, int n, const int16_t *dy,
                            const int16_t *w, float scale, bool add, float *dx, void *scratch)
{
    const struct dy_tile d = dy_tile_of(g);
    const size_t weights = omq_conv_dinput_weights(g, oc);
    struct dinput t = {.g = g, .oc = oc, .row = (ptrdiff_t)d.cols * oc, .scale = scale,
                       .add = add};
    int8_t *fours = omq_aligned(scratch), *tile = fours + weights;

    t.plane = g->oh * t.row;
    fill_fours(weights, w, (uint32_t *)(void *)fours);
    for (int i = 0; i < n; i += 2) {
        const ptrdiff_t image = (ptrdiff_t)g->oh * g->ow * oc;
        const bool two = i + 1 < n;

        fill_bytes(&t, &d, dy + i * image, tile);
        fill_bytes(&t, &d, dy + (two ? i + 1 : i) * image, tile + 2 * t.plane);
        for (int ky = 0; ky < g->sh; ky++)
            for (int kx = 0; kx < g->sw; kx++)
                if (!add || (ky < g->kh && kx < g->kw)) {
                    t.at = residue_of(g, &d, ky, kx);
                    dinput_residue(&t, two, tile, fours,
                                   dx + (ptrdiff_t)i * g->h * g->w * g->c);
                }
    }
}
