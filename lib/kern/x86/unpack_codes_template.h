/* SPDX-License-Identifier: MIT
 *
 * unpack() of conv_codes_template.h for vectors of 256 bits: each bit of a plane
 * becomes a byte of -1 or 0, to subtract from twice what the planes above gave.
 */
OMQ_INLINE __m256i plane_bytes(uint32_t plane)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202,
                                              0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)plane), spread);

    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
}

/* Half a block: the codes of eight outputs. */
OMQ_INLINE __m256i unpack_half(const int bits, const bool midrise, const uint8_t *packed)
{
    const int least = midrise ? 1 - (1 << bits) : -(1 << (bits - 1));
    __m256i j = _mm256_setzero_si256();

    OMQ_UNROLL for (int p = bits - 1; p >= 0; p--) {
        uint32_t plane;

        memcpy(&plane, packed + sizeof(uint64_t) * (size_t)p, sizeof(plane));
        j = _mm256_sub_epi8(_mm256_add_epi8(j, j), plane_bytes(plane));
    }
    if (midrise)
        j = _mm256_add_epi8(j, j);
    return _mm256_add_epi8(j, _mm256_set1_epi8((char)least));
}

OMQ_INLINE void unpack_blocks(const int bits, const struct omq_conv_shape *s, const uint8_t *packed,
                              int8_t *k)
{
    const __m256i tail = _mm256_set1_epi32((int32_t)(~0u >> 8 * (-(unsigned)s->run % INPUTS)));
    const int half = BLOCK / 2;

    for (int r = 0; r < s->n_runs; r++)
        for (int i = 0; i < s->run; i += INPUTS, packed += 8 * bits, k += BLOCK)
            for (int h = 0; h < 2; h++) {
                __m256i v = s->midrise ? unpack_half(bits, true, packed + 4 * h)
                                       : unpack_half(bits, false, packed + 4 * h);

                if (s->run - i < INPUTS)
                    v = _mm256_and_si256(v, tail);
                _mm256_storeu_si256((__m256i *)(void *)(k + half * h), v);
            }
}

#include "kern/simd/unpack_bytes_template.h"
