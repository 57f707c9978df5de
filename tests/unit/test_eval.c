/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "eval/eval.h"
#include "omq_tools.h"

Suite *omq_suite_eval(void);

enum { SIDE = 8, CLASSES = 6, IMAGES = 53 };

static struct omq_err err;

/* ---- one answer ---- */

START_TEST(ranks_and_ties)
{
    const float x[] = {1, 3, 2, 3, -1, 0.5f};
    struct omq_answer a = omq_answer_of(6, x, 1);

    ck_assert_int_eq(a.rank, 0); /* of equal logits the lower class wins */
    ck_assert_int_eq(a.predicted, 1);
    a = omq_answer_of(6, x, 3);
    ck_assert_int_eq(a.rank, 1);
    ck_assert_int_eq(a.predicted, 1);
    ck_assert_int_eq(omq_answer_of(6, x, 2).rank, 2);
    ck_assert_int_eq(omq_answer_of(6, x, 4).rank, 5); /* not among the first five */
    ck_assert_int_eq(omq_answer_of(6, x, 5).rank, 4);
}
END_TEST

START_TEST(loss_is_cross_entropy)
{
    const float equal[] = {7, 7, 7, 7}, far[] = {1000, 0, -1000};

    ck_assert_double_eq_tol(omq_answer_of(4, equal, 2).loss, log(4.0), 1e-15);
    ck_assert_double_eq(omq_answer_of(3, far, 0).loss, 0);
    ck_assert_double_eq(omq_answer_of(3, far, 2).loss, 2000); /* no overflow on the way */
}
END_TEST

START_TEST(nan_is_never_right)
{
    const float label[] = {0, NAN, 1}, other[] = {NAN, 5, 1};

    ck_assert_int_gt(omq_answer_of(3, label, 1).rank, 0);
    ck_assert_int_gt(omq_answer_of(3, other, 1).rank, 0);
    ck_assert(isnan(omq_answer_of(3, label, 1).loss));
    for (int i = 0; i < 3; i++) {
        const float all[] = {NAN, NAN, NAN};

        ck_assert_int_eq(omq_answer_of(3, all, i).rank, 2);
        ck_assert_int_ne(omq_answer_of(3, all, i).predicted, i);
    }
}
END_TEST

/* ---- a network on a data set ---- */

static const struct omq_precision precisions[] = {{8, 8}, {4, 4}, {1, 1}, {32, 32}, {32, 8}};
enum { W8, W4, W1, FLOAT, W32A8, N_PRECISIONS };

static struct {
    struct omq_net net;
    struct omq_dataset ds;
    uint8_t pixels[IMAGES * SIDE * SIDE];
    uint16_t labels[IMAGES];
} f;

static void add(struct omq_graph *g, const char *name, struct omq_node n)
{
    snprintf(n.name, sizeof(n.name), "%s", name);
    n.in[0] = g->n_nodes - 1;
    ck_assert_msg(omq_graph_add(g, &n, &err) >= 0, "%s", err.msg);
}

