/* SPDX-License-Identifier: MIT
 *
 * Plans: what graphs are lowered to, unit by unit, where the quantizers are, and
 * how many bits they have.
 */
#include <check.h>
#include <string.h>

#include "graphhelp.h"
#include "planhelp.h"

Suite *omq_suite_plan(void);

static const struct omq_site *site_of(const struct omq_plan *p, const char *name)
{
    for (int i = 0; i < p->n_sites; i++)
        if (strcmp(p->sites[i].name, name) == 0)
            return &p->sites[i];
    ck_abort_msg("there is no site '%s'", name);
    return NULL;
}

static void check_fused(const struct omq_plan *p, const char *name, enum omq_unit_kind kind,
                        const char *in, const char *res, const char *out, bool has_relu)
{
    check_unit(p, name, kind, in, res, out);
    ck_assert_int_eq(unit_of(p, name)->relu, has_relu);
}

START_TEST(plan_of_resnet8)
{
    static const char *const sites[] = {
        "relu.out", "layer1.0.relu2.out", "layer2.0.relu2.out", "layer3.0.relu2.out",
        "layer2.0.shortcut.1.out", "layer3.0.shortcut.1.out", "layer1.0.conv1.in",
        "layer1.0.conv2.in", "layer2.0.shortcut.0.in", "layer2.0.conv1.in", "layer2.0.conv2.in",
        "layer3.0.shortcut.0.in", "layer3.0.conv1.in", "layer3.0.conv2.in", "linear.in",
    };
    enum { N_SITES = sizeof(sites) / sizeof(sites[0]) };
    struct omq_net net;
    struct omq_plan *p = &net.plan;

    build_net(&net, "resnet8", 1, 28, 28, 1, 10);
    check_plan(p);
    ck_assert_int_eq(p->n_layers, 10);
    ck_assert_int_eq(p->n_units, 11 + 5);
    ck_assert_int_eq(p->n_sites, N_SITES);
    for (int i = 0; i < N_SITES; i++) {
        const struct omq_site *s = site_of(p, sites[i]);
        const char *dot = strrchr(sites[i], '.');

        ck_assert_int_eq(s->is_signed, strstr(sites[i], "shortcut.1") != NULL);
        ck_assert_int_eq(s->layer < 0, strcmp(dot, ".out") == 0);
        if (s->layer >= 0)
            ck_assert_int_eq(strncmp(p->layers[s->layer].name, sites[i], (size_t)(dot - sites[i])),
                             0);
    }
    check_fused(p, "relu", OMQ_UNIT_CONV, "", "-", "relu.out", true);
    check_fused(p, "layer1.0.conv1.in", OMQ_UNIT_REQUANT, "relu.out", "-", "layer1.0.conv1.in",
                false);
    check_fused(p, "layer1.0.relu1", OMQ_UNIT_CONV, "layer1.0.conv1.in", "-", "layer1.0.conv2.in",
                true);
    check_fused(p, "layer1.0.relu2", OMQ_UNIT_CONV, "layer1.0.conv2.in", "relu.out",
                "layer1.0.relu2.out", true);
    check_fused(p, "layer2.0.shortcut.1", OMQ_UNIT_CONV, "layer2.0.shortcut.0.in", "-",
                "layer2.0.shortcut.1.out", false);
    check_fused(p, "layer2.0.relu2", OMQ_UNIT_CONV, "layer2.0.conv2.in", "layer2.0.shortcut.1.out",
                "layer2.0.relu2.out", true);
    check_fused(p, "avgpool", OMQ_UNIT_AVGPOOL, "layer3.0.relu2.out", "-", "linear.in", false);
    check_fused(p, "linear", OMQ_UNIT_CONV, "linear.in", "-", "", false);
    for (int l = 0; l < p->n_layers; l++)
        ck_assert_int_eq(p->layers[l].edge, strcmp(p->layers[l].name, "conv1") == 0 ||
                                                strcmp(p->layers[l].name, "linear") == 0);
    ck_assert_str_eq(p->layers[0].norm, "bn1");
    ck_assert_str_eq(p->layers[p->n_layers - 1].norm, "");
    omq_net_release(&net);
}
END_TEST

