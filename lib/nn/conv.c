/* SPDX-License-Identifier: MIT
 *
 * Convolution and linear layers (a linear layer is a convolution over the whole
 * of its input). As matrices, for a few images at a time:
 *   rows[pixels][K]  = im2row(input),       K = kh * kw * in
 *   acc[pixels][out] = rows operand^T
 *   dw[out][K]      += dy^T rows
 *   drows[pixels][K] = dy dequant;          dinput += row2im(drows)
 * or, where input and weights are codes, without the rows. Their sums, exact
 * integers, are of conv_sums.c. Their gradients, where omq_direct_backward() and for
 * omq_direct_images(), multiply integers too, for which dy is rounded to 16 bits
 * with one scale for those images; a build with OMQ_DOUBLE, which compares
 * gradients with difference quotients, takes the rows for them. Images that a
 * window sees whole are pixels there. Of the network's input, which has no gradient,
 * omq_conv_few() is enough. Depthwise convolutions, a channel apart, are in
 * depthwise.c.
 */
#include "nn/nn_internal.h"

#include <string.h>

static int shape_conv(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *in = &g->nodes[node->in[0]];

    if (node->channels < 1 || node->channels > 65536 || node->kernel < 1 || node->kernel > 64 ||
        node->stride < 1 || node->stride > 64 || node->pad < 0 || node->pad >= node->kernel ||
        node->groups < 1)
        return omq_fail(err, OMQ_ECONFIG, "convolution '%s' has an attribute out of range",
                        node->name);
    if (in->c % node->groups || node->channels % node->groups)
        return omq_fail(err, OMQ_ECONFIG,
                        "convolution '%s': %d groups do not divide %d input and %d output channels",
                        node->name, node->groups, in->c, node->channels);
    if (in->h + 2 * node->pad < node->kernel || in->w + 2 * node->pad < node->kernel)
        return omq_fail(err, OMQ_ECONFIG,
                        "convolution '%s': a kernel of %d does not fit an input of %d x %d",
                        node->name, node->kernel, in->h, in->w);
    node->h = (in->h + 2 * node->pad - node->kernel) / node->stride + 1;
    node->w = (in->w + 2 * node->pad - node->kernel) / node->stride + 1;
    node->c = node->channels;
    return OMQ_OK;
}

static int shape_linear(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *in = &g->nodes[node->in[0]];

    if (node->channels < 1 || node->channels > 65536)
        return omq_fail(err, OMQ_ECONFIG,
                        "linear layer '%s' has %d outputs; the range is 1 to 65536",
                        node->name, node->channels);
    if (in->h != 1 || in->w != 1)
        return omq_fail(err, OMQ_ECONFIG, "linear layer '%s' needs a flatten before it",
                        node->name);
    node->h = node->w = 1;
    node->c = node->channels;
    return OMQ_OK;
}

const struct omq_op_row omq_op_conv = {"conv", 1, shape_conv};
const struct omq_op_row omq_op_linear = {"linear", 1, shape_linear};

/* ---- how much at a time ---- */

/* 256 KiB of rows: they stay in L2 beside their gradient. */
struct omq_tile omq_conv_tile(const struct omq_unit *u)
{
    size_t k = (size_t)u->win.kh * (size_t)u->win.kw * (size_t)u->win.c_count;
    int pixels = (int)(65536 / k), image = u->win.oh * u->win.ow;

    if (pixels < image)
        return (struct omq_tile){1, pixels < u->win.ow ? 1 : pixels / u->win.ow};
    return (struct omq_tile){pixels / image > 64 ? 64 : pixels / image, u->win.oh};
}

enum { WHOLE_IMAGES = 64 }; /* enough to be worth the reading of a linear layer's weights */

struct omq_direct omq_direct_of(const struct omq_unit *u, int n)
{
    const int images = n % 2 ? 1 : 2, pixels = n / images;
    int c;

