/* SPDX-License-Identifier: MIT
 *
 * Weight quantizer: learned steps after LSQ (Esser et al., ICLR 2020), on the
 * grids of docs/method.md.
 */
#include "kern/kern.h"
#include "quant/quant_internal.h"

/* Value of a code in steps: k, or k/2 on the mid-rise grid. */
static omq_real in_steps(const struct omq_grid *g, int k)
{
    return g->midrise ? (omq_real)k / 2 : (omq_real)k;
}

void omq_weights_quantize(const struct omq_grid *g, int out, size_t n, const omq_real *w,
                          const omq_real *step, int n_steps, int8_t *k)
{
    for (int o = 0; o < out; o += n_steps == 1 ? out : 1) {
        size_t some = n_steps == 1 ? (size_t)out * n : n;

        omq_kern()->quantize_weights(some, w, step[o], g->midrise, g->k_max, k);
        w += some;
        k += some;
    }
}

/* The gradients of n weights, and the sum of theirs of the step in LANES parts, each of
 * every LANES-th weight, which do not wait for one another. */
enum { LANES = 8 };

static inline void backward_some(const struct omq_grid *g, size_t n, const omq_real *restrict w,
                                 const int8_t *restrict k, omq_real step,
                                 const omq_real *restrict dq, omq_real *restrict dw,
                                 double *restrict sums)
{
    const omq_real unit = in_steps(g, 1), edge = g->edge;

    for (size_t j = 0; j < n; j++) {
        const omq_real t = w[j] / step, inside = fabs(t) <= edge ? t : 0;

        dw[j] = fabs(t) <= edge ? dq[j] : 0;
        sums[j] += (double)dq[j] * (double)(unit * (omq_real)k[j] - inside);
    }
}

void omq_weights_backward(const struct omq_grid *g, size_t n, size_t n_shared, const omq_real *w,
                          const int8_t *k, omq_real step, const omq_real *dq, omq_real *dw,
                          omq_real *dstep)
{
    const double q_max = fmax(1.0, (double)in_steps(g, g->k_max));
    double sums[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        backward_some(g, LANES, w + i, k + i, step, dq + i, dw + i, sums);
    backward_some(g, n - i, w + i, k + i, step, dq + i, dw + i, sums);
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    *dstep += (omq_real)(1.0 / sqrt((double)n_shared * q_max) * sum);
}

/* Steps below would leave the range of a float; training lets none fall further. */
#define SMALLEST_STEP ((omq_real)1e-8)

/* Squared error of n weights at step s. */
static double error_at(const struct omq_grid *g, size_t n, const omq_real *w, omq_real s)
{
    enum { SOME = 512 };
    int8_t k[SOME];
    double sum = 0;

    for (size_t at = 0; at < n; at += SOME) {
        size_t some = n - at < SOME ? n - at : SOME;

        omq_kern()->quantize_weights(some, w + at, s, g->midrise, g->k_max, k);
        for (size_t i = 0; i < some; i++) {
            double d = (double)(w[at + i] - s * in_steps(g, k[i]));

            sum += d * d;
        }
    }
    return sum;
}

/* Least squares over a geometric range of steps below the one that clips
 * nothing; 2^(-1/8) apart, which is closer than training moves them, and down
 * to a thirtieth of it, so that one far outlier does not decide. */
static omq_real search(const struct omq_grid *g, size_t n, const omq_real *w)
{
    omq_real peak = 0, best, s;
    double mean = 0, least;

    for (size_t i = 0; i < n; i++) {
        peak = fmax(peak, fabs(w[i]));
        mean += (double)fabs(w[i]);
    }
    if (!(peak > OMQ_NOTHING)) /* all zero, but a mid-rise grid has no code for that */
        return g->midrise ? SMALLEST_STEP : 1;
    if (g->bits == 1)
        return (omq_real)(2 * mean / (double)n);
    s = best = peak / in_steps(g, g->k_max);
    least = error_at(g, n, w, s);
    for (int i = 1; i < 40; i++) {
        double e;

        s *= (omq_real)0.917004043204671; /* 2^(-1/8) */
        e = error_at(g, n, w, s);
        if (e < least) {
            least = e;
            best = s;
        }
    }
    return best;
}

void omq_weights_init_step(const struct omq_grid *g, int out, size_t n, const omq_real *w,
                           omq_real *step, int n_steps)
{
    if (n_steps == 1) {
        step[0] = search(g, (size_t)out * n, w);
        return;
    }
    for (int o = 0; o < out; o++)
        step[o] = search(g, n, w + (size_t)o * n);
}
