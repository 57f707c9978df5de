/* SPDX-License-Identifier: MIT
 *
 * A model that is exported: which choices it has, and from a request to whole
 * files or nothing.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream, strdup */
#include "port/port.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { MOST_FILES = 2, NAME_SIZE = 64 };

struct omq_export {
    struct omq_net net;
    struct omq_model_info info;
    int n;
    struct omq_choice *choices;
    char *path;               /* of the model */
    char name[NAME_SIZE];     /* after it */
};

/* ---- the model ---- */

/* What is left of a path without folders and ending, as a C identifier. */
static void name_of(const char *path, char name[NAME_SIZE])
{
    const char *slash = strrchr(path, '/'), *p = slash ? slash + 1 : path;
    int n = 0;

    if (isdigit((unsigned char)*p) || *p == '-' || *p == '\0' || *p == '.')
        n = snprintf(name, NAME_SIZE, "model");
    for (; *p && *p != '.' && n < NAME_SIZE - 1; p++)
        if (*p != '-' || n > 0)
            name[n++] = isalnum((unsigned char)*p) ? *p : '_';
    name[n] = '\0';
}

static int load(struct omq_export *x, const char *model, struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_open(&c, model, 0, err);

    if (rc < 0)
        return rc;
    if ((rc = omq_model_get(&x->net, &x->info, c, false, err)) < 0)
        rc = omq_wrap(err, "cannot load '%s'", model);
    omq_ckpt_close(c);
    return rc;
}

int omq_export_open(struct omq_export **out, const char *model, struct omq_err *err)
{
    struct omq_export *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    if ((rc = omq_init(NULL, err)) < 0 || (rc = load(x, model, err)) < 0) {
        omq_export_close(x);
        return rc;
    }
    name_of(model, x->name);
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
    return x->choices[i].w == OMQ_FLOAT_BITS || x->choices[i].a == OMQ_FLOAT_BITS;
}

int omq_export_find(const struct omq_export *x, const char *word, struct omq_err *err)
{
    return omq_choice_find(x->choices, x->n, word, err);
}

/* ---- one call of a format's function ---- */

/* Some choices in one file or files, in memory. */
struct files {
    int n;
    char *bytes[MOST_FILES];
    size_t size[MOST_FILES];
};

static void files_release(struct files *f)
{
    for (int i = 0; i < MOST_FILES; i++)
        free(f->bytes[i]);
    *f = (struct files){0};
}

static int n_suffixes(const struct omq_export_format *f)
{
    int n = 0;

    while (f->suffixes[n])
        n++;
    return n;
}

static int call_format(const struct omq_export_format *format, const struct omq_export_job *job,
                       int n_files, struct files *f, struct omq_err *err)
{
    FILE *out[MOST_FILES] = {NULL, NULL};
    bool failed = false;
    int rc = OMQ_OK;

    for (int i = 0; i < n_files; i++) {
        out[i] = open_memstream(&f->bytes[i], &f->size[i]);
        failed |= !out[i];
    }
    if (!failed)
        rc = format->write(job, out, err);
    for (int i = 0; i < n_files; i++)
        if (out[i]) {
            failed |= ferror(out[i]) != 0;
            failed |= fclose(out[i]) != 0;
        }
    f->n = n_files;
    if (rc == OMQ_OK && failed)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the files of format '%s'", format->name);
    return rc;
}

static int make_files(struct omq_export *x, const struct omq_export_format *format,
                      const struct omq_export_options *opt, const char *name, const int *choices,
                      int n, int n_files, struct files *f, struct omq_err *err)
{
    struct omq_export_numbers **numbers = calloc((size_t)n, sizeof(struct omq_export_numbers *));
    const struct omq_export_job job = {.opt = opt, .name = name, .n = n, .choices = numbers};
    int rc = OMQ_OK;

    if (!numbers)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    for (int i = 0; rc == OMQ_OK && i < n; i++)
        rc = omq_export_numbers_open(&numbers[i], &x->net, &x->info, choices[i], err);
    if (rc == OMQ_OK)
        rc = call_format(format, &job, n_files, f, err);
    for (int i = 0; i < n; i++)
        omq_export_numbers_close(numbers[i]);
    free(numbers);
    return rc;
}

/* ---- to where they belong ---- */

