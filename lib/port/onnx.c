/* SPDX-License-Identifier: MIT
 *
 * ONNX models: one choice, or several behind an input that chooses (onnx-switch).
 */
#include "port/onnx.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Each precision of a switch but the last is an If in an If: three messages more, and
 * protocol buffers are read 100 deep. */
enum { MOST_BRANCHES = 32 };
enum { IR_VERSION = 7, OPSET = 13, QONNX_OPSET = 1 };

/* A model that is being written. */
struct model {
    const struct omq_export_job *job;
    struct omq_proto out;
    enum omq_onnx_style style;
    struct omq_err *err;
};

/* ---- what a model says of itself ---- */

static void put_entry(struct model *m, const char *key, const char *value)
{
    const size_t entry = omq_proto_begin(&m->out, ONNX_MODEL_METADATA);

    omq_proto_text(&m->out, ONNX_ENTRY_KEY, key);
    omq_proto_text(&m->out, ONNX_ENTRY_VALUE, value);
    omq_proto_end(&m->out, entry);
}

/* Takes value over. */
static void put_json(struct model *m, const char *key, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

    if (text)
        put_entry(m, key, text);
    else
        m->out.failed = true;
    free(text);
    json_decref(value);
}

static json_t *preprocess_of(const struct omq_preprocess *pre)
{
    json_t *mean = json_array(), *std = json_array();

    for (int c = 0; c < pre->channels; c++) {
        json_array_append_new(mean, json_real(pre->mean[c]));
        json_array_append_new(std, json_real(pre->std[c]));
    }
    return json_pack("{s:s, s:s, s:o, s:o}", "layout", "NCHW", "input",
                     "(pixel / 255 - mean) / std", "mean", mean, "std", std);
}

static json_t *classes_of(const struct omq_model_info *info)
{
    json_t *list = json_array();

    for (int i = 0; i < info->n_class_names; i++)
        json_array_append_new(list, json_string(info->class_names[i]));
    return list;
}

static const char *grid_of(const struct omq_export_job *job)
{
    bool midrise = false, symmetric = false;

    for (int i = 0; i < job->n; i++) {
        const struct omq_plan *p = &job->choices[i]->net->plan;

        for (int u = 0; u < p->n_units; u++)
            if (p->units[u].kind == OMQ_UNIT_CONV) {
                midrise |= job->choices[i]->units[u].grid.midrise;
                symmetric |= !job->choices[i]->units[u].grid.midrise;
            }
    }
    return midrise && symmetric ? "mixed" : midrise ? "midrise" : "symmetric";
}

/* What the input `bits` is to be for a choice: its width, 100 w + a where weights
 * and activations differ, from 10000 on the model's profiles. */
static int64_t switch_value(const struct omq_export_numbers *n)
{
    const struct omq_choice *c = &n->choice;
    int profile = 0;

    if (c->layers) {
        while (n->info->profiles[profile].layers != c->layers)
            profile++;
        return 10000 + profile;
    }
    return c->w == c->a ? c->w : 100 * c->w + c->a;
}

static json_t *switch_values(const struct omq_export_job *job)
{
    json_t *bits = json_object();
    char value[24];

    for (int i = 0; i < job->n; i++) {
        snprintf(value, sizeof(value), "%lld", (long long)switch_value(job->choices[i]));
        json_object_set_new(bits, value, json_string(job->choices[i]->choice.name));
    }
    return bits;
}

static void put_metadata(struct model *m, bool switches)
{
    const struct omq_export_numbers *n = m->job->choices[0];
    char text[16];

    put_entry(m, "omq.version", OMQ_VERSION);
    put_entry(m, "omq.arch", n->info->config.model.arch[0] ? n->info->config.model.arch : "onnx");
    if (switches)
        put_json(m, "omq.bits", switch_values(m->job));
    else
        put_entry(m, "omq.bits", n->choice.name);
    put_entry(m, "omq.weight_grid", grid_of(m->job));
    put_entry(m, "omq.act_type", m->job->opt->act_s8 ? "s8" : "u8");
    put_entry(m, "omq.weight_type", m->job->opt->weight_u8 ? "u8" : "s8");
    put_json(m, "omq.preprocess", preprocess_of(&n->net->pre));
    put_json(m, "omq.classes", classes_of(n->info));
    snprintf(text, sizeof(text), "%08lx", (unsigned long)n->info->data_fingerprint);
    put_entry(m, "omq.data_crc32", text);
}

