/* SPDX-License-Identifier: MIT
 *
 * Workers fill a ring of batches ahead of the consumer. Batch number b lives in
 * slot b % n_slots; it may be begun once batch b - n_slots was given back. What
 * is in a batch follows from its number, so neither the number of workers nor
 * their pace shows in the result.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/thread.h"
#include "data/data_internal.h"
#include "data/transform.h"

struct slot {
    uint8_t *codes;   /* [batch_size][height][width][channels] */
    uint16_t *labels; /* [batch_size] */
    int n;
    int rc;             /* negative: what err says, in place of images */
    double own;         /* as in struct omq_batch */
    int n_skipped;      /* damaged pictures; of the first, err */
    struct omq_err err;
    bool ready;
};

enum { MAX_SKIPS = 1000 }; /* in a row: a set that is damaged as a whole stops the run */

struct worker {
    struct omq_loader *loader;
    pthread_t thread;
    uint8_t *pixels; /* one image */
};

struct omq_loader {
    const struct omq_dataset *ds;
    const struct omq_preprocess *pre;
    struct omq_loader_options opt;
    size_t image; /* bytes of one */
    int n_batches, n_slots;

    struct omq_arena arena; /* all that follows by pointer */
    uint32_t *order;        /* [ds->n]; written only while no worker is busy, as unmixed is */
    struct slot *slots;
    struct worker *workers;
    int n_started;

    pthread_mutex_t lock; /* for all below, and ready in the slots */
    pthread_cond_t work;  /* there may be a batch to begin */
    pthread_cond_t done;  /* a worker has finished one */
    int epoch;
    int next;  /* batch to begin */
    int given; /* batch that omq_loader_next() gives, or gave while held */
    int end;   /* batches of this epoch; 0 before the first */
    int busy;  /* workers that fill a slot */
    bool held, quit;
    bool unmixed; /* batches are not mixed, whatever cfg says */

    int n_skipped;            /* the consumer's: in the batches given since it last asked */
    struct omq_err first_bad; /* of the first of them */
};

/* The pixels of *sample, or of the first behind it that is not damaged. */
static int pixels_of(struct worker *w, struct slot *s, uint32_t *sample, int epoch)
{
    const struct omq_loader *l = w->loader;
    const struct omq_dataset *ds = l->ds;
    const struct omq_draw draw = {l->opt.augment, l->opt.seed, epoch};
    struct omq_err err;
    int rc;

    for (int skips = 0;; skips++) {
        rc = omq_dataset_pixels(ds, (int)*sample, &draw, w->pixels, &err);
        if (rc == OMQ_OK)
            return OMQ_OK;
        if (!omq_dataset_may_skip(ds, rc) || skips == MAX_SKIPS || skips == ds->n - 1) {
            s->err = err;
            return skips ? omq_wrap(&s->err, rc, "after %d damaged images in a row", skips) : rc;
        }
        if (s->n_skipped++ == 0)
            s->err = err;
        *sample = (*sample + 1) % (uint32_t)ds->n;
    }
}

