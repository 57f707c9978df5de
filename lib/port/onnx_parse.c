/* SPDX-License-Identifier: MIT */
#include "port/onnx_parse.h"

#include <stdlib.h>
#include <string.h>

enum { MIN_OPSET = 7, MAX_OPSET = 25 };

/* A name that is mentioned, and where the number of its value goes. */
struct mention {
    struct omq_span name;
    int *slot;
};

/* What is collected before the names have numbers. */
struct parser {
    struct omq_onnx_in *m;
    struct omq_span graph;
    int n_inputs, n_outputs, n_mentions, at_ref;
    struct mention *mentions;
    int *tensor_values, *input_values; /* slots of tensors, and of the graph's inputs */
    struct omq_span *input_infos;
    struct omq_err *err;
};

static int damaged(const struct parser *p, const char *what)
{
    return omq_fail(p->err, OMQ_EFORMAT, "'%s' is no ONNX model, or damaged: %s", p->m->path, what);
}

static int get_opset(struct parser *p, struct omq_span message)
{
    struct omq_fields fields = omq_fields_of(message);
    struct omq_span domain = {0};
    struct omq_field f;
    uint64_t version = 0;

    while (omq_fields_next(&fields, &f)) {
        if (f.number == ONNX_OPSET_DOMAIN)
            domain = f.bytes;
        else if (f.number == ONNX_OPSET_VERSION)
            version = f.value;
    }
    if (domain.n > 0 && !omq_span_is(domain, "ai.onnx"))
        return OMQ_OK; /* whoever uses it is refused by name */
    p->m->opset = version;
    if (version < MIN_OPSET || version > MAX_OPSET)
        return omq_fail(p->err, OMQ_EUNSUP, "'%s' has opset %llu; %d to %d are read", p->m->path,
                        (unsigned long long)version, MIN_OPSET, MAX_OPSET);
    return OMQ_OK;
}

static int get_model(struct parser *p, struct omq_span file)
{
    struct omq_fields fields = omq_fields_of(file);
    struct omq_field f;
    int rc;

    while (omq_fields_next(&fields, &f)) {
        if (f.wire != OMQ_WIRE_BYTES)
            continue;
        if (f.number == ONNX_MODEL_GRAPH)
            p->graph = f.bytes;
        else if (f.number == ONNX_MODEL_OPSET && (rc = get_opset(p, f.bytes)) < 0)
            return rc;
    }
    if (fields.failed || p->graph.n == 0)
        return damaged(p, "it holds no graph");
    if (p->m->opset == 0)
        return damaged(p, "it does not say its opset");
    return OMQ_OK;
}

/* How many there are of what is allocated. */
static int count_graph(struct parser *p)
{
    struct omq_fields fields = omq_fields_of(p->graph), inner;
    size_t nodes = 0, tensors = 0, inputs = 0, outputs = 0, refs = 0;
    struct omq_field f, g;

    while (omq_fields_next(&fields, &f)) {
        if (f.wire != OMQ_WIRE_BYTES)
            continue;
        tensors += f.number == ONNX_GRAPH_INITIALIZER;
        inputs += f.number == ONNX_GRAPH_INPUT;
        outputs += f.number == ONNX_GRAPH_OUTPUT;
        nodes += f.number == ONNX_GRAPH_NODE;
        if (f.number == ONNX_GRAPH_SPARSE_INITIALIZER)
            return omq_fail(p->err, OMQ_EUNSUP, "'%s' has sparse weights", p->m->path);
        if (f.number != ONNX_GRAPH_NODE)
            continue;
        for (inner = omq_fields_of(f.bytes); omq_fields_next(&inner, &g);)
            refs += g.number == ONNX_NODE_INPUT || g.number == ONNX_NODE_OUTPUT;
        if (inner.failed)
            return damaged(p, "a node cannot be read");
    }
    if (fields.failed)
        return damaged(p, "its graph cannot be read");
    if (nodes > OMQ_ONNX_MAX_NODES || refs > OMQ_ONNX_MAX_REFS || tensors > OMQ_ONNX_MAX_TENSORS ||
        inputs > OMQ_ONNX_MAX_TENSORS || outputs > OMQ_ONNX_MAX_TENSORS)
        return omq_fail(p->err, OMQ_EUNSUP, "'%s' has %zu nodes of %zu inputs and outputs, and %zu "
                        "tensors: %d, %d and %d are possible", p->m->path, nodes, refs, tensors,
                        OMQ_ONNX_MAX_NODES, OMQ_ONNX_MAX_REFS, OMQ_ONNX_MAX_TENSORS);
    p->m->n_nodes = (int)nodes;
    p->m->n_tensors = (int)tensors;
    p->m->n_refs = (int)refs;
    p->n_inputs = (int)inputs;
    p->n_outputs = (int)outputs;
    return OMQ_OK;
}

