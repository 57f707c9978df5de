/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* strtod_l */
#include "base/number.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

bool omq_number_parse(const char *s, size_t n, double *out)
{
    char text[64], *end;
    locale_t plain;
    double x;

    if (n == 0 || n >= sizeof(text))
        return false;
    memcpy(text, s, n);
    text[n] = 0;
    if (strspn(text, "+-.0123456789eE") != n)
        return false;
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return false;
    x = strtod_l(text, &end, plain);
    freelocale(plain);
    if (end != text + n)
        return false;
    *out = x;
    return true;
}
