/* SPDX-License-Identifier: MIT
 *
 * What the engine's convolutions share: blocks of pixels, and the epilogue. The
 * includer defines OMQ_MR and PANEL: most pixels, and most times 16 outputs, of
 * a block.
 */
#define OMQ_SUFFIX _none /* vec_template.h asks for one */
#include "kern/x86/block.h"
#include "kern/x86/vec_template.h"

enum { OUTPUTS = VEC, INPUTS = 4, BLOCK = OUTPUTS * INPUTS };

struct conv_codes {
    const struct omq_conv_shape *s;
    const struct omq_conv_io *io;
    ptrdiff_t steps;                 /* of four inputs, in a run */
    ptrdiff_t k_bytes;               /* of the unpacked weights of 16 outputs */
    int first;                       /* output of this panel */
};

/* Some pixels of the output. */
struct pixels {
    const uint8_t *x[OMQ_MR], *res[OMQ_MR];
    ptrdiff_t y[OMQ_MR];
};

/* conv_bits: the bits of such pixels. Planes and runs lie `plane` and `run` bytes apart. */
struct bits {
    const uint8_t *x[OMQ_MR]; /* plane 0 of a pixel's first run */
    ptrdiff_t run, plane;
    int32_t sum[OMQ_MR];      /* (2^w_bits - 1) * sum of x */
    int32_t *counts;
};

struct place {
    int image, oy, ox;
};

/* Pixels of the next block: all there can be, but the last two share what is left. */
static inline int block_of(ptrdiff_t left)
{
    return (int)(left >= 2 * OMQ_MR || left == OMQ_MR ? OMQ_MR
                 : left > OMQ_MR ? (left + 1) / 2 : left);
}

/* The next n pixels from a place on. */
static void take_pixels(const struct omq_conv_io *io, int n, struct place *at, struct pixels *p)
{
    for (int i = 0; i < n;) {
        const uint8_t *x = io->x + at->image * io->x_image + at->oy * io->x_row;
        ptrdiff_t y = at->image * io->y_image + at->oy * io->y_row;
        ptrdiff_t res = at->image * io->res_image + at->oy * io->res_row;
        const int in_row = io->ow - at->ox, end = in_row < n - i ? i + in_row : n;

        x += at->ox * io->x_pixel;
        y += at->ox * io->y_pixel;
        res += at->ox * io->res_pixel;
        at->ox += end - i;
        for (int r = i; io->res && r < end; r++, res += io->res_pixel)
            p->res[r] = io->res + res;
        for (; i < end; i++, x += io->x_pixel, y += io->y_pixel) {
            p->x[i] = x;
            p->y[i] = y;
        }
        if (at->ox == io->ow) {
            at->ox = 0;
            if (++at->oy == io->oh)
                at->oy = 0, at->image++;
        }
    }
}

/* ---- epilogue ---- */

OMQ_INLINE vec sums_to_reals(const int32_t *acc)
{
#ifdef __AVX512F__
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(acc));
#else
    const __m256i *s = (const __m256i *)(const void *)acc;

    return (vec){_mm256_cvtepi32_ps(_mm256_loadu_si256(s)),
                 _mm256_cvtepi32_ps(_mm256_loadu_si256(s + 1))};
#endif
}

/* v of 16 outputs of a pixel. */
OMQ_INLINE vec value_of(int lanes, const int32_t *acc, const uint8_t *res, vec m, vec b, vec r)
{
    return vec_fma(sums_to_reals(acc), m, res ? vec_fma(vec_codes(lanes, res, 0), r, b) : b);
}

/* clamp(rint(v), 0, top), a NaN giving 0: the conversion rounds to even, and
 * makes a NaN and what is far below 0 the least integer. */
OMQ_INLINE void put_codes(int lanes, uint8_t *y, vec v, vec top)
{
    const vec low = vec_min(top, v);
#ifdef __AVX512F__
    const __m512i q = _mm512_max_epi32(_mm512_cvtps_epi32(low), _mm512_setzero_si512());
    const __m128i b = _mm512_cvtepi32_epi8(q);

    if (lanes == VEC)
        _mm_storeu_si128((__m128i *)(void *)y, b);
    else
        _mm_mask_storeu_epi8(y, vec_mask(lanes), b);
#else
    const __m256i w = _mm256_packs_epi32(_mm256_cvtps_epi32(low.lo), _mm256_cvtps_epi32(low.hi));

    vec_store_words(lanes, y, w);
#endif
}

