/* SPDX-License-Identifier: MIT
 *
 * Graphs, architectures and parameters: shapes by counting, sizes by hand, and
 * what is out of range refused by name.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "failalloc.h"
#include "graphhelp.h"

Suite *omq_suite_nn(void);

/* A node that is refused, by its name, with a text; the graph stays as it was. */
static void refuse(struct omq_graph *g, struct omq_node n, int code, const char *text)
{
    int before = g->n_nodes;

    err.msg[0] = 0;
    ck_assert_int_eq(try_add(g, "thing", g->n_nodes - 1, n), code);
    has_text("'thing'");
    has_text(text);
    ck_assert_int_eq(g->n_nodes, before);
}

/* ---- shapes ---- */

/* Places of a window along one axis, by trying. */
static int places(int size, int kernel, int stride, int pad)
{
    int n = 0;

    for (int at = -pad; at + kernel <= size + pad; at += stride)
        n++;
    return n;
}

static void check_window(enum omq_op kind, int size, int kernel, int stride, int pad)
{
    struct omq_node n = {.op = kind, .channels = 6, .kernel = kernel, .stride = stride,
                         .pad = pad, .groups = 1};
    int h = places(size, kernel, stride, pad), w = places(size + 2, kernel, stride, pad);
    struct omq_graph g;

    start(&g, size, size + 2, 3);
    if (h == 0 || w == 0) {
        refuse(&g, n, OMQ_ECONFIG, "does not fit an input of");
    } else {
        int i = add(&g, "thing", 0, n);

        ck_assert_int_eq(g.nodes[i].h, h);
        ck_assert_int_eq(g.nodes[i].w, w);
        ck_assert_int_eq(g.nodes[i].c, kind == OMQ_OP_CONV ? 6 : 3);
    }
    omq_graph_release(&g);
}

START_TEST(windows_are_counted)
{
    static const enum omq_op kinds[] = {OMQ_OP_CONV, OMQ_OP_MAXPOOL, OMQ_OP_AVGPOOL};

    for (int size = 1; size <= 9; size++)
        for (int kernel = 1; kernel <= 5; kernel++)
            for (int stride = 1; stride <= 3; stride++)
                for (int pad = 0; pad <= kernel / 2; pad++)
                    check_window(kinds[_i], size, kernel, stride,
                                 pad < kernel ? pad : kernel - 1);
}
END_TEST

START_TEST(other_shapes)
{
    struct omq_graph g;
    int x;

    start(&g, 7, 5, 3);
    x = conv(&g, "conv", 0, 4, 3, 1);
    x = op(&g, "bn", OMQ_OP_BATCHNORM, x);
    x = relu(&g, "relu", x);
    ck_assert(g.nodes[x].h == 7 && g.nodes[x].w == 5 && g.nodes[x].c == 4);
    x = join(&g, "add", x, 1);
    ck_assert(g.nodes[x].h == 7 && g.nodes[x].w == 5 && g.nodes[x].c == 4);
    ck_assert(g.nodes[x].in[0] == 3 && g.nodes[x].in[1] == 1);
    ck_assert_int_eq(g.nodes[3].in[1], -1); /* of one input only */
    x = op(&g, "flatten", OMQ_OP_FLATTEN, x);
    ck_assert(g.nodes[x].h == 1 && g.nodes[x].w == 1 && g.nodes[x].c == 7 * 5 * 4);
    x = op(&g, "global", OMQ_OP_GLOBALPOOL, 1);
    ck_assert(g.nodes[x].h == 1 && g.nodes[x].w == 1 && g.nodes[x].c == 4);
    x = add(&g, "fc", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 9});
    ck_assert(g.nodes[x].h == 1 && g.nodes[x].w == 1 && g.nodes[x].c == 9);
    omq_graph_release(&g);
}
END_TEST

