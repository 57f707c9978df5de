/* SPDX-License-Identifier: MIT
 *
 * omq.h's model: a file's network, the plans that are ready, and room for the
 * batches that run.
 */
#include "engine/engine_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/live.h"

/* Room for one batch on all threads; kept for the next one. */
struct work {
    struct work *next;
    size_t size;
    char *mem;
};

struct omq_model {
    struct omq_net net;
    struct omq_model_info info;
    struct omq_preprocess pre;
    int n_classes, n_choices;
    struct omq_choice *choices; /* [n_choices] */
    struct omq_residents *residents;
    struct omq_pool *pool;
    pthread_mutex_t pool_lock;  /* whoever runs the pool has it */
    pthread_mutex_t work_lock;
    struct work *idle;
    atomic_ullong batches, images;
};

/* ---- opening ---- */

static int find_first(const struct omq_model *m, const struct omq_open_options *opt,
                      struct omq_switch_word word, int *active, struct omq_err *err)
{
    if (opt->precision) {
        *active = omq_choice_find(m->choices, m->n_choices, opt->precision, err);
        return *active < 0 ? *active : OMQ_OK;
    }
    *active = omq_choice_switch(m->choices, m->n_choices, word);
    for (int i = 0; *active < 0 && i < m->net.n_precisions; i++)
        if (m->choices[i].w != OMQ_FLOAT_BITS && m->choices[i].a != OMQ_FLOAT_BITS)
            *active = i;
    if (*active < 0)
        return omq_fail(err, OMQ_EUNSUP, "all precisions of the model are float: only omq-eval "
                        "--engine float can run it");
    return OMQ_OK;
}

static int make_choices(struct omq_model *m, struct omq_err *err)
{
    m->n_choices = omq_choice_count(&m->net, &m->info);
    m->choices = calloc((size_t)m->n_choices, sizeof(*m->choices));
    if (!m->choices)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a model");
    for (int i = 0; i < m->n_choices; i++)
        m->choices[i] = omq_choice_at(&m->net, &m->info, i);
    return OMQ_OK;
}

static int open_model(struct omq_model *m, const struct omq_ckpt *c,
                      const struct omq_open_options *opt, struct omq_err *err)
{
    struct omq_residents_options how = {.log = opt->log, .log_ctx = opt->log_ctx};
    int rc;

    if (opt->resident < 0)
        return omq_fail(err, OMQ_EARG, "a model cannot keep %d precisions ready", opt->resident);
    if ((rc = omq_model_get(&m->net, &m->info, c, false, err)) < 0 ||
        (rc = make_choices(m, err)) < 0 ||
        (rc = find_first(m, opt, omq_ckpt_switch(c), &how.active, err)) < 0 ||
        (rc = omq_pool_open(&m->pool, opt->threads, err)) < 0)
        return rc;
    m->pre = m->net.pre;
    m->n_classes = m->net.n_classes;
    how.limit = opt->resident > 0 && opt->resident < m->n_choices ? opt->resident : m->n_choices;
    if ((rc = omq_residents_open(&m->residents, &m->net, &m->info, &how, err)) < 0)
        return rc;
    if (omq_residents_complete(m->residents))
        omq_net_release(&m->net);
    return OMQ_OK;
}

static int open_checked(struct omq_model **out, struct omq_ckpt *c, const char *name,
                        const struct omq_open_options *opt, struct omq_err *err)
{
    static const struct omq_open_options defaults;
    struct omq_model *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a model");
    pthread_mutex_init(&m->pool_lock, NULL);
    pthread_mutex_init(&m->work_lock, NULL);
    if ((rc = omq_init(NULL, err)) < 0 || (rc = open_model(m, c, opt ? opt : &defaults, err)) < 0) {
        omq_model_close(m);
        return omq_wrap(err, "cannot load '%s'", name);
    }
    *out = m;
    return OMQ_OK;
}

int omq_model_open(struct omq_model **out, const char *path, const struct omq_open_options *opt,
                   struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_open(&c, path, 0, err);

    if (rc < 0)
        return rc;
    rc = open_checked(out, c, path, opt, err);
    omq_ckpt_close(c);
    return rc;
}

int omq_model_open_memory(struct omq_model **out, const void *bytes, size_t n_bytes,
                          const char *name, const struct omq_open_options *opt,
                          struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_open_memory(&c, bytes, n_bytes, name, 0, err);

    if (rc < 0)
        return rc;
    rc = open_checked(out, c, name, opt, err);
    omq_ckpt_close(c);
    return rc;
}

