/* SPDX-License-Identifier: MIT
 *
 * Maximum over windows, and its gradient, for one type; the includer defines
 * POOL, UNPOOL and SRC, which end with this file. No window lies outside the
 * image altogether.
 */
void OMQ_FN(POOL)(const struct omq_window *g, const SRC *restrict image, ptrdiff_t row,
                  SRC *restrict out, ptrdiff_t out_row)
{
    const ptrdiff_t c = g->c;

    for (int oy = 0; oy < g->oh; oy++, out += out_row) {
        const int y = oy * g->sh - g->ph;
        const int y0 = omq_clamp_int(y, 0, g->h), y1 = omq_clamp_int(y + g->kh, y0, g->h);

        for (int ox = 0; ox < g->ow; ox++) {
            const int x = ox * g->sw - g->pw;
            const int x0 = omq_clamp_int(x, 0, g->w), x1 = omq_clamp_int(x + g->kw, x0, g->w);
            SRC *restrict most = out + ox * c;

            memcpy(most, image + y0 * row + x0 * c, (size_t)c * sizeof(*most));
            for (int iy = y0; iy < y1; iy++) {
                const SRC *restrict src = image + iy * row + x0 * c;

                for (int ix = x0; ix < x1; ix++, src += c)
                    for (ptrdiff_t j = 0; j < c; j++)
                        most[j] = src[j] > most[j] ? src[j] : most[j];
            }
        }
    }
}

/* Each pixel that equals the maximum takes all that is left of the gradient. */
void OMQ_FN(UNPOOL)(const struct omq_window *g, const SRC *image, const SRC *out,
                    const omq_real *dout, omq_real *dimage)
{
    const ptrdiff_t c = g->c;

    for (int oy = 0; oy < g->oh; oy++) {
        const int y = oy * g->sh - g->ph;
        const int y0 = omq_clamp_int(y, 0, g->h), y1 = omq_clamp_int(y + g->kh, y0, g->h);

        for (int ox = 0; ox < g->ow; ox++, out += c, dout += c) {
            const int x = ox * g->sw - g->pw;
            const int x0 = omq_clamp_int(x, 0, g->w), x1 = omq_clamp_int(x + g->kw, x0, g->w);

            for (ptrdiff_t j = 0; j < c; j++) {
                omq_real left = dout[j];

                for (int iy = y0; iy < y1; iy++)
                    for (int ix = x0; ix < x1; ix++) {
                        const ptrdiff_t at = ((ptrdiff_t)iy * g->w + ix) * c + j;
                        const omq_real take = image[at] == out[j] ? left : 0;

                        dimage[at] += take;
                        left -= take;
                    }
            }
        }
    }
}

#undef POOL
#undef UNPOOL
#undef SRC
