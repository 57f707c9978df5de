/* SPDX-License-Identifier: MIT
 *
 * Reading safetensors: 8 bytes of length, a JSON header, and the arrays, which
 * fill the rest of the file without holes, overlaps or anything behind them.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/json_guard.h"
#include "port/source.h"

enum {
    MAX_HEADER = 100000000,  /* bytes: the limit of the reference reader */
    MAX_VALUES = 1 << 20,    /* of the JSON */
};

/* Types that can be read. */
static const struct dtype {
    const char *name;
    enum omq_source_type type;
    size_t size;
} dtypes[] = {
    {"F32", OMQ_SOURCE_F32, 4}, {"F64", OMQ_SOURCE_F64, 8},
    {"F16", OMQ_SOURCE_F16, 2}, {"BF16", OMQ_SOURCE_BF16, 2},
};

/* Where an array lies, counted from the end of the header. */
struct span {
    uint64_t begin, end;
    const char *name;
};

static int wrong(const struct omq_source *s, const char *name, const char *what,
                 struct omq_err *err)
{
    return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: %s of '%.200s'", s->path, what, name);
}

static const struct dtype *find_dtype(const char *word)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (strcmp(dtypes[i].name, word) == 0)
            return &dtypes[i];
    return NULL;
}

static bool get_number(json_t *o, uint64_t *out)
{
    if (!json_is_integer(o) || json_integer_value(o) < 0)
        return false;
    *out = (uint64_t)json_integer_value(o);
    return true;
}

static bool get_shape(json_t *o, struct omq_source_array *a)
{
    json_t *shape = json_object_get(o, "shape");
    size_t n = json_array_size(shape);

    if (!json_is_array(shape) || n > OMQ_SOURCE_DIMS)
        return false;
    a->ndim = (int)n;
    for (size_t i = 0; i < n; i++)
        if (!get_number(json_array_get(shape, i), &a->dims[i]))
            return false;
    return true;
}

static int get_array(struct omq_source *s, const char *name, json_t *o, size_t data,
                     struct span *span, struct omq_err *err)
{
    struct omq_source_array *a = omq_source_add(s, name, strlen(name), err);
    json_t *offsets = json_object_get(o, "data_offsets");
    const char *word = json_string_value(json_object_get(o, "dtype"));
    const struct dtype *type;
    size_t n_bytes;

    if (!a)
        return err ? err->code : OMQ_EFORMAT;
    if (!word)
        return wrong(s, name, "the type", err);
    type = find_dtype(word);
    a->type = type ? type->type : OMQ_SOURCE_OTHER;
    snprintf(a->type_name, sizeof(a->type_name), "%s", word);
    if (!get_shape(o, a))
        return wrong(s, name, "the shape", err);
    if (json_array_size(offsets) != 2 || !get_number(json_array_get(offsets, 0), &span->begin) ||
        !get_number(json_array_get(offsets, 1), &span->end) || span->begin > span->end ||
        span->end > s->n_bytes - data)
        return wrong(s, name, "the place", err);
    if (!omq_source_count(a, type ? type->size : 1, &n_bytes) ||
        (type && n_bytes != span->end - span->begin))
        return wrong(s, name, "shape and size do not agree, as that", err);
    a->bytes = s->file + data + span->begin;
    a->n_bytes = span->end - span->begin;
    span->name = a->name;
    return OMQ_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The arrays, end to end, are all that follows the header. */
static int check_spans(const struct omq_source *s, struct span *spans, size_t data,
                       struct omq_err *err)
{
    uint64_t at = 0;

    if (s->n > 1)
        qsort(spans, (size_t)s->n, sizeof(*spans), by_place);
    for (int i = 0; i < s->n; i++) {
        if (spans[i].begin != at)
            return wrong(s, spans[i].name, spans[i].begin < at ? "another array overlaps that"
                                                               : "there is a gap before that", err);
        at = spans[i].end;
    }
    if (at != s->n_bytes - data)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: %llu bytes follow its arrays", s->path,
                        (unsigned long long)(s->n_bytes - data - at));
    return OMQ_OK;
}

static int get_arrays(struct omq_source *s, json_t *header, size_t data, struct omq_err *err)
{
    size_t n = json_object_size(header), i = 0;
    struct span *spans = calloc(n ? n : 1, sizeof(*spans));
    const char *name;
    json_t *o;
    int rc = OMQ_OK;

    if (!spans)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the header of '%s'", s->path);
    json_object_foreach(header, name, o) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if ((rc = get_array(s, name, o, data, &spans[i++], err)) < 0)
            break;
    }
    if (rc == OMQ_OK)
        rc = check_spans(s, spans, data, err);
    free(spans);
    return rc;
}

static int check_size(const struct omq_source *s, const char *text, size_t n, struct omq_err *err)
{
    size_t values = omq_json_values(text, n);

    if (values > MAX_VALUES)
        return omq_fail(err, OMQ_EUNSUP, "the header of '%s' has about %zu values; %d are possible",
                        s->path, values, MAX_VALUES);
    return OMQ_OK;
}

int omq_source_safetensors(struct omq_source *s, struct omq_err *err)
{
    struct omq_cursor c = omq_cursor_init(s->file, s->n_bytes);
    uint64_t n = omq_cursor_le64(&c);
    const char *text = (const char *)s->file + c.pos;
    json_error_t at;
    json_t *header;
    int rc;

    if (c.failed || n > s->n_bytes - c.pos || n > MAX_HEADER)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: its header of %llu bytes is longer "
                        "than the file, or than %d bytes", s->path, (unsigned long long)n,
                        MAX_HEADER);
    if ((rc = check_size(s, text, (size_t)n, err)) < 0)
        return rc;
    header = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &at);
    if (!header && omq_json_no_memory(&at))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the header of '%s'", s->path);
    if (!header)
        return omq_fail(err, OMQ_EFORMAT, "the header of '%s' is not JSON: %s at byte %d", s->path,
                        at.text, at.position);
    if (!json_is_object(header))
        rc = omq_fail(err, OMQ_EFORMAT, "the header of '%s' is no JSON object", s->path);
    else
        rc = get_arrays(s, header, c.pos + (size_t)n, err);
    json_decref(header);
    return rc < 0 ? rc : omq_source_seal(s, err);
}
