/* SPDX-License-Identifier: MIT
 *
 * Tables of generated C. Arrays are numbered by precision and layer: weights_0_3.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "port/c_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- arrays ---- */

static void put_separator(FILE *f, size_t i, size_t a_line)
{
    fputs(i == 0 ? "\n    " : i % a_line == 0 ? ",\n    " : ", ", f);
}

void omq_c_put_start(const struct omq_c_source *s, const char *type, const char *name, int choice,
                     int unit)
{
    fprintf(s->f, "static const %s %s_%d_%d[] OMQ_ROM = {", type, name, choice, unit);
}

/* The shortest of the decimal forms that are this float again. */
static void put_float(FILE *f, omq_real x)
{
    char text[32];
    int digits = 6;

    do
        snprintf(text, sizeof(text), "%.*g", digits, (double)x);
    while (digits++ < 9 && strtof(text, NULL) != x);
    fprintf(f, "%s%sf", text, strpbrk(text, ".e") ? "" : ".0");
}

static void put_floats(const struct omq_c_source *s, const char *name, int choice, int unit,
                       const omq_real *x, int n)
{
    omq_c_put_start(s, "float", name, choice, unit);
    for (int i = 0; i < n; i++) {
        put_separator(s->f, (size_t)i, 6);
        put_float(s->f, x[i]);
    }
    fputs("\n};\n", s->f);
}

void omq_c_put_value(const struct omq_c_source *s, size_t i, size_t a_line, int32_t x)
{
    put_separator(s->f, i, a_line);
    fprintf(s->f, "%" PRId32, x);
}

void omq_c_put_integers(const struct omq_c_source *s, const char *name, int choice, int unit,
                        const int32_t *x, int n)
{
    omq_c_put_start(s, "int32_t", name, choice, unit);
    for (int i = 0; i < n; i++)
        omq_c_put_value(s, (size_t)i, 8, x[i]);
    fputs("\n};\n", s->f);
}

/* ---- weights ---- */

/* Bits that go to words, the first the least significant. */
struct word_writer {
    FILE *f;
    uint64_t bits;
    int n_bits;
    size_t n_words;
};

static void put_word(struct word_writer *w)
{
    put_separator(w->f, w->n_words++, 8);
    fprintf(w->f, "0x%08" PRIx32, (uint32_t)w->bits);
    w->bits >>= 32;
    w->n_bits = w->n_bits > 32 ? w->n_bits - 32 : 0;
}

static void put_level(struct word_writer *w, const struct omq_grid *g, int k)
{
    w->bits |= (uint64_t)omq_grid_level(g, k) << w->n_bits;
    w->n_bits += g->bits;
    if (w->n_bits >= 32)
        put_word(w);
}

static void put_weights(const struct omq_c_source *s, int choice, int unit)
{
    const struct omq_export_numbers *n = s->job->choices[choice];
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_export_unit *x = &n->units[unit];
    const size_t filter = omq_unit_filter(u);
    struct word_writer w = {.f = s->f};

    omq_c_put_start(s, "uint32_t", "weights", choice, unit);
    for (int o = 0; o < u->oc; o++) {
        for (size_t i = 0; i < filter; i++)
            put_level(&w, &x->grid, x->k[(size_t)o * filter + i]);
        if (w.n_bits > 0 && omq_c_by_bits(n, unit))
            put_word(&w);
    }
    if (w.n_bits > 0)
        put_word(&w);
    fputs("\n};\n", s->f);
}

/* The first precision whose array of this layer's weights serves: profiles have their
 * layers from the others. */
static int weights_from(const struct omq_c_source *s, int choice, int unit)
{
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_export_numbers *n = s->job->choices[choice];
    const struct omq_export_unit *x = &n->units[unit];
    const size_t size = (size_t)u->oc * omq_unit_filter(u);

    for (int c = 0; c < choice; c++) {
        const struct omq_export_numbers *m = s->job->choices[c];
        const struct omq_export_unit *y = &m->units[unit];

        if (x->grid.bits == y->grid.bits && x->grid.midrise == y->grid.midrise &&
            omq_c_by_bits(n, unit) == omq_c_by_bits(m, unit) && memcmp(x->k, y->k, size) == 0)
            return c;
    }
    return choice;
}

/* ---- factors ---- */

static int put_fixed(const struct omq_c_source *s, int choice, int unit,
                     const struct omq_c_factors *factors, struct omq_c_fixed *fixed,
                     struct omq_err *err)
{
    int rc;

    fixed->m = calloc(2 * (size_t)factors->n, sizeof(*fixed->m));
    if (!fixed->m)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    fixed->b = fixed->m + factors->n;
    if ((rc = omq_c_fix(s->job->choices[choice], unit, factors, fixed, err)) == OMQ_OK) {
        omq_c_put_integers(s, "m", choice, unit, fixed->m, factors->n);
        omq_c_put_integers(s, "b", choice, unit, fixed->b, factors->n);
    }
    free(fixed->m);
    return rc;
}

/* ---- layers ---- */

static const char *function_of(const struct omq_export_numbers *n, int unit)
{
    switch (n->net->plan.units[unit].kind) {
    case OMQ_UNIT_CONV:
        return omq_c_by_bits(n, unit) ? "conv_bits" : "conv";
    case OMQ_UNIT_REQUANT:
        return "requant";
    case OMQ_UNIT_MAXPOOL:
        return "max_pool";
    case OMQ_UNIT_AVGPOOL:
        return "average";
    case OMQ_UNIT_CONCAT:
        return "concat";
    case OMQ_UNIT_SHORTCUT:
        return "shortcut";
    }
    OMQ_BUG("a unit without a kind");
}

