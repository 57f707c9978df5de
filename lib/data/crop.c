/* SPDX-License-Identifier: MIT
 *
 * Random boxes: what is kept of a picture, and what is erased of it. The draws
 * follow torchvision's, so that its settings mean the same here.
 */
#include <math.h>
#include <string.h>

#include "data/transform.h"

enum { TRIES = 10, ZERO_POINT = 128 };

static double between(const double range[2], struct omq_rng *r)
{
    return range[0] + omq_rng_uniform(r) * (range[1] - range[0]);
}

/* Sides of a box by its share of the area and the ratio of the first side to the
 * second. Rounded half to even, as Python does. */
static void draw_sides(double *first, double *second, int height, int width,
                       const double scale[2], const double ratio[2], struct omq_rng *r)
{
    const double logs[2] = {log(ratio[0]), log(ratio[1])};
    double area = (double)height * width * between(scale, r);
    double shape = exp(between(logs, r));

    *first = rint(sqrt(area * shape));
    *second = rint(sqrt(area / shape));
}

static void place(struct omq_box *box, int height, int width, struct omq_rng *r)
{
    box->top = (int)omq_rng_below(r, (uint32_t)(height - box->height) + 1);
    box->left = (int)omq_rng_below(r, (uint32_t)(width - box->width) + 1);
}

void omq_crop_draw(struct omq_box *box, int height, int width, const double scale[2],
                   const double ratio[2], struct omq_rng *r)
{
    double shape = (double)width / height;

    for (int i = 0; i < TRIES; i++) {
        double w, h;

        draw_sides(&w, &h, height, width, scale, ratio, r);
        if (w >= 1 && w <= width && h >= 1 && h <= height) {
            box->width = (int)w;
            box->height = (int)h;
            place(box, height, width, r);
            return;
        }
    }
    box->width = shape > ratio[1] ? (int)rint(height * ratio[1]) : width;
    box->height = shape < ratio[0] ? (int)rint(width / ratio[0]) : height;
    /* a side may be less than half a pixel, where torchvision would have none */
    if (box->width < 1)
        box->width = 1;
    if (box->height < 1)
        box->height = 1;
    box->top = (height - box->height) / 2;
    box->left = (width - box->width) / 2;
}

/* torchvision's RandomErasing.get_params(), like its crop's but with height / width;
 * false, and *box is untouched, if no box of ten is smaller than the picture. A
 * box may be empty. */
static bool erase_draw(struct omq_box *box, int height, int width, const double scale[2],
                       const double ratio[2], struct omq_rng *r)
{
    for (int i = 0; i < TRIES; i++) {
        double h, w;

        draw_sides(&h, &w, height, width, scale, ratio, r);
        if (h < height && w < width) {
            box->height = (int)h;
            box->width = (int)w;
            place(box, height, width, r);
            return true;
        }
    }
    return false;
}

void omq_erase(uint8_t *codes, int height, int width, int channels,
               const struct omq_augment_config *cfg, uint64_t seed, int epoch, uint32_t sample)
{
    size_t c = (size_t)channels, row = (size_t)width * c;
    struct omq_box box;
    struct omq_rng r;

    if (!(cfg->random_erasing.probability > 0))
        return;
    omq_rng_init(&r, seed, OMQ_STREAM_ERASE, (uint32_t)epoch, sample);
    if (omq_rng_uniform(&r) >= cfg->random_erasing.probability ||
        !erase_draw(&box, height, width, cfg->random_erasing.scale, cfg->random_erasing.ratio,
                    &r))
        return;
    for (int y = box.top; y < box.top + box.height; y++)
        memset(codes + (size_t)y * row + (size_t)box.left * c, ZERO_POINT, (size_t)box.width * c);
}
