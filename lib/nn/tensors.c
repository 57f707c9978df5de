/* SPDX-License-Identifier: MIT
 *
 * Tensors: their gradients, which several units add to, and their steps.
 */
#include "nn/nn_internal.h"

#include <string.h>

bool omq_claim_grad(struct omq_exec *x, int tensor)
{
    bool first = !x->tensors[tensor].has_grad;

    x->tensors[tensor].has_grad = true;
    return first;
}

omq_real *omq_image_grad(struct omq_exec *x, int tensor, int image, bool first)
{
    struct omq_tensor_buf *b = &x->tensors[tensor];
    omq_real *g = b->g + (size_t)image * b->n_image;

    if (first)
        memset(g, 0, sizeof(*g) * b->n_image);
    return g;
}

void omq_add_grad(struct omq_exec *x, int tensor, int image, bool first, size_t n,
                  const omq_real *g)
{
    const struct omq_tensor_buf *b = &x->tensors[tensor];
    omq_real *dst = b->g + (size_t)image * b->n_image;

    if (first)
        memcpy(dst, g, sizeof(*g) * n);
    else
        x->kern->add(n, g, dst);
}

/* ---- steps ---- */

omq_real omq_tensor_step(const struct omq_tensor_buf *b) { return b->is_real ? 1 : b->step; }

void omq_site_init_step(struct omq_exec *x, int site, omq_real least, size_t n,
                        const omq_real *values)
{
    const struct omq_act act = omq_site_act(x->net, x->precision, site);
    struct omq_param *p = omq_net_site(x->net, x->precision, site);
    const omq_real old = p->value[0];
    const omq_real first = fmax(least, omq_site_method(x->net, site)->init(&act, n, values));

    if (!(old >= first)) {
        p->value[0] = first;
        omq_net_bound_step(x->net, x->precision, site);
        x->again |= x->fresh[site] && p->value[0] > old;
    }
    x->fresh[site] = true;
    for (int i = 0; i < x->net->plan.n_tensors; i++)
        if (x->net->plan.tensors[i].site == site)
            x->tensors[i].step = omq_net_site_step(x->net, x->precision, site);
}

bool omq_needs_step(const struct omq_exec *x, int tensor)
{
    const int site = x->net->plan.tensors[tensor].site;

    return x->mode == OMQ_MODE_TRAIN && (!(x->tensors[tensor].step > 0) || x->fresh[site]);
}

void omq_site_add_grad(struct omq_exec *x, int tensor, double sum)
{
    const struct omq_tensor_buf *b = &x->tensors[tensor];
    int site = x->net->plan.tensors[tensor].site;
    const struct omq_act_method *m = omq_site_method(x->net, site);
    struct omq_param *p = omq_net_site(x->net, x->precision, site);

    if (p)
        p->grad[0] += (omq_real)m->gradient(&b->act, sum, (double)b->n_image * x->n);
}
