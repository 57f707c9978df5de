/* SPDX-License-Identifier: MIT
 *
 * What the engine's convolutions share: blocks of pixels. The includer defines
 * OMQ_MR and PANEL: most pixels, and most times 16 outputs, of a block.
 */
#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { OUTPUTS = 16, INPUTS = 4, BLOCK = OUTPUTS * INPUTS };

struct conv_codes {
    const struct omq_conv_shape *s;
    const struct omq_conv_io *io;
    ptrdiff_t steps;                 /* of four inputs, in a run */
    ptrdiff_t k_bytes;               /* of the unpacked weights of 16 outputs */
    int first;                       /* output of this panel */
    const int32_t *start;            /* of its outputs, where unpack() sets it */
};

/* Some pixels of the output. */
struct pixels {
    const uint8_t *x[OMQ_MR], *res[OMQ_MR]; /* res: where there is one */
    ptrdiff_t y[OMQ_MR];
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

/* The next n pixels from a place on. */
static void take_pixels(const struct omq_conv_io *io, int n, struct place *at, struct pixels *p)
{
    for (int i = 0; i < n;) {
        const uint8_t *x = io->x + at->image * io->x_image + at->oy * io->x_row;
        ptrdiff_t y = at->image * io->y_image + at->oy * io->y_row;
        ptrdiff_t res = at->image * io->res_image + at->oy * io->res_row;
        const int in_row = io->ow - at->ox, end = in_row < n - i ? i + in_row : n;

        x += at->ox * io->x_pixel;
        y += at->ox * io->y_pixel;
        res += at->ox * io->res_pixel;
        at->ox += end - i;
        for (int r = i; io->res && r < end; r++, res += io->res_pixel)
            p->res[r] = io->res + res;
        for (; i < end; i++, x += io->x_pixel, y += io->y_pixel) {
            p->x[i] = x;
            p->y[i] = y;
        }
        if (at->ox == io->ow) {
            at->ox = 0;
            if (++at->oy == io->oh)
                at->oy = 0, at->image++;
        }
    }
}
