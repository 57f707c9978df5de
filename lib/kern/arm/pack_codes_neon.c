/* SPDX-License-Identifier: MIT
 *
 * pack_codes, a block of 16 outputs by four inputs at a time, which is four
 * vectors. What is missing of it is copied with zeros, and masked.
 */
#include "base/real.h"

#if defined(__AARCH64EL__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#ifndef __ARM_NEON
#error "compile this file for AArch64 with NEON, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/arm/planes.h"
#include "kern/kern_internal.h"
#include "kern/simd/block.h"

enum { OUTPUTS = 16, INPUTS = 4, BLOCK = OUTPUTS * INPUTS, VECS = 4, LANES = 4 };

struct packing {
    int bits;
    bool midrise;
    uint8_t offset; /* from k to j, or to 2j */
};

/* k of the 16 outputs and four inputs of a block; the same of fewer, with 0 for
 * what is missing, and -1 in there[] for what is not. */
static void gather(const int8_t *k, ptrdiff_t row, int8_t *block)
{
    for (int o = 0; o < OUTPUTS; o++, k += row)
        memcpy(block + INPUTS * o, k, INPUTS);
}

static void gather_part(int outputs, int inputs, const int8_t *k, ptrdiff_t row, int8_t *block,
                        int8_t *there)
{
    memset(block, 0, BLOCK);
    memset(there, 0, BLOCK);
    for (int o = 0; o < outputs; o++, k += row) {
        memcpy(block + INPUTS * o, k, (size_t)inputs);
        memset(there + INPUTS * o, -1, (size_t)inputs);
    }
}

/* there: NULL where nothing is missing. */
static void put_block(const struct packing *f, const int8_t *block, const int8_t *there,
                      uint8_t *packed)
{
    uint8x16_t j[VECS];

    if (f->bits == 8) {
        memcpy(packed, block, BLOCK);
        return;
    }
    OMQ_UNROLL for (int i = 0; i < VECS; i++) {
        j[i] = vaddq_u8(vld1q_u8((const uint8_t *)block + 16 * i), vdupq_n_u8(f->offset));
        if (there)
            j[i] = vandq_u8(j[i], vld1q_u8((const uint8_t *)there + 16 * i));
    }
    for (int p = 0; p < f->bits; p++)
        vst1_u8(packed + 8 * p, omq_plane(j, vdupq_n_u8((uint8_t)(1 << (p + f->midrise)))));
}

/* A run of 16 outputs, or fewer. */
static uint8_t *put_run(const struct packing *f, int outputs, int run, const int8_t *k,
                        ptrdiff_t row, int32x4_t sums[VECS], uint8_t *packed)
{
    for (; run > 0; run -= INPUTS, k += INPUTS, packed += 8 * f->bits) {
        const bool part = outputs < OUTPUTS || run < INPUTS;
        int8_t block[BLOCK], there[BLOCK];

        if (part)
            gather_part(outputs, run < INPUTS ? run : INPUTS, k, row, block, there);
        else
            gather(k, row, block);
        put_block(f, block, part ? there : NULL, packed);
        OMQ_UNROLL for (int j = 0; j < VECS; j++)
            sums[j] = vpadalq_s16(sums[j], vpaddlq_s8(vld1q_s8(block + INPUTS * LANES * j)));
    }
    return packed;
}

void omq_pack_codes_neon(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                         int32_t *start)
{
    const int offset = s->midrise ? (1 << s->w_bits) - 1 : 1 << (s->w_bits - 1);
    const struct packing f = {s->w_bits, s->midrise, (uint8_t)offset};
    const ptrdiff_t row = (ptrdiff_t)s->n_runs * s->run;
    uint8_t *to = packed;

    for (int o = 0; o < s->oc; o += OUTPUTS) {
        const int outputs = s->oc - o < OUTPUTS ? s->oc - o : OUTPUTS;
        int32x4_t sums[VECS];

        for (int j = 0; j < VECS; j++)
            sums[j] = vdupq_n_s32(0);
        for (int r = 0; r < s->n_runs; r++)
            to = put_run(&f, outputs, s->run, k + o * row + (ptrdiff_t)r * s->run, row, sums, to);
        for (int j = 0; j < VECS; j++)
            vst1q_s32(start + o + LANES * j, vmulq_n_s32(sums[j], -s->zero_point));
    }
}
#endif
