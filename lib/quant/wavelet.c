/* SPDX-License-Identifier: MIT
 *
 * Orthonormal wavelet transforms of a layer's weights along its channels or
 * its kernel's positions.
 *
 * Lengths need not be even: the last element of an odd one passes through, at
 * the end of the sums. The filter with 4 taps (Daubechies, 1988) wraps around
 * within the even part; on 2 elements that is Haar's.
 */
#include "quant/quant_internal.h"

#include <string.h>

#define SQRT1_2 ((omq_real)0.70710678118654752440)
/* (1 + r), (3 + r), (3 - r), (1 - r), r = sqrt(3), over 4 sqrt(2): the sums'
 * taps. The differences' are D3, -D2, D1, -D0. */
#define D0 ((omq_real)0.48296291314453414337)
#define D1 ((omq_real)0.83651630373780790557)
#define D2 ((omq_real)0.22414386804201338103)
#define D3 ((omq_real)-0.12940952255126038117)

bool omq_wavelet_along(const struct omq_view_spec *v, int a)
{
    switch (v->axis) {
    case OMQ_AXIS_IN: return a == 1;
    case OMQ_AXIS_OUT: return a == 0;
    case OMQ_AXIS_BOTH: return a <= 1;
    case OMQ_AXIS_KERNEL: return a >= 2;
    }
    return false;
}

void omq_view_box(const struct omq_view_spec *v, int level, int box[4])
{
    for (int a = 0; a < 4; a++) {
        box[a] = v->dims[a];
        for (int l = 0; l < level && omq_wavelet_along(v, a); l++)
            box[a] = (box[a] + 1) / 2;
    }
}

struct omq_pass omq_pass_of(const struct omq_view_spec *v, int level, int a)
{
    size_t kw = (size_t)v->dims[3], kk = (size_t)v->dims[2] * kw, filter = (size_t)v->dims[1] * kk;
    size_t filters = (size_t)v->dims[0], kernels = filters * (size_t)v->dims[1];
    int box[4];

    omq_view_box(v, level, box);
    switch (a) {
    case 0:
        return (struct omq_pass){box[0], filter, (size_t)box[1] * kk, 1, 0, 1, 0};
    case 1:
        return (struct omq_pass){box[1], kk, kk, (size_t)box[0], filter, 1, 0};
    case 2:
        return (struct omq_pass){box[2], kw, (size_t)box[3], kernels, kk, 1, 0};
    default:
        return (struct omq_pass){box[3], 1, 1, kernels, kk, (size_t)box[2], kw};
    }
}

/* ---- one bundle of lines ---- */

/* x -> [ceil(n/2) sums | floor(n/2) differences] in y, lines side by side. */
static void haar(const struct omq_pass *p, const omq_real *x, omq_real *y)
{
    size_t n_hi = (size_t)p->n / 2, n_lo = (size_t)p->n - n_hi;

    for (size_t i = 0; i < n_hi; i++) {
        const omq_real *a = x + 2 * i * p->stride, *b = a + p->stride;
        omq_real *lo = y + i * p->run, *hi = y + (n_lo + i) * p->run;

        for (size_t j = 0; j < p->run; j++) {
            lo[j] = (a[j] + b[j]) * SQRT1_2;
            hi[j] = (a[j] - b[j]) * SQRT1_2;
        }
    }
}

static void haar_back(const struct omq_pass *p, const omq_real *x, omq_real *y)
{
    size_t n_hi = (size_t)p->n / 2, n_lo = (size_t)p->n - n_hi;

    for (size_t i = 0; i < n_hi; i++) {
        const omq_real *lo = x + i * p->stride, *hi = x + (n_lo + i) * p->stride;
        omq_real *a = y + 2 * i * p->run, *b = a + p->run;

        for (size_t j = 0; j < p->run; j++) {
            a[j] = (lo[j] + hi[j]) * SQRT1_2;
            b[j] = (lo[j] - hi[j]) * SQRT1_2;
        }
    }
}

