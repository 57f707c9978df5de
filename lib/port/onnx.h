/* SPDX-License-Identifier: MIT
 *
 * Inside the ONNX formats. protobuf.c: the wire format. onnx_message.c: ONNX's
 * messages. onnx_code.c: a choice's numbers as ONNX can hold them. onnx_style.c:
 * quantizers and weights in the spelling of a style. onnx_graph.c: all units of a
 * choice. onnx.c: models.
 *
 * Conventions are those that ONNX Runtime was measured to run on integer kernels:
 * opset 13, activations u8 with one scale and zero point (tensors of rank 0), a
 * Clip of codes where there are less than 8 bits, weights s8 (or u8) with a scale an
 * output, bias s32. Activations of s8, which TensorRT wants, have biases in float.
 */
#ifndef OMQ_PORT_ONNX_H
#define OMQ_PORT_ONNX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port/onnx_proto.h"
#include "port/port.h"

/* ---- protobuf.c: a message in memory ----
 *
 * What is written is appended; a message inside is begun, written and ended. After
 * running out of memory nothing happens any more, and `failed` says so. */

struct omq_proto {
    uint8_t *bytes;
    size_t n, room;
    bool failed;
};
void omq_proto_release(struct omq_proto *p);
void omq_proto_int(struct omq_proto *p, int field, int64_t v);
void omq_proto_bytes(struct omq_proto *p, int field, const void *bytes, size_t n);
void omq_proto_text(struct omq_proto *p, int field, const char *text);
/* A message as a field: returns what the end of it is to be told. */
size_t omq_proto_begin(struct omq_proto *p, int field);
void omq_proto_end(struct omq_proto *p, size_t begin);

/* ---- onnx_message.c ---- */

/* A name in the graph: of a node of the model, and behind a '/', which those have not,
 * what it is of it, if it is not the node's output. */
struct omq_onnx_name {
    char s[OMQ_NAME_SIZE + 48];
};

/* A graph that is being written. Nodes, initializers and shapes come in the order
 * of the units: protobuf lets repeated fields mix. */
struct omq_onnx {
    struct omq_proto *out;
    const char *prefix; /* of all its names */
};
struct omq_onnx_name omq_onnx_name(const struct omq_onnx *x, const char *base, const char *suffix);

/* A node with one output, which it is called after; in is NULL-terminated. Its
 * attributes follow, then omq_proto_end() of what this returns. */
size_t omq_onnx_begin(struct omq_onnx *x, const char *op, const char *domain, const char *out,
                      const char *const *in);
void omq_onnx_int(struct omq_onnx *x, const char *name, int64_t v);
void omq_onnx_ints(struct omq_onnx *x, const char *name, const int *v, int n);
void omq_onnx_text(struct omq_onnx *x, const char *name, const char *text);
/* A graph as an attribute: omq_onnx_graph_end() of what this returns. */
struct omq_onnx_scope { size_t attribute, graph; };
struct omq_onnx_scope omq_onnx_graph_begin(struct omq_onnx *x, const char *name);
void omq_onnx_graph_end(struct omq_onnx *x, struct omq_onnx_scope scope);
/* A node without attributes. */
#define OMQ_ONNX_NODE(x, op, output, ...) \
    omq_proto_end((x)->out, omq_onnx_begin(x, op, "", output, \
                                           (const char *const[]){__VA_ARGS__, NULL}))

/* An initializer; n_dims 0 is a scalar. values: little-endian memory of the type. */
void omq_onnx_tensor(struct omq_onnx *x, const char *name, enum omq_onnx_type type,
                     const int *dims, int n_dims, const void *values);
void omq_onnx_scalar_float(struct omq_onnx *x, const char *name, float v);
/* Of s8 or u8. */
void omq_onnx_scalar_code(struct omq_onnx *x, const char *name, enum omq_onnx_type type, int v);
/* Type and shape of a value; field: ONNX_GRAPH_INPUT, _OUTPUT or _VALUE_INFO. A dimension
 * of 0 is the batch. */
