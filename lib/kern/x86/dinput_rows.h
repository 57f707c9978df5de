/* SPDX-License-Identifier: MIT
 *
 * Where the kernels of the input's gradient of direct convolutions read: which taps a
 * pixel of x sees, and where its dy lies. Weights are in groups of 16 channels.
 */
#ifndef OMQ_KERN_X86_DINPUT_ROWS_H
#define OMQ_KERN_X86_DINPUT_ROWS_H

#include "kern/kern_internal.h"

enum { GROUP = 16 };

/* Rows of dy with zeros on either side: of one image, as far as any pixel of x sees. */
struct dy_tile {
    int left, cols;
};

static inline struct dy_tile dy_tile_of(const struct omq_window *g)
{
    const int left = (g->kw - 1 - g->pw) / g->sw;

    return (struct dy_tile){left, left + (g->w - 1 + g->pw) / g->sw + 1};
}

/* The pixels of x with (y + ph) % sh = ky and (x + pw) % sw = kx. They see the same
 * taps, and successive ones see successive pixels of dy; taps that follow one another
 * in w, to the left, see pixels that follow one another to the right. */
struct residue {
    int ky, kx;        /* the first taps */
    int taps, joined;  /* in a row of the window; how many follow in w, too */
    int last;          /* the column of the last of them, as w has them */
    int y0, x0;        /* the first pixel */
    int pixels;        /* of a row */
    int col;           /* in the tile, where its last tap sees dy */
};

static inline struct residue residue_of(const struct omq_window *g, const struct dy_tile *d,
                                        int ky, int kx)
{
    struct residue r = {.ky = ky, .kx = kx};

    r.taps = (g->kw - kx + g->sw - 1) / g->sw; /* of stride > kernel, some have 0 */
    r.joined = g->sw == 1 ? r.taps : 1;
    r.last = g->kw - 1 - kx - (r.taps - 1) * g->sw;
    r.y0 = (ky + (g->ph / g->sh + 1) * g->sh - g->ph) % g->sh;
    r.x0 = (kx + (g->pw / g->sw + 1) * g->sw - g->pw) % g->sw;
    r.pixels = (g->w - r.x0 + g->sw - 1) / g->sw;
    r.col = (r.x0 + g->pw - kx) / g->sw + d->left - (r.taps - 1);
    return r;
}

/* Rows of taps [begin, end), a stride apart, that see dy from row y of x: the first of
 * them row oy, each later one the row above. */
struct seen {
    int begin, end, oy;
};

static inline struct seen seen_from(const struct omq_window *g, const struct residue *r, int y)
{
    const int first = (y + g->ph - r->ky) / g->sh;
    const int below = first - (g->oh - 1) > 0 ? first - (g->oh - 1) : 0;
    const int end = r->ky + (first + 1) * g->sh;

    return (struct seen){r->ky + below * g->sh, end < g->kh ? end : g->kh, first - below};
}

#endif
