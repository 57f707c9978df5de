/* SPDX-License-Identifier: MIT
 *
 * Training: a committed sequence of losses, repetition, resumption, and
 * what happens when things go wrong.
 */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "trainhelp.h"

/* ---- the committed sequence ---- */

static double run_step(struct omq_train *t, const struct omq_batch *batch)
{
    struct omq_err err;
    double before = 0, after = 0;

    for (int p = 0; p < t->net.n_precisions; p++)
        before += t->at.loss_sum[p];
    ck_assert_msg(omq_train_step(t, batch, &err) == OMQ_OK, "%s", err.msg);
    t->at.step++;
    for (int p = 0; p < t->net.n_precisions; p++)
        after += t->at.loss_sum[p];
    return after - before;
}

START_TEST(test_loss_sequence)
{
    bool exact = omq_kern_isa() == OMQ_ISA_REF;
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_batch batch;
    struct omq_err err;
    FILE *f = fopen("tests/golden/loss-sequence.txt", "r");

    ck_assert_msg(f != NULL, "run the tests from the root of the source");
    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    for (int i = 0; i < 10; i++) {
        double want, got;

        if (i % 6 == 0)
            t->at.epoch = i / 6, t->at.step = 0, omq_train_start(t);
        ck_assert_int_eq(omq_loader_next(t->loader, &batch, NULL, &err), 1);
        got = run_step(t, &batch);
        ck_assert_int_eq(fscanf(f, "%lf", &want), 1);
        /* other kernels add in another order: small differences flip codes */
        ck_assert_msg(fabs(got - want) <= (exact ? 1e-6 : 0.05) * want,
                      "step %d: loss %.9f, committed %.9f", i + 1, got, want);
    }
    fclose(f);
    omq_train_close(t);
}
END_TEST

/* Blocks of parameters, not threads, decide how the norm is added up. */
START_TEST(test_norm_of_any_threads)
{
    static const int threads[] = {1, 2, 3, 7};
    const struct omq_learners which = {true, {true, false, true}};
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_err err;
    double want = 0, exact = 0;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    for (int i = 0; i < t->net.n_params; i++) {
        struct omq_param *p = &t->net.params[i];

        for (size_t j = 0; p->grad && j < p->n; j++) {
            p->grad[j] = (omq_real)((i * 31 + (int)(j % 1000) * 17) % 101 - 50) / 7;
            if (p->precision < 0 || which.precision[p->precision])
                exact += (double)p->grad[j] * (double)p->grad[j];
        }
    }
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        struct omq_pool *pool;
        double got;

        ck_assert_int_eq(omq_pool_open(&pool, threads[i], &err), OMQ_OK);
        got = omq_optim_grad_norm(&t->optim, &t->net, pool, &which);
        omq_pool_close(pool);
        ck_assert(i == 0 || got == want);
        want = got;
    }
    ck_assert(fabs(want - sqrt(exact)) <= 1e-9 * want);
    omq_train_close(t);
}
END_TEST

/* ---- repetition ---- */

static void same_file(const char *a, const char *b)
{
    uint8_t *x, *y;
    size_t n, m;
    char path[128];
    struct omq_err err;

    snprintf(path, sizeof(path), "%s/%s", train_dir, a);
    ck_assert_int_eq(omq_file_read(path, 1 << 28, &x, &n, &err), OMQ_OK);
    snprintf(path, sizeof(path), "%s/%s", train_dir, b);
    ck_assert_int_eq(omq_file_read(path, 1 << 28, &y, &m, &err), OMQ_OK);
    ck_assert_msg(n == m && memcmp(x, y, n) == 0, "%s and %s differ", a, b);
    free(x);
    free(y);
}

START_TEST(test_same_twice)
{
    struct omq_train *t = train_open("a", NULL, 0);

    train_run(t, false);
    omq_train_close(t);
    t = train_open("b", NULL, 0);
    train_run(t, false);
    omq_train_close(t);
    same_file("a/model.omq", "b/model.omq");
    same_file("a/last.omq", "b/last.omq");
}
END_TEST

struct stopper {
    volatile sig_atomic_t flag;
    int at, seen;
};

