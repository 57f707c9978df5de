/* SPDX-License-Identifier: MIT
 *
 * A live model: every precision answers as its plan alone does, whatever else
 * goes on, and what cannot be prepared leaves what there is.
 */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "engine/live.h"
#include "failalloc.h"
#include "model_sample.h"
#include "omq.h"

Suite *omq_suite_live(void);

enum { IMAGES = 7, IMAGE = SIDE * SIDE * CHANNELS, MAX_CHOICES = 8 };

static struct omq_err err;
static uint8_t pixels[IMAGES * IMAGE];
static float want[MAX_CHOICES][IMAGES * CLASSES]; /* by one plan alone, one image at a time */
static bool can_run[MAX_CHOICES];
static int n_choices;

/* ---- what is right ---- */

static void answer_alone(const struct omq_net *net, const struct omq_choice *c, float *logits)
{
    uint8_t codes[IMAGE];
    struct omq_engine *e;
    void *scratch;

    ck_assert_msg(omq_engine_open(&e, net, c->layers, c->precision, &err) == 0, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    for (int i = 0; i < IMAGES; i++) {
        omq_preprocess_apply(&net->pre, pixels + i * IMAGE, codes);
        omq_engine_run(e, codes, 1, logits + i * CLASSES, scratch);
    }
    free(scratch);
    omq_engine_close(e);
}

static void setup(void)
{
    struct omq_model_info info = {0};
    struct omq_net net;
    struct omq_rng r;

    model_setup();
    omq_rng_init(&r, 5, OMQ_STREAM_TEST, 1, 0);
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)omq_rng_below(&r, 256);
    ck_assert_int_eq(model_get(model_good, model_size, &net, &info, &err), OMQ_OK);
    n_choices = omq_choice_count(&net, &info);
    ck_assert(n_choices > 4 && n_choices <= MAX_CHOICES);
    for (int i = 0; i < n_choices; i++) {
        struct omq_choice c = omq_choice_at(&net, &info, i);

        can_run[i] = c.w != OMQ_FLOAT_BITS;
        if (can_run[i])
            answer_alone(&net, &c, want[i]);
    }
    omq_net_release(&net);
    omq_model_info_release(&info);
}

static struct omq_model *open_model(int threads, int resident, const char *precision)
{
    struct omq_open_options opt = {.threads = threads, .resident = resident,
                                   .precision = precision};
    struct omq_model *m;

    ck_assert_msg(omq_model_open(&m, model_path, &opt, &err) == 0, "%s", err.msg);
    return m;
}

/* n images from the first at a precision; the answer is right, whatever it ran at. */
static int check_batch(struct omq_model *m, int precision, int first, int n)
{
    float logits[IMAGES * CLASSES];
    struct omq_batch_io b = {.images = pixels + first * IMAGE, .n = n, .precision = precision,
                             .logits = logits, .ran_at = -7};
    struct omq_err why;

    ck_assert_msg(omq_model_run(m, &b, &why) == 0, "%s", why.msg);
    ck_assert(b.ran_at >= 0 && b.ran_at < n_choices);
    ck_assert(precision == OMQ_ACTIVE || b.ran_at == precision);
    ck_assert_msg(memcmp(logits, want[b.ran_at] + first * CLASSES,
                         sizeof(float) * (size_t)n * CLASSES) == 0,
                  "%d images from %d on at precision %d: another answer", n, first, b.ran_at);
    return b.ran_at;
}

/* ---- one thread ---- */

START_TEST(every_precision_answers_as_alone)
{
    struct omq_model *m = open_model(1 + _i, _i, NULL);

    for (int i = 0; i < n_choices; i++)
        for (int n = 1; can_run[i] && n <= IMAGES; n++)
            check_batch(m, i, IMAGES - n, n);
    omq_model_close(m);
}
END_TEST

