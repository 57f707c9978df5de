/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/x86/direct_s16_ymm_template.h"

#define OMQ_DIRECT(op) omq_##op##_avx2
#define NRW 3

OMQ_INLINE VEC dot(VEC sums, VEC a, VEC b)
{
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}

#include "kern/x86/dweight_s16_template.h"
#include "kern/x86/direct_s16_template.h"
#endif
