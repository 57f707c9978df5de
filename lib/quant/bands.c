/* SPDX-License-Identifier: MIT
 *
 * View `bands`: the coefficients of one Haar level are quantized, with one step
 * for all of them (tied), and the codes reconstructed in integers, exactly.
 * What is stored is a code a coefficient; what is multiplied with is
 *
 *     [lo + hi, lo - hi] a pair of channels, for each axis,
 *
 * in units of sqrt(1/2) of the coefficients' an axis. Mid-rise codes are odd,
 * so that their sums are even: halved, in units twice as large. More distinct
 * values at the same stored bits, and int8 up to 7 bits (6 with two axes).
 *
 * An odd last channel w has no partner. It is stored as w * sqrt(1/2) and its
 * difference taken to be its sum, so that its code is 2 lo: an even number as
 * the others' sums, of their range. (As it is, it would be sqrt(2) of an
 * integer; with a partner of its own value it would reach half as far.)
 */
#include "quant/quant_internal.h"

#include <string.h>

#define SQRT1_2 ((omq_real)0.70710678118654752440)
#define SQRT2 ((omq_real)1.41421356237309504880)

enum { INT8_LARGEST = 127 };

static int axes(const struct omq_view_spec *v)
{
    return v->axis == OMQ_AXIS_BOTH || v->axis == OMQ_AXIS_KERNEL ? 2 : 1;
}

static int largest_code(const struct omq_view_spec *v, const struct omq_grid *g)
{
    return (g->k_max << axes(v)) >> (g->midrise ? 1 : 0);
}

bool omq_bands_fit(const struct omq_view_spec *v, const struct omq_grid *g)
{
    return largest_code(v, g) <= INT8_LARGEST;
}

int omq_view_k_max(const struct omq_view_spec *v, const struct omq_grid *g)
{
    int k_max = -g->k_min > g->k_max ? -g->k_min : g->k_max; /* two's complement */

    return v->bands ? largest_code(v, g) : k_max;
}

omq_real omq_view_unit(const struct omq_view_spec *v, const struct omq_grid *g, omq_real step)
{
    if (!v->bands)
        return omq_grid_unit(g, step);
    return axes(v) == 1 ? step * SQRT1_2 : step / 2; /* twice the unit of a mid-rise grid */
}

int omq_view_steps(const struct omq_view_spec *v, enum omq_steps steps)
{
    if (v->bands && omq_wavelet_along(v, 0)) /* filters that are mixed share their step */
        return 1;
    return steps == OMQ_STEPS_CHANNEL ? v->dims[0] : 1;
}

/* ---- integers ---- */

/* One axis of one bundle of lines, to y; sums shifted right by `half`. */
static void add_up(const struct omq_pass *p, const int8_t *x, int half, int8_t *y)
{
    size_t n_hi = (size_t)p->n / 2, n_lo = (size_t)p->n - n_hi;

    for (size_t i = 0; i < n_lo; i++) {
        const int8_t *lo = x + i * p->stride, *hi = i < n_hi ? x + (n_lo + i) * p->stride : lo;
        int8_t *a = y + 2 * i * p->stride, *b = a + p->stride;

        for (size_t j = 0; j < p->run; j++)
            a[j] = (int8_t)((lo[j] + hi[j]) >> half);
        for (size_t j = 0; i < n_hi && j < p->run; j++)
            b[j] = (int8_t)((lo[j] - hi[j]) >> half);
    }
}

const int8_t *omq_view_codes(const struct omq_view_spec *v, const struct omq_grid *g,
                             const int8_t *k, int8_t *scratch)
{
    size_t n = omq_view_count(v->dims);
    int half = g->midrise ? 1 : 0;

    for (int a = 0; v->bands && a < 4; a++) {
        struct omq_pass p = omq_pass_of(v, 0, a);

        if (!omq_wavelet_along(v, a))
            continue;
        for (size_t o = 0; o < p.outer; o++)
            for (size_t r = 0; r < p.rows; r++) {
                size_t at = o * p.outer_stride + r * p.row_stride;

                add_up(&p, k + at, half, scratch + at);
            }
        k = scratch;
        scratch += n;
        half = 0; /* halved in the first axis: nothing on the way leaves int8 */
    }
    return k;
}

/* ---- reals ---- */

void omq_bands_forward(const struct omq_view_spec *v, omq_real *x, omq_real *tmp)
{
    struct omq_view_spec b = omq_view_block(v);

    for (int o = 0; o < v->dims[0]; o += b.dims[0], x += omq_view_count(b.dims))
        omq_wavelet_analyse(&b, x, SQRT1_2, tmp);
}

void omq_bands_backward(const struct omq_view_spec *v, const omq_real *dx, omq_real *dw,
                        omq_real *scratch)
{
    struct omq_view_spec b = omq_view_block(v);
    size_t n = omq_view_count(b.dims);

    for (int o = 0; o < v->dims[0]; o += b.dims[0], dx += n, dw += n) {
        memcpy(scratch, dx, sizeof(*dx) * n);
        omq_wavelet_synthesise(&b, scratch, SQRT1_2, scratch + n);
        for (size_t i = 0; i < n; i++)
            dw[i] += scratch[i];
    }
}

void omq_view_codes_backward(const struct omq_view_spec *v, omq_real *dq, omq_real *scratch)
{
    struct omq_view_spec b = omq_view_block(v);

    for (int o = 0; v->bands && o < v->dims[0]; o += b.dims[0], dq += omq_view_count(b.dims))
        omq_wavelet_analyse(&b, dq, SQRT2, scratch);
}
