/* SPDX-License-Identifier: MIT
 *
 * A layer's weights at one precision: shared weights -> view -> codes, and for
 * training the gradients back the same way.
 */
#include "nn/nn_internal.h"

#include <string.h>

void omq_layer_view(const struct omq_net *net, int precision, int layer, omq_real *dst)
{
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    struct omq_view_spec v = omq_layer_spec(net, precision, layer);

    omq_view_forward(&v, lp->weight->value, lp->offset ? lp->offset->value : NULL, dst);
}

/* [out][in][kk] -> [out][kk][in] and back, for any element type. */
#define TO_KERNEL_ORDER(l, src, dst)                                                     \
    do {                                                                                 \
        int kk_ = (l)->kh * (l)->kw, in_ = (l)->in;                                      \
                                                                                         \
        for (int o_ = 0; o_ < (l)->out; o_++)                                            \
            for (int j_ = 0; j_ < kk_; j_++)                                             \
                for (int i_ = 0; i_ < in_; i_++)                                         \
                    (dst)[((size_t)o_ * kk_ + j_) * in_ + i_] =                          \
                        (src)[((size_t)o_ * in_ + i_) * kk_ + j_];                       \
    } while (0)

const struct omq_method *omq_layer_method(const struct omq_net *net, int layer)
{
    return omq_method_of(net->quant.method,
                         net->plan.layers[layer].edge && net->quant.first_last_bits);
}

int omq_layer_bits_at(const struct omq_net *net, int precision, int layer)
{
    return omq_layer_bits(&net->plan.layers[layer], net->precisions[precision],
                          net->quant.first_last_bits);
}

struct omq_grid omq_layer_grid(const struct omq_net *net, int precision, int layer)
{
    return omq_layer_method(net, layer)->grid(net->quant.grid,
                                              omq_layer_bits_at(net, precision, layer));
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
        .n = omq_layer_size(l) / (size_t)l->out, .w = w,
        .step = lp->wstep ? lp->wstep->value : NULL,
        .n_steps = lp->wstep ? (int)lp->wstep->n : 0, .scratch = scratch, .k = k, .unit = unit,
    };
}

/* ---- codes for the engine: some outputs at a time ---- */

int omq_layer_codes_outputs(const struct omq_net *net, int layer)
{
    enum { WEIGHTS = 1 << 14, BLOCK = 16 };
    const struct omq_layer *l = &net->plan.layers[layer];
    size_t n = (size_t)l->in * (size_t)l->kh * (size_t)l->kw, blocks = WEIGHTS / (BLOCK * n);
    size_t count = BLOCK * (blocks < 1 ? 1 : blocks);

    if (!omq_layer_method(net, layer)->is_separable)
        return l->out;
    return count < (size_t)l->out ? (int)count : l->out;
}

size_t omq_layer_codes_scratch(const struct omq_net *net, int layer)
{
    const struct omq_layer *l = &net->plan.layers[layer];

    return 3 * omq_layer_size(l) / (size_t)l->out * /* view, codes, the method's */
           (size_t)omq_layer_codes_outputs(net, layer);
}

