/* SPDX-License-Identifier: MIT
 *
 * The executor's memory: one arena for a batch, planned once.
 */
#include "nn/nn_internal.h"

#include <stdlib.h>

#include "base/place.h"

static bool any_float(const struct omq_net *net)
{
    for (int p = 0; p < net->n_precisions; p++)
        if (net->precisions[p].a == OMQ_FLOAT_BITS)
            return true;
    return false;
}

/* Whether a precision multiplies reals. */
static bool any_real(const struct omq_net *net)
{
    for (int p = 0; p < net->n_precisions; p++)
        if (net->precisions[p].w == OMQ_FLOAT_BITS)
            return true;
    return any_float(net);
}

static void take_tensor(struct omq_exec *x, int i)
{
    const struct omq_tensor *t = &x->net->plan.tensors[i];
    struct omq_tensor_buf *b = &x->tensors[i];
    size_t n;

    b->n_image = (size_t)t->h * (size_t)t->w * (size_t)t->c;
    n = b->n_image * (size_t)x->n_max;
    if (!t->is_logits)
        b->q = omq_arena_take(&x->arena, n + OMQ_CODES_BEHIND, 1);
    if (t->is_logits || any_float(x->net))
        b->x = omq_arena_take(&x->arena, n, sizeof(omq_real));
}

/* The last unit that reads a tensor, or -1. */
static int reader_of(const struct omq_plan *p, int tensor)
{
    int u = p->n_units - 1;

    while (u >= 0 && p->units[u].in != tensor && p->units[u].res != tensor)
        u--;
    return u;
}

static size_t gradient_bytes(const struct omq_exec *x, int tensor)
{
    return omq_align_up(x->tensors[tensor].n_image * (size_t)x->n_max * sizeof(omq_real));
}

/* A place from unit u on, backward, for a gradient. */
static void place_gradient(struct omq_exec *x, struct omq_places *places, int tensor, int u)
{
    if (!x->net->plan.tensors[tensor].is_input)
        x->tensors[tensor].g_at = omq_places_take(places, gradient_bytes(x, tensor), -u,
                                                  -omq_plan_writer(&x->net->plan, tensor));
}

/* Gradients are there from the unit that reads their tensor last to the one that writes
 * it: units in this order are the time. */
static void take_gradients(struct omq_exec *x)
{
    const struct omq_plan *p = &x->net->plan;
    struct omq_places places = {.live = x->places};
    char *base;

    for (int i = 0; i < p->n_tensors; i++) /* the logits */
        if (reader_of(p, i) < 0)
            place_gradient(x, &places, i, p->n_units);
    for (int u = p->n_units - 1; u >= 0; u--) {
        const int in = p->units[u].in, res = p->units[u].res;

        if (reader_of(p, in) == u)
            place_gradient(x, &places, in, u);
        if (res >= 0 && res != in && reader_of(p, res) == u)
            place_gradient(x, &places, res, u);
    }
    base = omq_arena_take(&x->arena, places.size, 1);
    for (int i = 0; base && i < p->n_tensors; i++)
        if (!p->tensors[i].is_input)
            x->tensors[i].g = (omq_real *)(void *)(base + x->tensors[i].g_at);
}

static void take_layer(struct omq_exec *x, int i)
{
    const struct omq_layer *l = &x->net->plan.layers[i];
    struct omq_layer_buf *b = &x->layers[i];
    size_t n = omq_net_layer(x->net, 0, i)->weight->n;

    b->k = omq_arena_take(&x->arena, n, 1);
    b->codes = omq_arena_take(&x->arena, n, 1);
    if (any_real(x->net))
        b->operand = omq_arena_take(&x->arena, n, sizeof(omq_real));
    b->unit = omq_arena_take(&x->arena, (size_t)l->out, sizeof(omq_real));
    if (!omq_layer_method(x->net, i)->is_separable)
        b->scratch = omq_arena_take(&x->arena, n, sizeof(omq_real));
    if (x->backward)
        b->dsteps = omq_arena_take(&x->arena, (size_t)l->out, sizeof(omq_real));
}

/* The codes as the kernels of this layer take them. */
static void take_codes(struct omq_exec *x, const struct omq_unit *u, struct omq_unit_buf *unit)
{
    const struct omq_window win = omq_direct_of(u, omq_direct_images(u)).win;
    const size_t n = omq_net_layer(x->net, 0, u->layer)->weight->n;
    const bool direct = omq_direct_backward(u) && sizeof(omq_real) == sizeof(float);
    struct omq_layer_buf *b = &x->layers[u->layer];

    if (omq_conv_by_channels(u)) {
        b->by_taps = omq_arena_take(&x->arena, n, sizeof(omq_real));
        if (x->backward)
            b->dequant_by_taps = omq_arena_take(&x->arena, n, sizeof(omq_real));
        return;
    }
    b->rows = win.kh;
    b->taps = win.kw;
    b->c = win.c;
    omq_codes_take(x, u, unit);
    if (x->backward && direct)
        b->k_pairs = omq_arena_take(&x->arena, omq_conv_dinput_weights(&win, u->oc),
                                    sizeof(int16_t));
    if (x->backward && (!direct || any_real(x->net)))
        b->dequant = omq_arena_take(&x->arena, n, sizeof(omq_real));
}

