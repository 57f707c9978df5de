/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ckpt_sample.h"
#include "failalloc.h"

Suite *omq_suite_ckpt(void);

/* ---- what is written can be read */

START_TEST(round_trip)
{
    struct omq_ckpt *c;
    struct omq_err err;

    ck_assert_msg(omq_ckpt_open(&c, ckpt_path, 0, &err) == OMQ_OK, "%s", err.msg);
    ckpt_assert_is_sample(c);
    omq_ckpt_close(c);
    ck_assert_int_eq(ckpt_open_bytes(ckpt_good, ckpt_size, 0, &c, &err), OMQ_OK);
    ckpt_assert_is_sample(c);
    omq_ckpt_close(c);
    ck_assert_uint_eq(ckpt_good[4 + 64], 1); /* META is long enough to be compressed */
    omq_ckpt_close(NULL);
    omq_ckpt_writer_close(NULL);
}
END_TEST

START_TEST(round_trip_without_tensors)
{
    struct omq_ckpt_writer *w;
    struct omq_ckpt *c;
    struct omq_err err;
    size_t n;

    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    omq_ckpt_set_meta(w, "{}", 2);
    ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_OK);
    omq_ckpt_writer_close(w);
    ck_assert_int_eq(omq_ckpt_open(&c, ckpt_path, 0, &err), OMQ_OK);
    ck_assert_str_eq(omq_ckpt_meta(c, &n), "{}");
    ck_assert_int_eq(omq_ckpt_count(c), 0);
    ck_assert_ptr_null(omq_ckpt_find(c, "WFPT", "x"));
    ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
    ck_assert_int_eq(omq_ckpt_switch(c).w, 0);
    omq_ckpt_close(c);
}
END_TEST

/* Many names, sorted neither before nor after: duplicates and look-up. */
START_TEST(many_tensors)
{
    enum { N = 1000 };
    struct omq_ckpt_writer *w;
    struct omq_ckpt *c;
    struct omq_err err;
    static uint64_t values[N];
    char name[20];

    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    omq_ckpt_set_meta(w, "{}", 2);
    for (int i = 0; i < N; i++) {
        values[i] = (uint64_t)i;
        snprintf(name, sizeof(name), "t%d", i * 7919 % N);
        ck_assert_int_eq(omq_ckpt_add(w, "WFPT", name, OMQ_U64, 0, 0, NULL, &values[i], &err),
                         OMQ_OK);
        ck_assert_int_eq(omq_ckpt_add(w, "WFPT", name, OMQ_U64, 0, 0, NULL, &values[i], &err),
                         OMQ_EARG);
    }
    ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_OK);
    omq_ckpt_writer_close(w);
    ck_assert_int_eq(omq_ckpt_open(&c, ckpt_path, 0, &err), OMQ_OK);
    ck_assert_int_eq(omq_ckpt_count(c), N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "t%d", i * 7919 % N);
        ck_assert_uint_eq(*(const uint64_t *)omq_ckpt_find(c, "WFPT", name)->data, (uint64_t)i);
    }
    omq_ckpt_close(c);
}
END_TEST

START_TEST(same_additions_same_bytes)
{
    struct omq_ckpt_writer *w = ckpt_writer(SAMPLE_META);
    struct omq_err err;
    uint8_t *p;
    size_t n;

    for (int i = 0; i < 2; i++) { /* a writer may write again */
        ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_OK);
        ckpt_read_bytes(ckpt_path, &p, &n);
        ck_assert_uint_eq(n, ckpt_size);
        ck_assert_mem_eq(p, ckpt_good, n);
        free(p);
    }
    omq_ckpt_writer_close(w);
}
END_TEST

