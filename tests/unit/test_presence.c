/* SPDX-License-Identifier: MIT
 *
 * Presence: processes that publish, that die, that share pids; folders and
 * files that are not as they should be.
 */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/presence.h"
#include "failalloc.h"

Suite *omq_suite_presence(void);

enum { MAX_FOUND = 16 };

static struct omq_err err;
static char base[] = "/tmp/omq-presence-XXXXXX";
static char dir[64], model[64], other[64];

static int n_found;
static struct omq_presence_entry found[MAX_FOUND];

static void put(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void make_base(void)
{
    memcpy(base + sizeof(base) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(base));
    snprintf(dir, sizeof(dir), "%s/omq", base);
    snprintf(model, sizeof(model), "%s/model.omq", base);
    snprintf(other, sizeof(other), "%s/other.omq", base);
    put(model, "a", 1);
    put(other, "b", 1);
}

static int count_files(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;

    ck_assert_ptr_nonnull(d);
    while ((e = readdir(d)))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void empty(const char *path)
{
    char name[400];
    struct dirent *e;
    DIR *d = opendir(path);

    while (d && (e = readdir(d))) {
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove(name);
    }
    if (d)
        closedir(d);
}

static void remove_base(void)
{
    empty(dir);
    empty(base);
    ck_assert_int_eq(rmdir(base), 0);
}

static struct omq_presence_state state_of(const char *precision)
{
    return (struct omq_presence_state){
        .precision = precision, .switches = 3, .batches = 120, .images = 7680,
        .reason = "latency: p95 7.3 ms over 5 ms", .switched_ms = 1700000000123,
    };
}

static struct omq_presence *publish(const char *path, const char *precision)
{
    struct omq_presence_state s = state_of(precision);
    struct omq_presence *p = NULL;

    ck_assert_msg(omq_presence_open(&p, dir, path, &s, &err) == OMQ_OK, "%s", err.msg);
    return p;
}

static void find(void *ctx, const struct omq_presence_entry *e)
{
    ck_assert_ptr_eq(ctx, found);
    ck_assert_int_lt(n_found, MAX_FOUND);
    found[n_found++] = *e;
}

static int list(const char *path)
{
    n_found = 0;
    ck_assert_msg(omq_presence_list(dir, path, find, found, &err) == OMQ_OK, "%s", err.msg);
    return n_found;
}

START_TEST(says_what_it_is)
{
    struct omq_presence *p = publish(model, "w4a4");
    struct omq_presence_state s = state_of("w2a2");
    struct stat st;

    ck_assert_int_eq(list(NULL), 1);
    ck_assert_uint_eq(found[0].pid, (uint64_t)getpid());
    ck_assert_uint_gt(found[0].start, 0);
    ck_assert_str_eq(found[0].path, model);
    ck_assert_str_eq(found[0].precision, "w4a4");
    ck_assert_str_eq(found[0].reason, s.reason);
    ck_assert(found[0].switches == 3 && found[0].batches == 120 && found[0].images == 7680);
    ck_assert(found[0].switched_ms == 1700000000123 && found[0].waiting == 0);
    ck_assert_uint_gt(found[0].updated_ms, 1600000000000);
    ck_assert_int_eq(stat(model, &st), 0);
    ck_assert(found[0].dev == st.st_dev && found[0].ino == st.st_ino);
    s.waiting = true;
    s.reason = NULL;
    ck_assert_int_eq(omq_presence_update(p, &s, &err), OMQ_OK);
    ck_assert_int_eq(list(NULL), 1);
    ck_assert_str_eq(found[0].precision, "w2a2");
    ck_assert_str_eq(found[0].reason, "");
    ck_assert_uint_eq(found[0].waiting, 1);
    ck_assert_int_eq(count_files(dir), 1);
    omq_presence_close(p);
    ck_assert_int_eq(count_files(dir), 0);
    ck_assert_int_eq(list(NULL), 0);
    omq_presence_close(NULL);
}
END_TEST

START_TEST(is_private)
{
    mode_t mask = umask(0);
    struct omq_presence *p = publish(model, "w4a4");
    char name[128];
    struct stat st;

    umask(mask);
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0700);
    ck_assert_int_eq(list(NULL), 1);
    n_found = 0;
    for (int n = 0; n < 100 && n_found == 0; n++) {
        snprintf(name, sizeof(name), "%s/%d-%d.run", dir, (int)getpid(), n);
        if (stat(name, &st) < 0)
            continue;
        ck_assert_int_eq(st.st_mode & 0777, 0600);
        n_found = 1;
    }
    ck_assert_int_eq(n_found, 1);
    omq_presence_close(p);
}
END_TEST

START_TEST(several_models)
{
    struct omq_presence *a = publish(model, "w4a4"), *b = publish(other, "w2a2");
    char link[80], dots[80], gone[80];

    ck_assert_int_eq(list(NULL), 2);
    ck_assert_int_eq(list(other), 1);
    ck_assert_str_eq(found[0].precision, "w2a2");
    snprintf(link, sizeof(link), "%s/link.omq", base);
    ck_assert_int_eq(symlink("model.omq", link), 0);
    ck_assert_int_eq(list(link), 1);
    snprintf(dots, sizeof(dots), "%s/omq/../model.omq", base);
    ck_assert_int_eq(list(dots), 1);
    /* renamed: the same file; replaced: the same path; gone: the path */
    snprintf(gone, sizeof(gone), "%s/gone.omq", base);
    ck_assert_int_eq(rename(model, gone), 0);
    ck_assert_int_eq(list(gone), 1);
    ck_assert_int_eq(list(model), 1);
    put(model, "c", 1);
    ck_assert_int_eq(list(model), 1);
    ck_assert_str_eq(found[0].precision, "w4a4");
    snprintf(gone, sizeof(gone), "%s/nothing.omq", base);
    ck_assert_int_eq(list(gone), 0);
    omq_presence_close(a);
    ck_assert_int_eq(list(NULL), 1);
    omq_presence_close(b);
}
END_TEST

/* A child that publishes, says so through the pipe, and waits to be killed. */
static pid_t child(const char *path, const char *precision, bool close_it)
{
    struct omq_presence_state s = state_of(precision);
    struct omq_presence *p;
    int pipes[2];
    char c = 0;
    pid_t pid;

    ck_assert_int_eq(pipe(pipes), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
        if (omq_presence_open(&p, dir, path, &s, NULL) < 0)
            _exit(1);
        if (close_it)
            omq_presence_close(p);
        if (write(pipes[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(pipes[1]);
    ck_assert_int_eq(read(pipes[0], &c, 1), 1);
    close(pipes[0]);
    return pid;
}

static void kill_child(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(children_come_and_go)
{
    pid_t a = child(model, "w4a4", false), b = child(other, "w1a1", false);
    pid_t c = child(model, "w8a8", true);
    siginfo_t info;

    ck_assert_int_eq(count_files(dir), 2);
    ck_assert_int_eq(list(NULL), 2);
    ck_assert_int_eq(list(model), 1);
    ck_assert_uint_eq(found[0].pid, (uint64_t)a);
    kill(a, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)a, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(list(NULL), 1); /* a zombie runs nothing */
    ck_assert_uint_eq(found[0].pid, (uint64_t)b);
    ck_assert_int_eq(count_files(dir), 1);
    kill_child(b);
    ck_assert_int_eq(list(other), 0);
    ck_assert_int_eq(count_files(dir), 0);
    kill_child(a);
    kill_child(c);
}
END_TEST

/* In a child the parent's presence is not the child's to change. */
START_TEST(fork_inherits_nothing)
{
    struct omq_presence *p = publish(model, "w4a4");
    struct omq_presence_state s = state_of("w1a1");
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        status = omq_presence_update(p, &s, &err) == OMQ_EARG ? 0 : 1;
        omq_presence_close(p);
        _exit(status);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(list(model), 1);
    ck_assert_str_eq(found[0].precision, "w4a4");
    omq_presence_close(p);
}
END_TEST

/* ---- files */

static const char valid[] =
    "omq presence 1\npid %d\nstart %s\ndev 1\nino 2\npath %s\nprecision %s\nwaiting 0\n"
    "switches 1\nbatches 2\nimages 3\nswitched_ms 4\nreason %s\n%s";

/* Puts a file of this process there and returns how many are listed. */
static int try_file(const char *ticks, const char *path, const char *precision,
                    const char *reason, const char *more)
{
    char name[128], text[8000];
    int n = snprintf(text, sizeof(text), valid, (int)getpid(), ticks, path, precision, reason,
                     more);

    ck_assert_int_lt(n, (int)sizeof(text));
    snprintf(name, sizeof(name), "%s/%d-7777.run", dir, (int)getpid());
    put(name, text, (size_t)n);
    return list(NULL);
}

static char start[32];

static void learn_start(void)
{
    struct omq_presence *p = publish(model, "w4a4");

    ck_assert_int_eq(list(NULL), 1);
    snprintf(start, sizeof(start), "%llu", (unsigned long long)found[0].start);
    omq_presence_close(p);
}

START_TEST(pid_used_again)
{
    learn_start();
    ck_assert_int_eq(try_file(start, "/m", "w4a4", "", ""), 1);
    ck_assert_int_eq(count_files(dir), 1);
    ck_assert_int_eq(try_file("1", "/m", "w4a4", "", ""), 0);
    ck_assert_int_eq(count_files(dir), 0); /* that was somebody else */
}
END_TEST

START_TEST(hostile_texts)
{
    char longest[5000], text[128];

    learn_start();
    ck_assert_int_eq(try_file(start, "/m", "w4a4", "r", "later 5\n"), 1);
    ck_assert_int_eq(try_file(start, "m", "w4a4", "", ""), 0);
    ck_assert_int_eq(try_file(start, "/m", "", "", ""), 0);
    ck_assert_int_eq(try_file(start, "/m", "w4\033[2J", "", ""), 0);
    ck_assert_int_eq(try_file(start, "/m", "w4a4", "a\rb", ""), 0);
    ck_assert_int_eq(try_file(start, "/m", "w4a4", "", "pid 1\n"), 0); /* twice */
    ck_assert_int_eq(try_file(start, "/m", "w4a4", "", "nothing\n"), 0);
    ck_assert_int_eq(try_file(start, "/m", "w4a4", "", "cut o"), 0);
    ck_assert_int_eq(try_file("", "/m", "w4a4", "", ""), 0);
    ck_assert_int_eq(try_file("-5", "/m", "w4a4", "", ""), 0);
    ck_assert_int_eq(try_file("99999999999999999999", "/m", "w4a4", "", ""), 0);
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    longest[4095] = 0;
    ck_assert_int_eq(try_file(start, longest, "w4a4", "", ""), 1);
    longest[4095] = 'x';
    longest[4096] = 0;
    ck_assert_int_eq(try_file(start, longest, "w4a4", "", ""), 0);
    longest[64] = 0;
    ck_assert_int_eq(try_file(start, "/m", longest, "", ""), 0);
    ck_assert_int_eq(count_files(dir), 1); /* in doubt it stays */
    snprintf(text, sizeof(text), "%s/%d-7777.run", dir, (int)getpid());
    put(text, "omq presence 1\npid 1\0\n", 22);
    ck_assert_int_eq(list(NULL), 0);
    put(text, "omq presence 1\n", 15);
    ck_assert_int_eq(list(NULL), 0);
    put(text, "", 0);
    ck_assert_int_eq(list(NULL), 0);
}
END_TEST

START_TEST(hostile_files)
{
    static const char *const names[] = {
        "0-0.run", "-1-0.run", "01-0.run", "99999999999-0.run", "12-.run", "12-0.txt",
        "12-0.run.run", "12-00.run", "12.run", "\033[2J-0.run", "12-0.run\n", ".run", "README",
    };
    enum { N = sizeof(names) / sizeof(names[0]) };
    char name[128], *huge = calloc(1, 1 << 20);
    int pid = (int)getpid();

    ck_assert_ptr_nonnull(huge);
    omq_presence_close(publish(model, "w4a4"));
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
        put(name, "x", 1);
    }
    ck_assert_int_eq(list(NULL), 0);
    ck_assert_int_eq(count_files(dir), N - 1); /* not ours: left alone; .run is hidden */
    snprintf(name, sizeof(name), "%s/%d-5000.run", dir, pid);
    put(name, huge, 1 << 20);
    free(huge);
    snprintf(name, sizeof(name), "%s/%d-5001.run", dir, pid);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    snprintf(name, sizeof(name), "%s/%d-5002.run", dir, pid);
    ck_assert_int_eq(symlink("/etc/passwd", name), 0);
    snprintf(name, sizeof(name), "%s/%d-5003.run", dir, pid);
    ck_assert_int_eq(mkdir(name, 0700), 0);
    snprintf(name, sizeof(name), "%s/%d-5004.run", dir, pid);
    put(name, "x", 1);
    if (geteuid() == 0)
        ck_assert_int_eq(chown(name, 65534, 65534), 0);
    ck_assert_int_eq(list(NULL), 0);
    /* of processes that cannot be: removed, whatever it is */
    snprintf(name, sizeof(name), "%s/2147483647-0.run", dir);
    put(name, "x", 1);
    snprintf(name, sizeof(name), "%s/2147483647-0.tmp", dir);
    put(name, "x", 1);
    ck_assert_int_eq(list(NULL), 0);
    ck_assert_int_eq(count_files(dir), N - 1 + 5);
}
END_TEST

/* What is published is clean, whatever the names. */
START_TEST(control_characters)
{
    char path[80], shown[80];
    struct omq_presence *p;

    snprintf(path, sizeof(path), "%s/a\nb\033.omq", base);
    snprintf(shown, sizeof(shown), "%s/a?b?.omq", base);
    put(path, "x", 1);
    p = publish(path, "w\n4");
    ck_assert_int_eq(list(NULL), 1);
    ck_assert_str_eq(found[0].path, shown);
    ck_assert_str_eq(found[0].precision, "w?4");
    ck_assert_int_eq(list(path), 1);
    omq_presence_close(p);
}
END_TEST

/* ---- folders */

static int open_in(const char *folder)
{
    struct omq_presence_state s = state_of("w4a4");
    struct omq_presence *p = NULL;
    int rc = omq_presence_open(&p, folder, model, &s, &err);

    ck_assert_int_eq(rc == OMQ_OK, p != NULL);
    omq_presence_close(p);
    return rc;
}

static int list_in(const char *folder)
{
    return omq_presence_list(folder, NULL, find, found, &err);
}

START_TEST(folders)
{
    char path[80];

    ck_assert_int_eq(list_in(dir), OMQ_OK); /* missing: nobody is there */
    snprintf(path, sizeof(path), "%s/", dir);
    ck_assert_int_eq(open_in(path), OMQ_OK);
    snprintf(path, sizeof(path), "%s/a/b", base);
    ck_assert_int_eq(open_in(path), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "No such file or directory"));
    ck_assert_int_eq(open_in(model), OMQ_EIO);
    ck_assert_int_eq(list_in(model), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "is a symbolic link or no directory"));
    snprintf(path, sizeof(path), "%s/link", base);
    ck_assert_int_eq(symlink("omq", path), 0);
    ck_assert_int_eq(open_in(path), OMQ_EIO);
    snprintf(path, sizeof(path), "%s/link//", base);
    ck_assert_int_eq(open_in(path), OMQ_EIO);
    ck_assert_int_eq(list_in(path), OMQ_EIO);
    ck_assert_int_eq(chmod(dir, 0750), 0);
    ck_assert_int_eq(open_in(dir), OMQ_EIO);
    ck_assert_int_eq(list_in(dir), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "is open to other users (mode 750); chmod 700 it"));
    ck_assert_int_eq(chmod(dir, 0700), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(dir, 65534, 65534), 0);
        ck_assert_int_eq(open_in(dir), OMQ_EIO);
        ck_assert_ptr_nonnull(strstr(err.msg, "belongs to user 65534, not to 0"));
        ck_assert_int_eq(list_in(dir), OMQ_EIO);
        ck_assert_int_eq(chown(dir, 0, 0), 0);
    }
    snprintf(path, sizeof(path), "%s/nothing.omq", base);
    ck_assert_int_eq(rename(model, path), 0);
    ck_assert_int_eq(open_in(dir), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "model.omq"));
}
END_TEST

