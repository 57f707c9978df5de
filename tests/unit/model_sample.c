/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "model_sample.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fuzz/ckpt/ckpt_image.h"
#include "base/file.h"
#include "base/rng.h"
#include "graphhelp.h"

char model_path[96];
uint8_t *model_good;
size_t model_size;

static char dir[64];

static const char config_text[] =
    "output_dir: out\nthreads: 3\nbits: [8, w4a8, 2, 32]\n"
    "data: {format: synthetic, mean: [0.5, 0.31], std: [0.25, 0.3], "
    "synthetic: {height: 8, width: 8, channels: 2, classes: 5}}\n"
    "model: {arch: resnet8}\nquant: {view: %s, view_max_bits: 0, weight_steps: channel}\n";

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

void model_make(struct omq_net *net, struct omq_model_info *info, const char *view)
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

void model_release(struct omq_net *net, struct omq_model_info *info)
{
    omq_net_release(net);
    omq_model_info_release(info);
}

void model_write(const struct omq_net *net, const struct omq_model_info *info, const char *to)
{
    struct omq_ckpt_writer *w;
    char *meta;

    ck_assert(omq_ckpt_writer_open(&w, &err) == OMQ_OK);
    ck_assert_msg(omq_model_put(w, net, info, &meta, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_msg(omq_ckpt_write(w, to, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_writer_close(w);
    free(meta);
}

void model_read_bytes(uint8_t **p, size_t *n)
{
    ck_assert_msg(omq_file_read(model_path, 1 << 24, p, n, &err) == OMQ_OK, "%s", err.msg);
}

uint8_t *model_with_meta(const uint8_t *image, const char *text, size_t n, size_t *n_out)
{
    uint8_t *out = image_replace(image, 0, text, n, omq_get_le32(image + 44), n_out);

    omq_put_le32(image_entry(out, 0) + 4, 0); /* not compressed */
    omq_put_le64(image_entry(out, 0) + 24, n);
    image_reseal(out, *n_out);
    return out;
}

struct omq_ckpt *model_open(const uint8_t *image, size_t n)
{
    struct omq_ckpt *c;

    ck_assert_msg(omq_ckpt_open_memory(&c, image, n, "test", 0, &err) == OMQ_OK, "%s", err.msg);
    return c;
}

int model_get(const uint8_t *image, size_t n, struct omq_net *net, struct omq_model_info *info,
              struct omq_err *why)
{
    struct omq_ckpt *c = model_open(image, n);
    int rc;

    why->msg[0] = 0;
    rc = omq_model_get(net, info, c, why);
    omq_ckpt_close(c);
    return rc;
}

void model_refuse(const uint8_t *image, size_t n, int code, const char *text)
{
    struct omq_model_info info;
    struct omq_net net;

    ck_assert_int_eq(model_get(image, n, &net, &info, &err), code);
    has_text(text);
}

static json_malloc_t json_own_malloc; /* jansson's own: a test may replace them, */
static json_free_t json_own_free;     /* and without fork the next would see that */

void model_setup(void)
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
    snprintf(model_path, sizeof(model_path), "%s/m.omq", dir);
    model_make(&net, &info, "offsets");
    model_write(&net, &info, model_path);
    model_release(&net, &info);
    model_read_bytes(&p, &n);
    c = model_open(p, n);
    meta = omq_ckpt_meta(c, &n);
    model_good = model_with_meta(p, meta, n, &model_size);
    omq_ckpt_close(c);
    free(p);
}

void model_teardown(void)
{
    json_set_alloc_funcs(json_own_malloc, json_own_free);
    free(model_good);
    unlink(model_path);
    ck_assert_msg(rmdir(dir) == 0, "something was left in %s", dir);
}
