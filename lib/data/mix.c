/* SPDX-License-Identifier: MIT
 *
 * Mixup (Zhang et al., ICLR 2018) and cutmix (Yun et al., ICCV 2019), one draw a
 * batch. Codes are an affine function of what the network sees, so that a blend
 * of codes is the blend of the images, but for the rounding.
 */
#include <math.h>

#include "data/transform.h"

enum { ONE = 1 << 16 }; /* lambda in 16 bits: the same share of image and label */

/* The logarithm of a draw from Gamma(alpha, 1) (Marsaglia and Tsang, "A simple
 * method for generating gamma variables", 2000). Small alphas would underflow. */
static double log_gamma_draw(double alpha, struct omq_rng *r)
{
    double boost = alpha < 1 ? log(1 - omq_rng_uniform(r)) / alpha : 0;
    double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3, c = 1 / sqrt(9 * d);

    for (;;) {
        double x = omq_rng_normal(r), u = 1 - omq_rng_uniform(r), v = 1 + c * x;

        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d * v) + boost;
    }
}

double omq_beta_draw(double alpha, struct omq_rng *r)
{
    double a = log_gamma_draw(alpha, r), b = log_gamma_draw(alpha, r);

    if (isinf(a) && isinf(b)) /* the limit at 0: one or the other */
        return omq_rng_uniform(r) < 0.5;
    return 1 / (1 + exp(b - a));
}

/* Both at once: each becomes its own share of itself and the rest of the other. */
static void blend(uint8_t *a, uint8_t *b, size_t n_bytes, uint32_t own)
{
    for (size_t i = 0; i < n_bytes; i++) {
        uint32_t x = a[i], y = b[i];

        a[i] = (uint8_t)((x * own + y * (ONE - own) + ONE / 2) >> 16);
        b[i] = (uint8_t)((y * own + x * (ONE - own) + ONE / 2) >> 16);
    }
}

static double mixup(uint8_t *codes, int n, size_t image, double alpha, struct omq_rng *r)
{
    uint32_t own = (uint32_t)rint(omq_beta_draw(alpha, r) * ONE);

    for (int i = 0, j = n - 1; i < j; i++, j--)
        blend(codes + (size_t)i * image, codes + (size_t)j * image, image, own);
    return (double)own / ONE;
}

/* Where a box of length n around a random centre begins and ends in 0 to size. */
static void draw_span(int *from, int *to, int size, int n, struct omq_rng *r)
{
    int centre = (int)omq_rng_below(r, (uint32_t)size);

    *from = centre - n / 2 < 0 ? 0 : centre - n / 2;
    *to = centre + n / 2 > size ? size : centre + n / 2;
}

static double cutmix(uint8_t *codes, int n, int height, int width, int channels, double alpha,
                     struct omq_rng *r)
{
    double side = sqrt(1 - omq_beta_draw(alpha, r));
    size_t c = (size_t)channels, row = (size_t)width * c, image = (size_t)height * row;
    int top, bottom, left, right;

    draw_span(&top, &bottom, height, (int)(height * side), r);
    draw_span(&left, &right, width, (int)(width * side), r);
    for (int i = 0, j = n - 1; i < j; i++, j--)
        for (int y = top; y < bottom; y++) {
            uint8_t *a = codes + (size_t)i * image + (size_t)y * row + (size_t)left * c;
            uint8_t *b = a + (size_t)(j - i) * image;

            blend(a, b, (size_t)(right - left) * c, 0);
        }
    return 1 - (double)(bottom - top) * (right - left) / ((double)height * width);
}

double omq_mix(uint8_t *codes, int n, int height, int width, int channels,
               const struct omq_augment_config *cfg, uint64_t seed, int epoch, uint32_t batch)
{
    bool cut = cfg->cutmix > 0;
    struct omq_rng r;

    if (!cut && !(cfg->mixup > 0))
        return 1;
    omq_rng_init(&r, seed, OMQ_STREAM_MIX, (uint32_t)epoch, batch);
    if (omq_rng_uniform(&r) >= 0.5 && cfg->mixup > 0)
        cut = false;
    if (cut)
        return cutmix(codes, n, height, width, channels, cfg->cutmix, &r);
    return mixup(codes, n, (size_t)height * (size_t)width * (size_t)channels, cfg->mixup, &r);
}
