/* SPDX-License-Identifier: MIT
 *
 * Quantizers and weights, as each style of ONNX spells them.
 */
#include "port/onnx.h"

#include <stdlib.h>
#include <string.h>

static const char qonnx[] = "qonnx.custom_op.general";

static struct omq_onnx_name name(const struct omq_onnx_graph *g, const char *base,
                                 const char *suffix)
{
    return omq_onnx_name(&g->x, base, suffix);
}

/* ---- activations ---- */

static void clip(struct omq_onnx_graph *g, const char *base, struct omq_onnx_act act,
                 enum omq_onnx_type type, const int *dims, int n_dims)
{
    const struct omq_onnx_name clipped = name(g, base, "c");

    omq_onnx_scalar_code(&g->x, name(g, base, "min").s, type, act.min);
    omq_onnx_scalar_code(&g->x, name(g, base, "max").s, type, act.max);
    OMQ_ONNX_NODE(&g->x, "Clip", clipped.s, name(g, base, "q").s, name(g, base, "min").s,
                  name(g, base, "max").s);
    omq_onnx_value(&g->x, ONNX_GRAPH_VALUE_INFO, clipped.s, type, dims, n_dims);
}

/* The type may have more codes than the quantizer; of s8 those below 0 need no end, as a
 * ReLU comes before them. And of one quantizer behind another, with nothing in between, ONNX
 * Runtime makes one, which rounds otherwise; TensorRT, for which s8 is, wants nothing there. */
static bool clips(const struct omq_onnx_quantizer *q)
{
    const int end = q->act.is_s8 ? INT8_MAX : UINT8_MAX;

    return (q->is_requantized && !q->act.is_s8) || (!q->is_of_codes && q->act.max < end);
}

struct omq_onnx_name omq_onnx_codes_name(const struct omq_onnx_graph *g,
                                         const struct omq_onnx_quantizer *q)
{
    return name(g, q->base, clips(q) ? "c" : "q");
}

static void put_codes_of(struct omq_onnx_graph *g, const char *from,
                         const struct omq_onnx_quantizer *q, const int *dims, int n_dims)
{
    const enum omq_onnx_type type = q->act.is_s8 ? OMQ_ONNX_S8 : OMQ_ONNX_U8;
    const struct omq_onnx_name scale = name(g, q->scales, "scale");
    const struct omq_onnx_name zp = name(g, q->scales, "zp"), codes = name(g, q->base, "q");

    if (q->base == q->scales) {
        omq_onnx_scalar_float(&g->x, scale.s, (float)q->act.step);
        omq_onnx_scalar_code(&g->x, zp.s, type, q->act.zero_point);
    }
    OMQ_ONNX_NODE(&g->x, "QuantizeLinear", codes.s, from, scale.s, zp.s);
    omq_onnx_value(&g->x, ONNX_GRAPH_VALUE_INFO, codes.s, type, dims, n_dims);
    if (clips(q))
        clip(g, q->base, q->act, type, dims, n_dims);
}

static void put_quant(struct omq_onnx_graph *g, const char *from, const char *base, bool is_signed,
                      bool narrow, double step, int bits, const char *to)
{
    const struct omq_onnx_name scale = name(g, base, "scale"), zp = name(g, base, "zp");
    const struct omq_onnx_name width = name(g, base, "bits");
    const char *const in[] = {from, scale.s, zp.s, width.s, NULL};
    size_t node;

    omq_onnx_scalar_float(&g->x, scale.s, (float)step);
    omq_onnx_scalar_float(&g->x, zp.s, 0);
    omq_onnx_scalar_float(&g->x, width.s, (float)bits);
    node = omq_onnx_begin(&g->x, "Quant", qonnx, to, in);
    omq_onnx_int(&g->x, "signed", is_signed);
    omq_onnx_int(&g->x, "narrow", narrow);
    omq_onnx_text(&g->x, "rounding_mode", "ROUND");
    omq_proto_end(g->x.out, node);
}

void omq_onnx_quantize(struct omq_onnx_graph *g, const char *from,
                       const struct omq_onnx_quantizer *q, const int *dims, int n_dims)
{
    if (g->style == OMQ_ONNX_QONNX)
        put_quant(g, from, q->base, q->act.zero_point > 0, false, q->act.step, q->act.bits,
                  name(g, q->base, "dq").s);
    else
        put_codes_of(g, from, q, dims, n_dims);
}

void omq_onnx_dequantize(struct omq_onnx_graph *g, const struct omq_onnx_quantizer *q)
{
    if (g->style != OMQ_ONNX_QONNX)
        OMQ_ONNX_NODE(&g->x, "DequantizeLinear", name(g, q->base, "dq").s,
                      omq_onnx_codes_name(g, q).s, name(g, q->scales, "scale").s,
                      name(g, q->scales, "zp").s);
}

/* ---- weights ---- */

