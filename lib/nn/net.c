/* SPDX-License-Identifier: MIT
 *
 * Parameters: which there are (declare), one arena for all of them, and how they
 * start.
 */
#include "nn/nn_internal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* Appends a parameter; its memory comes later. */
static struct omq_param *declare(struct omq_net *net, enum omq_param_kind kind, int precision,
                                 const char *owner, const char *suffix, int ndim, const int *dims)
{
    struct omq_param *p = &net->params[net->n_params++];

    *p = (struct omq_param){.kind = kind, .precision = precision, .ndim = ndim, .n = 1};
    snprintf(p->name, sizeof(p->name), "%.*s.%s", OMQ_NAME_SIZE - 16, owner, suffix);
    for (int i = 0; i < ndim; i++) {
        p->dims[i] = dims[i];
        p->n *= (size_t)dims[i];
    }
    return p;
}

static bool is_quantized(const struct omq_net *net, int p, int layer)
{
    return omq_layer_bits(net, p, layer) != OMQ_FLOAT_BITS;
}

static bool is_ever_quantized(const struct omq_net *net, int layer)
{
    for (int p = 0; p < net->n_precisions; p++)
        if (is_quantized(net, p, layer))
            return true;
    return false;
}

static void declare_shared(struct omq_net *net, int layer)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    struct omq_layer_params *first = &net->layer_params[layer];
    int dims[4] = {l->out, l->in, l->kh, l->kw}, one = 1;
    struct omq_param *step = NULL;

    if (!net->packed)
        first->weight = declare(net, OMQ_PARAM_WEIGHT, -1, l->name, "weight", 4, dims);
    if (l->bias)
        first->bias = declare(net, OMQ_PARAM_BIAS, -1, l->name, "bias", 1, dims);
    if (!net->packed && omq_layer_method(net, layer)->wstep == OMQ_WSTEP_SHARED &&
        is_ever_quantized(net, layer))
        step = declare(net, OMQ_PARAM_WSTEP, -1, l->name, "step", 1, &one);
    for (int p = 0; p < net->n_precisions; p++) {
        struct omq_layer_params *lp = &net->layer_params[p * net->plan.n_layers + layer];

        lp->weight = first->weight;
        lp->bias = first->bias;
        lp->wstep = is_quantized(net, p, layer) ? step : NULL;
    }
}

static void declare_layer(struct omq_net *net, int p, int layer)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    struct omq_layer_params *lp = &net->layer_params[p * net->plan.n_layers + layer];
    struct omq_view_spec v = omq_layer_spec(net, p, layer);
    int dims[4] = {l->out};
    int n_steps = net->quant.weight_steps == OMQ_STEPS_CHANNEL ? l->out : 1;

    if (l->norm[0]) {
        lp->gamma = declare(net, OMQ_PARAM_GAMMA, p, l->norm, "weight", 1, dims);
        lp->beta = declare(net, OMQ_PARAM_BETA, p, l->norm, "bias", 1, dims);
        lp->mean = declare(net, OMQ_PARAM_MEAN, p, l->norm, "running_mean", 1, dims);
        lp->var = declare(net, OMQ_PARAM_VAR, p, l->norm, "running_var", 1, dims);
    }
    if (net->packed) {
        lp->unit = declare(net, OMQ_PARAM_UNIT, p, l->name, "unit", 1, &n_steps);
        return;
    }
    if (is_quantized(net, p, layer) && omq_layer_method(net, layer)->wstep == OMQ_WSTEP_PRECISION)
        lp->wstep = declare(net, OMQ_PARAM_WSTEP, p, l->name, "step", 1, &n_steps);
    omq_view_offset_dims(&v, dims);
    if (v.offsets)
        lp->offset = declare(net, OMQ_PARAM_OFFSET, p, l->name, "offset", 4, dims);
}

/* What a quantized site learns, if its method has something to learn. */
static void declare_site(struct omq_net *net, int p, int s)
{
    const struct omq_act_method *m = omq_site_method(net, s);
    int one = 1;

    if (!m->learned || omq_site_bits(net, p, s) == OMQ_FLOAT_BITS)
        return;
    net->site_steps[p * net->plan.n_sites + s] =
        declare(net, m->is_clip ? OMQ_PARAM_ACLIP : OMQ_PARAM_ASTEP, p, net->plan.sites[s].name,
                m->is_clip ? "clip" : "step", 1, &one);
}