static void count_step(void *ctx, const struct omq_train_progress *p)
{
    struct stopper *s = ctx;

    (void)p;
    if (++s->seen == s->at)
        s->flag = 1;
}

/* Stopped after every possible number of steps, each optimizer after every other. */
START_TEST(test_resume)
{
    const char *adam[] = {"train.highest_first=0.5", "train.views_last=0.5",
                          "train.optimizer=adam", "train.lr=0.002"};
    int n_more = _i ? 4 : 2;
    struct omq_train *t = train_open("a", adam, n_more);
    struct omq_err err;

    train_run(t, false);
    omq_train_close(t);
    for (int at = 1 + _i; at <= 18; at += 2) {
        struct stopper s = {.at = at};
        struct omq_train_callbacks cb = {.ctx = &s, .step = count_step};

        t = train_open("b", adam, n_more);
        ck_assert_int_eq(omq_train_run(t, false, true, &cb, &s.flag, &err), OMQ_ESTOPPED);
        omq_train_close(t);
        t = train_open("b", adam, n_more);
        train_run(t, true);
        ck_assert_int_eq(t->at.epoch, 3);
        omq_train_close(t);
        same_file("a/model.omq", "b/model.omq");
        same_file("a/last.omq", "b/last.omq");
    }
}
END_TEST

/* What no model shows: the best so far, and the losses of an epoch that is under way. */
START_TEST(test_checkpoint_keeps_figures)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_earlier_run earlier;
    struct omq_err err;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(omq_make_dirs(t->config.output_dir, &err), OMQ_OK);
    t->at.best = 61.5;
    for (int p = 0; p < t->net.n_precisions; p++) {
        t->at.loss_sum[p] = 0.5 + p;
        t->at.loss_count[p] = (uint64_t)p + 2;
    }
    ck_assert_int_eq(omq_checkpoint_save(t, "last.omq", true, &err), OMQ_OK);
    omq_train_close(t);
    t = train_open("a", NULL, 0);
    ck_assert_int_eq(omq_train_prepare(t, &err), OMQ_OK);
    ck_assert_msg(omq_checkpoint_load(t, &earlier, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(earlier.threads, omq_pool_threads(t->pool));
    ck_assert_mem_eq(&earlier.schedule, &t->schedule, sizeof(t->schedule));
    ck_assert(!earlier.other_optimizer && !earlier.other_data);
    ck_assert_str_eq(earlier.changes, "");
    free(earlier.changes);
    ck_assert_double_eq(t->at.best, 61.5);
    for (int p = 0; p < t->net.n_precisions; p++) {
        ck_assert_double_eq(t->at.loss_sum[p], 0.5 + p);
        ck_assert_uint_eq(t->at.loss_count[p], (uint64_t)p + 2);
    }
    omq_train_close(t);
}
END_TEST

/* A run that was killed after the rows of an epoch and before its checkpoint writes them
 * once more, in place of those. */
START_TEST(test_rows_of_killed_run)
{
    struct stopper s = {.at = 6};
    struct omq_train_callbacks cb = {.ctx = &s, .step = count_step};
    struct omq_train *t = train_open("a", NULL, 0);
    char path[96], *rows = NULL;
    struct omq_err err;
    size_t n;
    int found = 0;
    FILE *f;

    ck_assert_int_eq(omq_train_run(t, false, false, &cb, &s.flag, &err), OMQ_ESTOPPED);
    ck_assert_int_eq(t->at.step, 6);
    omq_train_close(t);
    snprintf(path, sizeof(path), "%s/a/metrics.jsonl", train_dir);
    ck_assert_ptr_nonnull(f = fopen(path, "w"));
    fputs("{\"step\": 6, \"epoch\": 1}\n", f);
    ck_assert_int_eq(fclose(f), 0);
    t = train_open("a", NULL, 0);
    train_run(t, true);
    ck_assert_int_eq(omq_file_read(path, 1 << 20, (uint8_t **)&rows, &n, &err), OMQ_OK);
    for (const char *at = rows; (at = strstr(at, "{\"step\": 6,")) != NULL; at++)
        found++;
    ck_assert_int_eq(found, t->net.n_precisions);
    free(rows);
    omq_train_close(t);
}
END_TEST

/* Layers of an ONNX file are called what it likes. */
START_TEST(test_report_names)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_err err = {0};
    FILE *f = tmpfile();
    json_t *report;

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(omq_train_open_model(t, &err), OMQ_OK);
    snprintf(t->net.plan.layers[0].name, sizeof(t->net.plan.layers[0].name), "c\"1\n");
    ck_assert_int_eq(omq_train_report(t, f, true, &err), OMQ_OK);
    rewind(f);
    ck_assert_ptr_nonnull(report = json_loadf(f, 0, NULL));
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_array_get(json_object_get(report, "layers"), 0), "name")), "c\"1\n");
    json_decref(report);
    fclose(f);
    omq_train_close(t);
}
END_TEST

