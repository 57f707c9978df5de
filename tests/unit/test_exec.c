/* SPDX-License-Identifier: MIT
 *
 * The executor: results that do not depend on threads or batches, statistics
 * and float outputs against direct computations in double, and sums that do
 * not fit a float.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "graphhelp.h"
#include "nn/nn_internal.h"

Suite *omq_suite_exec(void);

enum { SIDE = 10, CHANNELS = 3, IMAGES = 9, CLASSES = 5, IMAGE = SIDE * SIDE * CHANNELS };

static const struct omq_precision widths[] = {{32, 32}, {8, 8}, {4, 8}, {2, 2}, {1, 1}, {32, 4}};
enum { N = sizeof(widths) / sizeof(widths[0]) };

/* A residual block between pools, groups, a depthwise layer, a ReLU with an end, a bias,
 * both kinds of stream reader. */
static void residual(struct omq_graph *g)
{
    int x, s;

    start(g, SIDE, SIDE, CHANNELS);
    x = conv(g, "a", 0, 8, 3, 1);
    s = x = relu(g, "a_relu", op(g, "a_bn", OMQ_OP_BATCHNORM, x));
    x = add(g, "b", x, (struct omq_node){.op = OMQ_OP_CONV, .channels = 8, .kernel = 3,
                                         .stride = 1, .pad = 1, .groups = 4});
    x = relu(g, "b_relu", op(g, "b_bn", OMQ_OP_BATCHNORM, x));
    x = add(g, "w", x, (struct omq_node){.op = OMQ_OP_CONV, .channels = 8, .kernel = 3,
                                         .stride = 1, .pad = 1, .groups = 8});
    x = add(g, "w_relu", op(g, "w_bn", OMQ_OP_BATCHNORM, x), (struct omq_node){.op = OMQ_OP_RELU,
                                                                           .max = 1.5});
    x = op(g, "c_bn", OMQ_OP_BATCHNORM, conv(g, "c", x, 8, 3, 1));
    x = relu(g, "c_relu", join(g, "c_add", x, s));
    s = pool(g, "s_max", OMQ_OP_MAXPOOL, x);
    x = pool(g, "x_avg", OMQ_OP_AVGPOOL, x);
    x = add(g, "d", x, (struct omq_node){.op = OMQ_OP_CONV, .channels = 8, .kernel = 3,
                                         .stride = 1, .pad = 1, .groups = 1, .bias = true});
    x = join(g, "d_add", x, s);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, x));
}

static void open_net(struct omq_net *net, void (*build)(struct omq_graph *g), enum omq_view view)
{
    struct omq_quant_config quant = {.view = view, .levels = 1, .first_last_bits = 8};
    struct omq_preprocess pre = {.step = 0.02f};
    struct omq_graph g;

    build(&g);
    pre.height = g.nodes[0].h;
    pre.width = g.nodes[0].w;
    pre.channels = g.nodes[0].c;
    ck_assert_msg(omq_net_init(net, &g, widths, N, &quant, &pre, 5, true, &err) == OMQ_OK, "%s",
                  err.msg);
}

struct run {
    struct omq_pool *pool;
    struct omq_exec *x;
};

static struct run open_run(struct omq_net *net, int threads, int n, bool backward)
{
    struct run r;

    ck_assert(omq_pool_open(&r.pool, threads, &err) == OMQ_OK);
    ck_assert_msg(omq_exec_open(&r.x, net, r.pool, n, backward, &err) == OMQ_OK, "%s", err.msg);
    return r;
}

static void close_run(struct run *r)
{
    omq_exec_close(r->x);
    omq_pool_close(r->pool);
}

static void fill_codes(uint8_t *codes, size_t n)
{
    struct omq_rng r;

    omq_rng_init(&r, 3, OMQ_STREAM_TEST, 5, 0);
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint8_t)omq_rng_below(&r, 256);
}

static size_t n_image(const struct omq_net *net, int tensor)
{
    const struct omq_tensor *t = &net->plan.tensors[tensor];

    return (size_t)t->h * (size_t)t->w * (size_t)t->c;
}

/* ---- threads and batches ---- */