/* conv1 bn1 relu1 pool conv2 bn2 relu2 gap fc; every kind of parameter random. */
static void make_net(struct omq_net *net)
{
    struct omq_quant_config quant = {.view = OMQ_VIEW_OFFSETS, .levels = 1, .first_last_bits = 8};
    struct omq_data_config data = {.n_mean = 1, .n_std = 1, .mean = {0.4}, .std = {0.3}};
    struct omq_preprocess pre;
    struct omq_graph g;
    struct omq_rng r;

    ck_assert(omq_preprocess_init(&pre, &data, SIDE, SIDE, 1, &err) == 0);
    ck_assert(omq_graph_init(&g, SIDE, SIDE, 1, &err) == 0);
    add(&g, "conv1", (struct omq_node){.op = OMQ_OP_CONV, .channels = 6, .kernel = 3, .stride = 1,
                                       .pad = 1, .groups = 1});
    add(&g, "bn1", (struct omq_node){.op = OMQ_OP_BATCHNORM});
    add(&g, "relu1", (struct omq_node){.op = OMQ_OP_RELU});
    add(&g, "pool", (struct omq_node){.op = OMQ_OP_MAXPOOL, .kernel = 2, .stride = 2});
    add(&g, "conv2", (struct omq_node){.op = OMQ_OP_CONV, .channels = 8, .kernel = 3, .stride = 1,
                                       .pad = 1, .groups = 1});
    add(&g, "bn2", (struct omq_node){.op = OMQ_OP_BATCHNORM});
    add(&g, "relu2", (struct omq_node){.op = OMQ_OP_RELU});
    add(&g, "gap", (struct omq_node){.op = OMQ_OP_GLOBALPOOL});
    add(&g, "flatten", (struct omq_node){.op = OMQ_OP_FLATTEN});
    add(&g, "fc", (struct omq_node){.op = OMQ_OP_LINEAR, .channels = CLASSES, .bias = true});
    ck_assert_msg(omq_net_init(net, &g, precisions, N_PRECISIONS, &quant, &pre, 5, false,
                               &err) == 0, "%s", err.msg);
    omq_rng_init(&r, 5, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];
        int bits = p->precision < 0 ? 0 : net->precisions[p->precision].a;

        for (size_t j = 0; j < p->n; j++)
            if (p->kind == OMQ_PARAM_WSTEP)
                p->value[j] = (omq_real)(2.4 / (1 << bits));
            else if (p->kind == OMQ_PARAM_ASTEP)
                p->value[j] = (omq_real)(4.0 / (1 << bits));
            else if (p->kind == OMQ_PARAM_WEIGHT || p->kind == OMQ_PARAM_BETA)
                p->value[j] = (omq_real)(0.4 * omq_rng_normal(&r));
            else if (p->kind == OMQ_PARAM_OFFSET)
                p->value[j] = (omq_real)(0.1 * omq_rng_normal(&r));
    }
}

static void set_up(void)
{
    struct omq_rng r;

    make_net(&f.net);
    omq_rng_init(&r, 6, OMQ_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < sizeof(f.pixels); i++)
        f.pixels[i] = (uint8_t)omq_rng_below(&r, 256);
    for (int i = 0; i < IMAGES; i++)
        f.labels[i] = (uint16_t)omq_rng_below(&r, CLASSES);
    f.ds = (struct omq_dataset){.n = IMAGES, .height = SIDE, .width = SIDE, .channels = 1,
                                .n_classes = CLASSES, .pixels = f.pixels, .labels = f.labels};
}

static void tear_down(void) { omq_net_release(&f.net); }

static struct omq_eval_counts evaluate(const struct omq_eval_how *how, int threads)
{
    struct omq_eval_counts c;
    struct omq_pool *pool;

    ck_assert(omq_pool_open(&pool, threads, &err) == 0);
    ck_assert_msg(omq_eval_net_how(&f.net, how, &f.ds, pool, &c, &err) == 0, "%s", err.msg);
    omq_pool_close(pool);
    return c;
}

static void same_counts(struct omq_eval_counts a, struct omq_eval_counts b)
{
    ck_assert_int_eq(a.samples, b.samples);
    ck_assert_int_eq(a.top1, b.top1);
    ck_assert_int_eq(a.top5, b.top5);
    ck_assert_msg(memcmp(&a.loss, &b.loss, sizeof(a.loss)) == 0, "loss %a and %a", a.loss, b.loss);
}

/* One image at a time, straight from the engine. */
static struct omq_eval_counts by_hand(int precision, int n)
{
    struct omq_eval_counts sum = {.samples = n};
    uint8_t codes[SIDE * SIDE];
    float logits[CLASSES];
    struct omq_engine *e;
    void *scratch;

