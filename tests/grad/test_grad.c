/* SPDX-License-Identifier: MIT
 *
 * Gradient checks, in double: every operator through small float networks
 * (derivative against difference quotient), and the quantizers against the
 * smooth functions that their straight-through estimators differentiate.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/nn.h"

#ifndef OMQ_DOUBLE
#error "build with -DOMQ_DOUBLE"
#endif

enum { N = 3, SIDE = 8, CHANNELS = 2, CLASSES = 4 };

static double normal(struct omq_rng *r) { return omq_rng_normal(r); }

/* ---- networks ---- */

struct fixture {
    struct omq_net net;
    struct omq_pool *pool;
    struct omq_exec *exec;
    uint8_t codes[N * SIDE * SIDE * CHANNELS];
    uint16_t labels[N];
    double dlogits[N * CLASSES], row[CLASSES];
};

static int node(struct omq_graph *g, const char *name, struct omq_node n)
{
    struct omq_err err;
    int i;

    snprintf(n.name, sizeof(n.name), "%s", name);
    i = omq_graph_add(g, &n, &err);
    ck_assert_msg(i >= 0, "%s", err.msg);
    return i;
}

/* Builds the network of a graph at one precision, with every parameter moved
 * away from its special starting value. */
static void open_net(struct fixture *f, struct omq_graph *g, struct omq_precision p,
                     enum omq_view view)
{
    struct omq_data_config data = {.n_mean = 1, .n_std = 1, .mean = {0.4}, .std = {0.3}};
    struct omq_quant_config quant = {.view = view, .levels = 1, .first_last_bits = 8};
    struct omq_preprocess pre;
    struct omq_err err;
    struct omq_rng r;

    ck_assert_int_eq(omq_preprocess_init(&pre, &data, SIDE, SIDE, CHANNELS, &err), OMQ_OK);
    ck_assert_msg(omq_net_init(&f->net, g, &p, 1, &quant, &pre, 7, true, &err) == OMQ_OK, "%s",
                  err.msg);
    omq_rng_init(&r, 3, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < f->net.n_params; i++) {
        struct omq_param *q = &f->net.params[i];

        for (size_t j = 0; q->grad && q->kind != OMQ_PARAM_WSTEP && q->kind != OMQ_PARAM_ASTEP &&
                           j < q->n; j++)
            q->value[j] += 0.1 * normal(&r);
    }
    for (size_t i = 0; i < sizeof(f->codes); i++)
        f->codes[i] = (uint8_t)omq_rng_below(&r, 256);
    for (int i = 0; i < N; i++)
        f->labels[i] = (uint16_t)omq_rng_below(&r, CLASSES);
    ck_assert_int_eq(omq_pool_open(&f->pool, 2, &err), OMQ_OK);
    ck_assert_int_eq(omq_exec_open(&f->exec, &f->net, f->pool, N, true, &err), OMQ_OK);
}

static void close_net(struct fixture *f)
{
    omq_exec_close(f->exec);
    omq_pool_close(f->pool);
    omq_net_release(&f->net);
}

static double loss(struct fixture *f)
{
    const struct omq_targets targets = {.labels = f->labels, .own = 1, .smoothing = 0.1};

    omq_exec_forward(f->exec, 0, OMQ_MODE_TRAIN, f->codes, N, 0);
    return omq_loss(N, CLASSES, omq_exec_logits(f->exec), &targets, 1, f->dlogits, NULL, f->row);
}

static void zero_grads(struct omq_net *net)
{
    for (int i = 0; i < net->n_params; i++)
        if (net->params[i].grad)
            memset(net->params[i].grad, 0, sizeof(omq_real) * net->params[i].n);
}

/* Each parameter along a random direction: (L(p + hd) - L(p - hd)) / 2h
 * against grad . d. */
static void check_params(struct fixture *f)
{
    const double h = 1e-6;
    struct omq_rng r;

    zero_grads(&f->net);
    loss(f);
    omq_exec_backward(f->exec, f->dlogits);
    omq_rng_init(&r, 5, OMQ_STREAM_TEST, 1, 0);
    for (int i = 0; i < f->net.n_params; i++) {
        struct omq_param *p = &f->net.params[i];
        double *d, dot = 0, up, down, quotient;

        if (!p->grad)
            continue;
        d = calloc(p->n, sizeof(*d));
        for (size_t j = 0; j < p->n; j++) {
            d[j] = normal(&r);
            dot += d[j] * p->grad[j];
            p->value[j] += h * d[j];
        }
        up = loss(f);
        for (size_t j = 0; j < p->n; j++)
            p->value[j] -= 2 * h * d[j];
        down = loss(f);
        for (size_t j = 0; j < p->n; j++)
            p->value[j] += h * d[j];
        quotient = (up - down) / (2 * h);
        ck_assert_msg(fabs(quotient - dot) <= 1e-6 * (fabs(quotient) + fabs(dot)) + 1e-8,
                      "%s: derivative %.9g, difference quotient %.9g", p->name, dot, quotient);
        free(d);
    }
}

