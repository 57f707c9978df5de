/* SPDX-License-Identifier: MIT
 *
 * A file whose table of contents is checked: the checks of omq-format(5) that look
 * at the sections, one small function each, in the order of its list.
 */
#include "ckpt/ckpt_internal.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/utf8.h"

struct loader {
    struct omq_ckpt *c;
    int i;                       /* of the current entry */
    struct ckpt_entry e;         /* the current entry */
    struct omq_tensor_info *t;   /* its tensor, or NULL */
    const uint8_t *names, *dims; /* raw NAME and DIMS */
    size_t n_names, names_used;
};

static bool is_packed(const struct loader *l) { return l->e.flags & CKPT_FLAG_ZLIB; }

static void take_entry(struct loader *l, int i)
{
    l->i = i;
    l->t = i < CKPT_FRAME ? NULL : &l->c->tensors[i - CKPT_FRAME];
    omq_ckpt_entry_at(l->c, i, &l->e);
}

/* Prefixes the message with the place of the current section; returns rc. */
static int in_section(const struct loader *l, int rc, struct omq_err *err)
{
    return omq_ckpt_in_section(&l->e, l->i, l->t ? l->t->name : NULL, rc, err);
}

static bool has_copy(const struct loader *l) { return l->i == 0 || is_packed(l); }

/* Counts, or takes, the memory for the raw bytes of the current section. META
 * is always copied, because a zero byte has to follow it. */
static uint8_t *take_copy(struct loader *l)
{
    return omq_arena_take(&l->c->unpacked, (size_t)l->e.raw_size + 1, 1);
}

static int reserve_copies(struct loader *l, struct omq_err *err)
{
    for (int i = 0; i < (int)l->c->h.n_entries; i++) {
        take_entry(l, i);
        if (has_copy(l))
            take_copy(l);
    }
    return omq_arena_commit(&l->c->unpacked, "the unpacked sections", err);
}

static int check_stored_crc(const struct loader *l, struct omq_err *err)
{
    const struct ckpt_entry *e = &l->e;

    if (crc32_z(0, l->c->file + e->offset, (size_t)e->stored_size) != e->stored_crc)
        return omq_fail(err, OMQ_EFORMAT, "checksum does not match (the file is damaged; copy it "
                        "again)");
    return OMQ_OK;
}

static int unpack(const struct loader *l, uint8_t *out, struct omq_err *err)
{
    const struct ckpt_entry *e = &l->e;
    uLong n_in = (uLong)e->stored_size;
    uLongf n_out = (uLongf)e->raw_size;
    int z = uncompress2(out, &n_out, l->c->file + e->offset, &n_in);

    if (z == Z_MEM_ERROR)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate memory to unpack it");
    if (z != Z_OK || n_out != e->raw_size || n_in != e->stored_size)
        return omq_fail(err, OMQ_EFORMAT, "its %llu bytes do not unpack to %llu",
                        (unsigned long long)e->stored_size, (unsigned long long)e->raw_size);
    if (crc32_z(0, out, (size_t)e->raw_size) != e->raw_crc)
        return omq_fail(err, OMQ_EFORMAT, "checksum of the unpacked bytes does not match");
    return OMQ_OK;
}

/* The checked raw bytes of the current section, aligned. */
static int take_section(struct loader *l, const uint8_t **raw, struct omq_err *err)
{
    uint8_t *copy = has_copy(l) ? take_copy(l) : NULL;
    const uint8_t *stored = l->c->file + l->e.offset;
    int rc = check_stored_crc(l, err);

    if (rc < 0)
        return rc;
    if (is_packed(l))
        rc = unpack(l, copy, err);
    else if (copy)
        memcpy(copy, stored, (size_t)l->e.raw_size);
    *raw = copy ? copy : stored;
    return rc;
}

static int take_meta(struct loader *l, const uint8_t *raw, struct omq_err *err)
{
    l->c->meta = (const char *)raw;
    l->c->n_meta = (size_t)l->e.raw_size;
    if (!omq_utf8_valid(l->c->meta, l->c->n_meta))
        return omq_fail(err, OMQ_EFORMAT, "it is not UTF-8 text");
    return OMQ_OK;
}

/* Names follow each other without a gap, a zero byte after each. */
static int take_name(struct loader *l, struct omq_err *err)
{
    const char *name = (const char *)l->names + l->names_used;
    size_t left = l->n_names - l->names_used, n = l->e.name_len;

    if (l->e.name_pos != l->names_used || n >= left || name[n] != 0)
        return omq_fail(err, OMQ_EFORMAT, "its name, %zu bytes at %u, is not the next one in NAME",
                        n, l->e.name_pos);
    if (!omq_ckpt_name_valid(name, n))
        return omq_fail(err, OMQ_EFORMAT, "its name is not 1 to %d bytes of UTF-8 without '/' and "
                        "control characters", CKPT_MAX_NAME);
    l->t->name = name;
    l->names_used += n + 1;
    return OMQ_OK;
}