/* The byte table of omq-format(5), from the first byte of an empty file. */
START_TEST(bytes_as_specified)
{
    static const uint8_t head[24] = {0x93, 0x4f, 0x4d, 0x51, 0x0d, 0x0a, 0x1a, 0x0a, 1, 0, 0, 0,
                                     64,   0,    0,    0,    4,    3,    2,    1,    1, 0, 0, 0};
    const uint8_t *conv1 = image_entry(ckpt_good, CONV1), *pack = image_entry(ckpt_good, PACK);
    const uint8_t *dims = image_section(ckpt_good, DIMS);

    ck_assert_mem_eq(ckpt_good, head, sizeof(head));
    ck_assert_uint_eq(omq_get_le64(ckpt_good + 24), ckpt_size);
    ck_assert_uint_eq(omq_get_le64(ckpt_good + 32), 64);
    ck_assert_uint_eq(omq_get_le32(ckpt_good + 40), N_ENTRIES);
    ck_assert_uint_eq(omq_get_le32(ckpt_good + 44), 64);
    ck_assert_uint_eq(omq_get_le32(ckpt_good + 56), 0x00000804);
    ck_assert_uint_eq(omq_get_le32(ckpt_good + 60), 0xfffff7fb);
    ck_assert_mem_eq(conv1, "QPAR\0\0\0\0", 8);
    ck_assert_uint_eq(omq_get_le64(conv1 + 16), 12);
    ck_assert_uint_eq(omq_get_le32(conv1 + 40), 0);
    ck_assert_mem_eq(conv1 + 44, "\1\0\1\0", 4); /* f32, one dimension */
    ck_assert_uint_eq(omq_get_le32(conv1 + 52), 10);
    ck_assert_mem_eq(pack + 44, "\3\0\2\4", 4); /* u8, two dimensions, 4 bits */
    ck_assert_mem_eq(image_section(ckpt_good, NAME), "conv1.step\0conv2.step\0conv1.weight\0", 35);
    ck_assert_uint_eq(omq_get_le64(dims + 64 * 2), 3);
    ck_assert_uint_eq(omq_get_le64(dims + 64 * 2 + 8), 2);
    ck_assert_mem_eq(image_section(ckpt_good, CONV1), "\0\0\0\x3f\0\0\x80\xbf", 8); /* 0.5, -1 */
}
END_TEST

START_TEST(get_says_what_is_wrong)
{
    struct omq_ckpt *c;
    struct omq_err err;
    const void *data = NULL;
    const uint64_t dims[] = {3, 2, 1, 1}, other[] = {3, 2, 3, 3};

    ck_assert_int_eq(ckpt_open_bytes(ckpt_good, ckpt_size, 0, &c, &err), OMQ_OK);
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv9", OMQ_F32, 4, dims, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_str_eq(err.msg, "'m.omq' has no section 'WFPT' 'conv9'");
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv1.weight", OMQ_F32, 4, other, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "'m.omq': section 'WFPT' 'conv1.weight' is "
                                          "f32 [3, 2, 1, 1], expected f32 [3, 2, 3, 3]"));
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv1.weight", OMQ_I32, 4, dims, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv1.weight", OMQ_F32, 3, dims, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_ptr_null(data);
    omq_ckpt_close(c);
}
END_TEST

/* ---- memory runs out */

START_TEST(open_without_memory)
{
    size_t n;
    uint8_t *p = ckpt_compress_all(&n);
    long tries = 0;
    int rc;

    do {
        struct omq_ckpt *c = NULL;
        struct omq_err err = {0};

        failalloc_set(++tries);
        rc = omq_ckpt_open_memory(&c, p, n, "m.omq", 0, &err);
        failalloc_set(0);
        ck_assert(rc == OMQ_OK || (rc == OMQ_ENOMEM && !c && err.msg[0]));
        omq_ckpt_close(c);
    } while (rc != OMQ_OK && tries < 100);
    ck_assert_int_eq(rc, OMQ_OK);
    ck_assert_int_gt(tries, 5); /* so the failures really came */
    free(p);
}
END_TEST

/* From the first allocation of the writer to the rename. */
static int write_something(const char *to, struct omq_err *err)
{
    struct omq_ckpt_writer *w = NULL;
    int rc = omq_ckpt_writer_open(&w, err);

    if (rc == OMQ_OK)
        omq_ckpt_set_meta(w, "{}", 2);
    for (int i = 0; rc == OMQ_OK && i < 100; i++) { /* the list grows once */
        char name[16];

        snprintf(name, sizeof(name), "t%d", i);
        rc = omq_ckpt_add(w, "WFPT", name, OMQ_F32, 0, 1, (uint64_t[]){6}, ckpt_floats, err);
    }
    if (rc == OMQ_OK)
        rc = omq_ckpt_write(w, to, err);
    omq_ckpt_writer_close(w);
    return rc;
}

START_TEST(write_without_memory)
{
    long tries = 0;
    int rc;

    for (;;) {
        struct omq_err err = {0};

        failalloc_set(++tries);
        rc = write_something(ckpt_path, &err);
        failalloc_set(0);
        if (rc == OMQ_OK || tries == 1000)
            break;
        ck_assert_int_eq(rc, OMQ_ENOMEM);
        ck_assert_uint_ne(err.msg[0], 0);
        ckpt_assert_is_old();
    }
    ck_assert_int_eq(rc, OMQ_OK);
    ck_assert_int_gt(tries, 100);
}
END_TEST

/* ---- the system fails */

