/* SPDX-License-Identifier: MIT
 *
 * Networks in files: what goes in comes out, the same bytes each time; and
 * what is not a network is refused with a sentence, whichever tensor is missing
 * or wrong. META is test_model_meta.c.
 */
#define _GNU_SOURCE
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/ckpt/ckpt_image.h"
#include "base/utf8.h"
#include "failalloc.h"
#include "graphhelp.h"
#include "model_sample.h"

Suite *omq_suite_model(void);

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
    static const char *const views[] = {"off", "offsets", "offsets, levels: 2",
                                        "offsets, levels: 0, detach: false"};
    struct omq_model_info info, info2;
    struct omq_net net, net2;
    struct omq_ckpt *c;
    uint8_t *bytes[3];
    size_t n[3];

    model_make(&net, &info, views[_i]);
    for (int i = 0; i < 2; i++) {
        model_write(&net, &info, model_path);
        model_read_bytes(&bytes[i], &n[i]);
    }
    ck_assert(omq_ckpt_open(&c, model_path, 0, &err) == OMQ_OK);
    ck_assert_msg(omq_model_get(&net2, &info2, c, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_close(c);
    same_net(&net, &net2);
    same_info(&info, &info2, net.plan.n_layers);
    model_write(&net2, &info2, model_path);
    model_read_bytes(&bytes[2], &n[2]);
    for (int i = 1; i < 3; i++)
        ck_assert(n[i] == n[0] && memcmp(bytes[i], bytes[0], n[0]) == 0);
    for (int i = 0; i < 3; i++)
        free(bytes[i]);
    model_release(&net, &info);
    model_release(&net2, &info2);
}
END_TEST

/* Where it was trained, and with how many threads, is not in the file. */
START_TEST(places_do_not_matter)
{
    struct omq_model_info info;
    struct omq_net net;
    uint8_t *bytes[2];
    size_t n[2];

    model_make(&net, &info, "off");
    for (int i = 0; i < 2; i++) {
        model_write(&net, &info, model_path);
        model_read_bytes(&bytes[i], &n[i]);
        snprintf(info.config.output_dir, sizeof(info.config.output_dir), "/somewhere/else");
        info.config.threads = 7;
    }
    ck_assert(n[0] == n[1] && memcmp(bytes[0], bytes[1], n[0]) == 0);
    free(bytes[0]);
    free(bytes[1]);
    model_release(&net, &info);
}
END_TEST

/* A loss may be NaN; JSON cannot say so, and the model is worth keeping. */
START_TEST(results_that_are_no_numbers_are_left_out)
{
    struct omq_model_info info;
    struct omq_net net;
    struct omq_ckpt *c;

    model_make(&net, &info, "off");
    info.results[0].loss = NAN;
    info.results[1] = (struct omq_result){true, 50, INFINITY, 10};
    model_write(&net, &info, model_path);
    model_release(&net, &info);
    ck_assert(omq_ckpt_open(&c, model_path, 0, &err) == OMQ_OK);
    ck_assert_msg(omq_model_get(&net, &info, c, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_close(c);
    ck_assert(!info.results[0].known && !info.results[1].known && info.results[2].known);
    model_release(&net, &info);
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
        ck_assert(omq_utf8_valid(info.class_names[0], strlen(info.class_names[0])));
        ck_assert(omq_class_name_is(info.class_names[0], name));
        name[1] = 'y';
        ck_assert(!omq_class_name_is(info.class_names[0], name));
    }
    omq_model_info_release(&info);
}
END_TEST

/* ---- tensors ---- */

/* The good model less one tensor, or with it in another shape or type. */
static void refuse_without(const char *kind, const char *name, enum omq_dtype dtype, int ndim,
                           const uint64_t *dims, const char *text)
{
    static const float zeros[4096];
    struct omq_ckpt *c = model_open(model_good, model_size);
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
    ck_assert(omq_ckpt_write(w, model_path, &err) == OMQ_OK);
    omq_ckpt_writer_close(w);
    omq_ckpt_close(c);
    model_read_bytes(&p, &n);
    model_refuse(p, n, OMQ_EFORMAT, text);
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
    struct omq_ckpt *c = model_open(model_good, model_size);
    uint8_t *p = malloc(model_size);
    struct omq_model_info info;
    struct omq_net net;
    int at = -1, rc;

    ck_assert_ptr_nonnull(p);
    memcpy(p, model_good, model_size);
    for (int i = 0; i < omq_ckpt_count(c); i++) {
        const struct omq_tensor_info *t = omq_ckpt_at(c, i);

        if (strcmp(t->kind, kind) == 0 && strcmp(t->name, name) == 0)
            at = i;
    }
    ck_assert_msg(at >= 0, "there is no %s %s", kind, name);
    memcpy(image_section(p, 3 + at) + sizeof(value) * (size_t)index, &value, sizeof(value));
    image_reseal(p, model_size);
    omq_ckpt_close(c);
    rc = model_get(p, model_size, &net, &info, &err);
    free(p);
    if (rc == OMQ_OK)
        model_release(&net, &info);
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
    model_make(&net, &info, "offsets");
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
    model_release(&net, &info);
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
    c = model_open(model_good, model_size);
    do {
        err.msg[0] = 0;
        failalloc_set(++i);
        rc = omq_model_get(&net, &info, c, &err);
        failalloc_set(0);
        /* jansson's reader takes a text that it cannot store for a wrong one */
        ck_assert_msg(rc == OMQ_OK || ((rc == OMQ_ENOMEM || (_i && rc == OMQ_EFORMAT)) &&
                                       err.msg[0]), "allocation %ld: %d, %s", i, rc, err.msg);
    } while (rc != OMQ_OK);
    ck_assert_int_gt(i, _i ? 500 : 20);
    omq_ckpt_close(c);
    model_release(&net, &info);
}
END_TEST

Suite *omq_suite_model(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");

    tcase_add_checked_fixture(t, model_setup, model_teardown);
    tcase_add_loop_test(t, models_come_back, 0, 4);
    tcase_add_test(t, places_do_not_matter);
    tcase_add_test(t, results_that_are_no_numbers_are_left_out);
    tcase_add_test(t, class_names_can_be_stored);
    tcase_add_test(t, tensors_must_be_there_in_their_shape);
    tcase_add_test(t, values_must_be_possible);
    tcase_add_test(t, put_says_so_when_memory_runs_out);
    tcase_add_loop_test(t, get_says_so_when_memory_runs_out, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
