/* SPDX-License-Identifier: MIT
 *
 * pack_bits: the sign bits of 32 inputs of an output are a word of its plane.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <immintrin.h>
#include <string.h>

#include "kern/kern_internal.h"

enum { OUTPUTS = 16, INPUTS = 32, WORD = 4 };

/* The highest bit of 2j goes to that of its byte. */
static void pack_output(int bits, size_t n, const int8_t *k, uint8_t *packed)
{
    const __m256i offset = _mm256_set1_epi8((char)((1 << bits) - 1));

    for (size_t i = 0; i < n; i += INPUTS, packed += WORD * OUTPUTS * (size_t)bits) {
        const __m256i two_j =
            _mm256_add_epi8(_mm256_loadu_si256((const __m256i *)(const void *)(k + i)), offset);
        __m256i j = _mm256_slli_epi16(two_j, bits == 1 ? 6 : 5);

        for (int p = bits - 1; p >= 0; p--, j = _mm256_add_epi8(j, j)) {
            const int32_t word = _mm256_movemask_epi8(j);

            memcpy(packed + WORD * OUTPUTS * p, &word, sizeof(word));
        }
    }
}

#define PACK_BITS omq_pack_bits_avx2
#include "kern/simd/pack_bits_template.h"
#endif