static const struct omq_node bad_nodes[] = {
    {.op = OMQ_OP_CONV, .channels = 0, .kernel = 3, .stride = 1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = -4, .kernel = 3, .stride = 1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 65537, .kernel = 3, .stride = 1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 0, .stride = 1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = -3, .stride = 1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = INT32_MAX, .stride = 1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 0, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 65, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 1, .pad = -1, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 1, .pad = 3, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 1, .pad = INT32_MAX, .groups = 1},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 1, .groups = 0},
    {.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 1, .groups = INT32_MIN},
    {.op = OMQ_OP_MAXPOOL, .kernel = 0, .stride = 1},
    {.op = OMQ_OP_MAXPOOL, .kernel = 1025, .stride = 1},
    {.op = OMQ_OP_MAXPOOL, .kernel = 2, .stride = 0},
    {.op = OMQ_OP_AVGPOOL, .kernel = 2, .stride = 2000},
    {.op = OMQ_OP_AVGPOOL, .kernel = 3, .stride = 1, .pad = 2},
    {.op = OMQ_OP_AVGPOOL, .kernel = 3, .stride = 1, .pad = -1},
    {.op = OMQ_OP_MAXPOOL, .kernel = 3, .stride = 1, .pad = INT32_MAX},
};
enum { N_BAD = sizeof(bad_nodes) / sizeof(bad_nodes[0]) };

START_TEST(attributes_have_ranges)
{
    struct omq_graph g;

    start(&g, 8, 8, 4);
    refuse(&g, bad_nodes[_i], OMQ_ECONFIG, "out of range");
    omq_graph_release(&g);
}
END_TEST

START_TEST(nodes_must_fit_what_they_read)
{
    struct omq_graph g;
    int a, b;

    start(&g, 8, 8, 4);
    refuse(&g, (struct omq_node){.op = OMQ_OP_CONV, .channels = 4, .kernel = 3, .stride = 1,
                                 .groups = 3}, OMQ_ECONFIG, "3 groups do not divide 4 input");
    refuse(&g, (struct omq_node){.op = OMQ_OP_CONV, .channels = 6, .kernel = 3, .stride = 1,
                                 .groups = 4}, OMQ_ECONFIG, "and 6 output channels");
    refuse(&g, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 4}, OMQ_ECONFIG,
           "needs a flatten");
    a = conv(&g, "a", 0, 4, 3, 1);
    b = conv(&g, "b", 0, 4, 3, 0);
    (void)a;
    refuse(&g, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, a}}, OMQ_ECONFIG,
           "cannot join 6 x 6 x 4 and 8 x 8 x 4");
    b = op(&g, "flat", OMQ_OP_FLATTEN, b);
    refuse(&g, (struct omq_node){.op = OMQ_OP_LINEAR}, OMQ_ECONFIG, "has 0 outputs");
    refuse(&g, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 65537}, OMQ_ECONFIG,
           "the range is 1 to 65536");
    omq_graph_release(&g);
}
END_TEST

START_TEST(graphs_have_limits)
{
    const struct omq_node plain = {.op = OMQ_OP_RELU};
    char name[32];
    struct omq_graph g;

    static const int bad[][3] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {-1, 1, 1}, {1, 1, -5},
                                 {16385, 1, 1}, {1, INT32_MAX, 1}, {1, 1, 5}, {INT32_MIN, 1, 1}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(omq_graph_init(&g, bad[i][0], bad[i][1], bad[i][2], &err), OMQ_ECONFIG);
        has_text("cannot take images of");
    }
    start(&g, 16384, 16384, 1);
    refuse(&g, (struct omq_node){.op = OMQ_OP_CONV, .channels = 2, .kernel = 1, .stride = 1,
                                 .groups = 1}, OMQ_EUNSUP, "too large");
    for (int i = 1; i < OMQ_MAX_NODES; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        add(&g, name, 0, plain);
    }
    ck_assert_int_eq(g.n_nodes, OMQ_MAX_NODES);
    ck_assert_int_eq(try_add(&g, "thing", 0, plain), OMQ_EUNSUP);
    has_text("more than 4096 operators");
    omq_graph_release(&g);
}
END_TEST