/* Of resnet8: what a layer reads that no batch norm gave. */
static bool is_of_a_sum(const char *site)
{
    static const char *const names[] = {"layer2.0.shortcut.0.in", "layer2.0.conv1.in",
                                        "layer3.0.shortcut.0.in", "layer3.0.conv1.in"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(site, names[i]) == 0)
            return true;
    return false;
}

/* Any-precision clamps where a batch norm comes before, and learns a step elsewhere; the
 * stream, and layers with bits of their own, are omq's. */
START_TEST(methods_know_a_norm)
{
    const struct omq_method *any = omq_method_of(OMQ_METHOD_ANY_PRECISION, false);
    const struct omq_act_method *step = omq_method_of(OMQ_METHOD_OMQ, false)->act;
    struct omq_net net;
    int n = 0;

    build_net(&net, "resnet8", 1, 28, 28, 1, 10);
    for (int s = 0; s < net.plan.n_sites; s++) {
        const struct omq_site *site = &net.plan.sites[s];
        const bool of_sum = is_of_a_sum(site->name);

        n += of_sum;
        if (site->layer < 0 || net.plan.layers[site->layer].edge)
            continue;
        ck_assert_msg(site->is_normed == !of_sum, "%s", site->name);
        net.quant.method = OMQ_METHOD_ANY_PRECISION;
        ck_assert_ptr_eq(omq_site_method(&net, s), of_sum ? step : any->act);
        net.quant.method = OMQ_METHOD_ADABITS;
        ck_assert_ptr_eq(omq_site_method(&net, s), omq_method_of(OMQ_METHOD_ADABITS, false)->act);
    }
    ck_assert_int_eq(n, 4);
    omq_net_release(&net);
}
END_TEST

/* Pools and concats have what they move from batch norms where all of it is. */
START_TEST(norms_go_through_moves)
{
    struct omq_graph g;
    struct omq_plan p;
    int a, b;

    start(&g, 16, 16, 1);
    a = relu(&g, "a_relu", op(&g, "a_bn", OMQ_OP_BATCHNORM, conv(&g, "a", 0, 4, 3, 1)));
    a = pool(&g, "max", OMQ_OP_MAXPOOL, a);
    b = relu(&g, "b_relu", op(&g, "b_bn", OMQ_OP_BATCHNORM, conv(&g, "b", a, 4, 3, 1)));
    a = concat(&g, "both", a, b);
    a = relu(&g, "c_relu", conv(&g, "c", a, 4, 3, 1)); /* no batch norm */
    b = relu(&g, "d_relu", op(&g, "d_bn", OMQ_OP_BATCHNORM, conv(&g, "d", a, 4, 3, 1)));
    a = concat(&g, "one", a, b);
    a = relu(&g, "e_relu", op(&g, "e_bn", OMQ_OP_BATCHNORM, conv(&g, "e", a, 4, 3, 1)));
    head(&g, op(&g, "gap", OMQ_OP_GLOBALPOOL, a));
    plan_of(&p, &g);
    ck_assert(site_of(&p, "b.in")->is_normed && site_of(&p, "c.in")->is_normed);
    ck_assert(!site_of(&p, "d.in")->is_normed && !site_of(&p, "e.in")->is_normed);
    ck_assert(site_of(&p, "fc.in")->is_normed);
    omq_plan_release(&p);
}
END_TEST

