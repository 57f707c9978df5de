/* SPDX-License-Identifier: MIT
 *
 * What is done to whole precisions before, between and after the steps.
 */
#include "train/train_internal.h"

#include <string.h>

static int first_batch(struct omq_train *t, bool highest_too, double bn_momentum,
                       struct omq_err *err)
{
    struct omq_batch batch;
    int rc;

    omq_loader_start(t->loader, 0, 0);
    rc = omq_loader_next(t->loader, &batch, NULL, err);
    if (rc <= 0)
        return rc; /* never 0: the loader refuses sets smaller than a batch */
    for (int p = 0; p < t->net.n_precisions; p++)
        if (highest_too || p != t->order[0])
            omq_exec_forward(t->exec, p, OMQ_MODE_TRAIN, batch.codes, batch.n, bn_momentum);
    return OMQ_OK;
}

int omq_train_initialize(struct omq_train *t, struct omq_err *err)
{
    return first_batch(t, true, t->has_weights ? 0 : 1, err);
}

int omq_train_epochs_alone(const struct omq_train *t)
{
    const struct omq_train_config *cfg = &t->config.train;

    if (t->net.n_precisions == 1)
        return 0;
    return (int)(cfg->highest_first * cfg->epochs + 1e-9); /* 0.29 * 100 is 29 */
}

int omq_train_widths_together(const struct omq_train *t)
{
    int n = t->config.train.widths_per_step;

    return n == 0 ? t->net.n_precisions : n;
}

static void copy(const struct omq_param *from, struct omq_param *to)
{
    if (from && to)
        memcpy(to->value, from->value, sizeof(omq_real) * from->n);
}

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

            copy(from->gamma, to->gamma);
            copy(from->beta, to->beta);
            forget(to->wstep);
        }
        for (int s = 0; s < net->plan.n_sites; s++)
            forget(omq_net_site(net, p, s));
    }
    return first_batch(t, false, 1, err);
}

/* Running statistics trail the weights, and average over few batches: the more
 * so the fewer bits there are and the more seldom a precision is drawn. Yu and
 * Huang (ICCV 2019) take them anew when training is done. */
int omq_train_recalibrate(struct omq_train *t, int n, const bool *chosen,
                          const volatile sig_atomic_t *stop, struct omq_err *err)
{
    struct omq_batch batch;
    int rc = OMQ_OK;

    /* An epoch that is never trained: its order and augmentation are its own. Blends
     * of two images vary less than images do, which is what a test will bring. */
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
