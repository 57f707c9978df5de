/* SPDX-License-Identifier: MIT
 *
 * Weights of other people's networks: names, shapes, norms, and what is said of
 * those that do not fit.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>

#include "arrayhelp.h"
#include "failalloc.h"
#include "graphhelp.h"
#include "port/weights.h"

Suite *omq_suite_weights(void);

enum { SIDE = 16, CLASSES = 4 };

static struct omq_net net;
static struct omq_source source;
static struct omq_init_config cfg;
static struct omq_weights_result result;

static void start_net(const char *arch, double width)
{
    build_net(&net, arch, width, SIDE, SIDE, 3, CLASSES);
    cfg = (struct omq_init_config){.strict = true, .bn_eps = OMQ_BN_EPS};
    source = (struct omq_source){.path = strdup("w.bin")};
}

static void setup(void) { start_net("resnet8", 0.25); }

static void teardown(void)
{
    omq_weights_result_release(&result);
    omq_source_release(&source);
    omq_net_release(&net);
}

/* An array of values 1, 1 + 1/256, ... times scale; returns them. */
static float *add_array(const char *name, int ndim, const int *dims, float scale)
{
    struct omq_source_array *a = omq_source_add(&source, name, strlen(name), &err);
    float *values;
    size_t n_bytes;

    ck_assert_ptr_nonnull(a);
    a->ndim = ndim;
    for (int i = 0; i < ndim; i++)
        a->dims[i] = (uint64_t)dims[i];
    ck_assert(omq_source_count(a, sizeof(float), &n_bytes));
    a->n_bytes = n_bytes;
    values = (float *)(void *)omq_source_room(&source, n_bytes, &err);
    a->bytes = (uint8_t *)values;
    for (size_t i = 0; i < a->n; i++)
        values[i] = scale * (1 + (float)(i % 251) / 256);
    return values;
}

/* How the file calls a parameter. */
typedef void rename_function(const char *name, char out[OMQ_SOURCE_NAME]);

static void same_name(const char *name, char out[OMQ_SOURCE_NAME])
{
    snprintf(out, OMQ_SOURCE_NAME, "%s", name);
}

/* All that the net expects, each with values of its own. */
static void add_all(rename_function *rename)
{
    char name[OMQ_SOURCE_NAME];

    for (int i = 0; i < net.n_params; i++) {
        const struct omq_param *p = &net.params[i];
        const bool linear = p->kind == OMQ_PARAM_WEIGHT && strchr(p->name, '.') &&
                            p->n == (size_t)p->dims[0] * (size_t)p->dims[1];

        if (p->precision > 0 || (p->precision == 0 && p->kind > OMQ_PARAM_VAR))
            continue;
        rename(p->name, name);
        add_array(name, linear ? 2 : p->ndim, p->dims, (float)(i % 97 + 1) / 32);
    }
}

static int load(void)
{
    ck_assert_int_eq(omq_source_seal(&source, &err), OMQ_OK);
    omq_weights_result_release(&result);
    err = (struct omq_err){0};
    return omq_weights_load(&net, &source, &cfg, "another file", &result, &err);
}

/* Every parameter has the values that add_all() gave it, at all precisions. */
static void check_all(void)
{
    for (int i = 0; i < net.n_params; i++) {
        const struct omq_param *p = &net.params[i];
        int first = i;

        if (p->precision >= 0 && p->kind > OMQ_PARAM_VAR)
            continue;
        while (p->precision > 0 && (strcmp(net.params[first].name, p->name) ||
                                    net.params[first].precision != 0))
            first--;
        for (size_t k = 0; k < p->n; k++) {
            float want = (float)(first % 97 + 1) / 32 * (1 + (float)(k % 251) / 256);

            ck_assert_msg((float)p->value[k] == want, "%s[%zu] at %d", p->name, k, p->precision);
        }
    }
}

static void add_text(char (*list)[OMQ_PROFILE_TEXT_SIZE], int *n, const char *text)
{
    snprintf(list[(*n)++], OMQ_PROFILE_TEXT_SIZE, "%s", text);
}

