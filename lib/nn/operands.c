/* SPDX-License-Identifier: MIT
 *
 * What training makes of a layer's weights, and their gradients back:
 *   shared weights -> view -> codes -> in the order of the kernels that take them,
 *   sums of the threads -> gradient of codes -> of the view -> of shared weights.
 * Both are done in shares, some outputs of a layer each, or all of them where an
 * output's codes depend on the others: layers differ in size, shares hardly do.
 */
#include "nn/nn_internal.h"

#include <string.h>

/* ---- shares ---- */

static int count_of(const struct omq_net *net, int layer)
{
    const int out = net->plan.layers[layer].out, some = omq_layer_codes_outputs(net, layer);

    return (out + some - 1) / some;
}

int omq_shares_count(const struct omq_net *net)
{
    int n = 0;

    for (int l = 0; l < net->plan.n_layers; l++)
        n += count_of(net, l);
    return n;
}

void omq_shares_fill(struct omq_exec *x)
{
    struct omq_share *s = x->shares;

    for (int l = 0; l < x->net->plan.n_layers; l++) {
        const int out = x->net->plan.layers[l].out, some = omq_layer_codes_outputs(x->net, l);

        x->layers[l].first_share = (int)(s - x->shares);
        x->layers[l].n_shares = count_of(x->net, l);
        for (int first = 0; first < out; first += some, s++)
            *s = (struct omq_share){.layer = l, .first = first,
                                    .count = out - first < some ? out - first : some};
    }
}

/* Where the weights of a share begin. */
static size_t begin_of(const struct omq_layer *l, const struct omq_share *s)
{
    return (size_t)s->first * omq_layer_filter(l);
}

/* ---- orders ---- */

/* Back from omq_layer_order(), times a factor. */
static void from_kernel_order(const struct omq_layer *l, int count, const omq_real *src,
                              omq_real factor, omq_real *dst)
{
    const size_t kk = (size_t)l->kh * (size_t)l->kw, in = (size_t)l->in;

    for (size_t o = 0; o < (size_t)count; o++, src += in * kk)
        for (size_t i = 0; i < in; i++)
            for (size_t j = 0; j < kk; j++)
                *dst++ = factor * src[j * in + i];
}

/* [out][rows][taps][c] -> [c/16][rows][taps][out/2][16][2], taps from the last on */
static void pair(const struct omq_layer_buf *b, int out, const struct omq_share *s)
{
    enum { GROUP = 16 };
    const size_t c = (size_t)b->c, taps = (size_t)b->taps, n_taps = (size_t)b->rows * taps;
    const size_t filter = n_taps * c, group = n_taps * (size_t)out * GROUP;

    for (size_t o = (size_t)s->first; o < (size_t)(s->first + s->count); o += 2)
        for (size_t t = 0; t < n_taps; t++) {
            const size_t mirrored = t / taps * taps + (taps - 1 - t % taps);
            const int8_t *even = b->codes + o * filter + t * c, *odd = even + filter;
            int16_t *dst = b->k_pairs + (mirrored * (size_t)out + o) * GROUP;

            for (size_t i = 0; i < c; i++) {
                int16_t *to = dst + i / GROUP * group + i % GROUP * 2;

                to[0] = even[i];
                to[1] = odd[i];
            }
        }
}

/* Real value of a code of a share's output o. */
static omq_real unit_of(const struct omq_share *s, int o)
{
    return s->weights.unit[s->weights.n_units == 1 ? 0 : o];
}

/* [count][kh][kw] -> [kh][kw][out] of a depthwise layer: its codes, or, in float, weights,
 * and what they stand for. */
static void spread_taps(const struct omq_layer_buf *b, const struct omq_layer *l,
                        const struct omq_share *s)
{
    const size_t taps = (size_t)l->kh * (size_t)l->kw, out = (size_t)l->out;

    for (int i = 0; i < s->count; i++) {
        const omq_real unit = b->is_float ? 1 : unit_of(s, i);
        const size_t o = (size_t)(s->first + i);

        for (size_t t = 0; t < taps; t++) {
            const omq_real x = b->is_float ? b->operand[o * taps + t]
                                           : (omq_real)b->codes[o * taps + t];

            b->by_taps[t * out + o] = x;
            if (b->dequant_by_taps)
                b->dequant_by_taps[t * out + o] = x * unit;
        }
    }
}

/* ---- forward ---- */

