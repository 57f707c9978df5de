/* SPDX-License-Identifier: MIT
 *
 * A choice's numbers as ONNX can hold them: activations of 8 bits, weights of 8
 * bits with a positive scale, a bias in units of the sum.
 */
#include "port/onnx.h"

#include <stdlib.h>

#include "base/mem.h"

enum { BIAS_MAX = 1 << 30 }; /* leaves the sum as much again */

/* ---- activations ---- */

struct omq_onnx_act omq_onnx_act_of(const struct omq_export_numbers *n, int tensor, bool s8)
{
    const struct omq_export_tensor *t = &n->tensors[tensor];
    struct omq_onnx_act a = {.is_s8 = s8, .bits = t->act.bits, .step = t->step,
                             .zero_point = t->act.zero_point, .max = t->act.q_max};

    if (s8) {
        a.min = -a.zero_point;
        a.max -= a.zero_point;
        a.zero_point = 0;
    }
    if (s8 && a.max > INT8_MAX) { /* half of s8 is below 0: every other level must do */
        a.bits--;
        a.max /= 2;
        a.step *= 2;
    }
    return a;
}

struct omq_onnx_act omq_onnx_act_before_add(const struct omq_export_numbers *n, int unit)
{
    return (struct omq_onnx_act){.bits = 8, .max = OMQ_PART_MAX - OMQ_PART_MIN,
                                 .zero_point = -OMQ_PART_MIN,
                                 .step = n->tensors[n->net->plan.units[unit].out].step};
}

/* ---- weights ---- */

/* Output c. Where weights are next to nothing beside the bias, or nothing, which is
 * a gamma of 0, the scale is what the bias needs, and they are rounded to it. */
static void make_filter(struct omq_onnx_codes *codes, int c, const struct omq_export_unit *u,
                        double step_in, double step_x, const struct omq_layer *l)
{
    const size_t n = omq_layer_filter(l), first = (size_t)c * n;
    const double exact = fabs((double)u->scale[c]) / step_in / u->parts;
    const double least = fabs((double)u->bias[c]) / step_x / BIAS_MAX;
    double scale = exact > least ? exact : least, factor;

    if (scale < 1e-30) /* well above where floats end */
        scale = exact > 0 ? 1e-30 : 1;
    codes->scale[c] = (float)scale;
    factor = (u->scale[c] < 0 ? -u->parts : u->parts) * (exact / scale);
    for (size_t i = first; i < first + n; i++)
        codes->k[i] = (int8_t)rint(u->k[omq_export_weight_at(l, i)] * factor);
    codes->bias[c] = (int32_t)rint((double)u->bias[c] / (step_x * (double)codes->scale[c]));
}

static int allocate(struct omq_onnx_codes *c, size_t oc, size_t filter, struct omq_err *err)
{
    c->k = calloc(oc, filter);
    c->scale = calloc(oc, sizeof(*c->scale));
    c->bias = calloc(oc, sizeof(*c->bias));
    if (!c->k || !c->scale || !c->bias)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate weights");
    return OMQ_OK;
}

int omq_onnx_codes_init(struct omq_onnx_codes *c, const struct omq_export_numbers *n, int unit,
                        struct omq_onnx_act x, struct omq_err *err)
{
    const struct omq_unit *from = &n->net->plan.units[unit];
    const struct omq_export_unit *u = &n->units[unit];
    const struct omq_layer *l = &n->net->plan.layers[from->layer];
    int rc;

    *c = (struct omq_onnx_codes){0};
    if ((rc = allocate(c, (size_t)from->oc, omq_layer_filter(l), err)) < 0)
        return rc;
    if (u->parts < 1)
        return omq_fail(err, OMQ_EUNSUP, "sums of '%s' could leave the 32 bits that ONNX has for "
                        "them", from->name);
    for (size_t i = 0; i < omq_layer_size(l); i++)
        if (abs(u->k[i]) > INT8_MAX)
            return omq_fail(err, OMQ_EUNSUP, "a weight of '%s' is -128, which a negative "
                            "scale would make 128: 8 bits end at 127", from->name);
    for (int o = 0; o < from->oc; o++)
        make_filter(c, o, u, n->tensors[from->in].step, x.step, l);
    return OMQ_OK;
}

void omq_onnx_codes_release(struct omq_onnx_codes *c)
{
    free(c->k);
    free(c->scale);
    free(c->bias);
    *c = (struct omq_onnx_codes){0};
}
