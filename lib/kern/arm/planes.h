/* SPDX-License-Identifier: MIT
 *
 * Bits of bytes, collected: what x86 has an instruction for.
 */
#ifndef OMQ_KERN_ARM_PLANES_H
#define OMQ_KERN_ARM_PLANES_H

#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

/* Bit i of the result, a little-endian number, is a bit of byte i of v, which is
 * set in all bytes of `which`. */
static inline uint8x8_t omq_plane(const uint8x16_t v[4], uint8x16_t which)
{
    const uint8x16_t place = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    uint8x16_t b[4];

    for (int i = 0; i < 4; i++)
        b[i] = vandq_u8(vtstq_u8(v[i], which), place);
    b[0] = vpaddq_u8(vpaddq_u8(b[0], b[1]), vpaddq_u8(b[2], b[3]));
    return vget_low_u8(vpaddq_u8(b[0], b[0]));
}
#endif

#endif
