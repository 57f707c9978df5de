/* SPDX-License-Identifier: MIT
 *
 * For loops over many values: ck_assert_msg() that tells Check of failures
 * only. Check writes down every assertion that holds as well, which is most of
 * the time of a loop over codes.
 */
#ifndef OMQ_TESTS_EACH_H
#define OMQ_TESTS_EACH_H

#include <check.h>

#define assert_each(condition, ...)         \
    do {                                    \
        if (!(condition))                   \
            ck_abort_msg(__VA_ARGS__);      \
    } while (0)

#endif
