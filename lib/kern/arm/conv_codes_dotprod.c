/* SPDX-License-Identifier: MIT
 *
 * sdot adds four products of signed bytes to a sum of 32 bits. Four steps' codes
 * of a pixel are one vector, of which an instruction takes those of one step.
 */
#include "base/real.h"

#if defined(__AARCH64EL__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#ifndef __ARM_FEATURE_DOTPROD
#error "compile this file with -march=armv8.2-a+dotprod, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 4
#define PANEL 1
#include "kern/arm/conv_epilogue_template.h"
#include "kern/arm/unpack_planes_template.h"

enum { START = OUTPUTS * sizeof(int32_t) }; /* bytes before the weights */

static const int8_t *unpack(struct conv_codes *t, int blocks, const uint8_t *packed, void *scratch)
{
    const int8_t *k = unpack_bytes(t->s, packed, (int8_t *)scratch + START);

    (void)blocks; /* one */
    t->start = start_of(t, k, scratch);
    return k;
}

/* One step of the pixels whose codes are those of a lane. */
#define ADD_STEP(lane)                                                                   \
    OMQ_UNROLL for (int j = 0; j < VECS; j++) {                                          \
        const int8x16_t kv = vld1q_s8(k + BLOCK * (lane) + INPUTS * LANES * j);          \
                                                                                         \
        OMQ_UNROLL for (int r = 0; r < mr; r++)                                          \
            sums[r][j] = vdotq_laneq_s32(sums[r][j], kv, x[r], lane);                    \
    }

OMQ_INLINE void four_steps(const int mr, const struct pixels *p, ptrdiff_t at, uint8x16_t flip,
                           const int8_t *k, int32x4_t (*sums)[VECS])
{
    int8x16_t x[OMQ_MR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        x[r] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p->x[r] + at), flip));
    ADD_STEP(0)
    ADD_STEP(1)
    ADD_STEP(2)
    ADD_STEP(3)
}

OMQ_INLINE void one_step(const int mr, const struct pixels *p, ptrdiff_t at, uint8x16_t flip,
                         const int8_t *k, int32x4_t (*sums)[VECS])
{
    int8x16_t x[OMQ_MR];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        x[r] = vreinterpretq_s8_u8(veorq_u8(broadcast(p->x[r] + at), flip));
    ADD_STEP(0)
}

OMQ_INLINE void sum_block(const int mr, const int blocks, const struct conv_codes *t,
                          const struct pixels *p, const int8_t *k, int32_t *acc)
{
    const uint8x16_t flip = flip_of(t->s);
    int32x4_t sums[OMQ_MR][VECS];

    (void)blocks; /* one */
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            sums[r][j] = vld1q_s32(t->start + LANES * j);
    for (int run = 0; run < t->s->n_runs; run++) {
        ptrdiff_t at = t->io->run_at[run];
        const ptrdiff_t end = at + INPUTS * t->steps;

        for (; at + 4 * INPUTS <= end; at += 4 * INPUTS, k += 4 * BLOCK)
            four_steps(mr, p, at, flip, k, sums);
        for (; at < end; at += INPUTS, k += BLOCK)
            one_step(mr, p, at, flip, k, sums);
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            vst1q_s32(acc + OUTPUTS * r + LANES * j, sums[r][j]);
}

#include "kern/simd/conv_pixels_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_dotprod(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                            void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