void omq_model_close(struct omq_model *m)
{
    if (!m)
        return;
    omq_residents_close(m->residents);
    omq_pool_close(m->pool);
    while (m->idle) {
        struct work *next = m->idle->next;

        free(m->idle->mem);
        free(m->idle);
        m->idle = next;
    }
    pthread_mutex_destroy(&m->pool_lock);
    pthread_mutex_destroy(&m->work_lock);
    omq_model_info_release(&m->info);
    omq_net_release(&m->net);
    free(m->choices);
    free(m);
}

/* ---- what it is ---- */

void omq_model_shape(const struct omq_model *m, struct omq_model_shape *out)
{
    const struct omq_data_config *data = &m->info.config.data;
    int longer = m->pre.height > m->pre.width ? m->pre.height : m->pre.width;

    *out = (struct omq_model_shape){
        .height = m->pre.height, .width = m->pre.width, .channels = m->pre.channels,
        .n_classes = m->n_classes,
        .arch = m->info.config.model.arch[0] ? m->info.config.model.arch : "onnx",
        .resize = data->resize > longer ? data->resize : longer,
        .bicubic = data->interpolation == OMQ_INTERPOLATION_BICUBIC,
    };
}

const char *omq_model_class_name(const struct omq_model *m, int c)
{
    return c >= 0 && c < m->info.n_class_names ? m->info.class_names[c] : "";
}

int omq_model_count(const struct omq_model *m) { return m->n_choices; }

void omq_model_precision(struct omq_model *m, int i, struct omq_model_precision *out)
{
    const struct omq_choice *c = &m->choices[i];

    *out = (struct omq_model_precision){
        .name = c->name, .w = c->w, .a = c->a, .top1 = c->top1, .weight_bytes = c->weight_bytes,
        .resident = omq_residents_ready(m->residents, i),
    };
}

int omq_model_find(const struct omq_model *m, const char *word, struct omq_err *err)
{
    return omq_choice_find(m->choices, m->n_choices, word, err);
}

int omq_model_threads(const struct omq_model *m) { return omq_pool_threads(m->pool); }

int omq_model_find_switch(const struct omq_model *m, struct omq_switch_word word)
{
    return omq_choice_switch(m->choices, m->n_choices, word);
}

/* ---- switching ---- */

static int check_choice(const struct omq_model *m, int i, struct omq_err *err)
{
    if (i >= 0 && i < m->n_choices)
        return OMQ_OK;
    return omq_fail(err, OMQ_EARG, "the model has no precision number %d", i);
}

static int set(struct omq_model *m, int precision, bool wait, struct omq_err *err)
{
    int rc = check_choice(m, precision, err);

    return rc < 0 ? rc : omq_residents_set(m->residents, precision, wait, err);
}

int omq_model_take(struct omq_model *m, int precision, const struct omq_engine **plan,
                   struct omq_err *err)
{
    int rc = check_choice(m, precision, err);

    return rc < 0 ? rc : omq_residents_take(m->residents, &precision, plan, err);
}

void omq_model_give(struct omq_model *m, int precision)
{
    omq_residents_give(m->residents, precision);
}

int omq_model_set(struct omq_model *m, int precision, struct omq_err *err)
{
    return set(m, precision, false, err);
}

int omq_model_set_wait(struct omq_model *m, int precision, struct omq_err *err)
{
    return set(m, precision, true, err);
}

int omq_model_active(const struct omq_model *m) { return omq_residents_active(m->residents); }

void omq_model_counters(const struct omq_model *m, struct omq_counters *out)
{
    *out = (struct omq_counters){.batches = atomic_load(&m->batches),
                                 .images = atomic_load(&m->images)};
    omq_residents_count(m->residents, out);
}

/* ---- a batch ---- */

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
    for (int i = 0; i < n; i++, at += j->image, codes += j->image)
        omq_preprocess_apply(&j->m->pre, (const uint8_t *)j->b->images + at, codes);
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

static bool round_up(size_t *n)
{
    if (!omq_add_size(*n, OMQ_ALIGN - 1, n))
        return false;
    *n = *n / OMQ_ALIGN * OMQ_ALIGN;
    return true;
}

