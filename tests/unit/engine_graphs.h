/* SPDX-License-Identifier: MIT
 *
 * The networks of the engine's tests: small, and between them all that a graph can have.
 */
#ifndef OMQ_TESTS_ENGINE_GRAPHS_H
#define OMQ_TESTS_ENGINE_GRAPHS_H

#include <check.h>
#include <stdio.h>

#include "nn/nn.h"

enum { SIDE = 9, CHANNELS = 3, CLASSES = 5, IMAGES = 5 };

static struct omq_err err;

static inline int add(struct omq_graph *g, const char *name, int in, struct omq_node n)
{
    int rc;

    snprintf(n.name, sizeof(n.name), "%s", name);
    n.in[0] = in;
    rc = omq_graph_add(g, &n, &err);
    ck_assert_msg(rc >= 0, "%s: %s", name, err.msg);
    return rc;
}

static inline int conv(struct omq_graph *g, const char *name, int in, int c, int kernel, int stride,
                       int pad, int groups, bool bias)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = kernel,
                                              .stride = stride, .pad = pad, .groups = groups,
                                              .bias = bias});
}

static inline int op(struct omq_graph *g, const char *name, enum omq_op kind, int in)
{
    return add(g, name, in, (struct omq_node){.op = kind});
}

static inline int pool(struct omq_graph *g, const char *name, enum omq_op kind, int in, int kernel,
                       int stride, int pad)
{
    return add(g, name, in, (struct omq_node){.op = kind, .kernel = kernel, .stride = stride,
                                              .pad = pad});
}

static inline void head(struct omq_graph *g, int in)
{
    int x = op(g, "flatten", OMQ_OP_FLATTEN, in);

    add(g, "fc", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = CLASSES, .bias = true});
}

/* Two residual blocks, the second with a shortcut, signed sums and groups. */
static inline void residual(struct omq_graph *g)
{
    int x, y, s;

    x = conv(g, "conv1", 0, 8, 3, 1, 1, 1, false);
    x = op(g, "bn1", OMQ_OP_BATCHNORM, x);
    s = x = op(g, "relu1", OMQ_OP_RELU, x);
    y = conv(g, "a1", x, 8, 3, 1, 1, 4, false);
    y = op(g, "abn1", OMQ_OP_BATCHNORM, y);
    y = op(g, "arelu1", OMQ_OP_RELU, y);
    y = conv(g, "a2", y, 8, 3, 1, 1, 1, false);
    y = op(g, "abn2", OMQ_OP_BATCHNORM, y);
    x = add(g, "aadd", y, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, s}});
    s = conv(g, "short", x, 10, 1, 2, 0, 1, false);
    s = op(g, "sbn", OMQ_OP_BATCHNORM, s);
    y = conv(g, "b1", x, 10, 3, 2, 1, 1, true);
    y = op(g, "brelu1", OMQ_OP_RELU, y);
    y = conv(g, "b2", y, 10, 3, 1, 1, 2, false);
    y = op(g, "bbn2", OMQ_OP_BATCHNORM, y);
    x = add(g, "badd", y, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, s}});
    x = op(g, "brelu2", OMQ_OP_RELU, x);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, x));
}

/* Pools of both kinds with padding, signed tensors through them. */
static inline void pools(struct omq_graph *g)
{
    int x = conv(g, "conv1", 0, 7, 5, 1, 2, 1, true);

    x = pool(g, "max", OMQ_OP_MAXPOOL, x, 3, 2, 1);
    x = conv(g, "conv2", x, 6, 3, 1, 0, 1, false);
    x = op(g, "bn2", OMQ_OP_BATCHNORM, x);
    x = pool(g, "avg", OMQ_OP_AVGPOOL, x, 3, 1, 1);
    x = conv(g, "conv3", x, 9, 2, 1, 0, 3, false);
    x = op(g, "relu3", OMQ_OP_RELU, x);
    head(g, pool(g, "max3", OMQ_OP_MAXPOOL, x, 2, 1, 0));
}