static void mention(struct parser *p, struct omq_span name, int *slot)
{
    *slot = -1;
    if (name.n > 0)
        p->mentions[p->n_mentions++] = (struct mention){name, slot};
}

static void get_node(struct parser *p, struct omq_span message, struct omq_onnx_node_in *n)
{
    struct omq_fields fields;
    struct omq_field f;

    *n = (struct omq_onnx_node_in){.message = message};
    for (uint32_t part = ONNX_NODE_INPUT; part <= ONNX_NODE_OUTPUT; part++) {
        int first = p->at_ref;

        for (fields = omq_fields_of(message); omq_fields_next(&fields, &f);)
            if (f.number == part)
                mention(p, f.bytes, &p->m->refs[p->at_ref++]);
        *(part == ONNX_NODE_INPUT ? &n->in : &n->out) = p->m->refs + first;
        *(part == ONNX_NODE_INPUT ? &n->n_in : &n->n_out) = p->at_ref - first;
    }
    for (fields = omq_fields_of(message); omq_fields_next(&fields, &f);) {
        if (f.number == ONNX_NODE_NAME)
            n->name = f.bytes;
        else if (f.number == ONNX_NODE_OP)
            n->op = f.bytes;
        else if (f.number == ONNX_NODE_DOMAIN)
            n->domain = f.bytes;
    }
}

static struct omq_span value_name(struct omq_span message)
{
    struct omq_fields fields = omq_fields_of(message);
    struct omq_field f;

    while (omq_fields_next(&fields, &f))
        if (f.number == ONNX_VALUE_NAME && f.wire == OMQ_WIRE_BYTES)
            return f.bytes;
    return (struct omq_span){0};
}

static int get_graph(struct parser *p)
{
    struct omq_fields fields = omq_fields_of(p->graph);
    int nodes = 0, tensors = 0, inputs = 0, rc;
    struct omq_field f;

    while (omq_fields_next(&fields, &f)) {
        if (f.wire != OMQ_WIRE_BYTES)
            continue;
        if (f.number == ONNX_GRAPH_NODE) {
            get_node(p, f.bytes, &p->m->nodes[nodes++]);
        } else if (f.number == ONNX_GRAPH_INITIALIZER) {
            struct omq_onnx_tensor_in *t = &p->m->tensors[tensors];

            if ((rc = omq_onnx_tensor_parse(t, f.bytes, p->err)) < 0)
                return omq_wrap(p->err, rc, "cannot read '%s'", p->m->path);
            mention(p, t->name, &p->tensor_values[tensors++]);
        } else if (f.number == ONNX_GRAPH_INPUT) {
            p->input_infos[inputs] = f.bytes;
            mention(p, value_name(f.bytes), &p->input_values[inputs++]);
        } else if (f.number == ONNX_GRAPH_OUTPUT) {
            mention(p, value_name(f.bytes), &p->m->output);
        }
    }
    return OMQ_OK;
}

/* ---- values ---- */

static int by_name(const void *a, const void *b)
{
    const struct omq_span *x = &((const struct mention *)a)->name;
    const struct omq_span *y = &((const struct mention *)b)->name;

    if (x->n != y->n)
        return x->n < y->n ? -1 : 1;
    return memcmp(x->p, y->p, x->n);
}

static void number_names(struct parser *p)
{
    struct omq_onnx_in *m = p->m;

    qsort(p->mentions, (size_t)p->n_mentions, sizeof(*p->mentions), by_name);
    for (int i = 0; i < p->n_mentions; i++) {
        if (i == 0 || by_name(&p->mentions[i - 1], &p->mentions[i]) != 0)
            m->values[m->n_values++] = (struct omq_onnx_value_in){
                .name = p->mentions[i].name, .producer = -1, .tensor = -1, .reader = -1};
        *p->mentions[i].slot = m->n_values - 1;
    }
}

static int make_twice(const struct parser *p, int value)
{
    char name[128];

    return omq_fail(p->err, OMQ_EFORMAT, "'%s' is damaged: '%s' is made twice", p->m->path,
                    omq_span_text(p->m->values[value].name, name, sizeof(name)));
}

static bool is_made(const struct omq_onnx_value_in *v)
{
    return v->tensor >= 0 || v->is_input || v->producer >= 0;
}

