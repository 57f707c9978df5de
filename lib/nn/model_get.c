/* SPDX-License-Identifier: MIT
 *
 * A network out of a checked container. The container vouches for bytes, META
 * describes; here every tensor is found, and its values are checked for what
 * the numerics need.
 */
#include "nn/nn_internal.h"

bool omq_param_value_ok(const struct omq_param *p, float v)
{
    if (!isfinite(v))
        return false;
    if (p->kind == OMQ_PARAM_UNIT)
        return v > 0;
    if (p->kind == OMQ_PARAM_WSTEP || p->kind == OMQ_PARAM_ASTEP || p->kind == OMQ_PARAM_ACLIP)
        return v >= 0; /* 0: not initialized yet */
    return p->kind != OMQ_PARAM_VAR || v >= 0;
}

int omq_net_check_values(const struct omq_net *net, struct omq_err *err)
{
    char name[OMQ_FILE_NAME_SIZE];

    for (int i = 0; i < net->n_params; i++) {
        const struct omq_param *p = &net->params[i];

        omq_param_file_name(net, p, name);
        for (size_t k = 0; k < p->n; k++)
            if (!omq_param_value_ok(p, (float)p->value[k]))
                return omq_fail(err, OMQ_EDIVERGED, "'%s' has the value %g at index %zu, which no "
                                "model may have", name, (double)p->value[k], k);
    }
    return OMQ_OK;
}

static int find_param(const struct omq_net *net, const struct omq_param *p,
                      const struct omq_ckpt *c, const void **data, struct omq_err *err)
{
    char name[OMQ_FILE_NAME_SIZE];
    uint64_t dims[4];

    for (int i = 0; i < p->ndim; i++)
        dims[i] = (uint64_t)p->dims[i];
    omq_param_file_name(net, p, name);
    return omq_ckpt_get(c, p->precision < 0 ? OMQ_SEC_WEIGHT : OMQ_SEC_QPAR, name, OMQ_F32,
                        p->ndim, dims, data, err);
}

static int get_param(const struct omq_net *net, struct omq_param *p, const struct omq_ckpt *c,
                     struct omq_err *err)
{
    char name[OMQ_FILE_NAME_SIZE];
    const void *data;
    const float *v;
    int rc;

    if ((rc = find_param(net, p, c, &data, err)) < 0)
        return rc;
    v = data;
    omq_param_file_name(net, p, name);
    for (size_t i = 0; i < p->n; i++) {
        /* steps are set together: one alone cannot be missing */
        if (!omq_param_value_ok(p, v[i]) ||
            (p->kind == OMQ_PARAM_WSTEP && (v[i] > 0) != (v[0] > 0)))
            return omq_fail(err, OMQ_EFORMAT, "tensor '%s' has the impossible value %g at index "
                            "%zu", name, (double)v[i], i);
        p->value[i] = (omq_real)v[i];
    }
    return OMQ_OK;
}

/* A graph of a few bytes can describe more weights than there is memory: they
 * are allocated once the container has shown all of them. */
static int get_params(struct omq_net *net, const struct omq_ckpt *c, struct omq_err *err)
{
    const void *data;
    int rc;

    for (int i = 0; i < net->n_params; i++)
        if ((rc = find_param(net, &net->params[i], c, &data, err)) < 0)
            return rc;
    if ((rc = omq_net_allocate(net, false, err)) < 0)
        return rc;
    for (int i = 0; i < net->n_params; i++)
        if ((rc = get_param(net, &net->params[i], c, err)) < 0)
            return rc;
    return OMQ_OK;
}

static int get_packed(struct omq_net *net, const struct omq_ckpt *c, struct omq_err *err)
{
    int rc = omq_packed_find(net, c, err);

    if (rc < 0 || (rc = omq_net_allocate(net, false, err)) < 0)
        return rc;
    return omq_packed_get(net, c, err);
}

/* What would be a caller's mistake is a file's, where that has the value. */
static int of_file(int rc, struct omq_err *err)
{
    if (rc != OMQ_EARG && rc != OMQ_ECONFIG)
        return rc;
    if (err)
        err->code = OMQ_EFORMAT;
    return OMQ_EFORMAT;
}

int omq_model_get(struct omq_net *net, struct omq_model_info *info, const struct omq_ckpt *c,
                  struct omq_err *err)
{
    int rc;

    *info = (struct omq_model_info){0};
    if ((rc = omq_meta_get(net, info, c, err)) == OMQ_OK &&
        (rc = net->packed ? get_packed(net, c, err) : get_params(net, c, err)) < 0)
        omq_net_release(net);
    if (rc < 0)
        omq_model_info_release(info);
    return of_file(rc, err);
}

int omq_model_load(struct omq_net *net, struct omq_model_info *info, struct omq_switch_word *active,
                   const char *path, struct omq_err *err)
{
    struct omq_ckpt *c;
    int rc = omq_ckpt_open(&c, path, 0, err);

    if (rc < 0)
        return rc;
    if ((rc = omq_model_get(net, info, c, err)) < 0)
        omq_wrap(err, rc, "cannot load '%s'", path);
    else if (active)
        *active = omq_ckpt_switch(c);
    omq_ckpt_close(c);
    return rc;
}
