/* SPDX-License-Identifier: MIT
 *
 * The networks of the engine's tests: small, and between them all that a graph can have.
 */
#ifndef OMQ_TESTS_ENGINE_GRAPHS_H
#define OMQ_TESTS_ENGINE_GRAPHS_H

#include "graphhelp.h"

enum { SIDE = 9, CHANNELS = 3, CLASSES = 5, IMAGES = 5 }; /* head() has as many classes */

/* conv() and pool() with all that they can have. */
static inline int any_conv(struct omq_graph *g, const char *name, int in, int c, int kernel,
                           int stride, int pad, int groups, bool bias)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = kernel,
                                              .stride = stride, .pad = pad, .groups = groups,
                                              .bias = bias});
}

static inline int any_pool(struct omq_graph *g, const char *name, enum omq_op kind, int in,
                           int kernel, int stride, int pad)
{
    return add(g, name, in, (struct omq_node){.op = kind, .kernel = kernel, .stride = stride,
                                              .pad = pad});
}

/* Two residual blocks, the second with a shortcut, signed sums and groups. */
static inline void residual(struct omq_graph *g)
{
    int x, y, s;

    x = conv(g, "conv1", 0, 8, 3, 1);
    x = op(g, "bn1", OMQ_OP_BATCHNORM, x);
    s = x = relu(g, "relu1", x);
    y = any_conv(g, "a1", x, 8, 3, 1, 1, 4, false);
    y = op(g, "abn1", OMQ_OP_BATCHNORM, y);
    y = relu(g, "arelu1", y);
    y = conv(g, "a2", y, 8, 3, 1);
    y = op(g, "abn2", OMQ_OP_BATCHNORM, y);
    x = join(g, "aadd", y, s);
    s = any_conv(g, "short", x, 10, 1, 2, 0, 1, false);
    s = op(g, "sbn", OMQ_OP_BATCHNORM, s);
    y = any_conv(g, "b1", x, 10, 3, 2, 1, 1, true);
    y = relu(g, "brelu1", y);
    y = any_conv(g, "b2", y, 10, 3, 1, 1, 2, false);
    y = op(g, "bbn2", OMQ_OP_BATCHNORM, y);
    x = join(g, "badd", y, s);
    x = relu(g, "brelu2", x);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, x));
}

/* Pools of both kinds with padding, signed tensors through them. */
static inline void pools(struct omq_graph *g)
{
    int x = any_conv(g, "conv1", 0, 7, 5, 1, 2, 1, true);

    x = any_pool(g, "max", OMQ_OP_MAXPOOL, x, 3, 2, 1);
    x = conv(g, "conv2", x, 6, 3, 0);
    x = op(g, "bn2", OMQ_OP_BATCHNORM, x);
    x = any_pool(g, "avg", OMQ_OP_AVGPOOL, x, 3, 1, 1);
    x = any_conv(g, "conv3", x, 9, 2, 1, 0, 3, false);
    x = relu(g, "relu3", x);
    head(g, any_pool(g, "max3", OMQ_OP_MAXPOOL, x, 2, 1, 0));
}

/* Linear layers over an image, one of them wide. */
static inline void mlp(struct omq_graph *g)
{
    int x = any_conv(g, "conv1", 0, 16, 3, 2, 0, 1, false);

    x = relu(g, "relu1", x);
    x = op(g, "flat1", OMQ_OP_FLATTEN, x);
    x = add(g, "fc1", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 33});
    x = op(g, "bn2", OMQ_OP_BATCHNORM, x);
    x = relu(g, "relu2", x);
    head(g, x);
}

/* A sum beyond 2^24, where f32 alone would not be exact: 8192 inputs, 8 bits. */
static inline void long_sum(struct omq_graph *g)
{
    int x = any_conv(g, "conv1", 0, 512, 3, 2, 0, 1, false);

    x = relu(g, "relu1", x);
    x = op(g, "flat1", OMQ_OP_FLATTEN, x);
    x = add(g, "fc1", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 6});
    x = relu(g, "relu2", x);
    head(g, x);
}

/* Layers whose weights are packed some outputs at a time, with one left over, and
 * a grouped one. */
static inline void wide(struct omq_graph *g)
{
    int x = relu(g, "relu1", any_conv(g, "conv1", 0, 40, 3, 2, 0, 1, false));

    x = op(g, "abn", OMQ_OP_BATCHNORM, conv(g, "a", x, 72, 3, 1));
    x = relu(g, "arelu", x);
    x = relu(g, "brelu", any_conv(g, "b", x, 64, 3, 1, 1, 2, true));
    x = relu(g, "crelu", any_conv(g, "c", x, 33, 3, 2, 0, 1, false));
    head(g, x);
}

/* ReLUs with an end, depthwise convolutions, concats of what has and has not the same
 * quantizer, a shortcut without parameters that is added and one that is read. */
static inline void moves(struct omq_graph *g)
{
    int x, y, z;

    x = relu_to(g, "relu1", 0.6, any_conv(g, "conv1", 0, 18, 3, 1, 1, 1, true));
    y = relu_to(g, "dw_relu", 6, any_conv(g, "dw", x, 18, 3, 2, 1, 18, true));
    y = any_conv(g, "pw", y, 22, 1, 1, 0, 1, true);
    z = shortcut(g, "short", x, 22, 2);
    x = relu_to(g, "relu2", 0.9, join(g, "add", y, z));
    y = relu(g, "a_relu", any_conv(g, "a", x, 5, 1, 1, 0, 1, true));
    z = relu(g, "b_relu", any_conv(g, "b", x, 3, 3, 1, 1, 1, true));
    y = concat(g, "same", y, z);
    z = concat(g, "sign", any_conv(g, "c", x, 4, 1, 1, 0, 1, true), y);
    y = concat(g, "twice", z, z);
    y = concat(g, "ends", y, x);
    y = any_conv(g, "e", shortcut(g, "read", y, 49, 1), 7, 5, 1, 2, 1, true);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, y));
}

static void (*const graphs[])(struct omq_graph *g) = {residual, pools, mlp, long_sum, wide, moves};
enum { N_GRAPHS = sizeof(graphs) / sizeof(graphs[0]) };

#endif
