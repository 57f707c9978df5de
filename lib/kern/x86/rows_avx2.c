/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_SUFFIX _avx2
#define OMQ_OWN_RESCALE_U8 /* rescale_avx2.c */
#define OMQ_OWN_QUANTIZE_WEIGHTS
#include "kern/ref/all_template.h"
#endif
