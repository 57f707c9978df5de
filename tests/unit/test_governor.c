/* SPDX-License-Identifier: MIT
 *
 * Governors: what each wants, and what holds for all of them on any samples. Their
 * words are in test_governor_spec.c, traces in test_trace.c.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "each.h"
#include "governorhelp.h"

Suite *omq_suite_governor(void);

/* ---- kinds */

/* What a loop over samples saw. */
static int n_switches;
static char reason[OMQ_GOVERNOR_REASON_SIZE];
static double when;

static void step(struct omq_governor_sample s)
{
    int before = omq_governor_active(g);
    struct omq_governor_decision d = omq_governor_step(g, &s);

    assert_each(d.precision == omq_governor_active(g), "another precision at %g s", s.t_s);
    assert_each(d.changed == (d.precision != before), "no switch, or untold, at %g s", s.t_s);
    assert_each(d.changed == (d.reason[0] != 0), "no reason at %g s", s.t_s);
    if (d.changed) {
        n_switches++;
        when = s.t_s;
        memcpy(reason, d.reason, sizeof(reason));
    }
}

enum reading { BATCH, PERCENT, TEMP, LOAD };

/* The same reading `hz` times a second from t0 to t1. */
static void stretch(enum reading what, double x, double t0, double t1, double hz)
{
    n_switches = 0;
    for (int i = 0; t0 + i / hz < t1; i++) {
        struct omq_governor_sample s = omq_governor_sample_at(t0 + i / hz);
        double *const at[] = {&s.batch_ms, &s.battery_percent, &s.temp_c, &s.load_percent};

        *at[what] = x;
        step(s);
    }
}

START_TEST(latency_goes_down_to_what_should_do)
{
    open_with("latency:5ms", NULL, table);
    stretch(BATCH, 4.9, 0, 10, 100);
    ck_assert_int_eq(n_switches, 0);
    stretch(BATCH, 7.3, 10, 10.5, 100); /* 7.3 * 2.6 / 4 < 5 */
    ck_assert_int_eq(n_switches, 1);
    ck_assert_int_eq(omq_governor_active(g), 1);
    ck_assert_str_eq(reason, "latency: p95 7.3 ms over 5 ms");
    ck_assert(when < 10.1);
    open_with("latency:5ms", NULL, table);
    stretch(BATCH, 9.5, 0, 1, 100); /* 9.5 * 2 / 4 < 5; the first half second is residency */
    ck_assert_int_eq(n_switches, 1);
    ck_assert_int_eq(omq_governor_active(g), 2);
    ck_assert_double_eq_tol(when, 0.5, 0.02);
    open_with("latency:5ms", "4", table); /* nothing does: the fastest there is */
    stretch(BATCH, 9.5, 0, 3, 100);
    ck_assert_int_eq(n_switches, 1);
    ck_assert_int_eq(omq_governor_active(g), 1);
}
END_TEST

START_TEST(latency_without_figures_goes_step_by_step)
{
    open_with("latency:5", NULL, bare);
    stretch(BATCH, 7, 0, 1.9, 100);
    ck_assert_int_eq(n_switches, 3); /* at 0.5, 1.0 and 1.5 s */
    ck_assert_int_eq(omq_governor_active(g), 3);
    stretch(BATCH, 7, 1.9, 9, 100);
    ck_assert_int_eq(n_switches, 0);
}
END_TEST

/* Lower precisions that are not faster do not help. */
START_TEST(latency_stays_where_nothing_is_faster)
{
    static const struct omq_governor_precision flat[N] = {
        {"w8a8", 2, NAN}, {"w4a4", 2, NAN}, {"w2a2", 2, NAN}, {"w1a1", 2.5, NAN},
    };

    open_with("latency:5", NULL, flat);
    stretch(BATCH, 20, 0, 10, 100);
    ck_assert_int_eq(n_switches, 0);
}
END_TEST

START_TEST(latency_overload_does_not_wait)
{
    open_with("latency:5", NULL, table);
    stretch(BATCH, 2, 0, 0.1, 100);
    stretch(BATCH, 25, 0.1, 0.2, 50);
    ck_assert_double_eq_tol(when, 0.14, 1e-6); /* the third batch */
    ck_assert_str_eq(reason, "latency: 3 batches of 25 ms and more, over twice 5 ms");
    ck_assert_int_eq(omq_governor_active(g), 3);
    open_with("latency:5", NULL, bare);
    stretch(BATCH, 25, 0, 0.4, 50); /* three batches a step */
    ck_assert_int_eq(n_switches, 3);
}
END_TEST

