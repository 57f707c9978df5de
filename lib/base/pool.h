/* SPDX-License-Identifier: MIT
 *
 * The one thread pool. omq_pool_run() splits [0, n) into one contiguous range
 * a thread: thread t of T gets [n*t/T, n*(t+1)/T). The split depends on n and T
 * only, so results that are reduced in thread order repeat exactly.
 *
 * Thread rule: one omq_pool_run() at a time a pool; the caller takes part as
 * thread 0; fn must not call omq_pool_run() on the same pool.
 */
#ifndef OMQ_BASE_POOL_H
#define OMQ_BASE_POOL_H

#include <stdbool.h>

#include "base/err.h"

struct omq_pool;

/* fn handles items begin <= i < end as thread `thread`. */
typedef void omq_pool_fn(void *arg, int thread, int begin, int end);

/* n_threads in 1..OMQ_MAX_THREADS; 0 means one a processor, and not more than that. */
int omq_pool_open(struct omq_pool **out, int n_threads, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_pool_close(struct omq_pool *p); /* NULL is fine */
int omq_pool_threads(const struct omq_pool *p);
/* Whether a thread has any of n items. */
bool omq_pool_has_share(const struct omq_pool *p, int thread, int n);
void omq_pool_run(struct omq_pool *p, omq_pool_fn *fn, void *arg, int n);

/* For each turn of a loop that waits for another thread. */
static inline void omq_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* yield, which is meant for this, does nothing on most of them */
#endif
}

#endif
