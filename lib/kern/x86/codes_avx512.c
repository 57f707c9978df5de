/* SPDX-License-Identifier: MIT
 *
 * Only where 512-bit vectors were measured to gain: rows of 16 to 64 channels
 * leave them little but tails.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || \
    !defined(__AVX512DQ__) || !defined(__FMA__)
#error "compile this file with -mavx512{f,bw,vl,dq} -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_SUFFIX _avx512
#define OMQ_OWN_RESCALE_U8 /* rescale_avx2.c is faster */
#define OMQ_OWN_QUANTIZE_WEIGHTS
#include "kern/ref/template.h"
#include "kern/ref/codes_template.h"
#endif
