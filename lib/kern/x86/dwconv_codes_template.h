/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolutions of codes: 16 channels at a time, whose weights stay in
 * registers for a row of pixels, and two taps an instruction. The includer defines
 *   SUMS, 16 sums;  PAIR, weights of two taps of 16 channels
 *   SUMS load_sums(const int32_t *p);  PAIR load_pair(const int16_t *p);
 *   SUMS add_pair(SUMS sums, __m128i a, __m128i b, PAIR k);   codes of both taps
 *   vec reals_of(SUMS sums)
 */

VEC_FN __m128i codes_at(int lanes, const uint8_t *x)
{
#ifdef __AVX512F__
    return lanes == VEC ? _mm_loadu_si128((const __m128i *)(const void *)x)
                        : _mm_maskz_loadu_epi8(vec_mask(lanes), x);
#else
    return vec_bytes(lanes, x);
#endif
}

/* Sums of a window; `pairs` is a constant where weights stay in registers. */
VEC_FN SUMS window_sums(const struct omq_conv_shape *s, const ptrdiff_t *at, int pairs, int lanes,
                        const uint8_t *x, const PAIR *k, SUMS sums)
{
    const int last = s->n_runs - 1;

    for (int t = 0; t < pairs; t++) /* of an odd number, the last has one weight of 0 */
        sums = add_pair(sums, codes_at(lanes, x + at[2 * t]),
                        codes_at(lanes, x + at[2 * t < last ? 2 * t + 1 : last]), k[t]);
    return sums;
}

/* Channels o to o + lanes - 1 of a row of pixels. */
VEC_FN void row_of_16(const struct omq_conv_shape *s, const struct omq_conv_io *io, int pairs,
                      bool res, int lanes, int o, const uint8_t *x, ptrdiff_t y_at,
                      ptrdiff_t res_at)
{
    enum { MOST = 5 };
    const int16_t *w = (const int16_t *)io->w + (size_t)(o / VEC) * (size_t)pairs * 2 * VEC;
    const vec m = vec_load(VEC, io->m + o), b = vec_load(VEC, io->b + o);
    const vec r = vec_set(io->add.r), zero = vec_set(io->add.zero);
    const vec top = vec_set((float)s->q_max);
    const SUMS start = load_sums(io->start + o);
    PAIR k[MOST];

    for (int t = 0; t < MOST && t < pairs; t++)
        k[t] = load_pair(w + 2 * VEC * t);
    for (int i = 0; i < io->ow; i++, x += io->x_pixel) {
        SUMS sums = window_sums(s, io->run_at, pairs < MOST ? pairs : MOST, lanes, x, k, start);
        vec v;

        for (int t = MOST; t < pairs; t++) {
            const PAIR more = load_pair(w + 2 * VEC * t);
            const int second = 2 * t + 1 < s->n_runs ? 2 * t + 1 : 2 * t;

            sums = add_pair(sums, codes_at(lanes, x + io->run_at[2 * t]),
                            codes_at(lanes, x + io->run_at[second]), more);
        }
        v = vec_fma(reals_of(sums), m, b);
        if (res)
            v = vec_add_codes(lanes, v, r, zero, io->res + res_at + i * io->res_pixel);
        if (s->q_max == 0)
            vec_store(lanes, (float *)io->y + y_at + i * io->y_pixel, v);
        else
            put_codes(lanes, (uint8_t *)io->y + y_at + i * io->y_pixel, v, top);
    }
}

/* Windows of 3 x 3 have their weights in registers. */
#define ROW(lanes, o)                                                                      \
    do {                                                                                   \
        if (s->n_runs == 9 && !io->res)                                                    \
            row_of_16(s, io, 5, false, lanes, o, x + (o), y + (o), 0);                     \
        else                                                                               \
            row_of_16(s, io, (s->n_runs + 1) / 2, io->res != NULL, lanes, o, x + (o), y + (o), \
                      res + (o));                                                          \
    } while (0)

static void dwconv_codes(const struct omq_conv_shape *s, const struct omq_conv_io *io)
{
    for (int i = 0; i < io->n; i++)
        for (int oy = 0; oy < io->oh; oy++) {
            const uint8_t *x = io->x + i * io->x_image + oy * io->x_row;
            const ptrdiff_t y = i * io->y_image + oy * io->y_row;
            const ptrdiff_t res = i * io->res_image + oy * io->res_row;

            FOR_VECS(s->oc, ROW(lanes, j));
        }
}
