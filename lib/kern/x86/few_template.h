/* SPDX-License-Identifier: MIT
 *
 * The weights' gradient of a convolution of few channels, in vectors of
 * channels of the output:
 *   dw[o][tap] += sum over pixels of x[pixel's window][tap] * dy[pixel][o]
 * with tap = (ky, kx, i). Each sum stays in a register from its first product
 * to its last.
 */
#include "kern/simd/block.h"
#include "kern/x86/vec_template.h"

#define TILE float
#include "kern/x86/direct_fill_template.h"

/* Taps of a block. */
#ifdef __AVX512F__
enum { OMQ_MR = 9 };
#else
enum { OMQ_MR = 5 };
#endif

struct few {
    int n, oc, oh, ow;
    ptrdiff_t k;                /* taps */
    ptrdiff_t run, width;       /* values: of a window's row, a tile's row */
    ptrdiff_t image, row, step; /* to the next image, output row, pixel */
};

OMQ_INLINE void few_block(const int mr, const struct few *t, const float *x, ptrdiff_t tap,
                          const float *dy, float *dw, int skip)
{
    float out[OMQ_MR][VEC];
    const float *first[OMQ_MR];
    vec sums[OMQ_MR];

    OMQ_UNROLL for (int r = 0; r < mr; r++) {
        first[r] = x + (tap + r) / t->run * t->width + (tap + r) % t->run;
        sums[r] = vec_set(0);
    }
    for (int i = 0; i < t->n; i++)
        for (int oy = 0; oy < t->oh; oy++) {
            const ptrdiff_t begin = i * t->image + oy * t->row, end = begin + t->ow * t->step;

            for (ptrdiff_t p = begin; p < end; p += t->step, dy += t->oc) {
                const vec d = vec_load(VEC, dy);

                OMQ_UNROLL for (int r = 0; r < mr; r++)
                    sums[r] = vec_fma(vec_set(first[r][p]), d, sums[r]);
            }
        }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        vec_store(VEC, out[r], sums[r]);
    for (int o = skip; o < VEC; o++)
        for (int r = 0; r < mr; r++)
            dw[o * t->k + tap + r] += out[r][o];
}

void OMQ_FN(conv_dweight_few)(const struct omq_window *g, int oc, int n, const uint8_t *x,
                              int zero_point, const float *dy, float *dw, void *scratch)
{
    const int rows = (g->oh - 1) * g->sh + g->kh, cols = (g->ow - 1) * g->sw + g->kw;
    const ptrdiff_t width = (ptrdiff_t)cols * g->c, run = (ptrdiff_t)g->kw * g->c;
    const struct few t = {n, oc, g->oh, g->ow, g->kh * run, run, width, rows * width,
                          g->sh * width, (ptrdiff_t)g->sw * g->c};
    const int blocks = (int)((t.k + OMQ_MR - 1) / OMQ_MR);

    for (int i = 0; i < n; i++)
        fill_tile(g, x + (ptrdiff_t)i * g->h * g->w * g->c, zero_point, 0,
                  (float *)scratch + i * t.image);
    for (int o = 0; o < oc; o += VEC) {
        const int first = o + VEC <= oc ? o : oc - VEC; /* what was there before is skipped */

        for (int i = 0; i < blocks; i++) {
            const int tap = omq_block_begin((int)t.k, blocks, i);
            const int mr = omq_block_begin((int)t.k, blocks, i + 1) - tap;

            OMQ_BLOCK_OF(mr, few_block, &t, scratch, tap, dy + first, dw + first * t.k, o - first)
        }
    }
}
