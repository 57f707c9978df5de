/* SPDX-License-Identifier: MIT
 *
 * Calibration: that moments foretell errors, that steps and norms bring the network
 * nearer to its target at every width, and that nothing else is touched.
 */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/train_internal.h"

/* A prepared run on synthetic images; `more` are further --set. */
static struct omq_train *open_run(const char *const *more, int n_more)
{
    char path[] = "/tmp/omq-calibrate-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    struct omq_train *t;
    struct omq_err err;

    ck_assert_ptr_nonnull(f);
    fprintf(f, "output_dir: /nonexistent\nthreads: 2\nbits: [8, 6, 4, {w: 4, a: 8}, 3, 2, 1]\n"
               "data: {format: synthetic, mean: [0.5], std: [0.25], synthetic: {height: 8, "
               "width: 8, channels: 1, classes: 4, train: 96, test: 32}}\n"
               "model: {arch: resnet8, width: 0.5}\n"
               "train: {epochs: 2, batch_size: 16, lr: 0.05, calibration_images: 32}\n");
    fclose(f);
    ck_assert_msg(omq_train_open(&t, path, more, n_more, NULL, &err) == OMQ_OK, "%s", err.msg);
    unlink(path);
    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    return t;
}

/* Some steps give batch norms something to say. */
static void train_a_little(struct omq_train *t)
{
    struct omq_batch batch;
    struct omq_err err;

    ck_assert_int_eq(omq_train_initialize(t, &err), OMQ_OK);
    omq_train_start(t);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(omq_loader_next(t->loader, &batch, NULL, &err), 1);
        ck_assert_int_eq(omq_train_step(t, &batch, &err), OMQ_OK);
        t->at.step++;
    }
}

static void open_calibration(struct omq_calibration *c, struct omq_train *t, int target)
{
    struct omq_err err;

    ck_assert_msg(omq_calibration_open(c, &t->net, &t->net, target, t->train, &t->config, t->pool,
                                       &err) == OMQ_OK, "%s", err.msg);
}

/* ---- moments ---- */

/* What unit u really adds up with weights w [out][in][kh][kw], sums[n][pixels][out]. */
static void convolve(const struct omq_calibration *c, const struct omq_unit *u, const omq_real *w,
                     double *sums)
{
    const struct omq_window *win = &u->win;
    const uint8_t *x = omq_exec_codes(c->x, u->in);
    const int zp = omq_exec_zero_point(c->x, u->in);

    for (int i = 0; i < c->batch.n; i++)
        for (int p = 0; p < win->oh * win->ow; p++)
            for (int o = 0; o < u->oc; o++, sums++) {
                *sums = 0;
                for (int ch = 0; ch < win->c; ch++)
                    for (int k = 0; k < win->kh * win->kw; k++) {
                        int y = p / win->ow * win->sh - win->ph + k / win->kw;
                        int z = p % win->ow * win->sw - win->pw + k % win->kw;

                        if (y < 0 || y >= win->h || z < 0 || z >= win->w)
                            continue;
                        *sums += (double)w[(o * win->c + ch) * win->kh * win->kw + k] *
                                 (x[((i * win->h + y) * win->w + z) * win->c + ch] - zp);
                    }
            }
}

/* Mean squared error of output o; normed: after the best line. */
static double error_of(const double *y, const double *q, size_t n, int oc, int o, bool normed)
{
    double my = 0, mq = 0, yy = 0, qq = 0, yq = 0, error = 0;

    for (size_t i = 0; i < n; i++) {
        my += y[i * (size_t)oc + (size_t)o] / (double)n;
        mq += q[i * (size_t)oc + (size_t)o] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double a = y[i * (size_t)oc + (size_t)o], b = q[i * (size_t)oc + (size_t)o];

        error += (a - b) * (a - b) / (double)n;
        yy += (a - my) * (a - my) / (double)n;
        qq += (b - mq) * (b - mq) / (double)n;
        yq += (a - my) * (b - mq) / (double)n;
    }
    return normed ? yy - (yq > 0 ? yq * yq / qq : 0) : error;
}

