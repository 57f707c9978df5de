/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Grows *buf to hold at least one more block; the size doubles. */
static int grow(uint8_t **buf, size_t *cap, struct omq_err *err)
{
    size_t want = *cap ? *cap * 2 : 1 << 16;
    uint8_t *p = realloc(*buf, want + 1);

    if (!p)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes", want);
    *buf = p;
    *cap = want;
    return OMQ_OK;
}

static int read_all(FILE *f, const char *path, size_t max_bytes, uint8_t **out, size_t *n_bytes,
                    struct omq_err *err)
{
    uint8_t *buf = NULL;
    size_t cap = 0, n = 0, got;
    int rc;

    do {
        if (n == cap && (rc = grow(&buf, &cap, err)) < 0)
            goto err_free;
        got = fread(buf + n, 1, cap - n, f);
        n += got;
        if (n > max_bytes) {
            rc = omq_fail(err, OMQ_ENOMEM, "'%s' is larger than the limit of %zu bytes", path,
                          max_bytes);
            goto err_free;
        }
    } while (got > 0);
    if (ferror(f)) {
        rc = omq_fail_errno(err, OMQ_EIO, "cannot read '%s'", path);
        goto err_free;
    }
    buf[n] = 0;
    *out = buf;
    *n_bytes = n;
    return OMQ_OK;

err_free:
    free(buf);
    return rc;
}

int omq_file_read(const char *path, size_t max_bytes, uint8_t **out, size_t *n_bytes,
                  struct omq_err *err)
{
    FILE *f;
    int rc;

    if (strcmp(path, "-") == 0)
        return read_all(stdin, path, max_bytes, out, n_bytes, err);
    f = fopen(path, "rbe");
    if (!f)
        return omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", path);
    rc = read_all(f, path, max_bytes, out, n_bytes, err);
    fclose(f);
    return rc;
}

/* Devices and pipes are written as they are: a rename would put a file in
 * place of /dev/null. */
static int open_special(struct omq_atomic *a, struct omq_err *err)
{
    a->f = fopen(a->path, "wbe");
    if (!a->f) {
        omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", a->path);
        omq_atomic_abort(a);
        return OMQ_EIO;
    }
    return OMQ_OK;
}

int omq_atomic_open(struct omq_atomic *a, const char *path, struct omq_err *err)
{
    struct stat st;
    mode_t mask;
    int fd;

    *a = (struct omq_atomic){0};
    a->path = strdup(path);
    if (a->path && stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return open_special(a, err);
    if (!a->path || asprintf(&a->temp, "%s.XXXXXX", path) < 0) {
        a->temp = NULL;
        omq_atomic_abort(a);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    }
    fd = mkostemp(a->temp, O_CLOEXEC);
    if (fd < 0) {
        omq_fail_errno(err, OMQ_EIO, "cannot create '%s'", path);
        free(a->temp);
        a->temp = NULL;
        omq_atomic_abort(a);
        return OMQ_EIO;
    }
    mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask) < 0 || !(a->f = fdopen(fd, "wb"))) {
        omq_fail_errno(err, OMQ_EIO, "cannot create '%s'", path);
        close(fd);
        omq_atomic_abort(a);
        return OMQ_EIO;
    }
    return OMQ_OK;
}

/* The rename is durable only once its directory is on disk. */
static int sync_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = fd < 0 ? -1 : fsync(fd);

    /* some file systems cannot sync a directory: not an error */
    if (rc < 0 && (errno == EINVAL || errno == EACCES))
        rc = 0;
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

int omq_atomic_commit(struct omq_atomic *a, struct omq_err *err)
{
    bool bad = ferror(a->f) || fflush(a->f) != 0 || (a->temp && fsync(fileno(a->f)) < 0);
    int rc = OMQ_OK;

    if (bad) {
        rc = omq_fail_errno(err, OMQ_EIO, "cannot write '%s'", a->path);
    } else {
        bad = fclose(a->f) != 0;
        a->f = NULL;
        if (bad || (a->temp && rename(a->temp, a->path) < 0)) {
            rc = omq_fail_errno(err, OMQ_EIO, "cannot write '%s'", a->path);
        } else if (a->temp) {
            free(a->temp);
            a->temp = NULL;
            if (sync_dir(a->path) < 0)
                rc = omq_fail_errno(err, OMQ_EIO, "cannot sync the directory of '%s'", a->path);
        }
    }
    omq_atomic_abort(a);
    return rc;
}

void omq_atomic_abort(struct omq_atomic *a)
{
    if (a->f)
        fclose(a->f);
    if (a->temp)
        unlink(a->temp);
    free(a->temp);
    free(a->path);
    *a = (struct omq_atomic){0};
}

int omq_make_dirs(const char *path, struct omq_err *err)
{
    char *copy = strdup(path);
    struct stat st;
    int rc = OMQ_OK;

    if (!copy)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    for (char *p = copy + 1; rc == OMQ_OK && *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        if (mkdir(copy, 0777) < 0 && errno != EEXIST)
            rc = omq_fail_errno(err, OMQ_EIO, "cannot create directory '%s'", copy);
        *p = '/';
    }
    if (rc == OMQ_OK && mkdir(copy, 0777) < 0 && errno != EEXIST)
        rc = omq_fail_errno(err, OMQ_EIO, "cannot create directory '%s'", copy);
    if (rc == OMQ_OK && (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode)))
        rc = omq_fail(err, OMQ_EIO, "'%s' is not a directory", path);
    free(copy);
    return rc;
}

char *omq_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    char *out;

    if (asprintf(&out, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name) < 0)
        return NULL;
    return out;
}
