/* SPDX-License-Identifier: MIT
 *
 * META of a model file, damaged value by value, and graphs that are too much:
 * refused with a sentence, whatever it says.
 */
#define _GNU_SOURCE
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/ckpt/ckpt_image.h"
#include "graphhelp.h"
#include "model_sample.h"
#include "omq_tools.h"

Suite *omq_suite_model_meta(void);

/* ---- META, damaged value by value ---- */

static json_t *good_meta(void)
{
    json_t *meta;
    size_t n = omq_get_le64(image_entry(model_good, 0) + 16);

    meta = json_loadb((const char *)image_section(model_good, 0), n, 0, NULL);
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
    image = model_with_meta(model_good, text, strlen(text), &n);
    rc = model_get(image, n, net, info, &err);
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
    model_release(&net, &info);
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
    /* which can have one value only */
    static const char *const fixed[] = {"format_version", "mean", "std", "step", "zero_point",
                                        NULL};
    json_t *old = json_incref(json_is_object(parent) ? json_object_get(parent, key)
                                                     : json_array_get(parent, index));

    for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
        json_t *v = json_loads(with[i], JSON_DECODE_ANY, NULL);
        /* a list may be empty */
        bool may_pass = kind_of(v) == kind_of(old) && !one_of(what, fixed);

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
    try_meta(meta, one_of(key, optional) || (parent == meta && strcmp(key, "layers") == 0), what,
             "removed");
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
                                       "provenance", "layers"}[_i];

    ck_assert_uint_eq(json_object_size(meta), 10);
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
        uint8_t *image = model_with_meta(model_good, bad[i].text, strlen(bad[i].text), &n);

        model_refuse(image, n, strstr(bad[i].says, "version ") ? OMQ_EVERSION : OMQ_EFORMAT,
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
    model_release(&net, &info);
    json_decref(meta);
}
END_TEST

/* Values without names stand in an order that another version may not have. */
START_TEST(layers_in_another_order)
{
    json_t *meta = good_meta(), *layers = json_object_get(meta, "layers"), *first;
    struct omq_model_info info;
    struct omq_net net;

    ck_assert_uint_gt(json_array_size(layers), 2);
    first = json_incref(json_array_get(layers, 0));
    json_array_remove(layers, 0);
    json_array_insert_new(layers, 1, first);
    ck_assert_int_eq(get_with(meta, &net, &info), OMQ_EVERSION);
    has_text("the model's layers are not those that this version makes of its graph");
    json_decref(meta);
}
END_TEST