START_TEST(names_and_inputs_are_checked)
{
    const struct omq_node plain = {.op = OMQ_OP_RELU};
    static const char *const bad[] = {"", "a/b", "a@w4a8"};
    struct omq_graph g;
    enum omq_op o;

    start(&g, 4, 4, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(try_add(&g, bad[i], 0, plain), OMQ_EARG);
        has_text("is not a valid node name");
    }
    ck_assert_int_eq(try_add(&g, "input", 0, plain), OMQ_EARG);
    has_text("two nodes are named 'input'");
    add(&g, "a", 0, plain);
    ck_assert_int_eq(try_add(&g, "a", 0, plain), OMQ_EARG);
    for (int in = -2; in <= 4; in += in == -1 ? 3 : 1) { /* -2 -1 2 3 4 */
        ck_assert_int_eq(try_add(&g, "b", in, plain), OMQ_EARG); /* 2 would be itself */
        has_text("'b' reads a node that does not exist");
    }
    ck_assert_int_eq(try_add(&g, "b", 0, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, 2}}),
                     OMQ_EARG);
    ck_assert_int_eq(try_add(&g, "b", 0, (struct omq_node){.op = OMQ_OP_INPUT}), OMQ_EARG);
    ck_assert_int_eq(try_add(&g, "b", 0, (struct omq_node){.op = OMQ_OP_COUNT}), OMQ_EARG);
    ck_assert_int_eq(try_add(&g, "b", 0, (struct omq_node){.op = (enum omq_op)77}), OMQ_EARG);
    has_text("no valid operator");
    ck_assert_int_eq(g.n_nodes, 2);
    omq_graph_release(&g);
    for (int i = 0; i < OMQ_OP_COUNT; i++) {
        ck_assert(omq_op_parse(omq_op_name((enum omq_op)i), &o));
        ck_assert_int_eq(o, i);
    }
    ck_assert(!omq_op_parse("", &o) && !omq_op_parse("conv ", &o) && !omq_op_parse("Conv", &o));
}
END_TEST

/* What could not be read back from a file is no name: a name has room for
 * what is appended to it, and NAME.in and NAME.out belong to quantizers. */
START_TEST(names_can_be_stored)
{
    static const char *const bad[] = {"a\nb", "\033[2J", "\x7f", "conv.in", "conv.out",
                                      "conv\xff", "\xc3"};
    const struct omq_node plain = {.op = OMQ_OP_RELU};
    char name[OMQ_NAME_SIZE] = "";
    struct omq_graph g;

    start(&g, 4, 4, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(try_add(&g, bad[i], 0, plain) == OMQ_EARG, "%zu", i);
    memset(name, 'x', OMQ_NAME_SIZE - 24);
    ck_assert_int_eq(try_add(&g, name, 0, plain), OMQ_EARG);
    has_text("longer than 71 bytes");
    name[OMQ_NAME_SIZE - 25] = 0;
    add(&g, name, 0, plain);
    add(&g, "layer1.0.conv1", 0, plain);
    add(&g, "\xc3\xa9t\xc3\xa9.in2", 0, plain);
    omq_graph_release(&g);
}
END_TEST

/* ---- architectures ---- */

/* Weights and multiply-accumulates of a CIFAR ResNet, written as He et al. do:
 * 6n + 2 layers, and 1x1 shortcuts where the shape changes. */
static void resnet_size(int depth, double width, int side, int in, int classes, uint64_t *weights,
                        uint64_t *macs)
{
    uint64_t c[3], pixels = (uint64_t)side * (uint64_t)side, n = (uint64_t)(depth - 2) / 6;

    for (int s = 0; s < 3; s++) {
        c[s] = 2 * (uint64_t)nearbyint((16 << s) * width / 2);
        c[s] = c[s] < 2 ? 2 : c[s];
    }
    *weights = 9 * (uint64_t)in * c[0];
    *macs = *weights * pixels;
    for (int s = 0; s < 3; s++) {
        uint64_t from = s ? c[s - 1] : c[0];
        uint64_t stage = 9 * from * c[s] + (2 * n - 1) * 9 * c[s] * c[s] + (s ? from * c[s] : 0);

        pixels = s ? (pixels + 3) / 4 : pixels;
        *weights += stage;
        *macs += stage * pixels;
    }
    *macs += c[2] * (uint64_t)classes;
    *weights += c[2] * (uint64_t)classes + (uint64_t)classes;
}

static const struct {
    const char *arch;
    int depth, side, in;
} resnets[] = {{"resnet8", 8, 28, 1}, {"resnet20", 20, 32, 3}, {"resnet32", 32, 32, 3},
               {"resnet44", 44, 32, 3}, {"resnet56", 56, 32, 3}};
enum { N_RESNETS = sizeof(resnets) / sizeof(resnets[0]) };

START_TEST(resnets_have_their_size)
{
    static const double widths[] = {0.0625, 0.25, 0.4, 1, 2};

    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        uint64_t weights, macs;
        struct omq_net net;

        build_net(&net, resnets[_i].arch, widths[i], resnets[_i].side, resnets[_i].side,
                  resnets[_i].in, 10);
        resnet_size(resnets[_i].depth, widths[i], resnets[_i].side, resnets[_i].in, 10, &weights,
                    &macs);
        ck_assert_uint_eq(omq_net_weights(&net), weights);
        ck_assert_uint_eq(omq_net_macs(&net), macs);
        ck_assert_int_eq(net.plan.n_layers, resnets[_i].depth + 2); /* two shortcuts */
        ck_assert_int_eq(net.n_classes, 10);
        for (int l = 0; l < net.plan.n_layers; l++)
            ck_assert(l == 0 || net.plan.layers[l].in % 2 == 0); /* the wavelet's pairs */
        omq_net_release(&net);
    }
}
END_TEST

