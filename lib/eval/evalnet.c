/* SPDX-License-Identifier: MIT
 *
 * A data set through a network. Each image's answer is kept, and they are added
 * up in order: nothing depends on the threads.
 */
#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

/* Whether ds can be shown to net at all. */
static int check_shape(const struct omq_net *net, const struct omq_dataset *ds,
                       struct omq_err *err)
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

/* Whether the classes of ds are those of the model: the folders of another root may be other
 * classes, or not all of them, and then their numbers would mean something else. */
static int check_classes(const struct omq_model_info *info, const char *root,
                         const struct omq_dataset *ds, struct omq_err *err)
{
    const int known = info->n_class_names;

    if (info->config.data.format != OMQ_FORMAT_FOLDER || known == 0)
        return OMQ_OK;
    for (int c = 0; c < ds->n_classes; c++) {
        const char *mine = c < known ? info->class_names[c] : "";

        if (!omq_class_name_is(mine, ds->class_names[c]))
            return omq_fail(err, OMQ_EARG, "class %d is '%s' in '%.200s', but '%s' in the model: "
                            "its folder train and its classes.txt must be as those of the training",
                            c, ds->class_names[c], root, mine);
    }
    return OMQ_OK;
}

/* The root of a model is that of its training: elsewhere it is no folder, or another one. */
static int open_set(struct omq_dataset **out, const struct omq_data_config *cfg, bool is_own,
                    enum omq_split split, uint64_t seed, struct omq_err *err)
{
    int rc = omq_dataset_open(out, cfg, split, seed, err);

    if (is_own && (rc == OMQ_EIO || rc == OMQ_ECONFIG))
        return omq_wrap(err, rc, "the model's own data is not to be had here; give --data DIR");
    return rc;
}

int omq_eval_open_data(struct omq_dataset **out, const struct omq_net *net,
                       const struct omq_model_info *info, const char *root, enum omq_split split,
                       struct omq_err *err)
{
    struct omq_data_config cfg = info->config.data;
    struct omq_dataset *ds;
    int rc;

    if (root && strlen(root) >= sizeof(cfg.root))
        return omq_fail(err, OMQ_EARG, "the name of the data folder is longer than %zu bytes",
                        sizeof(cfg.root) - 1);
    if (root && cfg.format == OMQ_FORMAT_SYNTHETIC)
        return omq_fail(err, OMQ_EARG, "the data of this model is synthetic and in no folder: "
                        "leave out --data");
    if (root)
        snprintf(cfg.root, sizeof(cfg.root), "%s", root);
    if ((rc = open_set(&ds, &cfg, !root, split, info->config.seed, err)) < 0)
        return rc;
    if ((rc = check_shape(net, ds, err)) < 0)
        omq_wrap(err, rc, "the model and the data do not fit");
    else
        rc = check_classes(info, cfg.root, ds, err);
    if (rc < 0)
        omq_dataset_close(ds);
    else
        *out = ds;
    return rc;
}

struct job {
    const struct omq_net *net;
    const struct omq_dataset *ds;
    const struct omq_engine *engine;
    int n, chunk;
    struct omq_answer *answers; /* [n]; rank NO_ANSWER for a damaged image */
    float *logits;              /* [n][classes], or NULL */
    size_t image;               /* bytes of one */
    /* [threads][scratch_size]: an image's pixels, codes, logits, the engine's */
    char *scratch;
    size_t pixels_size, codes_size, logits_size, scratch_size;
    struct failure *failures;   /* [threads]: the first one of each */
};

enum { NO_ANSWER = -1 };

struct failure {
    int rc;
    struct omq_err err;
};

/* The number in the set of image i of those that are evaluated. */
static int number(const struct job *j, int i) { return omq_dataset_some(j->ds, i, j->n); }

/* Images [first, first + n). A damaged one that may be skipped is answered by
 * its place in answers[]; its codes are zero. */
static int make_codes(const struct job *j, int first, int n, uint8_t *pixels, uint8_t *codes,
                      struct omq_err *err)
{
    static const struct omq_draw draw = {0};

    for (int i = 0; i < n; i++) {
        uint8_t *to = codes + (size_t)i * j->image;
        int rc = omq_dataset_pixels(j->ds, number(j, first + i), &draw, pixels, err);

        j->answers[first + i].rank = rc < 0 ? NO_ANSWER : 0;
        if (rc == OMQ_OK)
            omq_preprocess_apply(&j->net->pre, pixels, to);
        else if (omq_dataset_may_skip(j->ds, rc))
            memset(to, 0, j->image);
        else
            return rc;
    }
    return OMQ_OK;
}

/* Those of a damaged image are no numbers. */
static void keep_logits(const struct job *j, int first, int n, const float *logits)
{
    size_t c = (size_t)j->net->n_classes;
    float *to = j->logits + (size_t)first * c;

    for (int i = 0; i < n; i++, to += c, logits += c)
        for (size_t k = 0; k < c; k++)
            to[k] = j->answers[first + i].rank == NO_ANSWER ? NAN : logits[k];
}

static void answer(const struct job *j, int first, int n, const float *logits)
{
    int c = j->net->n_classes;

    if (j->logits)
        keep_logits(j, first, n, logits);
    for (int i = 0; i < n; i++)
        if (j->answers[first + i].rank != NO_ANSWER)
            j->answers[first + i] = omq_answer_of(c, logits + (size_t)i * (size_t)c,
                                                  j->ds->labels[number(j, first + i)]);
}

