/* SPDX-License-Identifier: MIT
 *
 * What is in a folder, in an order that does not depend on the disk. Names are
 * kept in one block of text: a data set has a million of them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "base/mem.h"
#include "data/data_internal.h"

enum { MAX_DEPTH = 8 }; /* of folders in a class's folder */

/* ---- names ---- */

/* Makes room for `more` things of `size` bytes behind n of them. */
static bool grow(void **p, size_t *cap, size_t n, size_t more, size_t size)
{
    size_t want = *cap ? *cap : 256, bytes;
    void *q;

    if (!omq_add_size(n, more, &more))
        return false;
    while (want < more)
        if (!omq_add_size(want, want / 2, &want))
            return false;
    if (want == *cap)
        return true;
    q = omq_mul_size(want, size, &bytes) ? realloc(*p, bytes) : NULL;
    if (!q)
        return false;
    *p = q;
    *cap = want;
    return true;
}

int omq_names_add(struct omq_names *l, const char *prefix, const char *name,
                  struct omq_err *err)
{
    size_t n_prefix = strlen(prefix), n = n_prefix + strlen(name) + 1;
    void *at = l->at, *text = l->text;
    bool ok;

    if (l->n >= INT32_MAX || l->size + n > UINT32_MAX)
        return omq_fail(err, OMQ_ENOMEM, "there are too many files: the names of more than %zu "
                        "take 4 GiB", l->n);
    ok = grow(&at, &l->cap_n, l->n, 1, sizeof(*l->at));
    l->at = at;
    ok = ok && grow(&text, &l->cap_size, l->size, n, 1);
    l->text = text;
    if (!ok)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the names of more than %zu files", l->n);
    memcpy(l->text + l->size, prefix, n_prefix);
    memcpy(l->text + l->size + n_prefix, name, n - n_prefix);
    l->at[l->n++] = (uint32_t)l->size;
    l->size += n;
    return OMQ_OK;
}

void omq_names_release(struct omq_names *l)
{
    free(l->at);
    free(l->text);
    *l = (struct omq_names){0};
}

uint32_t omq_names_sum(const struct omq_names *l, uint32_t before)
{
    uLong crc = before;

    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->text + l->at[i];

        crc = crc32_z(crc, (const Bytef *)name, strlen(name) + 1);
    }
    return (uint32_t)crc;
}

static size_t folder_size(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

/* Folder by folder, and in each file by file. */
static int by_name(const void *a, const void *b, void *text)
{
    const char *x = (const char *)text + *(const uint32_t *)a;
    const char *y = (const char *)text + *(const uint32_t *)b;
    size_t n = folder_size(x), m = folder_size(y);
    int order = memcmp(x, y, n < m ? n : m);

    if (order == 0 && n != m)
        return n < m ? -1 : 1;
    return order ? order : strcmp(x + n, y + n);
}

static void sort_names(struct omq_names *l)
{
    if (l->n > 0)
        qsort_r(l->at, l->n, sizeof(*l->at), by_name, l->text);
}

/* ---- folders ---- */

static DIR *open_folder(int parent, const char *name, const char *path, struct omq_err *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d) {
        omq_fail_errno(err, OMQ_EIO, "cannot open the folder '%s'", path);
        if (fd >= 0)
            close(fd);
    }
    return d;
}

/* The next entry without a dot in front: 1, or 0 at the end. */
static int next_entry(DIR *d, const char *path, struct dirent **e, struct omq_err *err)
{
    do {
        errno = 0;
        *e = readdir(d);
    } while (*e && (*e)->d_name[0] == '.');
    if (!*e && errno)
        return omq_fail_errno(err, OMQ_EIO, "cannot read the folder '%s'", path);
    return *e != NULL;
}

