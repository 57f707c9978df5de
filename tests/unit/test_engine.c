/* SPDX-License-Identifier: MIT
 *
 * The engine against the training forward: on random small networks the codes
 * of every tensor and the bits of every logit are the same, at every kernel
 * level (the runner repeats all suites under each).
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "each.h"
#include "engine/engine.h"
#include "engine_graphs.h"

Suite *omq_suite_engine(void);

static const struct omq_precision precisions[] = {
    {8, 8}, {7, 7}, {6, 6}, {5, 5}, {4, 4}, {3, 3}, {2, 2}, {1, 1},
    {1, 8}, {8, 1}, {4, 8}, {3, 5}, {2, 4}, {7, 2},
};
enum { N_PRECISIONS = sizeof(precisions) / sizeof(precisions[0]) };

/* Outputs of about the size of inputs, whatever the width. */
static void fill_param(struct omq_param *p, struct omq_rng *r)
{
    for (size_t i = 0; i < p->n; i++) {
        double z = omq_rng_normal(r);

        switch (p->kind) {
        case OMQ_PARAM_WEIGHT:
            p->value[i] = (omq_real)(z * sqrt(2.0 * p->dims[0] / (double)p->n));
            break;
        case OMQ_PARAM_BIAS: p->value[i] = (omq_real)(0.3 * z); break;
        case OMQ_PARAM_GAMMA: p->value[i] = i == 1 ? 0 : (omq_real)(1 + 0.7 * z); break;
        case OMQ_PARAM_BETA: p->value[i] = (omq_real)(0.5 * z); break;
        case OMQ_PARAM_MEAN: p->value[i] = (omq_real)(0.4 * z); break;
        case OMQ_PARAM_VAR: p->value[i] = (omq_real)(0.1 + z * z); break;
        case OMQ_PARAM_OFFSET: p->value[i] = (omq_real)(0.05 * z); break;
        case OMQ_PARAM_ACLIP: p->value[i] = (omq_real)(0.5 + omq_rng_uniform(r)); break;
        case OMQ_PARAM_WSTEP:
        case OMQ_PARAM_UNIT:
        case OMQ_PARAM_ASTEP: p->value[i] = (omq_real)(0.02 + 0.1 * omq_rng_uniform(r)); break;
        }
    }
}

/* Steps that use the codes there are: too small a step only clips. */
static void widen_steps(struct omq_net *net)
{
    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];
        /* shared ones are those of the highest width, which comes first */
        const struct omq_precision *prec = &net->precisions[p->precision < 0 ? 0 : p->precision];
        int bits = p->kind == OMQ_PARAM_WSTEP ? prec->w : prec->a;

        if (p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP)
            for (size_t j = 0; j < p->n; j++)
                p->value[j] *= (omq_real)((p->kind == OMQ_PARAM_ASTEP ? 40.0 : 6.0) / (1 << bits));
    }
}

static void make_net(struct omq_net *net, int graph, const struct omq_quant_config *quant,
                     uint64_t seed)
{
    struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = CHANNELS,
                                 .step = 0.0173f};
    struct omq_graph g;
    struct omq_rng r;

    ck_assert_msg(omq_graph_init(&g, SIDE, SIDE, CHANNELS, &err) == 0, "%s", err.msg);
    graphs[graph](&g);
    ck_assert_msg(omq_net_init(net, &g, precisions, N_PRECISIONS, quant, &pre, seed, false,
                               &err) == 0, "%s", err.msg);
    omq_rng_init(&r, seed, OMQ_STREAM_TEST, (uint32_t)graph, 0);
    for (int i = 0; i < net->n_params; i++)
        fill_param(&net->params[i], &r);
    widen_steps(net);
}

static void random_codes(uint8_t *codes, size_t n, uint64_t seed)
{
    struct omq_rng r;

    omq_rng_init(&r, seed, OMQ_STREAM_TEST, 99, 0);
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint8_t)omq_rng_below(&r, 256);
}

struct comparison {
    const struct omq_net *net;
    const struct omq_engine *engine;
    struct omq_exec *x;
    const char *where;
    size_t inner; /* codes that are neither 0 nor the largest */
};

static void compare_codes(void *ctx, int unit, const uint8_t *codes, ptrdiff_t image, ptrdiff_t row)
{
    struct comparison *c = ctx;
    int tensor = c->net->plan.units[unit].out;
    const struct omq_tensor *t = &c->net->plan.tensors[tensor];
    const uint8_t *want = omq_exec_codes(c->x, tensor);

    for (int i = 0; i < IMAGES * t->h; i++) {
        const uint8_t *got = codes + i / t->h * image + i % t->h * row;

        for (int j = 0; j < t->w * t->c; j++, want++) {
            assert_each(got[j] == *want, "%s, unit %d, row %d, code %d: engine %d, training %d",
                        c->where, unit, i, j, got[j], *want);
            c->inner += got[j] > 0 && got[j] < omq_engine_act(c->engine, tensor).q_max;
        }
    }
}

