/* SPDX-License-Identifier: MIT
 *
 * The way of one picture to the network's pixels.
 */
#include "data/transform.h"

#include <stdlib.h>
#include <string.h>

#include "data/data_internal.h"

int omq_transform_check(const struct omq_transform *t, struct omq_err *err)
{
    const struct omq_augment_config *a = &t->cfg->augment;
    int shorter = t->height < t->width ? t->height : t->width;
    bool colors = a->color_jitter.brightness > 0 || a->color_jitter.contrast > 0 ||
                  a->color_jitter.saturation > 0 || a->color_jitter.hue > 0;

    if (!t->train)
        return OMQ_OK;
    if (a->crop_padding < 0 || a->crop_padding >= shorter)
        return omq_fail(err, OMQ_ECONFIG, "data.augment.crop_padding is %d: for images of %d x "
                        "%d it can be 0 to %d", a->crop_padding, t->height, t->width, shorter - 1);
    if (t->channels != 1 && t->channels != 3 && (colors || a->random_resized_crop.enabled))
        return omq_fail(err, OMQ_ECONFIG, "data.augment.%s needs images of 1 or 3 channels, but "
                        "they have %d", colors ? "color_jitter" : "random_resized_crop",
                        t->channels);
    return OMQ_OK;
}

static enum omq_resample filter(const struct omq_transform *t)
{
    return t->cfg->interpolation == OMQ_INTERPOLATION_BICUBIC ? OMQ_BICUBIC : OMQ_BILINEAR;
}

/* What the shorter side of a test's picture is resized to. */
static int test_side(const struct omq_transform *t)
{
    return t->cfg->resize ? t->cfg->resize : t->height > t->width ? t->height : t->width;
}

/* What a test sees. */
static int fit(const struct omq_transform *t, uint8_t *out, const struct omq_image *in,
               struct omq_err *err)
{
    return omq_image_fit_to(out, in, test_side(t), t->height, t->width, filter(t), err);
}

/* What a test sees, moved and mirrored. Only where it has to be made and then
 * moved is there a copy in between. */
static int move(const struct omq_transform *t, uint8_t *out, const struct omq_image *in,
                const struct omq_move *m, struct omq_err *err)
{
    int longer = t->height > t->width ? t->height : t->width;
    uint8_t *fitted;
    int rc;

    if (in->height == t->height && in->width == t->width && test_side(t) == longer) {
        omq_move_apply(out, in->pixels, t->height, t->width, t->channels, m);
        return OMQ_OK;
    }
    if (m->down == 0 && m->right == 0) {
        rc = fit(t, out, in, err);
        if (rc == OMQ_OK)
            omq_flip(out, t->height, t->width, t->channels, m->hflip, m->vflip);
        return rc;
    }
    fitted = malloc((size_t)t->height * (size_t)t->width * (size_t)t->channels);
    if (!fitted)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a picture of %d x %d pixels", t->width,
                        t->height);
    rc = fit(t, fitted, in, err);
    if (rc == OMQ_OK)
        omq_move_apply(out, fitted, t->height, t->width, t->channels, m);
    free(fitted);
    return rc;
}

static int crop(const struct omq_transform *t, uint8_t *out, const struct omq_image *in,
                const struct omq_move *m, struct omq_rng *r, struct omq_err *err)
{
    const struct omq_augment_config *a = &t->cfg->augment;
    struct omq_box box;
    int rc;

    omq_crop_draw(&box, in->height, in->width, a->random_resized_crop.scale,
                  a->random_resized_crop.ratio, r);
    rc = omq_image_crop(out, in, &box, t->height, t->width, filter(t), err);
    if (rc == OMQ_OK)
        omq_flip(out, t->height, t->width, t->channels, m->hflip, m->vflip);
    return rc;
}

int omq_transform(const struct omq_transform *t, uint8_t *out, const struct omq_image *in,
                  uint64_t seed, int epoch, uint32_t sample, struct omq_err *err)
{
    const struct omq_augment_config *a = &t->cfg->augment;
    struct omq_jitter colors;
    struct omq_move m;
    struct omq_rng r;
    int rc;

    if (!t->train)
        return fit(t, out, in, err);
    omq_move_draw(&m, a, seed, epoch, sample);
    if (a->random_resized_crop.enabled) {
        omq_rng_init(&r, seed, OMQ_STREAM_CROP, (uint32_t)epoch, sample);
        rc = crop(t, out, in, &m, &r, err);
    } else {
        rc = move(t, out, in, &m, err);
    }
    if (rc < 0)
        return rc;
    omq_jitter_draw(&colors, a, seed, epoch, sample);
    omq_jitter_apply(out, (size_t)t->height * (size_t)t->width, t->channels, &colors);
    return OMQ_OK;
}