    ck_assert_msg(omq_engine_open(&e, &f.net, NULL, precision, &err) == 0, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    for (int i = 0; i < n; i++) {
        double norm = 0;
        int ahead = 0;

        omq_preprocess_apply(&f.net.pre, f.pixels + i * SIDE * SIDE, codes);
        omq_engine_run(e, codes, 1, logits, scratch);
        for (int c = 0; c < CLASSES; c++) {
            norm += exp((double)logits[c]);
            ahead += logits[c] > logits[f.labels[i]] ||
                     (logits[c] == logits[f.labels[i]] && c < f.labels[i]);
        }
        sum.loss += (log(norm) - (double)logits[f.labels[i]]) / n;
        sum.top1 += ahead == 0;
        sum.top5 += ahead < 5;
    }
    free(scratch);
    omq_engine_close(e);
    return sum;
}

START_TEST(counts_are_right)
{
    struct omq_eval_how how = {.precision = _i, .batch = 16};
    struct omq_eval_counts got = evaluate(&how, 2), want = by_hand(_i, IMAGES), c;
    struct omq_pool *pool;

    ck_assert_int_eq(got.samples, IMAGES);
    ck_assert_int_eq(got.top1, want.top1);
    ck_assert_int_eq(got.top5, want.top5);
    ck_assert_double_eq_tol(got.loss, want.loss, 1e-9);
    ck_assert(want.top1 > 0 && want.top5 < IMAGES);
    ck_assert(omq_pool_open(&pool, 1, &err) == 0);
    ck_assert(omq_eval_net(&f.net, _i, &f.ds, pool, 64, &c, &err) == 0);
    omq_pool_close(pool);
    same_counts(got, c);
}
END_TEST

START_TEST(neither_threads_nor_batches_nor_engines_matter)
{
    struct omq_eval_how how = {.precision = W4, .batch = 1};
    struct omq_eval_counts want = evaluate(&how, 1);
    static const int batches[] = {1, 3, 8, 64, 1000};

    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++)
        for (int threads = 1; threads <= 3; threads++) {
            how.batch = batches[b];
            how.use_float = false;
            same_counts(want, evaluate(&how, threads));
            how.use_float = true; /* the training forward gives the same integers */
            same_counts(want, evaluate(&how, threads));
        }
}
END_TEST

START_TEST(float_precisions_use_the_training_forward)
{
    struct omq_eval_how how = {.precision = FLOAT, .batch = 10};
    struct omq_eval_counts automatic = evaluate(&how, 2), mixed;

    how.use_float = true;
    same_counts(automatic, evaluate(&how, 1));
    ck_assert(isfinite(automatic.loss));
    how.precision = W32A8;
    mixed = evaluate(&how, 1);
    ck_assert(isfinite(mixed.loss) && mixed.loss != automatic.loss);
}
END_TEST

START_TEST(limit_and_confusion)
{
    uint32_t confusion[CLASSES * CLASSES], right = 0;
    struct omq_eval_how how = {.precision = W8, .batch = 8, .limit = 20, .confusion = confusion};
    struct omq_eval_counts c, want = by_hand(W8, 20);

    memset(confusion, 0xff, sizeof(confusion));
    c = evaluate(&how, 2);
    ck_assert_int_eq(c.samples, 20);
    ck_assert_int_eq(c.top1, want.top1);
    for (int label = 0; label < CLASSES; label++) {
        uint32_t row = 0, n = 0;

        for (int p = 0; p < CLASSES; p++)
            row += confusion[label * CLASSES + p];
        for (int i = 0; i < 20; i++)
            n += f.labels[i] == label;
        ck_assert_uint_eq(row, n);
        right += confusion[label * CLASSES + label];
    }
    ck_assert_uint_eq(right, (uint32_t)c.top1);
    how.limit = 1000; /* more than there are: all */
    ck_assert_int_eq(evaluate(&how, 1).samples, IMAGES);
}
END_TEST

static void refuses(const struct omq_eval_how *how, int code, const char *word)
{
    struct omq_eval_counts c;
    struct omq_pool *pool;

    ck_assert(omq_pool_open(&pool, 1, &err) == 0);
    ck_assert_int_eq(omq_eval_net_how(&f.net, how, &f.ds, pool, &c, &err), code);
    ck_assert_msg(strstr(err.msg, word) != NULL, "%s", err.msg);
    omq_pool_close(pool);
}

START_TEST(what_does_not_fit_is_refused)
{
    struct omq_eval_how how = {.precision = W8, .batch = 8};
    int layers[3] = {W8, W8, FLOAT};

    f.ds.width = SIDE - 1;
    refuses(&how, OMQ_EARG, "8 x 7 x 1");
    f.ds.width = SIDE;
    f.labels[9] = CLASSES;
    refuses(&how, OMQ_EARG, "image 9 has label 6");
    f.labels[9] = 0;
    how.precision = N_PRECISIONS;
    refuses(&how, OMQ_EARG, "precision number");
    how.precision = W8;
    how.batch = 0;
    refuses(&how, OMQ_EARG, "batches of 0");
    how.batch = 8;
    how.layer_precision = layers;
    refuses(&how, OMQ_EUNSUP, "float");
    layers[2] = W1;
    how.use_float = true;
    refuses(&how, OMQ_EUNSUP, "profiles");
    f.ds.n = 0;
    how.layer_precision = NULL;
    refuses(&how, OMQ_EARG, "no images");
}
END_TEST

