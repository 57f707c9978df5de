/* SPDX-License-Identifier: MIT
 *
 * Hand-worked values of the kernels at every level; that the levels agree on
 * everything else is tests/checkkern.
 */
#include <check.h>

#include <stdlib.h>
#include <string.h>

#include "kern/kern.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* The table of one level; a level that this machine lacks is the next lower. */
static const struct omq_kern *table(int level)
{
    const char *dropped;

    omq_kern_init((enum omq_isa)level, &dropped);
    ck_assert_msg(!dropped, "dropped %s", dropped ? dropped : "");
    return omq_kern();
}

static void check_reals(const omq_real *got, const omq_real *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i], "[%zu] is %g, not %g", i, (double)got[i],
                      (double)want[i]);
}

START_TEST(test_levels)
{
    enum omq_isa isa;

    for (int i = 0; i < OMQ_ISA_COUNT; i++) {
        ck_assert(omq_isa_parse(omq_isa_name((enum omq_isa)i), &isa));
        ck_assert_int_eq((int)isa, i);
        table(i);
        ck_assert(omq_kern_isa() <= (enum omq_isa)i && omq_kern_isa() <= omq_cpu_isa());
    }
    ck_assert(!omq_isa_parse("", &isa));
    ck_assert(!omq_isa_parse("AVX2", &isa));
    ck_assert(!omq_isa_parse("avx", &isa));
}
END_TEST

START_TEST(test_gemm)
{
    static const omq_real a[] = {1, 2, 3, 4, 5, 6}, at[] = {1, 4, 2, 5, 3, 6};
    static const omq_real b[] = {7, 8, 9, 10, 11, 12}, bt[] = {7, 9, 11, 8, 10, 12};
    static const omq_real want[] = {58, 64, 139, 154}, twice[] = {116, 128, 278, 308};
    const struct omq_kern *k = table(_i);

    for (int t = 0; t < 4; t++) {
        bool ta = t & 1, tb = t & 2;
        omq_real c[4] = {NAN, NAN, NAN, NAN};

        k->gemm(ta, tb, 2, 2, 3, ta ? at : a, ta ? 2 : 3, tb ? bt : b, tb ? 3 : 2, 0, c, 2);
        check_reals(c, want, 4);
        k->gemm(ta, tb, 2, 2, 3, ta ? at : a, ta ? 2 : 3, tb ? bt : b, tb ? 3 : 2, 1, c, 2);
        check_reals(c, twice, 4);
    }
}
END_TEST

START_TEST(test_gemm_s16)
{
    static const int16_t a[] = {1, -2, 255, 0, 3, -255}, w[] = {1, 1, 1, -7, 5, 127};
    static const int32_t want[] = {254, 32368, -252, -32370};
    int32_t acc[4];

    table(_i)->gemm_s16(2, 2, 3, a, w, acc);
    ck_assert_mem_eq(acc, want, sizeof(want));
}
END_TEST

/* 3 x 4 pixels, all codes 3 with zero point 2, 16 to 16 channels: each output
 * counts the taps inside, times 16, times its weights' value o - 8. */
START_TEST(test_conv_u8)
{
    static const omq_real taps[] = {4, 6, 6, 4, 6, 9, 9, 6, 4, 6, 6, 4};
    const struct omq_window g = {.h = 3, .w = 4, .c = 16, .c_count = 16, .kh = 3, .kw = 3,
                                 .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 3, .ow = 4};
    static uint8_t x[12 * 16];
    static omq_real scratch[4096];
    static int8_t w[9 * 16 * 16];
    omq_real y[12 * 16];

    ck_assert(omq_conv_direct(&g, 16) && !omq_conv_direct(&g, 20));
    ck_assert(omq_conv_scratch(&g, 16, 1) <= sizeof(scratch));
    memset(x, 3, sizeof(x));
    for (size_t i = 0; i < N(w); i++)
        w[i] = (int8_t)((int)(i / 4 % 16) - 8);
    table(_i)->conv_u8(&g, 16, 1, x, 2, w, y, scratch);
    for (int i = 0; i < 12 * 16; i++)
        ck_assert(y[i] == taps[i / 16] * 16 * (omq_real)(i % 16 - 8));
}
END_TEST

