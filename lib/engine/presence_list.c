/* SPDX-License-Identifier: MIT
 *
 * Listing: what stands in the folder of a user, and whose process still runs.
 */
#define _GNU_SOURCE
#include "engine/presence_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number at *s, without zeros before it, moved past it; 0 if there is none. */
static uint64_t take_number(const char **s)
{
    uint64_t x = 0;

    while (**s >= '0' && **s <= '9' && x <= INT_MAX && !(x == 0 && **s == '0'))
        x = 10 * x + (uint64_t)(*(*s)++ - '0');
    return x <= INT_MAX ? x : 0;
}

/* The pid in "PID-N.run" or "PID-N.tmp"; 0 for any other name. */
static uint64_t pid_of(const char *name)
{
    uint64_t pid = take_number(&name);

    if (pid == 0 || *name++ != '-')
        return 0;
    if (*name == '0')
        name++;
    else if (take_number(&name) == 0)
        return 0;
    return strcmp(name, ".run") == 0 || strcmp(name, ".tmp") == 0 ? pid : 0;
}

static bool is_state(const char *name) { return strcmp(name + strlen(name) - 4, ".run") == 0; }

static int ours(const struct dirent *e) { return pid_of(e->d_name) > 0; }

/* Reads a file of ours; false for any other, and for what is no state. */
static bool read_entry(int dir, const char *name, struct omq_presence_entry *e)
{
    char text[PRESENCE_TEXT_SIZE];
    struct stat st;
    ssize_t n = -1;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return false;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        st.st_size < (off_t)sizeof(text))
        n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    if (!omq_presence_parse(text, (size_t)n, e) || e->pid != pid_of(name))
        return false;
    e->updated_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
    return true;
}

/* Whether name is of a process that runs; then *e, if it is a state. Files of
 * processes that are gone are removed, also where another has got their pid: it
 * has another start time. In doubt a file is left where it is. */
static bool look_at(int dir, const char *name, struct omq_presence_entry *e)
{
    uint64_t start;
    int alive = omq_presence_start(pid_of(name), &start);
    bool valid = is_state(name) && read_entry(dir, name, e);

    if (alive < 0)
        return false;
    if (alive && (!valid || e->start == start))
        return valid;
    unlinkat(dir, name, 0); /* if it cannot be, the next one tries */
    return false;
}

/* A model to look for. */
struct wanted {
    bool any, exists;
    uint64_t dev, ino;
    char path[OMQ_PRESENCE_PATH_SIZE];
};

static int want(struct wanted *w, const char *model, struct omq_err *err)
{
    struct stat st;
    char *full;

    *w = (struct wanted){.any = !model};
    if (!model)
        return OMQ_OK;
    full = realpath(model, NULL);
    if (!full && errno == ENOMEM)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    /* a model that is gone may still run: it is known by its absolute path */
    omq_presence_clean(w->path, sizeof(w->path), full ? full : model);
    w->exists = full && stat(full, &st) == 0;
    if (w->exists) {
        w->dev = st.st_dev;
        w->ino = st.st_ino;
    }
    free(full);
    return OMQ_OK;
}

static bool matches(const struct wanted *w, const struct omq_presence_entry *e)
{
    return w->any || (w->exists && w->dev == e->dev && w->ino == e->ino) ||
           strcmp(w->path, e->path) == 0;
}

int omq_presence_list(const char *dir, const char *model,
                      void (*fn)(void *ctx, const struct omq_presence_entry *e), void *ctx,
                      struct omq_err *err)
{
    struct omq_presence_entry e;
    struct dirent **names;
    struct wanted w;
    uint64_t start;
    int fd, n, rc = want(&w, model, err);

    /* without it every process would look like gone */
    if (rc == OMQ_OK && omq_presence_start((uint64_t)getpid(), &start) != 1)
        rc = omq_fail(err, OMQ_EIO, "cannot read start times of processes from /proc");
    if (rc == OMQ_OK)
        rc = omq_presence_folder(dir, false, &fd, err);
    if (rc < 0 || fd < 0)
        return rc;
    n = scandirat(fd, ".", &names, ours, versionsort);
    if (n < 0) {
        rc = omq_fail_errno(err, errno == ENOMEM ? OMQ_ENOMEM : OMQ_EIO,
                            "cannot read directory '%s'", dir);
        close(fd);
        return rc;
    }
    for (int i = 0; i < n; i++) {
        if (look_at(fd, names[i]->d_name, &e) && matches(&w, &e))
            fn(ctx, &e);
        free(names[i]);
    }
    free(names);
    close(fd);
    return OMQ_OK;
}
