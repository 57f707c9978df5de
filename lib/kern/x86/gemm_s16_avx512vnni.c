/* SPDX-License-Identifier: MIT
 *
 * Vectors of 256 bits: where those of 512 are two halves (Zen 4), they do as
 * much, and leave shorter tails and fewer sums to add up.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512VL__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512{f,bw,vl,dq,vnni}, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

#define OMQ_GEMM omq_gemm_s16_avx512vnni
#define OMQ_MR 4

OMQ_INLINE __m256i dot(__m256i sums, __m256i a, __m256i w)
{
    return _mm256_dpwssd_epi32(sums, a, w);
}

#include "kern/x86/gemm_s16_template.h"
#endif
