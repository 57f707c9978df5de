/* SPDX-License-Identifier: MIT
 *
 * Inside the reading of ONNX. onnx_parse.c: a file as nodes, values and tensors,
 * checked to be a graph. onnx_node.c: a node's name and attributes. onnx_order.c:
 * which nodes are needed, in which order. onnx_ops.c, onnx_ints.c: what each
 * operator becomes. onnx_read.c: all of it.
 */
#ifndef OMQ_PORT_ONNX_PARSE_H
#define OMQ_PORT_ONNX_PARSE_H

#include "base/err.h"
#include "port/onnx_proto.h"
#include "port/proto_read.h"

enum {
    OMQ_ONNX_MAX_NODES = 16384,
    OMQ_ONNX_MAX_INPUTS = 4096, /* of a node: the order looks at all of them for each */
    OMQ_ONNX_MAX_REFS = 1 << 18, /* names of inputs and outputs of all nodes */
    OMQ_ONNX_MAX_TENSORS = 1 << 16,
    OMQ_ONNX_MAX_DIMS = 8,
};

/* A TensorProto: its values stay in the message until they are wanted. */
struct omq_onnx_tensor_in {
    struct omq_span name, message;
    int elem;          /* enum omq_onnx_type, or one that is not read */
    int ndim;
    uint64_t dims[OMQ_ONNX_MAX_DIMS];
    size_t n;          /* values; they are all there */
};

/* What nodes hand to each other, by number. */
struct omq_onnx_value_in {
    struct omq_span name;
    int producer;      /* node, or -1 */
    int tensor;        /* initializer, or -1 */
    bool is_input, is_output; /* of the graph */
    int n_readers, reader;    /* needed nodes that read it, and the last of them */
};

struct omq_onnx_node_in {
    struct omq_span name, op, domain, message;
    int *in, *out;     /* values; -1 for one that is left out, but for the first of out */
    int n_in, n_out;
};

struct omq_onnx_in {
    const char *path;  /* for messages; borrowed */
    uint64_t opset;
    int n_nodes, n_values, n_tensors, n_refs;
    struct omq_onnx_node_in *nodes;
    struct omq_onnx_value_in *values;
    struct omq_onnx_tensor_in *tensors;
    int *refs;         /* what nodes' in and out point into */
    int input, output; /* values: of the graph */
    struct omq_span input_info; /* ValueInfoProto */
};

/* A model in bytes, which must outlive it. What is checked: lengths, limits, the
 * opset, that no value is made twice, that no tensor is elsewhere than in the file,
 * and that every node has its first output and reads only what earlier ones make: there
 * are no cycles. */
int omq_onnx_in_init(struct omq_onnx_in *m, const char *path, struct omq_span file,
                     struct omq_err *err) OMQ_WARN_UNUSED;
void omq_onnx_in_release(struct omq_onnx_in *m);

bool omq_span_is(struct omq_span s, const char *text);
/* For messages and names: s as text, cut, without control characters. */
char *omq_span_text(struct omq_span s, char *buf, size_t size);
/* A node for messages: its name, or that of what it makes, or its number. */
char *omq_onnx_node_text(const struct omq_onnx_in *m, int node, char buf[128]);
/* "node 'Conv_3' (Conv): ..."; OMQ_EUNSUP. */
int omq_onnx_refuse(const struct omq_onnx_in *m, int node, struct omq_err *err, const char *fmt,
                    ...) OMQ_PRINTF(4, 5);

/* An attribute of a node, or all zero with present false. */
struct omq_onnx_attribute {
    bool present;
    int64_t i;
    float f;
    struct omq_span s, t;  /* a text; a TensorProto */
    int n_ints;            /* more than there is room for: -1 */
    int64_t ints[16];
};
struct omq_onnx_attribute omq_onnx_attribute_of(const struct omq_onnx_in *m, int node,
                                                const char *name);
int64_t omq_onnx_attribute_int(const struct omq_onnx_in *m, int node, const char *name,
                               int64_t none);

/* A TensorProto; what is damaged or external is refused. */
int omq_onnx_tensor_parse(struct omq_onnx_tensor_in *t, struct omq_span message,
                          struct omq_err *err) OMQ_WARN_UNUSED;
/* Up to 16 of its values as integers; false if they are more, or no integers. */
bool omq_onnx_tensor_ints(const struct omq_onnx_tensor_in *t, int64_t ints[16]);
/* All its values as floats; false if they are none. */
bool omq_onnx_tensor_floats(const struct omq_onnx_tensor_in *t, float *values);

#endif
