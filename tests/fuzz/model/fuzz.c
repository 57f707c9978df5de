/* SPDX-License-Identifier: MIT
 *
 * Any text as META beside the tensors of one small model, or any bytes as a
 * whole file with its checksums made right. What is a model after all is put
 * into a writer again, and run: the integer engine and the training forward
 * must agree on it to the bit, whatever the graph. And every format exports it,
 * or says why not.
 *
 * corpus/base.json is the META of that model; the others are edited from it.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../check.h"
#include "../ckpt/ckpt_image.h"
#include "base/file.h"
#include "engine/engine.h"
#include "nn/nn.h"
#include "port/onnx_parse.h"
#include "port/port.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 22, MAX_RUN_BYTES = 1 << 24, MAX_EXPORT = 1 << 14 /* weights */ };

static uint8_t *base;
static size_t base_size;
static struct omq_pool *pool;
static struct omq_err err;

/* ---- the model ---- */

static const char config[] =
    "output_dir: .\nbits: [8, w4a8, 2, 32]\n"
    "data: {format: synthetic, mean: [0.5], std: [0.25], "
    "synthetic: {height: 8, width: 8, channels: 2, classes: 5}}\n"
    "model: {arch: resnet8}\nquant: {view: offsets, weight_steps: channel}\n";

static const struct omq_precision precisions[] = {{8, 8}, {4, 8}, {2, 2}, {32, 32}};

static const struct omq_node nodes[] = {
    {.op = OMQ_OP_CONV, .name = "a", .in = {0}, .channels = 4, .kernel = 3, .stride = 1, .pad = 1,
     .groups = 1},
    {.op = OMQ_OP_BATCHNORM, .name = "a_bn", .in = {1}},
    {.op = OMQ_OP_RELU, .name = "a_relu", .in = {2}},
    {.op = OMQ_OP_CONV, .name = "b", .in = {3}, .channels = 4, .kernel = 3, .stride = 1, .pad = 1,
     .groups = 2},
    {.op = OMQ_OP_BATCHNORM, .name = "b_bn", .in = {4}},
    {.op = OMQ_OP_ADD, .name = "b_add", .in = {5, 3}},
    {.op = OMQ_OP_RELU, .name = "b_relu", .in = {6}},
    {.op = OMQ_OP_MAXPOOL, .name = "max", .in = {7}, .kernel = 2, .stride = 2},
    {.op = OMQ_OP_CONV, .name = "c", .in = {8}, .channels = 6, .kernel = 3, .stride = 1,
     .groups = 1, .bias = true},
    {.op = OMQ_OP_RELU, .name = "c_relu", .in = {9}},
    {.op = OMQ_OP_AVGPOOL, .name = "avg", .in = {10}, .kernel = 2, .stride = 2},
    {.op = OMQ_OP_FLATTEN, .name = "flatten", .in = {11}},
    {.op = OMQ_OP_LINEAR, .name = "fc", .in = {12}, .channels = 5, .bias = true},
};

/* Numbers of about the right size, every step set. */
static void fill(struct omq_param *p)
{
    for (size_t i = 0; i < p->n; i++) {
        int k = (int)((i * 37 + strlen(p->name) * 11) % 64) - 32;

        p->value[i] = (omq_real)k / 64;
        if (p->kind == OMQ_PARAM_VAR || p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP)
            p->value[i] = (omq_real)(k + 40) / 256;
    }
}

static void make_net(struct omq_net *net, struct omq_model_info *info)
{
    struct omq_preprocess pre;
    struct omq_graph g;

    *info = (struct omq_model_info){.n_profiles = 1, .data_fingerprint = 7};
    check_said(omq_config_parse(&info->config, config, strlen(config), "fuzz", NULL, 0, NULL,
                                &err) == OMQ_OK);
    check_said(omq_preprocess_init(&pre, &info->config.data, 8, 8, 2, &err) == OMQ_OK);
    check_said(omq_graph_init(&g, 8, 8, 2, &err) == OMQ_OK);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        check_said(omq_graph_add(&g, &nodes[i], &err) > 0);
    check_said(omq_net_init(net, &g, precisions, 4, &info->config.quant, &pre, 1, false, &err) ==
               OMQ_OK);
    for (int i = 0; i < net->n_params; i++)
        fill(&net->params[i]);
    info->results[1] = (struct omq_result){true, 50, 1.5, 100};
    info->profiles = calloc(1, sizeof(*info->profiles));
    check(info->profiles != NULL);
    snprintf(info->profiles->name, sizeof(info->profiles->name), "mixed");
    info->profiles->layers = calloc((size_t)net->plan.n_layers, sizeof(int));
    check(info->profiles->layers != NULL);
    info->profiles->layers[1] = 2;
}

