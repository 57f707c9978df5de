/* SPDX-License-Identifier: MIT
 *
 * What a dry run says of a training: data, network, memory, stages, bytes.
 */
#define _GNU_SOURCE /* _SC_PHYS_PAGES */
#include "train/train_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"

/* ---- stages ---- */

static const char *const stage_names[OMQ_N_STAGES] = {
    [OMQ_STAGE_HIGHEST] = "highest",
    [OMQ_STAGE_TOGETHER] = "together",
    [OMQ_STAGE_VIEWS] = "views",
};

/* The epochs of a stage, from 1; false if it has none. */
static bool epochs_of(const struct omq_train *t, int stage, int *first, int *last)
{
    *first = 1;
    *last = 0;
    for (int i = 0; i <= stage; i++) {
        *first = *last + 1;
        *last += t->schedule.epochs[i];
    }
    return *last >= *first;
}

/* What learns in the steps of a stage. */
static void learners_text(const struct omq_train *t, enum omq_stage stage, FILE *f)
{
    const int n = t->net.n_precisions, in_step = t->schedule.widths[stage];
    char name[16];

    if (stage == OMQ_STAGE_VIEWS) {
        fputs("views of", f);
        for (int p = 0; p < n; p++)
            if (t->schedule.has_view[p])
                fprintf(f, " %s", omq_precision_name(t->net.precisions[p], name));
        fputs(" alone\n", f);
        return;
    }
    omq_precision_name(t->net.precisions[t->schedule.order[0]], name);
    if (stage == OMQ_STAGE_HIGHEST || n == 1)
        fprintf(f, "%s alone\n", name);
    else if (in_step >= n)
        fprintf(f, "all %d\n", n);
    else if (in_step == 1)
        fprintf(f, "1 of %d\n", n);
    else
        fprintf(f, "%s and %d of the other %d\n", name, in_step - 1, n - 1);
}

static void stages_text(const struct omq_train *t, FILE *f)
{
    fprintf(f, "%-14s %s\n", "epochs", "precisions in a step");
    for (int i = 0; i < OMQ_N_STAGES; i++) {
        int first, last;
        char epochs[32];

        if (!epochs_of(t, i, &first, &last))
            continue;
        snprintf(epochs, sizeof(epochs), first == last ? "%d" : "%d to %d", first, last);
        fprintf(f, "%-14s ", epochs);
        learners_text(t, (enum omq_stage)i, f);
    }
    putc('\n', f);
}

static void stages_json(const struct omq_train *t, FILE *f)
{
    const char *sep = "";

    fputs("\"stages\": [", f);
    for (int i = 0; i < OMQ_N_STAGES; i++) {
        int first, last;

        if (!epochs_of(t, i, &first, &last))
            continue;
        fprintf(f, "%s{\"stage\": \"%s\", \"first_epoch\": %d, \"last_epoch\": %d, "
                "\"precisions_per_step\": %d}", sep, stage_names[i], first, last,
                t->schedule.widths[i]);
        sep = ", ";
    }
    fputs("], ", f);
}

/* ---- the whole ---- */

/* Of memory; infinitely many where that cannot be known. */
static double machine_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages < 0 || size < 0 ? INFINITY : (double)pages * (double)size;
}

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
        fprintf(f, "memory: %.1f MiB for batches of %d", (double)bytes / (1 << 20), n);
    else
        fprintf(f, "memory: about %.1f MiB, to calibrate with %d images",
                (double)bytes / (1 << 20), n);
    if ((double)bytes > machine_bytes())
        fprintf(f, ", more than the %.1f MiB of this machine", machine_bytes() / (1 << 20));
    fputs("\n\n", f);
    if (t->config.train.epochs > 0)
        stages_text(t, f);
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
                (unsigned long long)omq_unit_macs(u));
    }
    fprintf(f, "\n%-28s %14s\n", "precision", "weight bytes");
    for (int i = 0; i < t->net.n_precisions; i++)
        fprintf(f, "%-28s %14llu\n", omq_precision_name(t->net.precisions[i], name),
                (unsigned long long)omq_net_weight_bytes(&t->net, i));
}

/* Names of an ONNX file hold what they like. */
static void string_json(const char *before, const char *s, FILE *f)
{
    json_t *string = json_string(s);

    fputs(before, f);
    if (!string || json_dumpf(string, f, JSON_ENCODE_ANY) < 0)
        fputs("null", f);
    json_decref(string);
}

static void report_json(const struct omq_train *t, size_t bytes, FILE *f)
{
    const struct omq_plan *p = &t->net.plan;
    char name[16];
    const char *sep = "";

    fprintf(f, "{\"train_images\": %d, \"eval_images\": %d, \"classes\": %d, \"parameters\": %llu, "
            "\"macs\": %llu, \"memory_bytes\": %zu, ", t->train->n, t->held_out->n,
            t->net.n_classes, (unsigned long long)omq_net_weights(&t->net),
            (unsigned long long)omq_net_macs(&t->net), bytes);
    stages_json(t, f);
    fputs("\"layers\": [", f);
    for (int i = 0; i < p->n_units; i++) {
        const struct omq_unit *u = &p->units[i];
        const struct omq_layer *l = u->layer < 0 ? NULL : &p->layers[u->layer];

        if (!l)
            continue;
        fputs(sep, f);
        string_json("{\"name\": ", l->name, f);
        fprintf(f, ", \"weights\": [%d, %d, %d, %d], \"output\": [%d, %d, %d], \"bias\": %s, ",
                l->out, l->in, l->kh, l->kw, u->win.oh, u->win.ow, u->oc,
                l->bias ? "true" : "false");
        string_json("\"norm\": ", l->norm, f);
        putc('}', f);
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

/* Buffers of a training, and of a calibration, with which a run without epochs ends and
 * one that has weights begins; *n: images that are worked on at once. */
static size_t buffer_bytes(struct omq_train *t, int *n)
{
    int wanted = t->config.train.calibration_images;
    size_t bytes = 0, training = 0;

    *n = t->config.train.batch_size;
    if (t->config.train.epochs > 0)
        training = omq_exec_bytes(&t->net, t->pool, *n, true);
    if (t->config.train.epochs == 0 || t->beginning.has_weights)
        wanted = omq_calibration_images(&t->net, &t->net, t->pool,
                                        wanted < t->train->n ? wanted : t->train->n, &bytes);
    if (t->config.train.epochs == 0)
        *n = wanted;
    return training + bytes;
}

int omq_train_report(struct omq_train *t, FILE *f, bool json, struct omq_err *err)
{
    size_t bytes;
    int rc, n;

    if ((rc = omq_check_dirs(t->config.output_dir, err)) < 0 ||
        (rc = omq_train_open_model(t, err)) < 0)
        return rc;
    bytes = buffer_bytes(t, &n);
    bytes += 2 * t->net.arena.size + image_bytes(t->train) + image_bytes(t->held_out);
    if (json)
        report_json(t, bytes, f);
    else
        report_text(t, bytes, n, f);
    return OMQ_OK;
}
