/* SPDX-License-Identifier: MIT
 *
 * What a target is sure of: where it does not hold, that is said and the target
 * crashes, which both mains take for a finding.
 */
#ifndef OMQ_TESTS_FUZZ_CHECK_H
#define OMQ_TESTS_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define check(ok) check_at(__FILE__, __LINE__, #ok, ok, "")
/* With what `err`, the caller's struct omq_err, says: it must hold a text, or zeros. */
#define check_said(ok) check_at(__FILE__, __LINE__, #ok, ok, err.msg)

static inline void check_at(const char *file, int line, const char *what, int ok,
                            const char *said)
{
    if (!ok) {
        fprintf(stderr, "%s:%d: not so: %s%s%s\n", file, line, what, *said ? ": " : "", said);
        abort();
    }
}

#endif
