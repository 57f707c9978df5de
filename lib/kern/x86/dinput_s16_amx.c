/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kern/kern_internal.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD) && \
    !defined(OMQ_OLD_SIMD)
#include "kern/simd/block.h"
#include "kern/x86/tiles_amx_template.h"
#include "kern/x86/dinput_tiles_template.h"

void omq_conv_dinput_s16_amx(const struct omq_window *g, int oc, int n, const int16_t *dy,
                             const int16_t *w, float scale, bool add, float *dx, void *scratch)
{
    (oc % 4 == 0 ? dinput_by_tiles : omq_conv_dinput_s16_avx512vnni)(g, oc, n, dy, w, scale, add,
                                                                     dx, scratch);
}
#endif
