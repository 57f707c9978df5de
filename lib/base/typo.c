/* SPDX-License-Identifier: MIT */
#include "base/typo.h"

#include <string.h>

static int min2(int a, int b) { return a < b ? a : b; }

/* Optimal string alignment, a row for each letter of a; swaps look two rows back. */
int omq_typo_edits(const char *a, const char *b)
{
    int rows[3][OMQ_TYPO_MAX_WORD + 1];
    int *before = rows[0], *last = rows[1], *now = rows[2];
    size_t n = strlen(a), m = strlen(b);

    if (n > OMQ_TYPO_MAX_WORD || m > OMQ_TYPO_MAX_WORD)
        return OMQ_TYPO_MAX_WORD + 1;
    for (size_t j = 0; j <= m; j++)
        last[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *free_row = before;

        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = min2(min2(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min2(now[j], before[j - 2] + 1);
        }
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

int omq_typo_limit(const char *typed)
{
    size_t n = strlen(typed);

    return n <= 3 ? 1 : n <= 6 ? 2 : 3;
}
