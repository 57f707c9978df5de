/* SPDX-License-Identifier: MIT
 *
 * What each operator of ONNX becomes: a row of a table each. Those with weights are in
 * onnx_layers.c, those over pixels in onnx_pixels.c, those that compute shapes in
 * onnx_ints.c.
 */
#include <math.h>
#include <string.h>

#include "port/onnx_build.h"

/* ---- elementwise ---- */

static int build_pass(struct omq_onnx_builder *b, int node) { return omq_onnx_pass(b, node, 0); }

/* Accuracy and training do not need the last softmax; elsewhere it is none of ours. */
static int build_softmax(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_value_in *v = &b->in.values[b->in.nodes[node].out[0]];

    if (!v->is_output)
        return omq_onnx_refuse(&b->in, node, b->err, "is read at the end of the network only");
    return omq_onnx_pass(b, node, 0);
}

static int build_relu(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    int rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x);

    return rc < 0 ? rc : omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_RELU}, x->flat);
}

/* A bound of Clip: an attribute before opset 11, an input since. */
static bool bound(const struct omq_onnx_builder *b, int node, const char *name, int k, double *v)
{
    const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, name);

    if (a.present)
        *v = (double)a.f;
    return a.present || omq_onnx_get_number(b, node, k, v);
}

static int build_clip(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    double low = -INFINITY, high = INFINITY;
    int rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x);

    if (rc < 0)
        return rc;
    if ((!bound(b, node, "min", 1, &low) && omq_onnx_fact_of(b, node, 1)) || low != 0 ||
        (!bound(b, node, "max", 2, &high) && omq_onnx_fact_of(b, node, 2)) || !(high > 0))
        return omq_onnx_refuse(&b->in, node, b->err, "is read from 0 to a number above, as of "
                               "ReLU6");
    if (high > 1e6) /* which is none, however it was said */
        high = 0;
    return omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_RELU, .max = high}, x->flat);
}

/* Of two images; or of what has taken the constant as its bias already. */
static int build_add(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x, *y;
    int rc;

    if (b->in.nodes[node].n_in != 2)
        return omq_onnx_refuse(&b->in, node, b->err, "adds up %d values: two are read",
                               b->in.nodes[node].n_in);
    for (int k = 0; k < 2; k++) {
        x = omq_onnx_fact_of(b, node, k);
        y = omq_onnx_fact_of(b, node, 1 - k);
        if (x && y && x->kind == OMQ_FACT_IMAGE && x->has_bias && y->kind == OMQ_FACT_TENSOR) {
            rc = omq_onnx_pass(b, node, k);
            b->facts[b->in.nodes[node].out[0]].has_bias = false;
            return rc;
        }
    }
    if ((rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x)) < 0 ||
        (rc = omq_onnx_image(b, node, 1, OMQ_ALLOW_FLAT, &y)) < 0)
        return rc;
    return omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, y->node}},
                         x->flat && y->flat);
}

/* ---- places ---- */

static int build_concat(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x, *y;
    const int n = b->in.nodes[node].n_in;
    int64_t axis = omq_onnx_attribute_int(&b->in, node, "axis", 1);
    int rc = omq_onnx_image(b, node, 0, 0, &x), at;

    if (rc < 0)
        return rc;
    if (axis != 1 && axis != -3)
        return omq_onnx_refuse(&b->in, node, b->err, "joins dimension %lld: channels (1) are read",
                               (long long)axis);
    if (n == 1)
        return omq_onnx_pass(b, node, 0);
    at = x->node;
    for (int k = 1; k < n; k++) {
        const struct omq_onnx_fact so_far = {.node = at};

        if ((rc = omq_onnx_image(b, node, k, 0, &y)) < 0 ||
            (rc = omq_onnx_over(b, node, &so_far,
                                (struct omq_node){.op = OMQ_OP_CONCAT, .in = {0, y->node}},
                                false)) < 0)
            return rc;
        at = b->facts[b->in.nodes[node].out[0]].node;
    }
    return OMQ_OK;
}

static int build_flatten(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    int64_t axis = omq_onnx_attribute_int(&b->in, node, "axis", 1);
    int rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x);

    if (rc < 0)
        return rc;
    if (axis != 1 && axis != -3)
        return omq_onnx_refuse(&b->in, node, b->err, "from dimension %lld is read from 1 only",
                               (long long)axis);
    return x->flat ? omq_onnx_pass(b, node, 0)
                   : omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
}

