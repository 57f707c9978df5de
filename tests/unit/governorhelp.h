/* SPDX-License-Identifier: MIT
 *
 * A governor over four precisions, with figures or without.
 */
#ifndef OMQ_TESTS_GOVERNORHELP_H
#define OMQ_TESTS_GOVERNORHELP_H

#include <check.h>
#include <math.h>

#include "engine/governor.h"

enum { N = 4 };

static const struct omq_governor_precision table[N] = {
    {"w8a8", 4, 92.5}, {"w4a4", 2.6, 91}, {"w2a2", 2, 88.25}, {"w1a1", 1.8, 80},
};
static const struct omq_governor_precision bare[N] = {
    {"w8a8", 0, NAN}, {"w4a4", 0, NAN}, {"w2a2", 0, NAN}, {"small", 0, NAN},
};

static struct omq_err err;
static struct omq_governor *g;

static void close_governor(void)
{
    omq_governor_close(g);
    g = NULL;
}

static void open_with(const char *spec, const char *floor, const struct omq_governor_precision *p)
{
    omq_governor_close(g);
    g = NULL;
    ck_assert_msg(omq_governor_open(&g, spec, floor, p, N, &err) == OMQ_OK, "%s", err.msg);
}

#endif
