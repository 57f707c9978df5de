/* SPDX-License-Identifier: MIT
 *
 * Resizing as Pillow's Image.resize() on 8-bit channels, bit for bit: each
 * output pixel is a weighted mean of the input pixels under a triangle or a
 * cubic (a = -0.5) that is stretched by the scale when it shrinks. Weights are
 * computed in double and rounded to 22 bits; the order of the operations is
 * Pillow's (src/libImaging/Resample.c), because the last bit depends on it.
 *
 * Only a window of the output is computed, and only a window of the input read,
 * so that a crop costs what is seen.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/data_internal.h"

enum { PRECISION = 32 - 8 - 2 }; /* bits of a weight: 8 of the pixel, 2 to overshoot */

/* One axis: n_in pixels become n_out, of which n from `first` on are wanted. */
struct axis {
    int n_in, n_out, first, n;
};

/* Pixels inside a picture: a row begins `stride` bytes after the one before. */
struct window {
    const uint8_t *pixels;
    size_t stride;
    int height, width, channels;
};

/* The weights of an axis: output i is the sum over j < count[i] of
 * weight[i * width + j] times pixel from[i] + j. */
struct taps {
    int width;
    int *from, *count; /* [n] */
    int32_t *weight;   /* [n][width] */
};

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double cubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static const struct {
    double (*at)(double x);
    double support;
} filters[] = {
    [OMQ_BILINEAR] = {triangle, 1.0},
    [OMQ_BICUBIC] = {cubic, 2.0},
};

static void taps_release(struct taps *t)
{
    free(t->from);
    free(t->count);
    free(t->weight);
    *t = (struct taps){0};
}

static int taps_alloc(struct taps *t, int n, int width, struct omq_err *err)
{
    size_t n_weights;

    t->width = width;
    if (!omq_mul_size((size_t)n, (size_t)width, &n_weights) ||
        !(t->from = omq_calloc((size_t)n, sizeof(*t->from))) ||
        !(t->count = omq_calloc((size_t)n, sizeof(*t->count))) ||
        !(t->weight = omq_calloc(n_weights, sizeof(*t->weight))))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the filter of a resized picture");
    return OMQ_OK;
}

/* Output i of t; w has room for t->width weights in double. */
static void taps_set(struct taps *t, int i, const struct axis *ax, enum omq_resample filter,
                     double *w)
{
    double scale = (double)ax->n_in / ax->n_out, stretch = scale < 1.0 ? 1.0 : scale;
    double support = filters[filter].support * stretch;
    double center = (ax->first + i + 0.5) * scale, sum = 0.0, inv = 1.0 / stretch;
    int from = (int)(center - support + 0.5), to = (int)(center + support + 0.5);

    from = from < 0 ? 0 : from;
    to = to > ax->n_in ? ax->n_in : to;
    t->from[i] = from;
    t->count[i] = to - from;
    for (int j = 0; j < to - from; j++) {
        w[j] = filters[filter].at((j + from - center + 0.5) * inv);
        sum += w[j];
    }
    for (int j = 0; j < to - from; j++) {
        double v = (sum != 0.0 ? w[j] / sum : w[j]) * (1 << PRECISION);

        t->weight[(size_t)i * (size_t)t->width + (size_t)j] = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
    }
}

