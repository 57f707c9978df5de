/* SPDX-License-Identifier: MIT
 *
 * Units that move values and compute nothing: concat, and the shortcut without
 * parameters of He et al. (CVPR 2016, option A), which takes every stride-th pixel
 * and fills the new channels with zeros, half of them before the others. All
 * tensors of a unit share a quantizer, so codes move as they are.
 */
#include "nn/nn_internal.h"

#include <string.h>

static int shape_concat(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *a = &g->nodes[node->in[0]], *b = &g->nodes[node->in[1]];

    if (a->h != b->h || a->w != b->w)
        return omq_fail(err, OMQ_ECONFIG, "concat '%s' cannot join images of %d x %d and %d x %d",
                        node->name, a->h, a->w, b->h, b->w);
    node->h = a->h;
    node->w = a->w;
    node->c = a->c + b->c;
    return OMQ_OK;
}

static int shape_shortcut(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *in = &g->nodes[node->in[0]];

    if (node->stride < 1 || node->stride > 64 || node->channels < in->c || node->channels > 65536)
        return omq_fail(err, OMQ_ECONFIG, "shortcut '%s' cannot take %d channels to %d with a "
                        "stride of %d", node->name, in->c, node->channels, node->stride);
    node->h = (in->h - 1) / node->stride + 1;
    node->w = (in->w - 1) / node->stride + 1;
    node->c = node->channels;
    return OMQ_OK;
}

const struct omq_op_row omq_op_concat = {"concat", 2, shape_concat};
const struct omq_op_row omq_op_shortcut = {"shortcut", 1, shape_shortcut};

/* Value i of an image in a tensor, of codes or reals. */
static void *at(const struct omq_tensor_buf *b, int image, size_t i)
{
    i += (size_t)image * b->n_image;
    return b->is_real ? (void *)(b->x + i) : b->q + i;
}

/* From pixel to pixel `n` channels, each pixel being of as many as its tensor has. */
static void copy_channels(const struct omq_tensor_buf *from, int from_c,
                          const struct omq_tensor_buf *to, int to_c, int first, int image,
                          int pixels)
{
    const size_t size = from->is_real ? sizeof(omq_real) : 1;

    for (int p = 0; p < pixels; p++)
        memcpy(at(to, image, (size_t)p * (size_t)to_c + (size_t)first),
               at(from, image, (size_t)p * (size_t)from_c), size * (size_t)from_c);
}

static void concat_image(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const int pixels = u->win.oh * u->win.ow, c = u->win.c;

    (void)thread;
    copy_channels(&x->tensors[u->in], c, out, u->oc, 0, image, pixels);
    copy_channels(&x->tensors[u->res], u->oc - c, out, u->oc, c, image, pixels);
}

static void concat_forward(struct omq_exec *x, int ui) { omq_exec_images(x, ui, concat_image); }

/* The gradient of an input: n of the c channels of each pixel, from `first` on. */
static void add_channels(struct omq_exec *x, int tensor, int image, bool is_first, int pixels,
                         const omq_real *g, int c, int first, int n)
{
    omq_real *dst = omq_image_grad(x, tensor, image, is_first);

    for (int p = 0; p < pixels; p++)
        x->kern->add((size_t)n, g + (size_t)p * (size_t)c + first, dst + (size_t)p * (size_t)n);
}

static void concat_image_backward(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_unit_buf *b = &x->units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const omq_real *g = out->g + (size_t)image * out->n_image;
    const int pixels = u->win.oh * u->win.ow, c = u->win.c;

    (void)thread;
    add_channels(x, u->in, image, b->first_in, pixels, g, u->oc, 0, c);
    add_channels(x, u->res, image, b->first_res, pixels, g, u->oc, c, u->oc - c);
}

static void concat_backward(struct omq_exec *x, int ui)
{
    x->units[ui].first_in = omq_claim_grad(x, x->net->plan.units[ui].in);
    x->units[ui].first_res = omq_claim_grad(x, x->net->plan.units[ui].res);
    omq_exec_images(x, ui, concat_image_backward);
}

/* Where output pixel o of a shortcut comes from. */
static size_t source_of(const struct omq_window *w, int o)
{
    return (size_t)(o / w->ow * w->sh * w->w + o % w->ow * w->sw) * (size_t)w->c;
}

static void shortcut_image(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    const size_t size = in->is_real ? sizeof(omq_real) : 1, first = (size_t)(u->oc - u->win.c) / 2;

    (void)thread;
    memset(at(out, image, 0), out->is_real ? 0 : out->act.zero_point, size * out->n_image);
    for (int o = 0; o < u->win.oh * u->win.ow; o++)
        memcpy(at(out, image, (size_t)o * (size_t)u->oc + first),
               at(in, image, source_of(&u->win, o)), size * (size_t)u->win.c);
}

static void shortcut_forward(struct omq_exec *x, int ui)
{
    omq_exec_images(x, ui, shortcut_image);
}

static void shortcut_image_backward(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const size_t first = (size_t)(u->oc - u->win.c) / 2;
    omq_real *dst = omq_image_grad(x, u->in, image, x->units[ui].first_in);
    const omq_real *g = out->g + (size_t)image * out->n_image + first;

    (void)thread;
    for (int o = 0; o < u->win.oh * u->win.ow; o++)
        x->kern->add((size_t)u->win.c, g + (size_t)o * (size_t)u->oc, dst + source_of(&u->win, o));
}

static void shortcut_backward(struct omq_exec *x, int ui)
{
    x->units[ui].first_in = omq_claim_grad(x, x->net->plan.units[ui].in);
    omq_exec_images(x, ui, shortcut_image_backward);
}

const struct omq_unit_row omq_unit_concat = {concat_forward, concat_backward};
const struct omq_unit_row omq_unit_shortcut = {shortcut_forward, shortcut_backward};