/* Steps that other graphs of the same layers need. */
static void add_sites(struct omq_ckpt_writer *w)
{
    static const char *const names[] = {"a_bn.out", "b_bn.out", "b_add.out", "max.out",
                                        "avg.out", "c.out", "a.in", "a_relu_q.out"};
    static const char *const at[] = {"w8a8", "w4a8", "w2a2"};
    static const float step = 0.03125f;
    uint64_t one = 1;
    char name[64];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (size_t p = 0; p < sizeof(at) / sizeof(at[0]); p++) {
            snprintf(name, sizeof(name), "%s.step@%s", names[i], at[p]);
            check_said(omq_ckpt_add(w, OMQ_SEC_QPAR, name, OMQ_F32, 0, 1, &one, &step, &err) ==
                       OMQ_OK);
        }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[] = "/tmp/omq-fuzz-XXXXXX", *meta;
    struct omq_model_info info;
    struct omq_ckpt_writer *w;
    struct omq_net net;
    int fd = mkstemp(path);

    (void)argc;
    (void)argv;
    check(fd >= 0 && close(fd) == 0);
    omq_kern_init(OMQ_ISA_REF, NULL);
    check_said(omq_pool_open(&pool, 1, &err) == OMQ_OK);
    make_net(&net, &info);
    check_said(omq_ckpt_writer_open(&w, &err) == OMQ_OK);
    check_said(omq_model_put(w, &net, &info, &meta, &err) == OMQ_OK);
    add_sites(w);
    check_said(omq_ckpt_write(w, path, &err) == OMQ_OK);
    check_said(omq_file_read(path, MAX_BYTES, &base, &base_size, &err) == OMQ_OK);
    unlink(path);
    omq_ckpt_writer_close(w);
    free(meta);
    omq_net_release(&net);
    omq_model_info_release(&info);
    return 0;
}

/* ---- running what came out ---- */

/* The engine's logits are the executor's, bit by bit (a NaN is any NaN); of a packed
 * net, which has no executor, they are only computed. */
static void compare(struct omq_net *net, struct omq_exec *x, const uint8_t *codes, int precision)
{
    struct omq_engine *e;
    float *logits;
    void *scratch;
    size_t size;

    if (omq_engine_open(&e, net, NULL, precision, &err) < 0)
        return;
    size = omq_engine_scratch_size(e, 1, 1);
    if (size <= MAX_RUN_BYTES) {
        scratch = omq_calloc(1, size);
        logits = calloc((size_t)net->n_classes, sizeof(*logits));
        check(scratch && logits);
        omq_engine_run(e, codes, 1, logits, scratch);
        if (x)
            omq_exec_forward(x, precision, OMQ_MODE_FROZEN, codes, 1, 0);
        for (int i = 0; x && i < net->n_classes; i++) {
            float want = (float)omq_exec_logits(x)[i];

            snprintf(err.msg, sizeof(err.msg), "logit %d of precision %d: engine %a, training %a",
                     i, precision, (double)logits[i], (double)want);
            check_said(logits[i] == want || (logits[i] != logits[i] && want != want));
        }
        free(scratch);
        free(logits);
    }
    omq_engine_close(e);
}

static void run(struct omq_net *net)
{
    size_t n = (size_t)net->pre.height * (size_t)net->pre.width * (size_t)net->pre.channels;
    struct omq_exec *x = NULL;
    uint8_t *codes;

    if (omq_net_macs(net) > 1000000 ||
        (!net->packed && omq_exec_bytes(net, pool, 1, false) > MAX_RUN_BYTES))
        return;
    codes = malloc(n);
    check_said(codes && (net->packed || omq_exec_open(&x, net, pool, 1, false, &err) == OMQ_OK));
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint8_t)(i * 73);
    for (int p = 0; p < net->n_precisions; p++)
        compare(net, x, codes, p);
    omq_exec_close(x);
    free(codes);
}

/* ---- exporting it ---- */

