/* SPDX-License-Identifier: MIT
 *
 * Reading npz: a ZIP whose members NAME.npy are stored or deflated. The central
 * directory at the end says what there is; of a member only the text before the
 * values is looked at until they are wanted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "port/source.h"
#include "port/source_npy.h"

enum {
    END_SIZE = 22, LOCAL_SIZE = 30, MAX_COMMENT = 65535,
    STORED = 0, DEFLATED = 8, ENCRYPTED = 1,
};

/* A row of the central directory. */
struct member {
    const char *name;
    size_t n_name;
    unsigned flags, method;
    uint32_t crc, packed, size, offset;
};

static int damaged(const struct omq_source *s, const char *what, struct omq_err *err)
{
    return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: %s", s->path, what);
}

/* Or written as if it were, by a program that could not know. */
static int too_large(const struct omq_source *s, struct omq_err *err)
{
    return omq_fail(err, OMQ_EUNSUP, "'%s' is a ZIP of the kind for more than 4 GiB or 65534 "
                    "members: save the weights with numpy.savez, or as safetensors", s->path);
}

static size_t comment_size(const uint8_t *end)
{
    return end[END_SIZE - 2] | (size_t)end[END_SIZE - 1] << 8;
}

/* The record at the end, behind which a comment may stand, of the length that it says; NULL:
 * none. */
static const uint8_t *find_end(const struct omq_source *s)
{
    for (size_t back = END_SIZE; back <= s->n_bytes && back <= END_SIZE + MAX_COMMENT; back++) {
        const uint8_t *end = s->file + s->n_bytes - back;

        if (memcmp(end, "PK\5\6", 4) == 0 &&
            comment_size(end) == back - END_SIZE)
            return end;
    }
    return NULL;
}

static bool next_member(struct omq_cursor *c, struct member *m)
{
    uint32_t magic = omq_cursor_le32(c);
    size_t n_extra, n_comment;

    (void)omq_cursor_take(c, 4); /* versions */
    m->flags = omq_cursor_le16(c);
    m->method = omq_cursor_le16(c);
    (void)omq_cursor_take(c, 4); /* date */
    m->crc = omq_cursor_le32(c);
    m->packed = omq_cursor_le32(c);
    m->size = omq_cursor_le32(c);
    m->n_name = omq_cursor_le16(c);
    n_extra = omq_cursor_le16(c);
    n_comment = omq_cursor_le16(c);
    (void)omq_cursor_take(c, 8); /* disk, attributes */
    m->offset = omq_cursor_le32(c);
    m->name = (const char *)omq_cursor_take(c, m->n_name);
    (void)omq_cursor_take(c, n_extra + n_comment);
    return !c->failed && magic == 0x02014b50;
}

/* The bytes of a member, or NULL. Its own header may be longer than the entry. */
static const uint8_t *find_bytes(const struct omq_source *s, const struct member *m)
{
    struct omq_cursor c = omq_cursor_init(s->file, s->n_bytes);
    uint32_t magic;
    size_t n_name;

    (void)omq_cursor_take(&c, m->offset);
    magic = omq_cursor_le32(&c);
    (void)omq_cursor_take(&c, LOCAL_SIZE - 8);
    n_name = omq_cursor_le16(&c);
    (void)omq_cursor_take(&c, n_name + omq_cursor_le16(&c));
    return magic == 0x04034b50 ? omq_cursor_take(&c, m->packed) : NULL;
}

/* The first n bytes of what is packed; returns how many there are of them. */
static size_t inflate_some(const uint8_t *packed, size_t n_packed, uint8_t *out, size_t n,
                           bool *ends)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed, .next_out = out};
    const size_t wanted = n;
    int rc = Z_OK;

    *ends = false;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return 0;
    /* zlib counts in 32 bits, and has Z_BUF_ERROR where it can go no further */
    while (rc == Z_OK) {
        size_t more_in = n_packed < 1u << 30 ? n_packed : 1u << 30;
        size_t more_out = n < 1u << 30 ? n : 1u << 30;

        if (z.avail_in == 0) {
            z.avail_in = (uInt)more_in;
            n_packed -= more_in;
        }
        if (z.avail_out == 0) {
            z.avail_out = (uInt)more_out;
            n -= more_out;
        }
        rc = inflate(&z, Z_NO_FLUSH);
    }
    *ends = rc == Z_STREAM_END;
    n += z.avail_out;
    inflateEnd(&z);
    return wanted - n;
}

int omq_source_inflate(const struct omq_source *s, const struct omq_source_array *a,
                       size_t n_values, uint8_t **out, struct omq_err *err)
{
    size_t n = a->zip.skip + n_values; /* the member's size, of 32 bits: was compared */
    uint8_t *member = malloc(n ? n : 1);
    bool ends;

    if (!member)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate '%s' of '%s'", a->name, s->path);
    if (inflate_some(a->bytes, a->n_bytes, member, n, &ends) != n || !ends ||
        crc32_z(0, member, n) != a->zip.crc) {
        free(member);
        return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: '%s' cannot be inflated", s->path,
                        a->name);
    }
    *out = member;
    return OMQ_OK;
}

