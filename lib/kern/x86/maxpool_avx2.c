/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#include <immintrin.h>

#define OMQ_SUFFIX _avx2
#include "kern/ref/template.h"
#include "kern/simd/block.h"

/* What a window sees: so many rows of pixels, which lie `row` apart. */
struct seen {
    const uint8_t *first;
    int rows, columns;
    ptrdiff_t row, c;
};

/* The maxima of 32 channels of one pixel, or of 16, from j on. */
OMQ_INLINE void max_32(const int columns, const struct seen *s, ptrdiff_t j, uint8_t *out)
{
    __m256i most = _mm256_setzero_si256();

    for (int y = 0; y < s->rows; y++)
        OMQ_UNROLL_UP_TO for (int x = 0; x < columns; x++) {
            const uint8_t *p = s->first + y * s->row + x * s->c + j;

            most = _mm256_max_epu8(most, _mm256_loadu_si256((const __m256i *)(const void *)p));
        }
    _mm256_storeu_si256((__m256i *)(void *)(out + j), most);
}

OMQ_INLINE void max_16(const struct seen *s, ptrdiff_t j, uint8_t *out)
{
    __m128i most = _mm_setzero_si128();

    for (int y = 0; y < s->rows; y++)
        for (int x = 0; x < s->columns; x++) {
            const uint8_t *p = s->first + y * s->row + x * s->c + j;

            most = _mm_max_epu8(most, _mm_loadu_si128((const __m128i *)(const void *)p));
        }
    _mm_storeu_si128((__m128i *)(void *)(out + j), most);
}

/* 16 channels or more: the last vector may take some of them again. */
OMQ_INLINE void max_pixel(const int columns, const struct seen *s, uint8_t *out)
{
    const ptrdiff_t c = s->c;
    ptrdiff_t j = 0;

    for (; j + 32 <= c; j += 32)
        max_32(columns, s, j, out);
    for (; j < c; j += 16)
        max_16(s, j + 16 <= c ? j : c - 16, out);
}

void omq_maxpool_u8_avx2(const struct omq_window *g, const uint8_t *image, ptrdiff_t row,
                         uint8_t *out, ptrdiff_t out_row)
{
    if (g->c < 16) {
        omq_maxpool_u8_ref(g, image, row, out, out_row);
        return;
    }
    for (int oy = 0; oy < g->oh; oy++, out += out_row) {
        const int y = oy * g->sh - g->ph, y0 = omq_clamp_int(y, 0, g->h);
        struct seen s = {.rows = omq_clamp_int(y + g->kh, y0, g->h) - y0, .row = row, .c = g->c};

        for (int ox = 0; ox < g->ow; ox++) {
            const int x = ox * g->sw - g->pw, x0 = omq_clamp_int(x, 0, g->w);

            s.columns = omq_clamp_int(x + g->kw, x0, g->w) - x0;
            s.first = image + y0 * row + x0 * s.c;
            if (s.columns == 2)
                max_pixel(2, &s, out + ox * s.c);
            else if (s.columns == 3)
                max_pixel(3, &s, out + ox * s.c);
            else
                max_pixel(s.columns, &s, out + ox * s.c);
        }
    }
}
#endif
