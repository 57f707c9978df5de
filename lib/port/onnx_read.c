/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include "port/onnx_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "port/onnx_build.h"

#define MAX_BYTES ((size_t)INT32_MAX) /* where protocol buffers end */

/* Arrays of floats per byte of the file: of a depthwise layer of halves with a norm that
 * is put behind it there are ten bytes a byte. */
enum { MOST_TIMES = 16, MOST_MORE = 1 << 20 };

/* ---- for the operators ---- */

const struct omq_onnx_fact *omq_onnx_fact_of(const struct omq_onnx_builder *b, int node, int k)
{
    const struct omq_onnx_node_in *n = &b->in.nodes[node];

    return k < n->n_in && n->in[k] >= 0 ? &b->facts[n->in[k]] : NULL;
}

int omq_onnx_image(const struct omq_onnx_builder *b, int node, int k, unsigned allowed,
                   const struct omq_onnx_fact **out)
{
    const struct omq_onnx_fact *f = omq_onnx_fact_of(b, node, k);

    if (!f || f->kind != OMQ_FACT_IMAGE)
        return omq_onnx_refuse(&b->in, node, b->err, "reads as its input %d what is not computed "
                               "from the images", k);
    if (f->pad && !(allowed & OMQ_ALLOW_PAD))
        return omq_onnx_refuse(&b->in, node, b->err, "reads a padded image: only convolutions and "
                               "averages can");
    if ((f->steps[0] || f->steps[1]) && !(allowed & OMQ_ALLOW_STEPS))
        return omq_onnx_refuse(&b->in, node, b->err, "reads a part of the pixels: only a shortcut "
                               "(Pad) can");
    if (f->flat && !(allowed & OMQ_ALLOW_FLAT))
        return omq_onnx_refuse(&b->in, node, b->err, "reads what was flattened");
    if (f->has_bias)
        return omq_onnx_refuse(&b->in, node, b->err, "reads a sum before its bias");
    *out = f;
    return OMQ_OK;
}

int omq_onnx_constant(const struct omq_onnx_builder *b, int node, int k,
                      const struct omq_onnx_tensor_in **out)
{
    const struct omq_onnx_fact *f = omq_onnx_fact_of(b, node, k);

    /* of these types the values are known to be there, all of them */
    if (!f || f->kind != OMQ_FACT_TENSOR ||
        (f->tensor.elem != OMQ_ONNX_FLOAT && f->tensor.elem != OMQ_ONNX_DOUBLE &&
         f->tensor.elem != OMQ_ONNX_FLOAT16 && f->tensor.elem != OMQ_ONNX_BFLOAT16))
        return omq_onnx_refuse(&b->in, node, b->err, "reads as its input %d what is no constant of "
                               "floats", k);
    *out = &f->tensor;
    return OMQ_OK;
}

static bool is_taken(const struct omq_graph *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0)
            return true;
    return false;
}

int omq_onnx_put(struct omq_onnx_builder *b, int node, const char *name, struct omq_node n,
                 bool flat)
{
    struct omq_graph *g = &b->out->graph;
    char text[128];
    int rc;

    snprintf(n.name, sizeof(n.name), "%.*s", OMQ_NODE_NAME_MAX, name);
    for (int k = g->n_nodes; is_taken(g, n.name); k++)
        snprintf(n.name, sizeof(n.name), "%.*s_%d", OMQ_NODE_NAME_MAX - 8, name, k);
    if ((rc = omq_graph_add(g, &n, b->err)) < 0)
        return omq_wrap(b->err, rc, "'%s': node '%s'", b->in.path,
                        omq_onnx_node_text(&b->in, node, text));
    b->facts[b->in.nodes[node].out[0]] =
        (struct omq_onnx_fact){.kind = OMQ_FACT_IMAGE, .node = rc, .flat = flat};
    return OMQ_OK;
}

int omq_onnx_over(struct omq_onnx_builder *b, int node, const struct omq_onnx_fact *x,
                  struct omq_node n, bool flat)
{
    char name[OMQ_NAME_SIZE];

    n.in[0] = x->node;
    omq_onnx_name_node(b, node, 0, name);
    return omq_onnx_put(b, node, name, n, flat);
}

const struct omq_node *omq_onnx_origin(const struct omq_onnx_builder *b,
                                       const struct omq_onnx_fact *x)
{
    return &b->out->graph.nodes[x->node];
}

int omq_onnx_pass(struct omq_onnx_builder *b, int node, int k)
{
    const struct omq_onnx_fact *f = omq_onnx_fact_of(b, node, k);

    if (!f || f->kind != OMQ_FACT_IMAGE)
        return omq_onnx_refuse(&b->in, node, b->err, "reads what is not computed from the images");
    b->facts[b->in.nodes[node].out[0]] = *f;
    return OMQ_OK;
}

