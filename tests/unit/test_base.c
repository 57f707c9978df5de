/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/thread.h"
#include "base/typo.h"
#include "failalloc.h"

Suite *omq_suite_base(void);

/* ---- err */

START_TEST(err_wrap_prefixes)
{
    struct omq_err err;

    ck_assert_int_eq(omq_fail(&err, OMQ_EFORMAT, "tensor '%s' is cut", "a"), OMQ_EFORMAT);
    ck_assert_int_eq(omq_wrap(&err, OMQ_EFORMAT, "cannot load '%s'", "m.omq"), OMQ_EFORMAT);
    ck_assert_str_eq(err.msg, "cannot load 'm.omq': tensor 'a' is cut");
    errno = ENOENT;
    ck_assert_int_eq(omq_fail_errno(&err, OMQ_EIO, "cannot open 'x'"), OMQ_EIO);
    ck_assert_str_eq(err.msg, "cannot open 'x': No such file or directory");
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(err_null_is_fine)
{
    ck_assert_int_eq(omq_fail(NULL, OMQ_EARG, "x"), OMQ_EARG);
    ck_assert_int_eq(omq_fail_errno(NULL, OMQ_ENOMEM, "x"), OMQ_ENOMEM);
    ck_assert_int_eq(omq_wrap(NULL, OMQ_EFORMAT, "x"), OMQ_EFORMAT);
}
END_TEST

/* Messages and prefixes of every length around that of the buffer. */
START_TEST(err_truncates)
{
    struct {
        struct omq_err err;
        char canary[8];
    } s;
    const int size = sizeof(s.err.msg);
    char text[2 * sizeof(s.err.msg)];

    memset(text, 'a', sizeof(text));
    memset(s.canary, 'c', sizeof(s.canary));
    for (int n = size - 8; n < size + 8; n++) {
        omq_fail(&s.err, OMQ_EIO, "%.*s", n, text);
        ck_assert_uint_eq(strlen(s.err.msg), (size_t)(n < size ? n : size - 1));
        omq_wrap(&s.err, OMQ_EIO, "prefix");
        ck_assert_int_eq(strncmp(s.err.msg, "prefix: aaa", 11), 0);
        ck_assert_uint_lt(strlen(s.err.msg), (size_t)size);
        omq_fail(&s.err, OMQ_EIO, "short");
        omq_wrap(&s.err, OMQ_EIO, "%.*s", n, text);
        ck_assert_uint_lt(strlen(s.err.msg), (size_t)size);
        ck_assert_int_eq(s.err.code, OMQ_EIO);
        errno = EIO;
        omq_fail_errno(&s.err, OMQ_EIO, "%.*s", n, text);
        ck_assert_uint_lt(strlen(s.err.msg), (size_t)size);
    }
    ck_assert_int_eq(memcmp(s.canary, "cccccccc", 8), 0);
}
END_TEST

/* ---- mem */

START_TEST(size_arithmetic)
{
    size_t n;

    ck_assert(omq_mul_size(SIZE_MAX / 2, 2, &n));
    ck_assert(!omq_mul_size(SIZE_MAX / 2 + 1, 2, &n));
    ck_assert(omq_add_size(SIZE_MAX - 1, 1, &n));
    ck_assert(!omq_add_size(SIZE_MAX, 1, &n));
    for (size_t k = 0; k < 200; k++) {
        ck_assert(omq_align_size(k, &n));
        ck_assert_uint_eq(n, omq_align_up(k));
        ck_assert(n % OMQ_ALIGN == 0 && n >= k && n < k + OMQ_ALIGN);
    }
    ck_assert(omq_align_size(SIZE_MAX - OMQ_ALIGN + 1, &n));
    ck_assert_uint_eq(n, SIZE_MAX - OMQ_ALIGN + 1);
    ck_assert(!omq_align_size(SIZE_MAX - OMQ_ALIGN + 2, &n));
    ck_assert(!omq_align_size(SIZE_MAX, &n));
}
END_TEST

START_TEST(calloc_aligns_and_clears)
{
    for (size_t n = 0; n < 200; n += 13) {
        unsigned char *p = omq_calloc(n, 3);

        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % OMQ_ALIGN, 0);
        for (size_t i = 0; i < n * 3; i++)
            ck_assert_uint_eq(p[i], 0);
        free(p);
    }
    ck_assert_ptr_null(omq_calloc(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(omq_calloc(SIZE_MAX, 1));
}
END_TEST

static const size_t plan[] = {1, 64, 0, 65, 1000, 7};

static void run_plan(struct omq_arena *a, char *p[])
{
    for (size_t i = 0; i < sizeof(plan) / sizeof(plan[0]); i++)
        p[i] = omq_arena_take(a, plan[i], 3);
}

START_TEST(arena_two_passes)
{
    struct omq_arena a = {0};
    struct omq_err err;
    const int n = sizeof(plan) / sizeof(plan[0]);
    char *p[sizeof(plan) / sizeof(plan[0])];

    run_plan(&a, p);
    for (int i = 0; i < n; i++)
        ck_assert_ptr_null(p[i]);
    ck_assert_int_eq(omq_arena_commit(&a, "a test", &err), OMQ_OK);
    run_plan(&a, p);
    ck_assert_uint_eq(a.used, a.size);
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq((uintptr_t)p[i] % OMQ_ALIGN, 0);
        for (size_t k = 0; k < plan[i] * 3; k++) {
            ck_assert_int_eq(p[i][k], 0); /* also: no piece overlaps an earlier one */
            p[i][k] = 1;
        }
    }
    omq_arena_release(&a);
    ck_assert_ptr_null(a.base);
    ck_assert_uint_eq(a.used, 0);
}
END_TEST

START_TEST(arena_overflow_is_an_error)
{
    struct omq_arena a = {0};
    struct omq_err err;

    ck_assert_ptr_null(omq_arena_take(&a, SIZE_MAX / 2, 3));
    ck_assert_ptr_null(omq_arena_take(&a, 1, 1));
    ck_assert_int_eq(omq_arena_commit(&a, "a test", &err), OMQ_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err.msg, "a test"));
    omq_arena_release(&a);
}
END_TEST

