/* SPDX-License-Identifier: MIT
 *
 * Tiles of AMX. Not by intrinsics: GCC 12 does not know that those read and write
 * memory.
 */
#include "kern/x86/tiles.h"

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || \
    !(defined(__AMX_INT8__) || defined(__AMXINT8__)) /* clang 14 */
#error "compile with -mavx512{f,bw,vl,dq,vnni} -mamx-{tile,int8}, or all with -DOMQ_NO_SIMD"
#endif

#define NAME2(tile) #tile
#define NAME(tile) "%%tmm" NAME2(tile)
#define TILES_CONFIGURE(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(config)))
#define TILES_RELEASE() __asm__ volatile("tilerelease")
#define TILE_ZERO(tile) __asm__ volatile("tilezero " NAME(tile) : :)
#define TILE_LOAD(tile, p, stride)                                              \
    __asm__ volatile("tileloadd (%0, %1, 1), " NAME(tile)                       \
                     : : "r"(p), "r"((ptrdiff_t)(stride)) : "memory")
#define TILE_STORE(tile, p, stride)                                             \
    __asm__ volatile("tilestored " NAME(tile) ", (%0, %1, 1)"                   \
                     : : "r"(p), "r"((ptrdiff_t)(stride)) : "memory")
#define DOT(instruction, c, a, b) \
    __asm__ volatile(instruction " " NAME(b) ", " NAME(a) ", " NAME(c) : :)
#define TILE_DOT_SS(c, a, b) DOT("tdpbssd", c, a, b)
#define TILE_DOT_SU(c, a, b) DOT("tdpbsud", c, a, b)
#define TILE_DOT_US(c, a, b) DOT("tdpbusd", c, a, b)
#define TILE_DOT_UU(c, a, b) DOT("tdpbuud", c, a, b)
