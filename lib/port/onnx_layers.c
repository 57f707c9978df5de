/* SPDX-License-Identifier: MIT
 *
 * What has weights: convolutions, linear layers and batch norm.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "port/onnx_build.h"
#include "port/weights.h"

/* ---- norms ---- */

/* The one node that reads what this one makes; -1: several, or it is the output. */
static int sole_reader(const struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_value_in *v = &b->in.values[b->in.nodes[node].out[0]];

    return v->n_readers == 1 && !v->is_output ? v->reader : -1;
}

static bool is_op(const struct omq_onnx_builder *b, int node, const char *op)
{
    return node >= 0 && omq_span_is(b->in.nodes[node].op, op);
}

/* All values of a constant as an array of a layer. */
static int take_array(struct omq_onnx_builder *b, const char *layer, const char *part,
                      const struct omq_onnx_tensor_in *t)
{
    float *values = omq_onnx_array(b, layer, part, t->ndim, t->dims);

    if (!values)
        return omq_onnx_failed(b);
    return omq_onnx_tensor_floats(t, values)
               ? OMQ_OK
               : omq_fail(b->err, OMQ_EUNSUP, "the weights '%s.%s' of '%s' are no floats", layer,
                          part, b->in.path);
}

/* The same of a bias, which may be a row of a table: [n], [1, n] and so on. */
static int take_bias(struct omq_onnx_builder *b, const char *layer,
                     const struct omq_onnx_tensor_in *t)
{
    struct omq_onnx_tensor_in row = *t;

    row.ndim = 1;
    row.dims[0] = t->n;
    return take_array(b, layer, "bias", &row);
}

static bool is_bias(const struct omq_onnx_tensor_in *t, uint64_t n)
{
    return t->n == n && t->ndim > 0 && t->dims[t->ndim - 1] == n;
}

/* The norm that does nothing, behind what node has just put into the graph. */
static int add_norm(struct omq_onnx_builder *b, int node, const char *layer,
                    const struct omq_onnx_tensor_in *bias)
{
    const uint64_t n = (uint64_t)b->out->graph.nodes[b->out->graph.n_nodes - 1].c;
    static const char *const parts[] = {"weight", "running_mean", "running_var", "bias"};
    const float values[] = {1, 0, (float)(1 - OMQ_BN_EPS), 0};
    struct omq_node norm = {.op = OMQ_OP_BATCHNORM, .in = {b->out->graph.n_nodes - 1}};
    char name[OMQ_NAME_SIZE];
    int rc;

    snprintf(name, sizeof(name), "%.*s.norm", OMQ_NODE_NAME_MAX - 8, layer);
    if ((rc = omq_onnx_put(b, node, name, norm, b->facts[b->in.nodes[node].out[0]].flat)) < 0)
        return rc;
    snprintf(name, sizeof(name), "%s", b->out->graph.nodes[b->out->graph.n_nodes - 1].name);
    for (int k = 0; k < (bias ? 3 : 4); k++) {
        float *to = omq_onnx_array(b, name, parts[k], 1, &n);

        for (uint64_t i = 0; to && i < n; i++)
            to[i] = values[k];
        if (!to)
            return omq_onnx_failed(b);
    }
    snprintf(b->out->added[b->out->n_added++], OMQ_NAME_SIZE, "%s", name);
    return bias ? take_bias(b, name, bias) : OMQ_OK;
}