/* The moments of unit ui against running it with other weights. */
static void check_moments(struct omq_calibration *c, struct omq_train *t, int ui)
{
    const struct omq_unit *u = &t->net.plan.units[ui];
    const struct omq_layer *l = &t->net.plan.layers[u->layer];
    size_t n = omq_layer_size(l), rows = (size_t)c->batch.n * (size_t)(u->win.oh * u->win.ow);
    const omq_real *w = omq_net_layer(&t->net, 0, u->layer)->weight->value;
    omq_real *q = malloc(sizeof(*q) * n), *scratch = malloc(sizeof(*q) * 4 * n);
    double *y = malloc(sizeof(*y) * rows * (size_t)u->oc);
    double *z = malloc(sizeof(*z) * rows * (size_t)u->oc);
    double *errors = malloc(sizeof(*errors) * (size_t)u->oc);
    struct omq_fit fit;
    struct omq_err err;

    for (size_t i = 0; i < n; i++)
        q[i] = rint(w[i] * 20) / 20 + (omq_real)0.001;
    ck_assert_int_eq(omq_fit_open(&fit, c->x, u, c->batch.n, omq_exec_zero_point(c->x, u->in),
                                  t->pool, &err), OMQ_OK);
    ck_assert(fit.full);
    convolve(c, u, w, y);
    convolve(c, u, q, z);
    for (int normed = 0; normed < 2; normed++) {
        omq_fit_errors(&fit, l, normed, w, q, scratch, errors);
        for (int o = 0; o < u->oc; o++) {
            double want = error_of(y, z, rows, u->oc, o, normed);
            double all = error_of(y, z, rows, u->oc, o, false);

            ck_assert_msg(fabs(errors[o] - want) <= 1e-3 * want + 1e-4 * all,
                          "unit %s output %d normed %d: %g, really %g", u->name, o, normed,
                          errors[o], want);
        }
    }
    omq_fit_close(&fit);
    free(q);
    free(scratch);
    free(y);
    free(z);
    free(errors);
}

START_TEST(test_moments)
{
    struct omq_train *t = open_run(NULL, 0);
    struct omq_calibration c;
    int checked = 0;

    train_a_little(t);
    open_calibration(&c, t, 0);
    omq_exec_forward(c.x, 1, OMQ_MODE_FROZEN, c.batch.codes, c.batch.n, 0);
    for (int u = 0; u < t->net.plan.n_units; u++)
        if (t->net.plan.units[u].kind == OMQ_UNIT_CONV) {
            check_moments(&c, t, u);
            checked++;
        }
    ck_assert_int_ge(checked, 8);
    omq_calibration_close(&c);
    omq_train_close(t);
}
END_TEST

/* The error of one weight of 2 in place of 0: four times what it reads squared. */
static void check_diagonal(const struct omq_fit *fit, const struct omq_layer *l)
{
    size_t n = omq_layer_size(l), most = 0;
    omq_real *w = calloc(n, sizeof(*w)), *q = calloc(n, sizeof(*q));
    omq_real *scratch = malloc(sizeof(*q) * 4 * n);
    double *errors = malloc(sizeof(*errors) * (size_t)l->out);

    for (size_t i = 0; i < (size_t)fit->k; i++)
        if (fit->s[i] > fit->s[most])
            most = i;
    q[most % (size_t)l->in * (size_t)(l->kh * l->kw) + most / (size_t)l->in] = 2;
    omq_fit_errors(fit, l, false, w, q, scratch, errors);
    ck_assert(errors[0] > 0 && errors[1] == 0);
    ck_assert(fabs(errors[0] - 4 * (double)fit->s[most]) <= 1e-6 * errors[0]);
    free(w);
    free(q);
    free(scratch);
    free(errors);
}