static const struct omq_precision as_float = {OMQ_FLOAT_BITS, OMQ_FLOAT_BITS};

static void start(struct omq_graph *g)
{
    struct omq_err err;

    ck_assert_int_eq(omq_graph_init(g, SIDE, SIDE, CHANNELS, &err), OMQ_OK);
}

static int conv(struct omq_graph *g, const char *name, int in, int c, int k, int s, int p,
                int groups)
{
    return node(g, name, (struct omq_node){.op = OMQ_OP_CONV, .in = {in}, .channels = c,
                                           .kernel = k, .stride = s, .pad = p, .groups = groups});
}

static int op(struct omq_graph *g, const char *name, enum omq_op kind, int in)
{
    return node(g, name, (struct omq_node){.op = kind, .in = {in}});
}

static int pool(struct omq_graph *g, const char *name, enum omq_op kind, int in, int k, int s,
                int p)
{
    return node(g, name, (struct omq_node){.op = kind, .in = {in}, .kernel = k, .stride = s,
                                           .pad = p});
}

static void head(struct omq_graph *g, int in)
{
    int i = op(g, "flatten", OMQ_OP_FLATTEN, in);

    node(g, "fc", (struct omq_node){.op = OMQ_OP_LINEAR, .in = {i}, .channels = CLASSES,
                                    .bias = true});
}

/* Convolutions with stride, padding, groups and bias; batch norm; ReLU. */
static void build_conv(struct omq_graph *g)
{
    int i;

    start(g);
    i = conv(g, "a", 0, 6, 3, 1, 1, 1);
    i = op(g, "a_bn", OMQ_OP_BATCHNORM, i);
    i = op(g, "a_relu", OMQ_OP_RELU, i);
    i = node(g, "b", (struct omq_node){.op = OMQ_OP_CONV, .in = {i}, .channels = 8, .kernel = 3,
                                       .stride = 2, .pad = 0, .groups = 2, .bias = true});
    i = op(g, "b_relu", OMQ_OP_RELU, i);
    i = conv(g, "c", i, 8, 1, 1, 0, 8);
    i = op(g, "c_bn", OMQ_OP_BATCHNORM, i);
    head(g, i);
}

/* A residual block with a projection, an identity block, pooling. */
static void build_residual(struct omq_graph *g, enum omq_op pooling)
{
    int i, s;

    start(g);
    i = conv(g, "stem", 0, 4, 3, 1, 1, 1);
    i = op(g, "stem_bn", OMQ_OP_BATCHNORM, i);
    i = op(g, "stem_relu", OMQ_OP_RELU, i);
    s = conv(g, "short", i, 6, 1, 2, 0, 1);
    s = op(g, "short_bn", OMQ_OP_BATCHNORM, s);
    i = conv(g, "main", i, 6, 3, 2, 1, 1);
    i = op(g, "main_bn", OMQ_OP_BATCHNORM, i);
    i = node(g, "add", (struct omq_node){.op = OMQ_OP_ADD, .in = {i, s}});
    s = i = op(g, "relu", OMQ_OP_RELU, i);
    i = conv(g, "main2", i, 6, 3, 1, 1, 1);
    i = op(g, "main2_bn", OMQ_OP_BATCHNORM, i);
    i = node(g, "add2", (struct omq_node){.op = OMQ_OP_ADD, .in = {i, s}});
    i = op(g, "relu2", OMQ_OP_RELU, i);
    if (pooling == OMQ_OP_GLOBALPOOL)
        i = op(g, "pool", pooling, i);
    else
        i = pool(g, "pool", pooling, i, 3, 2, 1);
    head(g, i);
}