START_TEST(a_model_says_what_it_is)
{
    struct omq_model *m = open_model(1, 0, "2");
    struct omq_model_shape shape;
    struct omq_model_precision p;

    omq_model_shape(m, &shape);
    ck_assert_int_eq(shape.height, SIDE);
    ck_assert_int_eq(shape.width, SIDE);
    ck_assert_int_eq(shape.channels, CHANNELS);
    ck_assert_int_eq(shape.n_classes, CLASSES);
    ck_assert_str_eq(shape.arch, "resnet8");
    ck_assert_int_eq(omq_model_count(m), n_choices);
    ck_assert_int_eq(omq_model_active(m), 2);
    omq_model_precision(m, 1, &p);
    ck_assert_str_eq(p.name, "w4a8");
    ck_assert(p.w == 4 && p.a == 8 && p.resident && p.weight_bytes > 0);
    omq_model_precision(m, OMQ_ACTIVE, &p);
    ck_assert_str_eq(p.name, "w2a2");
    for (int i = -2; i <= n_choices; i += n_choices + 2) { /* there are no such ones */
        omq_model_precision(m, i, &p);
        ck_assert(p.name[0] == '\0' && isnan(p.top1) && !p.resident);
    }
    ck_assert_str_eq(omq_model_class_name(m, CLASSES), "");
    ck_assert_str_eq(omq_model_class_name(m, -1), "");
    ck_assert_int_eq(omq_model_find(m, "8", &err), 0);
    ck_assert_int_eq(omq_model_find(m, "w4a8", &err), 1);
    ck_assert_int_eq(omq_model_find(m, "5", &err), OMQ_EARG);
    ck_assert_msg(strstr(err.msg, "no precision '5'; it has 8 w4a8 2 32 ") != NULL, "%s", err.msg);
    omq_model_close(m);
}
END_TEST

START_TEST(values_are_what_pixels_mean)
{
    struct omq_model *m = open_model(2, 0, NULL);
    struct omq_model_shape shape;
    float values[IMAGES * IMAGE], logits[IMAGES * CLASSES];
    struct omq_batch_io b = {.images = values, .type = OMQ_VALUES, .n = IMAGES, .precision = 0,
                             .logits = logits};

    omq_model_shape(m, &shape);
    ck_assert(shape.mean[0] == 0.5 && shape.mean[1] == 0.31 && shape.std[1] == 0.3);
    for (int i = 0; i < IMAGES * IMAGE; i++)
        values[i] = (float)((pixels[i] / 255.0 - shape.mean[i % CHANNELS]) /
                            shape.std[i % CHANNELS]);
    ck_assert_msg(omq_model_run(m, &b, &err) == 0, "%s", err.msg);
    ck_assert(memcmp(logits, want[0], sizeof(logits)) == 0);
    omq_model_close(m);
}
END_TEST

START_TEST(what_cannot_run_leaves_what_does)
{
    struct omq_model *m = open_model(2, _i, NULL);
    int at = omq_model_find(m, "32", &err);
    float logits[CLASSES];
    struct omq_batch_io b = {.images = pixels, .n = 1, .precision = at, .logits = logits};
    struct omq_counters c;

    ck_assert_int_eq(omq_model_run(m, &b, &err), OMQ_EUNSUP);
    ck_assert_msg(strstr(err.msg, "cannot prepare w32a32: ") != NULL, "%s", err.msg);
    ck_assert_int_eq(omq_model_set_wait(m, at, &err), OMQ_EUNSUP);
    ck_assert_int_eq(omq_model_active(m), 0);
    ck_assert_int_eq(omq_model_asked(m), 0);
    omq_model_counters(m, &c);
    ck_assert_int_eq((int)c.failed_switches, 1);
    b.precision = n_choices;
    ck_assert_int_eq(omq_model_run(m, &b, &err), OMQ_EARG);
    b.precision = 0;
    b.n = 0;
    ck_assert_int_eq(omq_model_run(m, &b, &err), OMQ_EARG);
    b.n = 1;
    b.logits = NULL; /* as where a field of the struct was forgotten */
    ck_assert_int_eq(omq_model_run(m, &b, &err), OMQ_EARG);
    ck_assert_str_eq(err.msg, "a batch without logits");
    b.images = NULL;
    ck_assert_int_eq(omq_model_run(m, &b, &err), OMQ_EARG);
    ck_assert_str_eq(err.msg, "a batch without images");
    b = (struct omq_batch_io){.images = "", .n = 1, .logits = &(float){0},
                              .type = (enum omq_image_type)7};
    ck_assert_int_eq(omq_model_run(m, &b, &err), OMQ_EARG);
    ck_assert_int_eq(omq_model_set(m, -1, &err), OMQ_EARG);
    ck_assert_int_eq(check_batch(m, OMQ_ACTIVE, 0, 3), 0);
    omq_model_close(m);
}
END_TEST

