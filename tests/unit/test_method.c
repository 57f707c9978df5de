/* SPDX-License-Identifier: MIT
 *
 * The rows of quant.method against the formulas of their papers, written down
 * a second time in double, and against examples worked out by hand. Gradients
 * are checked in double (tests/grad).
 */
#include <check.h>
#include <float.h>
#include <string.h>

#include "base/rng.h"
#include "quant/quant.h"

Suite *omq_suite_method(void);

enum { OUT = 6, N = 45, ALL = OUT * N, FAN_OUT = OUT * 9, N_METHODS = 4 };

struct layer {
    omq_real w[ALL], scratch[ALL], unit[OUT], step;
    int8_t k[ALL];
    struct omq_weights q;
};

/* n weights as one output. */
static const struct omq_method *open_layer(struct layer *l, enum omq_quant_method method,
                                           int bits, size_t n)
{
    const struct omq_method *m = omq_method_of(method, false);

    l->q = (struct omq_weights){
        .grid = m->grid(OMQ_GRID_AUTO, bits), .out = 1, .fan_out = FAN_OUT, .n = n, .w = l->w,
        .scratch = l->scratch, .k = l->k, .unit = l->unit,
        .step = m->wstep == OMQ_WSTEP_NONE ? NULL : &l->step,
        .n_steps = m->wstep == OMQ_WSTEP_NONE ? 0 : 1,
    };
    return m;
}

static void fill(struct layer *l, int seed)
{
    struct omq_rng r;

    omq_rng_init(&r, (uint64_t)seed, OMQ_STREAM_TEST, 23, 0);
    for (int i = 0; i < ALL; i++)
        l->w[i] = (omq_real)(0.2 * omq_rng_normal(&r));
}

static void quantize(struct layer *l, const struct omq_method *m)
{
    if (m->init_step)
        m->init_step(&l->q, &l->step);
    m->forward(&l->q);
    ck_assert_int_eq(l->q.n_units, 1);
}

/* tanh(w) / max|tanh(w)| */
static void squash(const omq_real *w, double *x)
{
    double peak = 0;

    for (int i = 0; i < ALL; i++)
        peak = fmax(peak, fabs(x[i] = tanh((double)w[i])));
    for (int i = 0; i < ALL; i++)
        x[i] /= peak;
}

static bool is_code(const struct omq_grid *g, int k)
{
    return k >= g->k_min && k <= g->k_max && (!g->midrise || k % 2);
}

/* ---- formulas ---- */

START_TEST(any_precision_is_its_formula)
{
    int bits = 1 + _i;
    double x[ALL], mean = 0, n = (1 << bits) - 1;
    struct layer l;
    const struct omq_method *m = open_layer(&l, OMQ_METHOD_ANY_PRECISION, bits, ALL);

    fill(&l, _i);
    quantize(&l, m);
    squash(l.w, x);
    for (int i = 0; i < ALL; i++)
        mean += fabs((double)l.w[i]) / ALL;
    for (int i = 0; i < ALL; i++) {
        double want = mean * (2 * rint((x[i] / 2 + 0.5) * n) / n - 1);

        /* our 8 bits have a level less: half a step beside theirs at most */
        ck_assert_msg(fabs((double)(l.k[i] * l.unit[0]) - want) <= (bits < 8 ? 1e-6 : mean / 127),
                      "%d bits, %g: %g, not %g", bits, (double)l.w[i],
                      (double)(l.k[i] * l.unit[0]), want);
        ck_assert(fabs((double)(l.q.x[i] * l.q.scale) - mean * x[i]) < 1e-6);
    }
}
END_TEST

START_TEST(adabits_is_its_formula)
{
    int bits = 1 + _i;
    double x[ALL], v[ALL], levels = 1 << bits, mean = 0, var = 0, scale;
    struct layer l;
    const struct omq_method *m = open_layer(&l, OMQ_METHOD_ADABITS, bits, ALL);

    fill(&l, _i);
    quantize(&l, m);
    squash(l.w, x);
    for (int i = 0; i < ALL; i++) {
        v[i] = 2 * (fmin(floor(levels * (x[i] + 1) / 2), levels - 1) + 0.5) / levels - 1;
        mean += v[i] / ALL;
    }
    for (int i = 0; i < ALL; i++)
        var += (v[i] - mean) * (v[i] - mean) / (ALL - 1);
    scale = 1 / sqrt(FAN_OUT * var);
    for (int i = 0; i < ALL; i++)
        ck_assert_msg(fabs((double)(l.k[i] * l.unit[0]) - v[i] * scale) <=
                          scale * (bits < 8 ? 1e-6 : 1.01 / 127),
                      "%d bits, %g: %g, not %g", bits, (double)l.w[i],
                      (double)(l.k[i] * l.unit[0]), v[i] * scale);
}
END_TEST