    if (!omq_unit_is_whole(u))
        return (struct omq_direct){u->win, n};
    c = u->win.kh * u->win.kw * u->win.c;
    return (struct omq_direct){{.h = 1, .w = pixels, .c = c, .c_count = c, .kh = 1, .kw = 1,
                                .sh = 1, .sw = 1, .oh = 1, .ow = pixels}, images};
}

int omq_direct_images(const struct omq_unit *u)
{
    return omq_unit_is_whole(u) ? WHOLE_IMAGES : omq_conv_images(&u->win, u->oc);
}

bool omq_direct_backward(const struct omq_unit *u)
{
    const struct omq_window win = omq_direct_of(u, WHOLE_IMAGES).win;

    return omq_conv_direct(&win, u->oc);
}

/* ---- jobs of the pool ---- */

enum way { BY_ROWS, OF_CODES, DIRECT, BY_CHANNELS };

struct job {
    struct omq_exec *x;
    int ui;
    enum way way;
    int images, n_chunks; /* images of a tile, and how many such there are */
};

/* No more than leave every thread some, in pairs. */
static int share_of(const struct omq_exec *x, int images)
{
    const int threads = omq_pool_threads(x->pool);
    const int share = (x->n + 2 * threads - 1) / (2 * threads) * 2;

    return images < share ? images : share;
}

static struct job job_of(struct omq_exec *x, int ui, enum way way)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    int images = way == BY_ROWS ? omq_conv_tile(u).images
               : way == BY_CHANNELS ? 1
               : share_of(x, way == OF_CODES ? omq_codes_images(u) : omq_direct_images(u));

    return (struct job){x, ui, way, images, (x->n + images - 1) / images};
}

/* Output rows [oy, oy + rows) of n images from i0 on, one group of channels. */
struct piece {
    int group, i0, n, oy;
    struct omq_window win; /* of the group, cut to those output rows */
    int pixels, k, oc;     /* of the cut window in one image; of the group */
    size_t acc;            /* where its first value stands in [n][oh][ow][oc] */
};

static struct piece piece_of(const struct omq_unit *u, int group, int i0, int n, int oy, int rows)
{
    struct piece p = {.group = group, .i0 = i0, .n = n, .oy = oy, .win = u->win,
                      .oc = u->oc / u->groups};

    p.win.c_begin = group * u->win.c_count;
    p.win.ph -= oy * u->win.sh;
    p.win.oh = u->win.oh - oy < rows ? u->win.oh - oy : rows;
    p.pixels = p.win.oh * p.win.ow;
    p.k = p.win.kh * p.win.kw * p.win.c_count;
    p.acc = (((size_t)i0 * u->win.oh + oy) * u->win.ow) * u->oc + (size_t)group * p.oc;
    return p;
}

typedef void piece_fn(struct omq_exec *x, int ui, const struct piece *p, int thread);

/* Every piece of images [i0, i0 + n), in order. */
static void for_pieces(struct omq_exec *x, int ui, int i0, int n, piece_fn *fn, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    int rows = omq_conv_tile(u).rows;

    for (int group = 0; group < u->groups; group++)
        for (int oy = 0; oy < u->win.oh; oy += rows) {
            struct piece p = piece_of(u, group, i0, n, oy, rows);

            fn(x, ui, &p, thread);
        }
}

static void fill_rows(const struct omq_exec *x, const struct omq_unit *u, const struct piece *p,
                      omq_real *rows)
{
    const struct omq_tensor_buf *in = &x->tensors[u->in];

    for (int i = 0; i < p->n; i++) {
        size_t at = (size_t)(p->i0 + i) * in->n_image;
        omq_real *dst = rows + (size_t)i * p->pixels * p->k;

        if (in->is_real)
            x->kern->im2row(&p->win, in->x + at, dst);
        else
            x->kern->im2row_u8(&p->win, in->q + at, in->act.zero_point, dst);
    }
}