/* ---- methods ---- */

static const char *const method_sets[][2] = {
    {"quant.method=any-precision", "train.teacher=next"},
    {"quant.method=adabits", "train.teacher=highest"},
    {"quant.method=double-rounding", "train.teacher=highest"},
};

static struct omq_train *open_method(const char *out, int method)
{
    const char *sets[] = {method_sets[method][0], method_sets[method][1],
                          method == 0 ? "train.distill=1" : "train.distill=0", "quant.view=off",
                          "train.widths_per_step=0", "train.epochs=6", "train.warmup_epochs=0",
                          "train.highest_first=0",
                          "data.augment.crop_padding=0"};

    return train_open(out, sets, (int)(sizeof(sets) / sizeof(sets[0])));
}

struct losses {
    double first, last;
};

static void note_epoch(void *ctx, const struct omq_train_progress *p)
{
    struct losses *l = ctx;

    l->last = p->loss;
    l->first = p->epoch == 1 ? p->loss : l->first;
}

/* Learns; a run that was stopped goes on as if it had not been, which takes
 * every parameter through a file and back. */
START_TEST(test_method_learns)
{
    struct losses l = {0};
    struct omq_train_callbacks learn = {.ctx = &l, .epoch = note_epoch};
    struct stopper s = {.at = 8};
    struct omq_train_callbacks stop = {.ctx = &s, .step = count_step};
    struct omq_train *t = open_method("a", _i);
    struct omq_err err;

    ck_assert_msg(omq_train_run(t, false, false, &learn, NULL, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(t->net.quant.method, 1 + _i);
    ck_assert_msg(l.last < 0.7 * l.first, "from %g to %g", l.first, l.last);
    omq_train_close(t);
    t = open_method("b", _i);
    ck_assert_int_eq(omq_train_run(t, false, false, &stop, &s.flag, &err), OMQ_ESTOPPED);
    omq_train_close(t);
    t = open_method("b", _i);
    train_run(t, true);
    omq_train_close(t);
    same_file("a/model.omq", "b/model.omq");
    same_file("a/last.omq", "b/last.omq");
}
END_TEST

/* ---- batches of their own ---- */

/* The losses of four steps; the loaders are started anew before step `again`. */
static void four_steps(const char *out, const char *set, int again, double loss[4])
{
    struct omq_train *t = train_open(out, &set, 1);
    struct omq_batch batch;
    struct omq_err err;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    omq_train_start(t);
    for (int i = 0; i < 4; i++) {
        if (i == again)
            omq_train_start(t);
        ck_assert_int_eq(omq_loader_next(t->loader, &batch, NULL, &err), 1);
        loss[i] = run_step(t, &batch);
    }
    omq_train_close(t);
}

/* Two of three precisions take other images than the highest; where they are
 * follows from the place of the run. */
START_TEST(test_own_batches)
{
    double own[4], again[4], shared[4];
    struct omq_train *t;
    struct omq_err err;
    const char *set = "train.batches=own";

    four_steps("a", "train.batches=own", 0, own);
    four_steps("b", "train.batches=own", 3, again);
    four_steps("c", "train.batches=shared", 0, shared);
    for (int i = 0; i < 4; i++) {
        ck_assert(own[i] == again[i]);
        ck_assert(own[i] != shared[i]);
    }
    t = train_open("a", &set, 1);
    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    t->at.epoch = 1; /* of 6 steps, with two batches of the others each */
    omq_train_start(t);
    ck_assert_int_eq(t->others_epoch, 2);
    t->at.step = 4;
    omq_train_start(t);
    ck_assert_int_eq(t->others_epoch, 3);
    omq_train_close(t);
    set = "train.distill=0.5"; /* the teacher's output is for its batch */
    t = train_open("a", &set, 1);
    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_ptr_null(t->others);
    omq_train_close(t);
}
END_TEST

/* After a step the teacher is the highest precision, or the last that ran. */
START_TEST(test_teacher)
{
    const char *sets[] = {"train.distill=1", _i ? "train.teacher=next" : "train.teacher=highest"};
    struct omq_train *t = train_open("a", sets, 2);
    struct omq_batch batch;
    struct omq_err err;
    double sum = 0, off = 0;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    omq_loader_start(t->loader, 0, 0);
    ck_assert_int_eq(omq_loader_next(t->loader, &batch, NULL, &err), 1);
    run_step(t, &batch);
    for (int c = 0; c < t->net.n_classes; c++)
        sum += exp((double)omq_exec_logits(t->exec)[c]);
    for (int c = 0; c < t->net.n_classes; c++)
        off += fabs(exp((double)omq_exec_logits(t->exec)[c]) / sum - (double)t->teacher[c]);
    ck_assert_msg((off < 1e-5) == (_i == 1), "%g", off);
    omq_train_close(t);
}
END_TEST

/* ---- refusals ---- */

static char said[1024];

static void keep_line(void *ctx, const char *line)
{
    size_t n = strlen(said);

    (void)ctx;
    snprintf(said + n, sizeof(said) - n, "%s\n", line);
}

/* Epochs that the run in folder a has done, as its checkpoint says. */
static int last_epoch(void)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_earlier_run earlier;
    struct omq_err err;
    int epoch;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_msg(omq_checkpoint_load(t, &earlier, &err) == OMQ_OK, "%s", err.msg);
    free(earlier.changes);
    epoch = t->at.epoch;
    omq_train_close(t);
    return epoch;
}

START_TEST(test_refuses)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_err err;
    int held = -1;

    ck_assert_int_eq(omq_train_run(t, true, false, NULL, NULL, &err), OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, "to resume from"), "%s", err.msg);
    ck_assert_int_ne(access(train_dir, F_OK), -1);
    train_run(t, false);
    omq_train_close(t);
    t = train_open("a", NULL, 0);
    ck_assert_int_eq(omq_train_run(t, false, false, NULL, NULL, &err), OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, "already holds a run"), "%s", err.msg);
    /* of another process's run, which came after the first look */
    ck_assert_int_eq(omq_folder_hold(t->config.output_dir, false, false, &held, &err),
                     OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, "already holds a run"), "%s", err.msg);
    omq_folder_leave(&held);
    omq_train_close(t);
    t = train_open("a", (const char *[]){"model.width=0.5"}, 1);
    ck_assert_int_eq(omq_train_run(t, true, false, NULL, NULL, &err), OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, "another network"), "%s", err.msg);
    omq_train_close(t);
}
END_TEST