/* The codes, as far as this layer's kernels take them as other numbers. */
static void spread_codes(const struct omq_exec *x, struct omq_layer_buf *b,
                         const struct omq_layer *l, const struct omq_share *s)
{
    const size_t filter = omq_layer_filter(l), end = begin_of(l, s) + (size_t)s->count * filter;
    size_t begin = begin_of(l, s);

    if (b->packs)
        omq_codes_pack(x, b, s->first, s->count);
    if (b->k_pairs)
        pair(b, l->out, s);
    if (b->by_taps)
        spread_taps(b, l, s);
    for (size_t i = begin; b->operand && i < end; i++)
        b->operand[i] = (omq_real)b->codes[i];
    for (int o = 0; b->dequant && o < s->count; o++) {
        const omq_real unit = unit_of(s, o);

        for (size_t i = 0; i < filter; i++, begin++)
            b->dequant[begin] = (omq_real)b->codes[begin] * unit;
    }
}

static void quantize(struct omq_exec *x, struct omq_share *s, const omq_real *view)
{
    struct omq_layer_buf *b = &x->layers[s->layer];
    const struct omq_layer *l = &x->net->plan.layers[s->layer];
    const struct omq_param *step = omq_net_layer(x->net, x->precision, s->layer)->wstep;
    const bool own_units = step && step->n > 1;
    const size_t begin = begin_of(l, s);

    /* a unit that all shares have is written by the first */
    s->weights = omq_layer_some(x->net, x->precision, s->layer, s->first, s->count, b->k + begin,
                                own_units || s->first == 0 ? b->unit : &s->unit, b->scratch);
    s->weights.w = view;
    omq_layer_method(x->net, s->layer)->forward(&s->weights);
    if (s->first == 0)
        b->n_units = own_units ? l->out : s->weights.n_units;
    x->kern->transpose_u8((size_t)s->count, l->in, l->kh * l->kw, (const uint8_t *)b->k + begin,
                          (uint8_t *)b->codes + begin);
    spread_codes(x, b, l, s);
}

static void forward_share(struct omq_exec *x, struct omq_share *s, omq_real *room)
{
    struct omq_layer_buf *b = &x->layers[s->layer];
    const struct omq_layer *l = &x->net->plan.layers[s->layer];
    const size_t begin = begin_of(l, s);
    const omq_real *view = omq_layer_view_some(x->net, x->precision, s->layer, s->first, s->count,
                                               room);

    if (!b->is_float) {
        quantize(x, s, view);
        return;
    }
    if (s->first == 0) {
        b->n_units = 1;
        b->unit[0] = 1;
    }
    omq_layer_order(l, s->count, view, b->operand + begin);
    if (b->by_taps)
        spread_taps(b, l, s);
    if (b->dequant)
        memcpy(b->dequant + begin, b->operand + begin,
               sizeof(*b->operand) * (size_t)s->count * omq_layer_filter(l));
}

static void forward(void *arg, int thread, int begin, int end)
{
    struct omq_exec *x = arg;
    double start = omq_now();

    for (int i = begin; i < end; i++)
        forward_share(x, &x->shares[i], x->threads[thread].view);
    x->threads[thread].t.quant += omq_now() - start;
}

/* Steps that are 0 are not initialized yet: from all of a layer's weights. */
static void init_steps(void *arg, int thread, int begin, int end)
{
    struct omq_exec *x = arg;

    for (int layer = begin; layer < end; layer++) {
        struct omq_layer_buf *b = &x->layers[layer];
        const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, layer);
        struct omq_weights q;

        if (b->is_float || !lp->wstep || lp->wstep->value[0] > 0)
            continue;
        q = omq_layer_weights(x->net, x->precision, layer,
                              omq_layer_view_some(x->net, x->precision, layer, 0,
                                                  x->net->plan.layers[layer].out,
                                                  x->threads[thread].view),
                              b->k, b->unit, b->scratch);
        omq_layer_method(x->net, layer)->init_step(&q, lp->wstep->value);
    }
}

void omq_layers_forward(struct omq_exec *x)
{
    for (int l = 0; l < x->net->plan.n_layers; l++)
        x->layers[l].is_float = omq_layer_bits(x->net, x->precision, l) == OMQ_FLOAT_BITS;
    for (int i = 0; i < x->net->plan.n_units; i++) {
        const struct omq_unit *u = &x->net->plan.units[i];
        struct omq_layer_buf *b = u->layer < 0 ? NULL : &x->layers[u->layer];

        if (!b)
            continue;
        b->packs = x->units[i].run_at && !b->is_float && !x->tensors[u->in].is_real;
        if (b->packs)
            omq_codes_begin(x, u);
    }
    if (x->mode == OMQ_MODE_TRAIN)
        omq_pool_run(x->pool, init_steps, x, x->net->plan.n_layers);
    omq_pool_run(x->pool, forward, x, x->n_shares);
}

