/* SPDX-License-Identifier: MIT
 *
 * What takes more than one key to say. Each check is made only if what it looks
 * at was itself fine, so that one mistake gives one message.
 */
#include "conf/conf_internal.h"

#include <stdio.h>
#include <string.h>

int omq_config_highest_epochs(const struct omq_train_config *c)
{
    return (int)(c->highest_first * c->epochs + 1e-9); /* 0.29 * 100 is 29 */
}

/* ---- checks ---- */

/* Neither the key nor a section around it was given with an error. */
static bool fine(const struct omq_conf_state *s, const char *path)
{
    char section[OMQ_CONF_PATH_SIZE] = "";
    size_t n;

    if (s->bad[omq_conf_row(path)])
        return false;
    omq_conf_last_word(path, &n);
    memcpy(section, path, n);
    return n == 0 || fine(s, section);
}

static bool given(const struct omq_conf_state *s, const char *path)
{
    return s->given[omq_conf_row(path)];
}

static struct omq_conf_place place(const struct omq_conf_state *s, const char *path)
{
    return omq_conf_place_of(s, path);
}

/* A value that must be there; `empty` says that it is not. */
static void require(struct omq_conf_state *s, const char *path, bool empty, const char *note)
{
    if (!empty || !fine(s, path))
        return;
    if (given(s, path))
        omq_conf_error(s, place(s, path), "'%s' is empty%s", path, note);
    else
        omq_conf_error(s, place(s, path), "missing required key '%s'%s", path, note);
}

static void check_model(struct omq_conf_state *s)
{
    const struct omq_model_config *m = &s->c.model;

    if (!fine(s, "model.onnx") || m->onnx[0] == 0)
        require(s, "model.arch", m->arch[0] == 0, "");
    else if (fine(s, "model.arch") && m->arch[0])
        omq_conf_error(s, place(s, "model.onnx"),
                       "'model.onnx' is a network already: leave out 'model.arch'");
}

/* A key that the format does not read is not to look as if it did. */
static void only_for(struct omq_conf_state *s, bool is_read, const char *path, bool is_set,
                     const char *formats)
{
    if (is_set && !is_read && fine(s, path))
        omq_conf_error(s, place(s, path), "'%s' is for %s", path, formats);
}

/* What CIFAR's pictures have may be said: then one file serves them in folders, too. */
static bool is_cifar_size(const struct omq_data_config *d)
{
    enum { SIDE = 32 };
    const bool cifar = d->format == OMQ_FORMAT_CIFAR10 || d->format == OMQ_FORMAT_CIFAR100;

    return cifar && d->size[0] == SIDE && (d->n_size < 2 || d->size[1] == SIDE);
}

static void check_format_keys(struct omq_conf_state *s, bool any_size)
{
    static const char pictures[] = "formats whose pictures have any size: folder and shards";
    const struct omq_data_config *d = &s->c.data;
    const bool idx = d->format == OMQ_FORMAT_IDX, shards = d->format == OMQ_FORMAT_SHARDS;

    only_for(s, any_size || is_cifar_size(d), "data.size", d->n_size > 0, pictures);
    only_for(s, any_size, "data.resize", d->resize > 0, pictures);
    only_for(s, any_size, "data.grayscale", d->grayscale, pictures);
    only_for(s, idx, "data.transpose", d->transpose, "format idx");
    only_for(s, idx || shards, "data.prefix", d->prefix[0] != 0, "formats idx and shards");
}

/* The size of what the network takes, where the pictures do not say it. */
static void check_size(struct omq_conf_state *s, bool any_size, const char *needed)
{
    const struct omq_data_config *d = &s->c.data;
    int longer = d->n_size > 1 && d->size[1] > d->size[0] ? d->size[1] : d->size[0];

    if (any_size)
        require(s, "data.size", d->n_size == 0, needed);
    if (any_size && d->resize && d->resize < longer && fine(s, "data.size") &&
        fine(s, "data.resize"))
        omq_conf_error(s, place(s, "data.resize"), "'data.resize' is %d, less than 'data.size', "
                       "which is %d: nothing could be cut from the middle", d->resize, longer);
}

static void check_data(struct omq_conf_state *s)
{
    const struct omq_data_config *d = &s->c.data;
    bool any_size = d->format == OMQ_FORMAT_FOLDER || d->format == OMQ_FORMAT_SHARDS;
    int channels = d->synthetic.channels;
    char needed[64];

    if (!fine(s, "data.format"))
        return;
    snprintf(needed, sizeof(needed), ", which format %s needs", omq_conf_format_word(d->format));
    check_format_keys(s, any_size);
    check_size(s, any_size, needed);
    if (d->format != OMQ_FORMAT_SYNTHETIC) {
        require(s, "data.root", d->root[0] == 0, needed);
        require(s, "data.mean", d->n_mean == 0, needed);
        require(s, "data.std", d->n_std == 0, needed);
    } else if (fine(s, "data.synthetic.channels")) {
        if (fine(s, "data.mean") && d->n_mean > 1 && d->n_mean != channels)
            omq_conf_error(s, place(s, "data.mean"),
                           "'data.mean' has %d entries, but 'data.synthetic.channels' is %d",
                           d->n_mean, channels);
        if (fine(s, "data.std") && d->n_std > 1 && d->n_std != channels)
            omq_conf_error(s, place(s, "data.std"),
                           "'data.std' has %d entries, but 'data.synthetic.channels' is %d",
                           d->n_std, channels);
    }
}

