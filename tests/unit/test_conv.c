/* SPDX-License-Identifier: MIT
 *
 * A convolution that multiplies integers, from what the executor left: its sums
 * against plain ones, and its gradients against sums in double.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graphhelp.h"
#include "nn/nn_internal.h"

Suite *omq_suite_conv(void);

enum { H = 16, W = 18, CHANNELS = 3, IMAGES = 5, CLASSES = 5 };

static const struct omq_precision widths[] = {{8, 8}, {2, 2}, {8, 32}, {32, 8}, {1, 1}};
enum { N_PRECISIONS = sizeof(widths) / sizeof(widths[0]), N = 4 }; /* N: whose gradients */

static const struct omq_node direct = {.op = OMQ_OP_CONV, .channels = 32, .kernel = 3,
                                       .stride = 2, .pad = 1, .groups = 1};
static const struct omq_node whole = {.op = OMQ_OP_LINEAR, .channels = 32};

/* A max pool leaves the gradient that comes to it as it is, to be looked at. */
static void open_net(struct omq_net *net, const struct omq_node *b, enum omq_steps steps)
{
    struct omq_quant_config quant = {.view = OMQ_VIEW_OFF, .weight_steps = steps};
    struct omq_preprocess pre = {.height = H, .width = W, .channels = CHANNELS, .step = 0.02f};
    struct omq_graph g;
    int x;

    start(&g, H, W, CHANNELS);
    x = relu(&g, "a_relu", op(&g, "a_bn", OMQ_OP_BATCHNORM, conv(&g, "a", 0, 16, 3, 1)));
    x = pool(&g, "a_max", OMQ_OP_MAXPOOL, x);
    if (b->op == OMQ_OP_LINEAR)
        x = op(&g, "flat", OMQ_OP_FLATTEN, x);
    x = add(&g, "b", x, *b);
    x = relu(&g, "b_relu", op(&g, "b_bn", OMQ_OP_BATCHNORM, x));
    head(&g, b->op == OMQ_OP_LINEAR ? x : op(&g, "gap", OMQ_OP_GLOBALPOOL, x));
    ck_assert_msg(omq_net_init(net, &g, widths, N_PRECISIONS, &quant, &pre, CLASSES, true,
                               &err) == OMQ_OK, "%s", err.msg);
}

static int unit_b(const struct omq_net *net)
{
    for (int u = 0; u < net->plan.n_units; u++)
        if (net->plan.units[u].kind == OMQ_UNIT_CONV && net->plan.units[u].oc == 32)
            return u;
    ck_abort_msg("no unit");
}

/* A step of n images at one precision, and back to b: gradients in front of it would take
 * the places of its own. nan: with a gradient that is not finite. */
static struct omq_exec *step(struct omq_net *net, struct omq_pool *p, int precision, int n,
                             bool nan)
{
    static uint8_t codes[IMAGES * H * W * CHANNELS];
    omq_real dlogits[IMAGES * CLASSES];
    struct omq_tensor_buf *last;
    struct omq_exec *x;
    struct omq_rng r;

    omq_rng_init(&r, 3, OMQ_STREAM_TEST, 5, 0);
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = (uint8_t)omq_rng_below(&r, 256);
    for (int i = 0; i < IMAGES * CLASSES; i++)
        dlogits[i] = (omq_real)omq_rng_normal(&r);
    if (nan)
        dlogits[0] = NAN;
    ck_assert_msg(omq_exec_open(&x, net, p, IMAGES, true, &err) == OMQ_OK, "%s", err.msg);
    omq_exec_forward(x, precision, OMQ_MODE_TRAIN, codes, n, 0.3);
    last = &x->tensors[net->plan.units[net->plan.n_units - 1].out];
    memcpy(last->g, dlogits, sizeof(*dlogits) * (size_t)n * last->n_image);
    for (int u = net->plan.n_units; u-- > unit_b(net);)
        omq_exec_unit_backward(x, u);
    return x;
}

static double unit_of(const struct omq_layer_buf *l, int o)
{
    return (double)l->unit[l->n_units == 1 ? 0 : o];
}

static double input_of(const struct omq_tensor_buf *in, size_t at)
{
    return in->is_real ? (double)in->x[at] : in->q[at] - in->act.zero_point;
}

