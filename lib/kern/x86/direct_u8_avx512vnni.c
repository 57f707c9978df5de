/* SPDX-License-Identifier: MIT
 *
 * vpdpbusd: 64 products of codes and weights an instruction, with no 16-bit
 * sum between that could saturate. It takes codes, not differences from the
 * zero point, so zero_point * sum(w) is subtracted at the end; the padding
 * holds the zero point. 32-bit sums wrap, and the final one fits.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VNNI__)
#error "compile this file with -mavx512{f,bw,vl,dq,vnni}, or everything with -DOMQ_NO_SIMD"
#endif
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

#define TILE uint8_t
#define VEC __m512i
#define OMQ_MR 8
#define NR 2
#define NR_LAST 1
#define LANES 16

OMQ_INLINE VEC zero_sums(void) { return _mm512_setzero_si512(); }

OMQ_INLINE VEC load_weights(const int8_t *w) { return _mm512_loadu_si512(w); }

OMQ_INLINE VEC broadcast(const TILE *x)
{
    int32_t four;

    memcpy(&four, x, sizeof(four));
    return _mm512_set1_epi32(four);
}

OMQ_INLINE VEC dot(VEC sums, VEC x, VEC w) { return _mm512_dpbusd_epi32(sums, x, w); }

OMQ_INLINE void store_sums(int nr, const VEC *sums, const int32_t *start, float *y)
{
    OMQ_UNROLL for (int j = 0; j < nr; j++) {
        VEC s = sums[j];

        if (start)
            s = _mm512_add_epi32(s, _mm512_loadu_si512(start + LANES * j));
        _mm512_storeu_ps(y + LANES * j, _mm512_cvtepi32_ps(s));
    }
}

#include "kern/x86/direct_u8_template.h"

/* start[o] = -zero_point * sum of w over everything but o. */
static void zero_point_sums(const struct conv_u8 *t, int zero_point, const int8_t *w,
                            int32_t *start)
{
    const VEC ones = _mm512_set1_epi8(1), factor = _mm512_set1_epi32(-zero_point);

    for (int o = 0; o < t->oc; o += LANES) {
        const int first = o + LANES <= t->oc ? o : t->oc - LANES;
        VEC s = _mm512_setzero_si512();

        for (ptrdiff_t i = 0; i < t->kh * t->run; i += 4)
            s = dot(s, ones, load_weights(w + i * t->oc + 4 * first));
        _mm512_storeu_si512(start + first, _mm512_mullo_epi32(s, factor));
    }
}

void omq_conv_u8_avx512vnni(const struct omq_window *g, int oc, int n, const uint8_t *x,
                            int zero_point, const int8_t *w, float *y, void *scratch)
{
    const struct conv_u8 t = conv_u8_of(g, oc);
    int32_t *start = zero_point ? scratch : NULL;
    TILE *tile = (TILE *)scratch + sizeof(*start) * (size_t)oc;

    if (start)
        zero_point_sums(&t, zero_point, w, start);
    memset(tile + t.tile, 0, 3);
    for (int i = 0; i < n; i++) {
        fill_tile(g, x + (ptrdiff_t)i * g->h * g->w * g->c, 0, (TILE)zero_point, tile);
        conv_u8_image(g, &t, tile, w, start, y + (ptrdiff_t)i * g->oh * g->ow * oc);
    }
}
#endif
