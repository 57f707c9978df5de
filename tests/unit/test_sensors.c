/* SPDX-License-Identifier: MIT
 *
 * Sensors, on a /sys and a /proc of the test's own.
 */
#define _XOPEN_SOURCE 700
#include <check.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/governor.h"

Suite *omq_suite_sensors(void);

static struct omq_err err;
static char root[] = "/tmp/omq-sensors-XXXXXX";
static struct omq_sensors sensors;
static struct omq_governor_sample got;

static void make_root(void)
{
    memcpy(root + sizeof(root) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(root));
    omq_sensors_init(&sensors, root);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_root(void)
{
    ck_assert_int_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static void put_bytes(const char *name, const char *bytes, size_t n)
{
    char *path = path_of(name), *slash = strrchr(path, '/');
    FILE *f;

    *slash = 0;
    ck_assert_int_eq(omq_make_dirs(path, &err), OMQ_OK);
    *slash = '/';
    f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void put(const char *name, const char *text) { put_bytes(name, text, strlen(text)); }

static void take(void)
{
    got = omq_governor_sample_at(7);
    omq_sensors_read(&sensors, &got);
    ck_assert_double_eq(got.t_s, 7);
    ck_assert(isnan(got.batch_ms));
}

#define SUPPLY "sys/class/power_supply/"
#define ZONE "sys/class/thermal/"

START_TEST(nothing_there)
{
    take();
    ck_assert(isnan(got.battery_percent) && isnan(got.temp_c) && isnan(got.load_percent));
    ck_assert(!got.charging);
}
END_TEST

START_TEST(batteries)
{
    put(SUPPLY "AC/online", "1\n");
    put(SUPPLY "BAT0/capacity", "30\n");
    put(SUPPLY "BAT0/status", "Discharging\n");
    take();
    ck_assert_double_eq(got.battery_percent, 30);
    ck_assert(!got.charging);
    put(SUPPLY "mouse/capacity", "90\n");
    put(SUPPLY "mouse/scope", "Device\n");
    put(SUPPLY "mouse/status", "Charging\n");
    put(SUPPLY "BAT1/capacity", "81");
    put(SUPPLY "BAT1/status", "Not charging");
    take();
    ck_assert_double_eq(got.battery_percent, 55.5);
    ck_assert(!got.charging); /* one is drained */
    put(SUPPLY "BAT0/status", "Charging\n");
    take();
    ck_assert(got.charging);
    put(SUPPLY "BAT0/status", "Unknown\n");
    put(SUPPLY "BAT1/status", "Full\n");
    take();
    ck_assert(got.charging);
}
END_TEST

START_TEST(temperatures)
{
    put(ZONE "cooling_device0/temp", "90000\n");
    put(ZONE "thermal_zone0/temp", "41500\n");
    put(ZONE "thermal_zone1/temp", "-274000\n");
    put(ZONE "thermal_zone2/type", "acpi\n");
    put(ZONE "thermal_zone10/temp", "67250\n");
    take();
    ck_assert_double_eq_tol(got.temp_c, 67.25, 1e-9);
}
END_TEST

START_TEST(loads)
{
    put("proc/stat", "cpu  100 0 50 800 50 0 0 0 99 99\ncpu0 1 2 3 4\n");
    take();
    ck_assert(isnan(got.load_percent)); /* since when? */
    put("proc/stat", "cpu  120 5 55 860 60 5 3 2 99 99\ncpu0 1 2 3 4\n");
    take();
    ck_assert_double_eq_tol(got.load_percent, 100.0 * 40 / 110, 1e-9);
    take();
    ck_assert(isnan(got.load_percent)); /* no time has passed */
    put("proc/stat", "cpu  20 5 55 860 60 5 3 2\n");
    take();
    ck_assert(isnan(got.load_percent)); /* back */
    put("proc/stat", "cpu  30 5 55 860 60 5 3 2\n");
    take();
    ck_assert_double_eq(got.load_percent, 100);
    put("proc/stat", "garbage\n");
    take();
    put("proc/stat", "cpu  40 5 55 870\n");
    take();
    ck_assert(isnan(got.load_percent));
    put("proc/stat", "cpu  40 5 55 880\n");
    take();
    ck_assert_double_eq(got.load_percent, 0);
}
END_TEST

/* What a file may hold that is no reading. */
static const char *const hostile[] = {
    "", "\n", "x", "-", "-1", "1.5", "101x", " 50", "50 ", "1e3", "0x10", "999999999999999999",
    "99999999999999999999999999999999", "-99999999999999999999", "nan",
};

START_TEST(hostile_contents)
{
    char huge[5000];

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        char line[100];

        put(SUPPLY "BAT0/capacity", hostile[i]);
        put(ZONE "thermal_zone0/temp", strcmp(hostile[i], "-1") ? hostile[i] : "-60000");
        snprintf(line, sizeof(line), "cpu  1 2 3 %.60s x\n", hostile[i]);
        put("proc/stat", "cpu  1 2 3 4\n");
        take();
        put("proc/stat", line);
        take();
        ck_assert_msg(isnan(got.battery_percent) && isnan(got.temp_c) && isnan(got.load_percent),
                      "'%s': %g %g %g", hostile[i], got.battery_percent, got.temp_c,
                      got.load_percent);
    }
    memset(huge, '1', sizeof(huge));
    put_bytes(SUPPLY "BAT0/capacity", huge, sizeof(huge));
    put_bytes(ZONE "thermal_zone0/temp", huge, sizeof(huge));
    put_bytes("proc/stat", huge, sizeof(huge));
    take();
    ck_assert(isnan(got.battery_percent) && isnan(got.temp_c) && isnan(got.load_percent));
    put_bytes(SUPPLY "BAT0/capacity", "50\0", 3);
    put_bytes(ZONE "thermal_zone0/temp", "50000\0\n", 7);
    take();
    ck_assert(isnan(got.battery_percent) && isnan(got.temp_c));
}
END_TEST

/* Folders and pipes in place of files, and files in place of folders. */
START_TEST(hostile_kinds)
{
    put(SUPPLY "BAT0/status", "Charging\n");
    put(SUPPLY "file", "50\n");
    put(ZONE "thermal_zone0/type", "x\n");
    put("proc/version", "x\n");
    ck_assert_int_eq(mkfifo(path_of(SUPPLY "BAT0/capacity"), 0600), 0);
    ck_assert_int_eq(mkdir(path_of(ZONE "thermal_zone0/temp"), 0700), 0);
    ck_assert_int_eq(symlink("stat", path_of("proc/stat")), 0);
    take();
    ck_assert(isnan(got.battery_percent) && isnan(got.temp_c) && isnan(got.load_percent));
}
END_TEST

START_TEST(this_machine)
{
    struct omq_sensors s;

    omq_sensors_init(&s, "");
    got = omq_governor_sample_at(0);
    for (int i = 0; i < 2; i++)
        omq_sensors_read(&s, &got);
    ck_assert(isnan(got.load_percent) || (got.load_percent >= 0 && got.load_percent <= 100));
    ck_assert(isnan(got.temp_c) || fabs(got.temp_c) <= 150);
    ck_assert(isnan(got.battery_percent) ||
              (got.battery_percent >= 0 && got.battery_percent <= 100));
}
END_TEST

Suite *omq_suite_sensors(void)
{
    Suite *s = suite_create("sensors");
    TCase *t = tcase_create("root");

    tcase_add_checked_fixture(t, make_root, remove_root);
    tcase_add_test(t, nothing_there);
    tcase_add_test(t, batteries);
    tcase_add_test(t, temperatures);
    tcase_add_test(t, loads);
    tcase_add_test(t, hostile_contents);
    tcase_add_test(t, hostile_kinds);
    tcase_add_test(t, this_machine);
    suite_add_tcase(s, t);
    return s;
}
