/* SPDX-License-Identifier: MIT
 *
 * Blocks of 16 columns and twice 16 rows, a half of a vector each: interleaving
 * rows i and i + 8 of 16 four times over turns rows into columns. Two times at
 * once need but four of them.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { SIDE = 16, TAPS = 9 };

/* What is there of 16 bytes; zeros behind `end`. */
static __m128i load_part(const uint8_t *p, const uint8_t *end)
{
    uint8_t part[SIDE] = {0};

    if (end - p >= SIDE)
        return _mm_loadu_si128((const __m128i *)(const void *)p);
    if (p < end)
        memcpy(part, p, (size_t)(end - p));
    return _mm_loadu_si128((const __m128i *)(const void *)part);
}

struct block {
    size_t src_row, dst_row;
    int rows, cols;
    const uint8_t *end; /* of all there is to read */
};

/* A row and, of two halves, the 16th after it. */
OMQ_INLINE __m256i load_row(int halves, bool whole, const struct block *b, const uint8_t *src)
{
    const uint8_t *next = src + SIDE * b->src_row;
    const __m128i lo = whole ? _mm_loadu_si128((const __m128i *)(const void *)src)
                             : load_part(src, b->end);

    if (halves == 1)
        return _mm256_castsi128_si256(lo);
    return _mm256_setr_m128i(lo, whole ? _mm_loadu_si128((const __m128i *)(const void *)next)
                                       : load_part(next, b->end));
}

/* Of vectors i, i + 4, i + 8 and i + 12 those that are 4i to 4i + 3 two times later. */
OMQ_INLINE void turn(__m256i a, __m256i b, __m256i c, __m256i d, __m256i out[4])
{
    const __m256i ac = _mm256_unpacklo_epi8(a, c), ac_hi = _mm256_unpackhi_epi8(a, c);
    const __m256i bd = _mm256_unpacklo_epi8(b, d), bd_hi = _mm256_unpackhi_epi8(b, d);

    out[0] = _mm256_unpacklo_epi8(ac, bd), out[1] = _mm256_unpackhi_epi8(ac, bd);
    out[2] = _mm256_unpacklo_epi8(ac_hi, bd_hi), out[3] = _mm256_unpackhi_epi8(ac_hi, bd_hi);
}

OMQ_INLINE void store(int halves, int rows, __m256i v, uint8_t *dst)
{
    if (rows == 2 * SIDE)
        _mm256_storeu_si256((__m256i *)(void *)dst, v);
    else if (halves == 1 && rows == SIDE)
        _mm_storeu_si128((__m128i *)(void *)dst, _mm256_castsi256_si128(v));
    else
        memcpy(dst, &v, (size_t)rows);
}

OMQ_INLINE void turn_block(int halves, bool whole, const struct block *b, const uint8_t *src,
                           uint8_t *dst)
{
    const size_t row = b->src_row;
    __m256i v[SIDE], columns[4];

    OMQ_UNROLL for (int i = 0; i < 4; i++, src += row)
        turn(load_row(halves, whole, b, src), load_row(halves, whole, b, src + 4 * row),
             load_row(halves, whole, b, src + 8 * row),
             load_row(halves, whole, b, src + 12 * row), v + 4 * i);
    OMQ_UNROLL_UP_TO for (int i = 0; i < 4; i++) {
        if (4 * i >= b->cols)
            return;
        turn(v[i], v[i + 4], v[i + 8], v[i + 12], columns);
        OMQ_UNROLL_UP_TO for (int j = 0; j < 4; j++, dst += b->dst_row)
            if (4 * i + j < b->cols)
                store(halves, b->rows, columns[j], dst);
    }
}

static void turn_some(struct block *b, const uint8_t *src, uint8_t *dst)
{
    /* of most windows: a loop of its own, whose places and ends are numbers */
    const struct block taps = {TAPS, b->dst_row, 2 * SIDE, TAPS, NULL};
    const int halves = b->rows > SIDE ? 2 : 1;

    /* 16 bytes of each row can be read, though the last may be those of the next matrix */
    if ((size_t)(b->end - src) < (size_t)(halves * SIDE - 1) * b->src_row + SIDE)
        turn_block(2, false, b, src, dst);
    else if (b->src_row == TAPS && b->rows == 2 * SIDE)
        turn_block(2, true, &taps, src, dst);
    else if (halves == 2)
        turn_block(2, true, b, src, dst);
    else
        turn_block(1, true, b, src, dst);
}

void omq_transpose_u8_avx2(size_t n, int n_rows, int n_cols, const uint8_t *src, uint8_t *dst)
{
    const size_t size = (size_t)n_rows * (size_t)n_cols;
    struct block b = {.src_row = (size_t)n_cols, .dst_row = (size_t)n_rows, .end = src + n * size};

    for (; n > 0; n--, src += size, dst += size)
        for (int r = 0; r < n_rows; r += b.rows) {
            b.rows = n_rows - r < 2 * SIDE ? n_rows - r : 2 * SIDE;
            for (int c = 0; c < n_cols; c += SIDE) {
                b.cols = n_cols - c;
                turn_some(&b, src + (size_t)r * b.src_row + c, dst + (size_t)c * b.dst_row + r);
            }
        }
}
#endif