/* All tensors of two executors at the current precision: the same bits. */
static void same_tensors(const struct omq_net *net, const struct omq_exec *a,
                         const struct omq_exec *b, int n, const char *what)
{
    for (int t = 1; t < net->plan.n_tensors; t++) {
        const uint8_t *qa = omq_exec_codes(a, t), *qb = omq_exec_codes(b, t);
        const omq_real *xa = omq_exec_reals(a, t), *xb = omq_exec_reals(b, t);
        size_t count = n_image(net, t) * (size_t)n;

        ck_assert(!qa == !qb && !xa == !xb && !qa == !!xa);
        ck_assert_msg(qa ? memcmp(qa, qb, count) == 0
                         : memcmp(xa, xb, count * sizeof(*xa)) == 0, "%s: tensor %d", what, t);
    }
}

START_TEST(threads_change_nothing_in_training)
{
    static uint8_t codes[IMAGES * IMAGE];
    struct omq_net one, many;
    struct run r1, r2;

    open_net(&one, residual, OMQ_VIEW_OFFSETS);
    open_net(&many, residual, OMQ_VIEW_OFFSETS);
    r1 = open_run(&one, 1, IMAGES, true);
    r2 = open_run(&many, _i, IMAGES, true);
    fill_codes(codes, sizeof(codes));
    for (int step = 0; step < 2; step++) /* the first also sets steps */
        for (int p = 0; p < N; p++) {
            omq_exec_forward(r1.x, p, OMQ_MODE_TRAIN, codes, IMAGES, 0.3);
            omq_exec_forward(r2.x, p, OMQ_MODE_TRAIN, codes, IMAGES, 0.3);
            same_tensors(&one, r1.x, r2.x, IMAGES, "training");
            for (int i = 0; i < one.n_params; i++) /* steps and statistics among them */
                ck_assert_msg(memcmp(one.params[i].value, many.params[i].value,
                                     sizeof(omq_real) * one.params[i].n) == 0,
                              "%s, %d threads", one.params[i].name, _i);
        }
    close_run(&r1);
    close_run(&r2);
    omq_net_release(&one);
    omq_net_release(&many);
}
END_TEST

static void backward(struct omq_net *net, struct run *r, int p, const uint8_t *codes, int n)
{
    omq_real dlogits[IMAGES * CLASSES];

    for (int i = 0; i < n * CLASSES; i++)
        dlogits[i] = (omq_real)(i * 37 % 11 - 5);
    for (int i = 0; i < net->n_params; i++)
        if (net->params[i].grad)
            memset(net->params[i].grad, 0, sizeof(omq_real) * net->params[i].n);
    omq_exec_forward(r->x, p, OMQ_MODE_TRAIN, codes, n, 0.3);
    omq_exec_backward(r->x, dlogits);
}

/* Threads without an image have no gradients, least of all those of a larger batch. Two
 * images are added up in the same order by any number of threads. */
START_TEST(fewer_images_than_threads)
{
    static uint8_t codes[IMAGES * IMAGE];
    struct omq_net one, many;
    struct run r1, r2;

    open_net(&one, residual, OMQ_VIEW_OFFSETS);
    open_net(&many, residual, OMQ_VIEW_OFFSETS);
    r1 = open_run(&one, 1, IMAGES, true);
    r2 = open_run(&many, 5, IMAGES, true);
    fill_codes(codes, sizeof(codes));
    for (int p = 0; p < N; p++) {
        backward(&one, &r1, p, codes, IMAGES);
        backward(&many, &r2, p, codes, IMAGES);
        backward(&one, &r1, p, codes, 2);
        backward(&many, &r2, p, codes, 2);
        for (int i = 0; i < one.n_params; i++)
            ck_assert_msg(!one.params[i].grad || memcmp(one.params[i].grad, many.params[i].grad,
                                                        sizeof(omq_real) * one.params[i].n) == 0,
                          "%s at precision %d", one.params[i].name, p);
    }
    close_run(&r1);
    close_run(&r2);
    omq_net_release(&one);
    omq_net_release(&many);
}
END_TEST

/* Statistics and steps of a few training passes, at every precision. */
static void settle(struct omq_net *net, const uint8_t *codes, int n)
{
    struct run r = open_run(net, 1, n, true);

    for (int p = 0; p < net->n_precisions; p++)
        for (int i = 0; i < 2; i++)
            omq_exec_forward(r.x, p, OMQ_MODE_TRAIN, codes, n, 0.9);
    close_run(&r);
}

