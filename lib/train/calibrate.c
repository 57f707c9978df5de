/* SPDX-License-Identifier: MIT
 *
 * Calibration: steps and batch norm of a precision without training, from a few
 * images and no labels, so that the network does what another one of the same
 * weights does: itself in floating point, or at a precision that it has learned.
 * Both run side by side, unit by unit, so that what is set for a unit knows the
 * codes that it really reads:
 *
 *   weights  the step of least error in the sums (fit_steps.c)
 *   norm     mean and deviation of each output are made those of the target: this
 *            corrects the bias that rounding leaves. Taking the statistics anew
 *            and no more would move the whole network where these images are not
 *            like those that it was trained with.
 *   codes    the step of least squared error
 */
#include "train/train_internal.h"

#include <string.h>

enum {
    MOST_VALUES = 1 << 20, /* of a tensor, to find a step with */
    MOST_GAIN = 256,       /* of a channel's variance */
    MOST_PASSES = 3,
};
static const size_t most_bytes = (size_t)1 << 30; /* of what grows with the images */

static bool is_stopped(const struct omq_calibration *c) { return c->stop && *c->stop; }

/* ---- weights ---- */

/* What an error of the sums is worth: the square of the scale that follows. */
static void weigh(const struct omq_calibration *c, int layer)
{
    const struct omq_layer_params *lp = omq_net_layer(c->target, c->target_precision, layer);

    for (int o = 0; o < c->net->plan.layers[layer].out; o++)
        c->weight[o] = lp->gamma ? (double)lp->gamma->value[o] * (double)lp->gamma->value[o] /
                                       ((double)lp->var->value[o] + OMQ_BN_EPS)
                                 : 1;
}

static int set_weights(struct omq_calibration *c, const struct omq_unit *u, struct omq_err *err)
{
    const struct omq_layer_params *lp = omq_net_layer(c->net, c->precision, u->layer);
    struct omq_fit fit;
    int rc;

    if (!lp->wstep || lp->wstep->precision < 0) /* none, or one of all precisions */
        return OMQ_OK;
    if ((rc = omq_fit_open(&fit, c->x, u, c->batch.n, omq_exec_zero_point(c->x, u->in), c->pool,
                           err)) < 0)
        return rc;
    weigh(c, u->layer);
    rc = omq_fit_weight_steps(c->net, c->precision, u->layer, &fit, c->weight, c->pool, err);
    omq_fit_close(&fit);
    omq_exec_layer(c->x, u->layer);
    return rc;
}

/* ---- batch norm ---- */

struct omq_sum_moments {
    double x, y, xx, yy; /* of a channel's sums, and of the target's */
};

static void add_moments(struct omq_calibration *c, int ui, struct omq_sum_moments *m)
{
    const struct omq_unit *u = &c->net->plan.units[ui];
    const omq_real *x = omq_exec_sums(c->x, ui, c->scale);
    const omq_real *y = omq_exec_sums(c->exact, ui, c->target_scale);
    size_t n = (size_t)c->batch.n * (size_t)u->win.oh * (size_t)u->win.ow;

    memset(m, 0, sizeof(*m) * (size_t)u->oc);
    for (size_t i = 0; i < n; i++, x += u->oc, y += u->oc)
        for (int o = 0; o < u->oc; o++) {
            m[o].x += (double)x[o];
            m[o].y += (double)y[o];
            m[o].xx += (double)x[o] * (double)x[o];
            m[o].yy += (double)y[o] * (double)y[o];
        }
    for (int o = 0; o < u->oc; o++) {
        m[o].x *= c->scale[o] / (double)n;
        m[o].y *= c->target_scale[o] / (double)n;
        m[o].xx *= c->scale[o] * c->scale[o] / (double)n;
        m[o].yy *= c->target_scale[o] * c->target_scale[o] / (double)n;
    }
}

static void set_norm(struct omq_calibration *c, int ui)
{
    const struct omq_unit *u = &c->net->plan.units[ui];
    const struct omq_layer_params *to = omq_net_layer(c->net, c->precision, u->layer);
    const struct omq_layer_params *from = omq_net_layer(c->target, c->target_precision, u->layer);

    if (!to->gamma)
        return;
    add_moments(c, ui, c->moments);
    for (int o = 0; o < u->oc; o++) {
        const struct omq_sum_moments *m = &c->moments[o];
        double var = fmax(m->xx - m->x * m->x, 0), target = fmax(m->yy - m->y * m->y, 0);
        double slope = (double)from->gamma->value[o] /
                       sqrt((double)from->var->value[o] + OMQ_BN_EPS);

        to->beta->value[o] = (omq_real)((double)from->beta->value[o] +
                                        slope * (m->y - (double)from->mean->value[o]));
        /* a channel that is constant here stays so, and one that nearly is does not
         * become all there is on images where it is not */
        to->gamma->value[o] = (omq_real)(var > 0 ? slope * sqrt(fmin(target / var, MOST_GAIN) *
                                                                (var + OMQ_BN_EPS))
                                                 : 0);
        to->mean->value[o] = (omq_real)m->x;
        to->var->value[o] = (omq_real)var;
    }
}

