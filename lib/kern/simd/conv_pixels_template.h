/* SPDX-License-Identifier: MIT
 *
 * conv_panel() of conv_codes_template.h, OMQ_MR pixels at a time, whose sums stay
 * in registers over the whole window. They come from one row, image, or several:
 * so no row is too short to fill a block.
 *
 * The includer has included conv_places_template.h, and defines
 *   void sum_block(const int mr, const int blocks, const struct conv_codes *t,
 *                  const struct pixels *p, const int8_t *k, int32_t *acc)
 * the sums of mr pixels, start included, to acc[mr][blocks * 16].
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
