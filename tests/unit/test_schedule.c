/* SPDX-License-Identifier: MIT
 *
 * Schedules of training: the learning rate, and which precisions a step has.
 */
#include <check.h>
#include <math.h>

#include "train/train_internal.h"

Suite *omq_suite_schedule(void);

/* Draws 10,000 steps: how often each rank came, against its share. */
static void check_draws(const double *share, const int *order, int n, int k)
{
    int chosen[8], seen[8] = {0}, inverse[8];

    for (int i = 0; i < n; i++)
        inverse[order[i]] = i;
    for (uint32_t step = 0; step < 10000; step++) {
        ck_assert_int_eq(omq_schedule_widths(share, 1, step, order, n, chosen), k);
        for (int i = 0; i < k; i++) {
            ck_assert(i == 0 || inverse[chosen[i]] > inverse[chosen[i - 1]]);
            seen[inverse[chosen[i]]]++;
        }
    }
    for (int i = 0; i < n; i++) /* within five standard deviations */
        ck_assert_msg(fabs(seen[i] / 1e4 - share[i]) < 0.025, "rank %d: %d of %f", i, seen[i],
                      share[i]);
}

START_TEST(test_widths)
{
    const struct omq_precision p[5] = {{1, 1}, {8, 8}, {2, 8}, {4, 4}, {2, 2}};
    int order[5];
    double share[5];

    omq_schedule_order(p, 5, order);
    ck_assert_int_eq(order[0], 1);
    ck_assert_int_eq(order[1], 3);
    ck_assert_int_eq(order[2], 2);
    ck_assert_int_eq(order[4], 0);
    /* 1/bits: 1/4, 1/2, 1/2, 1; of 2 draws, 8/9 for the last */
    omq_schedule_shares(p, order, 5, 3, share);
    ck_assert(share[0] == 1);
    ck_assert(fabs(share[1] - 2.0 / 9) < 1e-12 && fabs(share[2] - 4.0 / 9) < 1e-12);
    ck_assert(fabs(share[4] - 8.0 / 9) < 1e-12);
    check_draws(share, order, 5, 3);
    /* 3 draws: the last always, 2 among the others */
    omq_schedule_shares(p, order, 5, 4, share);
    ck_assert(share[0] == 1 && share[4] == 1);
    ck_assert(fabs(share[1] - 0.4) < 1e-12 && fabs(share[3] - 0.8) < 1e-12);
    check_draws(share, order, 5, 4);
    omq_schedule_shares(p, order, 5, 1, share); /* 1/8, 1/4, 1/2, 1/2, 1 */
    ck_assert(fabs(share[0] - 1.0 / 19) < 1e-12 && fabs(share[4] - 8.0 / 19) < 1e-12);
    check_draws(share, order, 5, 1);
    for (int k = 0; k <= 5; k += 5) {
        omq_schedule_shares(p, order, 5, k, share);
        check_draws(share, order, 5, 5);
    }
}
END_TEST

START_TEST(test_learning_rate)
{
    struct omq_train_config c = {.lr = 0.1, .epochs = 10, .warmup_epochs = 1,
                                 .schedule = OMQ_SCHED_COSINE, .min_lr = 0.001};

    ck_assert(fabs(omq_schedule_lr(&c, 0) - 0.001) < 1e-9);
    ck_assert(fabs(omq_schedule_lr(&c, 1) - 0.1) < 1e-9);
    ck_assert(fabs(omq_schedule_lr(&c, 5.5) - 0.0505) < 1e-9);
    ck_assert(fabs(omq_schedule_lr(&c, 10) - 0.001) < 1e-9);
    c.views_lr = 0.25;
    ck_assert(fabs(omq_schedule_views_lr(&c, 0) - 0.025) < 1e-9);
    ck_assert(fabs(omq_schedule_views_lr(&c, 0.5) - 0.0125) < 1e-9);
    ck_assert(fabs(omq_schedule_views_lr(&c, 1)) < 1e-9);
    c = (struct omq_train_config){.lr = 0.1, .epochs = 10, .schedule = OMQ_SCHED_STEP,
                                  .n_milestones = 2, .milestones = {4, 8}, .gamma = 0.1};
    ck_assert(fabs(omq_schedule_lr(&c, 3.99) - 0.1) < 1e-9);
    ck_assert(fabs(omq_schedule_lr(&c, 4) - 0.01) < 1e-9);
    ck_assert(fabs(omq_schedule_lr(&c, 9) - 0.001) < 1e-9);
}
END_TEST

Suite *omq_suite_schedule(void)
{
    Suite *s = suite_create("schedule");
    TCase *t = tcase_create("schedule");

    tcase_add_test(t, test_widths);
    tcase_add_test(t, test_learning_rate);
    suite_add_tcase(s, t);
    return s;
}
