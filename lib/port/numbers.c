/* SPDX-License-Identifier: MIT
 *
 * A choice's numbers, read off a plan of the integer engine: there is one
 * definition of the quantized network, and this is it.
 */
#include "port/port.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

struct reader {
    struct omq_export_numbers *n;
    const struct omq_engine *e;
    omq_real *scratch; /* of omq_layer_make_codes() */
    struct omq_err *err;
};

static int precision_of(const struct omq_export_numbers *n, int layer)
{
    return n->choice.layers ? n->choice.layers[layer] : n->choice.precision;
}

/* The arrays, once to count and once to hand out. */
static void lay_out(struct omq_export_numbers *n)
{
    const struct omq_plan *p = &n->net->plan;

    n->tensors = omq_arena_take(&n->arena, (size_t)p->n_tensors, sizeof(*n->tensors));
    n->units = omq_arena_take(&n->arena, (size_t)p->n_units, sizeof(*n->units));
    for (int i = 0; i < p->n_units; i++) {
        struct omq_export_unit u = {0};
        size_t oc = p->units[i].kind == OMQ_UNIT_CONV ? (size_t)p->units[i].oc : 1;

        if (p->units[i].layer >= 0)
            u.k = omq_arena_take(&n->arena, omq_layer_size(&p->layers[p->units[i].layer]), 1);
        u.unit = omq_arena_take(&n->arena, oc, sizeof(*u.unit));
        u.m = omq_arena_take(&n->arena, oc, sizeof(*u.m));
        u.b = omq_arena_take(&n->arena, oc, sizeof(*u.b));
        u.bias = omq_arena_take(&n->arena, oc, sizeof(*u.bias));
        u.scale = omq_arena_take(&n->arena, oc, sizeof(*u.scale));
        if (n->units)
            n->units[i] = u;
    }
}

static void read_conv(const struct reader *r, int i, struct omq_export_unit *u)
{
    const struct omq_net *net = r->n->net;
    const struct omq_unit *from = &net->plan.units[i];
    const struct omq_layer *l = &net->plan.layers[from->layer];
    const struct omq_engine_numbers numbers = omq_engine_numbers(r->e, i);
    const int precision = precision_of(r->n, from->layer), n = from->oc / from->groups;
    const struct omq_norm norm = omq_layer_norm(omq_net_layer(net, precision, from->layer));
    const struct omq_export_tensor *in = &r->n->tensors[from->in];
    const int at_once = omq_layer_codes_outputs(net, from->layer);
    const size_t filter = omq_layer_filter(l);
    struct omq_layer_codes codes = {.unit = u->unit};

    u->grid = omq_layer_grid(net, precision, from->layer);
    for (int first = 0; first < l->out; first += at_once) {
        codes.k = u->k + (size_t)first * filter;
        omq_layer_make_codes(net, precision, from->layer, first,
                             l->out - first < at_once ? l->out - first : at_once, &codes,
                             r->scratch);
    }
    for (int o = 1; codes.n_units == 1 && o < l->out; o++)
        u->unit[o] = u->unit[0];
    u->parts = omq_layer_bias_parts(net, precision, from->layer, &in->act);
    omq_fold(from->oc, u->unit, from->oc, in->step, &norm, u->parts, 1, 0, u->scale, u->bias);
    u->add = numbers.add;
    for (int o = 0; o < from->oc; o++) {
        const int at = o / n * numbers.group + o % n;

        u->m[o] = numbers.m[at];
        u->b[o] = numbers.b[at];
    }
}

static void read_plan(const struct reader *r)
{
    const struct omq_plan *p = &r->n->net->plan;

    for (int t = 0; t < p->n_tensors; t++) {
        if (!p->tensors[t].is_logits)
            r->n->tensors[t].act = omq_engine_act(r->e, t);
        r->n->tensors[t].step = omq_engine_step(r->e, t);
    }
    for (int i = 0; i < p->n_units; i++) {
        const struct omq_engine_numbers numbers = omq_engine_numbers(r->e, i);
        struct omq_export_unit *u = &r->n->units[i];

        if (p->units[i].kind == OMQ_UNIT_CONV)
            read_conv(r, i, u);
        if (p->units[i].kind == OMQ_UNIT_AVGPOOL) {
            u->m[0] = numbers.m[0];
            u->b[0] = numbers.b[0];
        }
        u->rescale = numbers.rescale;
    }
}

/* A model's own numbers are finite, but their products may leave the floats. */
static int check_finite(const struct omq_export_numbers *n, struct omq_err *err)
{
    for (int i = 0; i < n->net->plan.n_units; i++) {
        const struct omq_unit *from = &n->net->plan.units[i];
        const struct omq_export_unit *u = &n->units[i];
        const int oc = from->kind == OMQ_UNIT_CONV ? from->oc : 1;
        bool finite = isfinite(u->add.r) && isfinite(u->add.zero) && isfinite(u->rescale.ratio);

        for (int o = 0; o < oc; o++)
            finite = finite && isfinite(u->m[o]) && isfinite(u->b[o]) && isfinite(u->scale[o]) &&
                     isfinite(u->bias[o]);
        if (!finite)
            return omq_fail(err, OMQ_EUNSUP, "the scales of '%s' are not finite", from->name);
    }
    return OMQ_OK;
}

static int read_numbers(struct omq_export_numbers *n, struct omq_err *err)
{
    struct reader r = {.n = n, .err = err};
    struct omq_engine *e;
    size_t scratch = 1;
    int rc;

    if (omq_choice_is_float(&n->choice))
        return omq_fail(err, OMQ_EUNSUP, "it is in floating point: choose one of integers");
    if ((rc = omq_engine_open(&e, n->net, n->choice.layers, n->choice.precision, err)) < 0)
        return rc;
    for (int l = 0; l < n->net->plan.n_layers; l++) {
        size_t size = omq_layer_codes_scratch(n->net, l);

        scratch = size > scratch ? size : scratch;
    }
    lay_out(n);
    r.e = e;
    r.scratch = calloc(scratch, sizeof(*r.scratch));
    if (!r.scratch)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate what exporting needs");
    else if ((rc = omq_arena_commit(&n->arena, "the exported network", err)) == OMQ_OK) {
        lay_out(n);
        read_plan(&r);
        rc = check_finite(n, err);
    }
    free(r.scratch);
    omq_engine_close(e);
    return rc;
}

int omq_export_numbers_open(struct omq_export_numbers **out, const struct omq_net *net,
                            const struct omq_model_info *info, int choice, struct omq_err *err)
{
    struct omq_export_numbers *n = calloc(1, sizeof(*n));
    int rc;

    if (!n)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate what exporting needs");
    n->net = net;
    n->info = info;
    n->number = choice;
    n->choice = omq_choice_at(net, info, choice);
    if ((rc = read_numbers(n, err)) < 0) {
        omq_wrap(err, rc, "cannot export '%s'", n->choice.name);
        omq_export_numbers_close(n);
        return rc;
    }
    *out = n;
    return OMQ_OK;
}

void omq_export_numbers_close(struct omq_export_numbers *n)
{
    if (!n)
        return;
    omq_arena_release(&n->arena);
    free(n);
}

size_t omq_export_weight_at(const struct omq_layer *l, size_t i)
{
    const size_t in = (size_t)l->in, pixels = (size_t)l->kh * (size_t)l->kw;
    const size_t place = i % (in * pixels);

    return i - place + place % pixels * in + place / pixels;
}

int omq_export_bits(const struct omq_export_numbers *n, int unit)
{
    return n->units[unit].grid.bits;
}