/* By hand. The paper's 40.6 million are those of shortcuts without weights. */
START_TEST(known_sizes)
{
    struct omq_net net;

    build_net(&net, "resnet20", 1, 32, 32, 3, 10);
    ck_assert_uint_eq(omq_net_macs(&net), 40551040 + 2 * 131072);
    ck_assert_uint_eq(omq_net_weights(&net), 270906);
    omq_net_release(&net);
    build_net(&net, "resnet8", 1, 28, 28, 1, 10);
    ck_assert_uint_eq(omq_net_weights(&net), 77082);
    omq_net_release(&net);
    /* 20 5x5, 50 20x5x5, 500 800, 10 500 + 10; 24x24, 8x8 positions */
    build_net(&net, "lenet5", 1, 28, 28, 1, 10);
    ck_assert_uint_eq(omq_net_weights(&net), 500 + 25000 + 400000 + 5010);
    ck_assert_uint_eq(omq_net_macs(&net), 500 * 576 + 25000 * 64 + 400000 + 5000);
    omq_net_release(&net);
    /* 10, 26 (25 made even) and 250 channels; 3 classes */
    build_net(&net, "lenet5", 0.5, 28, 28, 1, 3);
    ck_assert_uint_eq(omq_net_weights(&net), 250 + 24 * 250 + 250 * 24 * 16 + 753);
    omq_net_release(&net);
}
END_TEST

/* As torchvision's documentation counts them ("Num. Params" of its weights), which is
 * with the gammas and betas of one set of batch norms; multiply-accumulates are its
 * "GFLOPS", rounded. VGG-16: 14,723,136 weights, biases and norms of torchvision's
 * vgg16_bn.features, less its 4,224 biases, and one linear layer. ResNet-20 with
 * shortcuts A: 0.27 million and 40.6 million as in the paper's table 6. */