static void declare_all(struct omq_net *net)
{
    const struct omq_plan *plan = &net->plan;

    for (int l = 0; l < plan->n_layers; l++)
        declare_shared(net, l);
    for (int p = 0; p < net->n_precisions; p++) {
        for (int l = 0; l < plan->n_layers; l++)
            declare_layer(net, p, l);
        for (int s = 0; s < plan->n_sites; s++)
            declare_site(net, p, s);
    }
}

static bool has_grad(const struct omq_param *p)
{
    return p->kind != OMQ_PARAM_MEAN && p->kind != OMQ_PARAM_VAR;
}

int omq_net_allocate(struct omq_net *net, bool with_grads, struct omq_err *err)
{
    int rc;

    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; !net->packed && i < net->n_params; i++) {
            struct omq_param *p = &net->params[i];

            p->value = omq_arena_take(&net->arena, p->n, sizeof(omq_real));
        }
        if (net->packed)
            omq_packed_take(net);
        for (int i = 0; with_grads && i < net->n_params; i++) {
            struct omq_param *p = &net->params[i];

            if (has_grad(p))
                p->grad = omq_arena_take(&net->arena, p->n, sizeof(omq_real));
        }
        if (pass == 0 && (rc = omq_arena_commit(&net->arena, "the network's parameters", err)) < 0)
            return rc;
    }
    return OMQ_OK;
}

static void fill(struct omq_param *p, omq_real x)
{
    for (size_t i = 0; i < p->n; i++)
        p->value[i] = x;
}

/* Normal with variance 2 / fan-out (He et al., ICCV 2015), which a batch norm follows;
 * uniform in +-1/sqrt(fan-in) where there is a bias in place of it. */
static void init_weight(struct omq_param *p, const struct omq_layer *l, uint64_t seed, int index)
{
    double std = sqrt(2.0 / ((double)l->out * l->kh * l->kw));
    double bound = 1.0 / sqrt((double)l->in * l->kh * l->kw);
    struct omq_rng r;

    omq_rng_init(&r, seed, OMQ_STREAM_INIT, (uint32_t)index, 0);
    for (size_t i = 0; i < p->n; i++)
        p->value[i] = (omq_real)(l->bias ? bound * (2 * omq_rng_uniform(&r) - 1)
                                         : std * omq_rng_normal(&r));
}

static void init_values(struct omq_net *net, uint64_t seed)
{
    for (int l = 0; l < net->plan.n_layers; l++)
        init_weight(net->layer_params[l].weight, &net->plan.layers[l], seed, l);
    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];

        if (p->kind == OMQ_PARAM_GAMMA || p->kind == OMQ_PARAM_VAR)
            fill(p, 1);
    }
}

/* Parameters that there are at least: weights, and steps of what is quantized
 * where the method learns one a precision; of packed nets units. */
static uint64_t least_params(const struct omq_net *net)
{
    const struct omq_method *m = omq_method_of(net->quant.method, false);
    uint64_t n = net->packed ? 0 : (uint64_t)net->plan.n_layers;

    for (int p = 0; p < net->n_precisions; p++) {
        if (net->packed ||
            (net->precisions[p].w != OMQ_FLOAT_BITS && m->wstep == OMQ_WSTEP_PRECISION))
            n += (uint64_t)net->plan.n_layers;
        if (net->precisions[p].a != OMQ_FLOAT_BITS && m->act->learned)
            n += (uint64_t)net->plan.n_sites;
    }
    return n;
}

/* Whether a layer multiplies codes with codes at some precision. */
static bool has_codes(const struct omq_net *net, const struct omq_unit *u)
{
    int site = net->plan.tensors[u->in].site;

    for (int p = 0; p < net->n_precisions; p++)
        if (is_quantized(net, p, u->layer) &&
            (site < 0 || omq_site_bits(net, p, site) != OMQ_FLOAT_BITS))
            return true;
    return false;
}

/* The sums of every layer stay within int32 at 8 bits, hence at all widths: a
 * network that is trained is one that the engine can run. */
static int check_sums(const struct omq_net *net, struct omq_err *err)
{
    const uint64_t most = INT32_MAX / (255 * 127);

    for (int i = 0; i < net->plan.n_units; i++) {
        const struct omq_unit *u = &net->plan.units[i];
        uint64_t k;

        if (u->kind != OMQ_UNIT_CONV || !has_codes(net, u))
            continue;
        k = (uint64_t)u->win.kh * (uint64_t)u->win.kw * (uint64_t)u->win.c_count;
        if (k > most)
            return omq_fail(err, OMQ_EUNSUP, "layer '%s' adds up %llu products, which can exceed "
                            "32 bits: %llu are possible", net->plan.layers[u->layer].name,
                            (unsigned long long)k, (unsigned long long)most);
    }
    return OMQ_OK;
}