static void check_range(struct omq_conf_state *s, const char *path, const double *range, int n)
{
    if (!fine(s, path))
        return;
    if (n != 2)
        omq_conf_error(s, place(s, path),
                       "'%s' has %d %s: give the least and the largest value", path, n,
                       n == 1 ? "entry" : "entries");
    else if (range[0] > range[1])
        omq_conf_error(s, place(s, path), "'%s' is not ascending: %.10g after %.10g", path,
                       range[1], range[0]);
}

static void check_augment(struct omq_conf_state *s)
{
#define CROP "data.augment.random_resized_crop"
#define ERASE "data.augment.random_erasing"
    struct omq_augment_config *a = &s->c.data.augment;

    if (!given(s, CROP ".enabled") &&
        (given(s, CROP) || given(s, CROP ".scale") || given(s, CROP ".ratio")))
        a->random_resized_crop.enabled = true;
    check_range(s, CROP ".scale", a->random_resized_crop.scale, a->random_resized_crop.n_scale);
    check_range(s, CROP ".ratio", a->random_resized_crop.ratio, a->random_resized_crop.n_ratio);
    check_range(s, ERASE ".scale", a->random_erasing.scale, a->random_erasing.n_scale);
    check_range(s, ERASE ".ratio", a->random_erasing.ratio, a->random_erasing.n_ratio);
    if (fine(s, CROP) && fine(s, "data.augment.crop_padding") && a->crop_padding > 0 &&
        a->random_resized_crop.enabled)
        omq_conf_error(s, place(s, "data.augment.crop_padding"),
                       "'data.augment.crop_padding' and 'random_resized_crop' are both ways to "
                       "crop: choose one");
#undef CROP
#undef ERASE
}

/* The other methods bring a grid and steps of their own, and have no views. */
static void check_method(struct omq_conf_state *s)
{
    const struct omq_quant_config *q = &s->c.quant;

    if (!fine(s, "quant.method") || q->method == OMQ_METHOD_OMQ)
        return;
    if (fine(s, "quant.view") && q->view != OMQ_VIEW_OFF)
        omq_conf_error(s, place(s, given(s, "quant.view") ? "quant.view" : "quant.method"),
                       "only 'quant.method' omq has views: set 'quant.view' to off");
    if (fine(s, "quant.grid") && q->grid != OMQ_GRID_AUTO)
        omq_conf_error(s, place(s, "quant.grid"),
                       "only 'quant.method' omq has a choice of 'quant.grid': leave it at auto");
    if (fine(s, "quant.weight_steps") && q->weight_steps != OMQ_STEPS_LAYER)
        omq_conf_error(s, place(s, "quant.weight_steps"),
                       "only 'quant.method' omq has 'quant.weight_steps' channel");
    for (int i = 0; fine(s, "bits") && i < s->c.n_precisions; i++)
        if (s->c.precisions[i].w == OMQ_FLOAT_BITS) {
            omq_conf_error(s, place(s, "bits"),
                           "only 'quant.method' omq has float weights, but 'bits' lists 32");
            return;
        }
}

/* Whether the grid has weights of w bits; says so if not. */
static bool has_grid(struct omq_conf_state *s, int w, const char *what)
{
    const char *path = given(s, "quant.grid") ? "quant.grid" : "bits";
    enum omq_grid_kind grid = s->c.quant.grid;

    if (grid == OMQ_GRID_MIDRISE && w == 8)
        omq_conf_error(s, place(s, path), "'quant.grid' midrise has 1 to 7 bits, but %s", what);
    else if (grid == OMQ_GRID_SYMMETRIC && w == 1)
        omq_conf_error(s, place(s, path), "'quant.grid' symmetric has 2 to 8 bits, but %s", what);
    else
        return true;
    return false;
}

static void check_grid(struct omq_conf_state *s)
{
    const struct omq_quant_config *q = &s->c.quant;
    char what[48];

    if (!fine(s, "quant.grid") || q->grid == OMQ_GRID_AUTO)
        return;
    for (int i = 0; fine(s, "bits") && i < s->c.n_precisions; i++) {
        snprintf(what, sizeof(what), "'bits' lists %d for weights", s->c.precisions[i].w);
        if (!has_grid(s, s->c.precisions[i].w, what))
            return;
    }
    /* its default, 8 bits, has one grid whatever the others have */
    if (fine(s, "quant.first_last_bits") && q->first_last_bits < 8) {
        snprintf(what, sizeof(what), "'quant.first_last_bits' is %d", q->first_last_bits);
        has_grid(s, q->first_last_bits, what);
    }
}