static const struct omq_export_options exports[] = {
    {.format = "omq"}, {.format = "npz"}, {.format = "safetensors"}, {.format = "json"},
    {.format = "ncnn"}, {.format = "onnx"}, {.format = "onnx", .style = "exact"},
    {.format = "onnx", .style = "qonnx"}, {.format = "onnx", .style = "float"},
    {.format = "onnx", .act_s8 = true}, {.format = "onnx", .weight_u8 = true},
    {.format = "onnx-switch"}, {.format = "c", .with_main = true},
    {.format = "c", .integer = true}, {.format = "c", .cmsis = true},
};

/* An ONNX file of one precision can be read, as far as names and order go. */
static void check_onnx(const char *bytes, size_t size)
{
    struct omq_onnx_in in;

    check_said(omq_onnx_in_init(&in, "export", (struct omq_span){(const uint8_t *)bytes, size},
                                &err) == OMQ_OK);
    omq_onnx_in_release(&in);
}

static void export(const struct omq_export_options *opt, struct omq_export_numbers *const *choices,
                   int n)
{
    const struct omq_export_job job = {.opt = opt, .name = "fuzz", .n = n, .choices = choices};
    const int format = omq_export_format_find(opt->format, &err);
    char *bytes[2] = {NULL, NULL};
    size_t size[2];
    FILE *out[2];
    int rc;

    for (int i = 0; i < 2; i++)
        check((out[i] = open_memstream(&bytes[i], &size[i])) != NULL);
    err.msg[0] = 0;
    rc = omq_export_formats[format].write(&job, out, &err);
    check_said(rc == OMQ_OK || (err.msg[0] && err.code == rc && rc != OMQ_ENOMEM));
    for (int i = 0; i < 2; i++)
        check(fclose(out[i]) == 0);
    if (rc == OMQ_OK && strcmp(opt->format, "onnx") == 0)
        check_onnx(bytes[0], size[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static void export_all(const struct omq_net *net, const struct omq_model_info *info)
{
    struct omq_export_numbers *choices[4];
    size_t n_weights = 0;
    int n = 0;

    for (int i = 0; i < net->plan.n_layers; i++) {
        const struct omq_layer *l = &net->plan.layers[i];

        n_weights += (size_t)l->out * (size_t)l->in * (size_t)l->kh * (size_t)l->kw;
    }
    if (n_weights > MAX_EXPORT)
        return;
    for (int i = 0; i < omq_choice_count(net, info) && n < 4; i++)
        n += omq_export_numbers_open(&choices[n], net, info, i, &err) == OMQ_OK;
    for (size_t k = 0; k < sizeof(exports) / sizeof(exports[0]); k++) {
        const int format = omq_export_format_find(exports[k].format, &err);
        const int at_once = omq_export_format_holds_several(format) ? n : 1;

        for (int i = 0; i < n; i += at_once)
            export(&exports[k], choices + i, at_once);
    }
    for (int i = 0; i < n; i++)
        omq_export_numbers_close(choices[i]);
}

static void get(const uint8_t *image, size_t size)
{
    struct omq_model_info info;
    struct omq_ckpt_writer *w;
    struct omq_net net;
    struct omq_ckpt *c;
    char *meta;

    if (omq_ckpt_open_memory(&c, image, size, "fuzz", MAX_BYTES, &err) < 0)
        return;
    err.msg[0] = 0;
    if (omq_model_get(&net, &info, c, &err) < 0) {
        check_said(err.msg[0] != 0 && err.code < 0 && err.code != OMQ_ENOMEM);
        omq_ckpt_close(c);
        return;
    }
    omq_ckpt_close(c);
    check_said(omq_ckpt_writer_open(&w, &err) == OMQ_OK);
    check_said(omq_model_put(w, &net, &info, &meta, &err) == OMQ_OK);
    omq_ckpt_writer_close(w);
    free(meta);
    run(&net);
    export_all(&net, &info);
    omq_net_release(&net);
    omq_model_info_release(&info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *image;
    size_t n;

    if (size >= 64 && memcmp(data, base, 8) == 0) {
        image = malloc(size);
        check(image != NULL);
        memcpy(image, data, size);
        omq_put_le64(image + 24, size);
        image_reseal(image, size);
        n = size;
    } else {
        image = image_replace(base, 0, data, size, omq_get_le32(base + 44), &n);
        omq_put_le32(image_entry(image, 0) + 4, 0); /* not compressed */
        omq_put_le64(image_entry(image, 0) + 24, size);
        image_reseal(image, n);
    }
    get(image, n);
    free(image);
    return 0;
}
