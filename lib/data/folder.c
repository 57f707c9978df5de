/* SPDX-License-Identifier: MIT
 *
 * format: folder. root/train/CLASS/PICTURE and root/test or root/val the same
 * way, as torchvision's ImageFolder: the classes are the folders of train, sorted
 * by name. Pictures are read when they are asked for; in memory are their names.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "data/data_internal.h"

struct folder {
    struct omq_pictures source;
    char *path;               /* of the split: root/train */
    struct omq_names classes; /* folders of classes that may occur, sorted */
    struct omq_names pictures; /* by class, then by name: "name" or "folder/name" */
    uint32_t *first;          /* [classes.n + 1]: where each class's pictures begin */
};

/* ---- one picture ---- */

static const char *class_of(const struct folder *f, uint32_t i)
{
    size_t lo = 0, hi = f->classes.n - 1; /* the last with first[c] <= i */

    while (lo < hi) {
        size_t mid = (lo + hi + 1) / 2;

        if (f->first[mid] <= i)
            lo = mid;
        else
            hi = mid - 1;
    }
    return f->classes.text + f->classes.at[lo];
}

static int get(const struct omq_pictures *s, uint32_t i, uint8_t **bytes, size_t *n_bytes,
               char *name, size_t name_size, struct omq_err *err)
{
    const struct folder *f = (const struct folder *)s;
    uint64_t size;
    char *path;
    int fd, rc;

    if (asprintf(&path, "%s/%s/%s", f->path, class_of(f, i),
                 f->pictures.text + f->pictures.at[i]) < 0)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    snprintf(name, name_size, "%s", path);
    fd = omq_open_regular(path, &size, err);
    free(path);
    if (fd < 0)
        return fd;
    *n_bytes = size > OMQ_IMAGE_MAX_FILE ? (size_t)OMQ_IMAGE_MAX_FILE + 1 : (size_t)size;
    rc = omq_read_range(fd, 0, *n_bytes, name, bytes, err);
    close(fd);
    return rc;
}

static void close_folder(struct omq_pictures *s)
{
    struct folder *f = (struct folder *)s;

    omq_names_release(&f->classes);
    omq_names_release(&f->pictures);
    free(f->first);
    free(f->path);
    free(f);
}

/* ---- the classes ---- */

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* CIFAR as it is downloaded is files of another format; "" if root has none of them. */
static const char *cifar_hint(const char *root)
{
    static const struct { const char *name, *hint; } files[] = {
        {"data_batch_1.bin", "; data.format: cifar10 reads the files that are there"},
        {"cifar-10-batches-bin", "; data.format: cifar10 reads the files that are there"},
        {"train.bin", "; data.format: cifar100 reads the files that are there"},
        {"cifar-100-binary", "; data.format: cifar100 reads the files that are there"},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *path = omq_path_join(root, files[i].name);
        bool there = path && exists(path);

        free(path);
        if (there)
            return files[i].hint;
    }
    return "";
}

/* The folder of a split. Of test and val it is the first that has classes; where
 * there is neither, the error names both. */
static int find_split(char **out, const char *root, bool test, struct omq_err *err)
{
    static const char *const train_names[] = {"train", NULL};
    static const char *const test_names[] = {"test", "val", NULL};
    const char *const *names = test ? test_names : train_names;
    char *found = NULL;

    for (int i = 0; names[i]; i++) {
        char *path = omq_path_join(root, names[i]);
        struct omq_names classes = {0};
        size_t n_files;
        bool good;

        if (!path) {
            free(found);
            return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
        }
        good = exists(path) && omq_list_folders(&classes, path, &n_files, err) == OMQ_OK &&
               classes.n > 0;
        omq_names_release(&classes);
        if (good || (!found && exists(path))) {
            free(found);
            found = path;
            if (good)
                break;
        } else {
            free(path);
        }
    }
    *out = found;
    if (found)
        return OMQ_OK;
    return omq_fail(err, OMQ_EIO, "there is no folder '%.300s/%s' (data.root): pictures are "
                    "expected in train/CLASS/, and in test/CLASS/ or val/CLASS/%s", root,
                    test ? "test' or 'val" : "train", cifar_hint(root));
}