/* A name is a word of command lines, and of the names of files that are exported. */
START_TEST(profiles_that_cannot_be_called_so)
{
    static const char *const names[] = {"all", "4", "w4a8", "a,b", "a=b", "a b", "a/b", "..", ".a",
                                        "", "\t", "\xc2\x9b"};
    json_t *meta = good_meta();
    struct omq_model_info info;
    struct omq_net net;

    json_object_set_new(json_array_get(json_object_get(meta, "profiles"), 1), "name",
                        json_string(names[_i]));
    ck_assert_int_eq(get_with(meta, &net, &info), OMQ_EFORMAT);
    has_text("the model's META is wrong: profile 2");
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
    json_object_del(meta, "layers");
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
    image = model_with_meta(model_good, text, n, &n);
    model_refuse(image, n, OMQ_EUNSUP, "262144 are possible");
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
    image = model_with_meta(model_good, text, N, &n);
    model_refuse(image, n, OMQ_EFORMAT, "not JSON");
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
        {"[{'op': 'relu', 'name': 'x', 'in': []}]", "'x' reads a node", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'x', 'in': [0, 0]}]", "'x' has an input too many", OMQ_EFORMAT},
        {"[{'op': 'add', 'name': 'x', 'in': [0]}]", "'x' reads a node", OMQ_EFORMAT},
        {"[{'op': 'add', 'name': 'x', 'in': [0, 0, 0]}]", "inputs of node 'x'", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': '', 'in': [0]}]", "not a valid node name", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'a/b', 'in': [0]}]", "not a valid node name", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'a\\u001b', 'in': [0]}]", "not a valid node name", OMQ_EFORMAT},
        {"[{'op': 'relu', 'name': 'input', 'in': [0]}]", "two nodes", OMQ_EFORMAT},
        {"[{'op': 'conv', 'name': 'x', 'in': [0], 'channels': 4294967300, 'kernel': 1, "
         "'stride': 1}]", "'x' has an attribute out of range", OMQ_EFORMAT},
        {"[{'op': 'conv', 'name': 'x', 'in': [0], 'channels': 4, 'kernel': -4294967295, "
         "'stride': 1}]", "'x' has an attribute out of range", OMQ_EFORMAT},
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

/* The precisions of a model are those of META; its configuration may say otherwise. */
START_TEST(loss_weights_of_other_precisions)
{
    const struct omq_recalibrate_options opt = {.bits = "w5a8,w6a8,w7a8", .threads = 1};
    json_t *meta = good_meta();
    char config[2048], *text;
    size_t n = 0;
    uint8_t *image;
    FILE *f;

    n += (size_t)snprintf(config, sizeof(config), "output_dir: out\nmodel: {arch: resnet8}\n"
                          "quant: {view: offsets, view_max_bits: 0, weight_steps: channel}\n"
                          "data: {format: synthetic, mean: [0.5, 0.31], std: [0.25, 0.3], "
                          "synthetic: {height: 8, width: 8, channels: 2, classes: 5}}\n"
                          "bits: [");
    for (int i = 0; i < 32; i++)
        n += (size_t)snprintf(config + n, sizeof(config) - n, "%sw%da%d", i ? ", " : "", 1 + i / 8,
                              1 + i % 8);
    n += (size_t)snprintf(config + n, sizeof(config) - n, "]\ntrain: {loss_weights: [");
    for (int i = 0; i < 32; i++)
        n += (size_t)snprintf(config + n, sizeof(config) - n, "%s1", i ? ", " : "");
    snprintf(config + n, sizeof(config) - n, "]}\n");
    json_object_set_new(meta, "config", json_string(config));
    text = json_dumps(meta, JSON_REAL_PRECISION(17));
    ck_assert_ptr_nonnull(text);
    image = model_with_meta(model_good, text, strlen(text), &n);
    ck_assert_ptr_nonnull(f = fopen(model_path, "wb"));
    ck_assert_uint_eq(fwrite(image, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_msg(omq_recalibrate(model_path, model_path, &opt, &err) == OMQ_EFORMAT, "%s",
                  err.msg);
    ck_assert_msg(strstr(err.msg, "4 precisions, but weights of 32 losses") != NULL, "%s", err.msg);
    free(image);
    free(text);
    json_decref(meta);
}
END_TEST

Suite *omq_suite_model_meta(void)
{
    Suite *s = suite_create("model_meta");
    TCase *t = tcase_create("model_meta");

    tcase_add_checked_fixture(t, model_setup, model_teardown);
    tcase_add_loop_test(t, every_value_of_meta_is_checked, 0, 10);
    tcase_add_test(t, meta_is_an_object_of_json);
    tcase_add_test(t, unknown_keys_are_left_alone);
    tcase_add_test(t, layers_in_another_order);
    tcase_add_loop_test(t, profiles_that_cannot_be_called_so, 0, 12);
    tcase_add_test(t, weights_that_are_not_there_take_no_memory);
    tcase_add_test(t, many_layers_take_no_memory);
    tcase_add_test(t, many_values_take_no_memory);
    tcase_add_test(t, deep_json_is_refused);
    tcase_add_test(t, graphs_that_make_no_sense);
    tcase_add_test(t, loss_weights_of_other_precisions);
    suite_add_tcase(s, t);
    return s;
}
