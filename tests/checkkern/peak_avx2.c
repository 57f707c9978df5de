/* SPDX-License-Identifier: MIT
 *
 * Of products that are added up in 16 bits.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include <immintrin.h>

#define PEAK peak_avx2
#define VEC __m256i
#define SUMS 12
#define OP "vpmaddubsw %2, %1, %%ymm15\n\tvpaddw %%ymm15, %0, %0"
#define CLOBBERS "ymm15"
#define MACS 32
#include "peak_template.h"
#endif