/* A folder, or a link to one. A link that leads nowhere is none. */
static bool is_folder(DIR *d, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
        return e->d_type == DT_DIR;
    return fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

int omq_list_folders(struct omq_names *l, const char *path, size_t *n_files, struct omq_err *err)
{
    DIR *d = open_folder(AT_FDCWD, path, path, err);
    struct dirent *e;
    int rc;

    if (!d)
        return OMQ_EIO;
    *n_files = 0;
    while ((rc = next_entry(d, path, &e, err)) > 0) {
        if (!is_folder(d, e))
            ++*n_files;
        else if ((rc = omq_names_add(l, "", e->d_name, err)) < 0)
            break;
    }
    closedir(d);
    sort_names(l);
    return rc;
}

int omq_list_files(struct omq_names *l, const char *path, const char *begin, const char *end,
                   struct omq_err *err)
{
    size_t n_begin = strlen(begin), n_end = strlen(end);
    DIR *d = open_folder(AT_FDCWD, path, path, err);
    struct dirent *e;
    int rc;

    if (!d)
        return OMQ_EIO;
    while ((rc = next_entry(d, path, &e, err)) > 0) {
        size_t n = strlen(e->d_name);

        if (n >= n_begin + n_end && memcmp(e->d_name, begin, n_begin) == 0 &&
            strcmp(e->d_name + n - n_end, end) == 0 &&
            (rc = omq_names_add(l, "", e->d_name, err)) < 0)
            break;
    }
    closedir(d);
    sort_names(l);
    return rc;
}

/* ---- pictures ---- */

static bool is_one_of(const char *ending, const char *const *ends)
{
    for (int i = 0; ending && ends[i]; i++)
        if (strcasecmp(ending, ends[i]) == 0)
            return true;
    return false;
}

bool omq_is_picture(const char *ending)
{
    static const char *const ends[] = {".jpg", ".jpeg", ".png", NULL};

    return is_one_of(ending, ends);
}

/* What torchvision would read, so that leaving it out would change the set. */
static int check_other(const char *path, const char *name, struct omq_err *err)
{
    static const char *const ends[] = {".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", NULL};

    if (!is_one_of(strrchr(name, '.'), ends))
        return OMQ_OK;
    return omq_fail(err, OMQ_EUNSUP, "'%.300s/%.100s' is a picture of a kind that is not read: "
                    "make it a JPEG or a PNG, or take it out of the folder", path, name);
}

/* A class: its pictures so far, and a tree of the folders they are in. */
struct class {
    struct omq_names *l;
    void *folders;
    struct omq_err *err;
};

struct folder_id {
    dev_t dev;
    ino_t ino;
};

static int by_id(const void *a, const void *b)
{
    const struct folder_id *x = a, *y = b;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Links in a ring, and some in each of some folders, would be exponentially many. */
static int enter_folder(struct class *c, DIR *d, const char *path)
{
    struct folder_id *id = malloc(sizeof(*id)), **at = NULL;
    struct stat st;

    if (fstat(dirfd(d), &st) < 0) {
        free(id);
        return omq_fail_errno(c->err, OMQ_EIO, "cannot read the folder '%s'", path);
    }
    if (id) {
        *id = (struct folder_id){st.st_dev, st.st_ino};
        at = tsearch(id, &c->folders, by_id);
    }
    if (at && *at == id)
        return OMQ_OK;
    free(id);
    return at ? omq_fail(c->err, OMQ_EUNSUP, "'%.400s' is a folder that its class already has: "
                         "take out the link to it", path)
              : omq_fail(c->err, OMQ_ENOMEM, "cannot allocate a list of folders");
}

static int list_below(struct class *c, int parent, const char *name, const char *path,
                      const char *prefix, int depth);

/* One entry; prefix is what names in this folder begin with. */
static int list_entry(struct class *c, DIR *d, const struct dirent *e, const char *path,
                      const char *prefix, int depth)
{
    char *below, *longer;
    int rc = OMQ_OK;

    /* no need to ask what a link is whose name is a picture's: opening it tells */
    if (e->d_type != DT_DIR && omq_is_picture(strrchr(e->d_name, '.')) &&
        (e->d_type != DT_UNKNOWN || !is_folder(d, e)))
        return omq_names_add(c->l, prefix, e->d_name, c->err);
    if (!is_folder(d, e))
        return check_other(path, e->d_name, c->err);
    if (depth == MAX_DEPTH)
        return omq_fail(c->err, OMQ_EUNSUP, "'%.300s' is nested deeper than %d folders", path,
                        MAX_DEPTH);
    if (asprintf(&below, "%s/%s", path, e->d_name) < 0)
        return omq_fail(c->err, OMQ_ENOMEM, "cannot allocate a file name");
    if (asprintf(&longer, "%s%s/", prefix, e->d_name) < 0) {
        rc = omq_fail(c->err, OMQ_ENOMEM, "cannot allocate a file name");
    } else {
        rc = list_below(c, dirfd(d), e->d_name, below, longer, depth + 1);
        free(longer);
    }
    free(below);
    return rc;
}

static int list_below(struct class *c, int parent, const char *name, const char *path,
                      const char *prefix, int depth)
{
    DIR *d = open_folder(parent, name, path, c->err);
    struct dirent *e;
    int rc;

    if (!d)
        return OMQ_EIO;
    rc = enter_folder(c, d, path);
    while (rc == OMQ_OK && (rc = next_entry(d, path, &e, c->err)) > 0)
        rc = list_entry(c, d, e, path, prefix, depth);
    closedir(d);
    return rc;
}

int omq_list_pictures(struct omq_names *l, const char *path, struct omq_err *err)
{
    struct class c = {.l = l, .err = err};
    int rc = list_below(&c, AT_FDCWD, path, path, "", 0);

    tdestroy(c.folders, free);
    sort_names(l);
    return rc;
}