START_TEST(same_names)
{
    add_all(same_name);
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    ck_assert_str_eq(result.text, "");
    ck_assert_int_eq(result.loaded, source.n);
    check_all();
}
END_TEST

/* ---- names ---- */

static void wrapped(const char *name, char out[OMQ_SOURCE_NAME])
{
    snprintf(out, OMQ_SOURCE_NAME, "state_dict.module.%s", name);
}

START_TEST(prefixes)
{
    add_all(wrapped);
    add_array("state_dict.module.bn1.num_batches_tracked", 0, NULL, 1);
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    check_all();
}
END_TEST

/* torchvision's words in a network for CIFAR. */
static void torchvision(const char *name, char out[OMQ_SOURCE_NAME])
{
    const char *at = strstr(name, ".shortcut.");

    if (at)
        snprintf(out, OMQ_SOURCE_NAME, "%.*s.downsample.%s", (int)(at - name), name, at + 10);
    else if (strncmp(name, "linear.", 7) == 0)
        snprintf(out, OMQ_SOURCE_NAME, "fc.%s", name + 7);
    else
        same_name(name, out);
}

START_TEST(synonyms)
{
    add_all(torchvision);
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    check_all();
}
END_TEST

/* timm's mobilenetv2_100, whose blocks are counted by stage. */
static void timm(const char *name, char out[OMQ_SOURCE_NAME])
{
    static const int repeats[] = {1, 2, 3, 4, 3, 3, 1};
    static const char *const first[][2] = {{"conv.0.0", "conv_dw"}, {"conv.0.1", "bn1"},
                                           {"conv.1", "conv_pw"}, {"conv.2", "bn2"}};
    static const char *const others[][2] = {{"conv.0.0", "conv_pw"}, {"conv.0.1", "bn1"},
                                            {"conv.1.0", "conv_dw"}, {"conv.1.1", "bn2"},
                                            {"conv.2", "conv_pwl"}, {"conv.3", "bn3"}};
    int number, rest, stage = 0;

    if (strncmp(name, "classifier.1.", 13) == 0) {
        snprintf(out, OMQ_SOURCE_NAME, "classifier.%s", name + 13);
        return;
    }
    ck_assert_int_eq(sscanf(name, "features.%d.%n", &number, &rest), 1);
    name += rest;
    if (number == 0 || number == 18) {
        snprintf(out, OMQ_SOURCE_NAME, "%s%s", number ? (*name == '0' ? "conv_head" : "bn2")
                                                      : (*name == '0' ? "conv_stem" : "bn1"),
                 name + 1);
        return;
    }
    for (number--; number >= repeats[stage]; number -= repeats[stage++])
        ;
    for (int i = 0; i < (stage == 0 ? 4 : 6); i++) {
        const char *const *part = stage == 0 ? first[i] : others[i];
        size_t n = strlen(part[0]);

        if (strncmp(name, part[0], n) == 0 && name[n] == '.')
            snprintf(out, OMQ_SOURCE_NAME, "blocks.%d.%d.%s%s", stage, number, part[1], name + n);
    }
}

START_TEST(timm_mobilenet)
{
    omq_net_release(&net);
    omq_source_release(&source);
    start_net("mobilenet_v2", 0.25);
    add_all(timm);
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    check_all();
}
END_TEST

static void backbone(const char *name, char out[OMQ_SOURCE_NAME])
{
    if (strncmp(name, "linear.", 7) == 0)
        snprintf(out, OMQ_SOURCE_NAME, "top.%s", name + 7);
    else
        snprintf(out, OMQ_SOURCE_NAME, "backbone.%s", name);
}

START_TEST(maps)
{
    add_all(backbone);
    add_array("topology", 0, NULL, 1); /* which top=linear leaves alone */
    add_text(cfg.map, &cfg.n_map, "backbone.=");
    add_text(cfg.map, &cfg.n_map, "top=linear");
    add_text(cfg.skip, &cfg.n_skip, "topo*");
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    check_all();
    add_text(cfg.map, &cfg.n_map, "nothing");
    ck_assert_int_eq(load(), OMQ_ECONFIG);
    has_text("init_map has 'nothing', which is not OLD=NEW");
}
END_TEST

