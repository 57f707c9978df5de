/* SPDX-License-Identifier: MIT
 *
 * Quantization against formulas written a second time: by searching through
 * all levels, in long double, or by hand. Bits of single values are golden
 * vectors, derivatives are gradient checks; here it is ranges, edges, and
 * what no training run should produce.
 */
#include <check.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "each.h"
#include "quant/quant.h"

Suite *omq_suite_quant(void);

static const enum omq_grid_kind kinds[] = {OMQ_GRID_AUTO, OMQ_GRID_MIDRISE, OMQ_GRID_SYMMETRIC};
enum { N_GRIDS = 3 * 8 };

/* The grid of a loop test. */
static struct omq_grid grid_at(int i) { return omq_grid_of(kinds[i / 8], 1 + i % 8); }

static void init_rng(struct omq_rng *r, int seed)
{
    omq_rng_init(r, (uint64_t)seed, OMQ_STREAM_TEST, 17, 0);
}

/* ---- grids ---- */

START_TEST(grids_are_those_of_the_table)
{
    enum omq_grid_kind kind = kinds[_i / 8];
    int bits = 1 + _i % 8;
    struct omq_grid g = grid_at(_i);
    bool midrise = bits == 1 || (bits < 8 && (kind == OMQ_GRID_MIDRISE ||
                                              (kind == OMQ_GRID_AUTO && bits < 4)));
    static const int midrise_max[] = {0, 1, 3, 7, 15, 31, 63, 127};
    static const int symmetric_max[] = {0, 0, 1, 3, 7, 15, 31, 63, 127};
    int k_max = midrise ? midrise_max[bits] : symmetric_max[bits];

    ck_assert_int_eq(g.bits, bits);
    ck_assert_int_eq(g.midrise, midrise);
    ck_assert_int_eq(g.k_max, k_max);
    ck_assert_int_eq(g.k_min, -k_max);
    ck_assert_int_eq(omq_grid_largest(&g), k_max);
    g.k_min--; /* two's complement */
    ck_assert_int_eq(omq_grid_largest(&g), k_max + 1);
    ck_assert(omq_grid_unit(&g, 3) == (midrise ? (omq_real)1.5 : 3));
    /* half a cell beyond the outer value */
    ck_assert(g.edge == (midrise ? (omq_real)(k_max + 1) / 2 : (omq_real)k_max + (omq_real)0.5));
}
END_TEST

START_TEST(activations_have_their_codes)
{
    for (int bits = 1; bits <= 8; bits++) {
        struct omq_act a = omq_act_of(bits, false), s = omq_act_of(bits, true);

        ck_assert(a.bits == bits && a.q_max == (1 << bits) - 1 && a.zero_point == 0);
        ck_assert_int_eq(s.bits, bits == 1 ? 2 : bits);
        ck_assert_int_eq(s.q_max, (1 << s.bits) - 1);
        ck_assert_int_eq(s.zero_point, 1 << (s.bits - 1));
    }
}
END_TEST

/* ---- quantizing ---- */

/* The nearest code of w by trying all; a tie goes to the even code on the
 * symmetric grid and upwards on the mid-rise one. */
static int nearest(const struct omq_grid *g, double w, double step)
{
    double unit = g->midrise ? step / 2 : step, least = INFINITY;
    int best = g->k_min;

    for (int k = g->k_min; k <= g->k_max; k += g->midrise ? 2 : 1) {
        double d = fabs(w - k * unit);

        if (d < least || (d == least && (g->midrise || k % 2 == 0))) {
            least = d;
            best = k;
        }
    }
    return best;
}

/* Eighths of a step, exact in binary, to well beyond the grid: every tie of
 * rint and every edge of floor is among them. */
START_TEST(codes_are_the_nearest)
{
    static omq_real w[2 * 8 * 140 + 1];
    static int8_t k[sizeof(w) / sizeof(*w)];
    struct omq_grid g = grid_at(_i);
    int n = (int)(sizeof(w) / sizeof(*w)), seen[256] = {0};

    for (int e = -3; e <= 3; e += 3) {
        omq_real step = ldexp((omq_real)1, e);

        for (int i = 0; i < n; i++)
            w[i] = (omq_real)(i - n / 2) / 8 * step;
        omq_weights_quantize(&g, 1, (size_t)n, w, &step, 1, k);
        for (int i = 0; i < n; i++) {
            assert_each(k[i] == nearest(&g, (double)w[i], (double)step),
                        "%d bits, %g steps: %d, not %d", g.bits, (double)(w[i] / step), k[i],
                        nearest(&g, (double)w[i], (double)step));
            seen[k[i] + 128] = 1;
        }
    }
    for (int c = -128; c < 128; c++)
        ck_assert_int_eq(seen[c + 128], c >= g.k_min && c <= g.k_max && (!g.midrise || c % 2));
}
END_TEST

