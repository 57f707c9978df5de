/* SPDX-License-Identifier: MIT
 *
 * Writing: additions are collected, laid out when all sizes are known, and
 * written front to back, so that the output may be a pipe.
 */
#define _GNU_SOURCE
#include "ckpt/ckpt_internal.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/utf8.h"

struct addition {
    char kind[5];
    int dtype, bits, ndim;
    uint64_t dims[OMQ_CKPT_MAX_DIMS];
    const void *data; /* borrowed */
    size_t n_bytes;
    int order; /* of addition */
    char name[];
};

struct omq_ckpt_writer {
    const char *meta; /* borrowed */
    size_t n_meta;
    struct omq_switch_word active;
    struct addition **list;
    int n, cap;
    void *keys; /* tsearch() tree of the same, to find duplicates */
};

/* A file about to be written. Sections are the frame, then the tensors in the
 * order of list. */
struct layout {
    const struct omq_ckpt_writer *w;
    struct addition **list;     /* sorted */
    const uint8_t **sections;   /* stored bytes */
    struct ckpt_entry *entries;
    int n;                      /* of sections and entries */
    uint8_t *meta, *names, *dims; /* stored META, NAME and DIMS */
    size_t n_names;
    uint8_t *table;             /* header and table of contents */
    size_t n_table;
};

int omq_ckpt_writer_open(struct omq_ckpt_writer **out, struct omq_err *err)
{
    struct omq_ckpt_writer *w = calloc(1, sizeof(*w));

    if (!w)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a checkpoint writer");
    w->active.profile = -1;
    *out = w;
    return OMQ_OK;
}

static void keep(void *node) { (void)node; }

void omq_ckpt_writer_close(struct omq_ckpt_writer *w)
{
    if (!w)
        return;
    tdestroy(w->keys, keep);
    for (int i = 0; i < w->n; i++)
        free(w->list[i]);
    free(w->list);
    free(w);
}

void omq_ckpt_set_meta(struct omq_ckpt_writer *w, const char *json, size_t n_bytes)
{
    w->meta = json;
    w->n_meta = n_bytes;
}

void omq_ckpt_set_switch(struct omq_ckpt_writer *w, struct omq_switch_word s) { w->active = s; }

static int compare_keys(const void *a, const void *b)
{
    const struct addition *x = a, *y = b;

    return omq_ckpt_key_compare(x->kind, x->name, y->kind, y->name);
}

static int check_addition(const char *kind, const char *name, int dtype, int bits, int ndim,
                          const uint64_t *dims, size_t *n_bytes, struct omq_err *err)
{
    bool frame = false;

    if (!omq_ckpt_kind_valid(kind))
        return omq_fail(err, OMQ_EARG, "the kind of a section has four letters");
    for (int i = 0; i < CKPT_FRAME; i++)
        frame |= strcmp(kind, omq_ckpt_frame[i]) == 0;
    if (frame || (kind[0] <= 'Z' && omq_ckpt_kind_rank(kind) < 0))
        return omq_fail(err, OMQ_EARG, "a tensor cannot have kind '%s'", kind);
    if (!omq_ckpt_name_valid(name, strlen(name)))
        return omq_fail(err, OMQ_EARG, "'%.*s' cannot name a section: a name is 1 to %d bytes of "
                        "UTF-8 without '/' and control characters", CKPT_MAX_NAME, name,
                        CKPT_MAX_NAME);
    if (ndim < 0 || ndim > OMQ_CKPT_MAX_DIMS || !omq_ckpt_bits_valid(kind, bits) ||
        !omq_ckpt_tensor_size(dtype, ndim, dims, n_bytes))
        return omq_fail(err, OMQ_EARG, "section '%s' '%s' has an impossible type, width or shape",
                        kind, name);
    return OMQ_OK;
}

