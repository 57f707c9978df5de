/* SPDX-License-Identifier: MIT
 *
 * conv_codes by tiles: A is up to 16 pixels of a row by up to 64 codes, as they
 * lie in x; B is 16 outputs by as many inputs, whose rows are the blocks of
 * unpack(); C is pixels by outputs. Two of each in turn make four sums.
 *
 * The includer has included conv_block_template.h, OMQ_MR being 32 and PANEL 2,
 * and unpack_codes_zmm_template.h, and defines, for tiles 0 to 7,
 *   TILES_CONFIGURE(config), TILES_RELEASE()    config: struct tile_config *
 *   TILE_LOAD(tile, p, stride), TILE_STORE(tile, p, stride)    bytes apart
 *   TILE_DOT(c, a, b)                                          u8 by s8
 */
enum { TILE_PIXELS = 16, TILE_STEPS = 16, TILES = 8 };
/* Of C, the first figure is A's. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0 4
#define A1 5
#define B0 6
#define B1 7

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Steps of a tile: as many as divide a run, so that none reads beyond it. */
static ptrdiff_t steps_of_tile(ptrdiff_t steps)
{
    ptrdiff_t n = steps < TILE_STEPS ? steps : TILE_STEPS;

    while (steps % n != 0)
        n--;
    return n;
}

static struct tile_config config_of(int pixels, ptrdiff_t steps)
{
    struct tile_config c = {.palette = 1};

    for (int i = 0; i < TILES; i++) {
        c.rows[i] = (uint8_t)(i >= B0 ? steps : pixels);
        c.row_bytes[i] = (uint16_t)(i == A0 || i == A1 ? INPUTS * steps : BLOCK);
    }
    return c;
}

/* Pixels from x[0] and from x[1] on, to acc[2][pixels][blocks * 16]. */
OMQ_INLINE void sum_tiles(const int blocks, const struct conv_codes *t, ptrdiff_t steps,
                          const uint8_t *const x[2], int pixels, const int8_t *k, int32_t *acc)
{
    const ptrdiff_t next = t->io->x_pixel, pitch = blocks * BLOCK;
    const int32_t *start = t->io->start + t->first;
    char *out = (char *)acc;

    TILE_LOAD(C00, start, 0);
    TILE_LOAD(C10, start, 0);
    if (blocks == 2) {
        TILE_LOAD(C01, start + OUTPUTS, 0);
        TILE_LOAD(C11, start + OUTPUTS, 0);
    }
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS * steps, k += BLOCK * steps) {
            TILE_LOAD(A0, x[0] + i, next);
            TILE_LOAD(B0, k, BLOCK);
            TILE_DOT(C00, A0, B0);
            TILE_LOAD(A1, x[1] + i, next);
            TILE_DOT(C10, A1, B0);
            if (blocks == 2) {
                TILE_LOAD(B1, k + t->k_bytes, BLOCK);
                TILE_DOT(C01, A0, B1);
                TILE_DOT(C11, A1, B1);
            }
        }
    }
    TILE_STORE(C00, out, pitch);
    TILE_STORE(C10, out + pixels * pitch, pitch);
    if (blocks == 2) {
        TILE_STORE(C01, out + BLOCK, pitch);
        TILE_STORE(C11, out + BLOCK + pixels * pitch, pitch);
    }
}

static struct place place_of(const struct omq_conv_io *io, int row, int ox)
{
    return (struct place){row / io->oh, row % io->oh, ox};
}

/* Pixels from ox on of two rows of the batch; only one, twice, if they are equal. */
OMQ_INLINE void two_rows(const int blocks, const struct conv_codes *t, ptrdiff_t steps,
                         const int row[2], int ox, int pixels, const int8_t *k)
{
    _Alignas(64) int32_t acc[2 * TILE_PIXELS * PANEL * OUTPUTS];
    struct place at[2] = {place_of(t->io, row[0], ox), place_of(t->io, row[1], ox)};
    const int n = row[0] == row[1] ? 1 : 2;
    const uint8_t *x[2];
    struct pixels p;

    for (int i = 0; i < 2; i++)
        x[i] = t->io->x + at[i].image * t->io->x_image + at[i].oy * t->io->x_row +
               at[i].ox * t->io->x_pixel;
    sum_tiles(blocks, t, steps, x, pixels, k, acc);
    for (int i = 0; i < n; i++) {
        take_pixels(t->io, pixels, &at[i], &p);
        finish(t, pixels, blocks, &p, acc + (ptrdiff_t)i * pixels * blocks * OUTPUTS);
    }
}

OMQ_INLINE void conv_panel(const int blocks, const struct conv_codes *t, const int8_t *k)
{
    const ptrdiff_t steps = steps_of_tile(t->steps);
    const int ow = t->io->ow, rows = t->io->n * t->io->oh;
    const int n = (ow + TILE_PIXELS - 1) / TILE_PIXELS;

    for (int i = 0; i < n; i++) {
        const int ox = omq_block_begin(ow, n, i), end = omq_block_begin(ow, n, i + 1);
        const struct tile_config config = config_of(end - ox, steps);

        TILES_CONFIGURE(&config);
        for (int r = 0; r < rows; r += 2) {
            const int row[2] = {r, r + 1 < rows ? r + 1 : r};

            two_rows(blocks, t, steps, row, ox, end - ox, k);
        }
    }
    TILES_RELEASE();
}
