/* SPDX-License-Identifier: MIT
 *
 * The integer engine's depthwise convolution, plainly: the definition of its
 * numerics, and the order of its weights.
 */
#include <string.h>

#include "kern/kern_internal.h"
#include "kern/ref/conv_put.h"

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

void omq_dwconv_codes_ref(const struct omq_conv_shape *s, const struct omq_conv_io *io)
{
    for (int o = 0; o < s->oc; o++) {
        const int16_t *w = (const int16_t *)io->w + (size_t)(o / OUTPUTS) * pairs(s) * 2 * OUTPUTS +
                           2 * (o % OUTPUTS);

        for (int i = 0; i < io->n; i++)
            for (int oy = 0; oy < io->oh; oy++)
                for (int ox = 0; ox < io->ow; ox++) {
                    const uint8_t *x = io->x + i * io->x_image + oy * io->x_row +
                                       ox * io->x_pixel + o;
                    int32_t acc = io->start[o];

                    for (int t = 0; t < s->n_runs; t++)
                        acc += x[io->run_at[t]] * w[t / 2 * 2 * OUTPUTS + t % 2];
                    conv_put(s, io, i, oy, ox, o, acc);
                }
    }
}
