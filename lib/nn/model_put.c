/* SPDX-License-Identifier: MIT
 *
 * A network into a container: META as omq-format(5) describes it, then every
 * parameter as a tensor of its own.
 */
#include "nn/nn_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Any of jansson's calls may run out of memory. Its packers pass a NULL on, and
 * so do these two, which take over both arguments: what failed is never left
 * out silently, and the one check is at the end. */

static json_t *append(json_t *a, json_t *value)
{
    if (json_array_append_new(a, value) == 0)
        return a;
    json_decref(a);
    return NULL;
}

static json_t *set(json_t *o, const char *key, json_t *value)
{
    if (json_object_set_new(o, key, value) == 0)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *node_json(const struct omq_node *n)
{
    json_t *in = json_array(), *o;

    for (int i = 0; i < 2 && n->in[i] >= 0; i++)
        in = append(in, json_integer(n->in[i]));
    o = json_pack("{s:s, s:s, s:o}", "op", omq_op_name(n->op), "name", n->name, "in", in);
    if (n->op == OMQ_OP_CONV || n->op == OMQ_OP_LINEAR) {
        o = set(o, "channels", json_integer(n->channels));
        o = set(o, "bias", json_boolean(n->bias));
    }
    if (n->op == OMQ_OP_CONV || n->op == OMQ_OP_MAXPOOL || n->op == OMQ_OP_AVGPOOL) {
        o = set(o, "kernel", json_integer(n->kernel));
        o = set(o, "stride", json_integer(n->stride));
        o = set(o, "pad", json_integer(n->pad));
    }
    if (n->op == OMQ_OP_CONV)
        o = set(o, "groups", json_integer(n->groups));
    if (n->op == OMQ_OP_SHORTCUT) {
        o = set(o, "channels", json_integer(n->channels));
        o = set(o, "stride", json_integer(n->stride));
    }
    if (n->op == OMQ_OP_RELU && n->max > 0)
        o = set(o, "max", json_real(n->max));
    return o;
}

static json_t *graph_json(const struct omq_graph *g)
{
    json_t *nodes = json_array();

    for (int i = 1; i < g->n_nodes; i++)
        nodes = append(nodes, node_json(&g->nodes[i]));
    return json_pack("{s:[i,i,i], s:o}", "input", g->nodes[0].h, g->nodes[0].w, g->nodes[0].c,
                     "nodes", nodes);
}

static json_t *precision_json(const struct omq_net *net, int p)
{
    char name[16];

    return json_string(omq_precision_name(net->precisions[p], name));
}

static json_t *precisions_json(const struct omq_net *net)
{
    json_t *a = json_array();

    for (int p = 0; p < net->n_precisions; p++)
        a = append(a, precision_json(net, p));
    return a;
}

/* In the order of everything that a file has a layer for. */
static json_t *layers_json(const struct omq_net *net)
{
    json_t *a = json_array();

    for (int l = 0; l < net->plan.n_layers; l++)
        a = append(a, json_string(net->plan.layers[l].name));
    return a;
}

/* Those of activations of a packed net, which has the same at every precision. */
static json_t *steps_json(const struct omq_net *net)
{
    json_t *a = json_array();

    for (int s = 0; s < net->plan.n_sites; s++)
        if (omq_net_site(net, 0, s))
            a = append(a, json_string(omq_net_site(net, 0, s)->name));
    return a;
}

static json_t *profiles_json(const struct omq_net *net, const struct omq_model_info *info)
{
    json_t *a = json_array();

    for (int i = 0; i < info->n_profiles; i++) {
        const struct omq_profile *f = &info->profiles[i];
        json_t *layers = json_array();

        for (int l = 0; l < net->plan.n_layers; l++)
            layers = append(layers, precision_json(net, f->layers[l]));
        a = append(a, json_pack("{s:s, s:o, s:o}", "name", f->name, "stream",
                                precision_json(net, f->stream), "layers", layers));
    }
    return a;
}

static json_t *results_json(const struct omq_net *net, const struct omq_model_info *info)
{
    json_t *o = json_object();
    char name[16];

    for (int p = 0; p < net->n_precisions; p++) {
        const struct omq_result *r = &info->results[p];

        /* JSON has no NaN, which a loss may be */
        if (r->known && isfinite(r->top1) && isfinite(r->loss))
            o = set(o, omq_precision_name(net->precisions[p], name),
                    json_pack("{s:f, s:f, s:i}", "top1", r->top1, "loss", r->loss, "samples",
                              r->samples));
    }
    return o;
}

static json_t *preprocess_json(const struct omq_preprocess *p)
{
    json_t *mean = json_array(), *std = json_array();

    for (int c = 0; c < p->channels; c++) {
        mean = append(mean, json_real(p->mean[c]));
        std = append(std, json_real(p->std[c]));
    }
    return json_pack("{s:o, s:o, s:f, s:i}", "mean", mean, "std", std, "step", (double)p->step,
                     "zero_point", 128);
}

/* Where a run was written says nothing about the model: two runs of one
 * configuration give one file. */
static char *config_text(const struct omq_config *config)
{
    struct omq_config c = *config;

    omq_config_forget_place(&c);
    return omq_config_dump(&c);
}

static char *meta_text(const struct omq_net *net, const struct omq_model_info *info)
{
    char *config = config_text(&info->config), *text = NULL;
    json_t *classes = json_array(), *o;

    for (int i = 0; i < info->n_class_names; i++)
        classes = append(classes, json_string(info->class_names[i]));
    o = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:{s:s, s:I}}", "format_version",
                  1, "graph", graph_json(&net->graph), "layers", layers_json(net), "classes",
                  classes, "precisions", precisions_json(net), "profiles",
                  profiles_json(net, info), "preprocess", preprocess_json(&net->pre), "config",
                  config ? config : "", "results", results_json(net, info), "provenance", "omq",
                  OMQ_VERSION, "data_crc32", (json_int_t)info->data_fingerprint);
    if (o && net->packed)
        o = set(o, "packed", json_true());
    if (o && net->packed)
        o = set(o, "steps", steps_json(net));
    if (config && o)
        text = json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(o);
    free(config);
    return text;
}