/* The sum of output o at one pixel, of codes alone. */
static int64_t plain_sum(const struct omq_unit *u, const struct omq_layer_buf *l,
                         const struct omq_tensor_buf *in, int image, int oy, int ox, int o)
{
    const struct omq_window *g = &u->win;
    const int begin = o / (u->oc / u->groups) * g->c_count;
    const int8_t *k = l->codes + (size_t)o * (size_t)(g->kh * g->kw * g->c_count);
    int64_t sum = 0;

    for (int ky = 0; ky < g->kh; ky++)
        for (int kx = 0; kx < g->kw; kx++)
            for (int i = 0; i < g->c_count; i++, k++) {
                const int iy = oy * g->sh - g->ph + ky, ix = ox * g->sw - g->pw + kx;
                const size_t pixel = ((size_t)image * g->h + iy) * g->w + ix;

                if (iy >= 0 && iy < g->h && ix >= 0 && ix < g->w)
                    sum += *k * (in->q[pixel * g->c + begin + i] - in->act.zero_point);
            }
    return sum;
}

/* With padding and without, with groups of fewer than 16 outputs and of more, over the
 * whole image; by bytes and by bits, of the second layer and of the first, whose input
 * has a zero point. */
START_TEST(sums_are_exact)
{
    static const struct omq_node nodes[] = {
        {.op = OMQ_OP_CONV, .channels = 32, .kernel = 3, .stride = 2, .pad = 1, .groups = 1},
        {.op = OMQ_OP_CONV, .channels = 32, .kernel = 2, .stride = 1, .groups = 1},
        {.op = OMQ_OP_CONV, .channels = 32, .kernel = 3, .stride = 1, .pad = 2, .groups = 4},
        {.op = OMQ_OP_CONV, .channels = 32, .kernel = 1, .stride = 2, .groups = 2},
        {.op = OMQ_OP_LINEAR, .channels = 32},
    };
    static const int precisions[] = {0, 1, 4};
    struct omq_net net;
    struct omq_pool *p;
    struct omq_exec *x;
    int checked = 0;

    open_net(&net, &nodes[_i / 3], OMQ_STEPS_LAYER);
    ck_assert_int_eq(omq_pool_open(&p, 2, &err), OMQ_OK);
    x = step(&net, p, precisions[_i % 3], IMAGES, false);
    for (int i = 0; i < net.plan.n_units; i++) {
        const struct omq_unit *u = &net.plan.units[i];
        const omq_real *acc = x->units[i].acc;

        if (u->kind != OMQ_UNIT_CONV)
            continue;
        for (int e = 0; e < IMAGES * u->win.oh * u->win.ow; e++)
            for (int o = 0; o < u->oc; o++, checked++) {
                const int pixel = e % (u->win.oh * u->win.ow);

                ck_assert(acc[e * u->oc + o] ==
                          (omq_real)plain_sum(u, &x->layers[u->layer], &x->tensors[u->in],
                                              e / (u->win.oh * u->win.ow), pixel / u->win.ow,
                                              pixel % u->win.ow, o));
            }
    }
    ck_assert_int_gt(checked, IMAGES * 32);
    omq_exec_close(x);
    omq_pool_close(p);
    omq_net_release(&net);
}
END_TEST

/* dw, in units of the input, and dx from dy at one output pixel and channel. */
static void gradient(const struct omq_unit *u, const struct omq_layer_buf *l,
                     const struct omq_tensor_buf *in, int image, int oy, int ox, int o, double dy,
                     double *dw, double *dx)
{
    const struct omq_window *g = &u->win;

    for (int ky = 0; ky < g->kh; ky++)
        for (int kx = 0; kx < g->kw; kx++)
            for (int i = 0; i < g->c; i++) {
                const int iy = oy * g->sh - g->ph + ky, ix = ox * g->sw - g->pw + kx;
                const size_t w = (((size_t)o * g->kh + ky) * g->kw + kx) * g->c + i;
                const size_t at = (((size_t)image * g->h + iy) * g->w + ix) * g->c + i;

                if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
                    continue;
                dw[w] += dy * input_of(in, at);
                dx[at] += dy * (l->is_float ? (double)l->operand[w] : l->codes[w] * unit_of(l, o));
            }
}

