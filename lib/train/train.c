/* SPDX-License-Identifier: MIT
 *
 * The run: epochs of joint steps, an evaluation of every precision after each,
 * checkpoints, and the way out when asked to stop.
 */
#include "train/train_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define MAX_WAIT 0.05 /* share of an epoch's time that is not worth a word */

struct run {
    struct omq_train *t;
    const struct omq_train_callbacks *cb;
    const volatile sig_atomic_t *stop;
    struct omq_metrics metrics;
    double start;   /* when this process began to train */
    uint64_t done;  /* steps of this process */
    bool settled;   /* precisions that have no view are evaluated, and will not move again */
    struct {        /* the current epoch's, of this process */
        double start, end; /* of its steps; end 0: not yet */
        int done;
    } epoch;
};

static void note(const struct run *r, const char *line)
{
    if (r->cb && r->cb->log)
        (r->cb->log)(r->cb->ctx, line); /* not the macro of <tgmath.h> */
}

/* Each line of the text is a note. */
static void note_lines(const struct run *r, const char *text)
{
    char line[1024];

    while (*text) {
        size_t n = strcspn(text, "\n");

        snprintf(line, sizeof(line), "%.*s", (int)n, text);
        note(r, line);
        text += n + (text[n] == '\n');
    }
}

static bool asked_to_stop(const struct run *r) { return r->stop && *r->stop; }

static uint64_t steps_of_run(const struct omq_train *t)
{
    return (uint64_t)omq_train_epochs(t) * (uint64_t)omq_loader_batches(t->loader);
}

static uint64_t steps_so_far(const struct omq_train *t)
{
    return (uint64_t)t->epoch * (uint64_t)omq_loader_batches(t->loader) + (uint64_t)t->step;
}

/* How much computation the first n steps of a run are: a step of k precisions is k. */
static double work_of(const struct omq_train *t, uint64_t n)
{
    uint64_t batches = (uint64_t)omq_loader_batches(t->loader);
    double work = 0;

    for (int s = OMQ_STAGE_HIGHEST; s <= OMQ_STAGE_VIEWS; s++) {
        uint64_t steps = (uint64_t)omq_train_stage_epochs(t, (enum omq_stage)s) * batches;

        steps = n < steps ? n : steps;
        work += (double)steps * omq_train_stage_widths(t, (enum omq_stage)s);
        n -= steps;
    }
    return work;
}

/* Epoch `epoch` of which `step` steps are done; epoch 0: before the first. */
static void progress(const struct run *r, int epoch, int step, struct omq_train_progress *p)
{
    const struct omq_train *t = r->t;
    double now = omq_now(), sum = 0;
    double trained = (r->epoch.end > 0 ? r->epoch.end : now) - r->epoch.start;
    int batches = omq_loader_batches(t->loader), counted = 0;
    uint64_t at = epoch > 0 ? (uint64_t)(epoch - 1) * (uint64_t)batches + (uint64_t)step : 0;

    *p = (struct omq_train_progress){
        .epoch = epoch, .n_epochs = omq_train_epochs(t), .step = step, .n_steps = batches,
        .lr = epoch > 0 ? omq_train_lr(t, epoch - 1, step) : 0,
        .elapsed_s = now - r->start, .left_s = -1, .n_precisions = t->net.n_precisions,
    };
    if (r->epoch.done && trained > 0)
        p->images_per_s = (double)r->epoch.done * t->config.train.batch_size / trained;
    if (r->done)
        p->left_s = p->elapsed_s * (work_of(t, steps_of_run(t)) - work_of(t, at)) /
                    (work_of(t, at) - work_of(t, at - r->done));
    for (int i = 0; i < t->net.n_precisions; i++) {
        struct omq_train_precision *q = &p->precisions[i];
        const struct omq_result *result = &t->info.results[i];

        omq_precision_name(t->net.precisions[i], q->name);
        q->loss = t->loss_count[i] ? t->loss_sum[i] / (double)t->loss_count[i] : NAN;
        q->top1 = result->known ? result->top1 : NAN;
        q->eval_loss = result->known ? result->loss : NAN;
        if (t->loss_count[i]) {
            sum += q->loss;
            counted++;
        }
    }
    p->loss = counted ? sum / counted : NAN;
}

/* ---- evaluation ---- */

static void note_skipped(const struct run *r, int n)
{
    char line[120];

    snprintf(line, sizeof(line), "warning: %d damaged image%s left out of the evaluation", n,
             n == 1 ? "" : "s");
    note(r, line);
}

/* Every precision that may have moved. *mean gets the mean top-1; OMQ_ESTOPPED when asked to
 * stop. */
