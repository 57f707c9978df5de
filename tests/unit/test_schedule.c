/* SPDX-License-Identifier: MIT
 *
 * Schedules of training: the learning rate, and which precisions a step has.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "train/train_internal.h"

Suite *omq_suite_schedule(void);

/* Draws 10,000 steps of k precisions: how often each rank came, against its share. */
static void check_draws(const struct omq_schedule *s, int k)
{
    int chosen[8], seen[8] = {0}, inverse[8];

    for (int i = 0; i < s->n; i++)
        inverse[s->order[i]] = i;
    for (uint32_t step = 0; step < 10000; step++) {
        ck_assert_int_eq(omq_schedule_choose(s, 1, 0, step, chosen), k);
        for (int i = 0; i < k; i++) {
            ck_assert(i == 0 || inverse[chosen[i]] > inverse[chosen[i - 1]]);
            seen[inverse[chosen[i]]]++;
        }
    }
    for (int i = 0; i < s->n; i++) /* within five standard deviations */
        ck_assert_msg(fabs(seen[i] / 1e4 - s->share[i]) < 0.025, "rank %d: %d of %f", i, seen[i],
                      s->share[i]);
}

START_TEST(test_widths)
{
    const struct omq_precision p[5] = {{1, 1}, {8, 8}, {2, 8}, {4, 4}, {2, 2}};
    struct omq_schedule s = {.n = 5, .epochs = {[OMQ_STAGE_TOGETHER] = 1}};
    const double *share = s.share;

    omq_schedule_order(p, 5, s.order);
    ck_assert_int_eq(s.order[0], 1);
    ck_assert_int_eq(s.order[1], 3);
    ck_assert_int_eq(s.order[2], 2);
    ck_assert_int_eq(s.order[4], 0);
    /* 1/bits: 1/4, 1/2, 1/2, 1; of 2 draws, 8/9 for the last */
    omq_schedule_shares(p, s.order, 5, 3, s.share);
    ck_assert(share[0] == 1);
    ck_assert(fabs(share[1] - 2.0 / 9) < 1e-12 && fabs(share[2] - 4.0 / 9) < 1e-12);
    ck_assert(fabs(share[4] - 8.0 / 9) < 1e-12);
    check_draws(&s, 3);
    /* 3 draws: the last always, 2 among the others */
    omq_schedule_shares(p, s.order, 5, 4, s.share);
    ck_assert(share[0] == 1 && share[4] == 1);
    ck_assert(fabs(share[1] - 0.4) < 1e-12 && fabs(share[3] - 0.8) < 1e-12);
    check_draws(&s, 4);
    omq_schedule_shares(p, s.order, 5, 1, s.share); /* 1/8, 1/4, 1/2, 1/2, 1 */
    ck_assert(fabs(share[0] - 1.0 / 19) < 1e-12 && fabs(share[4] - 8.0 / 19) < 1e-12);
    check_draws(&s, 1);
    for (int k = 0; k <= 5; k += 5) {
        omq_schedule_shares(p, s.order, 5, k, s.share);
        check_draws(&s, 5);
    }
}
END_TEST

/* Two precisions of one layer each, of which the second may have a view. */
static void init(struct omq_schedule *s, const struct omq_train_config *cfg, int n_precisions,
                 bool view)
{
    static struct omq_net net;
    static struct omq_param offset;
    static struct omq_layer_params layers[2];

    net = (struct omq_net){.n_precisions = n_precisions, .precisions = {{8, 8}, {1, 1}},
                           .plan.n_layers = 1, .layer_params = layers};
    layers[1].offset = view ? &offset : NULL;
    omq_schedule_init(s, cfg, &net);
}

START_TEST(test_stages)
{
    struct omq_train_config c = {.epochs = 100, .highest_first = 0.29, .views_last = 0.3};
    struct omq_schedule s;
    int chosen[OMQ_MAX_PRECISIONS];

    init(&s, &c, 2, true);
    ck_assert_int_eq(s.epochs[OMQ_STAGE_HIGHEST], 29);
    ck_assert_int_eq(s.epochs[OMQ_STAGE_TOGETHER], 71);
    ck_assert_int_eq(s.epochs[OMQ_STAGE_VIEWS], 30);
    ck_assert_int_eq(omq_schedule_epochs(&s), 130);
    ck_assert_int_eq(omq_schedule_stage(&s, 28), OMQ_STAGE_HIGHEST);
    ck_assert_int_eq(omq_schedule_stage(&s, 29), OMQ_STAGE_TOGETHER);
    ck_assert_int_eq(omq_schedule_stage(&s, 99), OMQ_STAGE_TOGETHER);
    ck_assert_int_eq(omq_schedule_stage(&s, 100), OMQ_STAGE_VIEWS);
    ck_assert_int_eq(omq_schedule_choose(&s, 1, 28, 0, chosen), 1);
    ck_assert_int_eq(chosen[0], 0);
    ck_assert_int_eq(omq_schedule_choose(&s, 1, 29, 0, chosen), 2);
    ck_assert_int_eq(omq_schedule_choose(&s, 1, 100, 0, chosen), 1);
    ck_assert_int_eq(chosen[0], 1);
    c.highest_first = 0.299;
    init(&s, &c, 2, false); /* and no layer has a view */
    ck_assert_int_eq(s.epochs[OMQ_STAGE_HIGHEST], 29);
    ck_assert_int_eq(omq_schedule_epochs(&s), 100);
    init(&s, &c, 1, false);
    ck_assert_int_eq(s.epochs[OMQ_STAGE_HIGHEST], 0);
    ck_assert_int_eq(s.epochs[OMQ_STAGE_TOGETHER], 100);
}
END_TEST