static double distance(size_t n, const double *want, const omq_real *got)
{
    double error = 0, norm = 0;

    for (size_t i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += want[i] * want[i];
    }
    return sqrt(error / norm);
}

static double want_dw[32 * H / 2 * W / 2 * 16], want_dx[IMAGES * H * W * 16];

/* From the executor's dy; of the network's input dw alone is meant. */
static void sum_gradients(const struct omq_exec *x, const struct omq_unit *u, int n)
{
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    const struct omq_layer_buf *l = &x->layers[u->layer];
    const bool scaled = l->n_units > 1 && !in->is_real && l->k_pairs; /* before dx */

    memset(want_dw, 0, sizeof(want_dw));
    memset(want_dx, 0, sizeof(want_dx));
    for (size_t e = 0; e < (size_t)n * out->n_image; e++) {
        const int o = (int)(e % (size_t)u->oc), pixel = (int)(e % out->n_image) / u->oc;
        const double dy = (double)out->g[e] / (scaled ? unit_of(l, o) : 1);

        gradient(u, l, in, (int)(e / out->n_image), pixel / u->win.ow, pixel % u->win.ow, o, dy,
                 want_dw, want_dx);
    }
}

/* Each precision, with one unit a layer and one a channel; of a convolution, and of a linear
 * layer with an odd number of images and an even one; and of the first convolution. */
START_TEST(gradients_are_nearly_exact)
{
    const bool linear = _i >= 2 * N;
    const int n = _i < 4 * N ? IMAGES : IMAGES - 1;
    struct omq_net net;
    struct omq_pool *p;
    struct omq_exec *x;
    const struct omq_unit *u;
    const struct omq_layer_buf *l;

    open_net(&net, linear ? &whole : &direct, _i / N % 2 ? OMQ_STEPS_CHANNEL : OMQ_STEPS_LAYER);
    ck_assert_int_eq(omq_pool_open(&p, 1, &err), OMQ_OK);
    x = step(&net, p, _i % N, n, false);
    u = &net.plan.units[unit_b(&net)];
    l = &x->layers[u->layer];
    ck_assert(omq_direct_backward(u) && l->k_pairs);
    sum_gradients(x, u, n);
    ck_assert(distance(omq_layer_size(&net.plan.layers[u->layer]), want_dw, x->dw) < 1e-3);
    ck_assert(distance((size_t)n * x->tensors[u->in].n_image, want_dx, x->tensors[u->in].g) < 1e-3);
    for (int i = unit_b(&net); i-- > 0;)
        omq_exec_unit_backward(x, i);
    u = &net.plan.units[0];
    ck_assert(u->kind == OMQ_UNIT_CONV && omq_conv_few(&u->win, u->oc));
    sum_gradients(x, u, n);
    ck_assert(distance(omq_layer_size(&net.plan.layers[u->layer]), want_dw, x->dw) < 1e-3);
    omq_exec_close(x);
    omq_pool_close(p);
    omq_net_release(&net);
}
END_TEST

START_TEST(what_is_not_finite_stays_so)
{
    struct omq_net net;
    struct omq_pool *p;
    struct omq_exec *x;
    const struct omq_unit *u;

    open_net(&net, &direct, OMQ_STEPS_LAYER);
    ck_assert_int_eq(omq_pool_open(&p, 1, &err), OMQ_OK);
    x = step(&net, p, _i, IMAGES, true);
    u = &net.plan.units[unit_b(&net)];
    for (int i = 0; i < 32 * 9 * 16; i++)
        ck_assert(isnan(x->dw[i]));
    for (size_t i = 0; i < x->tensors[u->in].n_image; i++)
        ck_assert(isnan(x->tensors[u->in].g[i]));
    omq_exec_close(x);
    omq_pool_close(p);
    omq_net_release(&net);
}
END_TEST

Suite *omq_suite_conv(void)
{
    Suite *s = suite_create("conv");
    TCase *t = tcase_create("conv");

    tcase_add_loop_test(t, sums_are_exact, 0, 15);
    tcase_add_loop_test(t, gradients_are_nearly_exact, 0, 6 * N);
    tcase_add_loop_test(t, what_is_not_finite_stays_so, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