START_TEST(arena_out_of_memory)
{
    struct omq_arena a = {0};
    struct omq_err err;
    int rc;

    omq_arena_take(&a, 100, 1);
    failalloc_set(1);
    rc = omq_arena_commit(&a, "a test", &err);
    failalloc_set(0);
    ck_assert_int_eq(rc, OMQ_ENOMEM);
    ck_assert_uint_eq(a.used, 128);
    ck_assert_int_eq(omq_arena_commit(&a, "a test", &err), OMQ_OK);
    omq_arena_release(&a);
}
END_TEST

/* ---- rng */

/* Known answers of the Random123 distribution (kat_vectors). */
START_TEST(rng_known_answers)
{
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    for (size_t i = 0; i < sizeof(kat) / sizeof(kat[0]); i++) {
        struct omq_rng r = {0};

        memcpy(r.ctr, kat[i].ctr, sizeof(r.ctr));
        memcpy(r.key, kat[i].key, sizeof(r.key));
        omq_rng_u32(&r);
        ck_assert_mem_eq(r.out, kat[i].out, sizeof(r.out));
    }
}
END_TEST

START_TEST(rng_is_a_function_of_its_arguments)
{
    struct omq_rng a, b;

    omq_rng_init(&a, 5, OMQ_STREAM_TEST, 1, 2);
    for (int i = 0; i < 9; i++)
        omq_rng_u32(&a);
    omq_rng_init(&b, 5, OMQ_STREAM_TEST, 1, 2);
    for (int i = 0; i < 9; i++)
        omq_rng_u32(&b);
    ck_assert_uint_eq(omq_rng_u32(&a), omq_rng_u32(&b));

    static const struct {
        uint64_t seed;
        enum omq_stream stream;
        uint32_t a, b;
    } other[] = {
        {6, OMQ_STREAM_TEST, 1, 2}, {5 | 1ull << 32, OMQ_STREAM_TEST, 1, 2},
        {5, OMQ_STREAM_DATA, 1, 2}, {5, OMQ_STREAM_TEST, 2, 2}, {5, OMQ_STREAM_TEST, 1, 3},
    };
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        omq_rng_init(&a, 5, OMQ_STREAM_TEST, 1, 2);
        omq_rng_init(&b, other[i].seed, other[i].stream, other[i].a, other[i].b);
        ck_assert_uint_ne(omq_rng_u32(&a), omq_rng_u32(&b));
    }
}
END_TEST

