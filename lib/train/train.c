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

#include "base/clock.h"

#define MAX_WAIT 0.05 /* share of an epoch's time that is not worth a word */

_Static_assert((int)OMQ_TOOLS_MAX_PRECISIONS == (int)OMQ_MAX_PRECISIONS, "one limit");

struct run {
    struct omq_train *t;
    const struct omq_train_callbacks *cb;
    const volatile sig_atomic_t *stop;
    struct omq_metrics metrics;
    int held;       /* the folder; -1: not yet */
    double start;   /* when this process began to train */
    uint64_t done;  /* steps of this process */
    bool settled;   /* precisions that have no view are evaluated, and will not move again */
    struct {        /* the current epoch's, of this process */
        double start, end; /* of its steps; end 0: not yet */
        int done;
    } epoch;
};

static bool asked_to_stop(const struct run *r) { return r->stop && *r->stop; }

static uint64_t steps_of_run(const struct omq_train *t)
{
    return (uint64_t)omq_schedule_epochs(&t->schedule) * (uint64_t)omq_loader_batches(t->loader);
}

static uint64_t steps_so_far(const struct omq_train *t)
{
    return (uint64_t)t->at.epoch * (uint64_t)omq_loader_batches(t->loader) + (uint64_t)t->at.step;
}

/* How much computation the first n steps of a run are: a step of k precisions is k. */
static double work_of(const struct omq_train *t, uint64_t n)
{
    uint64_t batches = (uint64_t)omq_loader_batches(t->loader);
    double work = 0;

    for (int s = 0; s < OMQ_N_STAGES; s++) {
        uint64_t steps = (uint64_t)t->schedule.epochs[s] * batches;

        steps = n < steps ? n : steps;
        work += (double)steps * t->schedule.widths[s];
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
        .epoch = epoch, .n_epochs = omq_schedule_epochs(&t->schedule),
        .step = step, .n_steps = batches, .lr = NAN,
        .elapsed_s = now - r->start, .left_s = -1, .n_precisions = t->net.n_precisions,
    };
    if (epoch > 0)
        p->lr = omq_schedule_lr(&t->schedule, &t->config.train, epoch - 1,
                                (double)(step > 0 ? step - 1 : 0) / batches);
    if (r->epoch.done && trained > 0)
        p->images_per_s = (double)r->epoch.done * t->config.train.batch_size / trained;
    if (r->done)
        p->left_s = p->elapsed_s * (work_of(t, steps_of_run(t)) - work_of(t, at)) /
                    (work_of(t, at) - work_of(t, at - r->done));
    for (int i = 0; i < t->net.n_precisions; i++) {
        struct omq_train_precision *q = &p->precisions[i];
        const struct omq_result *result = &t->info.results[i];

        omq_precision_name(t->net.precisions[i], q->name);
        q->loss = t->at.loss_count[i] ? t->at.loss_sum[i] / (double)t->at.loss_count[i] : NAN;
        q->top1 = result->known ? result->top1 : NAN;
        q->eval_loss = result->known ? result->loss : NAN;
        if (t->at.loss_count[i]) {
            sum += q->loss;
            counted++;
        }
    }
    p->loss = counted ? sum / counted : NAN;
}

/* ---- evaluation ---- */

/* Every precision that may have moved. *mean gets the mean top-1; OMQ_ESTOPPED when asked to
 * stop. */
static int evaluate(struct run *r, double *mean, struct omq_err *err)
{
    struct omq_train *t = r->t;
    double sum = 0;
    int rc = OMQ_OK, skipped;

    for (int p = 0; rc == OMQ_OK && p < t->net.n_precisions; p++) {
        if (r->settled && !t->schedule.has_view[p])
            continue;
        if (asked_to_stop(r))
            return OMQ_ESTOPPED;
        rc = omq_train_evaluate(t, p, &skipped, err);
        if (p == 0 && rc == OMQ_OK)
            omq_train_note_left_out(r->cb, skipped);
    }
    for (int p = 0; p < t->net.n_precisions; p++)
        sum += t->info.results[p].top1;
    *mean = sum / t->net.n_precisions;
    r->settled = rc == OMQ_OK && omq_schedule_stage(&t->schedule, t->at.epoch) == OMQ_STAGE_VIEWS;
    return rc;
}

