/* SPDX-License-Identifier: MIT
 *
 * What kernels by tiles share. C += A B, where A is up to 16 rows of up to 64 bytes,
 * B up to 16 rows of up to 16 columns of four bytes, and C of 32-bit sums: a row of C
 * and one of A are a row of the matrix, a row of B is four of the other's.
 *
 * Who includes such a template defines, for tiles 0 to 7,
 *   TILES_CONFIGURE(config), TILES_RELEASE()    config: struct tile_config *
 *   TILE_LOAD(tile, p, stride), TILE_STORE(tile, p, stride)    bytes apart
 *   TILE_ZERO(tile)
 *   TILE_DOT_SS(c, a, b), _SU, _US, _UU         a and b signed or unsigned
 * tiles_amx_template.h by instructions, tests/checkkern/tiles_emulated.h where there are
 * none.
 */
#ifndef OMQ_KERN_X86_TILES_H
#define OMQ_KERN_X86_TILES_H

#include <stddef.h>
#include <stdint.h>

enum { TILE_ROWS = 16, TILE_STEPS = 16, TILES = 8 };

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* C has the tiles before first_a, A those before first_b, and B the others. */
static inline struct tile_config tile_config_of(int rows, ptrdiff_t steps, int first_a,
                                                int first_b)
{
    struct tile_config c = {.palette = 1};

    for (int i = 0; i < TILES; i++) {
        c.rows[i] = (uint8_t)(i >= first_b ? steps : rows);
        c.row_bytes[i] = (uint16_t)(i >= first_a && i < first_b ? 4 * steps : 64);
    }
    return c;
}

/* Steps of four bytes of a tile: as many as divide a run of them, so that none reads
 * beyond it. */
static inline ptrdiff_t steps_of_tile(ptrdiff_t steps)
{
    ptrdiff_t n = steps < TILE_STEPS ? steps : TILE_STEPS;

    while (steps % n != 0)
        n--;
    return n;
}

#endif
