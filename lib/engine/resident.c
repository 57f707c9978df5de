/* SPDX-License-Identifier: MIT
 *
 * Plans that are ready. One lock guards who has which; it is held for a few
 * stores at a time, never while a plan is made. Plans are made by who needs one,
 * or, for a switch that nobody waits for, by a thread of our own.
 */
#include "engine/engine_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/thread.h"

struct resident {
    struct omq_engine *plan; /* NULL: not ready */
    int users;               /* batches that run it */
    bool preparing;
    uint64_t used;           /* when it was taken last, by a count of takings */
};

struct omq_residents {
    const struct omq_net *net;
    const struct omq_model_info *info;
    int n, limit;
    struct resident *choices; /* [n] */
    pthread_mutex_t lock;
    pthread_cond_t prepared;  /* a plan became ready, or failed */
    pthread_cond_t work;      /* for the thread: something is wanted, or it is to quit */
    pthread_t thread;
    bool has_thread, quit;
    int wanted;               /* what the thread is to make active; -1: nothing */
    int asked;                /* the choice that was asked for last, unless it failed */
    atomic_int active;        /* written with the lock */
    uint64_t takings;
    struct omq_counters counters;
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
};

/* ---- with the lock ---- */

static int count_ready(const struct omq_residents *r)
{
    int n = 0;

    for (int i = 0; i < r->n; i++)
        n += r->choices[i].plan != NULL;
    return n;
}

/* Closes what was used longest ago while there are too many. What cannot go,
 * because it is in use, goes when it is given back. */
static void evict(struct omq_residents *r, int keep)
{
    while (count_ready(r) > r->limit) {
        int oldest = -1;

        for (int i = 0; i < r->n; i++) {
            const struct resident *c = &r->choices[i];

            if (c->plan && c->users == 0 && i != keep && i != atomic_load(&r->active) &&
                (oldest < 0 || c->used < r->choices[oldest].used))
                oldest = i;
        }
        if (oldest < 0)
            return;
        omq_engine_close(r->choices[oldest].plan);
        r->choices[oldest].plan = NULL;
    }
}

/* Makes a choice ready. Gives up the lock while it plans; whoever wants the same
 * meanwhile waits. */
static int prepare(struct omq_residents *r, int choice, struct omq_err *err)
{
    struct resident *c = &r->choices[choice];
    struct omq_choice what;
    struct omq_engine *plan = NULL;
    int rc;

    while (c->preparing)
        pthread_cond_wait(&r->prepared, &r->lock);
    if (c->plan)
        return OMQ_OK;
    c->preparing = true;
    pthread_mutex_unlock(&r->lock);
    what = omq_choice_at(r->net, r->info, choice);
    rc = omq_engine_open(&plan, r->net, what.layers, what.precision, err);
    pthread_mutex_lock(&r->lock);
    c->preparing = false;
    c->plan = plan;
    c->used = ++r->takings;
    r->counters.prepared += rc == OMQ_OK;
    evict(r, choice);
    pthread_cond_broadcast(&r->prepared);
    return rc < 0 ? omq_wrap(err, rc, "cannot prepare %s", what.name) : OMQ_OK;
}

static void activate(struct omq_residents *r, int choice)
{
    if (atomic_load(&r->active) == choice)
        return;
    atomic_store(&r->active, choice);
    r->counters.switches++;
    evict(r, choice);
}

/* Prepares, if need be, and makes active, but for a choice that another one has
 * taken the place of meanwhile: the last one that was asked for stays. */
static int switch_to(struct omq_residents *r, int choice, struct omq_err *err)
{
    int rc = prepare(r, choice, err);

    if (rc < 0) {
        r->counters.failed_switches++;
        if (choice == r->asked)
            r->asked = atomic_load(&r->active);
    } else if (choice == r->asked) {
        activate(r, choice);
    } else {
        evict(r, -1); /* it was kept for a switch that nobody wants any more */
    }
    return rc;
}

/* ---- the thread ---- */

