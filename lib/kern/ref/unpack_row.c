/* SPDX-License-Identifier: MIT */
#include "kern/kern_internal.h"

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
static inline uint64_t codes_of(int bits, bool midrise, uint64_t levels)
{
    const uint64_t high = EACH * 0x80, x = levels << midrise;
    const uint64_t y = EACH * (uint64_t)(midrise ? (1 << bits) - 1 : 1 << (bits - 1));

    return ((x | high) - (y & ~high)) ^ ((x ^ ~y) & high);
}

/* Codes in whole eights, each of which is `bits` bytes. */
static inline void unpack_eights(const int bits, bool midrise, size_t n, const uint8_t *p,
                                 int8_t *k)
{
    for (size_t i = 0; i < n; i += EIGHT, p += bits) {
        uint64_t v = 0;

        for (int b = 0; b < bits; b++)
            v |= (uint64_t)p[b] << 8 * b;
        v = codes_of(bits, midrise, bits == 8 ? v : spread(bits, v));
        for (int b = 0; b < EIGHT; b++)
            k[i + (size_t)b] = (int8_t)(uint8_t)(v >> 8 * b);
    }
}

static void unpack_whole(int bits, bool midrise, size_t n, const uint8_t *p, int8_t *k)
{
    switch (bits) {
    case 1: unpack_eights(1, midrise, n, p, k); break;
    case 2: unpack_eights(2, midrise, n, p, k); break;
    case 3: unpack_eights(3, midrise, n, p, k); break;
    case 4: unpack_eights(4, midrise, n, p, k); break;
    case 5: unpack_eights(5, midrise, n, p, k); break;
    case 6: unpack_eights(6, midrise, n, p, k); break;
    case 7: unpack_eights(7, midrise, n, p, k); break;
    default: unpack_eights(8, midrise, n, p, k); break;
    }
}

void omq_unpack_row_ref(int bits, bool midrise, size_t n, const uint8_t *packed, int8_t *k)
{
    const size_t whole = n / EIGHT * EIGHT;

    unpack_whole(bits, midrise, whole, packed, k);
    for (size_t i = whole; i < n; i++) {
        const size_t bit = i * (size_t)bits;
        const uint8_t *p = packed + bit / 8;
        unsigned j = p[0];

        if (bit % 8 + (size_t)bits > 8)
            j |= (unsigned)p[1] << 8;
        j = j >> (bit % 8) & ((1u << bits) - 1);
        k[i] = (int8_t)(midrise ? 2 * (int)j - ((1 << bits) - 1) : (int)j - (1 << (bits - 1)));
    }
}
