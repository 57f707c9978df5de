/* SPDX-License-Identifier: MIT
 *
 * What the kernels of direct_s16_template.h with vectors of 512 bits share: all
 * but the dot product, and their names.
 */
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

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

OMQ_INLINE void store_scaled(float *x, VEC sums, float scale, bool add, int skip)
{
    const __m512 s = _mm512_cvtepi32_ps(sums), by = _mm512_set1_ps(scale);

    _mm512_mask_storeu_ps(x, (__mmask16)(0xffffu << (skip > 0 ? skip : 0)),
                          add ? _mm512_fmadd_ps(s, by, _mm512_loadu_ps(x)) : _mm512_mul_ps(s, by));
}

OMQ_INLINE void store_first(float *x, VEC sums, float scale, bool add, int n)
{
    const __mmask16 stored = (__mmask16)(n < LANES ? (1u << n) - 1 : 0xffffu);
    const __m512 s = _mm512_cvtepi32_ps(sums), by = _mm512_set1_ps(scale);

    _mm512_mask_storeu_ps(x, stored, add ? _mm512_fmadd_ps(s, by, _mm512_maskz_loadu_ps(stored, x))
                                         : _mm512_mul_ps(s, by));
}
