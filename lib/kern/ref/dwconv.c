/* SPDX-License-Identifier: MIT
 *
 * The integer engine's depthwise convolution, plainly: the definition of its
 * numerics, and the order of its weights.
 */
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/ref/epilogue.h"

enum { OUTPUTS = 16 };

static size_t pairs(const struct omq_conv_shape *s) { return ((size_t)s->n_runs + 1) / 2; }

size_t omq_dwconv_packed_size(const struct omq_conv_shape *s)
{
    return ((size_t)s->oc + OUTPUTS - 1) / OUTPUTS * pairs(s) * 2 * OUTPUTS * sizeof(int16_t);
}

void omq_dwconv_pack(const struct omq_conv_shape *s, const int8_t *k, int16_t *packed,
                     int32_t *start)
{
    const int oc_pad = (s->oc + OUTPUTS - 1) / OUTPUTS * OUTPUTS;

    memset(packed, 0, omq_dwconv_packed_size(s));
    for (int o = 0; o < oc_pad; o++) {
        int16_t *to = packed + (size_t)(o / OUTPUTS) * pairs(s) * 2 * OUTPUTS + 2 * (o % OUTPUTS);
        int32_t sum = 0;

        for (int t = 0; o < s->oc && t < s->n_runs; t++) {
            const int8_t w = k[(size_t)o * (size_t)s->n_runs + (size_t)t];

            to[t / 2 * 2 * OUTPUTS + t % 2] = w;
            sum += w;
        }
        start[o] = -s->zero_point * sum;
    }
}

/* The window at x of `lanes` outputs, whose weights begin at w: side by side, so that
 * compilers vectorize it, as for AArch64 they should. */
static inline void window_sums(const struct omq_conv_shape *s, const ptrdiff_t *at, int lanes,
                               const uint8_t *restrict x, const int16_t *restrict w,
                               int32_t *restrict acc)
{
    for (int t = 0; t < s->n_runs; t++)
        for (int j = 0; j < lanes; j++)
            acc[j] += x[at[t] + j] * w[t / 2 * 2 * OUTPUTS + 2 * j + t % 2];
}

static void pixel(const struct omq_conv_shape *s, const struct omq_conv_io *io, int i, int oy,
                  int ox)
{
    const uint8_t *x = io->x + i * io->x_image + oy * io->x_row + ox * io->x_pixel;
    const int16_t *w = io->w;

    for (int o = 0; o < s->oc; o += OUTPUTS, w += pairs(s) * 2 * OUTPUTS) {
        const int left = s->oc - o;
        int32_t acc[OUTPUTS];

        memcpy(acc, io->start + o, sizeof(acc));
        if (left >= OUTPUTS)
            window_sums(s, io->run_at, OUTPUTS, x + o, w, acc);
        else
            window_sums(s, io->run_at, left, x + o, w, acc);
        for (int j = 0; j < OUTPUTS && j < left; j++)
            conv_put(s, io, i, oy, ox, o + j, acc[j]);
    }
}

void omq_dwconv_codes_ref(const struct omq_conv_shape *s, const struct omq_conv_io *io)
{
    for (int i = 0; i < io->n; i++)
        for (int oy = 0; oy < io->oh; oy++)
            for (int ox = 0; ox < io->ow; ox++)
                pixel(s, io, i, oy, ox);
}
