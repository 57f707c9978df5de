/* SPDX-License-Identifier: MIT
 *
 * Networks in files: what goes in comes out, the same bytes each time; and
 * what is not a network is refused with a sentence, whatever META says and
 * whichever tensor is missing or wrong.
 */
#define _GNU_SOURCE
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fuzz/ckpt/image.h"
#include "base/file.h"
#include "base/rng.h"
#include "failalloc.h"
#include "graphhelp.h"

Suite *omq_suite_model(void);

enum { SIDE = 8, CHANNELS = 2, CLASSES = 5 };

static char dir[64], path[96];
static uint8_t *good; /* a model file, META not compressed */
static size_t good_size;

/* ---- a model ---- */

static const char config_text[] =
    "output_dir: out\nthreads: 3\nbits: [8, w4a8, 2, 32]\n"
    "data: {format: synthetic, mean: [0.5, 0.31], std: [0.25, 0.3], "
    "synthetic: {height: 8, width: 8, channels: 2, classes: 5}}\n"
    "model: {arch: resnet8}\nquant: {view: %s, weight_steps: channel}\n";

static const struct omq_precision precisions[] = {{8, 8}, {4, 8}, {2, 2}, {32, 32}};
enum { N_PRECISIONS = sizeof(precisions) / sizeof(precisions[0]) };

static void build(struct omq_graph *g)
{
    int x, s;

    start(g, SIDE, SIDE, CHANNELS);
    x = conv(g, "a", 0, 4, 3, 1);
    s = x = relu(g, "a_relu", op(g, "a_bn", OMQ_OP_BATCHNORM, x));
    x = add(g, "b", x, (struct omq_node){.op = OMQ_OP_CONV, .channels = 4, .kernel = 3,
                                         .stride = 1, .pad = 1, .groups = 2});
    x = op(g, "b_bn", OMQ_OP_BATCHNORM, x);
    x = relu(g, "b_relu", join(g, "b_add", x, s));
    x = pool(g, "max", OMQ_OP_MAXPOOL, x);
    x = add(g, "c", x, (struct omq_node){.op = OMQ_OP_CONV, .channels = 6, .kernel = 3,
                                         .stride = 1, .groups = 1, .bias = true});
    x = pool(g, "avg", OMQ_OP_AVGPOOL, relu(g, "c_relu", x));
    head(g, x);
}

static void fill(struct omq_net *net)
{
    struct omq_rng r;

    omq_rng_init(&r, 11, OMQ_STREAM_TEST, 23, 0);
    for (int i = 0; i < net->n_params; i++)
        for (size_t j = 0; j < net->params[i].n; j++) {
            omq_real z = (omq_real)omq_rng_normal(&r);
            enum omq_param_kind kind = net->params[i].kind;
            bool positive = kind == OMQ_PARAM_VAR || kind == OMQ_PARAM_WSTEP ||
                            kind == OMQ_PARAM_ASTEP;

            net->params[i].value[j] = positive ? fabs(z) + (omq_real)0.001 : z;
        }
}

static void make_model(struct omq_net *net, struct omq_model_info *info, const char *view)
{
    static const char *const names[] = {"T-shirt/top", "\xc3\xa9t\xc3\xa9", "a \"b\" \\c", "0", ""};
    struct omq_preprocess pre;
    struct omq_graph g;
    char text[512];

    *info = (struct omq_model_info){.data_fingerprint = 0xfedcba98u};
    snprintf(text, sizeof(text), config_text, view);
    ck_assert_msg(omq_config_parse(&info->config, text, strlen(text), "test", NULL, 0, NULL,
                                   &err) == OMQ_OK, "%s", err.msg);
    build(&g);
    ck_assert(omq_preprocess_init(&pre, &info->config.data, SIDE, SIDE, CHANNELS, &err) == OMQ_OK);
    ck_assert_msg(omq_net_init(net, &g, precisions, N_PRECISIONS, &info->config.quant, &pre, 1,
                               false, &err) == OMQ_OK, "%s", err.msg);
    fill(net);
    ck_assert(omq_model_info_set_classes(info, names, CLASSES, &err) == OMQ_OK);
    info->results[0] = (struct omq_result){true, 91.25, 0.1234567890123456789, 10000};
    info->results[2] = (struct omq_result){true, 0, 3, 1};
    info->n_profiles = 2;
    info->profiles = calloc(2, sizeof(*info->profiles));
    ck_assert_ptr_nonnull(info->profiles);
    for (int i = 0; i < 2; i++) {
        snprintf(info->profiles[i].name, sizeof(info->profiles[i].name), i ? "slow" : "fast");
        info->profiles[i].stream = 1 + i;
        info->profiles[i].layers = calloc((size_t)net->plan.n_layers, sizeof(int));
        ck_assert_ptr_nonnull(info->profiles[i].layers);
        for (int l = 0; l < net->plan.n_layers; l++)
            info->profiles[i].layers[l] = (l + i) % 3;
    }
}

