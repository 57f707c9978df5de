/* SPDX-License-Identifier: MIT
 *
 * The interpreter: DESIGN.md's numerics, operator by operator. Dot products of
 * integers go through the kernels, which cannot round; all that rounds is
 * spelled out here.
 */
#include "engine/engine_internal.h"

/* Enough rows for a GEMM to pay: layers with small images take several. */
enum { ROWS_WANTED = 256 };

static int chunk_of(const struct omq_engine_unit *u, int n)
{
    int per_image = u->win.oh * u->win.ow;
    int chunk = per_image < ROWS_WANTED ? ROWS_WANTED / per_image : 1;

    return chunk < n ? chunk : n;
}

static uint64_t positions(const struct omq_engine_unit *u, int n)
{
    return (uint64_t)u->win.oh * (uint64_t)u->win.ow * (uint64_t)chunk_of(u, n);
}

/* No product here can leave 64 bits: images have at most 2^28 elements and
 * omq_engine_open() bounds the length of a row. */
uint64_t omq_engine_rows(const struct omq_engine_unit *u, int n)
{
    const struct omq_window *w = &u->win;

    return u->kind == OMQ_UNIT_CONV
        ? positions(u, n) * ((uint64_t)w->kh * (uint64_t)w->kw * (uint64_t)w->c_count) : 0;
}

uint64_t omq_engine_accs(const struct omq_engine_unit *u, int n)
{
    return u->kind == OMQ_UNIT_CONV ? positions(u, n) * (uint64_t)(u->oc / u->groups) : 0;
}

/* q = clamp(rint(v), 0, q_max), half to even; ReLU is the clamp. */
static uint8_t code_of(omq_real v, int q_max)
{
    omq_real q = rint(v);

    return (uint8_t)(q > 0 ? q < (omq_real)q_max ? q : (omq_real)q_max : 0);
}

/* Stores value v as element i of the output. */
static void put(const struct omq_engine_unit *u, const struct omq_engine_io *io, size_t i,
                omq_real v)
{
    if (u->q_max == 0) {
        io->logits[i] = (float)v;
        return;
    }
    io->out[i] = code_of(v, u->q_max);
    if (io->watch)
        io->watch->value(io->watch->ctx, io->unit, v, io->out[i]);
}

/* v = fma(acc, m, b), or fma(acc, m, fma(res, r, b)), for n positions from
 * `first` and the channels [c, c + n_c) of one group. Zero points are in b. The
 * kernel is the same arithmetic, and its reference as plain as this. */
static void epilogue(const struct omq_engine_unit *u, const struct omq_engine_io *io,
                     size_t first, size_t n, int c, int n_c)
{
    const int32_t *acc = io->acc;
    size_t at = first * (size_t)u->oc + (size_t)c;

    if (u->q_max && !io->watch) {
        omq_kern()->requantize((int)n, n_c, acc, u->m + c, u->b + c, io->res ? io->res + at : NULL,
                               u->r + c, u->oc, u->q_max, io->out + at);
        return;
    }
    for (size_t p = first; p < first + n; p++)
        for (int j = c; j < c + n_c; j++) {
            size_t i = p * (size_t)u->oc + (size_t)j;
            omq_real b = u->b[j];

            if (io->res)
                b = fma((omq_real)io->res[i], u->r[j], b);
            put(u, io, i, fma((omq_real)*acc++, u->m[j], b));
        }
}

/* acc = sum over the window of (code - zero point) * k; padding is the zero
 * point, so it adds nothing. */
static void run_conv(const struct omq_engine_unit *u, const struct omq_engine_io *io)
{
    const struct omq_kern *kern = omq_kern();
    const struct omq_window *w = &u->win;
    size_t image = (size_t)w->h * (size_t)w->w * (size_t)w->c;
    int m = w->oh * w->ow, k = w->kh * w->kw * w->c_count, n_c = u->oc / u->groups;
    int chunk = chunk_of(u, io->n);

    for (int first = 0; first < io->n; first += chunk) {
        int count = io->n - first < chunk ? io->n - first : chunk;

        for (int g = 0; g < u->groups; g++) {
            struct omq_window group = *w;

            group.c_begin = g * w->c_count;
            for (int i = 0; i < count; i++)
                kern->im2row_s16(&group, io->in + (size_t)(first + i) * image, u->zp_in,
                                 io->rows + (size_t)i * (size_t)m * (size_t)k);
            kern->gemm_s16(count * m, n_c, k, io->rows, u->w + (size_t)g * (size_t)n_c * (size_t)k,
                           io->acc);
            epilogue(u, io, (size_t)first * (size_t)m, (size_t)count * (size_t)m, g * n_c, n_c);
        }
    }
}