static int reserve_one(struct omq_ckpt_writer *w, struct omq_err *err)
{
    int cap = w->cap ? 2 * w->cap : 64;
    struct addition **list;

    if (w->n < w->cap)
        return OMQ_OK;
    list = realloc(w->list, (size_t)cap * sizeof(*list));
    if (!list)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d sections", cap);
    w->list = list;
    w->cap = cap;
    return OMQ_OK;
}

int omq_ckpt_add(struct omq_ckpt_writer *w, const char *kind, const char *name,
                 enum omq_dtype dtype, int bits, int ndim, const uint64_t *dims, const void *data,
                 struct omq_err *err)
{
    struct addition *a, **same;
    size_t n_bytes, n_name = strlen(name);
    int rc = check_addition(kind, name, dtype, bits, ndim, dims, &n_bytes, err);

    if (rc == OMQ_OK && w->n >= CKPT_MAX_ENTRIES - CKPT_FRAME)
        rc = omq_fail(err, OMQ_EARG, "section '%s' '%s' is one too many: a file holds %d", kind,
                      name, CKPT_MAX_ENTRIES);
    if (rc == OMQ_OK)
        rc = reserve_one(w, err);
    if (rc < 0)
        return rc;
    a = calloc(1, sizeof(*a) + n_name + 1);
    if (!a)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate section '%s' '%s'", kind, name);
    memcpy(a->kind, kind, sizeof(a->kind));
    memcpy(a->name, name, n_name);
    same = tsearch(a, &w->keys, compare_keys);
    if (!same || *same != a) {
        free(a);
        return same ? omq_fail(err, OMQ_EARG, "section '%s' '%s' is added twice", kind, name)
                    : omq_fail(err, OMQ_ENOMEM, "cannot allocate section '%s' '%s'", kind, name);
    }
    a->dtype = dtype;
    a->bits = bits;
    a->ndim = ndim;
    if (ndim > 0)
        memcpy(a->dims, dims, (size_t)ndim * sizeof(*dims));
    a->data = data;
    a->n_bytes = n_bytes;
    a->order = w->n;
    w->list[w->n++] = a;
    return OMQ_OK;
}

/* Unknown kinds go last, in the order of their addition. */
static int compare_places(const void *a, const void *b)
{
    const struct addition *x = *(struct addition *const *)a, *y = *(struct addition *const *)b;
    unsigned rx = (unsigned)omq_ckpt_kind_rank(x->kind), ry = (unsigned)omq_ckpt_kind_rank(y->kind);

    return rx != ry ? (rx < ry ? -1 : 1) : x->order - y->order;
}

static int check_writer(const struct omq_ckpt_writer *w, struct omq_err *err)
{
    uint8_t word[8];

    if (!w->meta || w->n_meta == 0 || w->n_meta > CKPT_MAX_META)
        return omq_fail(err, OMQ_EARG, "META has %zu bytes; the range is 1 to %d",
                        w->meta ? w->n_meta : 0, CKPT_MAX_META);
    if (!omq_utf8_valid(w->meta, w->n_meta))
        return omq_fail(err, OMQ_EARG, "META is not UTF-8 text");
    return omq_ckpt_switch_encode(word, w->active, err);
}

static void release(struct layout *y)
{
    free(y->list);
    free(y->sections);
    free(y->entries);
    free(y->meta);
    free(y->names);
    free(y->dims);
    free(y->table);
}

