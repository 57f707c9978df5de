/* SPDX-License-Identifier: MIT
 *
 * Convolutions for CMSIS-NN: 32-bit multipliers and shifts an output, as TensorFlow
 * Lite has them, and integer biases, of which omq's have whole numbers (omq_fold()).
 *
 * A residual takes two calls: the convolution gives its part in the sum, 8 bits with a
 * sign and the sum's step, as omq has it, and arm_elementwise_add_s8() adds.
 */
#include "port/c_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INT4_MAX = 7 };

/* A multiplier as real numbers: v = sum * m + b, in units of the output's codes. */
struct line {
    double m, b;
    double lo, hi; /* of the sum */
};

int omq_c_cmsis_less(struct omq_act act) { return act.q_max > INT8_MAX ? 128 : 0; }

bool omq_c_cmsis_depthwise(const struct omq_unit *u)
{
    return u->groups > 1 && u->groups == u->win.c;
}

static bool gives_logits(const struct omq_export_numbers *n, int unit)
{
    return n->net->plan.tensors[n->net->plan.units[unit].out].is_logits;
}

/* Output o in units of `step`, its zero point left out of b. */
static struct line line_of(const struct omq_export_numbers *n, int unit, int o, double step)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_export_unit *x = &n->units[unit];
    const struct omq_act in = n->tensors[u->in].act;
    const size_t filter = omq_unit_filter(u);
    struct line l = {.m = (double)x->m[o], .b = (double)x->b[o]};

    if (!gives_logits(n, unit) && u->res < 0)
        l.b -= n->tensors[u->out].act.zero_point;
    for (size_t i = 0; i < filter; i++) {
        const int k = x->k[(size_t)o * filter + i];
        const int most = k * (in.q_max - in.zero_point), least = k * -in.zero_point;

        l.lo += most < least ? most : least;
        l.hi += most < least ? least : most;
    }
    l.m /= step;
    l.b /= step;
    return l;
}

static double lowest(const struct line *l) { return l->b + fmin(l->lo * l->m, l->hi * l->m); }
static double highest(const struct line *l) { return l->b + fmax(l->lo * l->m, l->hi * l->m); }

/* x = multiplier * 2^(shift - 31), 0 <= x: all 31 bits of it. */
static void quantize(double x, int32_t *multiplier, int32_t *shift)
{
    int e;
    int64_t q = llrint(ldexp(frexp(x, &e), 31));

    if (e < -31) { /* CMSIS-NN shifts right by up to 31 */
        q = llrint(ldexp(x, 62));
        e = -31;
    }
    if (q == INT64_C(1) << 31) {
        q /= 2;
        e++;
    }
    *multiplier = (int32_t)q;
    *shift = e;
}

/* For codes of 8 bits. A product is rounded before it is shifted right and again then,
 * which moves a code as often as it is within x / 2 of the middle of two. Without the
 * shift there is one rounding, of a multiplier whose error moves v by v / x * 2^-32. */
static void quantize_for_codes(double x, int32_t *multiplier, int32_t *shift)
{
    static const double LEAST = 0x1p-11;

    quantize(x, multiplier, shift);
    if (x >= LEAST && *shift < 0) {
        *multiplier = (int32_t)llrint(ldexp(x, 31));
        *shift = 0;
    }
}

/* ---- one output ---- */

/* A channel whose sum moves its output by less than DEAD of a code, as one with
 * gamma = 0: the bias alone, and not in units of the tiny m. */
static const double DEAD = 1.0 / 64;
enum { DEAD_SHIFT = 15 };

static bool is_dead(const struct line *l)
{
    return !(fmax(fabs(l->lo), fabs(l->hi)) * fabs(l->m) >= DEAD);
}

static int largest_code(const int8_t *k, size_t n)
{
    int most = 0;

    for (size_t i = 0; i < n; i++)
        most = abs(k[i]) > most ? abs(k[i]) : most;
    return most;
}

