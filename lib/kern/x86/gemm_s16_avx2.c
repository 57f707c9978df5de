/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__)
#error "compile this file with -mavx2, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

#define OMQ_GEMM omq_gemm_s16_avx2
#define OMQ_MR 2

OMQ_INLINE __m256i dot(__m256i sums, __m256i a, __m256i w)
{
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, w));
}

#include "kern/x86/gemm_s16_template.h"
#endif
