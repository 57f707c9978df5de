/* SPDX-License-Identifier: MIT
 *
 * quantize_weights by products with 1 / s. One may round to another code than w / s
 * only next to a border between two: 32 weights with such a one among them are left
 * to the reference. Division is the slowest instruction of all, and most of what a
 * switch does with a weight. One bit is a sign.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <float.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { LANES = 8, VECTORS = 4, SOME = VECTORS * LANES };

/* w / s, less a half on the mid-rise grid, is off by less than 2^-15 where codes end or
 * nearer: it is up to 128.5, and rounded three times. */
static const float border = 0.5f - 0x1p-15f;

struct grid {
    __m256 inverse, offset;
    __m256i lo, hi;
    bool midrise;
};

/* Words of four vectors to bytes, in their order. */
OMQ_INLINE __m256i bytes_of(const __m256i words[VECTORS])
{
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);

    return _mm256_permutevar8x32_epi32(
        _mm256_packs_epi16(_mm256_packs_epi32(words[0], words[1]),
                           _mm256_packs_epi32(words[2], words[3])), in_order);
}

/* One bit, of s <= 1: else w / s may be a zero where w is none. */
OMQ_INLINE void quantize_signs(const float *w, int8_t *k)
{
    __m256i below[VECTORS], codes;

    OMQ_UNROLL for (int i = 0; i < VECTORS; i++)
        below[i] = _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(w + i * LANES),
                                                     _mm256_setzero_ps(), _CMP_NGE_UQ));
    codes = _mm256_or_si256(bytes_of(below), _mm256_set1_epi8(1));
    _mm256_storeu_si256((__m256i *)(void *)k, codes);
}

/* False where one of them may be wrong. The conversion makes a NaN and what is beyond 32
 * bits the least integer, which is the end of the codes or far from t; of a NaN and another
 * the maximum is its second operand. */
OMQ_INLINE bool quantize_some(const struct grid *g, const float *w, int8_t *k)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 most = _mm256_setzero_ps();
    __m256i q[VECTORS], codes;

    OMQ_UNROLL for (int i = 0; i < VECTORS; i++) {
        const __m256 t = _mm256_fmsub_ps(_mm256_loadu_ps(w + i * LANES), g->inverse, g->offset);

        q[i] = _mm256_cvtps_epi32(t);
        most = _mm256_max_ps(
            _mm256_andnot_ps(sign, _mm256_sub_ps(t, _mm256_cvtepi32_ps(q[i]))), most);
    }
    codes = _mm256_min_epi8(_mm256_max_epi8(bytes_of(q), g->lo), g->hi);
    if (g->midrise)
        codes = _mm256_add_epi8(_mm256_add_epi8(codes, codes), _mm256_set1_epi8(1));
    _mm256_storeu_si256((__m256i *)(void *)k, codes);
    return _mm256_movemask_ps(_mm256_cmp_ps(most, _mm256_set1_ps(border), _CMP_GE_OQ)) == 0;
}

void omq_quantize_weights_avx2(size_t n, const float *restrict w, float s, bool midrise, int k_max,
                               int8_t *restrict k)
{
    const float inverse = 1 / s;
    const int half = (k_max + 1) / 2;
    const struct grid g = {
        .inverse = _mm256_set1_ps(inverse), .offset = _mm256_set1_ps(midrise ? 0.5f : 0),
        .lo = _mm256_set1_epi8((char)(midrise ? -half : -k_max)),
        .hi = _mm256_set1_epi8((char)(midrise ? half - 1 : k_max)),
        .midrise = midrise,
    };

    for (; n >= SOME && midrise && k_max == 1 && s <= 1; n -= SOME, w += SOME, k += SOME)
        quantize_signs(w, k);
    for (; n >= SOME && inverse >= FLT_MIN && inverse <= FLT_MAX; n -= SOME, w += SOME, k += SOME)
        if (!quantize_some(&g, w, k))
            omq_quantize_weights_ref(SOME, w, s, midrise, k_max, k);
    omq_quantize_weights_ref(n, w, s, midrise, k_max, k);
}
#endif
