/* SPDX-License-Identifier: MIT
 *
 * Convolutions of 3 x 3 by minimal filtering, F(2 x 2, 3 x 3) (Winograd, 1980; Lavin and
 * Gray, CVPR 2016, section 4.1): of a tile of 4 x 4 codes x, the sums of 2 x 2 pixels
 * take 16 products a channel in place of 36. In whole numbers it is exact, G being
 * twice theirs, which makes the sums four times as large:
 *   V = B' x B, U = G k G', 4 Y = A' (sum over the channels of U V) A
 *   B' = 1  0 -1  0    G = 2  0  0    A' = 1  1  1  0
 *        0  1  1  0        1  1  1         0  1 -1 -1
 *        0 -1  1  0        1 -1  1
 *        0  1  0 -1        0  0  2
 * |V| <= 4 * 255 and |U| <= 9 * 128: vpmaddwd multiplies and adds up pairs of them.
 *
 * Some tiles at a time: their V, and then for every 16 outputs U, and the sums of up to
 * OMQ_MR tiles. Channels are taken in fours, in vpmaddwd's pairs the first and the third
 * of them and then the others, as words come out of bytes.
 *
 * The includer has included conv_places_template.h, unpack_bytes_template.h and the
 * epilogue, and defines load(), store(), HALF and LANES.
 */
enum {
    SIDE = 4, POINTS = SIDE * SIDE, /* of a tile */
    PIXELS = 4,                     /* that it gives */
    CHANNELS = 16,                  /* of a vector */
    PAIR = 2, PAIRS_OF_16 = PAIR * OUTPUTS,
    APART = 32,                     /* values, so that strides are no powers of two */
    LEAST_TILES = 24,               /* that are worth U */
};

struct winograd {
    struct conv_codes t;
    ptrdiff_t c;
    int rows, cols;        /* of tiles, in an image */
    ptrdiff_t tile, point; /* values from one of v to the next, and of u */
    int16_t *v;            /* [tiles][POINTS][c] */
    int16_t *u;            /* [POINTS][c / 2][16][2] */
    int8_t *bytes;         /* room for the weights of 16 outputs */
    struct corner {        /* where a tile begins */
        ptrdiff_t x, y, res;
    } at[OMQ_WINOGRAD_TILES];
    struct pixels p;       /* of a tile, but for where it begins */
};

/* Four times any sum must fit in 32 bits; what it is made of may wrap around. */
static bool by_winograd(const struct omq_conv_shape *s, const struct omq_conv_io *io)
{
    const int64_t k_max = s->midrise ? (1 << s->w_bits) - 1 : 1 << (s->w_bits - 1);
    const ptrdiff_t *at = io->run_at;

    return s->n_runs == 3 && s->run == 3 * io->x_pixel && io->x_pixel % CHANNELS == 0 &&
           at[1] - at[0] == io->x_row && at[2] - at[1] == io->x_row &&
           io->oh >= 2 && io->ow >= 2 &&
           (ptrdiff_t)io->n * ((io->oh + 1) / 2) * ((io->ow + 1) / 2) >= LEAST_TILES &&
           s->n_runs * s->run * s->x_max * k_max < 1 << 29;
}

/* Of an odd number of rows or columns the last tile begins one earlier. */
static struct corner corner_of(const struct winograd *w, ptrdiff_t tile)
{
    const struct omq_conv_io *io = w->t.io;
    const int in_image = (int)(tile % (w->rows * w->cols));
    const ptrdiff_t image = tile / (w->rows * w->cols);
    int oy = in_image / w->cols * 2, ox = in_image % w->cols * 2;

    oy = oy < io->oh - 2 ? oy : io->oh - 2;
    ox = ox < io->ow - 2 ? ox : io->ow - 2;
    return (struct corner){image * io->x_image + oy * io->x_row + ox * io->x_pixel,
                           image * io->y_image + oy * io->y_row + ox * io->y_pixel,
                           image * io->res_image + oy * io->res_row + ox * io->res_pixel};
}

/* ---- V ---- */

OMQ_INLINE void to_v(const __m256i x[SIDE], __m256i v[SIDE])
{
    v[0] = _mm256_sub_epi16(x[0], x[2]);
    v[1] = _mm256_add_epi16(x[1], x[2]);
    v[2] = _mm256_sub_epi16(x[2], x[1]);
    v[3] = _mm256_sub_epi16(x[1], x[3]);
}

