/* SPDX-License-Identifier: MIT
 *
 * What the kernels with blocks of sums share. A block is a number of output
 * pixels (of one row) by a number of vectors of channels, both constants after
 * inlining, so that its sums stay in registers.
 */
#ifndef OMQ_KERN_SIMD_BLOCK_H
#define OMQ_KERN_SIMD_BLOCK_H

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

#define OMQ_INLINE static inline __attribute__((always_inline))
/* Before a loop of as many rounds as the compiler can tell, whose sums then stay
 * in registers; and before one that may end early, which clang does not unroll and
 * then warns of. Its "unroll" would not do: a hint, not taken for loops in loops. */
#if defined(__clang__)
#define OMQ_UNROLL _Pragma("clang loop unroll(full)")
#define OMQ_UNROLL_UP_TO
#else
#define OMQ_UNROLL _Pragma("GCC unroll 16")
#define OMQ_UNROLL_UP_TO OMQ_UNROLL
#endif

/* fn(n, ...) for a number known at compile time, up to OMQ_MR. */
#define OMQ_CASE(n, fn, ...)                      \
    case n:                                       \
        fn(n <= OMQ_MR ? n : 1, __VA_ARGS__);     \
        break;
#define OMQ_BLOCK_OF(n, fn, ...)      \
    switch (n) {                      \
        OMQ_CASE(1, fn, __VA_ARGS__)  \
        OMQ_CASE(2, fn, __VA_ARGS__)  \
        OMQ_CASE(3, fn, __VA_ARGS__)  \
        OMQ_CASE(4, fn, __VA_ARGS__)  \
        OMQ_CASE(5, fn, __VA_ARGS__)  \
        OMQ_CASE(6, fn, __VA_ARGS__)  \
        OMQ_CASE(7, fn, __VA_ARGS__)  \
        OMQ_CASE(8, fn, __VA_ARGS__)  \
        OMQ_CASE(9, fn, __VA_ARGS__)  \
        OMQ_CASE(10, fn, __VA_ARGS__) \
        OMQ_CASE(11, fn, __VA_ARGS__) \
        OMQ_CASE(12, fn, __VA_ARGS__) \
        OMQ_CASE(13, fn, __VA_ARGS__) \
        OMQ_CASE(14, fn, __VA_ARGS__) \
    }

/* A pointer from memory, at every step: GCC 12 parks those that it has no register
 * for in registers of vectors, and fetching them from there takes a port that
 * multiplies. */
#define OMQ_RELOAD(p) (*(__typeof__(p) volatile *)&(p))

/* Where block i of n begins, of n that share a row of `pixels` evenly. */
static inline int omq_block_begin(int pixels, int n, int i)
{
    return (int)((long)pixels * i / n);
}

#endif
