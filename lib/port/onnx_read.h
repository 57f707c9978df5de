/* SPDX-License-Identifier: MIT
 *
 * ONNX files as networks: a float CNN, as PyTorch exports it, becomes a graph of
 * omq's operators, and its weights a source of arrays named after the graph's
 * nodes. docs/weights.md says what is read; what is not is refused with the name
 * of its node before anything is computed.
 *
 * A convolution or inner linear layer without batch norm (an exporter may have
 * folded it) gets one that does nothing: gamma 1, mean 0, variance 1 - eps, and
 * the layer's bias as beta. Widths need a norm of their own each. Its statistics
 * are those of no data: see omq_exec_adopt_stats().
 */
#ifndef OMQ_PORT_ONNX_READ_H
#define OMQ_PORT_ONNX_READ_H

#include "nn/nn.h"
#include "port/source.h"

struct omq_onnx_net {
    struct omq_graph graph;
    struct omq_source weights;
    int n_added;                     /* norms that do nothing */
    char (*added)[OMQ_NAME_SIZE];    /* their nodes */
};

/* What the graph is to fit. */
struct omq_onnx_want {
    int h, w, c, n_classes;
    const struct omq_init_config *init; /* skip: a last layer that it names gets n_classes */
};

/* path is relative to the current folder. */
int omq_onnx_net_open(struct omq_onnx_net *out, const char *path, const struct omq_onnx_want *want,
                      struct omq_err *err) OMQ_WARN_UNUSED;
/* The same from memory, which it takes over, also on failure. */
int omq_onnx_net_parse(struct omq_onnx_net *out, const char *path, uint8_t *bytes, size_t n,
                       const struct omq_onnx_want *want, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_onnx_net_release(struct omq_onnx_net *n);

#endif