START_TEST(first_forward_sets_the_steps_of_its_precision)
{
    static uint8_t codes[IMAGES * IMAGE];
    struct omq_net net;
    struct run r;

    open_net(&net, residual, OMQ_VIEW_OFFSETS);
    r = open_run(&net, 2, IMAGES, true);
    fill_codes(codes, sizeof(codes));
    omq_exec_forward(r.x, 3, OMQ_MODE_TRAIN, codes, IMAGES, 0.1);
    for (int i = 0; i < net.n_params; i++) {
        const struct omq_param *p = &net.params[i];
        bool is_step = p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP;

        for (size_t j = 0; is_step && j < p->n; j++)
            ck_assert_msg(p->precision == 3 ? p->value[j] > 0 && isfinite(p->value[j])
                                            : p->value[j] == 0, "%s", p->name);
        if (p->kind == OMQ_PARAM_VAR)
            ck_assert_int_eq(p->precision == 3, p->value[0] != 1);
    }
    ck_assert_int_eq(omq_exec_find_nonfinite(r.x) != NULL, 1);
    close_run(&r);
    omq_net_release(&net);
}
END_TEST

/* One image alone, two of a batch, the batch: each image gets the same codes;
 * and what another precision left in the buffers does not matter. */
START_TEST(batches_change_nothing_in_use)
{
    static uint8_t codes[IMAGES * IMAGE];
    struct omq_net net;
    struct run whole, part;

    open_net(&net, residual, OMQ_VIEW_OFF);
    fill_codes(codes, sizeof(codes));
    settle(&net, codes, IMAGES);
    whole = open_run(&net, 2, IMAGES, false);
    part = open_run(&net, 1, IMAGES, false);
    for (int p = 0; p < N; p++) {
        omq_exec_forward(whole.x, p, OMQ_MODE_FROZEN, codes, IMAGES, 0);
        for (int n = 1; n <= 3; n++) {
            omq_exec_forward(part.x, (p + n) % N, OMQ_MODE_FROZEN, codes, IMAGES, 0);
            omq_exec_forward(part.x, p, OMQ_MODE_FROZEN, codes, n, 0);
            /* sums of floats depend on the shape of the product */
            if (widths[p].w != 32 && widths[p].a != 32)
                same_tensors(&net, whole.x, part.x, n, "part of a batch");
            for (int i = 0; i < n * CLASSES; i++)
                ck_assert_float_eq_tol((float)omq_exec_logits(whole.x)[i],
                                       (float)omq_exec_logits(part.x)[i], 1e-4f);
        }
    }
    close_run(&whole);
    close_run(&part);
    omq_net_release(&net);
}
END_TEST

/* ---- against direct computations ---- */

static void one_conv(struct omq_graph *g)
{
    int x;

    start(g, SIDE, SIDE, CHANNELS);
    x = add(g, "a", 0, (struct omq_node){.op = OMQ_OP_CONV, .channels = 6, .kernel = 3,
                                         .stride = 2, .pad = 1, .groups = 3});
    x = relu(g, "r", op(g, "bn", OMQ_OP_BATCHNORM, x));
    head(g, x);
}

/* Real outputs of the first layer from real weights w[out][in][kh][kw] and the
 * input's codes, NHWC. */
static void direct_conv(const struct omq_net *net, const double *w, const uint8_t *codes, int n,
                        double *y)
{
    const struct omq_unit *u = &net->plan.units[0];
    const struct omq_window *g = &u->win;
    int oc = u->oc / u->groups;

    for (int i = 0; i < n; i++)
        for (int o = 0; o < g->oh * g->ow * u->oc; o++, y++) {
            int c = o % u->oc, oy = o / u->oc / g->ow, ox = o / u->oc % g->ow;

            *y = 0;
            for (int k = 0; k < g->c_count * g->kh * g->kw; k++) {
                int iy = oy * g->sh - g->ph + k / g->kw % g->kh;
                int ix = ox * g->sw - g->pw + k % g->kw;
                int ic = c / oc * g->c_count + k / (g->kh * g->kw);

                if (iy >= 0 && iy < g->h && ix >= 0 && ix < g->w)
                    *y += w[c * g->c_count * g->kh * g->kw + k] *
                          (codes[((i * g->h + iy) * g->w + ix) * g->c + ic] - 128) *
                          (double)net->pre.step;
            }
        }
}

