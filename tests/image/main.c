/* SPDX-License-Identifier: MIT
 *
 * What the library makes of pictures, for a script that compares it with
 * something else:
 *
 *     build/image
 *
 * reads one order a line from stdin and answers each on stdout. A FILTER is
 * bilinear or bicubic.
 *
 *     decode CHANNELS PATH
 *     resize CHANNELS FILTER HEIGHT WIDTH PATH
 *     fit CHANNELS FILTER SIDE HEIGHT WIDTH PATH
 *     crop CHANNELS FILTER TOP LEFT HEIGHT WIDTH TO-HEIGHT TO-WIDTH PATH
 *     jitter CHANNELS brightness|contrast|saturation|hue FACTOR PATH
 *
 * and, with the data.augment of a configuration, SEED EPOCH SAMPLE being DRAW,
 *
 *     transform CONFIG train|test RESIZE FILTER DRAW HEIGHT WIDTH CHANNELS PATH
 *     erase CONFIG DRAW CHANNELS PATH
 *     mix CONFIG DRAW N CHANNELS PATH
 *
 * where the last two take the picture as the codes of one image, or of N, one
 * below the other, and SAMPLE is the batch.
 *
 * The answer is "HEIGHT WIDTH CHANNELS" and a line end, then the pixels; or
 * "error: " and the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/transform.h"

enum { MAX_LINE = 4096, WORD = 64 };

static bool parse_filter(const char *word, enum omq_resample *filter)
{
    *filter = strcmp(word, "bicubic") == 0 ? OMQ_BICUBIC : OMQ_BILINEAR;
    return *filter == OMQ_BICUBIC || strcmp(word, "bilinear") == 0;
}

static int misunderstood(struct omq_err *err)
{
    return omq_fail(err, OMQ_EARG, "cannot understand the order");
}

static int read_image(struct omq_image *im, const char *path, int channels, struct omq_err *err)
{
    uint8_t *bytes;
    size_t n;
    int rc = omq_file_read(path, OMQ_IMAGE_MAX_FILE, &bytes, &n, err);

    if (rc < 0)
        return rc;
    rc = omq_image_decode(im, bytes, n, channels, path, err);
    free(bytes);
    return rc;
}

/* Pixels for a result of h x w x c. */
static int make(struct omq_image *im, int h, int w, int c, struct omq_err *err)
{
    if (h < 1 || w < 1)
        return misunderstood(err);
    *im = (struct omq_image){h, w, c, malloc((size_t)h * (size_t)w * (size_t)c)};
    return im->pixels ? OMQ_OK : omq_fail(err, OMQ_ENOMEM, "out of memory");
}

/* Each order: the rest of its line; the result is *im. */

static int decode(struct omq_image *im, const char *line, struct omq_err *err)
{
    int c, at = 0;

    if (sscanf(line, "%d %n", &c, &at) != 1 || !at)
        return misunderstood(err);
    return read_image(im, line + at, c, err);
}

static int resize(struct omq_image *im, const char *line, struct omq_err *err)
{
    struct omq_image in = {0};
    enum omq_resample filter;
    char word[WORD];
    int c, h, w, at = 0, rc;

    if (sscanf(line, "%d %63s %d %d %n", &c, word, &h, &w, &at) != 4 || !at ||
        !parse_filter(word, &filter))
        return misunderstood(err);
    rc = read_image(&in, line + at, c, err);
    if (rc == OMQ_OK)
        rc = make(im, h, w, c, err);
    if (rc == OMQ_OK)
        rc = omq_image_crop(im->pixels, &in, &(struct omq_box){0, 0, in.height, in.width}, h, w,
                            filter, err);
    omq_image_release(&in);
    return rc;
}

static int fit(struct omq_image *im, const char *line, struct omq_err *err)
{
    enum omq_resample filter;
    char word[WORD];
    int c, side, h, w, at = 0, rc;

    if (sscanf(line, "%d %63s %d %d %d %n", &c, word, &side, &h, &w, &at) != 5 || !at ||
        !parse_filter(word, &filter))
        return misunderstood(err);
    rc = read_image(im, line + at, c, err);
    return rc < 0 ? rc : omq_image_fit(im, side, h, w, filter, err);
}

static int crop(struct omq_image *im, const char *line, struct omq_err *err)
{
    struct omq_image in = {0};
    enum omq_resample filter;
    struct omq_box box;
    char word[WORD];
    int c, h, w, at = 0, rc;

    if (sscanf(line, "%d %63s %d %d %d %d %d %d %n", &c, word, &box.top, &box.left, &box.height,
               &box.width, &h, &w, &at) != 8 || !at || !parse_filter(word, &filter))
        return misunderstood(err);
    rc = read_image(&in, line + at, c, err);
    if (rc == OMQ_OK)
        rc = make(im, h, w, c, err);
    if (rc == OMQ_OK)
        rc = omq_image_crop(im->pixels, &in, &box, h, w, filter, err);
    omq_image_release(&in);
    return rc;
}