static void compare(struct omq_net *net, struct omq_exec *x, int precision, const uint8_t *codes,
                    const char *where)
{
    struct comparison c = {.net = net, .x = x, .where = where};
    struct omq_engine_watch watch = {.ctx = &c, .codes = compare_codes};
    const omq_real *want;
    float logits[IMAGES * CLASSES];
    struct omq_engine *e;
    void *scratch;

    ck_assert_msg(omq_engine_open(&e, net, NULL, precision, &err) == 0, "%s: %s", where, err.msg);
    c.engine = e;
    scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, 1));
    ck_assert(scratch != NULL);
    omq_exec_forward(x, precision, OMQ_MODE_FROZEN, codes, IMAGES, 0);
    omq_engine_run_watched(e, codes, IMAGES, logits, scratch, &watch);
    if (net->precisions[precision].a > 1)
        ck_assert_msg(c.inner > 50, "%s: only %zu codes are not clipped", where, c.inner);
    want = omq_exec_logits(x);
    for (int i = 0; i < IMAGES * CLASSES; i++)
        ck_assert_msg(memcmp(&logits[i], &want[i], sizeof(float)) == 0,
                      "%s, logit %d: engine %a, training %a", where, i, (double)logits[i],
                      (double)want[i]);
    omq_engine_close(e);
    free(scratch);
}

static void compare_all(int graph, const struct omq_quant_config *quant, int threads)
{
    static uint8_t codes[IMAGES * SIDE * SIDE * CHANNELS];
    struct omq_net net;
    struct omq_pool *pool_;
    struct omq_exec *x;
    char where[96], name[16];

    make_net(&net, graph, quant, 7 + (uint64_t)graph);
    random_codes(codes, sizeof(codes), (uint64_t)graph);
    ck_assert_msg(omq_pool_open(&pool_, threads, &err) == 0, "%s", err.msg);
    ck_assert_msg(omq_exec_open(&x, &net, pool_, IMAGES, false, &err) == 0, "%s", err.msg);
    for (int p = 0; p < N_PRECISIONS; p++) {
        snprintf(where, sizeof(where), "method %d, graph %d, view %d, grid %d, steps %d, %s",
                 quant->method, graph, quant->view, quant->grid, quant->weight_steps,
                 omq_precision_name(precisions[p], name));
        compare(&net, x, p, codes, where);
    }
    omq_exec_close(x);
    omq_pool_close(pool_);
    omq_net_release(&net);
}

/* One test for each graph and configuration: short ones, for slow machines. */
enum { N_VIEWS = OMQ_VIEW_OFFSETS + 1, N_STEPS = OMQ_STEPS_CHANNEL + 1 };

START_TEST(engine_equals_training_forward)
{
    int steps = _i / N_GRAPHS % N_STEPS;
    struct omq_quant_config quant = {.view = (enum omq_view)(_i / N_GRAPHS / N_STEPS),
                                     .levels = 2 * steps, .first_last_bits = 8,
                                     .view_max_bits = steps ? 0 : 4,
                                     .weight_steps = (enum omq_steps)steps};

    compare_all(_i % N_GRAPHS, &quant, 1 + steps);
}
END_TEST

/* With edges of omq's own, and with edges as all other layers. */
START_TEST(engine_equals_training_forward_of_other_methods)
{
    struct omq_quant_config quant = {.method = (enum omq_quant_method)(1 + _i / N_GRAPHS / 2),
                                     .levels = 1, .first_last_bits = _i / N_GRAPHS % 2 ? 0 : 8};

    compare_all(_i % N_GRAPHS, &quant, 1 + _i % 2);
}
END_TEST

START_TEST(engine_equals_training_forward_on_other_grids)
{
    bool midrise = _i / N_GRAPHS == 0;
    struct omq_quant_config quant = {.grid = midrise ? OMQ_GRID_MIDRISE : OMQ_GRID_SYMMETRIC,
                                     .view = OMQ_VIEW_OFFSETS, .levels = 1};

    compare_all(_i % N_GRAPHS, &quant, 1);
}
END_TEST

static const struct omq_quant_config plain = {.levels = 1, .first_last_bits = 8};