/* The first layer's weights as a precision has them, in the order of the file. */
static void weights_at(const struct omq_net *net, int precision, double *w)
{
    const struct omq_layer *l = &net->plan.layers[0];
    const struct omq_param *p = omq_net_layer(net, precision, 0)->weight;
    int kk = l->kh * l->kw;
    omq_real *scratch;
    struct omq_layer_codes codes;

    for (size_t i = 0; i < p->n; i++)
        w[i] = (double)p->value[i];
    if (widths[precision].w == 32)
        return;
    scratch = malloc(sizeof(*scratch) * omq_layer_codes_scratch(net, 0));
    codes.k = malloc(p->n);
    codes.unit = malloc(sizeof(*codes.unit) * (size_t)l->out);
    ck_assert(scratch && codes.k && codes.unit);
    ck_assert_int_eq(omq_layer_codes_outputs(net, 0), l->out);
    omq_layer_make_codes(net, precision, 0, 0, l->out, &codes, scratch);
    for (int i = 0; i < (int)p->n; i++) {
        int o = i / (l->in * kk), c = i / kk % l->in, j = i % kk;

        w[i] = codes.k[(o * kk + j) * l->in + c] *
               (double)codes.unit[codes.n_units == 1 ? 0 : o];
    }
    free(scratch);
    free(codes.k);
    free(codes.unit);
}

/* After two batches with momentum m from 0 and 1: two steps towards the mean
 * and the unbiased variance of each. */
START_TEST(running_statistics_are_those_of_the_batches)
{
    enum { POSITIONS = IMAGES * 5 * 5, OC = 6 };
    static uint8_t codes[2][IMAGES * IMAGE];
    static double y[POSITIONS * OC], w[OC * 9];
    double mean[OC] = {0}, var[OC], m = 0.3;
    const struct omq_layer_params *lp;
    struct omq_net net;
    struct run r;

    open_net(&net, one_conv, OMQ_VIEW_OFF);
    r = open_run(&net, 2, IMAGES, true);
    fill_codes(codes[0], sizeof(codes));
    for (int c = 0; c < OC; c++)
        var[c] = 1;
    for (int b = 0; b < 2; b++) {
        omq_exec_forward(r.x, _i, OMQ_MODE_TRAIN, codes[b], IMAGES, m);
        weights_at(&net, _i, w);
        direct_conv(&net, w, codes[b], IMAGES, y);
        for (int c = 0; c < OC; c++) {
            double sum = 0, squares = 0;

            for (int i = 0; i < POSITIONS; i++)
                sum += y[i * OC + c] / POSITIONS;
            for (int i = 0; i < POSITIONS; i++)
                squares += (y[i * OC + c] - sum) * (y[i * OC + c] - sum);
            mean[c] += m * (sum - mean[c]);
            var[c] += m * (squares / (POSITIONS - 1) - var[c]);
        }
    }
    lp = omq_net_layer(&net, _i, 0);
    for (int c = 0; c < OC; c++) {
        ck_assert_double_eq_tol((double)lp->mean->value[c], mean[c], 1e-5);
        ck_assert_double_eq_tol((double)lp->var->value[c], var[c], 1e-5 * (1 + var[c]));
    }
    for (int p = 0; p < N; p++) /* nobody else's */
        ck_assert(p == _i || omq_net_layer(&net, p, 0)->mean->value[0] == 0);
    close_run(&r);
    omq_net_release(&net);
}
END_TEST

