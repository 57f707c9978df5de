/* SPDX-License-Identifier: MIT
 *
 * The end of the engine's epilogues: values to codes.
 */
#include "kern/x86/vec_template.h"

/* clamp(rint(v), 0, top), a NaN giving 0: the conversion rounds to even, and
 * makes a NaN and what is far below 0 the least integer. */
VEC_FN void put_codes(int lanes, uint8_t *y, vec v, vec top)
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
