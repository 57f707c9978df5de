/* SPDX-License-Identifier: MIT
 *
 * The units of a choice as ONNX nodes. A unit's real output is called after it,
 * "relu1"; quantized it is "relu1/dq", which its readers share.
 */
#include "port/onnx.h"

#include <stdio.h>
#include <stdlib.h>

static const char input[] = "input", logits[] = "logits";

static const struct omq_plan *plan_of(const struct omq_onnx_graph *g) { return &g->n->net->plan; }

/* The name that a tensor's values start with. */
static const char *base_of(const struct omq_plan *p, int tensor)
{
    return p->tensors[tensor].is_input ? input : p->units[omq_plan_writer(p, tensor)].name;
}

/* Whose scale and zero point it has: of the tensors that share a quantizer, the first
 * one's. */
static const char *scales_of(const struct omq_plan *p, int tensor)
{
    for (int i = 0; i < p->n_units && !p->tensors[tensor].is_input; i++)
        if (p->tensors[p->units[i].out].site == p->tensors[tensor].site &&
            !p->tensors[p->units[i].out].is_logits)
            return p->units[i].name;
    return base_of(p, tensor);
}

/* Whether its codes are those of other tensors, and need no limits of their own. */
static bool is_of_codes(const struct omq_plan *p, int tensor)
{
    enum omq_unit_kind kind;

    if (p->tensors[tensor].is_input)
        return false;
    kind = p->units[omq_plan_writer(p, tensor)].kind;
    return kind == OMQ_UNIT_MAXPOOL || kind == OMQ_UNIT_CONCAT || kind == OMQ_UNIT_SHORTCUT;
}

static bool is_requantized(const struct omq_plan *p, int tensor)
{
    int n = 0;

    for (int i = 0; i < p->n_units; i++) {
        if (p->units[i].res == tensor ||
            (p->units[i].in == tensor && p->units[i].kind != OMQ_UNIT_REQUANT))
            return false;
        n += p->units[i].in == tensor;
    }
    return n == 1;
}

/* A linear layer is a Gemm if what reads it is one too, which takes rows of values;
 * else it is a convolution of the whole image. Readers come later: they are known. */
static bool is_gemm(const struct omq_onnx_graph *g, int unit)
{
    const struct omq_plan *p = plan_of(g);
    const struct omq_unit *u = &p->units[unit];

    if (g->style == OMQ_ONNX_EXACT || u->kind != OMQ_UNIT_CONV || !p->layers[u->layer].linear ||
        u->res >= 0)
        return false;
    for (int i = unit + 1; i < p->n_units; i++)
        if (p->units[i].res == u->out || (p->units[i].in == u->out && !g->gemms[i]))
            return false;
    return true;
}

static bool is_flat(const struct omq_onnx_graph *g, int tensor)
{
    const struct omq_plan *p = plan_of(g);

    return !p->tensors[tensor].is_input && g->gemms[omq_plan_writer(p, tensor)];
}

/* The shape of a tensor; 0 is the batch. */
static int dims_of(const struct omq_onnx_graph *g, int tensor, int dims[4])
{
    const struct omq_tensor *t = &plan_of(g)->tensors[tensor];

    dims[0] = 0;
    dims[1] = t->c;
    dims[2] = t->h;
    dims[3] = t->w;
    return is_flat(g, tensor) ? 2 : 4;
}

static struct omq_onnx_name quantized(const struct omq_onnx_graph *g, int tensor)
{
    return omq_onnx_name(&g->x, base_of(plan_of(g), tensor), "dq");
}

static struct omq_onnx_quantizer quantizer_of(const struct omq_onnx_graph *g, int tensor)
{
    return (struct omq_onnx_quantizer){.base = base_of(plan_of(g), tensor),
                                       .scales = scales_of(plan_of(g), tensor),
                                       .is_of_codes = is_of_codes(plan_of(g), tensor),
                                       .is_requantized = is_requantized(plan_of(g), tensor),
                                       .act = omq_onnx_act_of(g->n, tensor, g->s8)};
}

