/* SPDX-License-Identifier: MIT
 *
 * Views: each width's own reading of the shared weights, scale by scale of a
 * wavelet transform. Our reading of the wavelet decomposition and
 * reconstruction of arXiv 2105.01353.
 */
#include "quant/quant_internal.h"

#include <string.h>

enum { MAX_SCALES = 5 };

struct omq_view_spec omq_view_of(const struct omq_quant_config *q, int bits, bool edge,
                                 const int dims[4])
{
    struct omq_view_spec v = {.axis = q->axis, .wavelet = q->wavelet, .levels = q->levels,
                              .details = q->offset_details,
                              .gain_stride = q->gains == OMQ_STEPS_CHANNEL ? dims[0] : 1};

    memcpy(v.dims, dims, sizeof(v.dims));
    if (v.details > v.levels)
        v.details = v.levels;
    if (edge || bits == OMQ_FLOAT_BITS || (q->view_max_bits && bits > q->view_max_bits))
        return v;
    if (q->view == OMQ_VIEW_BANDS) {
        struct omq_grid g = omq_grid_of(q->grid, bits);

        v.levels = 1;
        v.wavelet = OMQ_WAVELET_HAAR;
        v.bands = omq_bands_fit(&v, &g);
    }
    v.gains = q->view == OMQ_VIEW_GAINS || q->view == OMQ_VIEW_AFFINE;
    v.offsets = q->view == OMQ_VIEW_OFFSETS || q->view == OMQ_VIEW_AFFINE;
    v.detach = q->detach && q->view == OMQ_VIEW_OFFSETS;
    return v;
}

void omq_view_offset_dims(const struct omq_view_spec *v, int dims[4])
{
    omq_view_box(v, v->levels - v->details, dims);
}

size_t omq_view_count(const int dims[4])
{
    return (size_t)dims[0] * (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3];
}

struct omq_view_spec omq_view_block(const struct omq_view_spec *v)
{
    struct omq_view_spec b = *v;

    if (!omq_wavelet_along(v, 0))
        b.dims[0] = 1;
    return b;
}

bool omq_view_is_separable(const struct omq_view_spec *v) { return !omq_wavelet_along(v, 0); }

size_t omq_view_scratch(const struct omq_view_spec *v)
{
    struct omq_view_spec b = omq_view_block(v);

    return 3 * omq_view_count(b.dims);
}

/* ---- gains ---- */

/* Where scales end along each axis: scale s of an axis ends at end[s]. */
struct scales {
    int end[MAX_SCALES][4];
};

static struct scales scales_of(const struct omq_view_spec *v)
{
    struct scales t;

    for (int s = 0; s <= v->levels; s++)
        omq_view_box(v, v->levels - s, t.end[s]);
    return t;
}

/* A coefficient belongs to the finest scale that one of its axes says. */
static int scale_at(const struct scales *t, int axis, int i, int at_least)
{
    int s = at_least;

    while (i >= t->end[s][axis])
        s++;
    return s;
}

/* Neighbours in a kernel of one scale, and the scale of position j in a kernel
 * whose channels have scale s. */
static int run_in_kernel(const struct omq_view_spec *v)
{
    return omq_wavelet_along(v, 3) ? 1 : v->dims[2] * v->dims[3];
}

static int scale_in_kernel(const struct scales *t, const struct omq_view_spec *v, int j, int s)
{
    return scale_at(t, 3, j % v->dims[3], scale_at(t, 2, j / v->dims[3], s));
}

/* Where the gain of scale s and output channel o is; the channel is that of
 * the coefficient, where output channels are mixed. */
static int gain_at(const struct omq_view_spec *v, int s, int o)
{
    return s * v->gain_stride + (v->gain_stride > 1 ? o : 0);
}

/* x *= gains - 1, scale by scale. */
static void gain_less_one(const struct omq_view_spec *v, const omq_real *gains, omq_real *x)
{
    struct scales t = scales_of(v);
    int run = run_in_kernel(v), kk = v->dims[2] * v->dims[3];

    for (int o = 0; o < v->dims[0]; o++)
        for (int i = 0; i < v->dims[1]; i++) {
            int s = scale_at(&t, 1, i, scale_at(&t, 0, o, 0));

            for (int j = 0; j < kk; j += run) {
                omq_real g = gains[gain_at(v, scale_in_kernel(&t, v, j, s), o)] - 1;

                for (int e = 0; e < run; e++)
                    *x++ *= g;
            }
        }
}

/* dgains += <x, w>, scale by scale. */
static void gain_gradient(const struct omq_view_spec *v, const omq_real *x, const omq_real *w,
                          omq_real *dgains)
{
    struct scales t = scales_of(v);
    int run = run_in_kernel(v), kk = v->dims[2] * v->dims[3];

    for (int o = 0; o < v->dims[0]; o++) {
        double sum[MAX_SCALES] = {0};

        for (int i = 0; i < v->dims[1]; i++) {
            int s = scale_at(&t, 1, i, scale_at(&t, 0, o, 0));

            for (int j = 0; j < kk; j += run) {
                double *at = &sum[scale_in_kernel(&t, v, j, s)];

                for (int e = 0; e < run; e++)
                    *at += (double)*x++ * (double)*w++;
            }
        }
        for (int s = 0; s <= v->levels; s++)
            dgains[gain_at(v, s, o)] += (omq_real)sum[s];
    }
}

