/* SPDX-License-Identifier: MIT
 *
 * From configuration to everything a run needs: data -> graph -> net ->
 * buffers. Creates no file.
 */
#include "train/train_internal.h"

#include <stdlib.h>

int omq_train_open(struct omq_train **out, const char *config_path, const char *const *sets,
                   int n_sets, char **errors, struct omq_err *err)
{
    struct omq_train *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a training run");
    t->at.best = -1;
    rc = omq_config_load(&t->config, config_path, sets, n_sets, &t->diag, err);
    if (rc < 0) {
        if (errors) {
            *errors = t->diag.text;
            t->diag.text = NULL;
        }
        omq_train_close(t);
        return rc;
    }
    *out = t;
    return OMQ_OK;
}

void omq_train_release(struct omq_train *t)
{
    omq_loader_close(t->loader);
    omq_loader_close(t->others);
    omq_optim_release(&t->optim);
    omq_exec_close(t->exec);
    omq_net_release(&t->net);
    omq_pool_close(t->pool);
    omq_model_info_release(&t->info);
    omq_dataset_close(t->held_out);
    omq_dataset_close(t->train);
    free(t->dlogits);
    free(t->teacher);
    free(t->row);
    omq_begin_release(&t->beginning);
    omq_diag_release(&t->diag);
}

void omq_train_close(struct omq_train *t)
{
    if (t)
        omq_train_release(t);
    free(t);
}

const char *omq_train_find_key(const char *word) { return omq_config_find_key(word); }

char *omq_train_dump_config(const struct omq_train *t) { return omq_config_dump(&t->config); }

const char *omq_train_output_dir(const struct omq_train *t) { return t->config.output_dir; }

const char *omq_train_weights_said(const struct omq_train *t)
{
    return t->beginning.said ? t->beginning.said : "";
}

static int open_data(struct omq_train *t, struct omq_err *err)
{
    const struct omq_data_config *d = &t->config.data;
    int rc;

    if ((rc = omq_dataset_open(&t->train, d, OMQ_SPLIT_TRAIN, t->config.seed, err)) < 0 ||
        (rc = omq_dataset_open(&t->held_out, d,
                               d->validation > 0 ? OMQ_SPLIT_VALIDATION : OMQ_SPLIT_TEST,
                               t->config.seed, err)) < 0)
        return omq_diag_wrap(&t->diag, NULL, rc, err);
    if (t->train->n_classes < t->held_out->n_classes ||
        t->train->height != t->held_out->height || t->train->width != t->held_out->width ||
        t->train->channels != t->held_out->channels)
        return omq_fail(err, OMQ_ECONFIG, "the training images are %d x %d x %d of %d classes, the "
                        "test images %d x %d x %d of %d", t->train->height, t->train->width,
                        t->train->channels, t->train->n_classes, t->held_out->height,
                        t->held_out->width, t->held_out->channels, t->held_out->n_classes);
    if (t->config.train.epochs > 0 && t->train->n < t->config.train.batch_size)
        return omq_diag_wrap(&t->diag, "train.batch_size",
                             omq_fail(err, OMQ_ECONFIG, "train.batch_size is %d, but there are "
                                      "only %d training images", t->config.train.batch_size,
                                      t->train->n), err);
    t->info.config = t->config;
    t->info.data_fingerprint = t->train->fingerprint;
    return omq_model_info_set_classes(&t->info, t->train->class_names, t->train->n_classes, err);
}

static int open_net(struct omq_train *t, struct omq_err *err)
{
    const struct omq_dataset *d = t->train;
    struct omq_preprocess pre;
    struct omq_graph graph;
    int rc;

    rc = omq_preprocess_init(&pre, &t->config.data, d->height, d->width, d->channels, err);
    if (rc < 0)
        return omq_diag_wrap(&t->diag, NULL, rc, err);
    if ((rc = omq_begin_graph(&t->beginning, &t->config, d, &graph, err)) < 0)
        return omq_diag_wrap(&t->diag, t->config.model.arch[0] ? "model.arch" : "model.onnx", rc,
                             err);
    rc = omq_net_init(&t->net, &graph, t->config.precisions, t->config.n_precisions,
                      &t->config.quant, &pre, t->config.seed, true, err);
    for (int i = 0; rc == OMQ_OK && i < t->config.n_profiles; i++)
        rc = omq_diag_wrap(&t->diag, "profiles", omq_profile_add(&t->info, &t->net,
                                                                 t->config.profiles[i], err), err);
    if (rc < 0)
        return rc;
    rc = omq_begin_weights(&t->beginning, &t->config.init, &t->net, err);
    return omq_diag_wrap(&t->diag, NULL, rc, err);
}

/* The others' orders and augmentation are not those of the highest. */
#define OTHER_SEED UINT64_C(0x6f74686572730000)

static int open_loaders(struct omq_train *t, struct omq_err *err)
{
    struct omq_loader_options opt = {
        .batch_size = t->config.train.batch_size, .workers = t->config.data.workers,
        .shuffle = true, .augment = true, .drop_last = true, .seed = t->config.seed,
    };
    int rc;

    if (opt.batch_size > t->train->n)
        opt.batch_size = t->train->n; /* of calibration, which has batches of its own */
    if ((rc = omq_loader_open(&t->loader, t->train, &t->net.pre, &opt, err)) < 0)
        return omq_diag_wrap(&t->diag, NULL, rc, err);
    if (t->config.train.batches == OMQ_BATCHES_SHARED ||
        t->schedule.widths[OMQ_STAGE_TOGETHER] == 1)
        return OMQ_OK;
    opt.seed ^= OTHER_SEED;
    return omq_loader_open(&t->others, t->train, &t->net.pre, &opt, err);
}

int omq_train_open_model(struct omq_train *t, struct omq_err *err)
{
    int rc;

    if (t->pool)
        return OMQ_OK;
    if ((rc = open_data(t, err)) < 0 || (rc = open_net(t, err)) < 0)
        return rc;
    omq_schedule_init(&t->schedule, &t->config.train, &t->net);
    return omq_pool_open(&t->pool, t->config.threads, err);
}

int omq_train_prepare(struct omq_train *t, struct omq_err *err)
{
    size_t n_logits;
    int rc;

    if (t->loader) /* which comes last: all is there */
        return OMQ_OK;
    if ((rc = omq_train_open_model(t, err)) < 0)
        return rc;
    n_logits = (size_t)t->config.train.batch_size * (size_t)t->net.n_classes;
    t->dlogits = omq_calloc(n_logits, sizeof(*t->dlogits));
    t->teacher = omq_calloc(n_logits, sizeof(*t->teacher));
    t->row = omq_calloc((size_t)t->net.n_classes, sizeof(*t->row));
    if (!t->dlogits || !t->teacher || !t->row)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a batch of %d",
                        t->config.train.batch_size);
    if ((t->config.train.epochs > 0 &&
         (rc = omq_exec_open(&t->exec, &t->net, t->pool, t->config.train.batch_size, true,
                             err)) < 0) ||
        (rc = omq_optim_init(&t->optim, &t->net, &t->config.train, err)) < 0)
        return rc;
    return open_loaders(t, err);
}