static atomic_int n_logged;

static void count_line(void *ctx, const char *line)
{
    (void)ctx;
    ck_assert(strstr(line, "cannot prepare w32a32") != NULL);
    atomic_fetch_add(&n_logged, 1);
}

/* Nobody waits for it: it is logged. */
START_TEST(failed_switches_are_told)
{
    struct omq_open_options opt = {.threads = 1, .log = count_line};
    struct omq_model *m;

    atomic_store(&n_logged, 0);
    ck_assert(omq_model_open(&m, model_path, &opt, &err) == 0);
    ck_assert_int_eq(omq_model_set(m, omq_model_find(m, "32", &err), &err), OMQ_OK);
    while (atomic_load(&n_logged) == 0)
        check_batch(m, OMQ_ACTIVE, 0, 1);
    ck_assert_int_eq(omq_model_active(m), 0);
    ck_assert_int_eq(omq_model_asked(m), 0);
    omq_model_close(m);
}
END_TEST

/* What was asked for is known before it is active. */
START_TEST(a_switch_that_is_being_prepared)
{
    struct omq_model *m = open_model(1, 1, NULL);

    ck_assert_int_eq(omq_model_asked(m), 0);
    for (int round = 0; round < 100; round++) {
        int at = 1 + round % 2;

        ck_assert_int_eq(omq_model_set(m, at, &err), OMQ_OK);
        ck_assert_int_eq(omq_model_asked(m), at);
        while (omq_model_active(m) != at)
            check_batch(m, OMQ_ACTIVE, 0, 1);
        ck_assert_int_eq(omq_model_asked(m), at);
    }
    omq_model_close(m);
}
END_TEST

static int count_ready(struct omq_model *m)
{
    int n = 0;

    for (int i = 0; i < omq_model_count(m); i++) {
        struct omq_model_precision p;

        omq_model_precision(m, i, &p);
        n += p.resident;
    }
    return n;
}

/* Two at most, the active one and the one used last. */
START_TEST(precisions_come_and_go)
{
    struct omq_model *m = open_model(1, 2, NULL);
    struct omq_counters c;

    ck_assert_int_eq(count_ready(m), 1);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < n_choices; i++)
            if (can_run[i]) {
                check_batch(m, i, 0, 2);
                ck_assert_int_le(count_ready(m), 2);
                ck_assert_int_eq(check_batch(m, OMQ_ACTIVE, 0, 1), 0);
            }
    omq_model_counters(m, &c);
    ck_assert_uint_ge(c.prepared, 6);
    ck_assert_int_eq(omq_model_set_wait(m, 2, &err), OMQ_OK);
    ck_assert_int_eq(check_batch(m, OMQ_ACTIVE, 1, 2), 2);
    ck_assert_int_le(count_ready(m), 2);
    omq_model_close(m);
}
END_TEST

/* What has to go is what was used longest ago. */
START_TEST(the_least_recently_used_goes)
{
    static const int taken[] = {1, 2, 1, 4};
    struct omq_model *m = open_model(1, 3, NULL);

    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        check_batch(m, taken[i], 0, 1);
    for (int i = 0; i < n_choices; i++) {
        struct omq_model_precision p;

        omq_model_precision(m, i, &p);
        ck_assert_int_eq(p.resident, i == 0 || i == 1 || i == 4);
    }
    omq_model_close(m);
}
END_TEST