/* A ReLU with an end, a depthwise convolution, concats and shortcuts. */
static void build_moves(struct omq_graph *g)
{
    int i, s, t;

    start(g);
    i = conv(g, "a", 0, 6, 3, 1, 1, 1);
    i = op(g, "a_bn", OMQ_OP_BATCHNORM, i);
    s = i = node(g, "a_relu", (struct omq_node){.op = OMQ_OP_RELU, .in = {i}, .max = 0.7});
    i = conv(g, "b", i, 6, 3, 2, 1, 6);
    i = node(g, "b_relu", (struct omq_node){.op = OMQ_OP_RELU, .in = {i}, .max = 0.4});
    i = conv(g, "c", i, 9, 1, 1, 0, 1);
    s = node(g, "short", (struct omq_node){.op = OMQ_OP_SHORTCUT, .in = {s}, .channels = 9,
                                           .stride = 2});
    i = node(g, "add", (struct omq_node){.op = OMQ_OP_ADD, .in = {i, s}});
    t = conv(g, "d", i, 3, 3, 1, 1, 1);
    i = node(g, "concat", (struct omq_node){.op = OMQ_OP_CONCAT, .in = {t, i}});
    i = node(g, "twice", (struct omq_node){.op = OMQ_OP_CONCAT, .in = {i, i}});
    i = node(g, "same_size", (struct omq_node){.op = OMQ_OP_SHORTCUT, .in = {i}, .channels = 25,
                                               .stride = 1});
    head(g, op(g, "pool", OMQ_OP_GLOBALPOOL, i));
}

START_TEST(test_moves)
{
    struct fixture f;
    struct omq_graph g;

    build_moves(&g);
    open_net(&f, &g, as_float, OMQ_VIEW_OFF);
    check_params(&f);
    close_net(&f);
}
END_TEST

START_TEST(test_conv_norm_relu)
{
    struct fixture f;
    struct omq_graph g;

    build_conv(&g);
    open_net(&f, &g, as_float, OMQ_VIEW_OFF);
    check_params(&f);
    close_net(&f);
}
END_TEST

START_TEST(test_residual_pools)
{
    const enum omq_op pools[] = {OMQ_OP_MAXPOOL, OMQ_OP_AVGPOOL, OMQ_OP_GLOBALPOOL};
    struct fixture f;
    struct omq_graph g;

    build_residual(&g, pools[_i]);
    open_net(&f, &g, as_float, OMQ_VIEW_OFF);
    check_params(&f);
    close_net(&f);
}
END_TEST

/* Float weights on 8-bit activations and the reverse have no smooth loss, but
 * at 8 bits the straight-through gradient must point where the float one does. */
START_TEST(test_quantized_direction)
{
    const struct omq_precision precisions[] = {{8, 8}, {8, 32}, {32, 8}};
    double dot = 0, a2 = 0, b2 = 0;
    struct fixture f, q;
    struct omq_graph g;

    build_residual(&g, OMQ_OP_GLOBALPOOL);
    open_net(&f, &g, as_float, OMQ_VIEW_OFF);
    build_residual(&g, OMQ_OP_GLOBALPOOL);
    open_net(&q, &g, precisions[_i], OMQ_VIEW_OFF);
    for (int i = 0; i < f.net.n_params; i++) /* shared and BN come first in both */
        for (int j = 0; j < q.net.n_params; j++)
            if (strcmp(f.net.params[i].name, q.net.params[j].name) == 0)
                memcpy(q.net.params[j].value, f.net.params[i].value,
                       sizeof(omq_real) * f.net.params[i].n);
    memcpy(q.codes, f.codes, sizeof(f.codes));
    memcpy(q.labels, f.labels, sizeof(f.labels));
    loss(&f);
    omq_exec_backward(f.exec, f.dlogits);
    /* First steps may put the largest value on the last code, where the last bit of a
     * sum decides whether its gradient passes. */
    loss(&q);
    for (int i = 0; i < q.net.n_params; i++)
        if (q.net.params[i].kind == OMQ_PARAM_ASTEP)
            q.net.params[i].value[0] *= 1.01;
    loss(&q);
    omq_exec_backward(q.exec, q.dlogits);
    for (int i = 0; i < f.net.n_params; i++) {
        const struct omq_param *a = &f.net.params[i];

        for (int j = 0; a->grad && j < q.net.n_params; j++) {
            const struct omq_param *b = &q.net.params[j];

            for (size_t e = 0; strcmp(a->name, b->name) == 0 && e < a->n; e++) {
                dot += a->grad[e] * b->grad[e];
                a2 += a->grad[e] * a->grad[e];
                b2 += b->grad[e] * b->grad[e];
            }
        }
    }
    ck_assert_msg(dot / sqrt(a2 * b2) > 0.98, "cosine %.4f", dot / sqrt(a2 * b2));
    ck_assert_msg(b2 / a2 > 0.8 && b2 / a2 < 1.25, "norms %.4g %.4g", sqrt(a2), sqrt(b2));
    close_net(&f);
    close_net(&q);
}
END_TEST