/* The initializers, and the one input that is none. */
static int link_ends(struct parser *p)
{
    struct omq_onnx_in *m = p->m;

    for (int i = 0; i < m->n_tensors; i++) {
        int v = p->tensor_values[i];

        if (v < 0)
            return damaged(p, "an initializer has no name");
        if (is_made(&m->values[v]))
            return make_twice(p, v);
        m->values[v].tensor = i;
    }
    m->input = -1;
    for (int i = 0; i < p->n_inputs; i++) {
        int v = p->input_values[i];

        if (v < 0 || m->values[v].tensor >= 0) /* old files list these too */
            continue;
        if (m->input >= 0)
            return omq_fail(p->err, OMQ_EUNSUP, "'%s' has more than one input: a network takes "
                            "images only", m->path);
        m->values[v].is_input = true;
        m->input = v;
        m->input_info = p->input_infos[i];
    }
    if (m->input < 0 || p->n_outputs != 1 || m->output < 0)
        return omq_fail(p->err, OMQ_EUNSUP, "'%s' has %s, %d outputs: a network has one of each",
                        m->path, m->input < 0 ? "no input" : "one input", p->n_outputs);
    m->values[m->output].is_output = true;
    return OMQ_OK;
}

static int link_nodes(struct parser *p)
{
    struct omq_onnx_in *m = p->m;
    char name[128];

    for (int i = 0; i < m->n_nodes; i++) {
        const struct omq_onnx_node_in *n = &m->nodes[i];

        if (n->n_in > OMQ_ONNX_MAX_INPUTS)
            return omq_onnx_refuse(m, i, p->err, "reads %d values: the limit is %d", n->n_in,
                                   OMQ_ONNX_MAX_INPUTS);
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0 && !is_made(&m->values[n->in[k]]))
                return omq_onnx_refuse(m, i, p->err, "reads '%s', which nothing before it makes",
                                       omq_span_text(m->values[n->in[k]].name, name,
                                                     sizeof(name)));
        if (n->n_out < 1 || n->out[0] < 0)
            return omq_onnx_refuse(m, i, p->err, "does not make its first output");
        for (int k = 0; k < n->n_out; k++) {
            if (n->out[k] < 0)
                continue;
            if (is_made(&m->values[n->out[k]]))
                return make_twice(p, n->out[k]);
            m->values[n->out[k]].producer = i;
        }
    }
    return OMQ_OK;
}

static int allocate(struct parser *p)
{
    struct omq_onnx_in *m = p->m;
    size_t inputs = (size_t)p->n_inputs, tensors = (size_t)m->n_tensors;
    size_t mentions = (size_t)m->n_refs + tensors + inputs + (size_t)p->n_outputs;

    m->nodes = calloc((size_t)m->n_nodes + 1, sizeof(*m->nodes));
    m->refs = calloc((size_t)m->n_refs + 1, sizeof(*m->refs));
    m->tensors = calloc(tensors + 1, sizeof(*m->tensors));
    m->values = calloc(mentions + 1, sizeof(*m->values));
    p->mentions = calloc(mentions + 1, sizeof(*p->mentions));
    p->tensor_values = calloc(tensors + 1, sizeof(*p->tensor_values));
    p->input_values = calloc(inputs + 1, sizeof(*p->input_values));
    p->input_infos = calloc(inputs + 1, sizeof(*p->input_infos));
    if (!m->nodes || !m->refs || !m->tensors || !m->values || !p->mentions || !p->tensor_values ||
        !p->input_values || !p->input_infos)
        return omq_fail(p->err, OMQ_ENOMEM, "cannot allocate the graph of '%s'", m->path);
    return OMQ_OK;
}

int omq_onnx_in_init(struct omq_onnx_in *m, const char *path, struct omq_span file,
                     struct omq_err *err)
{
    struct parser p = {.m = m, .err = err};
    int rc;

    *m = (struct omq_onnx_in){.path = path, .output = -1};
    if ((rc = get_model(&p, file)) == OMQ_OK && (rc = count_graph(&p)) == OMQ_OK &&
        (rc = allocate(&p)) == OMQ_OK && (rc = get_graph(&p)) == OMQ_OK) {
        number_names(&p);
        if ((rc = link_ends(&p)) == OMQ_OK)
            rc = link_nodes(&p);
    }
    free(p.mentions);
    free(p.tensor_values);
    free(p.input_values);
    free(p.input_infos);
    if (rc < 0)
        omq_onnx_in_release(m);
    return rc;
}

void omq_onnx_in_release(struct omq_onnx_in *m)
{
    free(m->nodes);
    free(m->refs);
    free(m->tensors);
    free(m->values);
    *m = (struct omq_onnx_in){0};
}
