/* SPDX-License-Identifier: MIT
 *
 * Inside lib/data: from a decoded picture to the network's pixels, and the
 * random changes on the way (data.augment). The order is that of torchvision
 * and timm:
 *
 *     crop -> flips -> colour jitter -> codes -> erasing -> mixup or cutmix
 *
 * Every draw is a function of the seed, the epoch and the number of the sample
 * (of the batch, where images are mixed). Each kind of change has a generator of
 * its own, so that turning one off leaves the others as they were.
 *
 * Nothing here allocates but the resizing (data/image.h). Every function may be
 * called from any thread.
 */
#ifndef OMQ_DATA_TRANSFORM_H
#define OMQ_DATA_TRANSFORM_H

#include "base/rng.h"
#include "conf/conf.h"
#include "data/image.h"

/* ---- the way to pixels (data/transform.c) ---- */

/* Pictures of one set on their way to the network. */
struct omq_transform {
    const struct omq_data_config *cfg;
    int height, width, channels; /* of the network's input */
    bool train;
};

/* Whether what cfg says can be done to images of this size; else OMQ_ECONFIG
 * with the key. */
int omq_transform_check(const struct omq_transform *t, struct omq_err *err) OMQ_WARN_UNUSED;

/* A decoded picture of any size and of t->channels to out[height][width][channels].
 * A test sees what omq_image_fit() makes of it with cfg->resize (0: with the longer
 * one of height and width). So does training, unless cfg->augment has
 * random_resized_crop; then comes what else it has, up to the colours, as (seed,
 * epoch, sample) say. */
int omq_transform(const struct omq_transform *t, uint8_t *out, const struct omq_image *in,
                  uint64_t seed, int epoch, uint32_t sample, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- moves (data/augment.c) ---- */

struct omq_move {
    int down, right; /* where the part that is kept lies: -crop_padding to crop_padding */
    bool hflip, vflip;
};
void omq_move_draw(struct omq_move *m, const struct omq_augment_config *cfg, uint64_t seed,
                   int epoch, uint32_t sample);

/* One image [height][width][channels] to another: moved, what comes in from
 * outside being pixel value 0, and then mirrored. */
void omq_move_apply(uint8_t *out, const uint8_t *in, int height, int width, int channels,
                    const struct omq_move *m);

/* Mirrors pixels [height][width][channels] in place. */
void omq_flip(uint8_t *pixels, int height, int width, int channels, bool horizontal,
              bool vertical);

/* ---- boxes (data/crop.c) ---- */

/* torchvision's RandomResizedCrop.get_params() for a picture of height x width:
 * up to ten times an area (a share of the picture, uniform in scale) and width
 * / height (uniform in ratio by its logarithm), until the box fits; else the
 * largest centred box within ratio. */
void omq_crop_draw(struct omq_box *box, int height, int width, const double scale[2],
                   const double ratio[2], struct omq_rng *r);

/* With the probability that cfg says, the codes in a box become the zero point,
 * which is the mean colour. */
void omq_erase(uint8_t *codes, int height, int width, int channels,
               const struct omq_augment_config *cfg, uint64_t seed, int epoch, uint32_t sample);

/* ---- colour (data/jitter.c) ---- */

enum { OMQ_BRIGHTNESS, OMQ_CONTRAST, OMQ_SATURATION, OMQ_HUE, OMQ_N_COLORS };

struct omq_jitter {
    int n, order[OMQ_N_COLORS];  /* what is done, from first to last */
    double factor[OMQ_N_COLORS]; /* as torchvision's adjust_* take it: 1 (hue: 0) is no change */
};

/* The factors of torchvision's ColorJitter, in random order; those that cfg has
 * at 0 are left out. */
void omq_jitter_draw(struct omq_jitter *j, const struct omq_augment_config *cfg, uint64_t seed,
                     int epoch, uint32_t sample);

/* n pixels of 1 or 3 channels, in place, to the bytes that torchvision makes of
 * a Pillow image: brightness, contrast and saturation as ImageEnhance, hue by
 * way of 8-bit HSV. Grey has no saturation and no hue. */
void omq_jitter_apply(uint8_t *pixels, size_t n, int channels, const struct omq_jitter *j);

/* ---- images of a batch with each other (data/mix.c) ---- */

/* A draw from Beta(alpha, alpha), alpha > 0: in [0, 1]. */
double omq_beta_draw(double alpha, struct omq_rng *r);

/* The batch codes[n][height][width][channels] with itself reversed, as timm does:
 * mixup blends image i with image n - 1 - i, cutmix swaps a box between them; where
 * cfg has both, each batch is given to one of them. Returns the share that is left
 * of each image, and so of its label; 1, and codes as they were, if cfg has neither. */
double omq_mix(uint8_t *codes, int n, int height, int width, int channels,
               const struct omq_augment_config *cfg, uint64_t seed, int epoch, uint32_t batch);

#endif
