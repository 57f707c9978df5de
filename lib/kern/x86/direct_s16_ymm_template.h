/* SPDX-License-Identifier: MIT
 *
 * What the kernels of direct_s16_template.h with vectors of 256 bits share: all
 * but the dot product, how many vectors a block of dw has, and their names.
 */
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

#define VEC __m256i
#define LANES 8
#define OMQ_MR 6
#define NR 2
#define NR_LAST 2 /* of 16 channels at least */
#define MO 4

OMQ_INLINE VEC zero(void) { return _mm256_setzero_si256(); }
OMQ_INLINE VEC load(const void *x) { return _mm256_loadu_si256(x); }

OMQ_INLINE VEC broadcast(const void *pair)
{
    int32_t both;

    memcpy(&both, pair, sizeof(both));
    return _mm256_set1_epi32(both);
}

OMQ_INLINE void store_scaled(float *x, VEC sums, float scale, bool add, int skip)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256 s = _mm256_cvtepi32_ps(sums), by = _mm256_set1_ps(scale);
    const __m256 v = add ? _mm256_fmadd_ps(s, by, _mm256_loadu_ps(x)) : _mm256_mul_ps(s, by);

    if (skip > 0)
        _mm256_maskstore_ps(x, _mm256_cmpgt_epi32(lane, _mm256_set1_epi32(skip - 1)), v);
    else
        _mm256_storeu_ps(x, v);
}

OMQ_INLINE void store_first(float *x, VEC sums, float scale, bool add, int n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i stored = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
    const __m256 s = _mm256_cvtepi32_ps(sums), by = _mm256_set1_ps(scale);

    if (n >= LANES) /* masked stores take Zen 3 a dozen cycles each */
        _mm256_storeu_ps(x, add ? _mm256_fmadd_ps(s, by, _mm256_loadu_ps(x))
                                : _mm256_mul_ps(s, by));
    else
        _mm256_maskstore_ps(x, stored, add ? _mm256_fmadd_ps(s, by, _mm256_maskload_ps(x, stored))
                                           : _mm256_mul_ps(s, by));
}
