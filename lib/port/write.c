/* SPDX-License-Identifier: MIT
 *
 * What a format makes, in memory first: then whole files, a tar, or nothing.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "port/port_internal.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { MOST_FILES = 2 + 1 }; /* a format's, and that of vectors */

/* ---- one call of a format's function ---- */

/* Some choices in one file or files, in memory. */
struct files {
    int n;
    const char *suffix[MOST_FILES];
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
                       struct files *f, struct omq_err *err)
{
    FILE *out[MOST_FILES] = {NULL, NULL, NULL};
    const int n = f->n - (job->opt->vectors > 0); /* the format's own */
    bool failed = false;
    int rc = OMQ_OK;

    for (int i = 0; i < f->n; i++) {
        f->suffix[i] = i < n ? format->suffixes[i] : "_vectors.npz";
        out[i] = open_memstream(&f->bytes[i], &f->size[i]);
        failed |= !out[i];
    }
    if (!failed)
        rc = format->write(job, (FILE *const[]){out[0], n > 1 ? out[1] : NULL}, err);
    if (!failed && rc == OMQ_OK && job->opt->vectors)
        rc = omq_export_vectors(job, out[n], err);
    for (int i = 0; i < f->n; i++)
        if (out[i]) {
            failed |= ferror(out[i]) != 0;
            failed |= fclose(out[i]) != 0;
        }
    if (rc == OMQ_OK && failed)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the files of format '%s'", format->name);
    return rc;
}

/* The first f->n files of n choices, vectors last. */
static int make_files(const struct omq_export_request *r, const char *name, const int *choices,
                      int n, struct files *f, struct omq_err *err)
{
    struct omq_export_numbers **numbers = calloc((size_t)n, sizeof(struct omq_export_numbers *));
    const struct omq_export_job job = {.opt = r->opt, .name = name, .n = n, .choices = numbers};
    int rc = OMQ_OK;

    if (!numbers)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    for (int i = 0; rc == OMQ_OK && i < n; i++)
        rc = omq_export_numbers_open(&numbers[i], &r->x->net, &r->x->info, choices[i], err);
    if (rc == OMQ_OK)
        rc = call_format(r->format, &job, f, err);
    for (int i = 0; i < n; i++)
        omq_export_numbers_close(numbers[i]);
    free(numbers);
    return rc;
}

/* ---- to where they belong ---- */

static void tell(const struct omq_export_request *r, const char *path, bool is_tar)
{
    if (r->opt->wrote)
        r->opt->wrote(r->opt->ctx, path, is_tar);
}

static bool ends_with(const char *s, const char *end)
{
    return strlen(s) > strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

/* An atomic file, or standard output. */
static int put_file(const char *path, const char *bytes, size_t n, struct omq_err *err)
{
    struct omq_atomic a;
    int rc;

    if (strcmp(path, "-") == 0)
        return fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0
                   ? OMQ_OK : omq_fail_errno(err, OMQ_EIO, "cannot write to standard output");
    if ((rc = omq_atomic_open(&a, path, err)) < 0)
        return rc;
    fwrite(bytes, 1, n, a.f);
    return omq_atomic_commit(&a, err);
}

/* The name of file i of those beside each other. What was asked for may have the ending
 * of any of them; without one it is the first's. NULL when out of memory. */
static char *name_beside(const struct omq_export_request *r, const struct files *f, int i)
{
    const char *const *end = r->format->suffixes;
    const size_t n = strlen(r->output), size = n + 32;
    char *path = malloc(size);

    while (*end && !ends_with(r->output, *end))
        end++;
    if (path && i == 0 && !*end)
        snprintf(path, size, "%s", r->output);
    else if (path)
        snprintf(path, size, "%.*s%s", (int)(n - (*end ? strlen(*end) : 0)), r->output,
                 f->suffix[i]);
    return path;
}

/* File i, on disk but for its name. */
static int make_beside(const struct omq_export_request *r, const struct files *f, int i,
                       struct omq_atomic *a, struct omq_err *err)
{
    char *path = name_beside(r, f, i);
    int rc = path ? omq_ckpt_check_output(r->x->path, path, err)
                  : omq_fail(err, OMQ_ENOMEM, "cannot allocate a name");

    if (rc == OMQ_OK && (rc = omq_atomic_open(a, path, err)) == OMQ_OK) {
        fwrite(f->bytes[i], 1, f->size[i], a->f);
        rc = omq_atomic_flush(a, err);
    }
    free(path);
    return rc;
}

static int put_beside(const struct omq_export_request *r, const struct files *f,
                      struct omq_err *err)
{
    struct omq_atomic a[MOST_FILES] = {{0}};
    int rc = OMQ_OK;

    for (int i = 0; rc == OMQ_OK && i < f->n; i++)
        rc = make_beside(r, f, i, &a[i], err);
    for (int i = f->n - 1; rc == OMQ_OK && i >= 0; i--) /* the first last: it is the sign */
        rc = omq_atomic_commit(&a[i], err);
    for (int i = 0; i < f->n; i++) {
        char *path = rc == OMQ_OK ? name_beside(r, f, i) : NULL;

        omq_atomic_abort(&a[i]);
        if (path)
            tell(r, path, false);
        free(path);
    }
    return rc;
}

/* ---- a tar ---- */

#define MANIFEST "manifest.json"

struct tar {
    const struct omq_export_request *r;
    FILE *f;
    json_t *list; /* of the manifest */
};

/* Profiles have any names, which files have not. */
static bool is_taken(const struct tar *t, const char *name)
{
    for (size_t i = 0; i < json_array_size(t->list); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(t->list, i), "file")),
                   name) == 0)
            return true;
    return strcmp(name, MANIFEST) == 0;
}

