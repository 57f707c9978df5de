/* SPDX-License-Identifier: MIT
 *
 * Governors on traces: those of tests/data (scripts/gen-traces.py makes them,
 * but for governor-recorded.csv: batch times of resnet8 while four other
 * programs compute, from second 10 to 16), and traces that are wrong.
 */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/governor.h"

Suite *omq_suite_trace(void);

enum { N = 4, MAX_SEEN = 64 };

/* Times as of a batch of small images; those of the recording are tenfold. */
static struct omq_governor_precision table[N] = {
    {"w8a8", 4, 92.5}, {"w4a4", 2.6, 91}, {"w2a2", 2, 88.25}, {"w1a1", 1.8, 80},
};

static struct omq_err err;
static struct omq_governor_summary sum;
static int n_seen;
static struct omq_governor_switch seen[MAX_SEEN];
static char seen_reason[MAX_SEEN][OMQ_GOVERNOR_REASON_SIZE];

static void see(void *ctx, const struct omq_governor_switch *s)
{
    ck_assert_ptr_eq(ctx, table);
    ck_assert_int_lt(n_seen, MAX_SEEN);
    ck_assert_int_ne(s->from, s->to);
    ck_assert_int_eq(s->from, n_seen ? seen[n_seen - 1].to : seen[0].from);
    snprintf(seen_reason[n_seen], sizeof(seen_reason[0]), "%s", s->reason);
    seen[n_seen++] = *s;
}

static int simulate(const char *spec, const char *path)
{
    struct omq_governor *g;
    int rc;

    n_seen = 0;
    seen[0].from = 0;
    ck_assert_msg(omq_governor_open(&g, spec, NULL, table, N, &err) == OMQ_OK, "%s", err.msg);
    rc = omq_governor_simulate(g, path, see, table, &sum, &err);
    omq_governor_close(g);
    return rc;
}

