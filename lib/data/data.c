/* SPDX-License-Identifier: MIT */
#include "data/data.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "data/data_internal.h"
#include "data/transform.h"

static const struct omq_reader *const readers[] = {
    &omq_reader_idx,
    &omq_reader_synthetic,
    &omq_reader_folder,
    &omq_reader_shards,
    &omq_reader_cifar10,
    &omq_reader_cifar100,
};

void omq_raw_release(struct omq_raw *raw)
{
    free(raw->pixels);
    if (raw->source)
        raw->source->close(raw->source);
    free(raw->in_source);
    free(raw->labels);
    free(raw->names);
    *raw = (struct omq_raw){0};
}

int omq_data_check_shape(uint64_t n, uint64_t height, uint64_t width, uint64_t channels,
                         const char *what, size_t *n_bytes, struct omq_err *err)
{
    uint64_t total;

    if (height < 1 || height > OMQ_MAX_SIDE || width < 1 || width > OMQ_MAX_SIDE)
        return omq_fail(err, OMQ_EUNSUP, "'%s': images of %llu x %llu pixels are not supported: "
                        "height and width can be 1 to %d", what, (unsigned long long)height,
                        (unsigned long long)width, OMQ_MAX_SIDE);
    if (channels < 1 || channels > OMQ_MAX_CHANNELS)
        return omq_fail(err, OMQ_EUNSUP, "'%s': images of %llu channels are not supported: there "
                        "can be 1 to %d", what, (unsigned long long)channels, OMQ_MAX_CHANNELS);
    if (n < 1)
        return omq_fail(err, OMQ_EFORMAT, "'%s': there are no images", what);
    /* an image is at most 2^30 bytes, so only n can overflow */
    if (__builtin_mul_overflow(n, height * width * channels, &total) ||
        total > OMQ_MAX_DATA_BYTES || total > SIZE_MAX / 2 || n > INT32_MAX)
        return omq_fail(err, OMQ_ENOMEM, "'%s': %llu images of %llu x %llu x %llu are more than "
                        "the limit of 4 GiB", what, (unsigned long long)n,
                        (unsigned long long)height, (unsigned long long)width,
                        (unsigned long long)channels);
    *n_bytes = (size_t)total;
    return OMQ_OK;
}

int omq_pictures_shape(struct omq_raw *raw, const struct omq_data_config *cfg,
                       struct omq_err *err)
{
    int h = cfg->size[0], w = cfg->n_size > 1 ? cfg->size[1] : h, longer = h > w ? h : w;

    if (!cfg->root[0])
        return omq_fail(err, OMQ_ECONFIG, "data.root is empty: name the folder of the pictures");
    if (cfg->n_size < 1 || h < 1 || w < 1)
        return omq_fail(err, OMQ_ECONFIG, "data.size is empty: pictures have any size, so the "
                        "network's must be said");
    if (cfg->resize && cfg->resize < longer)
        return omq_fail(err, OMQ_ECONFIG, "data.resize is %d: %d x %d pixels (data.size) can only "
                        "be cut from pictures of %d and more", cfg->resize, w, h, longer);
    raw->height = h;
    raw->width = w;
    raw->channels = cfg->grayscale ? 1 : 3;
    return OMQ_OK;
}

/* Lets go the memory behind the first n of what was more. */
static void *shrink(void *p, size_t n, size_t size)
{
    void *q = n > 0 ? realloc(p, n * size) : NULL;

    return q ? q : p;
}

/* Moves the images of one role to the front, in file order; of a source, their
 * numbers in it. */
static void keep_role(struct omq_raw *raw, const uint8_t *role, enum omq_role keep)
{
    size_t image = (size_t)raw->height * (size_t)raw->width * (size_t)raw->channels;
    size_t n = 0;

    for (size_t i = 0; i < (size_t)raw->n; i++) {
        if (role[i] != keep)
            continue;
        if (raw->source)
            raw->in_source[n] = (uint32_t)i;
        else if (i != n)
            memcpy(raw->pixels + n * image, raw->pixels + i * image, image);
        raw->labels[n++] = raw->labels[i];
    }
    raw->n = (int)n;
    if (raw->source)
        raw->in_source = shrink(raw->in_source, n, sizeof(*raw->in_source));
    else
        raw->pixels = shrink(raw->pixels, n, image);
    raw->labels = shrink(raw->labels, n, sizeof(*raw->labels));
}

