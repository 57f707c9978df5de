/* SPDX-License-Identifier: MIT
 *
 * Layers of many weights, which are taken some outputs at a time: their codes and
 * gradients are those of the whole layer, wherever a share begins.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graphhelp.h"

Suite *omq_suite_shares(void);

enum { SIDE = 4, IMAGES = 2, CLASSES = 5, WIDE = 1 /* the layer */, IN = 32, OUT = 64, TAPS = 9,
       FILTER = IN * TAPS };

/* Each output has a step, and each pair of channels an offset, of its own. */
static void open_net(struct omq_net *net)
{
    struct omq_quant_config quant = {.view = OMQ_VIEW_OFFSETS, .levels = 1, .first_last_bits = 8,
                                     .weight_steps = OMQ_STEPS_CHANNEL};
    struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = 3, .step = 0.02f};
    const struct omq_precision five = {5, 5}; /* codes lie across bytes */
    struct omq_graph g;
    struct omq_rng r;
    int x;

    start(&g, SIDE, SIDE, 3);
    x = relu(&g, "a_relu", conv(&g, "a", 0, IN, 3, 1));
    x = op(&g, "wide_bn", OMQ_OP_BATCHNORM, conv(&g, "wide", x, OUT, 3, 1));
    head(&g, op(&g, "gap", OMQ_OP_GLOBALPOOL, relu(&g, "wide_relu", x)));
    ck_assert_msg(omq_net_init(net, &g, &five, 1, &quant, &pre, 7, true, &err) == OMQ_OK, "%s",
                  err.msg);
    omq_rng_init(&r, 7, OMQ_STREAM_TEST, 31, 0);
    for (int i = 0; i < net->n_params; i++)
        for (size_t j = 0; j < net->params[i].n; j++) {
            const enum omq_param_kind kind = net->params[i].kind;

            if (kind == OMQ_PARAM_OFFSET)
                net->params[i].value[j] = (omq_real)(0.05 * omq_rng_normal(&r));
            if (kind == OMQ_PARAM_WSTEP || kind == OMQ_PARAM_ASTEP)
                net->params[i].value[j] = (omq_real)(0.01 + 0.01 * omq_rng_uniform(&r));
        }
    ck_assert_int_lt(omq_layer_codes_outputs(net, WIDE), OUT);
}

/* The codes of all outputs at once, [OUT][IN][TAPS]. */
static void whole_codes(const struct omq_net *net, int8_t *k)
{
    static omq_real view[OUT * FILTER];
    const struct omq_grid g = omq_layer_grid(net, 0, WIDE);

    omq_layer_view(net, 0, WIDE, view);
    omq_weights_quantize(&g, OUT, FILTER, view, omq_net_layer(net, 0, WIDE)->wstep->value, OUT, k);
}

/* A share at a time; packed nets have units in place of steps. */
static void compare_codes(const struct omq_net *net, const int8_t *want, const omq_real *units)
{
    static int8_t k[OUT * FILTER];
    static omq_real scratch[3 * OUT * FILTER];
    omq_real unit[OUT];
    struct omq_layer_codes codes = {.k = k, .unit = unit};
    const int some = omq_layer_codes_outputs(net, WIDE);

    for (int o = 0; o < OUT; o++) {
        const int8_t *got = k + o % some * FILTER;

        if (o % some == 0)
            omq_layer_make_codes(net, 0, WIDE, o, OUT - o < some ? OUT - o : some, &codes,
                                 scratch);
        ck_assert_int_eq(codes.n_units, OUT);
        ck_assert_msg(unit[o] == units[o], "unit of output %d", o);
        for (int i = 0; i < FILTER; i++)
            ck_assert_msg(got[i % TAPS * IN + i / TAPS] == want[o * FILTER + i],
                          "output %d, weight %d", o, i);
    }
}

START_TEST(codes_are_those_of_the_layer)
{
    static int8_t want[OUT * FILTER];
    const int only = 0;
    struct omq_net net, packed;
    struct omq_model_info info = {0}, packed_info;
    struct omq_grid g;
    omq_real units[OUT];

    open_net(&net);
    g = omq_layer_grid(&net, 0, WIDE);
    for (int o = 0; o < OUT; o++)
        units[o] = omq_grid_unit(&g, omq_net_layer(&net, 0, WIDE)->wstep->value[o]);
    whole_codes(&net, want);
    compare_codes(&net, want, units);
    ck_assert_msg(omq_model_pack(&packed, &packed_info, &net, &info, &only, 1, &err) == OMQ_OK,
                  "%s", err.msg);
    compare_codes(&packed, want, units);
    omq_model_info_release(&packed_info);
    omq_net_release(&packed);
    omq_net_release(&net);
}
END_TEST

/* An offset is added to two channels, times f each: its gradient is f times theirs. */
START_TEST(gradients_of_offsets_are_of_their_outputs)
{
    const omq_real f = (omq_real)0.70710678118654752440;
    const struct omq_layer_params *lp;
    uint8_t codes[IMAGES * SIDE * SIDE * 3];
    omq_real dlogits[IMAGES * CLASSES];
    struct omq_pool *threads;
    struct omq_exec *x;
    struct omq_net net;

    open_net(&net);
    lp = omq_net_layer(&net, 0, WIDE);
    for (int i = 0; i < (int)sizeof(codes); i++)
        codes[i] = (uint8_t)(i * 71);
    for (int i = 0; i < IMAGES * CLASSES; i++)
        dlogits[i] = (omq_real)(i % 7 - 3);
    ck_assert(omq_pool_open(&threads, 2, &err) == OMQ_OK);
    ck_assert(omq_exec_open(&x, &net, threads, IMAGES, true, &err) == OMQ_OK);
    omq_exec_forward(x, 0, OMQ_MODE_TRAIN, codes, IMAGES, 0);
    omq_exec_backward(x, dlogits);
    for (int o = 0; o < OUT; o++) {
        omq_real most = 0;

        for (int i = 0; i < FILTER / 2; i++) {
            const omq_real *dw = lp->weight->grad + o * FILTER + i / TAPS * 2 * TAPS + i % TAPS;
            const omq_real got = lp->offset->grad[o * FILTER / 2 + i];

            most = fmax(most, fabs(got));
            ck_assert_msg(fabs(got - f * (dw[0] + dw[TAPS])) <= 1e-6f * (fabs(dw[0]) +
                                                                         fabs(dw[TAPS])),
                          "output %d, offset %d", o, i);
        }
        ck_assert_msg(most > 0, "output %d has no gradient", o);
    }
    omq_exec_close(x);
    omq_pool_close(threads);
    omq_net_release(&net);
}
END_TEST

Suite *omq_suite_shares(void)
{
    Suite *s = suite_create("shares");
    TCase *t = tcase_create("shares");

    tcase_add_test(t, codes_are_those_of_the_layer);
    tcase_add_test(t, gradients_of_offsets_are_of_their_outputs);
    suite_add_tcase(s, t);
    return s;
}
