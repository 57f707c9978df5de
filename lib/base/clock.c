/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

double omq_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct omq_times omq_times_of(double *t, int n)
{
    qsort(t, (size_t)n, sizeof(*t), by_value);
    return (struct omq_times){t[n / 2], t[n / 10], t[(int64_t)n * 9 / 10]};
}
