/* SPDX-License-Identifier: MIT */
#include "kern/kern_internal.h"

void omq_transpose_u8_ref(size_t n, int n_rows, int n_cols, const uint8_t *src, uint8_t *dst)
{
    for (; n > 0; n--, dst += (size_t)n_rows * (size_t)n_cols)
        for (int r = 0; r < n_rows; r++)
            for (int c = 0; c < n_cols; c++)
                dst[(size_t)c * (size_t)n_rows + (size_t)r] = *src++;
}
