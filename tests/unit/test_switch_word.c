/* SPDX-License-Identifier: MIT
 *
 * The switch word: one write that no reader sees half of, refused where it is damaged.
 */
#define _GNU_SOURCE
#include <check.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt_sample.h"

Suite *omq_suite_switch_word(void);

START_TEST(switch_round_trip)
{
    static const struct omq_switch_word words[] = {
        {8, 8, -1}, {1, 1, -1}, {4, 8, -1}, {32, 32, -1}, {0, 0, 0}, {0, 0, 65534}, {0, 0, -1},
    };
    struct omq_switch_word s;
    struct omq_ckpt *c;
    struct omq_err err;
    uint8_t *p;
    size_t n;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        ck_assert_int_eq(omq_switch_write(ckpt_path, words[i], &err), OMQ_OK);
        ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_OK);
        ck_assert_mem_eq(&s, &words[i], sizeof(s));
        ck_assert_int_eq(omq_ckpt_open(&c, ckpt_path, 0, &err), OMQ_OK); /* no checksum is hurt */
        s = omq_ckpt_switch(c);
        ck_assert_mem_eq(&s, &words[i], sizeof(s));
        omq_ckpt_close(c);
    }
    ckpt_read_bytes(ckpt_path, &p, &n); /* nothing else has changed */
    ck_assert_uint_eq(n, ckpt_size);
    ck_assert_uint_eq(omq_get_le64(p + 56), 0);
    memcpy(p + 56, ckpt_good + 56, 8);
    ck_assert_mem_eq(p, ckpt_good, n);
    free(p);
}
END_TEST

START_TEST(switch_refuses_words)
{
    static const struct omq_switch_word words[] = {
        {0, 8, -1}, {8, 0, -1}, {33, 8, -1}, {8, 33, -1}, {-1, 8, -1},
        {8, 8, 0},  {0, 8, 1},  {0, 0, -2},  {0, 0, 65535}, {0, 0, INT32_MAX},
    };
    struct omq_err err;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ck_assert_int_eq(omq_switch_write(ckpt_path, words[i], &err), OMQ_EARG);
    ckpt_assert_is_old();
}
END_TEST

START_TEST(switch_word_damaged)
{
    static const struct {
        uint32_t word, complement;
        const char *text;
    } words[] = {
        {0x0804, 0xfffff7fa, "does not match its complement"},
        {0x0804, 0, "does not match its complement"},
        {0, 0xffffffff, "names no precision"},
        {0x0004, 0xfffffffb, "names no precision"},
        {0x10808, 0xfffef7f7, "names no precision"},
        {0x2121, 0xffffdede, "names no precision"},
    };
    struct omq_switch_word s = {7, 7, 7};
    struct omq_ckpt *c;
    struct omq_err err;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        omq_put_le32(ckpt_good + 56, words[i].word);
        omq_put_le32(ckpt_good + 60, words[i].complement);
        ckpt_write_bytes(ckpt_path, ckpt_good, ckpt_size);
        ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_EFORMAT);
        ck_assert_int_eq(omq_switch_read(ckpt_path, &s, NULL), OMQ_EFORMAT);
        ck_assert_ptr_nonnull(strstr(err.msg, words[i].text));
        ck_assert_ptr_nonnull(strstr(err.msg, ckpt_path));
        ck_assert_int_eq(s.w, 7); /* untouched */
        ck_assert_int_eq(omq_ckpt_open(&c, ckpt_path, 0, &err), OMQ_OK);
        ck_assert_int_eq(omq_ckpt_switch(c).w, 0);
        ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
        omq_ckpt_close(c);
    }
    s = (struct omq_switch_word){2, 2, -1};
    ck_assert_int_eq(omq_switch_write(ckpt_path, s, &err), OMQ_OK);
    ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_OK);
}
END_TEST

