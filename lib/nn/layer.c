/* SPDX-License-Identifier: MIT
 *
 * A layer's weights at one precision: shared weights -> view -> codes.
 */
#include "nn/nn_internal.h"

size_t omq_layer_filter(const struct omq_layer *l)
{
    return (size_t)l->in * (size_t)l->kh * (size_t)l->kw;
}

size_t omq_layer_size(const struct omq_layer *l)
{
    return (size_t)l->out * omq_layer_filter(l);
}

size_t omq_layer_row_bytes(const struct omq_net *net, int precision, int layer)
{
    const size_t row = omq_layer_filter(&net->plan.layers[layer]);
    const int bits = omq_layer_bits(net, precision, layer);

    return bits == OMQ_FLOAT_BITS ? 4 * row : omq_pack_row_bytes(bits, row);
}

size_t omq_layer_bytes(const struct omq_net *net, int precision, int layer)
{
    return (size_t)net->plan.layers[layer].out * omq_layer_row_bytes(net, precision, layer);
}

void omq_layer_order(const struct omq_layer *l, int count, const omq_real *src, omq_real *dst)
{
    const size_t kk = (size_t)l->kh * (size_t)l->kw, in = (size_t)l->in;

    for (size_t o = 0; o < (size_t)count; o++, src += in * kk)
        for (size_t j = 0; j < kk; j++)
            for (size_t i = 0; i < in; i++)
                *dst++ = src[i * kk + j];
}

struct omq_view_spec omq_layer_spec(const struct omq_net *net, int precision, int layer)
{
    const struct omq_layer *l = &net->plan.layers[layer];

    return omq_view_of(&net->quant, omq_layer_bits(net, precision, layer), l->edge,
                       (const int[4]){l->out, l->in, l->kh, l->kw});
}

void omq_layer_view(const struct omq_net *net, int precision, int layer, omq_real *dst)
{
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    struct omq_view_spec v = omq_layer_spec(net, precision, layer);

    omq_view_forward(&v, lp->weight->value, lp->offset ? lp->offset->value : NULL, dst);
}

const struct omq_method *omq_layer_method(const struct omq_net *net, int layer)
{
    return omq_method_of(net->quant.method,
                         net->plan.layers[layer].edge && net->quant.first_last_bits);
}

int omq_layer_bits(const struct omq_net *net, int precision, int layer)
{
    const int w = net->precisions[precision].w, edge_bits = net->quant.first_last_bits;

    return w != OMQ_FLOAT_BITS && net->plan.layers[layer].edge && edge_bits ? edge_bits : w;
}

struct omq_grid omq_layer_grid(const struct omq_net *net, int precision, int layer)
{
    return omq_layer_method(net, layer)->grid(net->quant.grid,
                                              omq_layer_bits(net, precision, layer));
}

int omq_layer_bias_parts(const struct omq_net *net, int precision, int layer,
                         const struct omq_act *in)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_grid g = omq_layer_grid(net, precision, layer);

    return omq_bias_parts(omq_grid_largest(&g), in->q_max, (int64_t)omq_layer_filter(l));
}

struct omq_weights omq_layer_weights(const struct omq_net *net, int precision, int layer,
                                     const omq_real *w, int8_t *k, omq_real *unit,
                                     omq_real *scratch)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);

    return (struct omq_weights){
        .grid = omq_layer_grid(net, precision, layer), .out = l->out,
        .fan_out = l->linear ? l->out : l->out * l->kh * l->kw,
        .n = omq_layer_filter(l), .w = w,
        .n_shared = omq_layer_size(l) / (size_t)(lp->wstep && lp->wstep->n > 1 ? l->out : 1),
        .step = lp->wstep ? lp->wstep->value : NULL,
        .n_steps = lp->wstep ? (int)lp->wstep->n : 0, .scratch = scratch, .k = k, .unit = unit,
    };
}

/* ---- codes for the engine: some outputs at a time ---- */

