/* SPDX-License-Identifier: MIT
 *
 * Threads of the library's own.
 */
#ifndef OMQ_BASE_THREAD_H
#define OMQ_BASE_THREAD_H

#include <pthread.h>

/* pthread_create() of a thread that takes no signals: they are for threads of the program,
 * which may wait for them with sigwait() or signalfd(). What a thread's own faults raise, and
 * a profiler's, it takes. 0, or an errno. */
int omq_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

#endif