static void *serve(void *arg)
{
    struct omq_residents *r = arg;
    struct omq_err err = {0};

    pthread_mutex_lock(&r->lock);
    while (!r->quit) {
        int choice = r->wanted;

        if (choice < 0) {
            pthread_cond_wait(&r->work, &r->lock);
            continue;
        }
        r->wanted = -1;
        if (switch_to(r, choice, &err) < 0 && r->log) {
            pthread_mutex_unlock(&r->lock);
            (r->log)(r->log_ctx, err.msg); /* in brackets: tgmath.h has a log() */
            pthread_mutex_lock(&r->lock);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- outside ---- */

/* With room for all, all are prepared now; what cannot be says so when it is
 * asked for. */
static int prepare_first(struct omq_residents *r, struct omq_err *err)
{
    int rc;

    pthread_mutex_lock(&r->lock);
    rc = prepare(r, atomic_load(&r->active), err);
    for (int i = 0; rc == OMQ_OK && r->limit >= r->n && i < r->n; i++)
        (void)!prepare(r, i, NULL);
    pthread_mutex_unlock(&r->lock);
    return rc;
}

int omq_residents_open(struct omq_residents **out, const struct omq_net *net,
                       const struct omq_model_info *info, const struct omq_residents_options *opt,
                       struct omq_err *err)
{
    struct omq_residents *r = calloc(1, sizeof(*r));
    int rc;

    if (!r)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a model");
    *r = (struct omq_residents){.net = net, .info = info, .n = omq_choice_count(net, info),
                                .limit = opt->limit, .wanted = -1, .asked = opt->active,
                                .log = opt->log, .log_ctx = opt->log_ctx};
    atomic_init(&r->active, opt->active);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->prepared, NULL);
    pthread_cond_init(&r->work, NULL);
    r->choices = calloc((size_t)r->n, sizeof(*r->choices));
    if (!r->choices)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a model");
    else if ((rc = opt->lazy ? OMQ_OK : prepare_first(r, err)) == OMQ_OK) {
        r->has_thread = omq_thread_start(&r->thread, serve, r) == 0;
        if (!r->has_thread)
            rc = omq_fail(err, OMQ_ENOMEM, "cannot start a thread");
    }
    if (rc < 0) {
        omq_residents_close(r);
        return rc;
    }
    *out = r;
    return OMQ_OK;
}

void omq_residents_close(struct omq_residents *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->quit = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread)
        pthread_join(r->thread, NULL);
    for (int i = 0; r->choices && i < r->n; i++)
        omq_engine_close(r->choices[i].plan);
    pthread_cond_destroy(&r->prepared);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    free(r->choices);
    free(r);
}

int omq_residents_take(struct omq_residents *r, int *choice, const struct omq_engine **plan,
                       struct omq_err *err)
{
    int i = *choice, rc;

    pthread_mutex_lock(&r->lock);
    if (i == OMQ_ACTIVE)
        i = atomic_load(&r->active);
    if ((rc = prepare(r, i, err)) == OMQ_OK) {
        struct resident *c = &r->choices[i];

        c->users++;
        c->used = ++r->takings;
        *choice = i;
        *plan = c->plan;
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

void omq_residents_give(struct omq_residents *r, int choice)
{
    pthread_mutex_lock(&r->lock);
    r->choices[choice].users--;
    evict(r, -1);
    pthread_mutex_unlock(&r->lock);
}

int omq_residents_set(struct omq_residents *r, int choice, bool wait, struct omq_err *err)
{
    int rc = OMQ_OK;

    pthread_mutex_lock(&r->lock);
    r->asked = choice;
    if (wait) {
        r->wanted = -1;
        if ((rc = switch_to(r, choice, err)) == OMQ_OK && choice != r->asked)
            rc = omq_fail(err, OMQ_EOVERTAKEN, "another switch took the place of this one");
    } else if (r->choices[choice].plan) {
        r->wanted = -1;
        activate(r, choice);
    } else {
        r->wanted = choice;
        pthread_cond_signal(&r->work);
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

int omq_residents_active(const struct omq_residents *r)
{
    return atomic_load(&r->active);
}

int omq_residents_asked(struct omq_residents *r)
{
    int asked;

    pthread_mutex_lock(&r->lock);
    asked = r->asked;
    pthread_mutex_unlock(&r->lock);
    return asked;
}

bool omq_residents_ready(struct omq_residents *r, int choice)
{
    bool ready;

    pthread_mutex_lock(&r->lock);
    ready = r->choices[choice].plan != NULL;
    pthread_mutex_unlock(&r->lock);
    return ready;
}

bool omq_residents_complete(struct omq_residents *r)
{
    bool complete;

    pthread_mutex_lock(&r->lock);
    complete = r->limit >= r->n && count_ready(r) == r->n;
    pthread_mutex_unlock(&r->lock);
    return complete;
}

void omq_residents_count(struct omq_residents *r, struct omq_counters *out)
{
    pthread_mutex_lock(&r->lock);
    out->switches += r->counters.switches;
    out->failed_switches += r->counters.failed_switches;
    out->prepared += r->counters.prepared;
    pthread_mutex_unlock(&r->lock);
}
