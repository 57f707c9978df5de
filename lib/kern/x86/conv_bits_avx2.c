/* SPDX-License-Identifier: MIT
 *
 * Bits are counted by vpshufb, four at a time, and the counts of up to 31 steps
 * added up in bytes.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 4
#define PANEL 1
#include "kern/x86/conv_block_template.h"

enum { LANES = 8, HALF = 4 * LANES, STEPS_IN_8 = 31 };

OMQ_INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }

static void pack_x(const uint8_t *x, ptrdiff_t n, int q, uint8_t *bits)
{
    const __m128i shift = _mm_cvtsi32_si128(7 - q);

    for (; n > 0; n -= 32, x += 32, bits += 4) {
        const int32_t plane = _mm256_movemask_epi8(_mm256_sll_epi16(load(x), shift));

        memcpy(bits, &plane, sizeof(plane));
    }
}

OMQ_INLINE __m256i count_bits(__m256i v)
{
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i lo = _mm256_and_si256(v, low);
    const __m256i hi = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);

    return _mm256_add_epi8(_mm256_shuffle_epi8(counts, lo), _mm256_shuffle_epi8(counts, hi));
}

/* acc += bytes << shift, four of them a word. */
OMQ_INLINE void add_to_32(const int mr, __m256i (*bytes)[2], int shift, int32_t *acc)
{
    const __m256i ones = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1);
    const __m128i by = _mm_cvtsi32_si128(shift);

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++) {
            int32_t *to = acc + OUTPUTS * r + LANES * j;
            const __m256i n = _mm256_madd_epi16(_mm256_maddubs_epi16(bytes[r][j], ones), words);

            _mm256_storeu_si256((__m256i *)(void *)to,
                                _mm256_add_epi32(load(to), _mm256_sll_epi32(n, by)));
        }
}

/* At most STEPS_IN_8 steps of 32 inputs, `next` bytes of w apart. */
OMQ_INLINE void add_steps(const int mr, const struct bits *b, ptrdiff_t at, ptrdiff_t end,
                          const uint8_t *w, ptrdiff_t next, int shift, int32_t *acc)
{
    __m256i bytes[OMQ_MR][2];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        bytes[r][0] = bytes[r][1] = _mm256_setzero_si256();
    for (; at < end; at += 4, w += next) {
        const __m256i w0 = load(w), w1 = load(w + HALF);

        OMQ_UNROLL for (int r = 0; r < mr; r++) {
            int32_t word;
            __m256i x;

            memcpy(&word, b->x[r] + at, sizeof(word));
            x = _mm256_set1_epi32(word);
            bytes[r][0] = _mm256_add_epi8(bytes[r][0], count_bits(_mm256_and_si256(x, w0)));
            bytes[r][1] = _mm256_add_epi8(bytes[r][1], count_bits(_mm256_and_si256(x, w1)));
        }
    }
    add_to_32(mr, bytes, shift, acc);
}

#include "kern/simd/conv_planes_template.h"

void omq_conv_bits_avx2(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                        void *scratch)
{
    conv_bits(s, io, scratch);
}
#endif
