/* SPDX-License-Identifier: MIT
 *
 * The quantizer of a site at one precision: its bits, and its step, which is what its
 * parameter stands for, within the bound that a ReLU's end sets.
 */
#include "nn/nn_internal.h"

struct omq_param *omq_net_site(const struct omq_net *net, int precision, int site)
{
    return net->site_steps[precision * net->plan.n_sites + site];
}

const struct omq_act_method *omq_site_method(const struct omq_net *net, int site)
{
    const struct omq_site *s = &net->plan.sites[site];
    const struct omq_method *m;

    if (s->layer < 0)
        return omq_stream_method();
    m = omq_layer_method(net, s->layer);
    return !s->is_normed && m->act_unnormed ? m->act_unnormed : m->act;
}

int omq_site_bits(const struct omq_net *net, int precision, int site)
{
    const int a = net->precisions[precision].a, edge_bits = net->quant.first_last_bits;
    const int layer = net->plan.sites[site].layer;

    if (a == OMQ_FLOAT_BITS)
        return a;
    if (layer < 0)
        return OMQ_STREAM_BITS;
    return net->plan.layers[layer].edge && edge_bits ? edge_bits : a;
}

struct omq_act omq_site_act(const struct omq_net *net, int precision, int site)
{
    return omq_act_of(omq_site_bits(net, precision, site), net->plan.sites[site].is_signed);
}

/* The largest step whose codes stand for nothing above the site's end. */
static omq_real most_step(const struct omq_net *net, int site, const struct omq_act *act)
{
    const double end = net->plan.sites[site].max, levels = act->q_max - act->zero_point;
    omq_real s = (omq_real)(end / levels);

    if (!(end > 0))
        return INFINITY;
    while ((double)s * levels > end)
        s = nextafter(s, (omq_real)0);
    return s;
}

omq_real omq_net_site_step(const struct omq_net *net, int precision, int site)
{
    const struct omq_param *p = omq_net_site(net, precision, site);
    const struct omq_act act = omq_site_act(net, precision, site);
    const omq_real step = omq_site_method(net, site)->step(&act, p ? p->value[0] : 0);
    const omq_real most = most_step(net, site, &act);

    return step > most ? most : step;
}

void omq_net_bound_step(struct omq_net *net, int precision, int site)
{
    const struct omq_act_method *m = omq_site_method(net, site);
    struct omq_param *p = omq_net_site(net, precision, site);
    struct omq_act act;
    omq_real most;

    if (!p || !(net->plan.sites[site].max > 0))
        return;
    act = omq_site_act(net, precision, site);
    most = most_step(net, site, &act);
    if (m->is_clip)
        most *= (omq_real)(act.q_max - act.zero_point);
    if (p->value[0] > most)
        p->value[0] = most;
}
