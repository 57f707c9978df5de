/* SPDX-License-Identifier: MIT
 *
 * Gradient checks of the rows of quant.method, in double: each against the
 * difference quotients of the smooth function that its straight-through
 * estimator differentiates, in which rounding errors and what the paper calls
 * constant are held fixed; and a whole network along its gradient.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "nn/nn.h"

#ifndef OMQ_DOUBLE
#error "build with -DOMQ_DOUBLE"
#endif

Suite *omq_suite_method_grad(void);

enum { OUT = 4, LEN = 30, ALL = OUT * LEN };

struct layer {
    double w[ALL], scratch[ALL], dq[ALL], dw[ALL], unit[OUT], step, dstep;
    int8_t k[ALL];
    struct omq_weights q;
};

static const struct omq_method *open_layer(struct layer *l, enum omq_quant_method method, int bits)
{
    const struct omq_method *m = omq_method_of(method, false);
    struct omq_rng r;

    omq_rng_init(&r, 19, OMQ_STREAM_TEST, (uint32_t)bits, (uint32_t)method);
    for (int i = 0; i < ALL; i++) {
        l->w[i] = omq_rng_normal(&r);
        l->dq[i] = omq_rng_normal(&r);
    }
    l->step = l->dstep = 0;
    l->q = (struct omq_weights){
        .grid = m->grid(OMQ_GRID_AUTO, bits), .out = OUT, .fan_out = OUT, .n = LEN,
        .n_shared = ALL, .w = l->w,
        .step = &l->step, .n_steps = 1, .scratch = l->scratch, .k = l->k, .unit = l->unit,
    };
    if (m->init_step)
        m->init_step(&l->q, &l->step);
    m->forward(&l->q);
    m->backward(&l->q, l->dq, l->dw, &l->dstep);
    return m;
}

/* <dq, c tanh(w) / max|tanh(w)|>: what is rounded, the rounding errors and the
 * layer's scale c standing still. */
static double squashed(const struct layer *l, double c)
{
    double peak = 0, sum = 0;

    for (int i = 0; i < ALL; i++)
        peak = fmax(peak, fabs(tanh(l->w[i])));
    for (int i = 0; i < ALL; i++)
        sum += l->dq[i] * c * tanh(l->w[i]) / peak;
    return sum;
}

/* Every weight, the largest among them. */
START_TEST(test_squashed_weights)
{
    static struct layer l;
    int bits = 1 + _i % 8;
    double h = 1e-6, c;

    open_layer(&l, _i < 8 ? OMQ_METHOD_ANY_PRECISION : OMQ_METHOD_ADABITS, bits);
    c = l.unit[0] * (_i >= 8 && bits < 8 ? 1 << bits : l.q.grid.k_max);
    ck_assert(l.dstep == 0);
    for (int i = 0; i < ALL; i++) {
        double w = l.w[i], up, down;

        l.w[i] = w + h;
        up = squashed(&l, c);
        l.w[i] = w - h;
        down = squashed(&l, c);
        l.w[i] = w;
        ck_assert_msg(fabs((up - down) / (2 * h) - l.dw[i]) < 1e-6, "%d bits, weight %d: %g %g",
                      bits, i, (up - down) / (2 * h), l.dw[i]);
    }
}
END_TEST

/* w + s (level - t0) while neither rounding clips, s level beyond. */
static double twice_rounded(double w, double s, double w0, double s0, int bits)
{
    double coarse = 1 << (8 - bits), half = 1 << (bits - 1), t0 = w0 / s0;
    double high = fmin(fmax(rint(t0), -127), 127), low = rint(high / coarse);
    double k = fmin(fmax(low, bits == 8 ? -127 : -half), half - 1);
    bool inside = fabs(rint(t0)) <= 127;

    if (bits == 1)
        return inside ? w + s * ((high >= 0 ? 64 : -64) - t0) : s * (high >= 0 ? 64 : -64);
    return inside && k == low ? w + s * (k * coarse - t0) : s * k * coarse;
}

