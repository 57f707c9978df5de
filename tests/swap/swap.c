/* SPDX-License-Identifier: MIT
 *
 * swap MODEL SECONDS THREADS [RESIDENT]: serves batches on THREADS threads while
 * another process stores another precision in the model's switch word 1,000
 * times a second. Every answer is compared with the one that the precision it
 * names gives alone. Prints what happened; exit status 1 if an answer is wrong or
 * a switch does not arrive by the next batch.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "omq_tools.h"

enum { IMAGES = 4, MAX_PRECISIONS = 32 };

static struct omq_model *model;
static struct omq_model_shape shape;
static uint8_t *pixels;               /* [IMAGES][image] */
static float *want[MAX_PRECISIONS];   /* [IMAGES][n_classes]; NULL: cannot run */
static int can_run[MAX_PRECISIONS], n_can_run;
static atomic_bool stop;
static atomic_ulong batches, wrong, seen[MAX_PRECISIONS];

static _Noreturn void die(const char *what, const struct omq_err *err)
{
    fprintf(stderr, "swap: %s: %s\n", what, err->msg);
    exit(2);
}

static size_t image_size(void)
{
    return (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;
}

static size_t answer_size(int n) { return sizeof(float) * (size_t)n * (size_t)shape.n_classes; }

/* What each precision says alone. */
static void prepare(void)
{
    struct omq_err err;

    omq_model_shape(model, &shape);
    pixels = malloc(IMAGES * image_size());
    for (size_t i = 0; i < IMAGES * image_size(); i++)
        pixels[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int p = 0; p < omq_model_count(model) && p < MAX_PRECISIONS; p++) {
        struct omq_batch_io b = {.images = pixels, .n = IMAGES, .precision = p};

        b.logits = want[p] = malloc(answer_size(IMAGES));
        if (omq_model_run(model, &b, &err) == OMQ_OK)
            can_run[n_can_run++] = p;
    }
}

/* One batch at whatever is active: that precision. */
static int serve_once(unsigned i, float *logits)
{
    int first = (int)(i % IMAGES), n = 1 + (int)(i / IMAGES % (unsigned)(IMAGES - first));
    struct omq_batch_io b = {.images = pixels + (size_t)first * image_size(), .n = n,
                             .precision = OMQ_ACTIVE, .logits = logits};
    struct omq_err err;

    if (omq_model_run(model, &b, &err) < 0)
        die("a batch failed", &err);
    if (memcmp(logits, want[b.ran_at] + (size_t)first * (size_t)shape.n_classes,
               answer_size(n)) != 0)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&batches, 1);
    atomic_fetch_add(&seen[b.ran_at], 1);
    return b.ran_at;
}

static void *serve(void *arg)
{
    float *logits = malloc(answer_size(IMAGES));

    (void)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++)
        serve_once(i, logits);
    free(logits);
    return NULL;
}

/* The other process. It opens nothing but the file's word. */
static _Noreturn void switch_on(const char *path)
{
    struct omq_err err;
    unsigned long n = 0;

    for (unsigned x = 1;; n++) {
        int to = can_run[(x = x * 1664525 + 1013904223) / 65536 % (unsigned)n_can_run];

        if (omq_switch_store(model, to, path, false, &err) < 0)
            die("cannot switch", &err);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* Polls and serves; counts switches, and those that the next batch did not have. */
static void follow(struct omq_follow *f, double seconds, bool all_ready, unsigned long *switches,
                   unsigned long *late)
{
    float *logits = malloc(answer_size(IMAGES));
    double end = omq_now() + seconds;

    for (unsigned i = 0; omq_now() < end; i++) {
        enum omq_follow_event event;
        struct omq_err err;

        if (omq_follow_poll(f, &event, &err) < 0)
            die("cannot follow", &err);
        if (event == OMQ_FOLLOW_SWITCHED) {
            int to = omq_model_active(model);

            ++*switches;
            *late += serve_once(i, logits) != to && all_ready;
        }
        usleep(200);
    }
    free(logits);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median time of omq_model_set() with all ready, in microseconds. */
static double time_set(void)
{
    enum { N = 1001 };
    static double us[N];
    struct omq_err err;

    for (int i = 0; i < N; i++) {
        double start = omq_now();

        if (omq_model_set(model, can_run[i % n_can_run], &err) < 0)
            die("cannot set", &err);
        us[i] = 1e6 * (omq_now() - start);
    }
    qsort(us, N, sizeof(us[0]), by_value);
    return us[N / 2];
}

/* Shortest time to prepare each precision that is not ready, in milliseconds. */
static void time_prepare(void)
{
    enum { ROUNDS = 7 };
    double best[MAX_PRECISIONS];
    struct omq_err err;

    if (omq_model_set_wait(model, can_run[n_can_run - 1], &err) < 0)
        die("cannot set", &err);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < n_can_run; i++) {
            double start = omq_now(), ms;

            if (omq_model_set_wait(model, can_run[i], &err) < 0)
                die("cannot set", &err);
            ms = 1e3 * (omq_now() - start);
            best[i] = round == 0 || ms < best[i] ? ms : best[i];
        }
    for (int i = 0; i < n_can_run; i++)
        printf("precision %d: ready after %.3f ms\n", can_run[i], best[i]);
}

int main(int argc, char **argv)
{
    struct omq_open_options opt = {.threads = 1};
    unsigned long switches = 0, late = 0;
    struct omq_follow *f;
    struct omq_err err;
    pthread_t *threads;
    double seconds;
    int n_threads;
    pid_t child;

    if (argc < 4) {
        fprintf(stderr, "usage: swap MODEL SECONDS THREADS [RESIDENT]\n");
        return 2;
    }
    seconds = strtod(argv[2], NULL);
    n_threads = (int)strtol(argv[3], NULL, 10);
    opt.resident = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0;
    if (omq_init(getenv("OMQ_CPU"), &err) < 0 || omq_follow_open(&f, argv[1], NULL, &opt, &err) < 0)
        die(argv[1], &err);
    model = omq_follow_model(f);
    prepare();
    if (opt.resident == 0)
        printf("omq_model_set: %.2f us\n", time_set());
    else if (opt.resident == 1)
        time_prepare();
    fflush(stdout);
    if ((child = fork()) == 0)
        switch_on(argv[1]);
    threads = calloc((size_t)n_threads, sizeof(*threads));
    for (int i = 0; i < n_threads; i++)
        pthread_create(&threads[i], NULL, serve, NULL);
    follow(f, seconds, opt.resident == 0, &switches, &late);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    atomic_store(&stop, true);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    printf("%lu batches, %lu wrong; %lu switches, %lu not by the next batch\n",
           atomic_load(&batches), atomic_load(&wrong), switches, late);
    for (int i = 0; i < n_can_run; i++)
        printf("precision %d: %lu batches\n", can_run[i], atomic_load(&seen[can_run[i]]));
    for (int p = 0; p < MAX_PRECISIONS; p++)
        free(want[p]);
    free(pixels);
    free(threads);
    omq_follow_close(f);
    return atomic_load(&wrong) > 0 || late > 0 || switches == 0;
}
