/* SPDX-License-Identifier: MIT
 *
 * The checks of omq-format(5), one small function each, in the order of its
 * list. The first pass looks at the table of contents only: when it is done,
 * every section lies inside the file and all memory is accounted for. The
 * second one looks at the sections.
 */
#include "ckpt/ckpt_internal.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/bytes.h"

struct loader {
    struct omq_ckpt *c;
    uint64_t max_bytes;
    int i;               /* of the current entry */
    struct ckpt_entry e; /* the current entry */
    uint64_t end;        /* of the section before, or of the table */
    uint64_t memory;     /* bytes of the file and of what is unpacked */
    const uint8_t *names, *dims; /* second pass: raw NAME and DIMS */
    size_t n_names, names_used;
    struct omq_tensor_info *t; /* second pass: the tensor of the current entry */
};

typedef int check_fn(struct loader *l, struct omq_err *err);

static bool is_frame(const struct loader *l) { return l->i < CKPT_FRAME; }
static bool is_packed(const struct loader *l) { return l->e.flags & CKPT_FLAG_ZLIB; }

static uint64_t n_tensors(const struct loader *l) { return l->c->h.n_entries - CKPT_FRAME; }

static void take_entry(struct loader *l, int i)
{
    const struct ckpt_header *h = &l->c->h;

    l->i = i;
    l->t = i < CKPT_FRAME ? NULL : &l->c->tensors[i - CKPT_FRAME];
    omq_ckpt_entry_decode(&l->e, l->c->file + CKPT_HEADER_SIZE + (size_t)i * h->entry_size);
}

/* Prefixes the message with the place of the current section; returns rc. */
static int in_section(const struct loader *l, int rc, struct omq_err *err)
{
    const struct ckpt_entry *e = &l->e;
    unsigned long long at = e->offset;

    if (!omq_ckpt_kind_valid(e->kind))
        omq_wrap(err, "entry %d of the table of contents", l->i);
    else if (l->t && l->t->name)
        omq_wrap(err, "section '%s' '%s' at byte %llu", e->kind, l->t->name, at);
    else
        omq_wrap(err, "section '%s' (entry %d) at byte %llu", e->kind, l->i, at);
    return rc;
}

/* ---- first pass: the table of contents */

static int check_kind(struct loader *l, struct omq_err *err)
{
    const uint8_t *k = (const uint8_t *)l->e.kind;

    if (omq_ckpt_kind_valid(l->e.kind))
        return OMQ_OK;
    return omq_fail(err, OMQ_EFORMAT, "the kind, %02x %02x %02x %02x, is not four letters", k[0],
                    k[1], k[2], k[3]);
}

static int check_frame_order(struct loader *l, struct omq_err *err)
{
    if (is_frame(l) && strcmp(l->e.kind, omq_ckpt_frame[l->i]) != 0)
        return omq_fail(err, OMQ_EFORMAT, "section '%s' must stand here", omq_ckpt_frame[l->i]);
    for (int i = 0; !is_frame(l) && i < CKPT_FRAME; i++)
        if (strcmp(l->e.kind, omq_ckpt_frame[i]) == 0)
            return omq_fail(err, OMQ_EFORMAT, "there is a second one of this kind");
    return OMQ_OK;
}

static int check_known(struct loader *l, struct omq_err *err)
{
    bool critical = l->e.kind[0] >= 'A' && l->e.kind[0] <= 'Z';

    if (!is_frame(l) && critical && omq_ckpt_kind_rank(l->e.kind) < 0)
        return omq_fail(err, OMQ_EUNSUP, "this kind is needed to understand the file, but not "
                        "known to this program; use a newer omq");
    return OMQ_OK;
}

static int check_flags(struct loader *l, struct omq_err *err)
{
    if (l->e.flags & ~(uint32_t)CKPT_FLAG_ZLIB)
        return omq_fail(err, OMQ_EUNSUP, "unknown flags 0x%x; use a newer omq", l->e.flags);
    return OMQ_OK;
}

