/* SPDX-License-Identifier: MIT
 *
 * A data set through a network. Each image's answer is kept, and they are added
 * up in order: nothing depends on the threads.
 */
#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

int omq_eval_check(const struct omq_net *net, const struct omq_dataset *ds, struct omq_err *err)
{
    const struct omq_preprocess *pre = &net->pre;

    if (ds->height != pre->height || ds->width != pre->width || ds->channels != pre->channels)
        return omq_fail(err, OMQ_EARG, "the images are %d x %d x %d, but the network takes %d x %d "
                        "x %d", ds->height, ds->width, ds->channels, pre->height, pre->width,
                        pre->channels);
    for (int i = 0; i < ds->n; i++)
        if (ds->labels[i] >= net->n_classes)
            return omq_fail(err, OMQ_EARG, "image %d has label %d, but the network knows %d "
                            "classes", i, ds->labels[i], net->n_classes);
    return OMQ_OK;
}

struct job {
    const struct omq_net *net;
    const struct omq_dataset *ds;
    const struct omq_engine *engine;
    int n, chunk;
    struct omq_answer *answers; /* [n] */
    size_t image;               /* bytes of one */
    char *scratch;              /* [threads][scratch_size]: codes, logits, the engine's */
    size_t codes_size, logits_size, scratch_size;
};

static void make_codes(const struct job *j, int first, int n, uint8_t *codes)
{
    for (int i = 0; i < n; i++)
        omq_preprocess_apply(&j->net->pre, j->ds->pixels + (size_t)(first + i) * j->image,
                             codes + (size_t)i * j->image);
}

static void answer(const struct job *j, int first, int n, const float *logits)
{
    int c = j->net->n_classes;

    for (int i = 0; i < n; i++)
        j->answers[first + i] = omq_answer_of(c, logits + (size_t)i * (size_t)c,
                                              j->ds->labels[first + i]);
}

/* Chunks [begin, end). */
static void run_chunks(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    char *scratch = j->scratch + (size_t)thread * j->scratch_size;
    uint8_t *codes = (uint8_t *)scratch;
    float *logits = (float *)(void *)(scratch + j->codes_size);

    for (int i = begin; i < end; i++) {
        int first = i * j->chunk, n = j->n - first < j->chunk ? j->n - first : j->chunk;

        make_codes(j, first, n, codes);
        omq_engine_run(j->engine, codes, n, logits,
                       scratch + j->codes_size + j->logits_size);
        answer(j, first, n, logits);
    }
}

/* n * size bytes rounded up so that what follows is aligned; false on overflow. */
static bool aligned_size(size_t n, size_t size, size_t *out)
{
    if (!omq_mul_size(n, size, out) || !omq_add_size(*out, OMQ_ALIGN - 1, out))
        return false;
    *out = *out / OMQ_ALIGN * OMQ_ALIGN;
    return true;
}

static bool size_scratch(struct job *j)
{
    size_t n = (size_t)j->chunk, own;

    return aligned_size(j->image, n, &j->codes_size) &&
           aligned_size(sizeof(float) * (size_t)j->net->n_classes, n, &j->logits_size) &&
           omq_add_size(j->codes_size, j->logits_size, &own) &&
           omq_add_size(own, omq_engine_scratch_size(j->engine, j->chunk, 1), &own) &&
           aligned_size(own, 1, &j->scratch_size);
}

static int run_engine(struct job *j, const struct omq_eval_how *how, struct omq_pool *pool,
                      struct omq_err *err)
{
    struct omq_engine *engine;
    int rc = omq_engine_open(&engine, j->net, how->layer_precision, how->precision, err);

    if (rc < 0)
        return rc;
    j->engine = engine;
    j->chunk = how->batch < omq_engine_batch(engine) ? how->batch : omq_engine_batch(engine);
    if (size_scratch(j))
        j->scratch = omq_calloc((size_t)omq_pool_threads(pool), j->scratch_size);
    if (j->scratch)
        omq_pool_run(pool, run_chunks, j, (j->n + j->chunk - 1) / j->chunk);
    else
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the activations of %d images for each of "
                      "%d threads", j->chunk, omq_pool_threads(pool));
    free(j->scratch);
    omq_engine_close(engine);
    return rc;
}

