/* SPDX-License-Identifier: MIT
 *
 * A model of ours as a source of weights: what its precisions share, and the
 * batch norm of the best of them, under the names of PyTorch.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/nn.h"
#include "port/arrays.h"
#include "port/source.h"

static bool better(struct omq_precision a, struct omq_precision b)
{
    return a.w != b.w ? a.w > b.w : a.a > b.a;
}

static bool wanted(const struct omq_param *p, int best)
{
    switch (p->kind) {
    case OMQ_PARAM_WEIGHT:
    case OMQ_PARAM_BIAS:
        return true;
    case OMQ_PARAM_GAMMA:
    case OMQ_PARAM_BETA:
    case OMQ_PARAM_MEAN:
    case OMQ_PARAM_VAR:
        return p->precision == best;
    default:
        return false;
    }
}

/* The bytes are copied: the net goes. */
static int add_all(struct omq_source *s, const struct omq_net *net, int best, struct omq_err *err)
{
    size_t at = 0, n_bytes = 0;
    uint8_t *bytes;

    for (int i = 0; i < net->n_params; i++) /* all of them are in memory: no overflow */
        if (wanted(&net->params[i], best))
            n_bytes += sizeof(float) * net->params[i].n;
    if (!(bytes = omq_source_room(s, n_bytes, err)))
        return OMQ_ENOMEM;
    for (int i = 0; i < net->n_params; i++) {
        const struct omq_param *p = &net->params[i];
        struct omq_source_array *a;

        if (!wanted(p, best))
            continue;
        if (!(a = omq_source_add(s, p->name, strlen(p->name), err)))
            return err ? err->code : OMQ_ENOMEM;
        a->type = OMQ_SOURCE_F32;
        a->ndim = p->ndim;
        for (int d = 0; d < p->ndim; d++)
            a->dims[d] = (uint64_t)p->dims[d];
        a->n = p->n;
        a->bytes = bytes + at;
        a->n_bytes = sizeof(float) * p->n;
        omq_arrays_put_reals(bytes + at, p->value, p->n);
        at += a->n_bytes;
    }
    return OMQ_OK;
}

int omq_source_model(struct omq_source *s, struct omq_err *err)
{
    struct omq_model_info info;
    struct omq_ckpt *c;
    struct omq_net net;
    int best = 0, rc;

    if ((rc = omq_ckpt_open_memory(&c, s->file, s->n_bytes, s->path, 0, err)) < 0)
        return rc;
    rc = omq_model_get(&net, &info, c, err);
    omq_ckpt_close(c);
    if (rc < 0)
        return omq_wrap(err, rc, "cannot read '%s'", s->path);
    for (int p = 1; p < net.n_precisions; p++)
        if (better(net.precisions[p], net.precisions[best]))
            best = p;
    if (net.packed)
        rc = omq_fail(err, OMQ_EUNSUP, "'%s' is packed: it has integers only, and no weights that "
                      "a training could start from", s->path);
    else
        rc = add_all(s, &net, best, err);
    omq_net_release(&net);
    omq_model_info_release(&info);
    return rc < 0 ? rc : omq_source_seal(s, err);
}