static int check_aligned(struct loader *l, struct omq_err *err)
{
    if (l->e.offset % CKPT_ALIGN != 0)
        return omq_fail(err, OMQ_EFORMAT, "the offset is not a multiple of %d", CKPT_ALIGN);
    return OMQ_OK;
}

static int check_inside(struct loader *l, struct omq_err *err)
{
    uint64_t size = l->c->h.file_size;

    if (l->e.offset > size || l->e.stored_size > size - l->e.offset)
        return omq_fail(err, OMQ_EFORMAT, "its %llu bytes reach beyond the end of the file, at "
                        "byte %llu", (unsigned long long)l->e.stored_size,
                        (unsigned long long)size);
    return OMQ_OK;
}

static int check_sorted(struct loader *l, struct omq_err *err)
{
    if (l->e.offset < l->end)
        return omq_fail(err, OMQ_EFORMAT, "it begins before byte %llu, where what precedes it "
                        "ends", (unsigned long long)l->end);
    if (l->e.offset - l->end >= CKPT_ALIGN)
        return omq_fail(err, OMQ_EFORMAT, "%llu bytes before it belong to nothing",
                        (unsigned long long)(l->e.offset - l->end));
    return OMQ_OK;
}

static int check_gap(struct loader *l, struct omq_err *err)
{
    for (uint64_t i = l->end; i < l->e.offset; i++)
        if (l->c->file[i] != 0)
            return omq_fail(err, OMQ_EFORMAT, "byte %llu before it is not zero "
                            "(the file is damaged; copy it again)", (unsigned long long)i);
    return OMQ_OK;
}

static int check_plain(struct loader *l, struct omq_err *err)
{
    if (is_packed(l))
        return OMQ_OK;
    if (l->e.stored_size != l->e.raw_size)
        return omq_fail(err, OMQ_EFORMAT, "it is not compressed, yet %llu bytes are stored for "
                        "%llu", (unsigned long long)l->e.stored_size,
                        (unsigned long long)l->e.raw_size);
    if (l->e.stored_crc != l->e.raw_crc)
        return omq_fail(err, OMQ_EFORMAT, "it is not compressed, yet its two checksums differ");
    return OMQ_OK;
}

/* Deflate cannot do better than 1032 to 1: more is a lie, or a bomb. */
static int check_ratio(struct loader *l, struct omq_err *err)
{
    if (is_packed(l) &&
        l->e.raw_size / 1032 + (l->e.raw_size % 1032 != 0) > l->e.stored_size)
        return omq_fail(err, OMQ_EFORMAT, "%llu stored bytes cannot unpack to %llu",
                        (unsigned long long)l->e.stored_size,
                        (unsigned long long)l->e.raw_size);
    return OMQ_OK;
}

static int check_memory(struct loader *l, struct omq_err *err)
{
    if (!is_packed(l))
        return OMQ_OK;
    if (l->e.raw_size > l->max_bytes - l->memory || l->e.raw_size > SIZE_MAX)
        return omq_fail(err, OMQ_ENOMEM, "unpacked, the content is larger than the limit of %llu "
                        "bytes", (unsigned long long)l->max_bytes);
    l->memory += l->e.raw_size;
    return OMQ_OK;
}

static int check_frame_fields(struct loader *l, struct omq_err *err)
{
    const struct ckpt_entry *e = &l->e;

    if (is_frame(l) && (e->dtype || e->ndim || e->bits || e->index || e->name_pos || e->name_len))
        return omq_fail(err, OMQ_EFORMAT, "it has fields of a tensor, which must be 0");
    return OMQ_OK;
}

