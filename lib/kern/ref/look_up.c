/* SPDX-License-Identifier: MIT */
#include "kern/kern_internal.h"

void omq_look_up_u8_ref(size_t n, int c, const uint8_t (*tables)[256], const uint8_t *restrict q,
                        uint8_t *restrict out)
{
    for (; n > 0; n--)
        for (int j = 0; j < c; j++)
            *out++ = tables[j][*q++];
}
