/* SPDX-License-Identifier: MIT
 *
 * What a unit does at best: sums in registers, and nothing else. The includer
 * defines PEAK (the function's name), VEC (a vector of integers), SUMS (12, or 24
 * where there are 32 registers), OP (an instruction or more, on the sum %0 and
 * the operands %1 and %2), CLOBBERS and MACS of OP.
 */
#include "checkkern.h"

#define OP1(i) __asm__ volatile(OP : "+v"(s[i]) : "v"(x), "v"(k) : CLOBBERS);
#define OP4(i) OP1(i) OP1(i + 1) OP1(i + 2) OP1(i + 3)
#define OP12(i) OP4(i) OP4(i + 4) OP4(i + 8)

/* Multiplications and additions of as many rounds. */
double PEAK(int rounds)
{
    VEC s[24] = {0}, x = {0}, k = {0};

    for (int r = 0; r < rounds; r++) {
        OP12(0)
#if SUMS == 24
        OP12(12)
#endif
    }
    return (double)SUMS * MACS * rounds;
}