START_TEST(double_rounding_is_its_formula)
{
    int bits = 1 + _i;
    double coarse = 1 << (8 - bits), half = 1 << (bits - 1);
    struct layer l;
    const struct omq_method *m = open_layer(&l, OMQ_METHOD_DOUBLE_ROUNDING, bits, ALL);

    fill(&l, _i);
    quantize(&l, m);
    for (int i = 0; i < ALL; i++) {
        double high = fmin(fmax(rint((double)(l.w[i] / l.step)), -127), 127);
        double low = fmin(fmax(rint(high / coarse), bits == 8 ? -127 : -half), half - 1);
        double want = (double)l.step * (bits == 1 ? (high >= 0 ? 64 : -64) : low * coarse);

        ck_assert_msg(fabs((double)(l.k[i] * l.unit[0]) - want) < 1e-6, "%d bits, %g: %g, not %g",
                      bits, (double)l.w[i], (double)(l.k[i] * l.unit[0]), want);
    }
}
END_TEST

/* The shared step does not depend on the width that asks for it first. */
START_TEST(double_rounding_has_one_step)
{
    struct omq_grid g = omq_grid_of(OMQ_GRID_AUTO, 8);
    omq_real want;

    for (int bits = 1; bits <= 8; bits++) {
        struct layer l;
        const struct omq_method *m = open_layer(&l, OMQ_METHOD_DOUBLE_ROUNDING, bits, ALL);

        fill(&l, 3);
        omq_weights_init_step(&g, 1, ALL, l.w, &want, 1);
        m->init_step(&l.q, &l.step);
        ck_assert(l.step == want);
    }
}
END_TEST

/* ---- by hand ---- */

/* tanh(w) is 1/2, 1/4, 1/8, -1/16, -1/2 with the largest 1/2, so that x is 1,
 * 1/2, 1/4, -1/8, -1; for Double-Rounding w is 127, 64, 33, 32, -96 steps. */
static const struct {
    enum omq_quant_method method;
    int bits, k[5];
} by_hand[] = {
    /* u = 1, .75, .625, .4375, 0: times 3 is 3, 2.25, 1.875, 1.3125, 0 */
    {OMQ_METHOD_ANY_PRECISION, 2, {3, 1, 1, -1, -3}},
    {OMQ_METHOD_ANY_PRECISION, 1, {1, 1, 1, -1, -1}},
    {OMQ_METHOD_ANY_PRECISION, 3, {7, 3, 1, -1, -7}}, /* times 7: 5.25, 4.375, 3.0625 */
    {OMQ_METHOD_ANY_PRECISION, 8, {127, 64, 32, -16, -127}}, /* 63.5, 31.75, -15.875 */
    /* times 4: 4, 3, 2.5, 1.75, 0 */
    {OMQ_METHOD_ADABITS, 2, {3, 3, 1, -1, -3}},
    {OMQ_METHOD_ADABITS, 1, {1, 1, 1, -1, -1}},
    {OMQ_METHOD_ADABITS, 3, {7, 5, 3, -1, -7}}, /* times 8: 8, 6, 5, 3.5, 0 */
    /* 64ths: 1.98, 1, 0.52, 0.5, -1.5, to even */
    {OMQ_METHOD_DOUBLE_ROUNDING, 2, {1, 1, 1, 0, -2}},
    {OMQ_METHOD_DOUBLE_ROUNDING, 3, {3, 2, 1, 1, -3}}, /* 32nds: 3.97 is cut to 3 */
    {OMQ_METHOD_DOUBLE_ROUNDING, 7, {63, 32, 16, 16, -48}}, /* 63.5 cut; 16.5 to even */
    {OMQ_METHOD_DOUBLE_ROUNDING, 8, {127, 64, 33, 32, -96}},
    {OMQ_METHOD_DOUBLE_ROUNDING, 1, {1, 1, 1, 1, -1}},
};

