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

/* Dot products of 16-bit codes: written as the compiler's dot-product pattern
 * (pmaddwd on every x86-64), four rows of w to one reading of a. */
static inline int32_t dot1(int k, const int16_t *restrict a, const int16_t *restrict w)
{
    int32_t s = 0;

    for (int p = 0; p < k; p++)
        s += a[p] * w[p];
    return s;
}

static inline void dot4(int k, const int16_t *restrict a, const int16_t *restrict w,
                        int32_t *restrict acc)
{
    const int16_t *w1 = w + k, *w2 = w1 + k, *w3 = w2 + k;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;

    for (int p = 0; p < k; p++) {
        s0 += a[p] * w[p];
        s1 += a[p] * w1[p];
        s2 += a[p] * w2[p];
        s3 += a[p] * w3[p];
    }
    acc[0] = s0;
    acc[1] = s1;
    acc[2] = s2;
    acc[3] = s3;
}

void omq_gemm_s16_ref(int m, int n, int k, const int16_t *a, const int16_t *w, int32_t *acc)
{
    for (int i = 0; i < m; i++, a += k, acc += n) {
        int j = 0;

        for (; j + 4 <= n; j += 4)
            dot4(k, a, w + (ptrdiff_t)j * k, acc + j);
        for (; j < n; j++)
            acc[j] = dot1(k, a, w + (ptrdiff_t)j * k);
    }
}
