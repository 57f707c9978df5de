/* SPDX-License-Identifier: MIT
 *
 * Inside the reading of ONNX: the graph that is being built, and what the
 * functions of operators are given.
 */
#ifndef OMQ_PORT_ONNX_BUILD_H
#define OMQ_PORT_ONNX_BUILD_H

#include "port/onnx_parse.h"
#include "port/onnx_read.h"

enum { OMQ_ONNX_FACT_INTS = 16 };
#define OMQ_ONNX_IMAGES INT64_MIN /* in a shape: their number, which nobody knows */

/* What is known of a value. */
struct omq_onnx_fact {
    enum { OMQ_FACT_NONE, OMQ_FACT_IMAGE, OMQ_FACT_INTS, OMQ_FACT_TENSOR } kind;
    int node;           /* IMAGE: of the graph */
    bool flat;          /* IMAGE: of two dimensions, [N, values] */
    int pad;            /* IMAGE: pixels of zeros that its reader is to add */
    int steps[2];       /* IMAGE: the reader is to take each so many-th row, and column; */
                        /* 0: all of them */
    bool has_bias;      /* IMAGE: an add of a constant was taken into it already */
    int n, cols;        /* INTS; cols: of a table, 0 for a list */
    int64_t ints[OMQ_ONNX_FACT_INTS]; /* of a TENSOR too, if has_ints */
    struct omq_onnx_tensor_in tensor;
    bool has_ints, has_number; /* TENSOR: it is a few integers; or one float, number */
    float number;
};

struct omq_onnx_builder {
    struct omq_onnx_in in;
    struct omq_onnx_net *out;
    const struct omq_onnx_want *want;
    int64_t n_images;            /* of a batch, where the file says so; else 0 */
    struct omq_onnx_fact *facts; /* [in.n_values] */
    size_t n_bytes;              /* of arrays that were made, */
    size_t most_bytes;           /* and how many there may be */
    int *order;                  /* needed nodes */
    int n_order;
    struct omq_err *err;
};

/* ---- onnx_order.c ---- */

/* Fills order with the nodes that the output needs, a shortcut before the way beside
 * it, so that what is lowered last takes the addition; and counts readers. */
int omq_onnx_order(struct omq_onnx_builder *b) OMQ_WARN_UNUSED;

/* ---- onnx_ops.c ---- */

/* Turns a node into facts of its outputs. OMQ_EUNSUP names it. */
int omq_onnx_build_node(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;

/* ---- onnx_ints.c: shapes, which are computed here and not in the graph ---- */

/* A constant, and what it is if it is small, so that its message is read once. */
struct omq_onnx_fact omq_onnx_fact_of_tensor(const struct omq_onnx_tensor_in *t);
/* Whether a node computes a shape; then *rc is its result. */
bool omq_onnx_build_ints(struct omq_onnx_builder *b, int node, int *rc);
/* Input k of a node as integers: a constant, or a shape. False if it is not. */
bool omq_onnx_get_ints(const struct omq_onnx_builder *b, int node, int k, int64_t ints[16], int *n);
/* The same as one number; of a constant of floats too. */
bool omq_onnx_get_number(const struct omq_onnx_builder *b, int node, int k, double *v);

/* ---- onnx_layers.c: what has weights ---- */

int omq_onnx_build_conv(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;
int omq_onnx_build_linear(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED; /* Gemm, MatMul */
int omq_onnx_build_norm(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;

/* ---- onnx_pixels.c: what goes over rows and columns ---- */

int omq_onnx_build_pool(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED; /* of either kind */
int omq_onnx_build_global(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;
int omq_onnx_build_mean(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;
int omq_onnx_build_squeeze(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;
int omq_onnx_build_slice(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;
int omq_onnx_build_pad(struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;
/* Of a convolution or pool: OMQ_EUNSUP if it finds its pads itself. */
int omq_onnx_check_auto_pad(const struct omq_onnx_builder *b, int node) OMQ_WARN_UNUSED;

/* ---- onnx_read.c: for all of them ---- */

/* Input k as a fact; NULL if it is left out. */
const struct omq_onnx_fact *omq_onnx_fact_of(const struct omq_onnx_builder *b, int node, int k);
/* Input k as an image with nothing left to do but what is allowed; OMQ_EUNSUP. */
enum { OMQ_ALLOW_PAD = 1, OMQ_ALLOW_STEPS = 2, OMQ_ALLOW_FLAT = 4 };
int omq_onnx_image(const struct omq_onnx_builder *b, int node, int k, unsigned allowed,
                   const struct omq_onnx_fact **out) OMQ_WARN_UNUSED;
/* Input k as a constant; OMQ_EUNSUP. */
int omq_onnx_constant(const struct omq_onnx_builder *b, int node, int k,
                      const struct omq_onnx_tensor_in **out) OMQ_WARN_UNUSED;
/* Adds a node to the graph, named as `name` or, where that is taken, name_2 ...; what
 * the node makes is an image from it. */
int omq_onnx_put(struct omq_onnx_builder *b, int node, const char *name, struct omq_node n,
                 bool flat) OMQ_WARN_UNUSED;
/* The same over image x, which becomes the node's input 0, called after the ONNX node. */
int omq_onnx_over(struct omq_onnx_builder *b, int node, const struct omq_onnx_fact *x,
                  struct omq_node n, bool flat) OMQ_WARN_UNUSED;
/* The node of the graph that an image comes from. */
const struct omq_node *omq_onnx_origin(const struct omq_onnx_builder *b,
                                       const struct omq_onnx_fact *x);
/* What the node makes is its input k. */
int omq_onnx_pass(struct omq_onnx_builder *b, int node, int k) OMQ_WARN_UNUSED;
/* The name of a node for the graph: of its weights, of its place in the modules, or
 * "conv_3". weight: the input that has them; 0 none. */
void omq_onnx_name_node(const struct omq_onnx_builder *b, int node, int weight,
                        char name[OMQ_NAME_SIZE]);
/* n floats that live as long as the weights. NULL, also where a file makes far more of
 * its constants than it holds, as by using one in very many layers. */
float *omq_onnx_room(struct omq_onnx_builder *b, size_t n);
/* An array "LAYER.part" of the weights; its values, to be filled, or NULL. */
float *omq_onnx_array(struct omq_onnx_builder *b, const char *layer, const char *part, int ndim,
                      const uint64_t *dims);
/* The code of what has failed; b->err says what. */
static inline int omq_onnx_failed(const struct omq_onnx_builder *b)
{
    return b->err ? b->err->code : OMQ_ENOMEM;
}

#endif