/* A trace of tests/data: tests run from the source tree, or OMQ_SRC names it. */
static void run(const char *spec, const char *name)
{
    const char *root = getenv("OMQ_SRC");
    char path[1024];
    double total = 0;

    snprintf(path, sizeof(path), "%s/tests/data/governor-%s.csv", root ? root : ".", name);
    ck_assert_msg(simulate(spec, path) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(sum.n_switches, n_seen);
    for (int i = 0; i < OMQ_GOVERNOR_MAX_PRECISIONS; i++)
        total += sum.share[i];
    ck_assert_double_eq_tol(total, 1, 1e-9);
    for (int i = 1; i < n_seen; i++)
        ck_assert(seen[i].t_s - seen[i - 1].t_s >= 0.5 || strstr(seen_reason[i], "over twice"));
}

static void assert_switch(int i, int from, int to, double t0, double t1)
{
    ck_assert_int_lt(i, n_seen);
    ck_assert_msg(seen[i].from == from && seen[i].to == to && seen[i].t_s >= t0 &&
                  seen[i].t_s <= t1, "switch %d: %d to %d at %g s, not %d to %d within %g to %g s",
                  i, seen[i].from, seen[i].to, seen[i].t_s, from, to, t0, t1);
}

START_TEST(spike)
{
    run("latency:6.5ms", "spike");
    ck_assert_int_eq(n_seen, 2);
    assert_switch(0, 0, 1, 20, 20.6);
    assert_switch(1, 1, 0, 33, 38);
    ck_assert_int_eq(sum.n_samples, 600);
    ck_assert_double_eq_tol(sum.duration_s, 59.9, 1e-9);
    ck_assert_double_eq_tol(sum.share[1], (seen[1].t_s - seen[0].t_s) / 59.9, 1e-9);
    run("manual", "spike");
    ck_assert_int_eq(n_seen, 0);
    ck_assert_double_eq(sum.share[0], 1);
}
END_TEST

/* Down while it gets slower, and the same way back; nothing to and fro. */
START_TEST(drift)
{
    run("latency:5ms", "drift");
    ck_assert_int_ge(n_seen, 4);
    ck_assert_int_le(n_seen, 6);
    for (int i = 1; i < n_seen; i++)
        if (seen[i].to > seen[i].from)
            ck_assert_int_gt(seen[i - 1].to, seen[i - 1].from); /* no down after an up */
    ck_assert_int_eq(seen[n_seen - 1].to, 0);
}
END_TEST

START_TEST(noise_does_not_flap)
{
    run("latency:5ms", "noise");
    ck_assert_int_le(n_seen, 1);
    run("latency:4.8ms", "noise"); /* its very p95 */
    ck_assert_int_le(n_seen, 1);
    run("latency:6ms", "noise");
    ck_assert_int_eq(n_seen, 0);
}
END_TEST

/* Four times slower at once: an overload; ended by one step up after another. */
START_TEST(recorded)
{
    for (int i = 0; i < N; i++)
        table[i].ms *= 10;
    run("latency:60ms", "recorded");
    for (int i = 0; i < N; i++)
        table[i].ms /= 10;
    ck_assert_int_ge(n_seen, 3);
    ck_assert_int_le(n_seen, 5);
    assert_switch(0, 0, 3, 10, 11);
    ck_assert_ptr_nonnull(strstr(seen_reason[0], "over twice 60 ms"));
    for (int i = 1; i < n_seen; i++)
        assert_switch(i, seen[i].to + 1, seen[i].to, 19, 30);
}
END_TEST

START_TEST(battery)
{
    run("battery:40%", "battery");
    ck_assert_int_eq(n_seen, 7);
    for (int i = 0; i < 3; i++)
        assert_switch(i, i, i + 1, 0, 5400);
    assert_switch(3, 3, 0, 5400, 5500);
    ck_assert_ptr_nonnull(strstr(seen_reason[3], "charging"));
    for (int i = 4; i < 7; i++) /* used again */
        assert_switch(i, i - 4, i - 3, 8000, 9600);
}
END_TEST

/* 72 C is neither over 75 nor 5 less: nothing happens for a minute. */
START_TEST(heat)
{
    run("thermal:75C", "thermal");
    ck_assert_int_eq(n_seen, 6);
    for (int i = 0; i < 3; i++)
        assert_switch(i, i, i + 1, 45, 80);
    for (int i = 3; i < 6; i++)
        assert_switch(i, 6 - i, 5 - i, 160, 240);
}
END_TEST

START_TEST(missing_sensors)
{
    static const char *const specs[] = {
        "manual", "latency:5", "battery:30", "thermal:75", "load:80",
    };

    for (int i = 0; i < 5; i++) {
        run(specs[i], "missing");
        ck_assert_int_eq(n_seen, 0);
    }
    run("thermal:75C", "spike"); /* no such column */
    ck_assert_int_eq(n_seen, 0);
}
END_TEST

/* ---- traces that are wrong */

static char path[] = "/tmp/omq-trace-XXXXXX";

static void make_file(void)
{
    int fd;

    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_file(void) { unlink(path); }

static int simulate_bytes(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    return simulate("latency:5", path);
}

static void refused(const char *text, const char *message)
{
    char want[300];

    snprintf(want, sizeof(want), "'%s'%s", path, message);
    ck_assert_int_eq(simulate_bytes(text, strlen(text)), OMQ_EFORMAT);
    ck_assert_str_eq(err.msg, want);
    ck_assert_int_eq(n_seen, 0);
}

START_TEST(header_errors)
{
    refused("", " is empty; its first line names the columns, such as 't_s,batch_ms'");
    refused("\n\r\n", " is empty; its first line names the columns, such as 't_s,batch_ms'");
    refused("t_s,ms\n", " line 1: unknown column 'ms'; there are t_s, batch_ms, battery_percent, "
            "charging, temp_c, load_percent");
    refused("t_s,\n", " line 1: unknown column ''; there are t_s, batch_ms, battery_percent, "
            "charging, temp_c, load_percent");
    refused("\nt_s,temp_c,t_s\n", " line 2: the column 't_s' comes twice");
    refused("temp_c\n1\n", " line 1: no column 't_s', the time in seconds");
    refused("t_s,temp_c\n\n", " has no samples, only names of columns");
}
END_TEST

START_TEST(value_errors)
{
    refused("t_s,temp_c\n0,1\n1\n", " line 3 has 1 value for 2 columns");
    refused("t_s,temp_c\n0,1,\n", " line 2 has 3 values for 2 columns");
    refused("t_s,temp_c\n0,x\n", " line 2: temp_c is no number: 'x'");
    refused("t_s,temp_c\n0, 1 2\n", " line 2: temp_c is no number: '1 2'");
    refused("t_s,temp_c\n0,inf\n", " line 2: temp_c is no number: 'inf'");
    refused("t_s,temp_c\n0,1\033[2J\n", " line 2: temp_c is no number: '1?[2J'");
    refused("t_s,temp_c\n,1\n", " line 2: t_s is missing: ''");
    refused("t_s\nnan\n", " line 2: t_s is no number: 'nan'");
    refused("t_s,temp_c\n0,151\n", " line 2: temp_c is '151', out of range: -50 to 150");
    refused("t_s,batch_ms\n0,-1\n", " line 2: batch_ms is '-1', out of range: 0 to 1e+09");
    refused("t_s,charging\n0,0.5\n", " line 2: charging is '0.5', out of range: 0 or 1");
    refused("t_s\n0\n2\n1.5\n", " line 4: time goes back, from 2 to 1.5 s");
}
END_TEST

/* Nothing is run where the error comes late. */
START_TEST(errors_come_first)
{
    refused("t_s,batch_ms\n0,50\n1,50\n2,50\n3,50\n4,x\n", " line 6: batch_ms is no number: 'x'");
    ck_assert_int_eq(simulate_bytes("t_s,batch_ms\n0,50\n1,50\n2,50\n3,50\n", 33), OMQ_OK);
    ck_assert_int_ge(n_seen, 1);
}
END_TEST

START_TEST(limits)
{
    size_t n = 4 + 2 * 1000000;
    char *text = malloc(n), long_line[600];

    ck_assert_ptr_nonnull(text);
    memcpy(text, "t_s\n", 4);
    for (size_t i = 4; i < n; i += 2)
        memcpy(text + i, "1\n", 2);
    ck_assert_int_eq(simulate_bytes(text, n - 2), OMQ_OK);
    ck_assert_int_eq(sum.n_samples, 999999);
    ck_assert_double_eq(sum.share[0], 1); /* of no time */
    ck_assert_int_eq(simulate_bytes(text, n), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "has more than 1000000 lines"));
    free(text);
    memset(long_line, '1', sizeof(long_line));
    memcpy(long_line, "t_s\n", 4);
    ck_assert_int_eq(simulate_bytes(long_line, sizeof(long_line)), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "line 2 is longer than 500 bytes"));
    ck_assert_int_eq(simulate_bytes("t_s\n1\0 \n", 8), OMQ_EFORMAT);
    ck_assert_int_eq(simulate("manual", "/nonexistent.csv"), OMQ_EIO);
}
END_TEST

