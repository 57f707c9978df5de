/* SPDX-License-Identifier: MIT
 *
 * The loss by itself: its gradient against difference quotients for every kind
 * of target, and what the targets of a mixed batch are.
 */
#include <check.h>
#include <math.h>

#include "base/rng.h"
#include "nn/nn.h"

Suite *omq_suite_loss_grad(void);

enum { ROWS = 5, CLASSES = 4 };

struct fixture {
    omq_real logits[ROWS * CLASSES], teacher[ROWS * CLASSES], dlogits[ROWS * CLASSES];
    uint16_t labels[ROWS];
    double row[CLASSES];
};

static void fill(struct fixture *f)
{
    struct omq_rng r;

    omq_rng_init(&r, 3, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;

        for (int j = 0; j < CLASSES; j++) {
            f->logits[i * CLASSES + j] = 2 * omq_rng_normal(&r);
            sum += f->teacher[i * CLASSES + j] = omq_rng_uniform(&r);
        }
        for (int j = 0; j < CLASSES; j++)
            f->teacher[i * CLASSES + j] /= sum;
        f->labels[i] = (uint16_t)(i % CLASSES);
    }
}

static double loss(struct fixture *f, const struct omq_targets *t, double scale)
{
    return omq_loss(ROWS, CLASSES, f->logits, t, scale, f->dlogits, NULL, f->row);
}

/* own, label smoothing, distillation */
static const double kinds[][3] = {{1, 0, 0},     {1, 0.1, 0},   {0.3, 0, 0}, {0.3, 0.1, 0},
                                  {0.3, 0, 0.4}, {0, 0.2, 0.5}, {0.5, 0, 1}};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

START_TEST(test_gradient)
{
    const double h = 1e-6, scale = 2.5;
    struct fixture f;
    const struct omq_targets t = {
        .labels = f.labels, .own = kinds[_i][0], .smoothing = kinds[_i][1],
        .teacher = kinds[_i][2] > 0 ? f.teacher : NULL, .distill = kinds[_i][2],
    };
    double d[ROWS * CLASSES];

    fill(&f);
    loss(&f, &t, scale);
    for (int i = 0; i < ROWS * CLASSES; i++)
        d[i] = f.dlogits[i];
    for (int i = 0; i < ROWS * CLASSES; i++) {
        double at = f.logits[i], up, down;

        f.logits[i] = at + h;
        up = loss(&f, &t, scale);
        f.logits[i] = at - h;
        down = loss(&f, &t, scale);
        f.logits[i] = at;
        ck_assert_msg(fabs(d[i] - scale * (up - down) / (2 * h)) < 1e-8, "logit %d: %g, not %g", i,
                      d[i], scale * (up - down) / (2 * h));
    }
}
END_TEST

/* own CE(labels) + (1 - own) CE(labels reversed), by two calls of the plain loss;
 * the odd row in the middle is mixed with itself. */
START_TEST(test_two_labels)
{
    struct fixture f;
    uint16_t reversed[ROWS];
    double one, other, both[ROWS * CLASSES], mixed;

    fill(&f);
    for (int i = 0; i < ROWS; i++)
        reversed[i] = f.labels[ROWS - 1 - i];
    one = loss(&f, &(struct omq_targets){.labels = f.labels, .own = 1, .smoothing = 0.1}, 1);
    for (int i = 0; i < ROWS * CLASSES; i++)
        both[i] = 0.3 * f.dlogits[i];
    other = loss(&f, &(struct omq_targets){.labels = reversed, .own = 1, .smoothing = 0.1}, 1);
    for (int i = 0; i < ROWS * CLASSES; i++)
        both[i] += 0.7 * f.dlogits[i];
    mixed = loss(&f, &(struct omq_targets){.labels = f.labels, .own = 0.3, .smoothing = 0.1}, 1);
    ck_assert_double_eq_tol(mixed, 0.3 * one + 0.7 * other, 1e-12);
    for (int i = 0; i < ROWS * CLASSES; i++)
        ck_assert_double_eq_tol(f.dlogits[i], both[i], 1e-12);
    ck_assert_double_gt(fabs(one - other), 0.01); /* or this would show nothing */
}
END_TEST

Suite *omq_suite_loss_grad(void)
{
    Suite *s = suite_create("loss_grad");
    TCase *c = tcase_create("loss");

    tcase_add_loop_test(c, test_gradient, 0, N_KINDS);
    tcase_add_test(c, test_two_labels);
    suite_add_tcase(s, c);
    return s;
}
