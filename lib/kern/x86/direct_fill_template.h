/* SPDX-License-Identifier: MIT
 *
 * An image with its padding: tile = x - subtract, and `outside` around. It ends
 * where the last window does. The includer defines TILE, the type of its values.
 */
static void fill_tile(const struct omq_window *g, const uint8_t *image, int subtract, TILE outside,
                      TILE *tile)
{
    const int rows = (g->oh - 1) * g->sh + g->kh, cols = (g->ow - 1) * g->sw + g->kw;
    const int x1 = g->w + g->pw < cols ? g->w + g->pw : cols;
    const ptrdiff_t c = g->c, n = (x1 - g->pw) * c;

    for (int y = 0; y < rows; y++, tile += cols * c) {
        const int iy = y - g->ph;
        const uint8_t *restrict src = image + (ptrdiff_t)iy * g->w * c;
        TILE *restrict dst = tile + g->pw * c;

        if (iy < 0 || iy >= g->h) {
            for (ptrdiff_t i = 0; i < cols * c; i++)
                tile[i] = outside;
            continue;
        }
        for (ptrdiff_t i = 0; i < g->pw * c; i++)
            tile[i] = outside;
        for (ptrdiff_t i = 0; i < n; i++)
            dst[i] = (TILE)(src[i] - subtract);
        for (ptrdiff_t i = x1 * c; i < cols * c; i++)
            tile[i] = outside;
    }
}
