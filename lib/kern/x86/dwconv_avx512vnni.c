/* SPDX-License-Identifier: MIT
 *
 * vpdpwssd: 32 products of codes and weights an instruction, and their sum.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512{f,bw,vl,dq,vnni}, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_SUFFIX _avx512vnni
#include "kern/x86/put_codes_template.h"

#define SUMS __m512i
#define PAIR __m512i

VEC_FN SUMS load_sums(const int32_t *p) { return _mm512_loadu_si512(p); }
VEC_FN PAIR load_pair(const int16_t *p) { return _mm512_loadu_si512(p); }

VEC_FN SUMS add_pair(SUMS sums, __m128i a, __m128i b, PAIR k)
{
    const __m256i both = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_unpacklo_epi8(a, b)), _mm_unpackhi_epi8(a, b), 1);

    return _mm512_dpwssd_epi32(sums, _mm512_cvtepu8_epi16(both), k);
}

VEC_FN vec reals_of(SUMS sums) { return _mm512_cvtepi32_ps(sums); }

#include "kern/x86/dwconv_codes_template.h"

void omq_dwconv_codes_avx512vnni(const struct omq_conv_shape *s, const struct omq_conv_io *io)
{
    dwconv_codes(s, io);
}
#endif
