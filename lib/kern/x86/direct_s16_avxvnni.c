/* SPDX-License-Identifier: MIT
 *
 * vpdpwssd of 256 bits, as processors without AVX-512 have it.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD) && \
    !defined(OMQ_OLD_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__AVXVNNI__)
#error "compile this file with -mavx2 -mfma -mavxvnni, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/x86/direct_s16_ymm_template.h"

#define OMQ_DIRECT(op) omq_##op##_avxvnni
#define NRW 3

/* Not _mm256_dpwssd_avx_epi32(): see direct_s16_avx512vnni.c. */
OMQ_INLINE VEC dot(VEC sums, VEC a, VEC b)
{
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(b));
    return sums;
}

#include "kern/x86/dweight_s16_template.h"
#include "kern/x86/direct_s16_template.h"
#endif
