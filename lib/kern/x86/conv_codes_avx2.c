/* SPDX-License-Identifier: MIT
 *
 * Four ways, all exact. Two by vpmaddubsw, which adds up two products in 16 bits:
 * - BYTES: on in 16 bits for as many steps as must fit there, and then in 32: for
 *   few bits;
 * - PAIRS: in 32 bits at once. Where two weights of 8 bits are too large for that,
 *   as few of trained ones are, they are clamped, and what is left of them makes a
 *   step of its own;
 * - WORDS: by vpmaddwd, on the codes and weights of even and of odd inputs in 16
 *   bits, which is 0.6 times as fast: where many weights are too large;
 * - and where windows are 3 x 3 and there are enough of them, by minimal filtering, which
 *   has fewer products. Only BYTES of many steps are as fast.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 6
#define PANEL 1
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_template.h"

enum {
    LANES = 8, HALF = INPUTS * LANES, PANEL_BYTES = 128, REST_LEAST = 8, PIXELS_TO_SPLIT = 4,
    BYTES_STEPS = 4, FEW_STEPS = 16 /* that 16 bits hold: for BYTES, and for tiles */
};

OMQ_INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }

OMQ_INLINE void store(void *p, __m256i v) { _mm256_storeu_si256(p, v); }

/* Left to itself, GCC 12 puts the twelve sums of a block on the stack to load its
 * codes early: so a pixel's step is one piece. */
#define FOUR(x) (*(const uint8_t(*)[4])(x))
#define VECTOR(k) (*(const int8_t(*)[HALF])(k))

/* Steps of eight outputs, in groups whose sums 16 bits hold. */
struct rest {
    ptrdiff_t n, n_groups;
    int8_t *k;            /* [n][8][4] */
    ptrdiff_t *at, *end;  /* [n] as in struct panel, [n_groups] */
};

/* What unpack() makes of the weights of 16 outputs. */
struct panel {
    enum way { BYTES, PAIRS, WORDS } way;
    const int8_t *k;
    ptrdiff_t n;         /* PAIRS: steps, */
    const ptrdiff_t *at; /* [n], from a window's first code to a step's four, */
    struct rest rest[2]; /* and what was too large in those of eight outputs each */
};

/* Steps whose sums of two products 16 bits hold. */
static ptrdiff_t steps_in_16(const struct omq_conv_shape *s)
{
    const int k_max = s->midrise ? (1 << s->w_bits) - 1 : 1 << (s->w_bits - 1);

    return INT16_MAX / (2 * s->x_max * k_max);
}

/* ---- weights ---- */

/* The places of a window's steps, one after the other. */
static void list_steps(const struct conv_codes *t, ptrdiff_t *at)
{
    for (int run = 0; run < t->s->n_runs; run++)
        for (ptrdiff_t i = 0; i < t->steps; i++)
            *at++ = t->io->run_at[run] + INPUTS * i;
}

/* Sums of two weights above 0 and of two below, in 16 bits. */
struct reach {
    __m256i above, below;
};

/* The next step of r. Products of a group add up to no more than what its weights of
 * one sign do, times x_max. */
static void add_rest(struct rest *r, __m256i k, ptrdiff_t at, __m256i limit, struct reach *group)
{
    const __m256i ones = _mm256_set1_epi8(1), zero = _mm256_setzero_si256();
    const __m256i above = _mm256_maddubs_epi16(ones, _mm256_max_epi8(zero, k));
    const __m256i below = _mm256_maddubs_epi16(ones, _mm256_min_epi8(zero, k));
    const __m256i up = _mm256_add_epi16(group->above, above);
    const __m256i down = _mm256_add_epi16(group->below, below);
    const __m256i over = _mm256_or_si256(_mm256_cmpgt_epi16(up, limit),
                                         _mm256_cmpgt_epi16(_mm256_sub_epi16(zero, limit), down));

    if (r->n_groups == 0 || !_mm256_testz_si256(over, over)) {
        *group = (struct reach){above, below};
        r->n_groups++;
    } else {
        *group = (struct reach){up, down};
    }
    store(r->k + HALF * r->n, k);
    r->at[r->n++] = at;
    r->end[r->n_groups - 1] = r->n;
}

