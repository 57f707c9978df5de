#!/bin/sh
# SPDX-License-Identifier: MIT
# gen-moves.sh FILE: writes a model of a small network with what no architecture has all of
# (concats, shortcuts, ReLUs with an end, depthwise convolutions), for tests of exports.
# Needs build/libomq.a. Weights are random, steps those of random images. It made
# tests/data/moves.omq, which has been kept since: docs/onnx.md has figures of it, and with
# what models have come to say beside it would be another file.
set -eu
[ $# -eq 1 ] || { echo "usage: gen-moves.sh FILE" >&2; exit 2; }
case $1 in /*) file=$1 ;; *) file=$PWD/$1 ;; esac
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat > "$dir/moves.c" <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nn/nn.h"

enum { SIDE = 12, IMAGES = 64 };

static const char config[] =
    "output_dir: .\nbits: [8, 4, 1]\n"
    "data: {format: synthetic, mean: [0.5], std: [0.25], "
    "synthetic: {height: 12, width: 12, channels: 1, classes: 4}}\n"
    "model: {arch: none}\nquant: {weight_steps: channel, view: off}\n";

static struct omq_err err;

static void check(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
}

static int add(struct omq_graph *g, const char *name, int in, struct omq_node n)
{
    int rc;

    snprintf(n.name, sizeof(n.name), "%s", name);
    n.in[0] = in;
    check(rc = omq_graph_add(g, &n, &err));
    return rc;
}

/* Convolution, batch norm, and a ReLU that ends at max; max below 0: none. */
static int block(struct omq_graph *g, const char *name, int in, int c, int kernel, int stride,
                 int groups, double max)
{
    char part[32];

    in = add(g, name, in, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = kernel,
                                            .stride = stride, .pad = kernel / 2,
                                            .groups = groups});
    snprintf(part, sizeof(part), "%s_bn", name);
    in = add(g, part, in, (struct omq_node){.op = OMQ_OP_BATCHNORM});
    snprintf(part, sizeof(part), "%s_relu", name);
    return max < 0 ? in : add(g, part, in, (struct omq_node){.op = OMQ_OP_RELU, .max = max});
}

static int concat(struct omq_graph *g, const char *name, int a, int b)
{
    return add(g, name, a, (struct omq_node){.op = OMQ_OP_CONCAT, .in = {0, b}});
}

static void build(struct omq_graph *g)
{
    int x = block(g, "stem", 0, 12, 3, 1, 1, 6), y, s;

    s = add(g, "short", x, (struct omq_node){.op = OMQ_OP_SHORTCUT, .channels = 20, .stride = 2});
    y = block(g, "expand", x, 24, 1, 1, 1, 2.5);
    y = block(g, "depth", y, 24, 3, 2, 24, 2.5);
    y = block(g, "project", y, 20, 1, 1, 1, -1);
    x = add(g, "sum", y, (struct omq_node){.op = OMQ_OP_ADD, .in = {0, s}});
    y = concat(g, "same", block(g, "left", x, 6, 1, 1, 1, 0), block(g, "right", x, 10, 3, 1, 1, 0));
    y = concat(g, "mixed", block(g, "signed", y, 8, 3, 1, 1, -1), x);
    y = add(g, "pool", y, (struct omq_node){.op = OMQ_OP_MAXPOOL, .kernel = 2, .stride = 2});
    y = add(g, "wider", y, (struct omq_node){.op = OMQ_OP_SHORTCUT, .channels = 32, .stride = 1});
    y = block(g, "last", y, 32, 3, 1, 1, 6);
    y = add(g, "average", y, (struct omq_node){.op = OMQ_OP_GLOBALPOOL});
    y = add(g, "flatten", y, (struct omq_node){.op = OMQ_OP_FLATTEN});
    add(g, "fc", y, (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 4, .bias = true});
}

static void calibrate(struct omq_net *net)
{
    static uint8_t codes[IMAGES * SIDE * SIDE];
    struct omq_pool *pool;
    struct omq_exec *x;
    struct omq_rng r;

    omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = net->pre.table[0][omq_rng_below(&r, 256)];
    check(omq_pool_open(&pool, 1, &err));
    check(omq_exec_open(&x, net, pool, IMAGES, true, &err));
    for (int p = 0; p < net->n_precisions; p++)
        omq_exec_forward(x, p, OMQ_MODE_TRAIN, codes, IMAGES, 1);
    omq_exec_close(x);
    omq_pool_close(pool);
}

int main(int argc, char **argv)
{
    struct omq_model_info info = {0};
    struct omq_preprocess pre;
    struct omq_ckpt_writer *w;
    struct omq_graph g;
    struct omq_net net;
    struct omq_rng r;
    char *meta;

    (void)argc;
    omq_kern_init(OMQ_ISA_REF, NULL);
    check(omq_config_parse(&info.config, config, strlen(config), "gen-moves", NULL, 0, NULL, &err));
    check(omq_preprocess_init(&pre, &info.config.data, SIDE, SIDE, 1, &err));
    check(omq_graph_init(&g, SIDE, SIDE, 1, &err));
    build(&g);
    check(omq_net_init(&net, &g, info.config.precisions, info.config.n_precisions,
                       &info.config.quant, &pre, 1, true, &err));
    omq_rng_init(&r, 2, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < net.n_params; i++)
        for (size_t j = 0; j < net.params[i].n; j++)
            if (net.params[i].kind == OMQ_PARAM_GAMMA || net.params[i].kind == OMQ_PARAM_BETA)
                net.params[i].value[j] += (omq_real)(0.5 * omq_rng_normal(&r));
    calibrate(&net);
    check(omq_ckpt_writer_open(&w, &err));
    check(omq_model_put(w, &net, &info, &meta, &err));
    check(omq_ckpt_write(w, argv[1], &err));
    omq_ckpt_writer_close(w);
    free(meta);
    omq_net_release(&net);
    return 0;
}
EOF
${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Ilib -o "$dir/moves" "$dir/moves.c" \
    build/libomq.a -lopenblas -lyaml -ljansson -ljpeg -lspng -lz -lm -lpthread
"$dir/moves" "$file"