START_TEST(examples_by_hand)
{
    static const double squashed[] = {0.5, 0.25001, 0.12501, -0.0625, -0.5};
    static const double steps[] = {127, 64, 33, 32, -96};
    bool rounds_twice = by_hand[_i].method == OMQ_METHOD_DOUBLE_ROUNDING;
    struct layer l;
    const struct omq_method *m = open_layer(&l, by_hand[_i].method, by_hand[_i].bits, 5);

    for (int i = 0; i < 5; i++)
        l.w[i] = (omq_real)(rounds_twice ? 0.25 * steps[i] : atanh(squashed[i]));
    l.step = (omq_real)0.25;
    m->forward(&l.q);
    for (int i = 0; i < 5; i++)
        ck_assert_msg(l.k[i] == by_hand[_i].k[i], "weight %d: %d, not %d", i, l.k[i],
                      by_hand[_i].k[i]);
}
END_TEST

/* Codes 3, 3, 1, -1, -3 have the variance 6.8, and the layer's weights then the
 * deviation 1 / sqrt(fan-out), whatever they were. */
START_TEST(adabits_rescales)
{
    struct layer l;
    const struct omq_method *m = open_layer(&l, OMQ_METHOD_ADABITS, 2, 5);
    const double t[] = {0.5, 0.25001, 0.12501, -0.0625, -0.5};

    for (int i = 0; i < 5; i++)
        l.w[i] = (omq_real)atanh(t[i]);
    m->forward(&l.q);
    ck_assert_double_eq_tol((double)l.unit[0], 1 / sqrt(6.8 * FAN_OUT), 1e-6);
    for (int i = 0; i < 5; i++) /* codes that are all alike have no deviation */
        l.w[i] = (omq_real)0.1;
    m->forward(&l.q);
    ck_assert_double_eq_tol((double)l.unit[0], 1 / (3 * sqrt(FAN_OUT)), 1e-6);
}
END_TEST

/* ---- ranges ---- */

START_TEST(codes_are_of_their_grid)
{
    int bits = 1 + _i % 8;
    struct layer l;
    const struct omq_method *m = open_layer(&l, (enum omq_quant_method)(_i / 8), bits, ALL);
    int least = 0, most = 0;

    fill(&l, _i);
    quantize(&l, m);
    ck_assert_int_eq(l.q.grid.bits, bits);
    for (int i = 0; i < ALL; i++) {
        ck_assert_msg(is_code(&l.q.grid, l.k[i]), "%d", l.k[i]);
        least = l.k[i] < least ? l.k[i] : least;
        most = l.k[i] > most ? l.k[i] : most;
    }
    ck_assert(least < 0 && most >= (l.q.grid.k_max ? 1 : 0) && l.unit[0] > 0);
    ck_assert_int_le(l.q.grid.k_max - l.q.grid.k_min,
                     (l.q.grid.midrise ? 2 : 1) * ((1 << bits) - 1));
}
END_TEST

/* A layer may have no weights but zeros: whatever a code is then worth, it is not 0, which
 * gradients are divided by. */
START_TEST(units_of_zeros_are_above_0)
{
    struct layer l = {.w = {0}};
    const struct omq_method *m = open_layer(&l, (enum omq_quant_method)(_i / 8), 1 + _i % 8, ALL);
    omq_real dq[ALL], dw[ALL], dstep = 0;

    quantize(&l, m);
    ck_assert(l.unit[0] > 0);
    l.q.n_shared = ALL;
    for (int i = 0; i < ALL; i++)
        dq[i] = (omq_real)(i % 7 - 3);
    m->backward(&l.q, dq, dw, &dstep);
    for (int i = 0; i < ALL; i++)
        ck_assert(isfinite(dw[i]));
    ck_assert(isfinite(dstep));
}
END_TEST

/* Each code survives being packed to its true width. */
START_TEST(codes_can_be_packed)
{
    struct layer l;
    const struct omq_method *m = open_layer(&l, (enum omq_quant_method)(_i / 8), 1 + _i % 8, ALL);
    uint8_t packed[ALL];
    int8_t back[ALL];

    fill(&l, _i);
    quantize(&l, m);
    omq_pack(&l.q.grid, 1, ALL, l.k, packed);
    omq_unpack(&l.q.grid, 1, ALL, packed, back);
    ck_assert(memcmp(l.k, back, ALL) == 0);
    for (size_t i = 0; i < ALL; i++)
        ck_assert_int_eq(omq_packed_code(&l.q.grid, packed, i), l.k[i]);
}
END_TEST

