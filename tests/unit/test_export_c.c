/* SPDX-License-Identifier: MIT
 *
 * Generated C against the engine: compiled with every warning and UBSan, it gives the
 * bits of every logit, at all widths, with groups and pools, and for a profile. With
 * --cmsis it compiles against declarations of our own, and, where OMQ_CMSIS_NN names a
 * checkout of CMSIS-NN, gives each layer's codes but for that one's rounding.
 */
#define _GNU_SOURCE
#include <check.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "each.h"
#include "engine/engine.h"
#include "failalloc.h"
#include "graphhelp.h"
#include "port/c_source.h"

Suite *omq_suite_export_c(void);

enum { SIDE = 9, CHANNELS = 3, CLASSES = 5, IMAGES = 6, IMAGE = SIDE * SIDE * CHANNELS };

static char dir[64];
static uint8_t pixels[IMAGES * IMAGE];

/* ---- networks ---- */

static int block(struct omq_graph *g, const char *name, int in, int c, int stride, int groups)
{
    char bn[16];

    snprintf(bn, sizeof(bn), "%s_bn", name);
    in = add(g, name, in, (struct omq_node){.op = OMQ_OP_CONV, .channels = c, .kernel = 3,
                                            .stride = stride, .pad = 1, .groups = groups});
    return op(g, bn, OMQ_OP_BATCHNORM, in);
}

/* A depthwise convolution within a residual, a wide one, and a grouped one that sees
 * every other pixel. */
static void residual(struct omq_graph *g)
{
    int s = relu(g, "a_relu", block(g, "a", 0, 8, 1, 1));
    int x = relu(g, "b_relu", join(g, "b_add", block(g, "b", s, 8, 1, 8), s));

    s = x = relu(g, "c_relu", block(g, "c", x, 40, 1, 1));
    x = relu(g, "d_relu", block(g, "d", x, 40, 1, 1));
    x = relu(g, "e_relu", join(g, "e_add", block(g, "e", x, 40, 1, 1), s));
    x = relu(g, "f_relu", block(g, "f", x, 12, 2, 2));
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, x));
}

/* Pools with padding, of tensors that may be negative, and a linear layer over an
 * image. */
static void pools(struct omq_graph *g)
{
    int x = conv(g, "a", 0, 7, 5, 2);

    x = add(g, "max", x, (struct omq_node){.op = OMQ_OP_MAXPOOL, .kernel = 3, .stride = 2,
                                           .pad = 1});
    x = block(g, "b", x, 6, 1, 1);
    x = add(g, "avg", x, (struct omq_node){.op = OMQ_OP_AVGPOOL, .kernel = 3, .stride = 1,
                                           .pad = 1});
    x = relu(g, "c_relu", conv(g, "c", x, 9, 2, 0));
    head(g, pool(g, "max2", OMQ_OP_MAXPOOL, x));
}

/* ReLUs with an end, concats that share a quantizer and that do not, and shortcuts. */
static void moves(struct omq_graph *g)
{
    int s = relu_to(g, "a_relu", 1.5, block(g, "a", 0, 8, 1, 1));
    int x = block(g, "b", s, 12, 2, 1), y;

    s = shortcut(g, "short", s, 12, 2);
    s = x = relu_to(g, "b_relu", 2, join(g, "b_add", x, s));
    y = concat(g, "same", relu(g, "c_relu", block(g, "c", x, 3, 1, 1)),
               relu(g, "d_relu", block(g, "d", x, 5, 1, 1)));
    x = concat(g, "other", block(g, "e", y, 4, 1, 1), s);
    x = shortcut(g, "read", x, 19, 1);
    head(g, op(g, "gap", OMQ_OP_GLOBALPOOL, conv(g, "f", x, 6, 3, 1)));
}

static void (*const graphs[])(struct omq_graph *g) = {residual, pools, moves};

static const struct omq_precision widths[] = {
    {8, 8}, {7, 7}, {6, 6}, {5, 5}, {4, 4}, {3, 3}, {2, 2}, {1, 1}, {1, 8}, {8, 1}, {3, 5},
};
enum { N_CHOICES = sizeof(widths) / sizeof(widths[0]) + 1 };