/* ---- codes ---- */

/* Some of the real values of a unit's output, to c->values; returns how many. */
static size_t take_values(struct omq_calibration *c, int ui)
{
    const struct omq_unit *u = &c->net->plan.units[ui];
    const struct omq_tensor *out = &c->net->plan.tensors[u->out];
    size_t image = (size_t)out->h * (size_t)out->w * (size_t)out->c, n = 0, at = 0;
    size_t stride = (size_t)c->batch.n * image / MOST_VALUES | 1; /* odd: meets all channels */

    for (int i = 0; i < c->batch.n; i++) {
        omq_exec_values(c->x, ui, i, c->image);
        for (; at < image && n < MOST_VALUES; at += stride)
            c->values[n++] = c->image[at];
        at -= at < image ? 0 : image;
    }
    return n;
}

/* The inputs of a concat share a step: the largest, with which those before it have
 * to run again. */
static void set_output(struct omq_calibration *c, int ui)
{
    const struct omq_net *net = c->net;
    int site = net->plan.tensors[net->plan.units[ui].out].site;
    struct omq_param *p = site < 0 ? NULL : omq_net_site(net, c->precision, site);
    omq_real value, old;
    struct omq_act a;

    if (!p)
        return;
    old = p->value[0];
    a = omq_site_act(net, c->precision, site);
    /* every method's step is in proportion to its parameter */
    value = omq_fit_act_step(&a, take_values(c, ui), c->values) /
            omq_site_method(net, site)->step(&a, 1);
    if (!c->placed[site] || value > old) {
        p->value[0] = value;
        omq_net_bound_step(c->net, c->precision, site);
        c->again |= c->placed[site] && p->value[0] > old;
        c->placed[site] = true;
    }
}

/* ---- a precision ---- */

static int calibrate_unit(struct omq_calibration *c, int ui, struct omq_err *err)
{
    const struct omq_unit *u = &c->net->plan.units[ui];
    int rc;

    if (u->kind == OMQ_UNIT_CONV) {
        if ((rc = set_weights(c, u, err)) < 0)
            return rc;
        omq_exec_unit(c->x, ui);
        set_norm(c, ui);
    }
    omq_exec_unit(c->x, ui);
    /* what only moves codes has its input's site */
    if (u->kind == OMQ_UNIT_CONV || u->kind == OMQ_UNIT_AVGPOOL || u->kind == OMQ_UNIT_REQUANT) {
        set_output(c, ui);
        omq_exec_unit(c->x, ui);
    }
    return OMQ_OK;
}

/* Steps to begin with: the executor takes all weights at once. */
static void first_steps(struct omq_calibration *c, int p)
{
    const struct omq_net *net = c->net;

    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *q = &net->params[i];
        bool step = q->kind == OMQ_PARAM_WSTEP || q->kind == OMQ_PARAM_ASTEP ||
                    q->kind == OMQ_PARAM_ACLIP;

        for (size_t j = 0; step && q->precision == p && j < q->n; j++)
            q->value[j] = 1;
    }
    for (int l = 0; l < net->plan.n_layers; l++)
        omq_exec_init_step(c->x, p, l); /* of steps that precisions share */
    memset(c->placed, 0, sizeof(*c->placed) * (size_t)net->plan.n_sites);
}

int omq_calibrate(struct omq_calibration *c, int precision, struct omq_err *err)
{
    int rc = OMQ_OK;

    c->precision = precision;
    first_steps(c, precision);
    omq_exec_begin(c->x, precision, OMQ_MODE_FROZEN, c->batch.codes, c->batch.n, 0);
    for (int pass = 0; pass < MOST_PASSES && (pass == 0 || c->again); pass++) {
        c->again = false;
        for (int u = 0; rc == OMQ_OK && u < c->net->plan.n_units; u++)
            rc = is_stopped(c) ? omq_calibration_stopped(err) : calibrate_unit(c, u, err);
    }
    if (rc == OMQ_OK && (rc = omq_net_check_values(c->net, err)) < 0)
        omq_wrap(err, rc, "calibration failed, for the weights or the batch norm that it began "
                 "with are out of range");
    return rc;
}

int omq_calibration_stopped(struct omq_err *err)
{
    return omq_fail(err, OMQ_ESTOPPED, "stopped during calibration: nothing was written");
}

/* ---- begin and end ---- */