static void db2(const struct omq_pass *p, const omq_real *x, omq_real *y)
{
    size_t n_hi = (size_t)p->n / 2, n_lo = (size_t)p->n - n_hi;

    for (size_t i = 0; i < n_hi; i++) {
        const omq_real *a = x + 2 * i * p->stride, *b = a + p->stride;
        const omq_real *c = x + 2 * ((i + 1) % n_hi) * p->stride, *d = c + p->stride;
        omq_real *lo = y + i * p->run, *hi = y + (n_lo + i) * p->run;

        for (size_t j = 0; j < p->run; j++) {
            lo[j] = D0 * a[j] + D1 * b[j] + D2 * c[j] + D3 * d[j];
            hi[j] = D3 * a[j] - D2 * b[j] + D1 * c[j] - D0 * d[j];
        }
    }
}

static void db2_back(const struct omq_pass *p, const omq_real *x, omq_real *y)
{
    size_t n_hi = (size_t)p->n / 2, n_lo = (size_t)p->n - n_hi;

    for (size_t i = 0; i < n_hi; i++) {
        size_t before = (i + n_hi - 1) % n_hi;
        const omq_real *lo = x + i * p->stride, *hi = x + (n_lo + i) * p->stride;
        const omq_real *lo1 = x + before * p->stride, *hi1 = x + (n_lo + before) * p->stride;
        omq_real *a = y + 2 * i * p->run, *b = a + p->run;

        for (size_t j = 0; j < p->run; j++) {
            a[j] = D0 * lo[j] + D3 * hi[j] + D2 * lo1[j] + D1 * hi1[j];
            b[j] = D1 * lo[j] - D2 * hi[j] + D3 * lo1[j] - D0 * hi1[j];
        }
    }
}

static void pass_through(const struct omq_pass *p, const omq_real *x, omq_real factor, omq_real *y)
{
    for (size_t j = 0; j < p->run; j++)
        y[j] = x[j] * factor;
}

static void copy_back(const struct omq_pass *p, const omq_real *y, omq_real *x)
{
    if (p->stride == p->run) {
        memcpy(x, y, sizeof(*x) * (size_t)p->n * p->run);
        return;
    }
    for (size_t i = 0; i < (size_t)p->n; i++)
        memcpy(x + i * p->stride, y + i * p->run, sizeof(*x) * p->run);
}

/* ---- a whole layer ---- */

static bool long_filter(const struct omq_view_spec *v, const struct omq_pass *p)
{
    return v->wavelet == OMQ_WAVELET_DB2 && p->n >= 4;
}

static void forward(const struct omq_view_spec *v, int level, int a, omq_real *x, omq_real last,
                    omq_real *tmp)
{
    struct omq_pass p = omq_pass_of(v, level, a);
    size_t end = (size_t)p.n - 1, mid = end / 2;

    for (size_t o = 0; o < p.outer; o++)
        for (size_t r = 0; r < p.rows; r++) {
            omq_real *at = x + o * p.outer_stride + r * p.row_stride;

            (long_filter(v, &p) ? db2 : haar)(&p, at, tmp);
            if (p.n % 2)
                pass_through(&p, at + end * p.stride, last, tmp + mid * p.run);
            copy_back(&p, tmp, at);
        }
}

static void inverse(const struct omq_view_spec *v, int level, int a, omq_real *x, omq_real last,
                    omq_real *tmp)
{
    struct omq_pass p = omq_pass_of(v, level, a);
    size_t end = (size_t)p.n - 1, mid = end / 2;

    for (size_t o = 0; o < p.outer; o++)
        for (size_t r = 0; r < p.rows; r++) {
            omq_real *at = x + o * p.outer_stride + r * p.row_stride;

            (long_filter(v, &p) ? db2_back : haar_back)(&p, at, tmp);
            if (p.n % 2)
                pass_through(&p, at + mid * p.stride, last, tmp + end * p.run);
            copy_back(&p, tmp, at);
        }
}

void omq_wavelet_analyse(const struct omq_view_spec *v, omq_real *x, omq_real last, omq_real *tmp)
{
    for (int l = 0; l < v->levels; l++)
        for (int a = 0; a < 4; a++)
            if (omq_wavelet_along(v, a))
                forward(v, l, a, x, last, tmp);
}

void omq_wavelet_synthesise(const struct omq_view_spec *v, omq_real *x, omq_real last,
                            omq_real *tmp)
{
    for (int l = v->levels; l-- > 0;)
        for (int a = 4; a-- > 0;)
            if (omq_wavelet_along(v, a))
                inverse(v, l, a, x, last, tmp);
}