/* Convolution, batch norm, ReLU, linear in double; between runs of other widths. */
START_TEST(float_precision_is_plain_arithmetic)
{
    enum { POSITIONS = 25, OC = 6 };
    static uint8_t codes[IMAGES * IMAGE];
    static double y[IMAGES * POSITIONS * OC], w[OC * 9];
    const struct omq_layer_params *lp, *fc;
    struct omq_net net;
    struct run r;

    open_net(&net, one_conv, OMQ_VIEW_OFFSETS);
    fill_codes(codes, sizeof(codes));
    settle(&net, codes, IMAGES);
    lp = omq_net_layer(&net, 0, 0);
    fc = omq_net_layer(&net, 0, 1);
    for (int c = 0; c < OC; c++) {
        lp->gamma->value[c] = (omq_real)(c - 2);
        lp->beta->value[c] = (omq_real)(0.5 - c);
    }
    r = open_run(&net, 1, IMAGES, false);
    omq_exec_forward(r.x, 3, OMQ_MODE_FROZEN, codes, IMAGES, 0);
    omq_exec_forward(r.x, 0, OMQ_MODE_FROZEN, codes, IMAGES, 0);
    weights_at(&net, 0, w);
    direct_conv(&net, w, codes, IMAGES, y);
    for (int i = 0; i < IMAGES * CLASSES; i++) {
        double sum = (double)fc->bias->value[i % CLASSES];

        for (int c = 0; c < OC; c++) /* PyTorch's order: channel, then position */
            for (int at = 0; at < POSITIONS; at++) {
                double v = y[(i / CLASSES * POSITIONS + at) * OC + c];

                v = (v - (double)lp->mean->value[c]) /
                        sqrt((double)lp->var->value[c] + OMQ_BN_EPS) *
                        (double)lp->gamma->value[c] + (double)lp->beta->value[c];
                if (v > 0)
                    sum += v * (double)fc->weight->value[(i % CLASSES * OC + c) * POSITIONS + at];
            }
        ck_assert_float_eq_tol((float)omq_exec_logits(r.x)[i], (float)sum, 1e-4f);
    }
    close_run(&r);
    omq_net_release(&net);
}
END_TEST

/* ---- sums that do not fit ---- */

struct comparison {
    const struct omq_net *net;
    const struct omq_exec *x;
};

static void same_codes(void *ctx, int unit, const uint8_t *codes, ptrdiff_t image, ptrdiff_t row)
{
    const struct comparison *c = ctx;
    const struct omq_tensor *t = &c->net->plan.tensors[c->net->plan.units[unit].out];
    const uint8_t *want = omq_exec_codes(c->x, c->net->plan.units[unit].out);
    size_t n = (size_t)t->w * (size_t)t->c;

    (void)image;
    for (int y = 0; y < t->h; y++)
        ck_assert_msg(memcmp(codes + y * row, want + (size_t)y * n, n) == 0, "unit %d, row %d",
                      unit, y);
}

/* The engine's logits, and all codes, of one image. */
static void same_as_engine(struct omq_net *net, int precision, const uint8_t *codes)
{
    struct comparison c = {.net = net};
    struct omq_engine_watch watch = {.ctx = &c, .codes = same_codes};
    float logits[CLASSES];
    struct omq_engine *e;
    struct run r;
    void *scratch;

    ck_assert_msg(omq_engine_open(&e, net, NULL, precision, &err) == 0, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    ck_assert(scratch != NULL);
    r = open_run(net, 1, 1, false);
    c.x = r.x;
    omq_exec_forward(r.x, precision, OMQ_MODE_FROZEN, codes, 1, 0);
    omq_engine_run_watched(e, codes, 1, logits, scratch, &watch);
    for (int i = 0; i < CLASSES; i++)
        ck_assert_msg(logits[i] == (float)omq_exec_logits(r.x)[i], "logit %d: engine %a, not %a",
                      i, (double)logits[i], (double)omq_exec_logits(r.x)[i]);
    close_run(&r);
    omq_engine_close(e);
    free(scratch);
}

static void set_steps(struct omq_net *net, omq_real w, omq_real a)
{
    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];

        for (size_t j = 0; j < p->n; j++)
            if (p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP)
                p->value[j] = p->kind == OMQ_PARAM_WSTEP ? w : a;
    }
}

static void large_average(struct omq_graph *g)
{
    start(g, 300, 300, 1);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, relu(g, "r", conv(g, "a", 0, 1, 1, 0))));
}

/* 66000 codes of 255 and 24000 of 129 add up to more than 2^24, where a float
 * knows even numbers only: it would lose one with each 129, and the average
 * 100.55 would become 100.43. */
