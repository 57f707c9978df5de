/* SPDX-License-Identifier: MIT
 *
 * conv_codes by tiles: A is up to 16 pixels by up to 64 codes, as they lie in x;
 * B is 16 outputs by as many inputs, whose rows are the blocks of unpack(); C is
 * pixels by outputs. Sums of four are under way at a time, since each waits for the
 * product before: two of pixels by two of outputs, or four by one, where there are not
 * more outputs or where weights are far (each is then loaded once for four).
 *
 * The includer has included conv_block_template.h, OMQ_MR being 32 and PANEL 2, has what
 * tiles.h asks for, and unpack() of conv_codes_template.h.
 */
#include "kern/x86/tiles.h"

/* Of C, the first figure is A's. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0 4
#define A1 5
#define B0 6
#define B1 7

/* Weights of a panel that L1 can hold, and how far ahead others are asked for, in bytes. */
enum { NEAR = 48 << 10, AHEAD = 2 << 10 };

static inline bool are_far(const struct conv_codes *t) { return PANEL * t->k_bytes > NEAR; }

/* The sums of four tiles of pixels, or of the n that there are, one after the other. */
OMQ_INLINE void sum_four(const struct conv_codes *t, ptrdiff_t steps, int n,
                         const uint8_t *const x[4], const int8_t *k, int32_t *acc)
{
    const ptrdiff_t next = t->io->x_pixel;
    const int32_t *start = t->io->start + t->first;

    TILE_LOAD(C00, start, 0);
    TILE_LOAD(C01, start, 0);
    TILE_LOAD(C10, start, 0);
    TILE_LOAD(C11, start, 0);
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS * steps, k += BLOCK * steps) {
            TILE_LOAD(B0, k, BLOCK);
            if (are_far(t))
                for (int line = 0; line < TILE_STEPS; line++)
                    __builtin_prefetch(k + AHEAD + line * BLOCK);
            TILE_LOAD(A0, x[0] + i, next);
            TILE_DOT_US(C00, A0, B0);
            TILE_LOAD(A1, x[1] + i, next);
            TILE_DOT_US(C01, A1, B0);
            if (n <= 2)
                continue;
            TILE_LOAD(A0, x[2] + i, next);
            TILE_DOT_US(C10, A0, B0);
            TILE_LOAD(A1, x[3] + i, next);
            TILE_DOT_US(C11, A1, B0);
        }
    }
    TILE_STORE(C00, acc, BLOCK);
    TILE_STORE(C01, acc + TILE_ROWS * OUTPUTS, BLOCK);
    TILE_STORE(C10, acc + 2 * TILE_ROWS * OUTPUTS, BLOCK);
    TILE_STORE(C11, acc + 3 * TILE_ROWS * OUTPUTS, BLOCK);
}

/* The sums of two tiles of pixels by a panel; a row of acc is a pixel. */
OMQ_INLINE void sum_two(const struct conv_codes *t, ptrdiff_t steps, const uint8_t *const x[2],
                        const int8_t *k, int32_t *acc)
{
    const ptrdiff_t next = t->io->x_pixel, pitch = PANEL * BLOCK;
    int32_t *second = acc + TILE_ROWS * OUTPUTS * PANEL;
    const int32_t *start = t->io->start + t->first;

    TILE_LOAD(C00, start, 0);
    TILE_LOAD(C10, start, 0);
    TILE_LOAD(C01, start + OUTPUTS, 0);
    TILE_LOAD(C11, start + OUTPUTS, 0);
    for (int run = 0; run < t->s->n_runs; run++) {
        const ptrdiff_t at = t->io->run_at[run], end = at + INPUTS * t->steps;

        for (ptrdiff_t i = at; i < end; i += INPUTS * steps, k += BLOCK * steps) {
            TILE_LOAD(A0, x[0] + i, next);
            TILE_LOAD(B0, k, BLOCK);
            TILE_DOT_US(C00, A0, B0);
            TILE_LOAD(A1, x[1] + i, next);
            TILE_DOT_US(C10, A1, B0);
            TILE_LOAD(B1, k + t->k_bytes, BLOCK);
            TILE_DOT_US(C01, A0, B1);
            TILE_DOT_US(C11, A1, B1);
        }
    }
    TILE_STORE(C00, acc, pitch);
    TILE_STORE(C10, second, pitch);
    TILE_STORE(C01, acc + OUTPUTS, pitch);
    TILE_STORE(C11, second + OUTPUTS, pitch);
}

/* How pixels are divided into tiles: of the pixels from ox to ox + ow - 1 of each
 * row of an image, which lie `width` apart, and `length` in all with what is
 * between the rows, a tile takes the next `pixels`. */
struct lines {
    int ox, ow, width, length, pixels;
};

/* A tile: its first new pixel, and how many before that it takes again, so as not
 * to end behind the image; and where they are. */
struct tile_at {
    int image, oy, col, again;
    const uint8_t *x;  /* of the first pixel that it takes */
    ptrdiff_t y, res;  /* of the first new one */
};

/* Whole images, where that fills tiles better than rows of few pixels do. */
static bool lines_of_images(const struct omq_conv_io *io, struct lines *l)
{
    const ptrdiff_t width = io->x_row / io->x_pixel;

    if (3 * io->ow > 2 * TILE_ROWS || width < io->ow || 2 * width > 3 * io->ow + 2 ||
        width * io->x_pixel != io->x_row)
        return false;
    l->ox = 0;
    l->ow = io->ow;
    l->width = (int)width;
    l->length = (io->oh - 1) * l->width + io->ow;
    l->pixels = l->length < TILE_ROWS ? l->length : TILE_ROWS;
    return true;
}