/* Of many inputs only a diagonal is kept. */
START_TEST(test_diagonal)
{
    const char *more[] = {"model.width=2.5", "train.calibration_images=2"};
    struct omq_train *t = open_run(more, 2);
    const struct omq_plan *p = &t->net.plan;
    const struct omq_unit *u = NULL;
    struct omq_calibration c;
    struct omq_fit fit;
    struct omq_err err;

    ck_assert_int_eq(omq_train_initialize(t, &err), OMQ_OK);
    open_calibration(&c, t, 0);
    omq_exec_forward(c.x, 0, OMQ_MODE_FROZEN, c.batch.codes, c.batch.n, 0);
    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].kind == OMQ_UNIT_CONV && omq_layer_size(&p->layers[p->units[i].layer]) /
                                                     (size_t)p->units[i].oc > 1152)
            u = &p->units[i];
    ck_assert_ptr_nonnull(u);
    ck_assert_int_eq(omq_fit_open(&fit, c.x, u, c.batch.n, omq_exec_zero_point(c.x, u->in),
                                  t->pool, &err), OMQ_OK);
    ck_assert(!fit.full);
    check_diagonal(&fit, &p->layers[u->layer]);
    omq_fit_close(&fit);
    omq_calibration_close(&c);
    omq_train_close(t);
}
END_TEST

/* ---- whole networks ---- */

static double distance(const omq_real *a, const omq_real *b, size_t n)
{
    double sum = 0, all = 0;

    for (size_t i = 0; i < n; i++) {
        sum += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(sum / all);
}

/* Of precision p's logits. */
static double logits_off(struct omq_calibration *c, struct omq_train *t, int p)
{
    omq_exec_forward(c->x, p, OMQ_MODE_FROZEN, c->batch.codes, c->batch.n, 0);
    return distance(omq_exec_logits(c->x), omq_exec_logits(c->exact),
                    (size_t)c->batch.n * (size_t)t->net.n_classes);
}

/* Every precision's logits, after calibration and after the first batch of a training,
 * against those in floating point. */
START_TEST(test_nearer)
{
    const char *more[] = {"bits=[32, 8, 6, 4, w4a8, 3, 2, w4a32, w32a4]"};
    struct omq_train *t = open_run(more, 1);
    double first[OMQ_MAX_PRECISIONS], then[OMQ_MAX_PRECISIONS];
    struct omq_calibration c;
    struct omq_err err;

    train_a_little(t);
    open_calibration(&c, t, 0);
    ck_assert_int_eq(omq_train_spread(t, &err), OMQ_OK);
    for (int p = 1; p < t->net.n_precisions; p++) {
        first[p] = logits_off(&c, t, p);
        ck_assert_msg(omq_calibrate(&c, p, &err) == OMQ_OK, "%s", err.msg);
        then[p] = logits_off(&c, t, p);
        ck_assert_msg(then[p] < first[p], "precision %d: %g, was %g", p, then[p], first[p]);
    }
    ck_assert_msg(then[1] < 0.06, "at 8 bits the logits are off by %g", then[1]);
    omq_calibration_close(&c);
    omq_train_close(t);
}
END_TEST

/* Only what is a precision's own changes, and again to the same bits. */
START_TEST(test_own_parameters_only)
{
    struct omq_train *t = open_run(NULL, 0);
    omq_real *before[512], *after[512];
    struct omq_calibration c;
    struct omq_err err;
    const int p = 3;

    train_a_little(t);
    ck_assert_int_lt(t->net.n_params, 512);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < t->net.n_params; i++) {
            const struct omq_param *q = &t->net.params[i];

            if (again == 0) {
                before[i] = malloc(sizeof(omq_real) * q->n);
                memcpy(before[i], q->value, sizeof(omq_real) * q->n);
            } else {
                after[i] = malloc(sizeof(omq_real) * q->n);
                memcpy(after[i], q->value, sizeof(omq_real) * q->n);
            }
        }
        open_calibration(&c, t, 0);
        ck_assert_int_eq(omq_calibrate(&c, p, &err), OMQ_OK);
        omq_calibration_close(&c);
    }
    for (int i = 0; i < t->net.n_params; i++) {
        const struct omq_param *q = &t->net.params[i];
        size_t bytes = sizeof(omq_real) * q->n;

        if (q->precision != p)
            ck_assert_msg(memcmp(before[i], q->value, bytes) == 0, "%s changed", q->name);
        ck_assert_msg(memcmp(after[i], q->value, bytes) == 0, "%s differs", q->name);
        if (q->precision == p && q->kind == OMQ_PARAM_ASTEP)
            ck_assert(memcmp(before[i], q->value, bytes) != 0);
        free(before[i]);
        free(after[i]);
    }
    omq_train_close(t);
}
END_TEST