/* Whether anything but a ConvInteger reads it. */
static bool is_read_as_real(const struct omq_onnx_graph *g, int tensor)
{
    const struct omq_plan *p = plan_of(g);

    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].res == tensor ||
            (p->units[i].in == tensor &&
             (g->style != OMQ_ONNX_EXACT || p->units[i].kind != OMQ_UNIT_CONV)))
            return true;
    return false;
}

static void quantize_tensor(struct omq_onnx_graph *g, int tensor, const char *from)
{
    const struct omq_onnx_quantizer q = quantizer_of(g, tensor);
    int dims[4], n_dims = dims_of(g, tensor, dims);

    omq_onnx_quantize(g, from, &q, dims, n_dims);
    if (is_read_as_real(g, tensor))
        omq_onnx_dequantize(g, &q);
}

/* ---- convolutions and linear layers ---- */

/* A layer's steps, each with a value of its own; the last one's is the unit's. */
struct layer {
    struct omq_onnx_graph *g;
    const struct omq_unit *u;
    int unit, steps_left;
    struct omq_onnx_name at; /* the value so far */
};

/* The value that the next step makes. */
static struct omq_onnx_name next(struct layer *l, const char *suffix)
{
    l->steps_left--;
    if (l->steps_left > 0)
        return omq_onnx_name(&l->g->x, l->u->name, suffix);
    if (plan_of(l->g)->tensors[l->u->out].is_logits)
        return omq_onnx_name(&l->g->x, logits, "");
    return omq_onnx_name(&l->g->x, l->u->name, "");
}

static void step(struct layer *l, const char *op, const char *suffix, const char *other)
{
    const struct omq_onnx_name to = next(l, suffix);

    OMQ_ONNX_NODE(&l->g->x, op, to.s, l->at.s, other);
    l->at = to;
}

static void put_window(struct omq_onnx *x, const struct omq_window *w)
{
    omq_onnx_ints(x, "kernel_shape", (const int[]){w->kh, w->kw}, 2);
    omq_onnx_ints(x, "strides", (const int[]){w->sh, w->sw}, 2);
    omq_onnx_ints(x, "pads", (const int[]){w->ph, w->pw, w->ph, w->pw}, 4);
}

static void put_conv(struct layer *l, const char *op, const char *const *in)
{
    struct omq_onnx *x = &l->g->x;
    const struct omq_onnx_name to = next(l, "conv");
    const size_t node = omq_onnx_begin(x, op, "", to.s, in);

    put_window(x, &l->u->win);
    omq_onnx_ints(x, "dilations", (const int[]){1, 1}, 2);
    omq_onnx_int(x, "group", l->u->groups);
    omq_proto_end(x->out, node);
    l->at = to;
}

static void put_float_conv(struct layer *l, const struct omq_onnx_operands *operands)
{
    const char *bias = operands->bias.s[0] ? operands->bias.s : NULL;

    put_conv(l, "Conv", (const char *const[]){l->at.s, operands->weight.s, bias, NULL});
}

/* Sums of codes in 32 bits, as floats. */
static void put_integer_conv(struct layer *l, const struct omq_onnx_operands *operands)
{
    const struct omq_onnx_quantizer q = quantizer_of(l->g, l->u->in);
    const struct omq_onnx_name zp = omq_onnx_name(&l->g->x, q.scales, "zp");
    const struct omq_onnx_name codes = omq_onnx_codes_name(l->g, &q);
    struct omq_onnx_name to;
    size_t node;

    put_conv(l, "ConvInteger", (const char *const[]){codes.s, operands->weight.s, zp.s, NULL});
    to = next(l, "float");
    node = omq_onnx_begin(&l->g->x, "Cast", "", to.s, (const char *const[]){l->at.s, NULL});
    omq_onnx_int(&l->g->x, "to", OMQ_ONNX_FLOAT);
    omq_proto_end(l->g->x.out, node);
    l->at = to;
}

