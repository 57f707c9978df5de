/* SPDX-License-Identifier: MIT
 *
 * ReLUs with an end, concats and shortcuts: which quantizers they share, where
 * their values go, and that no step passes an end.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "graphhelp.h"
#include "planhelp.h"
#include "quant/quant.h"

Suite *omq_suite_moves(void);

enum { SIDE = 5, IMAGES = 2 };

/* ---- plans ---- */

/* What only a concat reads has the concat's quantizer, which is its reader's. */
START_TEST(concats_share_the_quantizer_of_their_reader)
{
    struct omq_graph g;
    struct omq_plan p;
    int x, y;

    start(&g, SIDE, SIDE, 1);
    x = relu(&g, "a_relu", conv(&g, "a", 0, 4, 3, 1));
    y = relu(&g, "b_relu", conv(&g, "b", 0, 6, 3, 1));
    x = concat(&g, "both", x, y);
    x = concat(&g, "all", x, relu(&g, "c_relu", conv(&g, "c", 0, 2, 3, 1)));
    head(&g, conv(&g, "d", x, 4, 1, 0));
    plan_of(&p, &g);
    ck_assert_int_eq(p.n_units, 7); /* no requantization */
    check_unit(&p, "a_relu", OMQ_UNIT_CONV, "", "-", "d.in");
    check_unit(&p, "both", OMQ_UNIT_CONCAT, "d.in", "d.in", "d.in");
    check_unit(&p, "all", OMQ_UNIT_CONCAT, "d.in", "d.in", "d.in");
    ck_assert_int_eq(p.tensors[unit_of(&p, "all")->out].c, 12);
    omq_plan_release(&p);
}
END_TEST

/* Where an input is read elsewhere too, or has another sign or end, it comes through
 * a requantization. */
START_TEST(concats_requantize_what_differs)
{
    struct omq_graph g;
    struct omq_plan p;
    int x, y, z;

    start(&g, SIDE, SIDE, 1);
    x = relu_to(&g, "a_relu", 6, conv(&g, "a", 0, 4, 3, 1));
    y = relu_to(&g, "b_relu", 6, conv(&g, "b", x, 4, 3, 1));
    z = conv(&g, "c", 0, 4, 3, 1);
    x = concat(&g, "ends", x, y);
    x = concat(&g, "signs", x, z);
    x = concat(&g, "twice", x, x);
    head(&g, conv(&g, "d", x, 4, 1, 0));
    plan_of(&p, &g);
    check_unit(&p, "ends.in", OMQ_UNIT_REQUANT, "a_relu.out", "-", "ends.out");
    check_unit(&p, "ends", OMQ_UNIT_CONCAT, "ends.out", "ends.out", "ends.out");
    check_unit(&p, "signs.in", OMQ_UNIT_REQUANT, "ends.out", "-", "signs.out");
    check_unit(&p, "signs", OMQ_UNIT_CONCAT, "signs.out", "signs.out", "signs.out");
    check_unit(&p, "twice.in", OMQ_UNIT_REQUANT, "signs.out", "-", "d.in");
    check_unit(&p, "twice.in2", OMQ_UNIT_REQUANT, "signs.out", "-", "d.in");
    ck_assert(p.sites[p.tensors[unit_of(&p, "signs")->out].site].is_signed);
    ck_assert(!p.sites[p.tensors[unit_of(&p, "ends")->out].site].is_signed);
    ck_assert_double_eq(p.sites[p.tensors[unit_of(&p, "ends")->out].site].max, 6);
    ck_assert_double_eq(p.sites[p.tensors[unit_of(&p, "signs")->out].site].max, 0);
    omq_plan_release(&p);
}
END_TEST

/* The stream goes through a shortcut as it is, even if it comes after the layers that
 * are added to it, or a shortcut reads it. */
