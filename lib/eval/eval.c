/* SPDX-License-Identifier: MIT
 *
 * A model file and its data set, for omq-eval. Precisions are numbered as in
 * the model; its profiles come behind them.
 */
#include "eval/eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "omq_tools.h"

enum { DEFAULT_BATCH = 64, LAYER_IMAGES = 256 };

struct omq_eval {
    struct omq_net net;
    struct omq_model_info info;
    struct omq_dataset *data;
    struct omq_pool *pool;
    bool use_float;
    int batch, limit;
    const char *logits_path;    /* NULL: not asked for */
    struct omq_choice *choices; /* [omq_eval_count()] */
};

/* ---- opening ---- */

static int parse_split(const char *word, enum omq_split *split, struct omq_err *err)
{
    static const struct {
        const char *word;
        enum omq_split split;
    } splits[] = {
        {"test", OMQ_SPLIT_TEST}, {"train", OMQ_SPLIT_TRAIN}, {"validation", OMQ_SPLIT_VALIDATION},
    };

    for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++)
        if (!word || strcmp(word, splits[i].word) == 0) {
            *split = splits[i].split;
            return OMQ_OK;
        }
    return omq_fail(err, OMQ_EARG, "unknown split '%s': there are test, train and validation",
                    word);
}

static int parse_engine(const char *word, bool *use_float, struct omq_err *err)
{
    if (word && strcmp(word, "int") != 0 && strcmp(word, "float") != 0)
        return omq_fail(err, OMQ_EARG, "unknown engine '%s': there are int and float", word);
    *use_float = word && strcmp(word, "float") == 0;
    return OMQ_OK;
}

int omq_eval_open(struct omq_eval **out, const char *model, const struct omq_eval_options *opt,
                  struct omq_err *err)
{
    struct omq_eval *e;
    enum omq_split split = OMQ_SPLIT_TEST;
    bool use_float = false;
    int rc;

    if ((rc = parse_split(opt->split, &split, err)) < 0 ||
        (rc = parse_engine(opt->engine, &use_float, err)) < 0)
        return rc;
    if (opt->batch_size < 0 || opt->limit < 0)
        return omq_fail(err, OMQ_EARG, "batch size and limit cannot be negative");
    e = calloc(1, sizeof(*e));
    if (!e)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an evaluation");
    e->use_float = use_float;
    e->batch = opt->batch_size ? opt->batch_size : DEFAULT_BATCH;
    e->limit = opt->limit;
    e->logits_path = opt->logits;
    if ((opt->logits && ((rc = omq_ckpt_check_output(model, opt->logits, err)) < 0 ||
                         (rc = omq_file_try(opt->logits, err)) < 0)) ||
        (rc = omq_model_load(&e->net, &e->info, NULL, model, err)) < 0 ||
        (rc = omq_eval_open_data(&e->data, &e->net, &e->info, opt->data, split, err)) < 0 ||
        (rc = omq_pool_open(&e->pool, opt->threads, err)) < 0) {
        omq_eval_close(e);
        return rc;
    }
    e->choices = calloc((size_t)omq_eval_count(e), sizeof(*e->choices));
    if (!e->choices) {
        omq_eval_close(e);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an evaluation");
    }
    for (int i = 0; i < omq_eval_count(e); i++)
        e->choices[i] = omq_choice_at(&e->net, &e->info, i);
    *out = e;
    return OMQ_OK;
}

void omq_eval_close(struct omq_eval *e)
{
    if (!e)
        return;
    omq_pool_close(e->pool);
    omq_dataset_close(e->data);
    omq_model_info_release(&e->info);
    omq_net_release(&e->net);
    free(e->choices);
    free(e);
}

/* ---- precisions and classes ---- */

int omq_eval_count(const struct omq_eval *e) { return omq_choice_count(&e->net, &e->info); }

const char *omq_eval_name(const struct omq_eval *e, int precision)
{
    return e->choices[precision].name;
}

