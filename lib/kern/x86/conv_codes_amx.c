/* SPDX-License-Identifier: MIT
 *
 * Tiles of AMX. Not yet run on a processor that has them: tests/checkkern runs
 * conv_codes_tiles_template.h on an emulation of the instructions below.
 */
#include "base/real.h"

#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD) && \
    !defined(OMQ_OLD_SIMD)
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || \
    !(defined(__AMX_INT8__) || defined(__AMXINT8__)) /* clang 14 */
#error "compile with -mavx512{f,bw,vl,dq,vnni} -mamx-{tile,int8}, or all with -DOMQ_NO_SIMD"
#endif
#define OMQ_MR 32
#define PANEL 2
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_zmm_template.h"

/* Not by intrinsics: GCC 12 does not know that those read and write memory. */
#define NAME2(tile) #tile
#define NAME(tile) "%%tmm" NAME2(tile)
#define TILES_CONFIGURE(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(config)))
#define TILES_RELEASE() __asm__ volatile("tilerelease")
#define TILE_LOAD(tile, p, stride)                                              \
    __asm__ volatile("tileloadd (%0, %1, 1), " NAME(tile)                       \
                     : : "r"(p), "r"((ptrdiff_t)(stride)) : "memory")
#define TILE_STORE(tile, p, stride)                                             \
    __asm__ volatile("tilestored " NAME(tile) ", (%0, %1, 1)"                   \
                     : : "r"(p), "r"((ptrdiff_t)(stride)) : "memory")
#define TILE_DOT(c, a, b)                                                       \
    __asm__ volatile("tdpbusd " NAME(b) ", " NAME(a) ", " NAME(c) : : )

#include "kern/x86/conv_codes_tiles_template.h"
#include "kern/simd/conv_codes_template.h"

void omq_conv_codes_amx(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                        void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