/* Neither reads nor writes the word of what is not a model. */
START_TEST(switch_checks_the_file)
{
    struct omq_switch_word s = {4, 4, -1};
    struct omq_err err;
    char text[100];
    uint8_t *p;
    size_t n;

    memset(text, 'a', sizeof(text));
    ckpt_write_bytes(ckpt_path, text, sizeof(text));
    ck_assert_int_eq(omq_switch_write(ckpt_path, s, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "neither a model nor a control file"));
    ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_EFORMAT);
    ckpt_read_bytes(ckpt_path, &p, &n);
    ck_assert_mem_eq(p, text, sizeof(text));
    free(p);
    ckpt_write_bytes(ckpt_path, ckpt_good, 60);
    ck_assert_int_eq(omq_switch_write(ckpt_path, s, &err), OMQ_EFORMAT);
    ckpt_good[8] = 2;
    ckpt_write_bytes(ckpt_path, ckpt_good, ckpt_size);
    ck_assert_int_eq(omq_switch_write(ckpt_path, s, &err), OMQ_EVERSION);
    ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_EVERSION);
    unlink(ckpt_path);
    ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_EIO);
    ck_assert_int_eq(omq_switch_write(ckpt_path, s, &err), OMQ_EIO);
    ck_assert_int_eq(access(ckpt_path, F_OK), -1);
    ck_assert_int_eq(mkfifo(ckpt_fifo, 0600), 0);
    ck_assert_int_eq(omq_switch_read(ckpt_fifo, &s, &err), OMQ_EIO); /* and does not wait */
    ck_assert_ptr_nonnull(strstr(err.msg, "is not a regular file"));
    ck_assert_int_eq(omq_switch_write(ckpt_fifo, s, &err), OMQ_EIO);
    ck_assert_int_eq(omq_switch_write(ckpt_dir, s, &err), OMQ_EIO);
}
END_TEST

struct setter {
    struct stat first;
    struct omq_switch_word last;
};

static bool is_first(const struct setter *s)
{
    struct stat st;

    return stat(ckpt_path, &st) == 0 && st.st_ino == s->first.st_ino;
}

/* Sets words for as long as the file is the first one. */
static void *set_words(void *arg)
{
    struct setter *s = arg;
    struct omq_err err;

    for (int i = 0; is_first(s); i++) {
        s->last = (struct omq_switch_word){1 + i % 32, 1 + i / 32 % 32, -1};
        if (omq_switch_write(ckpt_path, s->last, &err) < 0)
            return "not set";
    }
    return NULL;
}

/* However late: between the look at the old file and the rename, too. */
START_TEST(written_over_while_it_is_set)
{
    struct setter setter = {.last = {8, 8, -1}};
    struct omq_switch_word s;
    struct omq_ckpt_writer *w;
    struct omq_err err;
    pthread_t thread;
    void *wrong;

    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
        omq_ckpt_set_meta(w, "{}", 2);
        omq_ckpt_set_switch(w, (struct omq_switch_word){7, 7, -1});
        ck_assert_int_eq(omq_switch_write(ckpt_path, setter.last, &err), OMQ_OK);
        ck_assert_int_eq(stat(ckpt_path, &setter.first), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, set_words, &setter), 0);
        usleep(1000);
        ck_assert_msg(omq_ckpt_write_over(w, ckpt_path, &err) == OMQ_OK, "%s", err.msg);
        ck_assert_int_eq(pthread_join(thread, &wrong), 0);
        ck_assert_msg(!wrong, "%s", (const char *)wrong);
        ck_assert_int_eq(omq_switch_read(ckpt_path, &s, &err), OMQ_OK);
        ck_assert_mem_eq(&s, &setter.last, sizeof(s));
        omq_ckpt_writer_close(w);
    }
}
END_TEST

Suite *omq_suite_switch_word(void)
{
    Suite *s = suite_create("switch word");
    TCase *t = tcase_create("switch word");

    tcase_add_test(t, switch_round_trip);
    tcase_add_test(t, switch_refuses_words);
    tcase_add_test(t, switch_word_damaged);
    tcase_add_test(t, switch_checks_the_file);
    tcase_add_test(t, written_over_while_it_is_set);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, ckpt_setup, ckpt_teardown);
    suite_add_tcase(s, t);
    return s;
}
