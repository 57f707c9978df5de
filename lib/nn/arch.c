/* SPDX-License-Identifier: MIT
 *
 * Architectures: functions that build graphs, one row each.
 */
#include "nn/nn_internal.h"

#include <ctype.h>
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

/* One with groups, as many as channels: depthwise. */
static void depthwise(struct builder *b, const char *name, int c, int stride)
{
    add(b, name, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = 3,
                                   .stride = stride, .pad = 1, .groups = c});
}

static void relu6(struct builder *b, const char *name)
{
    add(b, name, (struct omq_node){.op = OMQ_OP_RELU, .max = 6});
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

/* What all but LeNet-5 end in; their linear layers differ in name. */
static void head(struct builder *b, const char *name)
{
    op(b, "avgpool", OMQ_OP_GLOBALPOOL);
    op(b, "flatten", OMQ_OP_FLATTEN);
    linear(b, name, b->n_classes, true);
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

/* What a residual block adds: its input, or, where the shape changes, a 1x1
 * convolution of it (He et al., CVPR 2016, option B) or what is left without one
 * (A). It comes first, so that the main path takes the add. Its name is the one
 * thing that the papers' and torchvision's networks differ in. */
static int shortcut(struct builder *b, const char *prefix, const char *part, int c, int stride)
{
    char name[OMQ_NAME_SIZE];
    int in = b->at, made;

    if (in < 0 || (stride == 1 && b->g->nodes[in].c == c))
        return in;
    if (b->cfg->shortcut == OMQ_SHORTCUT_A) {
        snprintf(name, sizeof(name), "%s.%s", prefix, part);
        add(b, name, (struct omq_node){.op = OMQ_OP_SHORTCUT, .channels = c, .stride = stride});
    } else {
        snprintf(name, sizeof(name), "%s.%s.0", prefix, part);
        conv(b, name, c, 1, stride, 0);
        snprintf(name, sizeof(name), "%s.%s.1", prefix, part);
        op(b, name, OMQ_OP_BATCHNORM);
    }
    made = b->at;
    if (made >= 0)
        b->at = in;
    return made;
}

#define NAME(part) (snprintf(name, sizeof(name), "%s.%s", prefix, part), name)

static void basic_block(struct builder *b, const char *prefix, const char *shortcut_name, int c,
                        int stride)
{
    char name[OMQ_NAME_SIZE];
    int added = shortcut(b, prefix, shortcut_name, c, stride);

    conv(b, NAME("conv1"), c, 3, stride, 1);
    op(b, NAME("bn1"), OMQ_OP_BATCHNORM);
    op(b, NAME("relu1"), OMQ_OP_RELU);
    conv(b, NAME("conv2"), c, 3, 1, 1);
    op(b, NAME("bn2"), OMQ_OP_BATCHNORM);
    add(b, NAME("add"), (struct omq_node){.op = OMQ_OP_ADD, .in = {0, added}});
    op(b, NAME("relu2"), OMQ_OP_RELU);
}

/* Of four times as many channels as inside; the stride is the 3x3 convolution's, as
 * in torchvision ("ResNet v1.5"), not the first one's, as in the paper. */
static void bottleneck(struct builder *b, const char *prefix, const char *shortcut_name, int c,
                       int stride)
{
    char name[OMQ_NAME_SIZE];
    int added = shortcut(b, prefix, shortcut_name, 4 * c, stride);

    conv(b, NAME("conv1"), c, 1, 1, 0);
    op(b, NAME("bn1"), OMQ_OP_BATCHNORM);
    op(b, NAME("relu1"), OMQ_OP_RELU);
    conv(b, NAME("conv2"), c, 3, stride, 1);
    op(b, NAME("bn2"), OMQ_OP_BATCHNORM);
    op(b, NAME("relu2"), OMQ_OP_RELU);
    conv(b, NAME("conv3"), 4 * c, 1, 1, 0);
    op(b, NAME("bn3"), OMQ_OP_BATCHNORM);
    add(b, NAME("add"), (struct omq_node){.op = OMQ_OP_ADD, .in = {0, added}});
    op(b, NAME("relu3"), OMQ_OP_RELU);
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
    head(b, "linear");
}

/* ResNet-18, -34 and -50 for images of 224 pixels, with torchvision's names. */
static void imagenet_resnet(struct builder *b, int depth)
{
    static const int blocks_18[] = {2, 2, 2, 2}, blocks_34[] = {3, 4, 6, 3};
    const int *blocks = depth == 18 ? blocks_18 : blocks_34;
    void (*block)(struct builder *, const char *, const char *, int, int) =
        depth == 50 ? bottleneck : basic_block;
    char prefix[32];

    conv(b, "conv1", channels(b, 64), 7, 2, 3);
    op(b, "bn1", OMQ_OP_BATCHNORM);
    op(b, "relu", OMQ_OP_RELU);
    maxpool(b, "maxpool", 3, 2, 1);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < blocks[stage]; i++) {
            snprintf(prefix, sizeof(prefix), "layer%d.%d", stage + 1, i);
            block(b, prefix, "downsample", channels(b, 64 << stage),
                  stage > 0 && i == 0 ? 2 : 1);
        }
    head(b, "fc");
}

/* ---- MobileNetV2 (Sandler et al., CVPR 2018), with torchvision's names ---- */

/* To the nearest multiple of 8, but not to less than nine tenths: the rule of its
 * authors' code. */
static int eights(double c)
{
    int near = (int)(c + 4) / 8 * 8;

    near = near < 8 ? 8 : near;
    return near < 0.9 * c ? near + 8 : near;
}

/* Convolution, batch norm and ReLU6: PREFIX.0, .1 and .2. A kernel of 3 with as many
 * channels as there are is depthwise where `separate`. */
static void conv_norm_relu6(struct builder *b, const char *prefix, int c, int kernel, int stride,
                            bool separate)
{
    char name[OMQ_NAME_SIZE];

    if (separate)
        depthwise(b, NAME("0"), c, stride);
    else
        conv(b, NAME("0"), c, kernel, stride, kernel / 2);
    op(b, NAME("1"), OMQ_OP_BATCHNORM);
    relu6(b, NAME("2"));
}

/* Inverted residual: expand (unless by 1), depthwise, and project to c channels
 * without ReLU; its input is added where the shape stays. */
static void inverted_residual(struct builder *b, const char *prefix, int c, int stride, int expand)
{
    char name[OMQ_NAME_SIZE];
    int in = b->at, in_c = in < 0 ? 1 : b->g->nodes[in].c;
    bool adds = stride == 1 && in_c == c;

    if (expand > 1)
        conv_norm_relu6(b, NAME("conv.0"), expand * in_c, 1, 1, false);
    conv_norm_relu6(b, expand > 1 ? NAME("conv.1") : NAME("conv.0"), expand * in_c, 3, stride,
                    true);
    conv(b, expand > 1 ? NAME("conv.2") : NAME("conv.1"), c, 1, 1, 0);
    op(b, expand > 1 ? NAME("conv.3") : NAME("conv.2"), OMQ_OP_BATCHNORM);
    if (adds)
        add(b, NAME("add"), (struct omq_node){.op = OMQ_OP_ADD, .in = {0, in}});
}

static void mobilenet_v2(struct builder *b, int unused)
{
    static const struct { int expand, c, n, stride; } stages[] = {
        {1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1},
        {6, 160, 3, 2}, {6, 320, 1, 1},
    };
    char prefix[32];
    int at = 1;

    (void)unused;
    conv_norm_relu6(b, "features.0", eights(32 * b->cfg->width), 3, 2, false);
    for (size_t s = 0; s < sizeof(stages) / sizeof(stages[0]); s++)
        for (int i = 0; i < stages[s].n; i++, at++) {
            snprintf(prefix, sizeof(prefix), "features.%d", at);
            inverted_residual(b, prefix, eights(stages[s].c * b->cfg->width),
                              i == 0 ? stages[s].stride : 1, stages[s].expand);
        }
    conv_norm_relu6(b, "features.18", eights(1280 * fmax(b->cfg->width, 1)), 1, 1, false);
    head(b, "classifier.1");
}

/* VGG-11 and -16 (Simonyan and Zisserman, ICLR 2015) as they are trained on CIFAR:
 * batch norm, which replaces the biases, and one linear layer. The names are
 * torchvision's for vgg11_bn and vgg16_bn; the layer is called classifier. */
static void vgg(struct builder *b, int depth)
{
    enum { POOL = 0, END = -1 };
    static const int vgg11[] = {64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512,
                                POOL, END};
    static const int vgg16[] = {64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512,
                                POOL, 512, 512, 512, POOL, END};
    char name[32];
    int at = 0;

#define NEXT() (snprintf(name, sizeof(name), "features.%d", at++), name)
    for (const int *c = depth == 11 ? vgg11 : vgg16; *c != END; c++) {
        if (*c == POOL) {
            maxpool(b, NEXT(), 2, 2, 0);
            continue;
        }
        conv(b, NEXT(), channels(b, *c), 3, 1, 1);
        op(b, NEXT(), OMQ_OP_BATCHNORM);
        op(b, NEXT(), OMQ_OP_RELU);
    }
#undef NEXT
    head(b, "classifier");
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
    {"resnet50", imagenet_resnet, 50}, {"mobilenet_v2", mobilenet_v2, 0},
    {"vgg11", vgg, 11},             {"vgg16", vgg, 16},
};

enum { N_ARCHS = sizeof(archs) / sizeof(archs[0]) };

static const struct arch *find(const char *name)
{
    for (int i = 0; i < N_ARCHS; i++)
        if (strcmp(archs[i].name, name) == 0)
            return &archs[i];
    return NULL;
}

/* Whether two names differ in capitals, '-' and '_' only: "ResNet-8" is resnet8. */
static bool same_word(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
        a++;
        b++;
    }
}