START_TEST(test_twice_rounded_weights)
{
    static const double eta[] = {1, 0.5, 0.1, 0.05, 0.01, 0.005, 0.001, 0.0005};
    static struct layer l;
    int bits = 1 + _i, clipped = 0;
    double h = 1e-6, want = 0;

    open_layer(&l, OMQ_METHOD_DOUBLE_ROUNDING, bits);
    for (int i = 0; i < ALL; i++) {
        double w = l.w[i], s = l.step;
        double dw = l.dq[i] * (twice_rounded(w + h, s, w, s, bits) -
                               twice_rounded(w - h, s, w, s, bits)) / (2 * h);

        ck_assert_msg(fabs(dw - l.dw[i]) < 1e-6, "%d bits, weight %d: %g %g", bits, i, dw, l.dw[i]);
        want += l.dq[i] * (twice_rounded(w, s + h * s, w, s, bits) -
                           twice_rounded(w, s - h * s, w, s, bits)) / (2 * h * s);
        clipped += l.dw[i] == 0;
    }
    want *= eta[8 - bits] / sqrt(ALL * 127.0);
    ck_assert_msg(fabs(l.dstep - want) < 1e-6 * (1 + fabs(want)), "step: %g %g", l.dstep, want);
    ck_assert(clipped < ALL / 2);
}
END_TEST

/* SAT: y = alpha (x/alpha + error) below alpha, alpha above. */
static double sat(double x, double alpha, double x0, double alpha0, double n)
{
    double v0 = x0 / alpha0, q = rint(v0 * n) / n;

    return x0 <= 0 ? 0 : x0 < alpha0 ? x + alpha * (q - v0) : alpha;
}

START_TEST(test_clipping_level)
{
    enum { PIXELS = 300 };
    const struct omq_act_method *m = omq_method_of(OMQ_METHOD_ADABITS, false)->act;
    struct omq_act act = omq_act_of(1 + _i, false);
    double alpha = 1.7, s = m->step(&act, alpha), h = 1e-6, n = act.q_max;
    double v[PIXELS], g[PIXELS], g0[PIXELS], ds = 0, sum_g = 0, want = 0;
    const struct omq_epilogue e = {.m = (const double[]){1}, .b = (const double[]){0},
                                   .q_max = act.q_max};
    struct omq_rng r;

    omq_rng_init(&r, 29, OMQ_STREAM_TEST, (uint32_t)_i, 0);
    for (int i = 0; i < PIXELS; i++) {
        v[i] = omq_rng_normal(&r) / s;
        g[i] = g0[i] = omq_rng_normal(&r);
    }
    omq_kern()->epilogue_backward(PIXELS, 1, &e, v, NULL, g,
                                  &(struct omq_epilogue_sums){.ds = &ds, .g = &sum_g});
    for (int i = 0; i < PIXELS; i++) {
        double x = v[i] * s;
        double dx = (sat(x + h, alpha, x, alpha, n) - sat(x - h, alpha, x, alpha, n)) / (2 * h);

        ck_assert_msg(fabs(g[i] - g0[i] * dx) < 1e-6, "g %g %g", g[i], g0[i] * dx);
        want += g0[i] * (sat(x, alpha + h, x, alpha, n) - sat(x, alpha - h, x, alpha, n)) / (2 * h);
    }
    ck_assert_msg(fabs(m->gradient(&act, ds, PIXELS) - want) < 1e-5, "dalpha %g %g",
                  m->gradient(&act, ds, PIXELS), want);
}
END_TEST

/* ---- a network ---- */

enum { IMAGES = 16, SIDE = 8, CLASSES = 4 };

static struct omq_err err;

static int node(struct omq_graph *g, const char *name, struct omq_node n)
{
    int i;

    snprintf(n.name, sizeof(n.name), "%s", name);
    i = omq_graph_add(g, &n, &err);
    ck_assert_msg(i >= 0, "%s", err.msg);
    return i;
}

static void build(struct omq_graph *g)
{
    int i = 0;

    ck_assert_int_eq(omq_graph_init(g, SIDE, SIDE, 1, &err), OMQ_OK);
    for (int l = 0; l < 3; l++) {
        char name[3][8] = {"conv", "bn", "relu"};

        for (int k = 0; k < 3; k++)
            name[k][strlen(name[k])] = (char)('1' + l);
        i = node(g, name[0], (struct omq_node){.op = OMQ_OP_CONV, .in = {i}, .channels = 8,
                                               .kernel = 3, .stride = 1, .pad = 1, .groups = 1});
        i = node(g, name[1], (struct omq_node){.op = OMQ_OP_BATCHNORM, .in = {i}});
        i = node(g, name[2], (struct omq_node){.op = OMQ_OP_RELU, .in = {i}});
    }
    i = node(g, "pool", (struct omq_node){.op = OMQ_OP_GLOBALPOOL, .in = {i}});
    i = node(g, "flat", (struct omq_node){.op = OMQ_OP_FLATTEN, .in = {i}});
    node(g, "fc", (struct omq_node){.op = OMQ_OP_LINEAR, .in = {i}, .channels = CLASSES,
                                    .bias = true});
}

