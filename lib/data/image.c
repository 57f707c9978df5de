/* SPDX-License-Identifier: MIT */
#include "data/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/data_internal.h"

static const struct omq_image_format *const formats[] = {
    &omq_image_jpeg,
    &omq_image_png,
};
enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

void omq_image_release(struct omq_image *im)
{
    free(im->pixels);
    *im = (struct omq_image){0};
}

int omq_image_check_size(uint64_t height, uint64_t width, const char *name, struct omq_err *err)
{
    if (height < 1 || width < 1)
        return omq_fail(err, OMQ_EFORMAT, "'%s' claims a size of %llu x %llu pixels", name,
                        (unsigned long long)width, (unsigned long long)height);
    if (height > OMQ_IMAGE_MAX_SIDE || width > OMQ_IMAGE_MAX_SIDE ||
        height * width > OMQ_IMAGE_MAX_PIXELS)
        return omq_fail(err, OMQ_EUNSUP, "'%s' has %llu x %llu pixels: the limits are %d a side "
                        "and %d in all", name, (unsigned long long)width,
                        (unsigned long long)height, OMQ_IMAGE_MAX_SIDE, OMQ_IMAGE_MAX_PIXELS);
    return OMQ_OK;
}

int omq_image_alloc(struct omq_image *im, int height, int width, int channels,
                    struct omq_err *err)
{
    size_t n;
    uint8_t *pixels;

    if (!omq_mul_size((size_t)height, (size_t)width, &n) ||
        !omq_mul_size(n, (size_t)channels, &n) || !(pixels = malloc(n)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a picture of %d x %d pixels", width,
                        height);
    *im = (struct omq_image){height, width, channels, pixels};
    return OMQ_OK;
}

/* "starts with 47 49 46 38", for a file that is no picture we know. */
static int unknown_format(const uint8_t *bytes, size_t n_bytes, const char *name,
                          struct omq_err *err)
{
    if (n_bytes < 4)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is not a picture: it has only %zu byte%s", name,
                        n_bytes, n_bytes == 1 ? "" : "s");
    return omq_fail(err, OMQ_EFORMAT, "'%s' is neither a JPEG nor a PNG picture: it starts with "
                    "%02x %02x %02x %02x", name, bytes[0], bytes[1], bytes[2], bytes[3]);
}

static const struct omq_image_format *find_format(const uint8_t *bytes, size_t n_bytes)
{
    for (int i = 0; i < N_FORMATS; i++)
        if (n_bytes >= (size_t)formats[i]->n_magic &&
            memcmp(bytes, formats[i]->magic, (size_t)formats[i]->n_magic) == 0)
            return formats[i];
    return NULL;
}

bool omq_image_is_known(const uint8_t *bytes, size_t n_bytes)
{
    return find_format(bytes, n_bytes) != NULL;
}

int omq_image_decode(struct omq_image *out, const uint8_t *bytes, size_t n_bytes, int channels,
                     const char *name, struct omq_err *err)
{
    const struct omq_image_format *f;

    if (channels != 1 && channels != 3)
        return omq_fail(err, OMQ_EARG, "cannot decode '%s' to %d channels: 1 or 3 are possible",
                        name, channels);
    f = find_format(bytes, n_bytes);
    return f ? f->decode(out, bytes, n_bytes, channels, name, err)
             : unknown_format(bytes, n_bytes, name, err);
}
