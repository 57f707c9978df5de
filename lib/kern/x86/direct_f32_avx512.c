/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__)
#error "compile this file with -mavx512{f,bw,vl,dq} -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/x86/block.h"

#define OMQ_DIRECT(op) omq_##op##_avx512
#define VEC __m512
#define LANES 16
#define OMQ_MR 8
#define NR 2
#define NR_LAST 1
#define MO 8

OMQ_INLINE VEC zero(void) { return _mm512_setzero_ps(); }
OMQ_INLINE VEC load(const float *x) { return _mm512_loadu_ps(x); }
OMQ_INLINE VEC broadcast(const float *x) { return _mm512_set1_ps(*x); }
OMQ_INLINE VEC add_of(VEC a, VEC b) { return _mm512_add_ps(a, b); }
OMQ_INLINE VEC fma_of(VEC a, VEC b, VEC c) { return _mm512_fmadd_ps(a, b, c); }
OMQ_INLINE void store(float *x, VEC v) { _mm512_storeu_ps(x, v); }

#include "kern/x86/direct_f32_template.h"
#endif