static int evaluate(struct run *r, double *mean, struct omq_err *err)
{
    struct omq_train *t = r->t;
    double sum = 0;
    int rc = OMQ_OK, skipped;

    for (int p = 0; rc == OMQ_OK && p < t->net.n_precisions; p++) {
        if (r->settled && !omq_train_has_view(t, p))
            continue;
        if (asked_to_stop(r))
            return OMQ_ESTOPPED;
        rc = omq_train_evaluate(t, p, &skipped, err);
        if (p == 0 && rc == OMQ_OK && skipped > 0)
            note_skipped(r, skipped);
    }
    for (int p = 0; p < t->net.n_precisions; p++)
        sum += t->info.results[p].top1;
    *mean = sum / t->net.n_precisions;
    r->settled = rc == OMQ_OK && omq_train_stage(t, t->epoch) == OMQ_STAGE_VIEWS;
    return rc;
}

/* ---- the loop ---- */

static int stopped(struct run *r, struct omq_err *err)
{
    int rc = omq_checkpoint_save(r->t, "last.omq", true, err);

    if (rc < 0)
        return rc;
    return omq_fail(err, OMQ_ESTOPPED, "stopped at epoch %d step %d; --resume continues from "
                    "'%s/last.omq'", r->t->epoch + 1, r->t->step, r->t->config.output_dir);
}

/* What is worth saying of the images of an epoch that took so many seconds. */
static void note_images(const struct run *r, double seconds)
{
    struct omq_train *t = r->t;
    struct omq_loader *const loaders[] = {t->loader, t->others};
    char line[700], first[560] = "";
    const char *why;
    int n = 0;

    for (int i = 0; i < 2 && loaders[i]; i++) {
        n += omq_loader_take_skipped(loaders[i], &why);
        if (*why && !*first)
            snprintf(first, sizeof(first), "%s", why);
    }
    if (n > 0) {
        snprintf(line, sizeof(line), "warning: %d damaged image%s in epoch %d, others took their "
                 "place: %s", n, n == 1 ? "" : "s", t->epoch + 1, first);
        note(r, line);
    }
    if (t->wait_s > MAX_WAIT * seconds && t->wait_s > 1) {
        snprintf(line, sizeof(line), "waited for images during %.0f %% of epoch %d: a larger "
                 "data.workers may help", 100 * t->wait_s / seconds, t->epoch + 1);
        note(r, line);
    }
}

static int train_epoch(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    struct omq_train_progress p;
    struct omq_batch batch;
    int rc;

    t->wait_s = 0;
    r->epoch.start = omq_now();
    r->epoch.end = r->epoch.done = 0;
    omq_train_start(t);
    while ((rc = omq_loader_next(t->loader, &batch, &t->wait_s, err)) > 0) {
        if ((rc = omq_train_step(t, &batch, err)) < 0)
            return rc;
        t->step++;
        r->done++;
        r->epoch.done++;
        if (r->cb && r->cb->step) {
            progress(r, t->epoch + 1, t->step, &p);
            r->cb->step(r->cb->ctx, &p);
        }
        if (asked_to_stop(r))
            return stopped(r, err);
    }
    r->epoch.end = omq_now();
    if (rc == 0)
        note_images(r, r->epoch.end - r->epoch.start);
    return rc;
}

static bool is_due(const struct omq_train *t, int every)
{
    return (t->epoch + 1) % every == 0 || t->epoch + 1 == omq_train_epochs(t);
}

/* What an epoch that is not evaluated has: metrics are not to repeat what an earlier one had. */
static void forget_evaluation(struct omq_train_progress *p)
{
    for (int i = 0; i < p->n_precisions; i++)
        p->precisions[i].top1 = p->precisions[i].eval_loss = NAN;
}

/* In this order: where a run is complete there is its model, which others may have
 * switched or recalibrated since, and which is not to be written again. */
static int save_complete(struct omq_train *t, struct omq_err *err)
{
    int rc = omq_checkpoint_save(t, "model.omq", false, err);

    return rc < 0 ? rc : omq_checkpoint_save(t, "last.omq", true, err);
}

static int save_best(struct run *r, double mean, struct omq_err *err)
{
    struct omq_train *t = r->t;

    /* without held-out images there is nothing honest to choose by */
    if (t->config.data.validation > 0 && mean <= t->best)
        return OMQ_OK;
    t->best = mean;
    return omq_checkpoint_save(t, "best.omq", false, err);
}

/* After an epoch's steps. A stop in what follows them leaves the position at their
 * end, from where a resumed run does all of it again. */
static int end_epoch(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    const char *split = t->config.data.validation > 0 ? "validation" : "test";
    bool evaluated = is_due(t, t->config.train.eval_every);
    struct omq_train_progress p;
    double mean = 0;
    int rc;

    if ((rc = omq_train_finish_epoch(t, r->stop, err)) < 0)
        return rc;
    if (asked_to_stop(r))
        return stopped(r, err);
    rc = evaluated ? evaluate(r, &mean, err) : OMQ_OK;
    if (rc < 0)
        return rc == OMQ_ESTOPPED ? stopped(r, err) : rc;
    progress(r, t->epoch + 1, t->step, &p);
    if (!evaluated)
        forget_evaluation(&p);
    if ((rc = omq_metrics_add(&r->metrics, &p, steps_so_far(t), split, err)) < 0)
        return rc;
    t->epoch++;
    t->step = 0;
    memset(t->loss_sum, 0, sizeof(t->loss_sum));
    memset(t->loss_count, 0, sizeof(t->loss_count));
    if (evaluated && (rc = save_best(r, mean, err)) < 0)
        return rc;
    if (t->epoch == omq_train_epochs(t))
        rc = save_complete(t, err);
    else if (t->epoch % t->config.train.save_every == 0)
        rc = omq_checkpoint_save(t, "last.omq", true, err);
    if (rc < 0)
        return rc;
    if ((rc = omq_metrics_write(&r->metrics, t->config.output_dir, err)) < 0)
        return rc;
    if (r->cb && r->cb->epoch)
        r->cb->epoch(r->cb->ctx, &p);
    return OMQ_OK;
}