START_TEST(sizes_are_as_published)
{
    static const struct {
        const char *arch;
        enum omq_shortcut shortcut;
        int side, classes;
        uint64_t params;
        double gigamacs;
    } known[] = {
        {"resnet18", OMQ_SHORTCUT_B, 224, 1000, 11689512, 1.81},
        {"resnet34", OMQ_SHORTCUT_B, 224, 1000, 21797672, 3.66},
        {"resnet50", OMQ_SHORTCUT_B, 224, 1000, 25557032, 4.09},
        {"mobilenet_v2", OMQ_SHORTCUT_B, 224, 1000, 3504872, 0.30},
        {"vgg16", OMQ_SHORTCUT_B, 32, 10, 14723136 - 4224 + 5130, 0.31},
        {"resnet20", OMQ_SHORTCUT_A, 32, 10, 269722, 0.04},
    };
    struct omq_model_config cfg = {.width = 1, .shortcut = known[_i].shortcut};
    struct omq_net net = {0}; /* of a plan only: weights would take their time */
    struct omq_graph g;
    uint64_t params;

    snprintf(cfg.arch, sizeof(cfg.arch), "%s", known[_i].arch);
    ck_assert_msg(omq_arch_build(&g, &cfg, known[_i].side, known[_i].side, 3, known[_i].classes,
                                 &err) == OMQ_OK, "%s", err.msg);
    ck_assert_msg(omq_plan_init(&net.plan, &g, &err) == OMQ_OK, "%s", err.msg);
    params = omq_net_weights(&net);
    for (int l = 0; l < net.plan.n_layers; l++)
        params += net.plan.layers[l].norm[0] ? 2 * (uint64_t)net.plan.layers[l].out : 0;
    ck_assert_uint_eq(params, known[_i].params);
    ck_assert_double_eq_tol((double)omq_net_macs(&net) / 1e9, known[_i].gigamacs, 0.0075);
    omq_plan_release(&net.plan);
    omq_graph_release(&g);
}
END_TEST

START_TEST(architectures_that_cannot_be)
{
    struct omq_model_config cfg = {.arch = "resnet9", .width = 1};
    struct omq_graph g;

    ck_assert_int_eq(omq_arch_build(&g, &cfg, 8, 8, 1, 2, &err), OMQ_ECONFIG);
    has_text("unknown network 'model.arch: resnet9'");
    has_text("lenet5, resnet8, resnet20, resnet32, resnet44, resnet56");
    snprintf(cfg.arch, sizeof(cfg.arch), "ResNet-8");
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 8, 8, 1, 2, &err), OMQ_ECONFIG);
    has_text("unknown network 'model.arch: ResNet-8'; did you mean 'resnet8'?");
    snprintf(cfg.arch, sizeof(cfg.arch), "MobileNetV2");
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 8, 8, 1, 2, &err), OMQ_ECONFIG);
    has_text("did you mean 'mobilenet_v2'?");
    snprintf(cfg.arch, sizeof(cfg.arch), "lenet5");
    for (int side = 1; side < 16; side++) {
        ck_assert_int_eq(omq_arch_build(&g, &cfg, side, side, 1, 2, &err), OMQ_ECONFIG);
        has_text("cannot build 'lenet5' for images of");
        has_text(side < 5 ? "'conv1'" : side < 6 ? "'pool1'" : side < 14 ? "'conv2'" : "'pool2'");
    }
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 16, 16, 1, 2, &err), OMQ_OK);
    omq_graph_release(&g);
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 16, 16, 1, 0, &err), OMQ_ECONFIG);
    has_text("'fc2' has 0 outputs");
    cfg.shortcut = OMQ_SHORTCUT_A;
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 16, 16, 1, 2, &err), OMQ_ECONFIG);
    has_text("'model.shortcut: A' is for resnet8 to resnet56, which 'model.arch: lenet5' is not");
    cfg.shortcut = OMQ_SHORTCUT_B;
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 16, 16, 9, 2, &err), OMQ_ECONFIG);
    snprintf(cfg.arch, sizeof(cfg.arch), "resnet56");
    ck_assert_int_eq(omq_arch_build(&g, &cfg, 1, 1, 1, 2, &err), OMQ_OK); /* pads itself */
    omq_graph_release(&g);
}
END_TEST

/* ---- parameters ---- */

enum { N_VIEWS = OMQ_VIEW_OFFSETS + 1 };