/* [N, -1] and what is the same. */
static int build_reshape(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    const struct omq_node *in;
    int64_t to[16], all;
    int n, rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x);

    if (rc < 0)
        return rc;
    in = omq_onnx_origin(b, x);
    all = (int64_t)in->h * in->w * in->c;
    if (!omq_onnx_get_ints(b, node, 1, to, &n))
        return omq_onnx_refuse(&b->in, node, b->err, "has a shape that is not constant");
    if (n == 2 && (to[1] == all || (to[1] == -1 && (to[0] == 0 || to[0] == OMQ_ONNX_IMAGES ||
                                                  to[0] == b->n_images))))
        return x->flat ? omq_onnx_pass(b, node, 0)
                       : omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
    if (n == 4 && !x->flat && to[1] == in->c && to[2] == in->h && to[3] == in->w)
        return omq_onnx_pass(b, node, 0);
    return omq_onnx_refuse(&b->in, node, b->err, "is read to [N, -1] only, as before a linear "
                           "layer");
}

/* ---- the table ---- */

static int build_constant(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_attribute t = omq_onnx_attribute_of(&b->in, node, "value"),
                                    one = omq_onnx_attribute_of(&b->in, node, "value_int"),
                                    real = omq_onnx_attribute_of(&b->in, node, "value_float"),
                                    ints = omq_onnx_attribute_of(&b->in, node, "value_ints");
    struct omq_onnx_fact *f = &b->facts[b->in.nodes[node].out[0]];
    struct omq_onnx_tensor_in tensor;
    int rc;

    *f = (struct omq_onnx_fact){.kind = OMQ_FACT_INTS, .has_number = real.present,
                                .number = real.f};
    if (ints.present && ints.n_ints < 0)
        return omq_onnx_refuse(&b->in, node, b->err, "has too many numbers");
    if (ints.present) {
        f->n = ints.n_ints;
        memcpy(f->ints, ints.ints, sizeof(f->ints));
    }
    if (one.present) {
        f->n = 1;
        f->ints[0] = one.i;
    }
    if (one.present || real.present || ints.present)
        return OMQ_OK;
    if (!t.present)
        return omq_onnx_refuse(&b->in, node, b->err, "has no value that is a tensor or a number");
    if ((rc = omq_onnx_tensor_parse(&tensor, t.t, b->err)) == OMQ_OK)
        *f = omq_onnx_fact_of_tensor(&tensor);
    return rc;
}

static const struct {
    const char *op;
    int (*build)(struct omq_onnx_builder *b, int node);
} rows[] = {
    {"Conv", omq_onnx_build_conv},
    {"Gemm", omq_onnx_build_linear},
    {"MatMul", omq_onnx_build_linear},
    {"BatchNormalization", omq_onnx_build_norm},
    {"Relu", build_relu},
    {"Clip", build_clip},
    {"Add", build_add},
    {"Sum", build_add},
    {"Concat", build_concat},
    {"MaxPool", omq_onnx_build_pool},
    {"AveragePool", omq_onnx_build_pool},
    {"GlobalAveragePool", omq_onnx_build_global},
    {"ReduceMean", omq_onnx_build_mean},
    {"Flatten", build_flatten},
    {"Reshape", build_reshape},
    {"Squeeze", omq_onnx_build_squeeze},
    {"Pad", omq_onnx_build_pad},
    {"Slice", omq_onnx_build_slice},
    {"Identity", build_pass},
    {"Dropout", build_pass},
    {"Softmax", build_softmax},
    {"LogSoftmax", build_softmax},
    {"Constant", build_constant},
};

int omq_onnx_build_node(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_node_in *n = &b->in.nodes[node];
    int rc;

    if (n->domain.n > 0 && !omq_span_is(n->domain, "ai.onnx"))
        return omq_onnx_refuse(&b->in, node, b->err, "is of a domain of its own");
    if (omq_onnx_build_ints(b, node, &rc))
        return rc;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (omq_span_is(n->op, rows[i].op))
            return rows[i].build(b, node);
    return omq_onnx_refuse(&b->in, node, b->err, "is not supported");
}
