/* SPDX-License-Identifier: MIT
 *
 * Quantizers and weights, as each style of ONNX spells them.
 */
#include "port/onnx.h"

#include <stdlib.h>

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
    const struct omq_onnx_name clipped = name(g, base, "_c");

    omq_onnx_scalar_code(&g->x, name(g, base, ".min").s, type, act.min);
    omq_onnx_scalar_code(&g->x, name(g, base, ".max").s, type, act.max);
    OMQ_ONNX_NODE(&g->x, "Clip", clipped.s, name(g, base, "_q").s, name(g, base, ".min").s,
                  name(g, base, ".max").s);
    omq_onnx_value(&g->x, OMQ_ONNX_INNER, clipped.s, type, dims, n_dims);
}

/* Q, a Clip of codes where the type has more of them than the quantizer, DQ. */
static void qcdq(struct omq_onnx_graph *g, const char *from, const char *base,
                 const char *scales, struct omq_onnx_act act, const int *dims, int n_dims)
{
    const enum omq_onnx_type type = act.is_s8 ? OMQ_ONNX_S8 : OMQ_ONNX_U8;
    const struct omq_onnx_name scale = name(g, scales, ".scale"), zp = name(g, scales, ".zp");
    const bool own = base == scales;
    const bool clips = own && act.max - act.min < UINT8_MAX;

    if (own) {
        omq_onnx_scalar_float(&g->x, scale.s, (float)act.step);
        omq_onnx_scalar_code(&g->x, zp.s, type, act.zero_point);
    }
    OMQ_ONNX_NODE(&g->x, "QuantizeLinear", name(g, base, "_q").s, from, scale.s, zp.s);
    omq_onnx_value(&g->x, OMQ_ONNX_INNER, name(g, base, "_q").s, type, dims, n_dims);
    if (clips)
        clip(g, base, act, type, dims, n_dims);
    OMQ_ONNX_NODE(&g->x, "DequantizeLinear", name(g, base, "_dq").s,
                  name(g, base, clips ? "_c" : "_q").s, scale.s, zp.s);
}

static void put_quant(struct omq_onnx_graph *g, const char *from, const char *base, bool is_signed,
                      bool narrow, double step, int bits, const char *to)
{
    const struct omq_onnx_name scale = name(g, base, ".scale"), zp = name(g, base, ".zp");
    const struct omq_onnx_name width = name(g, base, ".bits");
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

void omq_onnx_quantize(struct omq_onnx_graph *g, const char *from, const char *base,
                       const char *scales, struct omq_onnx_act act, const int *dims, int n_dims)
{
    if (g->style == OMQ_ONNX_QONNX)
        put_quant(g, from, base, act.zero_point > 0 || act.min < 0, false,
                  act.step, act.bits, name(g, base, "_dq").s);
    else
        qcdq(g, from, base, scales, act, dims, n_dims);
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
    const struct omq_onnx_name q = name(g, base, "_q"), s = name(g, base, "_scale");
    const struct omq_onnx_name zp = name(g, base, "_zp"), dq = name(g, base, "_dq");
    size_t node;

    omq_onnx_tensor(&g->x, q.s, type, dims, n_dims, codes);
    omq_onnx_tensor(&g->x, s.s, OMQ_ONNX_FLOAT, dims, 1, scale);
    omq_onnx_tensor(&g->x, zp.s, type, dims, 1, zeros);
    node = omq_onnx_begin(&g->x, "DequantizeLinear", "", dq.s,
                          (const char *const[]){q.s, s.s, zp.s, NULL});
    omq_onnx_int(&g->x, "axis", 0);
    omq_proto_end(g->x.out, node);
}

static int put_qcdq(struct omq_onnx_graph *g, int unit, const int *dims, int n_dims,
                    const char *weight, const char *bias)
{
    const int in = g->n->net->plan.units[unit].in;
    const struct omq_onnx_act x = omq_onnx_act_of(g->n, in, g->s8);
    struct omq_onnx_codes codes;
    int32_t *zeros = calloc((size_t)dims[0], sizeof(*zeros));
    int rc = zeros ? OMQ_OK : omq_fail(g->err, OMQ_ENOMEM, "cannot allocate weights");

    if (rc < 0)
        return rc;
    if ((rc = omq_onnx_codes_init(&codes, g->n, unit, x, g->err)) == OMQ_OK) {
        put_codes(g, weight, OMQ_ONNX_S8, dims, n_dims, codes.k, codes.scale, zeros);
        for (int o = 0; o < dims[0]; o++)
            codes.scale[o] *= (float)x.step;
        put_codes(g, bias, OMQ_ONNX_S32, dims, 1, codes.bias, codes.scale, zeros);
    }
    omq_onnx_codes_release(&codes);
    free(zeros);
    return rc;
}

/* Weights [oc][ic][kh][kw] in float: real, or their codes. */
static float *floats(const struct omq_onnx_graph *g, int unit, bool real)
{
    const struct omq_unit *u = &g->n->net->plan.units[unit];
    const struct omq_export_unit *from = &g->n->units[unit];
    const size_t pixels = (size_t)u->win.kh * (size_t)u->win.kw, ic = (size_t)u->win.c_count;
    const double step = g->n->tensors[u->in].step;
    float *w = calloc((size_t)u->oc, pixels * ic * sizeof(*w));

    for (size_t o = 0; w && o < (size_t)u->oc; o++) {
        const double factor = real ? (double)from->scale[o] / step : 1;
        const size_t filter = o * pixels * ic;

        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < ic; c++)
                w[filter + c * pixels + p] = (float)(from->k[filter + p * ic + c] * factor);
    }
    return w;
}