/* ---- layers ---- */

static void look(int precision, struct omq_eval_layer *layers)
{
    struct omq_eval_how how = {.precision = precision, .batch = 8};

    ck_assert_msg(omq_eval_layers_of(&f.net, &how, &f.ds, IMAGES, layers, &err) == 0, "%s",
                  err.msg);
}

START_TEST(layers_tell_their_noise)
{
    struct omq_eval_layer w8[3], w4[3], w1[3];

    look(W8, w8);
    look(W4, w4);
    look(W1, w1);
    ck_assert_str_eq(w8[1].name, "conv2");
    ck_assert_int_eq(w4[0].w_bits, 8); /* the first layer stays at 8 */
    ck_assert_int_eq(w4[0].a_bits, 8);
    ck_assert_int_eq(w4[1].w_bits, 4);
    ck_assert_int_eq(w4[1].a_bits, 4);
    ck_assert_int_eq(w1[1].w_bits, 1);
    for (int i = 0; i < 3; i++) {
        ck_assert(w8[i].w_sqnr_db > 15 && w8[i].w_sqnr_db < 80);
        ck_assert(w8[i].a_sqnr_db > 15 && w8[i].a_sqnr_db < 80);
        ck_assert(w8[i].a_clipped >= 0 && w8[i].a_clipped < 50);
    }
    /* six decibels a bit, as far as clipping lets them be seen */
    ck_assert(w8[1].a_sqnr_db > w4[1].a_sqnr_db + 6);
    ck_assert(w4[1].a_sqnr_db > w1[1].a_sqnr_db);
    ck_assert(w4[1].w_sqnr_db > w1[1].w_sqnr_db);
}
END_TEST

/* Values of one layer against a straight computation, of pairs of channels with
 * an offset. */
START_TEST(weight_noise_is_what_it_says)
{
    const struct omq_layer_params *lp = omq_net_layer(&f.net, W4, 1);
    double signal = 0, noise = 0, clipped = 0, step;
    struct omq_eval_layer layers[3];

    step = (double)(lp->wstep->value[0] = (omq_real)0.0625);
    look(W4, layers);
    for (size_t i = 0; i < lp->weight->n; i++) {
        size_t pair = i / 9 / 2; /* the layer has 3 x 3 kernels and 6 inputs */
        double w = (double)lp->weight->value[i] +
                   sqrt(0.5) * (double)lp->offset->value[9 * pair + i % 9];
        double k = fmin(fmax(rint(w / step), -7), 7);

        signal += w * w;
        noise += (w - k * step) * (w - k * step);
        clipped += fabs(w) > 7.5 * step;
    }
    ck_assert_double_eq_tol(layers[1].w_sqnr_db, 10 * log10(signal / noise), 1e-6);
    ck_assert_double_eq_tol(layers[1].w_clipped, 100 * clipped / (double)lp->weight->n, 1e-9);
    ck_assert(clipped > 0);
}
END_TEST

START_TEST(activations_clip_as_their_step_says)
{
    int site = f.net.plan.tensors[f.net.plan.units[2].in].site; /* conv2's, through the pool */
    struct omq_eval_layer layers[3];

    ck_assert(f.net.plan.units[2].layer == 1);
    omq_net_site(&f.net, W8, site)->value[0] = 100;
    look(W8, layers);
    ck_assert_double_eq(layers[1].a_clipped, 0);
    ck_assert(layers[1].a_sqnr_db < 6); /* nearly all of it rounds to 0 */
    omq_net_site(&f.net, W8, site)->value[0] = (omq_real)1e-5;
    look(W8, layers);
    ck_assert(layers[1].a_clipped > 20); /* all that the ReLU lets through */
    ck_assert(layers[1].a_sqnr_db < 1);
}
END_TEST

START_TEST(float_layers_have_no_noise)
{
    struct omq_eval_layer layers[3];

    look(FLOAT, layers);
    ck_assert_int_eq(layers[1].w_bits, OMQ_FLOAT_BITS);
    ck_assert(isnan(layers[1].w_sqnr_db) && isnan(layers[1].a_clipped));
    look(W32A8, layers);
    ck_assert_int_eq(layers[1].a_bits, 8);
    ck_assert(isnan(layers[1].w_sqnr_db) && isnan(layers[1].a_sqnr_db));
}
END_TEST