/* A precision that is timed is made ready once, not for each batch. */
START_TEST(timing_does_not_prepare_again)
{
    struct omq_model *m = open_model(1, 1, "8");
    struct omq_model_bench b;
    struct omq_counters c;

    ck_assert_msg(omq_model_bench(m, 2, 3, 0.001, &b, &err) == 0, "%s", err.msg);
    ck_assert(b.runs >= 3 && b.ms > 0 && b.threads == 1 && b.kernel[0]);
    omq_model_counters(m, &c);
    ck_assert_uint_eq(c.prepared, 2);
    ck_assert_uint_eq(c.batches, 0); /* nobody was served */
    ck_assert_int_eq(omq_model_active(m), 0);
    ck_assert_int_eq(count_ready(m), 1);
    ck_assert_int_eq(omq_model_bench(m, omq_model_find(m, "32", &err), 1, 0.001, &b, &err),
                     OMQ_EUNSUP);
    ck_assert_int_eq(omq_model_bench(m, n_choices, 1, 0.001, &b, &err), OMQ_EARG);
    omq_model_close(m);
}
END_TEST

/* ---- many threads ---- */

static atomic_bool stop;
static atomic_int served;

static void *serve(void *model)
{
    for (int i = 0; !atomic_load(&stop); i++) {
        check_batch(model, i % 5 ? OMQ_ACTIVE : 1, i % 3, 1 + i % 4);
        atomic_fetch_add(&served, 1);
    }
    return NULL;
}

/* Every answer is that of the precision it names, while others switch. */
START_TEST(switching_while_others_run)
{
    enum { THREADS = 3, SWITCHES = 400, SERVED = 200 };
    struct omq_model *m = open_model(2, _i, NULL);
    pthread_t threads[THREADS];
    struct omq_counters c;

    atomic_store(&stop, false);
    atomic_store(&served, 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, serve, m), 0);
    for (int i = 0; i < SWITCHES || atomic_load(&served) < SERVED; i++) {
        int to = i % n_choices;

        if (!can_run[to])
            continue;
        if (i % 2) {
            ck_assert_int_eq(omq_model_set(m, to, &err), OMQ_OK);
        } else {
            ck_assert_int_eq(omq_model_set_wait(m, to, &err), OMQ_OK);
            ck_assert_int_eq(check_batch(m, OMQ_ACTIVE, 0, 1), to);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    omq_model_counters(m, &c);
    ck_assert_uint_gt(c.switches, SWITCHES / 4);
    ck_assert_uint_eq(c.failed_switches, 0);
    ck_assert_uint_gt(c.batches, SWITCHES / 4);
    ck_assert_uint_gt(c.images, c.batches);
    omq_model_close(m);
}
END_TEST

static pthread_barrier_t all_there;

static void *wait_for_2(void *model)
{
    pthread_barrier_wait(&all_there);
    ck_assert_int_eq(omq_model_set_wait(model, 2, NULL), OMQ_OK);
    ck_assert_int_eq(omq_model_active(model), 2);
    return NULL;
}

/* Whoever waits for a precision has it, also when others wait for the same. */
START_TEST(all_who_wait_get_it)
{
    enum { THREADS = 4, ROUNDS = 300 };
    struct omq_model *m = open_model(1, 1, NULL);
    pthread_t threads[THREADS];

    pthread_barrier_init(&all_there, NULL, THREADS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_for_2, m), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        ck_assert_int_eq(omq_model_set_wait(m, 0, &err), OMQ_OK);
    }
    pthread_barrier_destroy(&all_there);
    omq_model_close(m);
}
END_TEST

static void *ask_for_0(void *model)
{
    while (!atomic_load(&stop))
        ck_assert_int_eq(omq_model_set(model, 0, NULL), OMQ_OK);
    return NULL;
}

