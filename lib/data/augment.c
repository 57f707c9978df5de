/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "data/transform.h"

void omq_move_draw(struct omq_move *m, const struct omq_augment_config *cfg, uint64_t seed,
                   int epoch, uint32_t sample)
{
    uint32_t places = 2 * (uint32_t)cfg->crop_padding + 1;
    struct omq_rng r;

    /* all are always drawn: turning one off leaves the others alone */
    omq_rng_init(&r, seed, OMQ_STREAM_AUGMENT, (uint32_t)epoch, sample);
    m->down = (int)omq_rng_below(&r, places) - cfg->crop_padding;
    m->right = (int)omq_rng_below(&r, places) - cfg->crop_padding;
    m->hflip = omq_rng_uniform(&r) < cfg->hflip;
    m->vflip = omq_rng_uniform(&r) < cfg->vflip;
}

/* n pixels from src on, the last one first. */
static void copy_backwards(uint8_t *dst, const uint8_t *src, int n, size_t c)
{
    if (c == 3) {
        for (src += 3 * (size_t)n; n > 0; n--, dst += 3) {
            src -= 3;
            dst[0] = src[0];
            dst[1] = src[1];
            dst[2] = src[2];
        }
        return;
    }
    for (src += (size_t)n * c; n > 0; n--, dst += c)
        memcpy(dst, src -= c, c);
}

void omq_move_apply(uint8_t *out, const uint8_t *in, int height, int width, int channels,
                    const struct omq_move *m)
{
    size_t c = (size_t)channels, row = (size_t)width * c;
    /* columns of in that are seen, and where in a row of out they begin */
    int from = m->right > 0 ? m->right : 0, n = width - (m->right < 0 ? -m->right : m->right);
    int at = m->right > 0 ? 0 : -m->right;

    if (m->hflip)
        at = width - n - at;
    memset(out, 0, (size_t)height * row);
    for (int y = 0; n > 0 && y < height; y++) {
        int sy = (m->vflip ? height - 1 - y : y) + m->down;
        uint8_t *dst = out + (size_t)y * row + (size_t)at * c;
        const uint8_t *src;

        if (sy < 0 || sy >= height)
            continue;
        src = in + (size_t)sy * row + (size_t)from * c;
        if (m->hflip)
            copy_backwards(dst, src, n, c);
        else
            memcpy(dst, src, (size_t)n * c);
    }
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t t = a[i];

        a[i] = b[i];
        b[i] = t;
    }
}

void omq_flip(uint8_t *pixels, int height, int width, int channels, bool horizontal,
              bool vertical)
{
    size_t c = (size_t)channels, row = (size_t)width * c;

    for (int y = 0; horizontal && y < height; y++)
        for (uint8_t *a = pixels + (size_t)y * row, *b = a + row - c; a < b; a += c, b -= c)
            swap_bytes(a, b, c);
    for (int y = 0; vertical && y < height / 2; y++)
        swap_bytes(pixels + (size_t)y * row, pixels + (size_t)(height - 1 - y) * row, row);
}
