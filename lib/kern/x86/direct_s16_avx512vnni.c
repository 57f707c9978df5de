/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512{f,bw,vl,dq,vnni}, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/x86/direct_s16_zmm_template.h"

#define OMQ_DIRECT(op) omq_##op##_avx512vnni

/* Not _mm512_dpwssd_epi32(): around it, GCC 12 moves the sums from register to
 * register and to the stack, which halves the rate. */
OMQ_INLINE VEC dot(VEC sums, VEC a, VEC b)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
}

#include "kern/x86/dweight_s16_template.h"
#include "kern/x86/direct_s16_template.h"
#endif
