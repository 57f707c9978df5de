/* SPDX-License-Identifier: MIT
 *
 * Checkpoints: the model, and for --resume the optimizer's state and the
 * position of the run. Random numbers are functions of the position, so there
 * is no generator to save.
 */
#include "train/train_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* What stands in the position section, in this order. */
enum { POS_EPOCH, POS_STEP, POS_THREADS, POS_COUNTS, POS_SIZE = POS_COUNTS + OMQ_MAX_PRECISIONS };

struct position {
    uint64_t ints[POS_SIZE];
    double reals[1 + OMQ_MAX_PRECISIONS]; /* best, loss sums */
};

enum { SLOT_NAME_SIZE = OMQ_FILE_NAME_SIZE + 4 };

/* "m:NAME", the optimizer's state of a parameter. */
static const char *slot_name(const struct omq_net *net, const struct omq_param *p,
                             const char *slot, char buf[SLOT_NAME_SIZE])
{
    char name[OMQ_FILE_NAME_SIZE];

    omq_param_file_name(net, p, name);
    snprintf(buf, SLOT_NAME_SIZE, "%s:%s", slot, name);
    return buf;
}

static int add_slot(struct omq_ckpt_writer *w, const struct omq_net *net, const struct omq_param *p,
                    const char *slot, const omq_real *data, struct omq_err *err)
{
    char name[SLOT_NAME_SIZE];
    uint64_t n = p->n;

    return omq_ckpt_add(w, OMQ_SEC_OPT, slot_name(net, p, slot, name), OMQ_F32, 0, 1, &n, data,
                        err);
}

static int add_state(struct omq_ckpt_writer *w, const struct omq_train *t, struct position *pos,
                     struct omq_err *err)
{
    uint64_t n_params = (uint64_t)t->net.n_params, n_ints = POS_SIZE;
    uint64_t n_reals = sizeof(pos->reals) / sizeof(pos->reals[0]);
    int rc;

    for (int i = 0; i < t->net.n_params; i++) {
        const struct omq_param *p = &t->net.params[i];

        if (t->optim.m[i] && (rc = add_slot(w, &t->net, p, "m", t->optim.m[i], err)) < 0)
            return rc;
        if (t->optim.v[i] && (rc = add_slot(w, &t->net, p, "v", t->optim.v[i], err)) < 0)
            return rc;
    }
    pos->ints[POS_EPOCH] = (uint64_t)t->at.epoch;
    pos->ints[POS_STEP] = (uint64_t)t->at.step;
    pos->ints[POS_THREADS] = (uint64_t)omq_pool_threads(t->pool);
    memcpy(pos->ints + POS_COUNTS, t->at.loss_count, sizeof(t->at.loss_count));
    pos->reals[0] = t->at.best;
    memcpy(pos->reals + 1, t->at.loss_sum, sizeof(t->at.loss_sum));
    if ((rc = omq_ckpt_add(w, OMQ_SEC_OPT, "updates", OMQ_U64, 0, 1, &n_params,
                           t->optim.n_updates, err)) < 0 ||
        (rc = omq_ckpt_add(w, OMQ_SEC_RNG, "position", OMQ_U64, 0, 1, &n_ints, pos->ints, err)) < 0)
        return rc;
    return omq_ckpt_add(w, OMQ_SEC_RNG, "progress", OMQ_F64, 0, 1, &n_reals, pos->reals, err);
}

int omq_checkpoint_save(struct omq_train *t, const char *name, bool state, struct omq_err *err)
{
    char *path = omq_path_join(t->config.output_dir, name), *meta = NULL;
    struct omq_ckpt_writer *w = NULL;
    struct position pos = {0};
    int rc;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    if ((rc = omq_ckpt_writer_open(&w, err)) < 0 ||
        (rc = omq_model_put(w, &t->net, &t->info, &meta, err)) < 0 ||
        (state && (rc = add_state(w, t, &pos, err)) < 0))
        goto out;
    rc = omq_ckpt_write(w, path, err);
    t->has_checkpoint |= state && rc == OMQ_OK;
out:
    omq_ckpt_writer_close(w);
    free(meta);
    free(path);
    return rc;
}

/* ---- reading ---- */

static int get_slot(const struct omq_ckpt *c, const struct omq_net *net, const struct omq_param *p,
                    const char *slot, omq_real *dst, struct omq_err *err)
{
    char name[SLOT_NAME_SIZE];
    uint64_t n = p->n;
    const void *data;
    int rc = omq_ckpt_get(c, OMQ_SEC_OPT, slot_name(net, p, slot, name), OMQ_F32, 1, &n, &data,
                          err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < p->n; i++)
        dst[i] = (omq_real)((const float *)data)[i];
    return OMQ_OK;
}

static int get_optimizer(struct omq_train *t, const struct omq_ckpt *c, const uint64_t *updates,
                         struct omq_err *err)
{
    struct omq_optim *o = &t->optim;
    int rc;

    for (int i = 0; i < t->net.n_params; i++) {
        const struct omq_param *p = &t->net.params[i];

        if (o->m[i] && (rc = get_slot(c, &t->net, p, "m", o->m[i], err)) < 0)
            return rc;
        if (o->v[i] && (rc = get_slot(c, &t->net, p, "v", o->v[i], err)) < 0)
            return rc;
    }
    memcpy(o->n_updates, updates, sizeof(*o->n_updates) * (size_t)t->net.n_params);
    return OMQ_OK;
}

