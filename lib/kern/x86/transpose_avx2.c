/* SPDX-License-Identifier: MIT
 *
 * Blocks of 16 x 16 bytes: interleaving rows i and i + 8 four times over turns
 * rows into columns.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { SIDE = 16 };

/* What is there of 16 bytes; zeros behind `end`. */
OMQ_INLINE __m128i load(const uint8_t *p, const uint8_t *end)
{
    uint8_t part[SIDE] = {0};

    if (end - p >= SIDE)
        return _mm_loadu_si128((const __m128i *)(const void *)p);
    if (p < end)
        memcpy(part, p, (size_t)(end - p));
    return _mm_loadu_si128((const __m128i *)(const void *)part);
}

static void turn(__m128i v[SIDE])
{
    __m128i w[SIDE];

    for (int round = 0; round < 4; round++) {
        OMQ_UNROLL for (int i = 0; i < SIDE / 2; i++) {
            w[2 * i] = _mm_unpacklo_epi8(v[i], v[i + SIDE / 2]);
            w[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + SIDE / 2]);
        }
        OMQ_UNROLL for (int i = 0; i < SIDE; i++)
            v[i] = w[i];
    }
}

/* Rows from r on and columns from c on, 16 of each, or what is left. */
static void turn_block(int n_rows, int n_cols, int r, int c, const uint8_t *src, uint8_t *dst)
{
    const uint8_t *end = src + (size_t)n_rows * (size_t)n_cols;
    const int rows = n_rows - r < SIDE ? n_rows - r : SIDE;
    const int cols = n_cols - c < SIDE ? n_cols - c : SIDE;
    __m128i v[SIDE];

    OMQ_UNROLL for (int i = 0; i < SIDE; i++)
        v[i] = load(src + (size_t)(r + i) * (size_t)n_cols + c, end);
    turn(v);
    dst += (size_t)c * (size_t)n_rows + r;
    for (int j = 0; j < cols; j++, dst += n_rows) {
        if (rows == SIDE)
            _mm_storeu_si128((__m128i *)(void *)dst, v[j]);
        else
            memcpy(dst, &v[j], (size_t)rows);
    }
}

void omq_transpose_u8_avx2(int n_rows, int n_cols, const uint8_t *src, uint8_t *dst)
{
    for (int r = 0; r < n_rows; r += SIDE)
        for (int c = 0; c < n_cols; c += SIDE)
            turn_block(n_rows, n_cols, r, c, src, dst);
}
#endif
