/* SPDX-License-Identifier: MIT
 *
 * cnt counts the bits of each byte; the counts of up to 31 steps are added up in
 * bytes.
 */
#include "base/real.h"

#if defined(__AARCH64EL__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#ifndef __ARM_NEON
#error "compile this file for AArch64 with NEON, or everything with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 4
#define PANEL 1
#include "kern/arm/conv_epilogue_template.h"
#include "kern/arm/planes.h"

enum { STEPS_IN_8 = 31 };

static void pack_x(const uint8_t *x, ptrdiff_t n, int q, uint8_t *bits)
{
    const uint8x16_t bit = vdupq_n_u8((uint8_t)(1 << q));

    for (; n > 0; n -= 64, x += 64, bits += 8) {
        const uint8x16_t codes[4] = {vld1q_u8(x), vld1q_u8(x + 16), vld1q_u8(x + 32),
                                     vld1q_u8(x + 48)};

        vst1_u8(bits, omq_plane(codes, bit));
    }
}

/* acc += bytes << shift, four of them a word. */
OMQ_INLINE void add_to_32(const int mr, uint8x16_t (*bytes)[VECS], int shift, int32_t *acc)
{
    const int32x4_t by = vdupq_n_s32(shift);

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++) {
            int32_t *to = acc + OUTPUTS * r + LANES * j;
            const uint32x4_t n = vshlq_u32(vpaddlq_u16(vpaddlq_u8(bytes[r][j])), by);

            vst1q_s32(to, vaddq_s32(vld1q_s32(to), vreinterpretq_s32_u32(n)));
        }
}

/* At most STEPS_IN_8 steps of 32 inputs, `next` bytes of w apart. */
OMQ_INLINE void add_steps(const int mr, const struct bits *b, ptrdiff_t at, ptrdiff_t end,
                          const uint8_t *w, ptrdiff_t next, int shift, int32_t *acc)
{
    uint8x16_t bytes[OMQ_MR][VECS];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            bytes[r][j] = vdupq_n_u8(0);
    for (; at < end; at += 4, w += next) {
        uint8x16_t wv[VECS];

        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            wv[j] = vld1q_u8(w + 4 * LANES * j);
        OMQ_UNROLL for (int r = 0; r < mr; r++) {
            const uint8x16_t x = broadcast(b->x[r] + at);

            OMQ_UNROLL for (int j = 0; j < VECS; j++)
                bytes[r][j] = vaddq_u8(bytes[r][j], vcntq_u8(vandq_u8(x, wv[j])));
        }
    }
    add_to_32(mr, bytes, shift, acc);
}

#include "kern/simd/conv_planes_template.h"

void omq_conv_bits_neon(const struct omq_conv_shape *s, const struct omq_conv_io *io, void *scratch)
{
    conv_bits(s, io, scratch);
}
#endif