/* Whoever does not get it is told so. */
START_TEST(a_switch_that_another_overtakes)
{
    struct omq_model *m = open_model(1, 1, NULL);
    pthread_t thread;
    int rc = OMQ_OK;

    atomic_store(&stop, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_for_0, m), 0);
    for (int i = 0; i < 10000 && rc == OMQ_OK; i++)
        if ((rc = omq_model_set_wait(m, 0, &err)) == OMQ_OK)
            rc = omq_model_set_wait(m, 2, &err);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    ck_assert_int_eq(rc, OMQ_EOVERTAKEN);
    omq_model_close(m);
}
END_TEST

/* Nobody waits for a switch that another one overtakes: it changes nothing when it is ready. */
START_TEST(a_switch_that_comes_too_late)
{
    struct omq_model *m = open_model(1, 1, NULL);

    for (int round = 0; round < 300; round++) {
        const struct timespec pause = {.tv_nsec = round * 1000};

        ck_assert_int_eq(omq_model_set(m, 2, &err), OMQ_OK);
        nanosleep(&pause, NULL); /* until the model's thread is at it, in some of the rounds */
        ck_assert_int_eq(omq_model_set_wait(m, 0, &err), OMQ_OK);
        check_batch(m, 2, 0, 1); /* behind that thread */
        ck_assert_int_eq(omq_model_active(m), 0);
    }
    omq_model_close(m);
}
END_TEST

/* With room for one, what such a switch prepared goes when it is ready. */
START_TEST(what_comes_too_late_goes)
{
    struct omq_model *m = open_model(1, 1, NULL);

    for (int round = 0; round < 200; round++) {
        const struct timespec pause = {.tv_nsec = round * 1000}, settle = {.tv_nsec = 2000000};

        ck_assert_int_eq(omq_model_set(m, 2, &err), OMQ_OK);
        nanosleep(&pause, NULL);
        ck_assert_int_eq(omq_model_set_wait(m, 0, &err), OMQ_OK);
        nanosleep(&settle, NULL);
        for (int i = 0; i < 1000 && count_ready(m) > 1; i++)
            nanosleep(&settle, NULL);
        ck_assert_int_eq(count_ready(m), 1);
    }
    omq_model_close(m);
}
END_TEST

/* ---- opening ---- */

START_TEST(memory_is_as_good_as_a_file)
{
    struct omq_model *m;

    ck_assert_msg(omq_model_open_memory(&m, model_good, model_size, "here", NULL, &err) == 0, "%s",
                  err.msg);
    check_batch(m, OMQ_ACTIVE, 0, IMAGES);
    omq_model_close(m);
    ck_assert_int_eq(omq_model_open_memory(&m, model_good, model_size / 2, "here", NULL, &err),
                     OMQ_EFORMAT);
    ck_assert(strstr(err.msg, "'here'") != NULL);
}
END_TEST

START_TEST(options_that_cannot_be)
{
    struct omq_open_options opt = {.precision = "5"};
    struct omq_model *m;

    ck_assert_int_eq(omq_model_open(&m, model_path, &opt, &err), OMQ_EARG);
    ck_assert(strstr(err.msg, "no precision '5'") != NULL);
    opt = (struct omq_open_options){.precision = "32"};
    ck_assert_int_eq(omq_model_open(&m, model_path, &opt, &err), OMQ_EUNSUP);
    opt = (struct omq_open_options){.resident = -1};
    ck_assert_int_eq(omq_model_open(&m, model_path, &opt, &err), OMQ_EARG);
    opt = (struct omq_open_options){.threads = 100000};
    ck_assert_int_eq(omq_model_open(&m, model_path, &opt, &err), OMQ_EARG);
    ck_assert_int_eq(omq_model_open(&m, "/nowhere/m.omq", NULL, &err), OMQ_EIO);
}
END_TEST

/* Nobody asked for the sentence: the code is the same. */
START_TEST(codes_without_a_message)
{
    struct omq_open_options opt = {.precision = "w9a9"};
    struct omq_model *m;

    ck_assert_int_eq(omq_model_open(&m, model_path, &opt, NULL), OMQ_EARG);
    opt.precision = "32";
    ck_assert_int_eq(omq_model_open(&m, model_path, &opt, NULL), OMQ_EUNSUP);
    m = open_model(1, 1, NULL);
    ck_assert_int_eq(omq_model_set_wait(m, omq_model_find(m, "32", &err), NULL), OMQ_EUNSUP);
    omq_model_close(m);
}
END_TEST

