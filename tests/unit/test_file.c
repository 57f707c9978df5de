/* SPDX-License-Identifier: MIT
 *
 * Files: replaced as a whole or not at all, and read with a limit.
 */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

Suite *omq_suite_file(void);

static char dir[] = "/tmp/omq-base-XXXXXX";
static char file[64];

static void make_dir(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/f", dir);
}

static void remove_dir(void)
{
    unlink(file);
    ck_assert_int_eq(rmdir(dir), 0); /* fails if a temporary file is left */
}

static void put_text_to(const char *path, const char *text)
{
    struct omq_atomic a;
    struct omq_err err;

    ck_assert_int_eq(omq_atomic_open(&a, path, &err), OMQ_OK);
    ck_assert_int_ge(fputs(text, a.f), 0);
    ck_assert_int_eq(omq_atomic_commit(&a, &err), OMQ_OK);
}

static void put_text(const char *text)
{
    put_text_to(file, text);
}

static void assert_text(const char *text)
{
    struct omq_err err;
    uint8_t *p;
    size_t n;

    ck_assert_int_eq(omq_file_read(file, 1000, &p, &n, &err), OMQ_OK);
    ck_assert_uint_eq(n, strlen(text));
    ck_assert_str_eq((char *)p, text);
    free(p);
}

START_TEST(atomic_commit)
{
    struct stat st;
    mode_t mask = umask(027);

    put_text("old");
    assert_text("old");
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
    umask(mask);
    put_text("new");
    assert_text("new");
    ck_assert_int_eq(stat(file, &st), 0); /* the mode is the file's from now on */
    ck_assert_int_eq(st.st_mode & 0777, 0640);
    ck_assert_int_eq(chmod(file, 0600), 0);
    put_text("newer");
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

/* Flushed, a file has its temporary name until the commit. */
START_TEST(atomic_flush)
{
    struct omq_atomic a;
    struct omq_err err;

    put_text("old");
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(omq_atomic_open(&a, file, &err), OMQ_OK);
        fputs("new", a.f);
        ck_assert_int_eq(omq_atomic_flush(&a, &err), OMQ_OK);
        assert_text("old");
        if (i == 0)
            omq_atomic_abort(&a);
    }
    ck_assert_int_eq(omq_atomic_commit(&a, &err), OMQ_OK);
    assert_text("new");
}
END_TEST

