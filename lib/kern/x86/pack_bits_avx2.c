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

/* One output; 2j = k + 2^w_bits - 1, whose highest bit goes to that of its byte. */
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

void omq_pack_bits_avx2(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                        int32_t *start)
{
    const size_t n = (size_t)s->n_runs * (size_t)s->run;
    const size_t group = n / INPUTS * (size_t)s->w_bits * WORD * OUTPUTS;
    uint8_t *to = packed;

    for (int o = 0; o < s->oc; o += OUTPUTS, to += group) {
        if (s->oc - o < OUTPUTS)
            memset(to, 0, group);
        memset(start + o, 0, sizeof(*start) * OUTPUTS);
        for (int i = 0; i < OUTPUTS && o + i < s->oc; i++)
            pack_output(s->w_bits, n, k + (size_t)(o + i) * n, to + WORD * i);
    }
}
#endif
