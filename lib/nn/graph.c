/* SPDX-License-Identifier: MIT */
#include "nn/nn_internal.h"

#include <stdlib.h>
#include <string.h>

int omq_shape_same(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *in = &g->nodes[node->in[0]];

    (void)err;
    node->h = in->h;
    node->w = in->w;
    node->c = in->c;
    return OMQ_OK;
}

static int shape_flatten(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *in = &g->nodes[node->in[0]];
    int n;

    if (__builtin_mul_overflow(in->h, in->w, &n) || __builtin_mul_overflow(n, in->c, &n))
        return omq_fail(err, OMQ_ECONFIG, "node '%s' is too large", node->name);
    node->h = node->w = 1;
    node->c = n;
    return OMQ_OK;
}

static const struct omq_op_row op_input = {"input", 0, omq_shape_same};
static const struct omq_op_row op_flatten = {"flatten", 1, shape_flatten};

static const struct omq_op_row *const ops[OMQ_OP_COUNT] = {
    [OMQ_OP_INPUT] = &op_input,
    [OMQ_OP_CONV] = &omq_op_conv,
    [OMQ_OP_LINEAR] = &omq_op_linear,
    [OMQ_OP_BATCHNORM] = &omq_op_batchnorm,
    [OMQ_OP_RELU] = &omq_op_relu,
    [OMQ_OP_ADD] = &omq_op_add,
    [OMQ_OP_MAXPOOL] = &omq_op_maxpool,
    [OMQ_OP_AVGPOOL] = &omq_op_avgpool,
    [OMQ_OP_GLOBALPOOL] = &omq_op_globalpool,
    [OMQ_OP_FLATTEN] = &op_flatten,
    [OMQ_OP_CONCAT] = &omq_op_concat,
    [OMQ_OP_SHORTCUT] = &omq_op_shortcut,
};

const char *omq_op_name(enum omq_op op) { return ops[op]->name; }

bool omq_op_parse(const char *name, enum omq_op *op)
{
    for (int i = 0; i < OMQ_OP_COUNT; i++)
        if (strcmp(ops[i]->name, name) == 0) {
            *op = (enum omq_op)i;
            return true;
        }
    return false;
}

int omq_graph_init(struct omq_graph *g, int h, int w, int c, struct omq_err *err)
{
    *g = (struct omq_graph){0};
    if (h < 1 || w < 1 || c < 1 || h > 16384 || w > 16384 || c > OMQ_MAX_CHANNELS)
        return omq_fail(err, OMQ_ECONFIG, "cannot take images of %d x %d x %d", h, w, c);
    g->nodes = calloc(1, sizeof(*g->nodes));
    if (!g->nodes)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a graph");
    g->nodes[0] = (struct omq_node){.op = OMQ_OP_INPUT, .name = "input", .in = {-1, -1},
                                    .h = h, .w = w, .c = c};
    g->n_nodes = 1;
    return OMQ_OK;
}

int omq_graph_copy(struct omq_graph *to, const struct omq_graph *from, struct omq_err *err)
{
    *to = (struct omq_graph){.nodes = calloc((size_t)from->n_nodes, sizeof(*to->nodes))};
    if (!to->nodes)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a graph");
    memcpy(to->nodes, from->nodes, sizeof(*to->nodes) * (size_t)from->n_nodes);
    to->n_nodes = from->n_nodes;
    return OMQ_OK;
}

void omq_graph_release(struct omq_graph *g)
{
    free(g->nodes);
    *g = (struct omq_graph){0};
}

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), n_end = strlen(end);

    return n >= n_end && strcmp(s + n - n_end, end) == 0;
}

/* Parameters are stored as NAME.weight@w4a8, and quantizers of activations are
 * called NAME.in and NAME.out. */
static int check_name(const char *name, struct omq_err *err)
{
    if (strlen(name) > OMQ_NODE_NAME_MAX)
        return omq_fail(err, OMQ_EARG, "the node name '%s' is longer than %d bytes", name,
                        OMQ_NODE_NAME_MAX);
    if (!omq_ckpt_name_valid(name, strlen(name)) || strchr(name, '@'))
        return omq_fail(err, OMQ_EARG, "'%s' is not a valid node name: it is UTF-8 without '/', "
                        "'@' and control characters", name);
    if (ends_in(name, ".in") || ends_in(name, ".out"))
        return omq_fail(err, OMQ_EARG, "'%s' is not a valid node name: '.in' and '.out' belong to "
                        "quantizers", name);
    return OMQ_OK;
}

static int check_node(const struct omq_graph *g, const struct omq_node *node, struct omq_err *err)
{
    int rc;

    if (node->op <= OMQ_OP_INPUT || node->op >= OMQ_OP_COUNT)
        return omq_fail(err, OMQ_EARG, "node '%s' has no valid operator", node->name);
    if ((rc = check_name(node->name, err)) < 0)
        return rc;
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, node->name) == 0)
            return omq_fail(err, OMQ_EARG, "two nodes are named '%s'", node->name);
    for (int i = 0; i < ops[node->op]->n_in; i++)
        if (node->in[i] < 0 || node->in[i] >= g->n_nodes)
            return omq_fail(err, OMQ_EARG, "node '%s' reads a node that does not exist",
                            node->name);
    return OMQ_OK;
}

int omq_graph_add(struct omq_graph *g, const struct omq_node *node, struct omq_err *err)
{
    struct omq_node copy = *node, *grown;
    int rc;

    copy.name[OMQ_NAME_SIZE - 1] = 0;
    if ((rc = check_node(g, &copy, err)) < 0)
        return rc;
    if (g->n_nodes == OMQ_MAX_NODES)
        return omq_fail(err, OMQ_EUNSUP, "the network has more than %d operators", OMQ_MAX_NODES);
    for (int i = ops[copy.op]->n_in; i < 2; i++)
        copy.in[i] = -1;
    if ((rc = ops[copy.op]->shape(g, &copy, err)) < 0)
        return rc;
    if ((uint64_t)copy.h * (uint64_t)copy.w * (uint64_t)copy.c > (1u << 28))
        return omq_fail(err, OMQ_EUNSUP, "the output of node '%s' is too large", copy.name);
    grown = realloc(g->nodes, sizeof(*grown) * (size_t)(g->n_nodes + 1));
    if (!grown)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a graph");
    g->nodes = grown;
    g->nodes[g->n_nodes] = copy;
    return g->n_nodes++;
}
