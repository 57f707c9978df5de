/* SPDX-License-Identifier: MIT
 *
 * format: shards. Tar files in the layout of WebDataset: members one behind the
 * other whose names are the same up to the first dot are a sample, of a picture
 * (.jpg, .jpeg, .png) and its class as a decimal number (.cls). Opening reads
 * headers and classes; pictures are read where they lie when they are asked for.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "data/data_internal.h"
#include "data/untar.h"

struct place {
    uint64_t offset;
    uint32_t size, shard;
};

struct shards {
    struct omq_pictures source;
    char *root;
    struct omq_names files;   /* the shards */
    uint64_t *file_size;      /* [files.n] */
    struct omq_names keys;    /* of the samples: names up to the dot, with ending */
    struct place *places;     /* [keys.n] */
    uint16_t *labels;         /* [keys.n], until they are handed over */
    size_t cap;               /* of both */
};

/* ---- files ---- */

static const char *file_name(const struct shards *s, size_t shard)
{
    return s->files.text + s->files.at[shard];
}

/* Opens a shard; name gets its path for messages. */
static int open_shard(const struct shards *s, size_t shard, char *name, size_t name_size,
                      uint64_t *size, struct omq_err *err)
{
    char *path = omq_path_join(s->root, file_name(s, shard));
    int fd;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    snprintf(name, name_size, "%s", path);
    fd = omq_open_regular(path, size, err);
    free(path);
    return fd;
}

static int get(const struct omq_pictures *source, uint32_t i, uint8_t **bytes, size_t *n_bytes,
               char *name, size_t name_size, struct omq_err *err)
{
    const struct shards *s = (const struct shards *)source;
    const struct place *p = &s->places[i];
    char shard[300];
    uint64_t size = 0;
    int fd, rc;

    if ((fd = open_shard(s, p->shard, shard, sizeof(shard), &size, err)) < 0)
        return fd;
    snprintf(name, name_size, "%s: %s", shard, s->keys.text + s->keys.at[i]);
    if (size != s->file_size[p->shard])
        rc = omq_fail(err, OMQ_EIO, "'%s' is not the file any more that it was", shard);
    else
        rc = omq_read_range(fd, p->offset, p->size, name, bytes, err);
    *n_bytes = p->size;
    close(fd);
    return rc;
}

static void close_shards(struct omq_pictures *source)
{
    struct shards *s = (struct shards *)source;

    omq_names_release(&s->files);
    omq_names_release(&s->keys);
    free(s->file_size);
    free(s->places);
    free(s->labels);
    free(s->root);
    free(s);
}

/* ---- samples ---- */

struct sample {
    char key[OMQ_UNTAR_NAME]; /* empty: none has begun */
    char ending[8];         /* of the picture; empty: none yet */
    struct place place;
    int label;              /* -1: no class yet */
};

static int reserve(struct shards *s, struct omq_err *err)
{
    size_t want = s->cap ? s->cap + s->cap / 2 : 1024;
    struct place *places;
    uint16_t *labels;

    if (s->keys.n < s->cap)
        return OMQ_OK;
    places = realloc(s->places, want * sizeof(*places));
    if (places)
        s->places = places;
    labels = realloc(s->labels, want * sizeof(*labels));
    if (labels)
        s->labels = labels;
    if (!places || !labels)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an index of %zu samples", want);
    s->cap = want;
    return OMQ_OK;
}

/* A sample is complete, or was none: an index or a README has neither. */
static int end_sample(struct shards *s, struct sample *now, const char *shard,
                      struct omq_err *err)
{
    int rc;

    if (!now->ending[0] && now->label < 0) {
        now->key[0] = 0;
        return OMQ_OK;
    }
    if (!now->ending[0] || now->label < 0)
        return omq_fail(err, OMQ_EFORMAT, "'%s': the sample '%.150s' has no %s: its members must "
                        "follow each other", shard, now->key,
                        now->label < 0 ? "class (.cls)" : "picture (.jpg, .jpeg, .png)");
    if ((rc = reserve(s, err)) < 0)
        return rc;
    s->places[s->keys.n] = now->place;
    s->labels[s->keys.n] = (uint16_t)now->label;
    rc = omq_names_add(&s->keys, now->key, now->ending, err);
    *now = (struct sample){.label = -1};
    return rc;
}

/* "17\n" */
static int read_class(int fd, const struct omq_untar_member *m, const char *shard, int *label,
                      struct omq_err *err)
{
    uint8_t *text = NULL;
    size_t n = m->size < 16 ? (size_t)m->size : 16, i = 0;
    int v = 0, rc = omq_read_range(fd, m->offset, n, shard, &text, err);