static void run_requant(const struct omq_engine_unit *u, const struct omq_engine_io *io)
{
    size_t n = (size_t)io->n * (size_t)u->win.h * (size_t)u->win.w * (size_t)u->win.c;
    const uint8_t *in = io->in, *table = u->table;
    uint8_t *out = io->out; /* stores may alias *u and *io: not looked at in the loop */

    for (size_t i = 0; i < n; i++)
        out[i] = table[in[i]];
    for (size_t i = 0; io->watch && i < n; i++)
        io->watch->value(io->watch->ctx, io->unit, u->table_v[in[i]], out[i]);
}

/* The part of a window along one axis that lies inside the image. */
static void clip(int out, int stride, int pad, int kernel, int size, int *begin, int *end)
{
    *begin = out * stride - pad;
    *end = *begin + kernel < size ? *begin + kernel : size;
    if (*begin < 0)
        *begin = 0;
}

/* Calls value(u, io, output index, ...) for the window of every output. */
static void each_window(const struct omq_engine_unit *u, const struct omq_engine_io *io,
                        void (*value)(const struct omq_engine_unit *u,
                                      const struct omq_engine_io *io, size_t out,
                                      const uint8_t *image, const int box[4]))
{
    const struct omq_window *w = &u->win;
    size_t image = (size_t)w->h * (size_t)w->w * (size_t)w->c, out = 0;
    int box[4]; /* y begin, y end, x begin, x end */

    for (int i = 0; i < io->n; i++)
        for (int y = 0; y < w->oh; y++)
            for (int x = 0; x < w->ow; x++)
                for (int c = 0; c < w->c; c++, out++) {
                    clip(y, w->sh, w->ph, w->kh, w->h, &box[0], &box[1]);
                    clip(x, w->sw, w->pw, w->kw, w->w, &box[2], &box[3]);
                    value(u, io, out, io->in + (size_t)i * image + c, box);
                }
}

/* Codes of one quantizer are ordered as their values: the maximum is a code. */
static void max_value(const struct omq_engine_unit *u, const struct omq_engine_io *io, size_t out,
                      const uint8_t *image, const int box[4])
{
    uint8_t best = 0;

    for (int y = box[0]; y < box[1]; y++)
        for (int x = box[2]; x < box[3]; x++) {
            uint8_t q = image[((size_t)y * (size_t)u->win.w + (size_t)x) * (size_t)u->win.c];

            best = q > best ? q : best;
        }
    io->out[out] = best;
}

/* v = fma(sum of (code - zero point), m, b); padding adds nothing, and counts. */
static void average_value(const struct omq_engine_unit *u, const struct omq_engine_io *io,
                          size_t out, const uint8_t *image, const int box[4])
{
    int32_t sum = 0;

    for (int y = box[0]; y < box[1]; y++)
        for (int x = box[2]; x < box[3]; x++)
            sum += image[((size_t)y * (size_t)u->win.w + (size_t)x) * (size_t)u->win.c] -
                   u->zp_in;
    put(u, io, out, fma((omq_real)sum, u->m[0], u->b[0]));
}

void omq_engine_unit_run(const struct omq_engine_unit *u, const struct omq_engine_io *io)
{
    switch (u->kind) {
    case OMQ_UNIT_CONV:
        run_conv(u, io);
        return;
    case OMQ_UNIT_REQUANT:
        run_requant(u, io);
        return;
    case OMQ_UNIT_MAXPOOL:
        each_window(u, io, max_value);
        return;
    case OMQ_UNIT_AVGPOOL:
        each_window(u, io, average_value);
        return;
    }
    OMQ_BUG("a unit without a kind");
}