/* Which parameters there are; what they start at. */
START_TEST(parameters_of_a_view)
{
    static const struct omq_precision list[] = {{32, 32}, {4, 8}, {32, 8}, {2, 32}};
    struct omq_quant_config quant = {.view = (enum omq_view)(_i % N_VIEWS), .levels = 2,
                                     .first_last_bits = 8,
                                     .view_max_bits = _i < N_VIEWS ? 0 : 3,
                                     .weight_steps = _i ? OMQ_STEPS_CHANNEL : OMQ_STEPS_LAYER};
    struct omq_preprocess pre = {.height = 28, .width = 28, .channels = 1, .step = 0.01f};
    struct omq_model_config cfg = {.arch = "lenet5", .width = 1};
    struct omq_graph g;
    struct omq_net net;

    ck_assert(omq_arch_build(&g, &cfg, 28, 28, 1, 10, &err) == OMQ_OK);
    ck_assert(omq_net_init(&net, &g, list, 4, &quant, &pre, 1, true, &err) == OMQ_OK);
    ck_assert(g.nodes == NULL);
    for (int p = 0; p < 4; p++) {
        bool quantized = list[p].w != 32;

        for (int l = 0; l < 4; l++) {
            const struct omq_layer_params *lp = omq_net_layer(&net, p, l);
            bool view = quantized && l > 0 && l < 3 && (_i < N_VIEWS || list[p].w <= 3);

            ck_assert(lp->weight == omq_net_layer(&net, 0, l)->weight && lp->weight->grad);
            ck_assert_int_eq(lp->bias != NULL, l == 3);
            ck_assert_int_eq(lp->gamma != NULL, l < 3);
            ck_assert_int_eq(lp->wstep != NULL, quantized);
            ck_assert_int_eq(lp->offset != NULL, view && quant.view == OMQ_VIEW_OFFSETS);
            if (lp->wstep)
                ck_assert(lp->wstep->n == (_i ? (size_t)net.plan.layers[l].out : 1) &&
                          lp->wstep->value[0] == 0);
            if (lp->offset && l == 1) /* 20 channels in two levels */
                ck_assert(lp->offset->n == 50 * 5 * 25 && lp->offset->value[7] == 0);
            if (lp->gamma) {
                ck_assert(lp->gamma != omq_net_layer(&net, (p + 1) % 4, l)->gamma);
                ck_assert(lp->gamma->value[0] == 1 && lp->var->value[0] == 1);
                ck_assert(lp->beta->value[0] == 0 && lp->mean->value[0] == 0);
                ck_assert(lp->mean->grad == NULL && lp->var->grad == NULL && lp->beta->grad);
            }
        }
        for (int s = 0; s < net.plan.n_sites; s++)
            ck_assert_int_eq(omq_net_site(&net, p, s) != NULL, list[p].a != 32);
        ck_assert_int_eq(omq_net_find(&net, list[p]), p);
    }
    ck_assert_int_eq(omq_net_find(&net, (struct omq_precision){8, 8}), -1);
    omq_net_release(&net);
}
END_TEST

/* He et al.: standard deviation sqrt(2 / (out * kh * kw)); the same from the
 * same seed, others from another. */
START_TEST(weights_start_at_random)
{
    const struct omq_param *w;
    struct omq_net a, b;
    double sum = 0, squares = 0;

    build_net(&a, "lenet5", 1, 28, 28, 1, 10);
    build_net(&b, "lenet5", 1, 28, 28, 1, 10);
    for (int i = 0; i < a.n_params; i++)
        ck_assert(memcmp(a.params[i].value, b.params[i].value,
                         sizeof(omq_real) * a.params[i].n) == 0);
    w = omq_net_layer(&a, 0, 1)->weight;
    for (size_t i = 0; i < w->n; i++) {
        sum += (double)w->value[i];
        squares += (double)w->value[i] * (double)w->value[i];
    }
    ck_assert_double_eq_tol(squares / (double)w->n, 2.0 / (50 * 25), 0.05 * 2.0 / (50 * 25));
    ck_assert_double_eq_tol(sum / (double)w->n, 0, 0.001);
    w = omq_net_layer(&a, 0, 3)->weight; /* linear, with bias: +-1/sqrt(in) */
    for (size_t i = 0; i < w->n; i++)
        ck_assert(fabs(w->value[i]) <= (omq_real)(1 / sqrt(500.0)));
    omq_net_release(&a);
    omq_net_release(&b);
}
END_TEST