/* Other batches, so that the position is none: said with what has changed. */
START_TEST(test_resume_of_other_batches)
{
    const char *sets[] = {"train.batch_size=32"};
    struct stopper s = {.at = 5};
    struct omq_train_callbacks cb = {.ctx = &s, .step = count_step};
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_err err;

    ck_assert_int_eq(omq_train_run(t, false, false, &cb, &s.flag, &err), OMQ_ESTOPPED);
    omq_train_close(t);
    t = train_open("a", sets, 1);
    said[0] = 0;
    cb = (struct omq_train_callbacks){.log = keep_line};
    ck_assert_int_eq(omq_train_run(t, true, false, &cb, NULL, &err), OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, "5 steps of its next epoch, and an epoch has 3 now"), "%s",
                  err.msg);
    ck_assert_msg(strstr(said, "train.batch_size"), "%s", said);
    omq_train_close(t);
}
END_TEST

struct spoiler {
    int epoch, step; /* after which */
    omq_real *at, value;
};

static void spoil(void *ctx, const struct omq_train_progress *p)
{
    struct spoiler *s = ctx;

    if (p->epoch == s->epoch && p->step == s->step)
        *s->at = s->value;
}

/* What no reader would take is not written: the checkpoint before it stays. */
START_TEST(test_impossible_values)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct spoiler s = {.epoch = 2, .step = 6, .value = (omq_real)INFINITY};
    struct omq_train_callbacks cb = {.ctx = &s, .step = spoil};
    struct omq_err err;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    s.at = omq_net_layer(&t->net, 0, 0)->var->value;
    ck_assert_int_eq(omq_train_run(t, false, false, &cb, NULL, &err), OMQ_EDIVERGED);
    ck_assert_msg(strstr(err.msg, "epoch 2 diverged, the last checkpoint was kept"), "%s", err.msg);
    ck_assert_int_eq(omq_checkpoint_save(t, "last.omq", true, &err), OMQ_EDIVERGED);
    omq_train_close(t);
    ck_assert_int_eq(last_epoch(), 1);
}
END_TEST

