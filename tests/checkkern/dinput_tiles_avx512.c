/* SPDX-License-Identifier: MIT
 *
 * dinput_s16_amx.c by an emulation.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include "tiles_emulated.h"

#include "kern/simd/block.h"
#include "kern/x86/dinput_tiles_template.h"

void conv_dinput_s16_emulated(const struct omq_window *g, int oc, int n, const int16_t *dy,
                              const int16_t *w, float scale, bool add, float *dx, void *scratch)
{
    (oc % 4 == 0 ? dinput_by_tiles : omq_conv_dinput_s16_ref)(g, oc, n, dy, w, scale, add, dx,
                                                              scratch);
}
#endif
