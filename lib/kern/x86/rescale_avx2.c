/* SPDX-License-Identifier: MIT
 *
 * rescale_u8: out = clamp(rint(fma(q - zp_in, ratio, zp_out)), 0, q_max). Left to
 * itself, GCC 12 rounds, compares and converts one after the other: here the
 * conversion rounds, and packing clamps at 0.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_SUFFIX _avx2
#include "kern/simd/block.h"
#include "kern/x86/vec_template.h"

/* Up to 16 codes, as words. */
OMQ_INLINE __m256i rescaled(int lanes, const uint8_t *q, int zp_in, vec ratio, vec zero, vec top)
{
    const vec v = vec_min(top, vec_fma(vec_codes(lanes, q, zp_in), ratio, zero));

    return _mm256_packs_epi32(_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi));
}

void omq_rescale_u8_avx2(size_t n, const uint8_t *restrict q, const struct omq_rescale *r,
                         uint8_t *restrict out)
{
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const vec ratio = vec_set(r->ratio), zero = vec_set((float)r->zp_out);
    const vec top = vec_set((float)r->q_max);
    size_t i = 0;

    for (; i + 2 * VEC <= n; i += 2 * VEC) {
        const __m256i a = rescaled(VEC, q + i, r->zp_in, ratio, zero, top);
        const __m256i b = rescaled(VEC, q + i + VEC, r->zp_in, ratio, zero, top);
        const __m256i codes = _mm256_packus_epi16(a, b);

        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_permutevar8x32_epi32(codes, in_order));
    }
    for (; i < n; i += VEC) {
        const int lanes = n - i < VEC ? (int)(n - i) : VEC;

        vec_store_words(lanes, out + i, rescaled(lanes, q + i, r->zp_in, ratio, zero, top));
    }
}
#endif