/* Chunks [begin, end). */
static void run_chunks(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    char *scratch = j->scratch + (size_t)thread * j->scratch_size;
    uint8_t *pixels = (uint8_t *)scratch, *codes = pixels + j->pixels_size;
    char *behind = scratch + j->pixels_size + j->codes_size;
    float *logits = (float *)(void *)behind;
    struct failure *failure = &j->failures[thread];

    for (int i = begin; i < end; i++) {
        int first = i * j->chunk, n = j->n - first < j->chunk ? j->n - first : j->chunk;

        failure->rc = make_codes(j, first, n, pixels, codes, &failure->err);
        if (failure->rc < 0)
            return;
        omq_engine_run(j->engine, codes, n, logits, behind + j->logits_size);
        answer(j, first, n, logits);
    }
}

/* Each part is rounded up so that what follows is aligned; false on overflow. */
static bool size_scratch(struct job *j)
{
    size_t n = (size_t)j->chunk, logits = sizeof(float) * (size_t)j->net->n_classes, own;

    return omq_align_size(j->image, &j->pixels_size) &&
           omq_mul_size(j->image, n, &j->codes_size) &&
           omq_align_size(j->codes_size, &j->codes_size) &&
           omq_mul_size(logits, n, &j->logits_size) &&
           omq_align_size(j->logits_size, &j->logits_size) &&
           omq_add_size(j->codes_size, j->logits_size, &own) &&
           omq_add_size(own, j->pixels_size, &own) &&
           omq_add_size(own, omq_engine_scratch_size(j->engine, j->chunk, 1), &own) &&
           omq_align_size(own, &j->scratch_size);
}

/* Threads have ranges of images in order: the first thread that failed met the
 * first image that did. */
static int first_failure(const struct job *j, int threads, struct omq_err *err)
{
    for (int i = 0; i < threads; i++)
        if (j->failures[i].rc < 0) {
            if (err)
                *err = j->failures[i].err;
            return j->failures[i].rc;
        }
    return OMQ_OK;
}

static int run_engine(struct job *j, const struct omq_eval_how *how, struct omq_pool *pool,
                      struct omq_err *err)
{
    int threads = omq_pool_threads(pool);
    struct omq_engine *engine;
    int rc = omq_engine_open(&engine, j->net, how->layer_precision, how->precision, err);

    if (rc < 0)
        return rc;
    j->engine = engine;
    j->chunk = how->batch < omq_engine_batch(engine) ? how->batch : omq_engine_batch(engine);
    if (size_scratch(j))
        j->scratch = omq_calloc((size_t)threads, j->scratch_size);
    j->failures = omq_calloc((size_t)threads, sizeof(*j->failures));
    if (j->scratch && j->failures) {
        omq_pool_run(pool, run_chunks, j, (j->n + j->chunk - 1) / j->chunk);
        rc = first_failure(j, threads, err);
    } else {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the activations of %d images for each of "
                      "%d threads", j->chunk, threads);
    }
    free(j->failures);
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
    uint8_t *codes = omq_calloc((size_t)batch, j->image), *pixels = omq_calloc(1, j->image);
    struct omq_exec *x = NULL;
    int rc = OMQ_OK;

    if (!codes || !pixels)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a batch of %d images", batch);
    else
        rc = omq_exec_open(&x, (struct omq_net *)j->net, pool, batch, false, err);
    for (int first = 0; rc == OMQ_OK && first < j->n; first += batch) {
        int n = j->n - first < batch ? j->n - first : batch;

        if ((rc = make_codes(j, first, n, pixels, codes, err)) < 0)
            break;
        omq_exec_forward(x, how->precision, OMQ_MODE_FROZEN, codes, n, 0);
        answer(j, first, n, omq_exec_logits(x));
    }
    omq_exec_close(x);
    free(pixels);
    free(codes);
    return rc;
}

static int add_up(const struct job *j, struct omq_eval_counts *out, uint32_t *confusion,
                  struct omq_err *err)
{
    struct omq_eval_counts sum = {0};
    size_t n_classes = (size_t)j->net->n_classes;

    if (confusion)
        memset(confusion, 0, sizeof(*confusion) * n_classes * n_classes);
    for (int i = 0; i < j->n; i++) {
        const struct omq_answer *a = &j->answers[i];

        if (a->rank == NO_ANSWER) {
            sum.skipped++;
            continue;
        }
        sum.samples++;
        sum.top1 += a->rank < 1;
        sum.top5 += a->rank < 5;
        sum.loss += a->loss;
        if (confusion)
            confusion[j->ds->labels[number(j, i)] * n_classes + (size_t)a->predicted]++;
    }
    if (sum.samples == 0)
        return omq_fail(err, OMQ_EFORMAT, "all %d images are damaged", sum.skipped);
    sum.loss /= sum.samples;
    *out = sum;
    return OMQ_OK;
}

static bool is_float(const struct omq_net *net, const struct omq_eval_how *how)
{
    return !how->layer_precision && omq_precision_is_float(net->precisions[how->precision]);
}

int omq_eval_net_how(const struct omq_net *net, const struct omq_eval_how *how,
                     const struct omq_dataset *ds, struct omq_pool *pool,
                     struct omq_eval_counts *out, struct omq_err *err)
{
    struct job j = {.net = net, .ds = ds, .n = ds->n, .logits = how->logits,
                    .image = (size_t)ds->height * (size_t)ds->width * (size_t)ds->channels};
    int rc;

    if (how->precision < 0 || how->precision >= net->n_precisions || how->batch < 1)
        return omq_fail(err, OMQ_EARG, "cannot evaluate precision number %d in batches of %d",
                        how->precision, how->batch);
    if ((rc = check_shape(net, ds, err)) < 0)
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
        rc = add_up(&j, out, how->confusion, err);
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
