/* SPDX-License-Identifier: MIT
 *
 * omq.h's model: opening one, what it is, and which precision is active.
 */
#include "engine/model_internal.h"

#include <math.h>
#include <stdlib.h>

#include "engine/live.h"

/* ---- opening ---- */

static int find_first(const struct omq_model *m, const struct omq_open_options *opt,
                      struct omq_switch_word word, int *active, struct omq_err *err)
{
    if (opt->precision) {
        *active = omq_choice_find(m->choices, m->n_choices, opt->precision, err);
        return *active < 0 ? *active : OMQ_OK;
    }
    *active = omq_model_find_switch(m, word);
    for (int i = 0; *active < 0 && i < m->net.n_precisions; i++)
        if (!omq_choice_is_float(&m->choices[i]))
            *active = i;
    if (*active < 0)
        return omq_fail(err, OMQ_EUNSUP, "all precisions of the model are float: only omq-eval "
                        "can run it");
    return OMQ_OK;
}

static int make_choices(struct omq_model *m, struct omq_err *err)
{
    m->n_choices = omq_choice_count(&m->net, &m->info);
    m->choices = calloc((size_t)m->n_choices, sizeof(*m->choices));
    if (!m->choices)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a model");
    for (int i = 0; i < m->n_choices; i++)
        m->choices[i] = omq_choice_at(&m->net, &m->info, i);
    return OMQ_OK;
}

static int open_model(struct omq_model *m, const struct omq_ckpt *c,
                      const struct omq_open_options *opt, bool lazy, struct omq_err *err)
{
    struct omq_residents_options how = {.lazy = lazy, .log = opt->log, .log_ctx = opt->log_ctx};
    int rc;

    if (opt->resident < 0)
        return omq_fail(err, OMQ_EARG, "a model cannot keep %d precisions ready", opt->resident);
    if ((rc = omq_model_get(&m->net, &m->info, c, err)) < 0 ||
        (rc = make_choices(m, err)) < 0 ||
        (rc = find_first(m, opt, omq_ckpt_switch(c), &how.active, err)) < 0 ||
        (rc = omq_pool_open(&m->pool, opt->threads, err)) < 0)
        return rc;
    m->pre = m->net.pre;
    m->n_classes = m->net.n_classes;
    how.limit = opt->resident > 0 && opt->resident < m->n_choices ? opt->resident : m->n_choices;
    if ((rc = omq_residents_open(&m->residents, &m->net, &m->info, &how, err)) < 0)
        return rc;
    if (omq_residents_complete(m->residents))
        omq_net_release(&m->net);
    return OMQ_OK;
}

static int open_checked(struct omq_model **out, struct omq_ckpt *c, const char *name,
                        const struct omq_open_options *opt, bool lazy, struct omq_err *err)
{
    static const struct omq_open_options defaults;
    struct omq_model *m = calloc(1, sizeof(*m));
    int rc;

    if (!m)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a model");
    pthread_mutex_init(&m->pool_lock, NULL);
    pthread_mutex_init(&m->work_lock, NULL);
    if ((rc = omq_init(NULL, err)) < 0 ||
        (rc = open_model(m, c, opt ? opt : &defaults, lazy, err)) < 0) {
        omq_model_close(m);
        return omq_wrap(err, rc, "cannot load '%s'", name);
    }
    *out = m;
    return OMQ_OK;
}

static int open_file(struct omq_model **out, const char *path, const struct omq_open_options *opt,
                     bool lazy, struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_open(&c, path, 0, err);

    if (rc < 0)
        return rc;
    rc = open_checked(out, c, path, opt, lazy, err);
    omq_ckpt_close(c);
    return rc;
}

int omq_model_open(struct omq_model **out, const char *path, const struct omq_open_options *opt,
                   struct omq_err *err)
{
    return open_file(out, path, opt, false, err);
}

int omq_model_open_to_look(struct omq_model **out, const char *path, int threads,
                           struct omq_err *err)
{
    const struct omq_open_options opt = {.threads = threads, .resident = 1};

    return open_file(out, path, &opt, true, err);
}

int omq_model_open_memory(struct omq_model **out, const void *bytes, size_t n_bytes,
                          const char *name, const struct omq_open_options *opt,
                          struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_open_memory(&c, bytes, n_bytes, name, 0, err);

    if (rc < 0)
        return rc;
    rc = open_checked(out, c, name, opt, false, err);
    omq_ckpt_close(c);
    return rc;
}