/* ---- the loop ---- */

/* Of models that are not of this run as it stands: those of the one that it replaces, or its own
 * from when it had fewer epochs. */
static const char *from_before(const struct omq_train *t)
{
    const bool has_best = t->at.best < 0 && omq_folder_has(t->config.output_dir, "best.omq");

    if (!omq_folder_has(t->config.output_dir, "model.omq"))
        return has_best ? "; best.omq there is still the one from before" : "";
    return has_best ? "; model.omq and best.omq there are still those from before"
                    : "; model.omq there is still the one from before";
}

static int stopped(struct run *r, struct omq_err *err)
{
    const struct omq_train *t = r->t;
    int rc = omq_checkpoint_save(r->t, "last.omq", true, err);

    if (rc < 0)
        return rc;
    return omq_fail(err, OMQ_ESTOPPED, "stopped at epoch %d step %d; --resume continues from "
                    "'%.300s/last.omq'%s", t->at.epoch + 1, t->at.step, t->config.output_dir,
                    from_before(t));
}

/* What is worth saying of the images of an epoch that took so many seconds. */
static void note_images(const struct run *r, double seconds)
{
    struct omq_train *t = r->t;
    char epoch[32];

    snprintf(epoch, sizeof(epoch), "epoch %d", t->at.epoch + 1);
    omq_train_note_replaced(r->cb, t->loader, t->others, epoch);
    if (t->wait_s > MAX_WAIT * seconds && t->wait_s > 1)
        omq_train_note(r->cb, "waited for images during %.0f %% of epoch %d: a larger data.workers "
                       "may help", 100 * t->wait_s / seconds, t->at.epoch + 1);
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
        t->at.step++;
        r->done++;
        r->epoch.done++;
        if (r->cb && r->cb->step) {
            progress(r, t->at.epoch + 1, t->at.step, &p);
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
    return (t->at.epoch + 1) % every == 0 || t->at.epoch + 1 == omq_schedule_epochs(&t->schedule);
}

/* What an epoch that is not evaluated has: metrics are not to repeat what an earlier one had. */
static void forget_evaluation(struct omq_train_progress *p)
{
    for (int i = 0; i < p->n_precisions; i++)
        p->precisions[i].top1 = p->precisions[i].eval_loss = NAN;
}

/* Before checkpoints: a resumed run drops rows of epochs that its checkpoint has not
 * got, and could not make those that it lacks. */
static int keep_metrics(struct run *r, const struct omq_train_progress *p, uint64_t step,
                        struct omq_err *err)
{
    const struct omq_config *c = &r->t->config;
    const char *split = c->data.validation > 0 ? "validation" : "test";
    int rc = omq_metrics_add(&r->metrics, p, step, split, err);

    return rc < 0 ? rc : omq_metrics_write(&r->metrics, c->output_dir, err);
}

/* After an epoch's steps. A stop in what follows them leaves the position at their
 * end, from where a resumed run does all of it again. */
static int end_epoch(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    bool evaluated = is_due(t, t->config.train.eval_every);
    struct omq_train_progress p;
    double mean = 0;
    int rc;

    if ((rc = omq_train_finish_epoch(t, r->stop, err)) < 0)
        return rc;
    if ((rc = omq_net_check_values(&t->net, err)) < 0)
        return omq_wrap(err, rc, "epoch %d diverged%s; try a smaller train.lr", t->at.epoch + 1,
                        t->has_checkpoint ? ", the last checkpoint was kept" : "");
    omq_train_note_replaced(r->cb, t->loader, NULL, "the statistics of batch norm");
    if (asked_to_stop(r))
        return stopped(r, err);
    rc = evaluated ? evaluate(r, &mean, err) : OMQ_OK;
    if (rc < 0)
        return rc == OMQ_ESTOPPED ? stopped(r, err) : rc;
    progress(r, t->at.epoch + 1, t->at.step, &p);
    if (!evaluated)
        forget_evaluation(&p);
    if ((rc = keep_metrics(r, &p, steps_so_far(t), err)) < 0)
        return rc;
    t->at.epoch++;
    t->at.step = 0;
    memset(t->at.loss_sum, 0, sizeof(t->at.loss_sum));
    memset(t->at.loss_count, 0, sizeof(t->at.loss_count));
    if (evaluated && (rc = omq_folder_save_best(t, mean, err)) < 0)
        return rc;
    if (t->at.epoch == omq_schedule_epochs(&t->schedule))
        rc = omq_folder_save_complete(t, err);
    else if (t->at.epoch % t->config.train.save_every == 0)
        rc = omq_checkpoint_save(t, "last.omq", true, err);
    if (rc < 0)
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
    struct omq_train_progress p;
    double mean;
    int rc = omq_train_calibrate(t, r->cb, r->stop, err);

    if (rc < 0)
        return rc;
    if ((rc = evaluate(r, &mean, err)) < 0)
        return rc == OMQ_ESTOPPED ? omq_calibration_stopped(err) : rc;
    progress(r, 0, 0, &p);
    if ((rc = keep_metrics(r, &p, 0, err)) < 0 ||
        (rc = omq_folder_save_best(t, mean, err)) < 0 ||
        (rc = omq_folder_save_complete(t, err)) < 0)
        return rc;
    if (r->cb && r->cb->epoch)
        r->cb->epoch(r->cb->ctx, &p);
    return OMQ_OK;
}

/* ---- begin ---- */

/* The share of so many epochs that is n of them, rounded down, as it would be typed. */
static double share_of(int n, int epochs, double most, char text[24])
{
    snprintf(text, 24, "%.4g", n > 0 && epochs > 0 ? fmin((n + 0.5) / epochs, most) : 0.0);
    return strtod(text, NULL);
}

/* The options, none, one or two, with which a run of the schedule `was` could go on if
 * train.epochs were `epochs`; false if there are none. */
static bool find_way(const struct omq_train *t, const struct omq_schedule *was, int epochs,
                     char *buf, size_t size)
{
    enum { HIGHEST = 1, VIEWS = 2, BOTH = 3 };
    char first[24], last[24];
    const double highest = share_of(was->epochs[OMQ_STAGE_HIGHEST], epochs, 1, first);
    const double views = share_of(was->epochs[OMQ_STAGE_VIEWS], epochs, 10, last);

    for (int keys = 0; keys <= BOTH; keys++) {
        struct omq_train_config c = t->config.train;
        struct omq_schedule s;

        c.epochs = epochs;
        c.highest_first = keys & HIGHEST ? highest : c.highest_first;
        c.views_last = keys & VIEWS ? views : c.views_last;
        omq_schedule_init(&s, &c, &t->net);
        if (!omq_schedule_goes_on(&s, was, t->at.epoch, t->at.step))
            continue;
        snprintf(buf, size, "%s%s%s%s", keys & HIGHEST ? " --set train.highest_first=" : "",
                 keys & HIGHEST ? first : "", keys & VIEWS ? " --set train.views_last=" : "",
                 keys & VIEWS ? last : "");
        return true;
    }
    return false;
}

/* "2 epochs", "1 epoch and 3 steps" */
static void put_done(const struct omq_position *at, char *buf, size_t size)
{
    int n = snprintf(buf, size, "%d %s", at->epoch, at->epoch == 1 ? "epoch" : "epochs");

    if (at->step)
        snprintf(buf + n, size - (size_t)n, " and %d %s", at->step,
                 at->step == 1 ? "step" : "steps");
}

static int check_position(const struct omq_train *t, const struct omq_schedule *was,
                          struct omq_err *err)
{
    const char *dir = t->config.output_dir;
    const int epochs = t->config.train.epochs;
    const int had = was->epochs[OMQ_STAGE_HIGHEST] + was->epochs[OMQ_STAGE_TOGETHER];
    char done[64], way[128], as_it_was[200] = "";

    if (omq_schedule_goes_on(&t->schedule, was, t->at.epoch, t->at.step))
        return OMQ_OK;
    put_done(&t->at, done, sizeof(done));
    if (find_way(t, was, epochs, way, sizeof(way)))
        return omq_fail(err, OMQ_ECONFIG, "the run in '%.200s' has done %s, which would be "
                        "spent in another way now: add%s", dir, done, way);
    if (t->at.epoch < omq_schedule_epochs(was) && find_way(t, was, had, way, sizeof(way)))
        snprintf(as_it_was, sizeof(as_it_was), "add --set train.epochs=%d%s, or ", had, way);
    return omq_fail(err, OMQ_ECONFIG, "the run in '%.200s' has done %s and cannot go on with "
                    "train.epochs %d: %sbegin another run from its weights (--init FILE)", dir,
                    done, epochs, as_it_was);
}

/* What is other than it was when the checkpoint was written. */
static void note_changes(const struct run *r, const struct omq_earlier_run *earlier)
{
    if (earlier->threads != omq_pool_threads(r->t->pool))
        omq_train_note(r->cb, "warning: the run was begun with another number of threads, and will "
                       "not repeat bit for bit");
    if (earlier->other_data)
        omq_train_note(r->cb, "warning: the training images are not those that the run was begun "
                       "with");
}

static int resume(struct run *r, struct omq_err *err)
{
    struct omq_earlier_run earlier;
    int rc = omq_checkpoint_load(r->t, &earlier, err);

    if (rc == OMQ_OK && (rc = check_position(r->t, &earlier.schedule, err)) == OMQ_OK)
        note_changes(r, &earlier);
    if (earlier.changes) /* after a failure they may be why */
        omq_train_note_lines(r->cb, earlier.changes);
    free(earlier.changes);
    return rc;
}

/* Where weights came in, every precision begins calibrated from them; those that follow
 * the highest while that learns alone begin by it. */
static int begin(struct run *r, struct omq_err *err)
{
    struct omq_train *t = r->t;
    int rc = omq_train_settle_norms(t, err);

    if (rc < 0)
        return rc;
    if (t->config.train.epochs == 0) {
        if (!t->beginning.has_weights)
            omq_train_note(r->cb, "warning: there is no init: random weights are calibrated");
        return calibrate(r, err);
    }
    if (!t->beginning.has_weights)
        return omq_train_initialize(t, err);
    rc = omq_train_calibrate(t, r->cb, r->stop, err);
    if (rc == OMQ_OK && t->schedule.epochs[OMQ_STAGE_HIGHEST] > 0)
        rc = omq_train_spread(t, err);
    return rc;
}

/* In place of another run, whose checkpoint and rows are not for this one to go on from. */
static int replace(struct run *r, struct omq_err *err)
{
    int rc = omq_checkpoint_save(r->t, "last.omq", true, err);

    return rc < 0 ? rc : omq_metrics_write(&r->metrics, r->t->config.output_dir, err);
}

static int run(struct run *r, bool resuming, bool force, struct omq_err *err)
{
    struct omq_train *t = r->t;
    const char *dir = t->config.output_dir;
    int rc;

    t->beginning.resuming = resuming;
    rc = omq_train_prepare(t, err);
    omq_train_note_lines(r->cb, omq_train_weights_said(r->t));
    if (rc < 0 || (rc = omq_folder_hold(dir, resuming, force, &r->held, err)) < 0 ||
        (resuming && (rc = resume(r, err)) < 0) ||
        (rc = omq_metrics_open(&r->metrics, dir, resuming ? t->at.epoch : -1, err)) < 0)
        return rc;
    r->start = omq_now();
    if (!resuming && ((rc = begin(r, err)) < 0 ||
                      (t->config.train.epochs > 0 && omq_folder_has(dir, "last.omq") &&
                       (rc = replace(r, err)) < 0)))
        return rc;
    while (t->at.epoch < omq_schedule_epochs(&t->schedule)) {
        if ((rc = train_epoch(r, err)) < 0 || (rc = end_epoch(r, err)) < 0)
            return rc;
        if (t->at.epoch < omq_schedule_epochs(&t->schedule) && asked_to_stop(r))
            return stopped(r, err);
    }
    return omq_folder_has(dir, "model.omq") ? OMQ_OK
                                            : omq_checkpoint_save(t, "model.omq", false, err);
}

int omq_train_run(struct omq_train *t, bool resuming, bool force,
                  const struct omq_train_callbacks *cb, const volatile sig_atomic_t *stop,
                  struct omq_err *err)
{
    struct run r = {.t = t, .cb = cb, .stop = stop, .held = -1};
    int rc = omq_folder_check(t->config.output_dir, resuming, force, err);

    if (rc < 0)
        return rc;
    rc = run(&r, resuming, force, err);
    omq_folder_leave(&r.held);
    omq_metrics_release(&r.metrics);
    return rc;
}