/* Quantizes l->at as "<unit>/SUFFIX". */
static void requantize(struct layer *l, const char *suffix, struct omq_onnx_quantizer q,
                       const int *dims, int n_dims)
{
    char base[OMQ_NAME_SIZE + 8];

    snprintf(base, sizeof(base), "%s/%s", l->u->name, suffix);
    q.base = base;
    q.is_of_codes = q.scales != NULL;
    q.scales = q.scales ? q.scales : base;
    omq_onnx_quantize(l->g, l->at.s, &q, dims, n_dims);
    omq_onnx_dequantize(l->g, &q);
    l->at = omq_onnx_name(&l->g->x, base, "dq");
}

/* An image's codes in a row: runtimes want them quantized where they are read. */
static void flatten_input(struct layer *l)
{
    const struct omq_tensor *t = &plan_of(l->g)->tensors[l->u->in];
    const int dims[] = {0, t->h * t->w * t->c};
    const struct omq_onnx_name to = omq_onnx_name(&l->g->x, l->u->name, "flat");

    OMQ_ONNX_NODE(&l->g->x, "Flatten", to.s, l->at.s);
    l->at = to;
    if (l->g->style == OMQ_ONNX_QCDQ)
        requantize(l, "flat", quantizer_of(l->g, l->u->in), dims, 2);
}

static void put_gemm(struct layer *l, const struct omq_onnx_operands *operands)
{
    struct omq_onnx *x = &l->g->x;
    const char *bias = operands->bias.s[0] ? operands->bias.s : NULL;
    const struct omq_onnx_name to = next(l, "gemm");
    size_t node;

    if (!is_flat(l->g, l->u->in))
        flatten_input(l);
    node = omq_onnx_begin(x, "Gemm", "", to.s, (const char *const[]){
                              l->at.s, operands->weight.s, bias, NULL});
    omq_onnx_int(x, "transB", 1);
    omq_proto_end(x->out, node);
    l->at = to;
}

static void put_affine(struct layer *l, bool gemm)
{
    const struct omq_onnx_name to = next(l, "affine");

    omq_onnx_affine(l->g, l->unit, gemm, l->at.s, to.s);
    l->at = to;
}

/* The convolution's part in the sum is rounded, as ONNX Runtime's integer convolutions
 * give codes. TensorRT adds in the convolution what is quantized on the other side only. */
static void add_residual(struct layer *l)
{
    int dims[4], n_dims = dims_of(l->g, l->u->out, dims);

    if (!l->g->s8)
        requantize(l, "conv", (struct omq_onnx_quantizer){
                       .act = omq_onnx_act_before_add(l->g->n, l->unit)}, dims, n_dims);
    step(l, "Add", "sum", quantized(l->g, l->u->res).s);
}

static int put_layer(struct omq_onnx_graph *g, int unit)
{
    const struct omq_plan *p = plan_of(g);
    const struct omq_unit *u = &p->units[unit];
    const bool gemm = g->gemms[unit], integer = g->style == OMQ_ONNX_EXACT;
    const bool affine = !omq_onnx_has_bias(g->style);
    const bool flatten = p->tensors[u->out].is_logits && !gemm;
    struct layer l = {.g = g, .u = u, .unit = unit, .at = quantized(g, u->in),
                      .steps_left = 1 + integer + affine + (u->res >= 0) + u->relu +
                                    flatten};
    struct omq_onnx_operands operands;
    int rc = omq_onnx_weights(g, unit, gemm, &operands);

    if (rc < 0)
        return rc;
    if (gemm)
        put_gemm(&l, &operands);
    else if (integer)
        put_integer_conv(&l, &operands);
    else
        put_float_conv(&l, &operands);
    if (affine)
        put_affine(&l, gemm);
    if (u->res >= 0)
        add_residual(&l);
    if (u->relu)
        step(&l, "Relu", "", NULL);
    if (flatten)
        step(&l, "Flatten", "", NULL);
    if (!p->tensors[u->out].is_logits)
        quantize_tensor(g, u->out, l.at.s);
    return OMQ_OK;
}

/* ---- the others ---- */

