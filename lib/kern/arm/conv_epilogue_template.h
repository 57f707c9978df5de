/* SPDX-License-Identifier: MIT
 *
 * What the engine's convolutions share here: blocks of pixels, and the epilogue.
 * vfmaq_f32() rounds once, as fma() does; vcvtnq_s32_f32() to the nearest, half to
 * even, a NaN to 0 and what is too large to the ends of int32_t.
 */
#include <string.h>

#include "kern/simd/conv_places_template.h"

enum { LANES = 4, VECS = OUTPUTS / LANES };

/* Four codes of x, in all lanes. */
OMQ_INLINE uint8x16_t broadcast(const uint8_t *x)
{
    uint32_t four;

    memcpy(&four, x, sizeof(four));
    return vreinterpretq_u8_u32(vdupq_n_u32(four));
}

/* Codes of a residual to reals. */
OMQ_INLINE void load_codes(int lanes, const uint8_t *q, float32x4_t real[VECS])
{
    uint8_t few[OUTPUTS] = {0};
    uint8x16_t codes;

    if (lanes < OUTPUTS)
        memcpy(few, q, (size_t)lanes);
    codes = vld1q_u8(lanes < OUTPUTS ? few : q);
    for (int half = 0; half < 2; half++) {
        const uint16x8_t w = vmovl_u8(half ? vget_high_u8(codes) : vget_low_u8(codes));

        real[2 * half] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(w)));
        real[2 * half + 1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(w)));
    }
}

/* clamp(rint(v), 0, top): narrowing saturates, below at 0. */
OMQ_INLINE void store_codes(int lanes, uint8_t *y, const float32x4_t v[VECS], uint8x16_t top)
{
    uint16x4_t w[VECS];
    uint8_t few[OUTPUTS];
    uint8x16_t q;

    OMQ_UNROLL for (int j = 0; j < VECS; j++)
        w[j] = vqmovun_s32(vcvtnq_s32_f32(v[j]));
    q = vcombine_u8(vqmovn_u16(vcombine_u16(w[0], w[1])), vqmovn_u16(vcombine_u16(w[2], w[3])));
    q = vminq_u8(q, top);
    if (lanes == OUTPUTS) {
        vst1q_u8(y, q);
        return;
    }
    vst1q_u8(few, q);
    memcpy(y, few, (size_t)lanes);
}

OMQ_INLINE void store_reals(int lanes, float *y, const float32x4_t v[VECS])
{
    float few[OUTPUTS], *to = lanes == OUTPUTS ? y : few;

    OMQ_UNROLL for (int j = 0; j < VECS; j++)
        vst1q_f32(to + LANES * j, v[j]);
    if (lanes < OUTPUTS)
        memcpy(y, few, sizeof(*y) * (size_t)lanes);
}

OMQ_INLINE void finish_16(const bool res, const bool reals, const struct conv_codes *t, int mr,
                          const struct pixels *p, int o, int lanes, const int32_t *acc,
                          ptrdiff_t pitch)
{
    const struct omq_conv_io *io = t->io;
    const uint8x16_t top = vdupq_n_u8((uint8_t)t->s->q_max);
    const float32x4_t most = vdupq_n_f32(OMQ_PART_MAX), least = vdupq_n_f32(OMQ_PART_MIN);
    const ptrdiff_t y = p->y_first + o;

    for (int i = 0; i < mr; i++, acc += pitch) {
        float32x4_t v[VECS], codes[VECS];

        if (res)
            load_codes(lanes, io->res + p->res_first + p->res[i] + o, codes);
        OMQ_UNROLL for (int j = 0; j < VECS; j++) {
            const int at = o + LANES * j;

            v[j] = vfmaq_f32(vld1q_f32(io->b + at), vcvtq_f32_s32(vld1q_s32(acc + LANES * j)),
                             vld1q_f32(io->m + at));
            if (res)
                v[j] = vfmaq_n_f32(vaddq_f32(vrndnq_f32(vminq_f32(most, vmaxq_f32(least, v[j]))),
                                             vdupq_n_f32(io->add.zero)),
                                   codes[j], io->add.r);
        }
        if (reals)
            store_reals(lanes, (float *)io->y + y + p->y[i], v);
        else
            store_codes(lanes, (uint8_t *)io->y + y + p->y[i], v, top);
    }
}

#include "kern/simd/conv_finish_template.h"
