/* SPDX-License-Identifier: MIT
 *
 * conv_codes: acc[pixel][o] = start[o] + sum over the window of x * k, and its
 * epilogue. Weights of a panel, one or more blocks of 16 outputs, are unpacked
 * into scratch as [16 outputs][4 inputs] a step of the window, and stay in L1 or
 * L2 for all pixels of the call. These are taken OMQ_MR at a time, from one row,
 * image, or several: so no row is too short to fill a block. A block's sums stay
 * in registers over the whole window.
 *
 * The includer has included conv_codes_types_template.h, and defines
 *   const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed,
 *                        void *scratch)
 *   void sum_block(const int mr, const int blocks, const struct conv_codes *t,
 *                  const struct pixels *p, const int8_t *k, int32_t *acc)
 * unpacked weights, and with them the sums of mr pixels, start included, as
 * acc[mr][blocks * 16].
 */
struct place {
    int image, oy, ox;
};

/* The next n pixels from a place on. */
static void take_pixels(const struct omq_conv_io *io, int n, struct place *at, struct pixels *p)
{
    for (int i = 0; i < n;) {
        const uint8_t *x = io->x + at->image * io->x_image + at->oy * io->x_row;
        const ptrdiff_t y = at->image * io->y_image + at->oy * io->y_row;
        const ptrdiff_t res = at->image * io->res_image + at->oy * io->res_row;

        for (; i < n && at->ox < io->ow; i++, at->ox++) {
            p->x[i] = x + at->ox * io->x_pixel;
            p->y[i] = y + at->ox * io->y_pixel;
            p->res[i] = io->res ? io->res + res + at->ox * io->res_pixel : NULL;
        }
        if (at->ox == io->ow) {
            at->ox = 0;
            if (++at->oy == io->oh)
                at->oy = 0, at->image++;
        }
    }
}

/* ---- epilogue ---- */

OMQ_INLINE vec sums_to_reals(const int32_t *acc)
{
#ifdef __AVX512F__
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(acc));
#else
    const __m256i *s = (const __m256i *)(const void *)acc;

    return (vec){_mm256_cvtepi32_ps(_mm256_loadu_si256(s)),
                 _mm256_cvtepi32_ps(_mm256_loadu_si256(s + 1))};
#endif
}

/* clamp(rint(v), 0, top), a NaN giving 0: the conversion rounds to even, and
 * makes a NaN and what is far below 0 the least integer. */
OMQ_INLINE void put_codes(int lanes, uint8_t *y, vec v, vec top)
{
    const vec low = vec_min(top, v);
#ifdef __AVX512F__
    const __m512i q = _mm512_max_epi32(_mm512_cvtps_epi32(low), _mm512_setzero_si512());
    const __m128i b = _mm512_cvtepi32_epi8(q);

    if (lanes == VEC)
        _mm_storeu_si128((__m128i *)(void *)y, b);
    else
        _mm_mask_storeu_epi8(y, vec_mask(lanes), b);
#else
    const __m256i w = _mm256_packs_epi32(_mm256_cvtps_epi32(low.lo), _mm256_cvtps_epi32(low.hi));

    vec_store_words(lanes, y, w);
#endif
}

OMQ_INLINE void finish_16(const bool res, const bool reals, const struct conv_codes *t, int mr,
                          const struct pixels *p, int o, int lanes, const int32_t *acc,
                          ptrdiff_t pitch)
{
    const struct omq_conv_io *io = t->io;
    const vec m = vec_load(VEC, io->m + o), b = vec_load(VEC, io->b + o);
    const vec r = res ? vec_load(VEC, io->r + o) : b, top = vec_set((float)t->s->q_max);

    for (int i = 0; i < mr; i++, acc += pitch) {
        vec v = res ? vec_fma(vec_codes(lanes, p->res[i] + o, 0), r, b) : b;

        v = vec_fma(sums_to_reals(acc), m, v);
        if (reals)
            vec_store(lanes, (float *)io->y + p->y[i] + o, v);
        else
            put_codes(lanes, (uint8_t *)io->y + p->y[i] + o, v, top);
    }
}

static void finish(const struct conv_codes *t, int mr, int blocks, const struct pixels *p,
                   const int32_t *acc)
{
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

/* ---- the way through the image ---- */

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
    const ptrdiff_t pixels = (ptrdiff_t)io->n * io->oh * io->ow;
    const ptrdiff_t n = (pixels + OMQ_MR - 1) / OMQ_MR;
    struct place at = {0, 0, 0};
    struct pixels p;

    for (ptrdiff_t i = 0; i < n; i++) {
        const int mr = (int)(pixels * (i + 1) / n - pixels * i / n);

        take_pixels(io, mr, &at, &p);
        OMQ_BLOCK_OF(mr, conv_block, blocks, t, &p, k)
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
