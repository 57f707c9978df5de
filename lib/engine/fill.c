/* SPDX-License-Identifier: MIT
 *
 * The values of a plan: each layer's codes, packed, and scales and batch norm folded
 * into the epilogues.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>

/* Room for any layer's; kept from one to the next. */
struct workspace {
    omq_real *scratch, *unit, *factors; /* [omq_layer_codes_scratch()], [oc], [2][oc] */
    int8_t *k;                          /* some outputs', or of grouped layers all */
};

static void workspace_release(struct workspace *ws)
{
    free(ws->scratch);
    free(ws->unit);
    free(ws->factors);
    free(ws->k);
    *ws = (struct workspace){0};
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

static int workspace_init(struct omq_planner *p, struct workspace *ws)
{
    const struct omq_plan *plan = &p->net->plan;
    size_t scratch = 1, oc = 1, k = 1;

    for (int l = 0; l < plan->n_layers; l++) {
        const struct omq_layer *layer = &plan->layers[l];

        scratch = most(scratch, omq_layer_codes_scratch(p->net, l));
        oc = most(oc, (size_t)layer->out);
        k = most(k, omq_layer_filter(layer) * (size_t)omq_layer_codes_outputs(p->net, l));
    }
    *ws = (struct workspace){.scratch = malloc(sizeof(omq_real) * scratch),
                             .unit = malloc(sizeof(omq_real) * oc),
                             .factors = malloc(2 * sizeof(omq_real) * oc), .k = malloc(k)};
    if (ws->scratch && ws->unit && ws->factors && ws->k)
        return OMQ_OK;
    workspace_release(ws);
    return omq_fail(p->err, OMQ_ENOMEM, "cannot allocate what packing weights needs");
}

static void pack(const struct omq_engine_unit *u, const struct omq_conv_shape *s, const int8_t *k,
                 uint8_t *w, int32_t *start)
{
    (u->by_bits ? omq_kern()->pack_bits : omq_kern()->pack_codes)(s, k, w, start);
}

/* The units of all outputs to ws->unit; returns how many there are. */
static int pack_weights(struct omq_planner *p, const struct omq_unit *from,
                        struct omq_engine_unit *u, const struct workspace *ws)
{
    const int precision = omq_planner_precision(p, from->layer);
    const int at_once = omq_layer_codes_outputs(p->net, from->layer);
    const size_t filter = (size_t)u->shape.n_runs * (size_t)u->shape.run;
    struct omq_layer_codes codes = {.k = ws->k, .unit = ws->unit};

    for (int first = 0; first < u->oc; first += at_once) {
        struct omq_conv_shape s = u->shape;

        s.oc = u->oc - first < at_once ? u->oc - first : at_once;
        omq_layer_make_codes(p->net, precision, from->layer, first, s.oc, &codes, ws->scratch);
        if (from->groups == 1)
            pack(u, &s, codes.k, u->w + omq_conv_packed_at(&s, first), u->start + first);
    }
    if (u->is_depthwise)
        omq_dwconv_pack(&u->shape, ws->k, (int16_t *)(void *)u->w, u->start);
    for (int g = 0; u->groups > 1 && g < u->groups; g++)
        pack(u, &u->shape, ws->k + (size_t)(g * u->shape.oc) * filter,
             u->w + (size_t)g * u->group_bytes, u->start + g * omq_engine_padded(u));
    return codes.n_units;
}

/* The factors of all outputs, [oc] in all, to where each group has its own. */
static void spread(const struct omq_engine_unit *u, const omq_real *from, omq_real *to)
{
    int n = u->oc / u->groups;

    for (int g = 0; g < u->groups; g++)
        memcpy(to + (size_t)g * (size_t)omq_engine_padded(u), from + (size_t)g * (size_t)n,
               sizeof(*to) * (size_t)n);
}

static void fill_conv(struct omq_planner *p, const struct omq_unit *from, struct omq_engine_unit *u,
                      const struct workspace *ws)
{
    const struct omq_engine_tensor *in = &p->e->tensors[from->in], *out = &p->e->tensors[from->out];
    const struct omq_engine_tensor *res = from->res >= 0 ? &p->e->tensors[from->res] : NULL;
    const int precision = omq_planner_precision(p, from->layer);
    struct omq_norm norm = omq_layer_norm(omq_net_layer(p->net, precision, from->layer));
    int n_units = pack_weights(p, from, u, ws);
    int parts = omq_layer_bias_parts(p->net, precision, from->layer, &in->act);
    omq_real *m = ws->factors, *b = m + u->oc;

    omq_fold(u->oc, ws->unit, n_units, in->step, &norm, parts, out->step,
             res ? 0 : out->act.zero_point, m, b);
    if (res)
        u->add = omq_fold_residual(res->step, res->act.zero_point, out->step,
                                   out->act.zero_point);
    spread(u, m, u->m);
    spread(u, b, u->b);
    omq_engine_place_runs(p->e, u);
}

static void fill_unit(struct omq_planner *p, int i, const struct workspace *ws)
{
    const struct omq_unit *from = &p->net->plan.units[i];
    struct omq_engine_unit *u = &p->e->units[i];
    const struct omq_engine_tensor *in = &p->e->tensors[from->in], *out = &p->e->tensors[from->out];

    switch (from->kind) {
    case OMQ_UNIT_CONV:
        fill_conv(p, from, u, ws);
        return;
    case OMQ_UNIT_REQUANT:
        u->rescale = (struct omq_rescale){
            .zp_in = in->act.zero_point, .zp_out = out->act.zero_point, .q_max = out->act.q_max,
            .ratio = (omq_real)in->step / (omq_real)out->step,
        };
        return;
    case OMQ_UNIT_MAXPOOL:
    case OMQ_UNIT_CONCAT:
    case OMQ_UNIT_SHORTCUT:
        return;
    case OMQ_UNIT_AVGPOOL:
        omq_fold_pool(in->step, from->win.kh * from->win.kw, out->step, out->act.zero_point, u->m,
                      u->b);
        return;
    }
    OMQ_BUG("a unit without a kind");
}

int omq_engine_fill(struct omq_planner *p)
{
    struct workspace ws;
    int rc = workspace_init(p, &ws);

    if (rc < 0)
        return rc;
    for (int i = 0; i < p->e->n_units; i++)
        fill_unit(p, i, &ws);
    workspace_release(&ws);
    return OMQ_OK;
}