/* Linear layers over an image, one of them wide. */
static inline void mlp(struct omq_graph *g)
{
    int x = conv(g, "conv1", 0, 16, 3, 2, 0, 1, false);

    x = op(g, "relu1", OMQ_OP_RELU, x);
    x = op(g, "flat1", OMQ_OP_FLATTEN, x);
    x = add(g, "fc1", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 33});
    x = op(g, "bn2", OMQ_OP_BATCHNORM, x);
    x = op(g, "relu2", OMQ_OP_RELU, x);
    head(g, x);
}

/* A sum beyond 2^24, where f32 alone would not be exact: 8192 inputs, 8 bits. */
static inline void long_sum(struct omq_graph *g)
{
    int x = conv(g, "conv1", 0, 512, 3, 2, 0, 1, false);

    x = op(g, "relu1", OMQ_OP_RELU, x);
    x = op(g, "flat1", OMQ_OP_FLATTEN, x);
    x = add(g, "fc1", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 6});
    x = op(g, "relu2", OMQ_OP_RELU, x);
    head(g, x);
}

/* Layers whose weights are packed some outputs at a time, with one left over, and
 * a grouped one. */
static inline void wide(struct omq_graph *g)
{
    int x = op(g, "relu1", OMQ_OP_RELU, conv(g, "conv1", 0, 40, 3, 2, 0, 1, false));

    x = op(g, "abn", OMQ_OP_BATCHNORM, conv(g, "a", x, 72, 3, 1, 1, 1, false));
    x = op(g, "arelu", OMQ_OP_RELU, x);
    x = op(g, "brelu", OMQ_OP_RELU, conv(g, "b", x, 64, 3, 1, 1, 2, true));
    x = op(g, "crelu", OMQ_OP_RELU, conv(g, "c", x, 33, 3, 2, 0, 1, false));
    head(g, x);
}

static inline int relu_to(struct omq_graph *g, const char *name, double max, int in)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_RELU, .max = max});
}

static inline int concat(struct omq_graph *g, const char *name, int a, int b)
{
    return add(g, name, a, (struct omq_node){.op = OMQ_OP_CONCAT, .in = {0, b}});
}

static inline int shortcut(struct omq_graph *g, const char *name, int in, int c, int stride)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_SHORTCUT, .channels = c,
                                              .stride = stride});
}

/* ReLUs with an end, depthwise convolutions, concats of what has and has not the same
 * quantizer, a shortcut without parameters that is added and one that is read. */
static inline void moves(struct omq_graph *g)
{
    int x, y, z;

    x = relu_to(g, "relu1", 0.6, conv(g, "conv1", 0, 18, 3, 1, 1, 1, true));
    y = relu_to(g, "dw_relu", 6, conv(g, "dw", x, 18, 3, 2, 1, 18, true));
    y = conv(g, "pw", y, 22, 1, 1, 0, 1, true);
    z = shortcut(g, "short", x, 22, 2);
    x = relu_to(g, "relu2", 0.9, add(g, "add", y, (struct omq_node){.op = OMQ_OP_ADD,
                                                                    .in = {0, z}}));
    y = op(g, "a_relu", OMQ_OP_RELU, conv(g, "a", x, 5, 1, 1, 0, 1, true));
    z = op(g, "b_relu", OMQ_OP_RELU, conv(g, "b", x, 3, 3, 1, 1, 1, true));
    y = concat(g, "same", y, z);
    z = concat(g, "sign", conv(g, "c", x, 4, 1, 1, 0, 1, true), y);
    y = concat(g, "twice", z, z);
    y = concat(g, "ends", y, x);
    y = conv(g, "e", shortcut(g, "read", y, 49, 1), 7, 5, 1, 2, 1, true);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, y));
}

static void (*const graphs[])(struct omq_graph *g) = {residual, pools, mlp, long_sum, wide, moves};
enum { N_GRAPHS = sizeof(graphs) / sizeof(graphs[0]) };

#endif
