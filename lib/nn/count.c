/* SPDX-License-Identifier: MIT
 *
 * How large a network is: multiplications, bytes of packed weights, parameters.
 */
#include "nn/nn_internal.h"

uint64_t omq_net_macs(const struct omq_net *net)
{
    uint64_t n = 0;

    for (int i = 0; i < net->plan.n_units; i++) {
        const struct omq_unit *u = &net->plan.units[i];

        if (u->kind == OMQ_UNIT_CONV)
            n += (uint64_t)u->win.oh * (uint64_t)u->win.ow *
                 omq_layer_size(&net->plan.layers[u->layer]);
    }
    return n;
}

uint64_t omq_net_weight_bytes(const struct omq_net *net, int precision)
{
    uint64_t n = 0;

    for (int i = 0; i < net->plan.n_layers; i++) {
        const struct omq_layer *l = &net->plan.layers[i];

        n += (uint64_t)l->out * omq_layer_row_bytes(net, precision, i);
    }
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