static int put_param(struct omq_ckpt_writer *w, const struct omq_net *net,
                     const struct omq_param *p, struct omq_err *err)
{
    char name[OMQ_FILE_NAME_SIZE];
    uint64_t dims[4];

    for (int i = 0; i < p->ndim; i++)
        dims[i] = (uint64_t)p->dims[i];
    omq_param_file_name(net, p, name);
    return omq_ckpt_add(w, p->precision < 0 ? OMQ_SEC_WEIGHT : OMQ_SEC_QPAR, name, OMQ_F32, 0,
                        p->ndim, dims, p->value, err);
}

int omq_model_put(struct omq_ckpt_writer *w, const struct omq_net *net,
                  const struct omq_model_info *info, char **meta, struct omq_err *err)
{
    char *text;
    int rc;

    _Static_assert(sizeof(omq_real) == 4 || sizeof(omq_real) == 8, "omq_real is a float type");
    if (sizeof(omq_real) != 4)
        return omq_fail(err, OMQ_EUNSUP, "models are written in single precision only");
    if (!net->packed && (rc = omq_net_check_values(net, err)) < 0)
        return rc;
    for (int i = 0; !net->packed && i < net->n_params; i++)
        if ((rc = put_param(w, net, &net->params[i], err)) < 0)
            return rc;
    if (net->packed && (rc = omq_packed_put(w, net, err)) < 0)
        return rc;
    text = meta_text(net, info);
    if (!text)
        return omq_fail(err, OMQ_ENOMEM, "cannot describe the network as JSON");
    if ((rc = omq_meta_check_size(text, strlen(text), err)) < 0) {
        free(text);
        return rc;
    }
    omq_ckpt_set_meta(w, text, strlen(text));
    *meta = text;
    return OMQ_OK;
}
