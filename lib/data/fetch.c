/* SPDX-License-Identifier: MIT
 *
 * The one place where a picture of a data set comes from, and the one where it
 * becomes pixels of the network's size.
 */
#include <stdlib.h>

#include "base/file.h"
#include "data/data_internal.h"
#include "data/transform.h"

enum { NAME_SIZE = 400 }; /* of a picture, for messages */

int omq_read_range(int fd, uint64_t offset, size_t n, const char *name, uint8_t **bytes,
                   struct omq_err *err)
{
    uint8_t *p;
    int rc;

    if (n > OMQ_IMAGE_MAX_FILE)
        return omq_fail(err, OMQ_EUNSUP, "'%s' has %zu bytes: the limit of a picture is %d", name,
                        n, OMQ_IMAGE_MAX_FILE);
    p = malloc(n ? n : 1);
    if (!p)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes for '%s'", n, name);
    rc = omq_read_at(fd, offset, p, n, name, err);
    if (rc < 0)
        free(p);
    else
        *bytes = p;
    return rc;
}

static int decode(const struct omq_dataset *d, uint32_t number, struct omq_image *im,
                  char name[NAME_SIZE], struct omq_err *err)
{
    uint8_t *bytes;
    size_t n_bytes;
    int rc = d->source->get(d->source, number, &bytes, &n_bytes, name, NAME_SIZE, err);

    if (rc < 0)
        return rc;
    rc = omq_image_decode(im, bytes, n_bytes, d->channels, name, err);
    free(bytes);
    return rc;
}

/* name: of a picture that was decoded. */
static int get(const struct omq_dataset *d, int i, struct omq_image *im, char name[NAME_SIZE],
               struct omq_err *err)
{
    size_t image = (size_t)d->height * (size_t)d->width * (size_t)d->channels;

    if (!d->pixels)
        return decode(d, d->in_source ? d->in_source[i] : (uint32_t)i, im, name, err);
    *im = (struct omq_image){d->height, d->width, d->channels,
                             (uint8_t *)d->pixels + (size_t)i * image};
    return OMQ_OK;
}

int omq_dataset_image(const struct omq_dataset *d, int i, struct omq_image *im,
                      struct omq_err *err)
{
    char name[NAME_SIZE];

    return get(d, i, im, name, err);
}

int omq_dataset_pixels(const struct omq_dataset *d, int i, const struct omq_draw *draw,
                       uint8_t *out, struct omq_err *err)
{
    const struct omq_transform t = {&d->cfg, d->height, d->width, d->channels, draw->train};
    struct omq_image im = {0};
    char name[NAME_SIZE];
    int rc = get(d, i, &im, name, err);

    if (rc < 0)
        return rc;
    rc = omq_transform(&t, out, &im, draw->seed, draw->epoch, (uint32_t)i, err);
    if (d->pixels)
        return rc;
    omq_image_release(&im);
    return rc < 0 ? omq_wrap(err, rc, "'%s'", name) : rc;
}

int omq_dataset_some(const struct omq_dataset *d, int i, int n)
{
    return d->pixels ? i : (int)((int64_t)i * d->n / n);
}

bool omq_dataset_may_skip(const struct omq_dataset *d, int code)
{
    return d->cfg.on_bad_image == OMQ_BAD_IMAGE_SKIP &&
           (code == OMQ_EFORMAT || code == OMQ_EUNSUP);
}
