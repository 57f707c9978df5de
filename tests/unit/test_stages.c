/* SPDX-License-Identifier: MIT
 *
 * The stages of training: the highest precision alone, several together, views
 * alone, and the statistics of batch norm after them.
 */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "trainhelp.h"

/* At the end of the one epoch in which the highest precision learns alone, the
 * others have its batch norm and steps of their own. */
static void check_spread(void *ctx, const struct omq_train_progress *p)
{
    struct omq_train *t = ctx;
    const struct omq_net *net = &t->net;

    for (int i = 0; i < net->n_precisions; i++) {
        const struct omq_layer_params *top = omq_net_layer(net, 0, 1);
        const struct omq_layer_params *l = omq_net_layer(net, i, 1);

        ck_assert_int_eq(t->schedule.order[0], 0);
        ck_assert_int_eq(isnan(p->precisions[i].loss), p->epoch == 1 && i > 0);
        ck_assert_int_eq(memcmp(l->gamma->value, top->gamma->value,
                                sizeof(omq_real) * l->gamma->n) == 0, p->epoch == 1 || i == 0);
        ck_assert(l->wstep->value[0] > 0 && omq_net_site_step(net, i, 0) > 0);
    }
}

START_TEST(test_highest_first)
{
    const char *sets[] = {"train.highest_first=0.5", "train.widths_per_step=0"};
    struct omq_train *t = train_open("a", sets, 2);
    struct omq_train_callbacks cb = {.ctx = t, .epoch = check_spread};
    struct omq_err err = {0};

    ck_assert_msg(omq_train_run(t, false, false, &cb, NULL, &err) == OMQ_OK, "%s", err.msg);
    omq_train_close(t);
}
END_TEST

/* One precision alone in the first epoch, all five in the second, which takes five
 * times as long, and the two that have a view in the third. */
static void check_left(void *ctx, const struct omq_train_progress *p)
{
    static const double widths[] = {1, 5, 2};
    double done = p->step * widths[p->epoch - 1], all = 6 * (1 + 5 + 2);

    for (int e = 1; e < p->epoch; e++)
        done += 6 * widths[e - 1];
    ck_assert_int_eq(p->n_steps, 6);
    ck_assert_int_eq(p->n_epochs, 3);
    ck_assert(fabs(p->left_s - (all - done) / done * p->elapsed_s) <= 1e-9 * (1 + p->elapsed_s));
    ++*(int *)ctx;
}