static void check_rate(const struct omq_schedule *s, const struct omq_train_config *c, int epoch,
                       double share, double rate)
{
    ck_assert(fabs(omq_schedule_lr(s, c, epoch, share) - rate) < 1e-9);
}

START_TEST(test_learning_rate)
{
    const struct omq_schedule s = {.epochs = {[OMQ_STAGE_TOGETHER] = 10, [OMQ_STAGE_VIEWS] = 4}};
    struct omq_train_config c = {.lr = 0.1, .epochs = 10, .warmup_epochs = 1, .views_lr = 0.25,
                                 .schedule = OMQ_SCHED_COSINE, .min_lr = 0.001};

    check_rate(&s, &c, 0, 0, 0.001);
    check_rate(&s, &c, 1, 0, 0.1);
    check_rate(&s, &c, 5, 0.5, 0.0505);
    check_rate(&s, &c, 9, 1, 0.001);
    check_rate(&s, &c, 10, 0, 0.025);
    check_rate(&s, &c, 12, 0, 0.0125);
    check_rate(&s, &c, 13, 1, 0);
    c = (struct omq_train_config){.lr = 0.1, .epochs = 10, .schedule = OMQ_SCHED_STEP,
                                  .n_milestones = 2, .milestones = {4, 8}, .gamma = 0.1};
    check_rate(&s, &c, 3, 0.99, 0.1);
    check_rate(&s, &c, 4, 0, 0.01);
    check_rate(&s, &c, 9, 0, 0.001);
}
END_TEST

/* A run of one schedule that stands somewhere goes on with another. */
START_TEST(test_goes_on)
{
    static const struct { int was[3], epochs, steps, is[3]; bool goes_on; } cases[] = {
        {{4, 6, 4}, 6, 0, {4, 6, 4}, true},
        {{4, 6, 4}, 6, 0, {4, 8, 4}, true},   /* more of what it is at */
        {{4, 6, 4}, 6, 9, {4, 6, 0}, true},   /* without what it has not begun */
        {{4, 6, 0}, 6, 9, {4, 6, 4}, true},
        {{4, 6, 4}, 3, 0, {10, 0, 4}, true},
        {{4, 6, 4}, 3, 0, {3, 7, 4}, true},   /* the highest ends its stage each epoch */
        {{4, 6, 4}, 3, 0, {2, 8, 4}, false},
        {{4, 6, 4}, 6, 0, {5, 5, 4}, false},
        {{4, 6, 4}, 4, 9, {5, 5, 4}, false},  /* steps together became steps alone */
        {{4, 6, 4}, 4, 9, {4, 5, 4}, true},
        {{4, 6, 4}, 9, 0, {4, 5, 4}, false},  /* no statistics were taken there */
        {{10, 10, 0}, 10, 0, {10, 0, 0}, false},
        {{4, 6, 4}, 10, 0, {4, 6, 2}, true},
        {{4, 6, 4}, 10, 0, {4, 6, 0}, true},
        {{4, 6, 4}, 10, 9, {4, 6, 0}, false}, /* views have moved */
        {{4, 6, 4}, 12, 0, {4, 6, 2}, false},
        {{4, 6, 4}, 12, 0, {4, 6, 3}, true},
        {{4, 6, 4}, 12, 0, {4, 8, 4}, false},
        {{4, 6, 4}, 14, 0, {4, 6, 4}, true},
        {{4, 6, 4}, 14, 0, {4, 6, 3}, false},
        {{0, 0, 0}, 0, 0, {4, 6, 4}, true},   /* it was calibrated */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct omq_schedule was = {.n = 2}, is = {.n = 2};

        memcpy(was.epochs, cases[i].was, sizeof(was.epochs));
        memcpy(is.epochs, cases[i].is, sizeof(is.epochs));
        ck_assert_msg(omq_schedule_goes_on(&is, &was, cases[i].epochs, cases[i].steps) ==
                      cases[i].goes_on, "case %zu", i);
    }
}
END_TEST

Suite *omq_suite_schedule(void)
{
    Suite *s = suite_create("schedule");
    TCase *t = tcase_create("schedule");

    tcase_add_test(t, test_widths);
    tcase_add_test(t, test_stages);
    tcase_add_test(t, test_learning_rate);
    tcase_add_test(t, test_goes_on);
    suite_add_tcase(s, t);
    return s;
}