/* ---- a model file ---- */

static char dir[64], path[96];

static void write_model(void)
{
    int layers[3] = {W8, W1, W4}, same[3] = {W4, W4, W4};
    struct omq_profile profiles[2] = {{.name = "mixed", .stream = W4, .layers = layers},
                                      {.name = "flat", .stream = W4, .layers = same}};
    struct omq_model_info info = {.n_profiles = 2, .profiles = profiles};
    struct omq_data_config *data = &info.config.data;
    struct omq_ckpt_writer *w;
    char *meta = NULL;

    omq_config_default(&info.config);
    snprintf(info.config.output_dir, sizeof(info.config.output_dir), "out");
    snprintf(info.config.model.arch, sizeof(info.config.model.arch), "lenet5");
    info.config.n_precisions = N_PRECISIONS;
    memcpy(info.config.precisions, precisions, sizeof(precisions));
    info.config.quant = f.net.quant;
    data->format = OMQ_FORMAT_SYNTHETIC;
    data->synthetic.height = data->synthetic.width = SIDE;
    data->synthetic.channels = 1;
    data->synthetic.classes = CLASSES;
    data->synthetic.n_train = 60;
    data->synthetic.n_test = 40;
    data->n_mean = data->n_std = 1;
    data->mean[0] = 0.4;
    data->std[0] = 0.3;
    ck_assert(omq_ckpt_writer_open(&w, &err) == 0);
    ck_assert_msg(omq_model_put(w, &f.net, &info, &meta, &err) == 0, "%s", err.msg);
    ck_assert_msg(omq_ckpt_write(w, path, &err) == 0, "%s", err.msg);
    omq_ckpt_writer_close(w);
    free(meta);
}

static void set_up_file(void)
{
    set_up();
    snprintf(dir, sizeof(dir), "/tmp/omq-eval-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/model.omq", dir);
    write_model();
}

static void tear_down_file(void)
{
    unlink(path);
    rmdir(dir);
    tear_down();
}

static struct omq_eval *open_model(struct omq_eval_options opt)
{
    struct omq_eval *e;

    ck_assert_msg(omq_eval_open(&e, path, &opt, &err) == 0, "%s", err.msg);
    return e;
}

START_TEST(models_list_and_find_precisions)
{
    struct omq_eval *e = open_model((struct omq_eval_options){.threads = 1});

    ck_assert_int_eq(omq_eval_count(e), N_PRECISIONS + 2);
    ck_assert_str_eq(omq_eval_name(e, W1), "w1a1");
    ck_assert_str_eq(omq_eval_name(e, N_PRECISIONS), "mixed");
    ck_assert_int_eq(omq_eval_find(e, "4", &err), W4);
    ck_assert_int_eq(omq_eval_find(e, "w4a4", &err), W4);
    ck_assert_int_eq(omq_eval_find(e, "w32a8", &err), W32A8);
    ck_assert_int_eq(omq_eval_find(e, "flat", &err), N_PRECISIONS + 1);
    ck_assert_int_eq(omq_eval_find(e, "3", &err), OMQ_EARG);
    ck_assert_msg(strstr(err.msg, "'3'; it has 8 4 1 32 w32a8 mixed flat") != NULL, "%s", err.msg);
    ck_assert_int_eq(omq_eval_find(e, "", &err), OMQ_EARG);
    ck_assert_int_eq(omq_eval_classes(e), CLASSES);
    ck_assert_ptr_nonnull(omq_eval_class_name(e, CLASSES - 1));
    omq_eval_close(e);
    omq_eval_close(NULL);
}
END_TEST

