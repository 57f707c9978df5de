/* SPDX-License-Identifier: MIT
 *
 * conv_codes: acc[pixel][o] = start[o] + sum over the window of x * k, and its
 * epilogue. Weights of a panel, one or more blocks of 16 outputs, are unpacked
 * into scratch as [16 outputs][4 inputs] a step of the window, and stay in L1 or
 * L2 for all pixels of the call.
 *
 * The includer has included conv_places_template.h, and defines
 *   const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed,
 *                        void *scratch)
 *   (or with a t whose `start` it sets)
 * and, perhaps by conv_pixels_template.h,
 *   void conv_panel(const int blocks, const struct conv_codes *t, const int8_t *k)
 * all pixels of the outputs from t->first on.
 */
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
