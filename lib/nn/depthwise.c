/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolutions in training: an image at a time, channels side by side.
 * Sums of codes are of reals here, and exact: windows are too small for 2^24.
 */
#include "nn/nn_internal.h"

#include <string.h>

bool omq_conv_by_channels(const struct omq_unit *u)
{
    enum { MOST_TAPS = (1 << 24) / (255 * 128) };

    return u->kind == OMQ_UNIT_CONV && omq_unit_is_depthwise(u) &&
           u->win.kh * u->win.kw <= MOST_TAPS;
}

size_t omq_depthwise_scratch(const struct omq_unit *u)
{
    const size_t image = (size_t)u->win.h * (size_t)u->win.w;
    const size_t taps = (size_t)u->win.kh * (size_t)u->win.kw;

    return (image > taps ? image : taps) * (size_t)u->win.c;
}

/* An image of the input in units of its step. */
static const omq_real *reals_of(const struct omq_exec *x, const struct omq_unit *u, int image,
                                omq_real *room)
{
    const struct omq_tensor_buf *in = &x->tensors[u->in];
    const size_t at = (size_t)image * in->n_image;

    if (in->is_real)
        return in->x + at;
    x->kern->codes_to_real(in->n_image, in->q + at, in->act.zero_point, room);
    return room;
}

void omq_depthwise_multiply(struct omq_exec *x, int ui, int image, struct omq_thread_buf *t)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const size_t n_acc = (size_t)u->win.oh * (size_t)u->win.ow * (size_t)u->oc;

    x->kern->dwconv(&u->win, reals_of(x, u, image, t->rows), x->layers[u->layer].by_taps,
                    x->units[ui].acc + (size_t)image * n_acc);
}

void omq_depthwise_gradients(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const size_t c = (size_t)u->oc, taps = (size_t)u->win.kh * (size_t)u->win.kw;
    const struct omq_layer_buf *l = &x->layers[u->layer];
    struct omq_thread_buf *t = &x->threads[thread];
    const omq_real *dy = out->g + (size_t)image * out->n_image;
    omq_real *dw = x->dw + (size_t)thread * c * taps;
    double start = omq_now(), mid;

    memset(t->drows, 0, sizeof(*t->drows) * c * taps);
    x->kern->dwconv_dweight(&u->win, reals_of(x, u, image, t->rows), dy, t->drows);
    for (size_t j = 0; j < taps; j++)
        for (size_t o = 0; o < c; o++)
            dw[o * taps + j] += t->drows[j * c + o];
    mid = omq_now();
    t->t.dw += mid - start;
    if (!x->net->plan.tensors[u->in].is_input)
        x->kern->dwconv_dinput(&u->win, dy, l->dequant_by_taps,
                               omq_image_grad(x, u->in, image, x->units[ui].first_in));
    t->t.dx += omq_now() - mid;
}
