/* SPDX-License-Identifier: MIT
 *
 * How large a network is: multiplications, bytes of packed weights, parameters.
 */
#include "nn/nn_internal.h"

size_t omq_unit_filter(const struct omq_unit *u)
{
    return (size_t)u->win.kh * (size_t)u->win.kw * (size_t)u->win.c_count;
}

uint64_t omq_unit_macs(const struct omq_unit *u)
{
    return u->kind != OMQ_UNIT_CONV ? 0 : (uint64_t)u->win.oh * (uint64_t)u->win.ow *
                                          (uint64_t)u->oc * omq_unit_filter(u);
}

uint64_t omq_net_macs(const struct omq_net *net)
{
    uint64_t n = 0;

    for (int i = 0; i < net->plan.n_units; i++)
        n += omq_unit_macs(&net->plan.units[i]);
    return n;
}

uint64_t omq_net_weight_bytes(const struct omq_net *net, int precision)
{
    uint64_t n = 0;

    for (int i = 0; i < net->plan.n_layers; i++)
        n += omq_layer_bytes(net, precision, i);
    return n;
}

uint64_t omq_net_weights(const struct omq_net *net)
{
    uint64_t n = 0;

    for (int i = 0; i < net->plan.n_layers; i++)
        n += omq_layer_size(&net->plan.layers[i]) +
             (net->plan.layers[i].bias ? (uint64_t)net->plan.layers[i].out : 0);
    return n;
}
