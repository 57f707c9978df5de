/* SPDX-License-Identifier: MIT
 *
 * One idx file: 00 00, a type code, the number of dimensions, each dimension
 * as a big-endian u32, then the values, last dimension fastest. Plain or gzip,
 * told by the first bytes. Nothing in the file is believed before it is
 * compared with the number of bytes that are really there.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/data_internal.h"

enum {
    BLOCK = 1 << 16,      /* bytes read from a file at once */
    DEFLATE_RATIO = 1032, /* the most that one compressed byte can stand for */
};

/* Bytes of a file or of memory, inflated if they are gzip. */
struct stream {
    const char *name;    /* for messages */
    FILE *f;             /* NULL: next holds all there is */
    const uint8_t *next; /* stored bytes that were not used yet */
    size_t n_next;
    uint64_t size;       /* stored bytes in all */
    uint64_t n_out;      /* bytes delivered so far */
    bool gzip, ended;    /* ended: past the last gzip member */
    z_stream z;
    uint8_t block[BLOCK];
};

static int refill(struct stream *s, struct omq_err *err)
{
    if (s->n_next > 0 || !s->f)
        return OMQ_OK;
    s->n_next = fread(s->block, 1, BLOCK, s->f);
    s->next = s->block;
    if (s->n_next == 0 && ferror(s->f))
        return omq_fail_errno(err, OMQ_EIO, "cannot read '%s'", s->name);
    return OMQ_OK;
}

/* After the last byte of one gzip member: another member, or the end. */
static int next_member(struct stream *s, struct omq_err *err)
{
    int rc = refill(s, err);

    if (rc < 0)
        return rc;
    s->ended = s->n_next == 0;
    if (!s->ended && s->next[0] != 0x1f)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has other bytes after the end of its gzip data",
                        s->name);
    if (!s->ended && inflateReset(&s->z) != Z_OK)
        return omq_fail(err, OMQ_ENOMEM, "cannot start zlib for '%s'", s->name);
    return OMQ_OK;
}

/* One step of inflate into at most n bytes; adds to *got what it gave. */
static int inflate_some(struct stream *s, uint8_t *dst, size_t n, size_t *got,
                        struct omq_err *err)
{
    uInt in, out = n < BLOCK ? (uInt)n : BLOCK;
    int rc = refill(s, err);

    if (rc < 0)
        return rc;
    if (s->n_next == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is a truncated gzip file: it breaks off after "
                        "%llu bytes of data", s->name, (unsigned long long)(s->n_out + *got));
    in = s->n_next < BLOCK ? (uInt)s->n_next : BLOCK;
    s->z.next_in = (Bytef *)s->next; /* zlib does not write to it */
    s->z.avail_in = in;
    s->z.next_out = dst;
    s->z.avail_out = out;
    rc = inflate(&s->z, Z_NO_FLUSH);
    s->next += in - s->z.avail_in;
    s->n_next -= in - s->z.avail_in;
    *got += out - s->z.avail_out;
    if (rc == Z_STREAM_END)
        return next_member(s, err);
    if (rc == Z_MEM_ERROR)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate what zlib needs to read '%s'", s->name);
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has damaged gzip data after %llu bytes: %s",
                        s->name, (unsigned long long)(s->n_out + *got),
                        s->z.msg ? s->z.msg : "it needs a dictionary");
    return OMQ_OK;
}

/* The next n bytes to dst; fewer (*got) only at the end of the data. */
static int take(struct stream *s, uint8_t *dst, size_t n, size_t *got, struct omq_err *err)
{
    int rc = OMQ_OK;

    *got = 0;
    while (rc == OMQ_OK && *got < n && !s->ended) {
        if (s->gzip) {
            rc = inflate_some(s, dst + *got, n - *got, got, err);
        } else if ((rc = refill(s, err)) == OMQ_OK) {
            size_t m = s->n_next < n - *got ? s->n_next : n - *got;

            s->ended = m == 0;
            if (m > 0)
                memcpy(dst + *got, s->next, m);
            s->next += m;
            s->n_next -= m;
            *got += m;
        }
    }
    s->n_out += *got;
    return rc;
}