/* ---- quantizers ----
 *
 * The estimator differentiates Q(w, s) = s * (t + c) where t = w/s lies inside,
 * c being the rounding error at the base point, held fixed; and s * (outermost
 * level) outside. */

static double surrogate(double w, double s, double w0, double s0, double level, double edge)
{
    double t0 = w0 / s0;

    return fabs(t0) <= edge ? w + s * (level - t0) : s * level;
}

START_TEST(test_weight_quantizer)
{
    enum { OUT = 3, LEN = 40 };
    struct omq_grid g = omq_grid_of(_i < 8 ? OMQ_GRID_AUTO : _i < 15 ? OMQ_GRID_MIDRISE
                                                                     : OMQ_GRID_SYMMETRIC,
                                    _i < 8 ? _i + 1 : _i < 15 ? _i - 7 : _i - 13);
    for (int n_steps = 1; n_steps <= OUT; n_steps += OUT - 1) {
        double w[OUT * LEN], dq[OUT * LEN], dw[OUT * LEN];
        double step[OUT], ds[OUT] = {0}, want[OUT] = {0};
        double q_max = fmax(1, g.k_max * (g.midrise ? 0.5 : 1)), h = 1e-6;
        int8_t k[OUT * LEN];
        struct omq_rng r;

        omq_rng_init(&r, 11, OMQ_STREAM_TEST, (uint32_t)_i, (uint32_t)n_steps);
        for (int i = 0; i < OUT * LEN; i++) {
            w[i] = normal(&r);
            dq[i] = normal(&r);
        }
        omq_weights_init_step(&g, OUT, LEN, w, step, n_steps);
        omq_weights_quantize(&g, OUT, LEN, w, step, n_steps, k);
        for (int o = 0; o < OUT; o++) {
            const int at = o * LEN, c = n_steps == 1 ? 0 : o;

            omq_weights_backward(&g, LEN, n_steps == 1 ? OUT * LEN : LEN, w + at, k + at, step[c],
                                 dq + at, dw + at, ds + c);
        }
        for (int i = 0; i < OUT * LEN; i++) {
            int c = n_steps == 1 ? 0 : i / LEN;
            double s = step[c], level = k[i] * (g.midrise ? 0.5 : 1), edge = g.edge;
            double dw_want = dq[i] * (surrogate(w[i] + h, s, w[i], s, level, edge) -
                                      surrogate(w[i] - h, s, w[i], s, level, edge)) / (2 * h);

            ck_assert_msg(fabs(dw[i] - dw_want) < 1e-6, "dw %g %g", dw[i], dw_want);
            want[c] += dq[i] * (surrogate(w[i], s + h, w[i], s, level, edge) -
                                surrogate(w[i], s - h, w[i], s, level, edge)) / (2 * h);
        }
        for (int c = 0; c < n_steps; c++) {
            double scale = 1 / sqrt((n_steps == 1 ? OUT * LEN : LEN) * q_max);

            ck_assert_msg(fabs(ds[c] - scale * want[c]) < 1e-6, "ds %g %g", ds[c], scale * want[c]);
        }
    }
}
END_TEST

/* y(v s, s) with v in steps, zero point included. */
static double act_surrogate(double x, double s, double x0, double s0, int q_max, int zp)
{
    double v0 = x0 / s0 + zp, q = fmin(fmax(rint(v0), 0), q_max);

    return v0 >= 0 && v0 <= q_max ? x + s * (q - v0) : s * (q - zp);
}

