/* SPDX-License-Identifier: MIT */
#include "quant/quant_internal.h"

static omq_real clamp(omq_real x, omq_real lo, omq_real hi)
{
    return x > lo ? (x < hi ? x : hi) : lo;
}

double omq_act_error(const struct omq_act *a, omq_real step, size_t n, size_t stride,
                     const omq_real *x)
{
    omq_real lo = (omq_real)-a->zero_point, hi = (omq_real)(a->q_max - a->zero_point);
    omq_real inv = 1 / step;
    double sum = 0;

    for (size_t i = 0; i < n; i += stride) {
        double d = (double)(x[i] - step * clamp(rint(x[i] * inv), lo, hi));

        sum += d * d;
    }
    return sum;
}

/* Where the first level is passed at half a step, a step of twice the mean is the best for
 * exponential values. Of heavier tails the best is larger: it is for the few large values,
 * and rounds nearly all the others to 0, of which no layer learns. */
enum { MOST_MEANS = 2 };

omq_real omq_act_init_step(const struct omq_act *a, size_t n, const omq_real *x)
{
    size_t stride = n / 16384 | 1, count = 0; /* odd, so that it meets every channel */
    omq_real lo = (omq_real)a->zero_point, hi = (omq_real)(a->q_max - a->zero_point);
    omq_real top = 0, best, most;
    double least = INFINITY, sum = 0;

    for (size_t i = 0; i < n; i += stride) {
        if (!(x[i] > 0) && !(a->zero_point && x[i] < 0))
            continue;
        top = fmax(top, x[i] > 0 ? x[i] / hi : -x[i] / lo);
        sum += fabs((double)x[i]);
        count++;
    }
    if (!(top > 0))
        return 1; /* nothing but zeros so far: training will find its scale */
    most = (omq_real)(MOST_MEANS * sum / (double)count);
    best = fmin(top, most);
    for (int i = 0; i < 32; i++, top *= (omq_real)0.870550563296124) { /* 2^(-1/5) */
        double e = top > most ? INFINITY : omq_act_error(a, top, n, stride, x);

        if (e < least) {
            least = e;
            best = top;
        }
    }
    return best;
}

/* ---- what methods do ---- */

/* Steps from 0 to the end of the codes; of signed ones, to the lower end. */
static int reach(const struct omq_act *a) { return a->zero_point ? a->zero_point : a->q_max; }

static omq_real as_is(const struct omq_act *a, omq_real step)
{
    (void)a;
    return step;
}

/* LSQ: scaled by the number of values and of levels. */
static double scaled(const struct omq_act *a, double sum, double n)
{
    return sum / sqrt(n * a->q_max);
}

const struct omq_act_method omq_act_step = {
    .learned = true, .init = omq_act_init_step, .step = as_is, .gradient = scaled,
};

/* SAT (BMVC 2020): y = alpha q(x / alpha), so that with the step s = alpha / n,
 * n = 2^a - 1, dy/dalpha = (dy/ds) / n: q(x/alpha) - x/alpha inside, 1 above.
 * Nothing scales it. The parameter is alpha itself and not s: with s, the plain
 * rate of alpha would be one of lr / n^2 for SGD and lr / n for Adam, and a
 * bound of a tenth of itself an update would be the same for both. Theirs,
 * |alpha| > 0, has no such bound; at 8 it allows 0.8 an update. */
static omq_real first_clip(const struct omq_act *a, size_t n, const omq_real *x)
{
    (void)a;
    (void)n;
    (void)x;
    return 8;
}

static omq_real step_of_clip(const struct omq_act *a, omq_real clip)
{
    return clip / (omq_real)reach(a);
}

static double per_reach(const struct omq_act *a, double sum, double n)
{
    (void)n;
    return sum / reach(a);
}

const struct omq_act_method omq_act_clip = {
    .learned = true, .is_clip = true, .init = first_clip, .step = step_of_clip,
    .gradient = per_reach,
};

/* DoReFa: clamp(x, 0, 1). Where a tensor is signed, which its networks do not
 * have, clamp(x, -1, 1). */
static omq_real step_of_unit(const struct omq_act *a, omq_real param)
{
    (void)param;
    return 1 / (omq_real)reach(a);
}

const struct omq_act_method omq_act_unit_range = {.step = step_of_unit};