START_TEST(collisions)
{
    add_all(same_name);
    add_array("other.bias", 1, &(int){CLASSES}, 1);
    add_text(cfg.map, &cfg.n_map, "other=linear");
    ck_assert_int_eq(load(), OMQ_ECONFIG);
    has_text("would both be 'linear.bias'");
}
END_TEST

/* ---- what does not fit ---- */

/* The head is of 10 classes, a norm is missing, and something is too much. */
static void misfit(const char *name, char out[OMQ_SOURCE_NAME])
{
    snprintf(out, OMQ_SOURCE_NAME, "%s%s", name,
             strcmp(name, "layer1.0.bn1.running_var") == 0 ? "iance" : "");
}

static void add_misfits(void)
{
    add_all(misfit);
    for (int i = 0; i < source.n; i++)
        if (strcmp(source.list[i].name, "linear.weight") == 0 ||
            strcmp(source.list[i].name, "linear.bias") == 0)
            source.list[i].dims[0] = 2;
}

START_TEST(strict)
{
    const double before = (double)net.params[0].value[0];

    add_misfits();
    ck_assert_int_eq(load(), OMQ_ECONFIG);
    has_text("1 missing, 1 unexpected, 2 of another shape; try another file");
    ck_assert_str_eq(result.text,
                     "missing: layer1.0.bn1.running_var\n"
                     "shape of linear.weight is [2, 16], expected [4, 16]\n"
                     "shape of linear.bias is [2], expected [4]\n"
                     "unexpected: layer1.0.bn1.running_variance\n");
    ck_assert((double)net.params[0].value[0] == before);
}
END_TEST