START_TEST(plan_of_lenet5)
{
    struct omq_net net;
    struct omq_plan *p = &net.plan;
    const struct omq_unit *u;

    build_net(&net, "lenet5", 1, 28, 28, 1, 10);
    check_plan(p);
    ck_assert_int_eq(p->n_layers, 4);
    ck_assert_int_eq(p->n_units, 6);
    ck_assert_int_eq(p->n_sites, 3);
    check_fused(p, "relu1", OMQ_UNIT_CONV, "", "-", "conv2.in", true);
    check_fused(p, "pool1", OMQ_UNIT_MAXPOOL, "conv2.in", "-", "conv2.in", false);
    check_fused(p, "pool2", OMQ_UNIT_MAXPOOL, "fc1.in", "-", "fc1.in", false);
    check_fused(p, "relu3", OMQ_UNIT_CONV, "fc1.in", "-", "fc2.in", true);
    u = unit_of(p, "relu3"); /* over what was flattened */
    ck_assert(u->win.kh == 4 && u->win.kw == 4 && u->win.c_count == 50 && u->oc == 500);
    ck_assert(p->layers[0].edge && !p->layers[1].edge && !p->layers[2].edge && p->layers[3].edge);
    for (int s = 0; s < 3; s++)
        ck_assert(!p->sites[s].is_signed);
    omq_net_release(&net);
}
END_TEST

/* A tensor that a pool and a convolution read belongs to the stream: both
 * requantize, each to the step of its own. */
START_TEST(max_pools_do_not_mix_steps)
{
    struct omq_graph g;
    struct omq_plan p;
    int a, b;

    start(&g, 8, 8, 1);
    a = relu(&g, "a_relu", conv(&g, "a", 0, 4, 3, 1));
    b = pool(&g, "b", OMQ_OP_MAXPOOL, relu(&g, "c_relu", conv(&g, "c", a, 4, 3, 1)));
    a = pool(&g, "a_pool", OMQ_OP_MAXPOOL, a);
    a = join(&g, "add", conv(&g, "d", a, 4, 3, 1), b);
    head(&g, a);
    plan_of(&p, &g);
    check_fused(&p, "a_relu", OMQ_UNIT_CONV, "", "-", "a_relu.out", true);
    check_fused(&p, "c.in", OMQ_UNIT_REQUANT, "a_relu.out", "-", "c.in", false);
    check_fused(&p, "a_pool.in", OMQ_UNIT_REQUANT, "a_relu.out", "-", "d.in", false);
    check_fused(&p, "a_pool", OMQ_UNIT_MAXPOOL, "d.in", "-", "d.in", false);
    check_fused(&p, "b", OMQ_UNIT_MAXPOOL, "b.out", "-", "b.out", false);
    ck_assert_int_eq(p.n_sites, 6); /* and add.out, fc.in */
    omq_plan_release(&p);
}
END_TEST

/* x + conv(x): x is the residual, at 8 bits, and the layer reads a copy; so is the sum,
 * in whose steps the convolution's part is rounded. */
START_TEST(a_residual_of_one_layer_keeps_its_bits)
{
    struct omq_graph g;
    struct omq_plan p;
    int x;

    start(&g, 8, 8, 1);
    x = relu(&g, "a_relu", conv(&g, "a", 0, 4, 3, 1));
    x = join(&g, "add", conv(&g, "b", x, 4, 3, 1), x);
    head(&g, x);
    plan_of(&p, &g);
    check_fused(&p, "b.in", OMQ_UNIT_REQUANT, "a_relu.out", "-", "b.in", false);
    check_fused(&p, "add", OMQ_UNIT_CONV, "b.in", "a_relu.out", "add.out", false);
    check_fused(&p, "fc.in", OMQ_UNIT_REQUANT, "add.out", "-", "fc.in", false);
    ck_assert_int_eq(site_of(&p, "a_relu.out")->layer, -1);
    ck_assert(site_of(&p, "fc.in")->is_signed);
    omq_plan_release(&p);
}
END_TEST

/* Two layers are added, of which one is read elsewhere too: the other one takes the sum,
 * whichever comes first. */