START_TEST(random_weights_get_codes_by_channel)
{
    enum { OUT = 5, N = 37 };
    struct omq_grid g = grid_at(_i);
    omq_real w[OUT * N], step[OUT];
    int8_t k[OUT * N];
    struct omq_rng r;

    init_rng(&r, _i);
    for (int i = 0; i < OUT * N; i++)
        w[i] = (omq_real)omq_rng_normal(&r);
    for (int o = 0; o < OUT; o++)
        step[o] = (omq_real)ldexp(1.0, -o); /* a power of two: w/s is exact */
    omq_weights_quantize(&g, OUT, N, w, step, OUT, k);
    for (int i = 0; i < OUT * N; i++)
        ck_assert_int_eq(k[i], nearest(&g, (double)w[i], (double)step[i / N]));
    omq_weights_quantize(&g, OUT, N, w, step + 2, 1, k);
    for (int i = 0; i < OUT * N; i++)
        ck_assert_int_eq(k[i], nearest(&g, (double)w[i], (double)step[2]));
}
END_TEST

/* A run that diverges quantizes such values before anyone notices. */
START_TEST(codes_of_any_value_are_codes)
{
    const omq_real w[] = {0, -0.0f, FLT_MIN, -FLT_MIN, FLT_TRUE_MIN, FLT_MAX, -FLT_MAX, INFINITY,
                          -INFINITY, NAN, 1e30f, -1e30f};
    const omq_real steps[] = {1, FLT_MAX, FLT_MIN, FLT_TRUE_MIN, 0, INFINITY, NAN};
    enum { N = sizeof(w) / sizeof(*w) };
    struct omq_grid g = grid_at(_i);
    int8_t k[N];

    for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++) {
        omq_weights_quantize(&g, 1, N, w, &steps[s], 1, k);
        for (int i = 0; i < N; i++)
            ck_assert_msg(k[i] >= g.k_min && k[i] <= g.k_max && (!g.midrise || k[i] % 2),
                          "%d bits: %g at step %g is %d", g.bits, (double)w[i], (double)steps[s],
                          k[i]);
        if (s == 0) {
            ck_assert_int_eq(k[0], g.midrise ? 1 : 0);
            ck_assert_int_eq(k[1], k[0]); /* no sign of zero */
            ck_assert(k[5] == g.k_max && k[7] == g.k_max && k[10] == g.k_max);
            ck_assert(k[6] == g.k_min && k[8] == g.k_min && k[11] == g.k_min);
        }
    }
}
END_TEST

/* ---- first steps ---- */

static double weight_error(const struct omq_grid *g, size_t n, const omq_real *w, double step)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double d = (double)w[i] - nearest(g, (double)w[i], step) * (g->midrise ? step / 2 : step);

        sum += d * d;
    }
    return sum;
}

enum { SAMPLE = 600, N_SHAPES = 5 };

/* Gaussian, Laplacian, uniform, sparse, and Gaussian with one far outlier. */
static void fill_shape(int shape, omq_real *w, struct omq_rng *r)
{
    for (int i = 0; i < SAMPLE; i++) {
        double z = omq_rng_normal(r), u = 2 * omq_rng_uniform(r) - 1;

        w[i] = (omq_real)(0.02 * (shape == 1 ? copysign(log(1 - fabs(u)), u)
                                  : shape == 2 ? u
                                  : shape == 3 ? (i % 7 ? 0 : z) : z));
    }
    if (shape == 4)
        w[SAMPLE / 2] = (omq_real)(0.02 * 25);
}

/* A second, much finer search over a much wider range finds nothing that is
 * worth speaking of: with many codes the error is rugged, and tiny anyway. */
