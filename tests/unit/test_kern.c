/* SPDX-License-Identifier: MIT
 *
 * Hand-worked values of the kernels at every level; that the levels agree on
 * everything else is tests/checkkern.
 */
#include <check.h>

#include <float.h>
#include <string.h>

#include "kern/kern_internal.h"
#include "kernhelp.h"
#include "quant/quant.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

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
        const char *name = omq_isa_name((enum omq_isa)i);
        const bool ours = strstr(OMQ_ISA_NAMES, name); /* of this architecture */

        ck_assert(omq_isa_parse(name, &isa) == ours);
        ck_assert(!ours || (int)isa == i);
        table(i);
        ck_assert(omq_kern_isa() <= (enum omq_isa)i && omq_kern_isa() <= omq_cpu_isa());
    }
    ck_assert(!omq_isa_parse("", &isa));
    ck_assert(!omq_isa_parse("AVX2", &isa));
    ck_assert(!omq_isa_parse("avx", &isa));
#if defined(__x86_64__)
    ck_assert(!omq_isa_parse("neon", &isa));
#elif defined(__aarch64__)
    ck_assert(!omq_isa_parse("avx2", &isa));
#endif
}
END_TEST

/* Who runs no gemm keeps what the process has set; the table alone changes nothing. */
START_TEST(test_blas_threads)
{
    const omq_real one = 1;
    int n;

    omq_blas_give_back(2);
    n = omq_blas_threads(); /* 1, where BLAS has no threads */
    table(OMQ_ISA_COUNT - 1);
    ck_assert_int_eq(omq_blas_threads(), n);
    for (int isa = 0; isa < OMQ_ISA_COUNT; isa++) {
        omq_real c;

        table(isa)->gemm(false, false, 1, 1, 1, &one, 1, &one, 1, 0, &c, 1);
        ck_assert_int_eq(omq_blas_threads(), isa == OMQ_ISA_REF ? n : 1);
        omq_blas_give_back(n);
    }
}
END_TEST