bool omq_eval_is_profile(const struct omq_eval *e, int precision)
{
    return e->choices[precision].layers != NULL;
}

int omq_eval_find(const struct omq_eval *e, const char *word, struct omq_err *err)
{
    return omq_choice_find(e->choices, omq_eval_count(e), word, err);
}

int omq_eval_classes(const struct omq_eval *e) { return e->net.n_classes; }

const char *omq_eval_class_name(const struct omq_eval *e, int c)
{
    if (c < e->info.n_class_names)
        return e->info.class_names[c];
    return c < e->data->n_classes ? e->data->class_names[c] : "";
}

/* ---- running ---- */

static int how_of(const struct omq_eval *e, int precision, struct omq_eval_how *how,
                  struct omq_err *err)
{
    if (precision < 0 || precision >= omq_eval_count(e))
        return omq_fail(err, OMQ_EARG, "the model has no precision number %d", precision);
    *how = (struct omq_eval_how){
        .precision = e->choices[precision].precision,
        .layer_precision = e->choices[precision].layers,
        .use_float = e->use_float, .batch = e->batch, .limit = e->limit,
    };
    return OMQ_OK;
}

/* Images that are evaluated. */
static int limited(const struct omq_eval *e)
{
    return e->limit > 0 && e->limit < e->data->n ? e->limit : e->data->n;
}

int omq_eval_run(struct omq_eval *e, int precision, struct omq_eval_result *out,
                 uint32_t *confusion, struct omq_err *err)
{
    struct omq_eval_counts counts;
    struct omq_eval_how how;
    double seconds;
    int rc;

    if ((rc = how_of(e, precision, &how, err)) < 0)
        return rc;
    how.confusion = confusion;
    if (e->logits_path &&
        !(how.logits = omq_calloc((size_t)limited(e), sizeof(float) * (size_t)e->net.n_classes)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the logits of %d images", limited(e));
    seconds = omq_now();
    rc = omq_eval_net_how(&e->net, &how, e->data, e->pool, &counts, err);
    seconds = omq_now() - seconds;
    if (rc < 0)
        omq_wrap(err, rc, "cannot evaluate %s", omq_eval_name(e, precision));
    else if (how.logits)
        rc = omq_eval_put_logits(e->logits_path, how.logits, limited(e), e->net.n_classes, err);
    free(how.logits);
    if (rc < 0)
        return rc;
    *out = (struct omq_eval_result){
        .samples = counts.samples, .skipped = counts.skipped, .loss = counts.loss,
        .seconds = seconds,
        .top1 = 100.0 * counts.top1 / counts.samples, .top5 = 100.0 * counts.top5 / counts.samples,
        .images_per_s = seconds > 0 ? counts.samples / seconds : 0,
        .weight_bytes = e->choices[precision].weight_bytes, .w = e->choices[precision].w,
        .a = e->choices[precision].a,
    };
    snprintf(out->precision, sizeof(out->precision), "%s", omq_eval_name(e, precision));
    return OMQ_OK;
}

int omq_eval_layers(struct omq_eval *e, int precision, struct omq_eval_layer **layers, int *n,
                    struct omq_err *err)
{
    int n_layers = e->net.plan.n_layers, images = LAYER_IMAGES, rc;
    struct omq_eval_layer *list;
    struct omq_eval_how how;

    if ((rc = how_of(e, precision, &how, err)) < 0)
        return rc;
    if (how.limit > 0 && how.limit < images)
        images = how.limit;
    list = calloc((size_t)n_layers, sizeof(*list));
    if (!list)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d layers", n_layers);
    if ((rc = omq_eval_layers_of(&e->net, &how, e->data, images, list, err)) < 0) {
        free(list);
        return omq_wrap(err, rc, "cannot look at the layers of %s", omq_eval_name(e, precision));
    }
    *layers = list;
    *n = n_layers;
    return OMQ_OK;
}
