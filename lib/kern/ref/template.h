/* SPDX-License-Identifier: MIT
 *
 * How one source becomes a kernel for each instruction set: a file defines
 * OMQ_SUFFIX (_ref, _avx2, ...), is compiled with the flags of that set, and
 * includes this header and then the templates. No intrinsics: the loops are
 * written so that the compiler vectorizes them, and none reorders a sum.
 */
#ifndef OMQ_KERN_REF_TEMPLATE_H
#define OMQ_KERN_REF_TEMPLATE_H

#ifndef OMQ_SUFFIX
#error "define OMQ_SUFFIX first"
#endif

#include <string.h>

#include "kern/kern_internal.h"

#define OMQ_PASTE(op, suffix) omq_##op##suffix
#define OMQ_PASTE2(op, suffix) OMQ_PASTE(op, suffix)
#define OMQ_FN(op) OMQ_PASTE2(op, OMQ_SUFFIX)

/* Before a loop whose output may be the same array as an input, index by
 * index, but not otherwise overlap it. */
#if defined(__clang__)
#define OMQ_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define OMQ_IVDEP _Pragma("GCC ivdep")
#else
#define OMQ_IVDEP
#endif

static inline int omq_clamp_int(int x, int lo, int hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

#endif
