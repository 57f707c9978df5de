/* SPDX-License-Identifier: MIT
 *
 * ONNX models in memory, a line a node, written by what the exporter has.
 */
#ifndef OMQ_TESTS_ONNXHELP_H
#define OMQ_TESTS_ONNXHELP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/onnx.h"
#include "port/onnx_read.h"

enum { SIDE = 8, CHANNELS = 3, CLASSES = 5 };

static struct omq_err err;
static struct omq_init_config init;
static struct omq_onnx_net net;
static struct omq_proto graph;
static struct omq_onnx x = {.out = &graph, .prefix = ""};

/* Values that differ from each other and from those of other tensors. */
static inline void floats(const char *name, int n_dims, const int *dims)
{
    static float values[1 << 14];
    size_t n = 1;

    for (int i = 0; i < n_dims; i++)
        n *= (size_t)dims[i];
    ck_assert_uint_le(n, 1 << 14);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(1 + (i * 7 + strlen(name)) % 13) / 16;
    omq_onnx_tensor(&x, name, OMQ_ONNX_FLOAT, dims, n_dims, values);
}
#define FLOATS(name, ...) \
    floats(name, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]){__VA_ARGS__})
#define INTS64(name, ...)                                                                        \
    omq_onnx_tensor(&x, name, OMQ_ONNX_S64,                                                      \
                    (int[]){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))}, 1,       \
                    (int64_t[]){__VA_ARGS__})

/* A node with attributes: NODE("Conv", "y", "x", "w") { ints("strides", 2, 2); } */
#define NODE(op, out, ...)                                                                       \
    for (size_t node_ = omq_onnx_begin(&x, op, "", out, (const char *const[]){__VA_ARGS__, NULL}), \
                done_ = 0; !done_; done_ = 1, omq_proto_end(&graph, node_))
#define ints(name, ...)                                                                          \
    omq_onnx_ints(&x, name, (int[]){__VA_ARGS__}, (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)))

static inline void conv_node(const char *out, const char *in, const char *weight, const char *bias,
                             int kernel, int stride, int pad)
{
    const char *inputs[] = {in, weight, bias, NULL};
    size_t node = omq_onnx_begin(&x, "Conv", "", out, inputs);

    ints("kernel_shape", kernel, kernel);
    ints("strides", stride, stride);
    ints("pads", pad, pad, pad, pad);
    omq_proto_end(&graph, node);
}

static inline void norm_node(const char *out, const char *in, const char *name, int channels)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    char names[4][64];

    for (int i = 0; i < 4; i++) {
        snprintf(names[i], sizeof(names[i]), "%s.%s", name, parts[i]);
        FLOATS(names[i], channels);
    }
    OMQ_ONNX_NODE(&x, "BatchNormalization", out, in, names[0], names[1], names[2], names[3]);
}

/* From a value of `channels` to the output. */
static inline void head_nodes(const char *in, int channels)
{
    FLOATS("fc.weight", CLASSES, channels);
    FLOATS("fc.bias", CLASSES);
    OMQ_ONNX_NODE(&x, "GlobalAveragePool", "pooled", in);
    OMQ_ONNX_NODE(&x, "Flatten", "flat", "pooled");
    NODE("Gemm", "logits", "flat", "fc.weight", "fc.bias") { omq_onnx_int(&x, "transB", 1); }
}

static inline void start_graph(void)
{
    omq_proto_release(&graph);
    omq_onnx_value(&x, ONNX_GRAPH_INPUT, "image", OMQ_ONNX_FLOAT, (int[]){0, CHANNELS, SIDE, SIDE},
                   4);
    omq_onnx_value(&x, ONNX_GRAPH_OUTPUT, "logits", OMQ_ONNX_FLOAT, (int[]){0, CLASSES}, 2);
}

/* The fixture: a graph that is begun, and at the end nothing. */
static inline void setup(void)
{
    init = (struct omq_init_config){.strict = true, .bn_eps = OMQ_BN_EPS};
    start_graph();
}

static inline void teardown(void)
{
    omq_proto_release(&graph);
    omq_onnx_net_release(&net);
}

/* The file around the graph; allocated. */
static inline uint8_t *model_bytes(int opset, size_t *n)
{
    struct omq_proto m = {0};
    size_t part;

    omq_proto_int(&m, 1, 8);
    part = omq_proto_begin(&m, 8);
    omq_proto_text(&m, 1, "");
    omq_proto_int(&m, 2, opset);
    omq_proto_end(&m, part);
    omq_proto_bytes(&m, 7, graph.bytes, graph.n);
    ck_assert(!m.failed);
    *n = m.n;
    return m.bytes;
}

static inline int parse_bytes(const uint8_t *bytes, size_t n)
{
    const struct omq_onnx_want want = {SIDE, SIDE, CHANNELS, CLASSES, &init};
    uint8_t *copy = malloc(n ? n : 1);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, n);
    omq_onnx_net_release(&net);
    err = (struct omq_err){0};
    return omq_onnx_net_parse(&net, "m.onnx", copy, n, &want, &err);
}

static inline int parse_opset(int opset)
{
    size_t n;
    uint8_t *bytes = model_bytes(opset, &n);
    int rc = parse_bytes(bytes, n);

    free(bytes);
    return rc;
}

static inline void accept_graph(void)
{
    ck_assert_msg(parse_opset(13) == OMQ_OK, "%s", err.msg);
}

static inline void refuse_graph(const char *text)
{
    ck_assert_int_lt(parse_opset(13), 0);
    ck_assert_msg(strstr(err.msg, text) != NULL, "'%s' is not in '%s'", text, err.msg);
    ck_assert_ptr_null(net.graph.nodes);
}

/* "conv a < input" a line: operator, name, and what it reads. */
static inline void graph_is(const char *want)
{
    char got[4096] = "";

    for (int i = 1; i < net.graph.n_nodes; i++) {
        const struct omq_node *n = &net.graph.nodes[i];
        size_t at = strlen(got);

        at += (size_t)snprintf(got + at, sizeof(got) - at, "%s %s < %s", omq_op_name(n->op),
                               n->name, net.graph.nodes[n->in[0]].name);
        if (n->in[1] >= 0)
            at += (size_t)snprintf(got + at, sizeof(got) - at, " %s",
                                   net.graph.nodes[n->in[1]].name);
        snprintf(got + at, sizeof(got) - at, "\n");
    }
    ck_assert_str_eq(got, want);
}

#endif