/* Images do not see each other: any batch gives each the same answer. */
START_TEST(answers_do_not_depend_on_the_batch)
{
    uint8_t codes[IMAGES * SIDE * SIDE * CHANNELS];
    float all[IMAGES * CLASSES], one[CLASSES];
    struct omq_engine *e;
    struct omq_net net;
    void *scratch;

    make_net(&net, _i, &plain, 3);
    random_codes(codes, sizeof(codes), 4);
    ck_assert(omq_engine_open(&e, &net, NULL, 4, &err) == 0);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, 1));
    omq_engine_run(e, codes, IMAGES, all, scratch);
    for (int i = 0; i < IMAGES; i++) {
        free(scratch);
        scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
        omq_engine_run(e, codes + i * SIDE * SIDE * CHANNELS, 1, one, scratch);
        ck_assert(memcmp(one, all + i * CLASSES, sizeof(one)) == 0);
    }
    free(scratch);
    omq_engine_close(e);
    omq_net_release(&net);
}
END_TEST

/* In 16 bits at all widths, taps in twos, channels in sixteens. */
static size_t depthwise_bytes(const struct omq_net *net)
{
    size_t n = 0;

    for (int i = 0; i < net->plan.n_units; i++) {
        const struct omq_unit *u = &net->plan.units[i];

        if (u->kind == OMQ_UNIT_CONV && omq_unit_is_depthwise(u))
            n += (size_t)(u->oc + 15) / 16 * 64 * (size_t)((u->win.kh * u->win.kw + 1) / 2);
    }
    return n;
}

/* Weights are kept at their true width: eight bits are eight times one bit; but those
 * of depthwise layers are few. */
START_TEST(weights_take_their_bits)
{
    const struct omq_quant_config quant = {.levels = 1, .first_last_bits = 0};
    size_t one = 0, same;
    struct omq_net net;

    make_net(&net, _i, &quant, 2);
    same = depthwise_bytes(&net);
    for (int p = 7; p >= 0; p--) { /* w1a1 to w8a8 */
        struct omq_engine *e;

        ck_assert_msg(omq_engine_open(&e, &net, NULL, p, &err) == 0, "%s", err.msg);
        one = p == 7 ? omq_engine_weight_bytes(e) - same : one;
        ck_assert_uint_gt(one, 0);
        ck_assert_uint_eq(omq_engine_weight_bytes(e), same + one * (size_t)precisions[p].w);
        omq_engine_close(e);
    }
    omq_net_release(&net);
}
END_TEST

/* Threads that share every unit give the same, by rows or by outputs. */
START_TEST(threads_share_a_batch)
{
    uint8_t codes[IMAGES * SIDE * SIDE * CHANNELS];
    float alone[IMAGES * CLASSES], shared[IMAGES * CLASSES];
    struct omq_pool *threads;
    struct omq_engine *e;
    struct omq_net net;
    void *scratch;

    make_net(&net, _i, &plain, 21);
    random_codes(codes, sizeof(codes), 8);
    for (int p = 0; p < N_PRECISIONS; p += 3)
        for (int t = 1; t <= 5; t += 2) {
            ck_assert(omq_engine_open(&e, &net, NULL, p, &err) == 0);
            ck_assert(omq_pool_open(&threads, t, &err) == 0);
            scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, t));
            omq_engine_run(e, codes, IMAGES, alone, scratch);
            for (int n = 1; n <= IMAGES; n += 4) {
                memset(shared, 0, sizeof(shared));
                omq_engine_run_shared(e, codes, n, shared, scratch, threads);
                ck_assert_msg(memcmp(alone, shared, sizeof(float) * (size_t)n * CLASSES) == 0,
                              "graph %d, precision %d, %d images on %d threads", _i, p, n, t);
            }
            free(scratch);
            omq_pool_close(threads);
            omq_engine_close(e);
        }
    omq_net_release(&net);
}
END_TEST

struct watched {
    const struct omq_net *net;
    const struct omq_engine *engine;
    size_t seen;
};

static void check_value(void *ctx, int unit, omq_real v, uint8_t q)
{
    struct watched *w = ctx;
    int q_max = omq_engine_act(w->engine, w->net->plan.units[unit].out).q_max;

    ck_assert_int_eq(q, (int)fmin(fmax(rint((double)v), 0), q_max));
    w->seen++;
}

/* A watch sees every value that is rounded, and changes nothing: what runs
 * unwatched, kernels and all, gives the same. */
