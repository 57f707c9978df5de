/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__)
#error "compile this file with -mavx512{f,bw,vl,dq} -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/x86/block.h"

#define OMQ_DIRECT(op) omq_##op##_avx512
#define VEC __m512i
#define LANES 16
#define OMQ_MR 14 /* half a row of 28, a row of 14: both are common */
#define NR 2
#define NR_LAST 1
#define MO 8
#define NRW 3

OMQ_INLINE VEC zero(void) { return _mm512_setzero_si512(); }
OMQ_INLINE VEC load(const void *x) { return _mm512_loadu_si512(x); }

OMQ_INLINE VEC broadcast(const void *pair)
{
    int32_t both;

    memcpy(&both, pair, sizeof(both));
    return _mm512_set1_epi32(both);
}

OMQ_INLINE VEC dot(VEC sums, VEC a, VEC b)
{
    return _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
}

OMQ_INLINE void store_scaled(float *x, VEC sums, float scale, bool add)
{
    const __m512 s = _mm512_cvtepi32_ps(sums), by = _mm512_set1_ps(scale);

    _mm512_storeu_ps(x, add ? _mm512_fmadd_ps(s, by, _mm512_loadu_ps(x)) : _mm512_mul_ps(s, by));
}

#include "kern/x86/direct_s16_template.h"
#endif