START_TEST(first_weight_step_is_of_least_squares)
{
    struct omq_grid g = grid_at(_i);
    omq_real w[SAMPLE], step;
    struct omq_rng r;

    init_rng(&r, _i);
    for (int shape = 0; shape < N_SHAPES; shape++) {
        double least = INFINITY, at = 0, got;

        fill_shape(shape, w, &r);
        omq_weights_init_step(&g, 1, SAMPLE, w, &step, 1);
        got = weight_error(&g, SAMPLE, w, (double)step);
        for (double s = 1; s > 1e-5; s *= 0.95) {
            double e = weight_error(&g, SAMPLE, w, s);

            at = e < least ? s : at;
            least = fmin(least, e);
        }
        ck_assert_msg(got <= (g.bits < 5 ? 1.06 : 1.5) * least,
                      "%d bits, shape %d: step %g has error %g, %g has %g", g.bits, shape,
                      (double)step, got, at, least);
    }
}
END_TEST

START_TEST(first_step_of_one_bit_is_twice_the_mean)
{
    struct omq_grid g = omq_grid_of(OMQ_GRID_AUTO, 1);
    const omq_real w[] = {1, -2, 3, -4, 0.5f, -0.5f};
    omq_real step[2];

    omq_weights_init_step(&g, 2, 3, w, step, 1);
    ck_assert_float_eq_tol((float)step[0], 2.0f * 11 / 6, 1e-6f);
    omq_weights_init_step(&g, 2, 3, w, step, 2);
    ck_assert_float_eq_tol((float)step[0], 4, 1e-6f);
    ck_assert_float_eq_tol((float)step[1], 2.0f * 5 / 3, 1e-6f);
}
END_TEST

START_TEST(first_steps_of_channels_do_not_see_each_other)
{
    struct omq_grid g = grid_at(_i);
    omq_real w[SAMPLE], each[3], one;
    struct omq_rng r;

    init_rng(&r, _i);
    fill_shape(0, w, &r);
    for (int i = 0; i < SAMPLE / 3; i++)
        w[i] *= 100;
    omq_weights_init_step(&g, 3, SAMPLE / 3, w, each, 3);
    for (int o = 0; o < 3; o++) {
        omq_weights_init_step(&g, 1, SAMPLE / 3, w + o * (SAMPLE / 3), &one, 1);
        ck_assert(one == each[o]);
    }
}
END_TEST

/* A step is never 0, which would mean that there is none yet; and a filter of
 * zeros stays next to nothing on a grid that has no zero. */
START_TEST(first_weight_step_is_positive)
{
    const omq_real small[] = {0, 0, 0, FLT_TRUE_MIN, -FLT_TRUE_MIN, 2 * FLT_TRUE_MIN,
                              FLT_MIN, FLT_MIN, -FLT_MIN, 1e-30f, -2e-30f, 0};
    const omq_real large[] = {1e37f, -1e37f, 3e36f, 1e37f, 0, 0};
    struct omq_grid g = grid_at(_i);
    int8_t k[3];

    for (size_t i = 0; i < sizeof(small) / sizeof(*small); i += 3) {
        omq_real step = -1;

        omq_weights_init_step(&g, 1, 3, small + i, &step, 1);
        ck_assert_msg(isfinite(step) && step > 0, "row %zu: %g", i, (double)step);
        omq_weights_quantize(&g, 1, 3, small + i, &step, 1, k);
        for (int j = 0; j < 3; j++)
            ck_assert_msg(fabs(k[j] * omq_grid_unit(&g, step)) < 1e-5f, "%d bits: %g becomes %g",
                          g.bits, (double)small[i + (size_t)j],
                          (double)(k[j] * omq_grid_unit(&g, step)));
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(*large); i += 3) {
        omq_real step = -1;

        omq_weights_init_step(&g, 1, 3, large + i, &step, 1);
        ck_assert(isfinite(step) && step > 0);
    }
}
END_TEST

/* Whatever the weights: no undefined conversion, and a step that is not 0. */
START_TEST(first_weight_step_of_nonsense)
{
    const omq_real w[] = {1, NAN, 2, INFINITY, 1, -1, NAN, NAN, NAN, -INFINITY, NAN, 1};
    struct omq_grid g = grid_at(_i);

    for (size_t i = 0; i < sizeof(w) / sizeof(*w); i += 3) {
        omq_real step = 0;

        omq_weights_init_step(&g, 1, 3, w + i, &step, 1);
        ck_assert(!(step <= 0));
    }
}
END_TEST

