/* SPDX-License-Identifier: MIT
 *
 * What is done to whole precisions before, between and after the steps.
 */
#include "train/train_internal.h"

#include <string.h>

static int first_batch(struct omq_train *t, bool highest_too, struct omq_err *err)
{
    struct omq_batch batch;
    int rc;

    omq_loader_start(t->loader, 0, 0);
    rc = omq_loader_next(t->loader, &batch, NULL, err);
    if (rc <= 0)
        return rc; /* never 0: the loader refuses sets smaller than a batch */
    for (int p = 0; p < t->net.n_precisions; p++)
        if (highest_too || p != t->order[0])
            omq_exec_forward(t->exec, p, OMQ_MODE_TRAIN, batch.codes, batch.n, 1);
    return OMQ_OK;
}

int omq_train_initialize(struct omq_train *t, struct omq_err *err)
{
    return first_batch(t, true, err);
}

/* ---- stages ---- */

bool omq_train_has_view(const struct omq_train *t, int precision)
{
    for (int l = 0; l < t->net.plan.n_layers; l++)
        if (omq_net_layer(&t->net, precision, l)->offset)
            return true;
    return false;
}

int omq_train_stage_widths(const struct omq_train *t, enum omq_stage stage)
{
    int k = t->config.train.widths_per_step, n = 0;

    switch (stage) {
    case OMQ_STAGE_HIGHEST: return 1;
    case OMQ_STAGE_TOGETHER: return k == 0 ? t->net.n_precisions : k;
    case OMQ_STAGE_VIEWS:
        for (int p = 0; p < t->net.n_precisions; p++)
            n += omq_train_has_view(t, p);
    }
    return n;
}

/* One precision alone shares nothing: it needs no stages. */
int omq_train_stage_epochs(const struct omq_train *t, enum omq_stage stage)
{
    const struct omq_train_config *cfg = &t->config.train;
    bool alone = t->net.n_precisions == 1;
    int first = alone ? 0 : omq_config_highest_epochs(cfg);

    switch (stage) {
    case OMQ_STAGE_HIGHEST: return first;
    case OMQ_STAGE_TOGETHER: return cfg->epochs - first;
    case OMQ_STAGE_VIEWS: break;
    }
    if (alone || omq_train_stage_widths(t, stage) == 0)
        return 0;
    return (int)(cfg->views_last * cfg->epochs + 1e-9);
}

int omq_train_epochs(const struct omq_train *t)
{
    return t->config.train.epochs + omq_train_stage_epochs(t, OMQ_STAGE_VIEWS);
}

enum omq_stage omq_train_stage(const struct omq_train *t, int epoch)
{
    if (epoch < omq_train_stage_epochs(t, OMQ_STAGE_HIGHEST))
        return OMQ_STAGE_HIGHEST;
    return epoch < t->config.train.epochs ? OMQ_STAGE_TOGETHER : OMQ_STAGE_VIEWS;
}

double omq_train_lr(const struct omq_train *t, int epoch, int step)
{
    const struct omq_train_config *cfg = &t->config.train;
    double done = epoch + (double)step / omq_loader_batches(t->loader);

    if (omq_train_stage(t, epoch) != OMQ_STAGE_VIEWS)
        return omq_schedule_lr(cfg, done);
    return omq_schedule_views_lr(cfg, (done - cfg->epochs) /
                                          omq_train_stage_epochs(t, OMQ_STAGE_VIEWS));
}

/* ---- between stages, and after ---- */

/* 0 means "not yet initialized"; a step that precisions share stays. */
static void forget(struct omq_param *p)
{
    if (p && p->precision >= 0)
        memset(p->value, 0, sizeof(omq_real) * p->n);
}

int omq_train_spread(struct omq_train *t, struct omq_err *err)
{
    const struct omq_net *net = &t->net;

    for (int p = 0; p < net->n_precisions; p++) {
        if (p == t->order[0])
            continue;
        for (int l = 0; l < net->plan.n_layers; l++) {
            const struct omq_layer_params *from = omq_net_layer(net, t->order[0], l);
            const struct omq_layer_params *to = omq_net_layer(net, p, l);

            omq_param_copy(from->gamma, to->gamma);
            omq_param_copy(from->beta, to->beta);
            forget(to->wstep);
        }
        for (int s = 0; s < net->plan.n_sites; s++)
            forget(omq_net_site(net, p, s));
    }
    return first_batch(t, false, err);
}

/* Running statistics trail the weights, and average over few batches: the more
 * so the fewer bits there are and the more seldom a precision is drawn. Yu and
 * Huang (ICCV 2019) take them anew when training is done. */
int omq_train_recalibrate(struct omq_train *t, int n, const bool *chosen,
                          const volatile sig_atomic_t *stop, struct omq_err *err)
{
    struct omq_batch batch;
    int rc = OMQ_OK;

    /* An epoch in which no shared weight learns, with an order and augmentation of its
     * own. Blends of two images vary less than images do, which is what a test will bring. */
    omq_loader_set_mixing(t->loader, false);
    omq_loader_start(t->loader, t->config.train.epochs, 0);
    for (int i = 0; i < n && !(stop && *stop); i++) {
        rc = omq_loader_next(t->loader, &batch, NULL, err);
        if (rc <= 0)
            break;
        for (int p = 0; p < t->net.n_precisions; p++)
            if (!chosen || chosen[p])
                omq_exec_forward(t->exec, p, OMQ_MODE_TRAIN, batch.codes, batch.n,
                                 1.0 / (i + 1));
    }
    omq_loader_set_mixing(t->loader, true);
    return rc < 0 ? rc : OMQ_OK;
}

/* Statistics of precisions whose views learned last follow their weights once more;
 * those of the others have not moved since. */
int omq_train_finish_epoch(struct omq_train *t, const volatile sig_atomic_t *stop,
                           struct omq_err *err)
{
    const int n = t->config.train.bn_batches, epoch = t->epoch + 1;
    bool views[OMQ_MAX_PRECISIONS];
    int rc = OMQ_OK;

    if (omq_train_stage(t, t->epoch) == OMQ_STAGE_HIGHEST)
        rc = omq_train_spread(t, err);
    if (rc < 0 || (epoch != t->config.train.epochs && epoch != omq_train_epochs(t)))
        return rc;
    for (int p = 0; p < t->net.n_precisions; p++)
        views[p] = omq_train_has_view(t, p);
    return omq_train_recalibrate(t, n, epoch > t->config.train.epochs ? views : NULL, stop, err);
}
