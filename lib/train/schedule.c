/* SPDX-License-Identifier: MIT
 *
 * Which precisions learn when, and how fast.
 */
#include "train/train_internal.h"

#include <math.h>

#include "base/rng.h"

#define PI 3.141592653589793

/* ---- learning rate ---- */

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
                           (1 + cos(PI * (span > 0 ? (done - begin) / span : 1)));
}

/* After `done` epochs of train.epochs. */
static double shared_lr(const struct omq_train_config *c, double done)
{
    if (done < c->warmup_epochs)
        return c->lr * (0.01 + 0.99 * done / c->warmup_epochs);
    return decayed(c, done);
}

double omq_schedule_lr(const struct omq_schedule *s, const struct omq_train_config *cfg, int epoch,
                       double share)
{
    double done = epoch + share;

    if (omq_schedule_stage(s, epoch) != OMQ_STAGE_VIEWS)
        return shared_lr(cfg, done);
    done = (done - cfg->epochs) / s->epochs[OMQ_STAGE_VIEWS];
    return cfg->lr * cfg->views_lr * 0.5 * (1 + cos(PI * done));
}

/* ---- precisions of a step ---- */

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

/* Systematic sampling: the shares end to end, and every whole number of that line
 * from a random start; so each rank is drawn in just its share. */
static int draw(const struct omq_schedule *s, uint64_t seed, uint32_t number, int *chosen)
{
    struct omq_rng r;
    double at;
    int n = 0;

    omq_rng_init(&r, seed, OMQ_STREAM_WIDTHS, number, 0);
    at = omq_rng_uniform(&r);
    for (int i = 0; i < s->n; i++) {
        if (s->share[i] == 1) {
            chosen[n++] = s->order[i];
            continue;
        }
        at -= s->share[i];
        if (at < 0) {
            chosen[n++] = s->order[i];
            at += 1;
        }
    }
    return n;
}

int omq_schedule_choose(const struct omq_schedule *s, uint64_t seed, int epoch, uint32_t number,
                        int *chosen)
{
    enum omq_stage stage = omq_schedule_stage(s, epoch);
    int n = 0;

    if (stage == OMQ_STAGE_TOGETHER)
        return draw(s, seed, number, chosen);
    if (stage == OMQ_STAGE_HIGHEST)
        chosen[n++] = s->order[0];
    for (int i = 0; i < s->n && stage == OMQ_STAGE_VIEWS; i++)
        if (s->has_view[s->order[i]])
            chosen[n++] = s->order[i];
    return n;
}

/* ---- stages ---- */

static bool has_view(const struct omq_net *net, int precision)
{
    for (int l = 0; l < net->plan.n_layers; l++)
        if (omq_net_layer(net, precision, l)->offset)
            return true;
    return false;
}

void omq_schedule_init(struct omq_schedule *s, const struct omq_train_config *cfg,
                       const struct omq_net *net)
{
    const int n = net->n_precisions, k = cfg->widths_per_step;
    int views = 0;

    *s = (struct omq_schedule){.n = n};
    omq_schedule_order(net->precisions, n, s->order);
    omq_schedule_shares(net->precisions, s->order, n, k, s->share);
    for (int p = 0; p < n; p++)
        views += s->has_view[p] = has_view(net, p);
    s->widths[OMQ_STAGE_HIGHEST] = 1;
    s->widths[OMQ_STAGE_TOGETHER] = k == 0 ? n : k;
    s->widths[OMQ_STAGE_VIEWS] = views;
    if (n > 1) /* one alone shares nothing */
        s->epochs[OMQ_STAGE_HIGHEST] = omq_config_highest_epochs(cfg);
    if (n > 1 && views > 0)
        s->epochs[OMQ_STAGE_VIEWS] = (int)(cfg->views_last * cfg->epochs + 1e-9);
    s->epochs[OMQ_STAGE_TOGETHER] = cfg->epochs - s->epochs[OMQ_STAGE_HIGHEST];
}

int omq_schedule_epochs(const struct omq_schedule *s)
{
    int n = 0;

    for (int i = 0; i < OMQ_N_STAGES; i++)
        n += s->epochs[i];
    return n;
}

/* How many of the first `epochs` epochs are of a stage. */
static int done_of(const struct omq_schedule *s, enum omq_stage stage, int epochs)
{
    for (int i = 0; i < (int)stage; i++)
        epochs -= s->epochs[i];
    return epochs < 0 ? 0 : epochs < s->epochs[stage] ? epochs : s->epochs[stage];
}

/* Before those of views. At the end of these, and of all, statistics are taken anew: a run that
 * has passed it without cannot make up for that. */
static int shared_epochs(const struct omq_schedule *s)
{
    return s->epochs[OMQ_STAGE_HIGHEST] + s->epochs[OMQ_STAGE_TOGETHER];
}

bool omq_schedule_goes_on(const struct omq_schedule *s, const struct omq_schedule *was, int epochs,
                          int steps)
{
    const int all = omq_schedule_epochs(s), views = s->epochs[OMQ_STAGE_VIEWS];
    bool same = epochs <= all;

    for (int i = 0; i < OMQ_N_STAGES; i++)
        same &= done_of(s, (enum omq_stage)i, epochs) ==
                done_of(was, (enum omq_stage)i, epochs);
    if (steps > 0)
        same &= epochs < all && omq_schedule_stage(s, epochs) == omq_schedule_stage(was, epochs);
    if (epochs >= shared_epochs(s))
        same &= shared_epochs(s) == shared_epochs(was);
    if (epochs == all && views > 0)
        same &= views == was->epochs[OMQ_STAGE_VIEWS];
    return same;
}

enum omq_stage omq_schedule_stage(const struct omq_schedule *s, int epoch)
{
    if (epoch < s->epochs[OMQ_STAGE_HIGHEST])
        return OMQ_STAGE_HIGHEST;
    epoch -= s->epochs[OMQ_STAGE_HIGHEST];
    return epoch < s->epochs[OMQ_STAGE_TOGETHER] ? OMQ_STAGE_TOGETHER : OMQ_STAGE_VIEWS;
}
