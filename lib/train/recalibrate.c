/* SPDX-License-Identifier: MIT
 *
 * A model that is trained, once more: the batch norm statistics of its precisions
 * taken anew, and precisions that it has not learned, which are calibrated after the
 * widest one that it has. Weights stay.
 */
#include "train/train_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "eval/eval.h"

enum { BATCHES = 64 }; /* where the configuration says none */

struct job {
    struct omq_train t; /* of which data, net, loader, executor and pool are used */
    const struct omq_recalibrate_options *opt;
    struct omq_switch_word active;
    int n_old;                       /* precisions of the file; new ones stand behind */
    bool chosen[OMQ_MAX_PRECISIONS]; /* of the old ones: statistics anew */
};

static bool asked_to_stop(const struct job *j) { return j->opt->stop && *j->opt->stop; }

/* ---- the model ---- */

static int load(struct job *j, struct omq_net *net, const char *path, struct omq_err *err)
{
    int rc = omq_model_load(net, &j->t.info, &j->active, path, err);

    if (rc == OMQ_OK && net->packed) {
        rc = omq_fail(err, OMQ_EUNSUP, "'%s' has packed integer weights only: take the model that "
                      "it was exported from", path);
        omq_net_release(net);
    }
    return rc;
}

static bool is_profile(const struct omq_model_info *info, const char *word)
{
    for (int i = 0; i < info->n_profiles; i++)
        if (strcmp(info->profiles[i].name, word) == 0)
            return true;
    return false;
}

/* One word of --bits: a precision that there is, or one more. */
static int choose(struct job *j, const struct omq_net *net, const char *word, struct omq_err *err)
{
    struct omq_config *cfg = &j->t.info.config;
    struct omq_precision p;
    int at = 0;

    if (is_profile(&j->t.info, word))
        return omq_fail(err, OMQ_EUNSUP, "'%s' is a profile, whose layers have the batch norm of "
                        "their precisions: name those", word);
    if (!omq_precision_parse(word, &p))
        return omq_fail(err, OMQ_EARG, "'%s' is no precision: widths are 1 to 8 and 32 (float), "
                        "as in 4 or w4a8", word);
    while (at < cfg->n_precisions &&
           (cfg->precisions[at].w != p.w || cfg->precisions[at].a != p.a))
        at++;
    if (at < net->n_precisions) {
        j->chosen[at] = true;
    } else if (at == cfg->n_precisions) {
        if (at == OMQ_MAX_PRECISIONS)
            return omq_fail(err, OMQ_EARG, "a model has at most %d precisions", OMQ_MAX_PRECISIONS);
        cfg->precisions[cfg->n_precisions++] = p;
        if (cfg->train.n_loss_weights)
            cfg->train.loss_weights[cfg->train.n_loss_weights++] = 1;
    }
    return OMQ_OK;
}

static int choose_all(struct job *j, const struct omq_net *net, struct omq_err *err)
{
    struct omq_config *cfg = &j->t.info.config;
    const char *at = j->opt->bits;
    char word[64];

    if (cfg->train.n_loss_weights && cfg->train.n_loss_weights != net->n_precisions)
        return omq_fail(err, OMQ_EFORMAT, "the model has %d precisions, but weights of %d losses",
                        net->n_precisions, cfg->train.n_loss_weights);
    /* the file's order, which is the parameters' */
    cfg->n_precisions = net->n_precisions;
    memcpy(cfg->precisions, net->precisions, sizeof(net->precisions));
    for (int i = 0; !at && !j->opt->profile && i < net->n_precisions; i++)
        j->chosen[i] = true;
    while (at) {
        size_t n = strcspn(at, ",");
        int rc;

        snprintf(word, sizeof(word), "%.*s", n < sizeof(word) ? (int)n : (int)sizeof(word) - 1, at);
        if ((rc = choose(j, net, word, err)) < 0)
            return rc;
        at = at[n] ? at + n + 1 : NULL;
    }
    return OMQ_OK;
}

/* What no configuration may say, such as a width that the grid has not, no model may
 * have. */
static int check_config(const struct omq_config *cfg, struct omq_err *err)
{
    struct omq_diag diag = {0};
    struct omq_config again;
    char *text = omq_config_dump(cfg);
    int rc;

    if (!text)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a configuration");
    rc = omq_config_parse(&again, text, strlen(text), "model", NULL, 0, &diag, err);
    if (rc == OMQ_ECONFIG && diag.text)
        rc = omq_fail(err, OMQ_ECONFIG, "the model cannot have these precisions: %.*s",
                      (int)strcspn(diag.text, "\n"), diag.text);
    omq_diag_release(&diag);
    free(text);
    return rc;
}

