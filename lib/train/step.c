/* SPDX-License-Identifier: MIT
 *
 * The joint step: several precisions, each on a batch of its own or all on one,
 * their gradients added, one update. Every precision learns from the labels; on
 * one batch a share may follow the output of the highest one, or of the next
 * higher one that the step has. Where only views learn the shared parameters stay.
 */
#include "train/train_internal.h"

#include <stdio.h>

static int diverged(const struct omq_train *t, const char *what, const char *where,
                    struct omq_err *err)
{
    return omq_fail(err, OMQ_EDIVERGED, "%s is not finite at epoch %d step %d, in '%s': %stry a "
                    "smaller train.lr", what, t->at.epoch + 1, t->at.step + 1, where,
                    t->has_checkpoint ? "the last checkpoint was kept; " : "");
}

/* The loss of one precision. */
static int loss_diverged(const struct omq_train *t, int precision, struct omq_err *err)
{
    char name[16], what[48];

    snprintf(what, sizeof(what), "the loss of %s",
             omq_precision_name(t->net.precisions[precision], name));
    return diverged(t, what, omq_exec_find_nonfinite(t->exec), err);
}

/* The layer nearest to the output whose gradient is not finite: where it began. */
static const char *find_gradient(const struct omq_net *net)
{
    for (int i = net->n_params; i-- > 0;) {
        const struct omq_param *p = &net->params[i];

        for (size_t j = 0; p->precision < 0 && p->grad && j < p->n; j++)
            if (!isfinite(p->grad[j]))
                return p->name;
    }
    return "a batch norm or step";
}

static double loss_weight(const struct omq_train_config *cfg, int precision)
{
    return cfg->n_loss_weights ? cfg->loss_weights[precision] : 1;
}

/* The running statistics follow the weights equally fast at every precision:
 * one that is drawn once in n steps makes up for n. */
static double bn_momentum(const struct omq_train *t, int precision)
{
    int rank = 0;

    if (omq_schedule_stage(&t->schedule, t->at.epoch) != OMQ_STAGE_TOGETHER)
        return t->config.train.bn_momentum; /* in every step */
    while (t->schedule.order[rank] != precision)
        rank++;
    return 1 - pow(1 - t->config.train.bn_momentum, 1 / t->schedule.share[rank]);
}

/* Forward, loss and backward of one precision; a teacher leaves its
 * probabilities for those after it. */
static int one_precision(struct omq_train *t, const struct omq_batch *b, int precision,
                         bool is_teacher, bool has_teacher, struct omq_err *err)
{
    const struct omq_train_config *cfg = &t->config.train;
    const struct omq_targets targets = {
        .labels = b->labels, .own = b->own, .smoothing = cfg->label_smoothing,
        .teacher = has_teacher ? t->teacher : NULL, .distill = cfg->distill,
    };
    double loss;

    omq_exec_forward(t->exec, precision, OMQ_MODE_TRAIN, b->codes, b->n,
                     bn_momentum(t, precision));
    loss = omq_loss(b->n, t->net.n_classes, omq_exec_logits(t->exec), &targets,
                    loss_weight(cfg, precision), t->dlogits, is_teacher ? t->teacher : NULL,
                    t->row);
    if (!isfinite(loss))
        return loss_diverged(t, precision, err);
    omq_exec_backward(t->exec, t->dlogits);
    t->at.loss_sum[precision] += loss;
    t->at.loss_count[precision]++;
    return OMQ_OK;
}

/* ---- batches of the others ----
 *
 * A second loader goes through the images in orders of its own, as often as all
 * precisions but the highest take a batch, widths_per_step - 1 times a step:
 * that many a step are taken from it whether there is a precision for each or
 * not, so that its place follows from that of the run. */

static int others_per_step(const struct omq_train *t)
{
    return t->schedule.widths[OMQ_STAGE_TOGETHER] - 1;
}

void omq_train_start(struct omq_train *t)
{
    int64_t batches = omq_loader_batches(t->loader), taken;
    int epoch = t->at.epoch - t->schedule.epochs[OMQ_STAGE_HIGHEST];

    omq_loader_start(t->loader, t->at.epoch, t->at.step);
    if (!t->others || omq_schedule_stage(&t->schedule, t->at.epoch) != OMQ_STAGE_TOGETHER)
        return;
    taken = (epoch * batches + t->at.step) * others_per_step(t);
    t->others_epoch = (int)(taken / batches);
    omq_loader_start(t->others, t->others_epoch, (int)(taken % batches));
}

static int next_of_others(struct omq_train *t, struct omq_batch *b, struct omq_err *err)
{
    int rc;

    while ((rc = omq_loader_next(t->others, b, &t->wait_s, err)) == 0)
        omq_loader_start(t->others, ++t->others_epoch, 0);
    return rc;
}

/* ---- a step ---- */

/* The gradients of the chosen. Views do not meet in what they learn: they can have one
 * batch, and no teacher is among them. */
static int learn(struct omq_train *t, const struct omq_batch *batch, const int *chosen, int n,
                 struct omq_err *err)
{
    const struct omq_train_config *cfg = &t->config.train;
    bool together = omq_schedule_stage(&t->schedule, t->at.epoch) == OMQ_STAGE_TOGETHER;
    bool taught = together && cfg->distill > 0;
    struct omq_batch own = *batch;
    int rc;

    for (int i = 0; i < n; i++) {
        if (i > 0 && together && t->others && (rc = next_of_others(t, &own, err)) < 0)
            return rc;
        rc = one_precision(t, &own, chosen[i],
                           taught && (i == 0 || cfg->teacher == OMQ_TEACHER_NEXT),
                           taught && i > 0, err);
        if (rc < 0)
            return rc;
    }
    for (int i = n; together && t->others && i <= others_per_step(t); i++)
        if ((rc = next_of_others(t, &own, err)) < 0)
            return rc;
    return OMQ_OK;
}

int omq_train_step(struct omq_train *t, const struct omq_batch *batch, struct omq_err *err)
{
    const struct omq_train_config *cfg = &t->config.train;
    const int batches = omq_loader_batches(t->loader);
    const uint32_t number = (uint32_t)t->at.epoch * (uint32_t)batches + (uint32_t)t->at.step;
    struct omq_learners which = {.shared = true};
    int chosen[OMQ_MAX_PRECISIONS], n, rc;
    double norm;

    n = omq_schedule_choose(&t->schedule, t->config.seed, t->at.epoch, number, chosen);
    for (int i = 0; i < n; i++)
        which.precision[chosen[i]] = true;
    omq_optim_zero_grad(&t->optim, &t->net, t->pool, &which);
    if ((rc = learn(t, batch, chosen, n, err)) < 0)
        return rc;
    which.shared = omq_schedule_stage(&t->schedule, t->at.epoch) != OMQ_STAGE_VIEWS;
    norm = omq_optim_grad_norm(&t->optim, &t->net, t->pool, &which);
    if (!isfinite(norm))
        return diverged(t, "a gradient", find_gradient(&t->net), err);
    omq_optim_step(&t->optim, &t->net, t->pool, cfg, t->config.quant.offset_decay,
                   omq_schedule_lr(&t->schedule, cfg, t->at.epoch, (double)t->at.step / batches),
                   cfg->clip_norm > 0 && norm > cfg->clip_norm ? cfg->clip_norm / norm : 1,
                   &which);
    for (int i = 0; i < n; i++)
        for (int site = 0; site < t->net.plan.n_sites; site++)
            omq_net_bound_step(&t->net, chosen[i], site);
    return OMQ_OK;
}