/* Codes with codes: exact in integers, rounded once; omq_net_declare() refuses
 * sums beyond int32. */
static bool by_integers(const struct omq_exec *x, const struct omq_unit *u)
{
    return !x->tensors[u->in].is_real && !x->layers[u->layer].is_float;
}

static enum way forward_way(const struct omq_exec *x, const struct omq_unit *u)
{
    if (omq_conv_by_channels(u))
        return BY_CHANNELS;
    return by_integers(x, u) ? OF_CODES : BY_ROWS;
}

static enum way backward_way(const struct omq_exec *x, const struct omq_unit *u)
{
    const bool few = sizeof(omq_real) == sizeof(float) && omq_conv_few(&u->win, u->oc) &&
                     x->net->plan.tensors[u->in].is_input;

    if (omq_conv_by_channels(u))
        return BY_CHANNELS;
    return by_integers(x, u) && (x->layers[u->layer].k_pairs || few) ? DIRECT : BY_ROWS;
}

static void multiply(struct omq_exec *x, int ui, const struct piece *p, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    omq_real *rows = x->threads[thread].rows;

    fill_rows(x, u, p, rows);
    x->kern->gemm(false, true, p->n * p->pixels, p->oc, p->k, rows, p->k,
                  x->layers[u->layer].operand + (size_t)p->group * p->oc * p->k, p->k, 0,
                  x->units[ui].acc + p->acc, u->oc);
}

static void accumulate(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    struct omq_exec *x = j->x;
    const struct omq_unit *u = &x->net->plan.units[j->ui];
    struct omq_unit_buf *b = &x->units[j->ui];
    struct omq_thread_buf *t = &x->threads[thread];
    bool stats = omq_takes_stats(x, u);
    int pixels = u->win.oh * u->win.ow;

    for (int c = begin; c < end; c++) {
        int i0 = c * j->images, n = x->n - i0 < j->images ? x->n - i0 : j->images;
        double start = omq_now(), mid;

        if (j->way == OF_CODES)
            omq_codes_multiply(x, j->ui, i0, n, t->scratch);
        else if (j->way == BY_CHANNELS)
            omq_depthwise_multiply(x, j->ui, i0, t);
        else
            for_pieces(x, j->ui, i0, n, multiply, thread);
        mid = omq_now();
        t->t.conv += mid - start;
        for (int i = i0; stats && i < i0 + n; i++)
            x->kern->channel_stats(pixels, u->oc, b->acc + (size_t)i * pixels * u->oc,
                                   b->mean_i + (size_t)i * u->oc, b->m2_i + (size_t)i * u->oc);
        t->t.norm += omq_now() - mid;
    }
}

static void forward(struct omq_exec *x, int ui)
{
    struct job j = job_of(x, ui, forward_way(x, &x->net->plan.units[ui]));

    omq_pool_run(x->pool, accumulate, &j, j.n_chunks);
    omq_epilogue_fold(x, ui);
    omq_exec_images(x, ui, omq_epilogue_forward);
}

/* dw, and dinput unless the input is the network's. */
static void gradients(struct omq_exec *x, int ui, const struct piece *p, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_layer_buf *l = &x->layers[u->layer];
    struct omq_thread_buf *t = &x->threads[thread];
    size_t weights = (size_t)p->group * p->oc * p->k;
    const omq_real *dy = x->tensors[u->out].g + p->acc;
    double start = omq_now(), mid;

    fill_rows(x, u, p, t->rows);
    x->kern->gemm(true, false, p->oc, p->k, p->n * p->pixels, dy, u->oc, t->rows, p->k, 1,
                  x->dw + (size_t)thread * u->oc * p->k + weights, p->k);
    mid = omq_now();
    t->t.dw += mid - start;
    if (x->net->plan.tensors[u->in].is_input)
        return;
    x->kern->gemm(false, false, p->n * p->pixels, p->k, p->oc, dy, u->oc, l->dequant + weights,
                  p->k, 0, t->drows, p->k);
    for (int i = 0; i < p->n; i++)
        x->kern->row2im(&p->win, t->drows + (size_t)i * p->pixels * p->k,
                        omq_image_grad(x, u->in, p->i0 + i,
                                       x->units[ui].first_in && p->group == 0 && p->oy == 0));
    t->t.dx += omq_now() - mid;
}

