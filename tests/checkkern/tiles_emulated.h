/* SPDX-License-Identifier: MIT
 *
 * What tiles.h asks for, by an emulation of the instructions: what is checked of the
 * kernels by tiles on machines without AMX.
 */
#ifndef OMQ_TESTS_TILES_EMULATED_H
#define OMQ_TESTS_TILES_EMULATED_H

#include <stdbool.h>
#include <string.h>

#include "kern/x86/tiles.h"

struct tile {
    int rows, row_bytes;
    uint8_t data[16][64];
};

static struct tile emulated[TILES];

static void configure(const struct tile_config *config)
{
    _Static_assert(sizeof(*config) == 64, "as ldtilecfg reads it");
    if (config->palette != 1)
        __builtin_trap();
    for (int i = 0; i < TILES; i++) {
        if (config->rows[i] > 16 || config->row_bytes[i] > 64)
            __builtin_trap();
        emulated[i] = (struct tile){.rows = config->rows[i], .row_bytes = config->row_bytes[i]};
    }
}

/* Rows and bytes beyond the shape are 0. */
static void load_tile(struct tile *t, const void *p, ptrdiff_t stride)
{
    if (t->rows == 0)
        __builtin_trap();
    memset(t->data, 0, sizeof(t->data));
    for (int i = 0; i < t->rows; i++)
        memcpy(t->data[i], (const char *)p + i * stride, (size_t)t->row_bytes);
}

static void store_tile(const struct tile *t, void *p, ptrdiff_t stride)
{
    for (int i = 0; i < t->rows; i++)
        memcpy((char *)p + i * stride, t->data[i], (size_t)t->row_bytes);
}

static inline int byte_of(uint8_t byte, bool is_signed)
{
    return is_signed ? (int8_t)byte : byte;
}

static void dot_tiles(struct tile *c, const struct tile *a, bool a_signed, const struct tile *b,
                      bool b_signed)
{
    if (c->rows != a->rows || 4 * b->rows != a->row_bytes || c->row_bytes != b->row_bytes)
        __builtin_trap(); /* so would the instruction */
    for (int i = 0; i < c->rows; i++)
        for (int k = 0; k < b->rows; k++)
            for (int j = 0; j < c->row_bytes / 4; j++) {
                uint32_t sum;

                memcpy(&sum, &c->data[i][4 * j], sizeof(sum));
                for (int e = 0; e < 4; e++)
                    sum += (uint32_t)(byte_of(a->data[i][4 * k + e], a_signed) *
                                      byte_of(b->data[k][4 * j + e], b_signed));
                memcpy(&c->data[i][4 * j], &sum, sizeof(sum));
            }
}

#define TILES_CONFIGURE(config) configure(config)
#define TILES_RELEASE() memset(emulated, 0, sizeof(emulated))
#define TILE_ZERO(tile) memset(emulated[tile].data, 0, sizeof(emulated[tile].data))
#define TILE_LOAD(tile, p, stride) load_tile(&emulated[tile], p, stride)
#define TILE_STORE(tile, p, stride) store_tile(&emulated[tile], p, stride)
#define TILE_DOT_SS(c, a, b) dot_tiles(&emulated[c], &emulated[a], true, &emulated[b], true)
#define TILE_DOT_SU(c, a, b) dot_tiles(&emulated[c], &emulated[a], true, &emulated[b], false)
#define TILE_DOT_US(c, a, b) dot_tiles(&emulated[c], &emulated[a], false, &emulated[b], true)
#define TILE_DOT_UU(c, a, b) dot_tiles(&emulated[c], &emulated[a], false, &emulated[b], false)

#endif
