/* SPDX-License-Identifier: MIT
 *
 * The words that open a governor: its kind, a limit, a floor, and what is said of wrong ones.
 */
#include <check.h>

#include "failalloc.h"
#include "governorhelp.h"

Suite *omq_suite_governor_spec(void);

static void refused(const char *spec, const char *floor, const struct omq_governor_precision *p,
                    const char *message)
{
    g = NULL;
    ck_assert_int_eq(omq_governor_open(&g, spec, floor, p, N, &err), OMQ_EARG);
    ck_assert_str_eq(err.msg, message);
    ck_assert_ptr_null(g);
}

START_TEST(specs)
{
    static const char *const good[] = {
        "manual", "latency:5ms", "latency:5", "latency:0.01", "latency:60000ms", "battery:30%",
        "battery:5", "thermal:75C", "thermal:75.5", "load:80%", "load:99",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        open_with(good[i], NULL, table);
}
END_TEST

START_TEST(spec_errors)
{
    refused("fast", NULL, table, "unknown governor 'fast'; there are manual, latency:MS, "
            "battery:PERCENT, thermal:DEGREES, load:PERCENT");
    refused("", NULL, table, "unknown governor ''; there are manual, latency:MS, "
            "battery:PERCENT, thermal:DEGREES, load:PERCENT");
    refused("latency\033[2J:5", NULL, table, "unknown governor 'latency?[2J'; there are manual, "
            "latency:MS, battery:PERCENT, thermal:DEGREES, load:PERCENT");
    refused("manual:5", NULL, table, "the governor 'manual' takes no argument, found '5'");
    refused("latency", NULL, table,
            "the governor 'latency' needs a limit: 'latency:MS', 0.01 to 60000 ms");
    refused("thermal:", NULL, table,
            "the governor 'thermal' needs a limit: 'thermal:DEGREES', 30 to 110 C");
    refused("latency:5s", NULL, table,
            "'5s' is no limit for the governor 'latency': 0.01 to 60000 ms");
    refused("latency:5 ms", NULL, table,
            "'5 ms' is no limit for the governor 'latency': 0.01 to 60000 ms");
    refused("latency:ms", NULL, table,
            "'ms' is no limit for the governor 'latency': 0.01 to 60000 ms");
    refused("load:nan", NULL, table, "'nan' is no limit for the governor 'load': 20 to 99 %");
    refused("load:1e", NULL, table, "'1e' is no limit for the governor 'load': 20 to 99 %");
    refused("load:1e2", NULL, table, "'1e2' is out of range for the governor 'load': 20 to 99 %");
    refused("load:0x40", NULL, table, "'0x40' is no limit for the governor 'load': 20 to 99 %");
    refused("load:100%", NULL, table, "'100%' is out of range for the governor 'load': 20 to 99 %");
    refused("battery:-1", NULL, table,
            "'-1' is out of range for the governor 'battery': 5 to 95 %");
    refused("latency:0", NULL, table,
            "'0' is out of range for the governor 'latency': 0.01 to 60000 ms");
    refused("latency:99999999999999999999999999999999999999999", NULL, table,
            "'9999999999999999999999999999999999999999...' is out of range for the governor "
            "'latency': 0.01 to 60000 ms");
}
END_TEST

/* Which precisions a floor lets through: bit i for table[i]. */
static int allowed(void)
{
    int bits = 0;

    for (int i = 0; i < N; i++)
        bits |= (omq_governor_set(g, i, &err) == OMQ_OK) << i;
    return bits;
}

START_TEST(floors)
{
    static const struct omq_governor_precision hole[N] = {
        {"w8a8", 0, 89}, {"w4a4", 0, 91}, {"w2a2", 0, NAN}, {"w1a1", 0, 90},
    };

    open_with("manual", NULL, table);
    ck_assert_int_eq(allowed(), 15);
    open_with("manual", "4", table);
    ck_assert_int_eq(allowed(), 3);
    open_with("manual", "w8a8", table);
    ck_assert_int_eq(allowed(), 1);
    open_with("manual", "small", bare);
    ck_assert_int_eq(allowed(), 15);
    open_with("manual", "top1:88.25", table);
    ck_assert_int_eq(allowed(), 7);
    open_with("manual", "top1:92%", table);
    ck_assert_int_eq(allowed(), 1);
    open_with("manual", "top1:90", hole); /* the best is not always the first */
    ck_assert_int_eq(omq_governor_active(g), 1);
    ck_assert_int_eq(allowed(), 10);
    ck_assert_int_eq(omq_governor_set(g, 2, &err), OMQ_EARG);
    ck_assert_str_eq(err.msg, "precision 2 is none that the governor's floor allows");
    ck_assert_int_eq(omq_governor_set(g, -1, &err), OMQ_EARG);
    ck_assert_int_eq(omq_governor_active(g), 3);
}
END_TEST

START_TEST(floor_errors)
{
    refused("manual", "3", table, "unknown precision '3' for the floor; there are w8a8 w4a4 w2a2 "
            "w1a1, or 'top1:PERCENT'");
    refused("manual", "", bare, "unknown precision '' for the floor; there are w8a8 w4a4 w2a2 "
            "small, or 'top1:PERCENT'");
    refused("manual", "top1:93", table,
            "no precision reaches a top1 of 93 %; the best is 'w8a8' with 92.50 %");
    refused("manual", "top1:90", bare,
            "no accuracy is known, so none can be the floor; name a precision, such as 'small'");
    refused("manual", "top1:x", table,
            "'x' is no accuracy for the floor: 'top1:PERCENT', 0 to 100 %");
    refused("manual", "top1:101", table,
            "'101' is no accuracy for the floor: 'top1:PERCENT', 0 to 100 %");
}
END_TEST

START_TEST(precision_errors)
{
    struct omq_governor_precision p[N] = {{"8", 1, 1}, {"4", -1, 1}, {"2", 1, 1}, {"1", 1, 1}};
    int rc;

    refused("manual", NULL, p, "-1 ms a batch for '4' is no time; 0 is not known");
    p[1].ms = NAN;
    ck_assert_int_eq(omq_governor_open(&g, "manual", NULL, p, N, &err), OMQ_EARG);
    p[1].name = "";
    refused("manual", NULL, p, "the name of precision 1, '', has 0 bytes, not 1 to 63");
    ck_assert_int_eq(omq_governor_open(&g, "manual", NULL, p, 0, &err), OMQ_EARG);
    ck_assert_int_eq(omq_governor_open(&g, "manual", NULL, p, 33, &err), OMQ_EARG);
    failalloc_set(1);
    rc = omq_governor_open(&g, "manual", NULL, table, N, &err);
    failalloc_set(0);
    ck_assert_int_eq(rc, OMQ_ENOMEM);
}
END_TEST

Suite *omq_suite_governor_spec(void)
{
    Suite *s = suite_create("governor spec");
    TCase *t = tcase_create("words");

    tcase_add_checked_fixture(t, NULL, close_governor);
    tcase_add_test(t, specs);
    tcase_add_test(t, spec_errors);
    tcase_add_test(t, floors);
    tcase_add_test(t, floor_errors);
    tcase_add_test(t, precision_errors);
    suite_add_tcase(s, t);
    return s;
}
