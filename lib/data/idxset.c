/* SPDX-License-Identifier: MIT
 *
 * format: idx. A folder with files named as those of MNIST, Fashion-MNIST or
 * EMNIST, and, if one wishes, the names of the classes in classes.txt.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/data_internal.h"

/* Names between the prefix and the suffix; EMNIST calls the second "test". */
static const char *const train_names[] = {"train", NULL};
static const char *const test_names[] = {"t10k", "test", NULL};

static const char *const image_ends[] = {
    "-images-idx3-ubyte", "-images.idx3-ubyte", "-images-idx4-ubyte", NULL,
};
static const char *const label_ends[] = {"-labels-idx1-ubyte", "-labels.idx1-ubyte", NULL};

/* The sets of scripts/fetch-data.sh whose files have these names. */
static const char *const fetchable[] = {"fashion-mnist", "mnist", NULL};

/* "; run scripts/fetch-data.sh NAME ROOT" if root is called as what that fetches. */
static const char *fetch_hint(const struct omq_data_config *cfg, char *buf, size_t size)
{
    size_t n = strlen(cfg->root);
    const char *end = cfg->root + n;

    while (end > cfg->root && end[-1] == '/')
        end--;
    buf[0] = 0;
    for (int i = 0; fetchable[i] && !cfg->prefix[0]; i++) {
        size_t len = strlen(fetchable[i]), have = (size_t)(end - cfg->root);

        if (have >= len && memcmp(end - len, fetchable[i], len) == 0 &&
            (have == len || end[-(ptrdiff_t)len - 1] == '/'))
            snprintf(buf, size, "; run scripts/fetch-data.sh %s '%.300s'", fetchable[i], cfg->root);
    }
    return buf;
}

static int fail_missing(const struct omq_data_config *cfg, const char *what,
                        const char *const *names, const char *const *ends, struct omq_err *err)
{
    char looked[512] = "", hint[384];
    struct stat st;
    int at = 0;

    for (int i = 0; names[i]; i++)
        for (int j = 0; ends[j]; j++)
            if ((size_t)at < sizeof(looked))
                at += snprintf(looked + at, sizeof(looked) - (size_t)at, "%s%s%s%s",
                               at ? ", " : "", cfg->prefix, names[i], ends[j]);
    fetch_hint(cfg, hint, sizeof(hint));
    if (stat(cfg->root, &st) < 0)
        return omq_fail(err, OMQ_EIO, "cannot open the folder '%.300s' (data.root): %s; it should "
                        "hold %s, or the same with .gz%s", cfg->root, strerror(errno), looked,
                        hint);
    if (!S_ISDIR(st.st_mode))
        return omq_fail(err, OMQ_EIO, "'%.300s' (data.root) is not a folder; it should hold %s, or "
                        "the same with .gz%s", cfg->root, looked, hint);
    return omq_fail(err, OMQ_EIO, "cannot find the %s in '%.300s': looked for files %s, and the "
                    "same with .gz%s", what, cfg->root, looked, hint);
}

/* The path of the first of the names that exists, allocated, to *path. A folder is none: some
 * unpack each file to one. */
static int find_file(char **path, const struct omq_data_config *cfg, const char *what,
                     const char *const *names, const char *const *ends, struct omq_err *err)
{
    static const char *const packed[] = {"", ".gz"};
    struct stat st;

    for (int i = 0; names[i]; i++) {
        for (int j = 0; ends[j]; j++) {
            for (int k = 0; k < 2; k++) {
                char name[128];

                snprintf(name, sizeof(name), "%s%s%s%s", cfg->prefix, names[i], ends[j],
                         packed[k]);
                *path = omq_path_join(cfg->root, name);
                if (!*path)
                    return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
                if (stat(*path, &st) == 0 && !S_ISDIR(st.st_mode))
                    return OMQ_OK;
                free(*path);
            }
        }
    }
    return fail_missing(cfg, what, names, ends, err);
}

static int read_images(struct omq_raw *raw, const char *path, bool transpose, struct omq_err *err)
{
    struct omq_idx x;
    int rc = omq_idx_read(&x, path, OMQ_IDX_IMAGES, err);

    if (rc == OMQ_OK && transpose && (rc = omq_idx_transpose(&x, err)) < 0)
        free(x.bytes);
    if (rc < 0)
        return rc;
    raw->pixels = x.bytes;
    raw->n = (int)x.dims[0];
    raw->height = (int)x.dims[1];
    raw->width = (int)x.dims[2];
    raw->channels = x.n_dims == 4 ? (int)x.dims[3] : 1;
    return OMQ_OK;
}

static int read_labels(struct omq_raw *raw, const char *path, const char *image_path,
                       struct omq_err *err)
{
    struct omq_idx x;
    int rc = omq_idx_read(&x, path, OMQ_IDX_LABELS, err);

    if (rc < 0)
        return rc;
    if (x.dims[0] != (uint32_t)raw->n) {
        rc = omq_fail(err, OMQ_EFORMAT, "'%.300s' has %lu labels, but '%.300s' has %d images",
                      path, (unsigned long)x.dims[0], image_path, raw->n);
    } else if (!(raw->labels = malloc((size_t)raw->n * sizeof(*raw->labels)))) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate %d labels", raw->n);
    } else {
        for (int i = 0; i < raw->n; i++) {
            raw->labels[i] = x.bytes[i]; /* a byte: below OMQ_MAX_CLASSES */
            if (x.bytes[i] >= raw->n_classes)
                raw->n_classes = x.bytes[i] + 1;
        }
    }
    free(x.bytes);
    return rc;
}

static int read_idx(struct omq_raw *raw, const struct omq_data_config *cfg, bool test,
                    uint64_t seed, struct omq_err *err)
{
    const char *const *names = test ? test_names : train_names;
    char *images = NULL, *labels = NULL;
    int rc;

    (void)seed;
    if (!cfg->root[0])
        return omq_fail(err, OMQ_ECONFIG, "data.root is empty: name the folder of the idx files");
    rc = find_file(&images, cfg, test ? "test images" : "training images", names, image_ends, err);
    if (rc < 0)
        return rc;
    rc = find_file(&labels, cfg, test ? "test labels" : "training labels", names, label_ends, err);
    if (rc == OMQ_OK) {
        if ((rc = read_images(raw, images, cfg->transpose, err)) == OMQ_OK &&
            (rc = read_labels(raw, labels, images, err)) == OMQ_OK)
            rc = omq_class_names_of(raw, cfg->root, err);
        free(labels);
    }
    free(images);
    return rc;
}

const struct omq_reader omq_reader_idx = {OMQ_FORMAT_IDX, read_idx};
