/* SPDX-License-Identifier: MIT
 *
 * Views: each width's own reading of the shared weights. Our reading of the
 * wavelet decomposition and reconstruction of arXiv 2105.01353: offsets of the
 * coarsest scale of the orthonormal Haar transform along the input channels.
 *
 * Little is left of its inverse where all other scales are 0. A level makes two
 * neighbours, s / sqrt(2) each, of every sum s; the last of an odd number has no
 * neighbour and is its sum. So channel i gets f[i] * offset[i >> levels] with
 *
 *     f[i] = sqrt(1/2)^(levels at which i has a neighbour),
 *
 * and over a group, the channels of one offset, the squares of f add up to 1.
 * (tests/unit/test_view.c has the transform itself.)
 */
#include "quant/quant.h"

#include <string.h>

#define SQRT1_2 ((omq_real)0.70710678118654752440)

struct group {
    size_t n;
    omq_real f[1 << OMQ_MAX_LEVELS];
};

/* The groups of a filter are equal, but for the last, which may be smaller. */
struct groups {
    size_t n, kk;
    struct group whole, last;
};

static size_t count(const struct omq_view_spec *v)
{
    return (size_t)v->dims[0] * (size_t)v->dims[1] * (size_t)v->dims[2] * (size_t)v->dims[3];
}

/* Of n channels; before level l there are ceil(n / 2^l). */
static struct group group_of(int levels, size_t n)
{
    static const omq_real power[] = {1, SQRT1_2, (omq_real)0.5, SQRT1_2 / 2, (omq_real)0.25};
    struct group g = {.n = n};

    _Static_assert(sizeof(power) / sizeof(power[0]) == OMQ_MAX_LEVELS + 1, "a power a level");
    for (size_t i = 0; i < n; i++) {
        int neighbours = 0;

        for (int l = 0; l < levels; l++)
            neighbours += ((n - 1) >> l) % 2 == 1 || i >> l < (n - 1) >> l;
        g.f[i] = power[neighbours];
    }
    return g;
}

static struct groups groups_of(const struct omq_view_spec *v)
{
    size_t in = (size_t)v->dims[1], kk = (size_t)v->dims[2] * (size_t)v->dims[3];
    size_t size = (size_t)1 << v->levels, last = (in - 1) >> v->levels;

    if (v->levels == 0) /* groups of one channel: one group of a larger kernel */
        return (struct groups){1, in * kk, group_of(0, 1), group_of(0, 1)};
    return (struct groups){last + 1, kk, group_of(v->levels, size),
                           group_of(v->levels, in - last * size)};
}

struct omq_view_spec omq_view_of(const struct omq_quant_config *q, int bits, bool edge,
                                 const int dims[4])
{
    struct omq_view_spec v = {.levels = q->levels};

    memcpy(v.dims, dims, sizeof(v.dims));
    v.offsets = q->view == OMQ_VIEW_OFFSETS && !edge && bits != OMQ_FLOAT_BITS &&
                (!q->view_max_bits || bits <= q->view_max_bits);
    v.detach = v.offsets && q->detach;
    return v;
}

void omq_view_offset_dims(const struct omq_view_spec *v, int dims[4])
{
    memcpy(dims, v->dims, sizeof(v->dims));
    dims[1] = ((v->dims[1] - 1) >> v->levels) + 1;
}

/* ---- one group ----
 *
 * n is p->n. It and kk are numbers where loops of their own are worth it. */

static inline void add_offsets(const struct group *p, size_t n, size_t kk, const omq_real *w,
                               const omq_real *offsets, omq_real *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < kk; j++)
            dst[i * kk + j] = w[i * kk + j] + p->f[i] * offsets[j];
}

static inline void split_gradient(const struct group *p, size_t n, size_t kk, bool detach,
                                  const omq_real *ddst, omq_real *restrict dw,
                                  omq_real *restrict doffsets)
{
    for (size_t j = 0; j < kk; j++) {
        omq_real s = 0;

        for (size_t i = 0; i < n; i++)
            s += p->f[i] * ddst[i * kk + j];
        doffsets[j] += s;
        for (size_t i = 0; i < n; i++)
            dw[i * kk + j] += ddst[i * kk + j] - (detach ? p->f[i] * s : 0);
    }
}

/* ---- a layer ---- */

void omq_view_forward(const struct omq_view_spec *v, const omq_real *w, const omq_real *offsets,
                      omq_real *dst)
{
    struct groups t = groups_of(v);

    if (!v->offsets) {
        memcpy(dst, w, sizeof(*w) * count(v));
        return;
    }
    for (int o = 0; o < v->dims[0]; o++)
        for (size_t g = 1; g <= t.n; g++, offsets += t.kk) {
            const struct group *p = g < t.n ? &t.whole : &t.last;

            switch (p->n) {
            case 1: add_offsets(p, 1, t.kk, w, offsets, dst); break;
            case 2:
                if (t.kk == 1)
                    add_offsets(p, 2, 1, w, offsets, dst);
                else if (t.kk == 9)
                    add_offsets(p, 2, 9, w, offsets, dst);
                else
                    add_offsets(p, 2, t.kk, w, offsets, dst);
                break;
            default: add_offsets(p, p->n, t.kk, w, offsets, dst);
            }
            w += p->n * t.kk;
            dst += p->n * t.kk;
        }
}

void omq_view_backward(const struct omq_view_spec *v, const omq_real *ddst, omq_real *dw,
                       omq_real *doffsets)
{
    struct groups t = groups_of(v);

    for (size_t i = 0; !v->offsets && i < count(v); i++)
        dw[i] += ddst[i];
    for (int o = 0; v->offsets && o < v->dims[0]; o++)
        for (size_t g = 1; g <= t.n; g++, doffsets += t.kk) {
            const struct group *p = g < t.n ? &t.whole : &t.last;

            switch (p->n) {
            case 1: split_gradient(p, 1, t.kk, v->detach, ddst, dw, doffsets); break;
            case 2: split_gradient(p, 2, t.kk, v->detach, ddst, dw, doffsets); break;
            default: split_gradient(p, p->n, t.kk, v->detach, ddst, dw, doffsets);
            }
            ddst += p->n * t.kk;
            dw += p->n * t.kk;
        }
}