int omq_onnx_build_norm(struct omq_onnx_builder *b, int node)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    const struct omq_onnx_attribute eps = omq_onnx_attribute_of(&b->in, node, "epsilon");
    const double epsilon = eps.present ? (double)eps.f : 1e-5;
    const struct omq_onnx_fact *x;
    float *values[4];
    char name[OMQ_NAME_SIZE];
    uint64_t n;
    int rc;

    if ((rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x)) < 0)
        return rc;
    n = (uint64_t)omq_onnx_origin(b, x)->c;
    if (!(epsilon > 0) || x->flat != (omq_onnx_origin(b, x)->op == OMQ_OP_LINEAR))
        return omq_onnx_refuse(&b->in, node, b->err, "has epsilon %g, or does not follow a "
                               "convolution or linear layer", epsilon);
    omq_onnx_name_node(b, node, 1, name);
    rc = omq_onnx_put(b, node, name, (struct omq_node){.op = OMQ_OP_BATCHNORM, .in = {x->node}},
                      x->flat);
    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "%s", b->out->graph.nodes[b->out->graph.n_nodes - 1].name);
    for (int k = 0; k < 4; k++) {
        const struct omq_onnx_tensor_in *t;

        if ((rc = omq_onnx_constant(b, node, k + 1, &t)) < 0)
            return rc;
        if (!(values[k] = omq_onnx_array(b, name, parts[k], 1, &n)))
            return omq_onnx_failed(b);
        if (t->n != n || !omq_onnx_tensor_floats(t, values[k]))
            return omq_onnx_refuse(&b->in, node, b->err, "needs four times %llu floats",
                                   (unsigned long long)n);
    }
    /* as omq_weights_load() does for eps that the user names */
    for (uint64_t i = 0; fabs(epsilon / OMQ_BN_EPS - 1) > 1e-5 && i < n; i++)
        values[0][i] *= (float)sqrt(((double)values[3][i] + OMQ_BN_EPS) /
                                    ((double)values[3][i] + epsilon));
    return OMQ_OK;
}

/* ---- layers ---- */

/* A layer that is in the graph now: its bias goes to the norm behind it, to one that
 * is put there, or stays, of the last one. */
static int finish_layer(struct omq_onnx_builder *b, int node, const char *layer,
                        const struct omq_onnx_tensor_in *bias, int reader, bool is_last)
{
    if (is_op(b, reader, "BatchNormalization") || is_last)
        return bias ? take_bias(b, layer, bias) : OMQ_OK;
    return add_norm(b, node, layer, bias);
}

/* The same number everywhere, `none` where the attribute is missing. */
static bool one_number(const struct omq_onnx_builder *b, int node, const char *name, int n,
                       int64_t none, int64_t *out)
{
    const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, name);

    *out = a.present ? a.ints[0] : none;
    for (int i = 0; a.present && i < n; i++)
        if (a.n_ints != n || a.ints[i] != *out)
            return false;
    return *out >= 0 && *out <= 1 << 16;
}

static int get_window(const struct omq_onnx_builder *b, int node,
                      const struct omq_onnx_tensor_in *w, struct omq_node *n)
{
    int64_t stride, pad, dilation;

    if (w->ndim != 4)
        return omq_onnx_refuse(&b->in, node, b->err, "has weights of %d dimensions: images have 4",
                               w->ndim);
    if (w->dims[2] != w->dims[3] || w->dims[2] > 1 << 16 || w->dims[0] > 1 << 20)
        return omq_onnx_refuse(&b->in, node, b->err, "has a window of %llu x %llu: square ones are "
                               "read", (unsigned long long)w->dims[2],
                               (unsigned long long)w->dims[3]);
    if (!one_number(b, node, "dilations", 2, 1, &dilation) || dilation != 1)
        return omq_onnx_refuse(&b->in, node, b->err, "with dilations %lld is not supported",
                               (long long)dilation);
    if (!one_number(b, node, "strides", 2, 1, &stride) || !one_number(b, node, "pads", 4, 0, &pad))
        return omq_onnx_refuse(&b->in, node, b->err, "has strides or pads that are not the same "
                               "on all sides");
    n->channels = (int)w->dims[0];
    n->kernel = (int)w->dims[2];
    n->stride = (int)stride;
    n->pad = (int)pad;
    return omq_onnx_check_auto_pad(b, node);
}

static int get_bias(const struct omq_onnx_builder *b, int node, int k, uint64_t n,
                    const struct omq_onnx_tensor_in **bias)
{
    int rc;

    *bias = NULL;
    if (!omq_onnx_fact_of(b, node, k))
        return OMQ_OK;
    if ((rc = omq_onnx_constant(b, node, k, bias)) < 0)
        return rc;
    if (!is_bias(*bias, n))
        return omq_onnx_refuse(&b->in, node, b->err, "has a bias of another size than %llu",
                               (unsigned long long)n);
    return OMQ_OK;
}

