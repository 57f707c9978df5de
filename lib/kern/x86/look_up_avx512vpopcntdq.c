/* SPDX-License-Identifier: MIT
 *
 * look_up_u8, and rescale_u8 by a table: a code is one of 256, and processors of this
 * level look 64 of them up at once (VBMI).
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512BW__) || !defined(__AVX512VBMI__)
#error "compile this file with -mavx512{f,bw,vl,dq,vbmi}, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { CODES = 256, LANES = 64, CHANNELS = 4, WORTH_A_TABLE = 4 * CODES };

OMQ_INLINE __m512i look_up(const __m512i table[CODES / LANES], __m512i q)
{
    const __m512i low = _mm512_permutex2var_epi8(table[0], q, table[1]);
    const __m512i high = _mm512_permutex2var_epi8(table[2], q, table[3]);

    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(q), low, high);
}

OMQ_INLINE void load_table(const uint8_t *from, __m512i table[CODES / LANES])
{
    for (int j = 0; j < CODES / LANES; j++)
        table[j] = _mm512_loadu_si512(from + LANES * j);
}

OMQ_INLINE __mmask64 first_of(size_t left)
{
    return left < LANES ? ~(uint64_t)0 >> (LANES - left) : ~(uint64_t)0;
}

void omq_look_up_u8_avx512vpopcntdq(size_t n, int c, const uint8_t (*tables)[256],
                                    const uint8_t *restrict q, uint8_t *restrict out)
{
    const size_t all = n * (size_t)c;
    uint64_t lanes[CHANNELS] = {0}; /* those of each channel, where a pixel begins */

    if (c > CHANNELS) {
        omq_look_up_u8_ref(n, c, tables, q, out);
        return;
    }
    for (int j = 0; j < LANES; j++)
        lanes[j % c] |= (uint64_t)1 << j;
    for (size_t i = 0; i < all; i += LANES) {
        const __mmask64 some = first_of(all - i);
        const __m512i codes = _mm512_maskz_loadu_epi8(some, q + i);
        __m512i found = _mm512_setzero_si512();

        for (int j = 0, channel = (int)(i % (size_t)c); j < c; j++) {
            __m512i table[CODES / LANES];

            load_table(tables[channel], table);
            found = _mm512_mask_mov_epi8(found, lanes[j], look_up(table, codes));
            channel = channel + 1 < c ? channel + 1 : 0;
        }
        _mm512_mask_storeu_epi8(out + i, some, found);
    }
}

void omq_rescale_u8_avx512vpopcntdq(size_t rows, size_t n, const uint8_t *restrict q,
                                    ptrdiff_t q_row, const struct omq_rescale *r,
                                    uint8_t *restrict out, ptrdiff_t out_row)
{
    uint8_t code[CODES], done[CODES];
    __m512i table[CODES / LANES];

    if (rows * n < WORTH_A_TABLE) {
        omq_rescale_u8_avx2(rows, n, q, q_row, r, out, out_row);
        return;
    }
    for (int j = 0; j < CODES; j++)
        code[j] = (uint8_t)j;
    omq_rescale_u8_avx2(1, CODES, code, 0, r, done, 0);
    load_table(done, table);
    for (; rows > 0; rows--, q += q_row, out += out_row)
        for (size_t i = 0; i < n; i += LANES) {
            const __mmask64 some = first_of(n - i);
            const __m512i codes = _mm512_maskz_loadu_epi8(some, q + i);

            _mm512_mask_storeu_epi8(out + i, some, look_up(table, codes));
        }
}
#endif
