/* SPDX-License-Identifier: MIT
 *
 * Of few channels, in vectors of channels of the output; part of
 * dweight_s16_template.h, which has the rest:
 *   dw[o][tap] += sum over pixels of x[pixel's window][tap] * dy[pixel][o]
 * with tap = (ky, kx, i). Blocks are of taps in one row of the window, which lie
 * together in x, by NR vectors or one. Here
 *   x    [pairs of images][rows][cols][c]
 *   dy   [pixels of the band][padded]
 * and dw is summed up as [tap][padded], and put in place at the end. The columns
 * of blocks of MO outputs are those of first_output().
 */

/* mr taps from x on, by nr vectors. */
OMQ_INLINE void few_block(const int mr, const int nr, const struct dweight *t,
                          const struct band *b, const uint32_t *x, const uint32_t *dy, float *dw)
{
    const struct omq_window *g = t->g;
    const ptrdiff_t step = (ptrdiff_t)g->sw * g->c, down = g->sh * t->row;
    int oy = b->first % g->oh;
    VEC sums[OMQ_MR][NR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            sums[r][j] = zero();
    x += b->first / g->oh * t->image;
    for (int rows = b->n; rows > 0; rows--) {
        const uint32_t *p = x + oy * down;

        for (int ox = g->ow; ox > 0; ox--, p += step, dy += t->padded) {
            VEC d[NR];

            OMQ_UNROLL for (int j = 0; j < nr; j++)
                d[j] = load(dy + LANES * j);
            OMQ_UNROLL for (int r = 0; r < mr; r++) {
                VEC xv = broadcast(p + r);

                OMQ_UNROLL for (int j = 0; j < nr; j++)
                    sums[r][j] = dot(sums[r][j], xv, d[j]);
            }
        }
        if (++oy == g->oh)
            oy = 0, x += t->image;
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < nr; j++)
            store_scaled(dw + r * t->padded + LANES * j, sums[r][j], t->scale, true, 0);
}

static void few_band(const struct dweight *t, const struct band *b, const uint32_t *x,
                     const uint32_t *dy, float *dw)
{
    const int run = t->g->kw * t->g->c, blocks = (run + OMQ_MR - 1) / OMQ_MR;

    for (int ky = 0; ky < t->g->kh; ky++, x += t->row, dw += run * t->padded)
        for (int i = 0; i < blocks; i++) {
            const int tap = omq_block_begin(run, blocks, i);
            const int mr = omq_block_begin(run, blocks, i + 1) - tap;
            float *to = dw + tap * t->padded;
            int o = 0;

            for (; o + NR * LANES <= t->padded; o += NR * LANES)
                OMQ_BLOCK_OF(mr, few_block, NR, t, b, x + tap, dy + o, to + o)
            for (; o < t->padded; o += LANES)
                OMQ_BLOCK_OF(mr, few_block, 1, t, b, x + tap, dy + o, to + o)
        }
}

static int column(const struct dweight *t, int o)
{
    const int block = o / MO;

    return o - first_output(t, block) + block * MO;
}

static void few_begin(const struct dweight *t, const float *dw, float *sums)
{
    memset(sums, 0, sizeof(*sums) * (size_t)(t->k * t->padded));
    for (int o = 0; o < t->oc; o++)
        for (ptrdiff_t tap = 0; tap < t->k; tap++)
            sums[tap * t->padded + column(t, o)] = dw[o * t->k + tap];
}

static void few_end(const struct dweight *t, const float *sums, float *dw)
{
    for (int o = 0; o < t->oc; o++)
        for (ptrdiff_t tap = 0; tap < t->k; tap++)
            dw[o * t->k + tap] = sums[tap * t->padded + column(t, o)];
}
