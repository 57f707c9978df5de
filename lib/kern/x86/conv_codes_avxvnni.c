/* SPDX-License-Identifier: MIT
 *
 * vpdpbusd of 256 bits, as processors without AVX-512 have it.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD) && \
    !defined(OMQ_OLD_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__AVXVNNI__)
#error "compile this file with -mavx2 -mfma -mavxvnni, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 6
#define PANEL 1
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_template.h"

static const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed, void *k)
{
    (void)blocks; /* one */
    return unpack_bytes(t->s, packed, k);
}

#define VECS 2
#define SUMS __m256i

OMQ_INLINE SUMS load_sums(const void *p) { return _mm256_loadu_si256(p); }

OMQ_INLINE void store_sums(int32_t *p, SUMS s) { _mm256_storeu_si256((__m256i *)(void *)p, s); }

OMQ_INLINE SUMS broadcast(const uint8_t *x)
{
    int32_t four;

    memcpy(&four, x, sizeof(four));
    return _mm256_set1_epi32(four);
}

/* Not _mm256_dpbusd_avx_epi32(): see dot() of direct_s16_avx512vnni.c. */
OMQ_INLINE SUMS dot(SUMS sums, SUMS x, SUMS k)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(x), "x"(k));
    return sums;
}

#include "kern/x86/conv_codes_dot_template.h"
#include "kern/simd/conv_pixels_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_avxvnni(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                            void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