START_TEST(shortcuts_are_the_stream)
{
    struct omq_graph g;
    struct omq_plan p;
    int x, y;

    start(&g, SIDE, SIDE, 1);
    x = relu(&g, "a_relu", conv(&g, "a", 0, 4, 3, 1));
    y = add(&g, "b", x, (struct omq_node){.op = OMQ_OP_CONV, .channels = 8, .kernel = 3,
                                          .stride = 2, .pad = 1, .groups = 1});
    x = shortcut(&g, "short", x, 6, 2);
    x = shortcut(&g, "more", x, 8, 1);
    x = relu(&g, "relu", join(&g, "add", y, x));
    x = shortcut(&g, "last", x, 10, 1);
    head(&g, conv(&g, "c", x, 4, 3, 1));
    plan_of(&p, &g);
    check_unit(&p, "short", OMQ_UNIT_SHORTCUT, "a_relu.out", "-", "a_relu.out");
    check_unit(&p, "more", OMQ_UNIT_SHORTCUT, "a_relu.out", "-", "a_relu.out");
    check_unit(&p, "relu", OMQ_UNIT_CONV, "b.in", "a_relu.out", "relu.out");
    check_unit(&p, "last", OMQ_UNIT_SHORTCUT, "relu.out", "-", "relu.out");
    check_unit(&p, "c.in", OMQ_UNIT_REQUANT, "relu.out", "-", "c.in");
    omq_plan_release(&p);
}
END_TEST

START_TEST(what_does_not_fit_is_named)
{
    struct omq_graph g;
    struct omq_plan p;
    int a, b;

    start(&g, SIDE, SIDE, 3);
    a = conv(&g, "a", 0, 4, 3, 1);
    b = conv(&g, "b", 0, 4, 3, 0);
    ck_assert_int_eq(try_add(&g, "culprit", a, (struct omq_node){.op = OMQ_OP_CONCAT,
                                                                  .in = {0, b}}), OMQ_ECONFIG);
    has_text("'culprit' cannot join images of 5 x 5 and 3 x 3");
    ck_assert_int_eq(try_add(&g, "culprit", a, (struct omq_node){
                         .op = OMQ_OP_SHORTCUT, .channels = 3, .stride = 2}), OMQ_ECONFIG);
    has_text("'culprit' cannot take 4 channels to 3");
    ck_assert_int_eq(try_add(&g, "culprit", a, (struct omq_node){
                         .op = OMQ_OP_SHORTCUT, .channels = 4}), OMQ_ECONFIG);
    ck_assert_int_eq(try_add(&g, "culprit", a, (struct omq_node){.op = OMQ_OP_RELU, .max = -1}),
                     OMQ_ECONFIG);
    has_text("'culprit' ends at -1");
    ck_assert_int_eq(try_add(&g, "culprit", a, (struct omq_node){.op = OMQ_OP_RELU, .max = 1e-42}),
                     OMQ_ECONFIG); /* no step of codes is so small */
    ck_assert_int_eq(try_add(&g, "culprit", a, (struct omq_node){.op = OMQ_OP_RELU, .max = NAN}),
                     OMQ_ECONFIG);
    omq_graph_release(&g);
    start(&g, SIDE, SIDE, 3);
    head(&g, concat(&g, "culprit", conv(&g, "a", 0, 4, 3, 1), 0));
    ck_assert_int_eq(omq_plan_init(&p, &g, &err), OMQ_EUNSUP);
    has_text("'culprit' reads the input image");
    omq_graph_release(&g);
}
END_TEST

/* ---- steps ---- */

static void open_net(struct omq_net *net, struct omq_graph *g, const struct omq_quant_config *quant)
{
    struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = 1, .step = 0.02f};

    ck_assert_msg(omq_net_init(net, g, all_widths, N_WIDTHS, quant, &pre, 1, false, &err) ==
                      OMQ_OK, "%s", err.msg);
}

/* Whatever the parameter says, codes reach the end at most; and that is where those
 * who change it leave it. */
