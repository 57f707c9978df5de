/* SPDX-License-Identifier: MIT
 *
 * Publishing: one file a process and model, PID-N.run, N counting the models
 * of a process. Its next text is written to PID-N.tmp and renamed.
 */
#define _GNU_SOURCE
#include "engine/presence_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct omq_presence {
    char *dir;
    int fd;                 /* of dir */
    char name[48], temp[48];
    struct omq_presence_entry e;
};

/* path without slashes at its end: behind "link/" the link would be followed. */
static char *without_slashes(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    return strndup(path, n);
}

static int check_folder(int fd, const char *dir, struct omq_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot look at '%s'", dir);
    if (st.st_uid != geteuid())
        return omq_fail(err, OMQ_EIO, "'%s' belongs to user %lu, not to %lu; choose another folder",
                        dir, (unsigned long)st.st_uid, (unsigned long)geteuid());
    if (st.st_mode & 077)
        return omq_fail(err, OMQ_EIO, "'%s' is open to other users (mode %03o); chmod 700 it", dir,
                        (unsigned)(st.st_mode & 0777));
    return OMQ_OK;
}

int omq_presence_folder(const char *dir, bool make, int *fd, struct omq_err *err)
{
    char *path = without_slashes(dir);
    int rc = OMQ_OK;

    *fd = -1;
    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST) {
        rc = omq_fail_errno(err, OMQ_EIO, "cannot create directory '%s'", path);
        goto out;
    }
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0 && !make && errno == ENOENT)
        goto out;
    if (*fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        rc = omq_fail(err, OMQ_EIO, "'%s' is a symbolic link or no directory", path);
    else if (*fd < 0)
        rc = omq_fail_errno(err, OMQ_EIO, "cannot open directory '%s'", path);
    else
        rc = check_folder(*fd, path, err);
    if (rc < 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
out:
    free(path);
    return rc;
}

/* The name of the program, field 2, stands in parentheses and may hold any
 * character: what follows is counted from the last ')'. */
int omq_presence_start(uint64_t pid, uint64_t *start)
{
    char path[48], text[1024], *p;
    char state;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n < 0)
        return errno == ESRCH ? 0 : -1;
    text[n] = 0;
    p = strrchr(text, ')');
    if (!p || p[1] != ' ')
        return -1;
    state = p[2];
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        return -1;
    *start = strtoull(p + 1, NULL, 10); /* the kernel's word */
    return state != 'Z' && state != 'X';
}

static int identify(struct omq_presence *p, const char *path, struct omq_err *err)
{
    static atomic_uint count;
    char *full = realpath(path, NULL);
    struct stat st;
    int rc = OMQ_OK;

    if (!full || stat(full, &st) < 0)
        rc = omq_fail_errno(err, OMQ_EIO, "cannot find '%s'", path);
    else if (strlen(full) >= sizeof(p->e.path))
        rc = omq_fail(err, OMQ_EARG, "the path of '%.100s' is too long", path);
    else
        omq_presence_clean(p->e.path, sizeof(p->e.path), full);
    free(full);
    if (rc < 0)
        return rc;
    p->e.dev = st.st_dev;
    p->e.ino = st.st_ino;
    p->e.pid = (uint64_t)getpid();
    if (omq_presence_start(p->e.pid, &p->e.start) != 1)
        return omq_fail(err, OMQ_EIO, "cannot read this process's start time from /proc");
    snprintf(p->name, sizeof(p->name), "%d-%u", (int)getpid(), atomic_fetch_add(&count, 1));
    memcpy(p->temp, p->name, sizeof(p->temp));
    memcpy(p->name + strlen(p->name), ".run", 5);
    memcpy(p->temp + strlen(p->temp), ".tmp", 5);
    return OMQ_OK;
}

static bool write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, text, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        text += k;
        n -= (size_t)k;
    }
    return true;
}

/* One attempt; errno tells why it failed. */
static bool publish(const struct omq_presence *p, const char *text, size_t n)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(p->fd, p->temp, flags, 0600), saved;
    bool ok;

    if (fd < 0 && errno == EEXIST && unlinkat(p->fd, p->temp, 0) == 0)
        fd = openat(p->fd, p->temp, flags, 0600); /* left by a process that was killed */
    if (fd < 0)
        return false;
    ok = write_all(fd, text, n);
    saved = errno;
    if (close(fd) < 0 && ok) {
        ok = false;
        saved = errno;
    }
    if (ok && renameat(p->fd, p->temp, p->fd, p->name) == 0)
        return true;
    if (ok)
        saved = errno;
    unlinkat(p->fd, p->temp, 0);
    errno = saved;
    return false;
}

static int write_state(struct omq_presence *p, const struct omq_presence_state *s,
                       struct omq_err *err)
{
    char text[PRESENCE_TEXT_SIZE];
    size_t n;
    int fd, rc;

    p->e.waiting = s->waiting;
    p->e.switches = s->switches;
    p->e.batches = s->batches;
    p->e.images = s->images;
    p->e.switched_ms = s->switched_ms;
    omq_presence_clean(p->e.precision, sizeof(p->e.precision), s->precision);
    omq_presence_clean(p->e.reason, sizeof(p->e.reason), s->reason ? s->reason : "");
    n = omq_presence_print(&p->e, text);
    if (publish(p, text, n))
        return OMQ_OK;
    if (errno == ENOENT) { /* the folder was removed, as those of /tmp may be */
        rc = omq_presence_folder(p->dir, true, &fd, err);
        if (rc < 0)
            return rc;
        close(p->fd);
        p->fd = fd;
        if (publish(p, text, n))
            return OMQ_OK;
    }
    return omq_fail_errno(err, OMQ_EIO, "cannot write '%s/%s'", p->dir, p->name);
}

int omq_presence_open(struct omq_presence **out, const char *dir, const char *path,
                      const struct omq_presence_state *s, struct omq_err *err)
{
    struct omq_presence *p = omq_calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a presence");
    p->dir = without_slashes(dir);
    if (!p->dir) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
        goto err_free;
    }
    rc = identify(p, path, err);
    if (rc < 0)
        goto err_free;
    rc = omq_presence_folder(p->dir, true, &p->fd, err);
    if (rc < 0)
        goto err_free;
    rc = write_state(p, s, err);
    if (rc < 0)
        goto err_close;
    *out = p;
    return OMQ_OK;

err_close:
    close(p->fd);
err_free:
    free(p->dir);
    free(p);
    return rc;
}

int omq_presence_update(struct omq_presence *p, const struct omq_presence_state *s,
                        struct omq_err *err)
{
    if ((uint64_t)getpid() != p->e.pid)
        return omq_fail(err, OMQ_EARG, "'%s' was published by another process, before fork()",
                        p->name);
    return write_state(p, s, err);
}

void omq_presence_close(struct omq_presence *p)
{
    if (!p)
        return;
    if ((uint64_t)getpid() == p->e.pid)
        unlinkat(p->fd, p->name, 0);
    close(p->fd);
    free(p->dir);
    free(p);
}