/* The same of 16 outputs of several pixels, for fewer conversions. */
#ifdef __AVX512F__
enum { TOGETHER = 4 };

OMQ_INLINE void put_together(uint8_t *y, const ptrdiff_t at[4], const vec v[4], vec top)
{
    const __m512i by_pixel = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14,
                                               3, 7, 11, 15);
    __m512i q[4];

    OMQ_UNROLL for (int i = 0; i < 4; i++)
        q[i] = _mm512_cvtps_epi32(vec_min(top, v[i]));
    q[0] = _mm512_packus_epi16(_mm512_packus_epi32(q[0], q[1]), _mm512_packus_epi32(q[2], q[3]));
    q[0] = _mm512_permutexvar_epi32(by_pixel, q[0]);
    _mm_storeu_si128((__m128i *)(void *)(y + at[0]), _mm512_castsi512_si128(q[0]));
    _mm_storeu_si128((__m128i *)(void *)(y + at[1]), _mm512_extracti32x4_epi32(q[0], 1));
    _mm_storeu_si128((__m128i *)(void *)(y + at[2]), _mm512_extracti32x4_epi32(q[0], 2));
    _mm_storeu_si128((__m128i *)(void *)(y + at[3]), _mm512_extracti32x4_epi32(q[0], 3));
}
#else
enum { TOGETHER = 2 };

OMQ_INLINE void put_together(uint8_t *y, const ptrdiff_t at[2], const vec v[2], vec top)
{
    const __m256i by_pixel = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i q[2];

    OMQ_UNROLL for (int i = 0; i < 2; i++) {
        const vec low = vec_min(top, v[i]);

        q[i] = _mm256_packs_epi32(_mm256_cvtps_epi32(low.lo), _mm256_cvtps_epi32(low.hi));
    }
    q[0] = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(q[0], q[1]), by_pixel);
    _mm_storeu_si128((__m128i *)(void *)(y + at[0]), _mm256_castsi256_si128(q[0]));
    _mm_storeu_si128((__m128i *)(void *)(y + at[1]), _mm256_extracti128_si256(q[0], 1));
}
#endif

OMQ_INLINE void finish_16(const bool res, const bool reals, const struct conv_codes *t, int mr,
                          const struct pixels *p, int o, int lanes, const int32_t *acc,
                          ptrdiff_t pitch)
{
    const struct omq_conv_io *io = t->io;
    const vec m = vec_load(VEC, io->m + o), b = vec_load(VEC, io->b + o);
    const vec r = res ? vec_load(VEC, io->r + o) : b, top = vec_set((float)t->s->q_max);
    int i = 0;

    for (; !reals && lanes == VEC && i + TOGETHER <= mr; i += TOGETHER) {
        vec v[TOGETHER];

        OMQ_UNROLL for (int j = 0; j < TOGETHER; j++)
            v[j] = value_of(VEC, acc + (i + j) * pitch, res ? p->res[i + j] + o : NULL, m, b, r);
        put_together((uint8_t *)io->y + o, p->y + i, v, top);
    }
    for (; i < mr; i++) {
        const vec v = value_of(lanes, acc + i * pitch, res ? p->res[i] + o : NULL, m, b, r);

        if (reals)
            vec_store(lanes, (float *)io->y + p->y[i] + o, v);
        else
            put_codes(lanes, (uint8_t *)io->y + p->y[i] + o, v, top);
    }
}

static void finish(const struct conv_codes *t, int mr, int blocks, const struct pixels *p,
                   const int32_t *acc)
{
    for (int j = 0; j < blocks; j++) {
        const int o = t->first + OUTPUTS * j, left = t->s->oc - o;
        const int lanes = left < OUTPUTS ? left : OUTPUTS;
        const int32_t *a = acc + OUTPUTS * j;
        const ptrdiff_t pitch = (ptrdiff_t)OUTPUTS * blocks;

        if (t->s->q_max == 0)
            t->io->res ? finish_16(true, true, t, mr, p, o, lanes, a, pitch)
                       : finish_16(false, true, t, mr, p, o, lanes, a, pitch);
        else
            t->io->res ? finish_16(true, false, t, mr, p, o, lanes, a, pitch)
                       : finish_16(false, false, t, mr, p, o, lanes, a, pitch);
    }
}
