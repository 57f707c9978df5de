/* SPDX-License-Identifier: MIT
 *
 * SGD with (Nesterov) momentum as PyTorch defines it, and Adam (Kingma and Ba,
 * ICLR 2015) with decay added to the gradient. Three groups: weights decay;
 * offsets have their own decay; biases, batch norm, steps and clips have none.
 *
 * The pool works on blocks of the parameters of a step laid end to end, of a fixed
 * size, so that no sum depends on the number of threads.
 */
#include "train/train_internal.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8192 };

static void take(struct omq_optim *o, const struct omq_net *net, bool adam)
{
    size_t total = 0;

    for (int i = 0; i < net->n_params; i++) {
        const struct omq_param *p = &net->params[i];

        if (!p->grad)
            continue;
        o->m[i] = omq_arena_take(&o->arena, p->n, sizeof(omq_real));
        if (adam)
            o->v[i] = omq_arena_take(&o->arena, p->n, sizeof(omq_real));
        total += p->n;
    }
    o->first = omq_arena_take(&o->arena, (size_t)net->n_params + 1, sizeof(*o->first));
    o->sums = omq_arena_take(&o->arena, total / BLOCK + 1, sizeof(*o->sums));
}

int omq_optim_init(struct omq_optim *o, const struct omq_net *net,
                   const struct omq_train_config *cfg, struct omq_err *err)
{
    bool adam = cfg->optimizer == OMQ_OPT_ADAM;
    int rc;

    *o = (struct omq_optim){
        .m = calloc((size_t)net->n_params, sizeof(*o->m)),
        .v = calloc((size_t)net->n_params, sizeof(*o->v)),
        .n_updates = calloc((size_t)net->n_params, sizeof(*o->n_updates)),
    };
    if (!o->m || !o->v || !o->n_updates) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the optimizer");
        goto err_release;
    }
    take(o, net, adam);
    if ((rc = omq_arena_commit(&o->arena, "the optimizer", err)) < 0)
        goto err_release;
    take(o, net, adam);
    return OMQ_OK;

err_release:
    omq_optim_release(o);
    return rc;
}

void omq_optim_release(struct omq_optim *o)
{
    omq_arena_release(&o->arena);
    free(o->m);
    free(o->v);
    free(o->n_updates);
    *o = (struct omq_optim){0};
}

/* What one pass does with elements [begin, end) of a parameter; returns its
 * share of a sum. */
struct pass {
    struct omq_optim *o;
    const struct omq_net *net;
    double (*piece)(const struct pass *pass, int param, size_t begin, size_t end);
    /* of the update: */
    const struct omq_train_config *cfg;
    double offset_decay, lr;
    omq_real grad_scale;
};

/* One block: the pieces of the parameters that it holds. */
static double run_block(const struct pass *pass, size_t begin, size_t end)
{
    const size_t *first = pass->o->first;
    double sum = 0;

    for (int i = 0; i < pass->net->n_params; i++) {
        size_t lo = begin > first[i] ? begin : first[i];
        size_t hi = end < first[i + 1] ? end : first[i + 1];

        if (lo < hi)
            sum += pass->piece(pass, i, lo - first[i], hi - first[i]);
    }
    return sum;
}

static void run_blocks(void *arg, int thread, int begin, int end)
{
    const struct pass *pass = arg;
    size_t total = pass->o->first[pass->net->n_params];

    (void)thread;
    for (int k = begin; k < end; k++) {
        size_t from = (size_t)k * BLOCK;

        pass->o->sums[k] = run_block(pass, from, total - from < BLOCK ? total : from + BLOCK);
    }
}

static bool learns(const struct omq_param *p, const struct omq_learners *which)
{
    return p->grad && (p->precision < 0 ? which->shared : which->precision[p->precision]);
}

/* Runs a pass over the parameters of a step; the sum of its pieces. */
static double run(struct pass *pass, struct omq_pool *pool, const struct omq_learners *which)
{
    const struct omq_net *net = pass->net;
    size_t *first = pass->o->first;
    double sum = 0;
    int n;

    for (int i = 0; i < net->n_params; i++)
        first[i + 1] = first[i] + (learns(&net->params[i], which) ? net->params[i].n : 0);
    n = (int)((first[net->n_params] + BLOCK - 1) / BLOCK);
    omq_pool_run(pool, run_blocks, pass, n);
    for (int k = 0; k < n; k++)
        sum += pass->o->sums[k];
    return sum;
}

static double zero(const struct pass *pass, int param, size_t begin, size_t end)
{
    memset(pass->net->params[param].grad + begin, 0, sizeof(omq_real) * (end - begin));
    return 0;
}

void omq_optim_zero_grad(struct omq_optim *o, const struct omq_net *net, struct omq_pool *pool,
                         const struct omq_learners *which)
{
    struct pass pass = {.o = o, .net = net, .piece = zero};

    run(&pass, pool, which);
}

