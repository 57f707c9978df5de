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
        if (highest_too || p != t->schedule.order[0])
            omq_exec_forward(t->exec, p, OMQ_MODE_TRAIN, batch.codes, batch.n, 1);
    return OMQ_OK;
}

int omq_train_initialize(struct omq_train *t, struct omq_err *err)
{
    return first_batch(t, true, err);
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
        if (p == t->schedule.order[0])
            continue;
        for (int l = 0; l < net->plan.n_layers; l++) {
            const struct omq_layer_params *from = omq_net_layer(net, t->schedule.order[0], l);
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
    const int n = t->config.train.bn_batches, epoch = t->at.epoch + 1;
    int rc = OMQ_OK;

    if (omq_schedule_stage(&t->schedule, t->at.epoch) == OMQ_STAGE_HIGHEST)
        rc = omq_train_spread(t, err);
    if (rc < 0 || (epoch != t->config.train.epochs && epoch != omq_schedule_epochs(&t->schedule)))
        return rc;
    return omq_train_recalibrate(t, n, epoch > t->config.train.epochs ? t->schedule.has_view : NULL,
                                 stop, err);
}