int omq_onnx_build_conv(struct omq_onnx_builder *b, int node)
{
    const int reader = sole_reader(b, node);
    struct omq_node n = {.op = OMQ_OP_CONV};
    const struct omq_onnx_tensor_in *w, *bias;
    const struct omq_onnx_fact *x;
    int64_t groups = omq_onnx_attribute_int(&b->in, node, "group", 1);
    char name[OMQ_NAME_SIZE];
    bool is_last = b->in.values[b->in.nodes[node].out[0]].is_output;
    int rc, c;

    if ((rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_PAD, &x)) < 0 ||
        (rc = omq_onnx_constant(b, node, 1, &w)) < 0 || (rc = get_window(b, node, w, &n)) < 0 ||
        (rc = get_bias(b, node, 2, w->dims[0], &bias)) < 0)
        return rc;
    c = omq_onnx_origin(b, x)->c;
    if (groups < 1 || groups > c || w->dims[1] != (uint64_t)(c / groups) || c % groups)
        return omq_onnx_refuse(&b->in, node, b->err, "of %lld groups reads %d channels, but its "
                               "weights are for %llu", (long long)groups, c,
                               (unsigned long long)w->dims[1]);
    n.groups = (int)groups;
    n.pad += x->pad;
    n.bias = bias && is_last;
    n.in[0] = x->node;
    omq_onnx_name_node(b, node, 1, name);
    if ((rc = omq_onnx_put(b, node, name, n, false)) < 0)
        return rc;
    snprintf(name, sizeof(name), "%s", b->out->graph.nodes[b->out->graph.n_nodes - 1].name);
    if ((rc = take_array(b, name, "weight", w)) < 0)
        return rc;
    return finish_layer(b, node, name, bias, reader, is_last);
}

/* The weights [out][in], which a MatMul and a Gemm without transB have as [in][out]. */
static int take_matrix(struct omq_onnx_builder *b, const char *layer,
                       const struct omq_onnx_tensor_in *w, bool transposed, uint64_t n_out,
                       uint64_t n_in)
{
    const uint64_t dims[] = {n_out, n_in}, all = n_out * n_in;
    float *values = omq_onnx_array(b, layer, "weight", 2, dims), *rows;

    if (!transposed && values && omq_onnx_tensor_floats(w, values))
        return OMQ_OK;
    rows = values ? omq_onnx_room(b, (size_t)all) : NULL;
    if (!rows)
        return omq_onnx_failed(b);
    if (!omq_onnx_tensor_floats(w, rows))
        return omq_fail(b->err, OMQ_EUNSUP, "the weights '%s.weight' of '%s' are no floats", layer,
                        b->in.path);
    for (uint64_t o = 0; o < n_out; o++)
        for (uint64_t i = 0; i < n_in; i++)
            values[o * n_in + i] = rows[i * n_out + o];
    return OMQ_OK;
}

/* What makes the logits; behind it only what changes nothing may come. */
static bool is_head(const struct omq_onnx_builder *b, int node)
{
    static const char *const idle[] = {"Identity", "Dropout", "Softmax", "LogSoftmax"};

    for (int hops = 0; hops < 8; hops++) {
        bool passes = false;

        if (b->in.values[b->in.nodes[node].out[0]].is_output)
            return true;
        node = sole_reader(b, node);
        for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
            passes |= is_op(b, node, idle[i]);
        if (!passes)
            return false;
    }
    return false;
}

/* An Add of a constant behind a MatMul is its bias. */
static int added_bias(const struct omq_onnx_builder *b, int node, uint64_t n,
                      const struct omq_onnx_tensor_in **bias)
{
    const int add = sole_reader(b, node);

    *bias = NULL;
    for (int k = 0; is_op(b, add, "Add") && k < 2; k++) {
        const struct omq_onnx_fact *f = omq_onnx_fact_of(b, add, k);

        if (f && f->kind == OMQ_FACT_TENSOR && is_bias(&f->tensor, n))
            *bias = &f->tensor;
    }
    return *bias ? add : -1;
}

