/* SPDX-License-Identifier: MIT
 *
 * The executor: the walk over the plan's units, forward and back.
 */
#include "nn/nn_internal.h"

#include <string.h>

static const struct omq_unit_row *const unit_rows[] = {
    [OMQ_UNIT_CONV] = &omq_unit_conv,
    [OMQ_UNIT_REQUANT] = &omq_unit_requant,
    [OMQ_UNIT_MAXPOOL] = &omq_unit_maxpool,
    [OMQ_UNIT_AVGPOOL] = &omq_unit_avgpool,
    [OMQ_UNIT_CONCAT] = &omq_unit_concat,
    [OMQ_UNIT_SHORTCUT] = &omq_unit_shortcut,
};

struct images {
    struct omq_exec *x;
    int u;
    omq_image_fn *fn;
};

static void run_images(void *arg, int thread, int begin, int end)
{
    const struct images *j = arg;

    for (int i = begin; i < end; i++)
        j->fn(j->x, j->u, i, thread);
}

void omq_exec_images(struct omq_exec *x, int u, omq_image_fn *fn)
{
    struct images j = {x, u, fn};

    omq_pool_run(x->pool, run_images, &j, x->n);
}

/* Sets up every tensor for the current precision. */
static void set_tensors(struct omq_exec *x, const uint8_t *codes)
{
    const struct omq_net *net = x->net;

    for (int i = 0; i < net->plan.n_tensors; i++) {
        const struct omq_tensor *t = &net->plan.tensors[i];
        struct omq_tensor_buf *b = &x->tensors[i];

        b->has_grad = false;
        b->is_real = t->is_logits ||
                     (!t->is_input && omq_site_bits(net, x->precision, t->site) == OMQ_FLOAT_BITS);
        if (t->is_input) {
            b->act = omq_act_of(8, true);
            b->step = net->pre.step;
            memcpy(b->q, codes, b->n_image * (size_t)x->n);
        } else if (!b->is_real) {
            b->act = omq_site_act(net, x->precision, t->site);
            b->step = omq_net_site_step(net, x->precision, t->site);
        }
    }
}

void omq_exec_begin(struct omq_exec *x, int precision, enum omq_mode mode, const uint8_t *codes,
                    int n, double bn_momentum)
{
    x->precision = precision;
    x->mode = mode;
    x->n = n;
    x->bn_momentum = bn_momentum;
    set_tensors(x, codes);
    omq_layers_forward(x);
}

void omq_exec_unit(struct omq_exec *x, int unit)
{
    const struct omq_unit *u = &x->net->plan.units[unit];
    struct omq_tensor_buf *out = &x->tensors[u->out];

    if (!out->is_real)
        out->step = omq_net_site_step(x->net, x->precision, x->net->plan.tensors[u->out].site);
    unit_rows[u->kind]->forward(x, unit);
}

void omq_exec_forward(struct omq_exec *x, int precision, enum omq_mode mode, const uint8_t *codes,
                      int n, double bn_momentum)
{
    omq_exec_begin(x, precision, mode, codes, n, bn_momentum);
    do {
        x->again = false;
        for (int u = 0; u < x->net->plan.n_units; u++)
            omq_exec_unit(x, u);
        memset(x->fresh, 0, sizeof(*x->fresh) * (size_t)x->net->plan.n_sites);
    } while (x->again);
}

void omq_exec_adopt_stats(struct omq_exec *x, int precision, const bool *layers,
                          const uint8_t *codes, int n)
{
    x->adopting = layers;
    omq_exec_forward(x, precision, OMQ_MODE_FROZEN, codes, n, 1);
    x->adopting = NULL;
}

static int logits(const struct omq_exec *x)
{
    return x->net->plan.units[x->net->plan.n_units - 1].out;
}

void omq_exec_unit_backward(struct omq_exec *x, int u)
{
    unit_rows[x->net->plan.units[u].kind]->backward(x, u);
}

void omq_exec_backward(struct omq_exec *x, const omq_real *dlogits)
{
    struct omq_tensor_buf *last = &x->tensors[logits(x)];

    memcpy(last->g, dlogits, sizeof(omq_real) * last->n_image * (size_t)x->n);
    for (int u = x->net->plan.n_units; u-- > 0;)
        omq_exec_unit_backward(x, u);
}

const omq_real *omq_exec_logits(const struct omq_exec *x) { return x->tensors[logits(x)].x; }

const uint8_t *omq_exec_codes(const struct omq_exec *x, int tensor)
{
    return x->tensors[tensor].is_real ? NULL : x->tensors[tensor].q;
}

const omq_real *omq_exec_reals(const struct omq_exec *x, int tensor)
{
    return x->tensors[tensor].is_real ? x->tensors[tensor].x : NULL;
}

int omq_exec_zero_point(const struct omq_exec *x, int tensor)
{
    return x->tensors[tensor].is_real ? 0 : x->tensors[tensor].act.zero_point;
}

/* Codes are finite by nature, but the sums and factors behind them may not be. */
const char *omq_exec_find_nonfinite(const struct omq_exec *x)
{
    for (int i = 0; i < x->net->plan.n_units; i++) {
        const struct omq_unit *u = &x->net->plan.units[i];
        const struct omq_unit_buf *b = &x->units[i];
        size_t n = x->tensors[u->out].n_image * (size_t)x->n;

        for (size_t j = 0; b->acc && j < n; j++)
            if (!isfinite(b->acc[j]))
                return u->name;
        for (int c = 0; b->acc && c < u->oc; c++)
            if (!isfinite(b->m[c]) || !isfinite(b->b[c]))
                return u->name;
    }
    return x->net->plan.units[x->net->plan.n_units - 1].name;
}

struct omq_exec_times omq_exec_take_times(struct omq_exec *x)
{
    struct omq_exec_times sum = {0};
    int n = omq_pool_threads(x->pool);

    for (int i = 0; i < n; i++) {
        struct omq_exec_times *t = &x->threads[i].t;

        sum.conv += t->conv / n;
        sum.dx += t->dx / n;
        sum.dw += t->dw / n;
        sum.quant += t->quant / n;
        sum.norm += t->norm / n;
        *t = (struct omq_exec_times){0};
    }
    return sum;
}
