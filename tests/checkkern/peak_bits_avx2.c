/* SPDX-License-Identifier: MIT
 *
 * Bits that vpshufb counts, in both halves of bytes.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include <immintrin.h>

#define PEAK peak_bits_avx2
#define VEC __m256i
#define SUMS 12
#define OP "vpand %2, %1, %%ymm15\n\t"                  \
           "vpsrlw $4, %%ymm15, %%ymm14\n\t"            \
           "vpand %%ymm15, %1, %%ymm15\n\t"             \
           "vpand %%ymm14, %1, %%ymm14\n\t"             \
           "vpshufb %%ymm15, %2, %%ymm15\n\t"           \
           "vpshufb %%ymm14, %2, %%ymm14\n\t"           \
           "vpaddb %%ymm14, %%ymm15, %%ymm15\n\t"       \
           "vpaddb %%ymm15, %0, %0"
#define CLOBBERS "ymm14", "ymm15"
#define MACS 256
#include "peak_template.h"
#endif
