/* SPDX-License-Identifier: MIT
 *
 * Pictures of any bytes, as grey and as RGB: an error with a message, or pixels
 * of the size that is said, which are then resized, cropped and changed at random.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "data/transform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMALL = 1 << 14 }; /* pixels of what is worth the time to resize */

/* Every byte is there to be read. */
static void touch(const struct omq_image *im)
{
    size_t n = (size_t)im->height * (size_t)im->width * (size_t)im->channels, sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += im->pixels[i];
    check(n > 0 && sum <= 255 * n);
}

/* A training's view of it, with everything that augmentation has. */
static void change_at_random(const struct omq_image *im, int h, int w, int epoch, uint32_t sample)
{
    const struct omq_data_config cfg = {
        .augment = {
            .hflip = 0.5,
            .vflip = 0.5,
            .random_resized_crop = {true, 2, 2, {0.001, 1}, {0.1, 10}},
            .color_jitter = {1, 2, 3, 0.5},
            .random_erasing = {1, 2, 2, {0, 1}, {0.1, 10}},
        },
    };
    const struct omq_transform t = {&cfg, h, w, im->channels, true};
    struct omq_image out = {h, w, im->channels, malloc((size_t)h * (size_t)w * 3)};
    struct omq_err err = {0};

    check_said(out.pixels && omq_transform(&t, out.pixels, im, 1, epoch, sample, &err) == OMQ_OK);
    omq_erase(out.pixels, h, w, im->channels, &cfg.augment, 1, epoch, sample);
    touch(&out);
    omq_image_release(&out);
}

static void change_size(struct omq_image *im, const uint8_t *data, size_t size)
{
    enum omq_resample filter = size % 2 ? OMQ_BICUBIC : OMQ_BILINEAR;
    int h = 1 + data[size / 2] % 64, w = 1 + data[size - 1] % 64, side = h > w ? h : w;
    const struct omq_box all = {0, 0, im->height, im->width};
    struct omq_image other = {h, w, im->channels, malloc((size_t)h * (size_t)w * 3)};
    struct omq_err err = {0};

    check(other.pixels != NULL);
    if (omq_image_crop(other.pixels, im, &all, h, w, filter, &err) == OMQ_OK)
        touch(&other);
    omq_image_release(&other);
    change_at_random(im, h, w, data[0], (uint32_t)size);
    check_said(omq_image_fit(im, side, h, w, filter, &err) == OMQ_OK);
    check(im->height == h && im->width == w);
    touch(im);
}

static int decode(const uint8_t *data, size_t size, int channels)
{
    struct omq_image im = {.height = -1};
    struct omq_err err = {0};

    if (omq_image_decode(&im, data, size, channels, "input", &err) < 0) {
        check_said(im.height == -1 && err.code < 0 && strstr(err.msg, "'input'"));
        return err.code;
    }
    check(im.height > 0 && im.width > 0 && im.channels == channels);
    touch(&im);
    if (im.height * im.width <= SMALL)
        change_size(&im, data, size);
    omq_image_release(&im);
    return OMQ_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(decode(data, size, 1) == decode(data, size, 3));
    return 0;
}
