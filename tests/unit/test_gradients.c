/* SPDX-License-Identifier: MIT
 *
 * How far gradients of convolutions with dy in 16 bits are from those of reals, where
 * dy has heavy tails: its largest value is some 20 times the root of its mean square.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kern/kern_internal.h"

Suite *omq_suite_gradients(void);

enum { IMAGES = 3, ZERO_POINT = 100, MOST = 64 * 9 * 64, SCRATCH = 1 << 19 };
#define WINDOW(side, channels, kernel, stride) {                                             \
    .h = side, .w = side, .c = channels, .c_count = channels, .kh = kernel, .kw = kernel,    \
    .sh = stride, .sw = stride, .ph = kernel / 2, .pw = kernel / 2,                          \
    .oh = (side - 1) / stride + 1, .ow = (side - 1) / stride + 1,                            \
}

static const struct { struct omq_window g; int oc; } cases[] = {
    {WINDOW(24, 3, 7, 2), 20},
    {WINDOW(8, 16, 1, 2), 16},
    {WINDOW(9, 40, 3, 1), 30},
    {WINDOW(5, 64, 3, 1), 64},
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

static uint8_t x[MOST];
static int8_t w[MOST];
static int16_t dy16[MOST], w16[MOST];
static omq_real dy[MOST], dw[MOST], dx[MOST], scratch[SCRATCH];
static double want_dw[MOST], want_dx[MOST];

static void fill(void)
{
    struct omq_rng r;

    omq_rng_init(&r, 5, OMQ_STREAM_TEST, 16, 0);
    for (int i = 0; i < MOST; i++) {
        const double normal = omq_rng_normal(&r);

        dy[i] = (omq_real)(normal * normal * normal);
        x[i] = (uint8_t)omq_rng_below(&r, 256);
        w[i] = (int8_t)((int)omq_rng_below(&r, 255) - 127);
    }
    memset(want_dw, 0, sizeof(want_dw));
    memset(want_dx, 0, sizeof(want_dx));
    memset(dw, 0, sizeof(dw));
    memset(w16, 0, sizeof(w16));
}

/* dw and dx of one output pixel, whose dy are d[oc]. */
static void add_pixel(const struct omq_window *g, int oc, int image, int oy, int ox,
                      const omq_real *d)
{
    const int k = g->kh * g->kw * g->c;

    for (int e = 0; e < k; e++) {
        const int iy = oy * g->sh - g->ph + e / g->c / g->kw;
        const int ix = ox * g->sw - g->pw + e / g->c % g->kw;
        const int at = ((image * g->h + iy) * g->w + ix) * g->c + e % g->c;

        if (iy < 0 || iy >= g->h || ix < 0 || ix >= g->w)
            continue;
        for (int o = 0; o < oc; o++) {
            want_dw[o * k + e] += (double)d[o] * (x[at] - ZERO_POINT);
            want_dx[at] += (double)d[o] * w[o * k + e];
        }
    }
}

/* Weights [oc][kh][kw][c] as conv_dinput_s16 takes them. */
static void order_weights(const struct omq_window *g, int oc)
{
    const int k = g->kh * g->kw * g->c;

    for (int e = 0; e < oc * k; e++) {
        const int o = e / k, i = e % g->c, ky = e % k / g->c / g->kw, kx = e % k / g->c % g->kw;
        const int tap = (i / 16 * g->kh + ky) * g->kw + g->kw - 1 - kx;

        w16[((tap * (oc / 2) + o / 2) * 16 + i % 16) * 2 + o % 2] = w[e];
    }
}

static double distance(int n, const double *want, const omq_real *got)
{
    double error = 0, norm = 0;

    for (int i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += want[i] * want[i];
    }
    return sqrt(error / norm);
}

/* Each level; one that this machine lacks is the next lower. dy of 16 bits leaves an error
 * of 1.5e-4; of 8 bits it would be some hundredths. */
START_TEST(test_error_is_small)
{
    const struct omq_window *g = &cases[_i % N_CASES].g;
    const int oc = cases[_i % N_CASES].oc, area = g->oh * g->ow;
    const struct omq_kern *k = omq_kern();
    const char *dropped;
    omq_real scale;

    omq_kern_init((enum omq_isa)(_i / N_CASES), &dropped);
    ck_assert(!dropped);
    fill();
    ck_assert(omq_conv_few(g, oc) || omq_conv_direct(g, oc));
    ck_assert(omq_conv_scratch(g, oc, IMAGES) <= sizeof(scratch));
    ck_assert(IMAGES * area * oc <= MOST && IMAGES * g->h * g->w * g->c <= MOST);
    for (int e = 0; e < IMAGES * area; e++)
        add_pixel(g, oc, e / area, e % area / g->ow, e % g->ow, dy + e * oc);
    k->quantize_s16((size_t)(IMAGES * area * oc), dy, omq_conv_dy_max(g, oc), dy16, &scale);
    k->conv_dweight_s16(g, oc, IMAGES, x, ZERO_POINT, dy16, scale, dw, scratch);
    ck_assert_double_lt(distance(oc * g->kh * g->kw * g->c, want_dw, dw), 5e-4);
    if (omq_conv_few(g, oc))
        return;
    ck_assert(omq_conv_dinput_weights(g, oc) <= MOST);
    order_weights(g, oc);
    k->conv_dinput_s16(g, oc, IMAGES, dy16, w16, scale, false, dx, scratch);
    ck_assert_double_lt(distance(IMAGES * g->h * g->w * g->c, want_dx, dx), 5e-4);
}
END_TEST

Suite *omq_suite_gradients(void)
{
    Suite *s = suite_create("gradients");
    TCase *t = tcase_create("gradients");

    tcase_add_loop_test(t, test_error_is_small, 0, N_CASES * OMQ_ISA_COUNT);
    suite_add_tcase(s, t);
    return s;
}
