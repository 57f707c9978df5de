/* SPDX-License-Identifier: MIT
 *
 * What the engine's convolutions share here: the epilogue, for AVX2 and AVX-512.
 */
#define OMQ_SUFFIX _none /* vec_template.h asks for one */
#include "kern/simd/conv_places_template.h"
#include "kern/x86/put_codes_template.h"

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
OMQ_INLINE vec value_of(int lanes, const int32_t *acc, const uint8_t *res, vec m, vec b, vec r,
                        vec zero)
{
    const vec c = vec_fma(sums_to_reals(acc), m, b);

    return res ? vec_add_codes(lanes, c, r, zero, res) : c;
}

/* The same of 16 outputs of several pixels, for fewer conversions. */
#ifdef __AVX512F__
enum { TOGETHER = 4 };

/* Codes of four vectors, in their order. */
OMQ_INLINE __m512i codes_of(const vec v[4], vec top)
{
    const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14,
                                               3, 7, 11, 15);
    __m512i q[4];

    OMQ_UNROLL for (int i = 0; i < 4; i++)
        q[i] = _mm512_cvtps_epi32(vec_min(top, v[i]));
    q[0] = _mm512_packus_epi16(_mm512_packus_epi32(q[0], q[1]), _mm512_packus_epi32(q[2], q[3]));
    return _mm512_permutexvar_epi32(in_order, q[0]);
}

OMQ_INLINE void put_together(uint8_t *y, const ptrdiff_t at[4], const vec v[4], vec top)
{
    const __m512i q = codes_of(v, top);

    if (at[3] - at[0] == 3 * OUTPUTS) { /* side by side */
        _mm512_storeu_si512(y + at[0], q);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)(y + at[0]), _mm512_castsi512_si128(q));
    _mm_storeu_si128((__m128i *)(void *)(y + at[1]), _mm512_extracti32x4_epi32(q, 1));
    _mm_storeu_si128((__m128i *)(void *)(y + at[2]), _mm512_extracti32x4_epi32(q, 2));
    _mm_storeu_si128((__m128i *)(void *)(y + at[3]), _mm512_extracti32x4_epi32(q, 3));
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
    const vec r = vec_set(io->add.r), zero = vec_set(io->add.zero);
    const vec top = vec_set((float)t->s->q_max);
    const uint8_t *x = res ? io->res + p->res_first + o : NULL;
    const ptrdiff_t y = p->y_first + o;
    int i = 0;

    for (; !reals && lanes == VEC && i + TOGETHER <= mr; i += TOGETHER) {
        vec v[TOGETHER];

        OMQ_UNROLL for (int j = 0; j < TOGETHER; j++)
            v[j] = value_of(VEC, acc + (i + j) * pitch, res ? x + p->res[i + j] : NULL, m, b, r,
                            zero);
        put_together((uint8_t *)io->y + y, p->y + i, v, top);
    }
    for (; i < mr; i++) {
        const vec v = value_of(lanes, acc + i * pitch, res ? x + p->res[i] : NULL, m, b, r, zero);

        if (reals)
            vec_store(lanes, (float *)io->y + y + p->y[i], v);
        else
            put_codes(lanes, (uint8_t *)io->y + y + p->y[i], v, top);
    }
}

#if defined(__AVX512F__) && PANEL == 2
#define FINISH_32
/* 32 outputs of a pixel lie side by side. */
OMQ_INLINE void finish_32(const bool res, const struct conv_codes *t, int mr,
                          const struct pixels *p, const int32_t *acc)
{
    const struct omq_conv_io *io = t->io;
    const int o = t->first;
    const vec m[2] = {vec_load(VEC, io->m + o), vec_load(VEC, io->m + o + OUTPUTS)};
    const vec b[2] = {vec_load(VEC, io->b + o), vec_load(VEC, io->b + o + OUTPUTS)};
    const vec r = vec_set(io->add.r), zero = vec_set(io->add.zero);
    const vec top = vec_set((float)t->s->q_max);
    const uint8_t *x = res ? io->res + p->res_first + o : NULL;
    uint8_t *y = (uint8_t *)io->y + p->y_first + o;
    int i = 0;

    for (; i < mr; i += 2) {
        const int next = i + 1 < mr ? i + 1 : i;
        vec v[4];
        __m512i q;

        OMQ_UNROLL for (int j = 0; j < 4; j++) {
            const int pixel = j < 2 ? i : next;

            v[j] = value_of(VEC, acc + OUTPUTS * (2 * pixel + j % 2),
                            res ? x + p->res[pixel] + OUTPUTS * (j % 2) : NULL, m[j % 2], b[j % 2],
                            r, zero);
        }
        q = codes_of(v, top);
        _mm256_storeu_si256((__m256i *)(void *)(y + p->y[i]), _mm512_castsi512_si256(q));
        _mm256_storeu_si256((__m256i *)(void *)(y + p->y[next]), _mm512_extracti64x4_epi64(q, 1));
    }
}
#endif

#include "kern/simd/conv_finish_template.h"
