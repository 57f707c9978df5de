/* SPDX-License-Identifier: MIT
 *
 * Planning: which quantizer each tensor has, each layer's codes, and scales
 * and batch norm folded into the epilogues.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>

struct tensor {
    struct omq_act act;
    double step;
    size_t n_image;  /* codes of one image; 0 for the logits */
    size_t offset;   /* in scratch, an image */
};

struct omq_engine {
    int n_units, n_tensors;
    struct omq_engine_unit *units;
    struct tensor *tensors;
    size_t image_bytes; /* of all tensors' codes, each rounded up to OMQ_ALIGN */
    struct omq_arena arena;
};

/* What planning reads. */
struct planner {
    struct omq_engine *e;
    const struct omq_net *net;
    const int *layer_precision; /* or NULL */
    int precision;
    struct omq_err *err;
};

static int precision_of(const struct planner *p, int layer)
{
    return layer >= 0 && p->layer_precision ? p->layer_precision[layer] : p->precision;
}

static int fail_float(const struct planner *p, const char *what, const char *name)
{
    return omq_fail(p->err, OMQ_EUNSUP, "the integer engine cannot run float %s of '%s': use "
                    "--engine float", what, name);
}

/* ---- quantizers ---- */

static int plan_site(struct planner *p, int site, struct tensor *t)
{
    const struct omq_net *net = p->net;
    const struct omq_site *s = &net->plan.sites[site];
    int precision = precision_of(p, s->layer);
    int bits = omq_site_bits(&net->plan, site, net->precisions[precision],
                             net->quant.first_last_bits);
    char name[16];

    if (bits == OMQ_FLOAT_BITS)
        return fail_float(p, "activations", s->name);
    t->act = omq_act_of(bits, s->is_signed);
    t->step = (double)omq_net_site_step(net, precision, site);
    if (!(t->step > 0) || !isfinite(t->step))
        return omq_fail(p->err, OMQ_EARG, "the quantizer of '%s' has no step at %s: train or "
                        "calibrate the network first", s->name,
                        omq_precision_name(net->precisions[precision], name));
    return OMQ_OK;
}

static int plan_tensors(struct planner *p)
{
    struct omq_engine *e = p->e;
    int rc;

    for (int i = 0; i < e->n_tensors; i++) {
        const struct omq_tensor *from = &p->net->plan.tensors[i];
        struct tensor *t = &e->tensors[i];

        t->offset = e->image_bytes;
        if (from->is_logits) {
            t->step = 1;
            continue;
        }
        t->n_image = (size_t)from->h * (size_t)from->w * (size_t)from->c;
        if (from->is_input) {
            t->act = omq_act_of(8, true);
            t->step = (double)p->net->pre.step;
            continue;
        }
        if ((rc = plan_site(p, from->site, t)) < 0)
            return rc;
        e->image_bytes += (t->n_image + OMQ_ALIGN - 1) / OMQ_ALIGN * OMQ_ALIGN;
    }
    return OMQ_OK;
}

/* ---- units ---- */

/* Largest |code - zero point| of a tensor. */
static int reach(const struct tensor *t)
{
    int up = t->act.q_max - t->act.zero_point;

    return up > t->act.zero_point ? up : t->act.zero_point;
}

/* n terms of a code times k_max stay within int32. */
static int check_sum(const struct planner *p, const char *name, uint64_t n, int code, int k_max)
{
    if (n < ((uint64_t)1 << 31) && n * (uint64_t)code * (uint64_t)k_max < (uint64_t)1 << 31)
        return OMQ_OK;
    return omq_fail(p->err, OMQ_EUNSUP, "'%s' adds up %llu products of up to %d, which can exceed "
                    "32 bits: give it fewer bits", name, (unsigned long long)n, code * k_max);
}

static int check_conv(const struct planner *p, const struct omq_unit *u)
{
    const struct omq_net *net = p->net;
    const struct omq_layer *l = &net->plan.layers[u->layer];
    int precision = precision_of(p, u->layer);
    int bits = omq_layer_bits(l, net->precisions[precision], net->quant.first_last_bits);
    struct omq_view_spec view = omq_layer_spec(net, precision, u->layer);
    const struct omq_param *step = omq_net_layer(net, precision, u->layer)->wstep;
    uint64_t k = (uint64_t)l->in * (uint64_t)l->kh * (uint64_t)l->kw;
    struct omq_grid grid;
    char name[16];

    if (bits == OMQ_FLOAT_BITS)
        return fail_float(p, "weights", l->name);
    for (size_t i = 0; step && i < step->n; i++)
        if (!(step->value[i] > 0) || !isfinite(step->value[i]))
            return omq_fail(p->err, OMQ_EARG, "the weights of '%s' have no step at %s: train or "
                            "calibrate the network first", l->name,
                            omq_precision_name(net->precisions[precision], name));
    if (u->relu && p->e->tensors[u->out].act.zero_point)
        OMQ_BUG("the output of a ReLU has a signed quantizer");
    grid = omq_layer_grid(net, precision, u->layer);
    return check_sum(p, l->name, k, reach(&p->e->tensors[u->in]), omq_view_k_max(&view, &grid));
}

