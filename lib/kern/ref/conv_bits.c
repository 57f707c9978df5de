/* SPDX-License-Identifier: MIT
 *
 * The convolution of few bits by counting: with codes x = sum of 2^q x_q and
 * weights k = 2j - (2^w_bits - 1), j = sum of 2^p j_p, planes x_q and j_p of bits,
 *   sum of x k = 2 sum of 2^(p+q) count(x_q & j_p) - (2^w_bits - 1) sum of x.
 */
#include <string.h>

#include "base/bytes.h"
#include "kern/kern_internal.h"
#include "kern/ref/epilogue.h"

enum { OUTPUTS = 16, INPUTS = 32, WORD = 4 }; /* bytes of a plane of an output */

static int x_bits(const struct omq_conv_shape *s)
{
    return s->x_max == 1 ? 1 : 2;
}

bool omq_conv_bits_serve(const struct omq_conv_shape *s)
{
    return s->midrise && s->zero_point == 0 && s->run % 64 == 0 &&
           (s->x_max == 1 || s->x_max == 3) && s->w_bits * x_bits(s) <= 2;
}

/* Where the first plane of the 32 inputs from i on of output o is; the next is
 * OUTPUTS words behind it. */
static size_t word_at(const struct omq_conv_shape *s, int o, size_t i)
{
    const size_t steps = (size_t)s->n_runs * (size_t)s->run / INPUTS, planes = (size_t)s->w_bits;
    const size_t group = (size_t)o / OUTPUTS, lane = (size_t)o % OUTPUTS;

    return WORD * (((group * steps + i / INPUTS) * planes) * OUTPUTS + lane);
}

void omq_pack_bits_ref(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                       int32_t *start)
{
    const size_t filter = (size_t)s->n_runs * (size_t)s->run;

    memset(packed, 0, omq_conv_packed_size(s));
    memset(start, 0, ((size_t)s->oc + OUTPUTS - 1) / OUTPUTS * OUTPUTS * sizeof(*start));
    for (int o = 0; o < s->oc; o++, k += filter)
        for (size_t i = 0; i < filter; i += INPUTS)
            for (int p = 0; p < s->w_bits; p++) {
                uint32_t word = 0;

                for (int b = 0; b < INPUTS; b++)
                    word |= (uint32_t)((k[i + (size_t)b] + (1 << s->w_bits) - 1) / 2 >> p & 1) << b;
                omq_put_le32((uint8_t *)packed + word_at(s, o, i) + WORD * OUTPUTS * (size_t)p,
                             word);
            }
}

/* Planes of a window, [n_runs * run / 32][x_bits], and the sum of its codes. */
static int32_t window_bits(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                           const uint8_t *x, uint32_t *bits)
{
    const int planes = x_bits(s);
    int32_t sum = 0;

    for (int r = 0; r < s->n_runs; r++)
        for (int i = 0; i < s->run; i++) {
            const int code = x[io->run_at[r] + i];

            if (i % INPUTS == 0 && (r > 0 || i > 0))
                bits += planes;
            for (int q = 0; q < planes; q++)
                bits[q] = (i % INPUTS == 0 ? 0 : bits[q]) |
                          (uint32_t)(code >> q & 1) << i % INPUTS;
            sum += code;
        }
    return sum;
}

static int count(uint32_t x)
{
    int n = 0;

    for (; x; x &= x - 1)
        n++;
    return n;
}

static int32_t weighted_count(const struct omq_conv_shape *s, const uint8_t *w,
                              const uint32_t *bits, int o)
{
    const size_t filter = (size_t)s->n_runs * (size_t)s->run;
    int32_t n = 0;

    for (size_t i = 0; i < filter; i += INPUTS, bits += x_bits(s))
        for (int p = 0; p < s->w_bits; p++)
            for (int q = 0; q < x_bits(s); q++)
                n += count(bits[q] & omq_get_le32(w + word_at(s, o, i) +
                                                  WORD * OUTPUTS * (size_t)p)) << (p + q);
    return n;
}

void omq_conv_bits_ref(const struct omq_conv_shape *s, const struct omq_conv_io *io, void *scratch)
{
    uint32_t *bits = omq_aligned(scratch);

    for (int i = 0; i < io->n; i++)
        for (int oy = 0; oy < io->oh; oy++)
            for (int ox = 0; ox < io->ow; ox++) {
                const uint8_t *x = io->x + i * io->x_image + oy * io->x_row + ox * io->x_pixel;
                const int32_t sum = ((1 << s->w_bits) - 1) * window_bits(s, io, x, bits);

                for (int o = 0; o < s->oc; o++)
                    conv_put(s, io, i, oy, ox, o,
                             io->start[o] + 2 * weighted_count(s, io->w, bits, o) - sum);
            }
}
