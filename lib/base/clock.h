/* SPDX-License-Identifier: MIT */
#ifndef OMQ_BASE_CLOCK_H
#define OMQ_BASE_CLOCK_H

/* Seconds since some fixed moment; never goes back. Any thread. */
double omq_now(void);

#endif
