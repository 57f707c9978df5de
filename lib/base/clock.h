/* SPDX-License-Identifier: MIT */
#ifndef OMQ_BASE_CLOCK_H
#define OMQ_BASE_CLOCK_H

/* Seconds since some fixed moment; never goes back. Any thread. */
double omq_now(void);

/* What n > 0 times were: three of them, in the unit of t. Sorts t. */
struct omq_times {
    double median, p10, p90;
};
struct omq_times omq_times_of(double *t, int n);

#endif
