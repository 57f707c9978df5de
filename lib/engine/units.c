/* SPDX-License-Identifier: MIT
 *
 * One unit of a plan, or a share of it: outputs of a convolution where they are
 * few pixels, else rows of the output.
 */
#include "engine/engine_internal.h"

#include <string.h>

/* A convolution of fewer pixels is shared by its outputs, where there are enough of them:
 * each thread then reads its part of the weights only. */
enum { PIXELS_FOR_ROWS = 400 };

uint8_t *omq_engine_codes(const struct omq_engine_io *io, int tensor, int image)
{
    const struct omq_engine_tensor *t = &io->e->tensors[tensor];

    return (uint8_t *)io->tensors + t->offset * (size_t)io->n + image * t->image +
           t->border * (t->row + t->c);
}

/* Item `part` of `parts` even shares of n. */
static int share(int n, int part, int parts)
{
    return (int)((int64_t)n * part / parts);
}

/* As memset(), for the few bytes between two rows: a call would take longer. */
static inline void fill(uint8_t *p, ptrdiff_t n, int code)
{
    enum { STEP = 16 };
    uint8_t codes[STEP];

    memset(codes, code, sizeof(codes));
    for (; n >= STEP; n -= STEP, p += STEP)
        memcpy(p, codes, sizeof(codes));
    for (; n > 0; n--)
        *p++ = (uint8_t)code;
}

/* The right edge of a row and the left one of the next lie side by side. */
static void fill_border(const struct omq_engine_io *io, int tensor)
{
    const struct omq_engine_tensor *t = &io->e->tensors[tensor];
    const ptrdiff_t edge = (ptrdiff_t)t->border * t->c, band = t->border * t->row;
    const int zero = t->act.zero_point;

    if (t->border == 0 || io->part > 0)
        return;
    for (int i = 0; i < io->n; i++) {
        uint8_t *first = omq_engine_codes(io, tensor, i), *end = first + t->w * (ptrdiff_t)t->c;

        memset(first - band - edge, zero, (size_t)(band + edge));
        for (int y = 1; y < t->h; y++, end += t->row)
            fill(end, 2 * edge, zero);
        memset(end, zero, (size_t)(edge + band));
    }
}

void omq_engine_load(const struct omq_engine_io *io, const uint8_t *codes)
{
    const struct omq_engine_tensor *t = &io->e->tensors[0];
    const size_t row = (size_t)t->w * (size_t)t->c;

    fill_border(io, 0);
    for (int i = 0; io->part == 0 && i < io->n; i++) {
        uint8_t *to = omq_engine_codes(io, 0, i);

        for (int y = 0; y < t->h; y++, codes += row)
            memcpy(to + y * t->row, codes, row);
    }
}

static bool is_seen(const struct omq_engine_io *io)
{
    return io->watch && io->watch->value;
}

static void see(const struct omq_engine_io *io, int unit, omq_real v, uint8_t q)
{
    io->watch->value(io->watch->ctx, unit, v, q);
}

/* q = clamp(rint(v), 0, q_max), half to even; a NaN gives 0. */
static uint8_t code_of(omq_real v, int q_max)
{
    omq_real q = rint(v);

    return (uint8_t)(q > 0 ? q < (omq_real)q_max ? q : (omq_real)q_max : 0);
}

/* ---- convolutions ---- */

/* All outputs of n images. One pixel an image makes one row of all images. */
static struct omq_conv_io whole_conv(const struct omq_engine_io *io,
                                     const struct omq_engine_unit *u, int first, int n)
{
    const struct omq_engine_tensor *in = &io->e->tensors[u->in], *out = &io->e->tensors[u->out];
    const struct omq_engine_tensor *res = u->res >= 0 ? &io->e->tensors[u->res] : NULL;
    struct omq_conv_io c = {
        .n = n, .oh = u->win.oh, .ow = u->win.ow, .run_at = u->run_at,
        .x = omq_engine_codes(io, u->in, first) - u->win.ph * (in->row + in->c),
        .x_image = in->image, .x_row = u->win.sh * in->row, .x_pixel = u->win.sw * (ptrdiff_t)in->c,
        .y_pixel = u->oc, .add = u->add,
    };

    if (out->is_logits) {
        c.y = io->logits;
        c.y_row = u->win.ow * (ptrdiff_t)u->oc;
        c.y_image = u->win.oh * c.y_row;
    } else {
        c.y = omq_engine_codes(io, u->out, first);
        c.y_row = out->row;
        c.y_image = out->image;
    }
    if (res) {
        c.res = omq_engine_codes(io, u->res, first);
        c.res_image = res->image;
        c.res_row = res->row;
        c.res_pixel = u->oc;
    }
    if (c.oh * c.ow == 1) {
        c.ow = c.n;
        c.n = 1;
        c.x_pixel = c.x_image;
        c.y_pixel = c.y_image;
        c.res_pixel = c.res_image;
    }
    return c;
}