static void release(struct omq_net *net, struct omq_model_info *info)
{
    omq_net_release(net);
    omq_model_info_release(info);
}

static void write_model(const struct omq_net *net, const struct omq_model_info *info,
                        const char *to)
{
    struct omq_ckpt_writer *w;
    char *meta;

    ck_assert(omq_ckpt_writer_open(&w, &err) == OMQ_OK);
    ck_assert_msg(omq_model_put(w, net, info, &meta, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_msg(omq_ckpt_write(w, to, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_writer_close(w);
    free(meta);
}

static void read_bytes(uint8_t **p, size_t *n)
{
    ck_assert_msg(omq_file_read(path, 1 << 24, p, n, &err) == OMQ_OK, "%s", err.msg);
}

/* An image with another META; allocated. */
static uint8_t *with_meta(const uint8_t *image, const char *text, size_t n, size_t *n_out)
{
    uint8_t *out = image_replace(image, 0, text, n, omq_get_le32(image + 44), n_out);

    omq_put_le32(image_entry(out, 0) + 4, 0); /* not compressed */
    omq_put_le64(image_entry(out, 0) + 24, n);
    image_reseal(out, *n_out);
    return out;
}

static struct omq_ckpt *open_image(const uint8_t *image, size_t n)
{
    struct omq_ckpt *c;

    ck_assert_msg(omq_ckpt_open_memory(&c, image, n, "test", 0, &err) == OMQ_OK, "%s", err.msg);
    return c;
}

static int get_image(const uint8_t *image, size_t n, struct omq_net *net,
                     struct omq_model_info *info)
{
    struct omq_ckpt *c = open_image(image, n);
    int rc;

    err.msg[0] = 0;
    rc = omq_model_get(net, info, c, false, &err);
    omq_ckpt_close(c);
    return rc;
}

/* Not a model, and a sentence that has text. */
static void refuse_image(const uint8_t *image, size_t n, int code, const char *text)
{
    struct omq_model_info info;
    struct omq_net net;

    ck_assert_int_eq(get_image(image, n, &net, &info), code);
    has_text(text);
}

static json_malloc_t json_own_malloc; /* jansson's own: a test may replace them, */
static json_free_t json_own_free;     /* and without fork the next would see that */

static void setup(void)
{
    struct omq_model_info info;
    struct omq_net net;
    struct omq_ckpt *c;
    const char *meta;
    uint8_t *p;
    size_t n;

    json_get_alloc_funcs(&json_own_malloc, &json_own_free);
    snprintf(dir, sizeof(dir), "/tmp/omq-model-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/m.omq", dir);
    make_model(&net, &info, "offsets");
    write_model(&net, &info, path);
    release(&net, &info);
    read_bytes(&p, &n);
    c = open_image(p, n);
    meta = omq_ckpt_meta(c, &n);
    good = with_meta(p, meta, n, &good_size);
    omq_ckpt_close(c);
    free(p);
}

static void teardown(void)
{
    json_set_alloc_funcs(json_own_malloc, json_own_free);
    free(good);
    unlink(path);
    ck_assert_msg(rmdir(dir) == 0, "something was left in %s", dir);
}

/* ---- what goes in comes out ---- */

static void same_info(const struct omq_model_info *a, const struct omq_model_info *b, int n_layers)
{
    struct omq_config want = a->config;

    memset(want.output_dir, 0, sizeof(want.output_dir));
    want.output_dir[0] = '.'; /* where and how fast it was trained is not the model's */
    want.threads = 0;
    ck_assert(memcmp(&want, &b->config, sizeof(want)) == 0);
    ck_assert_uint_eq(a->data_fingerprint, b->data_fingerprint);
    ck_assert_int_eq(b->n_class_names, CLASSES);
    for (int i = 0; i < CLASSES; i++)
        ck_assert_str_eq(a->class_names[i], b->class_names[i]);
    for (int p = 0; p < OMQ_MAX_PRECISIONS; p++) {
        ck_assert_int_eq(a->results[p].known, b->results[p].known);
        ck_assert(a->results[p].top1 == b->results[p].top1 &&
                  a->results[p].loss == b->results[p].loss &&
                  a->results[p].samples == b->results[p].samples);
    }
    ck_assert_int_eq(a->n_profiles, b->n_profiles);
    for (int i = 0; i < a->n_profiles; i++) {
        ck_assert_str_eq(a->profiles[i].name, b->profiles[i].name);
        ck_assert_int_eq(a->profiles[i].stream, b->profiles[i].stream);
        ck_assert(memcmp(a->profiles[i].layers, b->profiles[i].layers,
                         sizeof(int) * (size_t)n_layers) == 0);
    }
}

static void same_net(const struct omq_net *a, const struct omq_net *b)
{
    ck_assert_int_eq(a->graph.n_nodes, b->graph.n_nodes);
    ck_assert_int_eq(a->n_params, b->n_params);
    ck_assert_int_eq(a->n_classes, b->n_classes);
    ck_assert(memcmp(a->precisions, b->precisions, sizeof(a->precisions)) == 0);
    ck_assert(memcmp(&a->quant, &b->quant, sizeof(a->quant)) == 0);
    ck_assert(a->pre.step == b->pre.step &&
              memcmp(a->pre.table, b->pre.table, sizeof(a->pre.table)) == 0);
    for (int i = 0; i < a->n_params; i++) {
        const struct omq_param *p = &a->params[i], *q = &b->params[i];

        ck_assert(p->kind == q->kind && p->precision == q->precision && p->n == q->n);
        ck_assert_str_eq(p->name, q->name);
        ck_assert_msg(memcmp(p->value, q->value, sizeof(*p->value) * p->n) == 0, "%s", p->name);
    }
    for (int i = 0; i < a->graph.n_nodes; i++) {
        const struct omq_node *n = &a->graph.nodes[i], *m = &b->graph.nodes[i];

        ck_assert_str_eq(n->name, m->name);
        ck_assert(n->op == m->op && n->in[0] == m->in[0] && n->in[1] == m->in[1] &&
                  n->h == m->h && n->w == m->w && n->c == m->c && n->bias == m->bias &&
                  n->kernel == m->kernel && n->stride == m->stride && n->pad == m->pad);
    }
}

START_TEST(models_come_back)
{
    static const char *const views[] = {"off", "gains, levels: 2", "offsets, levels: 2",
                                        "affine, gains: channel", "bands, axis: both"};
    struct omq_model_info info, info2;
    struct omq_net net, net2;
    struct omq_ckpt *c;
    uint8_t *bytes[3];
    size_t n[3];

    make_model(&net, &info, views[_i]);
    for (int i = 0; i < 2; i++) {
        write_model(&net, &info, path);
        read_bytes(&bytes[i], &n[i]);
    }
    ck_assert(omq_ckpt_open(&c, path, 0, &err) == OMQ_OK);
    ck_assert_msg(omq_model_get(&net2, &info2, c, true, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_close(c);
    same_net(&net, &net2);
    same_info(&info, &info2, net.plan.n_layers);
    ck_assert_ptr_nonnull(net2.params[0].grad);
    write_model(&net2, &info2, path);
    read_bytes(&bytes[2], &n[2]);
    for (int i = 1; i < 3; i++)
        ck_assert(n[i] == n[0] && memcmp(bytes[i], bytes[0], n[0]) == 0);
    for (int i = 0; i < 3; i++)
        free(bytes[i]);
    release(&net, &info);
    release(&net2, &info2);
}
END_TEST

/* Where it was trained, and with how many threads, is not in the file. */
START_TEST(places_do_not_matter)
{
    struct omq_model_info info;
    struct omq_net net;
    uint8_t *bytes[2];
    size_t n[2];

    make_model(&net, &info, "off");
    for (int i = 0; i < 2; i++) {
        write_model(&net, &info, path);
        read_bytes(&bytes[i], &n[i]);
        snprintf(info.config.output_dir, sizeof(info.config.output_dir), "/somewhere/else");
        info.config.threads = 7;
    }
    ck_assert(n[0] == n[1] && memcmp(bytes[0], bytes[1], n[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
    release(&net, &info);
}
END_TEST

/* A loss may be NaN; JSON cannot say so, and the model is worth keeping. */
START_TEST(results_that_are_no_numbers_are_left_out)
{
    struct omq_model_info info;
    struct omq_net net;
    struct omq_ckpt *c;

    make_model(&net, &info, "off");
    info.results[0].loss = NAN;
    info.results[1] = (struct omq_result){true, 50, INFINITY, 10};
    write_model(&net, &info, path);
    release(&net, &info);
    ck_assert(omq_ckpt_open(&c, path, 0, &err) == OMQ_OK);
    ck_assert_msg(omq_model_get(&net, &info, c, false, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_close(c);
    ck_assert(!info.results[0].known && !info.results[1].known && info.results[2].known);
    release(&net, &info);
}
END_TEST

START_TEST(class_names_can_be_stored)
{
    static const char *const bad[] = {"na\xefve", "\xc3", "a\nb", "\033[2J", "\xed\xa0\x80"};
    char name[100];
    const char *one = name;
    struct omq_model_info info = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *const names[] = {"ok", bad[i]};

        ck_assert_int_eq(omq_model_info_set_classes(&info, names, 2, &err), OMQ_EFORMAT);
        has_text("the name of class 1");
        ck_assert(info.class_names == NULL && info.n_class_names == 0);
    }
    for (int before = 58; before <= 64; before++) { /* U+20AC, three bytes, across the end */
        memset(name, 'x', (size_t)before);
        memcpy(name + before, "\xe2\x82\xac", 4);
        ck_assert(omq_model_info_set_classes(&info, &one, 1, &err) == OMQ_OK);
        ck_assert_uint_eq(strlen(info.class_names[0]),
                          before + 3 < OMQ_CLASS_NAME_SIZE ? (size_t)before + 3
                          : before < OMQ_CLASS_NAME_SIZE ? (size_t)before
                                                         : OMQ_CLASS_NAME_SIZE - 1);
        ck_assert(omq_ckpt_text_valid(info.class_names[0], strlen(info.class_names[0])));
    }
    omq_model_info_release(&info);
}
END_TEST

/* ---- META, damaged value by value ---- */

static json_t *good_meta(void)
{
    json_t *meta;
    size_t n = omq_get_le64(image_entry(good, 0) + 16);

    meta = json_loadb((const char *)image_section(good, 0), n, 0, NULL);
    ck_assert_ptr_nonnull(meta);
    return meta;
}

static int get_with(const json_t *meta, struct omq_net *net, struct omq_model_info *info)
{
    char *text = json_dumps(meta, JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
    uint8_t *image;
    size_t n;
    int rc;

    ck_assert_ptr_nonnull(text);
    image = with_meta(good, text, strlen(text), &n);
    rc = get_image(image, n, net, info);
    free(image);
    free(text);
    return rc;
}

static int n_tried, n_accepted;

/* One changed META: refused with a sentence, or, if it may, a model. */
static void try_meta(const json_t *meta, bool may_pass, const char *what, const char *how)
{
    struct omq_model_info info;
    struct omq_net net;
    int rc = get_with(meta, &net, &info);

    n_tried++;
    ck_assert_msg(rc < 0 ? err.msg[0] != 0 && rc != OMQ_ENOMEM : may_pass, "%s %s: %d, '%s'", what,
                  how, rc, err.msg);
    if (rc < 0)
        return;
    n_accepted++;
    release(&net, &info);
}

static int kind_of(const json_t *v)
{
    return json_is_number(v) ? 1 : json_is_boolean(v) ? 2 : 10 + (int)json_typeof(v);
}

static bool one_of(const char *key, const char *const *keys)
{
    for (int i = 0; keys[i]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* Puts each of these in the place of a value; another type must be refused. */
static void replace_value(const json_t *meta, json_t *parent, const char *key, size_t index,
                          const char *what)
{
    static const char *const with[] = {"null", "true", "-1", "0", "7", "1.5", "1e300", "65536",
                                       "4294967297", "9223372036854775807", "\"\"", "\"w1a1\"",
                                       "\"\\u0001\"", "[]", "{}", "[[1], 2]"};
    json_t *old = json_incref(json_is_object(parent) ? json_object_get(parent, key)
                                                     : json_array_get(parent, index));

    for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
        json_t *v = json_loads(with[i], JSON_DECODE_ANY, NULL);
        /* a list may be empty */
        bool may_pass = kind_of(v) == kind_of(old);

        ck_assert_ptr_nonnull(v);
        if (json_is_object(parent))
            json_object_set_new(parent, key, v);
        else
            json_array_set_new(parent, index, v);
        try_meta(meta, may_pass, what, with[i]);
    }
    if (json_is_object(parent))
        json_object_set_new(parent, key, old);
    else
        json_array_set_new(parent, index, old);
}

static void walk(const json_t *meta, json_t *v, const char *what);

static void damage_member(const json_t *meta, json_t *parent, const char *key, const char *what)
{
    /* with a default, or optional */
    static const char *const optional[] = {"channels", "kernel", "stride", "pad", "groups", "bias",
                                           "w8a8", "w2a2", NULL};
    json_t *old = json_incref(json_object_get(parent, key));

    json_object_del(parent, key);
    try_meta(meta, one_of(key, optional), what, "removed");
    json_object_set_new(parent, key, old);
    replace_value(meta, parent, key, 0, what);
    walk(meta, old, what);
}

static void damage_element(const json_t *meta, json_t *parent, size_t i, const char *what)
{
    json_t *old = json_incref(json_array_get(parent, i));

    json_array_remove(parent, i);
    try_meta(meta, strcmp(what, "precisions") == 0 || strcmp(what, "profiles") == 0, what,
             "less an element");
    json_array_insert_new(parent, i, old);
    replace_value(meta, parent, NULL, i, what);
    walk(meta, old, what);
}

static void walk(const json_t *meta, json_t *v, const char *what)
{
    if (json_is_object(v)) {
        const char *keys[32];
        int n = 0;

        for (void *it = json_object_iter(v); it; it = json_object_iter_next(v, it)) {
            ck_assert_int_lt(n, 32);
            keys[n++] = strdup(json_object_iter_key(it));
        }
        for (int i = 0; i < n; i++) {
            damage_member(meta, v, keys[i], keys[i]);
            free((char *)keys[i]);
        }
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        damage_element(meta, v, i, what);
}

START_TEST(every_value_of_meta_is_checked)
{
    json_t *meta = good_meta(), *again = good_meta();
    const char *key = (const char *[]){"format_version", "graph", "classes", "precisions",
                                       "profiles", "preprocess", "config", "results",
                                       "provenance"}[_i];

    ck_assert_uint_eq(json_object_size(meta), 9);
    ck_assert_ptr_nonnull(json_object_get(meta, key));
    n_tried = n_accepted = 0;
    damage_member(meta, meta, key, key);
    ck_assert(json_equal(meta, again)); /* this test repairs what it breaks */
    ck_assert_int_ge(n_tried, 17);
    ck_assert_int_lt(n_accepted, n_tried / 3);
    json_decref(meta);
    json_decref(again);
}
END_TEST

START_TEST(meta_is_an_object_of_json)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"[]", "format_version"}, {"{}", "format_version"}, {"3", "not JSON"}, {"x", "not JSON"},
        {"{", "not JSON"}, {"{} {}", "not JSON"}, {"{\"a\": 1, \"a\": 1}", "not JSON"},
        {"{\"format_version\": 2, \"config\": \"\"}", "version 2"},
        {"{\"format_version\": 4294967297, \"config\": \"\"}", "version 4294967297"},
        {"{\"format_version\": 1, \"config\": \"\"}", "configuration cannot be used"},
        {"{\"format_version\": 1, \"config\": \"a: [\"}", "configuration cannot be used"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n;
        uint8_t *image = with_meta(good, bad[i].text, strlen(bad[i].text), &n);

        refuse_image(image, n, strstr(bad[i].says, "version ") ? OMQ_EVERSION
                               : strstr(bad[i].says, "config") ? OMQ_ECONFIG : OMQ_EFORMAT,
                     bad[i].says);
        free(image);
    }
}
END_TEST

/* Unknown keys belong to newer versions. */
START_TEST(unknown_keys_are_left_alone)
{
    json_t *meta = good_meta();
    struct omq_model_info info;
    struct omq_net net;

    json_object_set_new(meta, "news", json_pack("{s:[i]}", "a", 1));
    json_object_set_new(json_object_get(meta, "results"), "w7a7", json_null());
    json_object_set_new(json_array_get(json_object_get(json_object_get(meta, "graph"), "nodes"),
                                       0), "comment", json_string("first"));
    ck_assert_msg(get_with(meta, &net, &info) == OMQ_OK, "%s", err.msg);
    release(&net, &info);
    json_decref(meta);
}
END_TEST

/* ---- graphs that are too much ---- */

/* META with other nodes, which it takes over, and no profiles. */
static void refuse_nodes(json_t *nodes, int code, const char *text)
{
    json_t *meta = good_meta();
    struct omq_model_info info;
    struct omq_net net;

    ck_assert_ptr_nonnull(nodes);
    json_object_set_new(json_object_get(meta, "graph"), "nodes", nodes);
    json_object_set_new(meta, "profiles", json_array());
    ck_assert_int_eq(get_with(meta, &net, &info), code);
    has_text(text);
    json_decref(meta);
}

static json_t *node(const char *op_name, const char *name, int in, int channels, int kernel)
{
    return json_pack("{s:s, s:s, s:[i], s:i, s:i, s:i, s:i, s:b}", "op", op_name, "name", name,
                     "in", in, "channels", channels, "kernel", kernel, "stride", 1, "pad", 0,
                     "bias", 0);
}

/* Terabytes of weights in a kilobyte: refused for the first tensor that is not
 * there, not for lack of memory. */
START_TEST(weights_that_are_not_there_take_no_memory)
{
    refuse_nodes(json_pack("[o, o, o, o, o]", node("flatten", "flat", 0, 0, 0),
                           node("linear", "x", 1, 65536, 0), node("linear", "y", 2, 65536, 0),
                           node("linear", "z", 3, 65536, 0), node("linear", "end", 4, 5, 0)),
                 OMQ_EFORMAT, "has no section 'WFPT' 'x.weight'");
    refuse_nodes(json_pack("[o, o, o, o]", node("conv", "a", 0, 65536, 8),
                           node("flatten", "flat", 1, 0, 0), node("linear", "x", 2, 65536, 0),
                           node("linear", "end", 3, 5, 0)), OMQ_EFORMAT, "'WFPT'");
}
END_TEST

static json_t *chain(int n, const char *op_name)
{
    json_t *nodes = json_array();
    char name[16];

    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        json_array_append_new(nodes, node(op_name, name, i, 2, 1));
    }
    return nodes;
}

/* So do their descriptions: a parameter for each of 32 precisions. */
START_TEST(many_layers_take_no_memory)
{
    json_t *meta = good_meta(), *nodes = chain(4000, "conv"), *list = json_array();
    struct omq_model_info info;
    struct omq_net net;
    char name[16];

    json_array_append_new(nodes, node("flatten", "flat", 4000, 0, 0));
    json_array_append_new(nodes, node("linear", "end", 4001, 5, 0));
    for (int i = 0; i < 32; i++)
        json_array_append_new(list, json_string(omq_precision_name(
                                        (struct omq_precision){1 + i % 8, 1 + i / 8}, name)));
    json_object_set_new(json_object_get(meta, "graph"), "nodes", nodes);
    json_object_set_new(meta, "precisions", list);
    ck_assert_int_eq(get_with(meta, &net, &info), OMQ_EFORMAT);
    has_text("the network has at least 260033 parameter tensors, but there are only");
    json_decref(meta);
}
END_TEST

/* Nor does JSON itself: an empty object takes a hundred times its text. */
START_TEST(many_values_take_no_memory)
{
    enum { N = 300000 };
    char *text = malloc(3 * N + 3);
    uint8_t *image;
    size_t n = 0;

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < N; i++, n += 3)
        memcpy(text + n, i ? ",{}" : "[{}", 3);
    text[n++] = ']';
    image = with_meta(good, text, n, &n);
    refuse_image(image, n, OMQ_EUNSUP, "262144 are possible");
    free(image);
    free(text);
}
END_TEST

START_TEST(deep_json_is_refused)
{
    enum { N = 100000 };
    char *text = malloc(N);
    uint8_t *image;
    size_t n;

    ck_assert_ptr_nonnull(text);
    memset(text, '[', N);
    image = with_meta(good, text, N, &n);
    refuse_image(image, n, OMQ_EFORMAT, "not JSON");
    free(image);
    free(text);
}
END_TEST

START_TEST(graphs_that_make_no_sense)
{
    static const struct {
        const char *nodes, *says;
        int code;
    } bad[] = {
        {"[]", "linear layer", OMQ_EUNSUP},
        {"[{'op': 'input', 'name': 'x', 'in': []}]", "operator 'input'", OMQ_EUNSUP},
        {"[{'op': 'softmax', 'name': 'x', 'in': [0]}]", "operator 'softmax'", OMQ_EUNSUP},
        {"[{'op': 'relu', 'name': 'x', 'in': [1]}]", "'x' reads a node", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'x', 'in': [-1]}]", "'x' reads a node", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'x', 'in': [4294967296]}]", "'x' reads a node", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'x', 'in': ['input']}]", "'x' reads a node", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'x', 'in': []}]", "'x' reads a node", OMQ_EARG},
        {"[{'op': 'relu', 'name': 'x', 'in': [0, 0]}]", "'x' has an input too many", OMQ_EFORMAT},
        {"[{'op': 'add', 'name': 'x', 'in': [0]}]", "'x' reads a node", OMQ_EARG},
        {"[{'op': 'add', 'name': 'x', 'in': [0, 0, 0]}]", "inputs of node 'x'", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': '', 'in': [0]}]", "not a valid node name", OMQ_EARG},
        {"[{'op': 'relu', 'name': 'a/b', 'in': [0]}]", "not a valid node name", OMQ_EARG},
        {"[{'op': 'relu', 'name': 'a\\u001b', 'in': [0]}]", "not a valid node name", OMQ_EARG},
        {"[{'op': 'relu', 'name': 'input', 'in': [0]}]", "two nodes", OMQ_EARG},
        {"[{'op': 'conv', 'name': 'x', 'in': [0], 'channels': 4294967300, 'kernel': 1, "
         "'stride': 1}]", "'x' has an attribute out of range", OMQ_ECONFIG},
        {"[{'op': 'conv', 'name': 'x', 'in': [0], 'channels': 4, 'kernel': -4294967295, "
         "'stride': 1}]", "'x' has an attribute out of range", OMQ_ECONFIG},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        json_t *nodes;

        snprintf(text, sizeof(text), "%s", bad[i].nodes);
        for (char *p = text; *p; p++)
            *p = *p == '\'' ? '"' : *p;
        nodes = json_loads(text, 0, NULL);
        refuse_nodes(nodes, bad[i].code, bad[i].says);
    }
    refuse_nodes(chain(4096, "relu"), OMQ_EFORMAT, "too many");
    refuse_nodes(chain(4095, "flatten"), OMQ_EUNSUP, "linear layer");
}
END_TEST

/* ---- tensors ---- */

/* The good model less one tensor, or with it in another shape or type. */
static void refuse_without(const char *kind, const char *name, enum omq_dtype dtype, int ndim,
                           const uint64_t *dims, const char *text)
{
    static const float zeros[4096];
    struct omq_ckpt *c = open_image(good, good_size);
    struct omq_ckpt_writer *w;
    const char *meta;
    size_t n;
    uint8_t *p;

    ck_assert(omq_ckpt_writer_open(&w, &err) == OMQ_OK);
    meta = omq_ckpt_meta(c, &n);
    omq_ckpt_set_meta(w, meta, n);
    ck_assert_ptr_nonnull(omq_ckpt_find(c, kind, name));
    for (int i = 0; i < omq_ckpt_count(c); i++) {
        const struct omq_tensor_info *t = omq_ckpt_at(c, i);
        bool is_it = strcmp(t->kind, kind) == 0 && strcmp(t->name, name) == 0;

        if (!is_it)
            ck_assert(omq_ckpt_add(w, t->kind, t->name, t->dtype, t->bits, t->ndim, t->dims,
                                   t->data, &err) == OMQ_OK);
        else if (ndim >= 0)
            ck_assert(omq_ckpt_add(w, t->kind, t->name, dtype, 0, ndim, dims, zeros,
                                   &err) == OMQ_OK);
    }
    ck_assert(omq_ckpt_write(w, path, &err) == OMQ_OK);
    omq_ckpt_writer_close(w);
    omq_ckpt_close(c);
    read_bytes(&p, &n);
    refuse_image(p, n, OMQ_EFORMAT, text);
    free(p);
}

START_TEST(tensors_must_be_there_in_their_shape)
{
    refuse_without("WFPT", "a.weight", 0, -1, NULL, "has no section 'WFPT' 'a.weight'");
    refuse_without("WFPT", "c.bias", 0, -1, NULL, "has no section 'WFPT' 'c.bias'");
    refuse_without("QPAR", "b.step@w4a8", 0, -1, NULL, "has no section 'QPAR' 'b.step@w4a8'");
    refuse_without("QPAR", "c.in.step@w2a2", 0, -1, NULL, "'c.in.step@w2a2'");
    refuse_without("QPAR", "a_bn.running_var@w32a32", 0, -1, NULL, "'a_bn.running_var@w32a32'");
    refuse_without("QPAR", "b.offset@w8a8", 0, -1, NULL, "'b.offset@w8a8'");
    refuse_without("WFPT", "a.weight", OMQ_F32, 4, (uint64_t[]){4, 2, 3, 2},
                   "is f32 [4, 2, 3, 2], expected f32 [4, 2, 3, 3]");
    refuse_without("WFPT", "a.weight", OMQ_F32, 1, (uint64_t[]){72}, "expected f32 [4, 2, 3, 3]");
    refuse_without("WFPT", "a.weight", OMQ_I32, 4, (uint64_t[]){4, 2, 3, 3}, "is i32");
    refuse_without("QPAR", "b.step@w4a8", OMQ_F32, 1, (uint64_t[]){1}, "expected f32 [4]");
    refuse_without("QPAR", "b.step@w4a8", OMQ_F32, 0, NULL, "expected f32 [4]");
}
END_TEST

/* The good model with one number changed. */
static int get_with_value(const char *kind, const char *name, int index, float value)
{
    struct omq_ckpt *c = open_image(good, good_size);
    uint8_t *p = malloc(good_size);
    struct omq_model_info info;
    struct omq_net net;
    int at = -1, rc;

    ck_assert_ptr_nonnull(p);
    memcpy(p, good, good_size);
    for (int i = 0; i < omq_ckpt_count(c); i++) {
        const struct omq_tensor_info *t = omq_ckpt_at(c, i);

        if (strcmp(t->kind, kind) == 0 && strcmp(t->name, name) == 0)
            at = i;
    }
    ck_assert_msg(at >= 0, "there is no %s %s", kind, name);
    memcpy(image_section(p, 3 + at) + sizeof(value) * (size_t)index, &value, sizeof(value));
    image_reseal(p, good_size);
    omq_ckpt_close(c);
    rc = get_image(p, good_size, &net, &info);
    free(p);
    if (rc == OMQ_OK)
        release(&net, &info);
    return rc;
}

START_TEST(values_must_be_possible)
{
    static const struct {
        const char *kind, *name;
        int index;
        float value;
        bool ok;
    } cases[] = {
        {"WFPT", "a.weight", 71, NAN, false}, {"WFPT", "a.weight", 0, INFINITY, false},
        {"WFPT", "a.weight", 5, -1e30f, true}, {"WFPT", "c.bias", 5, -INFINITY, false},
        {"QPAR", "b.step@w4a8", 1, -0.5f, false}, {"QPAR", "b.step@w4a8", 1, NAN, false},
        {"QPAR", "b.step@w4a8", 1, 0, false}, {"QPAR", "b.step@w4a8", 0, 0, false},
        {"QPAR", "b.step@w4a8", 1, 3, true}, {"QPAR", "c.in.step@w2a2", 0, -1, false},
        {"QPAR", "c.in.step@w2a2", 0, 0, true}, /* not trained yet */
        {"QPAR", "a_bn.running_var@w8a8", 2, -1e-9f, false},
        {"QPAR", "a_bn.running_var@w8a8", 2, 0, true},
        {"QPAR", "a_bn.running_mean@w8a8", 2, -1, true},
        {"QPAR", "a_bn.weight@w2a2", 3, NAN, false}, {"QPAR", "a_bn.bias@w2a2", 3, -4, true},
        {"QPAR", "b.offset@w8a8", 1, NAN, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rc = get_with_value(cases[i].kind, cases[i].name, cases[i].index, cases[i].value);

        ck_assert_msg(rc == (cases[i].ok ? OMQ_OK : OMQ_EFORMAT), "%s: %d, %s", cases[i].name, rc,
                      err.msg);
        if (cases[i].ok)
            continue;
        has_text("has the impossible value");
        has_text(cases[i].name);
    }
}
END_TEST

/* ---- out of memory ---- */

/* jansson's memory runs out too: these are the test's own malloc and free. */
static void *json_memory(size_t n) { return malloc(n); }
static void json_free_memory(void *p) { free(p); }

START_TEST(put_says_so_when_memory_runs_out)
{
    struct omq_model_info info;
    struct omq_net net;
    char *want = NULL;
    long i = 0;
    int rc;

    json_set_alloc_funcs(json_memory, json_free_memory);
    make_model(&net, &info, "gains");
    do {
        struct omq_ckpt_writer *w;
        char *meta = NULL;

        ck_assert(omq_ckpt_writer_open(&w, &err) == OMQ_OK);
        err.msg[0] = 0;
        failalloc_set(i ? i : 0); /* once without failure, to know the text */
        rc = omq_model_put(w, &net, &info, &meta, &err);
        failalloc_set(0);
        ck_assert_msg(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]), "allocation %ld: %d, %s",
                      i, rc, err.msg);
        if (!want)
            want = strdup(meta);
        else if (rc == OMQ_OK) /* nothing was left out */
            ck_assert_str_eq(meta, want);
        omq_ckpt_writer_close(w);
        free(meta);
    } while (i++ == 0 || rc != OMQ_OK);
    ck_assert_int_gt(i, 100);
    free(want);
    release(&net, &info);
}
END_TEST

START_TEST(get_says_so_when_memory_runs_out)
{
    struct omq_model_info info;
    struct omq_ckpt *c;
    struct omq_net net;
    long i = 0;
    int rc;

    if (_i)
        json_set_alloc_funcs(json_memory, json_free_memory);
    c = open_image(good, good_size);
    do {
        err.msg[0] = 0;
        failalloc_set(++i);
        rc = omq_model_get(&net, &info, c, true, &err);
        failalloc_set(0);
        /* jansson's reader takes a text that it cannot store for a wrong one */
        ck_assert_msg(rc == OMQ_OK || ((rc == OMQ_ENOMEM || (_i && rc == OMQ_EFORMAT)) &&
                                       err.msg[0]), "allocation %ld: %d, %s", i, rc, err.msg);
    } while (rc != OMQ_OK);
    ck_assert_int_gt(i, _i ? 500 : 20);
    omq_ckpt_close(c);
    release(&net, &info);
}
END_TEST

Suite *omq_suite_model(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, models_come_back, 0, 5);
    tcase_add_test(t, places_do_not_matter);
    tcase_add_test(t, results_that_are_no_numbers_are_left_out);
    tcase_add_test(t, class_names_can_be_stored);
    tcase_add_loop_test(t, every_value_of_meta_is_checked, 0, 9);
    tcase_add_test(t, meta_is_an_object_of_json);
    tcase_add_test(t, unknown_keys_are_left_alone);
    tcase_add_test(t, weights_that_are_not_there_take_no_memory);
    tcase_add_test(t, many_layers_take_no_memory);
    tcase_add_test(t, many_values_take_no_memory);
    tcase_add_test(t, deep_json_is_refused);
    tcase_add_test(t, graphs_that_make_no_sense);
    tcase_add_test(t, tensors_must_be_there_in_their_shape);
    tcase_add_test(t, values_must_be_possible);
    tcase_add_test(t, put_says_so_when_memory_runs_out);
    tcase_add_loop_test(t, get_says_so_when_memory_runs_out, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