struct run {
    struct omq_net net;
    struct omq_exec *exec;
    uint8_t codes[IMAGES * SIDE * SIDE];
    uint16_t labels[IMAGES];
    double dlogits[IMAGES * CLASSES], row[CLASSES];
};

static double loss(struct run *r)
{
    const struct omq_targets targets = {.labels = r->labels, .own = 1};

    omq_exec_forward(r->exec, 0, OMQ_MODE_TRAIN, r->codes, IMAGES, 0);
    return omq_loss(IMAGES, CLASSES, omq_exec_logits(r->exec), &targets, 1, r->dlogits, NULL,
                    r->row);
}

/* All weights moved by t along direction d. */
static double loss_at(struct run *r, const double *d, double t)
{
    double got;

    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;

        if (pass)
            got = loss(r);
        for (int i = 0; i < r->net.n_params; i++)
            for (size_t j = 0; r->net.params[i].kind == OMQ_PARAM_WEIGHT && j < r->net.params[i].n;
                 j++)
                r->net.params[i].value[j] += (pass ? -t : t) * d[at++];
    }
    return got;
}

/* At 8 bits, over a distance of many steps, the loss falls along the gradient
 * of the weights by about what that promises. */
START_TEST(test_network_descends)
{
    struct omq_quant_config quant = {.method = (enum omq_quant_method)_i, .levels = 1};
    struct omq_data_config data = {.n_mean = 1, .n_std = 1, .mean = {0.4}, .std = {0.3}};
    const struct omq_precision w8a8 = {8, 8};
    static double d[4096];
    static struct run r;
    struct omq_preprocess pre;
    struct omq_pool *pool;
    struct omq_graph g;
    struct omq_rng rng;
    double norm = 0, quotient, h = 0.02;
    size_t at = 0;

    build(&g);
    ck_assert_int_eq(omq_preprocess_init(&pre, &data, SIDE, SIDE, 1, &err), OMQ_OK);
    ck_assert_msg(omq_net_init(&r.net, &g, &w8a8, 1, &quant, &pre, 7, true, &err) == OMQ_OK, "%s",
                  err.msg);
    omq_rng_init(&rng, 31, OMQ_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof(r.codes); i++)
        r.codes[i] = (uint8_t)omq_rng_below(&rng, 256);
    for (int i = 0; i < IMAGES; i++)
        r.labels[i] = (uint16_t)omq_rng_below(&rng, CLASSES);
    ck_assert_int_eq(omq_pool_open(&pool, 1, &err), OMQ_OK);
    ck_assert_int_eq(omq_exec_open(&r.exec, &r.net, pool, IMAGES, true, &err), OMQ_OK);
    loss(&r);
    omq_exec_backward(r.exec, r.dlogits);
    for (int i = 0; i < r.net.n_params; i++)
        for (size_t j = 0; r.net.params[i].kind == OMQ_PARAM_WEIGHT && j < r.net.params[i].n; j++) {
            d[at] = r.net.params[i].grad[j];
            norm += d[at] * d[at];
            at++;
        }
    norm = sqrt(norm);
    ck_assert(at <= sizeof(d) / sizeof(d[0]) && norm > 1e-6);
    for (size_t i = 0; i < at; i++)
        d[i] /= norm;
    quotient = (loss_at(&r, d, h) - loss_at(&r, d, -h)) / (2 * h);
    ck_assert_msg(fabs(quotient - norm) < 0.15 * norm, "gradient %g, difference quotient %g", norm,
                  quotient);
    omq_exec_close(r.exec);
    omq_pool_close(pool);
    omq_net_release(&r.net);
}
END_TEST

Suite *omq_suite_method_grad(void)
{
    Suite *s = suite_create("method_grad");
    TCase *t = tcase_create("all");

    tcase_add_loop_test(t, test_squashed_weights, 0, 16);
    tcase_add_loop_test(t, test_twice_rounded_weights, 0, 8);
    tcase_add_loop_test(t, test_clipping_level, 0, 8);
    tcase_add_loop_test(t, test_network_descends, 0, OMQ_METHOD_DOUBLE_ROUNDING + 1);
    suite_add_tcase(s, t);
    return s;
}