/* What a type code other than u8 stands for, or NULL. */
static const char *other_type(uint8_t code)
{
    static const struct {
        uint8_t code;
        const char *name;
    } types[] = {
        {0x09, "signed bytes"}, {0x0b, "16-bit integers"}, {0x0c, "32-bit integers"},
        {0x0d, "32-bit floats"}, {0x0e, "64-bit floats"},
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].code == code)
            return types[i].name;
    return NULL;
}

static int check_magic(const uint8_t m[4], const char *name, enum omq_idx_kind kind,
                       struct omq_err *err)
{
    bool images = kind == OMQ_IDX_IMAGES;

    if (m[0] != 0 || m[1] != 0 || (m[2] != 0x08 && !other_type(m[2])))
        return omq_fail(err, OMQ_EFORMAT, "'%s' is not an idx file: it starts with %02x %02x "
                        "%02x %02x, expected 00 00 08 %s", name, m[0], m[1], m[2], m[3],
                        images ? "03" : "01");
    if (m[2] != 0x08)
        return omq_fail(err, OMQ_EUNSUP, "'%s' holds %s (idx type %02x): only unsigned bytes "
                        "(08) can be read", name, other_type(m[2]), m[2]);
    if (images && m[3] != 3 && m[3] != 4)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has %d dimension%s, expected 3 (images, height, "
                        "width) or 4 (and channels)%s", name, m[3], m[3] == 1 ? "" : "s",
                        m[3] == 1 ? ": it looks like a file of labels" : "");
    if (!images && m[3] != 1)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has %d dimensions, expected 1 (labels)%s", name,
                        m[3], m[3] >= 3 ? ": it looks like a file of images" : "");
    return OMQ_OK;
}

/* Magic number and dimensions, within the limits; x->n_bytes is their product. */
static int read_header(struct omq_idx *x, struct stream *s, enum omq_idx_kind kind,
                       struct omq_err *err)
{
    uint8_t b[4 + 4 * 4];
    struct omq_cursor c;
    size_t got;
    int rc = take(s, b, 4, &got, err);

    if (rc < 0)
        return rc;
    if (got < 4)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is not an idx file: it has only %zu byte%s",
                        s->name, got, got == 1 ? "" : "s");
    if ((rc = check_magic(b, s->name, kind, err)) < 0)
        return rc;
    x->n_dims = b[3];
    if ((rc = take(s, b + 4, 4 * (size_t)x->n_dims, &got, err)) < 0)
        return rc;
    if (got < 4 * (size_t)x->n_dims)
        return omq_fail(err, OMQ_EFORMAT, "'%s' ends inside its header: %zu bytes, expected at "
                        "least %d", s->name, 4 + got, 4 + 4 * x->n_dims);
    c = omq_cursor_init(b + 4, got);
    for (int i = 0; i < x->n_dims; i++)
        x->dims[i] = omq_cursor_be32(&c);
    if (kind == OMQ_IDX_IMAGES)
        return omq_data_check_shape(x->dims[0], x->dims[1], x->dims[2],
                                    x->n_dims == 4 ? x->dims[3] : 1, s->name, &x->n_bytes, err);
    if (x->dims[0] < 1 || x->dims[0] > INT32_MAX)
        return omq_fail(err, OMQ_EFORMAT, "'%s' claims %lu labels, expected 1 to %ld", s->name,
                        (unsigned long)x->dims[0], (long)INT32_MAX);
    x->n_bytes = x->dims[0];
    return OMQ_OK;
}

/* "60000 x 28 x 28" */
static const char *dims_text(const struct omq_idx *x, char buf[64])
{
    int at = 0;

    for (int i = 0; i < x->n_dims; i++)
        at += snprintf(buf + at, 64 - (size_t)at, "%s%lu", i ? " x " : "",
                       (unsigned long)x->dims[i]);
    return buf;
}

/* Compares the claim of the header with the size of the file, before memory is
 * taken for it: exactly for a plain file, by the best possible compression for
 * a gzip file. */
static int check_claim(const struct omq_idx *x, const struct stream *s, struct omq_err *err)
{
    uint64_t header = 4 + 4 * (uint64_t)x->n_dims, want = header + x->n_bytes;
    char dims[64];

    if (!s->gzip && s->size != want)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has %llu bytes, expected %llu: a header of %llu "
                        "and %s values", s->name, (unsigned long long)s->size,
                        (unsigned long long)want, (unsigned long long)header, dims_text(x, dims));
    if (s->gzip && want / DEFLATE_RATIO > s->size)
        return omq_fail(err, OMQ_EFORMAT, "'%s' claims %s values, more than %llu bytes of gzip "
                        "data can hold", s->name, dims_text(x, dims),
                        (unsigned long long)s->size);
    return OMQ_OK;
}