static int jitter(struct omq_image *im, const char *line, struct omq_err *err)
{
    static const char *const words[] = {"brightness", "contrast", "saturation", "hue"};
    struct omq_jitter j = {.n = 1};
    char word[WORD];
    double factor;
    int c, at = 0, rc;

    if (sscanf(line, "%d %63s %lf %n", &c, word, &factor, &at) != 3 || !at)
        return misunderstood(err);
    while (strcmp(words[j.order[0]], word) != 0)
        if (++j.order[0] == OMQ_N_COLORS)
            return misunderstood(err);
    j.factor[j.order[0]] = factor;
    rc = read_image(im, line + at, c, err);
    if (rc == OMQ_OK)
        omq_jitter_apply(im->pixels, (size_t)im->height * (size_t)im->width, c, &j);
    return rc;
}

/* ---- with a configuration ---- */

static int transform(struct omq_image *im, const char *line, struct omq_err *err)
{
    struct omq_config config;
    struct omq_transform t = {.cfg = &config.data};
    struct omq_image in = {0};
    unsigned long long seed;
    enum omq_resample filter;
    char path[1024], mode[WORD], word[WORD];
    unsigned sample;
    int resize, epoch, at = 0, rc;

    if (sscanf(line, "%1023s %63s %d %63s %llu %d %u %d %d %d %n", path, mode, &resize, word,
               &seed, &epoch, &sample, &t.height, &t.width, &t.channels, &at) != 10 || !at ||
        !parse_filter(word, &filter))
        return misunderstood(err);
    rc = omq_config_load(&config, path, NULL, 0, NULL, err);
    config.data.resize = resize;
    config.data.interpolation = filter == OMQ_BICUBIC ? OMQ_INTERPOLATION_BICUBIC
                                                      : OMQ_INTERPOLATION_BILINEAR;
    t.train = strcmp(mode, "train") == 0;
    if (rc == OMQ_OK)
        rc = omq_transform_check(&t, err);
    if (rc == OMQ_OK)
        rc = read_image(&in, line + at, t.channels, err);
    if (rc == OMQ_OK)
        rc = make(im, t.height, t.width, t.channels, err);
    if (rc == OMQ_OK)
        rc = omq_transform(&t, im->pixels, &in, seed, epoch, sample, err);
    omq_image_release(&in);
    return rc;
}

/* n images, one below the other; erase is of one. */
static int change(struct omq_image *im, const char *line, bool mix, struct omq_err *err)
{
    struct omq_config config;
    const struct omq_augment_config *a = &config.data.augment;
    unsigned long long seed;
    char path[1024];
    unsigned sample;
    int epoch, c, n = 1, at = 0, rc;

    if (mix ? sscanf(line, "%1023s %llu %d %u %d %d %n", path, &seed, &epoch, &sample, &n, &c,
                     &at) != 6
            : sscanf(line, "%1023s %llu %d %u %d %n", path, &seed, &epoch, &sample, &c, &at) != 5)
        return misunderstood(err);
    rc = omq_config_load(&config, path, NULL, 0, NULL, err);
    if (rc == OMQ_OK)
        rc = read_image(im, line + at, c, err);
    if (rc < 0)
        return rc;
    if (n < 1 || im->height % n)
        return misunderstood(err);
    if (mix)
        omq_mix(im->pixels, n, im->height / n, im->width, c, a, seed, epoch, sample);
    else
        omq_erase(im->pixels, im->height, im->width, c, a, seed, epoch, sample);
    return OMQ_OK;
}

static int erase(struct omq_image *im, const char *line, struct omq_err *err)
{
    return change(im, line, false, err);
}

static int mix(struct omq_image *im, const char *line, struct omq_err *err)
{
    return change(im, line, true, err);
}

static const struct {
    const char *word;
    int (*obey)(struct omq_image *im, const char *line, struct omq_err *err);
} orders[] = {
    {"decode", decode}, {"resize", resize},       {"fit", fit},     {"crop", crop},
    {"jitter", jitter}, {"transform", transform}, {"erase", erase}, {"mix", mix},
};

static int obey(struct omq_image *im, const char *line, struct omq_err *err)
{
    size_t n = strcspn(line, " ");

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        if (strlen(orders[i].word) == n && memcmp(orders[i].word, line, n) == 0)
            return orders[i].obey(im, line + n, err);
    return misunderstood(err);
}

int main(void)
{
    char line[MAX_LINE];

    while (fgets(line, sizeof(line), stdin)) {
        struct omq_image im = {0};
        struct omq_err err;

        line[strcspn(line, "\n")] = 0;
        if (obey(&im, line, &err) < 0) {
            printf("error: %s\n", err.msg);
        } else {
            size_t n = (size_t)im.height * (size_t)im.width * (size_t)im.channels;

            printf("%d %d %d\n", im.height, im.width, im.channels);
            if (fwrite(im.pixels, 1, n, stdout) != n)
                return 1;
        }
        omq_image_release(&im);
        if (fflush(stdout) != 0)
            return 1;
    }
    return 0;
}