/* Every method's parameters are positive and finite afterwards. */
START_TEST(test_methods)
{
    static const char *const methods[] = {
        "quant.method=any-precision", "quant.method=adabits", "quant.method=double-rounding",
        "quant.weight_steps=channel",
    };
    struct omq_err err;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const char *more[] = {methods[i], "quant.view=off", "bits=[8, 4, 2]"};
        struct omq_train *t = open_run(more, 3);

        ck_assert_msg(omq_train_calibrate(t, NULL, NULL, &err) == OMQ_OK, "%s: %s", methods[i],
                      err.msg);
        for (int j = 0; j < t->net.n_params; j++) {
            const struct omq_param *q = &t->net.params[j];

            for (size_t k = 0; k < q->n; k++)
                ck_assert_msg(isfinite(q->value[k]) &&
                              (q->value[k] > 0 || (q->kind != OMQ_PARAM_WSTEP &&
                                                   q->kind != OMQ_PARAM_ASTEP &&
                                                   q->kind != OMQ_PARAM_ACLIP)),
                              "%s: %s is %g", methods[i], q->name, (double)q->value[k]);
        }
        omq_train_close(t);
    }
}
END_TEST

/* Units that only move codes, grouped convolutions, ReLUs with an end: at 8 bits the
 * logits come near those in floating point; of 50 layers that have hardly been trained,
 * nearer than they were. */
START_TEST(test_architectures)
{
    static const char *const archs[] = {"model={arch: resnet8, width: 0.5, shortcut: A}",
                                        "model={arch: mobilenet_v2, width: 0.25}"};
    static const double most[] = {0.12, 0.67};
    const char *more[] = {NULL, "bits=[32, 8, 4]", "data.synthetic.height=16",
                          "data.synthetic.width=16", "train.calibration_images=8",
                          "train.batch_size=8"};
    struct omq_err err;

    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        struct omq_calibration c;
        struct omq_train *t;
        double first, off;

        more[0] = archs[i];
        t = open_run(more, 6);
        train_a_little(t);
        open_calibration(&c, t, 0);
        ck_assert_int_eq(omq_train_spread(t, &err), OMQ_OK);
        first = logits_off(&c, t, 1);
        for (int p = 1; p < 3; p++)
            ck_assert_msg(omq_calibrate(&c, p, &err) == OMQ_OK, "%s: %s", archs[i], err.msg);
        off = logits_off(&c, t, 1);
        ck_assert_msg(off < most[i] * first, "%s: the logits are off by %g, were by %g",
                      archs[i], off, first);
        omq_calibration_close(&c);
        omq_train_close(t);
    }
}
END_TEST

static int node(struct omq_graph *g, const char *name, struct omq_node n)
{
    struct omq_err err;
    int rc;

    snprintf(n.name, sizeof(n.name), "%s", name);
    rc = omq_graph_add(g, &n, &err);
    ck_assert_msg(rc >= 0, "%s", err.msg);
    return rc;
}

static int conv(struct omq_graph *g, const char *name, const char *norm, const char *relu, int in)
{
    int i = node(g, name, (struct omq_node){.op = OMQ_OP_CONV, .channels = 4, .kernel = 3,
                                            .stride = 1, .pad = 1, .groups = 1, .in = {in}});

    i = node(g, norm, (struct omq_node){.op = OMQ_OP_BATCHNORM, .in = {i}});
    return node(g, relu, (struct omq_node){.op = OMQ_OP_RELU, .in = {i}});
}

/* Two layers that share the step of a concat, the second with larger values, and one
 * that reads both. */
static void build_concat(struct omq_net *net, const struct omq_train *t)
{
    static const struct omq_precision precisions[] = {{32, 32}, {4, 4}};
    struct omq_graph g;
    struct omq_err err;
    int x, a, b;

    ck_assert_int_eq(omq_graph_init(&g, 8, 8, 1, &err), OMQ_OK);
    x = conv(&g, "stem", "stem_bn", "stem_relu", 0);
    a = conv(&g, "a", "a_bn", "a_relu", x);
    b = conv(&g, "b", "b_bn", "b_relu", x);
    x = node(&g, "both", (struct omq_node){.op = OMQ_OP_CONCAT, .in = {a, b}});
    x = conv(&g, "reader", "reader_bn", "reader_relu", x);
    x = node(&g, "gap", (struct omq_node){.op = OMQ_OP_GLOBALPOOL, .in = {x}});
    x = node(&g, "flat", (struct omq_node){.op = OMQ_OP_FLATTEN, .in = {x}});
    node(&g, "fc", (struct omq_node){.op = OMQ_OP_LINEAR, .channels = 4, .bias = true, .in = {x}});
    ck_assert_msg(omq_net_init(net, &g, precisions, 2, &t->net.quant, &t->net.pre, 1, false,
                               &err) == OMQ_OK, "%s", err.msg);
    for (int i = 0; i < net->n_params; i++)
        for (size_t k = 0; strcmp(net->params[i].name, "b_bn.weight") == 0 &&
                           k < net->params[i].n; k++)
            net->params[i].value[k] = 8;
}