static bool same_precision(struct omq_precision a, struct omq_precision b)
{
    return a.w == b.w && a.a == b.a;
}

/* Shared parameters, and those of a precision of the same name. */
static void copy_params(struct omq_net *to, const struct omq_net *from)
{
    for (int i = 0; i < to->n_params; i++)
        for (int k = 0; k < from->n_params; k++) {
            struct omq_param *a = &to->params[i];
            const struct omq_param *b = &from->params[k];

            if ((a->precision < 0) == (b->precision < 0) && strcmp(a->name, b->name) == 0 &&
                (a->precision < 0 || same_precision(to->precisions[a->precision],
                                                    from->precisions[b->precision])))
                memcpy(a->value, b->value, sizeof(*a->value) * a->n);
        }
}

static int extend(struct job *j, struct omq_net *old, struct omq_err *err)
{
    struct omq_config *cfg = &j->t.info.config;
    int rc;

    if (cfg->n_precisions > old->n_precisions && cfg->train.widths_per_step >= old->n_precisions)
        cfg->train.widths_per_step = 0; /* all took part in every step, however many there are */
    if ((rc = check_config(cfg, err)) < 0)
        return rc;
    j->n_old = old->n_precisions;
    rc = omq_net_like(&j->t.net, old, cfg->precisions, cfg->n_precisions, &old->quant, err);
    if (rc == OMQ_OK)
        copy_params(&j->t.net, old);
    return rc;
}

static int open_model(struct job *j, const char *path, struct omq_err *err)
{
    struct omq_net old;
    int rc = load(j, &old, path, err);

    if (rc < 0)
        return rc;
    if ((rc = choose_all(j, &old, err)) == OMQ_OK)
        rc = extend(j, &old, err);
    omq_net_release(&old);
    return rc;
}

/* ---- the data ---- */

static int open_data(struct job *j, struct omq_err *err)
{
    struct omq_train *t = &j->t;
    enum omq_split held_out = t->info.config.data.validation > 0 ? OMQ_SPLIT_VALIDATION
                                                                 : OMQ_SPLIT_TEST;
    int rc;

    t->config = t->info.config;
    if ((rc = omq_eval_open_data(&t->train, &t->net, &t->info, j->opt->data, OMQ_SPLIT_TRAIN,
                                 err)) < 0 ||
        (rc = omq_eval_open_data(&t->held_out, &t->net, &t->info, j->opt->data, held_out, err)) < 0)
        return rc;
    if (t->train->fingerprint != t->info.data_fingerprint)
        omq_train_note(j->opt->cb, "warning: the training images are not those that the model "
                       "learned from");
    return omq_pool_open(&t->pool, j->opt->threads, err);
}

/* ---- the work ---- */

static int statistics(struct job *j, struct omq_err *err)
{
    struct omq_train *t = &j->t;
    struct omq_loader_options opt = {
        .batch_size = t->config.train.batch_size, .workers = t->config.data.workers,
        .shuffle = true, .augment = true, .drop_last = true, .seed = t->config.seed,
    };
    int n = t->config.train.bn_batches > 0 ? t->config.train.bn_batches : BATCHES, rc;

    if (opt.batch_size > t->train->n)
        opt.batch_size = t->train->n;
    if ((rc = omq_loader_open(&t->loader, t->train, &t->net.pre, &opt, err)) < 0 ||
        (rc = omq_exec_open(&t->exec, &t->net, t->pool, opt.batch_size, true, err)) < 0)
        return rc;
    if (t->config.train.epochs == 0)
        omq_train_note(j->opt->cb, "warning: the model was calibrated, not trained: statistics "
                       "taken anew move it away from the network that it was made like");
    if ((rc = omq_train_recalibrate(t, n, j->chosen, j->opt->stop, err)) < 0)
        return rc;
    omq_train_note_replaced(j->opt->cb, t->loader, NULL, "the statistics of batch norm");
    return asked_to_stop(j) ? omq_calibration_stopped(err) : OMQ_OK;
}