static size_t both_bytes(struct omq_net *net, struct omq_net *target, struct omq_pool *pool, int n)
{
    return omq_exec_bytes(net, pool, n, false) + omq_exec_bytes(target, pool, n, false);
}

/* What finding the steps of a unit's weights takes. */
static size_t fit_bytes(const struct omq_net *net, const struct omq_unit *u, int n, int threads)
{
    return omq_fit_bytes(u, n, threads) + omq_fit_weight_steps_bytes(net, u->layer, threads);
}

int omq_calibration_images(struct omq_net *net, struct omq_net *target, struct omq_pool *pool,
                           int wanted, size_t *bytes)
{
    const size_t one = both_bytes(net, target, pool, 1);
    size_t fit = 0;
    int n = wanted;

    while (n > 1 && both_bytes(net, target, pool, n) - one > most_bytes)
        n /= 2;
    for (int i = 0; i < net->plan.n_units; i++)
        if (net->plan.units[i].kind == OMQ_UNIT_CONV) {
            const size_t at = fit_bytes(net, &net->plan.units[i], n, omq_pool_threads(pool));

            fit = at > fit ? at : fit;
        }
    *bytes = both_bytes(net, target, pool, n) + fit;
    return n;
}

static void take(struct omq_calibration *c)
{
    const struct omq_plan *p = &c->net->plan;
    size_t image = 1, oc = 1;

    for (int i = 0; i < p->n_tensors; i++) {
        const struct omq_tensor *t = &p->tensors[i];
        size_t n = (size_t)t->h * (size_t)t->w * (size_t)t->c;

        image = n > image ? n : image;
    }
    for (int i = 0; i < p->n_layers; i++)
        oc = (size_t)p->layers[i].out > oc ? (size_t)p->layers[i].out : oc;
    c->values = omq_arena_take(&c->arena, MOST_VALUES, sizeof(*c->values));
    c->image = omq_arena_take(&c->arena, image, sizeof(*c->image));
    c->weight = omq_arena_take(&c->arena, oc, sizeof(*c->weight));
    c->scale = omq_arena_take(&c->arena, oc, sizeof(*c->scale));
    c->target_scale = omq_arena_take(&c->arena, oc, sizeof(*c->target_scale));
    c->moments = omq_arena_take(&c->arena, oc, sizeof(*c->moments));
    c->placed = omq_arena_take(&c->arena, (size_t)p->n_sites, sizeof(*c->placed));
}

/* The images: another order than any epoch's, and not augmented. */
#define CALIBRATION_SEED UINT64_C(0x63616c6962726174)

static int open_images(struct omq_calibration *c, const struct omq_dataset *images,
                       const struct omq_config *cfg, struct omq_err *err)
{
    int wanted = cfg->train.calibration_images;
    struct omq_loader_options opt = {
        .workers = cfg->data.workers, .shuffle = true, .drop_last = true,
        .seed = cfg->seed ^ CALIBRATION_SEED,
    };
    size_t bytes;
    int rc;

    opt.batch_size = omq_calibration_images(c->net, c->target, c->pool,
                                            wanted < images->n ? wanted : images->n, &bytes);
    rc = omq_loader_open(&c->loader, images, &c->net->pre, &opt, err);
    if (rc < 0)
        return rc;
    omq_loader_start(c->loader, 0, 0);
    rc = omq_loader_next(c->loader, &c->batch, NULL, err);
    if (rc == 0)
        return omq_fail(err, OMQ_ECONFIG, "there are no images to calibrate with");
    return rc < 0 ? rc : OMQ_OK;
}

int omq_calibration_open(struct omq_calibration *c, struct omq_net *net, struct omq_net *target,
                         int target_precision, const struct omq_dataset *images,
                         const struct omq_config *cfg, struct omq_pool *pool, struct omq_err *err)
{
    int rc;

    *c = (struct omq_calibration){.net = net, .target = target, .pool = pool,
                                  .target_precision = target_precision};
    take(c);
    if ((rc = omq_arena_commit(&c->arena, "the values of a calibration", err)) < 0)
        return rc;
    take(c);
    if ((rc = open_images(c, images, cfg, err)) < 0 ||
        (rc = omq_exec_open(&c->exact, target, pool, c->batch.n, false, err)) < 0 ||
        (rc = omq_exec_open(&c->x, net, pool, c->batch.n, false, err)) < 0) {
        omq_calibration_close(c);
        return rc;
    }
    omq_exec_forward(c->exact, target_precision, OMQ_MODE_FROZEN, c->batch.codes, c->batch.n, 0);
    return OMQ_OK;
}

void omq_calibration_close(struct omq_calibration *c)
{
    omq_exec_close(c->x);
    omq_exec_close(c->exact);
    omq_loader_close(c->loader);
    omq_arena_release(&c->arena);
    *c = (struct omq_calibration){0};
}
