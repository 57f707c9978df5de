/* SPDX-License-Identifier: MIT
 *
 * SGD with (Nesterov) momentum as PyTorch defines it, and Adam (Kingma and Ba,
 * ICLR 2015) with decay added to the gradient. Three groups: weights decay;
 * offsets have their own decay; biases, batch norm, steps, clips and gains have
 * none.
 */
#include "train/train_internal.h"

#include <stdlib.h>
#include <string.h>

static void take(struct omq_optim *o, const struct omq_net *net, bool adam)
{
    for (int i = 0; i < net->n_params; i++) {
        const struct omq_param *p = &net->params[i];

        if (!p->grad)
            continue;
        o->m[i] = omq_arena_take(&o->arena, p->n, sizeof(omq_real));
        if (adam)
            o->v[i] = omq_arena_take(&o->arena, p->n, sizeof(omq_real));
    }
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

static bool is_active(const struct omq_param *p, const bool *active)
{
    return p->grad && (p->precision < 0 || active[p->precision]);
}

void omq_optim_zero_grad(const struct omq_net *net)
{
    for (int i = 0; i < net->n_params; i++)
        if (net->params[i].grad)
            memset(net->params[i].grad, 0, sizeof(omq_real) * net->params[i].n);
}

double omq_optim_grad_norm(const struct omq_net *net, const bool *active)
{
    double sum = 0;

    for (int i = 0; i < net->n_params; i++) {
        const struct omq_param *p = &net->params[i];

        if (!is_active(p, active))
            continue;
        for (size_t j = 0; j < p->n; j++)
            sum += (double)p->grad[j] * (double)p->grad[j];
    }
    return sqrt(sum);
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
    case OMQ_PARAM_GAIN: return (struct rule){0, lr * cfg->step_lr, false};
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

static void update_sgd(struct omq_param *p, omq_real *m, const struct rule *rule,
                       const struct omq_train_config *cfg, omq_real grad_scale)
{
    omq_real mom = (omq_real)cfg->momentum, decay = (omq_real)rule->decay;
    omq_real lr = (omq_real)rule->lr;

    for (size_t i = 0; i < p->n; i++) {
        omq_real g = p->grad[i] * grad_scale + decay * p->value[i], next;

        m[i] = mom * m[i] + g;
        next = p->value[i] - lr * (cfg->nesterov ? g + mom * m[i] : m[i]);
        p->value[i] = rule->positive ? bounded(p->value[i], next) : next;
    }
}

static void update_adam(struct omq_param *p, omq_real *m, omq_real *v, uint64_t t,
                        const struct rule *rule, const struct omq_train_config *cfg,
                        omq_real grad_scale)
{
    omq_real b1 = (omq_real)cfg->momentum, b2 = (omq_real)cfg->beta2;
    omq_real decay = (omq_real)rule->decay;
    omq_real c2 = (omq_real)(1 / (1 - pow(cfg->beta2, (double)t)));
    omq_real lr = (omq_real)(rule->lr / (1 - pow(cfg->momentum, (double)t)));

    for (size_t i = 0; i < p->n; i++) {
        omq_real g = p->grad[i] * grad_scale + decay * p->value[i], next;

        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        next = p->value[i] - lr * m[i] / (sqrt(v[i] * c2) + (omq_real)1e-8);
        p->value[i] = rule->positive ? bounded(p->value[i], next) : next;
    }
}

void omq_optim_step(struct omq_optim *o, const struct omq_net *net,
                    const struct omq_train_config *cfg, double offset_decay, double lr,
                    double grad_scale, const bool *active)
{
    for (int i = 0; i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];
        struct rule rule = rule_of(p->kind, cfg, offset_decay, lr);

        if (!is_active(p, active))
            continue;
        o->n_updates[i]++;
        if (cfg->optimizer == OMQ_OPT_ADAM)
            update_adam(p, o->m[i], o->v[i], o->n_updates[i], &rule, cfg, (omq_real)grad_scale);
        else
            update_sgd(p, o->m[i], &rule, cfg, (omq_real)grad_scale);
    }
}
