/* SPDX-License-Identifier: MIT
 *
 * What tiles do at best: four sums in turn, of operands that stay.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD) && !defined(OMQ_OLD_SIMD)
#include <stdint.h>

#define DOT(c, a, b) "tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c "\n\t"

double peak_amx(int rounds)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};

    for (int i = 0; i < 8; i++)
        config.row_bytes[i] = 64, config.rows[i] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
    for (int r = 0; r < rounds; r++)
        __asm__ volatile(DOT(0, 4, 6) DOT(1, 4, 7) DOT(2, 5, 6) DOT(3, 5, 7) : :);
    __asm__ volatile("tilerelease");
    return 4. * 16 * 16 * 64 * rounds;
}
#endif