void omq_onnx_value(struct omq_onnx *x, int field, const char *name, enum omq_onnx_type type,
                    const int *dims, int n_dims);

/* ---- onnx_code.c ---- */

/* How activations are coded in the file: real value = (code - zero_point) * step. */
struct omq_onnx_act {
    bool is_s8;
    int bits, zero_point, min, max; /* codes */
    double step;
};
struct omq_onnx_act omq_onnx_act_of(const struct omq_export_numbers *n, int tensor, bool s8);
/* Of a convolution's part in a sum, before a residual is added: u8. */
struct omq_onnx_act omq_onnx_act_before_add(const struct omq_export_numbers *n, int unit);

/* A unit's weights: real output = (sum of x's codes * k + bias) * x.step * scale. */
struct omq_onnx_codes {
    int8_t *k;      /* [oc][ic][kh][kw] */
    float *scale;   /* [oc], positive */
    int32_t *bias;  /* [oc] */
};
/* OMQ_EUNSUP where sums could leave int32. Release it, also after a failure. */
int omq_onnx_codes_init(struct omq_onnx_codes *c, const struct omq_export_numbers *n, int unit,
                        struct omq_onnx_act x, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_onnx_codes_release(struct omq_onnx_codes *c);

/* ---- onnx_style.c ---- */

enum omq_onnx_style {
    OMQ_ONNX_QCDQ,   /* QuantizeLinear, Clip, DequantizeLinear; weights and biases as codes */
    OMQ_ONNX_EXACT,  /* ConvInteger: sums of codes, then floats */
    OMQ_ONNX_QONNX,  /* Quant and BipolarQuant */
    OMQ_ONNX_PLAIN,  /* activations as QCDQ, weights and biases in float */
};

struct omq_onnx_graph {
    struct omq_onnx x;
    const struct omq_export_numbers *n;
    enum omq_onnx_style style;
    bool s8, weight_u8; /* types of activations and weights, else u8 and s8 */
    bool *gemms;        /* [units]: omq_onnx_units() makes it */
    struct omq_err *err;
};
/* A quantizer, called `base`, for the value `from`. scales: the base that has the
 * scale and zero point. What consists of another's codes is not clipped. */
struct omq_onnx_quantizer {
    const char *base, *scales;
    bool is_of_codes;
    bool is_requantized; /* nothing but another quantizer reads it */
    struct omq_onnx_act act;
};
void omq_onnx_quantize(struct omq_onnx_graph *g, const char *from,
                       const struct omq_onnx_quantizer *q, const int *dims, int n_dims);
/* Its codes as real values again, base_dq; not for QONNX, where they are it already. */
void omq_onnx_dequantize(struct omq_onnx_graph *g, const struct omq_onnx_quantizer *q);
struct omq_onnx_name omq_onnx_codes_name(const struct omq_onnx_graph *g,
                                         const struct omq_onnx_quantizer *q);

/* What a unit's node reads beside its input. Without a bias it gives sums of codes,
 * or of what they stand for, which omq_onnx_affine() then makes real values. */
struct omq_onnx_operands {
    struct omq_onnx_name weight, bias; /* bias may be empty */
};
bool omq_onnx_has_bias(enum omq_onnx_style style);
int omq_onnx_weights(struct omq_onnx_graph *g, int unit, bool is_gemm,
                     struct omq_onnx_operands *out) OMQ_WARN_UNUSED;
/* to = from * scale + bias, a scale and a bias each output. */
void omq_onnx_affine(struct omq_onnx_graph *g, int unit, bool is_gemm, const char *from,
                     const char *to);

/* ---- onnx_graph.c ---- */

/* All nodes, from the value "input" to the one called "logits" behind the prefix. */
int omq_onnx_units(struct omq_onnx_graph *g) OMQ_WARN_UNUSED;

#endif
