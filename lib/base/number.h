/* SPDX-License-Identifier: MIT
 *
 * Decimal numbers in text, the same in every locale.
 */
#ifndef OMQ_BASE_NUMBER_H
#define OMQ_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* The nearest double to all n bytes of s, such as 75, -0.5 or 1e-05; infinite where that
 * is too large. False, and *out as it was, if they are anything else: empty, longer than 63
 * bytes, "inf", "nan", hexadecimal, with blanks or a unit. */
bool omq_number_parse(const char *s, size_t n, double *out);

#endif