/* w->k + rest = from, where no sum of two products leaves 16 bits: two weights of
 * different signs give none larger than one of them, and two of one sign add up to
 * at most `limit`, or are clamped and leave a rest. False: there are too many. */
static bool split(const int8_t *from, int limit, struct panel *w, int8_t *k)
{
    const __m256i ones = _mm256_set1_epi8(1), most = _mm256_set1_epi16((int16_t)limit);
    const __m256i high = _mm256_set1_epi8((int8_t)(limit / 2));
    const __m256i zero = _mm256_setzero_si256(), low = _mm256_sub_epi8(zero, high);
    struct reach groups[2] = {{zero, zero}, {zero, zero}};

    for (ptrdiff_t i = 0; i < w->n; i++)
        OMQ_UNROLL for (int j = 0; j < 2; j++) {
            const __m256i v = load(from + BLOCK * i + HALF * j);
            const __m256i sums = _mm256_abs_epi16(_mm256_maddubs_epi16(ones, v));
            const __m256i over = _mm256_cmpgt_epi16(sums, most);
            __m256i safe = v;

            if (!_mm256_testz_si256(over, over)) {
                safe = _mm256_max_epi8(low, _mm256_min_epi8(high, v));
                safe = _mm256_blendv_epi8(v, safe, over);
                add_rest(&w->rest[j], _mm256_sub_epi8(v, safe), w->at[i], most, &groups[j]);
                if (w->rest[0].n + w->rest[1].n > REST_LEAST + i)
                    return false;
            }
            store(k + BLOCK * i + HALF * j, safe);
        }
    return true;
}

/* In 16 bits, of eight outputs at a time the even inputs and then the odd ones,
 * [2][2][8][2]. */
static void widen(const int8_t *from, ptrdiff_t n, int8_t *wide)
{
    for (ptrdiff_t i = 0; i < n; i += HALF) {
        const __m256i v = load(from + i);

        store(wide + 2 * i, _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8));
        store(wide + 2 * i + HALF, _mm256_srai_epi16(v, 8));
    }
}

/* A struct panel, at the beginning of scratch. */
static const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed,
                            void *scratch)
{
    const ptrdiff_t size = t->k_bytes, n = size / BLOCK;
    const ptrdiff_t pixels = (ptrdiff_t)t->io->n * t->io->oh * t->io->ow;
    struct panel *w = scratch;
    int8_t *k = (int8_t *)scratch + PANEL_BYTES;
    const int8_t *bytes = unpack_bytes(t->s, packed, k + 2 * size);
    ptrdiff_t *at = (ptrdiff_t *)(void *)(k + 3 * size);

    _Static_assert(sizeof(*w) <= PANEL_BYTES, "weights come after it");
    (void)blocks; /* one */
    *w = (struct panel){BYTES, bytes, n, at, {
        {0, 0, k + size, at + n, at + 2 * n},
        {0, 0, k + size + size / 2, at + 3 * n, at + 4 * n},
    }};
    if (steps_in_16(t->s) >= BYTES_STEPS)
        return scratch;
    if (t->first == 0)
        list_steps(t, at); /* those of all panels */
    w->way = PAIRS;
    if (steps_in_16(t->s) >= 1)
        return scratch;
    w->k = k;
    if (pixels < PIXELS_TO_SPLIT || !split(bytes, INT16_MAX / t->s->x_max, w, k)) {
        w->way = WORDS;
        widen(bytes, size, k);
    }
    return scratch;
}

/* ---- bytes ---- */

/* Not by memset(), for which GCC 12 puts the sums on the stack. */
OMQ_INLINE void clear(const int mr, __m256i (*sums)[2])
{
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++)
            sums[r][j] = _mm256_setzero_si256();
}

OMQ_INLINE void add_to_32(const int mr, __m256i (*sums)[2], int32_t *acc)
{
    const __m256i ones = _mm256_set1_epi16(1);

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++) {
            int32_t *to = acc + OUTPUTS * r + LANES * j;

            store(to, _mm256_add_epi32(load(to), _mm256_madd_epi16(sums[r][j], ones)));
        }
}

