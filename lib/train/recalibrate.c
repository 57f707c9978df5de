/* SPDX-License-Identifier: MIT
 *
 * Running statistics trail the weights, and average over few batches: the more
 * so the fewer bits there are and the more seldom a precision is drawn. Yu and
 * Huang (ICCV 2019) take them anew when training is done.
 */
#include "train/train_internal.h"

void omq_train_recalibrate(struct omq_train *t, int n, const volatile sig_atomic_t *stop)
{
    struct omq_batch batch;

    /* An epoch that is never trained: its order and augmentation are its own. */
    omq_loader_start(t->loader, t->config.train.epochs, 0);
    for (int i = 0; i < n && !(stop && *stop) && omq_loader_next(t->loader, &batch, NULL); i++)
        for (int p = 0; p < t->net.n_precisions; p++)
            omq_exec_forward(t->exec, p, OMQ_MODE_TRAIN, batch.codes, batch.n, 1.0 / (i + 1));
}
