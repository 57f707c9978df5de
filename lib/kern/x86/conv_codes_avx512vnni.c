/* SPDX-License-Identifier: MIT
 *
 * vpdpbusd: 64 products of codes and weights an instruction, exact.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512{f,bw,vl,dq,vnni}, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 14
#define PANEL 2
#include "kern/x86/conv_block_template.h"

/* Codes of one block: the bits of each plane, as a mask, add its unit where set. */
OMQ_INLINE __m512i unpack_block(const int bits, const uint8_t *packed, __m512i low, __m512i unit)
{
    __m512i k = low;

    OMQ_UNROLL for (int p = 0; p < bits; p++) {
        uint64_t plane;

        memcpy(&plane, packed + sizeof(plane) * p, sizeof(plane));
        k = _mm512_mask_add_epi8(k, (__mmask64)plane, k, unit);
        unit = _mm512_add_epi8(unit, unit);
    }
    return k;
}

OMQ_INLINE void unpack_blocks(const int bits, const struct omq_conv_shape *s, ptrdiff_t runs,
                              const uint8_t *packed, int8_t *k)
{
    const int least = s->midrise ? 1 - (1 << bits) : -(1 << (bits - 1));
    const __m512i low = _mm512_set1_epi8((char)least), unit = _mm512_set1_epi8(s->midrise ? 2 : 1);
    const __m512i tail = _mm512_set1_epi32((int32_t)(~0u >> 8 * (-(unsigned)s->run % INPUTS)));

    for (ptrdiff_t r = 0; r < runs; r++) {
        for (int i = 0; i < s->run; i += INPUTS, packed += 8 * bits, k += BLOCK)
            _mm512_storeu_si512(k, unpack_block(bits, packed, low, unit));
        _mm512_storeu_si512(k - BLOCK, _mm512_and_si512(_mm512_loadu_si512(k - BLOCK), tail));
    }
}

/* Blocks of 8 bits are the codes. */
static const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed, void *k)
{
    const ptrdiff_t runs = (ptrdiff_t)blocks * t->s->n_runs;

    switch (t->s->w_bits) {
    case 1: unpack_blocks(1, t->s, runs, packed, k); break;
    case 2: unpack_blocks(2, t->s, runs, packed, k); break;
    case 3: unpack_blocks(3, t->s, runs, packed, k); break;
    case 4: unpack_blocks(4, t->s, runs, packed, k); break;
    case 5: unpack_blocks(5, t->s, runs, packed, k); break;
    case 6: unpack_blocks(6, t->s, runs, packed, k); break;
    case 7: unpack_blocks(7, t->s, runs, packed, k); break;
    default: return (const int8_t *)packed;
    }
    return k;
}

#define VECS 1
#define SUMS __m512i

OMQ_INLINE SUMS load_sums(const void *p) { return _mm512_loadu_si512(p); }

OMQ_INLINE void store_sums(int32_t *p, SUMS s) { _mm512_storeu_si512(p, s); }

OMQ_INLINE SUMS broadcast(const uint8_t *x)
{
    int32_t four;

    memcpy(&four, x, sizeof(four));
    return _mm512_set1_epi32(four);
}

/* Not _mm512_dpbusd_epi32(): see dot() of direct_s16_avx512vnni.c. */
OMQ_INLINE SUMS dot(SUMS sums, SUMS x, SUMS k)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(k));
    return sums;
}

#include "kern/x86/conv_codes_dot_template.h"
#include "kern/x86/conv_codes_template.h"

void omq_conv_codes_avx512vnni(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                               void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
