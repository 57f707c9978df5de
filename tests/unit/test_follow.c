/* SPDX-License-Identifier: MIT
 *
 * A follower: which file it takes for another one, at which precision that goes on, and
 * what it says, once, of files and words that it cannot follow.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model_sample.h"
#include "omq.h"

Suite *omq_suite_follow(void);

enum { W8A8, W4A8, W2A2 }; /* the model's precisions */

static const struct omq_switch_word never = {.profile = -1}, at_8 = {8, 8, -1}, at_4 = {4, 8, -1},
                                    at_2 = {2, 2, -1}, missing = {5, 5, -1},
                                    in_float = {32, 32, -1};
static struct omq_err err;
static struct omq_follow *follower;
static char control[112], other[112];

static void setup(void)
{
    model_setup();
    snprintf(control, sizeof(control), "%s.control", model_path);
    snprintf(other, sizeof(other), "%s.other", model_path);
}

static void teardown(void)
{
    omq_follow_close(follower);
    follower = NULL; /* without fork the next test would see it */
    unlink(control);
    unlink(other);
    model_teardown();
}

static void append(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "ab");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void set_word(const char *path, struct omq_switch_word word)
{
    ck_assert_msg(omq_switch_write(path, word, &err) == 0, "%s", err.msg);
}

/* Another file, by a rename. */
static void put_model(struct omq_switch_word word)
{
    append(other, model_good, model_size);
    set_word(other, word);
    ck_assert_int_eq(rename(other, model_path), 0);
}

static void put_control(struct omq_switch_word word)
{
    ck_assert_msg(omq_switch_create(other, &err) == 0, "%s", err.msg);
    set_word(other, word);
    ck_assert_int_eq(rename(other, control), 0);
}

static void open_follower(const char *control_path, const char *precision)
{
    const struct omq_open_options opt = {.threads = 1, .precision = precision};

    ck_assert_msg(omq_follow_open(&follower, model_path, control_path, &opt, &err) == 0, "%s",
                  err.msg);
}

static void wait_for_look(void)
{
    ck_assert_int_eq(nanosleep(&(struct timespec){1, 100000000}, NULL), 0);
}