/* The same with dy = 1 and dw from 5: each tap counts the pixels that see it;
 * and with w = 1: each pixel counts the windows that see it. */
START_TEST(test_conv_gradients)
{
    static const omq_real taps[] = {6, 8, 6, 9, 12, 9, 6, 8, 6};
    static const omq_real seen[] = {4, 6, 6, 4, 6, 9, 9, 6, 4, 6, 6, 4};
    const struct omq_window g = {.h = 3, .w = 4, .c = 16, .c_count = 16, .kh = 3, .kw = 3,
                                 .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 3, .ow = 4};
    static uint8_t x[12 * 16];
    static omq_real scratch[4096], dw[16 * 9 * 16], ones[16 * 9 * 16], dx[12 * 16];
    const struct omq_kern *k = table(_i);

    ck_assert(omq_conv_scratch(&g, 16, 1) <= sizeof(scratch));
    memset(x, 5, sizeof(x));
    for (size_t i = 0; i < N(dw); i++)
        dw[i] = 5, ones[i] = 1;
    k->conv_dweight(&g, 16, 1, x, 2, ones, dw, scratch);
    for (size_t i = 0; i < N(dw); i++)
        ck_assert(dw[i] == 5 + 3 * taps[i / 16 % 9]);
    k->conv_dinput(&g, 16, 1, ones, ones, false, dx, scratch);
    k->conv_dinput(&g, 16, 1, ones, ones, true, dx, scratch);
    for (size_t i = 0; i < N(dx); i++)
        ck_assert(dx[i] == 2 * 16 * seen[i / 16]);
}
END_TEST

START_TEST(test_im2row)
{
    /* 2 x 2 pixels of 2 channels, the second group only; a 2 x 3 window. */
    static const uint8_t image[] = {0, 1, 0, 2, 0, 3, 0, 4};
    static const omq_real want[] = {0, 0, 0, 0, -9, -8, 0, 0, 0, -9, -8, 0,
                                    0, -9, -8, 0, -7, -6, -9, -8, 0, -7, -6, 0};
    struct omq_window g = {.h = 2, .w = 2, .c = 2, .c_begin = 1, .c_count = 1, .kh = 2, .kw = 3,
                           .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 2, .ow = 2};
    const struct omq_kern *k = table(_i);
    omq_real rows[24], strip[12], real_image[8], real_rows[24], back[8] = {0};
    int16_t rows_s16[24];

    k->im2row_u8(&g, image, 10, rows);
    check_reals(rows, want, N(want));
    k->im2row_s16(&g, image, 10, rows_s16);
    for (size_t i = 0; i < N(want); i++)
        ck_assert(rows_s16[i] == want[i]);
    for (size_t i = 0; i < N(image); i++)
        real_image[i] = (omq_real)image[i] - 10;
    k->im2row(&g, real_image, real_rows);
    check_reals(real_rows, want, N(want));

    /* Each pixel comes back once for every window that holds it. */
    k->row2im(&g, rows, back);
    check_reals(back, (const omq_real[]){0, 4 * -9, 0, 4 * -8, 0, 2 * -7, 0, 2 * -6}, N(back));

    g.ph -= g.sh; /* the strip from output row 1 on */
    g.oh = 1;
    k->im2row_u8(&g, image, 10, strip);
    check_reals(strip, want + 12, N(strip));
}
END_TEST

