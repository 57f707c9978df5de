/* SPDX-License-Identifier: MIT
 *
 * Colour jitter with Pillow's bytes. Everything that ends in a byte is computed
 * in the type and order of Pillow (src/libImaging/Blend.c and Convert.c), as the
 * last bit depends on it: blends in float and cut off, not rounded; HSV partly in
 * float and partly in double.
 */
#include <math.h>
#include <string.h>

#include "data/data_internal.h"
#include "data/transform.h"

void omq_jitter_draw(struct omq_jitter *j, const struct omq_augment_config *cfg, uint64_t seed,
                     int epoch, uint32_t sample)
{
    const double reach[OMQ_N_COLORS] = {
        [OMQ_BRIGHTNESS] = cfg->color_jitter.brightness,
        [OMQ_CONTRAST] = cfg->color_jitter.contrast,
        [OMQ_SATURATION] = cfg->color_jitter.saturation,
        [OMQ_HUE] = cfg->color_jitter.hue,
    };
    int order[OMQ_N_COLORS] = {OMQ_BRIGHTNESS, OMQ_CONTRAST, OMQ_SATURATION, OMQ_HUE};
    struct omq_rng r;

    j->n = 0;
    if (!(reach[0] > 0 || reach[1] > 0 || reach[2] > 0 || reach[3] > 0))
        return;
    omq_rng_init(&r, seed, OMQ_STREAM_JITTER, (uint32_t)epoch, sample);
    for (int i = OMQ_N_COLORS - 1; i > 0; i--) {
        int k = (int)omq_rng_below(&r, (uint32_t)i + 1), t = order[i];

        order[i] = order[k];
        order[k] = t;
    }
    for (int i = 0; i < OMQ_N_COLORS; i++) {
        double lo = i == OMQ_HUE ? -reach[i] : fmax(0, 1 - reach[i]);
        double hi = i == OMQ_HUE ? reach[i] : 1 + reach[i];

        j->factor[i] = lo + omq_rng_uniform(&r) * (hi - lo);
    }
    for (int i = 0; i < OMQ_N_COLORS; i++)
        if (reach[order[i]] > 0)
            j->order[j->n++] = order[i];
}

/* ---- blends ---- */

/* Image.blend() of two samples; beyond 0 to 1 it extrapolates, and is clipped. */
static uint8_t blend(int from, int to, float alpha)
{
    float v = (float)from + alpha * (float)(to - from);

    return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : (int)v);
}

static unsigned luma(const uint8_t *p)
{
    uint8_t y;

    omq_image_put(&y, 1, p[0], p[1], p[2]);
    return y;
}

/* All samples moved away from, or to, one value. */
static void blend_with(uint8_t *pixels, size_t n_samples, int from, float alpha)
{
    uint8_t table[256];

    for (int v = 0; v < 256; v++)
        table[v] = blend(from, v, alpha);
    for (size_t i = 0; i < n_samples; i++)
        pixels[i] = table[pixels[i]];
}

/* The mean of the picture in grey, rounded half up. */
static int mean_luma(const uint8_t *pixels, size_t n, int channels)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += channels == 1 ? pixels[i] : luma(pixels + 3 * i);
    return (int)((double)sum / (double)n + 0.5);
}

static void saturate(uint8_t *p, size_t n, float alpha)
{
    for (size_t i = 0; i < n; i++, p += 3) {
        int grey = (int)luma(p);

        for (int ch = 0; ch < 3; ch++)
            p[ch] = blend(grey, p[ch], alpha);
    }
}

/* ---- hue ---- */

/* A hue of 0 to 255 as the sector of the colour circle and the place in it. */
struct hue {
    int sector;
    float place;
};

/* Hue and saturation of a pixel that is not grey; its value is `top`. */
static void to_hsv(const uint8_t *p, int top, int bottom, int *hue, int *saturation)
{
    float range = (float)(top - bottom), s = range / (float)top, h;
    float r = (float)(top - p[0]) / range, g = (float)(top - p[1]) / range;
    float b = (float)(top - p[2]) / range;
    double turn;

    if (p[0] == top)
        h = b - g;
    else if (p[1] == top)
        h = (float)(2.0 + (double)r - (double)b);
    else
        h = (float)(4.0 + (double)g - (double)r);
    turn = (double)h / 6.0 + 1.0; /* 5/6 to 11/6 */
    h = (float)(turn >= 1.0 ? turn - 1.0 : turn);
    *hue = (int)((double)h * 255.0);
    *saturation = (int)((double)s * 255.0);
    if (*hue > 255) /* h may have been rounded up to 1 */
        *hue = 255;
}

/* round() of what cannot be negative */
static uint8_t round_up(double v) { return (uint8_t)(int)(v + 0.5); }

static void from_hsv(uint8_t *out, const struct hue *h, int saturation, int value)
{
    /* which of value, p, q, t is red, green and blue in each sector */
    static const uint8_t order[6][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3},
                                        {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
    float s = (float)((float)saturation / 255.0), v = (float)value;
    const uint8_t levels[4] = {
        (uint8_t)value,
        round_up((double)v * (1.0 - (double)s)),
        round_up((double)v * (1.0 - (double)(s * h->place))),
        round_up((double)v * (1.0 - (double)s * (1.0 - (double)h->place))),
    };

    for (int ch = 0; ch < 3; ch++)
        out[ch] = levels[order[h->sector][ch]];
}

static void turn_hue(uint8_t *p, size_t n, double factor)
{
    unsigned shift = (unsigned)(int)(factor * 255) & 255;
    struct hue hues[256];

    for (unsigned v = 0; v < 256; v++) {
        double h = (double)(float)((v + shift) & 255) * 6.0 / 255.0;
        int sector = (int)h;

        hues[v] = (struct hue){sector % 6, (float)(h - (double)(float)sector)};
    }
    for (size_t i = 0; i < n; i++, p += 3) {
        int top = p[0] > p[1] ? p[0] : p[1], bottom = p[0] < p[1] ? p[0] : p[1];
        int hue, saturation;

        top = top > p[2] ? top : p[2];
        bottom = bottom < p[2] ? bottom : p[2];
        if (top == bottom) /* grey stays grey */
            continue;
        to_hsv(p, top, bottom, &hue, &saturation);
        if (saturation > 0)
            from_hsv(p, &hues[hue], saturation, top);
        else
            memset(p, top, 3);
    }
}

void omq_jitter_apply(uint8_t *pixels, size_t n, int channels, const struct omq_jitter *j)
{
    size_t n_samples = n * (size_t)channels;

    for (int i = 0; i < j->n; i++) {
        double f = j->factor[j->order[i]];

        switch (j->order[i]) {
        case OMQ_BRIGHTNESS: blend_with(pixels, n_samples, 0, (float)f); break;
        case OMQ_CONTRAST:
            blend_with(pixels, n_samples, mean_luma(pixels, n, channels), (float)f);
            break;
        case OMQ_SATURATION:
            if (channels == 3)
                saturate(pixels, n, (float)f);
            break;
        case OMQ_HUE:
            if (channels == 3)
                turn_hue(pixels, n, f);
            break;
        }
    }
}