void omq_exec_layer(struct omq_exec *x, int layer)
{
    const struct omq_layer_buf *b = &x->layers[layer];

    forward(x, 0, b->first_share, b->first_share + b->n_shares);
}

void omq_exec_init_step(struct omq_exec *x, int precision, int layer)
{
    const struct omq_layer_params *lp = omq_net_layer(x->net, precision, layer);

    if (!lp->wstep || lp->wstep->precision >= 0)
        return;
    x->precision = precision;
    x->layers[layer].is_float = false;
    init_steps(x, 0, layer, layer + 1);
}

/* ---- backward ---- */

/* The threads' sums, in the first one's; of threads that had none of the images there
 * is nothing. */
static const omq_real *add_up(const struct omq_exec *x, int n_chunks, size_t all, size_t begin,
                              size_t n)
{
    omq_real *sum = NULL;

    for (int t = 0; t < omq_pool_threads(x->pool); t++) {
        omq_real *dw = x->dw + (size_t)t * all + begin;

        if (!omq_pool_has_share(x->pool, t, n_chunks))
            continue;
        if (sum)
            x->kern->add(n, dw, sum);
        else
            sum = dw;
    }
    return sum;
}

/* Through the quantizer. Of steps that outputs share, each leaves its part in dsteps:
 * their sum must not depend on the threads. */
static void unquantize(const struct omq_exec *x, const struct omq_share *s, const omq_real *view,
                       const omq_real *dcodes, omq_real *dview)
{
    const struct omq_layer_buf *b = &x->layers[s->layer];
    const struct omq_method *m = omq_layer_method(x->net, s->layer);
    struct omq_weights q = s->weights;

    q.w = view;
    memset(b->dsteps + s->first, 0, sizeof(*b->dsteps) * (size_t)s->count);
    if (!m->is_separable) {
        m->backward(&q, dcodes, dview, b->dsteps);
        return;
    }
    q.out = 1;
    for (int o = 0; o < s->count; o++) {
        m->backward(&q, dcodes, dview, b->dsteps + s->first + o);
        q.w += q.n;
        q.k += q.n;
        q.step += q.n_steps > 1;
        dcodes += q.n;
        dview += q.n;
    }
}

static void backward_share(struct omq_exec *x, const struct omq_share *s,
                           const struct omq_thread_buf *t)
{
    struct omq_layer_buf *b = &x->layers[s->layer];
    const struct omq_layer *l = &x->net->plan.layers[s->layer];
    const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, s->layer);
    const size_t begin = begin_of(l, s);
    struct omq_view_spec v = omq_layer_spec(x->net, x->precision, s->layer);
    const omq_real *sum = add_up(x, b->n_chunks, omq_layer_size(l), begin,
                                 (size_t)s->count * omq_layer_filter(l));
    omq_real *doffset = NULL;

    from_kernel_order(l, s->count, sum, b->in_step, b->is_float ? t->dview : t->dcodes);
    if (!b->is_float)
        unquantize(x, s, omq_layer_view_some(x->net, x->precision, s->layer, s->first, s->count,
                                             t->view), t->dcodes, t->dview);
    if (lp->offset)
        doffset = lp->offset->grad + lp->offset->n / (size_t)l->out * (size_t)s->first;
    v.dims[0] = s->count;
    omq_view_backward(&v, t->dview, lp->weight->grad + begin, doffset);
}

struct backward {
    struct omq_exec *x;
    const struct omq_share *first;
};

static void backward(void *arg, int thread, int begin, int end)
{
    const struct backward *job = arg;
    struct omq_thread_buf *t = &job->x->threads[thread];
    double start = omq_now();

    for (int i = begin; i < end; i++)
        backward_share(job->x, &job->first[i], t);
    t->t.quant += omq_now() - start;
}

void omq_layer_backward(struct omq_exec *x, int layer)
{
    const struct omq_layer_buf *b = &x->layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, layer);
    const int out = omq_layer_method(x->net, layer)->is_separable ? x->net->plan.layers[layer].out
                                                                  : 1;
    struct backward job = {x, x->shares + b->first_share};

    omq_pool_run(x->pool, backward, &job, b->n_shares);
    for (int o = 0; !b->is_float && lp->wstep && o < out; o++)
        lp->wstep->grad[lp->wstep->n > 1 ? o : 0] += b->dsteps[o];
}