static bool ends_with(const char *s, const char *end)
{
    return strlen(s) > strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

/* An atomic file, or standard output. */
static int put_file(const char *path, const char *bytes, size_t n, struct omq_err *err)
{
    struct omq_atomic a;
    int rc;

    if (strcmp(path, "-") == 0) {
        fwrite(bytes, 1, n, stdout); /* whoever owns stdout looks at its end */
        return OMQ_OK;
    }
    if ((rc = omq_atomic_open(&a, path, err)) < 0)
        return rc;
    fwrite(bytes, 1, n, a.f);
    return omq_atomic_commit(&a, err);
}

/* The model may be a link, and be gone by now: then there is nothing to lose. */
static int check_output(const struct omq_export *x, const char *path, struct omq_err *err)
{
    struct stat model, out;

    if (strcmp(path, "-") != 0 && stat(x->path, &model) == 0 && stat(path, &out) == 0 &&
        model.st_dev == out.st_dev && model.st_ino == out.st_ino)
        return omq_fail(err, OMQ_EARG, "'%s' is the model itself: give another output", path);
    return OMQ_OK;
}

/* Files beside each other: the first has the name that was asked for. */
static int put_beside(const struct omq_export *x, const struct omq_export_format *format,
                      const char *output, const struct files *f, struct omq_err *err)
{
    const size_t stem = strlen(output) - (ends_with(output, format->suffixes[0])
                                              ? strlen(format->suffixes[0]) : 0);
    int rc = OMQ_OK;

    for (int i = f->n - 1; rc == OMQ_OK && i >= 0; i--) { /* the first last: it is the sign */
        char *path = malloc(strlen(output) + 16);

        if (!path)
            return omq_fail(err, OMQ_ENOMEM, "cannot allocate a name");
        if (i == 0)
            strcpy(path, output);
        else
            sprintf(path, "%.*s%.12s", (int)stem, output, format->suffixes[i]);
        if ((rc = check_output(x, path, err)) == OMQ_OK)
            rc = put_file(path, f->bytes[i], f->size[i], err);
        free(path);
    }
    return rc;
}

/* ---- a tar ---- */

struct tar {
    struct omq_export *x;
    const struct omq_export_format *format;
    const struct omq_export_options *opt;
    const char *name;
    FILE *f;
    json_t *list; /* of the manifest */
};

/* The files of one member: NAME_w4a8.SUFFIX. */
static int tar_member(struct tar *t, const int *choices, int n, struct omq_err *err)
{
    struct files f = {0};
    char name[NAME_SIZE + 32], file[NAME_SIZE + 64];
    int rc;

    snprintf(name, sizeof(name), "%s", t->name);
    if (n == 1) {
        size_t at = strlen(name);

        snprintf(name + at, sizeof(name) - at, "_%.24s", t->x->choices[choices[0]].name);
        for (char *p = name + at; *p; p++)
            *p = isalnum((unsigned char)*p) ? *p : '_';
    }
    rc = make_files(t->x, t->format, t->opt, name, choices, n, n_suffixes(t->format), &f, err);
    for (int i = 0; rc == OMQ_OK && i < f.n; i++) {
        json_t *entry = json_pack("{s:s+, s:[]}", "file", name, t->format->suffixes[i],
                                  "precisions");

        for (int c = 0; c < n; c++)
            json_array_append_new(json_object_get(entry, "precisions"),
                                  json_string(t->x->choices[choices[c]].name));
        json_array_append_new(t->list, entry);
        snprintf(file, sizeof(file), "%s%s", name, t->format->suffixes[i]);
        rc = omq_tar_put(t->f, file, f.bytes[i], f.size[i], err);
    }
    files_release(&f);
    return rc;
}

static int tar_manifest(struct tar *t, struct omq_err *err)
{
    json_t *top = json_pack("{s:s, s:s, s:O}", "omq", OMQ_VERSION, "format", t->format->name,
                            "files", t->list);
    char *text = top ? json_dumps(top, JSON_INDENT(2)) : NULL;
    int rc = text ? omq_tar_put(t->f, "manifest.json", text, strlen(text), err)
                  : omq_fail(err, OMQ_ENOMEM, "cannot allocate a manifest");

    free(text);
    json_decref(top);
    omq_tar_end(t->f);
    return rc;
}

static int write_tar(struct tar *t, const int *choices, int n, const char *output,
                     struct omq_err *err)
{
    char *bytes = NULL;
    size_t size = 0;
    int rc = OMQ_OK, at_once = t->format->several ? n : 1;

    t->f = open_memstream(&bytes, &size);
    t->list = json_array();
    if (!t->f || !t->list)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a tar");
    for (int i = 0; rc == OMQ_OK && i < n; i += at_once)
        rc = tar_member(t, choices + i, at_once, err);
    if (rc == OMQ_OK)
        rc = tar_manifest(t, err);
    if (t->f && fclose(t->f) != 0 && rc == OMQ_OK)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a tar");
    if (rc == OMQ_OK)
        rc = put_file(output, bytes, size, err);
    json_decref(t->list);
    free(bytes);
    return rc;
}

/* ---- requests ---- */

static int check_options(const struct omq_export_format *f, const struct omq_export_options *opt,
                         struct omq_err *err)
{
    const struct { bool asked, there; const char *name; } flags[] = {
        {opt->with_main, f->takes_main, "main"}, {opt->integer, f->takes_integer, "integer"},
        {opt->act_s8, f->takes_act_s8, "act-type"},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (flags[i].asked && !flags[i].there)
            return omq_fail(err, OMQ_EARG, "format '%s' has no option --%s", f->name,
                            flags[i].name);
    for (int i = 0; opt->style && f->styles && f->styles[i]; i++)
        if (strcmp(opt->style, f->styles[i]) == 0)
            return OMQ_OK;
    if (opt->style)
        return omq_fail(err, OMQ_EARG, "format '%s' has no style '%s'", f->name, opt->style);
    return OMQ_OK;
}

int omq_export_write(struct omq_export *x, const struct omq_export_options *opt, const int *choices,
                     int n, const char *output, struct omq_err *err)
{
    const int i = omq_export_format_find(opt->format, err);
    const bool is_stdout = strcmp(output, "-") == 0;
    const struct omq_export_format *format;
    struct files f = {0};
    char name[NAME_SIZE];
    int rc, n_files;

    if (i < 0)
        return i;
    format = &omq_export_formats[i];
    if ((rc = check_options(format, opt, err)) < 0 || (rc = check_output(x, output, err)) < 0)
        return rc;
    name_of(opt->name ? opt->name : is_stdout ? x->path : output, name);
    n_files = n_suffixes(format);
    if ((n > 1 && !format->several) || ends_with(output, ".tar") ||
        (is_stdout && n_files > 1 && !format->one_stream)) {
        struct tar t = {.x = x, .format = format, .opt = opt, .name = name};

        return write_tar(&t, choices, n, output, err);
    }
    if (is_stdout)
        n_files = 1;
    if ((rc = make_files(x, format, opt, name, choices, n, n_files, &f, err)) == OMQ_OK)
        rc = is_stdout ? put_file("-", f.bytes[0], f.size[0], err)
                       : put_beside(x, format, output, &f, err);
    files_release(&f);
    return rc;
}
