/* SPDX-License-Identifier: MIT
 *
 * From configuration to everything a run needs: data -> graph -> net ->
 * buffers. Creates no file.
 */
#include "train/train_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

int omq_train_open(struct omq_train **out, const char *config_path, const char *const *sets,
                   int n_sets, char **errors, struct omq_err *err)
{
    struct omq_train *t = calloc(1, sizeof(*t));
    struct omq_diag diag = {0};
    int rc;

    if (!t)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a training run");
    t->best = -1;
    rc = omq_config_load(&t->config, config_path, sets, n_sets, &diag, err);
    if (rc < 0) {
        if (errors) {
            *errors = diag.text;
            diag.text = NULL;
        }
        omq_diag_release(&diag);
        omq_train_close(t);
        return rc;
    }
    omq_diag_release(&diag);
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
    omq_train_release_onnx(t);
    free(t->weights_said);
    free(t->added_norms);
}

void omq_train_close(struct omq_train *t)
{
    if (t)
        omq_train_release(t);
    free(t);
}

char *omq_train_dump_config(const struct omq_train *t) { return omq_config_dump(&t->config); }

const char *omq_train_output_dir(const struct omq_train *t) { return t->config.output_dir; }

static int open_data(struct omq_train *t, struct omq_err *err)
{
    const struct omq_data_config *d = &t->config.data;
    int rc;

    if ((rc = omq_dataset_open(&t->train, d, OMQ_SPLIT_TRAIN, t->config.seed, err)) < 0 ||
        (rc = omq_dataset_open(&t->held_out, d,
                               d->validation > 0 ? OMQ_SPLIT_VALIDATION : OMQ_SPLIT_TEST,
                               t->config.seed, err)) < 0)
        return rc;
    if (t->train->n_classes < t->held_out->n_classes ||
        t->train->height != t->held_out->height || t->train->width != t->held_out->width ||
        t->train->channels != t->held_out->channels)
        return omq_fail(err, OMQ_ECONFIG, "the training images are %d x %d x %d of %d classes, the "
                        "test images %d x %d x %d of %d", t->train->height, t->train->width,
                        t->train->channels, t->train->n_classes, t->held_out->height,
                        t->held_out->width, t->held_out->channels, t->held_out->n_classes);
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

    if ((rc = omq_preprocess_init(&pre, &t->config.data, d->height, d->width, d->channels,
                                  err)) < 0 ||
        (rc = omq_train_build_graph(t, &graph, err)) < 0)
        return rc;
    rc = omq_net_init(&t->net, &graph, t->config.precisions, t->config.n_precisions,
                      &t->config.quant, &pre, t->config.seed, true, err);
    for (int i = 0; rc == OMQ_OK && i < t->config.n_profiles; i++)
        rc = omq_profile_add(&t->info, &t->net, t->config.profiles[i], err);
    return rc < 0 ? rc : omq_train_load_weights(t, err);
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

    if (t->train->n < opt.batch_size)
        return omq_fail(err, OMQ_ECONFIG, "train.batch_size is %d, but there are only %d training "
                        "images", opt.batch_size, t->train->n);
    if ((rc = omq_loader_open(&t->loader, t->train, &t->net.pre, &opt, err)) < 0 ||
        t->net.n_precisions == 1 || t->config.train.batches == OMQ_BATCHES_SHARED)
        return rc;
    opt.seed ^= OTHER_SEED;
    return omq_loader_open(&t->others, t->train, &t->net.pre, &opt, err);
}

/* Data and network: what a report needs. */
static int open_model(struct omq_train *t, struct omq_err *err)
{
    int rc;

    if (t->pool)
        return OMQ_OK;
    if ((rc = open_data(t, err)) < 0 || (rc = open_net(t, err)) < 0)
        return rc;
    omq_schedule_order(t->net.precisions, t->net.n_precisions, t->order);
    omq_schedule_shares(t->net.precisions, t->order, t->net.n_precisions,
                        t->config.train.widths_per_step, t->share);
    return omq_pool_open(&t->pool, t->config.threads, err);
}