static struct omq_norm norm_of(const struct omq_layer_params *lp)
{
    if (!lp->gamma)
        return (struct omq_norm){.beta = lp->bias ? lp->bias->value : NULL};
    return (struct omq_norm){.gamma = lp->gamma->value, .beta = lp->beta->value,
                             .mean = lp->mean->value, .var = lp->var->value, .eps = OMQ_BN_EPS};
}

static int plan_conv(struct planner *p, const struct omq_unit *from, struct omq_engine_unit *u)
{
    const struct tensor *in = &p->e->tensors[from->in], *out = &p->e->tensors[from->out];
    const struct tensor *res = from->res >= 0 ? &p->e->tensors[from->res] : NULL;
    int precision = precision_of(p, from->layer);
    const struct omq_layer_params *lp = omq_net_layer(p->net, precision, from->layer);
    struct omq_norm norm = norm_of(lp);
    struct omq_layer_codes codes = {0};
    omq_real *scratch;
    int rc;

    if ((rc = check_conv(p, from)) < 0)
        return rc;
    scratch = omq_calloc(omq_layer_scratch(p->net, from->layer), sizeof(*scratch));
    codes.k = omq_calloc(lp->weight->n, 1);
    codes.unit = omq_calloc((size_t)u->oc, sizeof(*codes.unit));
    if (!scratch || !codes.k || !codes.unit) {
        rc = omq_fail(p->err, OMQ_ENOMEM, "cannot allocate the weights of '%s'", from->name);
    } else {
        omq_layer_make_codes(p->net, precision, from->layer, &codes, scratch);
        for (size_t i = 0; i < lp->weight->n; i++)
            u->w[i] = codes.k[i];
        omq_fold(u->oc, codes.unit, codes.n_units, in->step, &norm, out->step,
                 out->act.zero_point, res ? res->step : 0, res ? res->act.zero_point : 0, u->m,
                 u->b, u->r);
    }
    free(scratch);
    free(codes.k);
    free(codes.unit);
    return rc;
}

static int plan_unit(struct planner *p, int i)
{
    const struct omq_unit *from = &p->net->plan.units[i];
    struct omq_engine_unit *u = &p->e->units[i];
    const struct tensor *in = &p->e->tensors[from->in], *out = &p->e->tensors[from->out];
    uint64_t count = (uint64_t)from->win.kh * (uint64_t)from->win.kw;
    int rc;

    u->zp_in = in->act.zero_point;
    u->q_max = out->act.q_max;
    switch (from->kind) {
    case OMQ_UNIT_CONV:
        return plan_conv(p, from, u);
    case OMQ_UNIT_REQUANT:
        omq_requant_table(in->act, (omq_real)in->step, out->act, (omq_real)out->step, u->table,
                          u->table_v);
        return OMQ_OK;
    case OMQ_UNIT_MAXPOOL:
        return OMQ_OK;
    case OMQ_UNIT_AVGPOOL:
        if ((rc = check_sum(p, from->name, count, reach(in), 1)) < 0)
            return rc;
        omq_fold_pool(in->step, (int)count, out->step, out->act.zero_point, u->m, u->b);
        return OMQ_OK;
    }
    OMQ_BUG("a unit without a kind");
}

/* ---- memory ---- */

/* The units' arrays: once to count, once to hand out. */
static void lay_out(struct omq_engine *e, const struct omq_net *net)
{
    for (int i = 0; i < e->n_units; i++) {
        const struct omq_unit *from = &net->plan.units[i];
        struct omq_engine_unit *u = &e->units[i];
        size_t n = from->kind == OMQ_UNIT_CONV ? (size_t)from->oc : 1;

        *u = (struct omq_engine_unit){.kind = from->kind, .in = from->in, .out = from->out,
                                      .res = from->res, .win = from->win, .groups = from->groups,
                                      .oc = from->oc};
        if (from->kind == OMQ_UNIT_CONV)
            u->w = omq_arena_take(&e->arena, omq_net_layer(net, 0, from->layer)->weight->n,
                                  sizeof(*u->w));
        if (from->kind == OMQ_UNIT_REQUANT) {
            u->table = omq_arena_take(&e->arena, 256, sizeof(*u->table));
            u->table_v = omq_arena_take(&e->arena, 256, sizeof(*u->table_v));
        }
        u->m = omq_arena_take(&e->arena, n, sizeof(*u->m));
        u->b = omq_arena_take(&e->arena, n, sizeof(*u->b));
        u->r = omq_arena_take(&e->arena, n, sizeof(*u->r));
    }
}

static int check_precisions(const struct planner *p)
{
    for (int l = -1; l < p->net->plan.n_layers; l++) {
        int i = precision_of(p, l);

        if (i < 0 || i >= p->net->n_precisions)
            return omq_fail(p->err, OMQ_EARG, "the network has no precision number %d", i);
    }
    return OMQ_OK;
}