/* What the text before the values says of the array. */
static int get_npy(struct omq_source *s, struct omq_source_array *a, const struct member *m,
                   struct omq_err *err)
{
    uint8_t head[OMQ_NPY_MAX];
    size_t n = m->size < sizeof(head) ? m->size : sizeof(head), n_bytes;
    struct omq_npy npy;
    bool ends;
    int rc;

    if (m->method == STORED)
        memcpy(head, a->bytes, n);
    else
        n = inflate_some(a->bytes, a->n_bytes, head, n, &ends);
    if ((rc = omq_npy_parse(&npy, head, n, err)) < 0)
        return omq_wrap(err, rc, "cannot read '%s' of '%s'", a->name, s->path);
    a->type = npy.type;
    snprintf(a->type_name, sizeof(a->type_name), "%s%s", npy.descr,
             npy.fortran ? " in Fortran order" : "");
    a->ndim = npy.ndim;
    memcpy(a->dims, npy.dims, sizeof(a->dims));
    a->zip.skip = npy.n_header;
    if (!omq_source_count(a, npy.size ? npy.size : 1, &n_bytes) ||
        (npy.size && n_bytes != m->size - npy.n_header))
        return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: shape and size of '%s' do not agree",
                        s->path, a->name);
    if (m->method == STORED) {
        a->bytes += npy.n_header;
        a->n_bytes -= npy.n_header;
    }
    return OMQ_OK;
}

/* *left: bytes of the file that no member before has. Without it every row of a directory
 * could name all of the file, and each would be summed. */
static int get_member(struct omq_source *s, const struct member *m, size_t *left,
                      struct omq_err *err)
{
    struct omq_source_array *a;

    if (m->n_name <= 4 || memcmp(m->name + m->n_name - 4, ".npy", 4) != 0) {
        if (m->n_name >= 8 && memcmp(m->name + m->n_name - 8, "data.pkl", 8) == 0)
            return omq_fail(err, OMQ_EUNSUP, "'%s' is a pickle of PyTorch, which only Python can "
                            "read: save it as safetensors (safetensors.torch.save_file) or with "
                            "numpy.savez", s->path);
        return OMQ_OK; /* a folder, a note */
    }
    if (!(a = omq_source_add(s, m->name, m->n_name - 4, err)))
        return err ? err->code : OMQ_EFORMAT;
    if ((m->method != STORED && m->method != DEFLATED) || m->flags & ENCRYPTED)
        return omq_fail(err, OMQ_EUNSUP, "'%s' of '%s' is encrypted, or compressed by another "
                        "method than deflate", a->name, s->path);
    if (m->packed == UINT32_MAX || m->size == UINT32_MAX || m->offset == UINT32_MAX)
        return too_large(s, err);
    if (m->method == STORED && m->packed != m->size)
        return damaged(s, "a stored array has two sizes", err);
    if (!(a->bytes = find_bytes(s, m)))
        return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: '%s' is not where the directory says",
                        s->path, a->name);
    if (m->packed > *left)
        return damaged(s, "its arrays overlap", err);
    *left -= m->packed;
    a->n_bytes = m->packed;
    a->zip.deflated = m->method == DEFLATED;
    a->zip.crc = m->crc;
    if (m->method == STORED && crc32_z(0, a->bytes, a->n_bytes) != m->crc)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is damaged: the checksum of '%s'", s->path,
                        a->name);
    return get_npy(s, a, m, err);
}

int omq_source_npz(struct omq_source *s, struct omq_err *err)
{
    const uint8_t *end = find_end(s);
    struct omq_cursor c;
    size_t n, size, offset, left;

    if (!end)
        return damaged(s, "it has no directory: a ZIP that was cut short", err);
    c = omq_cursor_init(end, END_SIZE);
    (void)omq_cursor_take(&c, 10);
    n = omq_cursor_le16(&c);
    size = omq_cursor_le32(&c);
    offset = omq_cursor_le32(&c);
    if (n == UINT16_MAX || size == UINT32_MAX || offset == UINT32_MAX)
        return too_large(s, err);
    if (offset > s->n_bytes || size > s->n_bytes - offset)
        return damaged(s, "its directory lies outside", err);
    c = omq_cursor_init(s->file + offset, size);
    left = s->n_bytes;
    for (size_t i = 0; i < n; i++) {
        struct member m;
        int rc;

        if (!next_member(&c, &m))
            return damaged(s, "its directory cannot be read", err);
        if ((rc = get_member(s, &m, &left, err)) < 0)
            return rc;
    }
    return omq_source_seal(s, err);
}
