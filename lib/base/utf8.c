/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

long omq_utf8_decode(const char *p, size_t n, size_t *length)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *b = (const unsigned char *)p;
    size_t k = b[0] < 0x80 ? 1 : b[0] >> 5 == 6 ? 2 : b[0] >> 4 == 14 ? 3 : b[0] >> 3 == 30 ? 4 : 0;
    long c;

    if (k == 0 || k > n)
        return -1;
    c = k == 1 ? b[0] : b[0] & (0x7F >> k);
    for (size_t i = 1; i < k; i++) {
        if (b[i] >> 6 != 2)
            return -1;
        c = c << 6 | (b[i] & 0x3F);
    }
    *length = k;
    return c < least[k] || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF ? -1 : c;
}

/* Whether all characters are at least `least`, and none one of U+007F to U+009F if
 * that is above them. */
static bool all(const char *text, size_t n, long least)
{
    for (size_t i = 0, length; i < n; i += length) {
        long c = omq_utf8_decode(text + i, n - i, &length);

        if (c < least || (least > 1 && c >= 0x7F && c < 0xA0))
            return false;
    }
    return true;
}

bool omq_utf8_valid(const char *text, size_t n) { return all(text, n, 1); }

bool omq_utf8_printable(const char *text, size_t n) { return all(text, n, 0x20); }
