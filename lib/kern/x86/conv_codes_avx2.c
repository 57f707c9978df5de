/* SPDX-License-Identifier: MIT
 *
 * Two ways, both exact:
 * - vpmaddubsw, whose sums of two products are added up in 16 bits for as many
 *   steps as must fit there, and then in 32: for few bits;
 * - vpmaddwd, on the codes and weights of even and of odd inputs in 16 bits,
 *   which is half as fast.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 6
#define PANEL 1
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_template.h"

enum { LANES = 8, HALF = INPUTS * LANES };

OMQ_INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }

OMQ_INLINE void store(void *p, __m256i v) { _mm256_storeu_si256(p, v); }

/* Left to itself, GCC 12 puts the twelve sums of a block on the stack to load its
 * codes early: so a pixel's step is one piece. */
#define FOUR(x) (*(const uint8_t(*)[4])(x))
#define VECTOR(k) (*(const int8_t(*)[HALF])(k))

/* Steps whose sums of two products 16 bits hold. */
static ptrdiff_t steps_in_16(const struct omq_conv_shape *s)
{
    const int k_max = s->midrise ? (1 << s->w_bits) - 1 : 1 << (s->w_bits - 1);

    return INT16_MAX / (2 * s->x_max * k_max);
}

static bool in_16(const struct omq_conv_shape *s)
{
    return steps_in_16(s) >= 2;
}

/* [16][4] in bytes; or in 16 bits, of eight outputs at a time the even inputs and
 * then the odd ones, [2][2][8][2]. */
static const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed,
                            void *scratch)
{
    const ptrdiff_t size = t->k_bytes;
    int8_t *wide = scratch;
    const int8_t *k = unpack_bytes(t->s, packed, wide + 2 * size);

    (void)blocks; /* one */
    if (in_16(t->s))
        return k;
    for (ptrdiff_t i = 0; i < size; i += HALF) {
        const __m256i v = load(k + i);

        store(wide + 2 * i, _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8));
        store(wide + 2 * i + HALF, _mm256_srai_epi16(v, 8));
    }
    return wide;
}

/* ---- bytes ---- */

OMQ_INLINE void add_to_32(const int mr, __m256i (*sums)[2], int32_t *acc)
{
    const __m256i ones = _mm256_set1_epi16(1);

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++) {
            int32_t *to = acc + OUTPUTS * r + LANES * j;

            store(to, _mm256_add_epi32(load(to), _mm256_madd_epi16(sums[r][j], ones)));
        }
}

/* Adds x0 k0 + x1 k1 and x2 k2 + x3 k3 of each output. */
OMQ_INLINE void bytes_step(const uint8_t *x, __m256i k0, __m256i k1, __m256i sums[2])
{
    __m256i codes, products;

    __asm__("vpbroadcastd %4, %2\n\t"
            "vpmaddubsw %5, %2, %3\n\t"
            "vpmaddubsw %6, %2, %2\n\t"
            "vpaddw %3, %0, %0\n\t"
            "vpaddw %2, %1, %1"
            : "+x"(sums[0]), "+x"(sums[1]), "=&x"(codes), "=&x"(products)
            : "m"(FOUR(x)), "x"(k0), "x"(k1));
}

/* Some steps of a run. */
OMQ_INLINE const int8_t *add_bytes(const int mr, const struct pixels *p, ptrdiff_t at,
                                   ptrdiff_t end, const int8_t *k, __m256i (*sums)[2])
{
    for (; at < end; at += INPUTS, k += BLOCK) {
        const __m256i k0 = load(k), k1 = load(k + HALF);

        OMQ_UNROLL for (int r = 0; r < mr; r++)
            bytes_step(p->x[r] + at, k0, k1, sums[r]);
    }
    return k;
}

OMQ_INLINE void sum_bytes(const int mr, const struct conv_codes *t, const struct pixels *p,
                          const int8_t *k, int32_t *acc)
{
    const ptrdiff_t most = INPUTS * steps_in_16(t->s);
    ptrdiff_t left = most;
    __m256i sums[OMQ_MR][2];

    memset(sums, 0, sizeof(sums));
    for (int run = 0; run < t->s->n_runs; run++) {
        ptrdiff_t at = t->io->run_at[run];
        const ptrdiff_t end = at + INPUTS * t->steps;

        while (at < end) {
            const ptrdiff_t n = end - at < left ? end - at : left;

            k = add_bytes(mr, p, at, at + n, k, sums);
            at += n, left -= n;
            if (left == 0) {
                add_to_32(mr, sums, acc);
                memset(sums, 0, sizeof(sums));
                left = most;
            }
        }
    }
    add_to_32(mr, sums, acc);
}

/* ---- 16 bits ---- */

/* Adds (x0 k0 + x2 k2) + (x1 k1 + x3 k3) of each output. */
OMQ_INLINE void words_step(const uint8_t *x, __m256i low, const int8_t *k, __m256i sums[2])
{
    __m256i even, odd, products;

    __asm__("vpbroadcastd %5, %3\n\t"
            "vpand %3, %6, %2\n\t"
            "vpsrlw $8, %3, %3\n\t"
            "vpmaddwd %7, %2, %4\n\t"
            "vpaddd %4, %0, %0\n\t"
            "vpmaddwd %8, %3, %4\n\t"
            "vpaddd %4, %0, %0\n\t"
            "vpmaddwd %9, %2, %2\n\t"
            "vpmaddwd %10, %3, %3\n\t"
            "vpaddd %2, %1, %1\n\t"
            "vpaddd %3, %1, %1"
            : "+x"(sums[0]), "+x"(sums[1]), "=&x"(even), "=&x"(odd), "=&x"(products)
            : "m"(FOUR(x)), "x"(low), "m"(VECTOR(k)), "m"(VECTOR(k + HALF)),
              "m"(VECTOR(k + 2 * HALF)), "m"(VECTOR(k + 3 * HALF)));
}

OMQ_INLINE void sum_words(const int mr, const struct conv_codes *t, const struct pixels *p,
                          const int8_t *k, int32_t *acc)
{
    const __m256i low = _mm256_set1_epi16(255);
    __m256i sums[OMQ_MR][2];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++)
            sums[r][j] = load(acc + OUTPUTS * r + LANES * j);
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS, k += 2 * BLOCK) {
            OMQ_UNROLL for (int r = 0; r < mr; r++)
                words_step(p->x[r] + i, low, k, sums[r]);
        }
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++)
            store(acc + OUTPUTS * r + LANES * j, sums[r][j]);
}

OMQ_INLINE void sum_block(const int mr, const int blocks, const struct conv_codes *t,
                          const struct pixels *p, const int8_t *k, int32_t *acc)
{
    (void)blocks; /* one */
    for (int r = 0; r < mr; r++)
        memcpy(acc + OUTPUTS * r, t->io->start + t->first, OUTPUTS * sizeof(*acc));
    if (in_16(t->s))
        sum_bytes(mr, t, p, k, acc);
    else
        sum_words(mr, t, p, k, acc);
}

#include "kern/simd/conv_pixels_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_avx2(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                         void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