/* Which of bits is the highest. */
static int highest(const struct omq_config *c)
{
    int best = 0;

    for (int i = 1; i < c->n_precisions; i++)
        if (omq_precision_rank(c->precisions[i]) > omq_precision_rank(c->precisions[best]))
            best = i;
    return best;
}

static void check_loss_weights(struct omq_conf_state *s)
{
    const struct omq_train_config *t = &s->c.train;
    int n = s->c.n_precisions;
    double sum = 0;
    char name[16];

    if (!fine(s, "train.loss_weights") || t->n_loss_weights == 0)
        return;
    for (int i = 0; i < t->n_loss_weights; i++)
        sum += t->loss_weights[i];
    if (t->n_loss_weights != n)
        omq_conf_error(s, place(s, "train.loss_weights"),
                       "'train.loss_weights' has %d %s, but 'bits' has %d", t->n_loss_weights,
                       t->n_loss_weights == 1 ? "entry" : "entries", n);
    else if (sum == 0)
        omq_conf_error(s, place(s, "train.loss_weights"),
                       "'train.loss_weights' are all 0: nothing would be learned");
    else if (t->loss_weights[highest(&s->c)] == 0 && fine(s, "train.highest_first") &&
             fine(s, "train.epochs") && omq_config_highest_epochs(t) > 0)
        omq_conf_error(s, place(s, "train.loss_weights"),
                       "'train.loss_weights' has 0 for %s, which learns alone first: set "
                       "'train.highest_first' to 0",
                       omq_precision_name(s->c.precisions[highest(&s->c)], name));
}

static void check_widths(struct omq_conf_state *s)
{
    struct omq_train_config *t = &s->c.train;
    int n = s->c.n_precisions;

    if (!fine(s, "bits"))
        return;
    if (!given(s, "train.widths_per_step") && t->widths_per_step > n)
        t->widths_per_step = n;
    if (!given(s, "train.batches") && t->distill > 0)
        t->batches = OMQ_BATCHES_SHARED;
    if (fine(s, "train.distill") && fine(s, "train.batches") && t->distill > 0 &&
        t->batches == OMQ_BATCHES_OWN)
        omq_conf_error(s, place(s, "train.distill"),
                       "'train.distill' is more than 0, but with 'train.batches: own' the "
                       "precisions see different images: say shared");
    if (fine(s, "train.widths_per_step") && t->widths_per_step > n)
        omq_conf_error(s, place(s, "train.widths_per_step"),
                       "'train.widths_per_step' is %d, but 'bits' has %d %s (0 is all)",
                       t->widths_per_step, n, n == 1 ? "entry" : "entries");
    else if (t->widths_per_step == 1 && n > 1 && t->distill > 0 && fine(s, "train.distill"))
        omq_conf_error(s, place(s, "train.distill"),
                       "'train.distill' is more than 0, but with 'train.widths_per_step' 1 no "
                       "higher precision is in the step to follow");
    check_loss_weights(s);
}

static void check_schedule(struct omq_conf_state *s)
{
    const struct omq_train_config *t = &s->c.train;

    if (fine(s, "train.lr") && fine(s, "train.min_lr") && t->min_lr > t->lr)
        omq_conf_error(s, place(s, given(s, "train.min_lr") ? "train.min_lr" : "train.lr"),
                       "'train.min_lr' is %.10g, above 'train.lr', which is %.10g", t->min_lr,
                       t->lr);
    if (fine(s, "train.warmup_epochs") && fine(s, "train.epochs") && t->epochs > 0 &&
        t->warmup_epochs > t->epochs)
        omq_conf_error(s, place(s, "train.warmup_epochs"),
                       "'train.warmup_epochs' is %.10g, more than 'train.epochs', which is %d",
                       t->warmup_epochs, t->epochs);
    if (!fine(s, "train.milestones"))
        return;
    if (fine(s, "train.schedule") && t->schedule == OMQ_SCHED_STEP)
        require(s, "train.milestones", t->n_milestones == 0, ", which schedule step needs");
    for (int i = 1; i < t->n_milestones; i++) {
        if (t->milestones[i] <= t->milestones[i - 1]) {
            omq_conf_error(s, place(s, "train.milestones"),
                           "'train.milestones' are not ascending: %d after %d", t->milestones[i],
                           t->milestones[i - 1]);
            return;
        }
    }
    if (fine(s, "train.schedule") && t->schedule != OMQ_SCHED_STEP && t->n_milestones > 0)
        omq_conf_error(s, place(s, "train.milestones"),
                       "'train.milestones' are for 'train.schedule' step, and it is cosine");
}

void omq_conf_cross_check(struct omq_conf_state *s)
{
    for (int k = 0; k < omq_conf_n_keys; k++) {
        const char *field = (const char *)&s->c + omq_conf_keys[k].offset;

        if (omq_conf_keys[k].required)
            require(s, omq_conf_keys[k].path, *field == 0, "");
    }
    check_model(s);
    check_data(s);
    check_augment(s);
    check_method(s);
    check_grid(s);
    check_widths(s);
    check_schedule(s);
}
