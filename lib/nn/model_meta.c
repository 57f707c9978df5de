/* SPDX-License-Identifier: MIT
 *
 * META out of a container: read strictly, every key, every type, every range.
 * What a small file describes may be huge, so nothing here is sized by a number
 * in it alone: graphs have a limit, lists are as long as their text.
 */
#include "nn/nn_internal.h"

#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_guard.h"

/* json_unpack with our message. */
#define UNPACK(err, what, json, ...)                                                       \
    unpack(err, what, json_unpack_ex(json, &unpack_error, 0, __VA_ARGS__), &unpack_error)

static int unpack(struct omq_err *err, const char *what, int rc, json_error_t *e)
{
    if (rc == 0)
        return OMQ_OK;
    if (omq_json_no_memory(e))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the model's META");
    e->text[0] = (char)tolower((unsigned char)e->text[0]);
    return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: %s: %s", what, e->text);
}

static int wrong(struct omq_err *err, const char *what)
{
    return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: %s", what);
}

/* What does not fit an int is out of every range. */
static int to_int(json_int_t v)
{
    return v < INT_MIN ? INT_MIN : v > INT_MAX ? INT_MAX : (int)v;
}

/* ---- graph ---- */

static int get_inputs(struct omq_node *n, const struct omq_graph *g, json_t *in,
                      struct omq_err *err)
{
    if (!json_is_array(in) || json_array_size(in) > 2)
        return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: the inputs of node '%s'",
                        n->name);
    for (size_t i = 0; i < json_array_size(in); i++) {
        json_t *from = json_array_get(in, i);
        int at = to_int(json_integer_value(from));

        if (!json_is_integer(from) || at < 0 || at >= g->n_nodes)
            return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: node '%s' reads a node "
                            "that does not exist", n->name);
        n->in[i] = at;
    }
    return OMQ_OK;
}

static int get_node(struct omq_graph *g, json_t *o, struct omq_err *err)
{
    struct omq_node n = {.in = {-1, -1}};
    json_int_t channels = 0, kernel = 0, stride = 0, pad = 0, groups = 1;
    json_error_t unpack_error;
    const char *op, *name;
    json_t *in;
    double max = 0;
    int bias = 0, rc;

    rc = UNPACK(err, "a node of the graph", o, "{s:s, s:s, s:o, s?I, s?I, s?I, s?I, s?I, s?b, s?F}",
                "op", &op, "name", &name, "in", &in, "channels", &channels, "kernel", &kernel,
                "stride", &stride, "pad", &pad, "groups", &groups, "bias", &bias, "max", &max);
    if (rc < 0)
        return rc;
    if (!omq_op_parse(op, &n.op) || n.op == OMQ_OP_INPUT)
        return omq_fail(err, OMQ_EUNSUP, "the model has an operator '%s', which this version does "
                        "not know", op);
    if (strlen(name) > OMQ_NODE_NAME_MAX)
        return wrong(err, "the name of a node is too long");
    snprintf(n.name, sizeof(n.name), "%s", name);
    n.channels = to_int(channels);
    n.kernel = to_int(kernel);
    n.stride = to_int(stride);
    n.pad = to_int(pad);
    n.groups = to_int(groups);
    n.bias = bias;
    n.max = max;
    if ((rc = get_inputs(&n, g, in, err)) < 0 || (rc = omq_graph_add(g, &n, err)) < 0)
        return rc;
    if (g->nodes[rc].in[0] != n.in[0] || g->nodes[rc].in[1] != n.in[1])
        return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: node '%s' has an input too "
                        "many", n.name);
    return OMQ_OK;
}

static int get_graph(struct omq_graph *g, json_t *meta, struct omq_err *err)
{
    json_error_t unpack_error;
    json_int_t h, w, c;
    json_t *nodes;
    int rc;

    rc = UNPACK(err, "the graph", meta, "{s:{s:[I,I,I!], s:o}}", "graph", "input", &h, &w, &c,
                "nodes", &nodes);
    if (rc < 0)
        return rc;
    if (!json_is_array(nodes) || json_array_size(nodes) >= OMQ_MAX_NODES)
        return wrong(err, "the graph's nodes are not a list, or too many");
    if ((rc = omq_graph_init(g, to_int(h), to_int(w), to_int(c), err)) < 0)
        return rc;
    for (size_t i = 0; i < json_array_size(nodes); i++)
        if ((rc = get_node(g, json_array_get(nodes, i), err)) < 0) {
            omq_graph_release(g);
            return rc;
        }
    return OMQ_OK;
}