static void check_poll(enum omq_follow_event want, int active)
{
    enum omq_follow_event event;

    ck_assert_msg(omq_follow_poll(follower, &event, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(event, want);
    ck_assert_int_eq(omq_model_active(omq_follow_model(follower)), active);
}

/* It says so, and all is as it was. */
static void check_told(const char *text, int active)
{
    enum omq_follow_event event;

    ck_assert_int_lt(omq_follow_poll(follower, &event, &err), 0);
    ck_assert_int_eq(event, OMQ_FOLLOW_NOTHING);
    ck_assert_msg(strstr(err.msg, text) != NULL, "%s", err.msg);
    check_poll(OMQ_FOLLOW_NOTHING, active);
}

/* ---- words ---- */

/* A governor, or whoever runs the model, may have left what the word says. */
START_TEST(a_word_set_again_is_set)
{
    set_word(model_path, at_4);
    open_follower(NULL, NULL);
    ck_assert_int_eq(omq_model_set_wait(omq_follow_model(follower), W2A2, &err), OMQ_OK);
    wait_for_look();
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
    set_word(model_path, at_4);
    wait_for_look();
    check_poll(OMQ_FOLLOW_SWITCHED, W4A8);
    ck_assert_int_eq(omq_model_set_wait(omq_follow_model(follower), W2A2, &err), OMQ_OK);
    wait_for_look();
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
}
END_TEST

START_TEST(a_word_that_names_nothing_is_told)
{
    set_word(model_path, _i ? in_float : missing);
    open_follower(NULL, NULL);
    check_told("names a precision that the model", W8A8);
    set_word(model_path, at_2);
    check_poll(OMQ_FOLLOW_SWITCHED, W2A2);
    put_model(_i ? in_float : missing);
    wait_for_look();
    check_poll(OMQ_FOLLOW_REPLACED, W2A2); /* as the old one */
    check_told("names a precision that the model", W2A2);
}
END_TEST

/* What was asked for is for the time until the word changes, whichever file has it. */
START_TEST(a_precision_stays_until_the_word_changes)
{
    set_word(model_path, at_8);
    open_follower(NULL, "2");
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
    put_model(at_8);
    wait_for_look();
    check_poll(OMQ_FOLLOW_REPLACED, W2A2);
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
    put_model(at_4);
    wait_for_look();
    check_poll(OMQ_FOLLOW_REPLACED, W4A8);
    put_model(never);
    wait_for_look();
    check_poll(OMQ_FOLLOW_REPLACED, W4A8);
}
END_TEST

/* ---- the model ---- */

START_TEST(a_file_in_pieces_is_tried_again)
{
    open_follower(NULL, NULL);
    append(other, model_good, model_size / 2);
    ck_assert_int_eq(rename(other, model_path), 0);
    wait_for_look();
    check_told("going on with the model as it was: ", W8A8);
    wait_for_look();
    check_poll(OMQ_FOLLOW_NOTHING, W8A8);
    append(model_path, model_good + model_size / 2, model_size - model_size / 2);
    wait_for_look();
    check_poll(OMQ_FOLLOW_REPLACED, W8A8);
}
END_TEST

/* And of another file once more. */
START_TEST(a_change_in_place_is_told_once)
{
    open_follower(NULL, NULL);
    for (int i = 0; i < 3; i++) {
        append(model_path, "more", 4);
        wait_for_look();
        if (i != 1)
            check_told("changed in place", W8A8);
        check_poll(OMQ_FOLLOW_NOTHING, W8A8);
        if (i != 1)
            continue;
        put_model(never);
        wait_for_look();
        check_poll(OMQ_FOLLOW_REPLACED, W8A8);
    }
}
END_TEST

/* As cp does: models of one configuration are of one size. */
START_TEST(a_model_written_over_it_is_told)
{
    uint8_t sums[8] = {1, 2, 3};
    FILE *f;

    set_word(model_path, at_4);
    open_follower(NULL, NULL);
    ck_assert_ptr_nonnull(f = fopen(model_path, "r+b"));
    ck_assert_int_eq(fseek(f, 48, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(sums, 1, sizeof(sums), f), sizeof(sums));
    ck_assert_int_eq(fclose(f), 0);
    set_word(model_path, at_2); /* that one's */
    check_poll(OMQ_FOLLOW_NOTHING, W4A8);
    wait_for_look();
    check_told("changed in place", W4A8);
    wait_for_look();
    check_poll(OMQ_FOLLOW_NOTHING, W4A8);
}
END_TEST

/* With a control file nothing else keeps it from being opened, and waited for. */
START_TEST(a_pipe_in_the_place_of_the_model)
{
    put_control(at_2);
    open_follower(control, NULL);
    ck_assert_int_eq(mkfifo(other, 0600), 0);
    ck_assert_int_eq(rename(other, model_path), 0);
    wait_for_look();
    check_told("not a regular file any more", W2A2);
    wait_for_look();
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
}
END_TEST

/* ---- a control file ---- */

START_TEST(a_control_file_that_is_not_there)
{
    ck_assert_int_eq(omq_follow_open(&follower, model_path, control, NULL, &err), OMQ_EIO);
    ck_assert_msg(strstr(err.msg, "omq-switch --control makes it") != NULL, "%s", err.msg);
}
END_TEST

/* Removed and written anew, a file may have the inode number of the old one. */
START_TEST(a_model_beside_a_control_file)
{
    put_control(at_2);
    open_follower(control, NULL);
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
    ck_assert_int_eq(unlink(model_path), 0);
    append(model_path, model_good, model_size);
    wait_for_look();
    check_poll(OMQ_FOLLOW_REPLACED, W2A2);
    set_word(control, at_4);
    check_poll(OMQ_FOLLOW_SWITCHED, W4A8);
}
END_TEST

/* In place of the control file; it is looked at. */
static void put_text(void)
{
    append(other, "text", 4);
    ck_assert_int_eq(rename(other, control), 0);
    wait_for_look();
}

START_TEST(another_control_file)
{
    put_control(at_2);
    open_follower(control, NULL);
    put_text();
    check_told("going on with the switch word as it was: ", W2A2);
    wait_for_look();
    check_poll(OMQ_FOLLOW_NOTHING, W2A2);
    put_control(at_4);
    wait_for_look();
    check_poll(OMQ_FOLLOW_SWITCHED, W4A8);
    set_word(control, at_8);
    check_poll(OMQ_FOLLOW_SWITCHED, W8A8);
    put_text();
    check_told("going on with the switch word as it was: ", W8A8);
}
END_TEST

Suite *omq_suite_follow(void)
{
    Suite *s = suite_create("follow");
    TCase *t = tcase_create("follow");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_word_set_again_is_set);
    tcase_add_test(t, a_model_written_over_it_is_told);
    tcase_add_test(t, a_pipe_in_the_place_of_the_model);
    tcase_add_loop_test(t, a_word_that_names_nothing_is_told, 0, 2);
    tcase_add_test(t, a_precision_stays_until_the_word_changes);
    tcase_add_test(t, a_file_in_pieces_is_tried_again);
    tcase_add_test(t, a_change_in_place_is_told_once);
    tcase_add_test(t, a_control_file_that_is_not_there);
    tcase_add_test(t, a_model_beside_a_control_file);
    tcase_add_test(t, another_control_file);
    suite_add_tcase(s, t);
    return s;
}