static void take_unit(struct omq_exec *x, int i)
{
    const struct omq_unit *u = &x->net->plan.units[i];
    struct omq_unit_buf *b = &x->units[i];
    size_t c = (size_t)u->oc, n = (size_t)x->n_max, nc = n * c;
    omq_real **per_channel[] = {&b->m,  &b->b,  &b->mu, &b->real_mean, &b->real_var,
                                &b->ka, &b->kk, &b->kd};

    if (u->kind == OMQ_UNIT_REQUANT)
        b->ds_i = omq_arena_take(&x->arena, nc, sizeof(omq_real));
    if (u->kind != OMQ_UNIT_CONV && u->kind != OMQ_UNIT_AVGPOOL)
        return;
    if (u->kind == OMQ_UNIT_CONV)
        take_codes(x, u, b);
    b->acc = omq_arena_take(&x->arena, nc * (size_t)u->win.oh * (size_t)u->win.ow,
                            sizeof(omq_real));
    for (size_t j = 0; j < sizeof(per_channel) / sizeof(per_channel[0]); j++)
        *per_channel[j] = omq_arena_take(&x->arena, c, sizeof(omq_real));
    b->var = omq_arena_take(&x->arena, c, sizeof(double));
    b->mean_i = omq_arena_take(&x->arena, nc, sizeof(double));
    b->m2_i = omq_arena_take(&x->arena, nc, sizeof(double));
    b->ds_i = omq_arena_take(&x->arena, nc, sizeof(omq_real));
    b->g_i = omq_arena_take(&x->arena, nc, sizeof(omq_real));
    b->gx_i = omq_arena_take(&x->arena, nc, sizeof(omq_real));
}

/* What the kernels of a unit need: rows of reals, and bytes. */
static size_t rows_of(const struct omq_unit *u)
{
    const struct omq_tile tile = omq_conv_tile(u);

    if (omq_conv_by_channels(u))
        return omq_depthwise_scratch(u);
    return (size_t)tile.images * (size_t)tile.rows * (size_t)u->win.ow * (size_t)u->win.kh *
           (size_t)u->win.kw * (size_t)u->win.c_count;
}

static size_t scratch_of(const struct omq_exec *x, const struct omq_unit *u)
{
    /* of an odd number of whole images there is one row, nearly as long as two */
    const int images = omq_direct_images(u);
    const struct omq_direct d = omq_direct_of(u, omq_unit_is_whole(u) ? 2 * images : images);
    const bool direct = omq_direct_backward(u) || omq_conv_few(&u->win, u->oc);
    size_t forward, backward;

    if (omq_conv_by_channels(u))
        return 0;
    forward = omq_codes_scratch(u);
    backward = x->backward && direct ? omq_conv_scratch(&d.win, u->oc, d.images) : 0;
    return forward > backward ? forward : backward;
}

/* Weights of the largest layer, and of the largest share of one. */
static void most_weights(const struct omq_exec *x, size_t *layer, size_t *share)
{
    *layer = *share = 0;
    for (int i = 0; i < x->net->plan.n_layers; i++) {
        const struct omq_layer *l = &x->net->plan.layers[i];
        const size_t n = omq_layer_size(l);
        const size_t some = omq_layer_filter(l) * (size_t)omq_layer_codes_outputs(x->net, i);

        *layer = n > *layer ? n : *layer;
        *share = some > *share ? some : *share;
    }
}

static void take_thread(struct omq_exec *x, struct omq_thread_buf *t)
{
    size_t rows = 0, block = OMQ_BLOCK, scratch = 0, dy = 0, layer, share;

    for (int i = 0; i < x->net->plan.n_units; i++) {
        const struct omq_unit *u = &x->net->plan.units[i];
        size_t n_dy;

        if ((size_t)u->oc > block)
            block = (size_t)u->oc;
        if (u->kind != OMQ_UNIT_CONV)
            continue;
        rows = rows_of(u) > rows ? rows_of(u) : rows;
        scratch = scratch_of(x, u) > scratch ? scratch_of(x, u) : scratch;
        n_dy = (size_t)omq_direct_images(u) * (size_t)u->win.oh * (size_t)u->win.ow * (size_t)u->oc;
        if ((omq_direct_backward(u) || omq_conv_few(&u->win, u->oc)) && n_dy > dy)
            dy = n_dy;
    }
    t->rows = omq_arena_take(&x->arena, rows, sizeof(omq_real));
    t->scratch = omq_arena_take(&x->arena, scratch, 1);
    t->v = omq_arena_take(&x->arena, block, sizeof(omq_real));
    t->res = omq_arena_take(&x->arena, block, sizeof(omq_real));
    most_weights(x, &layer, &share);
    t->view = omq_arena_take(&x->arena, layer, sizeof(omq_real));
    if (!x->backward)
        return;
    t->dcodes = omq_arena_take(&x->arena, share, sizeof(omq_real));
    t->dview = omq_arena_take(&x->arena, share, sizeof(omq_real));
    t->drows = omq_arena_take(&x->arena, rows, sizeof(omq_real));
    t->dy16 = omq_arena_take(&x->arena, dy, sizeof(int16_t));
}