/* Steps and statistics after the images, as training would begin. */
static void calibrate(struct omq_net *net)
{
    struct omq_pool *pool;
    struct omq_exec *x;
    uint8_t codes[IMAGES * IMAGE];

    ck_assert(omq_pool_open(&pool, 1, &err) == OMQ_OK);
    ck_assert(omq_exec_open(&x, net, pool, IMAGES, true, &err) == OMQ_OK);
    for (int i = 0; i < IMAGES; i++)
        omq_preprocess_apply(&net->pre, pixels + i * IMAGE, codes + i * IMAGE);
    for (int p = 0; p < net->n_precisions; p++)
        omq_exec_forward(x, p, OMQ_MODE_TRAIN, codes, IMAGES, 1);
    omq_exec_close(x);
    omq_pool_close(pool);
}

static void make_net(struct omq_net *net, struct omq_model_info *info, int graph, int edge_bits)
{
    const struct omq_quant_config quant = {.levels = 1, .first_last_bits = edge_bits};
    const struct omq_data_config data = {.n_mean = 3, .mean = {0.5, 0.4, 0.45}, .n_std = 1,
                                         .std = {0.25}};
    struct omq_preprocess pre;
    struct omq_graph g;
    struct omq_rng r;

    start(&g, SIDE, SIDE, CHANNELS);
    graphs[graph](&g);
    ck_assert(omq_preprocess_init(&pre, &data, SIDE, SIDE, CHANNELS, &err) == OMQ_OK);
    ck_assert_msg(omq_net_init(net, &g, widths, N_CHOICES - 1, &quant, &pre, 1, true, &err) ==
                      OMQ_OK, "%s", err.msg);
    omq_rng_init(&r, 3, OMQ_STREAM_TEST, (uint32_t)graph, 0);
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)omq_rng_below(&r, 256);
    for (int i = 0; i < net->n_params; i++)
        for (size_t j = 0; j < net->params[i].n; j++)
            if (net->params[i].kind == OMQ_PARAM_GAMMA || net->params[i].kind == OMQ_PARAM_BETA)
                net->params[i].value[j] += (omq_real)(0.5 * omq_rng_normal(&r));
    calibrate(net);
    for (int i = 0; i < net->n_params; i++) /* first steps are round, and make sums so */
        if (net->params[i].kind == OMQ_PARAM_ASTEP)
            net->params[i].value[0] *= (omq_real)(1 - 0.05 * omq_rng_uniform(&r));
    *info = (struct omq_model_info){.n_profiles = 1};
    info->profiles = calloc(1, sizeof(*info->profiles));
    ck_assert_ptr_nonnull(info->profiles);
    snprintf(info->profiles[0].name, sizeof(info->profiles[0].name), "\"a\" */ \?\?/");
    info->profiles[0].layers = calloc((size_t)net->plan.n_layers, sizeof(int));
    ck_assert_ptr_nonnull(info->profiles[0].layers);
    for (int l = 0; l < net->plan.n_layers; l++)
        info->profiles[0].layers[l] = (3 * l + 2) % (N_CHOICES - 1);
    info->n_class_names = 2; /* of CLASSES: the others have none */
    info->class_names = calloc(2, sizeof(*info->class_names));
    ck_assert_ptr_nonnull(info->class_names);
    snprintf(info->class_names[0], sizeof(info->class_names[0]), "T-shirt/top, \"a\"");
    snprintf(info->class_names[1], sizeof(info->class_names[1]), "*/ \?\?/\n\\ \xc3\xa4");
}

static void release(struct omq_net *net, struct omq_model_info *info)
{
    omq_net_release(net);
    omq_model_info_release(info);
}

/* ---- files ---- */

