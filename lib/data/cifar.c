/* SPDX-License-Identifier: MIT
 *
 * format: cifar10 and cifar100. The binary versions: records of a label (CIFAR-100:
 * one of 20 coarse classes, then one of 100 fine ones, which is the label here)
 * and three planes of 32 x 32 pixels, red, green and blue.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/data_internal.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, IMAGE = 3 * PLANE, BLOCK = 64 /* records read at once */ };

struct cifar {
    const char *folder;         /* that the archive unpacks to */
    const char *const *train, *const *test;
    const char *names;          /* of the classes, one a line */
    int n_labels, limits[2];    /* bytes before the pixels; the last is the label */
};

static const char *const train10[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                      "data_batch_4.bin", "data_batch_5.bin", NULL};
static const char *const test10[] = {"test_batch.bin", NULL};
static const char *const train100[] = {"train.bin", NULL};
static const char *const test100[] = {"test.bin", NULL};

static const struct cifar cifar10 = {"cifar-10-batches-bin", train10, test10, "batches.meta.txt",
                                     1, {10, 0}};
static const struct cifar cifar100 = {"cifar-100-binary", train100, test100,
                                      "fine_label_names.txt", 2, {20, 100}};

static int n_classes(const struct cifar *c) { return c->limits[c->n_labels - 1]; }

/* One record to image number i of raw. */
static int take_record(struct omq_raw *raw, const struct cifar *c, const uint8_t *p, int i,
                       int number, const char *name, struct omq_err *err)
{
    uint8_t *out = raw->pixels + (size_t)i * IMAGE;

    for (int k = 0; k < c->n_labels; k++)
        if (p[k] >= c->limits[k])
            return omq_fail(err, OMQ_EFORMAT, "'%s': record %d has the label %d, expected 0 to %d",
                            name, number, p[k], c->limits[k] - 1);
    raw->labels[i] = p[c->n_labels - 1];
    p += c->n_labels;
    for (int k = 0; k < PLANE; k++)
        for (int ch = 0; ch < 3; ch++)
            *out++ = p[ch * PLANE + k];
    return OMQ_OK;
}

static int reserve(struct omq_raw *raw, size_t n, const char *name, struct omq_err *err)
{
    size_t n_bytes;
    uint8_t *pixels;
    uint16_t *labels;
    int rc = omq_data_check_shape((uint64_t)raw->n + n, SIDE, SIDE, 3, name, &n_bytes, err);

    if (rc < 0)
        return rc;
    pixels = realloc(raw->pixels, n_bytes);
    if (pixels)
        raw->pixels = pixels;
    labels = realloc(raw->labels, ((size_t)raw->n + n) * sizeof(*labels));
    if (labels)
        raw->labels = labels;
    if (!pixels || !labels)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes for '%s'", n_bytes, name);
    return OMQ_OK;
}

static int read_records(struct omq_raw *raw, const struct cifar *c, int fd, uint64_t size,
                        const char *name, struct omq_err *err)
{
    size_t record = (size_t)c->n_labels + IMAGE, n;
    int rc;

    if (size == 0 || size % record)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has %llu bytes, which are no records of %zu", name,
                        (unsigned long long)size, record);
    n = (size_t)(size / record);
    if ((rc = reserve(raw, n, name, err)) < 0)
        return rc;
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t some = n - i < BLOCK ? n - i : BLOCK;
        uint8_t *p;

        if ((rc = omq_read_range(fd, i * record, some * record, name, &p, err)) < 0)
            return rc;
        for (size_t k = 0; rc == OMQ_OK && k < some; k++)
            rc = take_record(raw, c, p + k * record, raw->n + (int)(i + k), (int)(i + k), name,
                             err);
        free(p);
        if (rc < 0)
            return rc;
    }
    raw->n += (int)n;
    return OMQ_OK;
}

int omq_cifar_read(struct omq_raw *raw, int fd, uint64_t size, const char *name, bool fine,
                   struct omq_err *err)
{
    return read_records(raw, fine ? &cifar100 : &cifar10, fd, size, name, err);
}

static int read_file(struct omq_raw *raw, const struct cifar *c, const char *dir,
                     const char *file, struct omq_err *err)
{
    char *path = omq_path_join(dir, file);
    uint64_t size;
    int fd, rc;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    fd = omq_open_regular(path, &size, err);
    rc = fd < 0 ? fd : read_records(raw, c, fd, size, path, err);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

/* The names of the classes, if their file is there. */
static int read_names(struct omq_raw *raw, const struct cifar *c, const char *dir,
                      struct omq_err *err)
{
    char *path = NULL;
    uint8_t *text = NULL;
    size_t n_bytes;
    int n, rc = omq_class_names_read(&text, &n_bytes, &path, dir, c->names, err);

    if (rc <= 0)
        return rc;
    rc = omq_class_names_parse(&raw->names, &n, text, n_bytes, path, err);
    if (rc == OMQ_OK && n != raw->n_classes)
        rc = omq_fail(err, OMQ_EFORMAT, "'%s' names %d classes, expected %d", path, n,
                      raw->n_classes);
    free(text);
    free(path);
    return rc;
}

/* root, or the folder in it that the archive unpacks to. */
static int find_folder(char **dir, const struct cifar *c, const char *root, struct omq_err *err)
{
    char *below = omq_path_join(root, c->folder);

    *dir = NULL;
    if (below && access(below, F_OK) == 0) {
        *dir = below;
        return OMQ_OK;
    }
    free(below);
    *dir = below ? strdup(root) : NULL;
    return *dir ? OMQ_OK : omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
}

static int read_cifar(struct omq_raw *raw, const struct cifar *c,
                      const struct omq_data_config *cfg, bool test, struct omq_err *err)
{
    const char *const *files = test ? c->test : c->train;
    char *dir;
    int rc;

    if (!cfg->root[0])
        return omq_fail(err, OMQ_ECONFIG, "data.root is empty: name the folder of %s", files[0]);
    raw->height = raw->width = SIDE;
    raw->channels = 3;
    raw->n_classes = n_classes(c);
    rc = find_folder(&dir, c, cfg->root, err);
    for (int i = 0; rc == OMQ_OK && files[i]; i++)
        rc = read_file(raw, c, dir, files[i], err);
    if (rc == OMQ_OK)
        rc = read_names(raw, c, dir, err);
    free(dir);
    return rc;
}

static int read_cifar10(struct omq_raw *raw, const struct omq_data_config *cfg, bool test,
                        uint64_t seed, struct omq_err *err)
{
    (void)seed;
    return read_cifar(raw, &cifar10, cfg, test, err);
}

static int read_cifar100(struct omq_raw *raw, const struct omq_data_config *cfg, bool test,
                         uint64_t seed, struct omq_err *err)
{
    (void)seed;
    return read_cifar(raw, &cifar100, cfg, test, err);
}

const struct omq_reader omq_reader_cifar10 = {OMQ_FORMAT_CIFAR10, read_cifar10};
const struct omq_reader omq_reader_cifar100 = {OMQ_FORMAT_CIFAR100, read_cifar100};