/* A file of the tar, and what the manifest says of it. */
static int tar_file(struct tar *t, const char *name, const int *choices, int n, const char *bytes,
                    size_t size, struct omq_err *err)
{
    json_t *precisions;
    int failed;

    if (is_taken(t, name))
        return omq_fail(err, OMQ_EUNSUP, "two files of the tar would be called '%s': export one "
                        "precision at a time, or give another --name", name);
    precisions = json_array();
    failed = !precisions;
    for (int c = 0; !failed && c < n; c++)
        failed = json_array_append_new(precisions,
                                       json_string(t->r->x->choices[choices[c]].name));
    if (!failed)
        failed = json_array_append_new(t->list, json_pack("{s:s, s:O}", "file", name,
                                                          "precisions", precisions));
    json_decref(precisions);
    return failed ? omq_fail(err, OMQ_ENOMEM, "cannot allocate a manifest")
                  : omq_tar_put(t->f, name, bytes, size, err);
}

/* The files of one member: NAME_w4a8.SUFFIX, or NAME.SUFFIX for several choices. */
static int tar_member(struct tar *t, const int *choices, int n, struct omq_err *err)
{
    struct files f = {.n = n_suffixes(t->r->format) + (t->r->opt->vectors > 0)};
    char name[OMQ_EXPORT_NAME_SIZE + 32], file[sizeof(name) + 32];
    int rc;

    snprintf(name, sizeof(name), "%s", t->r->name);
    if (!t->r->format->several) {
        size_t at = strlen(name);

        snprintf(name + at, sizeof(name) - at, "_%.24s", t->r->x->choices[choices[0]].name);
        for (char *p = name + at; *p; p++)
            *p = isalnum((unsigned char)*p) ? *p : '_';
    }
    rc = make_files(t->r, name, choices, n, &f, err);
    for (int i = 0; rc == OMQ_OK && i < f.n; i++) {
        snprintf(file, sizeof(file), "%s%s", name, f.suffix[i]);
        rc = tar_file(t, file, choices, n, f.bytes[i], f.size[i], err);
    }
    files_release(&f);
    return rc;
}

static int tar_manifest(struct tar *t, struct omq_err *err)
{
    json_t *top = json_pack("{s:s, s:s, s:O}", "omq", OMQ_VERSION, "format", t->r->format->name,
                            "files", t->list);
    char *text = top ? json_dumps(top, JSON_INDENT(2)) : NULL;
    int rc = text ? omq_tar_put(t->f, MANIFEST, text, strlen(text), err)
                  : omq_fail(err, OMQ_ENOMEM, "cannot allocate a manifest");

    free(text);
    json_decref(top);
    omq_tar_end(t->f);
    return rc;
}

static int put_tar(const struct omq_export_request *r, const int *choices, int n,
                   struct omq_err *err)
{
    struct tar t = {.r = r, .list = json_array()};
    char *bytes = NULL;
    size_t size = 0;
    int rc = OMQ_OK, at_once = r->format->several ? n : 1;

    t.f = open_memstream(&bytes, &size);
    if (!t.f || !t.list)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a tar");
    for (int i = 0; rc == OMQ_OK && i < n; i += at_once)
        rc = tar_member(&t, choices + i, at_once, err);
    if (rc == OMQ_OK)
        rc = tar_manifest(&t, err);
    if (t.f && fclose(t.f) != 0 && rc == OMQ_OK)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a tar");
    if (rc == OMQ_OK)
        rc = put_file(r->output, bytes, size, err);
    if (rc == OMQ_OK)
        tell(r, r->output, true);
    json_decref(t.list);
    free(bytes);
    return rc;
}

/* Standard output by any name, a pipe or a device, beside which there can be no second file. */
static bool is_stream(const char *path)
{
    struct stat st, out;

    if (strcmp(path, "-") == 0)
        return true;
    return stat(path, &st) == 0 &&
           ((!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) ||
            (fstat(STDOUT_FILENO, &out) == 0 && omq_is_same_file(&st, &out)));
}

/* A tar under the name of a file of the format would be taken for one. */
static int check_tar_name(const struct omq_export_request *r, struct omq_err *err)
{
    char list[256];

    omq_export_list_formats(true, list);
    for (int i = 0; i < n_suffixes(r->format); i++)
        if (ends_with(r->output, r->format->suffixes[i]))
            return omq_fail(err, OMQ_EARG, "'%s' holds one precision: name the output FILE.tar for "
                            "several, or give a --format that has them in one file: %s",
                            r->output, list);
    return OMQ_OK;
}

int omq_export_put(const struct omq_export_request *r, const int *choices, int n,
                   struct omq_err *err)
{
    const bool streams = is_stream(r->output);
    const int n_files = n_suffixes(r->format), has_vectors = r->opt->vectors > 0;
    struct files f = {.n = (streams ? 1 : n_files) + has_vectors};
    int rc = omq_ckpt_check_output(r->x->path, r->output, err);

    if (rc < 0)
        return rc;
    if (n > 1 && !r->format->several && !streams && (rc = check_tar_name(r, err)) < 0)
        return rc;
    if ((n > 1 && !r->format->several) || ends_with(r->output, ".tar") ||
        (streams && (has_vectors || (n_files > 1 && !r->format->one_stream))))
        return put_tar(r, choices, n, err);
    if ((rc = make_files(r, r->name, choices, n, &f, err)) == OMQ_OK)
        rc = streams ? put_file(r->output, f.bytes[0], f.size[0], err) : put_beside(r, &f, err);
    if (rc == OMQ_OK && streams)
        tell(r, r->output, false);
    files_release(&f);
    return rc;
}