static int reserve(struct layout *y, const struct omq_ckpt_writer *w, struct omq_err *err)
{
    size_t n = (size_t)w->n;

    *y = (struct layout){.w = w, .n = w->n + CKPT_FRAME};
    for (size_t i = 0; i < n; i++)
        y->n_names += strlen(w->list[i]->name) + 1;
    y->n_table = CKPT_HEADER_SIZE + (n + CKPT_FRAME) * CKPT_ENTRY_SIZE;
    y->list = omq_calloc(n, sizeof(*y->list));
    y->sections = omq_calloc(n + CKPT_FRAME, sizeof(*y->sections));
    y->entries = omq_calloc(n + CKPT_FRAME, sizeof(*y->entries));
    y->meta = omq_calloc(compressBound((uLong)w->n_meta), 1);
    y->names = omq_calloc(y->n_names, 1);
    y->dims = omq_calloc(n, CKPT_DIMS_ROW);
    y->table = omq_calloc(y->n_table, 1);
    if (!y->list || !y->sections || !y->entries || !y->meta || !y->names || !y->dims || !y->table)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d sections", y->n);
    if (n > 0)
        memcpy(y->list, w->list, n * sizeof(*y->list));
    qsort(y->list, n, sizeof(*y->list), compare_places);
    return OMQ_OK;
}

static void set_section(struct layout *y, int i, const char *kind, const void *raw, size_t n)
{
    struct ckpt_entry *e = &y->entries[i];

    memcpy(e->kind, kind, sizeof(e->kind));
    e->stored_size = e->raw_size = n;
    e->stored_crc = e->raw_crc = (uint32_t)crc32_z(0, raw, n);
    y->sections[i] = raw;
}

/* META is compressed where that helps. */
static int place_meta(struct layout *y, struct omq_err *err)
{
    uLongf n = compressBound((uLong)y->w->n_meta);
    int z;

    set_section(y, 0, omq_ckpt_frame[0], y->w->meta, y->w->n_meta);
    z = compress2(y->meta, &n, (const Bytef *)y->w->meta, (uLong)y->w->n_meta, 9);
    if (z != Z_OK)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate memory to compress META");
    if (n >= y->w->n_meta)
        return OMQ_OK;
    y->entries[0].flags = CKPT_FLAG_ZLIB;
    y->entries[0].stored_size = n;
    y->entries[0].stored_crc = (uint32_t)crc32_z(0, y->meta, n);
    y->sections[0] = y->meta;
    return OMQ_OK;
}

static void place_tensors(struct layout *y)
{
    size_t pos = 0;

    for (int i = 0; i < y->w->n; i++) {
        const struct addition *a = y->list[i];
        struct ckpt_entry *e = &y->entries[i + CKPT_FRAME];
        size_t len = strlen(a->name);

        set_section(y, i + CKPT_FRAME, a->kind, a->data, a->n_bytes);
        e->index = (uint32_t)i;
        e->dtype = (uint16_t)a->dtype;
        e->ndim = (uint8_t)a->ndim;
        e->bits = (uint8_t)a->bits;
        e->name_pos = (uint32_t)pos;
        e->name_len = (uint32_t)len;
        memcpy(y->names + pos, a->name, len + 1);
        pos += len + 1;
        for (int d = 0; d < a->ndim; d++)
            omq_put_le64(y->dims + (size_t)i * CKPT_DIMS_ROW + (size_t)d * 8, a->dims[d]);
    }
    set_section(y, 1, omq_ckpt_frame[1], y->names, y->n_names);
    set_section(y, 2, omq_ckpt_frame[2], y->dims, (size_t)y->w->n * CKPT_DIMS_ROW);
}

/* Offsets, table and header, once all sections are known. */
static int finish(struct layout *y, struct omq_err *err)
{
    struct ckpt_header h = {
        .n_entries = (uint32_t)y->n, .entry_size = CKPT_ENTRY_SIZE, .active = y->w->active,
    };
    uint64_t end = y->n_table;

    for (int i = 0; i < y->n; i++) {
        struct ckpt_entry *e = &y->entries[i];

        e->offset = (end + CKPT_ALIGN - 1) / CKPT_ALIGN * CKPT_ALIGN;
        if (e->offset < end || __builtin_add_overflow(e->offset, e->stored_size, &end))
            return omq_fail(err, OMQ_EARG, "the sections are larger than a file can be");
        omq_ckpt_entry_encode(y->table + CKPT_HEADER_SIZE + (size_t)i * CKPT_ENTRY_SIZE, e);
    }
    h.file_size = end;
    h.toc_crc = (uint32_t)crc32_z(0, y->table + CKPT_HEADER_SIZE, y->n_table - CKPT_HEADER_SIZE);
    omq_ckpt_header_encode(y->table, &h);
    return OMQ_OK;
}

