/* SPDX-License-Identifier: MIT
 *
 * The members of a tar file (POSIX ustar and pax, GNU), headers only. A member
 * is refused if its name could lead out of a folder, if it is no file, or if it
 * is not there as a whole; nothing in a header is believed before it is compared
 * with its checksum and with the size of the file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/untar.h"

enum {
    BLOCK = 512,
    MAX_PAX = 1 << 16,  /* bytes of an extended header that is looked at */
    AT_SIZE = 124, AT_SUM = 148, AT_TYPE = 156, AT_MAGIC = 257, AT_PREFIX = 345,
    N_NAME = 100, N_SIZE = 12, N_SUM = 8, N_PREFIX = 155,
};

static int bad(const struct omq_untar *t, struct omq_err *err, const char *what)
{
    return omq_fail(err, OMQ_EFORMAT, "'%s': the header at byte %llu %s", t->name,
                    (unsigned long long)t->at, what);
}

/* ---- fields ---- */

/* Octal digits with blanks around, or, with the highest bit set, the rest as a
 * big-endian number. False for what is neither, negative or beyond 63 bits. */
static bool number(const uint8_t *p, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;

    if (p[0] & 0x80) {
        if (p[0] & 0x7f) /* negative, or at least 2^88 */
            return false;
        for (i = 1; i < n; i++) {
            if (v >> 55)
                return false;
            v = v << 8 | p[i];
        }
        *out = v;
        return true;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 60)
            return false;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != 0)
            return false;
    *out = v;
    return true;
}

/* The sum of all bytes, its own field as blanks; old programs took them as
 * signed. */
static bool sum_is_right(const uint8_t *h)
{
    uint64_t want;
    long plain = 0, with_sign = 0;

    if (!number(h + AT_SUM, N_SUM, &want))
        return false;
    for (int i = 0; i < BLOCK; i++) {
        uint8_t b = i >= AT_SUM && i < AT_SUM + N_SUM ? ' ' : h[i];

        plain += b;
        with_sign += (int8_t)b;
    }
    return want == (uint64_t)plain || (with_sign >= 0 && want == (uint64_t)with_sign);
}

/* A name of n bytes, which a zero may end, behind what *dst has. */
static bool append(char dst[OMQ_UNTAR_NAME], const uint8_t *p, size_t n)
{
    size_t at = strlen(dst), len = strnlen((const char *)p, n);

    if (at + len >= OMQ_UNTAR_NAME)
        return false;
    memcpy(dst + at, p, len);
    dst[at + len] = 0;
    return true;
}

/* Nothing that a message could not show, or that leads out of a folder. */
static const char *check_name(const char *name)
{
    if (!*name)
        return "has an empty name";
    if (*name == '/')
        return "has a name that begins with a slash";
    for (const char *p = name; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return "has a control character in its name";
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]) && (p == name || p[-1] == '/'))
            return "has a name with '..'";
    }
    return NULL;
}

/* A header of a header, whose data say more about the next one. */
static bool is_extension(uint8_t type)
{
    return type == 'x' || type == 'g' || type == 'L' || type == 'K';
}

/* ---- what stands before a header and changes it ---- */

/* "27 path=some/name\n", again and again. Unknown keys are left alone. */
static int take_pax(struct omq_untar *t, const char *p, size_t n, struct omq_err *err)
{
    while (n > 0) {
        size_t len = 0, i = 0;
        const char *eq;

        for (; i < n && i < 6 && p[i] >= '0' && p[i] <= '9'; i++)
            len = 10 * len + (size_t)(p[i] - '0');
        if (i == 0 || i >= n || p[i] != ' ' || len <= i + 1 || len > n || p[len - 1] != '\n' ||
            !(eq = memchr(p + i + 1, '=', len - i - 2)))
            return bad(t, err, "has extended records that cannot be read");
        i++;
        if (eq - (p + i) == 4 && memcmp(p + i, "path", 4) == 0) {
            size_t m = (size_t)(p + len - 1 - (eq + 1));

            t->next_name[0] = 0;
            if (memchr(eq + 1, 0, m) || !append(t->next_name, (const uint8_t *)eq + 1, m))
                return bad(t, err, "has an extended name that is too long, or has a zero in it");
        } else if (eq - (p + i) == 4 && memcmp(p + i, "size", 4) == 0) {
            t->has_size = true;
            if (eq + 1 == p + len - 1)
                return bad(t, err, "has an extended size that is no size");
            t->next_size = 0;
            for (const char *d = eq + 1; d < p + len - 1; d++) {
                if (*d < '0' || *d > '9' || t->next_size > (UINT64_MAX >> 2) / 10)
                    return bad(t, err, "has an extended size that is no size");
                t->next_size = 10 * t->next_size + (uint64_t)(*d - '0');
            }
        } else if (eq - (p + i) >= 10 && memcmp(p + i, "GNU.sparse", 10) == 0) {
            return bad(t, err, "is of a sparse file, which is not read");
        }
        p += len;
        n -= len;
    }
    return OMQ_OK;
}

/* The data of an extended header, of `size` bytes that are there. */
static int take_extension(struct omq_untar *t, char type, uint64_t offset, uint64_t size,
                          struct omq_err *err)
{
    char data[MAX_PAX];
    int rc;