static int weight_dims(const struct omq_unit *u, bool is_gemm, int dims[4])
{
    dims[0] = u->oc;
    dims[1] = is_gemm ? u->win.c_count * u->win.kh * u->win.kw : u->win.c_count;
    dims[2] = u->win.kh;
    dims[3] = u->win.kw;
    return is_gemm ? 2 : 4;
}

/* DequantizeLinear of codes with a scale an output. */
static void put_codes(struct omq_onnx_graph *g, const char *base, enum omq_onnx_type type,
                      const int *dims, int n_dims, const void *codes, const float *scale,
                      const void *zeros)
{
    const struct omq_onnx_name q = name(g, base, "q"), s = name(g, base, "scale");
    const struct omq_onnx_name zp = name(g, base, "zp"), dq = name(g, base, "dq");
    size_t node;

    omq_onnx_tensor(&g->x, q.s, type, dims, n_dims, codes);
    omq_onnx_tensor(&g->x, s.s, OMQ_ONNX_FLOAT, dims, 1, scale);
    omq_onnx_tensor(&g->x, zp.s, type, dims, 1, zeros);
    node = omq_onnx_begin(&g->x, "DequantizeLinear", "", dq.s,
                          (const char *const[]){q.s, s.s, zp.s, NULL});
    omq_onnx_int(&g->x, "axis", 0);
    omq_proto_end(g->x.out, node);
}

/* The same weights around 128, in place. */
static void to_u8(size_t n, int8_t *k)
{
    uint8_t *u = (uint8_t *)k;

    for (size_t i = 0; i < n; i++)
        u[i] = (uint8_t)(k[i] + 128);
}

/* TensorRT, for which s8 is, dequantizes no 32 bits: it gets the same values in float. */
static void put_bias(struct omq_onnx_graph *g, const int *dims, const char *bias,
                     struct omq_onnx_codes *codes, const int32_t *zeros)
{
    if (!g->s8) {
        put_codes(g, bias, OMQ_ONNX_S32, dims, 1, codes->bias, codes->scale, zeros);
        return;
    }
    for (int o = 0; o < dims[0]; o++)
        codes->scale[o] = (float)((double)codes->scale[o] * codes->bias[o]);
    omq_onnx_tensor(&g->x, name(g, bias, "").s, OMQ_ONNX_FLOAT, dims, 1, codes->scale);
}

static int put_qcdq(struct omq_onnx_graph *g, int unit, const int *dims, int n_dims,
                    const char *weight, const char *bias)
{
    const struct omq_unit *u = &g->n->net->plan.units[unit];
    const struct omq_onnx_act x = omq_onnx_act_of(g->n, u->in, g->s8);
    struct omq_onnx_codes codes;
    int32_t *zeros = calloc((size_t)dims[0], sizeof(*zeros)); /* first of bytes */
    int rc = zeros ? OMQ_OK : omq_fail(g->err, OMQ_ENOMEM, "cannot allocate weights");

    if (rc < 0)
        return rc;
    if ((rc = omq_onnx_codes_init(&codes, g->n, unit, x, g->err)) == OMQ_OK) {
        if (g->weight_u8) {
            to_u8((size_t)dims[0] * omq_unit_filter(u), codes.k);
            memset(zeros, 128, (size_t)dims[0]);
        }
        put_codes(g, weight, g->weight_u8 ? OMQ_ONNX_U8 : OMQ_ONNX_S8, dims, n_dims, codes.k,
                  codes.scale, zeros);
        memset(zeros, 0, (size_t)dims[0]);
        for (int o = 0; o < dims[0]; o++)
            codes.scale[o] *= (float)x.step;
        put_bias(g, dims, bias, &codes, zeros);
    }
    omq_onnx_codes_release(&codes);
    free(zeros);
    return rc;
}

static const struct omq_layer *layer_of(const struct omq_onnx_graph *g, int unit)
{
    return &g->n->net->plan.layers[g->n->net->plan.units[unit].layer];
}

/* Weights in float: real, or their codes. */
static float *floats(const struct omq_onnx_graph *g, int unit, bool real)
{
    const struct omq_layer *l = layer_of(g, unit);
    const struct omq_export_unit *from = &g->n->units[unit];
    const double step = g->n->tensors[g->n->net->plan.units[unit].in].step;
    float *w = calloc(omq_layer_size(l), sizeof(*w));

    for (size_t i = 0; w && i < omq_layer_size(l); i++) {
        const int k = from->k[omq_export_weight_at(l, i)];

        w[i] = (float)(real ? k * ((double)from->scale[i / omq_layer_filter(l)] / step) : k);
    }
    return w;
}

/* For ConvInteger, which reads them as they are. */
static int put_integers(struct omq_onnx_graph *g, int unit, const int *dims, int n_dims,
                        const char *weight)
{
    const struct omq_layer *l = layer_of(g, unit);
    int8_t *k = malloc(omq_layer_size(l));

    if (!k)
        return omq_fail(g->err, OMQ_ENOMEM, "cannot allocate weights");
    for (size_t i = 0; i < omq_layer_size(l); i++)
        k[i] = g->n->units[unit].k[omq_export_weight_at(l, i)];
    omq_onnx_tensor(&g->x, name(g, weight, "q").s, OMQ_ONNX_S8, dims, n_dims, k);
    free(k);
    return OMQ_OK;
}

