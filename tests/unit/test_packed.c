/* SPDX-License-Identifier: MIT
 *
 * Packed nets: as integers, through a file and back, a network gives the logits
 * that it gave before, bit for bit; and a file that is not as it should be is refused.
 */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "graphhelp.h"
#include "model_sample.h"
#include "nn/nn.h"

Suite *omq_suite_packed(void);

enum { IMAGES = 3, PIXELS = SIDE * SIDE * CHANNELS };

/* All integer choices of the sample: w8a8, w4a8, w2a2, and its profiles. */
static const int all[] = {0, 1, 2, 4, 5};
enum { N_ALL = sizeof(all) / sizeof(all[0]) };

static void logits_of(const struct omq_net *net, const struct omq_model_info *info, int choice,
                      float logits[IMAGES * CLASSES])
{
    const struct omq_choice c = omq_choice_at(net, info, choice);
    uint8_t codes[IMAGES * PIXELS];
    struct omq_engine *e;
    struct omq_rng r;
    void *scratch;

    omq_rng_init(&r, 3, OMQ_STREAM_TEST, 77, 0);
    for (size_t i = 0; i < sizeof(codes); i++)
        codes[i] = (uint8_t)omq_rng_below(&r, 256);
    ck_assert_msg(omq_engine_open(&e, net, c.layers, c.precision, &err) == OMQ_OK, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, 1));
    ck_assert_ptr_nonnull(scratch);
    omq_engine_run(e, codes, IMAGES, logits, scratch);
    free(scratch);
    omq_engine_close(e);
}

/* The sample's choices, packed, through a file at model_path and back. */
static void pack_and_read(const int *choices, int n, struct omq_net *back,
                          struct omq_model_info *back_info)
{
    struct omq_net net, packed;
    struct omq_model_info info, packed_info;
    uint8_t *bytes;
    size_t size;

    model_make(&net, &info, "offsets");
    ck_assert_msg(omq_model_pack(&packed, &packed_info, &net, &info, choices, n, &err) == OMQ_OK,
                  "%s", err.msg);
    model_write(&packed, &packed_info, model_path);
    model_release(&packed, &packed_info);
    model_release(&net, &info);
    model_read_bytes(&bytes, &size);
    ck_assert_msg(model_get(bytes, size, back, back_info, &err) == OMQ_OK, "%s", err.msg);
    free(bytes);
}

START_TEST(test_same_logits)
{
    float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    struct omq_net net, back;
    struct omq_model_info info, back_info;

    model_make(&net, &info, "offsets");
    pack_and_read(all, N_ALL, &back, &back_info);
    ck_assert_int_eq(omq_choice_count(&back, &back_info), N_ALL);
    ck_assert_int_eq(back.n_precisions, 3);
    for (int i = 0; i < N_ALL; i++) {
        const struct omq_choice a = omq_choice_at(&net, &info, all[i]);
        const struct omq_choice b = omq_choice_at(&back, &back_info, i);

        ck_assert_str_eq(a.name, b.name);
        ck_assert_uint_eq(a.weight_bytes, b.weight_bytes);
        logits_of(&net, &info, all[i], want);
        logits_of(&back, &back_info, i, got);
        ck_assert_mem_eq(got, want, sizeof(want));
    }
    ck_assert_uint_eq(omq_net_weights(&back), omq_net_weights(&net));
    ck_assert_uint_eq(omq_net_macs(&back), omq_net_macs(&net));
    model_release(&net, &info);
    model_release(&back, &back_info);
}
END_TEST

/* One precision, and a profile that brings the precisions it refers to. */
START_TEST(test_some)
{
    static const int narrow[] = {2}, profile[] = {4};
    float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    struct omq_net net, back;
    struct omq_model_info info, back_info;

    model_make(&net, &info, "offsets");
    pack_and_read(narrow, 1, &back, &back_info);
    ck_assert_int_eq(omq_choice_count(&back, &back_info), 1);
    ck_assert(back_info.results[0].known && back_info.results[0].loss == 3);
    logits_of(&net, &info, 2, want);
    logits_of(&back, &back_info, 0, got);
    ck_assert_mem_eq(got, want, sizeof(want));
    model_release(&back, &back_info);
    pack_and_read(profile, 1, &back, &back_info);
    ck_assert_int_eq(back.n_precisions, 3);
    ck_assert_int_eq(back_info.n_profiles, 1);
    logits_of(&net, &info, 4, want);
    logits_of(&back, &back_info, 3, got);
    ck_assert_mem_eq(got, want, sizeof(want));
    model_release(&back, &back_info);
    model_release(&net, &info);
}
END_TEST

START_TEST(test_twice)
{
    static const int first[] = {0, 2}, second[] = {1};
    float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
    struct omq_net back, again;
    struct omq_model_info back_info, again_info;

    pack_and_read(first, 2, &back, &back_info);
    ck_assert(omq_model_pack(&again, &again_info, &back, &back_info, second, 1, &err) == OMQ_OK);
    logits_of(&back, &back_info, 1, want);
    logits_of(&again, &again_info, 0, got);
    ck_assert_mem_eq(got, want, sizeof(want));
    model_release(&again, &again_info);
    model_release(&back, &back_info);
}
END_TEST