START_TEST(wrong_arguments)
{
    struct omq_ckpt_writer *w;
    struct omq_err err;
    char name[300];
    const uint64_t one[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, none[1] = {0};
    const uint64_t huge[2] = {1ull << 32, 1ull << 32};

    memset(name, 'a', sizeof(name));
    name[256] = 0;
    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_EARG); /* no META */
    ckpt_assert_is_old();
#define ADD(kind, name, dtype, bits, ndim, dims) \
    omq_ckpt_add(w, kind, name, dtype, bits, ndim, dims, ckpt_floats, &err)
    ck_assert_int_eq(ADD("WFPT", "", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", name, OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a/b", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a\x01", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "\xff", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("META", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("ABCD", "a", OMQ_U8, 0, 1, one), OMQ_EARG); /* critical, unknown */
    ck_assert_int_eq(ADD("WFP", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPTX", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WF1T", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", 0, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", 7, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 4, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("pACK", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 0, 9, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 0, -1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 0, 1, none), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_F32, 0, 2, huge), OMQ_EARG);
    name[255] = 0;
    ck_assert_int_eq(ADD("WFPT", name, OMQ_F32, 0, 1, one), OMQ_OK);
    ck_assert_int_eq(ADD("WFPT", name, OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_ptr_nonnull(strstr(err.msg, "added twice"));
    ck_assert_int_eq(ADD("oPTM", name, OMQ_F32, 0, 1, one), OMQ_OK);
#undef ADD
    omq_ckpt_set_meta(w, "\xff", 1);
    ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_EARG);
    omq_ckpt_set_meta(w, "{}", 2);
    omq_ckpt_set_switch(w, (struct omq_switch_word){.w = 4, .profile = -1});
    ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_EARG);
    ckpt_assert_is_old();
    omq_ckpt_set_switch(w, (struct omq_switch_word){.profile = -1});
    ck_assert_int_eq(omq_ckpt_write(w, ckpt_path, &err), OMQ_OK);
    omq_ckpt_writer_close(w);
}
END_TEST

/* Runs fn in a child whose descriptor `fd` is `on`; 0 if it returned true. */
static int in_child(bool (*fn)(void), int fd, int on)
{
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (on >= 0 && dup2(on, fd) < 0)
            _exit(2);
        _exit(fn() ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static bool full_stdout_is_reported(void)
{
    struct omq_err err;

    return write_something("-", &err) == OMQ_EIO &&
           strcmp(err.msg, "cannot write standard output: No space left on device") == 0;
}

START_TEST(write_to_dev_full)
{
    struct omq_err err;
    int fd = open("/dev/full", O_WRONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(in_child(full_stdout_is_reported, STDOUT_FILENO, fd), 0);
    close(fd);
    ck_assert_int_eq(write_something("/dev/full", &err), OMQ_EIO);
    ck_assert_str_eq(err.msg, "cannot write '/dev/full': No space left on device");
}
END_TEST

/* A file that may not grow beyond 1000 bytes stands for a disk that fills up. */
static bool full_disk_is_reported(void)
{
    struct rlimit limit = {1000, 1000};
    struct omq_err err;

    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit) == 0 && write_something(ckpt_path, &err) == OMQ_EIO &&
           strstr(err.msg, "cannot write '") && strstr(err.msg, "File too large");
}

START_TEST(full_disk_keeps_the_old_file)
{
    ck_assert_int_eq(in_child(full_disk_is_reported, -1, -1), 0);
    ckpt_assert_is_old();
}
END_TEST

START_TEST(unwritable_directory_keeps_the_old_file)
{
    struct omq_err err;
    bool root = geteuid() == 0;
    int rc;

    ck_assert_int_eq(chmod(ckpt_dir, 0555), 0);
    ck_assert(!root || seteuid(65534) == 0);
    rc = write_something(ckpt_path, &err);
    ck_assert(!root || seteuid(0) == 0);
    ck_assert_int_eq(chmod(ckpt_dir, 0755), 0);
    ck_assert_int_eq(rc, OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Permission denied"));
    ckpt_assert_is_old();
    ck_assert_int_eq(write_something("/nonexistent/m.omq", &err), OMQ_EIO);
}
END_TEST

START_TEST(open_what_cannot_be_read)
{
    struct omq_ckpt *c = NULL;
    struct omq_err err;

    ck_assert_int_eq(omq_ckpt_open(&c, "/nonexistent.omq", 0, &err), OMQ_EIO);
    ck_assert_str_eq(err.msg, "cannot open '/nonexistent.omq': No such file or directory");
    ck_assert_int_eq(omq_ckpt_open(&c, ckpt_dir, 0, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Is a directory"));
    ck_assert_ptr_null(c);
}
END_TEST

/* ---- pipes */

/* Opens what a child writes into a pipe, in pieces. */
static int open_fed(const uint8_t *p, size_t n, uint64_t max_bytes, struct omq_ckpt **c,
                    struct omq_err *err)
{
    int rc, status;
    pid_t pid;

    ck_assert_int_eq(mkfifo(ckpt_fifo, 0600), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = open(ckpt_fifo, O_WRONLY);

        signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < n; i += 50)
            if (write(fd, p + i, n - i < 50 ? n - i : 50) < 0)
                break;
        _exit(0);
    }
    rc = omq_ckpt_open(c, ckpt_fifo, max_bytes, err);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    unlink(ckpt_fifo);
    return rc;
}

START_TEST(read_from_a_pipe)
{
    struct omq_ckpt *c = NULL;
    struct omq_err err;
    uint8_t *longer = calloc(1, ckpt_size + 1);

    ck_assert_msg(open_fed(ckpt_good, ckpt_size, 0, &c, &err) == OMQ_OK, "%s", err.msg);
    ckpt_assert_is_sample(c);
    omq_ckpt_close(c);
    c = NULL;
    ck_assert_int_eq(open_fed(ckpt_good, ckpt_size - 1, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "(it is truncated"));
    ck_assert_int_eq(open_fed(ckpt_good, 40, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_int_eq(open_fed(ckpt_good, 0, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "is empty"));
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, ckpt_good, ckpt_size);
    ck_assert_int_eq(open_fed(longer, ckpt_size + 1, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "goes on behind its end"));
    free(longer);
    omq_put_le64(ckpt_good + 24, 1ull << 40); /* a claim that only the limit can refute */
    image_reseal_header(ckpt_good);
    ck_assert_int_eq(open_fed(ckpt_good, ckpt_size, 0, &c, &err), OMQ_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err.msg, "more than the limit of 4294967296"));
    ck_assert_ptr_null(c);
}
END_TEST

static bool stdin_is_sample(void)
{
    struct omq_ckpt *c;
    struct omq_err err;

    if (omq_ckpt_open(&c, "-", 0, &err) < 0)
        return false;
    ckpt_assert_is_sample(c);
    omq_ckpt_close(c);
    return true;
}

static bool stdin_is_refused(void)
{
    struct omq_ckpt *c;
    struct omq_err err;

    return omq_ckpt_open(&c, "-", 0, &err) == OMQ_EFORMAT &&
           strcmp(err.msg, "'standard input': is empty") == 0;
}

static bool write_sample_to_stdout(void)
{
    ckpt_write("-", SAMPLE_META);
    return true;
}

START_TEST(standard_input_and_output)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0); /* which holds more than the sample */
    ck_assert_int_eq(in_child(write_sample_to_stdout, STDOUT_FILENO, fds[1]), 0);
    close(fds[1]);
    ck_assert_int_eq(in_child(stdin_is_sample, STDIN_FILENO, fds[0]), 0);
    ck_assert_int_eq(in_child(stdin_is_refused, STDIN_FILENO, fds[0]), 0);
    close(fds[0]);
}
END_TEST

static void add_system(TCase *t)
{
    tcase_add_test(t, open_without_memory);
    tcase_add_test(t, write_without_memory);
    tcase_add_test(t, wrong_arguments);
    tcase_add_test(t, write_to_dev_full);
    tcase_add_test(t, full_disk_keeps_the_old_file);
    tcase_add_test(t, unwritable_directory_keeps_the_old_file);
    tcase_add_test(t, open_what_cannot_be_read);
    tcase_add_test(t, read_from_a_pipe);
    tcase_add_test(t, standard_input_and_output);
    tcase_set_timeout(t, 60);
}

Suite *omq_suite_ckpt(void)
{
    Suite *s = suite_create("ckpt");
    TCase *t = tcase_create("round trip"), *c = omq_tcase_ckpt_checks();
    TCase *y = tcase_create("system");
    TCase *all[] = {t, c, y};

    tcase_add_test(t, round_trip);
    tcase_add_test(t, round_trip_without_tensors);
    tcase_add_test(t, many_tensors);
    tcase_add_test(t, same_additions_same_bytes);
    tcase_add_test(t, bytes_as_specified);
    tcase_add_test(t, get_says_what_is_wrong);
    add_system(y);
    for (int i = 0; i < 3; i++) {
        tcase_add_checked_fixture(all[i], ckpt_setup, ckpt_teardown);
        suite_add_tcase(s, all[i]);
    }
    return s;
}