/* Root may write everywhere, so the test becomes another user for a while. */
START_TEST(read_only_folder)
{
    struct omq_presence_state s = state_of("w2a2");
    bool root = geteuid() == 0;
    struct omq_presence *p;
    int rc, listed;

    ck_assert(!root || (chmod(base, 0755) == 0 && chown(base, 65534, 0) == 0));
    ck_assert(!root || seteuid(65534) == 0);
    p = publish(model, "w4a4");
    chmod(dir, 0500);
    rc = omq_presence_update(p, &s, &err);
    listed = list(NULL);
    ck_assert_int_eq(open_in(dir), OMQ_EIO);
    chmod(dir, 0700);
    ck_assert_int_eq(rc, OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Permission denied"));
    ck_assert_int_eq(listed, 1);
    ck_assert_str_eq(found[0].precision, "w4a4"); /* as it was */
    ck_assert_int_eq(omq_presence_update(p, &s, &err), OMQ_OK);
    ck_assert_int_eq(list(NULL), 1);
    ck_assert_str_eq(found[0].precision, "w2a2");
    omq_presence_close(p);
    ck_assert(!root || seteuid(0) == 0);
}
END_TEST

/* Somebody cleaned up /tmp: file or folder are made again. */
START_TEST(folder_removed)
{
    struct omq_presence *p = publish(model, "w4a4");
    struct omq_presence_state s = state_of("w2a2");

    for (int with_folder = 0; with_folder < 2; with_folder++) {
        empty(dir);
        ck_assert(!with_folder || rmdir(dir) == 0);
        ck_assert_int_eq(omq_presence_update(p, &s, &err), OMQ_OK);
        ck_assert_int_eq(list(NULL), 1);
    }
    omq_presence_close(p);
    ck_assert_int_eq(count_files(dir), 0);
}
END_TEST

/* A temporary file that a killed process left does not stop its successor. */
START_TEST(temporary_left)
{
    struct omq_presence *p = publish(model, "w4a4");
    struct omq_presence_state s = state_of("w2a2");
    char name[128];

    for (int n = 0; n < 100; n++) {
        snprintf(name, sizeof(name), "%s/%d-%d.tmp", dir, (int)getpid(), n);
        put(name, "x", 1);
    }
    ck_assert_int_eq(omq_presence_update(p, &s, &err), OMQ_OK);
    ck_assert_int_eq(list(NULL), 1);
    ck_assert_str_eq(found[0].precision, "w2a2");
    ck_assert_int_eq(count_files(dir), 100); /* its own was used up */
    omq_presence_close(p);
}
END_TEST

START_TEST(out_of_memory)
{
    struct omq_presence_state s = state_of("w4a4");
    struct omq_presence *p = NULL;
    int rc;

    failalloc_set(1);
    rc = omq_presence_open(&p, dir, model, &s, &err);
    failalloc_set(0);
    ck_assert_int_eq(rc, OMQ_ENOMEM);
    ck_assert_ptr_null(p);
}
END_TEST

Suite *omq_suite_presence(void)
{
    Suite *s = suite_create("presence");
    TCase *p = tcase_create("processes"), *f = tcase_create("files"), *d = tcase_create("folders");

    tcase_add_checked_fixture(p, make_base, remove_base);
    tcase_add_test(p, says_what_it_is);
    tcase_add_test(p, is_private);
    tcase_add_test(p, several_models);
    tcase_add_test(p, children_come_and_go);
    tcase_add_test(p, fork_inherits_nothing);
    suite_add_tcase(s, p);
    tcase_add_checked_fixture(f, make_base, remove_base);
    tcase_add_test(f, pid_used_again);
    tcase_add_test(f, hostile_texts);
    tcase_add_test(f, hostile_files);
    tcase_add_test(f, control_characters);
    suite_add_tcase(s, f);
    tcase_add_checked_fixture(d, make_base, remove_base);
    tcase_add_test(d, folders);
    tcase_add_test(d, read_only_folder);
    tcase_add_test(d, folder_removed);
    tcase_add_test(d, temporary_left);
    tcase_add_test(d, out_of_memory);
    suite_add_tcase(s, d);
    return s;
}