/* Windows' line ends, no end at the end, blanks, values missing, no one to tell. */
START_TEST(forms)
{
    static const char text[] = "t_s, temp_c ,batch_ms \r\n-1, , nan\r\n\r\n-1,20.5,3\r\n1,,";
    struct omq_governor *g;

    ck_assert_int_eq(simulate_bytes(text, sizeof(text) - 1), OMQ_OK);
    ck_assert_int_eq(sum.n_samples, 3);
    ck_assert_double_eq(sum.duration_s, 2);
    ck_assert_int_eq(omq_governor_open(&g, "latency:0.01", NULL, table, N, &err), OMQ_OK);
    ck_assert_int_eq(omq_governor_simulate(g, path, NULL, NULL, &sum, &err), OMQ_OK);
    omq_governor_close(g);
}
END_TEST

/* As programs write small and large numbers. */
START_TEST(exponents)
{
    static const char *const wrong[] = {"1e", "1e+", "e1", "1e1.5", "1e-", "1e100", "1ee1",
                                        "1e+-1"};
    static const char text[] = "t_s\n1e0\n2.5E+01\n3000e-02\n";
    char line[32];

    ck_assert_int_eq(simulate_bytes(text, sizeof(text) - 1), OMQ_OK);
    ck_assert_int_eq(sum.n_samples, 3);
    ck_assert_double_eq(sum.duration_s, 29);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int n = snprintf(line, sizeof(line), "t_s\n%s\n", wrong[i]);

        ck_assert_msg(simulate_bytes(line, (size_t)n) == OMQ_EFORMAT, "%s", wrong[i]);
    }
}
END_TEST

Suite *omq_suite_trace(void)
{
    Suite *s = suite_create("trace");
    TCase *d = tcase_create("data"), *w = tcase_create("wrong");

    tcase_add_test(d, spike);
    tcase_add_test(d, drift);
    tcase_add_test(d, noise_does_not_flap);
    tcase_add_test(d, recorded);
    tcase_add_test(d, battery);
    tcase_add_test(d, heat);
    tcase_add_test(d, missing_sensors);
    suite_add_tcase(s, d);
    tcase_add_checked_fixture(w, make_file, remove_file);
    tcase_add_test(w, header_errors);
    tcase_add_test(w, value_errors);
    tcase_add_test(w, errors_come_first);
    tcase_add_test(w, limits);
    tcase_add_test(w, forms);
    tcase_add_test(w, exponents);
    suite_add_tcase(s, w);
    return s;
}