START_TEST(models_run_at_every_precision)
{
    struct omq_eval *e = open_model((struct omq_eval_options){.threads = 2, .split = "test"});
    struct omq_eval_result r, flat;
    uint32_t confusion[CLASSES * CLASSES], sum = 0;

    for (int p = 0; p < omq_eval_count(e); p++) {
        ck_assert_msg(omq_eval_run(e, p, &r, NULL, &err) == 0, "%s", err.msg);
        ck_assert_int_eq(r.samples, 40);
        ck_assert_str_eq(r.precision, omq_eval_name(e, p));
        ck_assert(r.top1 >= 0 && r.top1 <= r.top5 && r.top5 <= 100);
        ck_assert(isfinite(r.loss) && r.seconds >= 0);
    }
    ck_assert(omq_eval_run(e, W4, &r, confusion, &err) == 0);
    ck_assert(omq_eval_run(e, N_PRECISIONS + 1, &flat, NULL, &err) == 0);
    ck_assert(flat.loss == r.loss && flat.weight_bytes == r.weight_bytes);
    ck_assert(r.w == 4 && r.a == 4 && flat.w == 0 && flat.a == 0);
    /* conv1 at 8 bits, conv2 at 4, fc at 8, all rows of whole bytes */
    ck_assert_uint_eq(r.weight_bytes, 6 * 9 + 8 * 27 + 6 * 8);
    for (int i = 0; i < CLASSES * CLASSES; i++)
        sum += confusion[i];
    ck_assert_uint_eq(sum, 40);
    ck_assert_int_eq(omq_eval_run(e, N_PRECISIONS + 2, &r, NULL, &err), OMQ_EARG);
    ck_assert_int_eq(omq_eval_run(e, -1, &r, NULL, &err), OMQ_EARG);
    omq_eval_close(e);
}
END_TEST

START_TEST(models_show_their_layers)
{
    struct omq_eval *e = open_model((struct omq_eval_options){.threads = 1, .limit = 5});
    struct omq_eval_layer *layers = NULL;
    int n = 0;

    ck_assert_msg(omq_eval_layers(e, N_PRECISIONS, &layers, &n, &err) == 0, "%s", err.msg);
    ck_assert_int_eq(n, 3);
    ck_assert_int_eq(layers[1].w_bits, 1); /* as the profile says */
    ck_assert_int_eq(layers[1].a_bits, 1);
    ck_assert(isfinite(layers[1].a_sqnr_db));
    free(layers);
    omq_eval_close(e);
}
END_TEST

static void open_fails(const char *file, struct omq_eval_options opt, int code, const char *word)
{
    struct omq_eval *e = NULL;

    ck_assert_int_eq(omq_eval_open(&e, file, &opt, &err), code);
    ck_assert_msg(strstr(err.msg, word) != NULL, "%s", err.msg);
    ck_assert_ptr_null(e);
}

START_TEST(options_that_cannot_be)
{
    char missing[128];

    snprintf(missing, sizeof(missing), "%s/none.omq", dir);
    open_fails(missing, (struct omq_eval_options){0}, OMQ_EIO, "none.omq");
    open_fails(path, (struct omq_eval_options){.split = "tset"}, OMQ_EARG, "'tset'");
    open_fails(path, (struct omq_eval_options){.engine = "gpu"}, OMQ_EARG, "'gpu'");
    open_fails(path, (struct omq_eval_options){.split = "validation"}, OMQ_ECONFIG, "validation");
    open_fails(path, (struct omq_eval_options){.threads = 100000}, OMQ_EARG, "threads");
    open_fails(path, (struct omq_eval_options){.limit = -1}, OMQ_EARG, "negative");
}
END_TEST

Suite *omq_suite_eval(void)
{
    Suite *s = suite_create("eval");
    TCase *answers = tcase_create("answers"), *nets = tcase_create("nets");
    TCase *models = tcase_create("models");

    tcase_add_test(answers, ranks_and_ties);
    tcase_add_test(answers, loss_is_cross_entropy);
    tcase_add_test(answers, nan_is_never_right);
    tcase_add_checked_fixture(nets, set_up, tear_down);
    tcase_add_loop_test(nets, counts_are_right, W8, W1 + 1);
    tcase_add_test(nets, neither_threads_nor_batches_nor_engines_matter);
    tcase_add_test(nets, float_precisions_use_the_training_forward);
    tcase_add_test(nets, limit_and_confusion);
    tcase_add_test(nets, what_does_not_fit_is_refused);
    tcase_add_test(nets, layers_tell_their_noise);
    tcase_add_test(nets, weight_noise_is_what_it_says);
    tcase_add_test(nets, activations_clip_as_their_step_says);
    tcase_add_test(nets, float_layers_have_no_noise);
    tcase_add_checked_fixture(models, set_up_file, tear_down_file);
    tcase_add_test(models, models_list_and_find_precisions);
    tcase_add_test(models, models_run_at_every_precision);
    tcase_add_test(models, models_show_their_layers);
    tcase_add_test(models, options_that_cannot_be);
    suite_add_tcase(s, answers);
    suite_add_tcase(s, nets);
    suite_add_tcase(s, models);
    return s;
}