/* The one that knows best what the weights mean. */
static int widest(const struct job *j)
{
    int order[OMQ_MAX_PRECISIONS];

    omq_schedule_order(j->t.net.precisions, j->n_old, order);
    return order[0];
}

static int add_precisions(struct job *j, struct omq_err *err)
{
    struct omq_train *t = &j->t;
    int target = widest(j), rc;
    char name[16], of[16];
    struct omq_calibration c;

    rc = omq_calibration_open(&c, &t->net, &t->net, target, t->train, &t->config, t->pool, err);
    if (rc < 0)
        return rc;
    c.stop = j->opt->stop;
    omq_train_note_replaced(j->opt->cb, c.loader, NULL, "the calibration");
    for (int p = j->n_old; p < t->net.n_precisions && (rc = omq_calibrate(&c, p, err)) == OMQ_OK;
         p++) {
        omq_train_note(j->opt->cb, "%s calibrated after %s with %d images",
                       omq_precision_name(t->net.precisions[p], name),
                       omq_precision_name(t->net.precisions[target], of), c.batch.n);
    }
    omq_calibration_close(&c);
    return rc;
}

/* All of them: of what has not changed, too, there may be no figure yet. */
static int evaluate(struct job *j, struct omq_err *err)
{
    struct omq_train *t = &j->t;
    struct omq_train_progress p = {.n_precisions = t->net.n_precisions};
    int rc, skipped;

    for (int i = 0; i < t->net.n_precisions; i++) {
        if (asked_to_stop(j))
            return omq_calibration_stopped(err);
        if ((rc = omq_train_evaluate(t, i, &skipped, err)) < 0)
            return rc;
        if (i == 0)
            omq_train_note_left_out(j->opt->cb, skipped);
        omq_precision_name(t->net.precisions[i], p.precisions[i].name);
        p.precisions[i].loss = (double)NAN;
        p.precisions[i].top1 = t->info.results[i].top1;
        p.precisions[i].eval_loss = t->info.results[i].loss;
    }
    if (j->opt->cb && j->opt->cb->epoch)
        j->opt->cb->epoch(j->opt->cb->ctx, &p);
    return OMQ_OK;
}

/* The model itself stays the same for those who follow it, with what omq-switch sets
 * meanwhile. */
static bool is_same(const char *model, const char *output)
{
    struct stat in, out;

    return stat(model, &in) == 0 && stat(output, &out) == 0 && omq_is_same_file(&in, &out);
}

static int write_model(const struct job *j, const char *model, const char *path,
                       struct omq_err *err)
{
    struct omq_ckpt_writer *w;
    char *meta = NULL;
    int rc = omq_ckpt_writer_open(&w, err);

    if (rc < 0)
        return rc;
    if ((rc = omq_model_put(w, &j->t.net, &j->t.info, &meta, err)) == OMQ_OK) {
        omq_ckpt_set_switch(w, j->active);
        rc = is_same(model, path) ? omq_ckpt_write_over(w, path, err)
                                  : omq_ckpt_write(w, path, err);
    }
    omq_ckpt_writer_close(w);
    free(meta);
    return rc;
}

static int estimate(struct job *j, struct omq_err *err)
{
    bool any = false;
    int rc = open_data(j, err);

    if (rc < 0)
        return rc;
    for (int i = 0; i < j->n_old; i++)
        any |= j->chosen[i];
    if (any && (rc = statistics(j, err)) < 0)
        return rc;
    if (j->n_old < j->t.net.n_precisions && (rc = add_precisions(j, err)) < 0)
        return rc;
    return evaluate(j, err);
}

static int run(struct job *j, const char *model, const char *output, struct omq_err *err)
{
    int rc = open_model(j, model, err);

    if (rc < 0)
        return rc;
    if (j->opt->profile &&
        (rc = omq_profile_add(&j->t.info, &j->t.net, j->opt->profile, err)) < 0)
        return rc;
    if ((rc = omq_file_try(output, err)) < 0)
        return rc;
    if ((j->opt->bits || !j->opt->profile) && (rc = estimate(j, err)) < 0)
        return rc;
    return write_model(j, model, output, err);
}

int omq_recalibrate(const char *model, const char *output,
                    const struct omq_recalibrate_options *opt, struct omq_err *err)
{
    struct job *j = calloc(1, sizeof(*j));
    int rc;

    if (!j)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a calibration");
    j->opt = opt;
    rc = run(j, model, output, err);
    omq_train_release(&j->t);
    free(j);
    return rc;
}
