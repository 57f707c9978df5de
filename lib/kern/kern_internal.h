/* SPDX-License-Identifier: MIT
 *
 * Prototypes of all kernels: each has the type of its slot, so a definition
 * that drifts from kern.h does not compile.
 */
#ifndef OMQ_KERN_KERN_INTERNAL_H
#define OMQ_KERN_KERN_INTERNAL_H

#include "kern/kern.h"

/* Levels of the rows of kernels.def: instruction sets, and BLAS, which finds its own at run
 * time and is taken wherever more than the reference is allowed. */
enum omq_kern_level {
    OMQ_LEVEL_REF = OMQ_ISA_REF,
    OMQ_LEVEL_AVX2 = OMQ_ISA_AVX2,
    OMQ_LEVEL_AVXVNNI = OMQ_ISA_AVXVNNI,
    OMQ_LEVEL_AVX512 = OMQ_ISA_AVX512,
    OMQ_LEVEL_AVX512VNNI = OMQ_ISA_AVX512VNNI,
    OMQ_LEVEL_AVX512VPOPCNTDQ = OMQ_ISA_AVX512VPOPCNTDQ,
    OMQ_LEVEL_AMX = OMQ_ISA_AMX,
    OMQ_LEVEL_NEON = OMQ_ISA_NEON,
    OMQ_LEVEL_DOTPROD = OMQ_ISA_DOTPROD,
    OMQ_LEVEL_BLAS = OMQ_ISA_COUNT,
};

#define OMQ_KERNEL(slot, function, level) \
    extern __typeof__(*((struct omq_kern *)0)->slot) function;
#include "kern/kernels.def"
#undef OMQ_KERNEL

/* Whether a table that differs from the reference in one row gives the same. */
bool omq_kern_passes(const struct omq_kern *trial, const struct omq_kern *ref);

/* Whether conv_bits serves, fast or not. */
bool omq_conv_bits_serve(const struct omq_conv_shape *s);

/* Output rows of a pair of images whose products, at most omq_conv_dy_max() *
 * 255 each, a 32-bit sum holds: conv_dweight_s16 rounds as often. */
int omq_conv_band(const struct omq_window *g, int oc);

/* Where to begin in scratch, so that vectors do not straddle cache lines. */
static inline void *omq_aligned(void *scratch)
{
    return (char *)scratch + (-(uintptr_t)scratch & 63);
}

/* Tiles of a 3 x 3 convolution of c channels that are transformed at once, about 450 KiB:
 * as many as L2 holds, for the weights are transformed anew for each so many. */
enum { OMQ_WINOGRAD_TILES = 216 };
static inline int omq_winograd_tiles(int c)
{
    const int n = 13824 / c / 6 * 6;

    return n < 24 ? 24 : n < OMQ_WINOGRAD_TILES ? n : OMQ_WINOGRAD_TILES;
}

/* BLAS is the whole process's. Its first gemm keeps it on the thread that calls, as the
 * parallel loops are ours; who only tried it gives back as many threads as it had. */
int omq_blas_threads(void);
void omq_blas_give_back(int threads);

/* The reference kernel in every slot. */
void omq_kern_fill_ref(struct omq_kern *k);
/* Whether this machine and max_isa allow kernels of that level. */
bool omq_kern_allows(enum omq_kern_level level, enum omq_isa max_isa);

#endif
