/* SPDX-License-Identifier: MIT
 *
 * Opening a file, a pipe or memory, and looking things up.
 */
#define _GNU_SOURCE
#include "ckpt/ckpt_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t default_max_bytes = (uint64_t)4 << 30;

/* Reads up to n bytes; fewer only at the end of the file. -1 on error. */
static ssize_t read_full(int fd, uint8_t *p, size_t n)
{
    size_t done = 0;
    ssize_t got;

    while (done < n) {
        got = read(fd, p + done, n - done < (1 << 30) ? n - done : 1 << 30);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* The size that the header claims, before it is believed. A regular file has
 * to be exactly that large; of a pipe (known_size -1) only the limit is known. */
static int check_size(const struct ckpt_header *h, int64_t known_size, uint64_t max_bytes,
                      struct omq_err *err)
{
    unsigned long long size = h->file_size;

    if (known_size >= 0 && (uint64_t)known_size < size)
        return omq_fail(err, OMQ_EFORMAT, "ends at byte %lld of %llu (it is truncated; copy it "
                        "again)", (long long)known_size, size);
    if (known_size >= 0 && (uint64_t)known_size > size)
        return omq_fail(err, OMQ_EFORMAT, "has %llu bytes behind its end at byte %llu "
                        "(the file is damaged; copy it again)",
                        (unsigned long long)known_size - size, size);
    if (size > max_bytes || size > SIZE_MAX / 2)
        return omq_fail(err, OMQ_ENOMEM, "has %llu bytes, more than the limit of %llu", size,
                        (unsigned long long)max_bytes);
    return OMQ_OK;
}

/* Not cleared: memory that a pipe only promises to fill is not touched. */
static int alloc_file(struct omq_ckpt *c, struct omq_err *err)
{
    size_t rounded = omq_align_up((size_t)c->h.file_size);

    c->file = aligned_alloc(OMQ_ALIGN, rounded);
    if (!c->file)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes", rounded);
    return OMQ_OK;
}

static int read_rest(struct omq_ckpt *c, int fd, struct omq_err *err)
{
    size_t rest = (size_t)c->h.file_size - CKPT_HEADER_SIZE;
    uint8_t beyond;
    ssize_t n = read_full(fd, c->file + CKPT_HEADER_SIZE, rest);

    if (n >= 0 && (size_t)n < rest)
        return omq_fail(err, OMQ_EFORMAT, "ends at byte %zu of %zu (it is truncated; copy it "
                        "again)", (size_t)n + CKPT_HEADER_SIZE, (size_t)c->h.file_size);
    if (n >= 0)
        n = read_full(fd, &beyond, 1);
    if (n < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot be read");
    if (n > 0)
        return omq_fail(err, OMQ_EFORMAT, "goes on behind its end at byte %zu (the file is "
                        "damaged; copy it again)", (size_t)c->h.file_size);
    return OMQ_OK;
}

static int read_fd(struct omq_ckpt *c, int fd, uint64_t max_bytes, struct omq_err *err)
{
    uint8_t head[CKPT_HEADER_SIZE];
    struct stat st;
    ssize_t n;
    int rc;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return omq_fail(err, OMQ_EIO, "cannot be read: Is a directory; give the .omq file in it");
    if (fstat(fd, &st) < 0 || (n = read_full(fd, head, sizeof(head))) < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot be read");
    rc = omq_ckpt_header_decode(&c->h, head, (size_t)n, err);
    if (rc == OMQ_OK)
        rc = check_size(&c->h, S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1, max_bytes, err);
    if (rc == OMQ_OK)
        rc = alloc_file(c, err);
    if (rc < 0)
        return rc;
    memcpy(c->file, head, sizeof(head));
    return read_rest(c, fd, err);
}

static int read_memory(struct omq_ckpt *c, const void *p, size_t n_bytes, uint64_t max_bytes,
                       struct omq_err *err)
{
    int rc;

    rc = omq_ckpt_header_decode(&c->h, p, n_bytes < CKPT_HEADER_SIZE ? n_bytes : CKPT_HEADER_SIZE,
                                err);
    if (rc == OMQ_OK)
        rc = check_size(&c->h, (int64_t)n_bytes, max_bytes, err);
    if (rc == OMQ_OK)
        rc = alloc_file(c, err);
    if (rc == OMQ_OK)
        memcpy(c->file, p, n_bytes);
    return rc;
}

/* From fd, or from memory if fd is -1. */
static int open_from(struct omq_ckpt **out, int fd, const void *p, size_t n_bytes,
                     const char *name, uint64_t max_bytes, struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_host_check(err);

    if (rc < 0)
        return rc;
    if (max_bytes == 0)
        max_bytes = default_max_bytes;
    c = calloc(1, sizeof(*c));
    if (!c || !(c->path = strdup(name))) {
        free(c);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate memory to open '%s'", name);
    }
    rc = fd >= 0 ? read_fd(c, fd, max_bytes, err) : read_memory(c, p, n_bytes, max_bytes, err);
    if (rc == OMQ_OK)
        rc = omq_ckpt_load(c, max_bytes, err);
    if (rc < 0) {
        omq_ckpt_close(c);
        return omq_wrap(err, rc, "'%s'", name);
    }
    *out = c;
    return OMQ_OK;
}

int omq_ckpt_open(struct omq_ckpt **out, const char *path, uint64_t max_bytes, struct omq_err *err)
{
    int fd, rc;

    if (strcmp(path, "-") == 0)
        return open_from(out, STDIN_FILENO, NULL, 0, "standard input", max_bytes, err);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", path);
    rc = open_from(out, fd, NULL, 0, path, max_bytes, err);
    close(fd);
    return rc;
}

int omq_ckpt_open_memory(struct omq_ckpt **out, const void *p, size_t n_bytes, const char *name,
                         uint64_t max_bytes, struct omq_err *err)
{
    return open_from(out, -1, p, n_bytes, name, max_bytes, err);
}

void omq_ckpt_close(struct omq_ckpt *c)
{
    if (!c)
        return;
    omq_arena_release(&c->unpacked);
    free(c->sorted);
    free(c->tensors);
    free(c->file);
    free(c->path);
    free(c);
}

const char *omq_ckpt_meta(const struct omq_ckpt *c, size_t *n_bytes)
{
    if (n_bytes)
        *n_bytes = c->n_meta;
    return c->meta;
}

struct omq_switch_word omq_ckpt_switch(const struct omq_ckpt *c) { return c->h.active; }

int omq_ckpt_count(const struct omq_ckpt *c) { return c->n_tensors; }

const struct omq_tensor_info *omq_ckpt_at(const struct omq_ckpt *c, int i)
{
    return i >= 0 && i < c->n_tensors ? &c->tensors[i] : NULL;
}

const struct omq_tensor_info *omq_ckpt_find(const struct omq_ckpt *c, const char *kind,
                                            const char *name)
{
    int lo = 0, hi = c->n_tensors;

    while (lo < hi) {
        int mid = lo + (hi - lo) / 2, d;
        const struct omq_tensor_info *t = c->sorted[mid];

        d = omq_ckpt_key_compare(kind, name, t->kind, t->name);
        if (d == 0)
            return t;
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* "f32 [16, 3, 3, 3]"; cut off where out ends. */
static void describe(char *out, size_t size, int dtype, int ndim, const uint64_t *dims)
{
    const char *type = omq_ckpt_dtype_name(dtype);
    size_t n = (size_t)snprintf(out, size, "%s [", type ? type : "?");

    for (int i = 0; i < ndim && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%llu", i ? ", " : "",
                              (unsigned long long)dims[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
}

int omq_ckpt_get(const struct omq_ckpt *c, const char *kind, const char *name,
                 enum omq_dtype dtype, int ndim, const uint64_t *dims, const void **data,
                 struct omq_err *err)
{
    const struct omq_tensor_info *t = omq_ckpt_find(c, kind, name);
    char is[200], want[200];

    if (!t)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has no section '%s' '%s'", c->path, kind, name);
    if (t->dtype == dtype && t->ndim == ndim &&
        (ndim == 0 || memcmp(t->dims, dims, (size_t)ndim * sizeof(*dims)) == 0)) {
        *data = t->data;
        return OMQ_OK;
    }
    describe(is, sizeof(is), t->dtype, t->ndim, t->dims);
    describe(want, sizeof(want), dtype, ndim, dims);
    return omq_fail(err, OMQ_EFORMAT, "'%s': section '%s' '%s' is %s, expected %s (it does not "
                    "fit the network that META describes)", c->path, kind, name, is, want);
}
