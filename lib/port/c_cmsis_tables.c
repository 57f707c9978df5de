/* SPDX-License-Identifier: MIT
 *
 * Tables of generated C for CMSIS-NN. Arrays are numbered by precision and layer, as
 * in c_tables.c.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "port/c_source.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- arrays ---- */

/* Of int4 two a byte, the first in the lower half; rows follow each other without gaps. */
static void put_weights(const struct omq_c_source *s, int choice, int unit,
                        const struct omq_c_cmsis_conv *c)
{
    omq_c_put_start(s, "int8_t", "weights", choice, unit);
    if (!c->int4)
        for (size_t i = 0; i < c->n; i++)
            omq_c_put_value(s, i, 16, c->k[i]);
    else
        for (size_t i = 0; i < (c->n + 1) / 2; i++) {
            const int high = 2 * i + 1 < c->n ? c->k[2 * i + 1] : 0;

            omq_c_put_value(s, i, 16, high * 16 + (c->k[2 * i] & 15));
        }
    fputs("\n};\n", s->f);
}

/* ---- layers ---- */

static const char *function_of(const struct omq_c_source *s, int unit,
                               const struct omq_c_cmsis_conv *c)
{
    if (s->plan->tensors[s->plan->units[unit].out].is_logits)
        return "logits";
    return c->depthwise ? "depthwise" : c->int4 ? "conv_s4" : "conv_s8";
}

static void put_add(FILE *rows, const struct omq_c_cmsis_sum *a)
{
    fprintf(rows, ",\n     .add = {%" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32
            ",\n             %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 ", %" PRId32 "}",
            a->in_multiplier, a->in_shift, a->res_offset, a->res_multiplier, a->res_shift,
            a->out_offset, a->out_multiplier, a->out_shift, a->min, a->max);
}

/* The first precision whose array of this layer's weights serves: profiles have their
 * layers from the others. */
static int weights_from(const struct omq_c_source *s, int choice, int unit,
                        const struct omq_c_cmsis_conv *c, struct omq_err *err)
{
    for (int i = 0; i < choice; i++) {
        struct omq_c_cmsis_conv other;
        int rc;
        bool same;

        if (memcmp(s->job->choices[i]->units[unit].k, s->job->choices[choice]->units[unit].k,
                   c->n) != 0)
            continue;
        if ((rc = omq_c_cmsis_conv_init(&other, s->job->choices[i], unit, s->logit_one, err)) < 0)
            return rc;
        same = c->int4 == other.int4 && memcmp(c->k, other.k, c->n) == 0;
        omq_c_cmsis_conv_release(&other);
        if (same)
            return i;
    }
    return choice;
}

static int put_conv(const struct omq_c_source *s, int choice, int unit, FILE *rows,
                    struct omq_err *err)
{
    const struct omq_unit *u = &s->plan->units[unit];
    struct omq_c_cmsis_conv c;
    int rc = omq_c_cmsis_conv_init(&c, s->job->choices[choice], unit, s->logit_one, err);
    const char *function;
    int from;

    if (rc < 0)
        return rc;
    if ((from = weights_from(s, choice, unit, &c, err)) < 0) {
        omq_c_cmsis_conv_release(&c);
        return from;
    }
    if (from == choice)
        put_weights(s, choice, unit, &c);
    function = function_of(s, unit, &c);
    omq_c_put_integers(s, "bias", choice, unit, c.bias, u->oc);
    omq_c_put_integers(s, "multiplier", choice, unit, c.multiplier, u->oc);
    omq_c_put_integers(s, "shift", choice, unit, c.shift, u->oc);
    fprintf(rows, "    {.run = %s, .buffer = %s_buffer,\n"
            "     .weights = weights_%d_%d, .bias = bias_%d_%d,\n"
            "     .multiplier = multiplier_%d_%d, .shift = shift_%d_%d,\n"
            "     .in_offset = %" PRId32 ", .out_offset = %" PRId32 ", .range = {%" PRId32
            ", %" PRId32 "}", function, function, from, unit, choice, unit, choice, unit,
            choice, unit, c.in_offset, c.out_offset, c.min, c.max);
    if (u->res >= 0)
        put_add(rows, &c.add);
    fputs("},\n", rows);
    omq_c_cmsis_conv_release(&c);
    return OMQ_OK;
}

/* All codes there are, from 0 on as bytes are: those of the input are stored less
 * `less`, and a code that the input does not have is harmless. */
static void put_requant(const struct omq_c_source *s, int choice, int unit, FILE *rows)
{
    const struct omq_export_numbers *n = s->job->choices[choice];
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_rescale *r = &n->units[unit].rescale;
    const int less = omq_c_cmsis_less(n->tensors[u->in].act);

    omq_c_put_start(s, "int8_t", "table", choice, unit);
    for (int i = 0; i < 256; i++) {
        const int q = ((i + less) & 255) - r->zp_in;
        const omq_real v = rint(fma((omq_real)q, r->ratio, (omq_real)r->zp_out));

        omq_c_put_value(s, (size_t)i, 16, (int32_t)fmax(0, fmin(r->q_max, v)) -
                                              omq_c_cmsis_less(n->tensors[u->out].act));
    }
    fputs("\n};\n", s->f);
    fprintf(rows, "    {.run = requant, .table = table_%d_%d},\n", choice, unit);
}