/* Fills the slot of batch b; runs without the lock. */
static void fill(struct worker *w, struct slot *s, int b, int epoch)
{
    const struct omq_loader *l = w->loader;
    const struct omq_dataset *ds = l->ds;
    int first = b * l->opt.batch_size, left = ds->n - first;

    s->n = left < l->opt.batch_size ? left : l->opt.batch_size;
    s->rc = OMQ_OK;
    s->n_skipped = 0;
    for (int i = 0; i < s->n; i++) {
        uint32_t sample = l->order[first + i];
        uint8_t *codes = s->codes + (size_t)i * l->image;

        s->rc = pixels_of(w, s, &sample, epoch);
        if (s->rc < 0)
            return;
        omq_preprocess_apply(l->pre, w->pixels, codes);
        if (l->opt.augment)
            omq_erase(codes, ds->height, ds->width, ds->channels, &ds->cfg.augment, l->opt.seed,
                      epoch, sample);
        s->labels[i] = ds->labels[sample];
    }
    s->own = 1;
    if (l->opt.augment && !l->unmixed)
        s->own = omq_mix(s->codes, s->n, ds->height, ds->width, ds->channels, &ds->cfg.augment,
                         l->opt.seed, epoch, (uint32_t)b);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct omq_loader *l = w->loader;

    pthread_mutex_lock(&l->lock);
    while (!l->quit) {
        struct slot *s = &l->slots[l->next % l->n_slots];
        int b = l->next, epoch = l->epoch;

        if (b >= l->end || b - l->given >= l->n_slots) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        l->next++;
        l->busy++;
        pthread_mutex_unlock(&l->lock);
        fill(w, s, b, epoch);
        pthread_mutex_lock(&l->lock);
        l->busy--;
        s->ready = true;
        pthread_cond_signal(&l->done);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static int check_options(const struct omq_dataset *ds, const struct omq_preprocess *pre,
                         const struct omq_loader_options *opt, struct omq_err *err)
{
    const struct omq_transform t = {&ds->cfg, ds->height, ds->width, ds->channels, opt->augment};

    if (opt->batch_size < 1)
        return omq_fail(err, OMQ_EARG, "a batch cannot have %d images", opt->batch_size);
    if (opt->workers < 1 || opt->workers > OMQ_MAX_THREADS)
        return omq_fail(err, OMQ_EARG, "data.workers is %d: it can be 1 to %d", opt->workers,
                        OMQ_MAX_THREADS);
    if (pre->height != ds->height || pre->width != ds->width || pre->channels != ds->channels)
        return omq_fail(err, OMQ_EARG, "the images are %d x %d x %d, but the network's input is "
                        "%d x %d x %d", ds->height, ds->width, ds->channels, pre->height,
                        pre->width, pre->channels);
    if (opt->drop_last && opt->batch_size > ds->n)
        return omq_fail(err, OMQ_ECONFIG, "train.batch_size is %d, but there are only %d images",
                        opt->batch_size, ds->n);
    return omq_transform_check(&t, err);
}

/* Both passes over the arena: sizes first, then pointers. */
static void lay_out(struct omq_loader *l)
{
    size_t batch = (size_t)(l->opt.batch_size < l->ds->n ? l->opt.batch_size : l->ds->n);
    struct omq_arena *a = &l->arena;

    l->order = omq_arena_take(a, (size_t)l->ds->n, sizeof(*l->order));
    l->slots = omq_arena_take(a, (size_t)l->n_slots, sizeof(*l->slots));
    l->workers = omq_arena_take(a, (size_t)l->opt.workers, sizeof(*l->workers));
    for (int i = 0; i < l->n_slots; i++) {
        uint8_t *codes = omq_arena_take(a, batch, l->image);
        uint16_t *labels = omq_arena_take(a, batch, sizeof(*labels));

        if (a->base)
            l->slots[i] = (struct slot){.codes = codes, .labels = labels};
    }
    for (int i = 0; i < l->opt.workers; i++) {
        uint8_t *pixels = omq_arena_take(a, 1, l->image);

        if (a->base)
            l->workers[i] = (struct worker){.loader = l, .pixels = pixels};
    }
}

int omq_loader_open(struct omq_loader **out, const struct omq_dataset *ds,
                    const struct omq_preprocess *pre, const struct omq_loader_options *opt,
                    struct omq_err *err)
{
    int rc = check_options(ds, pre, opt, err);
    struct omq_loader *l;

    if (rc < 0)
        return rc;
    l = calloc(1, sizeof(*l));
    if (!l)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a loader");
    l->ds = ds;
    l->pre = pre;
    l->opt = *opt;
    l->image = (size_t)ds->height * (size_t)ds->width * (size_t)ds->channels;
    l->n_batches = ds->n / opt->batch_size + (!opt->drop_last && ds->n % opt->batch_size > 0);
    l->n_slots = opt->workers + 2;
    lay_out(l);
    rc = omq_arena_commit(&l->arena, "the batches of the loader", err);
    if (rc < 0) {
        free(l);
        return rc;
    }
    lay_out(l);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    for (int i = 0; i < opt->workers; i++) {
        if (omq_thread_start(&l->workers[i].thread, work, &l->workers[i]) != 0) {
            omq_loader_close(l);
            return omq_fail(err, OMQ_ENOMEM, "cannot start loader thread %d of %d", i + 1,
                            opt->workers);
        }
        l->n_started++;
    }
    *out = l;
    return OMQ_OK;
}

void omq_loader_close(struct omq_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_started; i++)
        pthread_join(l->workers[i].thread, NULL);
    pthread_cond_destroy(&l->done);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    omq_arena_release(&l->arena);
    free(l);
}

int omq_loader_batches(const struct omq_loader *l) { return l->n_batches; }

/* With the lock: nothing new begins, and what has begun ends soon. */
static void stop(struct omq_loader *l)
{
    l->end = 0;
    while (l->busy > 0)
        pthread_cond_wait(&l->done, &l->lock);
}

void omq_loader_set_mixing(struct omq_loader *l, bool mixing)
{
    pthread_mutex_lock(&l->lock);
    stop(l);
    l->unmixed = !mixing;
    pthread_mutex_unlock(&l->lock);
}

void omq_loader_start(struct omq_loader *l, int epoch, int first)
{
    pthread_mutex_lock(&l->lock);
    stop(l);
    for (int i = 0; i < l->n_slots; i++)
        l->slots[i].ready = false;
    if (l->opt.shuffle)
        omq_shuffle(l->order, l->ds->n, l->opt.seed, epoch);
    else
        for (int i = 0; i < l->ds->n; i++)
            l->order[i] = (uint32_t)i;
    l->epoch = epoch;
    l->next = l->given = first < 0 ? 0 : first > l->n_batches ? l->n_batches : first;
    l->end = l->n_batches;
    l->held = false;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
}

int omq_loader_take_skipped(struct omq_loader *l, const char **why)
{
    int n = l->n_skipped;

    *why = n ? l->first_bad.msg : "";
    l->n_skipped = 0;
    return n;
}

/* A batch that is ready becomes the consumer's, or its error the answer. */
static int give(struct omq_loader *l, const struct slot *s, struct omq_batch *b,
                struct omq_err *err)
{
    if (s->rc < 0) {
        if (err)
            *err = s->err;
        return s->rc;
    }
    if (s->n_skipped && l->n_skipped == 0)
        l->first_bad = s->err;
    l->n_skipped += s->n_skipped;
    l->held = true;
    *b = (struct omq_batch){.n = s->n, .codes = s->codes, .labels = s->labels,
                             .own = s->own};
    return 1;
}

int omq_loader_next(struct omq_loader *l, struct omq_batch *b, double *wait_s,
                    struct omq_err *err)
{
    struct slot *s;
    bool more;
    int rc = 0;

    pthread_mutex_lock(&l->lock);
    if (l->held) {
        l->slots[l->given % l->n_slots].ready = false;
        l->given++;
        l->held = false;
        pthread_cond_signal(&l->work);
    }
    more = l->given < l->end;
    s = &l->slots[l->given % l->n_slots];
    if (more && !s->ready) {
        double start = omq_now();

        while (!s->ready)
            pthread_cond_wait(&l->done, &l->lock);
        if (wait_s)
            *wait_s += omq_now() - start;
    }
    if (more)
        rc = give(l, s, b, err);
    pthread_mutex_unlock(&l->lock);
    return rc;
}
