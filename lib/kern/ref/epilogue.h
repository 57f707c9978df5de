/* SPDX-License-Identifier: MIT
 *
 * Epilogues, plainly: values of sums, and outputs of the engine's convolutions.
 */
#ifndef OMQ_KERN_REF_EPILOGUE_H
#define OMQ_KERN_REF_EPILOGUE_H

#include "kern/kern.h"

/* A convolution's part in a sum, before it is rounded; a NaN stays one. */
static inline omq_real omq_part(omq_real c)
{
    return c < OMQ_PART_MIN ? OMQ_PART_MIN : c > OMQ_PART_MAX ? OMQ_PART_MAX : c;
}

/* v of a sum. */
static inline omq_real omq_add_codes(omq_real c, struct omq_addend add, uint8_t res)
{
    return fma((omq_real)res, add.r, rint(omq_part(c)) + add.zero);
}

/* Output o of pixel (oy, ox) of image i, from its sum. */
static inline void conv_put(const struct omq_conv_shape *s, const struct omq_conv_io *io, int i,
                            int oy, int ox, int o, int32_t acc)
{
    const ptrdiff_t y = i * io->y_image + oy * io->y_row + ox * io->y_pixel + o;
    const ptrdiff_t res = i * io->res_image + oy * io->res_row + ox * io->res_pixel + o;
    const omq_real c = fma((omq_real)acc, io->m[o], io->b[o]);
    const omq_real v = io->res ? omq_add_codes(c, io->add, io->res[res]) : c, q = rint(v);

    if (s->q_max == 0)
        ((omq_real *)io->y)[y] = v;
    else
        ((uint8_t *)io->y)[y] =
            (uint8_t)(q > 0 ? q < (omq_real)s->q_max ? q : (omq_real)s->q_max : 0);
}

#endif