/* ---- offsets ---- */

/* The box that has offsets, in runs of neighbours. */
struct runs {
    size_t outer, stride, rows, row_stride, run;
};

static struct runs runs_of(const struct omq_view_spec *v)
{
    size_t kw = (size_t)v->dims[3], kk = (size_t)v->dims[2] * kw, filter = (size_t)v->dims[1] * kk;
    int box[4];

    omq_view_offset_dims(v, box);
    if (omq_wavelet_along(v, 3))
        return (struct runs){(size_t)box[0] * (size_t)box[1], kk, (size_t)box[2], kw,
                             (size_t)box[3]};
    return (struct runs){(size_t)box[0], filter, 1, 0, (size_t)box[1] * kk};
}

static void add_offsets(const struct omq_view_spec *v, const omq_real *offsets, omq_real *x)
{
    struct runs r = runs_of(v);

    for (size_t o = 0; o < r.outer; o++)
        for (size_t y = 0; y < r.rows; y++, offsets += r.run) {
            omq_real *at = x + o * r.stride + y * r.row_stride;

            for (size_t i = 0; i < r.run; i++)
                at[i] += offsets[i];
        }
}

static void offset_gradient(const struct omq_view_spec *v, const omq_real *x, omq_real *doffsets)
{
    struct runs r = runs_of(v);

    for (size_t o = 0; o < r.outer; o++)
        for (size_t y = 0; y < r.rows; y++, doffsets += r.run) {
            const omq_real *at = x + o * r.stride + y * r.row_stride;

            for (size_t i = 0; i < r.run; i++)
                doffsets[i] += at[i];
        }
}

/* x without the coefficients that have offsets. */
static void clear_offsets(const struct omq_view_spec *v, omq_real *x)
{
    struct runs r = runs_of(v);

    for (size_t o = 0; o < r.outer; o++)
        for (size_t y = 0; y < r.rows; y++)
            memset(x + o * r.stride + y * r.row_stride, 0, sizeof(*x) * r.run);
}

/* ---- both ways ---- */

void omq_view_forward(const struct omq_view_spec *v, const omq_real *w, const omq_real *gains,
                      const omq_real *offsets, omq_real *dst, omq_real *scratch)
{
    struct omq_view_spec b = omq_view_block(v);
    size_t n = omq_view_count(b.dims), n_offsets;
    omq_real *x = scratch, *tmp = scratch + n;
    int box[4];

    memcpy(dst, w, sizeof(*w) * omq_view_count(v->dims));
    if (v->bands)
        omq_bands_forward(v, dst, tmp);
    if (!v->gains && !v->offsets)
        return;
    omq_view_offset_dims(&b, box);
    n_offsets = omq_view_count(box);
    /* Only the change is transformed, so that no change is exactly none. */
    for (int o = 0; o < v->dims[0]; o += b.dims[0], dst += n) {
        if (v->gains) {
            memcpy(x, dst, sizeof(*x) * n);
            omq_wavelet_analyse(&b, x, 1, tmp);
            gain_less_one(&b, gains + gain_at(v, 0, o), x);
        } else {
            memset(x, 0, sizeof(*x) * n);
        }
        if (v->offsets) {
            add_offsets(&b, offsets, x);
            offsets += n_offsets;
        }
        omq_wavelet_synthesise(&b, x, 1, tmp);
        for (size_t i = 0; i < n; i++)
            dst[i] += x[i];
    }
}

void omq_view_backward(const struct omq_view_spec *v, const omq_real *w, const omq_real *gains,
                       const omq_real *ddst, omq_real *dw, omq_real *dgains, omq_real *doffsets,
                       omq_real *scratch)
{
    struct omq_view_spec b = omq_view_block(v);
    size_t n = omq_view_count(b.dims), n_offsets;
    omq_real *x = scratch, *tmp = scratch + n, *tw = scratch + 2 * n;
    int box[4];

    if (v->bands) {
        omq_bands_backward(v, ddst, dw, scratch);
        return;
    }
    for (size_t i = 0; !v->detach && i < omq_view_count(v->dims); i++)
        dw[i] += ddst[i];
    if (!v->gains && !v->offsets)
        return;
    omq_view_offset_dims(&b, box);
    n_offsets = omq_view_count(box);
    for (int o = 0; o < v->dims[0]; o += b.dims[0], ddst += n, w += n, dw += n) {
        memcpy(x, ddst, sizeof(*x) * n);
        omq_wavelet_analyse(&b, x, 1, tmp);
        if (v->offsets) {
            offset_gradient(&b, x, doffsets);
            doffsets += n_offsets;
        }
        if (v->gains) {
            memcpy(tw, w, sizeof(*tw) * n);
            omq_wavelet_analyse(&b, tw, 1, tmp);
            gain_gradient(&b, x, tw, dgains + gain_at(v, 0, o));
            gain_less_one(&b, gains + gain_at(v, 0, o), x);
        } else if (v->detach) {
            clear_offsets(&b, x);
        } else {
            continue;
        }
        /* The transform is orthonormal: its inverse is its transpose. */
        omq_wavelet_synthesise(&b, x, 1, tmp);
        for (size_t i = 0; i < n; i++)
            dw[i] += x[i];
    }
}