/* A run that diverges quantizes such values before anyone notices. */
START_TEST(codes_of_any_value_are_codes)
{
    const omq_real w[] = {0, -0.0f, FLT_TRUE_MIN, FLT_MAX, -FLT_MAX, INFINITY, -INFINITY, NAN};
    const omq_real steps[] = {1, FLT_MAX, FLT_TRUE_MIN, 0, INFINITY, NAN};
    enum { N_W = sizeof(w) / sizeof(*w), N_STEPS = sizeof(steps) / sizeof(*steps) };
    struct layer l;
    const struct omq_method *m = open_layer(&l, (enum omq_quant_method)(_i / 8), 1 + _i % 8, 0);

    for (int first = 0; first < N_W; first++)
        for (int n = 1; first + n <= N_W; n++)
            for (int s = 0; s < N_STEPS; s++) {
                l.q.n = (size_t)n;
                memcpy(l.w, w + first, sizeof(*w) * (size_t)n);
                l.step = steps[s];
                m->forward(&l.q);
                for (int i = 0; i < n; i++)
                    ck_assert_msg(is_code(&l.q.grid, l.k[i]), "%g is %d", (double)w[first + i],
                                  l.k[i]);
            }
}
END_TEST

/* ---- activations ---- */

START_TEST(activations_of_methods)
{
    const struct omq_act_method *any = omq_method_of(OMQ_METHOD_ANY_PRECISION, false)->act;
    const struct omq_act_method *ada = omq_method_of(OMQ_METHOD_ADABITS, false)->act;
    const struct omq_act_method *dr = omq_method_of(OMQ_METHOD_DOUBLE_ROUNDING, false)->act;
    struct omq_act a = omq_act_of(3, false), s = omq_act_of(3, true);

    ck_assert(!any->learned && any->step(&a, 0) == (omq_real)1 / 7);
    ck_assert(any->step(&s, 0) == (omq_real)0.25); /* -1 is code 0 */
    ck_assert(ada->learned && ada->is_clip && ada->init(&a, 0, NULL) == 8);
    ck_assert(ada->step(&a, 7) == 1 && ada->gradient(&a, 14, 100) == 2);
    ck_assert(dr == omq_stream_method() && dr->learned && !dr->is_clip);
    ck_assert(dr->step(&a, 0.5f) == 0.5f && dr->gradient(&a, 7 * 6, 28) == 3);
}
END_TEST

START_TEST(edges_are_theirs_or_omqs)
{
    const struct omq_method *omq = omq_method_of(OMQ_METHOD_OMQ, false);

    ck_assert_ptr_eq(omq_method_of(OMQ_METHOD_OMQ, true), omq);
    ck_assert_ptr_eq(omq_method_of(OMQ_METHOD_ANY_PRECISION, true), omq);
    ck_assert_ptr_eq(omq_method_of(OMQ_METHOD_DOUBLE_ROUNDING, true), omq);
    ck_assert_ptr_eq(omq_method_of(OMQ_METHOD_ADABITS, true),
                     omq_method_of(OMQ_METHOD_ADABITS, false));
}
END_TEST

Suite *omq_suite_method(void)
{
    Suite *s = suite_create("method");
    TCase *t = tcase_create("method");

    tcase_add_loop_test(t, any_precision_is_its_formula, 0, 8);
    tcase_add_loop_test(t, adabits_is_its_formula, 0, 8);
    tcase_add_loop_test(t, double_rounding_is_its_formula, 0, 8);
    tcase_add_test(t, double_rounding_has_one_step);
    tcase_add_loop_test(t, examples_by_hand, 0, sizeof(by_hand) / sizeof(by_hand[0]));
    tcase_add_test(t, adabits_rescales);
    tcase_add_loop_test(t, codes_are_of_their_grid, 0, 8 * N_METHODS);
    tcase_add_loop_test(t, units_of_zeros_are_above_0, 0, 8 * N_METHODS);
    tcase_add_loop_test(t, codes_can_be_packed, 0, 8 * N_METHODS);
    tcase_add_loop_test(t, codes_of_any_value_are_codes, 0, 8 * N_METHODS);
    tcase_add_test(t, activations_of_methods);
    tcase_add_test(t, edges_are_theirs_or_omqs);
    suite_add_tcase(s, t);
    return s;
}
