/* SPDX-License-Identifier: MIT
 *
 * pack_codes, 16 outputs by 16 inputs at a time: rows of bytes become four blocks
 * [16 outputs][4 inputs], each two vectors; the sign bits of a vector are half a
 * plane. What is missing of a chunk is copied with zeros, and masked.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { OUTPUTS = 16, INPUTS = 4, BLOCKS = 4, SIDE = INPUTS * BLOCKS, HALF = 32 };

struct packing {
    int bits;
    bool sums;       /* are wanted */
    __m256i offset;  /* from k to j, or to 2j */
    __m128i shift;   /* moves the highest bit of j to that of the byte */
};

struct sums {
    __m256i half[2]; /* eight outputs each */
};

/* [8][16] to four times [8][4]. */
OMQ_INLINE void transpose(const int8_t *k, ptrdiff_t row, __m256i out[BLOCKS])
{
    __m256i r[4], a, b, c, d;

    OMQ_UNROLL for (int i = 0; i < 4; i++) {
        const __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)(k + i * row));
        const __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(k + (i + 4) * row));

        r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
    }
    a = _mm256_unpacklo_epi32(r[0], r[1]), b = _mm256_unpacklo_epi32(r[2], r[3]);
    c = _mm256_unpackhi_epi32(r[0], r[1]), d = _mm256_unpackhi_epi32(r[2], r[3]);
    out[0] = _mm256_unpacklo_epi64(a, b), out[1] = _mm256_unpackhi_epi64(a, b);
    out[2] = _mm256_unpacklo_epi64(c, d), out[3] = _mm256_unpackhi_epi64(c, d);
}

OMQ_INLINE void put_half(const struct packing *f, __m256i k, const __m256i *mask, uint8_t *packed)
{
    __m256i j = _mm256_add_epi8(k, f->offset);

    if (mask)
        j = _mm256_and_si256(j, *mask);
    if (f->bits == 8) {
        _mm256_storeu_si256((__m256i *)(void *)packed, j);
        return;
    }
    j = _mm256_sll_epi16(j, f->shift);
    for (int p = f->bits - 1; p >= 0; p--, j = _mm256_add_epi8(j, j)) {
        const int32_t plane = _mm256_movemask_epi8(j);

        memcpy(packed + 8 * p, &plane, sizeof(plane));
    }
}

/* Some blocks of 16 outputs; mask[block][half], or NULL where all codes count. */
OMQ_INLINE uint8_t *put_blocks(const struct packing *f, int n, const int8_t *k, ptrdiff_t row,
                               const __m256i (*mask)[2], struct sums *sums, uint8_t *packed)
{
    const __m256i bytes = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1);
    const int next_half = f->bits == 8 ? HALF : 4;

    for (int h = 0; h < 2; h++) {
        __m256i block[BLOCKS];

        transpose(k + 8 * h * row, row, block);
        OMQ_UNROLL_UP_TO for (int i = 0; i < BLOCKS; i++) {
            if (i == n)
                break;
            put_half(f, block[i], mask ? &mask[i][h] : NULL, packed + 8 * f->bits * i +
                                                             next_half * h);
            if (f->sums)
                sums->half[h] = _mm256_add_epi32(
                    sums->half[h],
                    _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, block[i]), words));
        }
    }
    return packed + 8 * f->bits * n;
}

/* The same where outputs or inputs are missing. */
static uint8_t *put_part(const struct packing *f, int outputs, int inputs, const int8_t *k,
                         ptrdiff_t row, struct sums *sums, uint8_t *packed)
{
    int8_t part[OUTPUTS][SIDE] = {{0}}, there[OUTPUTS][SIDE] = {{0}};
    __m256i mask[BLOCKS][2], half[BLOCKS];

    for (int o = 0; o < outputs; o++) {
        memcpy(part[o], k + o * row, (size_t)inputs);
        memset(there[o], -1, (size_t)inputs);
    }
    for (int h = 0; h < 2; h++) {
        transpose(there[8 * h], SIDE, half);
        for (int i = 0; i < BLOCKS; i++)
            mask[i][h] = half[i];
    }
    return put_blocks(f, (inputs + INPUTS - 1) / INPUTS, part[0], SIDE,
                      (const __m256i(*)[2])mask, sums, packed);
}

static uint8_t *put_run(const struct packing *f, int outputs, int run, const int8_t *k,
                        ptrdiff_t row, struct sums *sums, uint8_t *packed)
{
    for (; run >= SIDE && outputs == OUTPUTS; run -= SIDE, k += SIDE)
        packed = put_blocks(f, BLOCKS, k, row, NULL, sums, packed);
    for (; run > 0; run -= SIDE, k += SIDE)
        packed = put_part(f, outputs, run < SIDE ? run : SIDE, k, row, sums, packed);
    return packed;
}

void omq_pack_codes_avx2(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                         int32_t *start)
{
    const int offset = s->w_bits == 8 ? 0 : s->midrise ? (1 << s->w_bits) - 1
                                                       : 1 << (s->w_bits - 1);
    const struct packing f = {s->w_bits, s->zero_point != 0, _mm256_set1_epi8((char)offset),
                              _mm_cvtsi32_si128(8 - s->w_bits - s->midrise)};
    const ptrdiff_t row = (ptrdiff_t)s->n_runs * s->run;
    const __m256i factor = _mm256_set1_epi32(-s->zero_point);
    uint8_t *to = packed;

    for (int o = 0; o < s->oc; o += OUTPUTS) {
        const int outputs = s->oc - o < OUTPUTS ? s->oc - o : OUTPUTS;
        struct sums sums = {{_mm256_setzero_si256(), _mm256_setzero_si256()}};

        for (int r = 0; r < s->n_runs; r++)
            to = put_run(&f, outputs, s->run, k + o * row + (ptrdiff_t)r * s->run, row, &sums, to);
        for (int h = 0; h < 2; h++)
            _mm256_storeu_si256((__m256i *)(void *)(start + o + 8 * h),
                                _mm256_mullo_epi32(sums.half[h], factor));
    }
}
#endif
