/* SPDX-License-Identifier: MIT
 *
 * Packed nets: of each precision all values in one piece and all codes in another,
 * which are its two tensors in a file. What all precisions share, biases, is a third
 * kind of piece.
 */
#include "nn/nn_internal.h"

#include <string.h>

enum { SHARED = -1 };

/* Values of a precision, or those that are shared: declared one after another. */
static size_t count_values(const struct omq_net *net, int precision, struct omq_param **first)
{
    size_t n = 0;

    *first = NULL;
    for (int i = 0; i < net->n_params; i++)
        if (net->params[i].precision == precision) {
            *first = n == 0 ? &net->params[i] : *first;
            n += net->params[i].n;
        }
    return n;
}

static void take_values(struct omq_net *net, int precision)
{
    struct omq_param *first;
    const size_t n = count_values(net, precision, &first);
    omq_real *at = omq_arena_take(&net->arena, n, sizeof(*at));

    for (int i = 0; at && i < net->n_params; i++)
        if (net->params[i].precision == precision) {
            net->params[i].value = at;
            at += net->params[i].n;
        }
}

static void take_codes(struct omq_net *net, int precision)
{
    uint8_t *at = omq_arena_take(&net->arena, (size_t)omq_net_weight_bytes(net, precision), 1);

    for (int l = 0; at && l < net->plan.n_layers; l++) {
        net->layer_params[precision * net->plan.n_layers + l].codes = at;
        at += omq_layer_bytes(net, precision, l);
    }
}

void omq_packed_take(struct omq_net *net)
{
    take_values(net, SHARED);
    for (int p = 0; p < net->n_precisions; p++) {
        take_values(net, p);
        take_codes(net, p);
    }
}

/* ---- the pieces in a file ---- */

static const char *name_of(const struct omq_net *net, int precision, char buf[16])
{
    return precision == SHARED ? "shared" : omq_precision_name(net->precisions[precision], buf);
}

static const char *kind_of(int precision)
{
    return precision == SHARED ? OMQ_SEC_WEIGHT : OMQ_SEC_QPAR;
}

int omq_packed_put(struct omq_ckpt_writer *w, const struct omq_net *net, struct omq_err *err)
{
    char name[16];
    int rc = OMQ_OK;

    for (int p = SHARED; rc == OMQ_OK && p < net->n_precisions; p++) {
        struct omq_param *first;
        const uint64_t n = count_values(net, p, &first);
        const uint64_t codes = p < 0 ? 0 : omq_net_weight_bytes(net, p);

        if (n > 0)
            rc = omq_ckpt_add(w, kind_of(p), name_of(net, p, name), OMQ_F32, 0, 1, &n,
                              first->value, err);
        if (rc == OMQ_OK && p >= 0)
            rc = omq_ckpt_add(w, OMQ_SEC_PACK, name_of(net, p, name), OMQ_U8,
                              net->precisions[p].w, 1, &codes, omq_net_layer(net, p, 0)->codes,
                              err);
    }
    return rc;
}

static int find_values(const struct omq_net *net, int precision, const struct omq_ckpt *c,
                       const void **data, struct omq_err *err)
{
    struct omq_param *first;
    const uint64_t n = count_values(net, precision, &first);
    char name[16];

    *data = NULL;
    return n == 0 ? OMQ_OK : omq_ckpt_get(c, kind_of(precision), name_of(net, precision, name),
                                          OMQ_F32, 1, &n, data, err);
}

static int find_codes(const struct omq_net *net, int precision, const struct omq_ckpt *c,
                      const void **data, struct omq_err *err)
{
    const uint64_t n = omq_net_weight_bytes(net, precision);
    char name[16];

    return omq_ckpt_get(c, OMQ_SEC_PACK, name_of(net, precision, name), OMQ_U8, 1, &n, data, err);
}

int omq_packed_find(const struct omq_net *net, const struct omq_ckpt *c, struct omq_err *err)
{
    const void *data;
    int rc = find_values(net, SHARED, c, &data, err);

    for (int p = 0; rc == OMQ_OK && p < net->n_precisions; p++)
        if ((rc = find_values(net, p, c, &data, err)) == OMQ_OK)
            rc = find_codes(net, p, c, &data, err);
    return rc;
}

static int get_values(struct omq_net *net, int precision, const struct omq_ckpt *c,
                      struct omq_err *err)
{
    const void *data;
    const float *v;
    int rc = find_values(net, precision, c, &data, err);

    v = data;
    for (int i = 0; rc == OMQ_OK && i < net->n_params; i++) {
        struct omq_param *p = &net->params[i];

        for (size_t j = 0; p->precision == precision && j < p->n; j++, v++) {
            if (!omq_param_value_ok(p, *v))
                return omq_fail(err, OMQ_EFORMAT, "'%s' has the impossible value %g at index %zu",
                                p->name, (double)*v, j);
            p->value[j] = (omq_real)*v;
        }
    }
    return rc;
}

/* Level 0 of a symmetric grid would be beyond what sums are checked for. */
static bool codes_ok(const struct omq_net *net, int precision, int layer)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_grid g = omq_layer_grid(net, precision, layer);
    const size_t n = omq_layer_filter(l);
    const uint8_t *row = omq_net_layer(net, precision, layer)->codes;

    for (int o = 0; !g.midrise && o < l->out; o++, row += omq_pack_row_bytes(g.bits, n))
        for (size_t i = 0; i < n; i++)
            if (omq_packed_code(&g, row, i) < g.k_min || omq_packed_code(&g, row, i) > g.k_max)
                return false;
    return true;
}

static int get_codes(struct omq_net *net, int precision, const struct omq_ckpt *c,
                     struct omq_err *err)
{
    const void *data;
    int rc = find_codes(net, precision, c, &data, err);

    if (rc < 0)
        return rc;
    memcpy(omq_net_layer(net, precision, 0)->codes, data,
           (size_t)omq_net_weight_bytes(net, precision));
    for (int l = 0; l < net->plan.n_layers; l++)
        if (!codes_ok(net, precision, l))
            return omq_fail(err, OMQ_EFORMAT, "the packed weights of '%s' have a code that its "
                            "grid has not", net->plan.layers[l].name);
    return OMQ_OK;
}

int omq_packed_get(struct omq_net *net, const struct omq_ckpt *c, struct omq_err *err)
{
    int rc = get_values(net, SHARED, c, err);

    for (int p = 0; rc == OMQ_OK && p < net->n_precisions; p++)
        if ((rc = get_values(net, p, c, err)) == OMQ_OK)
            rc = get_codes(net, p, c, err);
    return rc;
}
