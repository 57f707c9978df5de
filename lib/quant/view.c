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

#include "kern/kern.h"

#define SQRT1_2 ((omq_real)0.70710678118654752440)

struct group {
    size_t n;
    omq_real f[1 << OMQ_MAX_LEVELS];
};

/* The groups of a filter are equal, and every channel of theirs has one f; but for one of
 * the channels that are left, if there are any. */
struct groups {
    size_t n_whole, kk;
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
    const size_t in = (size_t)v->dims[1], kk = (size_t)v->dims[2] * (size_t)v->dims[3];
    const size_t size = (size_t)1 << v->levels;

    if (v->levels == 0) /* groups of one channel: one group of a larger kernel */
        return (struct groups){1, in * kk, group_of(0, 1), group_of(0, 0)};
    return (struct groups){in / size, kk, group_of(v->levels, size),
                           group_of(v->levels, in % size)};
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

/* ---- one group ---- */

/* Of channels with different f. */
static void add_offsets(const struct group *p, size_t kk, const omq_real *w,
                        const omq_real *offsets, omq_real *dst)
{
    for (size_t i = 0; i < p->n; i++, w += kk, dst += kk)
        omq_kern()->add_offsets(1, 1, kk, w, p->f[i], offsets, dst);
}

/* n is p->n, a number where a loop of its own is worth it. */
static inline void split_some(const struct group *p, size_t n, size_t kk, bool detach,
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

static void split_gradient(const struct group *p, size_t kk, bool detach, const omq_real *ddst,
                           omq_real *dw, omq_real *doffsets)
{
    switch (p->n) {
    case 1: split_some(p, 1, kk, detach, ddst, dw, doffsets); break;
    case 2: split_some(p, 2, kk, detach, ddst, dw, doffsets); break;
    default: split_some(p, p->n, kk, detach, ddst, dw, doffsets);
    }
}

/* ---- a layer ---- */

void omq_view_forward(const struct omq_view_spec *v, const omq_real *w, const omq_real *offsets,
                      omq_real *dst)
{
    const struct groups t = groups_of(v);
    const size_t whole = t.n_whole * t.whole.n * t.kk;

    if (!v->offsets) {
        memcpy(dst, w, sizeof(*w) * count(v));
        return;
    }
    for (int o = 0; o < v->dims[0]; o++) {
        omq_kern()->add_offsets(t.n_whole, t.whole.n, t.kk, w, t.whole.f[0], offsets, dst);
        w += whole, dst += whole, offsets += t.n_whole * t.kk;
        if (t.last.n > 0) {
            add_offsets(&t.last, t.kk, w, offsets, dst);
            w += t.last.n * t.kk, dst += t.last.n * t.kk, offsets += t.kk;
        }
    }
}

void omq_view_backward(const struct omq_view_spec *v, const omq_real *ddst, omq_real *dw,
                       omq_real *doffsets)
{
    const struct groups t = groups_of(v);

    for (size_t i = 0; !v->offsets && i < count(v); i++)
        dw[i] += ddst[i];
    for (int o = 0; v->offsets && o < v->dims[0]; o++)
        for (size_t g = 0; g < t.n_whole + (t.last.n > 0); g++, doffsets += t.kk) {
            const struct group *p = g < t.n_whole ? &t.whole : &t.last;

            split_gradient(p, t.kk, v->detach, ddst, dw, doffsets);
            ddst += p->n * t.kk;
            dw += p->n * t.kk;
        }
}