/* ---- precisions, profiles ---- */

static int get_precisions(struct omq_precision *p, int *n, json_t *meta, struct omq_err *err)
{
    json_t *a = json_object_get(meta, "precisions");
    size_t size = json_array_size(a);

    if (!json_is_array(a) || size < 1 || size > OMQ_MAX_PRECISIONS)
        return wrong(err, "the precisions are not a list of 1 to 32");
    for (int i = 0; i < (int)size; i++) {
        const char *s = json_string_value(json_array_get(a, (size_t)i));

        if (!s || !omq_precision_parse(s, &p[i]))
            return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: precision '%s'",
                            s ? s : "");
        for (int j = 0; j < i; j++)
            if (p[j].w == p[i].w && p[j].a == p[i].a)
                return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: '%s' stands twice",
                                s);
    }
    *n = (int)size;
    return OMQ_OK;
}

static int find_precision(const struct omq_net *net, json_t *s)
{
    struct omq_precision p;

    if (!json_is_string(s) || !omq_precision_parse(json_string_value(s), &p))
        return -1;
    return omq_net_find(net, p);
}

/* Fills profile number i, which counts from here on. */
static bool get_profile(struct omq_model_info *info, const struct omq_net *net, json_t *o)
{
    struct omq_profile *f = &info->profiles[info->n_profiles++];
    json_t *layers = json_object_get(o, "layers");
    const char *name = json_string_value(json_object_get(o, "name"));

    f->stream = find_precision(net, json_object_get(o, "stream"));
    if (!name || !omq_profile_name_valid(name) || f->stream < 0 ||
        !json_is_array(layers) || json_array_size(layers) != (size_t)net->plan.n_layers)
        return false;
    for (int i = 0; i + 1 < info->n_profiles; i++)
        if (strcmp(info->profiles[i].name, name) == 0)
            return false;
    snprintf(f->name, sizeof(f->name), "%s", name);
    for (int l = 0; l < net->plan.n_layers; l++)
        if ((f->layers[l] = find_precision(net, json_array_get(layers, (size_t)l))) < 0)
            return false;
    return true;
}

static int get_profiles(struct omq_model_info *info, const struct omq_net *net, json_t *meta,
                        struct omq_err *err)
{
    json_t *a = json_object_get(meta, "profiles");
    size_t n = json_array_size(a);

    if (!json_is_array(a))
        return wrong(err, "the profiles are not a list");
    if (n > OMQ_MAX_PROFILES)
        return omq_fail(err, OMQ_EFORMAT, "the model has %zu profiles; %d are possible", n,
                        OMQ_MAX_PROFILES);
    if (n && !(info->profiles = calloc(n, sizeof(*info->profiles))))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu profiles", n);
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_array_get(a, i);

        /* only as long as a list that is there */
        if (json_array_size(json_object_get(o, "layers")) == (size_t)net->plan.n_layers) {
            info->profiles[i].layers = calloc((size_t)net->plan.n_layers, sizeof(int));
            if (!info->profiles[i].layers)
                return omq_fail(err, OMQ_ENOMEM, "cannot allocate a profile");
        }
        if (!get_profile(info, net, o))
            return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: profile %zu", i + 1);
    }
    return OMQ_OK;
}

/* ---- the rest ---- */

static int get_classes(struct omq_model_info *info, const struct omq_net *net, json_t *meta,
                       struct omq_err *err)
{
    json_t *a = json_object_get(meta, "classes");
    size_t n = json_array_size(a);
    const char **names;
    int rc;

    if (!json_is_array(a))
        return wrong(err, "the classes are not a list");
    if (n == 0)
        return OMQ_OK;
    if (n != (size_t)net->n_classes)
        return omq_fail(err, OMQ_EFORMAT, "the model names %zu classes but has %d outputs", n,
                        net->n_classes);
    names = calloc(n, sizeof(*names));
    if (!names)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %zu class names", n);
    for (size_t i = 0; i < n; i++)
        if (!(names[i] = json_string_value(json_array_get(a, i)))) {
            free(names);
            return wrong(err, "the name of a class is not text");
        }
    rc = omq_model_info_set_classes(info, names, (int)n, err);
    free(names);
    return rc;
}

