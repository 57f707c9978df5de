/* SPDX-License-Identifier: MIT
 *
 * Planning: which quantizer each tensor has, how each layer's codes are kept, and
 * memory for it all, which fill.c fills.
 */
#include "engine/engine_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail_float(const struct omq_planner *p, const char *what, const char *name)
{
    return omq_fail(p->err, OMQ_EUNSUP, "the integer engine cannot run float %s of '%s': use "
                    "omq-eval --engine float", what, name);
}

/* ---- quantizers ---- */

static int plan_site(struct omq_planner *p, int site, struct omq_engine_tensor *t)
{
    const struct omq_net *net = p->net;
    const struct omq_site *s = &net->plan.sites[site];
    int precision = omq_planner_precision(p, s->layer);
    char name[16];

    if (omq_site_bits(net, precision, site) == OMQ_FLOAT_BITS)
        return fail_float(p, "activations", s->name);
    t->act = omq_site_act(net, precision, site);
    t->step = (double)omq_net_site_step(net, precision, site);
    if (!(t->step > 0) || !isfinite(t->step))
        return omq_fail(p->err, OMQ_EUNSUP, "the quantizer of '%s' has no step at %s: train or "
                        "calibrate the network first", s->name,
                        omq_precision_name(net->precisions[precision], name));
    return OMQ_OK;
}

static int plan_tensor(struct omq_planner *p, int i)
{
    const struct omq_tensor *from = &p->net->plan.tensors[i];
    struct omq_engine_tensor *t = &p->e->tensors[i];

    *t = (struct omq_engine_tensor){.h = from->h, .w = from->w, .c = from->c, .step = 1,
                                    .is_logits = from->is_logits};
    if (from->is_logits)
        return OMQ_OK;
    if (!from->is_input)
        return plan_site(p, from->site, t);
    t->act = omq_act_of(8, true);
    t->step = (double)p->net->pre.step;
    return OMQ_OK;
}

/* ---- units ---- */

/* n terms of a code up to q_max times k_max stay within int32, as kern.h asks: kernels add up
 * codes as they are, and what the zero point takes from them at the end. */
static int check_sum(const struct omq_planner *p, const char *name, uint64_t n, int q_max,
                     int k_max)
{
    if (n < ((uint64_t)1 << 31) && n * (uint64_t)q_max * (uint64_t)k_max < (uint64_t)1 << 31)
        return OMQ_OK;
    return omq_fail(p->err, OMQ_EUNSUP, "'%s' adds up %llu products of up to %d, which can exceed "
                    "32 bits: give it fewer bits", name, (unsigned long long)n, q_max * k_max);
}

static int check_conv(const struct omq_planner *p, const struct omq_unit *u)
{
    const struct omq_net *net = p->net;
    const struct omq_layer *l = &net->plan.layers[u->layer];
    int precision = omq_planner_precision(p, u->layer);
    const struct omq_param *step = omq_net_layer(net, precision, u->layer)->wstep;
    struct omq_grid grid;
    char name[16];

    if (omq_layer_bits(net, precision, u->layer) == OMQ_FLOAT_BITS)
        return fail_float(p, "weights", l->name);
    for (size_t i = 0; step && i < step->n; i++)
        if (!(step->value[i] > 0) || !isfinite(step->value[i]))
            return omq_fail(p->err, OMQ_EUNSUP, "the weights of '%s' have no step at %s: train or "
                            "calibrate the network first", l->name,
                            omq_precision_name(net->precisions[precision], name));
    if (u->relu && p->e->tensors[u->out].act.zero_point)
        OMQ_BUG("the output of a ReLU has a signed quantizer");
    grid = omq_layer_grid(net, precision, u->layer);
    return check_sum(p, l->name, omq_layer_filter(l), p->e->tensors[u->in].act.q_max,
                     omq_grid_largest(&grid));
}

/* How a layer's codes are kept. */
static void plan_shape(const struct omq_planner *p, const struct omq_unit *from,
                       struct omq_engine_unit *u)
{
    const struct omq_engine_tensor *in = &p->e->tensors[u->in];
    int precision = omq_planner_precision(p, from->layer);
    struct omq_grid grid = omq_layer_grid(p->net, precision, from->layer);

    u->shape = (struct omq_conv_shape){
        .oc = u->oc / u->groups, .w_bits = grid.bits, .midrise = grid.midrise,
        .x_max = in->act.q_max, .zero_point = in->act.zero_point,
        .q_max = p->e->tensors[u->out].act.q_max,
    };
    omq_engine_runs(p->e, u);
    u->by_bits = !u->is_depthwise && omq_conv_by_bits(&u->shape);
    u->group_bytes = u->is_depthwise ? omq_dwconv_packed_size(&u->shape)
                                     : omq_conv_packed_size(&u->shape);
}

/* What needs no memory of the plan's own: checks, and the sizes of the rest. */
static int measure_unit(struct omq_planner *p, int i)
{
    const struct omq_unit *from = &p->net->plan.units[i];
    struct omq_engine_unit *u = &p->e->units[i];
    const struct omq_engine_tensor *in = &p->e->tensors[from->in];
    uint64_t count = (uint64_t)from->win.kh * (uint64_t)from->win.kw;
    int rc;

    if (from->kind == OMQ_UNIT_AVGPOOL)
        return check_sum(p, from->name, count, in->act.q_max, 1);
    if (from->kind != OMQ_UNIT_CONV)
        return OMQ_OK;
    if ((rc = check_conv(p, from)) < 0)
        return rc;
    plan_shape(p, from, u);
    return OMQ_OK;
}

