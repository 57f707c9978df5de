/* SPDX-License-Identifier: MIT
 *
 * Networks. A graph of operators (what the user means) is lowered once to a
 * plan of units (what is computed: a convolution with its batch norm, residual
 * add, ReLU and output quantizer is one unit). Trainer and engine both execute
 * the plan, so there is one definition of the quantized network.
 *
 * Data: tensors are NHWC. Codes are u8, except where a precision is float.
 */
#ifndef OMQ_NN_NN_H
#define OMQ_NN_NN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/real.h"
#include "ckpt/ckpt.h"
#include "conf/conf.h"
#include "data/data.h"
#include "kern/kern.h"
#include "quant/quant.h"

enum {
    OMQ_NAME_SIZE = 96,
    OMQ_NODE_NAME_MAX = OMQ_NAME_SIZE - 25, /* bytes: leaves room for what is appended */
    OMQ_FILE_NAME_SIZE = OMQ_NAME_SIZE + 24, /* of a parameter's name in a file */
    OMQ_CLASS_NAME_SIZE = 64,
    OMQ_MAX_NODES = 4096,
    OMQ_STREAM_BITS = 8, /* of the residual stream, at every precision */
};

/* ---- graph ---- */

enum omq_op {
    OMQ_OP_INPUT,
    OMQ_OP_CONV,
    OMQ_OP_LINEAR, /* over the flattened input, PyTorch's (c, h, w) order */
    OMQ_OP_BATCHNORM,
    OMQ_OP_RELU,
    OMQ_OP_ADD,
    OMQ_OP_MAXPOOL,
    OMQ_OP_AVGPOOL,
    OMQ_OP_GLOBALPOOL, /* average over the whole image */
    OMQ_OP_FLATTEN,
    OMQ_OP_CONCAT,     /* of channels: in[0]'s, then in[1]'s */
    OMQ_OP_SHORTCUT,   /* every stride-th pixel, and channels of 0 on both sides */
    OMQ_OP_COUNT
};

struct omq_node {
    enum omq_op op;
    char name[OMQ_NAME_SIZE];
    int in[2];                  /* earlier nodes; -1 = none */
    int channels;               /* conv, linear, shortcut: output channels */
    int kernel, stride, pad;    /* conv, pools: square; shortcut: stride only */
    int groups;                 /* conv */
    bool bias;                  /* conv, linear */
    double max;                 /* relu: greater values are this one; 0 = no end */
    int h, w, c;                /* output, by shape inference */
};

struct omq_graph {
    int n_nodes;
    struct omq_node *nodes; /* node 0 is the input; the last one is the output */
};

/* An empty graph with its input node. */
int omq_graph_init(struct omq_graph *g, int h, int w, int c, struct omq_err *err) OMQ_WARN_UNUSED;
/* A copy of all nodes. */
int omq_graph_copy(struct omq_graph *to, const struct omq_graph *from,
                   struct omq_err *err) OMQ_WARN_UNUSED;
void omq_graph_release(struct omq_graph *g);
/* Appends a copy of node after shape inference; returns its index, or a
 * negative OMQ_E* (a shape that does not fit names the node). */
int omq_graph_add(struct omq_graph *g, const struct omq_node *node,
                  struct omq_err *err) OMQ_WARN_UNUSED;
const char *omq_op_name(enum omq_op op);
/* The operator of that name; false if there is none. */
bool omq_op_parse(const char *name, enum omq_op *op);

/* Builds the graph of cfg->arch for an input and a number of classes. An
 * unknown name is OMQ_ECONFIG, with the names there are. */