START_TEST(no_step_passes_an_end)
{
    static const enum omq_quant_method methods[] = {OMQ_METHOD_OMQ, OMQ_METHOD_ANY_PRECISION,
                                                    OMQ_METHOD_ADABITS};
    struct omq_quant_config quant = {.method = methods[_i], .levels = 1, .first_last_bits = 8};
    struct omq_graph g;
    struct omq_net net;
    int x;

    start(&g, SIDE, SIDE, 1);
    x = relu_to(&g, "a_relu", 0.7, conv(&g, "a", 0, 4, 3, 1));
    x = join(&g, "add", conv(&g, "b", x, 4, 3, 1), x);
    x = relu_to(&g, "relu", 6, x);
    head(&g, conv(&g, "c", x, 4, 3, 1));
    open_net(&net, &g, &quant);
    for (int p = 1; p < net.n_precisions; p++)
        for (int s = 0; s < net.plan.n_sites; s++) {
            struct omq_param *param = omq_net_site(&net, p, s);
            const double max = net.plan.sites[s].max;
            int levels = (1 << omq_site_bits(&net, p, s)) - 1;

            for (int i = 0; max > 0 && i < 50; i++) {
                omq_real huge = (omq_real)(3 + i * 0.37);
                double step;

                if (param)
                    param->value[0] = huge;
                step = (double)omq_net_site_step(&net, p, s);
                ck_assert(step > 0 && step * levels <= max);
                omq_net_bound_step(&net, p, s);
                ck_assert_double_eq_tol((double)omq_net_site_step(&net, p, s), step, 1e-6 * step);
                ck_assert(!param || param->value[0] <= huge);
                if (param)
                    ck_assert_double_eq_tol(
                        step * levels,
                        fmin(max, (double)huge * (param->kind == OMQ_PARAM_ACLIP ? 1 : levels)),
                        1e-5);
            }
            if (param && !(max > 0)) {
                param->value[0] = 1000;
                omq_net_bound_step(&net, p, s);
                ck_assert_double_eq((double)param->value[0], 1000);
            }
        }
    omq_net_release(&net);
}
END_TEST

/* ---- values ---- */

struct values {
    const omq_real *x;
    const uint8_t *q;
};

static double value_at(struct values v, const struct omq_tensor *t, int image, int y, int x, int c)
{
    size_t i = (((size_t)image * (size_t)t->h + (size_t)y) * (size_t)t->w + (size_t)x) *
                   (size_t)t->c + (size_t)c;

    return v.x ? (double)v.x[i] : v.q[i];
}

static struct values values_of(const struct omq_exec *x, int tensor)
{
    return (struct values){omq_exec_reals(x, tensor), omq_exec_codes(x, tensor)};
}

static void check_concat(const struct omq_net *net, const struct omq_exec *x)
{
    const struct omq_unit *u = unit_of(&net->plan, "concat");
    const struct omq_tensor *a = &net->plan.tensors[u->in], *b = &net->plan.tensors[u->res];
    const struct omq_tensor *out = &net->plan.tensors[u->out];

    for (int i = 0; i < IMAGES * SIDE * SIDE; i++)
        for (int c = 0; c < out->c; c++) {
            int image = i / (SIDE * SIDE), y = i / SIDE % SIDE, px = i % SIDE;
            double want = c < a->c ? value_at(values_of(x, u->in), a, image, y, px, c)
                                   : value_at(values_of(x, u->res), b, image, y, px, c - a->c);

            ck_assert_double_eq(value_at(values_of(x, u->out), out, image, y, px, c), want);
        }
}

static void check_shortcut(const struct omq_net *net, const struct omq_exec *x)
{
    const struct omq_unit *u = unit_of(&net->plan, "short");
    const struct omq_tensor *in = &net->plan.tensors[u->in], *out = &net->plan.tensors[u->out];
    const struct values v = values_of(x, u->out);
    int first = (out->c - in->c) / 2;

    ck_assert_int_eq(out->h, (SIDE + 1) / 2);
    for (int i = 0; i < IMAGES * out->h * out->w; i++)
        for (int c = 0; c < out->c; c++) {
            int image = i / (out->h * out->w), y = i / out->w % out->h, px = i % out->w;
            double zero = v.x ? 0 : 128, want = zero;

            if (c >= first && c < first + in->c)
                want = value_at(values_of(x, u->in), in, image, 2 * y, 2 * px, c - first);
            ck_assert_double_eq(value_at(v, out, image, y, px, c), want);
        }
}

/* Nothing above the end, and something at it. */
static void check_end(const struct omq_net *net, const struct omq_exec *x, int precision)
{
    const struct omq_unit *u = unit_of(&net->plan, "a_relu");
    const struct omq_tensor *t = &net->plan.tensors[u->out];
    const struct values v = values_of(x, u->out);
    double top = 0, step = v.x ? 1 : (double)omq_net_site_step(net, precision, t->site);

    for (int i = 0; i < IMAGES * SIDE * SIDE * t->c; i++)
        top = fmax(top, step * (v.x ? (double)v.x[i] : v.q[i]));
    ck_assert_msg(top <= u->max + 1e-7 && top > 0.9 * u->max, "%g of %g", top, u->max);
}

