/* SPDX-License-Identifier: MIT */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD) && \
    !defined(OMQ_OLD_SIMD)
#include "kern/x86/tiles_amx_template.h"

#define OMQ_MR 32
#define PANEL 2
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_zmm_template.h"
#include "kern/x86/conv_codes_tiles_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_amx(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                        void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
