/* SPDX-License-Identifier: MIT
 *
 * vpmaddwd: 16 products of codes and weights an instruction.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_SUFFIX _avx2
#include "kern/x86/put_codes_template.h"

typedef struct {
    __m256i lo, hi;
} words;
#define SUMS words
#define PAIR words

VEC_FN words load_words(const void *p)
{
    return (words){_mm256_loadu_si256(p), _mm256_loadu_si256((const __m256i *)p + 1)};
}
VEC_FN SUMS load_sums(const int32_t *p) { return load_words(p); }
VEC_FN PAIR load_pair(const int16_t *p) { return load_words(p); }

VEC_FN SUMS add_pair(SUMS sums, __m128i a, __m128i b, PAIR k)
{
    const __m256i lo = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
    const __m256i hi = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));

    return (SUMS){_mm256_add_epi32(sums.lo, _mm256_madd_epi16(lo, k.lo)),
                  _mm256_add_epi32(sums.hi, _mm256_madd_epi16(hi, k.hi))};
}

VEC_FN vec reals_of(SUMS sums)
{
    return (vec){_mm256_cvtepi32_ps(sums.lo), _mm256_cvtepi32_ps(sums.hi)};
}

#include "kern/x86/dwconv_codes_template.h"

void omq_dwconv_codes_avx2(const struct omq_conv_shape *s, const struct omq_conv_io *io)
{
    dwconv_codes(s, io);
}
#endif