START_TEST(test_act_quantizer)
{
    enum { PIXELS = 50, C = 3 };
    struct omq_act act = omq_act_of(_i % 8 + 1, _i >= 8);
    double s = 0.3, h = 1e-6, v[PIXELS * C], g[PIXELS * C], g0[PIXELS * C];
    double ds[C] = {0}, sum_g[C] = {0}, want[C] = {0};
    const struct omq_epilogue e = {.m = (const double[]){1, 1, 1}, .b = (const double[C]){0},
                                   .q_max = act.q_max, .zero_point = act.zero_point};
    struct omq_rng r;

    omq_rng_init(&r, 13, OMQ_STREAM_TEST, (uint32_t)_i, 0);
    for (int i = 0; i < PIXELS * C; i++) {
        v[i] = act.zero_point + normal(&r) * act.q_max;
        g[i] = g0[i] = normal(&r);
    }
    omq_kern()->epilogue_backward(PIXELS, C, &e, v, NULL, g,
                                  &(struct omq_epilogue_sums){.ds = ds, .g = sum_g});
    for (int i = 0; i < PIXELS * C; i++) {
        double x = (v[i] - act.zero_point) * s;
        int qm = act.q_max, zp = act.zero_point;
        double dx = (act_surrogate(x + h, s, x, s, qm, zp) -
                     act_surrogate(x - h, s, x, s, qm, zp)) / (2 * h);

        ck_assert_msg(fabs(g[i] - g0[i] * dx) < 1e-6, "g %g %g", g[i], g0[i] * dx);
        want[i % C] += g0[i] * (act_surrogate(x, s + h, x, s, qm, zp) -
                                act_surrogate(x, s - h, x, s, qm, zp)) / (2 * h);
    }
    for (int c = 0; c < C; c++)
        ck_assert_msg(fabs(ds[c] - want[c]) < 1e-5, "ds %g %g", ds[c], want[c]);
}
END_TEST

/* A sum of a convolution's value x and a residual's, with codes 0 .. 255 of steps s, where
 * both roundings are what they are at `at`. */
struct point { double x, res, s; };

static double sum_surrogate(struct point p, struct point at, int zp)
{
    const double x = p.x, res = p.res, s = p.s, c0 = at.x / at.s, c = x / s;
    const double u0 = rint(fmin(fmax(c0, -128), 127)) + at.res / at.s + zp;
    const double t = c0 < -128 ? -128 : c0 > 127 ? 127 : c + (rint(c0) - c0);
    const double u = t + res / s + zp, q0 = rint(fmin(fmax(u0, 0), 255));

    return u0 < 0 || u0 > 255 ? s * (q0 - zp) : s * (u + (q0 - u0) - zp);
}

START_TEST(test_sum_quantizer)
{
    enum { PIXELS = 400, C = 3 };
    const int zp = _i ? 128 : 0;
    const double s = 0.3, s_res = 0.2113, h = 1e-6;
    const double scale[C] = {0.5, -0.8, 2}, shift[C] = {0, 3, -1};
    double m[C], b[C], mu[C] = {0.5, 0, 1}, acc[PIXELS * C], g[PIXELS * C], g0[PIXELS * C];
    double ds[C] = {0}, gx[C] = {0}, sum[C] = {0}, want[C] = {0}, want_sum[C] = {0};
    const struct omq_epilogue e = {.m = m, .b = b, .mu = mu, .q_max = 255, .zero_point = zp,
                                   .add = omq_fold_residual(s_res, 100, s, zp)};
    uint8_t res[PIXELS * C];
    int ends = 0;
    struct omq_rng r;

    omq_rng_init(&r, 19, OMQ_STREAM_TEST, (uint32_t)_i, 0);
    for (int c = 0; c < C; c++) {
        m[c] = scale[c] / s;
        b[c] = shift[c] / s;
    }
    for (int i = 0; i < PIXELS * C; i++) {
        acc[i] = 25 * normal(&r);
        res[i] = (uint8_t)(omq_rng_below(&r, 256) | 1); /* not its zero: no tie at an end */
        g[i] = g0[i] = normal(&r);
    }
    omq_kern()->epilogue_backward(PIXELS, C, &e, acc, res, g,
                                  &(struct omq_epilogue_sums){ds, sum, gx});
    for (int i = 0; i < PIXELS * C; i++) {
        const int c = i % C;
        const struct point at = {acc[i] * scale[c] + shift[c], s_res * (res[i] - 100), s};
        double d[3];

        for (int k = 0; k < 3; k++) {
            const struct point by = {k == 0 ? h : 0, k == 1 ? h : 0, k == 2 ? h : 0};
            const struct point up = {at.x + by.x, at.res + by.res, s + by.s};
            const struct point down = {at.x - by.x, at.res - by.res, s - by.s};

            d[k] = (sum_surrogate(up, at, zp) - sum_surrogate(down, at, zp)) / (2 * h);
        }
        ck_assert_msg(fabs(g[i] - g0[i] * d[1]) < 1e-6, "residual: %g, not %g", g[i],
                      g0[i] * d[1]);
        want_sum[c] += g0[i] * d[0];
        want[c] += g0[i] * d[2];
        ends += d[0] == 0 && d[1] != 0;
    }
    ck_assert_int_gt(ends, 20);
    for (int c = 0; c < C; c++) {
        ck_assert_msg(fabs(ds[c] - want[c]) < 1e-4, "ds %g %g", ds[c], want[c]);
        ck_assert_msg(fabs(sum[c] - want_sum[c]) < 1e-4, "sum %g %g", sum[c], want_sum[c]);
    }
}
END_TEST