/* A layer of the outputs first .. first + count - 1 alone. */
static struct omq_weights weights_of(const struct omq_net *net, int precision, int layer, int first,
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

/* What of them is quantized: the shared weights, or made of them in dst. */
static const omq_real *view_of(const struct omq_net *net, int precision, int layer, int first,
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
    const size_t filter = (size_t)l->in * (size_t)l->kh * (size_t)l->kw;
    const size_t n = (size_t)count * filter;
    struct omq_weights q = weights_of(net, precision, layer, first, count,
                                      (int8_t *)(scratch + n), out->unit, scratch + 2 * n);

    q.w = view_of(net, precision, layer, first, count, scratch);
    omq_layer_method(net, layer)->forward(&q);
    /* of some outputs, each with a step of its own, there may be but one */
    out->n_units = count == l->out ? q.n_units : (int)step->n;
    for (int o = 0; o < count; o++)
        omq_kern()->transpose_u8(l->in, l->kh * l->kw,
                                 (const uint8_t *)q.k + (size_t)o * filter,
                                 (uint8_t *)out->k + (size_t)o * filter);
}

static void unpack_codes(const struct omq_net *net, int precision, int layer, int first,
                         int count, struct omq_layer_codes *out)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    const struct omq_grid g = omq_layer_grid(net, precision, layer);
    const bool one = lp->unit->n == 1;

    omq_unpack(&g, (size_t)count, omq_layer_size(l) / (size_t)l->out,
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

/* ---- codes for training ---- */

/* [out][rows][taps*c] -> [rows][taps*c/4][out][4], the last four of a row filled up with 0 */
static void interleave(const struct omq_layer_buf *b, int out, int8_t *dst)
{
    const int run = b->taps * b->c;

    for (int ky = 0; ky < b->rows; ky++)
        for (int j = 0; j < run; j += 4)
            for (int o = 0; o < out; o++, dst += 4)
                for (int i = 0; i < 4; i++)
                    dst[i] = j + i < run
                             ? (int8_t)b->k16[((size_t)o * (size_t)b->rows + (size_t)ky) *
                                              (size_t)run + (size_t)(j + i)] : 0;
}

/* [out][rows][taps][c] -> [rows][taps][out/2][c][2], taps from the last on */
static void pair(const struct omq_layer_buf *b, int out, int16_t *dst)
{
    const size_t in = (size_t)b->c, n = (size_t)b->rows * (size_t)b->taps * in;

    for (int ky = 0; ky < b->rows; ky++)
        for (int kx = b->taps; kx-- > 0;)
            for (size_t o = 0; o < (size_t)out; o += 2) {
                const int16_t *even = b->k16 + o * n + (size_t)(ky * b->taps + kx) * in;

                for (size_t i = 0; i < in; i++) {
                    *dst++ = even[i];
                    *dst++ = even[n + i];
                }
            }
}

/* Steps that are 0 are not initialized yet. */
static void quantize(struct omq_exec *x, int layer)
{
    struct omq_layer_buf *b = &x->layers[layer];
    const struct omq_layer *l = &x->net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, layer);
    const struct omq_method *m = omq_layer_method(x->net, layer);
    size_t n = lp->weight->n / (size_t)l->out;

    b->weights = omq_layer_weights(x->net, x->precision, layer, b->view, b->k, b->unit,
                                   b->scratch);
    if (x->mode == OMQ_MODE_TRAIN && lp->wstep && !(lp->wstep->value[0] > 0))
        m->init_step(&b->weights, lp->wstep->value);
    m->forward(&b->weights);
    b->n_units = b->weights.n_units;
    TO_KERNEL_ORDER(l, b->k, b->k16);
    if (b->k8)
        interleave(b, l->out, b->k8);
    if (b->k_pairs)
        pair(b, l->out, b->k_pairs);
    for (int o = 0; o < l->out; o++)
        for (size_t i = (size_t)o * n; i < (size_t)(o + 1) * n; i++) {
            b->operand[i] = (omq_real)b->k16[i];
            b->dequant[i] = b->operand[i] * b->unit[b->n_units == 1 ? 0 : o];
        }
}

static void forward(void *arg, int thread, int begin, int end)
{
    struct omq_exec *x = arg;
    double start = omq_now();

    for (int layer = begin; layer < end; layer++) {
        struct omq_layer_buf *b = &x->layers[layer];
        const struct omq_layer *l = &x->net->plan.layers[layer];
        const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, layer);

        b->is_float = omq_layer_bits_at(x->net, x->precision, layer) == OMQ_FLOAT_BITS;
        omq_layer_view(x->net, x->precision, layer, b->view);
        if (b->is_float) {
            b->n_units = 1;
            b->unit[0] = 1;
            TO_KERNEL_ORDER(l, b->view, b->operand);
            memcpy(b->dequant, b->operand, sizeof(omq_real) * lp->weight->n);
            continue;
        }
        quantize(x, layer);
    }
    x->threads[thread].t.quant += omq_now() - start;
}

void omq_layers_forward(struct omq_exec *x)
{
    omq_pool_run(x->pool, forward, x, x->net->plan.n_layers);
}

/* The threads' sums of one layer, as real gradients in OIHW, to dst. */
static void gather(const struct omq_exec *x, const struct omq_layer *l, struct omq_layer_buf *b,
                   size_t n, omq_real *dst)
{
    int kk = l->kh * l->kw;

    for (int t = 1; t < omq_pool_threads(x->pool); t++)
        x->kern->add(n, b->dw + (size_t)t * n, b->dw);
    for (int o = 0; o < l->out; o++)
        for (int j = 0; j < kk; j++)
            for (int i = 0; i < l->in; i++)
                dst[((size_t)o * l->in + i) * kk + j] =
                    b->in_step * b->dw[((size_t)o * kk + j) * l->in + i];
}

static void backward(void *arg, int thread, int begin, int end)
{
    struct omq_exec *x = arg;
    double start = omq_now();

    for (int layer = begin; layer < end; layer++) {
        struct omq_layer_buf *b = &x->layers[layer];
        const struct omq_layer *l = &x->net->plan.layers[layer];
        const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, layer);
        struct omq_view_spec v = omq_layer_spec(x->net, x->precision, layer);

        gather(x, l, b, lp->weight->n, b->is_float ? b->dview : b->dcodes);
        if (!b->is_float)
            omq_layer_method(x->net, layer)->backward(&b->weights, b->dcodes, b->dview,
                                                      lp->wstep ? lp->wstep->grad : NULL);
        omq_view_backward(&v, b->dview, lp->weight->grad, lp->offset ? lp->offset->grad : NULL);
    }
    x->threads[thread].t.quant += omq_now() - start;
}

void omq_layers_backward(struct omq_exec *x)
{
    omq_pool_run(x->pool, backward, x, x->net->plan.n_layers);
}