/* Integers, for streamlined hardware: what they are worth is in omq_onnx_affine(). */
static void put_qonnx(struct omq_onnx_graph *g, int unit, const char *weight)
{
    const int k_max = omq_grid_largest(&g->n->units[unit].grid);
    const struct omq_onnx_name from = name(g, weight, ""), to = name(g, weight, "dq");
    int bits = 2;

    while ((1 << (bits - 1)) - 1 < k_max)
        bits++;
    if (k_max > 1 || !g->n->units[unit].grid.midrise) {
        put_quant(g, from.s, weight, true, true, 1, bits, to.s);
    } else {
        const struct omq_onnx_name scale = name(g, weight, "scale");
        const char *const in[] = {from.s, scale.s, NULL};

        omq_onnx_scalar_float(&g->x, scale.s, 1);
        omq_proto_end(g->x.out, omq_onnx_begin(&g->x, "BipolarQuant", qonnx, to.s, in));
    }
}

static int put_floats(struct omq_onnx_graph *g, int unit, const int *dims, int n_dims,
                      const char *weight, const char *bias)
{
    const bool real = g->style == OMQ_ONNX_PLAIN;
    float *w = floats(g, unit, real);

    if (!w)
        return omq_fail(g->err, OMQ_ENOMEM, "cannot allocate weights");
    omq_onnx_tensor(&g->x, name(g, weight, "").s, OMQ_ONNX_FLOAT, dims, n_dims, w);
    if (real)
        omq_onnx_tensor(&g->x, name(g, bias, "").s, OMQ_ONNX_FLOAT, dims, 1,
                        g->n->units[unit].bias);
    else
        put_qonnx(g, unit, weight);
    free(w);
    return OMQ_OK;
}

bool omq_onnx_has_bias(enum omq_onnx_style style)
{
    return style == OMQ_ONNX_QCDQ || style == OMQ_ONNX_PLAIN;
}

int omq_onnx_weights(struct omq_onnx_graph *g, int unit, bool is_gemm,
                     struct omq_onnx_operands *out)
{
    static const char *const suffixes[] = {
        [OMQ_ONNX_QCDQ] = "dq", [OMQ_ONNX_EXACT] = "q", [OMQ_ONNX_QONNX] = "dq",
        [OMQ_ONNX_PLAIN] = ""};
    const struct omq_plan *p = &g->n->net->plan;
    const struct omq_onnx no_prefix = {.prefix = ""};
    const char *layer = p->layers[p->units[unit].layer].name;
    const struct omq_onnx_name weight = omq_onnx_name(&no_prefix, layer, "weight");
    const struct omq_onnx_name bias = omq_onnx_name(&no_prefix, layer, "bias");
    int dims[4], n_dims = weight_dims(&p->units[unit], is_gemm, dims);

    *out = (struct omq_onnx_operands){.weight = name(g, weight.s, suffixes[g->style])};
    if (omq_onnx_has_bias(g->style))
        out->bias = name(g, bias.s, g->s8 ? "" : suffixes[g->style]);
    if (g->style == OMQ_ONNX_QCDQ)
        return put_qcdq(g, unit, dims, n_dims, weight.s, bias.s);
    if (g->style == OMQ_ONNX_EXACT)
        return put_integers(g, unit, dims, n_dims, weight.s);
    return put_floats(g, unit, dims, n_dims, weight.s, bias.s);
}

void omq_onnx_affine(struct omq_onnx_graph *g, int unit, bool is_gemm, const char *from,
                     const char *to)
{
    const struct omq_unit *u = &g->n->net->plan.units[unit];
    const struct omq_export_unit *numbers = &g->n->units[unit];
    const int dims[] = {1, u->oc, 1, 1}, n_dims = is_gemm ? 2 : 4;
    const struct omq_onnx_name scale = name(g, u->name, "mul"), bias = name(g, u->name, "add");
    const struct omq_onnx_name scaled = name(g, u->name, "scaled");
    /* QONNX multiplies real inputs, ConvInteger their codes. */
    const double unit_in = g->style == OMQ_ONNX_QONNX ? g->n->tensors[u->in].step : 1;
    float *worth = calloc((size_t)u->oc, sizeof(*worth));

    for (int o = 0; worth && o < u->oc; o++)
        worth[o] = (float)((double)numbers->scale[o] / unit_in);
    if (!worth) {
        g->x.out->failed = true;
        return;
    }
    omq_onnx_tensor(&g->x, scale.s, OMQ_ONNX_FLOAT, dims, n_dims, worth);
    omq_onnx_tensor(&g->x, bias.s, OMQ_ONNX_FLOAT, dims, n_dims, numbers->bias);
    OMQ_ONNX_NODE(&g->x, "Mul", scaled.s, from, scale.s);
    OMQ_ONNX_NODE(&g->x, "Add", to, scaled.s, bias.s);
    free(worth);
}
