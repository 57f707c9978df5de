/* SPDX-License-Identifier: MIT
 *
 * A layer's weights at one precision: shared weights -> view -> codes, and for
 * training the gradients back the same way.
 */
#include "nn/nn_internal.h"

#include <string.h>

void omq_layer_view(const struct omq_net *net, int precision, int layer, omq_real *dst,
                    omq_real *scratch)
{
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    struct omq_view_spec v = omq_layer_spec(net, precision, layer);

    omq_view_forward(&v, lp->weight->value, lp->gain ? lp->gain->value : NULL,
                     lp->offset ? lp->offset->value : NULL, dst, scratch);
}

size_t omq_layer_scratch(const struct omq_net *net, int layer)
{
    struct omq_view_spec v = omq_layer_spec(net, 0, layer); /* any: its shape decides */
    size_t n = net->layer_params[layer].weight->n;

    return 2 * n + omq_view_scratch(&v); /* view, codes, and the view's own */
}

/* [out][in][kk] -> [out][kk][in] and back, for any element type. */
#define TO_KERNEL_ORDER(l, src, dst)                                                     \
    do {                                                                                 \
        int kk_ = (l)->kh * (l)->kw, in_ = (l)->in;                                      \
                                                                                         \
        for (int o_ = 0; o_ < (l)->out; o_++)                                            \
            for (int i_ = 0; i_ < in_; i_++)                                             \
                for (int j_ = 0; j_ < kk_; j_++)                                         \
                    (dst)[((size_t)o_ * kk_ + j_) * in_ + i_] =                          \
                        (src)[((size_t)o_ * in_ + i_) * kk_ + j_];                       \
    } while (0)

void omq_layer_make_codes(const struct omq_net *net, int precision, int layer,
                          struct omq_layer_codes *out, omq_real *scratch)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    struct omq_view_spec v = omq_layer_spec(net, precision, layer);
    size_t n = lp->weight->n;
    int8_t *stored = (int8_t *)(scratch + n);
    const int8_t *k;

    out->grid = omq_grid_of(net->quant.grid, omq_layer_bits(l, net->precisions[precision],
                                                            net->quant.first_last_bits));
    out->n_units = (int)lp->wstep->n;
    for (int i = 0; i < out->n_units; i++)
        out->unit[i] = omq_view_unit(&v, &out->grid, lp->wstep->value[i]);
    omq_layer_view(net, precision, layer, scratch, scratch + 2 * n);
    omq_weights_quantize(&out->grid, l->out, n / (size_t)l->out, scratch, lp->wstep->value,
                         out->n_units, stored);
    k = omq_view_codes(&v, &out->grid, stored, stored + n); /* scratch + n: n reals, 3 n bytes */
    TO_KERNEL_ORDER(l, k, out->k);
}

/* Steps that are 0 are not initialized yet. */
static void quantize(struct omq_exec *x, int layer)
{
    struct omq_layer_buf *b = &x->layers[layer];
    const struct omq_layer *l = &x->net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, layer);
    size_t n = lp->weight->n / (size_t)l->out;
    int bits = omq_layer_bits(l, x->net->precisions[x->precision], x->net->quant.first_last_bits);
    struct omq_grid g = omq_grid_of(x->net->quant.grid, bits);
    struct omq_view_spec v = omq_layer_spec(x->net, x->precision, layer);
    const int8_t *k;

    b->n_units = (int)lp->wstep->n;
    if (x->mode == OMQ_MODE_TRAIN && !(lp->wstep->value[0] > 0))
        omq_weights_init_step(&g, l->out, n, b->view, lp->wstep->value, b->n_units);
    for (int i = 0; i < b->n_units; i++)
        b->unit[i] = omq_view_unit(&v, &g, lp->wstep->value[i]);
    omq_weights_quantize(&g, l->out, n, b->view, lp->wstep->value, b->n_units, b->k);
    k = omq_view_codes(&v, &g, b->k, (int8_t *)b->scratch);
    TO_KERNEL_ORDER(l, k, b->k16);
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

        b->is_float = !lp->wstep;
        omq_layer_view(x->net, x->precision, layer, b->view, b->scratch);
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

/* The threads' sums of one layer, as real gradients in OIHW, to b->scratch. */
static void gather(const struct omq_exec *x, const struct omq_layer *l, struct omq_layer_buf *b,
                   size_t n)
{
    int kk = l->kh * l->kw;

    for (int t = 1; t < omq_pool_threads(x->pool); t++)
        x->kern->add(n, b->dw + (size_t)t * n, b->dw);
    for (int o = 0; o < l->out; o++)
        for (int j = 0; j < kk; j++)
            for (int i = 0; i < l->in; i++)
                b->scratch[((size_t)o * l->in + i) * kk + j] =
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
        size_t n = lp->weight->n;
        omq_real *dview = b->scratch + n;
        int bits = omq_layer_bits(l, x->net->precisions[x->precision],
                                  x->net->quant.first_last_bits);
        struct omq_view_spec v = omq_layer_spec(x->net, x->precision, layer);

        gather(x, l, b, n);
        if (b->is_float) {
            memcpy(dview, b->scratch, sizeof(omq_real) * n);
        } else {
            struct omq_grid g = omq_grid_of(x->net->quant.grid, bits);

            omq_view_codes_backward(&v, b->scratch, b->scratch + 2 * n);
            omq_weights_backward(&g, l->out, n / (size_t)l->out, b->view, b->k, lp->wstep->value,
                                 b->n_units, b->scratch, dview, lp->wstep->grad);
        }
        omq_view_backward(&v, lp->weight->value, lp->gain ? lp->gain->value : NULL, dview,
                          lp->weight->grad, lp->gain ? lp->gain->grad : NULL,
                          lp->offset ? lp->offset->grad : NULL, b->scratch + 2 * n);
    }
    x->threads[thread].t.quant += omq_now() - start;
}

void omq_layers_backward(struct omq_exec *x)
{
    omq_pool_run(x->pool, backward, x, x->net->plan.n_layers);
}