START_TEST(watching_changes_nothing)
{
    uint8_t codes[IMAGES * SIDE * SIDE * CHANNELS];
    float plainly[IMAGES * CLASSES], watched[IMAGES * CLASSES];
    struct omq_engine *e;
    struct omq_net net;
    struct watched w = {.net = &net};
    struct omq_engine_watch watch = {.ctx = &w, .value = check_value};
    size_t want = 0;
    void *scratch;

    make_net(&net, _i, &plain, 17);
    random_codes(codes, sizeof(codes), 6);
    for (int u = 0; u < net.plan.n_units; u++) {
        const struct omq_tensor *t = &net.plan.tensors[net.plan.units[u].out];

        if (net.plan.units[u].kind <= OMQ_UNIT_AVGPOOL &&
            net.plan.units[u].kind != OMQ_UNIT_MAXPOOL && !t->is_logits)
            want += (size_t)IMAGES * (size_t)t->h * (size_t)t->w * (size_t)t->c;
    }
    for (int p = 0; p < N_PRECISIONS; p++) {
        ck_assert(omq_engine_open(&e, &net, NULL, p, &err) == 0);
        scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, 1));
        w.engine = e;
        w.seen = 0;
        omq_engine_run(e, codes, IMAGES, plainly, scratch);
        omq_engine_run_watched(e, codes, IMAGES, watched, scratch, &watch);
        ck_assert(memcmp(plainly, watched, sizeof(plainly)) == 0);
        ck_assert_uint_eq(w.seen, want);
        free(scratch);
        omq_engine_close(e);
    }
    omq_net_release(&net);
}
END_TEST

/* A plan outlives its net. */
START_TEST(plans_own_what_they_need)
{
    uint8_t codes[SIDE * SIDE * CHANNELS];
    float before[CLASSES], after[CLASSES];
    struct omq_engine *e;
    struct omq_net net;
    void *scratch;

    make_net(&net, 0, &plain, 3);
    random_codes(codes, sizeof(codes), 4);
    ck_assert(omq_engine_open(&e, &net, NULL, 2, &err) == 0);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    omq_engine_run(e, codes, 1, before, scratch);
    omq_net_release(&net);
    omq_engine_run(e, codes, 1, after, scratch);
    ck_assert(memcmp(before, after, sizeof(before)) == 0);
    free(scratch);
    omq_engine_close(e);
}
END_TEST

static void run_profile(const struct omq_net *net, const int *layers, int stream,
                        const uint8_t *codes, float *logits)
{
    struct omq_engine *e;
    void *scratch;

    ck_assert_msg(omq_engine_open(&e, net, layers, stream, &err) == 0, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, 1));
    omq_engine_run(e, codes, IMAGES, logits, scratch);
    free(scratch);
    omq_engine_close(e);
}

/* A profile that names one precision everywhere is that precision; one that
 * mixes them is a net whose layers hold those parameters. */
START_TEST(profiles_take_each_layers_parameters)
{
    static uint8_t codes[IMAGES * SIDE * SIDE * CHANNELS];
    float plainly[IMAGES * CLASSES], profiled[IMAGES * CLASSES], mixed[IMAGES * CLASSES];
    int layers[16], n;
    struct omq_net net;

    make_net(&net, 0, &plain, 11);
    random_codes(codes, sizeof(codes), 5);
    n = net.plan.n_layers;
    ck_assert(n <= 16);
    for (int l = 0; l < n; l++)
        layers[l] = 3;
    run_profile(&net, NULL, 3, codes, plainly);
    run_profile(&net, layers, 3, codes, profiled);
    ck_assert(memcmp(plainly, profiled, sizeof(plainly)) == 0);

    layers[2] = 6;
    run_profile(&net, layers, 3, codes, mixed);
    ck_assert(memcmp(plainly, mixed, sizeof(plainly)) != 0);
    /* the same by hand: layer 2's entry at precision 3 becomes that of 6, bits too */
    net.layer_params[3 * n + 2] = *omq_net_layer(&net, 6, 2);
    for (int s = 0; s < net.plan.n_sites; s++)
        if (net.plan.sites[s].layer == 2)
            net.site_steps[3 * net.plan.n_sites + s] = omq_net_site(&net, 6, s);
    ck_assert_int_ne(net.precisions[3].w, net.precisions[6].w);
    run_profile(&net, layers, 3, codes, profiled);
    ck_assert(memcmp(mixed, profiled, sizeof(mixed)) == 0);
    omq_net_release(&net);
}
END_TEST