/* Integers, for streamlined hardware: what they are worth is in omq_onnx_affine(). */
static void put_qonnx(struct omq_onnx_graph *g, int unit, const char *weight)
{
    const int k_max = omq_export_k_max(&g->n->units[unit]);
    const struct omq_onnx_name from = name(g, weight, ""), to = name(g, weight, "_dq");
    int bits = 2;

    while ((1 << (bits - 1)) - 1 < k_max)
        bits++;
    if (k_max > 1 || !g->n->units[unit].grid.midrise) {
        put_quant(g, from.s, weight, true, true, 1, bits, to.s);
    } else {
        const struct omq_onnx_name scale = name(g, weight, ".scale");
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

int omq_onnx_weights(struct omq_onnx_graph *g, int unit, bool is_gemm,
                     struct omq_onnx_operands *out)
{
    const struct omq_plan *p = &g->n->net->plan;
    const char *suffix = g->style == OMQ_ONNX_PLAIN ? "" : "_dq";
    const struct omq_onnx no_prefix = {.prefix = ""};
    const char *layer = p->layers[p->units[unit].layer].name;
    const struct omq_onnx_name weight = omq_onnx_name(&no_prefix, layer, ".weight");
    const struct omq_onnx_name bias = omq_onnx_name(&no_prefix, layer, ".bias");
    int dims[4], n_dims = weight_dims(&p->units[unit], is_gemm, dims);

    *out = (struct omq_onnx_operands){.weight = name(g, weight.s, suffix)};
    if (g->style != OMQ_ONNX_QONNX)
        out->bias = name(g, bias.s, suffix);
    return g->style == OMQ_ONNX_QCDQ ? put_qcdq(g, unit, dims, n_dims, weight.s, bias.s)
                                     : put_floats(g, unit, dims, n_dims, weight.s, bias.s);
}

void omq_onnx_affine(struct omq_onnx_graph *g, int unit, bool is_gemm, const char *from,
                     const char *to)
{
    const struct omq_unit *u = &g->n->net->plan.units[unit];
    const struct omq_export_unit *numbers = &g->n->units[unit];
    const int dims[] = {1, u->oc, 1, 1}, n_dims = is_gemm ? 2 : 4;
    const struct omq_onnx_name scale = name(g, u->name, ".mul"), bias = name(g, u->name, ".add");
    const struct omq_onnx_name scaled = name(g, u->name, "_mul");
    float *worth = calloc((size_t)u->oc, sizeof(*worth));

    for (int o = 0; worth && o < u->oc; o++)
        worth[o] = (float)((double)numbers->scale[o] / g->n->tensors[u->in].step);
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