START_TEST(latency_ignores_single_batches)
{
    open_with("latency:5", NULL, table);
    n_switches = 0;
    for (int i = 0; i < 2000; i++) {
        struct omq_governor_sample s = omq_governor_sample_at(0.02 * i);

        s.batch_ms = i % 40 == 20 ? 500 : 3;
        step(s);
    }
    ck_assert_int_eq(n_switches, 0);
}
END_TEST

START_TEST(latency_comes_back_slowly)
{
    open_with("latency:5", NULL, table);
    stretch(BATCH, 7.3, 0, 0.52, 100);
    ck_assert_int_eq(omq_governor_active(g), 1);
    stretch(BATCH, 2.7, 0.52, 20, 100); /* 4.15 ms expected: within 20 % of the target */
    ck_assert_int_eq(n_switches, 0);
    stretch(BATCH, 2.5, 20, 30, 100); /* 3.85 */
    ck_assert_int_eq(n_switches, 1);
    ck_assert_int_eq(omq_governor_active(g), 0);
    ck_assert_str_eq(reason, "latency: p95 2.5 ms, 3.85 ms expected there, for 3 s");
    ck_assert(when > 23 && when < 24.2);
}
END_TEST

/* What takes longer than a better one is no way up, and bars none. */
START_TEST(latency_goes_up_past_slow_ones)
{
    static const struct omq_governor_precision uneven[N] = {
        {"w8a8", 3, NAN}, {"w4a4", 6, NAN}, {"w2a2", 2, NAN}, {"w1a1", 1, NAN},
    };

    open_with("latency:5", NULL, uneven);
    ck_assert_int_eq(omq_governor_set(g, 2, &err), OMQ_OK);
    stretch(BATCH, 2.5, 0, 10, 100); /* 3.75 ms at 8 bits, 7.5 at 4 */
    ck_assert_int_eq(n_switches, 1);
    ck_assert_int_eq(omq_governor_active(g), 0);
    ck_assert_str_eq(reason, "latency: p95 2.5 ms, 3.75 ms expected there, for 3 s");
    ck_assert_int_eq(omq_governor_set(g, 3, &err), OMQ_OK);
    stretch(BATCH, 1, 10, 14, 100); /* 2 bits are no slower than 8: one step */
    ck_assert_int_eq(omq_governor_active(g), 2);
}
END_TEST

/* Few batches a second: not by time, but by number. */
START_TEST(latency_of_a_slow_stream)
{
    open_with("latency:500", NULL, table);
    stretch(BATCH, 400, 0, 60, 1);
    ck_assert_int_eq(n_switches, 0);
    stretch(BATCH, 700, 60, 66, 1);
    ck_assert_int_eq(n_switches, 1);
    ck_assert_double_eq(when, 65);
    stretch(BATCH, 200, 66, 100, 0.1);
    ck_assert_int_eq(n_switches, 1);
    ck_assert_int_eq(omq_governor_active(g), 0);
}
END_TEST

/* Precisions cost more than the governor thinks: each step up is taken back, and
 * is tried ever more seldom. */
START_TEST(steps_up_back_off)
{
    static const double cost[N] = {6, 3, 2, 1};
    double last = 0, gap = 0;
    int ups = 0;

    open_with("latency:5", NULL, bare);
    for (int i = 0; i < 600 * 20; i++) {
        struct omq_governor_sample s = omq_governor_sample_at(0.05 * i);
        int before = omq_governor_active(g);

        s.batch_ms = cost[before];
        step(s);
        if (omq_governor_active(g) < before) {
            assert_each(s.t_s - last > fmin(1.5 * gap, 190), "up after %g s, again after %g s",
                        gap, s.t_s - last);
            gap = ups++ ? s.t_s - last : 0;
            last = s.t_s;
        }
    }
    ck_assert_int_ge(ups, 5);
    ck_assert_int_le(ups, 8);
}
END_TEST