START_TEST(the_layer_that_can_takes_the_sum)
{
    struct omq_graph g;
    struct omq_plan p;
    int x, a = -1, c, d;

    start(&g, 8, 8, 1);
    x = relu(&g, "stem_relu", conv(&g, "stem", 0, 4, 3, 1));
    if (_i & 1)
        a = conv(&g, "a", x, 4, 3, 1);
    c = conv(&g, "c", x, 4, 3, 1);
    if (_i & 2)
        c = op(&g, "c_bn", OMQ_OP_BATCHNORM, c);
    if (a < 0)
        a = conv(&g, "a", x, 4, 3, 1);
    d = relu(&g, "d_relu", conv(&g, "d", c, 4, 3, 1));
    x = _i & 4 ? join(&g, "add", a, c) : join(&g, "add", c, a);
    head(&g, concat(&g, "both", x, d));
    plan_of(&p, &g);
    check_plan(&p);
    ck_assert_int_eq(unit_of(&p, "add")->kind, OMQ_UNIT_CONV);
    ck_assert(unit_of(&p, "add")->res >= 0);
    omq_plan_release(&p);
}
END_TEST

/* As in many a first network for digits: the layer takes the ReLU behind its pools, whose
 * steps are then those of what is read next; a ReLU of what is not below 0 is nothing. */
START_TEST(relus_go_before_max_pools)
{
    const struct omq_node relu6 = {.op = OMQ_OP_RELU, .max = 6};
    struct omq_graph g;
    struct omq_plan p;
    int x;

    start(&g, 16, 16, 1);
    x = op(&g, "a_bn", OMQ_OP_BATCHNORM, conv(&g, "a", 0, 4, 3, 1));
    x = pool(&g, "a_max2", OMQ_OP_MAXPOOL, pool(&g, "a_max", OMQ_OP_MAXPOOL, x));
    x = add(&g, "a_relu", x, relu6);
    x = pool(&g, "b_max", OMQ_OP_MAXPOOL, conv(&g, "b", x, 4, 3, 1));
    x = relu(&g, "b_again", relu(&g, "b_relu", x));
    head(&g, add(&g, "b_end", pool(&g, "avg", OMQ_OP_AVGPOOL, x),
                 (struct omq_node){.op = OMQ_OP_RELU}));
    plan_of(&p, &g);
    ck_assert_int_eq(p.n_units, 7);
    check_fused(&p, "a_bn", OMQ_UNIT_CONV, "", "-", "b.in", true);
    check_fused(&p, "a_max2", OMQ_UNIT_MAXPOOL, "b.in", "-", "b.in", false);
    check_fused(&p, "b", OMQ_UNIT_CONV, "b.in", "-", "b_max.out", true);
    check_fused(&p, "b_max", OMQ_UNIT_MAXPOOL, "b_max.out", "-", "b_max.out", false);
    ck_assert(site_of(&p, "b.in")->max == 6 && site_of(&p, "b_max.out")->max == 0);
    for (int s = 0; s < p.n_sites; s++)
        ck_assert(!p.sites[s].is_signed);
    omq_plan_release(&p);
}
END_TEST

START_TEST(signs_go_through_pools)
{
    struct omq_graph g;
    struct omq_plan p;
    int x;

    start(&g, 16, 16, 1);
    x = conv(&g, "a", 0, 4, 3, 1); /* no ReLU */
    x = pool(&g, "max", OMQ_OP_MAXPOOL, x);
    x = pool(&g, "avg", OMQ_OP_AVGPOOL, x);
    x = relu(&g, "b_relu", conv(&g, "b", x, 4, 3, 1));
    head(&g, op(&g, "gap", OMQ_OP_GLOBALPOOL, x));
    plan_of(&p, &g);
    ck_assert(site_of(&p, "max.out")->is_signed && site_of(&p, "b.in")->is_signed);
    ck_assert(!site_of(&p, "b_relu.out")->is_signed && !site_of(&p, "fc.in")->is_signed);
    omq_plan_release(&p);
}
END_TEST

/* A file may hold thousands of them; looked at three times each it would hang. */
START_TEST(long_chains_take_no_time)
{
    struct omq_graph g;
    struct omq_plan p;
    char name[32];
    int x;

    start(&g, 2, 2, 1);
    x = conv(&g, "a", 0, 1, 1, 0);
    while (g.n_nodes < OMQ_MAX_NODES - 2) {
        snprintf(name, sizeof(name), "p%d", g.n_nodes);
        x = add(&g, name, x, (struct omq_node){.op = OMQ_OP_AVGPOOL, .kernel = 1, .stride = 1});
    }
    head(&g, x);
    ck_assert_int_eq(omq_plan_init(&p, &g, &err), OMQ_OK);
    ck_assert_int_eq(p.n_sites, OMQ_MAX_NODES - 3);
    omq_graph_release(&g);
    omq_plan_release(&p);
}
END_TEST

