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
#include "kern/x86/unpack_codes_zmm_template.h"

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
#include "kern/simd/conv_pixels_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_avx512vnni(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                               void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