void omq_model_close(struct omq_model *m)
{
    if (!m)
        return;
    omq_residents_close(m->residents);
    omq_pool_close(m->pool);
    omq_model_free_work(m);
    pthread_mutex_destroy(&m->pool_lock);
    pthread_mutex_destroy(&m->work_lock);
    omq_model_info_release(&m->info);
    omq_net_release(&m->net);
    free(m->choices);
    free(m);
}

/* ---- what it is ---- */

void omq_model_shape(const struct omq_model *m, struct omq_model_shape *out)
{
    const struct omq_data_config *data = &m->info.config.data;
    int longer = m->pre.height > m->pre.width ? m->pre.height : m->pre.width;

    *out = (struct omq_model_shape){
        .height = m->pre.height, .width = m->pre.width, .channels = m->pre.channels,
        .n_classes = m->n_classes, .mean = m->pre.mean, .std = m->pre.std,
        .arch = m->info.config.model.arch[0] ? m->info.config.model.arch : "onnx",
        .resize = data->resize > longer ? data->resize : longer,
        .bicubic = data->interpolation == OMQ_INTERPOLATION_BICUBIC,
        .transpose = data->transpose,
    };
}

const char *omq_model_class_name(const struct omq_model *m, int c)
{
    return c >= 0 && c < m->info.n_class_names ? m->info.class_names[c] : "";
}

int omq_model_count(const struct omq_model *m) { return m->n_choices; }

void omq_model_precision(struct omq_model *m, int i, struct omq_model_precision *out)
{
    const struct omq_choice *c;

    if (i == OMQ_ACTIVE)
        i = omq_model_active(m);
    if (i < 0 || i >= m->n_choices) {
        *out = (struct omq_model_precision){.name = "", .top1 = (double)NAN};
        return;
    }
    c = &m->choices[i];
    *out = (struct omq_model_precision){
        .name = c->name, .w = c->w, .a = c->a, .top1 = c->top1, .weight_bytes = c->weight_bytes,
        .resident = omq_residents_ready(m->residents, i),
    };
}

int omq_model_find(const struct omq_model *m, const char *word, struct omq_err *err)
{
    return omq_choice_find(m->choices, m->n_choices, word, err);
}

int omq_model_threads(const struct omq_model *m) { return omq_pool_threads(m->pool); }

int omq_model_find_switch(const struct omq_model *m, struct omq_switch_word word)
{
    int i = omq_choice_switch(m->choices, m->n_choices, word);

    return i >= 0 && omq_choice_is_float(&m->choices[i]) ? -1 : i;
}

/* ---- switching ---- */

static int set(struct omq_model *m, int precision, bool wait, struct omq_err *err)
{
    int rc = omq_model_check_choice(m, precision, err);

    return rc < 0 ? rc : omq_residents_set(m->residents, precision, wait, err);
}

int omq_model_take(struct omq_model *m, int precision, const struct omq_engine **plan,
                   struct omq_err *err)
{
    int rc = omq_model_check_choice(m, precision, err);

    return rc < 0 ? rc : omq_residents_take(m->residents, &precision, plan, err);
}

void omq_model_give(struct omq_model *m, int precision)
{
    omq_residents_give(m->residents, precision);
}

int omq_model_set(struct omq_model *m, int precision, struct omq_err *err)
{
    return set(m, precision, false, err);
}

int omq_model_set_wait(struct omq_model *m, int precision, struct omq_err *err)
{
    return set(m, precision, true, err);
}

int omq_model_active(const struct omq_model *m) { return omq_residents_active(m->residents); }

int omq_model_asked(const struct omq_model *m) { return omq_residents_asked(m->residents); }

void omq_model_counters(const struct omq_model *m, struct omq_counters *out)
{
    *out = (struct omq_counters){.batches = atomic_load(&m->batches),
                                 .images = atomic_load(&m->images)};
    omq_residents_count(m->residents, out);
}

/* ---- the switch word ---- */

int omq_switch_store(const struct omq_model *m, int precision, const char *path, bool is_control,
                     struct omq_err *err)
{
    struct omq_switch_word word = {.profile = -1};
    int rc = omq_model_check_choice(m, precision, err);

    if (rc < 0 || (is_control && (rc = omq_switch_create(path, err)) < 0))
        return rc;
    if (m->choices[precision].layers) {
        for (int i = 0; i <= precision; i++)
            word.profile += m->choices[i].layers != NULL;
    } else {
        word.w = m->choices[precision].w;
        word.a = m->choices[precision].a;
    }
    return omq_switch_write(path, word, err);
}

int omq_switch_stored(const struct omq_model *m, const char *path, int *precision,
                      struct omq_err *err)
{
    struct omq_switch_word word;
    int rc = omq_switch_read(path, &word, err);

    if (rc == OMQ_OK)
        *precision = omq_model_find_switch(m, word);
    return rc;
}
