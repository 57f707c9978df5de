/* SPDX-License-Identifier: MIT
 *
 * What each operator of ONNX becomes: a row of a table each. Those with weights
 * are in onnx_layers.c, those that compute shapes in onnx_ints.c.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "port/onnx_build.h"

static const struct omq_node *graph_node(const struct omq_onnx_builder *b,
                                         const struct omq_onnx_fact *x)
{
    return &b->out->graph.nodes[x->node];
}

/* A node of the graph over input 0, called after the ONNX node. */
static int put_one(struct omq_onnx_builder *b, int node, const struct omq_onnx_fact *x,
                   struct omq_node n, bool flat)
{
    char name[OMQ_NAME_SIZE];

    n.in[0] = x->node;
    omq_onnx_name_node(b, node, 0, name);
    return omq_onnx_put(b, node, name, n, flat);
}

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

    return rc < 0 ? rc : put_one(b, node, x, (struct omq_node){.op = OMQ_OP_RELU}, x->flat);
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
    if (high > 1e30)
        high = 0; /* no end */
    return put_one(b, node, x, (struct omq_node){.op = OMQ_OP_RELU, .max = high}, x->flat);
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
    return put_one(b, node, x, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, y->node}},
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
            (rc = put_one(b, node, &so_far,
                          (struct omq_node){.op = OMQ_OP_CONCAT, .in = {0, y->node}}, false)) < 0)
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
                   : put_one(b, node, x, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
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
    in = graph_node(b, x);
    all = (int64_t)in->h * in->w * in->c;
    if (!omq_onnx_get_ints(b, node, 1, to, &n))
        return omq_onnx_refuse(&b->in, node, b->err, "has a shape that is not constant");
    if (n == 2 && (to[1] == all || (to[1] == -1 && (to[0] == 0 || to[0] == OMQ_ONNX_IMAGES ||
                                                  to[0] == b->n_images))))
        return x->flat ? omq_onnx_pass(b, node, 0)
                       : put_one(b, node, x, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
    if (n == 4 && !x->flat && to[1] == in->c && to[2] == in->h && to[3] == in->w)
        return omq_onnx_pass(b, node, 0);
    return omq_onnx_refuse(&b->in, node, b->err, "is read to [N, -1] only, as before a linear "
                           "layer");
}

/* Whether axes (an attribute, or input k) are those of rows and columns. */
static bool over_pixels(const struct omq_onnx_builder *b, int node, int k)
{
    struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, "axes");
    bool seen[2] = {false, false};
    int n = a.n_ints;

    if (!a.present && !omq_onnx_get_ints(b, node, k, a.ints, &n))
        return false;
    for (int i = 0; i < n; i++) {
        int64_t axis = a.ints[i] < 0 ? a.ints[i] + 4 : a.ints[i];

        if (axis != 2 && axis != 3)
            return false;
        seen[axis - 2] = true;
    }
    return seen[0] && seen[1];
}

static int build_squeeze(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    int rc = omq_onnx_image(b, node, 0, 0, &x);

    if (rc < 0)
        return rc;
    if (graph_node(b, x)->h != 1 || graph_node(b, x)->w != 1 || !over_pixels(b, node, 1))
        return omq_onnx_refuse(&b->in, node, b->err, "is read of the rows and columns of one pixel "
                               "only (axes 2 and 3)");
    return put_one(b, node, x, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
}

/* ---- pools ---- */

/* Kernel, stride, pad and what rounding up would add; false if they are not square. */
static bool get_pool(const struct omq_onnx_builder *b, int node, const struct omq_node *in,
                     struct omq_node *n)
{
    static const char *const names[] = {"kernel_shape", "strides", "pads", "dilations"};
    int64_t values[4] = {0, 1, 0, 1};

    for (int i = 0; i < 4; i++) {
        const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, names[i]);

        for (int k = 0; a.present && k < a.n_ints; k++)
            if (a.ints[k] != a.ints[0])
                return false;
        if (a.present && a.n_ints != (i == 2 ? 4 : 2))
            return false;
        if (a.present)
            values[i] = a.ints[0];
        if (values[i] < 0 || values[i] > 1 << 14)
            return false;
    }
    n->kernel = (int)values[0];
    n->stride = (int)values[1];
    n->pad = (int)values[2];
    if (omq_onnx_attribute_of(&b->in, node, "auto_pad").s.n > 0 &&
        !omq_span_is(omq_onnx_attribute_of(&b->in, node, "auto_pad").s, "NOTSET"))
        return false;
    return values[0] > 0 && values[1] > 0 && values[3] == 1 &&
           (omq_onnx_attribute_int(&b->in, node, "ceil_mode", 0) == 0 ||
            ((in->h + 2 * n->pad - n->kernel) % n->stride == 0 &&
             (in->w + 2 * n->pad - n->kernel) % n->stride == 0));
}

