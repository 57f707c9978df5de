/* SPDX-License-Identifier: MIT
 *
 * With -DOMQ_NO_BLAS, nothing: the reference's gemm stays.
 */
#include "kern/kern_internal.h"

#ifdef OMQ_NO_BLAS

void omq_blas_init(void) {}

const char *omq_blas_name(void) { return "none"; }

#else
#include <cblas.h>

#ifdef OMQ_DOUBLE
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

void omq_blas_init(void)
{
    openblas_set_num_threads(1);
}

const char *omq_blas_name(void) { return openblas_get_config(); }

void omq_gemm_blas(bool ta, bool tb, int m, int n, int k, const omq_real *a, int lda,
                   const omq_real *b, int ldb, omq_real beta, omq_real *c, int ldc)
{
    GEMM(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1,
         a, lda, b, ldb, beta, c, ldc);
}
#endif