/* Sixteen channels of a tile. */
OMQ_INLINE void transform_codes(const uint8_t *x, ptrdiff_t row, ptrdiff_t pixel, int16_t *v,
                                ptrdiff_t next)
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    __m256i codes[SIDE], part[SIDE][SIDE], points[SIDE];

    OMQ_UNROLL for (int i = 0; i < SIDE; i++) {
        OMQ_UNROLL for (int j = 0; j < SIDE; j++) {
            const void *at = x + i * row + j * pixel;

            codes[j] = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(_mm_loadu_si128(at), order));
        }
        to_v(codes, points);
        OMQ_UNROLL for (int j = 0; j < SIDE; j++)
            part[j][i] = points[j];
    }
    OMQ_UNROLL for (int j = 0; j < SIDE; j++) {
        to_v(part[j], points);
        OMQ_UNROLL for (int i = 0; i < SIDE; i++)
            store(v + (SIDE * i + j) * next, points[i]);
    }
}

static void transform_tile(const struct winograd *w, const struct corner *at, int16_t *v)
{
    const struct omq_conv_io *io = w->t.io;
    const uint8_t *x = io->x + at->x + io->run_at[0];

    for (ptrdiff_t i = 0; i < w->c; i += CHANNELS)
        transform_codes(x + i, io->x_row, io->x_pixel, v + i, w->c);
}

/* ---- U ---- */

OMQ_INLINE void to_u(const __m256i k[3], __m256i u[SIDE])
{
    const __m256i ends = _mm256_add_epi16(k[0], k[2]);

    u[0] = _mm256_add_epi16(k[0], k[0]);
    u[1] = _mm256_add_epi16(ends, k[1]);
    u[2] = _mm256_sub_epi16(ends, k[1]);
    u[3] = _mm256_add_epi16(k[2], k[2]);
}

/* Two channels of eight outputs. */
OMQ_INLINE void transform_taps(__m256i k[3][3], int16_t *u, ptrdiff_t next)
{
    __m256i part[SIDE][3], points[SIDE];

    OMQ_UNROLL for (int i = 0; i < 3; i++) {
        to_u(k[i], points);
        OMQ_UNROLL for (int j = 0; j < SIDE; j++)
            part[j][i] = points[j];
    }
    OMQ_UNROLL for (int j = 0; j < SIDE; j++) {
        to_u(part[j], points);
        OMQ_UNROLL for (int i = 0; i < SIDE; i++)
            store(u + (SIDE * i + j) * next, points[i]);
    }
}

/* All channels of 16 outputs, whose weights are k[3][3][c / 4][16][4]. */
static void transform_filters(const struct winograd *w, const int8_t *k)
{
    const ptrdiff_t tap = w->c * OUTPUTS;

    for (ptrdiff_t i = 0; i < w->c / INPUTS; i++)
        OMQ_UNROLL for (int h = 0; h < 2; h++) {
            int16_t *u = w->u + i * 2 * PAIRS_OF_16 + h * CHANNELS;
            __m256i first[3][3], second[3][3];

            OMQ_UNROLL for (int j = 0; j < 9; j++) {
                const __m256i taps = load(k + j * tap + i * BLOCK + h * HALF);

                first[j / 3][j % 3] = _mm256_srai_epi16(_mm256_slli_epi16(taps, 8), 8);
                second[j / 3][j % 3] = _mm256_srai_epi16(taps, 8);
            }
            transform_taps(first, u, w->point);
            transform_taps(second, u + PAIRS_OF_16, w->point);
        }
}

/* ---- sums ---- */

/* Adds v0 u0 + v1 u1 of each output. */
OMQ_INLINE void pair_step(const int16_t *v, __m256i u0, __m256i u1, __m256i sums[2])
{
    __m256i pair, products;

    __asm__("vpbroadcastd %4, %2\n\t"
            "vpmaddwd %5, %2, %3\n\t"
            "vpmaddwd %6, %2, %2\n\t"
            "vpaddd %3, %0, %0\n\t"
            "vpaddd %2, %1, %1"
            : "+x"(sums[0]), "+x"(sums[1]), "=&x"(pair), "=&x"(products)
            : "m"(*(const int16_t(*)[PAIR])v), "x"(u0), "x"(u1));
}

/* One point of mr tiles, whose sums lie a tile's apart. */
OMQ_INLINE void sum_point(const int mr, const struct winograd *w, const int16_t *v,
                          const int16_t *u, int32_t *sums)
{
    const ptrdiff_t c = w->c, tile = w->tile;
    __m256i s[OMQ_MR][2];

    OMQ_UNROLL for (int r = 0; r < mr; r++)
        s[r][0] = s[r][1] = _mm256_setzero_si256();
    for (ptrdiff_t i = 0; i < c; i += PAIR, u += PAIRS_OF_16) {
        const __m256i u0 = load(u), u1 = load(u + PAIR * LANES);

        OMQ_UNROLL for (int r = 0; r < mr; r++)
            pair_step(v + r * tile + i, u0, u1, s[r]);
    }
    OMQ_UNROLL for (int r = 0; r < mr; r++) {
        store(sums + r * POINTS * OUTPUTS, s[r][0]);
        store(sums + r * POINTS * OUTPUTS + LANES, s[r][1]);
    }
}