static int unknown(const char *name, struct omq_err *err)
{
    char names[256] = "";

    for (int i = 0; i < N_ARCHS; i++)
        if (same_word(archs[i].name, name))
            return omq_fail(err, OMQ_ECONFIG, "unknown network 'model.arch: %s'; did you mean "
                            "'%s'?", name, archs[i].name);
    for (int i = 0; i < N_ARCHS; i++) {
        strncat(names, i ? ", " : "", sizeof(names) - strlen(names) - 1);
        strncat(names, archs[i].name, sizeof(names) - strlen(names) - 1);
    }
    return omq_fail(err, OMQ_ECONFIG, "unknown network 'model.arch: %s'; there are %s", name,
                    names);
}

int omq_arch_build(struct omq_graph *g, const struct omq_model_config *cfg, int h, int w, int c,
                   int n_classes, struct omq_err *err)
{
    struct builder b = {.g = g, .cfg = cfg, .n_classes = n_classes, .err = err};
    const struct arch *a = find(cfg->arch);
    int rc;

    if (!a)
        return unknown(cfg->arch, err);
    if (cfg->shortcut == OMQ_SHORTCUT_A && a->build != cifar_resnet)
        return omq_fail(err, OMQ_ECONFIG, "'model.shortcut: A' is for resnet8 to resnet56, which "
                        "'model.arch: %s' is not", cfg->arch);
    if ((rc = omq_graph_init(g, h, w, c, err)) < 0)
        return rc;
    a->build(&b, a->depth);
    if (b.at < 0) {
        omq_graph_release(g);
        return omq_wrap(err, b.at, "cannot build '%s' for images of %d x %d", cfg->arch, h, w);
    }
    return OMQ_OK;
}