static int get_results(struct omq_model_info *info, const struct omq_net *net, json_t *meta,
                       struct omq_err *err)
{
    json_t *o = json_object_get(meta, "results");
    json_error_t unpack_error;
    char name[16];
    int rc;

    if (!json_is_object(o))
        return wrong(err, "the results are not an object");
    for (int p = 0; p < net->n_precisions; p++) {
        struct omq_result *r = &info->results[p];
        json_t *one = json_object_get(o, omq_precision_name(net->precisions[p], name));
        json_int_t samples;

        if (!one)
            continue;
        if ((rc = UNPACK(err, "a result", one, "{s:F, s:F, s:I}", "top1", &r->top1, "loss",
                         &r->loss, "samples", &samples)) < 0)
            return rc;
        r->samples = to_int(samples);
        if (!(r->top1 >= 0 && r->top1 <= 100) || r->samples < 1)
            return omq_fail(err, OMQ_EFORMAT, "the model's META is wrong: the result of %s", name);
        r->known = true;
    }
    return OMQ_OK;
}

static int get_provenance(struct omq_model_info *info, json_t *meta, struct omq_err *err)
{
    json_error_t unpack_error;
    const char *version;
    json_int_t crc;
    int rc;

    rc = UNPACK(err, "the provenance", meta, "{s:{s:s, s:I}}", "provenance", "omq", &version,
                "data_crc32", &crc);
    if (rc < 0)
        return rc;
    if (crc < 0 || crc > (json_int_t)UINT32_MAX)
        return wrong(err, "data_crc32 is not a checksum");
    info->data_fingerprint = (uint32_t)crc;
    return OMQ_OK;
}

static bool same_list(json_t *a, const double *want, int n)
{
    if (!json_is_array(a) || json_array_size(a) != (size_t)n)
        return false;
    for (int i = 0; i < n; i++) {
        json_t *x = json_array_get(a, (size_t)i);

        if (!json_is_number(x) || json_number_value(x) != want[i])
            return false;
    }
    return true;
}

/* What the configuration gives, which other readers may not be able to ask. */
static int check_preprocess(const struct omq_preprocess *pre, json_t *meta, struct omq_err *err)
{
    json_error_t unpack_error;
    json_t *mean, *std;
    json_int_t zero_point;
    double step;
    int rc;

    rc = UNPACK(err, "preprocess", meta, "{s:{s:o, s:o, s:F, s:I}}", "preprocess", "mean", &mean,
                "std", &std, "step", &step, "zero_point", &zero_point);
    if (rc < 0)
        return rc;
    if (!same_list(mean, pre->mean, pre->channels) || !same_list(std, pre->std, pre->channels) ||
        step != (double)pre->step || zero_point != 128)
        return wrong(err, "preprocess is not what its configuration gives");
    return OMQ_OK;
}

static int get_net(struct omq_net *net, const struct omq_model_info *info, json_t *meta,
                   int max_params, struct omq_err *err)
{
    struct omq_precision prec[OMQ_MAX_PRECISIONS];
    struct omq_preprocess pre;
    struct omq_graph graph;
    json_t *packed = json_object_get(meta, "packed");
    int n = 0, rc;

    if (packed && !json_is_boolean(packed))
        return wrong(err, "packed is not true or false");
    if ((rc = get_precisions(prec, &n, meta, err)) < 0 ||
        (rc = get_graph(&graph, meta, err)) < 0)
        return rc;
    if ((rc = omq_preprocess_init(&pre, &info->config.data, graph.nodes[0].h, graph.nodes[0].w,
                                  graph.nodes[0].c, err)) < 0 ||
        (rc = check_preprocess(&pre, meta, err)) < 0) {
        omq_graph_release(&graph);
        return rc;
    }
    for (int i = 0; json_is_true(packed) && i < n; i++)
        if (omq_precision_is_float(prec[i])) {
            omq_graph_release(&graph);
            return wrong(err, "packed weights have a float precision");
        }
    return omq_net_declare(net, &graph, prec, n, &info->config.quant, &pre, json_is_true(packed),
                           max_params, err);
}

/* ---- orders ---- */

