/* SPDX-License-Identifier: MIT
 *
 * The checks of omq-format(5) that need the table of contents only, one small
 * function each, in the order of its list. When they are done, every section lies
 * inside the file and all memory is accounted for.
 */
#include "ckpt/ckpt_internal.h"

#include <string.h>

#include <zlib.h>

struct table {
    const struct omq_ckpt *c;
    uint64_t max_bytes;
    int i;               /* of the current entry */
    struct ckpt_entry e; /* the current entry */
    uint64_t end;        /* of the section before, or of the table */
    uint64_t memory;     /* bytes of the file and of what is unpacked */
};

typedef int check_fn(struct table *t, struct omq_err *err);

static bool is_frame(const struct table *t) { return t->i < CKPT_FRAME; }
static bool is_packed(const struct table *t) { return t->e.flags & CKPT_FLAG_ZLIB; }
static uint64_t n_tensors(const struct table *t) { return t->c->h.n_entries - CKPT_FRAME; }

void omq_ckpt_entry_at(const struct omq_ckpt *c, int i, struct ckpt_entry *e)
{
    omq_ckpt_entry_decode(e, c->file + CKPT_HEADER_SIZE + (size_t)i * c->h.entry_size);
}

int omq_ckpt_in_section(const struct ckpt_entry *e, int i, const char *name, int rc,
                        struct omq_err *err)
{
    unsigned long long at = e->offset;

    if (!omq_ckpt_kind_valid(e->kind))
        return omq_wrap(err, rc, "entry %d of the table of contents", i);
    if (name)
        return omq_wrap(err, rc, "section '%s' '%s' at byte %llu", e->kind, name, at);
    return omq_wrap(err, rc, "section '%s' (entry %d) at byte %llu", e->kind, i, at);
}

static int check_kind(struct table *t, struct omq_err *err)
{
    const uint8_t *k = (const uint8_t *)t->e.kind;

    if (omq_ckpt_kind_valid(t->e.kind))
        return OMQ_OK;
    return omq_fail(err, OMQ_EFORMAT, "the kind, %02x %02x %02x %02x, is not four letters", k[0],
                    k[1], k[2], k[3]);
}

static int check_frame_order(struct table *t, struct omq_err *err)
{
    if (is_frame(t) && strcmp(t->e.kind, omq_ckpt_frame[t->i]) != 0)
        return omq_fail(err, OMQ_EFORMAT, "section '%s' must stand here", omq_ckpt_frame[t->i]);
    for (int i = 0; !is_frame(t) && i < CKPT_FRAME; i++)
        if (strcmp(t->e.kind, omq_ckpt_frame[i]) == 0)
            return omq_fail(err, OMQ_EFORMAT, "there is a second one of this kind");
    return OMQ_OK;
}

static int check_known(struct table *t, struct omq_err *err)
{
    bool critical = t->e.kind[0] >= 'A' && t->e.kind[0] <= 'Z';

    if (!is_frame(t) && critical && omq_ckpt_kind_rank(t->e.kind) < 0)
        return omq_fail(err, OMQ_EUNSUP, "this kind is needed to understand the file, but not "
                        "known to this program; use a newer omq");
    return OMQ_OK;
}

static int check_flags(struct table *t, struct omq_err *err)
{
    if (t->e.flags & ~(uint32_t)CKPT_FLAG_ZLIB)
        return omq_fail(err, OMQ_EUNSUP, "unknown flags 0x%x; use a newer omq", t->e.flags);
    return OMQ_OK;
}

static int check_aligned(struct table *t, struct omq_err *err)
{
    if (t->e.offset % CKPT_ALIGN != 0)
        return omq_fail(err, OMQ_EFORMAT, "the offset is not a multiple of %d", CKPT_ALIGN);
    return OMQ_OK;
}

static int check_inside(struct table *t, struct omq_err *err)
{
    uint64_t size = t->c->h.file_size;

    if (t->e.offset > size || t->e.stored_size > size - t->e.offset)
        return omq_fail(err, OMQ_EFORMAT, "its %llu bytes reach beyond the end of the file, at "
                        "byte %llu", (unsigned long long)t->e.stored_size,
                        (unsigned long long)size);
    return OMQ_OK;
}

static int check_sorted(struct table *t, struct omq_err *err)
{
    if (t->e.offset < t->end)
        return omq_fail(err, OMQ_EFORMAT, "it begins before byte %llu, where what precedes it "
                        "ends", (unsigned long long)t->end);
    if (t->e.offset - t->end >= CKPT_ALIGN)
        return omq_fail(err, OMQ_EFORMAT, "%llu bytes before it belong to nothing",
                        (unsigned long long)(t->e.offset - t->end));
    return OMQ_OK;
}

static int check_gap(struct table *t, struct omq_err *err)
{
    for (uint64_t i = t->end; i < t->e.offset; i++)
        if (t->c->file[i] != 0)
            return omq_fail(err, OMQ_EFORMAT, "byte %llu before it is not zero "
                            "(the file is damaged; copy it again)", (unsigned long long)i);
    return OMQ_OK;
}

