/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "port/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_LINES = 60 }; /* of each kind of problem */

/* ---- what the net expects ---- */

static int by_name(const void *a, const void *b)
{
    const struct omq_expected *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static void add_target(struct omq_expected_list *t, const struct omq_param *p, int layer)
{
    struct omq_expected *target = &t->list[t->n];

    if (!p)
        return;
    *target = (struct omq_expected){.kind = p->kind, .layer = layer, .param = p};
    snprintf(target->name, sizeof(target->name), "%s", p->name);
    t->sorted[t->n++] = target;
}

static int targets_init(struct omq_expected_list *t, const struct omq_net *net, struct omq_err *err)
{
    const int n_layers = net->plan.n_layers;

    *t = (struct omq_expected_list){.list = calloc(6 * (size_t)n_layers, sizeof(*t->list)),
                              .sorted = calloc(6 * (size_t)n_layers, sizeof(*t->sorted))};
    if (!t->list || !t->sorted)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the names of %d layers", n_layers);
    for (int l = 0; l < n_layers; l++) {
        const struct omq_layer_params *lp = omq_net_layer(net, 0, l);

        t->head = t->n;
        add_target(t, lp->weight, l);
        add_target(t, lp->bias, l);
        add_target(t, lp->gamma, l);
        add_target(t, lp->beta, l);
        add_target(t, lp->mean, l);
        add_target(t, lp->var, l);
    }
    qsort(t->sorted, (size_t)t->n, sizeof(*t->sorted), by_name);
    return OMQ_OK;
}

static void targets_release(struct omq_expected_list *t)
{
    free(t->list);
    free(t->sorted);
    *t = (struct omq_expected_list){0};
}

const struct omq_expected *omq_expected_find(const struct omq_expected_list *t, const char *name)
{
    struct omq_expected key, *p = &key, **found;

    if (strlen(name) >= sizeof(key.name))
        return NULL;
    snprintf(key.name, sizeof(key.name), "%s", name);
    found = bsearch(&p, t->sorted, (size_t)t->n, sizeof(*t->sorted), by_name);
    return found ? *found : NULL;
}

/* ---- matching ---- */

struct loading {
    struct omq_net *net;
    const struct omq_source *s;
    const struct omq_init_config *cfg;
    const char *remedy;
    struct omq_weights_result *r;
    struct omq_expected_list targets;
    struct omq_entries entries;
    FILE *text;
    struct omq_err *err;
};

/* A line of the list, unless it has enough of its kind. */
static void problem(struct loading *w, int *count, const char *what, const char *name)
{
    if ((*count)++ < MAX_LINES)
        fprintf(w->text, "%s: %s\n", what, name);
}

static void put_dims(FILE *f, const uint64_t *dims, int ndim)
{
    for (int i = 0; i < ndim; i++)
        fprintf(f, "%s%llu", i ? ", " : "[", (unsigned long long)dims[i]);
    fprintf(f, "%s]", ndim ? "" : "[");
}

/* The shape that PyTorch has for a parameter: of linear layers [out, in]. */
static int shape_of(const struct loading *w, const struct omq_expected *t, uint64_t dims[4])
{
    int ndim = t->param->ndim;

    for (int i = 0; i < ndim; i++)
        dims[i] = (uint64_t)t->param->dims[i];
    if (t->kind == OMQ_PARAM_WEIGHT && w->net->plan.layers[t->layer].linear) {
        dims[1] *= dims[2] * dims[3];
        ndim = 2;
    }
    return ndim;
}

/* Ones at the end do not count: a linear layer may have been a convolution. */
static bool same_shape(const struct omq_source_array *a, const uint64_t *dims, int ndim)
{
    for (int i = 0; i < a->ndim || i < ndim; i++)
        if ((i < a->ndim ? a->dims[i] : 1) != (i < ndim ? dims[i] : 1))
            return false;
    return true;
}

/* Also where the file is a model of ours, whose linear layers have four dimensions. */
static bool fits(const struct loading *w, const struct omq_expected *t,
                 const struct omq_source_array *a)
{
    uint64_t dims[4] = {0}, own[4] = {0};
    int ndim = shape_of(w, t, dims);

    for (int i = 0; i < t->param->ndim; i++)
        own[i] = (uint64_t)t->param->dims[i];
    return same_shape(a, dims, ndim) || same_shape(a, own, t->param->ndim);
}

static void match_target(struct loading *w, struct omq_expected *t)
{
    struct omq_entry *e = omq_entry_find(&w->entries, t->name);
    uint64_t dims[4] = {0};
    int ndim;

    if (omq_name_skipped(w->cfg, t->name)) {
        w->r->skipped++;
        return;
    }
    if (!e) {
        problem(w, &w->r->missing, "missing", t->name);
        return;
    }
    e->taken = true;
    if (fits(w, t, e->array)) {
        t->entry = e;
        return;
    }
    if (w->r->misshapen++ < MAX_LINES) {
        ndim = shape_of(w, t, dims);
        fprintf(w->text, "shape of %s is ", t->name);
        put_dims(w->text, e->array->dims, e->array->ndim);
        fprintf(w->text, ", expected ");
        put_dims(w->text, dims, ndim);
        fprintf(w->text, "\n");
    }
}

/* The bias of a layer with batch norm, which the norm's mean takes; NULL: none. */
static struct omq_entry *spare_bias(const struct loading *w, int layer)
{
    const struct omq_layer *l = &w->net->plan.layers[layer];
    const uint64_t n = (uint64_t)l->out;
    char name[OMQ_NAME_SIZE + 8];
    struct omq_entry *e;

    if (!l->norm[0] || l->bias)
        return NULL;
    snprintf(name, sizeof(name), "%s.bias", l->name);
    e = omq_entry_find(&w->entries, name);
    return e && !e->skipped && same_shape(e->array, &n, 1) ? e : NULL;
}

static void match_all(struct loading *w)
{
    for (int i = 0; i < w->targets.n; i++)
        match_target(w, &w->targets.list[i]);
    for (int l = 0; l < w->net->plan.n_layers; l++) {
        struct omq_entry *bias = spare_bias(w, l);

        if (bias)
            bias->taken = true;
    }
    for (int i = 0; i < w->entries.n; i++)
        if (!w->entries.list[i].taken && !w->entries.list[i].skipped)
            problem(w, &w->r->unexpected, "unexpected", w->entries.list[i].name);
    if (w->r->missing > MAX_LINES || w->r->unexpected > MAX_LINES || w->r->misshapen > MAX_LINES)
        fprintf(w->text, "(%d lines of a kind are shown)\n", MAX_LINES);
}

/* A pattern that skips nothing is a slip of the pen: what it was for would be loaded. */
static bool is_idle(const struct loading *w, const char *pattern)
{
    for (int i = 0; i < w->targets.n; i++)
        if (omq_name_fits(pattern, w->targets.list[i].name))
            return false;
    for (int i = 0; i < w->entries.n; i++)
        if (omq_name_fits(pattern, w->entries.list[i].name))
            return false;
    return true;
}

static void find_idle_skip(struct loading *w)
{
    for (int i = 0; i < w->cfg->n_skip && !w->r->idle_skip; i++)
        if (is_idle(w, w->cfg->skip[i]))
            w->r->idle_skip = w->cfg->skip[i];
}

static int judge(const struct loading *w)
{
    const struct omq_weights_result *r = w->r;

    if (w->cfg->strict && r->missing + r->unexpected + r->misshapen > 0)
        return omq_fail(w->err, OMQ_ECONFIG, "the weights in '%s' are not those of this network: "
                        "%d missing, %d unexpected, %d of another shape; try %s", w->s->path,
                        r->missing, r->unexpected, r->misshapen, w->remedy);
    for (int i = 0; i < w->targets.n; i++)
        if (w->targets.list[i].entry)
            return OMQ_OK;
    return omq_fail(w->err, OMQ_ECONFIG, "'%s' has no array of this network's", w->s->path);
}

/* ---- values ---- */

/* n finite values of an entry into buf. */
static int read_values(struct loading *w, const struct omq_entry *e, float *buf, bool is_var)
{
    int rc = omq_source_read(w->s, e->array, buf, w->err);

    for (size_t i = 0; rc == OMQ_OK && i < e->array->n; i++)
        if (!isfinite(buf[i]) || (is_var && buf[i] < 0))
            rc = omq_fail(w->err, OMQ_EFORMAT, "'%s' in '%s' has the impossible value %g at index "
                          "%zu", e->array->name, w->s->path, (double)buf[i], i);
    w->r->loaded += rc == OMQ_OK;
    return rc;
}

/* The parameter of this kind at one precision. */
static struct omq_param *param_at(const struct omq_net *net, int precision,
                                  const struct omq_expected *t)
{
    const struct omq_layer_params *lp = omq_net_layer(net, precision, t->layer);

    switch (t->kind) {
    case OMQ_PARAM_WEIGHT: return lp->weight;
    case OMQ_PARAM_BIAS: return lp->bias;
    case OMQ_PARAM_GAMMA: return lp->gamma;
    case OMQ_PARAM_BETA: return lp->beta;
    case OMQ_PARAM_MEAN: return lp->mean;
    default: return lp->var;
    }
}

static int load_target(struct loading *w, const struct omq_expected *t, float *buf)
{
    int rc = read_values(w, t->entry, buf, t->kind == OMQ_PARAM_VAR);

    for (int p = 0; rc == OMQ_OK && p < w->net->n_precisions; p++) {
        struct omq_param *to = param_at(w->net, p, t);

        for (size_t i = 0; i < to->n; i++)
            to->value[i] = (omq_real)buf[i];
    }
    return rc;
}

/* A bias before the norm moves what its mean is taken of. */
static int load_spare_bias(struct loading *w, int layer, float *buf)
{
    const struct omq_entry *e = spare_bias(w, layer);
    int rc = e ? read_values(w, e, buf, false) : OMQ_OK;

    for (int p = 0; rc == OMQ_OK && e && p < w->net->n_precisions; p++) {
        struct omq_param *mean = omq_net_layer(w->net, p, layer)->mean;

        for (size_t i = 0; i < mean->n; i++)
            mean->value[i] -= (omq_real)buf[i];
    }
    return rc;
}

/* gamma / sqrt(var + eps) stays what it was with the eps that came in. The gain
 * is put into gamma and not into var, so that it outlives statistics taken anew. */
static void change_eps(struct loading *w, int layer)
{
    for (int p = 0; p < w->net->n_precisions; p++) {
        const struct omq_layer_params *lp = omq_net_layer(w->net, p, layer);

        for (size_t i = 0; lp->gamma && i < lp->gamma->n; i++) {
            double var = (double)lp->var->value[i];

            lp->gamma->value[i] *= (omq_real)sqrt((var + OMQ_BN_EPS) / (var + w->cfg->bn_eps));
        }
    }
}

static int load_all(struct loading *w)
{
    size_t most = 0;
    bool *has_norm = calloc((size_t)w->net->plan.n_layers, sizeof(*has_norm));
    float *buf;
    int rc = OMQ_OK;

    for (int i = 0; i < w->targets.n; i++)
        if (w->targets.list[i].param->n > most)
            most = w->targets.list[i].param->n;
    buf = omq_calloc(most, sizeof(*buf));
    if (!buf || !has_norm)
        rc = omq_fail(w->err, OMQ_ENOMEM, "cannot allocate %zu weights", most);
    for (int i = 0; rc == OMQ_OK && i < w->targets.n; i++) {
        const struct omq_expected *t = &w->targets.list[i];

        if (t->entry)
            rc = load_target(w, t, buf);
        has_norm[t->layer] |= t->entry && t->kind == OMQ_PARAM_VAR;
    }
    for (int l = 0; rc == OMQ_OK && l < w->net->plan.n_layers; l++) {
        rc = load_spare_bias(w, l, buf);
        if (rc == OMQ_OK && has_norm[l] && w->cfg->bn_eps != OMQ_BN_EPS)
            change_eps(w, l);
    }
    free(buf);
    free(has_norm);
    return rc;
}

int omq_weights_load(struct omq_net *net, const struct omq_source *s,
                     const struct omq_init_config *cfg, const char *remedy,
                     struct omq_weights_result *r, struct omq_err *err)
{
    struct loading w = {.net = net, .s = s, .cfg = cfg, .remedy = remedy, .r = r, .err = err};
    size_t n_text;
    int rc;

    *r = (struct omq_weights_result){0};
    w.text = open_memstream(&r->text, &n_text);
    if (!w.text)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of names");
    if ((rc = targets_init(&w.targets, net, err)) == OMQ_OK &&
        (rc = omq_entries_init(&w.entries, s, &w.targets, cfg, err)) == OMQ_OK) {
        match_all(&w);
        find_idle_skip(&w);
        rc = judge(&w);
        if (rc == OMQ_OK)
            rc = load_all(&w);
    }
    if (fclose(w.text) != 0 && rc == OMQ_OK)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of names");
    omq_entries_release(&w.entries);
    targets_release(&w.targets);
    return rc;
}

void omq_weights_result_release(struct omq_weights_result *r)
{
    free(r->text);
    *r = (struct omq_weights_result){0};
}
