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

#define PACK_BITS omq_pack_bits_neon
#include "kern/simd/pack_bits_template.h"
#endif
