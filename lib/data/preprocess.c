/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "data/data_internal.h"

/* Channel ch of a list that gives one value a channel, or one for all. */
static double pick(const double *values, int n, int ch) { return values[n == 1 ? 0 : ch]; }

static int check_list(const char *key, const double *values, int n, int channels,
                      struct omq_err *err)
{
    if (n != 1 && n != channels)
        return omq_fail(err, OMQ_ECONFIG, "data.%s has %d values, but the images have %d "
                        "channel%s: give one value, or one a channel", key, n, channels,
                        channels == 1 ? "" : "s");
    for (int i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return omq_fail(err, OMQ_ECONFIG, "data.%s is not a finite number", key);
    return OMQ_OK;
}

int omq_preprocess_init(struct omq_preprocess *p, const struct omq_data_config *cfg, int height,
                        int width, int channels, struct omq_err *err)
{
    struct omq_preprocess q = {.height = height, .width = width, .channels = channels};
    double reach = 0;
    size_t n_bytes;
    int rc;

    if (height < 0 || width < 0 || channels < 0)
        return omq_fail(err, OMQ_EARG, "an image cannot have a negative size");
    if ((rc = omq_data_check_shape(1, (uint64_t)height, (uint64_t)width, (uint64_t)channels,
                                   "preprocessing", &n_bytes, err)) < 0 ||
        (rc = check_list("mean", cfg->mean, cfg->n_mean, channels, err)) < 0 ||
        (rc = check_list("std", cfg->std, cfg->n_std, channels, err)) < 0)
        return rc;
    for (int c = 0; c < channels; c++) {
        q.mean[c] = pick(cfg->mean, cfg->n_mean, c);
        q.std[c] = pick(cfg->std, cfg->n_std, c);
        if (q.std[c] <= 0)
            return omq_fail(err, OMQ_ECONFIG, "data.std is %g: it must be above 0", q.std[c]);
        reach = fmax(reach, fmax(fabs(q.mean[c]), fabs(1 - q.mean[c])) / q.std[c]);
    }
    q.step = (float)(reach / 127);
    if (!(q.step > 0) || !isfinite(q.step))
        return omq_fail(err, OMQ_ECONFIG, "data.mean and data.std scale pixels beyond the range "
                        "of a float");
    for (int c = 0; c < channels; c++) {
        for (int v = 0; v < 256; v++) {
            double code = rint((v / 255.0 - q.mean[c]) / q.std[c] / (double)q.step) + 128;

            q.table[c][v] = (uint8_t)fmin(fmax(code, 0), 255);
        }
    }
    *p = q;
    return OMQ_OK;
}

void omq_preprocess_apply(const struct omq_preprocess *p, const uint8_t *pixels, uint8_t *codes)
{
    size_t n = (size_t)p->height * (size_t)p->width, c = (size_t)p->channels;

    for (size_t ch = 0; ch < c; ch++) {
        const uint8_t *table = p->table[ch];

        for (size_t i = ch; i < n * c; i += c)
            codes[i] = table[pixels[i]];
    }
}