/* What codes are multiplied by: a multiple of the bias' parts, as much as container and
 * 32 bits leave room for; 0 if nothing fits. */
static int factor_for(const struct line *l, int most, int container, int parts)
{
    const double sum = fmax(fabs(l->lo), fabs(l->hi)) + fabs(l->b / l->m);
    int f = most > 0 ? container / most : 1;

    f -= f % parts;
    while (f > 0 && !(f * sum * fmax(1, 2 * fabs(l->m) / f) < INT32_MAX))
        f -= parts;
    return f;
}

/* Output o of a unit; line l is its. */
static int put_output(struct omq_c_cmsis_conv *c, const struct omq_export_unit *u, int o,
                      const struct line *l, bool logits)
{
    const int container = c->int4 ? INT4_MAX : INT8_MAX, parts = u->parts > 0 ? u->parts : 1;
    const size_t filter = c->filter, apart = c->depthwise ? c->n / filter : 1;
    const int8_t *k = u->k + (size_t)o * filter;
    const bool dead = is_dead(l);
    const int f = dead ? 0 : factor_for(l, largest_code(k, filter), container, parts);
    int8_t *to = c->k + (c->depthwise ? (size_t)o : (size_t)o * filter);

    if (!dead && f == 0)
        return OMQ_EUNSUP;
    for (size_t i = 0; i < filter; i++)
        to[i * apart] = (int8_t)(l->m < 0 ? -f * k[i] : f * k[i]);
    if (dead) {
        c->bias[o] = (int32_t)lrint(ldexp(fmax(-INT16_MAX, fmin(INT16_MAX, l->b)), DEAD_SHIFT));
        quantize(ldexp(1, -DEAD_SHIFT), &c->multiplier[o], &c->shift[o]);
    } else {
        c->bias[o] = (int32_t)lrint(l->b * f / fabs(l->m));
        (logits ? quantize : quantize_for_codes)(fabs(l->m) / f, &c->multiplier[o], &c->shift[o]);
    }
    return OMQ_OK;
}

/* ---- residuals ---- */

/* There is int4 for one group only; depthwise weights are few, and faster in int8. */
bool omq_c_cmsis_int4(const struct omq_export_numbers *n, int unit)
{
    return n->net->plan.units[unit].groups == 1 && !gives_logits(n, unit) &&
           omq_grid_largest(&n->units[unit].grid) <= INT4_MAX;
}

static struct omq_c_cmsis_sum addition(const struct omq_export_numbers *n, int unit)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_act out = n->tensors[u->out].act, res = n->tensors[u->res].act;
    const double r = (double)n->units[unit].add.r, twice = 2 * fmax(1, r);
    struct omq_c_cmsis_sum a = {
        .res_offset = omq_c_cmsis_less(res) - res.zero_point,
        .out_offset = out.zero_point - omq_c_cmsis_less(out),
        .min = -omq_c_cmsis_less(out), .max = out.q_max - omq_c_cmsis_less(out),
    };

    quantize(1 / twice, &a.in_multiplier, &a.in_shift);
    quantize(r / twice, &a.res_multiplier, &a.res_shift);
    quantize(ldexp(twice, -OMQ_C_CMSIS_ADD_SHIFT), &a.out_multiplier, &a.out_shift);
    return a;
}

/* ---- a convolution ---- */

static int check_shape(const struct omq_export_numbers *n, int unit, struct omq_err *err)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const bool logits = gives_logits(n, unit);

    if (logits && !omq_unit_is_whole(u))
        return omq_fail(err, OMQ_EUNSUP, "'%s' gives the logits, but is not a linear layer: "
                        "leave out --cmsis", u->name);
    if (omq_unit_filter(u) > UINT16_MAX)
        return omq_fail(err, OMQ_EUNSUP, "'%s' sums up %zu products, but CMSIS-NN counts to %d: "
                        "leave out --cmsis", u->name, omq_unit_filter(u), UINT16_MAX);
    return OMQ_OK;
}

