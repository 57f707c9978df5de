/* SPDX-License-Identifier: MIT */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD) && !defined(OMQ_OLD_SIMD)
#include <immintrin.h>

#define PEAK peak_avxvnni
#define VEC __m256i
#define SUMS 12
#define OP "%{vex%} vpdpbusd %2, %1, %0"
#define CLOBBERS "memory"
#define MACS 32
#include "peak_template.h"
#endif
