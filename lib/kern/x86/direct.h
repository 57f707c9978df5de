/* SPDX-License-Identifier: MIT
 *
 * What the direct convolutions share. A block of them is a number of output
 * pixels of one row by a number of vectors of channels, both constants after
 * inlining, so that its sums stay in registers.
 */
#ifndef OMQ_KERN_X86_DIRECT_H
#define OMQ_KERN_X86_DIRECT_H

#include <immintrin.h>

#define OMQ_INLINE static inline __attribute__((always_inline))
#define OMQ_UNROLL _Pragma("GCC unroll 16")

/* fn(pixels, ...) for a number of pixels known at compile time. */
#define OMQ_BLOCK_OF(pixels, fn, ...)               \
    switch (pixels) {                               \
    case 1: fn(1, __VA_ARGS__); break;              \
    case 2: fn(2, __VA_ARGS__); break;              \
    case 3: fn(3, __VA_ARGS__); break;              \
    case 4: fn(4, __VA_ARGS__); break;              \
    case 5: fn(5, __VA_ARGS__); break;              \
    case 6: fn(6, __VA_ARGS__); break;              \
    case 7: fn(7 <= OMQ_MR ? 7 : 1, __VA_ARGS__); break; \
    case 8: fn(8 <= OMQ_MR ? 8 : 1, __VA_ARGS__); break; \
    }

/* Where block i of n begins, of n that share a row of `pixels` evenly. */
static inline int omq_block_begin(int pixels, int n, int i)
{
    return (int)((long)pixels * i / n);
}

#endif
