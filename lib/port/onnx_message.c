/* SPDX-License-Identifier: MIT
 *
 * ONNX's messages.
 */
#include "port/onnx.h"

#include <stdio.h>

#include "base/mem.h"

struct omq_onnx_name omq_onnx_name(const struct omq_onnx *x, const char *base, const char *suffix)
{
    struct omq_onnx_name name;

    snprintf(name.s, sizeof(name.s), "%.24s%.*s%s%.20s", x->prefix, OMQ_NAME_SIZE, base,
             *suffix ? "/" : "", suffix);
    return name;
}

/* ---- nodes ---- */

size_t omq_onnx_begin(struct omq_onnx *x, const char *op, const char *domain, const char *out,
                      const char *const *in)
{
    const size_t node = omq_proto_begin(x->out, ONNX_GRAPH_NODE);

    for (; *in; in++)
        omq_proto_text(x->out, ONNX_NODE_INPUT, *in);
    omq_proto_text(x->out, ONNX_NODE_OUTPUT, out);
    omq_proto_text(x->out, ONNX_NODE_NAME, out);
    omq_proto_text(x->out, ONNX_NODE_OP, op);
    if (*domain)
        omq_proto_text(x->out, ONNX_NODE_DOMAIN, domain);
    return node;
}

static size_t begin_attribute(struct omq_onnx *x, const char *name, int type)
{
    const size_t attribute = omq_proto_begin(x->out, ONNX_NODE_ATTRIBUTE);

    omq_proto_text(x->out, ONNX_ATTRIBUTE_NAME, name);
    omq_proto_int(x->out, ONNX_ATTRIBUTE_TYPE, type);
    return attribute;
}

void omq_onnx_int(struct omq_onnx *x, const char *name, int64_t v)
{
    const size_t attribute = begin_attribute(x, name, ONNX_ATTRIBUTE_IS_I);

    omq_proto_int(x->out, ONNX_ATTRIBUTE_I, v);
    omq_proto_end(x->out, attribute);
}

void omq_onnx_ints(struct omq_onnx *x, const char *name, const int *v, int n)
{
    const size_t attribute = begin_attribute(x, name, ONNX_ATTRIBUTE_IS_INTS);

    for (int i = 0; i < n; i++)
        omq_proto_int(x->out, ONNX_ATTRIBUTE_INTS, v[i]);
    omq_proto_end(x->out, attribute);
}

void omq_onnx_text(struct omq_onnx *x, const char *name, const char *text)
{
    const size_t attribute = begin_attribute(x, name, ONNX_ATTRIBUTE_IS_S);

    omq_proto_text(x->out, ONNX_ATTRIBUTE_S, text);
    omq_proto_end(x->out, attribute);
}

struct omq_onnx_scope omq_onnx_graph_begin(struct omq_onnx *x, const char *name)
{
    struct omq_onnx_scope scope;

    scope.attribute = begin_attribute(x, name, ONNX_ATTRIBUTE_IS_G);
    scope.graph = omq_proto_begin(x->out, ONNX_ATTRIBUTE_G);
    omq_proto_text(x->out, ONNX_GRAPH_NAME, name);
    return scope;
}

void omq_onnx_graph_end(struct omq_onnx *x, struct omq_onnx_scope scope)
{
    omq_proto_end(x->out, scope.graph);
    omq_proto_end(x->out, scope.attribute);
}

/* ---- values ---- */

static size_t bytes_of(enum omq_onnx_type type)
{
    return type == OMQ_ONNX_S64 ? 8 : type == OMQ_ONNX_FLOAT || type == OMQ_ONNX_S32 ? 4 : 1;
}

void omq_onnx_tensor(struct omq_onnx *x, const char *name, enum omq_onnx_type type,
                     const int *dims, int n_dims, const void *values)
{
    const size_t tensor = omq_proto_begin(x->out, ONNX_GRAPH_INITIALIZER);
    size_t n = bytes_of(type);

    for (int i = 0; i < n_dims; i++) {
        n *= (size_t)dims[i];
        omq_proto_int(x->out, ONNX_TENSOR_DIMS, dims[i]);
    }
    omq_proto_int(x->out, ONNX_TENSOR_DATA_TYPE, (int64_t)type);
    omq_proto_text(x->out, ONNX_TENSOR_NAME, name);
    omq_proto_bytes(x->out, ONNX_TENSOR_RAW_DATA, values, n);
    omq_proto_end(x->out, tensor);
}

void omq_onnx_scalar_float(struct omq_onnx *x, const char *name, float v)
{
    omq_onnx_tensor(x, name, OMQ_ONNX_FLOAT, NULL, 0, &v);
}

void omq_onnx_scalar_code(struct omq_onnx *x, const char *name, enum omq_onnx_type type, int v)
{
    const uint8_t code = (uint8_t)v;

    omq_onnx_tensor(x, name, type, NULL, 0, &code);
}

void omq_onnx_value(struct omq_onnx *x, int field, const char *name, enum omq_onnx_type type,
                    const int *dims, int n_dims)
{
    const size_t value = omq_proto_begin(x->out, field);
    size_t outer, inner, shape, dim;

    omq_proto_text(x->out, ONNX_VALUE_NAME, name);
    outer = omq_proto_begin(x->out, ONNX_VALUE_TYPE);
    inner = omq_proto_begin(x->out, ONNX_TYPE_TENSOR);
    omq_proto_int(x->out, ONNX_TYPE_TENSOR_ELEM, (int64_t)type);
    shape = omq_proto_begin(x->out, ONNX_TYPE_TENSOR_SHAPE);
    for (int i = 0; i < n_dims; i++) {
        dim = omq_proto_begin(x->out, ONNX_SHAPE_DIM);
        if (dims[i] > 0)
            omq_proto_int(x->out, ONNX_DIM_VALUE, dims[i]);
        else
            omq_proto_text(x->out, ONNX_DIM_PARAM, "N");
        omq_proto_end(x->out, dim);
    }
    omq_proto_end(x->out, shape);
    omq_proto_end(x->out, inner);
    omq_proto_end(x->out, outer);
    omq_proto_end(x->out, value);
}