/* Adds x0 k0 + x1 k1 and x2 k2 + x3 k3 of each output. */
OMQ_INLINE void bytes_step(const uint8_t *x, __m256i k0, __m256i k1, __m256i sums[2])
{
    __m256i codes, products;

    __asm__("vpbroadcastd %4, %2\n\t"
            "vpmaddubsw %5, %2, %3\n\t"
            "vpmaddubsw %6, %2, %2\n\t"
            "vpaddw %3, %0, %0\n\t"
            "vpaddw %2, %1, %1"
            : "+x"(sums[0]), "+x"(sums[1]), "=&x"(codes), "=&x"(products)
            : "m"(FOUR(x)), "x"(k0), "x"(k1));
}

/* Some steps of a run. */
OMQ_INLINE const int8_t *add_bytes(const int mr, const struct pixels *p, ptrdiff_t at,
                                   ptrdiff_t end, const int8_t *k, __m256i (*sums)[2])
{
    for (; at < end; at += INPUTS, k += BLOCK) {
        const __m256i k0 = load(k), k1 = load(k + HALF);

        OMQ_UNROLL for (int r = 0; r < mr; r++)
            bytes_step(p->x[r] + at, k0, k1, sums[r]);
    }
    return k;
}

OMQ_INLINE void sum_bytes(const int mr, const struct conv_codes *t, const struct pixels *p,
                          const int8_t *k, int32_t *acc)
{
    const ptrdiff_t most = INPUTS * steps_in_16(t->s);
    ptrdiff_t left = most;
    __m256i sums[OMQ_MR][2];

    for (int r = 0; r < mr; r++)
        memcpy(acc + OUTPUTS * r, t->io->start + t->first, OUTPUTS * sizeof(*acc));
    clear(mr, sums);
    for (int run = 0; run < t->s->n_runs; run++) {
        ptrdiff_t at = t->io->run_at[run];
        const ptrdiff_t end = at + INPUTS * t->steps;

        while (at < end) {
            const ptrdiff_t n = end - at < left ? end - at : left;

            k = add_bytes(mr, p, at, at + n, k, sums);
            at += n, left -= n;
            if (left == 0) {
                add_to_32(mr, sums, acc);
                clear(mr, sums);
                left = most;
            }
        }
    }
    add_to_32(mr, sums, acc);
}

/* ---- sums of 32 bits ---- */

OMQ_INLINE void load_start(const int mr, const struct conv_codes *t, __m256i (*sums)[2])
{
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++)
            sums[r][j] = load(t->io->start + t->first + LANES * j);
}

OMQ_INLINE void store_sums(const int mr, int32_t *acc, __m256i (*sums)[2])
{
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < 2; j++)
            store(acc + OUTPUTS * r + LANES * j, sums[r][j]);
}

/* ---- pairs ---- */

/* Adds (x0 k0 + x1 k1) + (x2 k2 + x3 k3) of each output. */
OMQ_INLINE void pairs_step(const uint8_t *x, __m256i k0, const int8_t *k1, __m256i ones,
                           __m256i sums[2])
{
    __m256i codes, products;

    __asm__("vpbroadcastd %4, %2\n\t"
            "vpmaddubsw %5, %2, %3\n\t"
            "vpmaddubsw %6, %2, %2\n\t"
            "vpmaddwd %7, %3, %3\n\t"
            "vpmaddwd %7, %2, %2\n\t"
            "vpaddd %3, %0, %0\n\t"
            "vpaddd %2, %1, %1"
            : "+x"(sums[0]), "+x"(sums[1]), "=&x"(codes), "=&x"(products)
            : "m"(FOUR(x)), "x"(k0), "m"(VECTOR(k1)), "x"(ones));
}

/* Adds x0 k0 + x1 k1 and x2 k2 + x3 k3 of eight outputs, in 16 bits. */
OMQ_INLINE void rest_step(const uint8_t *x, __m256i k, __m256i *sums)
{
    __m256i products;

    __asm__("vpbroadcastd %2, %1\n\t"
            "vpmaddubsw %3, %1, %1\n\t"
            "vpaddw %1, %0, %0"
            : "+x"(*sums), "=&x"(products)
            : "m"(FOUR(x)), "x"(k));
}

