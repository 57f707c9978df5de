/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "quant/quant.h"

size_t omq_pack_row_bytes(int bits, size_t n) { return (n * (size_t)bits + 7) / 8; }

/* Level of a code, 0 .. 2^bits - 1, and back. */
static unsigned level_of(const struct omq_grid *g, int k)
{
    return (unsigned)(g->midrise ? (k + g->k_max) / 2 : k + (1 << (g->bits - 1)));
}

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
            unsigned j = level_of(g, k[r * n + i]) << (bit % 8);
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

/* Eight levels of `bits` bits each, side by side, to a byte each: halves, quarters
 * and eighths are moved apart. */
static inline uint64_t spread(int bits, uint64_t v)
{
    const int gap = 8 - bits;
    const uint64_t byte = (1u << bits) - 1, two = byte | byte << bits;
    const uint64_t four = two | two << 2 * bits;

    v = (v & four) | (v >> 4 * bits & four) << 32;
    v = (v & two * 0x0000000100000001) | (v & (two << 2 * bits) * 0x0000000100000001) << 2 * gap;
    return (v & byte * 0x0001000100010001) | (v & (byte << bits) * 0x0001000100010001) << gap;
}

enum { EIGHT = 8 };
#define EACH 0x0101010101010101u /* times a byte: eight of them */

/* Eight codes of eight levels: x - y in each byte, without borrowing from the next. */
static inline uint64_t codes_of(const struct omq_grid *g, uint64_t levels)
{
    const uint64_t high = EACH * 0x80, x = levels << g->midrise;
    const uint64_t y = EACH * (uint64_t)(g->midrise ? g->k_max : 1 << (g->bits - 1));

    return ((x | high) - (y & ~high)) ^ ((x ^ ~y) & high);
}

/* Codes in whole eights, each of which is `bits` bytes. */
static inline void unpack_eights(const int bits, const struct omq_grid *g, size_t n,
                                 const uint8_t *p, int8_t *k)
{
    for (size_t i = 0; i < n; i += EIGHT, p += bits) {
        uint64_t v = 0;

        for (int b = 0; b < bits; b++)
            v |= (uint64_t)p[b] << 8 * b;
        v = codes_of(g, bits == 8 ? v : spread(bits, v));
        for (int b = 0; b < EIGHT; b++)
            k[i + (size_t)b] = (int8_t)(uint8_t)(v >> 8 * b);
    }
}

static void unpack_row(const struct omq_grid *g, size_t n, const uint8_t *p, int8_t *k)
{
    switch (g->bits) {
    case 1: unpack_eights(1, g, n, p, k); break;
    case 2: unpack_eights(2, g, n, p, k); break;
    case 3: unpack_eights(3, g, n, p, k); break;
    case 4: unpack_eights(4, g, n, p, k); break;
    case 5: unpack_eights(5, g, n, p, k); break;
    case 6: unpack_eights(6, g, n, p, k); break;
    case 7: unpack_eights(7, g, n, p, k); break;
    default: unpack_eights(8, g, n, p, k); break;
    }
}

void omq_unpack(const struct omq_grid *g, size_t rows, size_t n, const uint8_t *packed, int8_t *k)
{
    const size_t row_bytes = omq_pack_row_bytes(g->bits, n), whole = n / EIGHT * EIGHT;

    for (; rows > 0; rows--, packed += row_bytes, k += n) {
        unpack_row(g, whole, packed, k);
        for (size_t i = whole; i < n; i++)
            k[i] = (int8_t)omq_packed_code(g, packed, i);
    }
}
