/* SPDX-License-Identifier: MIT
 *
 * conv_bits: acc[pixel][o] = start[o] + 2 * count - (2^w_bits - 1) * sum of x,
 * where count = sum over planes of 2^(p+q) * count(x_q & j_p), as in
 * ref/conv_bits.c, and the epilogue. The codes of a block of pixels are packed
 * to bits once, for all outputs: pixels that lie together in a row share what
 * their windows have in common.
 *
 * The includer has included conv_places_template.h, PANEL being 1, and defines
 *   void pack_x(const uint8_t *x, ptrdiff_t n, int q, uint8_t *bits)
 * plane q of n codes, a multiple of 64; and
 *   void sum_bits(const int mr, const int w_bits, const int x_bits,
 *                 const struct conv_codes *t, const struct bits *b, const uint8_t *w,
 *                 int32_t *acc)
 * acc[mr][16] of the outputs from t->first on; w is [n_runs][run / 32][w_bits][16],
 * words of 32 bits.
 */

OMQ_INLINE int x_bits(const struct omq_conv_shape *s) { return s->x_max == 1 ? 1 : 2; }

/* How many pixels from i on, before n, overlap, each from the beginning of a word
 * of 64 bits on. */
static int overlapping(const struct conv_codes *t, const struct pixels *p, int i, int n)
{
    int end = i + 1;

    if (t->io->x_pixel % 64 == 0 && t->io->x_pixel < t->s->run)
        while (end < n && p->x[end] - p->x[end - 1] == t->io->x_pixel)
            end++;
    return end - i;
}

/* counts[word] = sum of the codes behind it, of all runs. */
static void count_words(const struct omq_conv_shape *s, const struct bits *b, const uint8_t *bits,
                        ptrdiff_t words, int32_t *counts)
{
    memset(counts, 0, sizeof(*counts) * (size_t)words);
    for (int q = 0; q < x_bits(s); q++)
        for (int r = 0; r < s->n_runs; r++)
            for (ptrdiff_t i = 0; i < words; i++) {
                unsigned long long word;

                memcpy(&word, bits + q * b->plane + r * b->run + 8 * i, sizeof(word));
                counts[i] += __builtin_popcountll(word) << q;
            }
}

/* m pixels from i on that overlap, to bits. */
static ptrdiff_t pack_pixels(const struct conv_codes *t, const struct pixels *p, int i, int m,
                             uint8_t *to, struct bits *b)
{
    const struct omq_conv_shape *s = t->s;
    const ptrdiff_t next = t->io->x_pixel, codes = (m - 1) * next + s->run;

    for (int q = 0; q < x_bits(s); q++)
        for (int r = 0; r < s->n_runs; r++)
            pack_x(p->x[i] + t->io->run_at[r], codes, q, to + q * b->plane + r * b->run);
    count_words(s, b, to, codes / 64, b->counts);
    for (int j = 0; j < m; j++) {
        int32_t sum = 0;

        for (ptrdiff_t w = 0; w < s->run / 64; w++)
            sum += b->counts[j * next / 64 + w];
        b->sum[i + j] = ((1 << s->w_bits) - 1) * sum;
        b->x[i + j] = to + j * next / 8;
    }
    return codes / 8;
}

static void pack_block(const struct conv_codes *t, const struct pixels *p, int n, void *scratch,
                       struct bits *b)
{
    uint8_t *to = scratch;

    b->run = (ptrdiff_t)n * t->s->run / 8;
    b->plane = b->run * t->s->n_runs;
    b->counts = (int32_t *)(void *)(to + x_bits(t->s) * b->plane);
    for (int i = 0; i < n;) {
        const int m = overlapping(t, p, i, n);

        to += pack_pixels(t, p, i, m, to, b);
        i += m;
    }
}

OMQ_INLINE void bits_block(const int mr, const int w_bits, const int x_bits, struct conv_codes *t,
                           const struct pixels *p, const struct bits *b)
{
    const ptrdiff_t group = t->k_bytes;
    const uint8_t *w = t->io->w;

    for (t->first = 0; t->first < t->s->oc; t->first += OUTPUTS, w += group) {
        _Alignas(64) int32_t acc[OMQ_MR * OUTPUTS];

        sum_bits(mr, w_bits, x_bits, t, b, w, acc);
        finish(t, mr, 1, p, acc);
    }
}

static void bits_block_of(int mr, struct conv_codes *t, const struct pixels *p,
                          const struct bits *b)
{
    if (t->s->w_bits == 2)
        OMQ_BLOCK_OF(mr, bits_block, 2, 1, t, p, b)
    else if (x_bits(t->s) == 2)
        OMQ_BLOCK_OF(mr, bits_block, 1, 2, t, p, b)
    else
        OMQ_BLOCK_OF(mr, bits_block, 1, 1, t, p, b)
}

static void conv_bits(const struct omq_conv_shape *s, const struct omq_conv_io *io, void *scratch)
{
    struct conv_codes t = {.s = s, .io = io, .steps = s->run / 32};
    struct place at = {0, 0, 0};

    t.k_bytes = s->n_runs * t.steps * s->w_bits * BLOCK;
    for (ptrdiff_t left = (ptrdiff_t)io->n * io->oh * io->ow; left > 0;) {
        const int mr = block_of(left);
        struct pixels p;
        struct bits b;

        take_pixels(io, mr, &at, &p);
        pack_block(&t, &p, mr, omq_aligned(scratch), &b);
        bits_block_of(mr, &t, &p, &b);
        left -= mr;
    }
}