static int put_average(const struct omq_c_source *s, int choice, int unit, FILE *rows,
                       struct omq_err *err)
{
    const struct omq_export_numbers *n = s->job->choices[choice];
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_act in = n->tensors[u->in].act, out = n->tensors[u->out].act;
    omq_real room[2];
    const struct omq_c_factors factors = omq_c_factors_of(n, unit, room);
    int32_t m, b;
    struct omq_c_fixed fixed = {.m = &m, .b = &b};
    const int rc = omq_c_fix(n, unit, &factors, &fixed, err);

    if (rc < 0)
        return rc;
    fprintf(rows, "    {.run = average, .m = %" PRId32 ", .b = INT64_C(%" PRId64 "), .down = %d,\n"
            "     .in_offset = %d, .out_offset = %d, .range = {0, %d}},\n", m,
            b * (INT64_C(1) << fixed.b_shift) + (INT64_C(1) << fixed.shift) / 2, fixed.shift,
            omq_c_cmsis_less(in) - in.zero_point, -omq_c_cmsis_less(out), out.q_max);
    return OMQ_OK;
}

/* The code of 0, as it is stored. */
static int zero_of(const struct omq_c_source *s, int choice, int unit)
{
    const struct omq_act act = s->job->choices[choice]->tensors[s->plan->units[unit].out].act;

    return act.zero_point - omq_c_cmsis_less(act);
}

static int put_numbers(const struct omq_c_source *s, int choice, int unit, FILE *rows,
                       struct omq_err *err)
{
    switch (s->plan->units[unit].kind) {
    case OMQ_UNIT_CONV:
        return put_conv(s, choice, unit, rows, err);
    case OMQ_UNIT_REQUANT:
        put_requant(s, choice, unit, rows);
        return OMQ_OK;
    case OMQ_UNIT_MAXPOOL:
        fputs("    {.run = max_pool, .range = {-128, 127}},\n", rows);
        return OMQ_OK;
    case OMQ_UNIT_AVGPOOL:
        return put_average(s, choice, unit, rows, err);
    case OMQ_UNIT_CONCAT:
        fputs("    {.run = concat},\n", rows);
        return OMQ_OK;
    case OMQ_UNIT_SHORTCUT:
        fprintf(rows, "    {.run = shortcut, .out_offset = %d},\n", zero_of(s, choice, unit));
        return OMQ_OK;
    }
    OMQ_BUG("a unit without a kind");
}

/* ---- shapes ---- */

static void put_dims(FILE *f, const char *name, int n, int h, int w, int c)
{
    fprintf(f, "     .%s = {%d, %d, %d, %d},\n", name, n, h, w, c);
}

/* A linear layer is a convolution of one pixel. */
static void put_dims_of(const struct omq_c_source *s, const struct omq_unit *u)
{
    const struct omq_window *w = &u->win;

    if (u->kind == OMQ_UNIT_CONV && omq_unit_is_whole(u)) {
        put_dims(s->f, "input", 1, 1, 1, (int)omq_unit_filter(u));
        put_dims(s->f, "filter", u->oc, 1, 1, (int)omq_unit_filter(u));
    } else {
        put_dims(s->f, "input", 1, w->h, w->w, w->c);
        if (u->kind == OMQ_UNIT_CONV && omq_c_cmsis_depthwise(u))
            put_dims(s->f, "filter", 1, w->kh, w->kw, u->oc);
        else
            put_dims(s->f, "filter", u->oc, w->kh, w->kw, w->c / u->groups);
    }
    put_dims(s->f, "output", 1, w->oh, w->ow, u->oc);
}

static void put_layer(const struct omq_c_source *s, int unit)
{
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_window *w = &u->win;
    const bool linear = u->kind == OMQ_UNIT_CONV && omq_unit_is_whole(u);

    fputs("    /* ", s->f);
    omq_c_put_comment(s->f, u->name);
    fprintf(s->f, " */\n    {.in = %" PRIu32 ", .out = %" PRIu32 ", .res = ",
            s->places->tensors[u->in], s->places->tensors[u->out]);
    if (u->res >= 0)
        fprintf(s->f, "%" PRIu32, s->places->tensors[u->res]);
    else
        fputs("NONE", s->f);
    fprintf(s->f, ", .scratch = %" PRIu32 ",\n", s->places->scratch[unit]);
    put_dims_of(s, u);
    fprintf(s->f, "     .stride = {%d, %d}, .pad = {%d, %d}},\n", linear ? 1 : w->sw,
            linear ? 1 : w->sh, w->pw, w->ph);
}

/* As CMSIS-NN 7.0 has them: two columns of 16 bits, or with Helium four of 8 bits (for
 * logits of 16), in whole registers; and blocks of 124 channels of a depthwise one. */
uint32_t omq_c_cmsis_buffer(const struct omq_c_source *s)
{
    uint64_t most = 4;

    for (int i = 0; i < s->plan->n_units; i++) {
        const struct omq_unit *u = &s->plan->units[i];
        const uint64_t taps = (uint64_t)u->win.kh * (uint64_t)u->win.kw;
        const uint64_t columns = 4 * ((taps * (uint64_t)u->win.c + 15) / 16 * 16);
        const uint64_t channels = (uint64_t)u->win.c > 248 ? (uint64_t)u->win.c : 248;
        uint64_t size = columns;

        if (u->kind != OMQ_UNIT_CONV)
            continue;
        if (omq_c_cmsis_depthwise(u))
            size = 2 * taps * channels;
        else if (s->plan->tensors[u->out].is_logits)
            size = 2 * columns;
        most = size > most ? size : most;
    }
    return (uint32_t)most;
}

int omq_c_cmsis_put_tables(const struct omq_c_source *s, struct omq_err *err)
{
    return omq_c_put_rows(s, put_layer, put_numbers, err);
}