/* Cuts the training files down to the split that was asked for. */
static int take_split(struct omq_raw *raw, const struct omq_data_config *cfg,
                      enum omq_split split, uint64_t seed, struct omq_err *err)
{
    bool validation = split == OMQ_SPLIT_VALIDATION;
    int n = raw->n, rc;
    uint8_t *role;

    if (validation && !(cfg->validation > 0))
        return omq_fail(err, OMQ_ECONFIG,
                        "data.validation is 0: there are no validation images");
    if ((cfg->train_limit == 0 || cfg->train_limit >= n) && !(cfg->validation > 0))
        return OMQ_OK;
    role = malloc((size_t)n);
    if (raw->source)
        raw->in_source = malloc((size_t)n * sizeof(*raw->in_source));
    if (!role || (raw->source && !raw->in_source)) {
        free(role);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the split of %d images", n);
    }
    rc = omq_split_draw(role, raw->labels, n, raw->n_classes, cfg->train_limit, cfg->validation,
                        seed, err);
    if (rc == OMQ_OK)
        keep_role(raw, role, validation ? OMQ_ROLE_VALIDATION : OMQ_ROLE_TRAIN);
    free(role);
    if (rc == OMQ_OK && raw->n == 0)
        rc = omq_fail(err, OMQ_ECONFIG, "data.validation is %g: of %d training images that are "
                      "used there are none for %s", cfg->validation,
                      cfg->train_limit && cfg->train_limit < n ? cfg->train_limit : n,
                      validation ? "validation" : "training");
    return rc;
}

/* Numbers count as little-endian, so that the sum is the same on every machine. */
static uint32_t fingerprint(const struct omq_raw *raw)
{
    size_t image = (size_t)raw->height * (size_t)raw->width * (size_t)raw->channels;
    uLong crc = raw->source ? raw->source->fingerprint
                            : crc32_z(crc32_z(0, NULL, 0), raw->pixels, (size_t)raw->n * image);
    uint8_t le[4];

    for (int i = 0; i < raw->n; i++) {
        if (raw->in_source) {
            omq_put_le32(le, raw->in_source[i]);
            crc = crc32_z(crc, le, 4);
        }
        omq_put_le16(le, raw->labels[i]);
        crc = crc32_z(crc, le, 2);
    }
    return (uint32_t)crc;
}

/* A loader would find it out too, but not before a dry run has ended. */
static int check_augment(const struct omq_raw *raw, const struct omq_data_config *cfg,
                         struct omq_err *err)
{
    const struct omq_transform t = {cfg, raw->height, raw->width, raw->channels, true};

    return omq_transform_check(&t, err);
}

int omq_dataset_open(struct omq_dataset **out, const struct omq_data_config *cfg,
                     enum omq_split split, uint64_t seed, struct omq_err *err)
{
    const struct omq_reader *reader = NULL;
    struct omq_raw raw = {0};
    struct omq_dataset *d;
    int rc;

    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        if (readers[i]->format == cfg->format)
            reader = readers[i];
    if (!reader)
        return omq_fail(err, OMQ_EARG, "there is no reader for data format number %d",
                        (int)cfg->format);
    rc = reader->read(&raw, cfg, split == OMQ_SPLIT_TEST, seed, err);
    if (rc == OMQ_OK && split != OMQ_SPLIT_TEST)
        rc = take_split(&raw, cfg, split, seed, err);
    if (rc == OMQ_OK && split == OMQ_SPLIT_TRAIN)
        rc = check_augment(&raw, cfg, err);
    if (rc < 0)
        goto err_raw;
    if (!raw.names)
        raw.names = omq_class_names_number(raw.n_classes);
    d = raw.names ? malloc(sizeof(*d)) : NULL;
    if (!d) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a data set");
        goto err_raw;
    }
    *d = (struct omq_dataset){
        .n = raw.n, .height = raw.height, .width = raw.width, .channels = raw.channels,
        .n_classes = raw.n_classes, .pixels = raw.pixels, .labels = raw.labels,
        .class_names = raw.names, .fingerprint = fingerprint(&raw), .cfg = *cfg,
        .source = raw.source, .in_source = raw.in_source,
    };
    *out = d;
    return OMQ_OK;

err_raw:
    omq_raw_release(&raw);
    return rc;
}

void omq_dataset_close(struct omq_dataset *d)
{
    if (!d)
        return;
    free((void *)d->pixels);
    if (d->source)
        d->source->close(d->source);
    free((void *)d->in_source);
    free((void *)d->labels);
    free((void *)d->class_names);
    free(d);
}
