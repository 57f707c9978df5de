/* SPDX-License-Identifier: MIT */
#ifndef OMQ_TESTS_KERNHELP_H
#define OMQ_TESTS_KERNHELP_H

#include <check.h>

#include "kern/kern.h"

/* The table of one level; a level that this machine lacks is the next lower. */
static inline const struct omq_kern *table(int level)
{
    const char *dropped;

    omq_kern_init((enum omq_isa)level, &dropped);
    ck_assert_msg(!dropped, "dropped %s", dropped ? dropped : "");
    return omq_kern();
}

#endif