START_TEST(test_by_bits)
{
    const struct omq_conv_shape s = {.oc = 64, .n_runs = 3, .run = 192, .w_bits = 1,
                                     .midrise = true, .x_max = 1, .q_max = 1};
    struct omq_conv_shape no[6] = {s, s, s, s, s, s};

    table(_i);
    if (_i == OMQ_ISA_REF)
        ck_assert(!omq_conv_by_bits(&s));
    if ((_i == OMQ_ISA_AVX512VPOPCNTDQ || _i >= OMQ_ISA_NEON) && omq_cpu_has((enum omq_isa)_i))
        ck_assert(omq_conv_by_bits(&s));
    no[0].run = 160, no[1].midrise = false, no[2].zero_point = 1, no[3].w_bits = 4;
    no[4].x_max = 15, no[5].w_bits = 2, no[5].x_max = 3;
    for (int i = 0; i < 6; i++)
        ck_assert(!omq_conv_by_bits(&no[i]));
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

START_TEST(test_quantize_s16)
{
    static const int16_t want[] = {1000, -500, 0, 2, -2, 0};
    const omq_real step = (omq_real)0.25, tiny = FLT_MIN / 4096;
    const struct omq_kern *k = table(_i);
    omq_real x[40] = {1000, -500, 0.5, 1.5, -2.5, -0.0f}, scale;
    int16_t q[40];

    for (size_t i = 0; i < N(x); i++)
        x[i] *= step;
    k->quantize_s16(N(x), x, 1000, q, &scale);
    ck_assert(scale == step);
    for (size_t i = 0; i < N(q); i++)
        ck_assert_int_eq(q[i], i < N(want) ? want[i] : 0);
    for (size_t i = 0; i < N(x); i++)
        x[i] = tiny;
    k->quantize_s16(N(x), x, 32767, q, &scale);
    ck_assert(scale == 0 && q[0] == 0 && q[39] == 0);
    memset(x, 0, sizeof(x));
    k->quantize_s16(N(x), x, 32767, q, &scale);
    ck_assert(scale == 0 && q[0] == 0 && q[39] == 0);
    for (int i = 0; i < 3; i++) {
        x[i * 19] = i ? i > 1 ? NAN : -INFINITY : INFINITY;
        x[20] = 7;
        k->quantize_s16(N(x), x, 32767, q, &scale);
        ck_assert(isnan(scale) && q[20] == 0 && q[i * 19] == 0);
        x[i * 19] = 0;
    }
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

    k->im2row_u8(&g, image, 10, rows);
    check_reals(rows, want, N(want));
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

/* Of one channel: v = acc. */
static const struct omq_epilogue plain = {.m = (const omq_real[]){1}, .b = (const omq_real[]){0},
                                          .q_max = 15, .zero_point = 8};

START_TEST(test_quantize)
{
    static const omq_real v[] = {-0.5, 0.5, 1.5, 2.5, 14.5, 15.5, 1e30, -1e30, NAN, INFINITY};
    static const uint8_t want[] = {0, 0, 2, 2, 14, 15, 15, 0, 0, 15};
    static const omq_real real[] = {-8, -8, -6, -6, 6, 7, 7, -8, -8, 7};
    const struct omq_kern *k = table(_i);
    uint8_t q[N(v)];
    omq_real x[N(v)];

    k->epilogue(N(v), 1, &plain, v, NULL, q);
    ck_assert_mem_eq(q, want, sizeof(want));
    k->codes_to_real(N(v), q, 8, x);
    check_reals(x, real, N(real));
}
END_TEST

enum { AROUND = 6, BORDERS = 130, NEXT_TO = 2 * BORDERS * (2 * AROUND + 1) };

/* What lies next to every border between two codes, where 1 / s is not near enough, eight
 * at a time with NaNs and zeros behind them; returns how many that are. */
static size_t next_to_borders(bool midrise, omq_real s, omq_real *w)
{
    size_t n = 0;

    for (int i = -BORDERS; i < BORDERS; i++) {
        omq_real border = ((omq_real)i + (midrise ? 0 : (omq_real)0.5)) * s;

        for (int j = 0; j < AROUND; j++)
            border = nextafter(border, -INFINITY);
        for (int j = -AROUND; j <= AROUND; j++, border = nextafter(border, INFINITY)) {
            w[n++] = border;
            for (int k = 0; n % 32 >= 8 && k < 24; k++)
                w[n++] = k < 8 ? NAN : 0;
        }
    }
    return n;
}

/* There, and of what is no number or not one of 32 bits; of steps that have no inverse, too. */
START_TEST(test_quantize_weights)
{
    static const omq_real steps[] = {(omq_real)0.37, 3, (omq_real)1e-8, (omq_real)0.0123,
                                     (omq_real)1e-45, (omq_real)1e38};
    static const omq_real far[] = {-INFINITY, NAN, INFINITY, -0x1p31, 0x1p31, -0x1p33, 0x1p33};
    static omq_real w[4 * NEXT_TO + 32];
    static int8_t got[N(w)], want[N(w)];
    const struct omq_kern *k = table(_i);

    for (size_t s = 0; s < N(steps); s++)
        for (int midrise = 0; midrise < 2; midrise++) {
            size_t n = next_to_borders(midrise, steps[s], w);

            for (size_t i = 0; i < 32; i++)
                w[n++] = far[i % N(far)] * steps[s];
            ck_assert_uint_le(n, N(w));
            for (int k_max = 1; k_max <= 127; k_max = 2 * k_max + 1) {
                k->quantize_weights(n, w, steps[s], midrise, k_max, got);
                omq_quantize_weights_ref(n, w, steps[s], midrise, k_max, want);
                for (size_t i = 0; i < n; i++)
                    ck_assert_msg(got[i] == want[i], "%a / %a is code %d of %d, not %d",
                                  (double)w[i], (double)steps[s], want[i], k_max, got[i]);
            }
        }
}
END_TEST

START_TEST(test_quantize_backward)
{
    static const omq_real v[] = {-0.25, 0, 2.25, 2.75, 15, 15.25};
    const struct omq_kern *k = table(_i);
    omq_real g[] = {1, 1, 2, 4, 8, 16}, ds = 100, sum_g = 0;

    k->epilogue_backward(6, 1, &plain, v, NULL, g,
                         &(struct omq_epilogue_sums){.ds = &ds, .g = &sum_g});
    check_reals(g, (const omq_real[]){0, 1, 2, 4, 8, 0}, 6);
    /* -8 below, -1/4 * 2 and 1/4 * 4 inside, 7 * 16 above */
    ck_assert(ds == 100 - 8 - 0.5 + 1 + 112);
    ck_assert(sum_g == 15);
}
END_TEST

START_TEST(test_rescale)
{
    static const omq_real ratios[] = {0.004, 0.3, 1, 2.5, 1e9, INFINITY};
    const struct omq_kern *k = table(_i);
    uint8_t q[256], got[256], want[256];

    for (int i = 0; i < 256; i++)
        q[i] = (uint8_t)i;
    for (size_t i = 0; i < 4 * N(ratios); i++) {
        struct omq_act in = omq_act_of(8, i & 1), out = omq_act_of(4, i & 2);
        struct omq_rescale r = {.zp_in = in.zero_point, .zp_out = out.zero_point,
                                .q_max = out.q_max, .ratio = ratios[i / 4]};

        for (int code = 0; code < 256; code++) {
            omq_real v = fma((omq_real)(code - r.zp_in), r.ratio, (omq_real)r.zp_out);

            want[code] = (uint8_t)fmin(fmax(rint(v), 0), (omq_real)r.q_max);
        }
        k->rescale_u8(1, 256, q, 0, &r, got, 0);
        ck_assert_mem_eq(got, want, sizeof(want));
    }
}
END_TEST

/* Rows that lie apart, and more codes than a table is worth; nothing between the rows
 * is written. */
START_TEST(test_rescale_rows)
{
    enum { ROWS = 21, COUNT = 77, Q_ROW = 80, OUT_ROW = 90, UNTOUCHED = 99 };
    static const struct omq_rescale r = {.zp_in = 3, .zp_out = 8, .q_max = 15, .ratio = 0.07f};
    const struct omq_kern *k = table(_i);
    uint8_t q[ROWS * Q_ROW], got[ROWS * OUT_ROW], want[COUNT];

    for (int i = 0; i < ROWS * Q_ROW; i++)
        q[i] = (uint8_t)(i * 37);
    memset(got, UNTOUCHED, sizeof(got));
    k->rescale_u8(ROWS, COUNT, q, Q_ROW, &r, got, OUT_ROW);
    for (int row = 0; row < ROWS; row++) {
        omq_rescale_u8_ref(1, COUNT, q + row * Q_ROW, 0, &r, want, 0);
        ck_assert_mem_eq(got + row * OUT_ROW, want, COUNT);
        for (int i = COUNT; i < OUT_ROW; i++)
            ck_assert_uint_eq(got[row * OUT_ROW + i], UNTOUCHED);
    }
}
END_TEST

START_TEST(test_rescale_backward)
{
    static const struct omq_rescale r = {.zp_in = 128, .zp_out = 2, .q_max = 7, .ratio = 0.25f};
    static const uint8_t q[] = {119, 120, 129, 131, 148, 149}; /* v is -1/4 0 9/4 11/4 7 29/4 */
    static const omq_real g[] = {1, 1, 2, 4, 8, 16};
    const struct omq_kern *k = table(_i);
    omq_real dq[] = {1, 1, 1, 1, 1, 1}, ds[] = {100};

    k->rescale_backward(6, 1, q, &r, g, false, dq, ds);
    check_reals(dq, (const omq_real[]){1, 2, 3, 5, 9, 1}, 6);
    /* -2 below, -1/4 * 2 and 1/4 * 4 inside, 5 * 16 above */
    ck_assert(ds[0] == 100 - 2 - 0.5 + 1 + 80);
    k->rescale_backward(6, 1, q, &r, g, true, dq, ds);
    check_reals(dq, (const omq_real[]){0, 1, 2, 4, 8, 0}, 6);
}
END_TEST

/* epilogue_backward of one value: kern.h. */
static void backward(const struct omq_epilogue *e, bool has_res, int j, omq_real acc, omq_real v,
                     omq_real *g, omq_real *const sum[3])
{
    const omq_real c = fma(acc, e->m[j], e->b[j]);
    const omq_real t = !has_res ? c : c < -128 ? -128 : c > 127 ? 127 : c;
    const omq_real top = e->q_max, x = v < 0 ? 0 : v > top ? top : v;
    const omq_real of_part = has_res ? rint(t) - (t == c ? c : 0) : 0;

    sum[0][j] += *g * (rint(x) - (x == v ? x : (omq_real)e->zero_point) +
                       (x == v ? of_part : 0));
    *g = x == v ? *g : 0;
    sum[1][j] += t == c ? *g : 0;
    if (e->mu)
        sum[2][j] += t == c ? *g * (acc - e->mu[j]) : 0;
}

/* With and without a residual, and a mean. */
START_TEST(test_epilogue)
{
    enum { PIXELS = 5, C = 18, COUNT = PIXELS * C };
    const struct omq_kern *k = table(_i);
    omq_real acc[COUNT], g[2][COUNT], ch[3][C], sum[2][3][C] = {0};
    uint8_t codes[COUNT], q[2][COUNT];

    for (int i = 0; i < COUNT; i++) {
        acc[i] = (omq_real)((i * 37) % 601 - 240);
        g[0][i] = g[1][i] = (omq_real)((i * 11) % 17 - 8) / 3;
        codes[i] = (uint8_t)(i * 53);
    }
    for (int i = 0; i < 3 * C; i++)
        ch[i / C][i % C] = (omq_real)((i * 7) % 10 - 2) / 9;
    for (int with = 0; with < 4; with++) {
        bool has_res = with & 1, has_mu = with & 2;
        const struct omq_epilogue e = {.m = ch[0], .b = ch[1],
                                       .add = {(omq_real)0.3, (omq_real)-20.25},
                                       .mu = has_mu ? ch[2] : NULL, .q_max = 15, .zero_point = 8};
        const struct omq_epilogue_sums sums = {sum[0][0], sum[0][1], sum[0][2]};

        for (int i = 0; i < COUNT; i++) {
            const omq_real c = fma(acc[i], ch[0][i % C], ch[1][i % C]);
            const omq_real t = rint(c < -128 ? -128 : c > 127 ? 127 : c);
            const omq_real v = has_res ? fma((omq_real)codes[i], e.add.r, t + e.add.zero) : c;

            q[1][i] = (uint8_t)fmin(fmax(rint(v), 0), 15);
            backward(&e, has_res, i % C, acc[i], v, &g[1][i],
                     (omq_real *const[]){sum[1][0], sum[1][1], sum[1][2]});
        }
        k->epilogue(PIXELS, C, &e, acc, has_res ? codes : NULL, q[0]);
        k->epilogue_backward(PIXELS, C, &e, acc, has_res ? codes : NULL, g[0], &sums);
        ck_assert_mem_eq(q[0], q[1], sizeof(q[0]));
        check_reals(g[0], g[1], COUNT);
        check_reals(sum[0][0], sum[1][0], 3 * C);
    }
}
END_TEST

/* What a machine would run whose kernel does nothing. */
static void nothing(void) {}

/* The self-test calls every kernel, and looks at what it did. */
START_TEST(test_self_test)
{
    typedef void (*function)(void);
    enum { SLOTS = sizeof(struct omq_kern) / sizeof(function) };
    const function empty = nothing;
    struct omq_kern ref, trial;

    omq_kern_fill_ref(&ref);
    ck_assert(omq_kern_passes(&ref, &ref));
    for (size_t i = 0; i < SLOTS; i++) {
        trial = ref;
        memcpy((char *)&trial + i * sizeof(function), &empty, sizeof(empty));
        ck_assert_msg(!omq_kern_passes(&trial, &ref), "slot %zu", i);
    }
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

/* Rows that lie apart, of channels that leave tails behind vectors: what lies between
 * the rows is not looked at, and stays as it is. */
START_TEST(test_maxpool_rows)
{
    enum { SIDE = 5, C = 50, OUT = 3, ROW = SIDE * C + 7, OUT_ROW = OUT * C + 5 };
    const struct omq_window g = {.h = SIDE, .w = SIDE, .c = C, .c_count = C, .kh = 3, .kw = 3,
                                 .sh = 2, .sw = 2, .ph = 1, .pw = 1, .oh = OUT, .ow = OUT};
    static uint8_t q[SIDE * ROW], out[OUT * OUT_ROW];

    for (int i = 0; i < SIDE * ROW; i++)
        q[i] = i % ROW < SIDE * C ? (uint8_t)(i * 71 % 251) : 255;
    memset(out, 253, sizeof(out));
    table(_i)->maxpool_u8(&g, q, ROW, out, OUT_ROW);
    for (int i = 0; i < OUT * OUT_ROW; i++) {
        const int y = i / OUT_ROW, x = i % OUT_ROW / C, j = i % OUT_ROW % C;
        uint8_t want = x < OUT ? 0 : 253;

        for (int iy = 2 * y - 1; x < OUT && iy <= 2 * y + 1; iy++)
            for (int ix = 2 * x - 1; ix <= 2 * x + 1; ix++)
                if (iy >= 0 && iy < SIDE && ix >= 0 && ix < SIDE && q[iy * ROW + ix * C + j] > want)
                    want = q[iy * ROW + ix * C + j];
        ck_assert_msg(out[i] == want, "value %d is %d, not %d", i, out[i], want);
    }
}
END_TEST

START_TEST(test_maxpool)
{
    /* 3 x 3 pixels of 2 channels, a 2 x 2 window at a step of 1, no padding;
     * of two that are equal the first takes the gradient. */
    static const uint8_t q[] = {1, 0, 5, 0, 5, 9, 3, 0, 5, 0, 4, 0, 7, 9, 5, 0, 0, 0};
    static const uint8_t want_q[] = {5, 0, 5, 9, 7, 9, 5, 0};
    static const omq_real dout[] = {1, 10, 2, 20, 4, 40, 8, 80};
    static const omq_real want[] = {0, 10, 3, 0, 0, 20, 0, 0, 8, 80, 0, 0, 4, 40, 0, 0, 0, 0};
    const struct omq_window g = {.h = 3, .w = 3, .c = 2, .c_count = 2, .kh = 2, .kw = 2,
                                 .sh = 1, .sw = 1, .oh = 2, .ow = 2};
    const struct omq_kern *k = table(_i);
    omq_real x[N(q)], out[N(dout)], dx[N(q)] = {0}, dq[N(q)] = {0};
    uint8_t out_q[N(dout)];

    for (size_t i = 0; i < N(q); i++)
        x[i] = (omq_real)q[i] - 3;
    k->maxpool_u8(&g, q, g.w * g.c, out_q, g.ow * g.c);
    ck_assert_mem_eq(out_q, want_q, sizeof(want_q));
    k->maxpool(&g, x, g.w * g.c, out, g.ow * g.c);
    for (size_t i = 0; i < N(want_q); i++)
        ck_assert(out[i] == (omq_real)want_q[i] - 3);
    k->unpool_u8(&g, q, out_q, dout, dq);
    check_reals(dq, want, N(want));
    k->unpool(&g, x, out, dout, dx);
    check_reals(dx, want, N(want));
}
END_TEST

START_TEST(test_rows)
{
    static const omq_real x[] = {1, 10, 3, 30, 5, 80}, m[] = {2, 3}, b[] = {1, -1}, r[] = {4, 5};
    static const struct omq_addend add = {.r = 4, .zero = -1};
    const struct omq_epilogue e = {.m = m, .b = b}; /* 2 x + 1, 3 x - 1 */
    const struct omq_kern *k = table(_i);
    omq_real y[6], g[] = {1, 2, 3, 4, 5, 6}, s0[] = {100, 200}, s1[] = {0, 0};
    double mean[2], m2[2];

    k->channel_stats(3, 2, x, mean, m2);
    ck_assert(mean[0] == 3 && mean[1] == 40 && m2[0] == 8 && m2[1] == 2600);
    k->affine(3, 2, x, m, b, y);
    check_reals(y, (const omq_real[]){3, 29, 7, 89, 11, 239}, 6);
    k->affine_res(3, 2, x, m, g, &add, b, y);
    check_reals(y, (const omq_real[]){6, 36, 18, 104, 30, 262}, 6);
    k->channel_sum(3, 2, x, s0);
    check_reals(s0, (const omq_real[]){109, 320}, 2);
    k->norm_sums(3, 2, g, x, r, s0, s1);
    check_reals(s0, (const omq_real[]){118, 332}, 2);
    check_reals(s1, (const omq_real[]){-3 - 3 + 5, 10 + 100 + 450}, 2);
    k->scale(3, 2, g, m);
    check_reals(g, (const omq_real[]){2, 6, 6, 12, 10, 18}, 6);
    k->add(6, x, g);
    check_reals(g, (const omq_real[]){3, 16, 9, 42, 15, 98}, 6);
    k->norm_backward(3, 2, g, x, r, m, b, r, NULL);
    check_reals(g, (const omq_real[]){7, 48, 21, 106, 35, 224}, 6);
    k->norm_backward(3, 2, g, x, r, m, b, r, &e); /* 3 * 80 - 1 is beyond the end */
    check_reals(g, (const omq_real[]){15, 144, 45, 298, 75, -70}, 6);
}
END_TEST

Suite *omq_suite_kern(void)
{
    Suite *s = suite_create("kern");
    TCase *t = tcase_create("kern");

    tcase_add_test(t, test_levels);
    tcase_add_test(t, test_blas_threads);
    tcase_add_loop_test(t, test_by_bits, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_gemm, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_quantize_s16, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_im2row, 0, OMQ_ISA_COUNT);
    tcase_add_test(t, test_self_test);
    tcase_add_loop_test(t, test_quantize, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_quantize_weights, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_quantize_backward, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_rescale, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_rescale_rows, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_rescale_backward, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_epilogue, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_relu, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_maxpool, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_maxpool_rows, 0, OMQ_ISA_COUNT);
    tcase_add_loop_test(t, test_rows, 0, OMQ_ISA_COUNT);
    suite_add_tcase(s, t);
    return s;
}