/* The file's word chooses, if it names a precision there is. */
START_TEST(switch_word_is_followed_at_first)
{
    struct omq_model *m;

    ck_assert(omq_switch_write(model_path, (struct omq_switch_word){2, 2, -1}, &err) == 0);
    m = open_model(1, 0, NULL);
    ck_assert_int_eq(omq_model_active(m), 2);
    omq_model_close(m);
    ck_assert(omq_switch_write(model_path, (struct omq_switch_word){0, 0, 1}, &err) == 0);
    m = open_model(1, 0, NULL);
    ck_assert_int_eq(omq_model_active(m), n_choices - 1);
    omq_model_close(m);
    ck_assert(omq_switch_write(model_path, (struct omq_switch_word){7, 7, -1}, &err) == 0);
    m = open_model(1, 0, NULL);
    ck_assert_int_eq(omq_model_active(m), 0);
    omq_model_close(m);
}
END_TEST

START_TEST(a_look_prepares_nothing)
{
    struct omq_model_bench b;
    struct omq_model *m;

    ck_assert(omq_switch_write(model_path, (struct omq_switch_word){32, 32, -1}, &err) == 0);
    ck_assert_msg(omq_model_open_to_look(&m, model_path, 1, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(omq_model_active(m), 0);
    ck_assert_int_eq(count_ready(m), 0);
    ck_assert_msg(omq_model_bench(m, 2, 1, 0.001, &b, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(count_ready(m), 1);
    check_batch(m, OMQ_ACTIVE, 0, 2);
    omq_model_close(m);
}
END_TEST

START_TEST(memory_that_runs_out)
{
    struct omq_open_options opt = {.threads = 1, .resident = _i};
    struct omq_model *m = NULL;
    int rc = OMQ_ENOMEM;
    long n;

    for (n = 1; n < 4000; n++) {
        failalloc_set(n);
        rc = omq_model_open(&m, model_path, &opt, &err);
        failalloc_set(0);
        if (rc == OMQ_OK)
            break;
        ck_assert_msg(rc == OMQ_ENOMEM || rc == OMQ_EFORMAT, "%s", err.msg);
    }
    ck_assert_msg(rc == OMQ_OK && n > 10, "%ld allocations", n);
    check_batch(m, OMQ_ACTIVE, 0, 2);
    omq_model_close(m);
}
END_TEST

Suite *omq_suite_live(void)
{
    Suite *s = suite_create("live");
    TCase *t = tcase_create("model");

    tcase_add_checked_fixture(t, setup, model_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_precision_answers_as_alone, 0, 4);
    tcase_add_test(t, a_model_says_what_it_is);
    tcase_add_test(t, values_are_what_pixels_mean);
    tcase_add_loop_test(t, what_cannot_run_leaves_what_does, 0, 2);
    tcase_add_test(t, failed_switches_are_told);
    tcase_add_test(t, a_switch_that_is_being_prepared);
    tcase_add_test(t, precisions_come_and_go);
    tcase_add_test(t, the_least_recently_used_goes);
    tcase_add_test(t, timing_does_not_prepare_again);
    tcase_add_loop_test(t, switching_while_others_run, 0, 3);
    tcase_add_test(t, all_who_wait_get_it);
    tcase_add_test(t, a_switch_that_another_overtakes);
    tcase_add_test(t, a_switch_that_comes_too_late);
    tcase_add_test(t, what_comes_too_late_goes);
    tcase_add_test(t, memory_is_as_good_as_a_file);
    tcase_add_test(t, options_that_cannot_be);
    tcase_add_test(t, codes_without_a_message);
    tcase_add_test(t, switch_word_is_followed_at_first);
    tcase_add_test(t, a_look_prepares_nothing);
    tcase_add_loop_test(t, memory_that_runs_out, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
