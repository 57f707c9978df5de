/* SPDX-License-Identifier: MIT
 *
 * Unpacked weights, [16 outputs][4 inputs] a step: each bit of a plane becomes a
 * byte of -1 or 0, to subtract from twice what the planes above gave.
 *
 * Products are of signed bytes. Codes of x above 127 are made x - 128, and
 *   start + sum of x k = (start + 128 * sum of k) + sum of (x - 128) k.
 */

/* Four outputs' codes, of two bytes of each plane. */
OMQ_INLINE int8x16_t unpack_four(const int bits, const bool midrise, const uint8_t *packed, int at)
{
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const int least = midrise ? 1 - (1 << bits) : -(1 << (bits - 1));
    uint8x16_t j = vdupq_n_u8(0);

    OMQ_UNROLL for (int p = bits - 1; p >= 0; p--) {
        const uint8_t *plane = packed + 8 * p + 2 * at;
        const uint8x16_t bytes = vcombine_u8(vdup_n_u8(plane[0]), vdup_n_u8(plane[1]));

        j = vsubq_u8(vaddq_u8(j, j), vtstq_u8(bytes, bit));
    }
    if (midrise)
        j = vaddq_u8(j, j);
    return vaddq_s8(vreinterpretq_s8_u8(j), vdupq_n_s8((int8_t)least));
}

OMQ_INLINE void unpack_blocks(const int bits, const struct omq_conv_shape *s, const uint8_t *packed,
                              int8_t *k)
{
    const uint32_t there = ~0u >> 8 * (-(unsigned)s->run % INPUTS);
    const int8x16_t tail = vreinterpretq_s8_u32(vdupq_n_u32(there));

    for (int r = 0; r < s->n_runs; r++)
        for (int i = 0; i < s->run; i += INPUTS, packed += 8 * bits)
            OMQ_UNROLL for (int j = 0; j < VECS; j++, k += INPUTS * LANES) {
                int8x16_t v = s->midrise ? unpack_four(bits, true, packed, j)
                                         : unpack_four(bits, false, packed, j);

                if (s->run - i < INPUTS)
                    v = vandq_s8(v, tail);
                vst1q_s8(k, v);
            }
}

#include "kern/simd/unpack_bytes_template.h"

OMQ_INLINE bool shifts(const struct omq_conv_shape *s) { return s->x_max > INT8_MAX; }

/* What x is xored with, to be x or x - 128. */
OMQ_INLINE uint8x16_t flip_of(const struct omq_conv_shape *s)
{
    return vdupq_n_u8(shifts(s) ? 128 : 0);
}

/* What the sums of 16 outputs begin with, there or in start[]. */
static const int32_t *start_of(const struct conv_codes *t, const int8_t *k, int32_t *start)
{
    const int32_t *from = t->io->start + t->first;
    int32x4_t sums[VECS];

    if (!shifts(t->s))
        return from;
    for (int j = 0; j < VECS; j++)
        sums[j] = vdupq_n_s32(0);
    for (const int8_t *end = k + t->k_bytes; k < end; k += BLOCK)
        for (int j = 0; j < VECS; j++)
            sums[j] = vpadalq_s16(sums[j], vpaddlq_s8(vld1q_s8(k + INPUTS * LANES * j)));
    for (int j = 0; j < VECS; j++)
        vst1q_s32(start + LANES * j,
                  vaddq_s32(vld1q_s32(from + LANES * j), vshlq_n_s32(sums[j], 7)));
    return start;
}
