/* SPDX-License-Identifier: MIT
 *
 * im2row for one pair of types; the includer defines OP, SRC, DST, ZERO_POINT
 * (the extra parameter, if any) and CONVERT, which end with this file. Column
 * for column a window row is one run of contiguous pixels, so with all
 * channels read it is one copy.
 */
void OMQ_FN(OP)(const struct omq_window *g, const SRC *restrict image ZERO_POINT,
                 DST *restrict rows)
{
    const ptrdiff_t c = g->c, cc = g->c_count;
    const ptrdiff_t run = g->kw * cc; /* of one row of the window */

    for (int oy = 0; oy < g->oh; oy++) {
        for (int ox = 0; ox < g->ow; ox++) {
            const int ix = ox * g->sw - g->pw;
            const int k0 = omq_clamp_int(-ix, 0, g->kw), k1 = omq_clamp_int(g->w - ix, k0, g->kw);

            for (int ky = 0; ky < g->kh; ky++, rows += run) {
                const int iy = oy * g->sh - g->ph + ky;
                const SRC *restrict src;
                DST *restrict dst = rows + k0 * cc;

                if (iy < 0 || iy >= g->h || k0 == k1) {
                    memset(rows, 0, (size_t)run * sizeof(*rows));
                    continue;
                }
                src = image + ((ptrdiff_t)iy * g->w + ix + k0) * c + g->c_begin;
                if (k0 > 0)
                    memset(rows, 0, (size_t)(k0 * cc) * sizeof(*rows));
                if (k1 < g->kw)
                    memset(rows + k1 * cc, 0, (size_t)((g->kw - k1) * cc) * sizeof(*rows));
                /* The usual first layer: too short for vectors. */
                if (c == 1 && k1 - k0 == 3) {
                    dst[0] = CONVERT(src[0]);
                    dst[1] = CONVERT(src[1]);
                    dst[2] = CONVERT(src[2]);
                    continue;
                }
                if (cc == c) {
                    for (ptrdiff_t j = 0; j < (k1 - k0) * cc; j++)
                        dst[j] = CONVERT(src[j]);
                    continue;
                }
                for (int kx = k0; kx < k1; kx++, src += c, dst += cc)
                    for (ptrdiff_t j = 0; j < cc; j++)
                        dst[j] = CONVERT(src[j]);
            }
        }
    }
}

#undef OP
#undef SRC
#undef DST
#undef ZERO_POINT
#undef CONVERT
