/* SPDX-License-Identifier: MIT
 *
 * Lowering: graph -> plan. Each convolution or linear layer takes the batch
 * norm, add and ReLU that follow it alone (fuse); sites.c then gives every
 * tensor its quantizer.
 */
#include "nn/nn_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct lowering {
    const struct omq_graph *g;
    struct omq_plan *p;
    int *tensor_of; /* [nodes]: the tensor that holds a node's output; -1 = none yet */
    struct omq_err *err;
};

/* The node that alone reads node i, or -1. */
static int sole_reader(const struct omq_graph *g, int i)
{
    int reader = -1;

    for (int j = i + 1; j < g->n_nodes; j++)
        for (int k = 0; k < 2; k++)
            if (g->nodes[j].in[k] == i) {
                if (reader >= 0)
                    return -1;
                reader = j;
            }
    return reader;
}

static bool reads(const struct omq_graph *g, int reader, enum omq_op op)
{
    return reader >= 0 && g->nodes[reader].op == op;
}

static struct omq_window window_of(const struct omq_node *in, const struct omq_node *n)
{
    bool whole = n->op == OMQ_OP_LINEAR || n->op == OMQ_OP_GLOBALPOOL;
    struct omq_window w = {.h = in->h, .w = in->w, .c = in->c, .c_count = in->c,
                           .oh = n->h, .ow = n->w, .ph = n->pad, .pw = n->pad};

    w.kh = whole ? in->h : n->kernel;
    w.kw = whole ? in->w : n->kernel;
    w.sh = w.sw = whole ? 1 : n->stride;
    if (n->op == OMQ_OP_CONV)
        w.c_count = in->c / n->groups;
    return w;
}

static int add_tensor(struct omq_plan *p, const struct omq_node *n)
{
    p->tensors[p->n_tensors] = (struct omq_tensor){.h = n->h, .w = n->w, .c = n->c, .site = -1};
    return p->n_tensors++;
}

/* Linear layers read through a flatten: as a convolution over the whole of
 * what was flattened, which keeps PyTorch's order of weights. */
static const struct omq_node *unflattened(const struct omq_graph *g, int i)
{
    while (g->nodes[i].op == OMQ_OP_FLATTEN)
        i = g->nodes[i].in[0];
    return &g->nodes[i];
}

/* The ReLU behind a node whose sole reader is `next`, or -1. Max pools may stand
 * between: the greatest value, cut off, is the greatest of those cut off. */
static int relu_behind(const struct omq_graph *g, int next)
{
    while (reads(g, next, OMQ_OP_MAXPOOL))
        next = sole_reader(g, next);
    return reads(g, next, OMQ_OP_RELU) ? next : -1;
}

/* Takes node i and what follows it alone into unit u and layer l; returns the
 * last node taken. */
static int fuse(struct lowering *w, int i, struct omq_unit *u, struct omq_layer *l)
{
    const struct omq_graph *g = w->g;
    int next = sole_reader(g, i), relu;

    w->tensor_of[i] = u->out;
    if (reads(g, next, OMQ_OP_BATCHNORM)) {
        snprintf(l->norm, sizeof(l->norm), "%s", g->nodes[next].name);
        w->tensor_of[i = next] = u->out;
        next = sole_reader(g, i);
    }
    if (reads(g, next, OMQ_OP_ADD)) {
        const struct omq_node *add = &g->nodes[next];
        int other = add->in[0] == i ? add->in[1] : add->in[0];

        if (w->tensor_of[other] >= 0) {
            u->res = w->tensor_of[other];
            w->tensor_of[i = next] = u->out;
            next = sole_reader(g, i);
        }
    }
    if ((relu = relu_behind(g, next)) >= 0) {
        u->relu = true;
        u->max = g->nodes[relu].max;
    }
    if (relu >= 0 && relu == next)
        w->tensor_of[i = next] = u->out;
    return i;
}

static void lower_layer(struct lowering *w, int i)
{
    const struct omq_node *n = &w->g->nodes[i];
    const struct omq_node *in = n->op == OMQ_OP_LINEAR ? unflattened(w->g, n->in[0])
                                                       : &w->g->nodes[n->in[0]];
    struct omq_plan *p = w->p;
    struct omq_layer *l = &p->layers[p->n_layers];
    struct omq_unit *u = &p->units[p->n_units++];

    *u = (struct omq_unit){.kind = OMQ_UNIT_CONV, .in = w->tensor_of[n->in[0]], .res = -1,
                           .groups = n->op == OMQ_OP_CONV ? n->groups : 1,
                           .win = window_of(in, n), .oc = n->c, .layer = p->n_layers++,
                           .out = add_tensor(p, n)};
    *l = (struct omq_layer){.out = n->c, .in = u->win.c_count, .kh = u->win.kh, .kw = u->win.kw,
                            .groups = u->groups, .bias = n->bias,
                            .linear = n->op == OMQ_OP_LINEAR};
    snprintf(l->name, sizeof(l->name), "%s", n->name);
    snprintf(u->name, sizeof(u->name), "%s", w->g->nodes[fuse(w, i, u, l)].name);
    p->tensors[u->out].is_signed = !u->relu;
    p->tensors[u->out].is_normed = l->norm[0] && u->res < 0;
    p->tensors[u->out].max = u->max;
}

