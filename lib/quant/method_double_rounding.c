/* SPDX-License-Identifier: MIT
 *
 * Double-Rounding (arXiv 2502.01199): one 8-bit integer model, with one learned
 * step a layer, and every lower width l rounded again from its codes:
 *   K_8 = clip(rint(w/s), -127, 127)      our symmetric range of 8 bits
 *   k   = clip(rint(K_8 / 2^d), -2^(l-1), 2^(l-1) - 1),  d = 8 - l,
 * value k s 2^d. Gradients pass both roundings straight. The step's are LSQ's,
 * times the factor eta of ALRS, the paper's learning rate for scales, which
 * keeps the coarse widths from tearing at the step that all share. The rest of its equation
 * 6 is left out: eta (lr - g), with g the mean over the layers of the largest gradient of a
 * scale, at most 1, is below 0 where gradients exceed the rate. So are updates after each
 * width, which go with it (algorithm A.2): gradients are added for one, as in algorithm A.1.
 *
 * The paper ends at 2 bits; at 1 bit its clip would leave -1 and 0. Our reading
 * is the mid-rise one of the same two cells: -+1 by the sign of K_8 (0 is +1),
 * value k s 2^7 / 2.
 *
 * Activations are LSQ's, a step a width, as omq's are: without eta, which algorithm A.2
 * has for their steps too and which would all but stop those of few bits. First and last
 * layer, which they leave in float, are omq's.
 */
#include "quant/quant_internal.h"

enum { HIGHEST = 8, TOP = 127 };

static struct omq_grid grid(enum omq_grid_kind kind, int bits)
{
    int half = 1 << (bits - 1);

    (void)kind;
    if (bits == HIGHEST || bits == 1)
        return omq_grid_of(OMQ_GRID_AUTO, bits);
    return (struct omq_grid){bits, false, -half, half - 1, (omq_real)half - (omq_real)0.5};
}

/* The step is that of the 8-bit model, whichever width comes first. */
static void init_step(const struct omq_weights *q, omq_real *step)
{
    struct omq_grid g = grid(OMQ_GRID_AUTO, HIGHEST);

    omq_weights_init_step(&g, q->out, q->n, q->w, step, 1);
}

/* Steps s of the 8-bit model to one unit of k. */
static omq_real steps_of(const struct omq_grid *g)
{
    return (omq_real)(g->midrise ? 1 << (HIGHEST - 2) : 1 << (HIGHEST - g->bits));
}

/* Code of t = w/s; false if a clip took it. NaN is the lowest. */
static bool code(const struct omq_grid *g, omq_real t, int *k)
{
    omq_real high = rint(t), low;
    bool inside = high >= -TOP && high <= TOP;

    high = high > -TOP ? (high < TOP ? high : TOP) : -TOP;
    if (g->midrise) {
        *k = high >= 0 ? 1 : -1;
        return inside;
    }
    low = rint(high / steps_of(g));
    *k = low < (omq_real)g->k_min ? g->k_min : low > (omq_real)g->k_max ? g->k_max : (int)low;
    return inside && (omq_real)*k == low;
}

static void forward(struct omq_weights *q)
{
    q->x = q->w;
    q->scale = 1;
    q->n_units = 1;
    q->unit[0] = q->step[0] * steps_of(&q->grid);
    for (size_t i = 0; i < (size_t)q->out * q->n; i++) {
        int k;

        code(&q->grid, q->w[i] / q->step[0], &k);
        q->k[i] = (int8_t)k;
    }
}

/* 1 at 8 bits, then 0.5, 0.1, 0.05, 0.01, ... */
static double alrs(int d) { return d % 2 ? 5 * pow(10.0, -(d + 1) / 2) : pow(10.0, -d / 2); }

static void backward(const struct omq_weights *q, const omq_real *dq, omq_real *dw,
                     omq_real *dstep)
{
    size_t n = (size_t)q->out * q->n;
    double steps = (double)steps_of(&q->grid), sum = 0;

    for (size_t i = 0; i < n; i++) {
        omq_real t = q->w[i] / q->step[0];
        int k;
        bool inside = code(&q->grid, t, &k);

        dw[i] = inside ? dq[i] : 0;
        sum += (double)dq[i] * (steps * k - (inside ? (double)t : 0));
    }
    dstep[0] += (omq_real)(alrs(HIGHEST - q->grid.bits) * sum / sqrt((double)n * TOP));
}

const struct omq_method omq_method_double_rounding = {
    .grid = grid, .wstep = OMQ_WSTEP_SHARED, .init_step = init_step, .forward = forward,
    .backward = backward, .act = &omq_act_step, .edges_of_omq = true,
};