float *omq_onnx_room(struct omq_onnx_builder *b, size_t n)
{
    size_t n_bytes;

    if (!omq_mul_size(n, sizeof(float), &n_bytes) ||
        !omq_add_size(b->n_bytes, n_bytes, &b->n_bytes) || b->n_bytes > b->most_bytes) {
        (void)omq_fail(b->err, OMQ_EUNSUP, "the layers of '%s' have far more weights than it "
                       "holds: are some used in many layers?", b->in.path);
        return NULL;
    }
    return (float *)(void *)omq_source_room(&b->out->weights, n_bytes, b->err);
}

float *omq_onnx_array(struct omq_onnx_builder *b, const char *layer, const char *part, int ndim,
                      const uint64_t *dims)
{
    char name[OMQ_NAME_SIZE + 32];
    struct omq_source_array *a;
    size_t n_bytes;

    snprintf(name, sizeof(name), "%s.%s", layer, part);
    if (!(a = omq_source_add(&b->out->weights, name, strlen(name), b->err)))
        return NULL;
    a->type = OMQ_SOURCE_F32;
    a->ndim = ndim;
    memcpy(a->dims, dims, sizeof(*dims) * (size_t)ndim);
    if (!omq_source_count(a, sizeof(float), &n_bytes)) {
        (void)omq_fail(b->err, OMQ_EUNSUP, "'%s' of '%s' is too large", name, b->in.path);
        return NULL;
    }
    a->n_bytes = n_bytes;
    a->bytes = (uint8_t *)omq_onnx_room(b, a->n);
    return (float *)(uintptr_t)a->bytes;
}

/* ---- names ---- */

/* "layer1.0.conv1.weight" -> "layer1.0.conv1". */
static bool name_of_weights(struct omq_span s, char name[OMQ_NAME_SIZE])
{
    static const char end[] = ".weight";
    const size_t n_end = sizeof(end) - 1;

    if (s.n <= n_end || s.n - n_end > OMQ_NODE_NAME_MAX ||
        memcmp(s.p + s.n - n_end, end, n_end) != 0)
        return false;
    memcpy(name, s.p, s.n - n_end);
    name[s.n - n_end] = 0;
    return true;
}

/* "/layer1/layer1.0/conv1/Conv" -> "layer1.0.conv1": each part names a module, by
 * itself or with those it is in; the last one is the operator. */
static bool name_of_path(struct omq_span s, char name[OMQ_NAME_SIZE])
{
    size_t last = 0, n_name = 0;

    name[0] = 0;
    if (s.n == 0 || s.p[0] != '/')
        return false;
    for (size_t at = 1; at < s.n;) {
        const char *part = (const char *)s.p + at;
        const char *end = memchr(part, '/', s.n - at);
        size_t n = end ? (size_t)(end - part) : s.n - at, n_last = n_name - last;

        if (!end)
            break;
        if (n_last > 0 && n > n_last && memcmp(part, name + last, n_last) == 0 &&
            part[n_last] == '.') {
            n_name = last; /* it repeats the part before */
        } else if (n_name > 0) {
            name[n_name++] = '.';
            last = n_name;
        }
        if (n == 0 || n_name + n > OMQ_NODE_NAME_MAX)
            return false;
        memcpy(name + n_name, part, n);
        n_name += n;
        name[n_name] = 0;
        at += n + 1;
    }
    return n_name > 0;
}

static bool is_valid(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= OMQ_NODE_NAME_MAX && omq_ckpt_name_valid(name, n) && !strchr(name, '@') &&
           !(n >= 3 && strcmp(name + n - 3, ".in") == 0) &&
           !(n >= 4 && strcmp(name + n - 4, ".out") == 0);
}