static int take_dims(struct loader *l, struct omq_err *err)
{
    const uint8_t *row = l->dims + (size_t)(l->i - CKPT_FRAME) * CKPT_DIMS_ROW;
    struct omq_tensor_info *t = l->t;

    for (int i = 0; i < OMQ_CKPT_MAX_DIMS; i++) {
        t->dims[i] = omq_get_le64(row + (size_t)i * 8);
        if (i >= t->ndim && t->dims[i] != 0)
            return omq_fail(err, OMQ_EFORMAT, "dimension %d is not in use, yet not 0", i);
    }
    if (!omq_ckpt_tensor_size(t->dtype, t->ndim, t->dims, &t->n_bytes) ||
        t->n_bytes != l->e.raw_size)
        return omq_fail(err, OMQ_EFORMAT, "its dimensions do not match its %llu bytes",
                        (unsigned long long)l->e.raw_size);
    return OMQ_OK;
}

/* NAME and DIMS are known by now: messages have the tensor's name. */
static int take_tensor(struct loader *l, struct omq_err *err)
{
    const uint8_t *raw;
    int rc;

    memcpy(l->t->kind, l->e.kind, sizeof(l->t->kind));
    l->t->dtype = (enum omq_dtype)l->e.dtype;
    l->t->bits = l->e.bits;
    l->t->ndim = l->e.ndim;
    rc = take_name(l, err);
    if (rc == OMQ_OK)
        rc = take_dims(l, err);
    if (rc == OMQ_OK)
        rc = take_section(l, &raw, err);
    if (rc == OMQ_OK)
        l->t->data = raw;
    return rc;
}

static int take_frame(struct loader *l, struct omq_err *err)
{
    const uint8_t *raw = NULL;
    int rc;

    for (int i = 0; i < CKPT_FRAME; i++) {
        take_entry(l, i);
        rc = take_section(l, &raw, err);
        if (rc == OMQ_OK && i == 0)
            rc = take_meta(l, raw, err);
        if (rc < 0)
            return in_section(l, rc, err);
        if (i == 1) {
            l->names = raw;
            l->n_names = (size_t)l->e.raw_size;
        }
    }
    l->dims = raw;
    return OMQ_OK;
}

static int take_tensors(struct loader *l, struct omq_err *err)
{
    int rc;

    for (int i = CKPT_FRAME; i < (int)l->c->h.n_entries; i++) {
        take_entry(l, i);
        rc = take_tensor(l, err);
        if (rc < 0)
            return in_section(l, rc, err);
    }
    if (l->names_used != l->n_names)
        return omq_fail(err, OMQ_EFORMAT, "section 'NAME': %zu bytes belong to no tensor",
                        l->n_names - l->names_used);
    return OMQ_OK;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct omq_tensor_info *x = *(const struct omq_tensor_info *const *)a;
    const struct omq_tensor_info *y = *(const struct omq_tensor_info *const *)b;

    return omq_ckpt_key_compare(x->kind, x->name, y->kind, y->name);
}

static int check_unique(struct omq_ckpt *c, struct omq_err *err)
{
    for (int i = 0; i < c->n_tensors; i++)
        c->sorted[i] = &c->tensors[i];
    qsort(c->sorted, (size_t)c->n_tensors, sizeof(c->sorted[0]), compare_tensors);
    for (int i = 1; i < c->n_tensors; i++)
        if (compare_tensors(&c->sorted[i - 1], &c->sorted[i]) == 0)
            return omq_fail(err, OMQ_EFORMAT, "section '%s' '%s' is there twice",
                            c->sorted[i]->kind, c->sorted[i]->name);
    return OMQ_OK;
}

int omq_ckpt_load(struct omq_ckpt *c, uint64_t max_bytes, struct omq_err *err)
{
    struct loader l = {.c = c};
    int rc;

    c->n_tensors = (int)c->h.n_entries - CKPT_FRAME;
    c->tensors = omq_calloc((size_t)c->n_tensors, sizeof(*c->tensors));
    c->sorted = omq_calloc((size_t)c->n_tensors, sizeof(*c->sorted));
    if (!c->tensors || !c->sorted)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d tensors", c->n_tensors);
    rc = omq_ckpt_table_check(c, max_bytes, err);
    if (rc == OMQ_OK)
        rc = reserve_copies(&l, err);
    if (rc == OMQ_OK)
        rc = take_frame(&l, err);
    if (rc == OMQ_OK)
        rc = take_tensors(&l, err);
    if (rc == OMQ_OK)
        rc = check_unique(c, err);
    return rc;
}
