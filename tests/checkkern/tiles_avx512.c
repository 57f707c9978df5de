/* SPDX-License-Identifier: MIT
 *
 * conv_codes by tiles, on an emulation of the instructions: what is checked of
 * conv_codes_amx.c on machines without AMX.
 */
#include "checkkern.h"

#if defined(__x86_64__) && !defined(OMQ_NO_SIMD)
#include <stdint.h>
#include <string.h>

#define OMQ_MR 32
#define PANEL 2
#include "kern/x86/conv_block_template.h"
#include "kern/x86/unpack_codes_zmm_template.h"

struct tile {
    int rows, row_bytes;
    uint8_t data[16][64];
};

static struct tile tiles[8];
struct tile_config;

static void configure(const struct tile_config *config);

/* Rows and bytes beyond the shape are 0. */
static void load_tile(struct tile *t, const void *p, ptrdiff_t stride)
{
    memset(t->data, 0, sizeof(t->data));
    for (int i = 0; i < t->rows; i++)
        memcpy(t->data[i], (const char *)p + i * stride, (size_t)t->row_bytes);
}

static void store_tile(const struct tile *t, void *p, ptrdiff_t stride)
{
    for (int i = 0; i < t->rows; i++)
        memcpy((char *)p + i * stride, t->data[i], (size_t)t->row_bytes);
}

static void dot_tiles(struct tile *c, const struct tile *a, const struct tile *b)
{
    if (c->rows != a->rows || 4 * b->rows != a->row_bytes || c->row_bytes != b->row_bytes)
        __builtin_trap(); /* so would the instruction */
    for (int i = 0; i < c->rows; i++)
        for (int k = 0; k < b->rows; k++)
            for (int j = 0; j < c->row_bytes / 4; j++) {
                int32_t sum;

                memcpy(&sum, &c->data[i][4 * j], sizeof(sum));
                for (int e = 0; e < 4; e++)
                    sum += a->data[i][4 * k + e] * (int8_t)b->data[k][4 * j + e];
                memcpy(&c->data[i][4 * j], &sum, sizeof(sum));
            }
}

#define TILES_CONFIGURE(config) configure(config)
#define TILES_RELEASE() memset(tiles, 0, sizeof(tiles))
#define TILE_LOAD(tile, p, stride) load_tile(&tiles[tile], p, stride)
#define TILE_STORE(tile, p, stride) store_tile(&tiles[tile], p, stride)
#define TILE_DOT(c, a, b) dot_tiles(&tiles[c], &tiles[a], &tiles[b])
#include "kern/x86/conv_codes_tiles_template.h"
#include "kern/simd/conv_codes_template.h"

static void configure(const struct tile_config *config)
{
    _Static_assert(sizeof(*config) == 64, "as ldtilecfg reads it");
    if (config->palette != 1)
        __builtin_trap();
    for (int i = 0; i < 8; i++) {
        if (config->rows[i] > 16 || config->row_bytes[i] > 64)
            __builtin_trap();
        tiles[i] = (struct tile){.rows = config->rows[i], .row_bytes = config->row_bytes[i]};
    }
}

void conv_codes_emulated(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                         void *scratch)
{
    conv_codes(s, io, scratch);
}
#endif