void omq_onnx_name_node(const struct omq_onnx_builder *b, int node, int weight,
                        char name[OMQ_NAME_SIZE])
{
    const struct omq_onnx_node_in *n = &b->in.nodes[node];
    char op[32];

    if (weight > 0 && weight < n->n_in && n->in[weight] >= 0 &&
        name_of_weights(b->in.values[n->in[weight]].name, name) && is_valid(name))
        return;
    if (name_of_path(n->name, name) && is_valid(name))
        return;
    omq_span_text(n->op, op, sizeof(op));
    for (char *c = op; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A')
             : (*c >= 'a' && *c <= 'z') ? *c : '_';
    snprintf(name, OMQ_NAME_SIZE, "%s_%d", op, node);
}

/* ---- the whole ---- */

/* [N, c, h, w] of floats, where the file says so. */
static int check_input(struct omq_onnx_builder *b)
{
    static const uint32_t way[] = {ONNX_VALUE_TYPE, ONNX_TYPE_TENSOR};
    struct omq_span message = b->in.input_info, shape = {0};
    struct omq_fields fields;
    struct omq_field f, g;
    uint64_t elem = OMQ_ONNX_FLOAT;
    int n_dims = 0;

    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
        struct omq_span inner = {0};

        for (fields = omq_fields_of(message); omq_fields_next(&fields, &f);)
            if (f.number == way[i] && f.wire == OMQ_WIRE_BYTES)
                inner = f.bytes;
        message = inner;
    }
    for (fields = omq_fields_of(message); omq_fields_next(&fields, &f);) {
        if (f.number == ONNX_TYPE_TENSOR_ELEM)
            elem = f.value;
        else if (f.number == ONNX_TYPE_TENSOR_SHAPE && f.wire == OMQ_WIRE_BYTES)
            shape = f.bytes;
    }
    if (elem != OMQ_ONNX_FLOAT)
        return omq_fail(b->err, OMQ_EUNSUP, "the input of '%s' is not of type float", b->in.path);
    for (fields = omq_fields_of(shape); omq_fields_next(&fields, &f);) {
        struct omq_fields dim = omq_fields_of(f.bytes);

        if (f.number != ONNX_SHAPE_DIM || f.wire != OMQ_WIRE_BYTES)
            continue;
        while (n_dims < 2 && omq_fields_next(&dim, &g))
            if (g.number == ONNX_DIM_VALUE && n_dims == 0)
                b->n_images = g.value < INT32_MAX ? (int64_t)g.value : 0;
            else if (g.number == ONNX_DIM_VALUE && g.value != (uint64_t)b->want->c)
                return omq_fail(b->err, OMQ_EUNSUP, "'%s' takes images of %llu channels, but those "
                                "of the data have %d", b->in.path, (unsigned long long)g.value,
                                b->want->c);
        n_dims++;
    }
    if (n_dims != 0 && n_dims != 4)
        return omq_fail(b->err, OMQ_EUNSUP, "the input of '%s' has %d dimensions: images have 4",
                        b->in.path, n_dims);
    return OMQ_OK;
}

static int build(struct omq_onnx_builder *b)
{
    const struct omq_onnx_want *w = b->want;
    struct omq_onnx_net *out = b->out;
    int rc;

    if ((rc = check_input(b)) < 0 || (rc = omq_onnx_order(b)) < 0 ||
        (rc = omq_graph_init(&out->graph, w->h, w->w, w->c, b->err)) < 0)
        return rc;
    b->facts = calloc((size_t)b->in.n_values + 1, sizeof(*b->facts));
    out->added = calloc((size_t)b->n_order + 1, sizeof(*out->added));
    if (!b->facts || !out->added)
        return omq_fail(b->err, OMQ_ENOMEM, "cannot allocate the graph of '%s'", b->in.path);
    for (int v = 0; v < b->in.n_values; v++)
        if (b->in.values[v].tensor >= 0)
            b->facts[v] = omq_onnx_fact_of_tensor(&b->in.tensors[b->in.values[v].tensor]);
    b->facts[b->in.input] = (struct omq_onnx_fact){.kind = OMQ_FACT_IMAGE};
    for (int i = 0; i < b->n_order; i++)
        if ((rc = omq_onnx_build_node(b, b->order[i])) < 0)
            return rc;
    if (out->graph.nodes[out->graph.n_nodes - 1].c != w->n_classes)
        return omq_fail(b->err, OMQ_EUNSUP, "'%s' makes %d outputs, but there are %d classes",
                        b->in.path, out->graph.nodes[out->graph.n_nodes - 1].c, w->n_classes);
    return omq_source_seal(&out->weights, b->err);
}

int omq_onnx_net_parse(struct omq_onnx_net *out, const char *path, uint8_t *bytes, size_t n,
                       const struct omq_onnx_want *want, struct omq_err *err)
{
    struct omq_onnx_builder b = {.out = out, .want = want, .err = err,
                                 .most_bytes = n < SIZE_MAX / 2 / MOST_TIMES
                                                   ? n * MOST_TIMES + MOST_MORE : SIZE_MAX};
    int rc;

    *out = (struct omq_onnx_net){.weights = {.file = bytes, .n_bytes = n, .path = strdup(path)}};
    if (!out->weights.path)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    else
        rc = omq_onnx_in_init(&b.in, out->weights.path, (struct omq_span){bytes, n}, err);
    if (rc == OMQ_OK)
        rc = build(&b);
    omq_onnx_in_release(&b.in);
    free(b.facts);
    free(b.order);
    if (rc < 0)
        omq_onnx_net_release(out);
    return rc;
}

int omq_onnx_net_open(struct omq_onnx_net *out, const char *path, const struct omq_onnx_want *want,
                      struct omq_err *err)
{
    uint8_t *bytes;
    size_t n;
    int rc = omq_file_read(path, MAX_BYTES, &bytes, &n, err);

    return rc < 0 ? rc : omq_onnx_net_parse(out, path, bytes, n, want, err);
}

void omq_onnx_net_release(struct omq_onnx_net *n)
{
    omq_graph_release(&n->graph);
    omq_source_release(&n->weights);
    free(n->added);
    *n = (struct omq_onnx_net){0};
}