static int allocate(struct omq_c_cmsis_conv *c, int oc, struct omq_err *err)
{
    c->k = calloc(c->n, 1);
    c->bias = calloc(3 * (size_t)oc, sizeof(*c->bias));
    if (!c->k || !c->bias) {
        omq_c_cmsis_conv_release(c);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate an export");
    }
    c->multiplier = c->bias + oc;
    c->shift = c->multiplier + oc;
    return OMQ_OK;
}

/* What the convolution's own output is: codes, its part in a sum, or logits. Returns its
 * step, in the units of v. */
static double output_of(struct omq_c_cmsis_conv *c, const struct omq_export_numbers *n, int unit,
                        int logit_one)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_act out = n->tensors[u->out].act;

    if (gives_logits(n, unit)) {
        c->min = INT16_MIN;
        c->max = INT16_MAX;
        return 1.0 / logit_one;
    }
    if (u->res >= 0) {
        c->min = OMQ_PART_MIN;
        c->max = OMQ_PART_MAX;
        c->add = addition(n, unit);
        return 1;
    }
    c->out_offset = out.zero_point - omq_c_cmsis_less(out);
    c->min = -omq_c_cmsis_less(out);
    c->max = out.q_max - omq_c_cmsis_less(out);
    return 1;
}

static int put_outputs(struct omq_c_cmsis_conv *c, const struct omq_export_numbers *n, int unit,
                       double step, struct omq_err *err)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    int rc = OMQ_OK;

    for (int o = 0; rc == OMQ_OK && o < u->oc; o++) {
        const struct line l = line_of(n, unit, o, step);

        if (put_output(c, &n->units[unit], o, &l, gives_logits(n, unit)) < 0)
            rc = omq_fail(err, OMQ_EUNSUP, "the bias of output %d of '%s' is beyond 32 bits in "
                          "units of its sums: leave out --cmsis", o, u->name);
    }
    return rc;
}

int omq_c_cmsis_conv_init(struct omq_c_cmsis_conv *c, const struct omq_export_numbers *n,
                          int unit, int logit_one, struct omq_err *err)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_act in = n->tensors[u->in].act;
    double step;
    int rc = check_shape(n, unit, err);

    *c = (struct omq_c_cmsis_conv){
        .int4 = omq_c_cmsis_int4(n, unit), .depthwise = omq_c_cmsis_depthwise(u),
        .n = (size_t)u->oc * omq_unit_filter(u), .filter = omq_unit_filter(u),
        .in_offset = omq_c_cmsis_less(in) - in.zero_point,
    };
    if (rc < 0 || (rc = allocate(c, u->oc, err)) < 0)
        return rc;
    step = output_of(c, n, unit, logit_one);
    if ((rc = put_outputs(c, n, unit, step, err)) < 0)
        omq_c_cmsis_conv_release(c);
    return rc;
}

void omq_c_cmsis_conv_release(struct omq_c_cmsis_conv *c)
{
    free(c->k);
    free(c->bias);
    c->k = NULL;
    c->bias = c->multiplier = c->shift = NULL;
}

int omq_c_cmsis_logit_one(const struct omq_export_job *job, int *one, struct omq_err *err)
{
    const struct omq_plan *p = &job->choices[0]->net->plan;
    const int unit = p->n_units - 1;
    double most = 1;

    for (int c = 0; c < job->n; c++)
        for (int o = 0; o < p->units[unit].oc; o++) {
            const struct line l = line_of(job->choices[c], unit, o, 1);

            most = fmax(most, fmax(-lowest(&l), highest(&l)));
        }
    *one = (int)fmin(INT16_MAX - 1, (INT16_MAX - 1) / most);
    if (*one == 0)
        return omq_fail(err, OMQ_EUNSUP, "the logits of '%s' can be beyond 16 bits: leave out "
                        "--cmsis", p->units[unit].name);
    return OMQ_OK;
}