/* A link stays one, and what it leads to is replaced or created, through several of them. */
START_TEST(atomic_follows_links)
{
    static const char *const names[] = {"relative", "absolute", "loop"};
    struct omq_atomic a;
    struct omq_err err;
    struct stat st;
    char link[3][80];

    for (int i = 0; i < 3; i++)
        snprintf(link[i], sizeof(link[i]), "%s/%s", dir, names[i]);
    ck_assert_int_eq(symlink("f", link[0]), 0);
    ck_assert_int_eq(symlink(link[0], link[1]), 0);
    ck_assert_int_eq(symlink("loop", link[2]), 0);
    for (int i = 0; i < 3; i++) { /* the first time there is no file */
        put_text_to(link[i % 2], i == 1 ? "one" : "other");
        assert_text(i == 1 ? "one" : "other");
        ck_assert_int_eq(lstat(link[i % 2], &st), 0);
        ck_assert(S_ISLNK(st.st_mode));
    }
    ck_assert_int_eq(omq_atomic_open(&a, link[2], &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Too many levels of symbolic links"));
    for (int i = 0; i < 3; i++)
        unlink(link[i]);
}
END_TEST

/* As /dev/stdout is: what has the file open sees what is written. */
START_TEST(atomic_writes_open_files)
{
    struct stat before, after;
    char link[80], to[40], got[4] = "";
    int fd;

    put_text("old text");
    fd = open(file, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &before), 0);
    snprintf(link, sizeof(link), "%s/link", dir);
    snprintf(to, sizeof(to), "/proc/self/fd/%d", fd);
    ck_assert_int_eq(symlink(to, link), 0);
    put_text_to(link, "new");
    ck_assert_int_eq(pread(fd, got, sizeof(got), 0), 3);
    ck_assert_str_eq(got, "new");
    ck_assert_int_eq(stat(file, &after), 0);
    ck_assert_uint_eq(after.st_ino, before.st_ino);
    ck_assert_int_eq(lstat(link, &after), 0);
    ck_assert(S_ISLNK(after.st_mode));
    close(fd);
    unlink(link);
}
END_TEST

START_TEST(atomic_abort)
{
    struct omq_atomic a;
    struct omq_err err;

    put_text("old");
    ck_assert_int_eq(omq_atomic_open(&a, file, &err), OMQ_OK);
    fputs("new", a.f);
    fflush(a.f);
    assert_text("old"); /* until the commit, too */
    omq_atomic_abort(&a);
    omq_atomic_abort(&a);
    assert_text("old");
}
END_TEST

/* The disk is full: the descriptor below the stream leads to /dev/full. */
START_TEST(atomic_full_disk)
{
    struct omq_atomic a;
    struct omq_err err;
    int fd = open("/dev/full", O_WRONLY);

    ck_assert_int_ge(fd, 0);
    put_text("old");
    ck_assert_int_eq(omq_atomic_open(&a, file, &err), OMQ_OK);
    ck_assert_int_ge(dup2(fd, fileno(a.f)), 0);
    close(fd);
    fputs("new", a.f);
    ck_assert_int_eq(omq_atomic_commit(&a, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "No space left on device"));
    ck_assert_ptr_nonnull(strstr(err.msg, file));
    assert_text("old");
}
END_TEST

START_TEST(atomic_missing_dir)
{
    struct omq_atomic a;
    struct omq_err err;
    char path[80];

    snprintf(path, sizeof(path), "%s/missing/f", dir);
    ck_assert_int_eq(omq_atomic_open(&a, path, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "No such file or directory"));
    omq_atomic_abort(&a);
    ck_assert_int_eq(omq_atomic_open(&a, dir, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Is a directory"));
    omq_atomic_abort(&a);
}
END_TEST

/* Root may write everywhere, so the test becomes another user for a while. */
START_TEST(atomic_unwritable_dir)
{
    struct omq_atomic a;
    struct omq_err err;
    bool root = geteuid() == 0;
    int rc;

    put_text("old");
    ck_assert_int_eq(chmod(dir, 0555), 0);
    ck_assert(!root || seteuid(65534) == 0);
    rc = omq_atomic_open(&a, file, &err);
    ck_assert(!root || seteuid(0) == 0);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    ck_assert_int_eq(rc, OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Permission denied"));
    omq_atomic_abort(&a);
    assert_text("old");
}
END_TEST

/* "base: write devices and pipes directly": the FIFO is still one afterwards. */
START_TEST(atomic_keeps_special_files)
{
    struct omq_atomic a;
    struct omq_err err;
    struct stat st;
    char got[4] = "";
    int fd;

    ck_assert_int_eq(mkfifo(file, 0600), 0);
    fd = open(file, O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(omq_atomic_open(&a, file, &err), OMQ_OK);
    fputs("new", a.f);
    ck_assert_int_eq(omq_atomic_commit(&a, &err), OMQ_OK);
    ck_assert_int_eq(read(fd, got, 3), 3);
    ck_assert_str_eq(got, "new");
    close(fd);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert(S_ISFIFO(st.st_mode));
    ck_assert_int_eq(omq_atomic_open(&a, "/dev/full", &err), OMQ_OK);
    fputs("new", a.f);
    ck_assert_int_eq(omq_atomic_commit(&a, &err), OMQ_EIO);
    ck_assert_int_eq(stat("/dev/full", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
}
END_TEST

START_TEST(file_read_limit)
{
    struct omq_err err;
    uint8_t *p;
    size_t n;

    put_text("12345");
    ck_assert_int_eq(omq_file_read(file, 4, &p, &n, &err), OMQ_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err.msg, "4 bytes"));
    ck_assert_int_eq(omq_file_read(file, 5, &p, &n, &err), OMQ_OK);
    ck_assert_uint_eq(n, 5);
    free(p);
    ck_assert_int_eq(omq_file_read(dir, 5, &p, &n, &err), OMQ_EIO);
    ck_assert_int_eq(omq_file_read("/nonexistent", 5, &p, &n, &err), OMQ_EIO);
}
END_TEST

START_TEST(regular_file_in_parts)
{
    struct omq_err err;
    char got[4] = "";
    uint64_t size = 0;
    int fd;

    put_text("12345");
    fd = omq_open_regular(file, &size, &err);
    ck_assert_int_ge(fd, 0);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(omq_read_at(fd, 2, got, 3, "it", &err), OMQ_OK);
    ck_assert_str_eq(got, "345");
    ck_assert_int_eq(omq_read_at(fd, 3, got, 3, "it", &err), OMQ_EIO);
    ck_assert_str_eq(err.msg, "'it' has become shorter while it was read");
    close(fd);
    ck_assert_int_eq(omq_read_at(fd, 0, got, 1, "it", &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "cannot read 'it'"));
    ck_assert_int_eq(omq_open_regular(dir, &size, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "is not a regular file"));
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(omq_open_regular(file, &size, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "cannot open '"));
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    ck_assert_int_eq(omq_open_regular(file, &size, &err), OMQ_EIO); /* at once */
    ck_assert_ptr_nonnull(strstr(err.msg, "is not a regular file"));
}
END_TEST

START_TEST(make_dirs_and_join)
{
    struct omq_err err;
    char *a = omq_path_join(dir, "a"), *b = omq_path_join(a, "b/");
    char *c = omq_path_join(b, "c");

    ck_assert_int_eq(strcmp(c + strlen(dir), "/a/b/c"), 0);
    ck_assert_int_eq(omq_make_dirs(c, &err), OMQ_OK);
    ck_assert_int_eq(omq_make_dirs(c, &err), OMQ_OK);
    ck_assert_int_eq(rmdir(c), 0);
    put_text("a file");
    ck_assert_int_eq(omq_make_dirs(file, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "not a directory"));
    ck_assert_int_eq(omq_make_dirs("", &err), OMQ_EIO);
    rmdir(b);
    rmdir(a);
    free(a);
    free(b);
    free(c);
}
END_TEST

Suite *omq_suite_file(void)
{
    Suite *s = suite_create("file");
    TCase *f = tcase_create("file");

    tcase_add_checked_fixture(f, make_dir, remove_dir);
    tcase_add_test(f, atomic_commit);
    tcase_add_test(f, atomic_flush);
    tcase_add_test(f, atomic_abort);
    tcase_add_test(f, atomic_full_disk);
    tcase_add_test(f, atomic_missing_dir);
    tcase_add_test(f, atomic_unwritable_dir);
    tcase_add_test(f, atomic_keeps_special_files);
    tcase_add_test(f, atomic_follows_links);
    tcase_add_test(f, atomic_writes_open_files);
    tcase_add_test(f, file_read_limit);
    tcase_add_test(f, regular_file_in_parts);
    tcase_add_test(f, make_dirs_and_join);
    suite_add_tcase(s, f);
    return s;
}
