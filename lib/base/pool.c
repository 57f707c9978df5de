/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/thread.h"

struct worker {
    struct omq_pool *pool;
    pthread_t thread;
    int index;
};

/* A step of training is hundreds of jobs of some microseconds: who waits looks a while
 * before it goes to sleep. */
struct omq_pool {
    pthread_mutex_t lock;   /* to sleep, and to wake who sleeps */
    pthread_cond_t wake, done;
    struct worker *workers; /* n_threads - 1 of them */
    int n_threads, n_started;
    int looks;              /* before a thread sleeps; 0 where there are not as many processors */
    atomic_ulong round;     /* a new value is a new job */
    atomic_int busy;        /* workers that have not finished it */
    atomic_bool quit;
    int n_asleep;           /* workers; under the lock, as is: */
    bool is_caller_asleep;
    omq_pool_fn *fn;        /* written between jobs */
    void *arg;
    int n;
};

enum { LOOKS = 1000 }; /* some 40 microseconds */

/* Where thread t's items begin; those of thread t + 1 are after its. */
static int begin_of(const struct omq_pool *p, int t, int n)
{
    return (int)((int64_t)n * t / p->n_threads);
}

bool omq_pool_has_share(const struct omq_pool *p, int thread, int n)
{
    return begin_of(p, thread, n) < begin_of(p, thread + 1, n);
}

static void run_share(struct omq_pool *p, int t, omq_pool_fn *fn, void *arg, int n)
{
    if (omq_pool_has_share(p, t, n))
        fn(arg, t, begin_of(p, t, n), begin_of(p, t + 1, n));
}

/* Returns when there is another round, or none any more. */
static void wait_for_round(struct omq_pool *p, unsigned long seen)
{
    for (int i = 0; i < p->looks; i++) {
        if (p->round != seen || p->quit)
            return;
        omq_pause();
    }
    pthread_mutex_lock(&p->lock);
    p->n_asleep++;
    while (p->round == seen && !p->quit)
        pthread_cond_wait(&p->wake, &p->lock);
    p->n_asleep--;
    pthread_mutex_unlock(&p->lock);
}

static void wait_for_workers(struct omq_pool *p)
{
    for (int i = 0; i < p->looks; i++) {
        if (p->busy == 0)
            return;
        omq_pause();
    }
    pthread_mutex_lock(&p->lock);
    p->is_caller_asleep = true;
    while (p->busy > 0)
        pthread_cond_wait(&p->done, &p->lock);
    p->is_caller_asleep = false;
    pthread_mutex_unlock(&p->lock);
}

static void finish(struct omq_pool *p)
{
    if (atomic_fetch_sub(&p->busy, 1) > 1)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->is_caller_asleep)
        pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct omq_pool *p = w->pool;

    for (unsigned long seen = 0;; seen++) {
        wait_for_round(p, seen);
        if (p->quit)
            return NULL;
        run_share(p, w->index, p->fn, p->arg, p->n);
        finish(p);
    }
}

/* Those that this process may use, as far as there are threads. The set is of 8192, as the
 * largest that Linux is built for: a smaller one than the kernel's own would be refused. */
static int processors(void)
{
    cpu_set_t set[8192 / CPU_SETSIZE];
    int n = sched_getaffinity(0, sizeof(set), set) == 0 ? CPU_COUNT_S(sizeof(set), set) : 1;

    return n < OMQ_MAX_THREADS ? n : OMQ_MAX_THREADS;
}

int omq_pool_open(struct omq_pool **out, int n_threads, struct omq_err *err)
{
    struct omq_pool *p;

    if (n_threads == 0)
        n_threads = processors();
    if (n_threads < 1 || n_threads > OMQ_MAX_THREADS)
        return omq_fail(err, OMQ_EARG, "cannot run %d threads: the range is 1 to %d", n_threads,
                        OMQ_MAX_THREADS);
    p = calloc(1, sizeof(*p));
    if (!p || !(p->workers = calloc((size_t)n_threads, sizeof(*p->workers)))) {
        free(p);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a thread pool");
    }
    p->n_threads = n_threads;
    p->looks = n_threads <= processors() ? LOOKS : 0;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 1; i < n_threads; i++) {
        struct worker *w = &p->workers[i - 1];

        *w = (struct worker){.pool = p, .index = i};
        if (omq_thread_start(&w->thread, work, w) != 0) {
            omq_pool_close(p);
            return omq_fail(err, OMQ_ENOMEM, "cannot start thread %d of %d", i + 1, n_threads);
        }
        p->n_started++;
    }
    *out = p;
    return OMQ_OK;
}

void omq_pool_close(struct omq_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->workers);
    free(p);
}

int omq_pool_threads(const struct omq_pool *p) { return p->n_threads; }

void omq_pool_run(struct omq_pool *p, omq_pool_fn *fn, void *arg, int n)
{
    if (p->n_threads == 1) {
        run_share(p, 0, fn, arg, n);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    p->n = n;
    p->busy = p->n_threads - 1;
    pthread_mutex_lock(&p->lock);
    p->round++;
    if (p->n_asleep > 0)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    run_share(p, 0, fn, arg, n);
    wait_for_workers(p);
}