/* Sums of a layer's gradients, a thread apart. */
static void take_dw(struct omq_exec *x)
{
    size_t layer, share;

    most_weights(x, &layer, &share);
    x->dw = omq_arena_take(&x->arena, layer * (size_t)omq_pool_threads(x->pool), sizeof(omq_real));
}

/* What leaves sums as they are, for all of 16 channels. */
static void take_factors(struct omq_exec *x)
{
    size_t n = 0;

    for (int i = 0; i < x->net->plan.n_units; i++)
        if ((size_t)x->net->plan.units[i].oc + 15 > n)
            n = (size_t)x->net->plan.units[i].oc + 15;
    x->ones = omq_arena_take(&x->arena, n, sizeof(*x->ones));
    x->zeros = omq_arena_take(&x->arena, n, sizeof(*x->zeros));
    for (size_t i = 0; x->ones && i < n; i++)
        x->ones[i] = 1;
}

static void take_all(struct omq_exec *x)
{
    const struct omq_plan *p = &x->net->plan;

    x->shares = omq_arena_take(&x->arena, (size_t)x->n_shares, sizeof(*x->shares));
    for (int i = 0; i < p->n_tensors; i++)
        take_tensor(x, i);
    for (int i = 0; i < p->n_layers; i++)
        take_layer(x, i);
    for (int i = 0; i < p->n_units; i++)
        take_unit(x, i);
    for (int i = 0; i < omq_pool_threads(x->pool); i++)
        take_thread(x, &x->threads[i]);
    take_factors(x);
    if (x->backward) {
        take_gradients(x);
        take_dw(x);
    }
    x->fresh = omq_arena_take(&x->arena, (size_t)p->n_sites, sizeof(*x->fresh));
}

/* The tables of buffers; afterwards take_all() may count or fill. */
static int open_tables(struct omq_exec *x, struct omq_err *err)
{
    const struct omq_plan *p = &x->net->plan;

    x->tensors = calloc((size_t)p->n_tensors, sizeof(*x->tensors));
    x->layers = calloc((size_t)p->n_layers, sizeof(*x->layers));
    x->units = calloc((size_t)p->n_units, sizeof(*x->units));
    x->threads = calloc((size_t)omq_pool_threads(x->pool), sizeof(*x->threads));
    x->places = calloc((size_t)p->n_tensors, sizeof(*x->places));
    if (!x->tensors || !x->layers || !x->units || !x->threads || !x->places)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate buffers for a batch");
    return OMQ_OK;
}

static void close_tables(struct omq_exec *x)
{
    free(x->tensors);
    free(x->layers);
    free(x->units);
    free(x->threads);
    free(x->places);
}

int omq_exec_open(struct omq_exec **out, struct omq_net *net, struct omq_pool *pool, int n,
                  bool backward, struct omq_err *err)
{
    struct omq_exec *x;
    int rc;

    if (net->packed)
        return omq_fail(err, OMQ_EUNSUP, "the model has packed integer weights only: it runs in "
                        "the integer engine");
    x = calloc(1, sizeof(*x));
    if (!x)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate buffers for a batch");
    *x = (struct omq_exec){.net = net, .pool = pool, .kern = omq_kern(), .n_max = n,
                           .backward = backward, .n_shares = omq_shares_count(net)};
    if ((rc = open_tables(x, err)) < 0)
        goto err_close;
    take_all(x);
    if ((rc = omq_arena_commit(&x->arena, "the activations of a batch: a smaller one "
                               "needs less", err)) < 0)
        goto err_close;
    take_all(x);
    omq_shares_fill(x);
    *out = x;
    return OMQ_OK;

err_close:
    omq_exec_close(x);
    return rc;
}

void omq_exec_close(struct omq_exec *x)
{
    if (!x)
        return;
    omq_arena_release(&x->arena);
    close_tables(x);
    free(x);
}

size_t omq_exec_bytes(struct omq_net *net, struct omq_pool *pool, int n, bool backward)
{
    struct omq_exec x = {.net = net, .pool = pool, .n_max = n, .backward = backward,
                         .n_shares = omq_shares_count(net)};
    size_t bytes = 0;

    if (open_tables(&x, NULL) == OMQ_OK) {
        take_all(&x);
        bytes = x.arena.used;
    }
    close_tables(&x);
    return bytes;
}