static void put_opset(struct model *m, const char *domain, int version)
{
    const size_t opset = omq_proto_begin(&m->out, ONNX_MODEL_OPSET);

    omq_proto_text(&m->out, ONNX_OPSET_DOMAIN, domain);
    omq_proto_int(&m->out, ONNX_OPSET_VERSION, version);
    omq_proto_end(&m->out, opset);
}

static void put_head(struct model *m, bool switches)
{
    omq_proto_int(&m->out, ONNX_MODEL_IR_VERSION, IR_VERSION);
    omq_proto_text(&m->out, ONNX_MODEL_PRODUCER, "omq");
    omq_proto_text(&m->out, ONNX_MODEL_PRODUCER_VERSION, OMQ_VERSION);
    put_opset(m, "", OPSET);
    if (m->style == OMQ_ONNX_QONNX)
        put_opset(m, "qonnx.custom_op.general", QONNX_OPSET);
    put_metadata(m, switches);
}

/* ---- graphs ---- */

static void put_output(struct omq_onnx *x, const struct omq_net *net, const char *base)
{
    const int dims[] = {0, net->n_classes};

    omq_onnx_value(x, ONNX_GRAPH_OUTPUT, omq_onnx_name(x, base, "").s, OMQ_ONNX_FLOAT, dims, 2);
}

/* What all models have: the image in, the logits out. */
static size_t begin_graph(struct model *m)
{
    const struct omq_net *net = m->job->choices[0]->net;
    const int dims[] = {0, net->pre.channels, net->pre.height, net->pre.width};
    struct omq_onnx x = {.out = &m->out, .prefix = ""};
    const size_t graph = omq_proto_begin(&m->out, ONNX_MODEL_GRAPH);

    omq_proto_text(&m->out, ONNX_GRAPH_NAME, m->job->name);
    omq_onnx_value(&x, ONNX_GRAPH_INPUT, "input", OMQ_ONNX_FLOAT, dims, 4);
    put_output(&x, net, "logits");
    return graph;
}

/* Names of nodes differ from each other, but a node may be called as a requantization. */
static int check_names(const struct omq_plan *p, struct omq_err *err)
{
    for (int i = 0; i < p->n_units; i++) {
        if (i < p->n_units - 1 && strcmp(p->units[i].name, "logits") == 0)
            return omq_fail(err, OMQ_EUNSUP, "a layer inside the network is called 'logits', as "
                            "the output of ONNX files is");
        for (int k = 0; k < i; k++)
            if (strcmp(p->units[i].name, p->units[k].name) == 0)
                return omq_fail(err, OMQ_EUNSUP, "a node is called '%s', as the quantizer before "
                                "another one is", p->units[i].name);
    }
    return OMQ_OK;
}

static int put_choice(struct model *m, int choice, const char *prefix)
{
    struct omq_onnx_graph g = {.x = {.out = &m->out, .prefix = prefix}, .style = m->style,
                               .n = m->job->choices[choice], .s8 = m->job->opt->act_s8,
                               .weight_u8 = m->job->opt->weight_u8, .err = m->err};
    int rc = check_names(&g.n->net->plan, m->err);

    return rc < 0 ? rc : omq_onnx_units(&g);
}

/* One branch of an If: all that it needs is in it, but for the image. */
static int put_branch(struct model *m, int choice)
{
    struct omq_onnx x = {.out = &m->out};
    char prefix[24];

    snprintf(prefix, sizeof(prefix), "b%lld/", (long long)switch_value(m->job->choices[choice]));
    x.prefix = prefix;
    put_output(&x, m->job->choices[choice]->net, "logits");
    return put_choice(m, choice, prefix);
}

/* If bits is that of the choice, its branch, else the others': the last choice is
 * taken for all values that are left. */
