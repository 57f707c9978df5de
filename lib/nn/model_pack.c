/* SPDX-License-Identifier: MIT
 *
 * A packed net of a net: some of its precisions as integers, without what they were
 * made from.
 */
#include "nn/nn_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Which of the precisions stay, and where they are in the copy. */
struct packing {
    const struct omq_net *net;
    const struct omq_model_info *info;
    int n_precisions, precision[OMQ_MAX_PRECISIONS]; /* [new] = old */
    int at[OMQ_MAX_PRECISIONS];                      /* [old] = new, or -1 */
    int n_profiles, *profile;                        /* [new] = old */
};

static int keep(struct packing *p, int precision, struct omq_err *err)
{
    const struct omq_precision bits = p->net->precisions[precision];
    char name[16];

    if (omq_precision_is_float(bits))
        return omq_fail(err, OMQ_EUNSUP, "'%s' is a float precision: it has no packed weights",
                        omq_precision_name(bits, name));
    p->at[precision] = 0;
    return OMQ_OK;
}

/* The precisions of one choice. */
static int choose(struct packing *p, int choice, struct omq_err *err)
{
    const struct omq_profile *f;
    int rc;

    if (choice < p->net->n_precisions)
        return keep(p, choice, err);
    f = &p->info->profiles[choice - p->net->n_precisions];
    p->profile[p->n_profiles++] = choice - p->net->n_precisions;
    rc = keep(p, f->stream, err);
    for (int l = 0; rc == OMQ_OK && l < p->net->plan.n_layers; l++)
        rc = keep(p, f->layers[l], err);
    return rc;
}

static const struct omq_param *find(const struct omq_net *net, int precision, const char *name)
{
    for (int i = 0; i < net->n_params; i++)
        if (net->params[i].precision == precision && strcmp(net->params[i].name, name) == 0)
            return &net->params[i];
    OMQ_BUG("a parameter of a packed net that its net has not");
}

/* Biases, batch norm, steps of activations. */
static void copy_params(struct omq_net *to, const struct packing *p)
{
    for (int i = 0; i < to->n_params; i++) {
        struct omq_param *d = &to->params[i];

        if (d->kind != OMQ_PARAM_UNIT)
            memcpy(d->value, find(p->net, d->precision < 0 ? -1 : p->precision[d->precision],
                                  d->name)->value, sizeof(*d->value) * d->n);
    }
}

static int pack_layer(struct omq_net *to, const struct packing *p, int precision, int layer,
                      struct omq_err *err)
{
    const struct omq_layer *l = &to->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(to, precision, layer);
    const size_t row = omq_layer_row_bytes(to, precision, layer);
    const struct omq_grid g = omq_layer_grid(to, precision, layer);
    const int old = p->precision[precision], at_once = omq_layer_codes_outputs(p->net, layer);
    const size_t n = omq_layer_filter(l);
    struct omq_layer_codes codes = {.k = malloc(n * (size_t)at_once),
                                    .unit = calloc((size_t)l->out, sizeof(*codes.unit))};
    omq_real *scratch = calloc(omq_layer_codes_scratch(p->net, layer), sizeof(*scratch));
    int rc = OMQ_OK;

    if (!codes.k || !codes.unit || !scratch)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the packed weights of '%s'", l->name);
    for (int first = 0; rc == OMQ_OK && first < l->out; first += at_once) {
        const int count = l->out - first < at_once ? l->out - first : at_once;

        omq_layer_make_codes(p->net, old, layer, first, count, &codes, scratch);
        omq_pack(&g, (size_t)count, n, codes.k, lp->codes + (size_t)first * row);
    }
    for (size_t o = 0; rc == OMQ_OK && o < lp->unit->n; o++)
        lp->unit->value[o] = codes.unit[codes.n_units == 1 ? 0 : o];
    free(scratch);
    free(codes.unit);
    free(codes.k);
    return rc;
}

static int pack_net(struct omq_net *to, const struct packing *p, struct omq_err *err)
{
    struct omq_precision prec[OMQ_MAX_PRECISIONS];
    struct omq_graph graph;
    int rc = omq_graph_copy(&graph, &p->net->graph, err);

    if (rc < 0)
        return rc;
    for (int i = 0; i < p->n_precisions; i++)
        prec[i] = p->net->precisions[p->precision[i]];
    if ((rc = omq_net_declare(to, &graph, prec, p->n_precisions, &p->net->quant, &p->net->pre, true,
                              INT_MAX, err)) < 0)
        return rc;
    if ((rc = omq_net_allocate(to, false, err)) == OMQ_OK)
        copy_params(to, p);
    for (int i = 0; rc == OMQ_OK && i < to->n_precisions; i++)
        for (int l = 0; rc == OMQ_OK && l < to->plan.n_layers; l++)
            rc = pack_layer(to, p, i, l, err);
    if (rc < 0)
        omq_net_release(to);
    return rc;
}

/* Profiles of the old numbers, numbered anew. */
static bool copy_profiles(struct omq_model_info *to, const struct packing *p)
{
    const int n_layers = p->net->plan.n_layers;

    to->profiles = calloc((size_t)p->n_profiles + 1, sizeof(*to->profiles));
    for (; to->profiles && to->n_profiles < p->n_profiles; to->n_profiles++) {
        const struct omq_profile *f = &p->info->profiles[p->profile[to->n_profiles]];
        struct omq_profile *d = &to->profiles[to->n_profiles];

        *d = *f;
        d->stream = p->at[f->stream];
        d->layers = malloc(sizeof(*d->layers) * (size_t)n_layers);
        if (!d->layers)
            return false;
        for (int l = 0; l < n_layers; l++)
            d->layers[l] = p->at[f->layers[l]];
    }
    return to->profiles != NULL;
}

static int pack_info(struct omq_model_info *to, const struct packing *p, struct omq_err *err)
{
    const size_t names = sizeof(*to->class_names) * (size_t)p->info->n_class_names;

    *to = *p->info;
    to->profiles = NULL;
    to->n_profiles = 0;
    for (int i = 0; i < p->n_precisions; i++)
        to->results[i] = p->info->results[p->precision[i]];
    to->class_names = malloc(names + 1);
    if (!to->class_names || !copy_profiles(to, p)) {
        omq_model_info_release(to);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a packed model");
    }
    if (names > 0)
        memcpy(to->class_names, p->info->class_names, names);
    return OMQ_OK;
}

int omq_model_pack(struct omq_net *out, struct omq_model_info *out_info, const struct omq_net *net,
                   const struct omq_model_info *info, const int *choices, int n,
                   struct omq_err *err)
{
    struct packing p = {.net = net, .info = info};
    int rc = OMQ_OK;

    memset(p.at, -1, sizeof(p.at));
    p.profile = calloc((size_t)n, sizeof(*p.profile));
    if (!p.profile)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a packed model");
    for (int i = 0; rc == OMQ_OK && i < n; i++)
        rc = choose(&p, choices[i], err);
    for (int i = 0; i < net->n_precisions; i++)
        if (p.at[i] == 0) {
            p.at[i] = p.n_precisions;
            p.precision[p.n_precisions++] = i;
        }
    if (rc == OMQ_OK && (rc = pack_info(out_info, &p, err)) == OMQ_OK &&
        (rc = pack_net(out, &p, err)) < 0)
        omq_model_info_release(out_info);
    free(p.profile);
    return rc;
}
