/* SPDX-License-Identifier: MIT
 *
 * conv_codes_amx.c by an emulation, whose vectors are of 256 bits so that it runs on
 * any machine that has some.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include "tiles_emulated.h"

#define OMQ_MR 32
#define PANEL 2
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_template.h"

static const int8_t *unpack(const struct conv_codes *t, int blocks, const uint8_t *packed, void *k)
{
    const ptrdiff_t bytes = t->k_bytes / BLOCK * t->s->w_bits * (ptrdiff_t)sizeof(uint64_t);

    if (t->s->w_bits == 8)
        return (const int8_t *)packed;
    for (int i = 0; i < blocks; i++)
        unpack_bytes(t->s, packed + i * bytes, (int8_t *)k + i * t->k_bytes);
    return k;
}

#include "kern/x86/conv_codes_tiles_template.h"
#include "kern/simd/conv_codes_template.h"

void conv_codes_emulated(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                         void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
