/* SPDX-License-Identifier: MIT */
#include "train/train_internal.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

static double decayed(const struct omq_train_config *c, double done)
{
    double lr = c->lr, begin = c->warmup_epochs, span = c->epochs - begin;

    if (c->schedule == OMQ_SCHED_STEP) {
        for (int i = 0; i < c->n_milestones; i++)
            if (done >= c->milestones[i])
                lr *= c->gamma;
        return fmax(lr, c->min_lr);
    }
    return c->min_lr + (lr - c->min_lr) * 0.5 *
                           (1 + cos(3.141592653589793 * (span > 0 ? (done - begin) / span : 1)));
}

double omq_schedule_lr(const struct omq_train_config *c, double done)
{
    if (done < c->warmup_epochs)
        return c->lr * (0.01 + 0.99 * done / c->warmup_epochs);
    return decayed(c, done);
}

void omq_schedule_order(const struct omq_precision *p, int n, int *order)
{
    for (int i = 0; i < n; i++) {
        int j = i;

        for (; j > 0 && p[i].w * 64 + p[i].a > p[order[j - 1]].w * 64 + p[order[j - 1]].a; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

double omq_schedule_interval(const struct omq_train_config *cfg, int rank, int n_precisions)
{
    int k = cfg->widths_per_step, n = n_precisions;

    if (k == 0 || k >= n || (k > 1 && rank == 0) || (k > 2 && rank == n - 1))
        return 1;
    if (k <= 2)
        return n - k + 1;
    return (double)(n - 2) / (k - 2);
}

int omq_schedule_widths(const struct omq_train_config *cfg, uint64_t seed, uint32_t step,
                        const int *order, int n_precisions, int *chosen)
{
    int k = cfg->widths_per_step, n = n_precisions, n_middle = n - 2, at = 0;
    int middle[OMQ_MAX_PRECISIONS];
    struct omq_rng r;

    if (k == 0 || k >= n) {
        memcpy(chosen, order, sizeof(*order) * (size_t)n);
        return n;
    }
    omq_rng_init(&r, seed, OMQ_STREAM_WIDTHS, step, 0);
    if (k <= 2) { /* k = 2: the highest and any other */
        chosen[0] = order[0];
        chosen[k - 1] = order[k - 1 + (int)omq_rng_below(&r, (uint32_t)(n - k + 1))];
        return k;
    }
    for (int i = 0; i < n_middle; i++)
        middle[i] = i;
    for (int i = 0; i < k - 2; i++) { /* Fisher-Yates, as far as needed */
        int j = i + (int)omq_rng_below(&r, (uint32_t)(n_middle - i)), t = middle[i];

        middle[i] = middle[j];
        middle[j] = t;
    }
    chosen[at++] = order[0];
    for (int i = 0; i < n_middle; i++)
        for (int j = 0; j < k - 2; j++)
            if (middle[j] == i)
                chosen[at++] = order[i + 1];
    chosen[at++] = order[n - 1];
    return at;
}
