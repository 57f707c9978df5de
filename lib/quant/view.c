/* SPDX-License-Identifier: MIT
 *
 * Views: each width's own reading of the shared weights, scale by scale of an
 * orthonormal Haar transform along the input channels. Our reading of the
 * wavelet decomposition and reconstruction of arXiv 2105.01353.
 *
 * A transformed filter is [in][kk] with the coarsest scale first, then the
 * details from coarse to fine.
 */
#include <string.h>

#include "quant/quant.h"

#define SQRT1_2 ((omq_real)0.70710678118654752440)

int omq_view_coarse(int in, int levels)
{
    for (int i = 0; i < levels; i++)
        in = (in + 1) / 2;
    return in;
}

size_t omq_view_scratch(const struct omq_view_spec *v)
{
    return 4 * (size_t)v->in * (size_t)v->kk;
}

/* One level over n channels: x -> [ceil(n/2) sums | floor(n/2) differences]. */
static void analyse(int n, int kk, omq_real *x, omq_real *tmp)
{
    int n_hi = n / 2, n_lo = n - n_hi;

    for (int i = 0; i < n_hi; i++)
        for (int j = 0; j < kk; j++) {
            omq_real a = x[2 * i * kk + j], b = x[(2 * i + 1) * kk + j];

            tmp[i * kk + j] = (a + b) * SQRT1_2;
            tmp[(n_lo + i) * kk + j] = (a - b) * SQRT1_2;
        }
    if (n_lo > n_hi)
        memcpy(tmp + n_hi * kk, x + (n - 1) * kk, sizeof(*x) * (size_t)kk);
    memcpy(x, tmp, sizeof(*x) * (size_t)n * (size_t)kk);
}

static void synthesise(int n, int kk, omq_real *x, omq_real *tmp)
{
    int n_hi = n / 2, n_lo = n - n_hi;

    for (int i = 0; i < n_hi; i++)
        for (int j = 0; j < kk; j++) {
            omq_real lo = x[i * kk + j], hi = x[(n_lo + i) * kk + j];

            tmp[2 * i * kk + j] = (lo + hi) * SQRT1_2;
            tmp[(2 * i + 1) * kk + j] = (lo - hi) * SQRT1_2;
        }
    if (n_lo > n_hi)
        memcpy(tmp + (n - 1) * kk, x + n_hi * kk, sizeof(*x) * (size_t)kk);
    memcpy(x, tmp, sizeof(*x) * (size_t)n * (size_t)kk);
}

static void transform(const struct omq_view_spec *v, omq_real *x, omq_real *tmp)
{
    for (int l = 0; l < v->levels; l++)
        analyse(omq_view_coarse(v->in, l), v->kk, x, tmp);
}

static void reconstruct(const struct omq_view_spec *v, omq_real *x, omq_real *tmp)
{
    for (int l = v->levels; l-- > 0;)
        synthesise(omq_view_coarse(v->in, l), v->kk, x, tmp);
}

/* First channel of scale s (0 = coarsest) in a transformed filter; s =
 * levels + 1 gives the end. */
static int scale_begin(const struct omq_view_spec *v, int s)
{
    return s == 0 ? 0 : omq_view_coarse(v->in, v->levels - s + 1);
}

/* x *= gains - 1, scale by scale. */
static void gain_less_one(const struct omq_view_spec *v, const omq_real *gains, omq_real *x)
{
    for (int s = 0; s <= v->levels; s++)
        for (int i = scale_begin(v, s) * v->kk; i < scale_begin(v, s + 1) * v->kk; i++)
            x[i] *= gains[s] - 1;
}

void omq_view_forward(const struct omq_view_spec *v, const omq_real *w, const omq_real *gains,
                      const omq_real *offsets, omq_real *dst, omq_real *scratch)
{
    size_t n = (size_t)v->in * (size_t)v->kk;
    size_t n_coarse = (size_t)omq_view_coarse(v->in, v->levels) * (size_t)v->kk;
    omq_real *x = scratch, *tmp = scratch + n;

    memcpy(dst, w, sizeof(*w) * n * (size_t)v->out);
    if (v->view == OMQ_VIEW_OFF)
        return;
    /* Only the change is transformed, so that no change is exactly none. */
    for (int o = 0; o < v->out; o++) {
        omq_real *d = dst + (size_t)o * n;

        if (v->view == OMQ_VIEW_GAINS) {
            memcpy(x, d, sizeof(*x) * n);
            transform(v, x, tmp);
            gain_less_one(v, gains, x);
        } else {
            memset(x, 0, sizeof(*x) * n);
            memcpy(x, offsets + (size_t)o * n_coarse, sizeof(*x) * n_coarse);
        }
        reconstruct(v, x, tmp);
        for (size_t i = 0; i < n; i++)
            d[i] += x[i];
    }
}

void omq_view_backward(const struct omq_view_spec *v, const omq_real *w, const omq_real *gains,
                       const omq_real *ddst, omq_real *dw, omq_real *dgains, omq_real *doffsets,
                       omq_real *scratch)
{
    size_t n = (size_t)v->in * (size_t)v->kk;
    size_t n_coarse = (size_t)omq_view_coarse(v->in, v->levels) * (size_t)v->kk;
    omq_real *x = scratch, *tmp = scratch + n, *tw = scratch + 2 * n;

    for (size_t i = 0; i < n * (size_t)v->out; i++)
        dw[i] += ddst[i];
    if (v->view == OMQ_VIEW_OFF)
        return;
    for (int o = 0; o < v->out; o++) {
        memcpy(x, ddst + (size_t)o * n, sizeof(*x) * n);
        transform(v, x, tmp);
        if (v->view == OMQ_VIEW_OFFSETS) {
            for (size_t i = 0; i < n_coarse; i++)
                doffsets[(size_t)o * n_coarse + i] += x[i];
            continue;
        }
        memcpy(tw, w + (size_t)o * n, sizeof(*tw) * n);
        transform(v, tw, tmp);
        for (int s = 0; s <= v->levels; s++) {
            double sum = 0;

            for (int i = scale_begin(v, s) * v->kk; i < scale_begin(v, s + 1) * v->kk; i++)
                sum += (double)x[i] * (double)tw[i];
            dgains[s] += (omq_real)sum;
        }
        gain_less_one(v, gains, x); /* the transform is orthonormal: its own transpose's inverse */
        reconstruct(v, x, tmp);
        for (size_t i = 0; i < n; i++)
            dw[(size_t)o * n + i] += x[i];
    }
}