/* A net of one hidden linear layer, which adds up h * w products. */
static int try_sum(int h, int w, const struct omq_precision *list, int n)
{
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    struct omq_preprocess pre = {.height = h, .width = w, .channels = 1, .step = 0.01f};
    struct omq_graph g;
    struct omq_net net;
    int rc, x;

    start(&g, h, w, 1);
    x = relu(&g, "r", conv(&g, "a", 0, 1, 1, 0));
    x = op(&g, "flat", OMQ_OP_FLATTEN, x);
    x = add(&g, "wide", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 2});
    add(&g, "end", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 2});
    rc = omq_net_init(&net, &g, list, n, &quant, &pre, 1, false, &err);
    if (rc == OMQ_OK)
        omq_net_release(&net);
    return rc;
}

/* 66311 * 255 * 127 is below 2^31, 66312 * 255 * 127 is not. */
START_TEST(sums_beyond_32_bits_are_refused)
{
    static const struct omq_precision list[] = {{32, 32}, {4, 32}, {32, 8}, {2, 2}};

    ck_assert_msg(try_sum(7, 9473, list, 4) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(try_sum(8, 8289, list, 4), OMQ_EUNSUP);
    ck_assert_str_eq(err.msg, "layer 'wide' adds up 66312 products, which can exceed 32 bits: "
                              "66311 are possible");
    ck_assert_int_eq(try_sum(16384, 4096, list, 4), OMQ_EUNSUP); /* 2^26: no overflow here */
    ck_assert_msg(try_sum(8, 8289, list, 3) == OMQ_OK, "%s", err.msg); /* floats have no limit */
}
END_TEST

/* ---- out of memory ---- */

static int build_all(void)
{
    struct omq_quant_config quant = {.view = OMQ_VIEW_OFFSETS, .levels = 1, .first_last_bits = 8};
    struct omq_preprocess pre = {.height = 16, .width = 16, .channels = 1, .step = 0.01f};
    struct omq_model_config cfg = {.arch = "lenet5", .width = 0.1};
    struct omq_pool *pool_ = NULL;
    struct omq_exec *x = NULL;
    struct omq_graph g;
    struct omq_net net;
    int rc;

    if ((rc = omq_arch_build(&g, &cfg, 16, 16, 1, 3, &err)) < 0)
        return rc;
    if ((rc = omq_net_init(&net, &g, all_widths, N_WIDTHS, &quant, &pre, 1, true, &err)) < 0)
        return rc;
    if ((rc = omq_pool_open(&pool_, 1, &err)) == OMQ_OK)
        rc = omq_exec_open(&x, &net, pool_, 2, true, &err);
    omq_exec_close(x);
    omq_pool_close(pool_);
    omq_net_release(&net);
    return rc;
}

START_TEST(memory_may_run_out_anywhere)
{
    long i = 0;
    int rc;

    do {
        err.msg[0] = 0;
        failalloc_set(++i);
        rc = build_all();
        failalloc_set(0);
        ck_assert_msg(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]), "allocation %ld: %d, %s",
                      i, rc, err.msg);
    } while (rc != OMQ_OK);
    ck_assert_int_gt(i, 15);
}
END_TEST

Suite *omq_suite_nn(void)
{
    Suite *s = suite_create("nn");
    TCase *t = tcase_create("nn");

    tcase_add_loop_test(t, windows_are_counted, 0, 3);
    tcase_add_test(t, other_shapes);
    tcase_add_loop_test(t, attributes_have_ranges, 0, N_BAD);
    tcase_add_test(t, nodes_must_fit_what_they_read);
    tcase_add_test(t, graphs_have_limits);
    tcase_add_test(t, names_and_inputs_are_checked);
    tcase_add_test(t, names_can_be_stored);
    tcase_add_loop_test(t, resnets_have_their_size, 0, N_RESNETS);
    tcase_add_test(t, known_sizes);
    tcase_add_loop_test(t, sizes_are_as_published, 0, 6);
    tcase_add_test(t, architectures_that_cannot_be);
    tcase_add_loop_test(t, parameters_of_a_view, 0, 2 * N_VIEWS);
    tcase_add_test(t, weights_start_at_random);
    tcase_add_test(t, sums_beyond_32_bits_are_refused);
    tcase_add_test(t, memory_may_run_out_anywhere);
    suite_add_tcase(s, t);
    return s;
}
