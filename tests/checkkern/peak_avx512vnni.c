/* SPDX-License-Identifier: MIT */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include <immintrin.h>

#define PEAK peak_avx512vnni
#define VEC __m512i
#define SUMS 24
#define OP "vpdpbusd %2, %1, %0"
#define CLOBBERS "memory"
#define MACS 64
#include "peak_template.h"
#endif
