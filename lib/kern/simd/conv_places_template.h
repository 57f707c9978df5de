/* SPDX-License-Identifier: MIT
 *
 * What the engine's convolutions share: blocks of pixels. The includer defines
 * OMQ_MR and PANEL: most pixels, and most times 16 outputs, of a block.
 */
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { OUTPUTS = 16, INPUTS = 4, BLOCK = OUTPUTS * INPUTS };
/* Places of pixels, written at once. */
typedef ptrdiff_t places __attribute__((vector_size(64)));
enum { AT_ONCE = sizeof(places) / sizeof(ptrdiff_t), ROOM = OMQ_MR + AT_ONCE };

struct conv_codes {
    const struct omq_conv_shape *s;
    const struct omq_conv_io *io;
    ptrdiff_t steps;                 /* of four inputs, in a run */
    ptrdiff_t k_bytes;               /* of the unpacked weights of 16 outputs */
    int first;                       /* output of this panel */
    const int32_t *start;            /* of its outputs, where unpack() sets it */
    places x_at, y_at, res_at;       /* of pixels of a row, from the first on */
};

/* Some pixels of the output, with room for what is written beyond them. Those of y
 * and of the residual, if there is one, are y_first + y[i] and so on. */
struct pixels {
    const uint8_t *x[ROOM];
    ptrdiff_t y_first, res_first, y[ROOM], res[ROOM];
};

/* conv_bits: the bits of such pixels. Planes and runs lie `plane` and `run` bytes apart. */
struct bits {
    const uint8_t *x[OMQ_MR]; /* plane 0 of a pixel's first run */
    ptrdiff_t run, plane;
    int32_t sum[OMQ_MR];      /* (2^w_bits - 1) * sum of x */
    int32_t *counts;
};

struct place {
    int image, oy, ox;
};

/* Pixels of the next block: all there can be, but the last two share what is left. */
static inline int block_of(ptrdiff_t left)
{
    return (int)(left >= 2 * OMQ_MR || left == OMQ_MR ? OMQ_MR
                 : left > OMQ_MR ? (left + 1) / 2 : left);
}

static struct conv_codes conv_codes_of(const struct omq_conv_shape *s,
                                       const struct omq_conv_io *io, ptrdiff_t steps)
{
    struct conv_codes t = {.s = s, .io = io, .steps = steps};

    for (int i = 0; i < AT_ONCE; i++) {
        t.x_at[i] = i * io->x_pixel;
        t.y_at[i] = i * io->y_pixel;
        t.res_at[i] = i * io->res_pixel;
    }
    return t;
}

OMQ_INLINE void put_places(void *to, const places *at, ptrdiff_t from)
{
    const places moved = *at + from;

    memcpy(to, &moved, sizeof(moved));
}

/* The next n pixels from a place on. */
static inline void take_pixels(const struct conv_codes *t, int n, struct place *at,
                               struct pixels *p)
{
    const struct omq_conv_io *io = t->io;

    p->y_first = p->res_first = 0;
    for (int i = 0; i < n;) {
        const uint8_t *x = io->x + at->image * io->x_image + at->oy * io->x_row;
        ptrdiff_t y = at->image * io->y_image + at->oy * io->y_row;
        ptrdiff_t res = at->image * io->res_image + at->oy * io->res_row;
        const int in_row = io->ow - at->ox, end = in_row < n - i ? i + in_row : n;

        x += at->ox * io->x_pixel;
        y += at->ox * io->y_pixel;
        res += at->ox * io->res_pixel;
        at->ox += end - i;
        for (; i < end; i += AT_ONCE) {
            put_places(p->x + i, &t->x_at, (intptr_t)x);
            put_places(p->y + i, &t->y_at, y);
            put_places(p->res + i, &t->res_at, res);
            x += io->x_pixel * AT_ONCE;
            y += io->y_pixel * AT_ONCE;
            res += io->res_pixel * AT_ONCE;
        }
        i = end;
        if (at->ox == io->ow) {
            at->ox = 0;
            if (++at->oy == io->oh)
                at->oy = 0, at->image++;
        }
    }
}