START_TEST(not_strict)
{
    const struct omq_layer_params *head = omq_net_layer(&net, 1, net.plan.n_layers - 1);
    const double before = (double)head->weight->value[5];

    add_misfits();
    cfg.strict = false;
    ck_assert_msg(load() == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(result.missing + result.unexpected + result.misshapen, 4);
    ck_assert((double)head->weight->value[5] == before);
    ck_assert((double)omq_net_layer(&net, 2, 0)->gamma->value[0] != 1);
}
END_TEST

START_TEST(skips)
{
    const struct omq_layer_params *head = omq_net_layer(&net, 1, net.plan.n_layers - 1);
    const double before = (double)head->weight->value[5];

    add_misfits();
    add_text(cfg.skip, &cfg.n_skip, "linear");
    add_text(cfg.skip, &cfg.n_skip, "*.bn1.running_var*");
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    ck_assert_int_eq(result.skipped, 2 + 3);
    ck_assert((double)head->weight->value[5] == before);
}
END_TEST

START_TEST(nothing_fits)
{
    add_array("a", 0, NULL, 1);
    cfg.strict = false;
    ck_assert_int_eq(load(), OMQ_ECONFIG);
    has_text("'w.bin' has no array of this network's");
}
END_TEST

static const struct {
    const char *name;
    float value;
} impossible[] = {
    {"conv1.weight", NAN}, {"bn1.running_var", -1}, {"bn1.running_mean", INFINITY},
};

START_TEST(impossible_values)
{
    add_all(same_name);
    for (int i = 0; i < source.n; i++)
        if (strcmp(source.list[i].name, impossible[_i].name) == 0)
            ((float *)(uintptr_t)source.list[i].bytes)[1] = impossible[_i].value;
    ck_assert_int_eq(load(), OMQ_EFORMAT);
    has_text(impossible[_i].name);
    has_text("at index 1");
}
END_TEST

/* ---- norms ---- */

/* With another eps, and a bias before it, the norm is still the same function. */
START_TEST(norms)
{
    const double eps = 1e-3, x = 0.7;
    const struct omq_layer_params *lp;
    float *bias;

    add_all(same_name);
    bias = add_array("conv1.bias", 1, &net.plan.layers[0].out, -0.25f);
    cfg.bn_eps = eps;
    ck_assert_msg(load() == OMQ_OK, "%s\n%s", err.msg, result.text);
    for (int p = 0; p < net.n_precisions; p++) {
        lp = omq_net_layer(&net, p, 0);
        for (int c = 0; c < net.plan.layers[0].out; c++) {
            const float *came[4];
            static const char *const parts[] = {"bn1.weight", "bn1.bias", "bn1.running_mean",
                                                "bn1.running_var"};
            double want, got;

            for (int k = 0; k < 4; k++)
                came[k] = (const float *)find_array(&source, parts[k])->bytes;
            want = came[0][c] * (x + bias[c] - came[2][c]) / sqrt(came[3][c] + eps) + came[1][c];
            got = (double)lp->gamma->value[c] * (x - (double)lp->mean->value[c]) /
                      sqrt((double)lp->var->value[c] + OMQ_BN_EPS) + (double)lp->beta->value[c];
            ck_assert_double_eq_tol(got, want, 1e-5);
            ck_assert((float)lp->var->value[c] == came[3][c]);
        }
    }
}
END_TEST

/* Statistics of a batch are adopted, and the network computes what it did. */
START_TEST(adopting)
{
    static uint8_t images[8 * SIDE * SIDE * 3];
    float before[8 * CLASSES];
    bool layers[64] = {false};
    struct omq_pool *threads;
    struct omq_exec *x;

    for (size_t i = 0; i < sizeof(images); i++)
        images[i] = (uint8_t)(i * i % 251);
    layers[0] = layers[3] = true;
    ck_assert_int_eq(omq_pool_open(&threads, 2, &err), OMQ_OK);
    ck_assert_int_eq(omq_exec_open(&x, &net, threads, 8, false, &err), OMQ_OK);
    omq_exec_forward(x, 0, OMQ_MODE_FROZEN, images, 8, 0);
    memcpy(before, omq_exec_logits(x), sizeof(before));
    omq_exec_adopt_stats(x, 0, layers, images, 8);
    for (int i = 0; i < 8 * CLASSES; i++)
        ck_assert_float_eq_tol(omq_exec_logits(x)[i], before[i], 1e-4f);
    omq_exec_forward(x, 0, OMQ_MODE_FROZEN, images, 8, 0);
    for (int i = 0; i < 8 * CLASSES; i++)
        ck_assert_float_eq_tol(omq_exec_logits(x)[i], before[i], 1e-4f);
    for (int l = 0; l < 5; l++) {
        const struct omq_layer_params *lp = omq_net_layer(&net, 0, l);

        ck_assert_int_eq(lp->var->value[0] != 1, layers[l]);
        ck_assert_int_eq(lp->gamma->value[0] != 1, layers[l]);
    }
    omq_exec_close(x);
    omq_pool_close(threads);
}
END_TEST

START_TEST(memory)
{
    int rc = OMQ_ENOMEM;

    add_misfits();
    cfg.strict = false;
    ck_assert_int_eq(omq_source_seal(&source, &err), OMQ_OK);
    for (long nth = 1; rc < 0; nth++) {
        omq_weights_result_release(&result);
        err = (struct omq_err){0};
        failalloc_set(nth);
        rc = omq_weights_load(&net, &source, &cfg, "another file", &result, &err);
        failalloc_set(0);
        ck_assert(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]));
        ck_assert_int_lt(nth, 1000);
    }
}
END_TEST

Suite *omq_suite_weights(void)
{
    Suite *s = suite_create("weights");
    TCase *c = tcase_create("weights");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, same_names);
    tcase_add_test(c, prefixes);
    tcase_add_test(c, synonyms);
    tcase_add_test(c, timm_mobilenet);
    tcase_add_test(c, maps);
    tcase_add_test(c, collisions);
    tcase_add_test(c, strict);
    tcase_add_test(c, not_strict);
    tcase_add_test(c, skips);
    tcase_add_test(c, nothing_fits);
    tcase_add_loop_test(c, impossible_values, 0, 3);
    tcase_add_test(c, norms);
    tcase_add_test(c, adopting);
    tcase_add_test(c, memory);
    suite_add_tcase(s, c);
    return s;
}
