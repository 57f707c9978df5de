/* SPDX-License-Identifier: MIT
 *
 * Hand-worked values of the convolutions' kernels at every level.
 */
#include <check.h>

#include <stdlib.h>
#include <string.h>

#include "kern/kern.h"
#include "kernhelp.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* Three images of 3 x 4 pixels, 16 to 16 channels, all codes 5 with zero point 2,
 * with dy = 2 halves and dw from 5: each tap counts the pixels that see it; and with
 * w = 1: each pixel counts the windows that see it. */
START_TEST(test_conv_gradients)
{
    static const omq_real taps[] = {6, 8, 6, 9, 12, 9, 6, 8, 6};
    static const omq_real seen[] = {4, 6, 6, 4, 6, 9, 9, 6, 4, 6, 6, 4};
    const struct omq_window g = {.h = 3, .w = 4, .c = 16, .c_count = 16, .kh = 3, .kw = 3,
                                 .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 3, .ow = 4};
    static uint8_t x[3 * 12 * 16];
    static int16_t dy[3 * 12 * 16], ones[16 * 9 * 16];
    static omq_real scratch[8192], dw[16 * 9 * 16], dx[3 * 12 * 16];
    const struct omq_kern *k = table(_i);

    ck_assert(omq_conv_direct(&g, 16) && !omq_conv_direct(&g, 6) && !omq_conv_direct(&g, 17));
    ck_assert(omq_conv_scratch(&g, 16, 3) <= sizeof(scratch));
    memset(x, 5, sizeof(x));
    for (size_t i = 0; i < N(dw); i++)
        dw[i] = 5, ones[i] = 1;
    for (size_t i = 0; i < N(dy); i++)
        dy[i] = 2;
    k->conv_dweight_s16(&g, 16, 3, x, 2, dy, (omq_real)0.5, dw, scratch);
    for (size_t i = 0; i < N(dw); i++)
        ck_assert(dw[i] == 5 + 3 * 3 * taps[i / 16 % 9]);
    k->conv_dinput_s16(&g, 16, 3, dy, ones, (omq_real)0.5, false, dx, scratch);
    k->conv_dinput_s16(&g, 16, 3, dy, ones, (omq_real)0.5, true, dx, scratch);
    for (size_t i = 0; i < N(dx); i++)
        ck_assert(dx[i] == 2 * 16 * seen[i / 16 % 12]);
}
END_TEST

/* One channel of three images, to 20, the second vector of which is not whole: as
 * above, dw alone. */
START_TEST(test_conv_few)
{
    static const omq_real taps[] = {6, 8, 6, 9, 12, 9, 6, 8, 6};
    const struct omq_window g = {.h = 3, .w = 4, .c = 1, .c_count = 1, .kh = 3, .kw = 3,
                                 .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 3, .ow = 4};
    static omq_real scratch[4096], dw[20 * 9];
    int16_t dy[3 * 12 * 20];
    uint8_t x[3 * 12];

    ck_assert(omq_conv_few(&g, 20) && !omq_conv_few(&g, 7) && !omq_conv_direct(&g, 20));
    ck_assert(omq_conv_scratch(&g, 20, 3) <= sizeof(scratch));
    memset(x, 5, sizeof(x));
    for (size_t i = 0; i < N(dw); i++)
        dw[i] = 5;
    for (size_t i = 0; i < N(dy); i++)
        dy[i] = (int16_t)(i % 20 + 1);
    table(_i)->conv_dweight_s16(&g, 20, 3, x, 2, dy, (omq_real)0.5, dw, scratch);
    for (size_t i = 0; i < N(dw); i++)
        ck_assert(dw[i] == 5 + 3 * 3 * taps[i % 9] * (omq_real)(i / 9 + 1) / 2);
}
END_TEST

/* The bound of dy is what 32 bits hold: no sum overflows, and with twice as much
 * one might. */
