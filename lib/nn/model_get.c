/* SPDX-License-Identifier: MIT
 *
 * A network out of a checked container. The container vouches for bytes; here
 * META is read strictly and every value is checked for what the numerics need.
 */
#include "nn/nn_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* json_unpack with our message. */
#define UNPACK(err, what, json, ...)                                                       \
    unpack(err, what, json_unpack_ex(json, &(json_error_t){0}, 0, __VA_ARGS__))

static int unpack(struct omq_err *err, const char *what, int rc)
{
    if (rc == 0)
        return OMQ_OK;
    return omq_fail(err, OMQ_EFORMAT,
                    "the model's META is wrong: %s is missing or has another type", what);
}

static int get_node(struct omq_graph *g, json_t *o, struct omq_err *err)
{
    struct omq_node n = {.in = {-1, -1}, .groups = 1};
    const char *op, *name;
    int bias = 0, rc;
    json_t *in;

    rc = UNPACK(err, "a node of the graph", o, "{s:s, s:s, s:o, s?i, s?i, s?i, s?i, s?i, s?b}",
                "op", &op, "name", &name, "in", &in, "channels", &n.channels, "kernel", &n.kernel,
                "stride", &n.stride, "pad", &n.pad, "groups", &n.groups, "bias", &bias);
    if (rc < 0)
        return rc;
    if (!omq_op_parse(op, &n.op) || n.op == OMQ_OP_INPUT)
        return omq_fail(err, OMQ_EUNSUP, "the model has an operator '%s', which this version does "
                        "not know", op);
    if (strlen(name) > OMQ_NODE_NAME_MAX || !json_is_array(in) || json_array_size(in) > 2)
        return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: node '%s'", name);
    snprintf(n.name, sizeof(n.name), "%s", name);
    n.bias = bias;
    for (size_t i = 0; i < json_array_size(in); i++) {
        json_int_t from = json_integer_value(json_array_get(in, i));

        n.in[i] = from >= 0 && from < g->n_nodes ? (int)from : -1;
    }
    rc = omq_graph_add(g, &n, err);
    return rc < 0 ? rc : OMQ_OK;
}

static int get_graph(struct omq_graph *g, json_t *meta, struct omq_err *err)
{
    int h, w, c, rc;
    json_t *nodes;

    rc = UNPACK(err, "the graph", meta, "{s:{s:[i,i,i], s:o}}", "graph", "input", &h, &w, &c,
                "nodes", &nodes);
    if (rc < 0)
        return rc;
    if (!json_is_array(nodes) || json_array_size(nodes) >= OMQ_MAX_NODES)
        return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: the graph's nodes");
    if ((rc = omq_graph_init(g, h, w, c, err)) < 0)
        return rc;
    for (size_t i = 0; i < json_array_size(nodes); i++)
        if ((rc = get_node(g, json_array_get(nodes, i), err)) < 0) {
            omq_graph_release(g);
            return rc;
        }
    return OMQ_OK;
}

static int get_precisions(struct omq_precision *p, int *n, json_t *meta, struct omq_err *err)
{
    json_t *a = json_object_get(meta, "precisions");

    *n = (int)json_array_size(a);
    if (*n < 1 || *n > OMQ_MAX_PRECISIONS)
        return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: it lists %d precisions", *n);
    for (int i = 0; i < *n; i++) {
        const char *s = json_string_value(json_array_get(a, (size_t)i));

        if (!s || !omq_precision_parse(s, &p[i]))
            return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: precision '%s'",
                            s ? s : "");
        for (int j = 0; j < i; j++)
            if (p[j].w == p[i].w && p[j].a == p[i].a)
                return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: '%s' stands twice",
                                s);
    }
    return OMQ_OK;
}

static int find_precision(const struct omq_net *net, json_t *s)
{
    struct omq_precision p;

    if (!json_is_string(s) || !omq_precision_parse(json_string_value(s), &p))
        return -1;
    return omq_net_find(net, p);
}

static int get_profiles(struct omq_model_info *info, const struct omq_net *net, json_t *meta,
                        struct omq_err *err)
{
    json_t *a = json_object_get(meta, "profiles");
    size_t n = json_array_size(a);

    if (n > 256)
        return omq_fail(err, OMQ_EFORMAT, "the model has %zu profiles; 256 are possible", n);
    if (n && !(info->profiles = calloc(n, sizeof(*info->profiles))))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu profiles", n);
    for (size_t i = 0; i < n; i++) {
        struct omq_profile *f = &info->profiles[i];
        json_t *o = json_array_get(a, i), *layers = json_object_get(o, "layers");
        const char *name = json_string_value(json_object_get(o, "name"));
        bool ok = name && strlen(name) < sizeof(f->name) &&
                  json_array_size(layers) == (size_t)net->plan.n_layers;

        f->layers = calloc((size_t)net->plan.n_layers, sizeof(*f->layers));
        if (!f->layers)
            return omq_fail(err, OMQ_ENOMEM, "cannot allocate a profile");
        info->n_profiles++;
        f->stream = find_precision(net, json_object_get(o, "stream"));
        for (int l = 0; ok && l < net->plan.n_layers; l++) {
            f->layers[l] = find_precision(net, json_array_get(layers, (size_t)l));
            ok = f->layers[l] >= 0;
        }
        if (!ok || f->stream < 0)
            return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: profile %zu", i + 1);
        snprintf(f->name, sizeof(f->name), "%s", name);
    }
    return OMQ_OK;
}

static int get_classes(struct omq_model_info *info, const struct omq_net *net, json_t *meta,
                       struct omq_err *err)
{
    json_t *a = json_object_get(meta, "classes");
    const char **names;
    int rc;