static int read_values(struct omq_idx *x, struct stream *s, struct omq_err *err)
{
    size_t got, more = 0;
    uint8_t extra;
    char dims[64];
    int rc;

    x->bytes = malloc(x->n_bytes);
    if (!x->bytes)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes for '%s'", x->n_bytes,
                        s->name);
    rc = take(s, x->bytes, x->n_bytes, &got, err);
    /* asking for one byte more also reads and checks the sum of a gzip file */
    if (rc == OMQ_OK && got == x->n_bytes)
        rc = take(s, &extra, 1, &more, err);
    if (rc == OMQ_OK && got < x->n_bytes)
        rc = omq_fail(err, OMQ_EFORMAT, "'%s' has %zu values, expected %zu (%s)", s->name, got,
                      x->n_bytes, dims_text(x, dims));
    if (rc == OMQ_OK && more > 0)
        rc = omq_fail(err, OMQ_EFORMAT, "'%s' has more values than the expected %zu (%s)",
                      s->name, x->n_bytes, dims_text(x, dims));
    if (rc < 0)
        free(x->bytes);
    return rc;
}

static int decode(struct omq_idx *out, struct stream *s, enum omq_idx_kind kind,
                  struct omq_err *err)
{
    struct omq_idx x = {0};
    int rc = refill(s, err);

    if (rc < 0)
        return rc;
    s->gzip = s->n_next >= 2 && s->next[0] == 0x1f && s->next[1] == 0x8b;
    if (s->gzip && inflateInit2(&s->z, 16 + MAX_WBITS) != Z_OK)
        return omq_fail(err, OMQ_ENOMEM, "cannot start zlib for '%s'", s->name);
    if ((rc = read_header(&x, s, kind, err)) == OMQ_OK &&
        (rc = check_claim(&x, s, err)) == OMQ_OK &&
        (rc = read_values(&x, s, err)) == OMQ_OK)
        *out = x;
    if (s->gzip)
        inflateEnd(&s->z);
    return rc;
}

int omq_idx_decode(struct omq_idx *x, const uint8_t *bytes, size_t n_bytes, const char *name,
                   enum omq_idx_kind kind, struct omq_err *err)
{
    struct stream *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate what reading '%s' needs", name);
    s->name = name;
    s->next = bytes;
    s->n_next = n_bytes;
    s->size = n_bytes;
    rc = decode(x, s, kind, err);
    free(s);
    return rc;
}

static int open_file(struct stream *s, const char *path, struct omq_err *err)
{
    int fd = omq_open_regular(path, &s->size, err);

    if (fd < 0)
        return fd;
    s->f = fdopen(fd, "rb");
    if (!s->f) {
        close(fd);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate what reading '%s' needs", path);
    }
    s->name = path;
    return OMQ_OK;
}

int omq_idx_read(struct omq_idx *x, const char *path, enum omq_idx_kind kind, struct omq_err *err)
{
    struct stream *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate what reading '%s' needs", path);
    rc = open_file(s, path, err);
    if (rc == OMQ_OK) {
        rc = decode(x, s, kind, err);
        fclose(s->f);
    }
    free(s);
    return rc;
}

int omq_idx_transpose(struct omq_idx *x, struct omq_err *err)
{
    const size_t h = x->dims[2], w = x->dims[1], c = x->n_dims == 4 ? x->dims[3] : 1;
    const size_t image = h * w * c;
    uint8_t *copy = malloc(image);

    if (!copy)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate one image of %zu bytes", image);
    for (size_t i = 0; i < x->dims[0]; i++) {
        uint8_t *p = x->bytes + i * image;

        memcpy(copy, p, image);
        for (size_t row = 0; row < h; row++)
            for (size_t col = 0; col < w; col++)
                memcpy(p + (row * w + col) * c, copy + (col * h + row) * c, c);
    }
    free(copy);
    x->dims[1] = (uint32_t)h;
    x->dims[2] = (uint32_t)w;
    return OMQ_OK;
}