START_TEST(test_conv_dy_max)
{
    struct omq_window g = {.h = 8, .w = 8, .c = 16, .c_count = 16, .kh = 3, .kw = 3,
                           .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 8, .ow = 8};

    ck_assert_int_eq(omq_conv_dy_max(&g, 16), INT16_MAX);
    ck_assert_int_eq(omq_conv_images(&g, 16), 4);
    for (int oc = 64; oc <= 1024; oc *= 2) {
        int64_t max = omq_conv_dy_max(&g, oc), all = max * 9 * oc * 128;

        ck_assert(all <= INT32_MAX && (max == INT16_MAX || 2 * all > INT32_MAX));
        ck_assert(omq_conv_direct(&g, oc));
    }
    ck_assert(!omq_conv_direct(&g, 2048));
    g.w = g.ow = 1000;
    ck_assert((int64_t)omq_conv_dy_max(&g, 16) * 2 * 255 * 1000 <= INT32_MAX);
    ck_assert_int_eq(omq_conv_images(&g, 16), 2);
    g.w = g.ow = 100000;
    ck_assert(!omq_conv_direct(&g, 16));
    g.c = g.c_count = 1;
    ck_assert(!omq_conv_few(&g, 16));
    /* a first convolution has no dx, which would leave its dy fewer bits */
    g = (struct omq_window){.h = 64, .w = 67, .c = 1, .c_count = 1, .kh = 64, .kw = 64,
                            .sh = 1, .sw = 1, .oh = 1, .ow = 4};
    ck_assert(omq_conv_few(&g, 65536));
    ck_assert_int_eq(omq_conv_dy_max(&g, 65536), INT16_MAX);
    ck_assert_int_eq(omq_conv_images(&g, 65536), 2);
}
END_TEST

/* Sums of 3 x 3 windows up to the largest of which four times fit in 32 bits, beyond, and up
 * to the largest that there are. */
START_TEST(test_large_sums)
{
    enum { OC = 16, H = 8, W = 12, MOST = UINT8_MAX };
    static const struct { int c, least; } sums[] = {{1824, -128}, {1840, -128}, {7312, -127}};
    const struct omq_kern *k = table(_i);

    for (size_t at = 0; at < N(sums); at++) {
        const int c = sums[at].c, least = sums[at].least;
        const ptrdiff_t row = (W + 2) * c, run_at[3] = {0, row, 2 * row};
        const struct omq_conv_shape s = {.oc = OC, .n_runs = 3, .run = 3 * c, .w_bits = 8,
                                         .x_max = MOST};
        const size_t x_size = (size_t)((H + 2) * row + 3), k_size = (size_t)(9 * c * OC);
        uint8_t *x = malloc(x_size), *packed = malloc(omq_conv_packed_size(&s));
        int8_t *weights = malloc(k_size);
        void *scratch = malloc(omq_conv_codes_scratch(&s));
        int32_t start[OC];
        omq_real y[H * W * OC], m[OC], b[OC] = {0};
        const struct omq_conv_io io = {
            .n = 1, .oh = H, .ow = W, .x = x, .x_row = row, .x_pixel = c, .run_at = run_at,
            .w = packed, .start = start, .m = m, .b = b, .y = y, .y_row = W * OC, .y_pixel = OC,
        };

        memset(x, MOST, x_size);
        memset(weights, least, k_size);
        for (int o = 0; o < OC; o++)
            m[o] = 1;
        k->pack_codes(&s, weights, packed, start);
        k->conv_codes(&s, &io, scratch);
        for (size_t i = 0; i < N(y); i++)
            ck_assert_msg(y[i] == (omq_real)(9 * c * MOST * least), "%d channels, [%zu] is %.0f",
                          c, i, (double)y[i]);
        free(x), free(packed), free(weights), free(scratch);
    }
}
END_TEST

Suite *omq_suite_kern_conv(void)
{
    Suite *s = suite_create("kern_conv");
    TCase *t = tcase_create("kern_conv");

    tcase_add_loop_test(t, test_conv_gradients, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_conv_few, 0, OMQ_ISA_COUNT);
    tcase_add_test(t, test_conv_dy_max);
    tcase_add_loop_test(t, test_large_sums, 0, OMQ_ISA_COUNT);
    suite_add_tcase(s, t);
    return s;
}