int omq_net_declare(struct omq_net *net, struct omq_graph *graph, const struct omq_precision *prec,
                    int n_prec, const struct omq_quant_config *quant,
                    const struct omq_preprocess *pre, bool packed, int max_params,
                    struct omq_err *err)
{
    size_t per_precision;
    int rc;

    *net = (struct omq_net){.graph = *graph, .n_precisions = n_prec, .quant = *quant, .pre = *pre,
                            .packed = packed};
    *graph = (struct omq_graph){0};
    memcpy(net->precisions, prec, sizeof(*prec) * (size_t)n_prec);
    if ((rc = omq_plan_init(&net->plan, &net->graph, err)) < 0 ||
        (rc = check_sums(net, err)) < 0)
        goto err_release;
    if (least_params(net) > (uint64_t)max_params) {
        rc = omq_fail(err, OMQ_EFORMAT, "the network has at least %llu parameter tensors, but "
                      "there are only %d", (unsigned long long)least_params(net), max_params);
        goto err_release;
    }
    net->n_classes = net->plan.tensors[net->plan.units[net->plan.n_units - 1].out].c;
    per_precision = 6 * (size_t)net->plan.n_layers + (size_t)net->plan.n_sites;
    net->params = calloc(3 * (size_t)net->plan.n_layers + (size_t)n_prec * per_precision,
                         sizeof(*net->params));
    net->layer_params = calloc((size_t)n_prec * (size_t)net->plan.n_layers,
                               sizeof(*net->layer_params));
    net->site_steps = calloc((size_t)n_prec * (size_t)net->plan.n_sites, sizeof(*net->site_steps));
    if (!net->params || !net->layer_params || !net->site_steps) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the network's parameters");
        goto err_release;
    }
    declare_all(net);
    return OMQ_OK;

err_release:
    omq_net_release(net);
    return rc;
}

int omq_net_init(struct omq_net *net, struct omq_graph *graph, const struct omq_precision *prec,
                 int n_prec, const struct omq_quant_config *quant,
                 const struct omq_preprocess *pre, uint64_t seed, bool with_grads,
                 struct omq_err *err)
{
    int rc = omq_net_declare(net, graph, prec, n_prec, quant, pre, false, INT_MAX, err);

    if (rc < 0)
        return rc;
    if ((rc = omq_net_allocate(net, with_grads, err)) < 0)
        omq_net_release(net);
    else
        init_values(net, seed);
    return rc;
}

int omq_net_like(struct omq_net *net, const struct omq_net *like, const struct omq_precision *prec,
                 int n_prec, const struct omq_quant_config *quant, struct omq_err *err)
{
    struct omq_graph g;
    int rc = omq_graph_copy(&g, &like->graph, err);

    return rc < 0 ? rc : omq_net_init(net, &g, prec, n_prec, quant, &like->pre, 0, false, err);
}

void omq_net_release(struct omq_net *net)
{
    omq_arena_release(&net->arena);
    free(net->site_steps);
    free(net->layer_params);
    free(net->params);
    omq_plan_release(&net->plan);
    omq_graph_release(&net->graph);
    *net = (struct omq_net){0};
}

void omq_param_copy(const struct omq_param *from, struct omq_param *to)
{
    if (from && to)
        memcpy(to->value, from->value, sizeof(omq_real) * from->n);
}

void omq_layer_copy(const struct omq_layer_params *from, const struct omq_layer_params *to)
{
    omq_param_copy(from->weight, to->weight);
    omq_param_copy(from->bias, to->bias);
    omq_param_copy(from->gamma, to->gamma);
    omq_param_copy(from->beta, to->beta);
    omq_param_copy(from->mean, to->mean);
    omq_param_copy(from->var, to->var);
}

const struct omq_layer_params *omq_net_layer(const struct omq_net *net, int precision, int layer)
{
    return &net->layer_params[precision * net->plan.n_layers + layer];
}

int omq_net_find(const struct omq_net *net, struct omq_precision p)
{
    for (int i = 0; i < net->n_precisions; i++)
        if (net->precisions[i].w == p.w && net->precisions[i].a == p.a)
            return i;
    return -1;
}