/* A run that was only calibrated goes on with any optimizer, its state all 0. */
static int get_state(struct omq_train *t, const struct omq_ckpt *c, struct omq_earlier_run *earlier,
                     struct omq_err *err)
{
    uint64_t n_params = (uint64_t)t->net.n_params, n_ints = POS_SIZE;
    uint64_t n_reals = 1 + OMQ_MAX_PRECISIONS;
    const int batches = omq_loader_batches(t->loader);
    const void *updates, *ints, *reals;
    const uint64_t *pos;
    int rc;

    if ((rc = omq_ckpt_get(c, OMQ_SEC_OPT, "updates", OMQ_U64, 1, &n_params, &updates, err)) < 0 ||
        (rc = omq_ckpt_get(c, OMQ_SEC_RNG, "position", OMQ_U64, 1, &n_ints, &ints, err)) < 0 ||
        (rc = omq_ckpt_get(c, OMQ_SEC_RNG, "progress", OMQ_F64, 1, &n_reals, &reals, err)) < 0)
        return rc;
    pos = ints;
    if (pos[POS_EPOCH] > INT32_MAX || pos[POS_STEP] > INT32_MAX)
        return omq_fail(err, OMQ_EFORMAT, "the position in the checkpoint (epoch %llu, step %llu) "
                        "is none of any run", (unsigned long long)pos[POS_EPOCH],
                        (unsigned long long)pos[POS_STEP]);
    if (pos[POS_STEP] > (uint64_t)batches)
        return omq_fail(err, OMQ_ECONFIG, "the run has done %llu steps of its next epoch, and an "
                        "epoch has %d now: resume with the train.batch_size and the images that "
                        "began the run", (unsigned long long)pos[POS_STEP], batches);
    if (earlier->other_optimizer && (pos[POS_EPOCH] || pos[POS_STEP]))
        return omq_fail(err, OMQ_ECONFIG, "the run was begun with another train.optimizer, whose "
                        "state this one cannot use: resume with that");
    if (!earlier->other_optimizer && (rc = get_optimizer(t, c, updates, err)) < 0)
        return rc;
    t->at.epoch = (int)pos[POS_EPOCH];
    t->at.step = (int)pos[POS_STEP];
    earlier->threads = (int)pos[POS_THREADS];
    memcpy(t->at.loss_count, pos + POS_COUNTS, sizeof(t->at.loss_count));
    t->at.best = ((const double *)reals)[0];
    memcpy(t->at.loss_sum, (const double *)reals + 1, sizeof(t->at.loss_sum));
    return OMQ_OK;
}

/* Same parameters, same precisions: then values can be copied over. */
static bool same_net(const struct omq_net *a, const struct omq_net *b)
{
    if (a->n_params != b->n_params || a->n_precisions != b->n_precisions ||
        memcmp(a->precisions, b->precisions, sizeof(*a->precisions) * (size_t)a->n_precisions))
        return false;
    for (int i = 0; i < a->n_params; i++)
        if (strcmp(a->params[i].name, b->params[i].name) || a->params[i].n != b->params[i].n ||
            a->params[i].kind != b->params[i].kind)
            return false;
    return true;
}

/* What is to be said of the run whose model c holds. */
static int compare(const struct omq_train *t, const struct omq_net *net,
                   const struct omq_model_info *info, struct omq_earlier_run *earlier,
                   struct omq_err *err)
{
    struct omq_config now = t->config;

    omq_schedule_init(&earlier->schedule, &info->config.train, net);
    earlier->other_optimizer = info->config.train.optimizer != t->config.train.optimizer;
    earlier->other_data = info->data_fingerprint != t->info.data_fingerprint;
    omq_config_forget_place(&now);
    earlier->changes = omq_config_changes(&info->config, &now);
    return earlier->changes ? OMQ_OK : omq_fail(err, OMQ_ENOMEM, "cannot compare configurations");
}

/* The network and its results, from c into t. */
static int get_model(struct omq_train *t, const struct omq_ckpt *c, struct omq_earlier_run *earlier,
                     struct omq_err *err)
{
    struct omq_model_info info = {0};
    struct omq_net net;
    int rc = omq_model_get(&net, &info, c, err);

    if (rc < 0)
        return rc;
    if (!same_net(&t->net, &net)) {
        rc = omq_fail(err, OMQ_ECONFIG,
                      "it holds another network than the configuration describes: "
                      "resume with the configuration that began the run");
    } else {
        for (int i = 0; i < net.n_params; i++)
            memcpy(t->net.params[i].value, net.params[i].value, sizeof(omq_real) * net.params[i].n);
        memcpy(t->info.results, info.results, sizeof(info.results));
        rc = compare(t, &net, &info, earlier, err);
    }
    omq_net_release(&net);
    omq_model_info_release(&info);
    return rc;
}

bool omq_train_has_checkpoint(const struct omq_train *t) { return t->has_checkpoint; }

int omq_checkpoint_load(struct omq_train *t, struct omq_earlier_run *earlier, struct omq_err *err)
{
    char *path = omq_path_join(t->config.output_dir, "last.omq");
    struct omq_ckpt *c = NULL;
    int rc;

    *earlier = (struct omq_earlier_run){0};
    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    if ((rc = omq_ckpt_open(&c, path, 0, err)) < 0) {
        omq_wrap(err, rc, "cannot resume (--force starts again)");
        goto out;
    }
    if ((rc = get_model(t, c, earlier, err)) < 0 || (rc = get_state(t, c, earlier, err)) < 0)
        omq_wrap(err, rc, "cannot resume from '%s'", path);
    t->has_checkpoint = rc == OMQ_OK;
out:
    omq_ckpt_close(c);
    free(path);
    return rc;
}
