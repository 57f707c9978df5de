/* SPDX-License-Identifier: MIT */
#include "quant/quant.h"

struct omq_grid omq_grid_of(enum omq_grid_kind kind, int bits)
{
    bool midrise = kind == OMQ_GRID_MIDRISE || (kind == OMQ_GRID_AUTO && bits <= 3);
    int half = 1 << (bits - 1);

    if (bits == 1)
        midrise = true;
    if (bits == 8)
        midrise = false;
    if (midrise)
        return (struct omq_grid){bits, true, 1 - 2 * half, 2 * half - 1, (omq_real)half};
    return (struct omq_grid){bits, false, 1 - half, half - 1, (omq_real)half - (omq_real)0.5};
}

int omq_grid_largest(const struct omq_grid *g)
{
    return -g->k_min > g->k_max ? -g->k_min : g->k_max;
}

omq_real omq_grid_unit(const struct omq_grid *g, omq_real step)
{
    return g->midrise ? step / 2 : step;
}

struct omq_act omq_act_of(int bits, bool is_signed)
{
    if (is_signed && bits < 2)
        bits = 2;
    return (struct omq_act){bits, (1 << bits) - 1, is_signed ? 1 << (bits - 1) : 0};
}