/* The first layer of a concat runs again at the step that the second one gave both: the
 * statistics of the layer that reads them are those of the codes that it gets. */
START_TEST(test_concat_shares_the_larger_step)
{
    struct omq_train *t = open_run(NULL, 0);
    struct omq_calibration c;
    struct omq_net net;
    struct omq_err err;
    double scale[4], sums[4] = {0};
    const omq_real *y;
    int reader;

    build_concat(&net, t);
    ck_assert_int_eq(omq_calibration_open(&c, &net, &net, 0, t->train, &t->config, t->pool, &err),
                     OMQ_OK);
    ck_assert_int_eq(omq_calibrate(&c, 1, &err), OMQ_OK);
    for (reader = 0; strcmp(net.plan.units[reader].name, "reader_relu") != 0;)
        reader++;
    omq_exec_forward(c.x, 1, OMQ_MODE_FROZEN, c.batch.codes, c.batch.n, 0);
    y = omq_exec_sums(c.x, reader, scale);
    for (int i = 0; i < 4 * 64 * c.batch.n; i++)
        sums[i % 4] += (double)y[i] * scale[i % 4] / (64.0 * c.batch.n);
    for (int o = 0; o < 4; o++) {
        const struct omq_layer_params *lp = omq_net_layer(&net, 1, net.plan.units[reader].layer);

        ck_assert_msg(fabs(sums[o] - (double)lp->mean->value[o]) <
                          1e-4 * sqrt((double)lp->var->value[o]),
                      "output %d: the mean is %g, not %g", o, sums[o],
                      (double)lp->mean->value[o]);
    }
    omq_calibration_close(&c);
    omq_net_release(&net);
    omq_train_close(t);
}
END_TEST

/* A stop comes between two units. */
START_TEST(test_stop)
{
    struct omq_train *t = open_run(NULL, 0);
    volatile sig_atomic_t stop = 1;
    struct omq_err err;

    ck_assert_int_eq(omq_train_calibrate(t, NULL, &stop, &err), OMQ_ESTOPPED);
    ck_assert_ptr_nonnull(strstr(err.msg, "nothing was written"));
    omq_train_close(t);
}
END_TEST

/* Weights that no file would be read with are said, not written. */
START_TEST(test_not_finite)
{
    struct omq_train *t = open_run(NULL, 0);
    const struct omq_layer_params *lp = omq_net_layer(&t->net, 0, 2);
    struct omq_err err;

    lp->weight->value[0] = 3e38f;
    lp->weight->value[1] = 3e38f;
    ck_assert_int_eq(omq_train_calibrate(t, NULL, NULL, &err), OMQ_EDIVERGED);
    ck_assert_ptr_nonnull(strstr(err.msg, "calibration failed, for"));
    omq_train_close(t);
}
END_TEST

Suite *omq_suite_calibrate(void);
Suite *omq_suite_calibrate(void)
{
    Suite *s = suite_create("calibrate");
    TCase *c = tcase_create("calibrate");

    tcase_add_test(c, test_moments);
    tcase_add_test(c, test_diagonal);
    tcase_add_test(c, test_nearer);
    tcase_add_test(c, test_own_parameters_only);
    tcase_add_test(c, test_methods);
    tcase_add_test(c, test_architectures);
    tcase_add_test(c, test_concat_shares_the_larger_step);
    tcase_add_test(c, test_stop);
    tcase_add_test(c, test_not_finite);
    suite_add_tcase(s, c);
    return s;
}
