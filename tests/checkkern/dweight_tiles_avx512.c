/* SPDX-License-Identifier: MIT
 *
 * dweight_s16_amx.c by an emulation.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include "tiles_emulated.h"

#include "kern/simd/block.h"
#include "kern/x86/dweight_tiles_template.h"

void conv_dweight_s16_emulated(const struct omq_window *g, int oc, int n, const uint8_t *x,
                               int zero_point, const int16_t *dy, float scale, float *dw,
                               void *scratch)
{
    (g->c >= SIDE && oc >= SIDE ? dweight_by_tiles : omq_conv_dweight_s16_ref)(
        g, oc, n, x, zero_point, dy, scale, dw, scratch);
}
#endif
