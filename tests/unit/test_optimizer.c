/* SPDX-License-Identifier: MIT
 *
 * Updates of parameters against their formulas, in double.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainhelp.h"

Suite *omq_suite_optimizer(void);

enum { UPDATES = 3 };

static const double lr = 0.05, grad_scale = 0.5;
static const struct omq_learners which = {true, {true, false, true, true, true}};

static const struct {
    const char *method, *optimizer, *nesterov;
} cases[] = {
    {"quant.method=omq", "train.optimizer=sgd", "train.nesterov=false"},
    {"quant.method=omq", "train.optimizer=sgd", "train.nesterov=true"},
    {"quant.method=omq", "train.optimizer=adam", "train.nesterov=false"},
    {"quant.method=adabits", "train.optimizer=sgd", "train.nesterov=false"},
};

static struct omq_train *open_run(int i)
{
    const char *sets[] = {cases[i].method, cases[i].optimizer, cases[i].nesterov,
                          "train.momentum=0.9", "train.weight_decay=0.01",
                          "quant.offset_decay=0.02", "train.step_lr=0.5", "quant.view=off"};
    const int n = strcmp(cases[i].method, "quant.method=adabits") == 0 ? 8 : 7;
    struct omq_train *t = train_open("a", sets, n);
    struct omq_err err;

    ck_assert_msg(omq_train_prepare(t, &err) == OMQ_OK, "%s", err.msg);
    return t;
}

static bool is_step(const struct omq_param *p)
{
    return p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP;
}

/* The update number `update`, from 1, of one value and its state. */
static double updated(const struct omq_train *t, const struct omq_param *p, double value,
                      double grad, int update, double state[2])
{
    const struct omq_train_config *c = &t->config.train;
    const double decay = p->kind == OMQ_PARAM_WEIGHT   ? c->weight_decay
                         : p->kind == OMQ_PARAM_OFFSET ? t->config.quant.offset_decay : 0;
    const double rate = is_step(p) ? lr * c->step_lr : lr, g = grad * grad_scale + decay * value;
    double next;

    if (c->optimizer == OMQ_OPT_ADAM) {
        state[0] = c->momentum * state[0] + (1 - c->momentum) * g;
        state[1] = c->beta2 * state[1] + (1 - c->beta2) * g * g;
        next = value - rate * state[0] / (1 - pow(c->momentum, update)) /
                           (sqrt(state[1] / (1 - pow(c->beta2, update))) + 1e-8);
    } else {
        state[0] = c->momentum * state[0] + g;
        next = value - rate * (c->nesterov ? g + c->momentum * state[0] : state[0]);
    }
    if (is_step(p) || p->kind == OMQ_PARAM_ACLIP)
        next = fmin(fmax(next, 0.9 * value), 1.1 * value);
    return next;
}

static void check_param(struct omq_train *t, int i, int update, double (*state)[2])
{
    const struct omq_param *p = &t->net.params[i];
    const bool learns = p->precision < 0 || which.precision[p->precision];

    for (size_t j = 0; j < p->n; j++) {
        const double old = state[2 * j + 1][0], got = (double)p->value[j];
        const double want = learns ? updated(t, p, old, (double)p->grad[j], update, state[2 * j])
                                   : old;

        ck_assert_msg(fabs(got - want) <= (learns ? 1e-6 + 1e-5 * fabs(want) : 0),
                      "%s of precision %d, value %zu, update %d: %.9g, not %.9g", p->name,
                      p->precision, j, update, got, want);
        state[2 * j + 1][0] = got;
    }
}

/* Weights and offsets decay, each by its own; steps and clips move by a tenth at most; and
 * what does not learn stays. */
START_TEST(updates_are_their_formulas)
{
    struct omq_train *t = open_run(_i);
    double(**state)[2] = calloc((size_t)t->net.n_params, sizeof(*state));
    int clips = 0, offsets = 0;

    for (int i = 0; i < t->net.n_params; i++) {
        struct omq_param *p = &t->net.params[i];

        state[i] = calloc(2 * p->n, sizeof(*state[i])); /* of a value: state, and the value */
        clips += p->kind == OMQ_PARAM_ACLIP;
        offsets += p->kind == OMQ_PARAM_OFFSET;
        for (size_t j = 0; j < p->n; j++) {
            p->value[j] = (omq_real)(0.1 + (double)((i * 7 + (int)(j % 1000) * 3) % 13) / 10);
            state[i][2 * j + 1][0] = (double)p->value[j];
        }
    }
    ck_assert_int_eq(clips > 0, _i == 3);
    ck_assert_int_eq(offsets > 0, _i != 3);
    for (int update = 1; update <= UPDATES; update++) {
        for (int i = 0; i < t->net.n_params; i++)
            for (size_t j = 0; t->net.params[i].grad && j < t->net.params[i].n; j++)
                t->net.params[i].grad[j] =
                    (omq_real)((i * 31 + (int)(j % 1000) * 17 + update * 43) % 101 - 50) / 9;
        omq_optim_step(&t->optim, &t->net, t->pool, &t->config.train,
                       t->config.quant.offset_decay, lr, grad_scale, &which);
        for (int i = 0; i < t->net.n_params; i++)
            if (t->net.params[i].grad)
                check_param(t, i, update, state[i]);
    }
    for (int i = 0; i < t->net.n_params; i++)
        free(state[i]);
    free(state);
    omq_train_close(t);
}
END_TEST

Suite *omq_suite_optimizer(void)
{
    Suite *s = suite_create("optimizer");
    TCase *t = tcase_create("optimizer");

    tcase_add_checked_fixture(t, train_setup, train_teardown);
    tcase_add_loop_test(t, updates_are_their_formulas, 0, 4);
    suite_add_tcase(s, t);
    return s;
}