START_TEST(test_refused)
{
    static const int with_float[] = {0, 3};
    struct omq_net net, packed;
    struct omq_model_info info, packed_info;
    struct omq_exec *x;
    struct omq_pool *pool;

    model_make(&net, &info, "offsets");
    ck_assert_int_eq(omq_model_pack(&packed, &packed_info, &net, &info, with_float, 2, &err),
                     OMQ_EUNSUP);
    has_text("'w32a32' is a float precision");
    model_release(&net, &info);
    pack_and_read(all, N_ALL, &packed, &packed_info);
    ck_assert(omq_pool_open(&pool, 1, &err) == OMQ_OK);
    ck_assert_int_eq(omq_exec_open(&x, &packed, pool, 1, false, &err), OMQ_EUNSUP);
    has_text("packed integer weights only");
    omq_pool_close(pool);
    model_release(&packed, &packed_info);
}
END_TEST

/* ---- files that are not as they should be ---- */

/* Bytes of the sample at 8 and 4 bits, with a change of one of its tensors. */
static void refuse_changed(void (*change)(struct omq_net *), int code,
                           const char *text)
{
    static const int both[] = {0, 1};
    struct omq_net net, packed;
    struct omq_model_info info, packed_info;
    uint8_t *bytes;
    size_t size;

    model_make(&net, &info, "off");
    ck_assert(omq_model_pack(&packed, &packed_info, &net, &info, both, 2, &err) == OMQ_OK);
    change(&packed);
    model_write(&packed, &packed_info, model_path);
    model_read_bytes(&bytes, &size);
    model_refuse(bytes, size, code, text);
    free(bytes);
    model_release(&packed, &packed_info);
    model_release(&net, &info);
}

/* -128: sums are checked for 127. */
static void lowest_code(struct omq_net *net) { net->layer_params[1].codes[5] = 0; }
static void lowest_nibble(struct omq_net *net)
{
    omq_net_layer(net, 1, 2)->codes[0] &= 0x0f;
}
static void no_unit(struct omq_net *net) { omq_net_layer(net, 1, 0)->unit->value[0] = 0; }

START_TEST(test_bad_values)
{
    refuse_changed(lowest_code, OMQ_EFORMAT, "a code that its grid has not");
    refuse_changed(lowest_nibble, OMQ_EFORMAT, "'c' have a code");
    refuse_changed(no_unit, OMQ_EFORMAT, "impossible value 0");
}
END_TEST

/* META tells of another precision than there is. */
START_TEST(test_missing)
{
    static const int both[] = {0, 1};
    struct omq_model_info info;
    struct omq_net net;
    uint8_t *bytes, *image;
    struct omq_ckpt *c;
    char *text, *at;
    size_t size, n;

    pack_and_read(both, 2, &net, &info);
    model_release(&net, &info);
    model_read_bytes(&bytes, &size);
    c = model_open(bytes, size);
    text = strdup(omq_ckpt_meta(c, &n));
    ck_assert_ptr_nonnull(text);
    at = strstr(text, "\"precisions\"");
    ck_assert_ptr_nonnull(at = strstr(at, "w4a8"));
    memcpy(at, "w4a4", 4);
    image = model_with_meta(bytes, text, strlen(text), &n);
    model_refuse(image, n, OMQ_EFORMAT, "'w4a4'");
    free(image);
    free(text);
    omq_ckpt_close(c);
    free(bytes);
}
END_TEST

/* META says that weights are packed, and they are not. */
START_TEST(test_not_packed)
{
    struct omq_ckpt *c = model_open(model_good, model_size);
    const char *meta = omq_ckpt_meta(c, &(size_t){0});
    char *text = malloc(strlen(meta) + 64);
    uint8_t *image;
    size_t n;

    ck_assert_ptr_nonnull(text);
    snprintf(text, strlen(meta) + 64, "{\"packed\": %s,%s", _i ? "1" : "true",
             strchr(meta, '{') + 1);
    image = model_with_meta(model_good, text, strlen(text), &n);
    model_refuse(image, n, OMQ_EFORMAT, _i ? "packed is not true or false" : "float precision");
    free(image);
    free(text);
    omq_ckpt_close(c);
}
END_TEST

Suite *omq_suite_packed(void)
{
    Suite *s = suite_create("packed");
    TCase *t = tcase_create("packed");

    tcase_add_checked_fixture(t, model_setup, model_teardown);
    tcase_add_test(t, test_same_logits);
    tcase_add_test(t, test_some);
    tcase_add_test(t, test_twice);
    tcase_add_test(t, test_refused);
    tcase_add_test(t, test_bad_values);
    tcase_add_test(t, test_missing);
    tcase_add_loop_test(t, test_not_packed, 0, 2);
    suite_add_tcase(s, t);
    return s;
}
