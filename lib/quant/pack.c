/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kern/kern.h"
#include "quant/quant.h"

size_t omq_pack_row_bytes(int bits, size_t n) { return (n * (size_t)bits + 7) / 8; }

unsigned omq_grid_level(const struct omq_grid *g, int k)
{
    return (unsigned)(g->midrise ? (k + g->k_max) / 2 : k + (1 << (g->bits - 1)));
}

/* And back. */
static int code_of(const struct omq_grid *g, unsigned j)
{
    return g->midrise ? 2 * (int)j - g->k_max : (int)j - (1 << (g->bits - 1));
}

void omq_pack(const struct omq_grid *g, size_t rows, size_t n, const int8_t *k, uint8_t *packed)
{
    size_t row_bytes = omq_pack_row_bytes(g->bits, n);

    memset(packed, 0, rows * row_bytes);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) {
            size_t bit = i * (size_t)g->bits;
            unsigned j = omq_grid_level(g, k[r * n + i]) << (bit % 8);
            uint8_t *p = packed + r * row_bytes + bit / 8;

            p[0] |= (uint8_t)j;
            if (bit % 8 + (size_t)g->bits > 8)
                p[1] |= (uint8_t)(j >> 8);
        }
}

int omq_packed_code(const struct omq_grid *g, const uint8_t *row, size_t i)
{
    const size_t bit = i * (size_t)g->bits;
    const uint8_t *p = row + bit / 8;
    unsigned j = p[0];

    if (bit % 8 + (size_t)g->bits > 8)
        j |= (unsigned)p[1] << 8;
    return code_of(g, j >> (bit % 8) & ((1u << g->bits) - 1));
}

void omq_unpack(const struct omq_grid *g, size_t rows, size_t n, const uint8_t *packed, int8_t *k)
{
    const size_t row_bytes = omq_pack_row_bytes(g->bits, n);

    for (; rows > 0; rows--, packed += row_bytes, k += n)
        omq_kern()->unpack_row(g->bits, g->midrise, n, packed, k);
}
