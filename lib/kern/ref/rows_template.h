/* SPDX-License-Identifier: MIT
 *
 * The elementwise kernels, over x[n][c] or over n values. Sums run over rows
 * in order with a channel a lane, so vectors of any width give the same bits.
 */
void OMQ_FN(row2im)(const struct omq_window *g, const omq_real *restrict rows,
                    omq_real *restrict image)
{
    const ptrdiff_t c = g->c, cc = g->c_count;

    for (int oy = 0; oy < g->oh; oy++) {
        for (int ox = 0; ox < g->ow; ox++) {
            const int ix = ox * g->sw - g->pw;
            const int k0 = omq_clamp_int(-ix, 0, g->kw), k1 = omq_clamp_int(g->w - ix, k0, g->kw);

            for (int ky = 0; ky < g->kh; ky++, rows += g->kw * cc) {
                const int iy = oy * g->sh - g->ph + ky;
                const omq_real *restrict src = rows + k0 * cc;
                omq_real *restrict dst;

                if (iy < 0 || iy >= g->h || k0 == k1)
                    continue;
                dst = image + ((ptrdiff_t)iy * g->w + ix + k0) * c + g->c_begin;
                if (cc == c) {
                    for (ptrdiff_t j = 0; j < (k1 - k0) * cc; j++)
                        dst[j] += src[j];
                    continue;
                }
                for (int kx = k0; kx < k1; kx++, src += cc, dst += c)
                    for (ptrdiff_t j = 0; j < cc; j++)
                        dst[j] += src[j];
            }
        }
    }
}

void OMQ_FN(affine)(int n, int c, const omq_real *acc, const omq_real *restrict m,
                    const omq_real *restrict b, omq_real *v)
{
    for (int i = 0; i < n; i++, acc += c, v += c) {
        OMQ_IVDEP
        for (int j = 0; j < c; j++)
            v[j] = fma(acc[j], m[j], b[j]);
    }
}

void OMQ_FN(affine_res)(int n, int c, const omq_real *acc, const omq_real *restrict m,
                        const omq_real *res, const struct omq_addend *add,
                        const omq_real *restrict b, omq_real *v)
{
    const omq_real r = add->r, zero = add->zero;

    for (int i = 0; i < n; i++, acc += c, res += c, v += c) {
        OMQ_IVDEP
        for (int j = 0; j < c; j++)
            v[j] = fma(acc[j], m[j], fma(res[j], r, b[j] + zero));
    }
}

/* A NaN stays one. */
void OMQ_FN(relu)(size_t n, const omq_real *x, omq_real *y)
{
    OMQ_IVDEP
    for (size_t i = 0; i < n; i++)
        y[i] = 0 > x[i] ? 0 : x[i];
}

/* n, c and kk are numbers where loops of their own are worth it. */
static inline void OMQ_FN(offset_groups)(size_t n, size_t c, size_t kk, const omq_real *restrict w,
                                         omq_real f, const omq_real *restrict offsets,
                                         omq_real *restrict dst)
{
    for (; n > 0; n--, offsets += kk)
        for (size_t i = 0; i < c; i++, w += kk, dst += kk)
            for (size_t j = 0; j < kk; j++)
                dst[j] = w[j] + f * offsets[j];
}

void OMQ_FN(add_offsets)(size_t n, size_t c, size_t kk, const omq_real *w, omq_real f,
                         const omq_real *offsets, omq_real *dst)
{
    if (c == 2 && kk == 9)
        OMQ_FN(offset_groups)(n, 2, 9, w, f, offsets, dst);
    else if (c == 2 && kk == 1)
        OMQ_FN(offset_groups)(n, 2, 1, w, f, offsets, dst);
    else
        OMQ_FN(offset_groups)(n, c, kk, w, f, offsets, dst);
}

void OMQ_FN(relu_backward)(size_t n, const omq_real *restrict v, omq_real *restrict g)
{
    for (size_t i = 0; i < n; i++)
        g[i] = v[i] <= 0 ? 0 : g[i];
}

void OMQ_FN(norm_sums)(int n, int c, const omq_real *restrict g, const omq_real *restrict x,
                       const omq_real *restrict mu, omq_real *restrict sum_g,
                       omq_real *restrict sum_gx)
{
    for (int i = 0; i < n; i++, g += c, x += c) {
        for (int j = 0; j < c; j++) {
            sum_g[j] += g[j];
            sum_gx[j] += g[j] * (x[j] - mu[j]);
        }
    }
}

void OMQ_FN(scale)(int n, int c, omq_real *restrict g, const omq_real *restrict a)
{
    for (int i = 0; i < n; i++, g += c)
        for (int j = 0; j < c; j++)
            g[j] *= a[j];
}

void OMQ_FN(add)(size_t n, const omq_real *restrict x, omq_real *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void OMQ_FN(channel_sum)(int n, int c, const omq_real *restrict x, omq_real *restrict sum)
{
    for (int i = 0; i < n; i++, x += c)
        for (int j = 0; j < c; j++)
            sum[j] += x[j];
}
