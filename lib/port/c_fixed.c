/* SPDX-License-Identifier: MIT
 *
 * Factors for cores without a float unit: 32-bit multipliers and one shift a layer,
 * as gemmlowp and CMSIS-NN have them, but sums of 64 bits that are rounded once. So
 * an output is off by little more than the float's own rounding.
 */
#include "port/c_source.h"

#include <math.h>

enum { MOST_SHIFT = 46 }; /* beyond it no multiplier gains anything */

struct omq_c_factors omq_c_factors_of(const struct omq_export_numbers *n, int unit,
                                      omq_real room[2])
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_export_unit *x = &n->units[unit];

    switch (u->kind) {
    case OMQ_UNIT_CONV:
        return (struct omq_c_factors){.n = u->oc, .m = x->m, .b = x->b, .add = x->add};
    case OMQ_UNIT_AVGPOOL:
        return (struct omq_c_factors){.n = 1, .m = x->m, .b = x->b};
    case OMQ_UNIT_REQUANT:
        room[0] = x->rescale.ratio;
        room[1] = (omq_real)x->rescale.zp_out;
        return (struct omq_c_factors){.n = 1, .m = room, .b = room + 1};
    case OMQ_UNIT_MAXPOOL:
    case OMQ_UNIT_CONCAT:
    case OMQ_UNIT_SHORTCUT:
        break;
    }
    return (struct omq_c_factors){0};
}

/* The largest |sum| there can be. */
static double sum_of(const struct omq_export_numbers *n, int unit)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_act act = n->tensors[u->in].act;
    const double reach = act.q_max - act.zero_point > act.zero_point ? act.q_max - act.zero_point
                                                                     : act.zero_point;

    if (u->kind == OMQ_UNIT_CONV)
        return reach * (double)omq_unit_filter(u) * omq_grid_largest(&n->units[unit].grid);
    return u->kind == OMQ_UNIT_AVGPOOL ? reach * u->win.kh * u->win.kw : reach;
}

static double largest(const omq_real *x, int n)
{
    double most = 0;

    for (int i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

/* The largest power of two, up to `most`, that keeps x * 2^shift within a limit;
 * below 0 if none does. */
static int shift_for(double x, double limit, int most)
{
    while (most >= 0 && !(ldexp(x, most) <= limit))
        most--;
    return most;
}

int omq_c_fix(const struct omq_export_numbers *n, int unit, const struct omq_c_factors *from,
              struct omq_c_fixed *to, struct omq_err *err)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const int up = n->net->plan.tensors[u->out].is_logits ? OMQ_C_LOGIT_SHIFT : 0;
    const double m = ldexp(largest(from->m, from->n), up), b = ldexp(largest(from->b, from->n), up);
    int shift = shift_for(m, INT32_MAX - 1, MOST_SHIFT);

    shift = shift_for(m * sum_of(n, unit), ldexp(1, 61), shift);
    shift = shift_for(b, ldexp(1, 60), shift);
    shift = shift_for(255 * fabs((double)from->add.r), ldexp(1, 60), shift);
    shift = shift_for(fabs((double)from->add.zero), ldexp(1, 60), shift);
    to->shift = shift;
    to->b_shift = shift - shift_for(b, INT32_MAX - 1, shift);
    if (shift < 0 || to->b_shift > shift)
        return omq_fail(err, OMQ_EUNSUP, "the scales of '%s' are beyond 32 bits: leave out "
                        "--integer", u->name);
    for (int o = 0; o < from->n; o++) {
        to->m[o] = (int32_t)lrint(ldexp((double)from->m[o], up + shift));
        to->b[o] = (int32_t)lrint(ldexp((double)from->b[o], up + shift - to->b_shift));
    }
    to->r = (int64_t)llrint(ldexp((double)from->add.r, shift));
    to->add = (int64_t)llrint(ldexp((double)from->add.zero, shift));
    return OMQ_OK;
}