    if (rc < 0)
        return rc;
    for (; i < n && text[i] >= '0' && text[i] <= '9' && v < OMQ_MAX_CLASSES; i++)
        v = 10 * v + (text[i] - '0');
    while (n > i && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
        n--;
    free(text);
    if (i == 0 || i != n || m->size > 16 || v >= OMQ_MAX_CLASSES)
        return omq_fail(err, OMQ_EFORMAT, "'%s': '%.150s' is no class: expected a number from 0 to "
                        "%d", shard, m->name, OMQ_MAX_CLASSES - 1);
    *label = v;
    return OMQ_OK;
}

static int twice(const char *shard, const struct omq_untar_member *m, struct omq_err *err)
{
    return omq_fail(err, OMQ_EFORMAT, "'%s': '%.150s' is the second of its kind in a sample", shard,
                    m->name);
}

static int add_member(struct shards *s, struct sample *now, int fd, uint32_t shard,
                      const char *name, const struct omq_untar_member *m, struct omq_err *err)
{
    const char *slash = strrchr(m->name, '/'), *base = slash ? slash + 1 : m->name;
    const char *dot = strchr(base, '.');
    size_t n_key = dot ? (size_t)(dot - m->name) : 0;
    int rc;

    if (!dot || dot == base) /* no ending, or hidden */
        return OMQ_OK;
    if (strlen(now->key) != n_key || memcmp(now->key, m->name, n_key) != 0) {
        if ((rc = end_sample(s, now, name, err)) < 0)
            return rc;
        memcpy(now->key, m->name, n_key);
        now->key[n_key] = 0;
    }
    if (strcasecmp(dot, ".cls") == 0)
        return now->label >= 0 ? twice(name, m, err) : read_class(fd, m, name, &now->label, err);
    if (!omq_is_picture(dot))
        return OMQ_OK;
    if (now->ending[0])
        return twice(name, m, err);
    /* one that is too large or has nothing in it is as damaged as any other */
    now->place = (struct place){m->offset, m->size > OMQ_IMAGE_MAX_FILE ? OMQ_IMAGE_MAX_FILE + 1
                                                                        : (uint32_t)m->size, shard};
    snprintf(now->ending, sizeof(now->ending), "%s", dot);
    return OMQ_OK;
}

static int index_fd(struct shards *s, int fd, uint64_t size, uint32_t shard, const char *name,
                    struct omq_err *err)
{
    struct sample now = {.label = -1};
    struct omq_untar_member m;
    struct omq_untar t;
    int rc;

    omq_untar_open(&t, fd, size, name);
    while ((rc = omq_untar_next(&t, &m, err)) > 0)
        if ((rc = add_member(s, &now, fd, shard, name, &m, err)) < 0)
            return rc;
    return rc < 0 ? rc : end_sample(s, &now, name, err);
}

/* ---- opening ---- */

/* Shards of the split: of test and val the first that has some. */
static int find_files(struct shards *s, const struct omq_data_config *cfg, bool test,
                      struct omq_err *err)
{
    static const char *const train_names[] = {"train-", NULL};
    static const char *const test_names[] = {"test-", "val-", NULL};
    const char *const *names = test ? test_names : train_names;

    for (int i = 0; names[i] && s->files.n == 0; i++) {
        char begin[128];
        int rc;

        snprintf(begin, sizeof(begin), "%s%s", cfg->prefix, names[i]);
        if ((rc = omq_list_files(&s->files, cfg->root, begin, ".tar", err)) < 0)
            return rc;
    }
    if (s->files.n > 0)
        return OMQ_OK;
    return omq_fail(err, OMQ_EIO, "there are no shards '%.300s/%s%s*.tar'%s (data.root)", cfg->root,
                    cfg->prefix, names[0], test ? " or val-*.tar" : "");
}

static int index_all(struct shards *s, struct omq_err *err)
{
    s->file_size = calloc(s->files.n, sizeof(*s->file_size));
    if (!s->file_size)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of %zu shards", s->files.n);
    for (size_t i = 0; i < s->files.n; i++) {
        char name[300];
        int fd = open_shard(s, i, name, sizeof(name), &s->file_size[i], err), rc;

        if (fd < 0)
            return fd;
        rc = index_fd(s, fd, s->file_size[i], (uint32_t)i, name, err);
        close(fd);
        if (rc < 0)
            return rc;
    }
    if (s->keys.n == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%.300s' and its like have no samples",
                        file_name(s, 0));
    return OMQ_OK;
}

/* The labels become raw's. */
static void hand_over(struct shards *s, struct omq_raw *raw)
{
    raw->n = (int)s->keys.n;
    raw->labels = s->labels;
    s->labels = NULL;
    for (int i = 0; i < raw->n; i++)
        if (raw->labels[i] >= raw->n_classes)
            raw->n_classes = raw->labels[i] + 1;
    s->source.fingerprint = omq_names_sum(&s->keys, omq_names_sum(&s->files, 0));
}

static struct shards *new_shards(struct omq_raw *raw)
{
    struct shards *s = calloc(1, sizeof(*s));

    if (s) {
        s->source.get = get;
        s->source.close = close_shards;
        raw->source = &s->source;
    }
    return s;
}

int omq_shard_index(struct omq_raw *raw, int fd, uint64_t size, const char *name,
                    struct omq_err *err)
{
    struct shards *s = new_shards(raw);
    int rc;

    if (!s)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an index of shards");
    rc = index_fd(s, fd, size, 0, name, err);
    if (rc == OMQ_OK)
        hand_over(s, raw);
    return rc;
}

static int read_shards(struct omq_raw *raw, const struct omq_data_config *cfg, bool test,
                       uint64_t seed, struct omq_err *err)
{
    struct shards *s;
    int rc;

    (void)seed;
    if ((rc = omq_pictures_shape(raw, cfg, err)) < 0)
        return rc;
    s = new_shards(raw);
    if (!s || !(s->root = strdup(cfg->root)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an index of shards");
    if ((rc = find_files(s, cfg, test, err)) < 0 || (rc = index_all(s, err)) < 0)
        return rc;
    hand_over(s, raw);
    return omq_class_names_of(raw, cfg->root, err);
}

const struct omq_reader omq_reader_shards = {OMQ_FORMAT_SHARDS, read_shards};