/* Chi-square over 10 cells: 27.88 is passed by one good generator in 1,000. */
START_TEST(rng_below_is_uniform)
{
    struct omq_rng r;
    int count[10] = {0};
    double chi = 0;

    omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < 100000; i++) {
        uint32_t v = omq_rng_below(&r, 10);

        ck_assert_uint_lt(v, 10);
        count[v]++;
    }
    for (int i = 0; i < 10; i++)
        chi += (count[i] - 10000.0) * (count[i] - 10000.0) / 10000.0;
    ck_assert_double_lt(chi, 27.88);
    ck_assert_uint_eq(omq_rng_below(&r, 1), 0);
}
END_TEST

/* Of 3 * 2^30 values, a biased reduction of 32 bits gives the multiples of 3
 * twice as often as the others: half of the draws instead of a third. */
START_TEST(rng_below_is_unbiased)
{
    struct omq_rng r;
    const uint32_t n = 3u << 30;
    int low = 0;

    omq_rng_init(&r, 2, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < 30000; i++)
        low += omq_rng_below(&r, n) % 3 == 0;
    ck_assert_int_gt(low, 10000 - 330); /* 4 standard deviations */
    ck_assert_int_lt(low, 10000 + 330);
}
END_TEST

START_TEST(rng_moments)
{
    struct omq_rng r;
    const int n = 100000;
    double u1 = 0, u2 = 0, n1 = 0, n2 = 0;

    omq_rng_init(&r, 3, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < n; i++) {
        double u = omq_rng_uniform(&r), g = omq_rng_normal(&r);

        ck_assert(u >= 0.0 && u < 1.0 && isfinite(g));
        u1 += u / n;
        u2 += u * u / n;
        n1 += g / n;
        n2 += g * g / n;
    }
    ck_assert_double_eq_tol(u1, 1.0 / 2, 0.005);
    ck_assert_double_eq_tol(u2, 1.0 / 3, 0.005);
    ck_assert_double_eq_tol(n1, 0, 0.015);
    ck_assert_double_eq_tol(n2, 1, 0.02);
}
END_TEST

/* ---- bytes */

START_TEST(cursor_reads)
{
    static const uint8_t b[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 1, 2};
    struct omq_cursor c = omq_cursor_init(b, sizeof(b));

    ck_assert_uint_eq(omq_cursor_u8(&c), 1);
    ck_assert_uint_eq(omq_cursor_le16(&c), 0x0302);
    ck_assert_uint_eq(omq_cursor_le32(&c), 0x07060504);
    ck_assert_uint_eq(omq_cursor_le64(&c), 0x0f0e0d0c0b0a0908);
    ck_assert_uint_eq(omq_cursor_be32(&c), 0x00000102);
    ck_assert(!c.failed);
    ck_assert_uint_eq(c.pos, sizeof(b));
}
END_TEST

/* A read that does not fit fails for good, also where a smaller one would. */
START_TEST(cursor_error_is_sticky)
{
    static const uint8_t b[] = {1, 2, 3};
    struct omq_cursor c = omq_cursor_init(b, sizeof(b));

    ck_assert_uint_eq(omq_cursor_u8(&c), 1);
    ck_assert_uint_eq(omq_cursor_le32(&c), 0);
    ck_assert(c.failed);
    ck_assert_uint_eq(c.pos, 1);
    ck_assert_uint_eq(omq_cursor_u8(&c), 0);
    ck_assert_ptr_null(omq_cursor_take(&c, 0));
    ck_assert_uint_eq(c.pos, 1);
    c = omq_cursor_init(b, sizeof(b));
    ck_assert_ptr_null(omq_cursor_take(&c, SIZE_MAX));
    ck_assert(c.failed);
}
END_TEST

START_TEST(put_and_get)
{
    uint8_t b[8];

    omq_put_le64(b, 0x1122334455667788);
    ck_assert_uint_eq(b[0], 0x88);
    ck_assert_uint_eq(omq_get_le64(b), 0x1122334455667788);
    ck_assert_uint_eq(omq_get_le32(b), 0x55667788);
    omq_put_le16(b, 0xabcd);
    omq_put_le32(b + 2, 0x01020304);
    ck_assert_uint_eq(b[0], 0xcd);
    ck_assert_uint_eq(b[1], 0xab);
    ck_assert_uint_eq(omq_get_le32(b + 2), 0x01020304);
}
END_TEST

