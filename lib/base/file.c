/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
        return read_all(stdin, "standard input", max_bytes, out, n_bytes, err);
    f = fopen(path, "rbe");
    if (!f)
        return omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", path);
    rc = read_all(f, path, max_bytes, out, n_bytes, err);
    fclose(f);
    return rc;
}

int omq_open_regular(const char *path, uint64_t *size, struct omq_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return omq_fail(err, OMQ_EIO, "'%s' is not a regular file", path);
    }
    *size = (uint64_t)st.st_size;
    return fd;
}

int omq_read_at(int fd, uint64_t offset, void *p, size_t n, const char *name,
                struct omq_err *err)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, (char *)p + got, n - got, (off_t)(offset + got));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return omq_fail_errno(err, OMQ_EIO, "cannot read '%s'", name);
        if (r == 0)
            return omq_fail(err, OMQ_EIO, "'%s' has become shorter while it was read", name);
        got += (size_t)r;
    }
    return OMQ_OK;
}

/* The folder that path is in; NULL when out of memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

/* ---- where to write ---- */

/* What the link path says, as a name from here; NULL and errno if it cannot be read. */
static char *read_link(const char *path, const char *folder)
{
    char to[PATH_MAX];
    ssize_t n = readlink(path, to, sizeof(to) - 1);

    if (n < 0)
        return NULL;
    to[n] = '\0';
    return to[0] == '/' ? strdup(to) : omq_path_join(folder, to);
}

/* While the target is a link, takes what it leads to, which need not exist. Stops at a
 * link in /proc: it stands for a file that is open, not for a name. -1 and errno. */
static int follow_links(struct omq_atomic *a, bool *is_open_file)
{
    enum { MAX_LINKS = 40 }; /* of Linux */
    struct stat st;

    *is_open_file = false;
    for (int n = 0; lstat(a->target, &st) == 0 && S_ISLNK(st.st_mode); n++) {
        char *folder = folder_of(a->target), *real = folder ? realpath(folder, NULL) : NULL;
        char *next = NULL;

        if (n == MAX_LINKS)
            errno = ELOOP;
        else if (real && strncmp(real, "/proc/", 6) == 0)
            *is_open_file = true;
        else if (real)
            next = read_link(a->target, real);
        free(folder);
        free(real);
        if (!next)
            return *is_open_file ? 0 : -1;
        free(a->target);
        a->target = next;
    }
    return 0;
}

/* ---- write ---- */

static int fail_open(struct omq_atomic *a, const char *what, struct omq_err *err)
{
    omq_fail_errno(err, OMQ_EIO, "cannot %s '%s'", what, a->path);
    omq_atomic_abort(a);
    return OMQ_EIO;
}

/* Devices, pipes and files that are open are written as they are: a rename would put a
 * file in place of /dev/null, and would not reach who has the open one. */
static int open_direct(struct omq_atomic *a, struct omq_err *err)
{
    a->f = fopen(a->path, "wbe");
    return a->f ? OMQ_OK : fail_open(a, "open", err);
}

/* Owner and mode of the file that is replaced, or those of a new one. If the group cannot
 * be kept, another one gets no more than all others. */
static int set_mode(int fd, const struct stat *old)
{
    mode_t mode, mask;

    if (!old) {
        mask = umask(0);
        umask(mask);
        return fchmod(fd, 0666 & ~mask);
    }
    mode = old->st_mode & 0777;
    if (fchown(fd, old->st_uid, old->st_gid) < 0 && fchown(fd, (uid_t)-1, old->st_gid) < 0)
        mode = (mode & 0707) | (mode & 07) << 3;
    return fchmod(fd, mode);
}

/* old is the file that is there, or NULL. */
static int open_temp(struct omq_atomic *a, const struct stat *old, struct omq_err *err)
{
    const char *slash = strrchr(a->target, '/'), *name = slash ? slash + 1 : a->target;
    const int most = NAME_MAX - (int)strlen(".XXXXXX"); /* of a long name, its beginning */
    int fd;

    if (asprintf(&a->temp, "%.*s%.*s.XXXXXX", (int)(name - a->target), a->target, most, name) < 0) {
        a->temp = NULL;
        omq_atomic_abort(a);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    }
    fd = mkostemp(a->temp, O_CLOEXEC);
    if (fd < 0) {
        free(a->temp);
        a->temp = NULL;
        return fail_open(a, "create", err);
    }
    if (set_mode(fd, old) < 0 || !(a->f = fdopen(fd, "wb"))) {
        fail_open(a, "create", err);
        close(fd);
        return OMQ_EIO;
    }
    return OMQ_OK;
}