START_TEST(thermal_and_load)
{
    static const enum reading what[] = {TEMP, LOAD};
    static const char *const spec[] = {"thermal:75C", "load:75%"};
    static const double margin[] = {5, 10};
    enum reading r = what[_i];

    open_with(spec[_i], NULL, table);
    stretch(BATCH, 4, -1, 0, 1);
    ck_assert_str_eq(omq_governor_lacks(g), _i == 0 ? "temp_c" : "load_percent");
    stretch(r, 75, 0, 20, 1);
    ck_assert_int_eq(n_switches, 0);
    ck_assert_ptr_null(omq_governor_lacks(g));
    stretch(r, 76.5, 20, 24, 1); /* at 22; from 23 on anew */
    ck_assert_int_eq(n_switches, 1);
    ck_assert_double_eq(when, 22);
    ck_assert_str_eq(reason, _i == 0 ? "thermal: 76.5 C, over 75 C for 2 s"
                                     : "load: 76.5 %, over 75 % for 2 s");
    stretch(r, 90, 24, 40, 1);
    ck_assert_int_eq(omq_governor_active(g), 3);
    stretch(r, 75.5 - margin[_i], 40, 60, 1);
    ck_assert_int_eq(n_switches, 0);
    stretch(r, 75 - margin[_i], 60, 71, 1);
    ck_assert_int_eq(n_switches, 1);
    ck_assert_double_eq(when, 70);
    ck_assert_str_eq(reason, _i == 0 ? "thermal: 70 C, at most 70 C for 10 s"
                                     : "load: 65 %, at most 65 % for 10 s");
}
END_TEST

/* Half a minute decides whether a step up was too early: then the next one waits longer. */
START_TEST(steps_up_prove_themselves)
{
    const double hot[] = {40, 41}, up[] = {63, 54}; /* up at 13; down again 29 or 30 s later */

    open_with("thermal:75", NULL, table);
    stretch(TEMP, 80, 0, 3, 1);
    stretch(TEMP, 60, 3, 14, 1);
    ck_assert_double_eq(when, 13);
    stretch(TEMP, 72, 14, hot[_i], 1);
    stretch(TEMP, 80, hot[_i], hot[_i] + 3, 1);
    ck_assert_double_eq(when, hot[_i] + 2);
    stretch(TEMP, 60, hot[_i] + 3, 80, 1);
    ck_assert_int_eq(n_switches, 1);
    ck_assert_double_eq(when, up[_i]);
}
END_TEST

/* One that was not too early takes back what those before it cost. */
START_TEST(a_step_up_that_lasts_is_forgiven)
{
    open_with("thermal:75", NULL, table);
    stretch(TEMP, 80, 0, 3, 1);
    stretch(TEMP, 60, 3, 14, 1);
    stretch(TEMP, 80, 14, 17, 1); /* too early, */
    stretch(TEMP, 60, 17, 38, 1);
    ck_assert_double_eq(when, 37); /* so that the next one waits for 20 s */
    stretch(TEMP, 72, 38, 98, 1); /* and has 60 to prove itself */
    stretch(TEMP, 80, 98, 101, 1);
    stretch(TEMP, 60, 101, 120, 1);
    ck_assert_double_eq(when, 111);
}
END_TEST

/* What somebody else chose is no step up that was taken back. */
START_TEST(others_prove_nothing)
{
    open_with("thermal:75", NULL, table);
    stretch(TEMP, 80, 0, 3, 1);
    stretch(TEMP, 60, 3, 14, 1);
    ck_assert_int_eq(omq_governor_set(g, 1, &err), OMQ_OK);
    stretch(TEMP, 80, 14, 17, 1);
    ck_assert_int_eq(omq_governor_active(g), 2);
    stretch(TEMP, 60, 17, 30, 1);
    ck_assert_double_eq(when, 27);
}
END_TEST

START_TEST(waits_double_up_to_64_times)
{
    double t = 3;

    open_with("thermal:75", NULL, table);
    stretch(TEMP, 80, 0, t, 1);
    for (int i = 0; i < 9; i++) {
        double wait = 10 << (i < 6 ? i : 6);

        stretch(TEMP, 60, t, t + wait + 1, 1);
        assert_each(n_switches == 1 && when == t + wait, "step up %d at %g s, not %g", i, when,
                    t + wait);
        t += wait + 1;
        stretch(TEMP, 80, t, t + 3, 1);
        t += 3;
    }
}
END_TEST

/* 0.3 + 2 - 0.3 is less than 2. */
START_TEST(times_are_rounded)
{
    open_with("thermal:75", NULL, table);
    stretch(TEMP, 80, 0.3, 2.35, 10);
    ck_assert_int_eq(n_switches, 1);
}
END_TEST

