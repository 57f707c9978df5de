/* SPDX-License-Identifier: MIT
 *
 * Convolutions of codes, forward: training multiplies by the engine's kernels, and
 * so gets the engine's integers. They read windows where they lie, with what is
 * outside the image around it, for which images with padding are copied.
 */
#include "nn/nn_internal.h"

#include <string.h>

/* ---- geometry ---- */

static bool is_padded(const struct omq_unit *u) { return u->win.ph > 0 || u->win.pw > 0; }

/* Values of a row, and of an image, as windows are read from them. */
static ptrdiff_t row_of(const struct omq_unit *u)
{
    return (ptrdiff_t)(u->win.w + 2 * u->win.pw) * u->win.c;
}

static ptrdiff_t image_of(const struct omq_unit *u)
{
    return (u->win.h + 2 * u->win.ph) * row_of(u);
}

static void set_runs(const struct omq_unit *u, struct omq_conv_shape *s)
{
    omq_conv_set_runs(s, &u->win, u->groups > 1, omq_unit_is_whole(u));
}

int omq_codes_images(const struct omq_unit *u)
{
    enum { PIXELS = 1024, MOST = 64 }; /* pixels that are worth the reading of the weights */
    const int images = PIXELS / (u->win.oh * u->win.ow);

    return images < 1 ? 1 : images > MOST ? MOST : images;
}

/* ---- memory ---- */

void omq_codes_take(struct omq_exec *x, const struct omq_unit *u, struct omq_unit_buf *b)
{
    struct omq_layer_buf *l = &x->layers[u->layer];
    struct omq_conv_shape s = {.oc = u->oc / u->groups, .w_bits = 8};
    const size_t groups = (size_t)u->groups, outputs = groups * (size_t)omq_conv_padded(s.oc);

    set_runs(u, &s);
    l->packed = omq_arena_take(&x->arena, groups, omq_conv_packed_size(&s));
    l->start = omq_arena_take(&x->arena, outputs, sizeof(*l->start));
    b->run_at = omq_arena_take(&x->arena, (size_t)s.n_runs, sizeof(*b->run_at));
    if (b->run_at)
        omq_conv_place_runs(&s, &u->win, u->groups > 1, row_of(u), b->run_at);
}

/* The kernel's, and images with what is around them, of which three bytes more are read. */
static size_t kernel_scratch(const struct omq_conv_shape *s)
{
    return omq_align_up(omq_conv_codes_scratch(s));
}

size_t omq_codes_scratch(const struct omq_unit *u)
{
    struct omq_conv_shape s = {.oc = u->oc / u->groups};
    const size_t images = (size_t)omq_codes_images(u);

    set_runs(u, &s);
    return kernel_scratch(&s) + (is_padded(u) ? images * (size_t)image_of(u) + OMQ_CODES_BEHIND
                                              : 0);
}

/* ---- weights ---- */

void omq_codes_begin(struct omq_exec *x, const struct omq_unit *u)
{
    const struct omq_act *in = &x->tensors[u->in].act;
    const struct omq_grid grid = omq_layer_grid(x->net, x->precision, u->layer);
    struct omq_layer_buf *l = &x->layers[u->layer];

    l->shape = (struct omq_conv_shape){
        .oc = u->oc / u->groups, .w_bits = grid.bits, .midrise = grid.midrise,
        .x_max = in->q_max, .zero_point = in->zero_point,
    };
    set_runs(u, &l->shape);
    l->by_bits = omq_conv_by_bits(&l->shape);
}

void omq_codes_pack(const struct omq_exec *x, struct omq_layer_buf *l, int first, int count)
{
    const size_t filter = (size_t)l->shape.n_runs * (size_t)l->shape.run;
    struct omq_conv_shape s = l->shape;

    for (int o = first; o < first + count; o += s.oc) {
        const int group = o / l->shape.oc, left = l->shape.oc - o % l->shape.oc;
        const int at = group * omq_conv_padded(l->shape.oc) + o % l->shape.oc;

        s.oc = left < first + count - o ? left : first + count - o;
        (l->by_bits ? x->kern->pack_bits : x->kern->pack_codes)
            (&s, l->codes + (size_t)o * filter, l->packed + omq_conv_packed_at(&s, at),
             l->start + at);
    }
}

/* ---- sums ---- */

/* Images with zero points around them. */
static void copy_images(const struct omq_unit *u, int n, const uint8_t *x, int zero_point,
                        uint8_t *to)
{
    const size_t row = (size_t)u->win.w * (size_t)u->win.c;
    const size_t side = (size_t)u->win.pw * (size_t)u->win.c;
    const size_t above = (size_t)u->win.ph * (row + 2 * side);

    for (int i = 0; i < n; i++) {
        memset(to, zero_point, above);
        to += above;
        for (int y = 0; y < u->win.h; y++, x += row) {
            memset(to, zero_point, side);
            memcpy(to + side, x, row);
            memset(to + side + row, zero_point, side);
            to += row + 2 * side;
        }
        memset(to, zero_point, above);
        to += above;
    }
}

void omq_codes_multiply(struct omq_exec *x, int ui, int i0, int n, void *scratch)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in];
    const struct omq_layer_buf *l = &x->layers[u->layer];
    const ptrdiff_t image = image_of(u), y_row = u->win.ow * (ptrdiff_t)u->oc;
    const uint8_t *codes = in->q + (size_t)i0 * in->n_image;
    uint8_t *tile = (uint8_t *)scratch + kernel_scratch(&l->shape);
    struct omq_conv_io c = {
        .n = n, .oh = u->win.oh, .ow = u->win.ow, .x = codes, .x_image = image,
        .x_row = u->win.sh * row_of(u), .x_pixel = u->win.sw * (ptrdiff_t)u->win.c,
        .run_at = x->units[ui].run_at, .w = l->packed, .start = l->start, .m = x->ones,
        .b = x->zeros, .y = x->units[ui].acc + i0 * u->win.oh * y_row,
        .y_image = u->win.oh * y_row, .y_row = y_row, .y_pixel = u->oc,
    };

    if (omq_unit_is_whole(u)) { /* images are pixels of a row */
        c.n = 1;
        c.ow = n;
        c.x_pixel = image;
    } else if (is_padded(u)) {
        copy_images(u, n, codes, in->act.zero_point, tile);
        c.x = tile;
    }
    for (int g = 0; g < u->groups; g++) {
        (l->by_bits ? x->kern->conv_bits : x->kern->conv_codes)(&l->shape, &c, scratch);
        c.x += u->win.c_count;
        c.w = (const uint8_t *)c.w + omq_conv_packed_size(&l->shape);
        c.start += omq_conv_padded(l->shape.oc);
        c.y = (omq_real *)c.y + l->shape.oc;
    }
}