static void move_y(const struct omq_conv_shape *s, struct omq_conv_io *c, ptrdiff_t n)
{
    c->y = (char *)c->y + n * (s->q_max ? 1 : (ptrdiff_t)sizeof(omq_real));
    c->res = c->res ? c->res + n : NULL;
}

/* Outputs begin .. end - 1, whole blocks of 16. */
static void take_outputs(struct omq_conv_shape *s, struct omq_conv_io *c, int begin, int end)
{
    c->w = (const uint8_t *)c->w + omq_conv_packed_at(s, begin);
    c->start += begin;
    c->m += begin;
    c->b += begin;
    move_y(s, c, begin);
    s->oc = (end < s->oc ? end : s->oc) - begin;
}

static void take_rows(const struct omq_conv_shape *s, struct omq_conv_io *c, int begin, int end)
{
    c->x += begin * c->x_row;
    c->y = (char *)c->y + begin * c->y_row * (s->q_max ? 1 : (ptrdiff_t)sizeof(omq_real));
    c->res = c->res ? c->res + begin * c->res_row : NULL;
    c->oh = end - begin;
}

/* This part's share of the outputs of one group. Where there are fewer blocks of them than
 * parts, rows keep more of the parts at work. */
static void run_share(const struct omq_engine_io *io, const struct omq_engine_unit *u,
                      struct omq_conv_shape s, struct omq_conv_io c)
{
    const int blocks = (s.oc + 15) / 16;

    if (io->parts > 1 && !u->is_depthwise && c.n * c.oh * c.ow < PIXELS_FOR_ROWS &&
        (blocks >= io->parts || blocks >= c.oh))
        take_outputs(&s, &c, 16 * share(blocks, io->part, io->parts),
                     16 * share(blocks, io->part + 1, io->parts));
    else if (io->parts > 1)
        take_rows(&s, &c, share(c.oh, io->part, io->parts), share(c.oh, io->part + 1, io->parts));
    if (s.oc <= 0 || c.oh <= 0)
        return;
    if (u->is_depthwise)
        omq_kern()->dwconv_codes(&s, &c);
    else
        (u->by_bits ? omq_kern()->conv_bits : omq_kern()->conv_codes)(&s, &c, io->kernel);
}

static void run_groups(const struct omq_engine_io *io, const struct omq_engine_unit *u,
                       const struct omq_conv_shape *s, const struct omq_conv_io *whole)
{
    for (int g = 0; g < u->groups; g++) {
        const ptrdiff_t at = (ptrdiff_t)g * omq_engine_padded(u);
        struct omq_conv_io c = *whole;

        c.x += g * u->win.c_count;
        c.w = u->w + (size_t)g * u->group_bytes;
        c.start = u->start + at;
        c.m = u->m + at;
        c.b = u->b + at;
        move_y(s, &c, g * (ptrdiff_t)s->oc);
        run_share(io, u, *s, c);
    }
}

/* One row at a time, as reals, which are then rounded here. */
static void run_watched_conv(const struct omq_engine_io *io, int unit)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const struct omq_engine_tensor *out = &io->e->tensors[u->out];
    struct omq_conv_shape s = u->shape;
    omq_real *v = io->row;

    s.q_max = 0;
    for (int i = 0; i < io->n; i++)
        for (int y = 0; y < u->win.oh; y++) {
            uint8_t *q = omq_engine_codes(io, u->out, i) + y * out->row;
            struct omq_conv_io c = whole_conv(io, u, i, 1);

            take_rows(&s, &c, y, y + 1);
            c.y = v;
            run_groups(io, u, &s, &c);
            for (int j = 0; j < u->win.ow * u->oc; j++) {
                q[j] = code_of(v[j], out->act.q_max);
                see(io, unit, v[j], q[j]);
            }
        }
}

static void run_conv(const struct omq_engine_io *io, int unit)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    struct omq_conv_io whole;

    if (is_seen(io) && u->shape.q_max) {
        run_watched_conv(io, unit);
        return;
    }
    whole = whole_conv(io, u, 0, io->n);
    run_groups(io, u, &u->shape, &whole);
}

/* ---- the others, a row at a time ---- */

/* The part of a window along one axis that lies inside the image. */
static void clip(int out, int stride, int pad, int kernel, int size, int *begin, int *end)
{
    *begin = out * stride - pad;
    *end = *begin + kernel < size ? *begin + kernel : size;
    if (*begin < 0)
        *begin = 0;
}

static void requant_rows(const struct omq_engine_io *io, int unit, int rows, const uint8_t *in,
                         uint8_t *out)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const struct omq_rescale *r = &u->rescale;
    const ptrdiff_t in_row = io->e->tensors[u->in].row, out_row = io->e->tensors[u->out].row;
    const size_t n = (size_t)u->win.w * (size_t)u->win.c;

    omq_kern()->rescale_u8((size_t)rows, n, in, in_row, r, out, out_row);
    for (; is_seen(io) && rows > 0; rows--, in += in_row, out += out_row)
        for (size_t i = 0; i < n; i++)
            see(io, unit, fma((omq_real)(in[i] - r->zp_in), r->ratio, (omq_real)r->zp_out),
                out[i]);
}

