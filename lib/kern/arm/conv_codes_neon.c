/* SPDX-License-Identifier: MIT
 *
 * Two ways, both exact:
 * - smlal of bytes, whose products are added up in 16 bits for as many steps as
 *   must fit there, and then in 32: for few bits;
 * - smlal of 16 bits, which is half as fast.
 */
#include "base/real.h"

#if defined(__AARCH64EL__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#ifndef __ARM_NEON
#error "compile this file for AArch64 with NEON, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 3 /* by eight vectors of sums in 16 bits */
#define PANEL 1
#include "kern/arm/conv_epilogue_template.h"
#include "kern/arm/unpack_planes_template.h"

enum { START = OUTPUTS * sizeof(int32_t), LEAST_STEPS = 4, PARTS = 2 * VECS };

/* Steps whose products, one a step in each sum, 16 bits hold. */
static ptrdiff_t steps_in_16(const struct omq_conv_shape *s)
{
    const int k_max = s->midrise ? (1 << s->w_bits) - 1 : 1 << (s->w_bits - 1);

    return INT16_MAX / ((shifts(s) ? 128 : s->x_max) * k_max);
}

static bool in_16(const struct omq_conv_shape *s)
{
    return steps_in_16(s) >= LEAST_STEPS;
}

/* [16][4] in bytes; or, in 16 bits, [4][16]. */
static const int8_t *unpack(struct conv_codes *t, int blocks, const uint8_t *packed, void *scratch)
{
    int8_t *const wide = (int8_t *)scratch + START;
    const int8_t *k = unpack_bytes(t->s, packed, wide + 2 * t->k_bytes);

    (void)blocks; /* one */
    t->start = t->io->start + t->first;
    if (in_16(t->s)) {
        t->start = start_of(t, k, scratch);
        return k;
    }
    for (ptrdiff_t i = 0; i < t->k_bytes; i += BLOCK) {
        const int8x16x4_t v = vld4q_s8(k + i);

        for (int e = 0; e < INPUTS; e++) {
            int16_t *to = (int16_t *)(void *)(wide + 2 * i) + OUTPUTS * e;

            vst1q_s16(to, vmovl_s8(vget_low_s8(v.val[e])));
            vst1q_s16(to + OUTPUTS / 2, vmovl_high_s8(v.val[e]));
        }
    }
    return wide;
}

/* ---- bytes ---- */

/* sums[2j] are of outputs 4j and 4j + 1, four sums each, sums[2j + 1] of the next. */
OMQ_INLINE void add_to_32(const int mr, int16x8_t (*sums)[PARTS], int32_t *acc)
{
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++) {
            int32_t *to = acc + OUTPUTS * r + LANES * j;
            const int32x4_t n = vpaddq_s32(vpaddlq_s16(sums[r][2 * j]),
                                           vpaddlq_s16(sums[r][2 * j + 1]));

            vst1q_s32(to, vaddq_s32(vld1q_s32(to), n));
        }
}

OMQ_INLINE void clear(const int mr, int16x8_t (*sums)[PARTS])
{
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < PARTS; j++)
            sums[r][j] = vdupq_n_s16(0);
}

/* Some steps of a run. */
OMQ_INLINE const int8_t *add_bytes(const int mr, const struct pixels *p, ptrdiff_t at,
                                   ptrdiff_t end, uint8x16_t flip, const int8_t *k,
                                   int16x8_t (*sums)[PARTS])
{
    for (; at < end; at += INPUTS, k += BLOCK) {
        int8x16_t x[OMQ_MR];

        OMQ_UNROLL for (int r = 0; r < mr; r++)
            x[r] = vreinterpretq_s8_u8(veorq_u8(broadcast(p->x[r] + at), flip));
        OMQ_UNROLL for (int j = 0; j < VECS; j++) {
            const int8x16_t kv = vld1q_s8(k + INPUTS * LANES * j);

            OMQ_UNROLL for (int r = 0; r < mr; r++) {
                int16x8_t *to = &sums[r][2 * j];

                to[0] = vmlal_s8(to[0], vget_low_s8(kv), vget_low_s8(x[r]));
                to[1] = vmlal_high_s8(to[1], kv, x[r]);
            }
        }
    }
    return k;
}

OMQ_INLINE void sum_bytes(const int mr, const struct conv_codes *t, const struct pixels *p,
                          const int8_t *k, int32_t *acc)
{
    const ptrdiff_t most = INPUTS * steps_in_16(t->s);
    const uint8x16_t flip = flip_of(t->s);
    ptrdiff_t left = most;
    int16x8_t sums[OMQ_MR][PARTS];

    clear(mr, sums);
    for (int run = 0; run < t->s->n_runs; run++) {
        ptrdiff_t at = t->io->run_at[run];
        const ptrdiff_t end = at + INPUTS * t->steps;

        while (at < end) {
            const ptrdiff_t n = end - at < left ? end - at : left;

            k = add_bytes(mr, p, at, at + n, flip, k, sums);
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

/* ---- 16 bits ---- */

/* The products of one of the four inputs of a step. */
#define ADD_INPUT(e)                                                                     \
    OMQ_UNROLL for (int j = 0; j < 2; j++) {                                             \
        const int16x8_t kv = vld1q_s16(k + OUTPUTS * (e) + OUTPUTS / 2 * j);             \
                                                                                         \
        OMQ_UNROLL for (int r = 0; r < mr; r++) {                                        \
            int32x4_t *to = &sums[r][2 * j];                                             \
                                                                                         \
            to[0] = vmlal_lane_s16(to[0], vget_low_s16(kv), x[r], e);                    \
            to[1] = vmlal_high_lane_s16(to[1], kv, x[r], e);                             \
        }                                                                                \
    }

OMQ_INLINE void words_step(const int mr, const struct pixels *p, ptrdiff_t at, const int16_t *k,
                           int32x4_t (*sums)[VECS])
{
    int16x4_t x[OMQ_MR];

    OMQ_UNROLL for (int r = 0; r < mr; r++) {
        const uint8x8_t codes = vget_low_u8(broadcast(p->x[r] + at));

        x[r] = vget_low_s16(vreinterpretq_s16_u16(vmovl_u8(codes)));
    }
    ADD_INPUT(0)
    ADD_INPUT(1)
    ADD_INPUT(2)
    ADD_INPUT(3)
}

OMQ_INLINE void sum_words(const int mr, const struct conv_codes *t, const struct pixels *p,
                          const int16_t *k, int32_t *acc)
{
    int32x4_t sums[OMQ_MR][VECS];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            sums[r][j] = vld1q_s32(acc + OUTPUTS * r + LANES * j);
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS, k += BLOCK)
            words_step(mr, p, i, k, sums);
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            vst1q_s32(acc + OUTPUTS * r + LANES * j, sums[r][j]);
}

OMQ_INLINE void sum_block(const int mr, const int blocks, const struct conv_codes *t,
                          const struct pixels *p, const int8_t *k, int32_t *acc)
{
    (void)blocks; /* one */
    for (int r = 0; r < mr; r++)
        memcpy(acc + OUTPUTS * r, t->start, OUTPUTS * sizeof(*acc));
    if (in_16(t->s))
        sum_bytes(mr, t, p, k, acc);
    else
        sum_words(mr, t, p, (const int16_t *)(const void *)k, acc);
}

#include "kern/simd/conv_pixels_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_neon(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                         void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
