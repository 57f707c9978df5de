/* SPDX-License-Identifier: MIT
 *
 * The epilogue of a block of pixels. The includer has included
 * conv_places_template.h, and defines
 *   void finish_16(const bool res, const bool reals, const struct conv_codes *t, int mr,
 *                  const struct pixels *p, int o, int lanes, const int32_t *acc,
 *                  ptrdiff_t pitch)
 * y of `lanes` outputs from o on, of mr pixels whose sums lie `pitch` apart. It may
 * define FINISH_32, and
 *   void finish_32(const bool res, const struct conv_codes *t, int mr,
 *                  const struct pixels *p, const int32_t *acc)
 * y, as codes, of the 32 outputs from t->first on.
 */
static void finish(const struct conv_codes *t, int mr, int blocks, const struct pixels *p,
                   const int32_t *acc)
{
#ifdef FINISH_32
    if (t->s->q_max && blocks == 2 && t->s->oc - t->first >= 2 * OUTPUTS) {
        t->io->res ? finish_32(true, t, mr, p, acc) : finish_32(false, t, mr, p, acc);
        return;
    }
#endif
    for (int j = 0; j < blocks; j++) {
        const int o = t->first + OUTPUTS * j, left = t->s->oc - o;
        const int lanes = left < OUTPUTS ? left : OUTPUTS;
        const int32_t *a = acc + OUTPUTS * j;
        const ptrdiff_t pitch = (ptrdiff_t)OUTPUTS * blocks;

        if (t->s->q_max == 0)
            t->io->res ? finish_16(true, true, t, mr, p, o, lanes, a, pitch)
                       : finish_16(false, true, t, mr, p, o, lanes, a, pitch);
        else
            t->io->res ? finish_16(true, false, t, mr, p, o, lanes, a, pitch)
                       : finish_16(false, false, t, mr, p, o, lanes, a, pitch);
    }
}