/* ---- pool */

struct job {
    int n, n_threads;
    int *calls; /* per index */
    int ranges[OMQ_MAX_THREADS][2];
};

/* Indices are disjoint between threads if the pool is right. */
static void count_calls(void *arg, int thread, int begin, int end)
{
    struct job *j = arg;

    j->ranges[thread][0] = begin;
    j->ranges[thread][1] = end;
    for (int i = begin; i < end; i++)
        j->calls[i]++;
}

START_TEST(pool_runs_every_index_once)
{
    static const int sizes[] = {0, 1, 2, 3, 7, 100, 1001};
    int n_threads = _i;
    struct omq_pool *p;
    struct omq_err err;

    ck_assert_int_eq(omq_pool_open(&p, n_threads, &err), OMQ_OK);
    ck_assert_int_eq(omq_pool_threads(p), n_threads);
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct job j = {.n = sizes[s], .n_threads = n_threads};

        j.calls = calloc((size_t)j.n + 1, sizeof(int));
        ck_assert_ptr_nonnull(j.calls);
        for (int round = 1; round <= 50; round++) {
            omq_pool_run(p, count_calls, &j, j.n);
            for (int i = 0; i < j.n; i++)
                ck_assert_int_eq(j.calls[i], round);
            ck_assert_int_eq(j.calls[j.n], 0);
        }
        for (int t = 0; t < n_threads && j.n >= n_threads; t++) {
            ck_assert_int_eq(j.ranges[t][0], j.n * t / n_threads);
            ck_assert_int_eq(j.ranges[t][1], j.n * (t + 1) / n_threads);
        }
        free(j.calls);
    }
    omq_pool_close(p);
}
END_TEST

START_TEST(pool_arguments)
{
    struct omq_pool *p = NULL;
    struct omq_err err;

    ck_assert_int_eq(omq_pool_open(&p, -1, &err), OMQ_EARG);
    ck_assert_int_eq(omq_pool_open(&p, OMQ_MAX_THREADS + 1, &err), OMQ_EARG);
    ck_assert_ptr_null(p);
    ck_assert_int_eq(omq_pool_open(&p, 0, &err), OMQ_OK);
    ck_assert_int_ge(omq_pool_threads(p), 1);
    omq_pool_close(p);
    omq_pool_close(NULL);
}
END_TEST

/* As of a kernel for 8192 processors that has so many; 0: this machine's. */
static int processors;

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    const size_t kernel_size = 8192 / 8;
    long n;

    memset(set, 0, size);
    if (processors == 0) {
        n = syscall(SYS_sched_getaffinity, pid, size, set);
        return n < 0 ? -1 : 0;
    }
    if (size < kernel_size) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < processors; i++)
        CPU_SET_S((size_t)i, size, set);
    return 0;
}

START_TEST(pool_of_a_large_machine)
{
    static const int has[] = {3, OMQ_MAX_THREADS, OMQ_MAX_THREADS + 1, 8192};
    struct omq_pool *p;
    struct omq_err err;

    processors = has[_i];
    ck_assert_msg(omq_pool_open(&p, 0, &err) == OMQ_OK, "%s", err.msg);
    processors = 0;
    ck_assert_int_eq(omq_pool_threads(p), has[_i] < OMQ_MAX_THREADS ? has[_i] : OMQ_MAX_THREADS);
    omq_pool_close(p);
}
END_TEST

START_TEST(times_are_summed_up)
{
    double one[] = {5}, ten[] = {9, 1, 8, 2, 7, 3, 6, 4, 5, 10};
    struct omq_times t = omq_times_of(one, 1);

    ck_assert(t.median == 5 && t.p10 == 5 && t.p90 == 5);
    t = omq_times_of(ten, 10);
    ck_assert(t.median == 6 && t.p10 == 2 && t.p90 == 10);
}
END_TEST

/* ---- thread */

static void *ask_mask(void *mask)
{
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return NULL;
}