OMQ_INLINE void sum_rest(const int mr, const int j, const struct rest *rest,
                         const struct pixels *p, __m256i (*sums)[2])
{
    const __m256i ones = _mm256_set1_epi16(1);
    ptrdiff_t i = 0;

    for (ptrdiff_t g = 0; g < rest->n_groups; g++) {
        __m256i in_16[OMQ_MR];

        OMQ_UNROLL for (int r = 0; r < mr; r++)
            in_16[r] = _mm256_setzero_si256();
        for (; i < rest->end[g]; i++) {
            const __m256i k = load(rest->k + HALF * i);
            const ptrdiff_t at = rest->at[i];

            OMQ_UNROLL for (int r = 0; r < mr; r++)
                rest_step(p->x[r] + at, k, &in_16[r]);
        }
        OMQ_UNROLL for (int r = 0; r < mr; r++)
            sums[r][j] = _mm256_add_epi32(sums[r][j], _mm256_madd_epi16(in_16[r], ones));
    }
}

OMQ_INLINE void sum_pairs(const int mr, const struct conv_codes *t, const struct panel *w,
                          const struct pixels *p, int32_t *acc)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[OMQ_MR][2];

    load_start(mr, t, sums);
    sum_rest(mr, 0, &w->rest[0], p, sums);
    sum_rest(mr, 1, &w->rest[1], p, sums);
    for (ptrdiff_t i = 0; i < w->n; i++) {
        const int8_t *k = w->k + BLOCK * i;
        const ptrdiff_t at = w->at[i];
        const __m256i k0 = load(k);

        OMQ_UNROLL for (int r = 0; r < mr; r++)
            pairs_step(p->x[r] + at, k0, k + HALF, ones, sums[r]);
    }
    store_sums(mr, acc, sums);
}

/* ---- words ---- */

/* Adds (x0 k0 + x2 k2) + (x1 k1 + x3 k3) of each output. */
OMQ_INLINE void words_step(const uint8_t *x, __m256i low, const int8_t *k, __m256i sums[2])
{
    __m256i even, odd, products;

    __asm__("vpbroadcastd %5, %3\n\t"
            "vpand %3, %6, %2\n\t"
            "vpsrlw $8, %3, %3\n\t"
            "vpmaddwd %7, %2, %4\n\t"
            "vpaddd %4, %0, %0\n\t"
            "vpmaddwd %8, %3, %4\n\t"
            "vpaddd %4, %0, %0\n\t"
            "vpmaddwd %9, %2, %2\n\t"
            "vpmaddwd %10, %3, %3\n\t"
            "vpaddd %2, %1, %1\n\t"
            "vpaddd %3, %1, %1"
            : "+x"(sums[0]), "+x"(sums[1]), "=&x"(even), "=&x"(odd), "=&x"(products)
            : "m"(FOUR(x)), "x"(low), "m"(VECTOR(k)), "m"(VECTOR(k + HALF)),
              "m"(VECTOR(k + 2 * HALF)), "m"(VECTOR(k + 3 * HALF)));
}

OMQ_INLINE void sum_words(const int mr, const struct conv_codes *t, const struct pixels *p,
                          const int8_t *k, int32_t *acc)
{
    const __m256i low = _mm256_set1_epi16(255);
    __m256i sums[OMQ_MR][2];

    load_start(mr, t, sums);
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS, k += 2 * BLOCK) {
            OMQ_UNROLL for (int r = 0; r < mr; r++)
                words_step(p->x[r] + i, low, k, sums[r]);
        }
    }
    store_sums(mr, acc, sums);
}

OMQ_INLINE void sum_block(const int mr, const int blocks, const struct conv_codes *t,
                          const struct pixels *p, const int8_t *k, int32_t *acc)
{
    const struct panel *w = (const void *)k;

    (void)blocks; /* one */
    if (w->way == BYTES)
        sum_bytes(mr, t, p, w->k, acc);
    else if (w->way == PAIRS)
        sum_pairs(mr, t, w, p, acc);
    else
        sum_words(mr, t, p, w->k, acc);
}

#include "kern/simd/conv_pixels_template.h"
#include "kern/simd/conv_codes_template.h"
#include "kern/x86/conv_codes_winograd_template.h"

void omq_conv_codes_avx2(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                         void *scratch)
{
    if (steps_in_16(s) < FEW_STEPS && by_winograd(s, io))
        conv_winograd(s, io, scratch);
    else
        conv_codes(s, io, scratch);
}
#endif