static int list_classes(struct omq_names *l, const char *path, struct omq_err *err)
{
    size_t n_files;
    int rc = omq_list_folders(l, path, &n_files, err);

    if (rc < 0)
        return rc;
    if (l->n == 0 && n_files > 0)
        return omq_fail(err, OMQ_EFORMAT, "'%.400s' has %zu files, but no folders of classes: move "
                        "each picture to the folder of its class, as in train", path, n_files);
    if (l->n == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%.400s' has no folders of classes", path);
    if (l->n > OMQ_MAX_CLASSES)
        return omq_fail(err, OMQ_EUNSUP, "'%.400s' has %zu classes: the limit is %d", path, l->n,
                        OMQ_MAX_CLASSES);
    return OMQ_OK;
}

static const char *class_name(const struct folder *f, size_t c)
{
    return f->classes.text + f->classes.at[c];
}

/* The classes are train's, also where only a test is to be made; without a folder
 * train they are the test's own. */
static int find_classes(struct folder *f, const char *root, bool test, struct omq_err *err)
{
    struct omq_names here = {0};
    char *train = omq_path_join(root, "train");
    bool shared = test && train && exists(train);
    int rc;

    if (!train)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    rc = list_classes(&f->classes, shared ? train : f->path, err);
    if (rc == OMQ_OK && shared)
        rc = list_classes(&here, f->path, err);
    for (size_t i = 0, c = 0; rc == OMQ_OK && i < here.n; i++) {
        const char *name = here.text + here.at[i];

        while (c < f->classes.n && strcmp(class_name(f, c), name) < 0)
            c++;
        if (c == f->classes.n || strcmp(class_name(f, c), name) != 0)
            rc = omq_fail(err, OMQ_EFORMAT, "'%.300s' has the class '%.100s', which '%.300s' has "
                          "not", f->path, name, train);
    }
    omq_names_release(&here);
    free(train);
    return rc;
}

/* ---- the pictures ---- */

static int append(struct omq_names *to, const struct omq_names *from, struct omq_err *err)
{
    int rc = OMQ_OK;

    for (size_t i = 0; rc == OMQ_OK && i < from->n; i++)
        rc = omq_names_add(to, "", from->text + from->at[i], err);
    return rc;
}

static int list_class(struct folder *f, size_t c, bool test, struct omq_err *err)
{
    struct omq_names some = {0};
    char *path = omq_path_join(f->path, class_name(f, c));
    int rc = OMQ_OK;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    if (!test || exists(path)) /* a test need not have all classes */
        rc = omq_list_pictures(&some, path, err);
    if (rc == OMQ_OK && some.n == 0 && !test)
        rc = omq_fail(err, OMQ_EFORMAT, "'%.400s' has no pictures (.jpg, .jpeg, .png): a class "
                      "needs one, or its folder must go", path);
    if (rc == OMQ_OK)
        rc = append(&f->pictures, &some, err);
    omq_names_release(&some);
    free(path);
    return rc;
}

static int list_all(struct folder *f, bool test, struct omq_raw *raw, struct omq_err *err)
{
    size_t n = f->classes.n;

    f->first = calloc(n + 1, sizeof(*f->first));
    if (!f->first)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %zu classes", n);
    for (size_t c = 0; c < n; c++) {
        int rc = list_class(f, c, test, err);

        if (rc < 0)
            return rc;
        f->first[c + 1] = (uint32_t)f->pictures.n;
    }
    if (f->pictures.n == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%.400s' has no pictures (.jpg, .jpeg, .png)", f->path);
    raw->n = (int)f->pictures.n;
    raw->n_classes = (int)n;
    raw->labels = malloc(f->pictures.n * sizeof(*raw->labels));
    if (!raw->labels)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %d labels", raw->n);
    for (size_t c = 0; c < n; c++)
        for (size_t i = f->first[c]; i < f->first[c + 1]; i++)
            raw->labels[i] = (uint16_t)c;
    f->source.fingerprint = omq_names_sum(&f->pictures, omq_names_sum(&f->classes, 0));
    return OMQ_OK;
}

static int open_split(struct folder *f, const struct omq_data_config *cfg, bool test,
                      struct omq_raw *raw, struct omq_err *err)
{
    int rc;

    if ((rc = find_split(&f->path, cfg->root, test, err)) < 0 ||
        (rc = find_classes(f, cfg->root, test, err)) < 0 ||
        (rc = list_all(f, test, raw, err)) < 0)
        return rc;
    return omq_class_names_map(&raw->names, &f->classes, cfg->root, err);
}

static int read_folder(struct omq_raw *raw, const struct omq_data_config *cfg, bool test,
                       uint64_t seed, struct omq_err *err)
{
    struct folder *f;
    int rc;

    (void)seed;
    if ((rc = omq_pictures_shape(raw, cfg, err)) < 0)
        return rc;
    f = calloc(1, sizeof(*f));
    if (!f)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of pictures");
    f->source.get = get;
    f->source.close = close_folder;
    raw->source = &f->source;
    return open_split(f, cfg, test, raw, err);
}

const struct omq_reader omq_reader_folder = {OMQ_FORMAT_FOLDER, read_folder};
