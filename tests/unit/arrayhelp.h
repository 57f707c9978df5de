/* SPDX-License-Identifier: MIT
 *
 * Arrays of weights by their names.
 */
#ifndef OMQ_TESTS_ARRAYHELP_H
#define OMQ_TESTS_ARRAYHELP_H

#include <string.h>

#include "port/source.h"

/* NULL if there is none. */
static inline const struct omq_source_array *find_array(const struct omq_source *s,
                                                        const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->list[i].name, name) == 0)
            return &s->list[i];
    return NULL;
}

#endif