static int prepare(struct layout *y, const struct omq_ckpt_writer *w, struct omq_err *err)
{
    int rc = reserve(y, w, err);

    if (rc == OMQ_OK)
        rc = place_meta(y, err);
    if (rc < 0)
        return rc;
    place_tensors(y);
    return finish(y, err);
}

/* false with errno set on the first write that fails. */
static bool put(FILE *f, const struct layout *y)
{
    static const uint8_t zeros[CKPT_ALIGN];
    uint64_t pos = y->n_table;

    if (fwrite(y->table, 1, y->n_table, f) != y->n_table)
        return false;
    for (int i = 0; i < y->n; i++) {
        const struct ckpt_entry *e = &y->entries[i];
        size_t gap = (size_t)(e->offset - pos), n = (size_t)e->stored_size;

        if (fwrite(zeros, 1, gap, f) != gap || fwrite(y->sections[i], 1, n, f) != n)
            return false;
        pos = e->offset + n;
    }
    return fflush(f) == 0;
}

static int put_stream(const struct layout *y, FILE *f, const char *name, struct omq_err *err)
{
    return put(f, y) ? OMQ_OK : omq_fail_errno(err, OMQ_EIO, "cannot write %s", name);
}

static int put_file(const struct layout *y, const char *path, struct omq_err *err)
{
    struct omq_atomic a;
    int rc = omq_atomic_open(&a, path, err);

    if (rc < 0)
        return rc;
    if (!put(a.f, y)) {
        rc = omq_fail_errno(err, OMQ_EIO, "cannot write '%s'", path);
        omq_atomic_abort(&a);
        return rc;
    }
    return omq_atomic_commit(&a, err);
}

/* To the stream, or without one to the file. */
static int write_all(struct omq_ckpt_writer *w, FILE *f, const char *name, struct omq_err *err)
{
    struct layout y = {0};
    int rc = omq_ckpt_host_check(err);

    if (rc == OMQ_OK)
        rc = check_writer(w, err);
    if (rc == OMQ_OK)
        rc = prepare(&y, w, err);
    if (rc == OMQ_OK)
        rc = f ? put_stream(&y, f, name, err) : put_file(&y, name, err);
    release(&y);
    return rc;
}

int omq_ckpt_write_stream(struct omq_ckpt_writer *w, FILE *f, const char *name,
                          struct omq_err *err)
{
    return write_all(w, f, name, err);
}

int omq_ckpt_write(struct omq_ckpt_writer *w, const char *path, struct omq_err *err)
{
    return strcmp(path, "-") == 0 ? write_all(w, stdout, "standard output", err)
                                  : write_all(w, NULL, path, err);
}

/* ---- before writing ---- */

/* Of "-" what the stream is, which may be a file. */
static bool stat_path(const char *path, int stream, struct stat *st)
{
    return (strcmp(path, "-") == 0 ? fstat(stream, st) : stat(path, st)) == 0;
}

/* The model may be a link, standard input, and gone by now: then there is nothing to lose. */
int omq_ckpt_check_output(const char *model, const char *output, struct omq_err *err)
{
    struct stat in, out;

    if (stat_path(model, STDIN_FILENO, &in) && stat_path(output, STDOUT_FILENO, &out) &&
        S_ISREG(out.st_mode) && omq_is_same_file(&in, &out))
        return omq_fail(err, OMQ_EARG, "'%s' is the model itself: give another output",
                        strcmp(output, "-") == 0 ? "standard output" : output);
    return OMQ_OK;
}