static int put_if(struct model *m, int choice, const char *out)
{
    const int64_t value = switch_value(m->job->choices[choice]);
    struct omq_onnx x = {.out = &m->out};
    struct omq_onnx_name equal, constant, rest;
    struct omq_onnx_scope scope;
    const bool last = choice == m->job->n - 2;
    char prefix[24];
    size_t node;
    int rc;

    snprintf(prefix, sizeof(prefix), "b%lld", (long long)value);
    x.prefix = prefix;
    equal = omq_onnx_name(&x, "_equal", "");
    constant = omq_onnx_name(&x, "_value", "");
    rest = omq_onnx_name(&x, "_rest", "");
    omq_onnx_tensor(&x, constant.s, OMQ_ONNX_S64, NULL, 0, &value);
    OMQ_ONNX_NODE(&x, "Equal", equal.s, "bits", constant.s);
    node = omq_onnx_begin(&x, "If", "", out, (const char *const[]){equal.s, NULL});
    scope = omq_onnx_graph_begin(&x, "then_branch");
    rc = put_branch(m, choice);
    omq_onnx_graph_end(&x, scope);
    scope = omq_onnx_graph_begin(&x, "else_branch");
    if (rc == OMQ_OK && last) {
        rc = put_branch(m, choice + 1);
    } else if (rc == OMQ_OK) {
        put_output(&x, m->job->choices[choice]->net, "_rest");
        rc = put_if(m, choice + 1, rest.s);
    }
    omq_onnx_graph_end(&x, scope);
    omq_proto_end(&m->out, node);
    return rc;
}

/* ---- formats ---- */

/* Protocol buffers end at 2 GiB: readers count in int. */
static int finish(struct model *m, FILE *f, int rc)
{
    if (rc == OMQ_OK && m->out.failed)
        rc = omq_fail(m->err, OMQ_ENOMEM, "cannot allocate an ONNX model");
    else if (rc == OMQ_OK && m->out.n > INT32_MAX)
        rc = omq_fail(m->err, OMQ_EUNSUP, "an ONNX model has at most 2 GiB, and this one would "
                      "have %zu bytes: export fewer precisions", m->out.n);
    if (rc == OMQ_OK)
        fwrite(m->out.bytes, 1, m->out.n, f);
    omq_proto_release(&m->out);
    return rc;
}

const char *const omq_onnx_styles[] = {"qcdq", "exact", "qonnx", "float", NULL};
const char *const omq_onnx_switch_styles[] = {"qcdq", "exact", NULL};

static int model_of(const struct omq_export_job *job, struct model *m, struct omq_err *err)
{
    *m = (struct model){.job = job, .err = err};
    for (int i = 0; job->opt->style && omq_onnx_styles[i]; i++)
        if (strcmp(job->opt->style, omq_onnx_styles[i]) == 0)
            m->style = (enum omq_onnx_style)i;
    if (job->opt->act_s8 && m->style != OMQ_ONNX_QCDQ)
        return omq_fail(err, OMQ_EARG, "activations of type s8 are for style '%s' only",
                        omq_onnx_styles[OMQ_ONNX_QCDQ]);
    if (job->opt->weight_u8 && (m->style != OMQ_ONNX_QCDQ || job->opt->act_s8))
        return omq_fail(err, OMQ_EARG, "weights of type u8 are for style '%s' and activations of "
                        "type u8 only", omq_onnx_styles[OMQ_ONNX_QCDQ]);
    return OMQ_OK;
}

int omq_export_onnx(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err)
{
    struct model m;
    size_t graph;
    int rc = model_of(job, &m, err);

    if (rc < 0)
        return rc;
    put_head(&m, false);
    graph = begin_graph(&m);
    rc = put_choice(&m, 0, "");
    omq_proto_end(&m.out, graph);
    return finish(&m, out[0], rc);
}

int omq_export_onnx_switch(const struct omq_export_job *job, FILE *const out[2],
                           struct omq_err *err)
{
    struct model m;
    struct omq_onnx x = {.out = &m.out, .prefix = ""};
    size_t graph;
    int rc = model_of(job, &m, err);

    if (rc < 0)
        return rc;
    if (job->n < 2)
        return omq_fail(err, OMQ_EARG, "there is nothing to switch to: give two precisions or "
                        "more, or take format onnx");
    if (job->n > MOST_BRANCHES)
        return omq_fail(err, OMQ_EARG, "one file can switch between %d precisions, not %d: "
                        "choose some with --bits LIST", MOST_BRANCHES, job->n);
    put_head(&m, true);
    graph = begin_graph(&m);
    omq_onnx_value(&x, ONNX_GRAPH_INPUT, "bits", OMQ_ONNX_S64, NULL, 0);
    rc = put_if(&m, 0, "logits");
    omq_proto_end(&m.out, graph);
    return finish(&m, out[0], rc);
}