START_TEST(test_time_left)
{
    const char *sets[] = {"train.highest_first=0.5", "train.views_last=0.5",
                          "train.widths_per_step=0"};
    struct omq_train *t = train_open("a", sets, 3);
    struct omq_err err = {0};
    int steps = 0;
    struct omq_train_callbacks cb = {.ctx = &steps, .step = check_left};

    ck_assert_msg(omq_train_run(t, false, false, &cb, NULL, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(steps, 18);
    omq_train_close(t);
}
END_TEST

/* In the last epoch what 2 bits and 1 bit have of their own learns, and nothing else moves:
 * not even the statistics of others, which were taken anew before it. */
struct before_views {
    struct omq_train *t;
    omq_real **values; /* [n_params], after the second of three epochs */
    int moved;
};

static void keep_values(struct before_views *b)
{
    const struct omq_net *net = &b->t->net;

    b->values = calloc((size_t)net->n_params, sizeof(*b->values));
    ck_assert_ptr_nonnull(b->values);
    for (int i = 0; i < net->n_params; i++) {
        size_t bytes = sizeof(omq_real) * net->params[i].n;

        b->values[i] = malloc(bytes);
        ck_assert_ptr_nonnull(b->values[i]);
        memcpy(b->values[i], net->params[i].value, bytes);
    }
}

static void check_views(void *ctx, const struct omq_train_progress *p)
{
    struct before_views *b = ctx;
    const struct omq_net *net = &b->t->net;

    if (p->epoch == 2)
        keep_values(b);
    if (p->epoch < 3)
        return;
    ck_assert_int_eq(p->n_epochs, 3);
    ck_assert(p->lr > 0 && p->lr < omq_schedule_lr(&b->t->schedule, &b->t->config.train, 2, 0) / 4);
    for (int i = 0; i < net->n_params; i++) {
        const struct omq_param *q = &net->params[i];
        bool same = memcmp(q->value, b->values[i], sizeof(omq_real) * q->n) == 0;
        bool own = q->precision >= 0 && b->t->schedule.has_view[q->precision];

        ck_assert_msg(own || same, "%s has moved", q->name);
        if (q->kind == OMQ_PARAM_OFFSET || q->kind == OMQ_PARAM_GAMMA)
            ck_assert_int_eq(own, !same);
        b->moved += !same;
        free(b->values[i]);
    }
    free(b->values);
    for (int i = 0; i < p->n_precisions; i++)
        ck_assert_int_eq(isnan(p->precisions[i].loss), !b->t->schedule.has_view[i]);
}

START_TEST(test_views_last)
{
    const char *sets[] = {"train.views_last=0.5", "train.bn_batches=3",
                          _i ? "train.batches=shared" : "train.batches=own",
                          _i ? "train.distill=0.5" : "train.distill=0"};
    struct before_views b = {.t = train_open("a", sets, 4)};
    struct omq_train_callbacks cb = {.ctx = &b, .epoch = check_views};
    struct omq_err err = {0};

    ck_assert_msg(omq_train_run(b.t, false, false, &cb, NULL, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_gt(b.moved, 0);
    omq_train_close(b.t);
}
END_TEST

/* A run that is done and has views learn afterwards is the run that had them learn at once. */
START_TEST(test_views_afterwards)
{
    const char *sets[] = {"train.bn_batches=3", "train.views_last=0.5"};
    struct omq_train *at_once = train_open("a", sets, 2), *later = train_open("b", sets, 1);

    train_run(at_once, false);
    train_run(later, false);
    omq_train_close(later);
    later = train_open("b", sets, 2);
    train_run(later, true);
    ck_assert_int_eq(at_once->at.epoch, 3);
    for (int i = 0; i < at_once->net.n_params; i++) {
        const struct omq_param *p = &at_once->net.params[i], *q = &later->net.params[i];

        ck_assert_msg(memcmp(p->value, q->value, sizeof(omq_real) * p->n) == 0, "%s", p->name);
    }
    for (int i = 0; i < at_once->net.n_precisions; i++)
        ck_assert(at_once->info.results[i].loss == later->info.results[i].loss);
    omq_train_close(at_once);
    omq_train_close(later);
}
END_TEST

struct stop_at {
    int epoch;
    volatile sig_atomic_t flag;
};

static void stop_after_epoch(void *ctx, const struct omq_train_progress *p)
{
    struct stop_at *s = ctx;

    s->flag = p->epoch == s->epoch;
}

/* Epochs that are done stay what they were: other counts cannot make shared epochs of views,
 * end a stage whose end is past without its statistics, or go back to one that is over. */
START_TEST(test_resumed_stages)
{
    static const char *const refused[][3] = {
        {"train.epochs=2", "train.highest_first=0.5", /* 1, 1, 1: less than there were */
         "cannot go on with train.epochs 2: add --set train.epochs=4 --set "
         "train.highest_first=0.375, or begin another run"},
        {"train.epochs=4", "train.highest_first=0.75", /* 3, 1, 2 */
         "has done 2 epochs, which would be spent in another way now: add --set "
         "train.highest_first=0.375"},
        {"train.epochs=4", "train.highest_first=0", /* 0, 4, 2 */
         "add --set train.highest_first=0.375"},
    };
    const char *sets[] = {"train.epochs=4", "train.highest_first=0.25", "train.views_last=0.5",
                          "train.bn_batches=0"};
    struct omq_train *t = train_open("a", sets, 4);
    struct stop_at s = {.epoch = 2};
    struct omq_train_callbacks cb = {.ctx = &s, .epoch = stop_after_epoch};
    struct omq_err err = {0};

    ck_assert_int_eq(omq_train_run(t, false, false, &cb, &s.flag, &err), OMQ_ESTOPPED);
    omq_train_close(t);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        const char *other[] = {refused[i][0], refused[i][1], sets[2], sets[3]};

        t = train_open("a", other, 4);
        ck_assert_int_eq(omq_train_run(t, true, false, NULL, NULL, &err), OMQ_ECONFIG);
        ck_assert_msg(strstr(err.msg, refused[i][2]), "%s", err.msg);
        omq_train_close(t);
    }
    sets[0] = "train.epochs=5"; /* 1, 4, 2: more of what it is at */
    t = train_open("a", sets, 4);
    train_run(t, true);
    ck_assert_int_eq(t->at.epoch, 7);
    omq_train_close(t);
    sets[0] = "train.epochs=9"; /* 2, 7, 4: views have learned */
    t = train_open("a", sets, 4);
    ck_assert_int_eq(omq_train_run(t, true, false, NULL, NULL, &err), OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, "has done 7 epochs and cannot go on with train.epochs 9: begin"),
                  "%s", err.msg);
    omq_train_close(t);
}
END_TEST

/* What is timed is a step of several precisions, also where the highest learns alone first. */
START_TEST(test_bench)
{
    const char *sets[] = {"train.highest_first=0.5", "train.widths_per_step=0"};
    struct omq_train *t = train_open("a", sets, 2);
    struct omq_train_bench b;
    struct omq_err err = {0};

    ck_assert_msg(omq_train_bench(t, 2, &b, &err) == OMQ_OK, "%s", err.msg);
    for (int i = 0; i < t->net.n_precisions; i++)
        ck_assert_uint_eq(t->at.loss_count[i], 5); /* with three to warm up */
    omq_train_close(t);
}
END_TEST

/* Whether two runs ended with the same batch norm statistics. */
static bool same_statistics(const struct omq_net *a, const struct omq_net *b)
{
    for (int i = 0; i < a->n_params; i++) {
        const struct omq_param *p = &a->params[i], *q = &b->params[i];

        if ((p->kind == OMQ_PARAM_MEAN || p->kind == OMQ_PARAM_VAR) &&
            memcmp(p->value, q->value, sizeof(omq_real) * p->n) != 0)
            return false;
    }
    return true;
}

/* Taken anew, the statistics know nothing of the running ones; and they are the
 * plain mean over batches of images as they are, not mixed. */
START_TEST(test_statistics)
{
    static const char *const n_batches[] = {"train.bn_batches=0", "train.bn_batches=3"};
    const char *a_sets[] = {n_batches[_i], "train.bn_momentum=0.1", "train.epochs=1",
                            "data.augment.mixup=1"};
    const char *b_sets[] = {n_batches[_i], "train.bn_momentum=0.5", "train.epochs=1",
                            "data.augment.mixup=1"};
    struct omq_train *a = train_open("a", a_sets, 4), *b = train_open("b", b_sets, 4);

    train_run(a, false);
    train_run(b, false);
    ck_assert_int_eq(same_statistics(&a->net, &b->net), _i == 1);
    if (_i == 1) {
        /* of which mixing leaves the mean, but not the variance */
        const struct omq_layer_params *lp = omq_net_layer(&a->net, 1, 0);
        double mean = (double)lp->mean->value[0], var = (double)lp->var->value[0];
        double means = 0, vars = 0;
        struct omq_batch batch;
        struct omq_err err;

        omq_loader_set_mixing(a->loader, false);
        omq_loader_start(a->loader, a->config.train.epochs, 0);
        for (int i = 0; i < 3; i++) { /* momentum 1: of this batch alone */
            ck_assert_int_eq(omq_loader_next(a->loader, &batch, NULL, &err), 1);
            omq_exec_forward(a->exec, 1, OMQ_MODE_TRAIN, batch.codes, batch.n, 1);
            means += (double)lp->mean->value[0];
            vars += (double)lp->var->value[0];
        }
        ck_assert(fabs(mean - means / 3) < 1e-6);
        ck_assert(fabs(var - vars / 3) < 1e-6 * var);
    }
    omq_train_close(a);
    omq_train_close(b);
}
END_TEST

/* The others begin anew from the highest precision, but for a step that all share. */
START_TEST(test_shared_step_stays)
{
    const char *sets[] = {"quant.method=double-rounding", "quant.view=off"};
    struct omq_train *t = train_open("a", sets, 2);
    struct omq_param *shared, *own;
    struct omq_err err;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(omq_train_initialize(t, &err), OMQ_OK);
    shared = omq_net_layer(&t->net, 1, 1)->wstep;
    own = omq_net_site(&t->net, 1, 0);
    ck_assert(shared->precision < 0 && own->precision == 1);
    shared->value[0] = 7;
    own->value[0] = 7;
    ck_assert_int_eq(omq_train_spread(t, &err), OMQ_OK);
    ck_assert(shared->value[0] == 7 && own->value[0] != 7);
    omq_train_close(t);
}
END_TEST

/* While the highest precision learns alone it does so in every step, however
 * seldom it is drawn later. */
START_TEST(test_statistics_alone)
{
    const char *a_sets[] = {"train.highest_first=1", "train.widths_per_step=1",
                            "train.bn_batches=0"};
    const char *b_sets[] = {"train.highest_first=1", "train.widths_per_step=2",
                            "train.bn_batches=0"};
    struct omq_train *a = train_open("a", a_sets, 3), *b = train_open("b", b_sets, 3);

    train_run(a, false);
    train_run(b, false);
    ck_assert(same_statistics(&a->net, &b->net));
    omq_train_close(a);
    omq_train_close(b);
}
END_TEST

static volatile sig_atomic_t alarmed;

static void on_alarm(int number)
{
    (void)number;
    alarmed = 1;
}

static void stop_after_the_steps(void *ctx, const struct omq_train_progress *p)
{
    const struct itimerval soon = {.it_value = {.tv_usec = 10000}};

    (void)ctx;
    if (p->step == p->n_steps)
        ck_assert_int_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
}

/* Stopped while statistics are taken, of an epoch that is not evaluated, a run goes on from
 * before they were: those of a few batches would stay. */
START_TEST(test_stop_in_statistics)
{
    const char *sets[] = {"train.epochs=1", "train.views_last=1", "train.eval_every=2",
                          "train.bn_batches=300", "data.synthetic.train=4800"};
    struct omq_train *t = train_open("a", sets, 5);
    struct omq_train_callbacks cb = {.step = stop_after_the_steps};
    struct omq_err err = {0};

    alarmed = 0;
    signal(SIGALRM, on_alarm);
    ck_assert_int_eq(omq_train_run(t, false, false, &cb, &alarmed, &err), OMQ_ESTOPPED);
    ck_assert_int_eq(t->at.epoch, 0);
    ck_assert_int_eq(t->at.step, 300);
    omq_train_close(t);
}
END_TEST

Suite *omq_suite_stages(void)
{
    Suite *s = suite_create("stages");
    TCase *t = tcase_create("stages");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, train_setup, train_teardown);
    tcase_add_test(t, test_highest_first);
    tcase_add_test(t, test_time_left);
    tcase_add_loop_test(t, test_views_last, 0, 2);
    tcase_add_test(t, test_views_afterwards);
    tcase_add_test(t, test_resumed_stages);
    tcase_add_test(t, test_bench);
    tcase_add_loop_test(t, test_statistics, 0, 2);
    tcase_add_test(t, test_shared_step_stays);
    tcase_add_test(t, test_statistics_alone);
    tcase_add_test(t, test_stop_in_statistics);
    suite_add_tcase(s, t);
    return s;
}
