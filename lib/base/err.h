/* SPDX-License-Identifier: MIT
 *
 * Errors as values. A function that fails returns omq_fail(...); each caller
 * may prefix what it was doing with omq_wrap(). Messages are lower case, have
 * no full stop, say the error first, quote the subject in single quotes and
 * end with what to do, if known.
 */
#ifndef OMQ_BASE_ERR_H
#define OMQ_BASE_ERR_H

#include "omq.h"

#if defined(__GNUC__)
#define OMQ_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define OMQ_PRINTF(f, a)
#endif

/* Stores code and message in *err (if not NULL); returns code. */
int omq_fail(struct omq_err *err, int code, const char *fmt, ...) OMQ_PRINTF(3, 4);

/* The same, with ": " and the text of errno appended. */
int omq_fail_errno(struct omq_err *err, int code, const char *fmt, ...) OMQ_PRINTF(3, 4);

/* Prefixes the message of an error that came up, in *err (if not NULL), with "fmt: ";
 * returns code, which is that error's. */
int omq_wrap(struct omq_err *err, int code, const char *fmt, ...) OMQ_PRINTF(3, 4);

/* For broken invariants of our own, never for input: prints and aborts. */
#define OMQ_BUG(msg) omq_bug(__FILE__, __LINE__, msg)
_Noreturn void omq_bug(const char *file, int line, const char *msg);

#endif