/* ---- without epochs ---- */

/* Nothing is written before all is done, so a stop leaves what was there. */
static int calibrate(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    const char *split = t->config.data.validation > 0 ? "validation" : "test";
    struct omq_train_progress p;
    double mean;
    int rc = omq_train_calibrate(t, r->cb, r->stop, err);

    if (rc < 0)
        return rc;
    if ((rc = evaluate(r, &mean, err)) < 0)
        return rc == OMQ_ESTOPPED ? omq_calibration_stopped(err) : rc;
    progress(r, 0, 0, &p);
    if ((rc = omq_metrics_add(&r->metrics, &p, 0, split, err)) < 0 ||
        (rc = save_complete(t, err)) < 0 ||
        (rc = omq_metrics_write(&r->metrics, t->config.output_dir, err)) < 0)
        return rc;
    if (r->cb && r->cb->epoch)
        r->cb->epoch(r->cb->ctx, &p);
    return OMQ_OK;
}

/* ---- begin ---- */

static int resume(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    int rc = omq_checkpoint_load(t, err);

    if (rc < 0)
        return rc;
    if (t->saved_threads != omq_pool_threads(t->pool))
        note(r, "warning: the run was begun with another number of threads, and will not repeat "
                "bit for bit");
    if (t->data_changed)
        note(r, "warning: the training images are not those that the run was begun with");
    note_lines(r, t->changes);
    return OMQ_OK;
}

static bool is_there(const struct omq_train *t, const char *name)
{
    char *path = omq_path_join(t->config.output_dir, name);
    bool there = path && access(path, F_OK) == 0;

    free(path);
    return there;
}

/* Refuses to mix runs before anything is created. */
static int check_output(const struct omq_train *t, bool resuming, bool force, struct omq_err *err)
{
    bool there = is_there(t, "last.omq");

    if (resuming && !there)
        return omq_fail(err, OMQ_ECONFIG, "there is no '%s/last.omq' to resume from",
                        t->config.output_dir);
    if (there && !resuming && !force)
        return omq_fail(err, OMQ_ECONFIG, "'%s' already holds a run: --resume continues it, "
                        "--force starts again", t->config.output_dir);
    return OMQ_OK;
}

/* Where weights came in, every precision begins calibrated from them. */
static int begin(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    int rc = omq_train_settle_norms(t, err);

    if (rc < 0)
        return rc;
    if (t->config.train.epochs == 0) {
        if (!t->has_weights)
            note(r, "warning: there is no init: random weights are calibrated");
        return calibrate(r, err);
    }
    return t->has_weights ? omq_train_calibrate(t, r->cb, r->stop, err)
                          : omq_train_initialize(t, err);
}

static int run(struct run *r, bool resuming, struct omq_err *err)
{
    struct omq_train *t = r->t;
    int rc;

    t->resuming = resuming;
    rc = omq_train_prepare(t, err);
    note_lines(r, omq_train_weights_said(r->t));
    if (rc < 0 || (resuming && (rc = resume(r, err)) < 0) ||
        (rc = omq_make_dirs(t->config.output_dir, err)) < 0 ||
        (rc = omq_metrics_open(&r->metrics, t->config.output_dir,
                               resuming ? steps_so_far(t) - (t->step > 0) : 0, err)) < 0)
        return rc;
    r->start = omq_now();
    if (!resuming && (rc = begin(r, err)) < 0)
        return rc;
    while (t->epoch < omq_train_epochs(t)) {
        if ((rc = train_epoch(r, err)) < 0 || (rc = end_epoch(r, err)) < 0)
            return rc;
        if (t->epoch < omq_train_epochs(t) && asked_to_stop(r))
            return stopped(r, err);
    }
    return is_there(t, "model.omq") ? OMQ_OK : omq_checkpoint_save(t, "model.omq", false, err);
}

int omq_train_run(struct omq_train *t, bool resuming, bool force,
                  const struct omq_train_callbacks *cb, const volatile sig_atomic_t *stop,
                  struct omq_err *err)
{
    struct run r = {.t = t, .cb = cb, .stop = stop};
    int rc = check_output(t, resuming, force, err);

    if (rc < 0)
        return rc;
    rc = run(&r, resuming, err);
    omq_metrics_release(&r.metrics);
    return rc;
}
