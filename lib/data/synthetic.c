/* SPDX-License-Identifier: MIT
 *
 * Images made from numbers: each class has a coarse random pattern; a sample is
 * that pattern moved, scaled in contrast, and covered with noise. Integers
 * only, so that every machine makes the same images.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "data/data_internal.h"

enum {
    GRID = 4,            /* cells of a pattern, each way; it wraps around */
    ONE = 256,           /* fixed point of a cell */
    PATTERNS = 0x7f0000, /* in place of a split: the stream of the patterns */
};

struct pattern {
    uint8_t cell[OMQ_MAX_CHANNELS][GRID][GRID];
};

/* Splits 0 to GRID * ONE into a cell, the next one, and how far between. */
static void locate(int pos, int *a, int *b, int *f)
{
    *a = pos / ONE % GRID;
    *b = (*a + 1) % GRID;
    *f = pos % ONE;
}

/* Bilinear value of a channel at y, x in cells of 1/ONE. */
static int sample_at(const uint8_t cell[GRID][GRID], int y, int x)
{
    int y0, y1, fy, x0, x1, fx, top, bottom;

    locate(y, &y0, &y1, &fy);
    locate(x, &x0, &x1, &fx);
    top = cell[y0][x0] * (ONE - fx) + cell[y0][x1] * fx;
    bottom = cell[y1][x0] * (ONE - fx) + cell[y1][x1] * fx;
    return (top * (ONE - fy) + bottom * fy) / (ONE * ONE);
}

static void draw(uint8_t *out, const struct pattern *p, int height, int width, int channels,
                 struct omq_rng *r)
{
    /* up to an eighth of the image each way, and 3/4 to 5/4 of the contrast */
    int dy = (int)omq_rng_below(r, GRID * ONE / 4) - GRID * ONE / 8 + GRID * ONE;
    int dx = (int)omq_rng_below(r, GRID * ONE / 4) - GRID * ONE / 8 + GRID * ONE;
    int contrast = 192 + (int)omq_rng_below(r, 129);

    for (int y = 0; y < height; y++) {
        int py = y * (GRID * ONE) / height + dy;

        for (int x = 0; x < width; x++) {
            int px = x * (GRID * ONE) / width + dx;

            for (int c = 0; c < channels; c++) {
                uint32_t bits = omq_rng_u32(r);
                int noise = ((int)(bits & 255) + (int)(bits >> 8 & 255) - 255) / 4;
                int v = 128 + (sample_at(p->cell[c], py, px) - 128) * contrast / 256 + noise;

                *out++ = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
}

static struct pattern *make_patterns(int n_classes, uint64_t seed)
{
    struct pattern *p = malloc((size_t)n_classes * sizeof(*p));

    for (int k = 0; p && k < n_classes; k++) {
        uint8_t *cell = &p[k].cell[0][0][0];
        struct omq_rng r;

        omq_rng_init(&r, seed, OMQ_STREAM_DATA, PATTERNS, (uint32_t)k);
        for (size_t i = 0; i < sizeof(p[k].cell); i++)
            cell[i] = (uint8_t)omq_rng_u32(&r);
    }
    return p;
}

static int read_synthetic(struct omq_raw *raw, const struct omq_data_config *cfg, bool test,
                          uint64_t seed, struct omq_err *err)
{
    int n = test ? cfg->synthetic.n_test : cfg->synthetic.n_train;
    int h = cfg->synthetic.height, w = cfg->synthetic.width, c = cfg->synthetic.channels;
    int n_classes = cfg->synthetic.classes;
    struct pattern *patterns;
    size_t n_bytes, image;
    int rc;

    if (n_classes < 1 || n_classes > OMQ_MAX_CLASSES)
        return omq_fail(err, OMQ_ECONFIG, "data.synthetic.classes is %d: it can be 1 to %d",
                        n_classes, OMQ_MAX_CLASSES);
    if (n < 1 || h < 1 || w < 1 || c < 1)
        return omq_fail(err, OMQ_ECONFIG, "data.synthetic asks for %d images of %d x %d x %d: "
                        "each must be at least 1", n, h, w, c);
    rc = omq_data_check_shape((uint64_t)n, (uint64_t)h, (uint64_t)w, (uint64_t)c,
                              "data.synthetic", &n_bytes, err);
    if (rc < 0)
        return rc;
    image = n_bytes / (size_t)n;
    patterns = make_patterns(n_classes, seed);
    raw->pixels = malloc(n_bytes);
    raw->labels = malloc((size_t)n * sizeof(*raw->labels));
    if (!patterns || !raw->pixels || !raw->labels) {
        free(patterns);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes of synthetic images",
                        n_bytes);
    }
    for (int i = 0; i < n; i++) {
        struct omq_rng r;

        raw->labels[i] = (uint16_t)(i % n_classes);
        omq_rng_init(&r, seed, OMQ_STREAM_DATA, test ? OMQ_SPLIT_TEST : OMQ_SPLIT_TRAIN,
                     (uint32_t)i);
        draw(raw->pixels + (size_t)i * image, &patterns[raw->labels[i]], h, w, c, &r);
    }
    free(patterns);
    raw->n = n;
    raw->height = h;
    raw->width = w;
    raw->channels = c;
    raw->n_classes = n_classes;
    return OMQ_OK;
}

const struct omq_reader omq_reader_synthetic = {OMQ_FORMAT_SYNTHETIC, read_synthetic};