/* ---- memory ---- */

/* The units' arrays: once to count, once to hand out. */
static void lay_out(struct omq_engine *e)
{
    for (int i = 0; i < e->n_units; i++) {
        struct omq_engine_unit *u = &e->units[i];
        size_t groups = (size_t)u->groups, n = 1;

        if (u->kind == OMQ_UNIT_CONV) {
            n = groups * (size_t)omq_engine_padded(u);
            u->w = omq_arena_take(&e->arena, groups, u->group_bytes);
            u->start = omq_arena_take(&e->arena, n, sizeof(*u->start));
            u->run_at = omq_arena_take(&e->arena, (size_t)u->shape.n_runs, sizeof(*u->run_at));
        }
        u->m = omq_arena_take(&e->arena, n, sizeof(*u->m));
        u->b = omq_arena_take(&e->arena, n, sizeof(*u->b));
    }
}

/* Scratch of a thread: the kernel's, and, for pools and watches, a row of reals. */
static void size_scratch(struct omq_engine *e)
{
    for (int i = 0; i < e->n_units; i++) {
        const struct omq_engine_unit *u = &e->units[i];
        size_t row = (size_t)u->win.ow * (size_t)u->oc * sizeof(omq_real), kernel = 0;

        if (u->kind == OMQ_UNIT_CONV && !u->is_depthwise)
            kernel = omq_conv_codes_scratch(&u->shape);
        e->weight_bytes += u->kind == OMQ_UNIT_CONV ? (size_t)u->groups * u->group_bytes : 0;
        e->row_bytes = row > e->row_bytes ? row : e->row_bytes;
        e->kernel_bytes = kernel > e->kernel_bytes ? kernel : e->kernel_bytes;
    }
    e->row_bytes = omq_align_up(e->row_bytes);
    e->kernel_bytes = omq_align_up(e->kernel_bytes);
}

static int check_precisions(const struct omq_planner *p)
{
    for (int l = -1; l < p->net->plan.n_layers; l++) {
        int i = omq_planner_precision(p, l);

        if (i < 0 || i >= p->net->n_precisions)
            return omq_fail(p->err, OMQ_EARG, "the network has no precision number %d", i);
    }
    return OMQ_OK;
}

static int plan(struct omq_planner *p)
{
    struct omq_engine *e = p->e;
    int rc;

    for (int i = 0; i < e->n_tensors; i++)
        if ((rc = plan_tensor(p, i)) < 0)
            return rc;
    for (int i = 0; i < e->n_units; i++) {
        const struct omq_unit *u = &p->net->plan.units[i];

        e->units[i] = (struct omq_engine_unit){.kind = u->kind, .in = u->in, .out = u->out,
                                               .res = u->res, .win = u->win, .groups = u->groups,
                                               .oc = u->oc};
        if (u->kind == OMQ_UNIT_CONV && omq_unit_is_depthwise(u)) {
            e->units[i].is_depthwise = true;
            e->units[i].groups = 1;
        }
    }
    if ((rc = omq_engine_arrange(e, p->err)) < 0)
        return rc;
    for (int i = 0; i < e->n_units; i++)
        if ((rc = measure_unit(p, i)) < 0)
            return rc;
    size_scratch(e);
    lay_out(e);
    if ((rc = omq_arena_commit(&e->arena, "the integer network", p->err)) < 0)
        return rc;
    lay_out(e);
    return omq_engine_fill(p);
}

int omq_engine_open(struct omq_engine **out, const struct omq_net *net,
                    const int *layer_precision, int precision, struct omq_err *err)
{
    struct omq_engine *e = calloc(1, sizeof(*e));
    struct omq_planner p = {e, net, layer_precision, precision, err};
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

double omq_engine_step(const struct omq_engine *e, int tensor)
{
    return e->tensors[tensor].is_logits ? 1 : e->tensors[tensor].step;
}

struct omq_engine_numbers omq_engine_numbers(const struct omq_engine *e, int unit)
{
    const struct omq_engine_unit *u = &e->units[unit];

    return (struct omq_engine_numbers){
        .m = u->m, .b = u->b, .add = u->add, .rescale = u->rescale,
        .group = u->kind == OMQ_UNIT_CONV && !u->is_depthwise ? omq_engine_padded(u) : 1,
    };
}

size_t omq_engine_weight_bytes(const struct omq_engine *e)
{
    return e->weight_bytes;
}

const char *omq_engine_kernel(const struct omq_engine *e, char *buf, size_t size)
{
    int n[2] = {0, 0};

    for (int i = 0; i < e->n_units; i++)
        if (e->units[i].kind == OMQ_UNIT_CONV)
            n[e->units[i].by_bits]++;
    if (n[0] && n[1] && strcmp(omq_kern_conv_set(false), omq_kern_conv_set(true)) == 0)
        n[1] = 0;
    snprintf(buf, size, "%s%s%s", n[0] ? omq_kern_conv_set(false) : "", n[0] && n[1] ? "+" : "",
             n[1] ? omq_kern_conv_set(true) : "");
    return buf;
}
