/* SPDX-License-Identifier: MIT
 *
 * conv_codes_amx.c by an emulation.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include "tiles_emulated.h"

#define OMQ_MR 32
#define PANEL 2
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_zmm_template.h"
#include "kern/x86/conv_codes_tiles_template.h"
#include "kern/simd/conv_codes_template.h"

void conv_codes_emulated(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                         void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