/* ---- bits ---- */

START_TEST(bits_of_layers_and_sites)
{
    struct omq_layer layers[] = {{.edge = true}, {.edge = false}};
    struct omq_site sites[] = {{.layer = 0}, {.layer = 1}, {.layer = -1}};
    struct omq_plan p = {.n_layers = 2, .n_sites = 3, .layers = layers, .sites = sites};
    static const struct {
        struct omq_precision p;
        int edge_bits, w_edge, w_inner, a_edge, a_inner, a_stream;
    } want[] = {
        {{4, 2}, 8, 8, 4, 8, 2, 8}, {{4, 2}, 0, 4, 4, 2, 2, 8}, {{1, 1}, 8, 8, 1, 8, 1, 8},
        {{1, 1}, 0, 1, 1, 1, 1, 8}, {{8, 3}, 5, 5, 8, 5, 3, 8}, {{32, 4}, 8, 32, 32, 8, 4, 8},
        {{4, 32}, 8, 8, 4, 32, 32, 32}, {{32, 32}, 8, 32, 32, 32, 32, 32},
        {{32, 32}, 0, 32, 32, 32, 32, 32},
    };

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct omq_net net = {.plan = p, .precisions = {want[i].p},
                              .quant.first_last_bits = want[i].edge_bits};

        ck_assert_int_eq(omq_layer_bits(&net, 0, 0), want[i].w_edge);
        ck_assert_int_eq(omq_layer_bits(&net, 0, 1), want[i].w_inner);
        ck_assert_int_eq(omq_site_bits(&net, 0, 0), want[i].a_edge);
        ck_assert_int_eq(omq_site_bits(&net, 0, 1), want[i].a_inner);
        ck_assert_int_eq(omq_site_bits(&net, 0, 2), want[i].a_stream);
    }
}
END_TEST

START_TEST(weights_have_their_bytes)
{
    struct omq_net net;

    build_net(&net, "lenet5", 1, 28, 28, 1, 10); /* rows of 25, 500, 800 and 500 codes */
    for (int p = 0; p < N_WIDTHS; p++) {
        int w = all_widths[p].w;
        uint64_t want = w == 32 ? 4 * (500 + 25000 + 400000 + 5000)
                                : 20 * 25 + 50 * ((500 * (uint64_t)w + 7) / 8) +
                                      500 * 100 * (uint64_t)w + 10 * 500;

        ck_assert_uint_eq(omq_net_weight_bytes(&net, p), want);
    }
    net.quant.first_last_bits = 0; /* rows of 25 bits end in a whole byte */
    ck_assert_uint_eq(omq_net_weight_bytes(&net, 4), 20 * 4 + 50 * 63 + 500 * 100 + 10 * 63);
    omq_net_release(&net);
}
END_TEST

Suite *omq_suite_plan(void)
{
    Suite *s = suite_create("plan");
    TCase *t = tcase_create("plan");

    tcase_add_test(t, plan_of_resnet8);
    tcase_add_test(t, methods_know_a_norm);
    tcase_add_test(t, norms_go_through_moves);
    tcase_add_test(t, plan_of_lenet5);
    tcase_add_test(t, max_pools_do_not_mix_steps);
    tcase_add_test(t, a_residual_of_one_layer_keeps_its_bits);
    tcase_add_loop_test(t, the_layer_that_can_takes_the_sum, 0, 8);
    tcase_add_test(t, relus_go_before_max_pools);
    tcase_add_test(t, signs_go_through_pools);
    tcase_add_test(t, long_chains_take_no_time);
    tcase_add_test(t, bits_of_layers_and_sites);
    tcase_add_test(t, weights_have_their_bytes);
    suite_add_tcase(s, t);
    return s;
}