int omq_arch_build(struct omq_graph *g, const struct omq_model_config *cfg, int h, int w, int c,
                   int n_classes, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- plan ---- */

enum omq_unit_kind {
    OMQ_UNIT_CONV,    /* convolution or linear, with its epilogue */
    OMQ_UNIT_REQUANT, /* u8 codes to u8 codes of another step, by a table */
    OMQ_UNIT_MAXPOOL, /* on codes; input and output share a site */
    OMQ_UNIT_AVGPOOL, /* sum of codes, then the output's quantizer */
    OMQ_UNIT_CONCAT,  /* codes of `in`, then of `res`; all three share a site */
    OMQ_UNIT_SHORTCUT, /* on codes; input and output share a site */
};

struct omq_unit {
    enum omq_unit_kind kind;
    char name[OMQ_NAME_SIZE]; /* of the graph node it came from */
    int in, out;              /* tensors */
    int res;                  /* tensor added in the epilogue, or -1; CONCAT: its second input */
    int groups;
    struct omq_window win;    /* of one image; c is the full channel count */
    int oc;                   /* output channels */
    int layer;                /* CONV: index of its weights, else -1 */
    bool relu;
    double max;               /* of the ReLU; 0 = no end */
};

/* A convolution each of whose outputs sees the one channel of its number. */
static inline bool omq_unit_is_depthwise(const struct omq_unit *u)
{
    return u->groups > 1 && u->groups == u->win.c && u->groups == u->oc;
}
/* Whether one window is the whole image, as a linear layer's is. */
bool omq_unit_is_whole(const struct omq_unit *u);
/* Of CONV: how many weights one output has, as omq_layer_filter(). */
size_t omq_unit_filter(const struct omq_unit *u);
/* Multiply-accumulates of one image; 0 of all but CONV. */
uint64_t omq_unit_macs(const struct omq_unit *u);

struct omq_tensor {
    int h, w, c;
    int site;      /* its quantizer; -1: the network's input, or the logits */
    bool is_input, is_logits;
    bool is_signed; /* may hold values below 0 */
    bool is_normed; /* a batch norm's output, perhaps after a ReLU or pool; no sum */
    double max;     /* holds no greater ones: a ReLU's end; 0 = no end */
};

/* A place where activations are quantized, each precision in its own way. */
struct omq_site {
    char name[OMQ_NAME_SIZE]; /* "layer1.0.conv1.in", "layer1.0.out" */
    int layer;                /* the layer that reads it; -1: the residual stream */
    bool is_signed, is_normed; /* as of a tensor */
    double max;               /* its codes stand for no greater value; 0 = no end */
};

/* A layer with weights. */
struct omq_layer {
    char name[OMQ_NAME_SIZE];
    int out, in, kh, kw;  /* W[out][in][kh][kw]; in: of one group */
    int groups;
    bool edge;            /* first convolution or last linear layer */
    bool bias, linear;
    char norm[OMQ_NAME_SIZE]; /* its batch norm; empty: none */
};

struct omq_plan {
    int n_units, n_tensors, n_sites, n_layers;
    struct omq_unit *units; /* in order of execution */
    struct omq_tensor *tensors; /* 0 is the input, the last unit's is the logits */
    struct omq_site *sites;
    struct omq_layer *layers;
};

/* Lowers a graph. A pattern that cannot be fused is OMQ_EUNSUP, naming the node. */
int omq_plan_init(struct omq_plan *p, const struct omq_graph *g,
                  struct omq_err *err) OMQ_WARN_UNUSED;
void omq_plan_release(struct omq_plan *p);
/* The unit that writes a tensor; -1 of the input. */
int omq_plan_writer(const struct omq_plan *p, int tensor);

/* ---- net: plan and parameters ---- */

enum omq_param_kind {
    OMQ_PARAM_WEIGHT, /* [out][in][kh][kw], shared by all precisions */
    OMQ_PARAM_BIAS,   /* [out], shared */
    /* one a precision (WSTEP: unless the method shares it): */
    OMQ_PARAM_GAMMA, OMQ_PARAM_BETA, OMQ_PARAM_MEAN, OMQ_PARAM_VAR, /* [out] */
    OMQ_PARAM_WSTEP,  /* [1] or [out] */
    OMQ_PARAM_ASTEP,  /* [1], of a site */
    OMQ_PARAM_ACLIP,  /* [1], of a site: its clipping level, where the method has that */
    OMQ_PARAM_OFFSET, /* omq_view_offset_dims() */
    OMQ_PARAM_UNIT,   /* [1] or [out], of packed weights: real value of one code */
};

struct omq_param {
    enum omq_param_kind kind;
    char name[OMQ_NAME_SIZE]; /* "layer1.0.conv1.weight"; unique with precision */
    int precision;            /* index, or -1 = shared */
    int ndim;
    int dims[4];
    size_t n;
    omq_real *value;
    omq_real *grad;           /* NULL for MEAN and VAR */
};

/* The parameters of one layer or site at one precision; NULL where there is none. */
struct omq_layer_params {
    struct omq_param *weight, *bias, *gamma, *beta, *mean, *var, *wstep, *offset, *unit;
    uint8_t *codes; /* packed nets: omq_pack() of [out][kh][kw][in] */
};

struct omq_net {
    struct omq_graph graph;
    struct omq_plan plan;
    int n_precisions;
    struct omq_precision precisions[OMQ_MAX_PRECISIONS];
    struct omq_quant_config quant;
    struct omq_preprocess pre;
    int n_classes;
    int n_params;
    struct omq_param *params;
    struct omq_layer_params *layer_params; /* [n_precisions][n_layers] */
    struct omq_param **site_steps;         /* [n_precisions][n_sites], or clips; NULL: none */
    bool packed;             /* has codes and units, but no weights: for the engine only */
    struct omq_arena arena;  /* values, gradients and codes */
};

#define OMQ_BN_EPS 1e-5

/* Builds from a graph, which the net takes over (also on failure). Weights get
 * He initialization from seed, BN its identity; steps are 0, meaning "not yet
 * initialized". with_grads false leaves grad NULL everywhere. A layer of codes
 * whose sums could leave int32 at 8 bits (kh * kw * in > 66311) is OMQ_EUNSUP. */
int omq_net_init(struct omq_net *net, struct omq_graph *graph, const struct omq_precision *prec,
                 int n_prec, const struct omq_quant_config *quant,
                 const struct omq_preprocess *pre, uint64_t seed, bool with_grads,
                 struct omq_err *err) OMQ_WARN_UNUSED;
/* A net of the same graph with other precisions, its values those of omq_net_init();
 * without gradients. */
int omq_net_like(struct omq_net *net, const struct omq_net *like, const struct omq_precision *prec,
                 int n_prec, const struct omq_quant_config *quant,
                 struct omq_err *err) OMQ_WARN_UNUSED;
void omq_net_release(struct omq_net *net);
/* Copies values; where either is NULL, none. */
void omq_param_copy(const struct omq_param *from, struct omq_param *to);
/* Weights, bias and batch norm of a layer at one precision to those at another. */
void omq_layer_copy(const struct omq_layer_params *from, const struct omq_layer_params *to);

const struct omq_layer_params *omq_net_layer(const struct omq_net *net, int precision, int layer);
struct omq_param *omq_net_site(const struct omq_net *net, int precision, int site);
/* Bits of a layer's weights or a site's activations at a precision: 1..8, or
 * OMQ_FLOAT_BITS. */
int omq_layer_bits(const struct omq_net *net, int precision, int layer);
int omq_site_bits(const struct omq_net *net, int precision, int site);
/* How a site's activations are quantized, and the step of its codes; 0: not initialized
 * yet. Its bits there must not be float.
 * A ReLU with an end has it in the quantizer: (2^bits - 1) * step <= max, whatever
 * the parameter. */
struct omq_act omq_site_act(const struct omq_net *net, int precision, int site);
omq_real omq_net_site_step(const struct omq_net *net, int precision, int site);
/* Brings the parameter within that bound: for all who set or change it. */
void omq_net_bound_step(struct omq_net *net, int precision, int site);
/* What the net's method does for a layer's weights and a site's activations. */
const struct omq_method *omq_layer_method(const struct omq_net *net, int layer);
const struct omq_act_method *omq_site_method(const struct omq_net *net, int site);
/* Index of a precision in the net, or -1. */
int omq_net_find(const struct omq_net *net, struct omq_precision p);

/* How a precision reads a layer's weights. */
struct omq_view_spec omq_layer_spec(const struct omq_net *net, int precision, int layer);
/* What one precision's layer looks like after view and quantizer. */
struct omq_layer_codes {
    int8_t *k;        /* codes [outputs][kh][kw][in]: the kernels' order */
    omq_real *unit;   /* [n_units]: real value of one code */
    int n_units;      /* 1 or out */
};
/* Fills codes of the outputs first .. first + count - 1 (caller's buffers: k of
 * count*in*kh*kw; unit of out, in which those of these outputs are written; scratch
 * of omq_layer_codes_scratch() reals). count is omq_layer_codes_outputs(), a
 * multiple of it away from first, or what is left: all of them, where an output
 * depends on others and of layers with groups, else a multiple of 16. The layer's
 * bits there must not be float. */
void omq_layer_make_codes(const struct omq_net *net, int precision, int layer, int first,
                          int count, struct omq_layer_codes *out, omq_real *scratch);
int omq_layer_codes_outputs(const struct omq_net *net, int layer);
size_t omq_layer_codes_scratch(const struct omq_net *net, int layer);
/* The same in two steps and for all outputs, for those who look between them: the view,
 * which is what is quantized, [out][in][kh][kw] to dst; and what the method's forward()
 * takes to make codes and units (k, unit) of weights w, scratch being as long as w. */
void omq_layer_view(const struct omq_net *net, int precision, int layer, omq_real *dst);
struct omq_weights omq_layer_weights(const struct omq_net *net, int precision, int layer,
                                     const omq_real *w, int8_t *k, omq_real *unit,
                                     omq_real *scratch);
/* Its batch norm, or its bias. */
struct omq_norm omq_layer_norm(const struct omq_layer_params *lp);
/* The grid of its weights. */
struct omq_grid omq_layer_grid(const struct omq_net *net, int precision, int layer);
/* omq_bias_parts() of a layer that reads codes. */
int omq_layer_bias_parts(const struct omq_net *net, int precision, int layer,
                         const struct omq_act *in);

/* How many weights a layer has, and how many one output of it. */
size_t omq_layer_size(const struct omq_layer *l);
size_t omq_layer_filter(const struct omq_layer *l);
/* Weights of `count` outputs in the kernels' order: [count][in][kh][kw] to
 * [count][kh][kw][in]. */
void omq_layer_order(const struct omq_layer *l, int count, const omq_real *src, omq_real *dst);
/* Multiply-accumulates of one image, and bytes of the packed weights at one
 * precision (float: 4 a weight). */
uint64_t omq_net_macs(const struct omq_net *net);
uint64_t omq_net_weight_bytes(const struct omq_net *net, int precision);
uint64_t omq_net_weights(const struct omq_net *net); /* how many shared weights and biases */

/* ---- file ---- */

/* What a file says beside the network. Zero it before first use. */
struct omq_model_info {
    struct omq_config config;   /* as resolved when it was trained */
    uint32_t data_fingerprint;  /* of the training images */
    int n_class_names;
    char (*class_names)[OMQ_CLASS_NAME_SIZE];
    struct omq_result {         /* per precision, as in net.precisions */
        bool known;
        double top1;            /* percent */
        double loss;
        int samples;
    } results[OMQ_MAX_PRECISIONS];
    int n_profiles;
    struct omq_profile {        /* a precision for each layer */
        char name[64];
        int stream;             /* index of the precision of the rest */
        int *layers;            /* [n_layers], indices into net.precisions */
    } *profiles;
};
/* Adds a profile, as "NAME PRECISION LAYER=PRECISION ..." with spaces between (conf's
 * `profiles`). OMQ_ECONFIG with the reason: a word that is none, a precision that the
 * net has not or that is float, a LAYER that names no layer, a name that is taken. */
int omq_profile_add(struct omq_model_info *info, const struct omq_net *net, const char *text,
                    struct omq_err *err) OMQ_WARN_UNUSED;
/* Names are UTF-8 without control characters, and cut where they do not fit. */
int omq_model_info_set_classes(struct omq_model_info *info, const char *const *names, int n,
                               struct omq_err *err) OMQ_WARN_UNUSED;
/* Whether a name is the one that was stored so, which may have been cut. */
bool omq_class_name_is(const char *stored, const char *name);
void omq_model_info_release(struct omq_model_info *info);

/* What people choose from: the net's precisions, then the file's profiles. */
struct omq_choice {
    char name[64];          /* "w4a8", or the profile's */
    int w, a;               /* bits; 0 0 for a profile */
    int precision;          /* of all layers, or of the stream */
    const int *layers;      /* [n_layers], or NULL; the info's */
    uint64_t weight_bytes;  /* packed */
    double top1;            /* percent; NaN: not known */
};
static inline bool omq_choice_is_float(const struct omq_choice *c)
{
    return omq_precision_is_float((struct omq_precision){c->w, c->a});
}
int omq_choice_count(const struct omq_net *net, const struct omq_model_info *info);
struct omq_choice omq_choice_at(const struct omq_net *net, const struct omq_model_info *info,
                                int i);
/* Among all n of them: index of "4" (w4a4), "w4a8" or a profile's name; OMQ_EARG
 * with what there is. */
int omq_choice_find(const struct omq_choice *choices, int n, const char *word,
                    struct omq_err *err) OMQ_WARN_UNUSED;
/* Of what a switch word names; -1 if it names nothing here, or is unset. */
int omq_choice_switch(const struct omq_choice *choices, int n, struct omq_switch_word word);

/* What a model file may hold, of a net that is not packed: OMQ_EDIVERGED if a value is not
 * finite, or a step or variance negative. Readers refuse those. */
int omq_net_check_values(const struct omq_net *net, struct omq_err *err) OMQ_WARN_UNUSED;
/* Adds META, WFPT, QPAR and pACK to a writer, once values are checked so. They are borrowed
 * from net, and *meta (allocated here) too: free it after omq_ckpt_write(). */
int omq_model_put(struct omq_ckpt_writer *w, const struct omq_net *net,
                  const struct omq_model_info *info, char **meta,
                  struct omq_err *err) OMQ_WARN_UNUSED;
/* A packed copy of a net and its info: of its choices those n, and what profiles
 * among them refer to. OMQ_EUNSUP for float precisions. */
int omq_model_pack(struct omq_net *out, struct omq_model_info *out_info, const struct omq_net *net,
                   const struct omq_model_info *info, const int *choices, int n,
                   struct omq_err *err) OMQ_WARN_UNUSED;
/* The name under which a parameter stands in a file: "NAME" or "NAME@w4a8". */
void omq_param_file_name(const struct omq_net *net, const struct omq_param *p,
                         char buf[OMQ_FILE_NAME_SIZE]);
/* Rebuilds net and info from a checked container; every value is checked for
 * what the numerics need (finite, steps >= 0, var >= 0), and nothing is allocated
 * for a tensor that is not there, nor for gradients. */
int omq_model_get(struct omq_net *net, struct omq_model_info *info, const struct omq_ckpt *c,
                  struct omq_err *err) OMQ_WARN_UNUSED;
/* The same from the file at path ("-": standard input); active, or NULL: its switch word. */
int omq_model_load(struct omq_net *net, struct omq_model_info *info, struct omq_switch_word *active,
                   const char *path, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- execution in omq_real ---- */

enum omq_mode {
    OMQ_MODE_TRAIN,  /* batch statistics, which update the running ones; steps of 0 get a value */
    OMQ_MODE_FROZEN, /* running statistics: the same integers as the engine */
};

/* Buffers for batches of up to n images. Not thread-safe; uses pool inside. A packed
 * net is OMQ_EUNSUP. */
struct omq_exec;
int omq_exec_open(struct omq_exec **out, struct omq_net *net, struct omq_pool *pool, int n,
                  bool backward, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_exec_close(struct omq_exec *x); /* NULL is fine */
/* Bytes that omq_exec_open() would allocate; 0 when out of memory. */
size_t omq_exec_bytes(struct omq_net *net, struct omq_pool *pool, int n, bool backward);

/* codes [n][h][w][c]; logits [n][n_classes] afterwards in omq_exec_logits(). */
void omq_exec_forward(struct omq_exec *x, int precision, enum omq_mode mode, const uint8_t *codes,
                      int n, double bn_momentum);
const omq_real *omq_exec_logits(const struct omq_exec *x);
/* The forward of OMQ_MODE_FROZEN, in which the batch norm of the layers marked in
 * layers[] takes the batch's statistics for its running ones, and changes gamma and
 * beta so that the layer's output stays what it was: a norm that was put in as the
 * identity becomes one whose statistics can be taken anew. */
void omq_exec_adopt_stats(struct omq_exec *x, int precision, const bool *layers,
                          const uint8_t *codes, int n);
/* Adds the gradients of every parameter of the last forward (MODE_TRAIN). */
void omq_exec_backward(struct omq_exec *x, const omq_real *dlogits);
/* Codes of a tensor after forward, or NULL where it holds reals. */
const uint8_t *omq_exec_codes(const struct omq_exec *x, int tensor);
const omq_real *omq_exec_reals(const struct omq_exec *x, int tensor);

/* omq_exec_forward() unit by unit, in order, for those who set parameters on the way:
 * begin takes all weights, omq_exec_layer() a layer's anew; a unit takes its output's
 * step from the net when it runs, and may run again. */
void omq_exec_begin(struct omq_exec *x, int precision, enum omq_mode mode, const uint8_t *codes,
                    int n, double bn_momentum);
void omq_exec_layer(struct omq_exec *x, int layer);
void omq_exec_unit(struct omq_exec *x, int unit);
/* A layer's first step where precisions share it and it has none yet. */
void omq_exec_init_step(struct omq_exec *x, int precision, int layer);
/* After it ran: the sums [n][oh][ow][oc] of a CONV, in units of scale[oc]. */
const omq_real *omq_exec_sums(const struct omq_exec *x, int unit, double *scale);
/* After it ran, of a unit whose output has codes: what they stand for in one image,
 * not rounded and without the codes' ends, [oh][ow][oc]. Of CONV, AVGPOOL, REQUANT. */
void omq_exec_values(struct omq_exec *x, int unit, int image, omq_real *values);
/* Zero point of a tensor's codes; 0 of reals. */
int omq_exec_zero_point(const struct omq_exec *x, int tensor);

/* Name of the first unit whose sums or factors are not finite after forward;
 * of the last one if all are. */
const char *omq_exec_find_nonfinite(const struct omq_exec *x);

/* Seconds spent since the last call, by part, as a mean over threads; for profiles. */
struct omq_exec_times {
    double conv, dx, dw; /* of convolutions: sums, and gradients of input and of weights */
    double quant, norm;
};
struct omq_exec_times omq_exec_take_times(struct omq_exec *x);

/* ---- loss ---- */

/* What each of n rows is to say. */
struct omq_targets {
    const uint16_t *labels;  /* [n] */
    double own;              /* share of row i's label; the rest is of row n - 1 - i's (mixup) */
    double smoothing;        /* share of the uniform distribution */
    const omq_real *teacher; /* probabilities [n][c], or NULL */
    double distill;          /* share of the teacher, if there is one */
};

/* Mean softmax cross-entropy over n rows of logits[n][c]:
 * L = (1 - d) (own CE(labels) + (1 - own) CE(labels reversed)) + d CE(teacher),
 * labels smoothed. dlogits = scale * dL/dlogits; returns L (not scaled). probs, if
 * not NULL, gets the softmax; it may be the teacher. row: c doubles of scratch. */
double omq_loss(int n, int c, const omq_real *logits, const struct omq_targets *t, double scale,
                omq_real *dlogits, omq_real *probs, double *row);

#endif
