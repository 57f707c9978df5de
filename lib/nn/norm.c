/* SPDX-License-Identifier: MIT
 *
 * Batch norm within a unit: the batch's statistics, and gradients through them.
 *
 * In real units, with S the real value of one unit of acc, y = S acc,
 * xhat = (y - mean) / sqrt(var + eps):
 *   dL/dy = gamma / sqrt(var + eps) * (g - mean(g) - xhat mean(g xhat)).
 */
#include "nn/nn_internal.h"

bool omq_has_norm(const struct omq_exec *x, const struct omq_unit *u)
{
    return u->layer >= 0 && x->net->plan.layers[u->layer].norm[0];
}

bool omq_takes_stats(const struct omq_exec *x, const struct omq_unit *u)
{
    return omq_has_norm(x, u) &&
           (x->mode == OMQ_MODE_TRAIN || (x->adopting && x->adopting[u->layer]));
}

/* Other statistics, the same function. */
static void keep_function(const struct omq_layer_params *lp, int c, double mean, double var)
{
    double old = sqrt((double)lp->var->value[c] + OMQ_BN_EPS), gamma = (double)lp->gamma->value[c];

    lp->beta->value[c] += (omq_real)(gamma * (mean - (double)lp->mean->value[c]) / old);
    lp->gamma->value[c] = (omq_real)(gamma * sqrt(var + OMQ_BN_EPS) / old);
}

double omq_acc_unit(const struct omq_exec *x, const struct omq_unit *u, int c)
{
    const struct omq_layer_buf *l = &x->layers[u->layer];

    return (double)l->unit[l->n_units == 1 ? 0 : c] * (double)omq_tensor_step(&x->tensors[u->in]);
}

/* Joins the images' means and deviations (Chan, Golub, LeVeque 1983) in order,
 * so that nothing depends on the threads. */
void omq_norm_stats(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_layer_params *lp = omq_net_layer(x->net, x->precision, u->layer);
    struct omq_unit_buf *b = &x->units[ui];
    double pixels = (double)u->win.oh * u->win.ow, total = pixels * x->n, mom = x->bn_momentum;

    for (int c = 0; c < u->oc; c++) {
        double s = omq_acc_unit(x, u, c), mean = 0, m2 = 0;

        for (int i = 0; i < x->n; i++)
            mean += b->mean_i[(size_t)i * u->oc + c];
        mean /= x->n;
        for (int i = 0; i < x->n; i++) {
            double d = b->mean_i[(size_t)i * u->oc + c] - mean;

            m2 += b->m2_i[(size_t)i * u->oc + c] + pixels * d * d;
        }
        b->mu[c] = (omq_real)mean;
        b->var[c] = m2 / total;
        b->real_mean[c] = (omq_real)(s * mean);
        b->real_var[c] = (omq_real)(s * s * b->var[c]);
        if (x->mode == OMQ_MODE_FROZEN)
            keep_function(lp, c, s * mean, s * s * m2 / fmax(total - 1, 1));
        lp->mean->value[c] = (omq_real)(mom * s * mean +
                                        (1 - mom) * (double)lp->mean->value[c]);
        lp->var->value[c] = (omq_real)(mom * s * s * m2 / fmax(total - 1, 1) +
                                       (1 - mom) * (double)lp->var->value[c]);
    }
}

/* ---- backward ---- */

double omq_sum_images(const struct omq_exec *x, const omq_real *per_image, int oc, int c)
{
    double sum = 0;

    for (int i = 0; i < x->n; i++)
        sum += (double)per_image[(size_t)i * oc + c];
    return sum;
}

void omq_norm_reduce(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_unit_buf *b = &x->units[ui];
    const double count = (double)u->win.oh * u->win.ow * x->n;
    const struct omq_layer_params *lp;

    if (!omq_has_norm(x, u)) {
        for (int c = 0; c < u->oc; c++) {
            b->ka[c] = 1;
            b->kk[c] = b->kd[c] = b->mu[c] = 0;
        }
        return;
    }
    lp = omq_net_layer(x->net, x->precision, u->layer);
    for (int c = 0; c < u->oc; c++) {
        double g = omq_sum_images(x, b->g_i, u->oc, c), s = omq_acc_unit(x, u, c);
        double inv = s / sqrt(s * s * b->var[c] + OMQ_BN_EPS); /* xhat = inv * (acc - mu) */
        double gxhat = inv * omq_sum_images(x, b->gx_i, u->oc, c);
        double a = (double)lp->gamma->value[c] * inv / s;

        lp->gamma->grad[c] += (omq_real)gxhat;
        lp->beta->grad[c] += (omq_real)g;
        b->ka[c] = (omq_real)a;
        b->kk[c] = (omq_real)(-a * inv * gxhat / count);
        b->kd[c] = (omq_real)(-a * g / count);
    }
}
