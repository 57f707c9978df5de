/* SPDX-License-Identifier: MIT
 *
 * conv_bits where counts are added up in bytes, plane by plane of weights and of codes.
 * The includer defines what conv_bits_template.h asks for but sum_bits(), STEPS_IN_8,
 * how many steps of 32 inputs a byte can count, and
 *   void add_steps(const int mr, const struct bits *b, ptrdiff_t at, ptrdiff_t end,
 *                  const uint8_t *w, ptrdiff_t next, int shift, int32_t *acc)
 * acc[mr][16] += counts << shift, of bytes [at, end) of the planes of x, at most so many
 * steps, whose words of w are `next` bytes apart.
 */
OMQ_INLINE void add_planes(const int mr, const struct conv_codes *t, const struct bits *b,
                           const uint8_t *w, int p, int q, int32_t *acc)
{
    const ptrdiff_t next = t->s->w_bits * BLOCK;

    w += p * BLOCK;
    for (int run = 0; run < t->s->n_runs; run++)
        for (ptrdiff_t i = 0; i < t->steps; i += STEPS_IN_8) {
            const ptrdiff_t n = t->steps - i < STEPS_IN_8 ? t->steps - i : STEPS_IN_8;
            const ptrdiff_t at = q * b->plane + run * b->run + 4 * i;

            add_steps(mr, b, at, at + 4 * n, w, next, p + q + 1, acc);
            w += n * next;
        }
}

OMQ_INLINE void sum_bits(const int mr, const int w_bits, const int x_bits,
                         const struct conv_codes *t, const struct bits *b, const uint8_t *w,
                         int32_t *acc)
{
    for (int r = 0; r < mr; r++)
        for (int o = 0; o < OUTPUTS; o++)
            acc[OUTPUTS * r + o] = t->io->start[t->first + o] - b->sum[r];
    for (int p = 0; p < w_bits; p++)
        for (int q = 0; q < x_bits; q++)
            add_planes(mr, t, b, w, p, q, acc);
}

#include "kern/simd/conv_bits_template.h"
