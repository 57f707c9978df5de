/* SPDX-License-Identifier: MIT
 *
 * Pictures: JPEG and PNG in memory to pixels, and pixels to another size. Both
 * give the bytes that Pillow gives, because published accuracies were measured
 * on those: decoding as Image.open(f).convert("L" or "RGB"), sizes as
 * Image.resize() and torchvision's Resize and CenterCrop. The format is told by
 * the first bytes, never by the name.
 *
 * A picture that is cut off or damaged is an error (OMQ_EFORMAT); one beyond
 * the limits, or of a kind that is not read, is OMQ_EUNSUP. On failure *out is
 * untouched. Every function may be called from any thread.
 *
 * Memory: 3 bytes a pixel for the result (1 for grey), at most 192 MiB. Besides
 * that, while decoding a JPEG of several scans, up to 8 bytes a pixel (512 MiB);
 * a PNG, 32 MiB; else a few rows. Resizing needs as much again between its two
 * passes, and the filter. What a header claims is compared with the limits, and
 * with the most that so many bytes can hold, before anything is allocated for it.
 */
#ifndef OMQ_DATA_IMAGE_H
#define OMQ_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    OMQ_IMAGE_MAX_SIDE = 65500,    /* the most that libjpeg can do */
    OMQ_IMAGE_MAX_PIXELS = 1 << 26,
    OMQ_IMAGE_MAX_FILE = 1 << 28,  /* bytes of a file that is read */
};

struct omq_image {
    int height, width, channels; /* channels: 1 (grey) or 3 (RGB) */
    uint8_t *pixels;             /* [height][width][channels], from malloc */
};

/* Frees the pixels; the struct is zero then. A zeroed struct is fine. */
void omq_image_release(struct omq_image *im);

/* Whether it begins as a picture of a kind that is read. */
bool omq_image_is_known(const uint8_t *bytes, size_t n_bytes);

/* A picture of n_bytes in memory; name stands for it in messages. channels: 1
 * for ITU-R 601 luma, 3 for RGB. Alpha and palettes' transparency are dropped,
 * colour profiles, gamma and EXIF orientation not applied, and 16-bit grey is
 * cut off at 255, all as in Pillow. The caller releases *out. */
int omq_image_decode(struct omq_image *out, const uint8_t *bytes, size_t n_bytes, int channels,
                     const char *name, struct omq_err *err) OMQ_WARN_UNUSED;

enum omq_resample { OMQ_BILINEAR, OMQ_BICUBIC };

/* Part of a picture, from its upper left corner on. */
struct omq_box {
    int top, left, height, width;
};

/* The pixels in box, which lies inside of in, resized as if they were a picture
 * of their own: out[height][width][in->channels]. Antialiased: a filter as wide as
 * the step from one output pixel to the next, along rows and then along columns,
 * each rounded to 8 bits. Other than 1 or 3 channels are OMQ_EARG; sizes beyond the
 * limits, of the result or between the two passes, OMQ_EUNSUP. */
int omq_image_crop(uint8_t *out, const struct omq_image *in, const struct omq_box *box, int height,
                   int width, enum omq_resample filter, struct omq_err *err) OMQ_WARN_UNUSED;

/* Makes *im a picture of height x width: its shorter side is resized to `side`
 * pixels, the other by the same factor, rounded down, and height x width pixels
 * are cut from the centre; what is cut off is never computed. A picture that is
 * height x width already is left as it is if side is the longer of them. Where
 * less than height x width would be there to cut from (never, if side is not less
 * than either) it is OMQ_EUNSUP. On failure *im is untouched. */
int omq_image_fit(struct omq_image *im, int side, int height, int width,
                  enum omq_resample filter, struct omq_err *err) OMQ_WARN_UNUSED;

/* The same to out[height][width][in->channels]; in stays as it is. */
int omq_image_fit_to(uint8_t *out, const struct omq_image *in, int side, int height, int width,
                     enum omq_resample filter, struct omq_err *err) OMQ_WARN_UNUSED;

#endif