    if (type == 'g' || type == 'K') /* defaults for all, and where a link leads */
        return OMQ_OK;
    if (size > MAX_PAX || (type == 'L' && size > OMQ_UNTAR_NAME))
        return bad(t, err, "is followed by a name that is too long");
    if ((rc = omq_read_at(t->fd, offset, data, (size_t)size, t->name, err)) < 0)
        return rc;
    if (type == 'x') {
        t->has_size = false;
        return take_pax(t, data, (size_t)size, err);
    }
    t->next_name[0] = 0;
    return append(t->next_name, (const uint8_t *)data, (size_t)size)
               ? OMQ_OK : bad(t, err, "is followed by a name that is too long");
}

/* ---- members ---- */

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* From the block of zeros that ends the archive: 0, if only zeros follow. Two
 * archives one behind the other would lose the second. */
static int check_end(const struct omq_untar *t, struct omq_err *err)
{
    uint8_t buf[1 << 14];

    for (uint64_t at = t->at; at < t->size;) {
        size_t n = t->size - at < sizeof(buf) ? (size_t)(t->size - at) : sizeof(buf);
        int rc = omq_read_at(t->fd, at, buf, n, t->name, err);

        if (rc < 0)
            return rc;
        if (!all_zero(buf, n))
            return omq_fail(err, OMQ_EFORMAT, "'%s' goes on behind the end of its archive, at byte "
                            "%llu", t->name, (unsigned long long)t->at);
        at += n;
    }
    return 0;
}

static int wrong_start(const struct omq_untar *t, const uint8_t *h, struct omq_err *err)
{
    if (t->at == 0 && h[0] == 0x1f && h[1] == 0x8b)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is compressed: unpack it with gunzip, since its "
                        "members are read where they lie", t->name);
    return bad(t, err, "has a wrong checksum");
}

/* Name, type and size of the header h, as what stood before it says. */
static int take_header(struct omq_untar *t, const uint8_t *h, struct omq_untar_member *m,
                       struct omq_err *err)
{
    bool plain_prefix = memcmp(h + AT_MAGIC, "ustar\0", 6) == 0;

    if (!sum_is_right(h))
        return wrong_start(t, h, err);
    if (t->has_size && !is_extension(h[AT_TYPE])) /* it is the file's */
        m->size = t->next_size;
    else if (!number(h + AT_SIZE, N_SIZE, &m->size))
        return bad(t, err, "has a size that is no size");
    m->name[0] = 0;
    if (t->next_name[0]) {
        memcpy(m->name, t->next_name, sizeof(m->name));
    } else {
        /* both always fit */
        if (plain_prefix && h[AT_PREFIX]) {
            append(m->name, h + AT_PREFIX, N_PREFIX);
            append(m->name, (const uint8_t *)"/", 1);
        }
        append(m->name, h, N_NAME);
    }
    m->offset = t->at + BLOCK;
    if (m->size > t->size - m->offset)
        return omq_fail(err, OMQ_EFORMAT, "'%s' ends inside the member '%.100s' at byte %llu: it "
                        "was cut off", t->name, m->name, (unsigned long long)t->at);
    return OMQ_OK;
}

static int refuse_type(const struct omq_untar *t, char type, const char *name, struct omq_err *err)
{
    return omq_fail(err, OMQ_EUNSUP, "'%s': the member '%.100s' at byte %llu is %s: only files can "
                    "be read", t->name, name, (unsigned long long)t->at,
                    type == '1' || type == '2' ? "a link" : type == 'S' ? "a sparse file" :
                    type == '3' || type == '4' || type == '6' ? "a device or pipe"
                                                              : "of an unknown type");
}

void omq_untar_open(struct omq_untar *t, int fd, uint64_t size, const char *name)
{
    *t = (struct omq_untar){.fd = fd, .size = size, .name = name};
}

int omq_untar_next(struct omq_untar *t, struct omq_untar_member *m, struct omq_err *err)
{
    uint8_t h[BLOCK];

    for (;;) {
        const char *wrong;
        char type;
        int rc;

        if (t->at > t->size || t->size - t->at < BLOCK)
            return omq_fail(err, OMQ_EFORMAT, "'%s' has no end: it was cut off, or is no tar "
                            "archive", t->name);
        if ((rc = omq_read_at(t->fd, t->at, h, BLOCK, t->name, err)) < 0)
            return rc;
        if (all_zero(h, BLOCK))
            return check_end(t, err);
        if ((rc = take_header(t, h, m, err)) < 0)
            return rc;
        type = (char)h[AT_TYPE];
        if (is_extension(h[AT_TYPE])) {
            rc = take_extension(t, type, m->offset, m->size, err);
        } else if (type == '0' || type == '7' || type == 0 || type == '5') {
            t->has_size = false;
            t->next_name[0] = 0;
            if ((wrong = check_name(m->name)))
                rc = bad(t, err, wrong);
        } else {
            rc = refuse_type(t, type, m->name, err);
        }
        if (rc < 0)
            return rc;
        t->at = m->offset + (m->size + BLOCK - 1) / BLOCK * BLOCK;
        if (type == '0' || type == '7' || type == 0)
            return 1;
    }
}