static double act_error(const struct omq_act *a, size_t n, const omq_real *x, double s)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        double q = fmin(fmax(rint((double)x[i] / s) + a->zero_point, 0), a->q_max);
        double d = (double)x[i] - s * (q - a->zero_point);

        sum += d * d;
    }
    return sum;
}

static double mean_of_nonzero(size_t n, const omq_real *x)
{
    double sum = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        sum += fabs((double)x[i]);
        count += x[i] != 0;
    }
    return sum / (double)count;
}

/* Among those that are at most twice the mean. */
START_TEST(first_activation_step_is_of_least_squares)
{
    struct omq_act a = omq_act_of(1 + _i % 8, _i >= 8);
    omq_real x[SAMPLE];
    struct omq_rng r;

    init_rng(&r, _i);
    for (int shape = 0; shape < N_SHAPES; shape++) {
        double least = INFINITY, at = 0, got;
        omq_real step;

        fill_shape(shape, x, &r);
        for (int i = 0; i < SAMPLE && !a.zero_point; i++)
            x[i] = x[i] > 0 ? x[i] : 0;
        step = omq_act_init_step(&a, SAMPLE, x);
        got = act_error(&a, SAMPLE, x, (double)step);
        for (double s = 2 * mean_of_nonzero(SAMPLE, x); s > 1e-5; s *= 0.95) {
            double e = act_error(&a, SAMPLE, x, s);

            at = e < least ? s : at;
            least = fmin(least, e);
        }
        ck_assert_msg(got <= (a.bits < 5 ? 1.2 : 1.5) * least,
                      "%d bits%s, shape %d: step %g has error %g, %g has %g", a.bits,
                      _i >= 8 ? " signed" : "", shape, (double)step, got, at, least);
    }
}
END_TEST

/* Least squares alone would take 40 here at 1 bit, and 20 at 2: a step for ten values. */
START_TEST(first_activation_step_is_not_for_few_values)
{
    enum { N = 1000 };
    struct omq_act a = omq_act_of(1 + _i, false);
    omq_real x[N], step;
    int passed = 0;

    for (int i = 0; i < N; i++)
        x[i] = i % 100 == 0 ? 40 : (omq_real)(i % 100) / 100;
    step = omq_act_init_step(&a, N, x);
    for (int i = 0; i < N; i++)
        passed += x[i] > step / 2;
    ck_assert_msg(step < 2 && passed > N / 10, "%d bits: %g, passed by %d", a.bits, (double)step,
                  passed);
}
END_TEST

/* However far above the rest the largest value is. */
START_TEST(first_activation_step_is_at_most_twice_the_mean)
{
    struct omq_act a = omq_act_of(1 + _i, false);
    static omq_real x[16384];
    omq_real step;

    for (int i = 0; i < 16384; i++)
        x[i] = i == 77 ? 1000 : 1;
    step = omq_act_init_step(&a, 16384, x);
    ck_assert_msg((double)step < 2.2, "%d bits: %g", a.bits, (double)step);
}
END_TEST

START_TEST(first_activation_step_is_positive)
{
    const omq_real rows[][3] = {{0, 0, 0}, {-1, -2, 0}, {FLT_TRUE_MIN, 0, 0}, {1e37f, -1e37f, 0},
                                {NAN, 1, -1}, {INFINITY, 1, -1}, {-INFINITY, 0, 0}};

    for (int i = 0; i < 16; i++)
        for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
            struct omq_act a = omq_act_of(1 + i % 8, i >= 8);
            omq_real step = omq_act_init_step(&a, 3, rows[j]);

            ck_assert_msg(step > 0, "row %zu: %g", j, (double)step);
            ck_assert(isfinite(step) || j > 4);
        }
}
END_TEST

/* Of many values only some are looked at, from every channel. */
START_TEST(first_activation_step_meets_every_channel)
{
    enum { N = 1 << 18, C = 64 };
    struct omq_act a = omq_act_of(8, false);
    omq_real *x = calloc(N, sizeof(*x)), step;

    ck_assert_ptr_nonnull(x);
    for (int i = 0; i < N; i++)
        x[i] = i % C == C - 1 ? 255 : 1;
    step = omq_act_init_step(&a, N, x);
    ck_assert_float_eq_tol((float)step, 1, 1e-3f);
    free(x);
}
END_TEST