/* NaN in the loss and in a gradient: named with layer and step. */
START_TEST(test_diverges)
{
    const char *want[] = {"the loss of w8a8 is not finite at epoch 1 step 1, in 'linear'",
                          "a gradient is not finite at epoch 1 step 1, in 'layer1.0.conv1.weight'"};
    struct omq_train *t = train_open("a", NULL, 0);
    struct omq_err err;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    if (_i == 0)
        omq_net_layer(&t->net, 0, t->net.plan.n_layers - 1)->bias->value[0] = NAN;
    else
        omq_net_layer(&t->net, 0, 1)->weight->value[0] = INFINITY; /* codes stay finite */
    ck_assert_int_eq(omq_train_run(t, false, false, NULL, NULL, &err), OMQ_EDIVERGED);
    ck_assert_msg(strncmp(err.msg, want[_i], strlen(want[_i])) == 0, "%s", err.msg);
    omq_train_close(t);
}
END_TEST

/* A run in place of another: from its start, what is resumed is this one. */
START_TEST(test_replaces)
{
    struct omq_train *t = train_open("a", NULL, 0);
    struct spoiler s = {.epoch = 1, .step = 1, .value = (omq_real)NAN};
    struct omq_train_callbacks cb = {.ctx = &s, .step = spoil};
    struct omq_err err;

    train_run(t, false);
    omq_train_close(t);
    ck_assert_int_eq(last_epoch(), 2);
    t = train_open("a", NULL, 0);
    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    s.at = omq_net_layer(&t->net, 0, t->net.plan.n_layers - 1)->bias->value;
    ck_assert_int_eq(omq_train_run(t, false, true, &cb, NULL, &err), OMQ_EDIVERGED);
    ck_assert_msg(strstr(err.msg, "the last checkpoint was kept"), "%s", err.msg);
    omq_train_close(t);
    ck_assert_int_eq(last_epoch(), 0);
}
END_TEST

Suite *omq_suite_train(void)
{
    Suite *s = suite_create("train");
    TCase *t = tcase_create("runs");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, train_setup, train_teardown);
    tcase_add_test(t, test_loss_sequence);
    tcase_add_test(t, test_norm_of_any_threads);
    tcase_add_test(t, test_same_twice);
    tcase_add_loop_test(t, test_resume, 0, 2);
    tcase_add_test(t, test_checkpoint_keeps_figures);
    tcase_add_test(t, test_rows_of_killed_run);
    tcase_add_test(t, test_report_names);
    tcase_add_loop_test(t, test_method_learns, 0, 3);
    tcase_add_test(t, test_own_batches);
    tcase_add_loop_test(t, test_teacher, 0, 2);
    tcase_add_test(t, test_refuses);
    tcase_add_test(t, test_resume_of_other_batches);
    tcase_add_test(t, test_impossible_values);
    tcase_add_loop_test(t, test_diverges, 0, 2);
    tcase_add_test(t, test_replaces);
    suite_add_tcase(s, t);
    return s;
}
