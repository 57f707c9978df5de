/* SPDX-License-Identifier: MIT
 *
 * Arrays of a model: what codes and scales make is the weights of the training's
 * forward pass, also where a view changes them; and memory that runs out.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "model_sample.h"
#include "nn/nn_internal.h"
#include "port/arrays.h"

Suite *omq_suite_arrays(void);

static struct omq_net net;
static struct omq_model_info info;
static struct omq_err err;
static struct omq_arrays arrays;

static void setup(void)
{
    model_setup();
    ck_assert_msg(model_get(model_good, model_size, &net, &info, &err) == 0, "%s", err.msg);
}

static void teardown(void)
{
    omq_arrays_release(&arrays);
    model_release(&net, &info);
    model_teardown();
}

static const struct omq_array *find(const char *layer, const char *tag, const char *end)
{
    char name[2 * OMQ_ARRAY_NAME_SIZE];

    snprintf(name, sizeof(name), "%s.weight.q%s%s", layer, tag, end);
    for (int i = 0; i < arrays.n; i++)
        if (strcmp(arrays.list[i].name, name) == 0)
            return &arrays.list[i];
    ck_abort_msg("no array '%s'", name);
    return NULL;
}

static float real_at(const struct omq_array *a, size_t i)
{
    float x;

    ck_assert_int_eq(a->type, OMQ_ARRAY_F32);
    memcpy(&x, a->bytes + i * sizeof(x), sizeof(x)); /* on the machines of the tests */
    return x;
}

/* k is [out][in][kh][kw], what training has [out][kh][kw][in]. */
static void same_weights(const struct omq_layer *l, const char *tag,
                         const struct omq_layer_buf *b)
{
    const struct omq_array *k = find(l->name, tag, ""), *scale = find(l->name, tag, ".scale");
    const int window = l->kh * l->kw;

    ck_assert_uint_eq(k->n_bytes, (size_t)l->out * l->in * window);
    for (int o = 0; o < l->out; o++)
        for (int i = 0; i < l->in; i++)
            for (int j = 0; j < window; j++) {
                float code = (float)(int8_t)k->bytes[(o * l->in + i) * window + j];

                ck_assert(code * real_at(scale, (size_t)o) ==
                          b->codes[(o * window + j) * l->in + i] *
                              b->unit[b->n_units == 1 ? 0 : o]);
            }
}

START_TEST(weights)
{
    static const uint8_t images[2 * SIDE * SIDE * CHANNELS];
    struct omq_pool *pool;
    struct omq_exec *x;
    int n_seen = 0;

    ck_assert_int_eq(omq_pool_open(&pool, 1, &err), OMQ_OK);
    ck_assert_int_eq(omq_exec_open(&x, &net, pool, 2, false, &err), OMQ_OK);
    for (int p = 0; p < net.n_precisions; p++) {
        struct omq_export_numbers *n;
        const struct omq_export_job job = {.name = "x", .n = 1, .choices = &n};
        char tag[OMQ_ARRAY_TAG_SIZE];

        if (net.precisions[p].w == OMQ_FLOAT_BITS || net.precisions[p].a == OMQ_FLOAT_BITS)
            continue;
        ck_assert_msg(omq_export_numbers_open(&n, &net, &info, p, &err) == 0, "%s", err.msg);
        ck_assert_msg(omq_arrays_init(&arrays, &job, &err) == 0, "%s", err.msg);
        omq_exec_forward(x, p, OMQ_MODE_FROZEN, images, 2, 0);
        omq_arrays_tag(&n->choice, tag);
        for (int l = 0; l < net.plan.n_layers; l++)
            same_weights(&net.plan.layers[l], tag, &x->layers[l]);
        omq_arrays_release(&arrays);
        omq_export_numbers_close(n);
        n_seen++;
    }
    ck_assert_int_ge(n_seen, 2);
    omq_exec_close(x);
    omq_pool_close(pool);
}
END_TEST

/* Profiles have any name; a width's cannot be taken. */
START_TEST(tags)
{
    const struct omq_choice width = {.name = "w4a4", .w = 4, .a = 4};
    const struct omq_choice mixed = {.name = "w4a8", .w = 4, .a = 8};
    const struct omq_choice profile = {.name = "4", .layers = (const int[]){0}};
    char tag[OMQ_ARRAY_TAG_SIZE];

    ck_assert_str_eq(omq_arrays_tag(&width, tag), "4");
    ck_assert_str_eq(omq_arrays_tag(&mixed, tag), ".w4a8");
    ck_assert_str_eq(omq_arrays_tag(&profile, tag), ".4");
}
END_TEST

typedef int write_function(const struct omq_export_job *job, FILE *const out[2],
                           struct omq_err *err);

static int write_vectors(const struct omq_export_job *job, FILE *const out[2],
                         struct omq_err *why)
{
    return omq_export_vectors(job, out[0], why);
}

/* Either all of it, or a sentence. */
START_TEST(memory)
{
    static write_function *const writers[] = {omq_export_npz, omq_export_safetensors,
                                              write_vectors};
    const struct omq_export_options opt = {.vectors = 2};
    struct omq_export_numbers *n;
    const struct omq_export_job job = {.opt = &opt, .name = "x", .n = 1, .choices = &n};
    FILE *f = fopen("/dev/null", "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(omq_export_numbers_open(&n, &net, &info, 0, &err), OMQ_OK);
    for (size_t w = 0; w < sizeof(writers) / sizeof(writers[0]); w++) {
        int rc = OMQ_ENOMEM;

        for (long nth = 1; rc < 0; nth++) {
            err = (struct omq_err){0};
            failalloc_set(nth);
            rc = writers[w](&job, (FILE *const[2]){f, NULL}, &err);
            failalloc_set(0);
            ck_assert_int_eq(err.code, rc);
            ck_assert(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]));
            ck_assert_int_lt(nth, 100000);
        }
    }
    omq_export_numbers_close(n);
    fclose(f);
}
END_TEST

/* Before anything is made: so many images of this size are 65 GB. */
START_TEST(too_many_vectors)
{
    const struct omq_export_options opt = {.vectors = 65536};
    struct omq_export_numbers *n;
    const struct omq_export_job job = {.opt = &opt, .name = "x", .n = 1, .choices = &n};

    ck_assert_int_eq(omq_export_numbers_open(&n, &net, &info, 0, &err), OMQ_OK);
    net.pre.height = net.pre.width = 1000;
    ck_assert_int_eq(omq_export_vectors(&job, NULL, &err), OMQ_EUNSUP);
    ck_assert_ptr_nonnull(strstr(err.msg, "65536 images"));
    ck_assert_ptr_nonnull(strstr(err.msg, "give a smaller number to --vectors"));
    omq_export_numbers_close(n);
}
END_TEST

Suite *omq_suite_arrays(void)
{
    Suite *s = suite_create("arrays");
    TCase *c = tcase_create("arrays");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, weights);
    tcase_add_test(c, tags);
    tcase_add_test(c, memory);
    tcase_add_test(c, too_many_vectors);
    suite_add_tcase(s, c);
    return s;
}
