/* SPDX-License-Identifier: MIT
 *
 * Graphs and networks for the tests of lib/nn, a line an operator. What is not
 * expected to fail fails the test with the library's sentence.
 */
#ifndef OMQ_TESTS_GRAPHHELP_H
#define OMQ_TESTS_GRAPHHELP_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "nn/nn.h"

static struct omq_err err;

static inline void has_text(const char *text)
{
    ck_assert_msg(strstr(err.msg, text) != NULL, "'%s' is not in '%s'", text, err.msg);
}

static inline void start(struct omq_graph *g, int h, int w, int c)
{
    ck_assert_msg(omq_graph_init(g, h, w, c, &err) == OMQ_OK, "%s", err.msg);
}

static inline int try_add(struct omq_graph *g, const char *name, int in, struct omq_node n)
{
    snprintf(n.name, sizeof(n.name), "%s", name);
    n.in[0] = in;
    return omq_graph_add(g, &n, &err);
}

static inline int add(struct omq_graph *g, const char *name, int in, struct omq_node n)
{
    int rc = try_add(g, name, in, n);

    ck_assert_msg(rc >= 0, "%s: %s", name, err.msg);
    return rc;
}

static inline int op(struct omq_graph *g, const char *name, enum omq_op kind, int in)
{
    return add(g, name, in, (struct omq_node){.op = kind});
}

static inline int conv(struct omq_graph *g, const char *name, int in, int c, int kernel, int pad)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = kernel,
                                              .stride = 1, .pad = pad, .groups = 1});
}

static inline int relu(struct omq_graph *g, const char *name, int in)
{
    return op(g, name, OMQ_OP_RELU, in);
}

static inline int relu_to(struct omq_graph *g, const char *name, double max, int in)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_RELU, .max = max});
}

static inline int join(struct omq_graph *g, const char *name, int a, int b)
{
    return add(g, name, a, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, b}});
}

static inline int concat(struct omq_graph *g, const char *name, int a, int b)
{
    return add(g, name, a, (struct omq_node){.op = OMQ_OP_CONCAT, .in = {0, b}});
}

static inline int shortcut(struct omq_graph *g, const char *name, int in, int c, int stride)
{
    return add(g, name, in, (struct omq_node){.op = OMQ_OP_SHORTCUT, .channels = c,
                                              .stride = stride});
}

static inline int pool(struct omq_graph *g, const char *name, enum omq_op kind, int in)
{
    return add(g, name, in, (struct omq_node){.op = kind, .kernel = 2, .stride = 2});
}

static inline int head(struct omq_graph *g, int in)
{
    int x = op(g, "flatten", OMQ_OP_FLATTEN, in);

    return add(g, "fc", x, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 5, .bias = true});
}

static const struct omq_precision all_widths[] = {{32, 32}, {8, 8}, {4, 8}, {3, 3}, {1, 1}};
enum { N_WIDTHS = sizeof(all_widths) / sizeof(all_widths[0]) };

static inline void build_net(struct omq_net *net, const char *arch, double width, int h, int w,
                             int c, int classes)
{
    struct omq_quant_config quant = {.levels = 1, .first_last_bits = 8};
    struct omq_preprocess pre = {.height = h, .width = w, .channels = c, .step = 0.01f};
    struct omq_model_config cfg = {.width = width};
    struct omq_graph g;

    snprintf(cfg.arch, sizeof(cfg.arch), "%s", arch);
    ck_assert_msg(omq_arch_build(&g, &cfg, h, w, c, classes, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_msg(omq_net_init(net, &g, all_widths, N_WIDTHS, &quant, &pre, 1, false, &err) ==
                      OMQ_OK, "%s", err.msg);
}

#endif