OMQ_INLINE void to_y(const __m256i s[SIDE], __m256i y[2])
{
    y[0] = _mm256_add_epi32(_mm256_add_epi32(s[0], s[1]), s[2]);
    y[1] = _mm256_sub_epi32(_mm256_sub_epi32(s[1], s[2]), s[3]);
}

/* Eight outputs of the four pixels of a tile. */
OMQ_INLINE void transform_sums(const int32_t *sums, const int32_t *start, int32_t *acc)
{
    __m256i points[SIDE], part[2][SIDE], y[2];

    OMQ_UNROLL for (int i = 0; i < SIDE; i++) {
        OMQ_UNROLL for (int j = 0; j < SIDE; j++)
            points[j] = load(sums + (SIDE * i + j) * OUTPUTS);
        to_y(points, y);
        part[0][i] = y[0];
        part[1][i] = y[1];
    }
    OMQ_UNROLL for (int j = 0; j < 2; j++) {
        to_y(part[j], y);
        OMQ_UNROLL for (int i = 0; i < 2; i++)
            store(acc + (2 * i + j) * OUTPUTS,
                  _mm256_add_epi32(_mm256_srai_epi32(y[i], 2), load(start)));
    }
}

/* 16 outputs of mr tiles from one on. */
OMQ_INLINE void winograd_block(const int mr, struct winograd *w, ptrdiff_t tile)
{
    const int16_t *v = w->v + tile * w->tile;
    const int32_t *start = w->t.io->start + w->t.first;
    _Alignas(32) int32_t sums[OMQ_MR][POINTS][OUTPUTS], acc[PIXELS * OUTPUTS];

    for (int i = 0; i < POINTS; i++)
        sum_point(mr, w, v + i * w->c, w->u + i * w->point, sums[0][i]);
    for (int r = 0; r < mr; r++) {
        transform_sums(sums[r][0], start, acc);
        transform_sums(sums[r][0] + LANES, start + LANES, acc + LANES);
        w->p.y_first = w->at[tile + r].y;
        w->p.res_first = w->at[tile + r].res;
        finish(&w->t, PIXELS, 1, &w->p, acc);
    }
}

/* All outputs of n tiles from one on. */
static void winograd_tiles(struct winograd *w, ptrdiff_t first, ptrdiff_t n)
{
    const ptrdiff_t packed = 9 * w->c / INPUTS * w->t.s->w_bits * (ptrdiff_t)sizeof(uint64_t);
    const uint8_t *k = w->t.io->w;

    for (ptrdiff_t i = 0; i < n; i++) {
        w->at[i] = corner_of(w, first + i);
        transform_tile(w, &w->at[i], w->v + i * w->tile);
    }
    for (w->t.first = 0; w->t.first < w->t.s->oc; w->t.first += OUTPUTS, k += packed) {
        transform_filters(w, unpack_bytes(w->t.s, k, w->bytes));
        for (ptrdiff_t i = 0; i < n;) {
            const int mr = block_of(n - i);

            OMQ_BLOCK_OF(mr, winograd_block, w, i)
            i += mr;
        }
    }
}

static void conv_winograd(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                          void *scratch)
{
    const int c = s->run / 3, most = omq_winograd_tiles(c);
    struct winograd w = {
        .t = conv_codes_of(s, io, 0), .c = c, .rows = (io->oh + 1) / 2, .cols = (io->ow + 1) / 2,
        .tile = POINTS * c + APART, .point = c * OUTPUTS + APART, .v = omq_aligned(scratch),
        .p = {.y = {0, io->y_pixel, io->y_row, io->y_row + io->y_pixel},
              .res = {0, io->res_pixel, io->res_row, io->res_row + io->res_pixel}},
    };
    const ptrdiff_t n = (ptrdiff_t)io->n * w.rows * w.cols, calls = (n + most - 1) / most;

    w.u = w.v + most * w.tile;
    w.bytes = (int8_t *)(w.u + POINTS * w.point);
    for (ptrdiff_t i = 0; i < calls; i++)
        winograd_tiles(&w, n * i / calls, n * (i + 1) / calls - n * i / calls);
}
