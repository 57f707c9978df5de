/* SPDX-License-Identifier: MIT
 *
 * vpopcntd: 512 products of bits in three instructions.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VPOPCNTDQ__)
#error "compile with -mavx512{f,bw,vl,dq,vnni,vpopcntdq}, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 14
#define PANEL 1
#include "kern/x86/conv_block_template.h"

static void pack_x(const uint8_t *x, ptrdiff_t n, int q, uint8_t *bits)
{
    const __m512i bit = _mm512_set1_epi8((char)(1 << q));

    for (; n >= 64; n -= 64, x += 64, bits += 8) {
        const uint64_t plane = _mm512_test_epi8_mask(_mm512_loadu_si512(x), bit);

        memcpy(bits, &plane, sizeof(plane));
    }
}

/* Not by intrinsics: see dot() of direct_s16_avx512vnni.c. */
#define WORD(x) (*(const uint8_t(*)[4])(x))

OMQ_INLINE __m512i add_count(__m512i sums, __m512i w, const uint8_t *x)
{
    __m512i both;

    __asm__("vpandd %3%{1to16%}, %2, %1\n\t"
            "vpopcntd %1, %1\n\t"
            "vpaddd %1, %0, %0"
            : "+v"(sums), "=&v"(both)
            : "v"(w), "m"(WORD(x)));
    return sums;
}

OMQ_INLINE void sum_bits(const int mr, const int w_bits, const int x_bits,
                         const struct conv_codes *t, const struct bits *b, const uint8_t *w,
                         int32_t *acc)
{
    const __m512i start = _mm512_loadu_si512(t->io->start + t->first);
    const ptrdiff_t end = 4 * t->steps, plane = b->plane;
    __m512i once[OMQ_MR], twice[OMQ_MR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        once[r] = twice[r] = _mm512_setzero_si512();
    for (int run = 0; run < t->s->n_runs; run++) {
        for (ptrdiff_t i = run * b->run; i < run * b->run + end; i += 4, w += w_bits * BLOCK) {
            const __m512i w0 = _mm512_loadu_si512(w);
            const __m512i w1 = w_bits == 2 ? _mm512_loadu_si512(w + BLOCK) : w0;

            OMQ_UNROLL for (int r = 0; r < mr; r++) {
                const uint8_t *x = OMQ_RELOAD(b->x[r]) + i;

                once[r] = add_count(once[r], w0, x);
                if (w_bits * x_bits == 2)
                    twice[r] = add_count(twice[r], w1, x_bits == 2 ? x + plane : x);
            }
        }
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++) {
        const __m512i rest = _mm512_sub_epi32(start, _mm512_set1_epi32(b->sum[r]));
        const __m512i count = _mm512_add_epi32(once[r], _mm512_slli_epi32(twice[r], 1));

        _mm512_storeu_si512(acc + OUTPUTS * r,
                            _mm512_add_epi32(rest, _mm512_slli_epi32(count, 1)));
    }
}

#include "kern/simd/conv_bits_template.h"

void omq_conv_bits_avx512vpopcntdq(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                                   void *scratch)
{
    conv_bits(s, io, scratch);
}
#endif