static int check_plain(struct table *t, struct omq_err *err)
{
    if (is_packed(t))
        return OMQ_OK;
    if (t->e.stored_size != t->e.raw_size)
        return omq_fail(err, OMQ_EFORMAT, "it is not compressed, yet %llu bytes are stored for "
                        "%llu", (unsigned long long)t->e.stored_size,
                        (unsigned long long)t->e.raw_size);
    if (t->e.stored_crc != t->e.raw_crc)
        return omq_fail(err, OMQ_EFORMAT, "it is not compressed, yet its two checksums differ");
    return OMQ_OK;
}

/* Deflate cannot do better than 1032 to 1: more is a lie, or a bomb. */
static int check_ratio(struct table *t, struct omq_err *err)
{
    if (is_packed(t) &&
        t->e.raw_size / 1032 + (t->e.raw_size % 1032 != 0) > t->e.stored_size)
        return omq_fail(err, OMQ_EFORMAT, "%llu stored bytes cannot unpack to %llu",
                        (unsigned long long)t->e.stored_size,
                        (unsigned long long)t->e.raw_size);
    return OMQ_OK;
}

static int check_memory(struct table *t, struct omq_err *err)
{
    if (!is_packed(t))
        return OMQ_OK;
    if (t->e.raw_size > t->max_bytes - t->memory || t->e.raw_size > SIZE_MAX)
        return omq_fail(err, OMQ_ENOMEM, "unpacked, the content is larger than the limit of %llu "
                        "bytes", (unsigned long long)t->max_bytes);
    t->memory += t->e.raw_size;
    return OMQ_OK;
}

static int check_frame_fields(struct table *t, struct omq_err *err)
{
    const struct ckpt_entry *e = &t->e;

    if (is_frame(t) && (e->dtype || e->ndim || e->bits || e->index || e->name_pos || e->name_len))
        return omq_fail(err, OMQ_EFORMAT, "it has fields of a tensor, which must be 0");
    return OMQ_OK;
}

static int check_tensor_fields(struct table *t, struct omq_err *err)
{
    const struct ckpt_entry *e = &t->e;

    if (is_frame(t))
        return OMQ_OK;
    if (omq_ckpt_dtype_size(e->dtype) == 0)
        return omq_fail(err, OMQ_EFORMAT, "unknown type of elements, %d", e->dtype);
    if (e->ndim > OMQ_CKPT_MAX_DIMS)
        return omq_fail(err, OMQ_EFORMAT, "%d dimensions; at most %d are possible", e->ndim,
                        OMQ_CKPT_MAX_DIMS);
    if (!omq_ckpt_bits_valid(e->kind, e->bits))
        return omq_fail(err, OMQ_EFORMAT, "packed elements of %d bits are not possible here",
                        e->bits);
    if (e->index != (uint32_t)(t->i - CKPT_FRAME))
        return omq_fail(err, OMQ_EFORMAT, "its index is %u instead of %d", e->index,
                        t->i - CKPT_FRAME);
    return OMQ_OK;
}

static int check_reserved(struct table *t, struct omq_err *err)
{
    if (t->e.reserved != 0)
        return omq_fail(err, OMQ_EFORMAT, "the last 8 bytes of its entry are not zero");
    return OMQ_OK;
}

/* Limits by kind, before anything is unpacked. */
static int check_frame_size(struct table *t, struct omq_err *err)
{
    const struct {
        uint64_t min, max;
    } range[CKPT_FRAME] = {
        {1, CKPT_MAX_META},
        {n_tensors(t) * 2, n_tensors(t) * (CKPT_MAX_NAME + 1)},
        {n_tensors(t) * CKPT_DIMS_ROW, n_tensors(t) * CKPT_DIMS_ROW},
    };

    if (is_frame(t) && (t->e.raw_size < range[t->i].min || t->e.raw_size > range[t->i].max))
        return omq_fail(err, OMQ_EFORMAT, "it has %llu bytes, which is not in the range %llu to "
                        "%llu", (unsigned long long)t->e.raw_size,
                        (unsigned long long)range[t->i].min, (unsigned long long)range[t->i].max);
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

int omq_ckpt_table_check(const struct omq_ckpt *c, uint64_t max_bytes, struct omq_err *err)
{
    const struct ckpt_header *h = &c->h;
    struct table t = {.c = c, .max_bytes = max_bytes, .memory = h->file_size};
    int rc = check_table_crc(c, err);

    t.end = CKPT_HEADER_SIZE + (uint64_t)h->n_entries * h->entry_size;
    for (; rc == OMQ_OK && t.i < (int)h->n_entries; t.i++) {
        omq_ckpt_entry_at(c, t.i, &t.e);
        for (size_t k = 0; k < sizeof(entry_checks) / sizeof(entry_checks[0]); k++) {
            rc = entry_checks[k](&t, err);
            if (rc < 0)
                return omq_ckpt_in_section(&t.e, t.i, NULL, rc, err);
        }
        t.end = t.e.offset + t.e.stored_size;
    }
    if (rc == OMQ_OK && t.end != h->file_size)
        rc = omq_fail(err, OMQ_EFORMAT, "the last section ends at byte %llu, the file at byte "
                      "%llu", (unsigned long long)t.end, (unsigned long long)h->file_size);
    return rc;
}