/* Memory of a batch on `threads` threads, and how it is divided. */
static int size_work(struct job *j, int threads, bool shared, size_t *size, struct omq_err *err)
{
    int n = j->b->n, batch = omq_engine_batch(j->plan), each = (n + threads - 1) / threads;
    int images = shared ? n : each < batch ? each : batch;
    size_t scratch = omq_engine_scratch_size(j->plan, images, shared ? threads : 1);

    j->chunk = images;
    if (!omq_mul_size((size_t)images, j->image, &j->codes_size) || !round_up(&j->codes_size) ||
        !omq_add_size(j->codes_size, scratch, &j->thread_size) || !round_up(&j->thread_size) ||
        !omq_mul_size(j->thread_size, shared ? 1 : (size_t)threads, size))
        return omq_fail(err, OMQ_ENOMEM, "a batch of %d images does not fit in memory", n);
    return OMQ_OK;
}

static struct work *take_work(struct omq_model *m, size_t size)
{
    struct work *w;

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

static void give_work(struct omq_model *m, struct work *w)
{
    pthread_mutex_lock(&m->work_lock);
    w->next = m->idle;
    m->idle = w;
    pthread_mutex_unlock(&m->work_lock);
}

/* pool is ours, or NULL. With fewer images than threads, all threads share each
 * unit of the plan, if that is worth while. */
static int run_job(struct omq_model *m, struct job *j, struct omq_pool *pool, struct omq_err *err)
{
    int threads = pool ? omq_pool_threads(pool) : 1, rc;
    bool shared = j->b->n < threads && omq_engine_is_shareable(j->plan);
    struct work *w;
    size_t size = 0;

    if ((rc = size_work(j, threads, shared, &size, err)) < 0)
        return rc;
    if (!(w = take_work(m, size)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu bytes for a batch of %d images",
                        size, j->b->n);
    j->mem = w->mem;
    if (shared) {
        make_codes(j, 0, j->b->n, (uint8_t *)j->mem);
        omq_engine_run_shared(j->plan, (uint8_t *)j->mem, j->b->n, j->b->logits,
                              j->mem + j->codes_size, pool);
    } else if (pool && j->b->n > 1) {
        omq_pool_run(pool, run_chunks, j, (j->b->n + j->chunk - 1) / j->chunk);
    } else {
        run_chunks(j, 0, 0, (j->b->n + j->chunk - 1) / j->chunk);
    }
    give_work(m, w);
    return OMQ_OK;
}

int omq_model_run(struct omq_model *m, struct omq_batch_io *b, struct omq_err *err)
{
    struct job j = {.m = m, .b = b,
                    .image = (size_t)m->pre.height * (size_t)m->pre.width *
                             (size_t)m->pre.channels};
    int choice = b->precision, rc;
    bool has_pool;

    if (b->n < 1)
        return omq_fail(err, OMQ_EARG, "a batch of %d images: it must have one at least", b->n);
    if (choice != OMQ_ACTIVE && (rc = check_choice(m, choice, err)) < 0)
        return rc;
    if ((rc = omq_residents_take(m->residents, &choice, &j.plan, err)) < 0)
        return rc;
    has_pool = omq_pool_threads(m->pool) > 1 && pthread_mutex_trylock(&m->pool_lock) == 0;
    rc = run_job(m, &j, has_pool ? m->pool : NULL, err);
    if (has_pool)
        pthread_mutex_unlock(&m->pool_lock);
    omq_residents_give(m->residents, choice);
    if (rc < 0)
        return rc;
    b->ran_at = choice;
    atomic_fetch_add(&m->batches, 1);
    atomic_fetch_add(&m->images, (unsigned long long)b->n);
    return OMQ_OK;
}

/* ---- the switch word ---- */

int omq_switch_store(const struct omq_model *m, int precision, const char *path, bool is_control,
                     struct omq_err *err)
{
    struct omq_switch_word word = {.profile = -1};
    int rc = check_choice(m, precision, err);

    if (rc < 0 || (is_control && (rc = omq_switch_create(path, err)) < 0))
        return rc;
    if (m->choices[precision].layers) {
        for (int i = 0; i <= precision; i++)
            word.profile += m->choices[i].layers != NULL;
    } else {
        word.w = m->choices[precision].w;
        word.a = m->choices[precision].a;
    }
    return omq_switch_write(path, word, err);
}

int omq_switch_stored(const struct omq_model *m, const char *path, int *precision,
                      struct omq_err *err)
{
    struct omq_switch_word word;
    int rc = omq_switch_read(path, &word, err);

    if (rc == OMQ_OK)
        *precision = omq_model_find_switch(m, word);
    return rc;
}
