/* SPDX-License-Identifier: MIT */
#include "train/train_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* The next batch, from epoch to epoch without end. */
static int next_batch(struct omq_train *t, struct omq_batch *b, struct omq_err *err)
{
    int rc;

    while ((rc = omq_loader_next(t->loader, b, &t->wait_s, err)) == 0) {
        if (t->at.epoch + 1 < t->config.train.epochs) /* stages after it are not timed */
            t->at.epoch++;
        t->at.step = 0;
        omq_loader_start(t->loader, t->at.epoch, 0);
    }
    return rc;
}

static int measure(struct omq_train *t, int n_steps, double *ms, struct omq_err *err)
{
    struct omq_batch batch;
    int rc;

    if (t->schedule.epochs[OMQ_STAGE_TOGETHER] > 0) /* not the highest precision alone */
        t->at.epoch = t->schedule.epochs[OMQ_STAGE_HIGHEST];
    omq_train_start(t);
    for (int i = -3; i < n_steps; i++) { /* three steps to warm up */
        double start;

        if (i == 0) {
            omq_exec_take_times(t->exec);
            t->wait_s = 0;
        }
        start = omq_now();
        if ((rc = next_batch(t, &batch, err)) < 0)
            return rc;
        if ((rc = omq_train_step(t, &batch, err)) < 0)
            return rc;
        t->at.step++;
        if (i >= 0)
            ms[i] = 1e3 * (omq_now() - start);
    }
    return OMQ_OK;
}

int omq_train_bench(struct omq_train *t, int n_steps, struct omq_train_bench *out,
                    struct omq_err *err)
{
    struct omq_exec_times times;
    struct omq_times step;
    double *ms, total = 0;
    int rc;

    if (n_steps < 1 || n_steps > 1000000)
        return omq_fail(err, OMQ_EARG, "cannot time %d steps: the range is 1 to 1000000", n_steps);
    if (t->config.train.epochs == 0)
        return omq_fail(err, OMQ_ECONFIG, "there are no training steps to time: train.epochs is 0");
    if ((rc = omq_train_prepare(t, err)) < 0)
        return rc;
    ms = calloc((size_t)n_steps, sizeof(*ms));
    if (!ms)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the times of %d steps", n_steps);
    if ((rc = measure(t, n_steps, ms, err)) < 0)
        goto out;
    times = omq_exec_take_times(t->exec);
    for (int i = 0; i < n_steps; i++)
        total += ms[i] / 1e3;
    step = omq_times_of(ms, n_steps);
    *out = (struct omq_train_bench){
        .step_ms = step.median, .ms_p10 = step.p10, .ms_p90 = step.p90,
        .images_per_s = 1e3 * t->config.train.batch_size / step.median,
        .conv = times.conv / total, .dx = times.dx / total, .dw = times.dw / total,
        .quant = times.quant / total, .norm = times.norm / total,
        .wait = t->wait_s / total,
        .other = 1 - (times.conv + times.dx + times.dw + times.quant + times.norm + t->wait_s) /
                     total,
        .batch_size = t->config.train.batch_size, .threads = omq_pool_threads(t->pool),
    };
    omq_precision_list(t->net.precisions, t->net.n_precisions, out->widths, sizeof(out->widths));
    snprintf(out->kernel, sizeof(out->kernel), "%s", omq_isa_name(omq_kern_isa()));
out:
    free(ms);
    return rc;
}
