/* SPDX-License-Identifier: MIT
 *
 * What a run keeps in its folder, and what it refuses to mix there.
 */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "trainhelp.h"

static const char *in_a(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/a/%s", train_dir, name);
    return path;
}

static void run_a(const char *const *sets, int n, bool resume)
{
    struct omq_train *t = train_open("a", sets, n);

    train_run(t, resume);
    omq_train_close(t);
}

/* Fails, and says `want`. */
static void refused(const char *const *sets, int n, bool resume, int code, const char *want)
{
    struct omq_train *t = train_open("a", sets, n);
    struct omq_err err = {0};

    ck_assert_int_eq(omq_train_run(t, resume, false, NULL, NULL, &err), code);
    ck_assert_msg(strstr(err.msg, want), "%s", err.msg);
    omq_train_close(t);
}

/* Rows of metrics.jsonl that hold the text. */
static int rows_with(const char *text)
{
    uint8_t *rows;
    struct omq_err err;
    size_t n;
    int found = 0;

    ck_assert_int_eq(omq_file_read(in_a("metrics.jsonl"), 1 << 20, &rows, &n, &err), OMQ_OK);
    for (const char *at = (char *)rows; (at = strstr(at, text)) != NULL; at++)
        found++;
    free(rows);
    return found;
}

/* Steps are counted in batches, which may be others when a run goes on. */
START_TEST(test_rows_stay)
{
    const char *larger[] = {"train.epochs=3", "train.batch_size=32",
                            "train.highest_first=0.1667"};

    run_a(NULL, 0, false);
    refused(larger, 2, true, OMQ_ECONFIG,
            "2 epochs, which would be spent in another way now: add --set "
            "train.highest_first=0");
    run_a(larger, 3, true);
    ck_assert_int_eq(rows_with("\"epoch\": 1,"), 5);
    ck_assert_int_eq(rows_with("\"epoch\": 2,"), 5);
    ck_assert_int_eq(rows_with("\"epoch\": 3,"), 5);
}
END_TEST

START_TEST(test_rows_of_calibrated)
{
    const char *none[] = {"train.epochs=0"}, *adam[] = {"train.epochs=1", "train.optimizer=adam"};

    run_a(none, 1, false);
    ck_assert_int_eq(access(in_a("best.omq"), F_OK), 0);
    ck_assert_int_eq(rows_with("\"lr\": null, \"images_per_s\": null"), 5);
    run_a(adam, 2, true);
    ck_assert_int_eq(rows_with("\"epoch\": 0,"), 5);
    ck_assert_int_eq(rows_with("\"epoch\": 1,"), 5);
    refused((const char *[]){"train.epochs=2"}, 1, true, OMQ_ECONFIG, "train.optimizer");
}
END_TEST

/* A row has the rate of its last step, not of the next. */
START_TEST(test_rate_of_rows)
{
    const char *sets[] = {"train.schedule=step", "train.milestones=[1]", "train.lr=0.1",
                          "train.gamma=0.5"};

    run_a(sets, 4, false);
    ck_assert_int_eq(rows_with("\"lr\": 0.1,"), 5);
    ck_assert_int_eq(rows_with("\"lr\": 0.05,"), 5);
}
END_TEST

/* Rows are written before the checkpoint whose epochs they are of. */
START_TEST(test_rows_fail)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_err err = {0};

    ck_assert_int_eq(mkdir(in_a(""), 0777), 0);
    ck_assert_int_eq(mkdir(in_a("metrics.csv"), 0777), 0);
    ck_assert_int_eq(omq_train_run(t, false, false, NULL, NULL, &err), OMQ_EIO);
    ck_assert_msg(strstr(err.msg, "metrics.csv"), "%s", err.msg);
    omq_train_close(t);
    ck_assert_int_ne(access(in_a("last.omq"), F_OK), 0);
    ck_assert_int_eq(rmdir(in_a("metrics.csv")), 0);
}
END_TEST

START_TEST(test_not_replaced)
{
    run_a(NULL, 0, false);
    ck_assert_int_eq(unlink(in_a("last.omq")), 0);
    refused(NULL, 0, false, OMQ_ECONFIG, "already holds 'model.omq'");
    ck_assert_int_eq(unlink(in_a("model.omq")), 0);
    refused(NULL, 0, false, OMQ_ECONFIG, "already holds 'best.omq'");
    ck_assert_int_eq(unlink(in_a("best.omq")), 0);
    refused(NULL, 0, false, OMQ_ECONFIG, "already holds 'metrics.jsonl'");
}
END_TEST

START_TEST(test_one_at_a_time)
{
    int fd;

    ck_assert_int_eq(mkdir(in_a(""), 0777), 0);
    ck_assert_int_ge(fd = open(in_a(""), O_RDONLY | O_DIRECTORY), 0);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    refused(NULL, 0, false, OMQ_ECONFIG, "another run is at work");
    close(fd);
    run_a(NULL, 0, false);
}
END_TEST

static void stop_at_8(void *ctx, const struct omq_train_progress *p)
{
    volatile sig_atomic_t *stop = ctx;

    *stop = (p->epoch - 1) * p->n_steps + p->step == 8;
}

/* What is between epochs has no statistics of its own: no model is made of it. */
START_TEST(test_not_ended_earlier)
{
    volatile sig_atomic_t stop = 0;
    const struct omq_train_callbacks cb = {.ctx = (void *)&stop, .step = stop_at_8};
    const char *four[] = {"train.epochs=4", "train.views_last=0"}, *one[] = {"train.epochs=1"};
    struct omq_train *t = train_open("a", four, 2);
    struct omq_err err;

    ck_assert_int_eq(omq_train_run(t, false, false, &cb, &stop, &err), OMQ_ESTOPPED);
    omq_train_close(t);
    refused(one, 1, true, OMQ_ECONFIG,
            "has done 1 epoch and 2 steps and cannot go on with "
            "train.epochs 1: add --set train.epochs=4, or begin another run");
    ck_assert_int_ne(access(in_a("model.omq"), F_OK), 0);
    run_a(four, 2, true);
    refused(one, 1, true, OMQ_ECONFIG,
            "has done 4 epochs and cannot go on with train.epochs 1: begin");
}
END_TEST

Suite *omq_suite_run(void)
{
    Suite *s = suite_create("run");
    TCase *t = tcase_create("folder");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, train_setup, train_teardown);
    tcase_add_test(t, test_rows_stay);
    tcase_add_test(t, test_rows_of_calibrated);
    tcase_add_test(t, test_rate_of_rows);
    tcase_add_test(t, test_rows_fail);
    tcase_add_test(t, test_not_replaced);
    tcase_add_test(t, test_one_at_a_time);
    tcase_add_test(t, test_not_ended_earlier);
    suite_add_tcase(s, t);
    return s;
}