/* A last layer for another number of classes, if its weights are skipped. */
static int fit_head(struct omq_onnx_builder *b, int node, const char *name, struct omq_node *n,
                    bool *skipped)
{
    char weight[OMQ_NAME_SIZE + 8];

    snprintf(weight, sizeof(weight), "%s.weight", name);
    *skipped = omq_name_skipped(b->want->init, weight);
    if (*skipped)
        n->channels = b->want->n_classes;
    if (n->channels != b->want->n_classes)
        return omq_onnx_refuse(&b->in, node, b->err, "makes %d outputs, but there are %d classes; "
                               "--skip '%s' begins with a new last layer", n->channels,
                               b->want->n_classes, name);
    return OMQ_OK;
}

/* What a Gemm or MatMul multiplies with. */
struct matrix {
    const struct omq_onnx_tensor_in *w, *bias;
    bool by_rows;         /* w is [out][in] */
    uint64_t n_out, n_in;
    int last;             /* the node itself, or the Add of its bias */
};

static int get_matrix(const struct omq_onnx_builder *b, int node, const struct omq_onnx_fact *x,
                      struct matrix *m)
{
    const bool is_gemm = is_op(b, node, "Gemm");
    const struct omq_onnx_attribute alpha = omq_onnx_attribute_of(&b->in, node, "alpha"),
                                    beta = omq_onnx_attribute_of(&b->in, node, "beta");
    const struct omq_node *in = omq_onnx_origin(b, x);
    int rc = omq_onnx_constant(b, node, 1, &m->w), add;

    if (rc < 0)
        return rc;
    if (!x->flat || m->w->ndim != 2 || omq_onnx_attribute_int(&b->in, node, "transA", 0) != 0 ||
        (alpha.present && alpha.f != 1) || (beta.present && beta.f != 1))
        return omq_onnx_refuse(&b->in, node, b->err, "is no linear layer over what was flattened");
    m->by_rows = is_gemm && omq_onnx_attribute_int(&b->in, node, "transB", 0) != 0;
    m->n_out = m->w->dims[m->by_rows ? 0 : 1];
    m->n_in = m->w->dims[m->by_rows ? 1 : 0];
    if (m->n_out > 1 << 20 || m->n_in != (uint64_t)in->h * (uint64_t)in->w * (uint64_t)in->c)
        return omq_onnx_refuse(&b->in, node, b->err, "takes %llu values, but there are %d x %d x "
                               "%d: is the network for images of another size?",
                               (unsigned long long)m->n_in, in->h, in->w, in->c);
    m->last = node;
    if (is_gemm)
        return get_bias(b, node, 2, m->n_out, &m->bias);
    if ((add = added_bias(b, node, m->n_out, &m->bias)) >= 0)
        m->last = add;
    return OMQ_OK;
}

int omq_onnx_build_linear(struct omq_onnx_builder *b, int node)
{
    struct omq_onnx_fact *out = &b->facts[b->in.nodes[node].out[0]];
    const struct omq_onnx_fact *x;
    char name[OMQ_NAME_SIZE];
    struct omq_node n = {.op = OMQ_OP_LINEAR};
    struct matrix m;
    bool skipped = false, head;
    int rc;

    if ((rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_FLAT, &x)) < 0 ||
        (rc = get_matrix(b, node, x, &m)) < 0)
        return rc;
    omq_onnx_name_node(b, node, 1, name);
    head = is_head(b, m.last);
    n.channels = (int)m.n_out;
    n.bias = m.bias && head;
    n.in[0] = x->node;
    if (head && (rc = fit_head(b, node, name, &n, &skipped)) < 0)
        return rc;
    if ((rc = omq_onnx_put(b, node, name, n, true)) < 0)
        return rc;
    snprintf(name, sizeof(name), "%s", b->out->graph.nodes[out->node].name);
    if (!skipped && ((rc = take_matrix(b, name, m.w, !m.by_rows, m.n_out, m.n_in)) < 0 ||
                     (rc = finish_layer(b, node, name, m.bias, sole_reader(b, m.last), head)) < 0))
        return rc;
    out->has_bias = m.last != node;
    return OMQ_OK;
}