/* In eight sums, so that one addition need not wait for another. */
static double squares(const struct pass *pass, int param, size_t begin, size_t end)
{
    const omq_real *g = pass->net->params[param].grad;
    double sum[8] = {0};
    size_t i = begin;

    for (; i + 8 <= end; i += 8)
        for (int j = 0; j < 8; j++)
            sum[j] += (double)g[i + j] * (double)g[i + j];
    for (; i < end; i++)
        sum[0] += (double)g[i] * (double)g[i];
    for (int j = 1; j < 8; j++)
        sum[0] += sum[j];
    return sum[0];
}

double omq_optim_grad_norm(struct omq_optim *o, const struct omq_net *net, struct omq_pool *pool,
                           const struct omq_learners *which)
{
    struct pass pass = {.o = o, .net = net, .piece = squares};

    return sqrt(run(&pass, pool, which));
}

/* How a kind of parameter is updated. */
struct rule {
    double decay, lr;
    bool positive; /* a step: moves by a tenth of itself at most */
};

static struct rule rule_of(enum omq_param_kind kind, const struct omq_train_config *cfg,
                           double offset_decay, double lr)
{
    switch (kind) {
    case OMQ_PARAM_WEIGHT: return (struct rule){cfg->weight_decay, lr, false};
    case OMQ_PARAM_OFFSET: return (struct rule){offset_decay, lr, false};
    case OMQ_PARAM_ACLIP: return (struct rule){0, lr, true};
    case OMQ_PARAM_WSTEP:
    case OMQ_PARAM_ASTEP: return (struct rule){0, lr * cfg->step_lr, true};
    default: return (struct rule){0, lr, false};
    }
}

static omq_real bounded(omq_real old, omq_real new)
{
    omq_real lo = (omq_real)0.9 * old, hi = (omq_real)1.1 * old;

    new = new < lo ? lo : new > hi ? hi : new;
    return new > (omq_real)1e-8 ? new : (omq_real)1e-8;
}

static void update_sgd(size_t n, const omq_real *grad, omq_real *restrict value,
                       omq_real *restrict m, const struct rule *rule,
                       const struct omq_train_config *cfg, omq_real grad_scale)
{
    omq_real mom = (omq_real)cfg->momentum, decay = (omq_real)rule->decay;
    omq_real lr = (omq_real)rule->lr;
    bool nesterov = cfg->nesterov, positive = rule->positive;

    for (size_t i = 0; i < n; i++) {
        omq_real g = grad[i] * grad_scale + decay * value[i], next;

        m[i] = mom * m[i] + g;
        next = value[i] - lr * (nesterov ? g + mom * m[i] : m[i]);
        value[i] = positive ? bounded(value[i], next) : next;
    }
}

static void update_adam(size_t n, const omq_real *grad, omq_real *restrict value,
                        omq_real *restrict m, omq_real *restrict v, uint64_t t,
                        const struct rule *rule, const struct omq_train_config *cfg,
                        omq_real grad_scale)
{
    omq_real b1 = (omq_real)cfg->momentum, b2 = (omq_real)cfg->beta2;
    omq_real decay = (omq_real)rule->decay;
    omq_real c2 = (omq_real)(1 / (1 - pow(cfg->beta2, (double)t)));
    omq_real lr = (omq_real)(rule->lr / (1 - pow(cfg->momentum, (double)t)));
    bool positive = rule->positive;

    for (size_t i = 0; i < n; i++) {
        omq_real g = grad[i] * grad_scale + decay * value[i], next;

        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        next = value[i] - lr * m[i] / (sqrt(v[i] * c2) + (omq_real)1e-8);
        value[i] = positive ? bounded(value[i], next) : next;
    }
}

static double update(const struct pass *pass, int param, size_t begin, size_t end)
{
    const struct omq_optim *o = pass->o;
    const struct omq_param *p = &pass->net->params[param];
    struct rule rule = rule_of(p->kind, pass->cfg, pass->offset_decay, pass->lr);

    if (pass->cfg->optimizer == OMQ_OPT_ADAM)
        update_adam(end - begin, p->grad + begin, p->value + begin, o->m[param] + begin,
                    o->v[param] + begin, o->n_updates[param], &rule, pass->cfg,
                    pass->grad_scale);
    else
        update_sgd(end - begin, p->grad + begin, p->value + begin, o->m[param] + begin, &rule,
                   pass->cfg, pass->grad_scale);
    return 0;
}

void omq_optim_step(struct omq_optim *o, const struct omq_net *net, struct omq_pool *pool,
                    const struct omq_train_config *cfg, double offset_decay, double lr,
                    double grad_scale, const struct omq_learners *which)
{
    struct pass pass = {.o = o, .net = net, .piece = update, .cfg = cfg,
                        .offset_decay = offset_decay, .lr = lr,
                        .grad_scale = (omq_real)grad_scale};

    for (int i = 0; i < net->n_params; i++)
        o->n_updates[i] += learns(&net->params[i], which);
    run(&pass, pool, which);
}
