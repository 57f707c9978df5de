/* SPDX-License-Identifier: MIT */
#include "kern/kern_internal.h"

/* The sum of each element runs over k in order from beta * c, whatever the
 * compiler does with the loop over j: the same bits on every machine. */
void omq_gemm_ref(bool ta, bool tb, int m, int n, int k, const omq_real *a, int lda,
                  const omq_real *b, int ldb, omq_real beta, omq_real *c, int ldc)
{
    const ptrdiff_t a_row = ta ? 1 : lda, a_col = ta ? lda : 1;
    const ptrdiff_t b_row = tb ? 1 : ldb, b_col = tb ? ldb : 1;

    for (ptrdiff_t i = 0; i < m; i++) {
        omq_real *restrict ci = c + i * ldc;

        for (ptrdiff_t j = 0; j < n; j++)
            ci[j] = beta == 0 ? 0 : beta * ci[j];
        for (ptrdiff_t p = 0; p < k; p++) {
            const omq_real x = a[i * a_row + p * a_col];
            const omq_real *bp = b + p * b_row;

            for (ptrdiff_t j = 0; j < n; j++)
                ci[j] += x * bp[j * b_col];
        }
    }
}