/* The caller releases t, after a failure too. */
static int taps_init(struct taps *t, const struct axis *ax, enum omq_resample filter,
                     struct omq_err *err)
{
    double scale = (double)ax->n_in / ax->n_out;
    int width = (int)ceil(filters[filter].support * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    double *w = omq_calloc((size_t)width, sizeof(*w));
    int rc;

    if (!w)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the filter of a resized picture");
    rc = taps_alloc(t, ax->n, width, err);
    for (int i = 0; rc == OMQ_OK && i < ax->n; i++)
        taps_set(t, i, ax, filter, w);
    free(w);
    return rc;
}

static uint8_t clip8(int32_t sum)
{
    sum >>= PRECISION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* One row: n pixels of c channels, which are 1 or 3. */
static void along_row(uint8_t *dst, const uint8_t *src, int n, size_t c, const struct taps *t)
{
    const int32_t half = 1 << (PRECISION - 1);

    for (int i = 0; i < n; i++, dst += c) {
        const int32_t *w = t->weight + (size_t)i * (size_t)t->width;
        const uint8_t *p = src + (size_t)t->from[i] * c;
        int count = t->count[i];
        int32_t r = half, g = half, b = half;

        if (c == 1) {
            for (int j = 0; j < count; j++)
                r += p[j] * w[j];
        } else {
            for (int j = 0; j < count; j++, p += 3) {
                r += p[0] * w[j];
                g += p[1] * w[j];
                b += p[2] * w[j];
            }
            dst[1] = clip8(g);
            dst[2] = clip8(b);
        }
        dst[0] = clip8(r);
    }
}

/* One row of n bytes as the sum of `count` rows; sums is room for n of them. */
static void down_columns(uint8_t *dst, const uint8_t *src, size_t stride, size_t n,
                         const int32_t *weight, int count, int32_t *sums)
{
    for (size_t x = 0; x < n; x++)
        sums[x] = 1 << (PRECISION - 1);
    for (int j = 0; j < count; j++, src += stride)
        for (size_t x = 0; x < n; x++)
            sums[x] += src[x] * weight[j];
    for (size_t x = 0; x < n; x++)
        dst[x] = clip8(sums[x]);
}

/* Rows y0 to y1 of in, along the rows only. */
static void pass_rows(uint8_t *out, const struct window *in, const struct axis *ax,
                      const struct taps *t, int y0, int y1)
{
    size_t c = (size_t)in->channels, n = (size_t)ax->n * c;

    for (int y = y0; y < y1; y++, out += n) {
        const uint8_t *src = in->pixels + (size_t)y * in->stride;

        if (ax->n_in == ax->n_out)
            memcpy(out, src + (size_t)ax->first * c, n);
        else
            along_row(out, src, ax->n, c, t);
    }
}

/* Along the columns: in holds the rows of n bytes from y0 on of the picture
 * that t is for. */
static int pass_columns(uint8_t *out, const uint8_t *in, size_t n, int n_rows, int y0,
                        const struct taps *t, struct omq_err *err)
{
    int32_t *sums = omq_calloc(n, sizeof(*sums));

    if (!sums)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a row of a resized picture");
    for (int i = 0; i < n_rows; i++)
        down_columns(out + (size_t)i * n, in + (size_t)(t->from[i] - y0) * n, n, n,
                     t->weight + (size_t)i * (size_t)t->width, t->count[i], sums);
    free(sums);
    return OMQ_OK;
}

/* Both passes where both axes change: the first is made for the rows that the
 * second asks for. */
static int two_passes(uint8_t *out, const struct window *in, const struct axis *down,
                      const struct axis *along, const struct taps *t, enum omq_resample filter,
                      struct omq_err *err)
{
    struct omq_image mid;
    struct taps u = {0};
    int last = down->n - 1, y0, y1, rc;

    rc = taps_init(&u, down, filter, err);
    if (rc < 0)
        goto out;
    y0 = u.from[0];
    y1 = u.from[last] + u.count[last];
    if ((int64_t)(y1 - y0) * along->n > OMQ_IMAGE_MAX_PIXELS) {
        rc = omq_fail(err, OMQ_EUNSUP, "cannot resize a picture of %d x %d pixels to %d pixels "
                      "in width: the limit between the passes is %d pixels", in->width,
                      in->height, along->n, OMQ_IMAGE_MAX_PIXELS);
        goto out;
    }
    rc = omq_image_alloc(&mid, y1 - y0, along->n, in->channels, err);
    if (rc < 0)
        goto out;
    pass_rows(mid.pixels, in, along, t, y0, y1);
    rc = pass_columns(out, mid.pixels, (size_t)along->n * (size_t)in->channels, down->n, y0, &u,
                      err);
    omq_image_release(&mid);
out:
    taps_release(&u);
    return rc;
}

/* out: [down->n][along->n][channels] */
static int resample(uint8_t *out, const struct window *in, const struct axis *down,
                    const struct axis *along, enum omq_resample filter, struct omq_err *err)
{
    struct taps t = {0};
    int rc;

    if (in->channels != 1 && in->channels != 3)
        return omq_fail(err, OMQ_EARG, "cannot resize a picture of %d channels: there must be 1 "
                        "or 3", in->channels);
    rc = along->n_in == along->n_out ? OMQ_OK : taps_init(&t, along, filter, err);
    if (rc == OMQ_OK && down->n_in == down->n_out)
        pass_rows(out, in, along, &t, down->first, down->first + down->n);
    else if (rc == OMQ_OK)
        rc = two_passes(out, in, down, along, &t, filter, err);
    taps_release(&t);
    return rc;
}

static int check_target(int height, int width, enum omq_resample filter, struct omq_err *err)
{
    if (height < 1 || width < 1 ||
        (unsigned)filter >= sizeof(filters) / sizeof(filters[0]))
        return omq_fail(err, OMQ_EARG, "cannot resize a picture to %d x %d pixels by filter "
                        "number %d", width, height, (int)filter);
    if (height > OMQ_IMAGE_MAX_SIDE || width > OMQ_IMAGE_MAX_SIDE ||
        (int64_t)height * width > OMQ_IMAGE_MAX_PIXELS)
        return omq_fail(err, OMQ_EUNSUP, "cannot resize a picture to %d x %d pixels: the limits "
                        "are %d a side and %d in all", width, height, OMQ_IMAGE_MAX_SIDE,
                        OMQ_IMAGE_MAX_PIXELS);
    return OMQ_OK;
}

static struct window whole(const struct omq_image *in)
{
    return (struct window){in->pixels, (size_t)in->width * (size_t)in->channels, in->height,
                           in->width, in->channels};
}

int omq_image_crop(uint8_t *out, const struct omq_image *in, const struct omq_box *box, int height,
                   int width, enum omq_resample filter, struct omq_err *err)
{
    struct axis down = {box->height, height, 0, height}, along = {box->width, width, 0, width};
    struct window part = whole(in);
    int rc = check_target(height, width, filter, err);

    if (rc < 0)
        return rc;
    if (box->top < 0 || box->left < 0 || box->height < 1 || box->width < 1 ||
        box->height > in->height - box->top || box->width > in->width - box->left)
        return omq_fail(err, OMQ_EARG, "cannot cut %d x %d pixels at (%d, %d) from a picture of "
                        "%d x %d", box->width, box->height, box->left, box->top, in->width,
                        in->height);
    part.pixels += (size_t)box->top * part.stride + (size_t)box->left * (size_t)in->channels;
    part.height = box->height;
    part.width = box->width;
    return resample(out, &part, &down, &along, filter, err);
}

/* d / 2, rounded to even at the half, as Python's round() */
static int half_even(int d) { return d / 2 + (d % 2 == 1 && d / 2 % 2 == 1); }

/* Already of the size that is wanted, and nothing is to be cut off. */
static bool stays(const struct omq_image *im, int side, int height, int width)
{
    return im->height == height && im->width == width && side == (height > width ? height : width);
}

int omq_image_fit_to(uint8_t *out, const struct omq_image *in, int side, int height, int width,
                     enum omq_resample filter, struct omq_err *err)
{
    int64_t shorter = in->height < in->width ? in->height : in->width;
    int64_t h = (int64_t)side * in->height / shorter, w = (int64_t)side * in->width / shorter;
    struct axis down, along;
    struct window all = whole(in);
    int rc = check_target(height, width, filter, err);

    if (rc < 0)
        return rc;
    if (side < 1 || side > OMQ_IMAGE_MAX_SIDE)
        return omq_fail(err, OMQ_EARG, "cannot resize the shorter side of a picture to %d pixels: "
                        "1 to %d are possible", side, OMQ_IMAGE_MAX_SIDE);
    if (stays(in, side, height, width)) {
        memcpy(out, in->pixels, (size_t)height * all.stride);
        return OMQ_OK;
    }
    if (h < height || w < width || h > INT32_MAX || w > INT32_MAX)
        return omq_fail(err, OMQ_EUNSUP, "a picture of %d x %d pixels, %lld x %lld when resized, "
                        "cannot be cropped to %d x %d", in->width, in->height, (long long)w,
                        (long long)h, width, height);
    down = (struct axis){in->height, (int)h, half_even((int)h - height), height};
    along = (struct axis){in->width, (int)w, half_even((int)w - width), width};
    return resample(out, &all, &down, &along, filter, err);
}

int omq_image_fit(struct omq_image *im, int side, int height, int width,
                  enum omq_resample filter, struct omq_err *err)
{
    struct omq_image out;
    int rc = check_target(height, width, filter, err);

    if (rc < 0 || stays(im, side, height, width))
        return rc;
    if ((rc = omq_image_alloc(&out, height, width, im->channels, err)) < 0)
        return rc;
    rc = omq_image_fit_to(out.pixels, im, side, height, width, filter, err);
    if (rc < 0) {
        omq_image_release(&out);
        return rc;
    }
    omq_image_release(im);
    *im = out;
    return OMQ_OK;
}
