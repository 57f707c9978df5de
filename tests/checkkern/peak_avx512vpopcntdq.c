/* SPDX-License-Identifier: MIT */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include <immintrin.h>

#define PEAK peak_avx512vpopcntdq
#define VEC __m512i
#define SUMS 24
#define OP "vpandd %2, %1, %%zmm31\n\tvpopcntd %%zmm31, %%zmm31\n\tvpaddd %%zmm31, %0, %0"
#define CLOBBERS "zmm31"
#define MACS 512
#include "peak_template.h"
#endif