START_TEST(test_quantize)
{
    static const omq_real v[] = {-0.5, 0.5, 1.5, 2.5, 14.5, 15.5, 1e30, -1e30, NAN, INFINITY};
    static const uint8_t want[] = {0, 0, 2, 2, 14, 15, 15, 0, 0, 15};
    static const omq_real real[] = {-8, -8, -6, -6, 6, 7, 7, -8, -8, 7};
    const struct omq_kern *k = table(_i);
    uint8_t q[N(v)];
    omq_real x[N(v)];

    k->quantize_u8(N(v), v, 15, q);
    ck_assert_mem_eq(q, want, sizeof(want));
    k->codes_to_real(N(v), q, 8, x);
    check_reals(x, real, N(real));
}
END_TEST

START_TEST(test_quantize_backward)
{
    static const omq_real v[] = {-0.25, 0, 2.25, 2.75, 15, 15.25};
    const struct omq_kern *k = table(_i);
    omq_real g[] = {1, 1, 2, 4, 8, 16}, ds[] = {100};

    k->quantize_backward(6, 1, v, 15, 8, g, ds);
    check_reals(g, (const omq_real[]){0, 1, 2, 4, 8, 0}, 6);
    /* -8 below, -1/4 * 2 and 1/4 * 4 inside, 7 * 16 above */
    ck_assert(ds[0] == 100 - 8 - 0.5 + 1 + 112);
}
END_TEST

START_TEST(test_relu)
{
    omq_real x[] = {-1, 0, 2, NAN}, y[4], g[] = {3, 4, 5, 6};
    const struct omq_kern *k = table(_i);

    k->relu(4, x, y);
    check_reals(y, (const omq_real[]){0, 0, 2}, 3);
    ck_assert(isnan(y[3]));
    k->relu_backward(4, x, g);
    check_reals(g, (const omq_real[]){0, 0, 5, 6}, 4);
}
END_TEST

START_TEST(test_rows)
{
    static const omq_real x[] = {1, 10, 3, 30, 5, 80}, m[] = {2, 3}, b[] = {1, -1}, r[] = {4, 5};
    const struct omq_kern *k = table(_i);
    omq_real y[6], g[] = {1, 2, 3, 4, 5, 6}, s0[] = {100, 200}, s1[] = {0, 0};
    double mean[2], m2[2];

    k->channel_stats(3, 2, x, mean, m2);
    ck_assert(mean[0] == 3 && mean[1] == 40 && m2[0] == 8 && m2[1] == 2600);
    k->affine(3, 2, x, m, b, y);
    check_reals(y, (const omq_real[]){3, 29, 7, 89, 11, 239}, 6);
    k->affine_res(3, 2, x, m, g, r, b, y);
    check_reals(y, (const omq_real[]){7, 39, 19, 109, 31, 269}, 6);
    k->channel_sum(3, 2, x, s0);
    check_reals(s0, (const omq_real[]){109, 320}, 2);
    k->norm_sums(3, 2, g, x, r, s0, s1);
    check_reals(s0, (const omq_real[]){118, 332}, 2);
    check_reals(s1, (const omq_real[]){-3 - 3 + 5, 10 + 100 + 450}, 2);
    k->scale(3, 2, g, m);
    check_reals(g, (const omq_real[]){2, 6, 6, 12, 10, 18}, 6);
    k->add(6, x, g);
    check_reals(g, (const omq_real[]){3, 16, 9, 42, 15, 98}, 6);
    k->norm_backward(3, 2, g, x, r, m, b, r);
    check_reals(g, (const omq_real[]){7, 48, 21, 106, 35, 224}, 6);
}
END_TEST

Suite *omq_suite_kern(void)
{
    Suite *s = suite_create("kern");
    TCase *t = tcase_create("kern");

    tcase_add_test(t, test_levels);
    tcase_add_loop_test(t, test_gemm, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_gemm_s16, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_conv_u8, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_conv_gradients, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_im2row, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_quantize, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_quantize_backward, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_relu, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_rows, 0, OMQ_ISA_COUNT);
    suite_add_tcase(s, t);
    return s;
}