START_TEST(values_move_as_they_are)
{
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    uint8_t codes[IMAGES * SIDE * SIDE];
    struct omq_pool *threads;
    struct omq_exec *exec;
    struct omq_graph g;
    struct omq_net net;
    int x, y;

    start(&g, SIDE, SIDE, 1);
    x = relu_to(&g, "a_relu", 0.25, conv(&g, "a", 0, 4, 3, 1));
    y = conv(&g, "b", x, 3, 3, 1); /* signed */
    x = concat(&g, "concat", conv(&g, "c", x, 4, 1, 0), y);
    x = shortcut(&g, "short", x, 12, 2);
    head(&g, conv(&g, "d", x, 4, 1, 0));
    open_net(&net, &g, &quant);
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = (uint8_t)(i * 89);
    ck_assert(omq_pool_open(&threads, 1, &err) == OMQ_OK);
    ck_assert(omq_exec_open(&exec, &net, threads, IMAGES, true, &err) == OMQ_OK);
    for (int p = 0; p < net.n_precisions; p++) {
        omq_exec_forward(exec, p, OMQ_MODE_TRAIN, codes, IMAGES, 0);
        check_concat(&net, exec);
        check_shortcut(&net, exec);
        if (net.precisions[p].a >= 8)
            check_end(&net, exec, p);
    }
    omq_exec_close(exec);
    omq_pool_close(threads);
    omq_net_release(&net);
}
END_TEST

/* The first step of what a concat joins is that of its widest input, whichever is the
 * first: few of its codes are at the end. */
START_TEST(a_first_step_is_for_all_inputs)
{
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    uint8_t codes[IMAGES * SIDE * SIDE];
    struct omq_pool *threads;
    struct omq_exec *exec;
    struct omq_graph g;
    struct omq_net net;
    const uint8_t *q;
    int x, n = 0, at_end = 0;

    start(&g, SIDE, SIDE, 1);
    x = relu(&g, "a_relu", conv(&g, "a", 0, 8, 3, 1));
    x = concat(&g, "concat", x, relu(&g, "b_relu", conv(&g, "b", 0, 8, 3, 1)));
    head(&g, conv(&g, "d", x, 4, 1, 0));
    open_net(&net, &g, &quant);
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = (uint8_t)(i * 89);
    for (size_t i = 0; i < net.layer_params[_i].weight->n; i++)
        net.layer_params[_i].weight->value[i] *= 10;
    ck_assert(omq_pool_open(&threads, 1, &err) == OMQ_OK);
    ck_assert(omq_exec_open(&exec, &net, threads, IMAGES, true, &err) == OMQ_OK);
    omq_exec_forward(exec, 1, OMQ_MODE_TRAIN, codes, IMAGES, 0);
    check_concat(&net, exec);
    q = omq_exec_codes(exec, unit_of(&net.plan, "concat")->out);
    for (int i = 0; i < IMAGES * SIDE * SIDE * 16; i++) {
        n += i / 8 % 2 == _i && q[i] > 0;
        at_end += i / 8 % 2 == _i && q[i] == 255;
    }
    ck_assert_msg(n > 100 && at_end < n / 10, "%d of %d", at_end, n);
    omq_exec_close(exec);
    omq_pool_close(threads);
    omq_net_release(&net);
}
END_TEST

Suite *omq_suite_moves(void)
{
    Suite *s = suite_create("moves");
    TCase *t = tcase_create("all");

    tcase_add_test(t, concats_share_the_quantizer_of_their_reader);
    tcase_add_test(t, concats_requantize_what_differs);
    tcase_add_test(t, shortcuts_are_the_stream);
    tcase_add_test(t, what_does_not_fit_is_named);
    tcase_add_loop_test(t, no_step_passes_an_end, 0, 3);
    tcase_add_test(t, values_move_as_they_are);
    tcase_add_loop_test(t, a_first_step_is_for_all_inputs, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
