/* SPDX-License-Identifier: MIT
 *
 * A model that is exported: which choices it has, and whether a request is one
 * that its format can serve.
 */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include "port/port_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- the model ---- */

/* What is left of a path without folders and ending, as a C identifier. */
static void name_of(const char *path, char name[OMQ_EXPORT_NAME_SIZE])
{
    const char *slash = strrchr(path, '/'), *p = slash ? slash + 1 : path;
    int n = 0;

    if (strcmp(path, "-") == 0)
        p = "model";
    else if (!isalpha((unsigned char)*p) && *p != '_')
        n = snprintf(name, OMQ_EXPORT_NAME_SIZE, "model");
    for (; *p && *p != '.' && n < OMQ_EXPORT_NAME_SIZE - 1; p++)
        name[n++] = isalnum((unsigned char)*p) ? *p : '_';
    name[n] = '\0';
}

int omq_export_open(struct omq_export **out, const char *model, struct omq_err *err)
{
    struct omq_export *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    if ((rc = omq_init(NULL, err)) < 0 ||
        (rc = omq_model_load(&x->net, &x->info, NULL, model, err)) < 0) {
        omq_export_close(x);
        return rc;
    }
    x->n = omq_choice_count(&x->net, &x->info);
    x->path = strdup(model);
    x->choices = calloc((size_t)x->n, sizeof(*x->choices));
    if (!x->path || !x->choices) {
        omq_export_close(x);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    }
    for (int i = 0; i < x->n; i++)
        x->choices[i] = omq_choice_at(&x->net, &x->info, i);
    *out = x;
    return OMQ_OK;
}

void omq_export_close(struct omq_export *x)
{
    if (!x)
        return;
    omq_net_release(&x->net);
    omq_model_info_release(&x->info);
    free(x->choices);
    free(x->path);
    free(x);
}

int omq_export_count(const struct omq_export *x) { return x->n; }
const char *omq_export_name(const struct omq_export *x, int i) { return x->choices[i].name; }

bool omq_export_is_float(const struct omq_export *x, int i)
{
    return omq_choice_is_float(&x->choices[i]);
}

int omq_export_default(const struct omq_export *x, int format)
{
    const int most = omq_export_formats[format].act_bits;
    int first = -1;

    for (int i = 0; i < x->n; i++) {
        if (omq_export_is_float(x, i) || x->choices[i].layers)
            continue;
        if (most == 0 || x->choices[i].a <= most)
            return i;
        if (first < 0)
            first = i; /* the format says what is wrong with it */
    }
    return first;
}

int omq_export_find(const struct omq_export *x, const char *word, struct omq_err *err)
{
    return omq_choice_find(x->choices, x->n, word, err);
}

/* ---- requests ---- */

/* Options that only some formats have. */
enum { MAIN, INTEGER, CMSIS, ACT_TYPE, WEIGHT_TYPE, STYLE, N_OPTIONS };
static const char *const option_names[N_OPTIONS] = {"main", "integer", "cmsis", "act-type",
                                                    "weight-type", "style"};

static bool has_option(const struct omq_export_format *f, int option)
{
    const bool has[N_OPTIONS] = {f->takes_main, f->takes_integer, f->takes_cmsis, f->takes_types,
                                 f->takes_types, f->styles != NULL};

    return has[option];
}

static void add_word(char list[256], const char *word)
{
    const size_t n = strlen(list);

    snprintf(list + n, 256 - n, "%s%s", n ? ", " : "", word);
}

static int check_options(const struct omq_export_format *f, const struct omq_export_options *opt,
                         struct omq_err *err)
{
    const bool asked[N_OPTIONS] = {opt->with_main, opt->integer, opt->cmsis, opt->act_s8,
                                   opt->weight_u8, opt->style != NULL};
    char list[256] = "";

    for (int o = 0; o < N_OPTIONS; o++) {
        if (!asked[o] || has_option(f, o))
            continue;
        for (int i = 0; i < omq_export_format_count(); i++)
            if (has_option(&omq_export_formats[i], o))
                add_word(list, omq_export_formats[i].name);
        return omq_fail(err, OMQ_EARG, "format '%s' has no option --%s, which is for %s", f->name,
                        option_names[o], list);
    }
    for (int i = 0; opt->style && f->styles[i]; i++) {
        if (strcmp(opt->style, f->styles[i]) == 0)
            return OMQ_OK;
        add_word(list, f->styles[i]);
    }
    if (opt->style)
        return omq_fail(err, OMQ_EARG, "format '%s' has no style '%s'; it has %s", f->name,
                        opt->style, list);
    return OMQ_OK;
}

int omq_export_write(struct omq_export *x, const struct omq_export_options *opt, const int *choices,
                     int n, const char *output, struct omq_err *err)
{
    const int i = omq_export_format_find(opt->format, err);
    struct omq_export_request r = {.x = x, .opt = opt, .output = output};
    int rc;

    if (i < 0)
        return i;
    if (n < 1)
        return omq_fail(err, OMQ_EUNSUP, "'%s' has no precision in integers to export: omq-eval "
                        "runs those in floating point", x->path);
    r.format = &omq_export_formats[i];
    if ((rc = check_options(r.format, opt, err)) < 0)
        return rc;
    name_of(opt->name ? opt->name : strcmp(output, "-") == 0 ? x->path : output, r.name);
    return omq_export_put(&r, choices, n, err);
}