static void lower_pool(struct lowering *w, int i, enum omq_unit_kind kind)
{
    const struct omq_node *n = &w->g->nodes[i];
    struct omq_plan *p = w->p;
    struct omq_unit *u = &p->units[p->n_units++];

    *u = (struct omq_unit){.kind = kind, .in = w->tensor_of[n->in[0]], .res = -1, .groups = 1,
                           .win = window_of(&w->g->nodes[n->in[0]], n), .oc = n->c, .layer = -1};
    snprintf(u->name, sizeof(u->name), "%s", n->name);
    u->out = w->tensor_of[i] = add_tensor(p, n);
    p->tensors[u->out].is_signed = p->tensors[u->in].is_signed;
    p->tensors[u->out].is_normed = p->tensors[u->in].is_normed;
    p->tensors[u->out].max = p->tensors[u->in].max;
}

/* What moves values and computes nothing: as a window of one pixel. */
static void lower_move(struct lowering *w, int i, enum omq_unit_kind kind)
{
    const struct omq_node *n = &w->g->nodes[i];
    struct omq_plan *p = w->p;
    const struct omq_tensor *a = &p->tensors[w->tensor_of[n->in[0]]], *b = NULL;
    struct omq_unit *u = &p->units[p->n_units++];
    const int stride = kind == OMQ_UNIT_SHORTCUT ? n->stride : 1;

    *u = (struct omq_unit){.kind = kind, .in = w->tensor_of[n->in[0]], .res = -1, .groups = 1,
                           .oc = n->c, .layer = -1,
                           .win = {.h = a->h, .w = a->w, .c = a->c, .c_count = a->c, .kh = 1,
                                   .kw = 1, .sh = stride, .sw = stride, .oh = n->h, .ow = n->w}};
    snprintf(u->name, sizeof(u->name), "%s", n->name);
    if (kind == OMQ_UNIT_CONCAT)
        b = &p->tensors[u->res = w->tensor_of[n->in[1]]];
    u->out = w->tensor_of[i] = add_tensor(p, n);
    p->tensors[u->out].is_signed = a->is_signed || (b && b->is_signed);
    p->tensors[u->out].is_normed = a->is_normed && (!b || b->is_normed);
    p->tensors[u->out].max = !b || a->max == b->max ? a->max : 0;
}

/* Codes stay in the order of pixels where PyTorch's flatten is in that of
 * channels: only linear layers set that right, by the order of their weights. */
static int check_flatten(const struct lowering *w, const struct omq_node *n)
{
    for (int k = 0; k < 2 && n->in[k] >= 0; k++) {
        const struct omq_node *image = unflattened(w->g, n->in[k]);

        if (image != &w->g->nodes[n->in[k]] && image->h * image->w > 1)
            return omq_fail(w->err, OMQ_EUNSUP, "the %s '%s' reads the flattened image of '%s': "
                            "only linear layers can", omq_op_name(n->op), n->name, image->name);
    }
    return OMQ_OK;
}

static int lower_node(struct lowering *w, int i);

/* What layer i could add must be there before it. If it is a layer that comes later,
 * with nothing between it and the sum, which alone reads it, that one adds layer i instead. */
static int lower_added(struct lowering *w, int i)
{
    const struct omq_graph *g = w->g;
    int next = sole_reader(g, i), other;
    enum omq_op op;

    if (reads(g, next, OMQ_OP_BATCHNORM))
        next = sole_reader(g, i = next);
    if (!reads(g, next, OMQ_OP_ADD))
        return OMQ_OK;
    other = g->nodes[next].in[g->nodes[next].in[0] == i];
    op = g->nodes[other].op;
    if ((op == OMQ_OP_CONV || op == OMQ_OP_LINEAR || op == OMQ_OP_BATCHNORM) &&
        sole_reader(g, other) == next)
        return OMQ_OK;
    return lower_node(w, other);
}

/* A ReLU of what has no values that it would change: behind a max pool, for one, where the
 * layer before that has taken it. */
static bool changes_nothing(const struct omq_node *relu, const struct omq_tensor *t)
{
    return !t->is_input && !t->is_signed &&
           (relu->max == 0 || (t->max > 0 && t->max <= relu->max));
}