/* ---- requantization ---- */

/* What every code becomes. */
static void requant_table(struct omq_act in, omq_real s_in, struct omq_act out, omq_real s_out,
                          uint8_t table[256])
{
    const struct omq_rescale r = {.zp_in = in.zero_point, .zp_out = out.zero_point,
                                  .q_max = out.q_max, .ratio = s_in / s_out};
    uint8_t codes[256];

    for (int q = 0; q < 256; q++)
        codes[q] = (uint8_t)q;
    omq_kern()->rescale_u8(1, 256, codes, 0, &r, table, 0);
}

START_TEST(requant_keeps_values)
{
    for (int i = 0; i < 16; i++)
        for (int in_signed = 0; in_signed < 2; in_signed++)
            for (int e = -9; e <= 9; e++) {
                struct omq_act in = omq_act_of(8, in_signed), out = omq_act_of(1 + i % 8, i >= 8);
                double s_in = 0.037, s_out = s_in * pow(1.7, e);
                uint8_t table[256];

                requant_table(in, (omq_real)s_in, out, (omq_real)s_out, table);
                for (int q = 0; q < 256; q++) {
                    double x = (q - in.zero_point) * s_in / s_out + out.zero_point;
                    double want = fmin(fmax(x, 0), out.q_max);

                    assert_each(table[q] <= out.q_max && fabs(table[q] - want) <= 0.5001 &&
                                    (q == 0 || table[q] >= table[q - 1]),
                                "code %d becomes %d, not %g", q, table[q], x);
                }
                ck_assert_int_eq(table[in.zero_point], out.zero_point);
            }
}
END_TEST

START_TEST(requant_of_any_step_holds_codes)
{
    const omq_real steps[] = {0, FLT_TRUE_MIN, 1, FLT_MAX, INFINITY, NAN};
    enum { N = sizeof(steps) / sizeof(*steps) };
    struct omq_act in = omq_act_of(8, true), out = omq_act_of(3, true);
    uint8_t table[256];

    for (int i = 0; i < N * N; i++) {
        requant_table(in, steps[i / N], out, steps[i % N], table);
        for (int q = 0; q < 256; q++)
            ck_assert_int_le(table[q], out.q_max);
    }
}
END_TEST

/* ---- folding ---- */

/* The chain that the epilogue stands for, in long double. */
static long double unfolded(double acc, double unit, double s_in, const struct omq_norm *norm,
                            int c, double s_out, int zp_out, double res, double s_res, int zp_res)
{
    long double y = (long double)acc * unit * s_in;

    if (norm->gamma)
        y = (y - norm->mean[c]) / sqrtl((long double)norm->var[c] + (long double)norm->eps) *
            norm->gamma[c];
    if (norm->beta)
        y += norm->beta[c];
    return (y + (res - zp_res) * (long double)s_res) / s_out + zp_out;
}

static const omq_real gamma_[] = {1, 0, -0.7f, 2.5f}, beta_[] = {0.25f, -1, 0, 3};
static const omq_real mean_[] = {-0.5f, 2, 0, 0.125f}, var_[] = {1, 0.3f, 0, 9};
static const omq_real units[] = {0.01f, 0.5f, 0.003f, 0.02f};

START_TEST(parts_of_a_bias)
{
    ck_assert_int_eq(omq_bias_parts(1, 1, 144), 7);
    ck_assert_int_eq(omq_bias_parts(3, 3, 144), 2);
    ck_assert_int_eq(omq_bias_parts(7, 15, 144), 1);
    ck_assert_int_eq(omq_bias_parts(15, 31, 144), 8);
    ck_assert_int_eq(omq_bias_parts(15, 255, 144), 4); /* 16 bits for two products */
    ck_assert_int_eq(omq_bias_parts(127, 255, 144), 1);
    ck_assert_int_eq(omq_bias_parts(128, 255, 144), 1); /* double-rounding's grid */
    ck_assert_int_eq(omq_bias_parts(127, 255, 40000), 0); /* beyond half of 32 bits */
}
END_TEST