/* What a path leads to. */
struct found {
    bool is_there, direct; /* direct: no rename */
    struct stat old;       /* if it is there */
};

static int find(struct omq_atomic *a, const char *path, struct found *at, struct omq_err *err)
{
    if (!*path)
        return omq_fail(err, OMQ_EIO, "the name of a file to write is empty");
    *a = (struct omq_atomic){.path = strdup(path), .target = strdup(path)};
    if (!a->path || !a->target) {
        omq_atomic_abort(a);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    }
    at->is_there = stat(path, &at->old) == 0;
    at->direct = at->is_there && !S_ISREG(at->old.st_mode);
    if (!at->direct && follow_links(a, &at->direct) < 0)
        return fail_open(a, "create", err);
    return OMQ_OK;
}

int omq_atomic_open(struct omq_atomic *a, const char *path, struct omq_err *err)
{
    struct found at;
    int rc = find(a, path, &at, err);

    if (rc < 0)
        return rc;
    return at.direct ? open_direct(a, err) : open_temp(a, at.is_there ? &at.old : NULL, err);
}

/* To open a pipe is to write to it: who reads it would see its end. A folder cannot be. */
int omq_file_try(const char *path, struct omq_err *err)
{
    struct omq_atomic a;
    struct found at;
    int rc = find(&a, path, &at, err);

    if (rc == OMQ_OK && !at.direct)
        rc = open_temp(&a, at.is_there ? &at.old : NULL, err);
    else if (rc == OMQ_OK && S_ISDIR(at.old.st_mode))
        rc = open_direct(&a, err);
    if (rc == OMQ_OK)
        omq_atomic_abort(&a);
    return rc;
}

bool omq_is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The rename is durable only once its directory is on disk. */
static int sync_dir(const char *path)
{
    char *dir = folder_of(path);
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

static int fail_write(struct omq_atomic *a, struct omq_err *err)
{
    omq_fail_errno(err, OMQ_EIO, "cannot write '%s'", a->path);
    omq_atomic_abort(a);
    return OMQ_EIO;
}

int omq_atomic_flush(struct omq_atomic *a, struct omq_err *err)
{
    bool bad = ferror(a->f) || fflush(a->f) != 0 || (a->temp && fsync(fileno(a->f)) < 0);

    if (bad)
        return fail_write(a, err);
    bad = fclose(a->f) != 0;
    a->f = NULL;
    return bad ? fail_write(a, err) : OMQ_OK;
}

int omq_atomic_commit(struct omq_atomic *a, struct omq_err *err)
{
    int rc = a->f ? omq_atomic_flush(a, err) : OMQ_OK;

    if (rc < 0)
        return rc;
    if (a->temp) {
        if (rename(a->temp, a->target) < 0)
            return fail_write(a, err);
        free(a->temp);
        a->temp = NULL;
        if (sync_dir(a->target) < 0)
            rc = omq_fail_errno(err, OMQ_EIO, "'%s' is written, but its folder cannot be flushed "
                                "to disk", a->path);
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
    free(a->target);
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
    for (char *p = copy; rc == OMQ_OK && *p; p++) {
        if (*p != '/' || p == copy)
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

/* Makes a path that of the folder above; false if there is none. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');

    if (!*path || strcmp(path, ".") == 0 || strcmp(path, "/") == 0)
        return false;
    if (slash)
        slash[slash == path] = '\0';
    else
        memcpy(path, ".", 2);
    return true;
}

int omq_check_dirs(const char *path, struct omq_err *err)
{
    char *copy = strdup(path);
    struct stat st;
    int rc;

    if (!copy)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    while ((rc = stat(copy, &st)) < 0 && errno == ENOENT && go_up(copy))
        continue;
    if (rc < 0)
        rc = omq_fail_errno(err, OMQ_EIO, "cannot create directory '%s'", path);
    else if (!S_ISDIR(st.st_mode))
        rc = omq_fail(err, OMQ_EIO, "'%s' is not a directory", copy);
    else if (access(copy, W_OK | X_OK) < 0)
        rc = omq_fail_errno(err, OMQ_EIO, "cannot write to directory '%s'", copy);
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