/* Signals are for the program's threads, which keep theirs. */
START_TEST(threads_take_no_signals)
{
    sigset_t theirs, ours, after;
    pthread_t thread;

    sigemptyset(&ours);
    sigaddset(&ours, SIGUSR2);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &ours, NULL), 0);
    ck_assert_int_eq(omq_thread_start(&thread, ask_mask, &theirs), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert(sigismember(&theirs, SIGTERM) && sigismember(&theirs, SIGUSR1));
    ck_assert(!sigismember(&theirs, SIGSEGV) && !sigismember(&theirs, SIGPROF));
    ck_assert(sigismember(&after, SIGUSR2) && !sigismember(&after, SIGTERM));
}
END_TEST

/* ---- number */

START_TEST(numbers)
{
    static const struct {
        const char *text;
        double x;
    } good[] = {
        {"75", 75}, {"-0.5", -0.5}, {"+1.", 1}, {".25", 0.25}, {"1e-05", 1e-5}, {"0.1", 0.1},
        {"1E3", 1000}, {"9007199254740993", 9007199254740992}, {"1e400", INFINITY},
    };
    static const char *const bad[] = {
        "", "inf", "nan", "0x10", " 1", "1 ", "1ms", "1e", "1,5", "1.2.3", ".", "-", "--1", "e5",
        "1111111111222222222233333333334444444444555555555566666666667777",
    };
    double x = 3;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!omq_number_parse(bad[i], strlen(bad[i]), &x), "'%s'", bad[i]);
    ck_assert(!omq_number_parse("1\0002", 3, &x));
    ck_assert(x == 3);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(omq_number_parse(good[i].text, strlen(good[i].text), &x), "'%s'",
                      good[i].text);
        ck_assert_msg(x == good[i].x, "'%s' is %.17g", good[i].text, x);
    }
    ck_assert(omq_number_parse("12345", 3, &x)); /* no more than its bytes */
    ck_assert(x == 123);
}
END_TEST

START_TEST(typos)
{
    static const char forty[] = "1234567890123456789012345678901234567890";
    static const struct { const char *a, *b; int edits; } pairs[] = {
        {"", "", 0}, {"", "abc", 3}, {"seed", "seed", 0}, {"sede", "seed", 1}, {"sed", "seed", 1},
        {"seeds", "seed", 1}, {"seat", "seed", 2}, {"ca", "abc", 3}, {"badc", "abcd", 2},
        {forty, "", 40}, {forty, forty, 0}, {"12345678901234567890123456789012345678901", "", 41},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        ck_assert_int_eq(omq_typo_edits(pairs[i].a, pairs[i].b), pairs[i].edits);
        ck_assert_int_eq(omq_typo_edits(pairs[i].b, pairs[i].a), pairs[i].edits);
    }
    ck_assert_int_eq(omq_typo_limit("lr0"), 1);
    ck_assert_int_eq(omq_typo_limit("device"), 2);
    ck_assert_int_eq(omq_typo_limit("momentu"), 3);
}
END_TEST

Suite *omq_suite_base(void)
{
    Suite *s = suite_create("base");
    TCase *t = tcase_create("values"), *p = tcase_create("pool");

    tcase_add_test(t, err_wrap_prefixes);
    tcase_add_test(t, err_null_is_fine);
    tcase_add_test(t, err_truncates);
    tcase_add_test(t, size_arithmetic);
    tcase_add_test(t, calloc_aligns_and_clears);
    tcase_add_test(t, arena_two_passes);
    tcase_add_test(t, arena_overflow_is_an_error);
    tcase_add_test(t, arena_out_of_memory);
    tcase_add_test(t, rng_known_answers);
    tcase_add_test(t, rng_is_a_function_of_its_arguments);
    tcase_add_test(t, rng_below_is_uniform);
    tcase_add_test(t, rng_below_is_unbiased);
    tcase_add_test(t, rng_moments);
    tcase_add_test(t, cursor_reads);
    tcase_add_test(t, cursor_error_is_sticky);
    tcase_add_test(t, put_and_get);
    tcase_add_test(t, times_are_summed_up);
    tcase_add_test(t, threads_take_no_signals);
    tcase_add_test(t, numbers);
    tcase_add_test(t, typos);
    suite_add_tcase(s, t);
    tcase_add_loop_test(p, pool_runs_every_index_once, 1, 4);
    tcase_add_test(p, pool_arguments);
    tcase_add_loop_test(p, pool_of_a_large_machine, 0, 4);
    suite_add_tcase(s, p);
    return s;
}