/* A node that a unit has taken has its tensor already. */
static int lower_node(struct lowering *w, int i)
{
    const struct omq_node *n = &w->g->nodes[i];
    int rc;

    for (int k = 0; k < 2 && n->in[k] >= 0; k++)
        if (w->tensor_of[n->in[k]] < 0 && (rc = lower_node(w, n->in[k])) < 0)
            return rc;

    if (n->op != OMQ_OP_LINEAR && n->op != OMQ_OP_FLATTEN && (rc = check_flatten(w, n)) < 0)
        return rc;
    if (w->tensor_of[i] >= 0)
        return OMQ_OK;
    if (n->bias && reads(w->g, sole_reader(w->g, i), OMQ_OP_BATCHNORM))
        return omq_fail(w->err, OMQ_EUNSUP, "the %s '%s' has a bias and a batch norm behind it: "
                        "take the bias off the norm's mean", omq_op_name(n->op), n->name);
    switch (n->op) {
    case OMQ_OP_CONV:
    case OMQ_OP_LINEAR:
        if ((rc = lower_added(w, i)) < 0)
            return rc;
        lower_layer(w, i);
        return OMQ_OK;
    case OMQ_OP_MAXPOOL:
        lower_pool(w, i, OMQ_UNIT_MAXPOOL);
        return OMQ_OK;
    case OMQ_OP_AVGPOOL:
    case OMQ_OP_GLOBALPOOL:
        lower_pool(w, i, OMQ_UNIT_AVGPOOL);
        return OMQ_OK;
    case OMQ_OP_FLATTEN:
        w->tensor_of[i] = w->tensor_of[n->in[0]];
        return OMQ_OK;
    case OMQ_OP_CONCAT:
        lower_move(w, i, OMQ_UNIT_CONCAT);
        return OMQ_OK;
    case OMQ_OP_SHORTCUT:
        lower_move(w, i, OMQ_UNIT_SHORTCUT);
        return OMQ_OK;
    case OMQ_OP_RELU:
        if (!changes_nothing(n, &w->p->tensors[w->tensor_of[n->in[0]]]))
            break;
        w->tensor_of[i] = w->tensor_of[n->in[0]];
        return OMQ_OK;
    default:
        break;
    }
    return omq_fail(w->err, OMQ_EUNSUP, "the %s '%s' does not follow a convolution or linear layer "
                    "that only it reads", omq_op_name(n->op), n->name);
}

/* The last node must be that of the logits: nothing behind them, no other end. */
static int mark_edges(struct lowering *w)
{
    struct omq_plan *p = w->p;
    const struct omq_unit *last = p->n_units ? &p->units[p->n_units - 1] : NULL;
    int end = w->g->n_nodes - 1;

    if (!last || last->kind != OMQ_UNIT_CONV || last->win.oh != 1 || last->win.ow != 1 ||
        last->relu || last->res >= 0 || w->tensor_of[end] != last->out)
        return omq_fail(w->err, OMQ_EUNSUP, "the network must end in a linear layer, not in the "
                        "%s '%s'", omq_op_name(w->g->nodes[end].op), w->g->nodes[end].name);
    if (p->n_layers < 2)
        return omq_fail(w->err, OMQ_EUNSUP, "the network has no layer before '%s', the last",
                        last->name);
    p->layers[0].edge = p->layers[last->layer].edge = true;
    p->tensors[last->out].is_logits = true;
    return OMQ_OK;
}

int omq_plan_init(struct omq_plan *p, const struct omq_graph *g, struct omq_err *err)
{
    struct lowering w = {.g = g, .p = p, .err = err};
    size_t n = 3 * (size_t)g->n_nodes; /* at most two requantizations for every node */
    int rc;

    *p = (struct omq_plan){
        .units = calloc(n, sizeof(*p->units)),
        .tensors = calloc(n, sizeof(*p->tensors)),
        .sites = calloc(n, sizeof(*p->sites)),
        .layers = calloc(n, sizeof(*p->layers)),
    };
    w.tensor_of = malloc(sizeof(int) * (size_t)g->n_nodes);
    if (!p->units || !p->tensors || !p->sites || !p->layers || !w.tensor_of) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a plan");
        goto err_release;
    }
    for (int i = 0; i < g->n_nodes; i++)
        w.tensor_of[i] = -1;
    w.tensor_of[0] = add_tensor(p, &g->nodes[0]);
    p->tensors[0].is_input = p->tensors[0].is_signed = true;
    for (int i = 1; i < g->n_nodes; i++)
        if ((rc = lower_node(&w, i)) < 0)
            goto err_release;
    if ((rc = mark_edges(&w)) < 0 || (rc = omq_place_sites(p, err)) < 0)
        goto err_release;
    free(w.tensor_of);
    return OMQ_OK;

err_release:
    free(w.tensor_of);
    omq_plan_release(p);
    return rc;
}

void omq_plan_release(struct omq_plan *p)
{
    free(p->units);
    free(p->tensors);
    free(p->sites);
    free(p->layers);
    *p = (struct omq_plan){0};
}

bool omq_unit_is_whole(const struct omq_unit *u)
{
    const struct omq_window *w = &u->win;

    return u->groups == 1 && w->kh == w->h && w->kw == w->w && w->oh == 1 && w->ow == 1 &&
           w->ph == 0 && w->pw == 0;
}

int omq_plan_writer(const struct omq_plan *p, int tensor)
{
    int u = p->n_units - 1;

    while (u >= 0 && p->units[u].out != tensor)
        u--;
    return u;
}
