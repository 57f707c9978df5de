/* SPDX-License-Identifier: MIT
 *
 * pack_bits: bits of 64 inputs of an output are two words of its plane.
 */
#include "base/real.h"

#if defined(__AARCH64EL__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#ifndef __ARM_NEON
#error "compile this file for AArch64 with NEON, or everything with -DOMQ_NO_SIMD"
#endif
#include "kern/arm/planes.h"
#include "kern/kern_internal.h"

enum { OUTPUTS = 16, INPUTS = 32, WORD = 4 };

/* One output, whose words lie OUTPUTS words apart, and those of a plane `bits`
 * times as far; 2j = k + 2^w_bits - 1. */
static void pack_output(int bits, size_t n, const int8_t *k, uint8_t *packed)
{
    const uint8x16_t offset = vdupq_n_u8((uint8_t)((1 << bits) - 1));
    const size_t next = WORD * OUTPUTS * (size_t)bits;

    for (size_t i = 0; i < n; i += 2 * INPUTS, packed += 2 * next) {
        uint8x16_t two_j[4];

        for (int v = 0; v < 4; v++)
            two_j[v] = vaddq_u8(vld1q_u8((const uint8_t *)k + i + 16 * v), offset);
        for (int p = 0; p < bits; p++) {
            uint8_t words[2 * WORD];

            vst1_u8(words, omq_plane(two_j, vdupq_n_u8((uint8_t)(2 << p))));
            memcpy(packed + WORD * OUTPUTS * p, words, WORD);
            memcpy(packed + WORD * OUTPUTS * p + next, words + WORD, WORD);
        }
    }
}

void omq_pack_bits_neon(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                        int32_t *start)
{
    const size_t n = (size_t)s->n_runs * (size_t)s->run;
    const size_t group = n / INPUTS * (size_t)s->w_bits * WORD * OUTPUTS;
    uint8_t *to = packed;

    for (int o = 0; o < s->oc; o += OUTPUTS, to += group) {
        if (s->oc - o < OUTPUTS)
            memset(to, 0, group);
        memset(start + o, 0, sizeof(*start) * OUTPUTS);
        for (int i = 0; i < OUTPUTS && o + i < s->oc; i++)
            pack_output(s->w_bits, n, k + (size_t)(o + i) * n, to + WORD * i);
    }
}
#endif
