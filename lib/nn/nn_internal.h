/* SPDX-License-Identifier: MIT
 *
 * Inside nn: the rows that operators and units add to their tables, and the
 * executor's state, which the units' files share.
 */
#ifndef OMQ_NN_NN_INTERNAL_H
#define OMQ_NN_NN_INTERNAL_H

#include "base/clock.h"
#include "nn/nn.h"

/* ---- operators ---- */

struct omq_op_row {
    const char *name;
    int n_in;
    /* Sets node->h, w, c from the inputs; checks the node's attributes. */
    int (*shape)(const struct omq_graph *g, struct omq_node *node, struct omq_err *err);
};

/* For operators that keep their input's shape. */
int omq_shape_same(const struct omq_graph *g, struct omq_node *node, struct omq_err *err);

extern const struct omq_op_row omq_op_conv, omq_op_linear, omq_op_batchnorm, omq_op_relu,
    omq_op_add, omq_op_maxpool, omq_op_avgpool, omq_op_globalpool, omq_op_concat, omq_op_shortcut;

/* ---- plan ---- */

/* Gives every tensor of a plan of units its site and puts in the requantizations. */
int omq_place_sites(struct omq_plan *p, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- net ---- */

/* omq_net_init() in two steps, for readers that must find the parameters before
 * they allocate them. The first takes over the graph, also on failure, and
 * refuses a net of surely more than max_params; the second gives zeros. */
int omq_net_declare(struct omq_net *net, struct omq_graph *graph, const struct omq_precision *prec,
                    int n_prec, const struct omq_quant_config *quant,
                    const struct omq_preprocess *pre, bool packed, int max_params,
                    struct omq_err *err) OMQ_WARN_UNUSED;
int omq_net_allocate(struct omq_net *net, bool with_grads, struct omq_err *err) OMQ_WARN_UNUSED;

/* What the weights of an output take, packed, and those of all outputs. */
size_t omq_layer_row_bytes(const struct omq_net *net, int precision, int layer);
size_t omq_layer_bytes(const struct omq_net *net, int precision, int layer);

/* Packed nets: values and codes of a precision each in one piece, as in a file.
 * Takes them from the net's arena, in both passes. */
void omq_packed_take(struct omq_net *net);
int omq_packed_put(struct omq_ckpt_writer *w, const struct omq_net *net,
                   struct omq_err *err) OMQ_WARN_UNUSED;
/* Whether they are all there; then, allocated, out of the container. */
int omq_packed_find(const struct omq_net *net, const struct omq_ckpt *c,
                    struct omq_err *err) OMQ_WARN_UNUSED;
int omq_packed_get(struct omq_net *net, const struct omq_ckpt *c,
                   struct omq_err *err) OMQ_WARN_UNUSED;
/* What the numerics need of a value. */
bool omq_param_value_ok(const struct omq_param *p, float v);

/* ---- file ---- */

/* Whether a profile may be called so, in a configuration and in a file. */
bool omq_profile_name_valid(const char *name);

/* Values in META, about: what a parser takes for them is bounded. */
enum { OMQ_META_MAX_VALUES = 1 << 18, OMQ_MAX_PROFILES = 256 };
int omq_meta_check_size(const char *text, size_t n, struct omq_err *err) OMQ_WARN_UNUSED;
/* META to info, and to a declared net. On failure the net is as if never begun;
 * info may hold something. */
int omq_meta_get(struct omq_net *net, struct omq_model_info *info, const struct omq_ckpt *c,
                 struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- executor ---- */

/* A tensor at the current precision. Gradients are of the real values. */
struct omq_tensor_buf {
    uint8_t *q;          /* codes [n][h][w][c], unless is_real */
    omq_real *x;         /* reals of the same layout, if is_real */
    omq_real *g;         /* from its first reader's backward to that of its writer */
    bool is_real;        /* float precision, or the logits */
    bool has_grad;       /* g holds something to add to */
    size_t g_at;         /* its place among the gradients */
    struct omq_act act;
    omq_real step;
    size_t n_image;      /* h * w * c */
};

/* A layer's weights at the current precision. */
struct omq_layer_buf {
    int8_t *k;           /* codes, [out][in][kh][kw]; unused if float */
    int8_t *codes;       /* the same, [out][kh][kw][in] */
    /* Codes as the kernels of this layer take them, NULL where none does: */
    uint8_t *packed;     /* pack_codes or, if by_bits, pack_bits, group after group */
    int32_t *start;      /* as those */
    struct omq_conv_shape shape; /* of one group */
    bool by_bits;
    bool packs;          /* its input has codes too: packed, start and shape are in use */
    int16_t *k_pairs;    /* conv_dinput_s16 */
    int rows, taps, c;   /* of the window that it is for */
    omq_real *operand;   /* gemm, forward: codes as reals, or the weights, [out][kh][kw][in] */
    omq_real *dequant;   /* gemm, backward: their real values, in the same order */
    /* by channels: weights or codes as reals, and their real values, [kh][kw][out] */
    omq_real *by_taps, *dequant_by_taps;
    omq_real *unit;      /* [n_units]: real value of one unit of operand */
    int n_units;
    bool is_float;
    int first_share, n_shares;
    omq_real in_step;    /* real value of one unit of the input, for dw */
    int n_chunks;        /* items that threads had of the images, for dw */
    omq_real *scratch;   /* the method's, if not separable: as long as k */
    omq_real *dsteps;    /* [out]: each output's part of that of the step */
};

/* Some outputs of a layer, at the current precision. */
struct omq_share {
    int layer, first, count;
    struct omq_weights weights; /* as the method left them, for its backward */
    omq_real unit;              /* another's, where all outputs have one */
};

/* A unit's epilogue. */
struct omq_unit_buf {
    omq_real *acc;             /* [n][oh][ow][oc], before the epilogue */
    ptrdiff_t *run_at;         /* of its windows in codes, as in struct omq_conv_io */
    omq_real *m, *b;           /* [oc] */
    struct omq_addend add;     /* with a residual */
    omq_real *mu;              /* [oc]: the batch's mean of acc, */
    double *var;               /* its variance, */
    omq_real *real_mean, *real_var; /* and both in real units: what is folded */
    double *mean_i, *m2_i;     /* [n][oc], per image */
    omq_real *ds_i, *g_i, *gx_i; /* [n][oc]: sums of backward, per image */
    omq_real *ka, *kk, *kd;    /* [oc]: coefficients of norm_backward */
    struct omq_rescale rescale; /* of a REQUANT unit */
    bool first_in, first_res;  /* this unit is the first to add to that gradient */
};

/* What one thread needs. */
struct omq_thread_buf {
    omq_real *rows, *drows;    /* of one tile */
    void *scratch;             /* of the convolutions without rows */
    int16_t *dy16;             /* their gradient in 16 bits, of omq_conv_images() */
    omq_real *v, *res;         /* OMQ_BLOCK values and a pixel */
    omq_real *view;            /* weights of a layer after the view, where there is one */
    omq_real *dcodes, *dview;  /* gradients of a share's dequantized weights, and of its view */
    struct omq_exec_times t;
    char pad[64];              /* keeps neighbours off this line */
};

enum { OMQ_BLOCK = 4096 };     /* elements of a pass that stay in L1 */

struct omq_exec {
    struct omq_net *net;
    struct omq_pool *pool;
    const struct omq_kern *kern;
    int n_max, n;              /* images */
    int precision;
    enum omq_mode mode;
    bool backward;
    double bn_momentum;
    const bool *adopting;      /* [n_layers]: see omq_exec_adopt_stats(), or NULL */
    struct omq_arena arena;
    struct omq_tensor_buf *tensors;
    struct omq_layer_buf *layers;
    int n_shares;
    struct omq_share *shares;  /* of all layers, in order */
    struct omq_unit_buf *units;
    struct omq_thread_buf *threads;
    struct omq_place *places; /* [n_tensors]: room to place gradients */
    omq_real *dw;           /* [threads][out][kh][kw][in] of the layer that is at work */
    omq_real *ones, *zeros; /* for as many channels as any convolution of codes gives */
    bool *fresh; /* [n_sites]: steps that this forward pass has set */
    bool again;  /* one of them was set too small for a later unit: once more */
};

/* Executes one kind of unit. */
struct omq_unit_row {
    void (*forward)(struct omq_exec *x, int u);
    void (*backward)(struct omq_exec *x, int u);
};
/* One unit of omq_exec_backward(), for tests. */
void omq_exec_unit_backward(struct omq_exec *x, int u);
/* Does something to every image of the batch, a range of them on each thread. */
typedef void omq_image_fn(struct omq_exec *x, int u, int image, int thread);
void omq_exec_images(struct omq_exec *x, int u, omq_image_fn *fn);
extern const struct omq_unit_row omq_unit_conv, omq_unit_requant, omq_unit_maxpool,
    omq_unit_avgpool, omq_unit_concat, omq_unit_shortcut;

/* conv.c: what one GEMM of a convolution takes: several whole images, or output rows
 * of one. */
struct omq_tile {
    int images, rows;
};
struct omq_tile omq_conv_tile(const struct omq_unit *u);

/* A convolution of n images as the conv_ kernels take it. Where a window is the whole
 * image, images are pixels in a row, of two images if n is even:
 * the kernels that pair images then have some. */
struct omq_direct {
    struct omq_window win;
    int images; /* of that window */
};
struct omq_direct omq_direct_of(const struct omq_unit *u, int n);
/* How many images one call best takes; whether there are kernels for the gradients. */
int omq_direct_images(const struct omq_unit *u);
bool omq_direct_backward(const struct omq_unit *u);

/* depthwise.c: whether a convolution is done a channel apart, what that takes of
 * omq_thread_buf.rows, and its parts: sums of an image, and its gradients. */
bool omq_conv_by_channels(const struct omq_unit *u);
size_t omq_depthwise_scratch(const struct omq_unit *u);
void omq_depthwise_multiply(struct omq_exec *x, int ui, int image, struct omq_thread_buf *t);
void omq_depthwise_gradients(struct omq_exec *x, int ui, int image, int thread);

/* conv_sums.c: convolutions of codes, forward. Their memory, of which a thread needs
 * omq_codes_scratch() bytes and tensors OMQ_CODES_BEHIND behind them; once a pass, how
 * weights are packed, and then those of some outputs (of layers with groups, all); and
 * the sums of n images, best omq_codes_images() at once. */
enum { OMQ_CODES_BEHIND = 3 };
void omq_codes_take(struct omq_exec *x, const struct omq_unit *u, struct omq_unit_buf *b);
size_t omq_codes_scratch(const struct omq_unit *u);
void omq_codes_begin(struct omq_exec *x, const struct omq_unit *u);
void omq_codes_pack(const struct omq_exec *x, struct omq_layer_buf *l, int first, int count);
int omq_codes_images(const struct omq_unit *u);
void omq_codes_multiply(struct omq_exec *x, int ui, int i0, int n, void *scratch);

/* layer.c: of the outputs first .. first + count - 1 alone, what omq_layer_weights()
 * gives, but for w; and what of them is quantized: the shared weights, or what their
 * view makes of them, in dst. */
struct omq_weights omq_layer_some(const struct omq_net *net, int precision, int layer, int first,
                                  int count, int8_t *k, omq_real *unit, omq_real *scratch);
const omq_real *omq_layer_view_some(const struct omq_net *net, int precision, int layer, int first,
                                    int count, omq_real *dst);

/* operands.c: shares, once; every layer's weights for the current precision, and their
 * gradients, one layer after the other, from dw back to the shared ones. */
int omq_shares_count(const struct omq_net *net);
void omq_shares_fill(struct omq_exec *x);
void omq_layers_forward(struct omq_exec *x);
void omq_layer_backward(struct omq_exec *x, int layer);

/* norm.c: whether a unit has batch norm, and whether its sums need the batch's statistics;
 * those, from mean_i and m2_i; the real value of one unit of acc; a channel's sum over the
 * images, in order; and from sums of backward the parameters' gradients, and ka, kk, kd. */
bool omq_has_norm(const struct omq_exec *x, const struct omq_unit *u);
bool omq_takes_stats(const struct omq_exec *x, const struct omq_unit *u);
void omq_norm_stats(struct omq_exec *x, int u);
double omq_acc_unit(const struct omq_exec *x, const struct omq_unit *u, int channel);
double omq_sum_images(const struct omq_exec *x, const omq_real *per_image, int oc, int channel);
void omq_norm_reduce(struct omq_exec *x, int u);

/* epilogue.c: what follows acc. */

/* With acc there (and, in training, mean_i and m2_i): batch statistics, the
 * output's step if it has none yet, and m, b, r. */
void omq_epilogue_fold(struct omq_exec *x, int u);
/* acc to the output tensor, for one image. */
void omq_epilogue_forward(struct omq_exec *x, int u, int image, int thread);
/* The output's gradient of one image, in place, to that of the value before
 * the quantizer and ReLU; adds the residual's share to its tensor; leaves sums
 * in ds_i, g_i, gx_i. */
void omq_epilogue_backward(struct omq_exec *x, int u, int image, int thread);
/* Between the passes: sums to parameter gradients and to ka, kk, kd. */
void omq_epilogue_reduce(struct omq_exec *x, int u);
/* Through the batch norm: to the gradient of acc's real value, in place. */
void omq_epilogue_norm(struct omq_exec *x, int u, int image, int thread);

/* tensors.c: a site's step: its first value from values[n], at least `least`, and the
 * gradient of what is learned there from sum = sum of g * d(output)/d(step). */
void omq_site_init_step(struct omq_exec *x, int site, omq_real least, size_t n,
                        const omq_real *values);
/* Whether a unit's output has a step yet, or one of this pass, of another input of the
 * same concat, in which this unit must have a say too: the larger one is taken. */
bool omq_needs_step(const struct omq_exec *x, int tensor);
void omq_site_add_grad(struct omq_exec *x, int tensor, double sum);
/* The step of a tensor's codes; 1 where it holds reals. */
omq_real omq_tensor_step(const struct omq_tensor_buf *b);

/* True for the first who asks: it must store each image's gradient, or zero it
 * before it adds. Call from one thread, before the pool runs. */
bool omq_claim_grad(struct omq_exec *x, int tensor);
/* One image's gradient, zeroed if first. */
omq_real *omq_image_grad(struct omq_exec *x, int tensor, int image, bool first);
/* Adds g[n] to one image's gradient; stores it if first. */
void omq_add_grad(struct omq_exec *x, int tensor, int image, bool first, size_t n,
                  const omq_real *g);

#endif
