/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/rng.h"
#include "data/data_internal.h"

void omq_augment(uint8_t *out, const uint8_t *in, int height, int width, int channels,
                 int crop_padding, double hflip, uint64_t seed, int epoch, uint32_t sample)
{
    size_t c = (size_t)channels, row = (size_t)width * c;
    struct omq_rng r;
    int dy, dx;
    bool flip;

    /* all three are always drawn: turning one off leaves the others alone */
    omq_rng_init(&r, seed, OMQ_STREAM_AUGMENT, (uint32_t)epoch, sample);
    dy = (int)omq_rng_below(&r, 2 * (uint32_t)crop_padding + 1) - crop_padding;
    dx = (int)omq_rng_below(&r, 2 * (uint32_t)crop_padding + 1) - crop_padding;
    flip = omq_rng_uniform(&r) < hflip;

    memset(out, 0, (size_t)height * row);
    for (int y = 0; y < height; y++) {
        int sy = y + dy;
        const uint8_t *src = in + (size_t)(sy < 0 ? 0 : sy) * row;
        uint8_t *dst = out + (size_t)y * row;

        if (sy < 0 || sy >= height)
            continue;
        for (int x = 0; x < width; x++) {
            int sx = (flip ? width - 1 - x : x) + dx;

            if (sx >= 0 && sx < width)
                memcpy(dst + (size_t)x * c, src + (size_t)sx * c, c);
        }
    }
}
