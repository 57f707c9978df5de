/* SPDX-License-Identifier: MIT
 *
 * conv_codes: acc[pixel][o] = start[o] + sum over the window of x * k, and its
 * epilogue. Weights of a panel, one or more blocks of 16 outputs, are unpacked
 * into scratch as [16 outputs][4 inputs] a step of the window, and stay in L1 or
 * L2 for all pixels of the call. These are taken OMQ_MR at a time, from one row,
 * image, or several: so no row is too short to fill a block. A block's sums stay
 * in registers over the whole window.
 *
 * The includer has included conv_block_template.h, and defines
 *   const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed,
 *                        void *scratch)
 *   void sum_block(const int mr, const int blocks, const struct conv_codes *t,
 *                  const struct pixels *p, const int8_t *k, int32_t *acc)
 * unpacked weights, and with them the sums of mr pixels, start included, as
 * acc[mr][blocks * 16].
 */
OMQ_INLINE void conv_block(const int mr, const int blocks, const struct conv_codes *t,
                           const struct pixels *p, const int8_t *k)
{
    _Alignas(64) int32_t acc[OMQ_MR * OUTPUTS * PANEL];

    sum_block(mr, blocks, t, p, k, acc);
    finish(t, mr, blocks, p, acc);
}

OMQ_INLINE void conv_panel(const int blocks, const struct conv_codes *t, const int8_t *k)
{
    const struct omq_conv_io *io = t->io;
    struct place at = {0, 0, 0};
    struct pixels p;

    for (ptrdiff_t left = (ptrdiff_t)io->n * io->oh * io->ow; left > 0;) {
        const int mr = block_of(left);

        take_pixels(io, mr, &at, &p);
        OMQ_BLOCK_OF(mr, conv_block, blocks, t, &p, k)
        left -= mr;
    }
}

static void conv_codes(const struct omq_conv_shape *s, const struct omq_conv_io *io, void *scratch)
{
    const ptrdiff_t steps = (s->run + INPUTS - 1) / INPUTS, all = s->n_runs * steps;
    const ptrdiff_t packed = all * s->w_bits * (ptrdiff_t)sizeof(uint64_t);
    struct conv_codes t = {.s = s, .io = io, .steps = steps, .k_bytes = all * BLOCK};
    const uint8_t *w = io->w;

    while (t.first < s->oc) {
        const int left = (s->oc - t.first + OUTPUTS - 1) / OUTPUTS, n = left < PANEL ? left : PANEL;
        const int8_t *k = unpack(&t, n, w, omq_aligned(scratch));

        if (n == PANEL)
            conv_panel(PANEL, &t, k);
        else
            conv_panel(1, &t, k);
        t.first += n * OUTPUTS;
        w += n * packed;
    }
}
