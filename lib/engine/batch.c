/* SPDX-License-Identifier: MIT
 *
 * A batch on a model: of images codes, of codes logits, on the threads that are
 * free, at one precision from start to end.
 */
#include "engine/model_internal.h"

#include <math.h>
#include <stdlib.h>

/* Room for one batch on all threads; kept for the next one. */
struct omq_work {
    struct omq_work *next;
    size_t size;
    char *mem;
};

struct job {
    const struct omq_model *m;
    const struct omq_engine *plan;
    struct omq_batch_io *b;
    int chunk;           /* images that a thread takes together */
    size_t image;        /* values of one */
    char *mem;           /* [threads][codes_size + scratch_size] */
    size_t codes_size, thread_size;
};

static void values_to_codes(const struct omq_preprocess *pre, const float *values, size_t n,
                            uint8_t *codes)
{
    for (size_t i = 0; i < n; i++) {
        float q = rintf(values[i] / pre->step) + 128;

        codes[i] = (uint8_t)(q > 0 ? q < 255 ? q : 255 : 0);
    }
}

static void make_codes(const struct job *j, int first, int n, uint8_t *codes)
{
    size_t at = (size_t)first * j->image;

    if (j->b->type == OMQ_VALUES) {
        values_to_codes(&j->m->pre, (const float *)j->b->images + at, (size_t)n * j->image, codes);
        return;
    }
    omq_kern()->look_up_u8((size_t)n * j->image / (size_t)j->m->pre.channels, j->m->pre.channels,
                           j->m->pre.table, (const uint8_t *)j->b->images + at, codes);
}

/* Chunks [begin, end) on one thread. */
static void run_chunks(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    char *mem = j->mem + (size_t)thread * j->thread_size;

    for (int i = begin; i < end; i++) {
        int first = i * j->chunk, n = j->b->n - first < j->chunk ? j->b->n - first : j->chunk;

        make_codes(j, first, n, (uint8_t *)mem);
        omq_engine_run(j->plan, (uint8_t *)mem, n,
                       j->b->logits + (size_t)first * (size_t)j->m->n_classes,
                       mem + j->codes_size);
    }
}

/* n / by rounded up, for all n > 0. */
static int parts_of(int n, int by) { return (n - 1) / by + 1; }

/* Memory of a batch on `threads` threads, and how it is divided. */
static int size_work(struct job *j, int threads, bool shared, size_t *size, struct omq_err *err)
{
    int n = j->b->n, batch = omq_engine_batch(j->plan), each = parts_of(n, threads);
    int images = shared ? n : each < batch ? each : batch;
    size_t scratch = omq_engine_scratch_size(j->plan, images, shared ? threads : 1);

    j->chunk = images;
    if (!omq_mul_size((size_t)images, j->image, &j->codes_size) ||
        !omq_align_size(j->codes_size, &j->codes_size) ||
        !omq_add_size(j->codes_size, scratch, &j->thread_size) ||
        !omq_align_size(j->thread_size, &j->thread_size) ||
        !omq_mul_size(j->thread_size, shared ? 1 : (size_t)threads, size))
        return omq_fail(err, OMQ_ENOMEM, "a batch of %d images does not fit in memory", n);
    return OMQ_OK;
}

static struct omq_work *take_work(struct omq_model *m, size_t size)
{
    struct omq_work *w;

    pthread_mutex_lock(&m->work_lock);
    w = m->idle;
    if (w)
        m->idle = w->next;
    pthread_mutex_unlock(&m->work_lock);
    if (!w && !(w = calloc(1, sizeof(*w))))
        return NULL;
    if (w->size < size) {
        free(w->mem);
        w->mem = omq_calloc(1, size);
        w->size = w->mem ? size : 0;
    }
    if (w->mem)
        return w;
    free(w);
    return NULL;
}

static void give_work(struct omq_model *m, struct omq_work *w)
{
    pthread_mutex_lock(&m->work_lock);
    w->next = m->idle;
    m->idle = w;
    pthread_mutex_unlock(&m->work_lock);
}

void omq_model_free_work(struct omq_model *m)
{
    while (m->idle) {
        struct omq_work *next = m->idle->next;

        free(m->idle->mem);
        free(m->idle);
        m->idle = next;
    }
}

/* pool is ours, or NULL. With fewer images than threads, all threads share each
 * unit of the plan, if that is worth while. */
static int run_job(struct omq_model *m, struct job *j, struct omq_pool *pool, struct omq_err *err)
{
    int threads = pool ? omq_pool_threads(pool) : 1, chunks, rc;
    bool shared = j->b->n < threads && omq_engine_is_shareable(j->plan);
    struct omq_work *w;
    size_t size = 0;

    if ((rc = size_work(j, threads, shared, &size, err)) < 0)
        return rc;
    if (!(w = take_work(m, size)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes for a batch of %d images",
                        size, j->b->n);
    j->mem = w->mem;
    chunks = parts_of(j->b->n, j->chunk);
    if (shared) {
        make_codes(j, 0, j->b->n, (uint8_t *)j->mem);
        omq_engine_run_shared(j->plan, (uint8_t *)j->mem, j->b->n, j->b->logits,
                              j->mem + j->codes_size, pool);
    } else if (pool && j->b->n > 1) {
        omq_pool_run(pool, run_chunks, j, chunks);
    } else {
        run_chunks(j, 0, 0, chunks);
    }
    give_work(m, w);
    return OMQ_OK;
}

int omq_model_run_uncounted(struct omq_model *m, struct omq_batch_io *b, struct omq_err *err)
{
    struct job j = {.m = m, .b = b,
                    .image = (size_t)m->pre.height * (size_t)m->pre.width *
                             (size_t)m->pre.channels};
    int choice = b->precision, rc;
    bool has_pool;

    if (b->n < 1)
        return omq_fail(err, OMQ_EARG, "a batch of %d images: it must have one at least", b->n);
    if (!b->images || !b->logits)
        return omq_fail(err, OMQ_EARG, "a batch without %s", b->images ? "logits" : "images");
    if (b->type != OMQ_PIXELS && b->type != OMQ_VALUES)
        return omq_fail(err, OMQ_EARG, "a batch of type %d: it is OMQ_PIXELS or OMQ_VALUES",
                        (int)b->type);
    if (choice != OMQ_ACTIVE && (rc = omq_model_check_choice(m, choice, err)) < 0)
        return rc;
    if ((rc = omq_residents_take(m->residents, &choice, &j.plan, err)) < 0)
        return rc;
    has_pool = omq_pool_threads(m->pool) > 1 && pthread_mutex_trylock(&m->pool_lock) == 0;
    rc = run_job(m, &j, has_pool ? m->pool : NULL, err);
    if (has_pool)
        pthread_mutex_unlock(&m->pool_lock);
    omq_residents_give(m->residents, choice);
    if (rc == OMQ_OK)
        b->ran_at = choice;
    return rc;
}

int omq_model_run(struct omq_model *m, struct omq_batch_io *b, struct omq_err *err)
{
    int rc = omq_model_run_uncounted(m, b, err);

    if (rc < 0)
        return rc;
    atomic_fetch_add(&m->batches, 1);
    atomic_fetch_add(&m->images, (unsigned long long)b->n);
    return OMQ_OK;
}