/* The same for whole images, without rows. Units that differ between channels
 * must be multiplied with before dy is rounded; dy is not needed afterwards. */
static void gradients_direct(struct omq_exec *x, int ui, int i0, int n, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    struct omq_layer_buf *l = &x->layers[u->layer];
    struct omq_thread_buf *t = &x->threads[thread];
    size_t n_weights = (size_t)u->oc * (size_t)u->win.kh * (size_t)u->win.kw * (size_t)u->win.c;
    size_t count = (size_t)n * out->n_image;
    const struct omq_direct d = omq_direct_of(u, n);
    int max = omq_conv_dy_max(&d.win, u->oc);
    omq_real *dy = out->g + (size_t)i0 * out->n_image, scale, unit = 1;
    double start = omq_now(), mid;

    x->kern->quantize_s16(count, dy, max, t->dy16, &scale);
    x->kern->conv_dweight_s16(&d.win, u->oc, d.images, in->q + (size_t)i0 * in->n_image,
                              in->act.zero_point, t->dy16, scale,
                              x->dw + (size_t)thread * n_weights, t->scratch);
    mid = omq_now();
    t->t.dw += mid - start;
    if (x->net->plan.tensors[u->in].is_input)
        return;
    if (l->n_units == 1) {
        unit = l->unit[0];
    } else {
        x->kern->scale((int)(count / (size_t)u->oc), u->oc, dy, l->unit);
        x->kern->quantize_s16(count, dy, max, t->dy16, &scale);
    }
    x->kern->conv_dinput_s16(&d.win, u->oc, d.images, t->dy16, l->k_pairs, scale * unit,
                             !x->units[ui].first_in, in->g + (size_t)i0 * in->n_image, t->scratch);
    t->t.dx += omq_now() - mid;
}

static void propagate(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    struct omq_exec *x = j->x;
    const int layer = x->net->plan.units[j->ui].layer;
    const size_t n_weights = omq_layer_size(&x->net->plan.layers[layer]);

    memset(x->dw + (size_t)thread * n_weights, 0, sizeof(omq_real) * n_weights);
    for (int c = begin; c < end; c++) {
        int i0 = c * j->images, n = x->n - i0 < j->images ? x->n - i0 : j->images;

        for (int i = i0; i < i0 + n; i++)
            omq_epilogue_norm(x, j->ui, i, thread);
        if (j->way == DIRECT)
            gradients_direct(x, j->ui, i0, n, thread);
        else if (j->way == BY_CHANNELS)
            omq_depthwise_gradients(x, j->ui, i0, thread);
        else
            for_pieces(x, j->ui, i0, n, gradients, thread);
    }
}

static void backward(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_layer_buf *l = &x->layers[u->layer];
    struct omq_unit_buf *b = &x->units[ui];
    struct job j = job_of(x, ui, backward_way(x, u));

    b->first_res = u->res >= 0 && omq_claim_grad(x, u->res);
    omq_exec_images(x, ui, omq_epilogue_backward);
    omq_epilogue_reduce(x, ui);
    l->n_chunks = j.n_chunks;
    l->in_step = omq_tensor_step(&x->tensors[u->in]);
    b->first_in = !x->net->plan.tensors[u->in].is_input && omq_claim_grad(x, u->in);
    omq_pool_run(x->pool, propagate, &j, j.n_chunks);
    omq_layer_backward(x, u->layer);
}

const struct omq_unit_row omq_unit_conv = {forward, backward};