enum { N_LEVELS = 4, N_VIEWS = 2 * 2 * 2 * 3 * N_LEVELS };

/* Views: <forward(w + h d) - forward(w - h d), u> / 2h = <d, backward(u)>, for
 * offsets and, unless they are detached, weights. Detached weights get what is
 * left of u without the offsets' part. */
START_TEST(test_views)
{
    enum { OUT = 3, MAX = OUT * 9 * 9 };
    static const int channels[] = {6, 7, 9};
    struct omq_quant_config q = {.view = (enum omq_view)(_i % 2), .detach = _i / 2 % 2,
                                 .levels = _i / 24};
    int side = _i / 4 % 2 ? 3 : 1, dims[4] = {OUT, channels[_i / 8 % 3], side, side}, box[4];
    struct omq_view_spec s = omq_view_of(&q, 4, false, dims);
    double w[MAX], u[MAX], off[MAX], dw[MAX] = {0}, doff[MAX] = {0}, along[MAX] = {0};
    double up[MAX], down[MAX], unused[MAX] = {0}, h = 1e-5;
    size_t n = (size_t)(OUT * dims[1] * side * side), n_off;
    struct { double *x, *grad; size_t n; } parts[2] = {{w, dw, n}, {off, doff, 0}};
    struct omq_rng r;

    omq_view_offset_dims(&s, box);
    n_off = (size_t)(box[0] * box[1] * box[2] * box[3]);
    parts[1].n = s.offsets ? n_off : 0;
    omq_rng_init(&r, 17, OMQ_STREAM_TEST, (uint32_t)_i, 0);
    for (int i = 0; i < MAX; i++) {
        w[i] = normal(&r);
        u[i] = normal(&r);
        off[i] = normal(&r);
    }
    omq_view_backward(&s, u, dw, doff);
    for (int p = s.detach ? 1 : 0; p < 2; p++)
        for (size_t i = 0; i < parts[p].n; i++) {
            double quotient = 0, x = parts[p].x[i];

            parts[p].x[i] = x + h;
            omq_view_forward(&s, w, off, up);
            parts[p].x[i] = x - h;
            omq_view_forward(&s, w, off, down);
            parts[p].x[i] = x;
            for (size_t j = 0; j < n; j++)
                quotient += u[j] * (up[j] - down[j]) / (2 * h);
            ck_assert_msg(fabs(quotient - parts[p].grad[i]) < 1e-7, "part %d %zu: %g %g", p, i,
                          quotient, parts[p].grad[i]);
        }
    if (!s.detach)
        return;
    omq_view_backward(&s, dw, unused, along);
    for (size_t i = 0; i < n_off; i++)
        ck_assert_msg(fabs(along[i]) < 1e-12, "%zu: %g along the offsets", i, along[i]);
    omq_view_forward(&s, dw, doff, up); /* both parts together */
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs(up[i] - u[i]) < 1e-12, "%zu: %g %g", i, up[i], u[i]);
}
END_TEST

Suite *omq_suite_grad(void)
{
    Suite *s = suite_create("grad");
    TCase *t = tcase_create("all");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_conv_norm_relu);
    tcase_add_test(t, test_moves);
    tcase_add_loop_test(t, test_residual_pools, 0, 3);
    tcase_add_loop_test(t, test_quantized_direction, 0, 3);
    tcase_add_loop_test(t, test_weight_quantizer, 0, 22);
    tcase_add_loop_test(t, test_act_quantizer, 0, 16);
    tcase_add_loop_test(t, test_sum_quantizer, 0, 2);
    tcase_add_loop_test(t, test_views, 0, N_VIEWS);
    suite_add_tcase(s, t);
    return s;
}