/* Part i of n of the rows, each row a tile. */
static struct lines lines_of_rows(const struct omq_conv_io *io, int n, int i)
{
    const int ox = omq_block_begin(io->ow, n, i), ow = omq_block_begin(io->ow, n, i + 1) - ox;

    return (struct lines){.ox = ox, .ow = ow, .width = ow, .length = io->oh * ow, .pixels = ow};
}

static inline void place_tile(const struct omq_conv_io *io, const struct lines *l,
                              struct tile_at *t)
{
    const int ox = l->ox + t->col;

    t->x = io->x + t->image * io->x_image + t->oy * io->x_row + (ox - t->again) * io->x_pixel;
    t->y = t->image * io->y_image + t->oy * io->y_row + ox * io->y_pixel;
    t->res = t->image * io->res_image + t->oy * io->res_row + ox * io->res_pixel;
}

static void next_of_image(const struct omq_conv_io *io, const struct lines *l, struct tile_at *t)
{
    int beyond;

    for (t->col += l->pixels - t->again; t->col >= l->width; t->col -= l->width)
        t->oy++;
    if (t->col >= l->ow) {
        t->col = 0;
        t->oy++;
    }
    if (t->oy >= io->oh) {
        t->oy = t->col = 0;
        t->image++;
    }
    beyond = t->oy * l->width + t->col + l->pixels - l->length;
    t->again = beyond > 0 ? beyond : 0;
    place_tile(io, l, t);
}

/* Nothing lies between the rows, and each is a tile. */
static inline bool are_rows(const struct lines *l)
{
    return l->width == l->ow && l->pixels == l->ow;
}

static inline void next_tile(const struct omq_conv_io *io, const struct lines *l,
                             struct tile_at *t)
{
    if (!are_rows(l)) {
        next_of_image(io, l, t);
        return;
    }
    t->x += io->x_row;
    t->y += io->y_row;
    t->res += io->res_row;
    if (++t->oy == io->oh) {
        t->oy = 0;
        t->image++;
        place_tile(io, l, t);
    }
}

/* The epilogue of a tile's new pixels, whose places p has, from its first on. */
static inline void finish_tile(const int blocks, const struct conv_codes *c,
                               const struct lines *l, const struct tile_at *t, struct pixels *p,
                               const int32_t *acc)
{
    const struct omq_conv_io *io = c->io;
    int oy = t->oy, ox = t->col;

    p->y_first = t->y;
    p->res_first = t->res;
    if (are_rows(l)) {
        finish(c, l->pixels, blocks, p, acc);
        return;
    }
    for (int i = t->again; i < l->pixels && oy < io->oh; oy++, ox = 0) {
        const int left = l->ow - ox, n = left < l->pixels - i ? left : l->pixels - i;

        finish(c, n, blocks, p, acc + (ptrdiff_t)i * blocks * OUTPUTS);
        i += left + l->width - l->ow;
        p->y_first += io->y_row - ox * io->y_pixel;
        p->res_first += io->res_row - ox * io->res_pixel;
    }
}

/* Places of the pixels of a tile. */
static void take_row(const struct conv_codes *c, struct pixels *p)
{
    for (int i = 0; i < TILE_ROWS; i += AT_ONCE) {
        put_places(p->y + i, &c->y_at, i * c->io->y_pixel);
        put_places(p->res + i, &c->res_at, i * c->io->res_pixel);
    }
}

/* Some tiles at a time, or those that are left. */
OMQ_INLINE void conv_lines(const int blocks, const struct conv_codes *c, const struct lines *l,
                           const int8_t *k)
{
    enum { MOST = 4 };
    _Alignas(64) int32_t acc[MOST * TILE_ROWS * OUTPUTS];
    const int tiles = MOST / blocks;
    const ptrdiff_t steps = steps_of_tile(c->steps);
    const struct tile_config config = tile_config_of(l->pixels, steps, A0, B0);
    struct tile_at next = {0};
    struct pixels p;

    place_tile(c->io, l, &next);
    take_row(c, &p);
    TILES_CONFIGURE(&config);
    while (next.image < c->io->n) {
        const uint8_t *x[MOST] = {next.x, next.x, next.x, next.x}; /* any, where there is none */
        struct tile_at at[MOST];
        int n = 0;

        for (; n < tiles && next.image < c->io->n; n++) {
            at[n] = next;
            x[n] = next.x;
            next_tile(c->io, l, &next);
        }
        if (blocks == PANEL)
            sum_two(c, steps, x, k, acc);
        else
            sum_four(c, steps, n, x, k, acc);
        for (int i = 0; i < n; i++)
            finish_tile(blocks, c, l, &at[i], &p, acc + i * TILE_ROWS * OUTPUTS * blocks);
    }
    TILES_RELEASE();
}

/* The pixels of l: by panels, or 16 outputs at a time, as the head of this file says. */
OMQ_INLINE void conv_some(const int blocks, const struct conv_codes *c, const struct lines *l,
                          const int8_t *k)
{
    struct conv_codes one = *c;

    if (blocks == PANEL && !are_far(c)) {
        conv_lines(PANEL, c, l, k);
        return;
    }
    for (int i = 0; i < blocks; i++, one.first += OUTPUTS, k += c->k_bytes)
        conv_lines(1, &one, l, k);
}

OMQ_INLINE void conv_panel(const int blocks, const struct conv_codes *c, const int8_t *k)
{
    const int n = (c->io->ow + TILE_ROWS - 1) / TILE_ROWS;
    struct lines l;

    if (lines_of_images(c->io, &l)) {
        conv_some(blocks, c, &l, k);
        return;
    }
    for (int i = 0; i < n; i++) {
        l = lines_of_rows(c->io, n, i);
        conv_some(blocks, c, &l, k);
    }
}