static int plan(struct planner *p)
{
    struct omq_engine *e = p->e;
    int rc;

    if ((rc = plan_tensors(p)) < 0)
        return rc;
    lay_out(e, p->net);
    if ((rc = omq_arena_commit(&e->arena, "the integer network", p->err)) < 0)
        return rc;
    lay_out(e, p->net);
    for (int i = 0; i < e->n_units; i++)
        if ((rc = plan_unit(p, i)) < 0)
            return rc;
    return OMQ_OK;
}

int omq_engine_open(struct omq_engine **out, const struct omq_net *net,
                    const int *layer_precision, int precision, struct omq_err *err)
{
    struct omq_engine *e = calloc(1, sizeof(*e));
    struct planner p = {e, net, layer_precision, precision, err};
    int rc;

    if (!e)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the integer engine");
    e->n_units = net->plan.n_units;
    e->n_tensors = net->plan.n_tensors;
    e->units = calloc((size_t)e->n_units, sizeof(*e->units));
    e->tensors = calloc((size_t)e->n_tensors, sizeof(*e->tensors));
    if (!e->units || !e->tensors)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the integer engine");
    else if ((rc = check_precisions(&p)) == OMQ_OK)
        rc = plan(&p);
    if (rc < 0) {
        omq_engine_close(e);
        return rc;
    }
    *out = e;
    return OMQ_OK;
}

void omq_engine_close(struct omq_engine *e)
{
    if (!e)
        return;
    omq_arena_release(&e->arena);
    free(e->units);
    free(e->tensors);
    free(e);
}

struct omq_act omq_engine_act(const struct omq_engine *e, int tensor)
{
    return e->tensors[tensor].act;
}

/* ---- running ---- */

/* Where things lie in scratch: tensors, then rows, then accumulators. */
struct layout {
    size_t rows, accs, end; /* byte offsets */
};

static bool place(size_t *at, uint64_t n, size_t size)
{
    size_t bytes;

    return n <= SIZE_MAX - OMQ_ALIGN && omq_mul_size((size_t)n, size, &bytes) &&
           bytes <= SIZE_MAX - OMQ_ALIGN &&
           omq_add_size(*at, (bytes + OMQ_ALIGN - 1) / OMQ_ALIGN * OMQ_ALIGN, at);
}

static bool layout_of(const struct omq_engine *e, int n, struct layout *l)
{
    uint64_t rows = 0, accs = 0;

    for (int i = 0; i < e->n_units; i++) {
        uint64_t r = omq_engine_rows(&e->units[i], n), a = omq_engine_accs(&e->units[i], n);

        rows = r > rows ? r : rows;
        accs = a > accs ? a : accs;
    }
    if (!omq_mul_size(e->image_bytes, (size_t)n, &l->rows))
        return false;
    l->accs = l->rows;
    if (!place(&l->accs, rows, sizeof(int16_t)))
        return false;
    l->end = l->accs;
    return place(&l->end, accs, sizeof(int32_t));
}

size_t omq_engine_scratch_size(const struct omq_engine *e, int n)
{
    struct layout l;

    return n >= 1 && layout_of(e, n, &l) ? l.end : SIZE_MAX;
}

static uint8_t *codes_at(const struct omq_engine *e, void *scratch, int n, int tensor)
{
    return (uint8_t *)scratch + e->tensors[tensor].offset * (size_t)n;
}

static void run(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                void *scratch, const struct omq_engine_watch *watch)
{
    struct layout l;

    if (!layout_of(e, n, &l))
        OMQ_BUG("more images than scratch can hold");
    for (int i = 0; i < e->n_units; i++) {
        const struct omq_engine_unit *u = &e->units[i];
        struct omq_engine_io io = {
            .n = n, .unit = i, .logits = logits, .watch = watch,
            .in = u->in == 0 ? codes : codes_at(e, scratch, n, u->in),
            .res = u->res >= 0 ? codes_at(e, scratch, n, u->res) : NULL,
            .out = u->q_max ? codes_at(e, scratch, n, u->out) : NULL,
            .rows = (int16_t *)(void *)((char *)scratch + l.rows),
            .acc = (int32_t *)(void *)((char *)scratch + l.accs),
        };

        omq_engine_unit_run(u, &io);
    }
}

void omq_engine_run(const struct omq_engine *e, const uint8_t *codes, int n, float *logits,
                    void *scratch, const uint8_t **tensors)
{
    run(e, codes, n, logits, scratch, NULL);
    for (int t = 0; tensors && t < e->n_tensors; t++)
        tensors[t] = t == 0 ? codes
                   : e->tensors[t].n_image ? codes_at(e, scratch, n, t) : NULL;
}

void omq_engine_run_watched(const struct omq_engine *e, const uint8_t *codes, int n,
                            float *logits, void *scratch, const struct omq_engine_watch *watch)
{
    run(e, codes, n, logits, scratch, watch);
}