/* The executor has the pool to itself, so the batches come one by one. It takes
 * a net that it may train; a frozen one it only reads. */
static int run_exec(struct job *j, const struct omq_eval_how *how, struct omq_pool *pool,
                    struct omq_err *err)
{
    int batch = how->batch < j->n ? how->batch : j->n;
    uint8_t *codes = omq_calloc((size_t)batch, j->image);
    struct omq_exec *x = NULL;
    int rc = OMQ_OK;

    if (!codes)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a batch of %d images", batch);
    else
        rc = omq_exec_open(&x, (struct omq_net *)j->net, pool, batch, false, err);
    for (int first = 0; rc == OMQ_OK && first < j->n; first += batch) {
        int n = j->n - first < batch ? j->n - first : batch;

        make_codes(j, first, n, codes);
        omq_exec_forward(x, how->precision, OMQ_MODE_FROZEN, codes, n, 0);
        answer(j, first, n, omq_exec_logits(x));
    }
    omq_exec_close(x);
    free(codes);
    return rc;
}

static void add_up(const struct job *j, struct omq_eval_counts *out, uint32_t *confusion)
{
    struct omq_eval_counts sum = {.samples = j->n};
    size_t n_classes = (size_t)j->net->n_classes;

    if (confusion)
        memset(confusion, 0, sizeof(*confusion) * n_classes * n_classes);
    for (int i = 0; i < j->n; i++) {
        const struct omq_answer *a = &j->answers[i];

        sum.top1 += a->rank < 1;
        sum.top5 += a->rank < 5;
        sum.loss += a->loss;
        if (confusion)
            confusion[j->ds->labels[i] * n_classes + (size_t)a->predicted]++;
    }
    sum.loss /= j->n;
    *out = sum;
}

static bool is_float(const struct omq_net *net, const struct omq_eval_how *how)
{
    struct omq_precision p = net->precisions[how->precision];

    return !how->layer_precision && (p.w == OMQ_FLOAT_BITS || p.a == OMQ_FLOAT_BITS);
}

int omq_eval_net_how(const struct omq_net *net, const struct omq_eval_how *how,
                     const struct omq_dataset *ds, struct omq_pool *pool,
                     struct omq_eval_counts *out, struct omq_err *err)
{
    struct job j = {.net = net, .ds = ds, .n = ds->n,
                    .image = (size_t)ds->height * (size_t)ds->width * (size_t)ds->channels};
    int rc;

    if (how->precision < 0 || how->precision >= net->n_precisions || how->batch < 1)
        return omq_fail(err, OMQ_EARG, "cannot evaluate precision number %d in batches of %d",
                        how->precision, how->batch);
    if ((rc = omq_eval_check(net, ds, err)) < 0)
        return rc;
    if (how->use_float && how->layer_precision)
        return omq_fail(err, OMQ_EUNSUP, "profiles run on the integer engine only: leave out "
                        "--engine float");
    if (how->limit > 0 && how->limit < j.n)
        j.n = how->limit;
    if (j.n < 1)
        return omq_fail(err, OMQ_EARG, "there are no images to evaluate");
    j.answers = omq_calloc((size_t)j.n, sizeof(*j.answers));
    if (!j.answers)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the answers to %d images", j.n);
    rc = (how->use_float || is_float(net, how) ? run_exec : run_engine)(&j, how, pool, err);
    if (rc == OMQ_OK)
        add_up(&j, out, how->confusion);
    free(j.answers);
    return rc;
}

int omq_eval_net(const struct omq_net *net, int precision, const struct omq_dataset *ds,
                 struct omq_pool *pool, int batch, struct omq_eval_counts *out,
                 struct omq_err *err)
{
    struct omq_eval_how how = {.precision = precision, .batch = batch};

    return omq_eval_net_how(net, &how, ds, pool, out, err);
}
