/* SPDX-License-Identifier: MIT */
#include "train/train_internal.h"

#include <math.h>

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

double omq_schedule_views_lr(const struct omq_train_config *c, double share)
{
    return c->lr * c->views_lr * 0.5 * (1 + cos(3.141592653589793 * share));
}

void omq_schedule_order(const struct omq_precision *p, int n, int *order)
{
    for (int i = 0; i < n; i++) {
        int j = i;

        for (; j > 0 && omq_precision_rank(p[i]) > omq_precision_rank(p[order[j - 1]]); j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
}

/* Weight of a precision in the draw: narrow ones have the most to learn. */
static double weight_of(struct omq_precision p) { return 1.0 / (p.w < p.a ? p.w : p.a); }

void omq_schedule_shares(const struct omq_precision *p, const int *order, int n, int k,
                         double *share)
{
    bool full = true;

    for (int i = 0; i < n; i++)
        share[i] = k == 0 || k >= n || (k > 1 && i == 0) ? 1 : 0;
    while (full) { /* what would be drawn more than always is shared out among the others */
        double left = k, sum = 0;

        for (int i = 0; i < n; i++) {
            left -= share[i] == 1 ? 1 : 0;
            sum += share[i] == 1 ? 0 : weight_of(p[order[i]]);
        }
        full = false;
        for (int i = 0; i < n && left > 0; i++)
            if (share[i] != 1 && weight_of(p[order[i]]) * left >= sum) {
                share[i] = 1;
                full = true;
            }
        for (int i = 0; i < n && !full; i++)
            if (share[i] != 1)
                share[i] = weight_of(p[order[i]]) * left / sum;
    }
}

int omq_schedule_widths(const double *share, uint64_t seed, uint32_t step, const int *order, int n,
                        int *chosen)
{
    struct omq_rng r;
    double at;
    int n_chosen = 0;

    /* Systematic sampling: the shares end to end, and every whole number of that
     * line from a random start; so each rank is drawn in just its share. */
    omq_rng_init(&r, seed, OMQ_STREAM_WIDTHS, step, 0);
    at = omq_rng_uniform(&r);
    for (int i = 0; i < n; i++) {
        if (share[i] == 1) {
            chosen[n_chosen++] = order[i];
            continue;
        }
        at -= share[i];
        if (at < 0) {
            chosen[n_chosen++] = order[i];
            at += 1;
        }
    }
    return n_chosen;
}