START_TEST(targets_that_cannot_be_kept)
{
    static const struct omq_governor_precision unknown[N] = {
        {"w8a8", 4, NAN}, {"w4a4", 0, NAN}, {"w2a2", 3, NAN}, {"w1a1", 2, NAN},
    };
    static const struct { const char *spec, *floor; bool known; int misses; } cases[] = {
        {"latency:5", NULL, true, -1}, {"latency:0.01", NULL, true, 3},
        {"latency:0.01", "w4a4", true, 1}, {"latency=0.01", "top1=0", true, 3},
        {"latency:0.01", NULL, false, -1}, {"thermal:75", NULL, true, -1},
        {"manual", NULL, true, -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_with(cases[i].spec, cases[i].floor, cases[i].known ? table : unknown);
        ck_assert_int_eq(omq_governor_misses(g), cases[i].misses);
    }
}
END_TEST

/* Of a camera that takes a picture now and then every reading counts. */
START_TEST(readings_far_apart)
{
    static const char *const specs[] = {"thermal:75", "load:75"};

    for (int i = 0; i < 2; i++) {
        open_with(specs[i], NULL, table);
        stretch(i ? LOAD : TEMP, 80, 0, 400, 1 / 200.0);
        ck_assert_int_eq(n_switches, 1);
        ck_assert_int_eq(omq_governor_active(g), 1);
        stretch(i ? LOAD : TEMP, 60, 400, 800, 1 / 200.0);
        ck_assert_int_eq(omq_governor_active(g), 0);
    }
    open_with("battery:40%", NULL, table);
    stretch(PERCENT, 27, 0, 600, 1 / 300.0);
    ck_assert_int_eq(omq_governor_active(g), 2);
}
END_TEST

START_TEST(battery_is_linear)
{
    static const struct { double percent; int precision; } want[] = {
        {100, 0}, {40, 0}, {39, 1}, {34, 1}, {33, 2}, {27, 2}, {26, 3}, {20, 3}, {0, 3},
    };

    open_with("battery:40%", NULL, table);
    for (int i = 0; i < 9; i++) {
        stretch(PERCENT, want[i].percent, 100 * i, 100 * (i + 1), 0.2);
        assert_each(omq_governor_active(g) == want[i].precision, "%g %%: precision %d",
                    want[i].percent, omq_governor_active(g));
    }
    stretch(PERCENT, 28, 1000, 1100, 0.2); /* 5 points less would be the lowest */
    ck_assert_int_eq(omq_governor_active(g), 3);
    stretch(PERCENT, 32, 1100, 1200, 0.2);
    ck_assert_int_eq(omq_governor_active(g), 2);
    ck_assert_str_eq(reason, "battery: 32 %, recovered for 10 s");
}
END_TEST

START_TEST(battery_charging)
{
    struct omq_governor_sample s = omq_governor_sample_at(0);

    open_with("battery:40", NULL, table);
    stretch(PERCENT, 10, 0, 10, 1);
    ck_assert_int_eq(n_switches, 1);
    ck_assert_str_eq(reason, "battery: 10 % under 40 %");
    s.battery_percent = 10;
    s.charging = true;
    for (int i = 10; i < 21; i++) {
        s.t_s = i;
        step(s);
    }
    ck_assert_int_eq(omq_governor_active(g), 0);
    ck_assert_str_eq(reason, "battery: 10 %, charging for 10 s");
}
END_TEST

START_TEST(manual_and_others)
{
    open_with("manual", NULL, table);
    stretch(BATCH, 1000, 0, 60, 10);
    ck_assert_int_eq(n_switches, 0);
    ck_assert_int_eq(omq_governor_set(g, 2, &err), OMQ_OK);
    stretch(BATCH, 1000, 60, 120, 10);
    ck_assert_int_eq(n_switches, 0);
    ck_assert_int_eq(omq_governor_active(g), 2);
    ck_assert_ptr_null(omq_governor_lacks(g));
    /* the others go on from what was set, after the residency */
    open_with("latency:5", NULL, table);
    stretch(BATCH, 4, 0, 10, 100);
    ck_assert_int_eq(omq_governor_set(g, 1, &err), OMQ_OK);
    stretch(BATCH, 6, 10, 10.45, 100);
    ck_assert_int_eq(n_switches, 0);
    stretch(BATCH, 6, 10.45, 11, 100);
    ck_assert_int_eq(omq_governor_active(g), 2);
}
END_TEST

/* ---- what holds for all */

static const char *const specs_of_all[] = {
    "latency:5", "battery:50%", "thermal:75C", "load:60%", "manual",
};

/* Readings that wander, jump and are missing; some make no sense. */
static struct omq_governor_sample wild(struct omq_rng *r, double t)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, -1, 1e300, -1e300, 101, 0};
    struct omq_governor_sample s = omq_governor_sample_at(t);
    double level = 0.5 + 0.5 * sin(t / 20);
    double *const at[] = {&s.batch_ms, &s.battery_percent, &s.temp_c, &s.load_percent};
    static const double scale[] = {8, 100, 100, 100};

    for (int i = 0; i < 4; i++) {
        uint32_t dice = omq_rng_below(r, 20);

        if (dice == 0)
            *at[i] = odd[omq_rng_below(r, 8)];
        else if (dice < 15)
            *at[i] = scale[i] * fmin(level * (0.8 + 0.4 * omq_rng_uniform(r)), 1);
    }
    s.charging = omq_rng_below(r, 300) == 0;
    return s;
}

