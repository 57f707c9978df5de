/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "port/onnx_build.h"

/* How many nodes there are one behind the other up to each: nodes read earlier ones. */
static void measure(const struct omq_onnx_in *m, int *depth)
{
    for (int i = 0; i < m->n_nodes; i++) {
        depth[i] = 1;
        for (int k = 0; k < m->nodes[i].n_in; k++) {
            int v = m->nodes[i].in[k], from = v < 0 ? -1 : m->values[v].producer;

            if (from >= 0 && depth[from] + 1 > depth[i])
                depth[i] = depth[from] + 1;
        }
    }
}

/* Of the nodes that this one reads and that are not in order yet, the one with the
 * shortest way from the input; -1: none. */
static int next_input(const struct omq_onnx_in *m, int node, const int *depth, const bool *seen)
{
    int next = -1;

    for (int k = 0; k < m->nodes[node].n_in; k++) {
        int v = m->nodes[node].in[k], from = v < 0 ? -1 : m->values[v].producer;

        if (from >= 0 && !seen[from] && (next < 0 || depth[from] < depth[next]))
            next = from;
    }
    return next;
}

/* From the output back; a node comes when all that it reads has come. */
static void walk(struct omq_onnx_builder *b, int start, const int *depth, bool *seen, int *stack)
{
    int n = 0;

    seen[start] = true;
    stack[n++] = start;
    while (n > 0) {
        int next = next_input(&b->in, stack[n - 1], depth, seen);

        if (next < 0) {
            b->order[b->n_order++] = stack[--n];
        } else {
            seen[next] = true;
            stack[n++] = next;
        }
    }
}

static void count_readers(struct omq_onnx_builder *b)
{
    struct omq_onnx_in *m = &b->in;

    for (int i = 0; i < b->n_order; i++) {
        const struct omq_onnx_node_in *n = &m->nodes[b->order[i]];

        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0) {
                m->values[n->in[k]].n_readers++;
                m->values[n->in[k]].reader = b->order[i];
            }
    }
}

int omq_onnx_order(struct omq_onnx_builder *b)
{
    const size_t n = (size_t)b->in.n_nodes + 1;
    int *depth = calloc(n, sizeof(*depth)), *stack = calloc(n, sizeof(*stack));
    bool *seen = calloc(n, sizeof(*seen));
    int start = b->in.values[b->in.output].producer, rc = OMQ_OK;

    b->order = calloc(n, sizeof(*b->order));
    if (!depth || !stack || !seen || !b->order) {
        rc = omq_fail(b->err, OMQ_ENOMEM, "cannot allocate the graph of '%s'", b->in.path);
    } else if (start < 0) {
        rc = omq_fail(b->err, OMQ_EUNSUP, "no node makes the output of '%s'", b->in.path);
    } else {
        measure(&b->in, depth);
        walk(b, start, depth, seen, stack);
        count_readers(b);
    }
    free(depth);
    free(stack);
    free(seen);
    return rc;
}