    if (json_array_size(a) == 0)
        return OMQ_OK;
    if (json_array_size(a) != (size_t)net->n_classes)
        return omq_fail(err, OMQ_EFORMAT, "the model names %zu classes but has %d outputs",
                        json_array_size(a), net->n_classes);
    names = calloc((size_t)net->n_classes, sizeof(*names));
    if (!names)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %d class names", net->n_classes);
    for (int i = 0; i < net->n_classes; i++) {
        names[i] = json_string_value(json_array_get(a, (size_t)i));
        if (!names[i])
            names[i] = "";
    }
    rc = omq_model_info_set_classes(info, names, net->n_classes, err);
    free(names);
    return rc;
}

static void get_results(struct omq_model_info *info, const struct omq_net *net, json_t *meta)
{
    json_t *o = json_object_get(meta, "results");
    char name[16];

    for (int p = 0; p < net->n_precisions; p++) {
        struct omq_result *r = &info->results[p];
        json_t *one = json_object_get(o, omq_precision_name(net->precisions[p], name));

        r->known = one && json_unpack(one, "{s:F, s:F, s:i}", "top1", &r->top1, "loss", &r->loss,
                                      "samples", &r->samples) == 0;
    }
    info->data_fingerprint = (uint32_t)json_integer_value(
        json_object_get(json_object_get(meta, "provenance"), "data_crc32"));
}

/* ---- parameters ---- */

/* What the numerics need of a value. */
static bool value_ok(const struct omq_param *p, float v)
{
    if (!isfinite(v))
        return false;
    if (p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP)
        return v >= 0; /* 0: not initialized yet */
    return p->kind != OMQ_PARAM_VAR || v >= 0;
}

static int get_param(const struct omq_net *net, struct omq_param *p, const struct omq_ckpt *c,
                     struct omq_err *err)
{
    char name[OMQ_NAME_SIZE + 24];
    const void *data;
    const float *v;
    uint64_t dims[4];
    int rc;

    for (int i = 0; i < p->ndim; i++)
        dims[i] = (uint64_t)p->dims[i];
    omq_param_file_name(net, p, name);
    rc = omq_ckpt_get(c, p->precision < 0 ? OMQ_SEC_WEIGHT : OMQ_SEC_QPAR, name, OMQ_F32, p->ndim,
                      dims, &data, err);
    if (rc < 0)
        return rc;
    v = data;
    for (size_t i = 0; i < p->n; i++) {
        if (!value_ok(p, v[i]))
            return omq_fail(err, OMQ_EFORMAT,
                            "tensor '%s' has the impossible value %g at index %zu", name,
                            (double)v[i], i);
        p->value[i] = (omq_real)v[i];
    }
    return OMQ_OK;
}

static int get_net(struct omq_net *net, const struct omq_model_info *info, json_t *meta,
                   bool with_grads, struct omq_err *err)
{
    struct omq_precision prec[OMQ_MAX_PRECISIONS];
    struct omq_preprocess pre;
    struct omq_graph graph;
    double step;
    int n, rc;

    if ((rc = get_precisions(prec, &n, meta, err)) < 0 ||
        (rc = UNPACK(err, "preprocess", meta, "{s:{s:F}}", "preprocess", "step", &step)) < 0 ||
        (rc = get_graph(&graph, meta, err)) < 0)
        return rc;
    rc = omq_preprocess_init(&pre, &info->config.data, graph.nodes[0].h, graph.nodes[0].w,
                             graph.nodes[0].c, err);
    if (rc == OMQ_OK && (float)step != pre.step)
        rc = omq_fail(err, OMQ_EFORMAT,
                      "the model's META is wrong: the input's step is %g, but its mean and std "
                      "give %g", step, (double)pre.step);
    if (rc < 0) {
        omq_graph_release(&graph);
        return rc;
    }
    return omq_net_init(net, &graph, prec, n, &info->config.quant, &pre, 0, with_grads, err);
}

/* META to info and an empty net. */
static int get_meta(struct omq_net *net, struct omq_model_info *info, json_t *meta, bool with_grads,
                    struct omq_err *err)
{
    const char *config;
    int version, rc;

    if ((rc = UNPACK(err, "format_version or config", meta, "{s:i, s:s}", "format_version",
                     &version, "config", &config)) < 0)
        return rc;
    if (version != 1)
        return omq_fail(err, OMQ_EVERSION, "the model's META has version %d; this program reads 1",
                        version);
    rc = omq_config_parse(&info->config, config, strlen(config), "META", NULL, 0, NULL, err);
    if (rc < 0)
        return omq_wrap(err, "the model's configuration cannot be used");
    if ((rc = get_net(net, info, meta, with_grads, err)) < 0)
        return rc;
    if ((rc = get_classes(info, net, meta, err)) < 0 ||
        (rc = get_profiles(info, net, meta, err)) < 0) {
        omq_net_release(net);
        return rc;
    }
    get_results(info, net, meta);
    return OMQ_OK;
}

int omq_model_get(struct omq_net *net, struct omq_model_info *info, const struct omq_ckpt *c,
                  bool with_grads, struct omq_err *err)
{
    json_error_t at;
    const char *text;
    json_t *meta;
    size_t n;
    int rc;

    *info = (struct omq_model_info){0};
    text = omq_ckpt_meta(c, &n);
    meta = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    if (!meta)
        return omq_fail(err, OMQ_EFORMAT, "the model's META is not JSON: %s at line %d", at.text,
                        at.line);
    rc = get_meta(net, info, meta, with_grads, err);
    json_decref(meta);
    if (rc < 0)
        goto err_info;
    for (int i = 0; i < net->n_params; i++)
        if ((rc = get_param(net, &net->params[i], c, err)) < 0)
            goto err_net;
    return OMQ_OK;

err_net:
    omq_net_release(net);
err_info:
    omq_model_info_release(info);
    return rc;
}