START_TEST(folding_is_the_chain_it_stands_for)
{
    struct omq_norm norm = {.gamma = _i & 1 ? gamma_ : NULL, .beta = _i & 2 ? beta_ : NULL,
                            .mean = mean_, .var = var_, .eps = 1e-5};
    int n_units = _i & 4 ? 4 : 1, zp_out = _i & 8 ? 128 : 0, zp_res = _i & 16 ? 128 : 0;
    double s_in = 0.07, s_out = _i & 8 ? 0.11 : 1, s_res = _i & 32 ? 0.05 : 0;
    const struct omq_addend add = omq_fold_residual(s_res, zp_res, s_out, zp_out);
    omq_real m[4], b[4];

    omq_fold(4, units, n_units, s_in, &norm, 0, s_out, 0, m, b);
    ck_assert(isfinite(add.r) && isfinite(add.zero) && (s_res > 0 || add.r == 0));
    for (int c = 0; c < 4; c++) {
        ck_assert(isfinite(m[c]) && isfinite(b[c]));
        for (int acc = -3000; acc <= 3000; acc += 500)
            for (int res = 0; res < 256; res += 51) {
                double got = (double)acc * (double)m[c] + (double)b[c] +
                             (double)res * (double)add.r + (double)add.zero;
                double want = (double)unfolded(acc, (double)units[n_units == 1 ? 0 : c], s_in,
                                               &norm, c, s_out, zp_out, res, s_res, zp_res);

                ck_assert_msg(fabs(got - want) <= 1e-5 * (fabs(want) + 200 + fabs(acc * m[c])),
                              "channel %d: %g, not %g", c, got, want);
            }
    }
    if (_i & 1)
        ck_assert(m[1] == 0); /* a zero filter is a zero scale */
    if ((_i & 1) && (_i & 2))
        ck_assert_double_eq_tol((double)b[1], -1 / s_out, 1e-4);
    if (_i & 1)
        ck_assert(m[2] < 0 && m[0] > 0); /* the sign of gamma; no variance is no infinity */
}
END_TEST

START_TEST(pool_folding_is_a_mean)
{
    omq_real m, b;

    omq_fold_pool(0.5, 9, 0.25, 8, &m, &b);
    ck_assert_float_eq_tol((float)m, 2.0f / 9, 1e-7f);
    ck_assert(b == 8);
    omq_fold_pool(0.5, 1, 1, 0, &m, &b);
    ck_assert(m == 0.5f && b == 0);
}
END_TEST

Suite *omq_suite_quant(void)
{
    Suite *s = suite_create("quant");
    TCase *t = tcase_create("quant");

    tcase_add_loop_test(t, grids_are_those_of_the_table, 0, N_GRIDS);
    tcase_add_test(t, activations_have_their_codes);
    tcase_add_loop_test(t, codes_are_the_nearest, 0, N_GRIDS);
    tcase_add_loop_test(t, random_weights_get_codes_by_channel, 0, N_GRIDS);
    tcase_add_loop_test(t, codes_of_any_value_are_codes, 0, N_GRIDS);
    tcase_add_loop_test(t, first_weight_step_is_of_least_squares, 0, N_GRIDS);
    tcase_add_test(t, first_step_of_one_bit_is_twice_the_mean);
    tcase_add_loop_test(t, first_steps_of_channels_do_not_see_each_other, 0, N_GRIDS);
    tcase_add_loop_test(t, first_weight_step_is_positive, 0, N_GRIDS);
    tcase_add_loop_test(t, first_weight_step_of_nonsense, 0, N_GRIDS);
    tcase_add_loop_test(t, first_activation_step_is_of_least_squares, 0, 16);
    tcase_add_test(t, first_activation_step_is_positive);
    tcase_add_loop_test(t, first_activation_step_is_not_for_few_values, 0, 3);
    tcase_add_loop_test(t, first_activation_step_is_at_most_twice_the_mean, 0, 3);
    tcase_add_test(t, first_activation_step_meets_every_channel);
    tcase_add_test(t, requant_keeps_values);
    tcase_add_test(t, requant_of_any_step_holds_codes);
    tcase_add_test(t, parts_of_a_bias);
    tcase_add_loop_test(t, folding_is_the_chain_it_stands_for, 0, 64);
    tcase_add_test(t, pool_folding_is_a_mean);
    suite_add_tcase(s, t);
    return s;
}