START_TEST(any_samples)
{
    const char *spec = specs_of_all[_i % 5];
    const struct omq_governor_precision *p = _i & 1 ? table : bare;
    struct omq_governor *twin;
    struct omq_rng r;
    double t = 0, switched = 0;

    open_with(spec, "w2a2", p);
    ck_assert_int_eq(omq_governor_open(&twin, spec, "w2a2", p, N, &err), OMQ_OK);
    omq_rng_init(&r, 1, OMQ_STREAM_TEST, (uint32_t)_i, 0);
    for (int i = 0; i < 50000; i++) {
        struct omq_governor_sample s = wild(&r, t);
        int before = omq_governor_active(g);
        struct omq_governor_decision d = omq_governor_step(g, &s), e = omq_governor_step(twin, &s);

        assert_each(d.precision == e.precision && strcmp(d.reason, e.reason) == 0,
                    "%s: not the same again at %g s", spec, t);
        assert_each(d.precision >= 0 && d.precision <= 2, "%s: %d at %g s", spec, d.precision, t);
        if (d.changed) {
            assert_each(t - switched >= 0.5 || strstr(d.reason, "over twice"), "%s: at %g and %g s",
                        spec, switched, t);
            assert_each(d.precision > before || d.precision < before, "a switch to itself");
            switched = t;
        }
        t += 0.1 * omq_rng_uniform(&r);
    }
    if (_i % 5 == 4)
        ck_assert_double_eq(switched, 0);
    else
        ck_assert(switched > 0);
    omq_governor_close(twin);
}
END_TEST

START_TEST(missing_readings_and_odd_times)
{
    for (int i = 0; i < 5; i++) {
        struct omq_governor_sample s = {.t_s = 5, .batch_ms = 50, .battery_percent = 1,
                                        .temp_c = 100, .load_percent = 100};
        double odd[] = {NAN, INFINITY, -INFINITY, 4};

        open_with(specs_of_all[i], NULL, table);
        n_switches = 0;
        step(s);
        for (int k = 0; k < 1000; k++)
            step(omq_governor_sample_at(5 + k));
        ck_assert_int_eq(n_switches, 0);
        for (int k = 0; k < 400; k++) {
            s.t_s = odd[k % 4];
            step(s);
        }
        ck_assert_int_eq(n_switches, 0);
    }
}
END_TEST

Suite *omq_suite_governor(void)
{
    Suite *s = suite_create("governor");
    TCase *k = tcase_create("kinds"), *a = tcase_create("any");

    tcase_add_checked_fixture(k, NULL, close_governor);
    tcase_add_test(k, latency_goes_down_to_what_should_do);
    tcase_add_test(k, latency_without_figures_goes_step_by_step);
    tcase_add_test(k, latency_stays_where_nothing_is_faster);
    tcase_add_test(k, latency_overload_does_not_wait);
    tcase_add_test(k, latency_ignores_single_batches);
    tcase_add_test(k, latency_comes_back_slowly);
    tcase_add_test(k, latency_goes_up_past_slow_ones);
    tcase_add_test(k, latency_of_a_slow_stream);
    tcase_add_test(k, steps_up_back_off);
    tcase_add_loop_test(k, thermal_and_load, 0, 2);
    tcase_add_loop_test(k, steps_up_prove_themselves, 0, 2);
    tcase_add_test(k, a_step_up_that_lasts_is_forgiven);
    tcase_add_test(k, others_prove_nothing);
    tcase_add_test(k, times_are_rounded);
    tcase_add_test(k, waits_double_up_to_64_times);
    tcase_add_test(k, readings_far_apart);
    tcase_add_test(k, targets_that_cannot_be_kept);
    tcase_add_test(k, battery_is_linear);
    tcase_add_test(k, battery_charging);
    tcase_add_test(k, manual_and_others);
    suite_add_tcase(s, k);
    tcase_add_checked_fixture(a, NULL, close_governor);
    tcase_add_loop_test(a, any_samples, 0, 10);
    tcase_add_test(a, missing_readings_and_odd_times);
    suite_add_tcase(s, a);
    return s;
}
