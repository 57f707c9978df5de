/* SPDX-License-Identifier: MIT */
#include "kern/kern_internal.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD) && \
    !defined(OMQ_OLD_SIMD)
#include "kern/simd/block.h"
#include "kern/x86/tiles_amx_template.h"
#include "kern/x86/dweight_tiles_template.h"

void omq_conv_dweight_s16_amx(const struct omq_window *g, int oc, int n, const uint8_t *x,
                              int zero_point, const int16_t *dy, float scale, float *dw,
                              void *scratch)
{
    (g->c >= SIDE && oc >= SIDE ? dweight_by_tiles : omq_conv_dweight_s16_avx512vnni)(
        g, oc, n, x, zero_point, dy, scale, dw, scratch);
}
#endif
