/* SPDX-License-Identifier: MIT
 *
 * The gradient of a maximum over windows; the formula is in kern/ref/maxpool_template.h.
 */
#include "kern/x86/vec_template.h"

/* The window of one output pixel; image and dimage point to its first pixel. */
#define WINDOW_LANES(name, type, load)                                                          \
    VEC_FN void name(int rows, int columns, ptrdiff_t row, ptrdiff_t c, int lanes,              \
                     const type *image, const type *out, const float *dout, float *dimage)      \
    {                                                                                           \
        const vec top = load(lanes, out), none = vec_set(0);                                    \
        vec left = vec_load(lanes, dout);                                                       \
                                                                                                \
        for (int y = 0; y < rows; y++)                                                          \
            for (int x = 0; x < columns; x++) {                                                 \
                const ptrdiff_t at = y * row + x * c;                                           \
                const vec take = vec_if_equal(load(lanes, image + at), top, left, none);        \
                                                                                                \
                vec_store(lanes, dimage + at, vec_add(vec_load(lanes, dimage + at), take));     \
                left = vec_sub(left, take);                                                     \
            }                                                                                   \
    }

#define CODES(lanes, p) vec_codes(lanes, p, 0)
WINDOW_LANES(unpool_lanes, float, vec_load)
WINDOW_LANES(unpool_u8_lanes, uint8_t, CODES)

#define UNPOOL(op, type)                                                                       \
    void OMQ_FN(op)(const struct omq_window *g, const type *image, const type *out,            \
                    const float *dout, float *dimage)                                          \
    {                                                                                          \
        const ptrdiff_t c = g->c, row = g->w * c;                                              \
                                                                                               \
        for (int oy = 0; oy < g->oh; oy++)                                                     \
            for (int ox = 0; ox < g->ow; ox++, out += c, dout += c) {                          \
                const int y = oy * g->sh - g->ph, x = ox * g->sw - g->pw;                      \
                const int y0 = omq_clamp_int(y, 0, g->h), x0 = omq_clamp_int(x, 0, g->w);      \
                const int rows = omq_clamp_int(y + g->kh, y0, g->h) - y0;                      \
                const int columns = omq_clamp_int(x + g->kw, x0, g->w) - x0;                   \
                const ptrdiff_t at = y0 * row + x0 * c;                                        \
                                                                                               \
                FOR_VECS(c, op##_lanes(rows, columns, row, c, lanes, image + at + j, out + j,  \
                                       dout + j, dimage + at + j));                            \
            }                                                                                  \
    }

UNPOOL(unpool_u8, uint8_t)
UNPOOL(unpool, float)