static void put_pool(struct omq_onnx_graph *g, const struct omq_unit *u)
{
    const struct omq_window *w = &u->win;
    const bool is_max = u->kind == OMQ_UNIT_MAXPOOL;
    const bool global = !is_max && omq_unit_is_whole(u);
    const char *op = is_max ? "MaxPool" : global ? "GlobalAveragePool" : "AveragePool";
    const struct omq_onnx_name to = omq_onnx_name(&g->x, u->name, "");
    const struct omq_onnx_name from = quantized(g, u->in);
    const size_t node = omq_onnx_begin(&g->x, op, "", to.s, (const char *const[]){from.s, NULL});

    if (!global)
        put_window(&g->x, w);
    if (!global && !is_max)
        omq_onnx_int(&g->x, "count_include_pad", 1);
    omq_proto_end(g->x.out, node);
    quantize_tensor(g, u->out, to.s);
}

static void put_concat(struct omq_onnx_graph *g, const struct omq_unit *u)
{
    const struct omq_onnx_name to = omq_onnx_name(&g->x, u->name, "");
    const struct omq_onnx_name a = quantized(g, u->in), b = quantized(g, u->res);
    const size_t node = omq_onnx_begin(&g->x, "Concat", "", to.s,
                                       (const char *const[]){a.s, b.s, NULL});

    omq_onnx_int(&g->x, "axis", 1);
    omq_proto_end(g->x.out, node);
    quantize_tensor(g, u->out, to.s);
}

/* A list of numbers as a tensor of its own, "<base>/<suffix>". */
static struct omq_onnx_name put_list(struct omq_onnx_graph *g, const char *base,
                                     const char *suffix, const int64_t *v, int n)
{
    const struct omq_onnx_name name = omq_onnx_name(&g->x, base, suffix);

    omq_onnx_tensor(&g->x, name.s, OMQ_ONNX_S64, &n, 1, v);
    return name;
}

static void put_shortcut(struct omq_onnx_graph *g, const struct omq_unit *u)
{
    const struct omq_window *w = &u->win;
    const int64_t begin[] = {0, 0}, end[] = {w->h, w->w}, axes[] = {2, 3};
    const int64_t steps[] = {w->sh, w->sw}, first = (u->oc - w->c) / 2;
    const int64_t pads[] = {0, first, 0, 0, 0, u->oc - w->c - first, 0, 0};
    const struct omq_onnx_name to = omq_onnx_name(&g->x, u->name, "");
    const struct omq_onnx_name sliced = omq_onnx_name(&g->x, u->name, "slice");

    OMQ_ONNX_NODE(&g->x, "Slice", sliced.s, quantized(g, u->in).s,
                  put_list(g, u->name, "begin", begin, 2).s,
                  put_list(g, u->name, "end", end, 2).s,
                  put_list(g, u->name, "axes", axes, 2).s,
                  put_list(g, u->name, "steps", steps, 2).s);
    OMQ_ONNX_NODE(&g->x, "Pad", to.s, sliced.s, put_list(g, u->name, "pads", pads, 8).s);
    quantize_tensor(g, u->out, to.s);
}

static int put_unit(struct omq_onnx_graph *g, int unit)
{
    const struct omq_unit *u = &plan_of(g)->units[unit];

    if (u->kind == OMQ_UNIT_CONV)
        return put_layer(g, unit);
    if (u->kind == OMQ_UNIT_REQUANT)
        quantize_tensor(g, u->out, quantized(g, u->in).s);
    else if (u->kind == OMQ_UNIT_CONCAT)
        put_concat(g, u);
    else if (u->kind == OMQ_UNIT_SHORTCUT)
        put_shortcut(g, u);
    else
        put_pool(g, u);
    return OMQ_OK;
}

int omq_onnx_units(struct omq_onnx_graph *g)
{
    const struct omq_plan *p = plan_of(g);
    int rc = OMQ_OK;

    g->gemms = calloc((size_t)p->n_units, sizeof(*g->gemms));
    if (!g->gemms)
        return omq_fail(g->err, OMQ_ENOMEM, "cannot allocate an ONNX model");
    for (int i = p->n_units - 1; i >= 0; i--)
        g->gemms[i] = is_gemm(g, i);
    quantize_tensor(g, 0, input);
    for (int i = 0; rc == OMQ_OK && i < p->n_units; i++)
        rc = put_unit(g, i);
    free(g->gemms);
    return rc;
}