/* The arrays of one layer to the file, its row to `rows`. */
static int put_numbers(const struct omq_c_source *s, int choice, int unit, FILE *rows,
                       struct omq_err *err)
{
    const struct omq_export_numbers *n = s->job->choices[choice];
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_grid *grid = &n->units[unit].grid;
    omq_real room[2];
    const struct omq_c_factors factors = omq_c_factors_of(n, unit, room);
    struct omq_c_fixed fixed = {0};
    int rc;

    fprintf(rows, "    {.run = %s", function_of(n, unit));
    if (u->kind == OMQ_UNIT_CONV) {
        const int from = weights_from(s, choice, unit);

        if (from == choice)
            put_weights(s, choice, unit);
        fprintf(rows, ", .weights = weights_%d_%d, .bits = %d, .midrise = %d", from, unit,
                grid->bits, grid->midrise);
    }
    if (factors.n > 0)
        fprintf(rows, ",\n     .m = m_%d_%d, .b = b_%d_%d", choice, unit, choice, unit);
    if (factors.n > 0 && s->job->opt->integer) {
        if ((rc = put_fixed(s, choice, unit, &factors, &fixed, err)) < 0)
            return rc;
        fprintf(rows, ", .r = INT64_C(%" PRId64 "), .add = INT64_C(%" PRId64 "), .shift = %d, "
                ".b_shift = %d", fixed.r, fixed.add, fixed.shift, fixed.b_shift);
    } else if (factors.n > 0) {
        put_floats(s, "m", choice, unit, factors.m, factors.n);
        put_floats(s, "b", choice, unit, factors.b, factors.n);
        fputs(", .r = ", rows);
        put_float(rows, factors.add.r);
        fputs(", .add = ", rows);
        put_float(rows, factors.add.zero);
    }
    if (factors.n > 0)
        fprintf(rows, ",\n     .zero = %d, .most = %d", n->tensors[u->in].act.zero_point,
                s->plan->tensors[u->out].is_logits ? 0 : n->tensors[u->out].act.q_max);
    if (u->kind == OMQ_UNIT_SHORTCUT)
        fprintf(rows, ", .zero = %d", n->tensors[u->out].act.zero_point);
    fputs("},\n", rows);
    return OMQ_OK;
}

static int put_choice(const struct omq_c_source *s, int choice, omq_c_put_numbers *put_factors,
                      struct omq_err *err)
{
    char *rows = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&rows, &size);
    int rc = OMQ_OK;

    if (!f)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    fputs("\n/* ---- ", s->f);
    omq_c_put_comment(s->f, s->job->choices[choice]->choice.name);
    fputs(" ---- */\n\n", s->f);
    for (int i = 0; rc == OMQ_OK && i < s->plan->n_units; i++) {
        fputs("/* ", s->f);
        omq_c_put_comment(s->f, s->plan->units[i].name);
        fputs(" */\n", s->f);
        rc = put_factors(s, choice, i, f, err);
    }
    if (fclose(f) != 0 && rc == OMQ_OK)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    if (rc == OMQ_OK)
        fprintf(s->f, "\nstatic const struct numbers layers_%d[] = {\n%s};\n", choice, rows);
    free(rows);
    return rc;
}

static void put_place(FILE *f, const char *name, uint32_t at)
{
    fprintf(f, ".%s = %" PRIu32 ", ", name, at);
}

static void put_layer(const struct omq_c_source *s, int unit)
{
    const struct omq_unit *u = &s->plan->units[unit];
    const struct omq_window *w = &u->win;

    fputs("    /* ", s->f);
    omq_c_put_comment(s->f, u->name);
    fputs(" */\n    {", s->f);
    put_place(s->f, "in", s->places->tensors[u->in]);
    put_place(s->f, "out", s->places->tensors[u->out]);
    if (u->res >= 0)
        put_place(s->f, "res", s->places->tensors[u->res]);
    else
        fputs(".res = NONE, ", s->f);
    put_place(s->f, "scratch", s->places->scratch[unit]);
    fprintf(s->f, ".groups = %d,\n     .h = %d, .w = %d, .c = %d, .oh = %d, .ow = %d, .oc = %d,\n",
            u->groups, w->h, w->w, w->c, w->oh, w->ow, u->oc);
    fprintf(s->f, "     .kh = %d, .kw = %d, .stride = %d, .pad = %d},\n", w->kh, w->kw, w->sh,
            w->ph);
}

int omq_c_put_rows(const struct omq_c_source *s, omq_c_put_layer *put_shape,
                   omq_c_put_numbers *put_factors, struct omq_err *err)
{
    int rc = OMQ_OK;

    fputs("\n/* ---- shapes ---- */\n\nstatic const struct layer layers[] = {\n", s->f);
    for (int i = 0; i < s->plan->n_units; i++)
        put_shape(s, i);
    fputs("};\n", s->f);
    for (int c = 0; rc == OMQ_OK && c < s->job->n; c++)
        rc = put_choice(s, c, put_factors, err);
    return rc;
}

int omq_c_put_tables(const struct omq_c_source *s, struct omq_err *err)
{
    return omq_c_put_rows(s, put_layer, put_numbers, err);
}
