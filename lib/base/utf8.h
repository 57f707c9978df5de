/* SPDX-License-Identifier: MIT
 *
 * UTF-8 (Unicode, table 3-7): what text from files must be.
 */
#ifndef OMQ_BASE_UTF8_H
#define OMQ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The character at p, of which n >= 1 bytes are left, and its length; -1 if it is
 * none. */
long omq_utf8_decode(const char *p, size_t n, size_t *length);

/* Whether all n bytes are UTF-8, without zeros. */
bool omq_utf8_valid(const char *text, size_t n);

/* The same, and without control characters (U+0000 to U+001F, U+007F to U+009F): fit to
 * stand in a message. */
bool omq_utf8_printable(const char *text, size_t n);

#endif
