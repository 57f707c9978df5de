/* SPDX-License-Identifier: MIT
 *
 * Integers by vpmaddwd, two 16-bit products a lane: vpmaddubsw, on bytes, would
 * saturate.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

#define TILE int16_t
#define VEC __m256i
#define OMQ_MR 6
#define NR 2
#define NR_LAST 2 /* eight channels */
#define LANES 4

/* A vector of sums: two a channel, of the channels in order. */
OMQ_INLINE VEC zero_sums(void) { return _mm256_setzero_si256(); }

OMQ_INLINE VEC load_weights(const int8_t *w)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)w));
}

OMQ_INLINE VEC broadcast(const TILE *x)
{
    long long four;

    memcpy(&four, x, sizeof(four));
    return _mm256_set1_epi64x(four);
}

OMQ_INLINE VEC dot(VEC sums, VEC x, VEC w)
{
    return _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
}

OMQ_INLINE void store_sums(int nr, const VEC *sums, const int32_t *start, float *y)
{
    VEC both = _mm256_hadd_epi32(sums[0], sums[1]); /* channels 0 1 4 5 2 3 6 7 */

    (void)nr, (void)start;
    _mm256_storeu_ps(y, _mm256_cvtepi32_ps(_mm256_permute4x64_epi64(both, 0xd8)));
}

#include "kern/x86/direct_u8_template.h"

void omq_conv_u8_avx2(const struct omq_window *g, int oc, int n, const uint8_t *x, int zero_point,
                      const int8_t *w, float *y, void *scratch)
{
    const struct conv_u8 t = conv_u8_of(g, oc);
    TILE *tile = scratch;

    memset(tile + t.tile, 0, 3 * sizeof(*tile));
    for (int i = 0; i < n; i++) {
        fill_tile(g, x + (ptrdiff_t)i * g->h * g->w * g->c, zero_point, 0, tile);
        conv_u8_image(g, &t, tile, w, NULL, y + (ptrdiff_t)i * g->oh * g->ow * oc);
    }
}
#endif