static int build_pool(struct omq_onnx_builder *b, int node)
{
    const bool is_max = omq_span_is(b->in.nodes[node].op, "MaxPool");
    struct omq_node n = {.op = is_max ? OMQ_OP_MAXPOOL : OMQ_OP_AVGPOOL};
    const struct omq_onnx_fact *x;
    const struct omq_node *in;
    int rc = omq_onnx_image(b, node, 0, is_max ? 0 : OMQ_ALLOW_PAD, &x);

    if (rc < 0)
        return rc;
    in = graph_node(b, x);
    if (!get_pool(b, node, in, &n))
        return omq_onnx_refuse(&b->in, node, b->err, "has a window, strides or pads that are not "
                               "the same on all sides, or dilations, or rounds up");
    if (!is_max && n.pad && omq_onnx_attribute_int(&b->in, node, "count_include_pad", 0) == 0)
        return omq_onnx_refuse(&b->in, node, b->err, "leaves its pads out of the average");
    n.pad += x->pad;
    if (!is_max && n.pad == 0 && n.kernel == in->h && n.kernel == in->w)
        n = (struct omq_node){.op = OMQ_OP_GLOBALPOOL};
    return put_one(b, node, x, n, false);
}

static int build_global(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    int rc = omq_onnx_image(b, node, 0, 0, &x);

    return rc < 0 ? rc : put_one(b, node, x, (struct omq_node){.op = OMQ_OP_GLOBALPOOL}, false);
}

static int build_mean(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    struct omq_onnx_fact mean;
    int rc = omq_onnx_image(b, node, 0, 0, &x);

    if (rc < 0)
        return rc;
    if (!over_pixels(b, node, 1))
        return omq_onnx_refuse(&b->in, node, b->err, "is read over rows and columns (axes 2 and 3) "
                               "only");
    rc = put_one(b, node, x, (struct omq_node){.op = OMQ_OP_GLOBALPOOL}, false);
    if (rc < 0 || omq_onnx_attribute_int(&b->in, node, "keepdims", 1) != 0)
        return rc;
    mean = b->facts[b->in.nodes[node].out[0]];
    return put_one(b, node, &mean, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
}

/* ---- pads, and the shortcut that has no weights ---- */

/* x[:, :, ::2, ::2], a dimension at a time or both: a Pad of channels comes next. */
static int build_slice(struct omq_onnx_builder *b, int node)
{
    int64_t first[16], end[16], axes[16], steps[16], *const lists[] = {first, end, axes, steps};
    const struct omq_onnx_fact *x;
    struct omq_onnx_fact out;
    int n = 0, k, rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_STEPS, &x);

    if (rc < 0)
        return rc;
    out = *x;
    for (int i = 0; i < 4; i++) {
        if (!omq_onnx_get_ints(b, node, i + 1, lists[i], &k) || (i > 0 && k != n))
            k = 0;
        n = k;
    }
    for (k = 0; k < n; k++) {
        const int64_t axis = axes[k] < 0 ? axes[k] + 4 : axes[k];
        const int size = axis == 2 ? graph_node(b, x)->h : graph_node(b, x)->w;

        if (axis < 2 || axis > 3 || first[k] != 0 || end[k] < size || steps[k] < 1 ||
            steps[k] > 64 || out.steps[axis - 2])
            break;
        out.steps[axis - 2] = (int)steps[k];
    }
    if (n == 0 || k < n)
        return omq_onnx_refuse(&b->in, node, b->err, "is read as x[:, :, ::2, ::2] only, in a "
                               "shortcut of ResNets for CIFAR");
    b->facts[b->in.nodes[node].out[0]] = out;
    return OMQ_OK;
}

