/* SPDX-License-Identifier: MIT
 *
 * Architectures: functions that build graphs, one row each.
 */
#include "nn/nn_internal.h"

#include <stdio.h>
#include <string.h>

/* A graph being built. After the first failure `at` is negative and every
 * later step does nothing. */
struct builder {
    struct omq_graph *g;
    const struct omq_model_config *cfg;
    int n_classes;
    int at; /* the node built last */
    struct omq_err *err;
};

static int channels(const struct builder *b, int c)
{
    int even = 2 * (int)lrint(c * b->cfg->width / 2);

    return even < 2 ? 2 : even;
}

static void add(struct builder *b, const char *name, struct omq_node node)
{
    if (b->at < 0)
        return;
    snprintf(node.name, sizeof(node.name), "%s", name);
    node.in[0] = b->at;
    b->at = omq_graph_add(b->g, &node, b->err);
}

static void conv(struct builder *b, const char *name, int c, int kernel, int stride, int pad)
{
    add(b, name, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = kernel,
                                   .stride = stride, .pad = pad, .groups = 1});
}

static void op(struct builder *b, const char *name, enum omq_op kind)
{
    add(b, name, (struct omq_node){.op = kind});
}

static void maxpool(struct builder *b, const char *name, int kernel, int stride, int pad)
{
    add(b, name, (struct omq_node){.op = OMQ_OP_MAXPOOL, .kernel = kernel, .stride = stride,
                                   .pad = pad});
}

static void linear(struct builder *b, const char *name, int c, bool bias)
{
    add(b, name, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = c, .bias = bias});
}

/* LeNet-5 as Caffe has it, 20-50-500, with batch norm. */
static void lenet5(struct builder *b, int unused)
{
    (void)unused;
    conv(b, "conv1", channels(b, 20), 5, 1, 0);
    op(b, "bn1", OMQ_OP_BATCHNORM);
    op(b, "relu1", OMQ_OP_RELU);
    maxpool(b, "pool1", 2, 2, 0);
    conv(b, "conv2", channels(b, 50), 5, 1, 0);
    op(b, "bn2", OMQ_OP_BATCHNORM);
    op(b, "relu2", OMQ_OP_RELU);
    maxpool(b, "pool2", 2, 2, 0);
    op(b, "flatten", OMQ_OP_FLATTEN);
    linear(b, "fc1", channels(b, 500), false);
    op(b, "bn3", OMQ_OP_BATCHNORM);
    op(b, "relu3", OMQ_OP_RELU);
    linear(b, "fc2", b->n_classes, true);
}

/* A basic block (He et al., CVPR 2016); the shortcut is a 1x1 convolution where
 * the shape changes, and comes first so that the main path takes the add. Its
 * name is the one thing that the papers' and torchvision's networks differ in. */
static void basic_block(struct builder *b, const char *prefix, const char *shortcut_name, int c,
                        int stride)
{
    char name[OMQ_NAME_SIZE];
    int in = b->at, shortcut = in;

#define NAME(part) (snprintf(name, sizeof(name), "%s.%s", prefix, part), name)
    if (in >= 0 && (stride != 1 || b->g->nodes[in].c != c)) {
        snprintf(name, sizeof(name), "%s.%s.0", prefix, shortcut_name);
        conv(b, name, c, 1, stride, 0);
        snprintf(name, sizeof(name), "%s.%s.1", prefix, shortcut_name);
        op(b, name, OMQ_OP_BATCHNORM);
        shortcut = b->at;
        if (shortcut >= 0)
            b->at = in;
    }
    conv(b, NAME("conv1"), c, 3, stride, 1);
    op(b, NAME("bn1"), OMQ_OP_BATCHNORM);
    op(b, NAME("relu1"), OMQ_OP_RELU);
    conv(b, NAME("conv2"), c, 3, 1, 1);
    op(b, NAME("bn2"), OMQ_OP_BATCHNORM);
    add(b, NAME("add"), (struct omq_node){.op = OMQ_OP_ADD, .in = {0, shortcut}});
    op(b, NAME("relu2"), OMQ_OP_RELU);
#undef NAME
}