static int check_tensor_fields(struct loader *l, struct omq_err *err)
{
    const struct ckpt_entry *e = &l->e;

    if (is_frame(l))
        return OMQ_OK;
    if (omq_ckpt_dtype_size(e->dtype) == 0)
        return omq_fail(err, OMQ_EFORMAT, "unknown type of elements, %d", e->dtype);
    if (e->ndim > OMQ_CKPT_MAX_DIMS)
        return omq_fail(err, OMQ_EFORMAT, "%d dimensions; at most %d are possible", e->ndim,
                        OMQ_CKPT_MAX_DIMS);
    if (!omq_ckpt_bits_valid(e->kind, e->bits))
        return omq_fail(err, OMQ_EFORMAT, "packed elements of %d bits are not possible here",
                        e->bits);
    if (e->index != (uint32_t)(l->i - CKPT_FRAME))
        return omq_fail(err, OMQ_EFORMAT, "its index is %u instead of %d", e->index,
                        l->i - CKPT_FRAME);
    return OMQ_OK;
}

static int check_reserved(struct loader *l, struct omq_err *err)
{
    if (l->e.reserved != 0)
        return omq_fail(err, OMQ_EFORMAT, "the last 8 bytes of its entry are not zero");
    return OMQ_OK;
}

/* Limits by kind, before anything is unpacked. */
static int check_frame_size(struct loader *l, struct omq_err *err)
{
    const struct {
        uint64_t min, max;
    } range[CKPT_FRAME] = {
        {1, CKPT_MAX_META},
        {n_tensors(l) * 2, n_tensors(l) * (CKPT_MAX_NAME + 1)},
        {n_tensors(l) * CKPT_DIMS_ROW, n_tensors(l) * CKPT_DIMS_ROW},
    };

    if (is_frame(l) && (l->e.raw_size < range[l->i].min || l->e.raw_size > range[l->i].max))
        return omq_fail(err, OMQ_EFORMAT, "it has %llu bytes, which is not in the range %llu to "
                        "%llu", (unsigned long long)l->e.raw_size,
                        (unsigned long long)range[l->i].min, (unsigned long long)range[l->i].max);
    return OMQ_OK;
}

static check_fn *const entry_checks[] = {
    check_kind,   check_frame_order, check_known,        check_flags,         check_aligned,
    check_inside, check_sorted,      check_gap,          check_plain,         check_ratio,
    check_memory, check_frame_fields, check_tensor_fields, check_reserved,    check_frame_size,
};

static int check_table_crc(const struct omq_ckpt *c, struct omq_err *err)
{
    size_t n = (size_t)c->h.n_entries * c->h.entry_size;

    if (crc32_z(0, c->file + CKPT_HEADER_SIZE, n) != c->h.toc_crc)
        return omq_fail(err, OMQ_EFORMAT, "the table of contents at byte %d: checksum does not "
                        "match (the file is damaged; copy it again)", CKPT_HEADER_SIZE);
    return OMQ_OK;
}

static int check_table(struct loader *l, struct omq_err *err)
{
    const struct ckpt_header *h = &l->c->h;
    int rc = check_table_crc(l->c, err);

    l->end = CKPT_HEADER_SIZE + (uint64_t)h->n_entries * h->entry_size;
    for (int i = 0; rc == OMQ_OK && i < (int)h->n_entries; i++) {
        take_entry(l, i);
        for (size_t k = 0; k < sizeof(entry_checks) / sizeof(entry_checks[0]); k++) {
            rc = entry_checks[k](l, err);
            if (rc < 0)
                return in_section(l, rc, err);
        }
        l->end = l->e.offset + l->e.stored_size;
    }
    if (rc == OMQ_OK && l->end != h->file_size)
        rc = omq_fail(err, OMQ_EFORMAT, "the last section ends at byte %llu, the file at byte "
                      "%llu", (unsigned long long)l->end, (unsigned long long)h->file_size);
    return rc;
}

/* ---- second pass: the sections */

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
    if (!omq_ckpt_text_valid(l->c->meta, l->c->n_meta))
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
    struct loader l = {.c = c, .max_bytes = max_bytes, .memory = c->h.file_size};
    int rc;

    c->n_tensors = (int)n_tensors(&l);
    c->tensors = omq_calloc((size_t)c->n_tensors, sizeof(*c->tensors));
    c->sorted = omq_calloc((size_t)c->n_tensors, sizeof(*c->sorted));
    if (!c->tensors || !c->sorted)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d tensors", c->n_tensors);
    rc = check_table(&l, err);
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