int omq_layer_codes_outputs(const struct omq_net *net, int layer)
{
    enum { WEIGHTS = 1 << 14, BLOCK = 16 };
    const struct omq_layer *l = &net->plan.layers[layer];
    size_t blocks = WEIGHTS / (BLOCK * omq_layer_filter(l));
    size_t count = BLOCK * (blocks < 1 ? 1 : blocks);

    if (!omq_layer_method(net, layer)->is_separable || l->groups > 1)
        return l->out;
    return count < (size_t)l->out ? (int)count : l->out;
}

size_t omq_layer_codes_scratch(const struct omq_net *net, int layer)
{
    /* view, codes, the method's */
    return 3 * omq_layer_filter(&net->plan.layers[layer]) *
           (size_t)omq_layer_codes_outputs(net, layer);
}

struct omq_weights omq_layer_some(const struct omq_net *net, int precision, int layer, int first,
                                  int count, int8_t *k, omq_real *unit, omq_real *scratch)
{
    struct omq_weights q = omq_layer_weights(net, precision, layer, NULL, k, unit, scratch);

    q.out = count;
    if (q.n_steps > 1) { /* one an output */
        q.step += first;
        q.n_steps = count;
        q.unit += first;
    }
    return q;
}

const omq_real *omq_layer_view_some(const struct omq_net *net, int precision, int layer, int first,
                                    int count, omq_real *dst)
{
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    struct omq_view_spec v = omq_layer_spec(net, precision, layer);
    size_t n = lp->weight->n / (size_t)v.dims[0];
    const omq_real *w = lp->weight->value + (size_t)first * n;

    if (!v.offsets)
        return w;
    n = lp->offset->n / (size_t)v.dims[0];
    v.dims[0] = count;
    omq_view_forward(&v, w, lp->offset->value + (size_t)first * n, dst);
    return dst;
}

static void quantize_codes(const struct omq_net *net, int precision, int layer, int first,
                           int count, struct omq_layer_codes *out, omq_real *scratch)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_param *step = omq_net_layer(net, precision, layer)->wstep;
    const size_t n = (size_t)count * omq_layer_filter(l);
    struct omq_weights q = omq_layer_some(net, precision, layer, first, count,
                                          (int8_t *)(scratch + n), out->unit, scratch + 2 * n);

    q.w = omq_layer_view_some(net, precision, layer, first, count, scratch);
    omq_layer_method(net, layer)->forward(&q);
    /* of some outputs, each with a step of its own, there may be but one */
    out->n_units = count == l->out ? q.n_units : (int)step->n;
    omq_kern()->transpose_u8((size_t)count, l->in, l->kh * l->kw, (const uint8_t *)q.k,
                             (uint8_t *)out->k);
}

static void unpack_codes(const struct omq_net *net, int precision, int layer, int first,
                         int count, struct omq_layer_codes *out)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    const struct omq_grid g = omq_layer_grid(net, precision, layer);
    const bool one = lp->unit->n == 1;

    omq_unpack(&g, (size_t)count, omq_layer_filter(l),
               lp->codes + (size_t)first * omq_layer_row_bytes(net, precision, layer), out->k);
    out->n_units = one ? 1 : l->out;
    for (int o = 0; o < (one ? 1 : count); o++)
        out->unit[first * !one + o] = lp->unit->value[first * !one + o];
}

void omq_layer_make_codes(const struct omq_net *net, int precision, int layer, int first,
                          int count, struct omq_layer_codes *out, omq_real *scratch)
{
    if (net->packed)
        unpack_codes(net, precision, layer, first, count, out);
    else
        quantize_codes(net, precision, layer, first, count, out, scratch);
}

struct omq_norm omq_layer_norm(const struct omq_layer_params *lp)
{
    if (!lp->gamma)
        return (struct omq_norm){.beta = lp->bias ? lp->bias->value : NULL};
    return (struct omq_norm){.gamma = lp->gamma->value, .beta = lp->beta->value,
                             .mean = lp->mean->value, .var = lp->var->value, .eps = OMQ_BN_EPS};
}