int omq_train_prepare(struct omq_train *t, struct omq_err *err)
{
    size_t n_logits;
    int rc;

    if (t->loader) /* which comes last: all is there */
        return OMQ_OK;
    if ((rc = open_model(t, err)) < 0)
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

/* ---- report ---- */

/* n: images that are worked on at once. */
static void report_text(const struct omq_train *t, size_t bytes, int n, FILE *f)
{
    const struct omq_plan *p = &t->net.plan;
    char name[16];

    fprintf(f, "data: %d training images of %d x %d x %d, %d to evaluate, %d classes\n",
            t->train->n, t->train->height, t->train->width, t->train->channels, t->held_out->n,
            t->net.n_classes);
    fprintf(f, "network: %s, %llu parameters, %llu multiply-accumulates an image\n",
            t->config.model.arch[0] ? t->config.model.arch : t->config.model.onnx,
            (unsigned long long)omq_net_weights(&t->net),
            (unsigned long long)omq_net_macs(&t->net));
    if (t->config.train.epochs > 0)
        fprintf(f, "memory: %.1f MiB for batches of %d\n\n", (double)bytes / (1 << 20), n);
    else
        fprintf(f, "memory: about %.1f MiB, to calibrate with %d images\n\n",
                (double)bytes / (1 << 20), n);
    fprintf(f, "%-28s %14s %10s %12s\n", "layer", "weights", "output", "MACs");
    for (int i = 0; i < p->n_units; i++) {
        const struct omq_unit *u = &p->units[i];
        const struct omq_layer *l;
        char weights[64], output[48];

        if (u->kind != OMQ_UNIT_CONV)
            continue;
        l = &p->layers[u->layer];
        snprintf(weights, sizeof(weights), "%dx%dx%dx%d", l->out, l->in, l->kh, l->kw);
        snprintf(output, sizeof(output), "%dx%dx%d", u->win.oh, u->win.ow, u->oc);
        fprintf(f, "%-28s %14s %10s %12llu\n", l->name, weights, output,
                (unsigned long long)u->win.oh * u->win.ow * l->out * l->in * l->kh * l->kw);
    }
    fprintf(f, "\n%-28s %14s\n", "precision", "weight bytes");
    for (int i = 0; i < t->net.n_precisions; i++)
        fprintf(f, "%-28s %14llu\n", omq_precision_name(t->net.precisions[i], name),
                (unsigned long long)omq_net_weight_bytes(&t->net, i));
}

static void report_json(const struct omq_train *t, size_t bytes, FILE *f)
{
    const struct omq_plan *p = &t->net.plan;
    char name[16];
    const char *sep = "";

    fprintf(f, "{\"train_images\": %d, \"eval_images\": %d, \"classes\": %d, \"parameters\": %llu, "
            "\"macs\": %llu, \"memory_bytes\": %zu, \"layers\": [", t->train->n, t->held_out->n,
            t->net.n_classes, (unsigned long long)omq_net_weights(&t->net),
            (unsigned long long)omq_net_macs(&t->net), bytes);
    for (int i = 0; i < p->n_units; i++) {
        const struct omq_unit *u = &p->units[i];
        const struct omq_layer *l = u->layer < 0 ? NULL : &p->layers[u->layer];

        if (!l)
            continue;
        fprintf(f, "%s{\"name\": \"%s\", \"weights\": [%d, %d, %d, %d], \"output\": [%d, %d, %d], "
                "\"bias\": %s, \"norm\": \"%s\"}", sep, l->name, l->out, l->in, l->kh, l->kw,
                u->win.oh, u->win.ow, u->oc, l->bias ? "true" : "false", l->norm);
        sep = ", ";
    }
    fprintf(f, "], \"precisions\": [");
    for (int i = 0; i < t->net.n_precisions; i++)
        fprintf(f, "%s{\"precision\": \"%s\", \"weight_bytes\": %llu}", i ? ", " : "",
                omq_precision_name(t->net.precisions[i], name),
                (unsigned long long)omq_net_weight_bytes(&t->net, i));
    fprintf(f, "]}\n");
}

/* What a set has in memory. */
static size_t image_bytes(const struct omq_dataset *d)
{
    size_t image = (size_t)d->height * (size_t)d->width * (size_t)d->channels;

    return d->pixels ? (size_t)d->n * image : 0;
}

int omq_train_report(struct omq_train *t, FILE *f, bool json, struct omq_err *err)
{
    int rc, n = t->config.train.batch_size;
    size_t bytes;

    if ((rc = open_model(t, err)) < 0)
        return rc;
    if (t->config.train.epochs > 0)
        bytes = omq_exec_bytes(&t->net, t->pool, n, true);
    else
        n = omq_calibration_images(&t->net, &t->net, t->pool,
                                   t->config.train.calibration_images < t->train->n
                                   ? t->config.train.calibration_images : t->train->n, &bytes);
    bytes += 2 * t->net.arena.size + image_bytes(t->train) + image_bytes(t->held_out);
    if (json)
        report_json(t, bytes, f);
    else
        report_text(t, bytes, n, f);
    return OMQ_OK;
}