START_TEST(what_cannot_be_integers_is_refused)
{
    struct omq_precision list[] = {{4, 4}, {32, 8}, {8, 32}, {32, 32}};
    struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = CHANNELS, .step = 1};
    struct omq_engine *e = NULL;
    struct omq_graph g;
    struct omq_net net;

    ck_assert(omq_graph_init(&g, SIDE, SIDE, CHANNELS, &err) == 0);
    residual(&g);
    ck_assert(omq_net_init(&net, &g, list, 4, &plain, &pre, 1, false, &err) == 0);
    ck_assert_int_eq(omq_engine_open(&e, &net, NULL, 0, &err), OMQ_EUNSUP); /* no steps yet */
    ck_assert_msg(strstr(err.msg, "no step") != NULL, "%s", err.msg);
    for (int i = 0; i < net.n_params; i++)
        if (net.params[i].kind == OMQ_PARAM_ASTEP || net.params[i].kind == OMQ_PARAM_WSTEP)
            net.params[i].value[0] = 1;
    for (int p = 1; p < 4; p++) {
        ck_assert_int_eq(omq_engine_open(&e, &net, NULL, p, &err), OMQ_EUNSUP);
        ck_assert_msg(strstr(err.msg, "--engine float") != NULL, "%s", err.msg);
    }
    ck_assert_int_eq(omq_engine_open(&e, &net, NULL, 4, &err), OMQ_EARG);
    ck_assert_int_eq(omq_engine_open(&e, &net, NULL, -1, &err), OMQ_EARG);
    omq_net_site(&net, 0, 0)->value[0] = INFINITY;
    ck_assert_int_eq(omq_engine_open(&e, &net, NULL, 0, &err), OMQ_EUNSUP);
    ck_assert(e == NULL);
    omq_net_release(&net);
}
END_TEST

/* Of codes up to 255, 4096 * 2057 can add up to more than int32 holds, one row
 * less cannot. (A sum of products is refused before: test_nn.c.) */
START_TEST(sums_beyond_32_bits_are_refused)
{
    struct omq_precision list[] = {{8, 8}};

    for (int h = 2057; h >= 2056; h--) {
        struct omq_preprocess pre = {.height = h, .width = 4096, .channels = 1, .step = 1};
        struct omq_engine *e = NULL;
        struct omq_graph g;
        struct omq_net net;
        int x, rc;

        ck_assert(omq_graph_init(&g, h, 4096, 1, &err) == 0);
        x = conv(&g, "conv1", 0, 1, 1, 0);
        x = op(&g, "relu", OMQ_OP_RELU, x);
        head(&g, op(&g, "gap", OMQ_OP_GLOBALPOOL, x));
        ck_assert(omq_net_init(&net, &g, list, 1, &plain, &pre, 1, false, &err) == 0);
        for (int i = 0; i < net.n_params; i++)
            if (net.params[i].kind == OMQ_PARAM_ASTEP || net.params[i].kind == OMQ_PARAM_WSTEP)
                net.params[i].value[0] = 1;
        rc = omq_engine_open(&e, &net, NULL, 0, &err);
        ck_assert_msg(rc == (h == 2057 ? OMQ_EUNSUP : OMQ_OK), "%s", err.msg);
        if (rc < 0)
            ck_assert_msg(strstr(err.msg, "'gap'") != NULL, "%s", err.msg);
        else
            ck_assert_uint_eq(omq_engine_scratch_size(e, 0, 1), SIZE_MAX);
        omq_engine_close(e);
        omq_net_release(&net);
    }
}
END_TEST

Suite *omq_suite_engine(void)
{
    Suite *s = suite_create("engine");
    TCase *t = tcase_create("engine");

    tcase_add_loop_test(t, engine_equals_training_forward, 0, N_GRAPHS * N_VIEWS * N_STEPS);
    tcase_add_loop_test(t, engine_equals_training_forward_on_other_grids, 0, 2 * N_GRAPHS);
    tcase_add_loop_test(t, engine_equals_training_forward_of_other_methods, 0,
                        OMQ_METHOD_DOUBLE_ROUNDING * 2 * N_GRAPHS);
    tcase_add_loop_test(t, answers_do_not_depend_on_the_batch, 0, N_GRAPHS);
    tcase_add_loop_test(t, weights_take_their_bits, 0, N_GRAPHS);
    tcase_add_loop_test(t, threads_share_a_batch, 0, N_GRAPHS);
    tcase_add_loop_test(t, watching_changes_nothing, 0, N_GRAPHS);
    tcase_add_test(t, plans_own_what_they_need);
    tcase_add_test(t, profiles_take_each_layers_parameters);
    tcase_add_test(t, what_cannot_be_integers_is_refused);
    tcase_add_test(t, sums_beyond_32_bits_are_refused);
    suite_add_tcase(s, t);
    return s;
}