/* Rows from oy on. Codes of one quantizer are ordered as their values: the maximum is
 * a code. */
static void max_rows(const struct omq_engine_io *io, int unit, int rows, const uint8_t *image,
                     int oy, uint8_t *out)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    struct omq_window w = u->win;

    w.ph -= oy * w.sh;
    w.oh = rows;
    omq_kern()->maxpool_u8(&w, image, io->e->tensors[u->in].row, out,
                           io->e->tensors[u->out].row);
}

static void add_codes(int n, const uint8_t *restrict codes, int zero_point, int32_t *restrict sum)
{
    for (int c = 0; c < n; c++)
        sum[c] += codes[c] - zero_point;
}

/* v = fma(sum of (code - zero point), m, b); padding adds nothing, and counts. */
static void average_row(const struct omq_engine_io *io, int unit, const uint8_t *image, int oy,
                        uint8_t *out)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const struct omq_engine_tensor *in = &io->e->tensors[u->in];
    const struct omq_window *w = &u->win;
    const int q_max = io->e->tensors[u->out].act.q_max;
    int32_t *sum = io->row;
    int y0, y1, x0, x1;

    clip(oy, w->sh, w->ph, w->kh, w->h, &y0, &y1);
    for (int ox = 0; ox < w->ow; ox++, out += w->c) {
        clip(ox, w->sw, w->pw, w->kw, w->w, &x0, &x1);
        memset(sum, 0, sizeof(*sum) * (size_t)w->c);
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++)
                add_codes(w->c, image + y * in->row + x * (ptrdiff_t)w->c, in->act.zero_point,
                          sum);
        for (int c = 0; c < w->c; c++) {
            omq_real v = fma((omq_real)sum[c], u->m[0], u->b[0]);

            out[c] = code_of(v, q_max);
            if (is_seen(io))
                see(io, unit, v, out[c]);
        }
    }
}

/* Row oy of each image of both inputs, pixel by pixel. */
static void concat_row(const struct omq_engine_io *io, int unit, int image, int oy, uint8_t *out)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const size_t a = (size_t)u->win.c, b = (size_t)(u->oc - u->win.c);
    const uint8_t *x = omq_engine_codes(io, u->in, image) + oy * io->e->tensors[u->in].row;
    const uint8_t *y = omq_engine_codes(io, u->res, image) + oy * io->e->tensors[u->res].row;

    for (int ox = 0; ox < u->win.ow; ox++, out += u->oc, x += a, y += b) {
        memcpy(out, x, a);
        memcpy(out + a, y, b);
    }
}

static void shortcut_row(const struct omq_engine_io *io, int unit, const uint8_t *image, int oy,
                         uint8_t *out)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const struct omq_window *w = &u->win;
    const uint8_t *x = image + oy * w->sh * io->e->tensors[u->in].row;
    const int first = (u->oc - w->c) / 2;

    memset(out, io->e->tensors[u->out].act.zero_point, (size_t)w->ow * (size_t)u->oc);
    for (int ox = 0; ox < w->ow; ox++)
        memcpy(out + ox * (ptrdiff_t)u->oc + first, x + ox * w->sw * (ptrdiff_t)w->c,
               (size_t)w->c);
}

static void run_rows(const struct omq_engine_io *io, int unit)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const ptrdiff_t in_row = io->e->tensors[u->in].row, out_row = io->e->tensors[u->out].row;
    const int begin = share(u->win.oh, io->part, io->parts);
    const int end = share(u->win.oh, io->part + 1, io->parts);

    for (int i = 0; i < io->n; i++) {
        const uint8_t *in = omq_engine_codes(io, u->in, i);
        uint8_t *out = omq_engine_codes(io, u->out, i);

        if (u->kind == OMQ_UNIT_REQUANT) {
            requant_rows(io, unit, end - begin, in + begin * in_row, out + begin * out_row);
            continue;
        }
        if (u->kind == OMQ_UNIT_MAXPOOL) {
            max_rows(io, unit, end - begin, in, begin, out + begin * out_row);
            continue;
        }
        for (int y = begin; y < end; y++)
            if (u->kind == OMQ_UNIT_CONCAT)
                concat_row(io, unit, i, y, out + y * out_row);
            else if (u->kind == OMQ_UNIT_SHORTCUT)
                shortcut_row(io, unit, in, y, out + y * out_row);
            else
                average_row(io, unit, in, y, out + y * out_row);
    }
}

void omq_engine_unit_run(const struct omq_engine_io *io, int unit)
{
    const struct omq_engine_unit *u = &io->e->units[unit];
    const struct omq_engine_tensor *out = &io->e->tensors[u->out];

    if (!out->is_logits)
        fill_border(io, u->out);
    if (u->kind == OMQ_UNIT_CONV)
        run_conv(io, unit);
    else
        run_rows(io, unit);
    if (io->watch && io->watch->codes && !out->is_logits)
        io->watch->codes(io->watch->ctx, unit, omq_engine_codes(io, u->out, 0), out->image,
                         out->row);
}