static const char *layer_name(const struct omq_net *net, int i)
{
    return i < net->plan.n_layers ? net->plan.layers[i].name : NULL;
}

/* The i-th of the activations' steps. */
static const char *step_name(const struct omq_net *net, int i)
{
    for (int s = 0; s < net->plan.n_sites; s++)
        if (omq_net_site(net, 0, s) && i-- == 0)
            return omq_net_site(net, 0, s)->name;
    return NULL;
}

/* Whether the names under a key, if it is there, are those of the net: values without
 * names of their own stand in that order. */
static int check_order(const struct omq_net *net, json_t *meta, const char *key,
                       const char *(*name)(const struct omq_net *net, int i), struct omq_err *err)
{
    json_t *names = json_object_get(meta, key);
    const size_t n = json_array_size(names);
    bool same = true;

    if (!names)
        return OMQ_OK;
    for (size_t i = 0; same && i <= n; i++) {
        const char *ours = name(net, (int)i), *its = json_string_value(json_array_get(names, i));

        same = ours && its ? strcmp(ours, its) == 0 : !ours && i == n;
    }
    return same ? OMQ_OK
                : omq_fail(err, OMQ_EVERSION, "the model's %s are not those that this version "
                           "makes of its graph, or in another order: export it again with the "
                           "omq that wrote it", key);
}

static int get_all(struct omq_net *net, struct omq_model_info *info, json_t *meta, int max_params,
                   struct omq_err *err)
{
    json_error_t unpack_error;
    json_int_t version;
    const char *config;
    int rc;

    if ((rc = UNPACK(err, "format_version or config", meta, "{s:I, s:s}", "format_version",
                     &version, "config", &config)) < 0)
        return rc;
    if (version != 1)
        return omq_fail(err, OMQ_EVERSION, "the model's META has version %lld; this program reads "
                        "1", (long long)version);
    rc = omq_config_parse(&info->config, config, strlen(config), "META", NULL, 0, NULL, err);
    if (rc < 0)
        return omq_wrap(err, rc, "the model's configuration cannot be used");
    if ((rc = get_net(net, info, meta, max_params, err)) < 0)
        return rc;
    if ((rc = check_order(net, meta, "layers", layer_name, err)) < 0 ||
        (net->packed && (rc = check_order(net, meta, "steps", step_name, err)) < 0) ||
        (rc = get_classes(info, net, meta, err)) < 0 ||
        (rc = get_profiles(info, net, meta, err)) < 0 ||
        (rc = get_results(info, net, meta, err)) < 0 ||
        (rc = get_provenance(info, meta, err)) < 0)
        omq_net_release(net);
    return rc;
}

int omq_meta_check_size(const char *text, size_t n, struct omq_err *err)
{
    size_t values = omq_json_values(text, n);

    if (values > OMQ_META_MAX_VALUES)
        return omq_fail(err, OMQ_EUNSUP, "the model's META has about %zu values; %d are possible",
                        values, OMQ_META_MAX_VALUES);
    return OMQ_OK;
}

/* How many parameters a file can hold: its tensors, or, of packed ones, values. */
static int most_params(const struct omq_ckpt *c, json_t *meta)
{
    size_t n = 0;

    if (!json_is_true(json_object_get(meta, "packed")))
        return omq_ckpt_count(c);
    for (int i = 0; i < omq_ckpt_count(c); i++)
        n += omq_ckpt_at(c, i)->n_bytes / sizeof(float);
    return n < INT_MAX ? (int)n : INT_MAX;
}

int omq_meta_get(struct omq_net *net, struct omq_model_info *info, const struct omq_ckpt *c,
                 struct omq_err *err)
{
    json_error_t at;
    const char *text;
    json_t *meta;
    size_t n;
    int rc;

    text = omq_ckpt_meta(c, &n);
    if ((rc = omq_meta_check_size(text, n, err)) < 0)
        return rc;
    meta = json_loadb(text, n, JSON_REJECT_DUPLICATES, &at);
    if (!meta && omq_json_no_memory(&at))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the model's META");
    if (!meta)
        return omq_fail(err, OMQ_EFORMAT, "the model's META is not JSON: %s at line %d", at.text,
                        at.line);
    rc = get_all(net, info, meta, most_params(c, meta), err);
    json_decref(meta);
    return rc;
}