static const char *path_of(const char *name)
{
    static char path[96];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static FILE *open_file(const char *name, const char *mode)
{
    FILE *f = fopen(path_of(name), mode);

    ck_assert_ptr_nonnull(f);
    return f;
}

static void setup(void)
{
    snprintf(dir, sizeof(dir), "/tmp/omq-export-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    static const char *const names[] = {"net.c", "net.h", "net", "pixels", "codes"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(names[i]));
    ck_assert_msg(rmdir(dir) == 0, "something was left in %s", dir);
}

enum kind { FLOAT, INTEGER, CMSIS };

/* With the fail_at-th allocation failing, unless that is 0. */
static int write_c(struct omq_export_numbers *const *numbers, enum kind kind, long fail_at)
{
    const struct omq_export_options opt = {.format = "c", .with_main = kind != CMSIS,
                                           .integer = kind == INTEGER, .cmsis = kind == CMSIS};
    const struct omq_export_job job = {.opt = &opt, .name = "net", .n = N_CHOICES,
                                       .choices = numbers};
    FILE *const out[2] = {open_file("net.c", "w"), open_file("net.h", "w")};
    int rc;

    failalloc_set(fail_at);
    rc = omq_export_c(&job, out, &err);
    failalloc_set(0);
    ck_assert(fclose(out[0]) == 0 && fclose(out[1]) == 0);
    return rc;
}

static void compile(const char *flags)
{
    char command[1024];

    snprintf(command, sizeof(command), "cd %s && cc -std=c99 -pedantic -Wall -Wextra -Wconversion "
             "-Werror %s -o net net.c", dir, flags);
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* Whether a line of the file is of the pattern. */
static bool has_line(const char *file, const char *pattern)
{
    char command[256];

    snprintf(command, sizeof(command), "grep -q '%s' %s", pattern, path_of(file));
    return system(command) == 0;
}

/* Whether arrays of weights stand in the file under a choice's number. */
static bool defines_weights(int choice)
{
    char pattern[64];

    snprintf(pattern, sizeof(pattern), "uint32_t weights_%d_", choice);
    return has_line("net.c", pattern);
}

static void open_numbers(struct omq_export_numbers *numbers[N_CHOICES], const struct omq_net *net,
                         const struct omq_model_info *info)
{
    for (int i = 0; i < N_CHOICES; i++)
        ck_assert_msg(omq_export_numbers_open(&numbers[i], net, info, i, &err) == OMQ_OK, "%s",
                      err.msg);
}

static void close_numbers(struct omq_export_numbers *numbers[N_CHOICES])
{
    for (int i = 0; i < N_CHOICES; i++)
        omq_export_numbers_close(numbers[i]);
}

/* ---- answers ---- */

static void answer(const struct omq_net *net, const struct omq_choice *c, float *logits)
{
    uint8_t codes[IMAGES * IMAGE];
    struct omq_engine *e;
    void *scratch;

    ck_assert_msg(omq_engine_open(&e, net, c->layers, c->precision, &err) == 0, "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, IMAGES, 1));
    for (int i = 0; i < IMAGES; i++)
        omq_preprocess_apply(&net->pre, pixels + i * IMAGE, codes + i * IMAGE);
    omq_engine_run(e, codes, IMAGES, logits, scratch);
    free(scratch);
    omq_engine_close(e);
}

/* What the program says of the images, at a precision. */
static void run_program(const char *precision, float *logits)
{
    char command[256];
    FILE *f;

    snprintf(command, sizeof(command), "%s/net -l '%s' <%s/pixels", dir, precision, dir);
    f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < IMAGES * CLASSES; i++)
        ck_assert_msg(fscanf(f, "%f", &logits[i]) == 1, "%s: no logit %d", command, i);
    ck_assert_int_eq(pclose(f), 0);
}

START_TEST(logits_are_the_engines)
{
    struct omq_export_numbers *numbers[N_CHOICES];
    float got[IMAGES * CLASSES], want[IMAGES * CLASSES];
    struct omq_model_info info;
    struct omq_net net;
    FILE *f;

    make_net(&net, &info, _i / 2, _i % 2 ? 8 : 0);
    open_numbers(numbers, &net, &info);
    ck_assert_msg(write_c(numbers, FLOAT, 0) == OMQ_OK, "%s", err.msg);
    compile("-fsanitize=undefined -fno-sanitize-recover=all");
    ck_assert(defines_weights(0));
    ck_assert_msg(!defines_weights(N_CHOICES - 1), "the profile has weights of its own");
    ck_assert(has_line("net.h", "^ [*]   0: T-shirt/top, \"a\"$"));
    ck_assert(has_line("net.h", "^ [*]   1: _/ __/__ __$"));
    f = open_file("pixels", "w");
    ck_assert(fwrite(pixels, sizeof(pixels), 1, f) == 1 && fclose(f) == 0);
    for (int i = 0; i < N_CHOICES; i++) {
        answer(&net, &numbers[i]->choice, want);
        run_program(numbers[i]->choice.name, got);
        for (int j = 0; j < IMAGES * CLASSES; j++)
            assert_each(memcmp(&got[j], &want[j], sizeof(float)) == 0,
                        "%s, logit %d: generated %a, engine %a", numbers[i]->choice.name, j,
                        (double)got[j], (double)want[j]);
    }
    close_numbers(numbers);
    release(&net, &info);
}
END_TEST

/* ---- integers ---- */

/* The multiply-add, and what a residual adds, of what omq_c_fix() gives and of the floats
 * that it was given. */
static double distance(const struct omq_c_factors *x, const struct omq_c_fixed *fixed, int o,
                       int64_t sum)
{
    const double want = (double)sum * (double)x->m[o] + (double)x->b[o];
    const int64_t v = sum * fixed->m[o] + fixed->b[o] * ((int64_t)1 << fixed->b_shift);

    return fabs(ldexp((double)v, -fixed->shift) - want);
}

static double distance_added(const struct omq_c_factors *x, const struct omq_c_fixed *fixed,
                             int res)
{
    return fabs(ldexp((double)(fixed->add + res * fixed->r), -fixed->shift) -
                ((double)x->add.zero + res * (double)x->add.r));
}

/* Sums whose output lies among the codes, or near, if the unit has such sums. */
static void check_unit(const struct omq_export_numbers *n, int unit, struct omq_rng *r)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_grid *grid = &n->units[unit].grid;
    const double most = u->kind == OMQ_UNIT_CONV
                            ? 255.0 * (double)omq_unit_filter(u) * omq_grid_largest(grid)
                            : 255.0 * SIDE * SIDE;
    int32_t m[64], b[64];
    struct omq_c_fixed fixed = {.m = m, .b = b};
    omq_real room[2];
    const struct omq_c_factors x = omq_c_factors_of(n, unit, room);

    ck_assert_msg(omq_c_fix(n, unit, &x, &fixed, &err) == OMQ_OK, "%s", err.msg);
    for (int res = 0; u->res >= 0 && res < 256; res += 15)
        ck_assert_double_lt(distance_added(&x, &fixed, res), 1e-4);
    for (int o = 0; o < x.n; o++)
        for (int i = 0; i < 20; i++) {
            const double v = 300 * omq_rng_uniform(r);
            const double sum = rint((v - (double)x.b[o]) / (double)x.m[o]);
            const double rounding = ldexp(fabs(sum), -fixed.shift - 1); /* of a small m */

            assert_each(!(fabs(sum) < most) || distance(&x, &fixed, o, (int64_t)sum) <
                                                   fmin(0.01, 1e-4 + rounding),
                        "unit %d, output %d: a sum of %g", unit, o, sum);
        }
}

START_TEST(integers_are_at_most_a_level_away)
{
    struct omq_export_numbers *numbers[N_CHOICES];
    struct omq_model_info info;
    struct omq_net net;
    struct omq_rng r;

    make_net(&net, &info, _i, 8);
    open_numbers(numbers, &net, &info);
    omq_rng_init(&r, 4, OMQ_STREAM_TEST, 1, 0);
    for (int c = 0; c < N_CHOICES; c++)
        for (int i = 0; i < net.plan.n_units - 1; i++) /* but for the logits, scaled up */
            check_unit(numbers[c], i, &r);
    ck_assert_msg(write_c(numbers, INTEGER, 0) == OMQ_OK, "%s", err.msg);
    compile("-fsyntax-only");
    close_numbers(numbers);
    release(&net, &info);
}
END_TEST

/* ---- CMSIS-NN ---- */

static const char *source_tree(void)
{
    static char root[256];

    if (getenv("OMQ_SRC"))
        snprintf(root, sizeof(root), "%s", getenv("OMQ_SRC"));
    else
        ck_assert_ptr_nonnull(getcwd(root, sizeof(root)));
    return root;
}

/* Codes of all tensors of one image, as the engine has them, [tensor][65536]. */
struct tensors {
    const struct omq_plan *plan;
    uint8_t (*codes)[1 << 16];
};

static void keep(void *ctx, int unit, const uint8_t *codes, ptrdiff_t image, ptrdiff_t row)
{
    const struct tensors *t = ctx;
    const int out = t->plan->units[unit].out;
    const struct omq_tensor *x = &t->plan->tensors[out];
    const size_t n = (size_t)x->w * (size_t)x->c;

    (void)image;
    for (int y = 0; y < x->h; y++)
        memcpy(t->codes[out] + (size_t)y * n, codes + y * row, n);
}

static void write_tensor(FILE *f, const struct omq_export_numbers *n, const struct tensors *t,
                         int tensor)
{
    const struct omq_tensor *x = &t->plan->tensors[tensor];

    for (int i = 0; i < x->h * x->w * x->c; i++)
        putc((t->codes[tensor][i] - omq_c_cmsis_less(n->tensors[tensor].act)) & 255, f);
}

/* What tests/data/cmsis/layers_alone.c reads. */
static void write_codes(const struct omq_export_numbers *n, int logit_one)
{
    const struct omq_plan *p = &n->net->plan;
    struct tensors t = {.plan = p, .codes = calloc((size_t)p->n_tensors, sizeof(*t.codes))};
    const struct omq_engine_watch watch = {.ctx = &t, .codes = keep};
    FILE *f = open_file("codes", "w");
    struct omq_engine *e;
    void *scratch;

    ck_assert_ptr_nonnull(t.codes);
    ck_assert_msg(omq_engine_open(&e, n->net, n->choice.layers, n->choice.precision, &err) == 0,
                  "%s", err.msg);
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    for (int i = 0; i < IMAGES; i++) {
        float logits[CLASSES];

        omq_preprocess_apply(&n->net->pre, pixels + i * IMAGE, t.codes[0]);
        omq_engine_run_watched(e, t.codes[0], 1, logits, scratch, &watch);
        for (int u = 0; u < p->n_units; u++) {
            write_tensor(f, n, &t, p->units[u].in);
            if (p->units[u].res >= 0)
                write_tensor(f, n, &t, p->units[u].res);
            if (u < p->n_units - 1)
                write_tensor(f, n, &t, p->units[u].out);
        }
        for (int c = 0; c < CLASSES; c++) {
            const int32_t logit = (int32_t)lrint((double)logits[c] * logit_one);

            ck_assert(fwrite(&logit, sizeof(logit), 1, f) == 1);
        }
    }
    ck_assert(fclose(f) == 0);
    omq_engine_close(e);
    free(scratch);
    free(t.codes);
}

/* What CMSIS-NN's rounding may do to a code: nothing to those that are not computed, and
 * one level to one next to the middle of two. */
static void check_codes(const struct omq_export_numbers *n, int unit, int most, int differ)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const bool computed = u->kind == OMQ_UNIT_CONV || u->kind == OMQ_UNIT_AVGPOOL;
    const bool logits = n->net->plan.tensors[u->out].is_logits;

    assert_each(most <= computed, "%s, '%s': off by %d", n->choice.name, u->name, most);
    assert_each(differ <= (logits ? INT_MAX : 4), "%s, '%s': %d codes differ", n->choice.name,
                u->name, differ);
}

static void check_units(const struct omq_export_numbers *n)
{
    char command[256];
    FILE *f;

    snprintf(command, sizeof(command), "cd %s && ./net '%s' codes", dir, n->choice.name);
    f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    for (int u = 0; u < n->net->plan.n_units; u++) {
        int most, differ;

        ck_assert_msg(fscanf(f, "%d %d", &most, &differ) == 2, "%s: nothing of unit %d", command,
                      u);
        check_codes(n, u, most, differ);
    }
    ck_assert_int_eq(pclose(f), 0);
}

START_TEST(cmsis_units_are_the_engines)
{
    struct omq_export_numbers *numbers[N_CHOICES];
    const char *cmsis = getenv("OMQ_CMSIS_NN"), *root = source_tree();
    const struct omq_export_job job = {.n = N_CHOICES, .choices = numbers};
    struct omq_model_info info;
    struct omq_net net;
    char flags[700];
    int one;

    make_net(&net, &info, _i / 2, _i % 2 ? 8 : 0);
    open_numbers(numbers, &net, &info);
    ck_assert_msg(write_c(numbers, CMSIS, 0) == OMQ_OK, "%s", err.msg);
    snprintf(flags, sizeof(flags), "-fsyntax-only -Wshadow -I%s/tests/data/cmsis", root);
    compile(flags);
    if (!cmsis) {
        fprintf(stderr, "skipped: OMQ_CMSIS_NN names no checkout of CMSIS-NN to run\n");
    } else {
        snprintf(flags, sizeof(flags), "cd %s && cc -O1 -w%s -I. -I%s/Include -o net "
                 "%s/tests/data/cmsis/layers_alone.c "
                 "$(find %s/Source -name '*.c' | grep -v _f[13])", dir,
                 graphs[_i / 2] == moves ? " -DHAS_CONCAT" : "", cmsis, root, cmsis);
        ck_assert_msg(system(flags) == 0, "%s", flags);
        ck_assert(omq_c_cmsis_logit_one(&job, &one, &err) == OMQ_OK);
        for (int i = 0; i < N_CHOICES; i++) {
            write_codes(numbers[i], one);
            check_units(numbers[i]);
        }
    }
    close_numbers(numbers);
    release(&net, &info);
}
END_TEST

/* ---- what fails ---- */

START_TEST(memory_that_runs_out)
{
    struct omq_export_numbers *numbers[N_CHOICES];
    struct omq_model_info info;
    struct omq_net net;
    int rc = OMQ_ENOMEM;
    long n;

    make_net(&net, &info, 1, 8);
    open_numbers(numbers, &net, &info);
    for (n = 1; rc != OMQ_OK && n < 1000; n++) {
        rc = write_c(numbers, _i ? CMSIS : INTEGER, n);
        ck_assert_msg(rc == OMQ_OK || rc == OMQ_ENOMEM, "%s", err.msg);
    }
    ck_assert_msg(rc == OMQ_OK && n > 10, "%ld allocations", n);
    close_numbers(numbers);
    release(&net, &info);
}
END_TEST

START_TEST(scales_that_are_no_numbers)
{
    struct omq_export_numbers *numbers[N_CHOICES];
    struct omq_model_info info;
    struct omq_net net;

    make_net(&net, &info, 1, 8);
    open_numbers(numbers, &net, &info);
    numbers[3]->units[0].b[2] = (omq_real)1e30;
    ck_assert_int_eq(write_c(numbers, INTEGER, 0), OMQ_EUNSUP);
    has_text("leave out --integer");
    ck_assert_int_eq(write_c(numbers, FLOAT, 0), OMQ_OK);
    ck_assert_int_eq(write_c(numbers, CMSIS, 0), OMQ_EUNSUP);
    has_text("leave out --cmsis");
    close_numbers(numbers);
    omq_net_layer(&net, 0, 1)->gamma->value[2] = (omq_real)INFINITY; /* of no format */
    ck_assert_int_eq(omq_export_numbers_open(&numbers[0], &net, &info, 0, &err), OMQ_EUNSUP);
    has_text("not finite");
    release(&net, &info);
}
END_TEST

Suite *omq_suite_export_c(void)
{
    Suite *s = suite_create("export_c");
    TCase *t = tcase_create("files");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, logits_are_the_engines, 0, 6);
    tcase_add_loop_test(t, integers_are_at_most_a_level_away, 0, 3);
    tcase_add_loop_test(t, cmsis_units_are_the_engines, 0, 6);
    tcase_add_loop_test(t, memory_that_runs_out, 0, 2);
    tcase_add_test(t, scales_that_are_no_numbers);
    suite_add_tcase(s, t);
    return s;
}