static int pad_amounts(const struct omq_onnx_builder *b, int node, int64_t pads[16])
{
    const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, "pads"),
                                    mode = omq_onnx_attribute_of(&b->in, node, "mode");
    double value = a.present ? (double)omq_onnx_attribute_of(&b->in, node, "value").f : 0;
    int n = a.n_ints;

    memcpy(pads, a.ints, sizeof(a.ints));
    if ((mode.present && !omq_span_is(mode.s, "constant")) ||
        (!a.present && !omq_onnx_get_ints(b, node, 1, pads, &n)) || n != 8 ||
        (omq_onnx_fact_of(b, node, 2) && !omq_onnx_get_number(b, node, 2, &value)) || value != 0)
        return omq_onnx_refuse(&b->in, node, b->err, "is read of images, with zeros, only");
    return OMQ_OK;
}

/* Of channels: a shortcut; of pixels: what the convolution that follows adds. */
static int build_pad(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    struct omq_onnx_fact *out = &b->facts[b->in.nodes[node].out[0]];
    int64_t p[16];
    int rc;

    if ((rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_STEPS | OMQ_ALLOW_PAD, &x)) < 0 ||
        (rc = pad_amounts(b, node, p)) < 0)
        return rc;
    for (int i = 0; i < 8; i++)
        if (p[i] < 0 || p[i] > 1 << 12 || (i % 4 == 0 && p[i] != 0))
            return omq_onnx_refuse(&b->in, node, b->err, "has a pad of %lld", (long long)p[i]);
    if (p[1] + p[5] > 0 && p[1] == p[5] && p[2] + p[3] + p[6] + p[7] == 0 && x->pad == 0 &&
        x->steps[0] == x->steps[1])
        return put_one(b, node, x, (struct omq_node){
                           .op = OMQ_OP_SHORTCUT, .stride = x->steps[0] ? x->steps[0] : 1,
                           .channels = graph_node(b, x)->c + 2 * (int)p[1]}, false);
    if (p[1] != 0 || p[5] != 0 || p[3] != p[2] || p[6] != p[2] || p[7] != p[2] || x->steps[0] ||
        x->steps[1])
        return omq_onnx_refuse(&b->in, node, b->err, "is not the same on all sides");
    *out = *x;
    out->pad += (int)p[2];
    return OMQ_OK;
}

/* ---- the table ---- */

static int build_constant(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_attribute t = omq_onnx_attribute_of(&b->in, node, "value"),
                                    one = omq_onnx_attribute_of(&b->in, node, "value_int"),
                                    ints = omq_onnx_attribute_of(&b->in, node, "value_ints");
    struct omq_onnx_fact *f = &b->facts[b->in.nodes[node].out[0]];

    *f = (struct omq_onnx_fact){.kind = OMQ_FACT_INTS, .n = one.present ? 1 : ints.n_ints};
    memcpy(f->ints, ints.ints, sizeof(f->ints));
    if (one.present)
        f->ints[0] = one.i;
    if (one.present || (ints.present && ints.n_ints >= 0))
        return OMQ_OK;
    if (!t.present)
        return omq_onnx_refuse(&b->in, node, b->err, "has no value that is a tensor or integers");
    f->kind = OMQ_FACT_TENSOR;
    return omq_onnx_tensor_parse(&f->tensor, t.t, b->err);
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
    {"MaxPool", build_pool},
    {"AveragePool", build_pool},
    {"GlobalAveragePool", build_global},
    {"ReduceMean", build_mean},
    {"Flatten", build_flatten},
    {"Reshape", build_reshape},
    {"Squeeze", build_squeeze},
    {"Pad", build_pad},
    {"Slice", build_slice},
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

    if (n->n_out < 1 || n->out[0] < 0)
        return omq_onnx_refuse(&b->in, node, b->err, "does not make its first output");
    if (n->domain.n > 0 && !omq_span_is(n->domain, "ai.onnx"))
        return omq_onnx_refuse(&b->in, node, b->err, "is of a domain of its own");
    if (omq_onnx_build_ints(b, node, &rc))
        return rc;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (omq_span_is(n->op, rows[i].op))
            return rows[i].build(b, node);
    return omq_onnx_refuse(&b->in, node, b->err, "is not supported");
}
