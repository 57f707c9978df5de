/* SPDX-License-Identifier: MIT
 *
 * What reading JSON of others by jansson needs beside it.
 */
#ifndef OMQ_BASE_JSON_GUARD_H
#define OMQ_BASE_JSON_GUARD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* About how many values a text has, each of which takes some 100 bytes once it is read:
 * to be compared with a limit before that. */
static inline size_t omq_json_values(const char *text, size_t n)
{
    size_t values = 0;

    for (size_t i = 0; i < n; i++)
        values += text[i] == ',' || text[i] == '[' || text[i] == '{';
    return values;
}

/* Whether a call failed for want of memory: jansson says so in some places, and nothing at
 * all in others. */
static inline bool omq_json_no_memory(const json_error_t *e)
{
    return !e->text[0] || json_error_code(e) == json_error_out_of_memory;
}

#endif