START_TEST(averages_of_large_images_are_exact)
{
    static uint8_t codes[300 * 300];
    double sum = 66000 * 255.0 + 24000 * 129.0, s_in = 127.0 / 255;
    struct omq_net net;
    struct run r;

    open_net(&net, large_average, OMQ_VIEW_OFF);
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = i < 66000 ? 255 : 128 + 64;
    set_steps(&net, 1, 1);
    net.pre.step = 1;
    omq_net_layer(&net, 1, 0)->weight->value[0] = 1;
    for (int s = 0; s < net.plan.n_sites; s++)
        omq_net_site(&net, 1, s)->value[0] =
            (omq_real)(net.plan.sites[s].layer < 0 ? s_in : sum * s_in / 90000 / 100.55);
    same_as_engine(&net, 1, codes);
    r = open_run(&net, 1, 1, false);
    omq_exec_forward(r.x, 1, OMQ_MODE_FROZEN, codes, 1, 0);
    for (int u = 0; u < net.plan.n_units; u++)
        if (net.plan.units[u].kind == OMQ_UNIT_AVGPOOL)
            ck_assert_int_eq(omq_exec_codes(r.x, net.plan.units[u].out)[0], 101);
    close_run(&r);
    omq_net_release(&net);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(what_is_not_finite_is_named)
{
    static uint8_t codes[IMAGES * IMAGE];
    struct omq_net net;
    struct run r;

    open_net(&net, residual, OMQ_VIEW_OFF);
    fill_codes(codes, sizeof(codes));
    settle(&net, codes, IMAGES);
    r = open_run(&net, 1, IMAGES, false);
    omq_net_layer(&net, 2, 3)->beta->value[3] = NAN; /* c_bn */
    omq_exec_forward(r.x, 2, OMQ_MODE_FROZEN, codes, IMAGES, 0);
    ck_assert_str_eq(omq_exec_find_nonfinite(r.x), "c_relu");
    omq_net_layer(&net, 0, 1)->weight->value[0] = INFINITY; /* b, which all share */
    omq_exec_forward(r.x, 0, OMQ_MODE_FROZEN, codes, IMAGES, 0);
    ck_assert_str_eq(omq_exec_find_nonfinite(r.x), "b_relu");
    close_run(&r);
    omq_net_release(&net);
}
END_TEST

static void too_large(struct omq_graph *g)
{
    start(g, 16384, 16384, 1);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, conv(g, "a", 0, 1, 1, 0)));
}

START_TEST(memory_is_counted_before_it_is_taken)
{
    struct omq_net net;
    struct omq_pool *p;
    struct omq_exec *x;
    size_t small, more;

    open_net(&net, residual, OMQ_VIEW_OFF);
    ck_assert(omq_pool_open(&p, 2, &err) == OMQ_OK);
    small = omq_exec_bytes(&net, p, 1, false);
    more = omq_exec_bytes(&net, p, 64, true);
    ck_assert_uint_gt(small, n_image(&net, 1));
    ck_assert_uint_gt(more, small + 63 * n_image(&net, 1));
    ck_assert_uint_lt(more, (size_t)1 << 30);
    ck_assert(omq_exec_open(&x, &net, p, 64, true, &err) == OMQ_OK);
    ck_assert_uint_eq(x->arena.size, more);
    omq_exec_close(x);
    omq_net_release(&net);
    open_net(&net, too_large, OMQ_VIEW_OFF);
    ck_assert_uint_gt(omq_exec_bytes(&net, p, 65536, true), (size_t)1 << 44);
    omq_pool_close(p);
    omq_net_release(&net);
}
END_TEST

Suite *omq_suite_exec(void)
{
    Suite *s = suite_create("exec");
    TCase *t = tcase_create("exec");

    tcase_add_loop_test(t, threads_change_nothing_in_training, 2, 5);
    tcase_add_test(t, fewer_images_than_threads);
    tcase_add_test(t, first_forward_sets_the_steps_of_its_precision);
    tcase_add_test(t, batches_change_nothing_in_use);
    tcase_add_loop_test(t, running_statistics_are_those_of_the_batches, 0, N);
    tcase_add_test(t, float_precision_is_plain_arithmetic);
    tcase_add_test(t, averages_of_large_images_are_exact);
    tcase_add_test(t, what_is_not_finite_is_named);
    tcase_add_test(t, memory_is_counted_before_it_is_taken);
    suite_add_tcase(s, t);
    return s;
}