/* CIFAR ResNet of depth 6n + 2: 16-32-64 channels, three stages of n blocks. */
static void cifar_resnet(struct builder *b, int depth)
{
    char prefix[32];

    conv(b, "conv1", channels(b, 16), 3, 1, 1);
    op(b, "bn1", OMQ_OP_BATCHNORM);
    op(b, "relu", OMQ_OP_RELU);
    for (int stage = 0; stage < 3; stage++)
        for (int i = 0; i < (depth - 2) / 6; i++) {
            snprintf(prefix, sizeof(prefix), "layer%d.%d", stage + 1, i);
            basic_block(b, prefix, "shortcut", channels(b, 16 << stage),
                        stage > 0 && i == 0 ? 2 : 1);
        }
    op(b, "avgpool", OMQ_OP_GLOBALPOOL);
    op(b, "flatten", OMQ_OP_FLATTEN);
    linear(b, "linear", b->n_classes, true);
}

/* ResNet-18 and -34 for images of 224 pixels, with torchvision's names. */
static void imagenet_resnet(struct builder *b, int depth)
{
    static const int blocks_18[] = {2, 2, 2, 2}, blocks_34[] = {3, 4, 6, 3};
    const int *blocks = depth == 18 ? blocks_18 : blocks_34;
    char prefix[32];

    conv(b, "conv1", channels(b, 64), 7, 2, 3);
    op(b, "bn1", OMQ_OP_BATCHNORM);
    op(b, "relu", OMQ_OP_RELU);
    maxpool(b, "maxpool", 3, 2, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < blocks[stage]; i++) {
            snprintf(prefix, sizeof(prefix), "layer%d.%d", stage + 1, i);
            basic_block(b, prefix, "downsample", channels(b, 64 << stage),
                        stage > 0 && i == 0 ? 2 : 1);
        }
    op(b, "avgpool", OMQ_OP_GLOBALPOOL);
    op(b, "flatten", OMQ_OP_FLATTEN);
    linear(b, "fc", b->n_classes, true);
}

static const struct arch {
    const char *name;
    void (*build)(struct builder *b, int depth);
    int depth;
} archs[] = {
    {"lenet5", lenet5, 0},          {"resnet8", cifar_resnet, 8},
    {"resnet20", cifar_resnet, 20}, {"resnet32", cifar_resnet, 32},
    {"resnet44", cifar_resnet, 44}, {"resnet56", cifar_resnet, 56},
    {"resnet18", imagenet_resnet, 18}, {"resnet34", imagenet_resnet, 34},
};

int omq_arch_build(struct omq_graph *g, const struct omq_model_config *cfg, int h, int w, int c,
                   int n_classes, struct omq_err *err)
{
    struct builder b = {.g = g, .cfg = cfg, .n_classes = n_classes, .err = err};
    char names[256] = "";
    size_t n_archs = sizeof(archs) / sizeof(archs[0]);
    int rc;

    for (size_t i = 0; i < n_archs; i++) {
        if (strcmp(archs[i].name, cfg->arch) == 0) {
            if ((rc = omq_graph_init(g, h, w, c, err)) < 0)
                return rc;
            archs[i].build(&b, archs[i].depth);
            if (b.at < 0) {
                omq_graph_release(g);
                return omq_wrap(err, "cannot build '%s' for images of %d x %d", cfg->arch, h, w);
            }
            return OMQ_OK;
        }
        strncat(names, i ? ", " : "", sizeof(names) - strlen(names) - 1);
        strncat(names, archs[i].name, sizeof(names) - strlen(names) - 1);
    }
    return omq_fail(err, OMQ_ECONFIG, "unknown network 'model.arch: %s'; there are %s", cfg->arch,
                    names);
}
