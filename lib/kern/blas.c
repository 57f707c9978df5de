/* SPDX-License-Identifier: MIT
 *
 * With -DOMQ_NO_BLAS, nothing: the reference's gemm stays.
 */
#include "kern/kern_internal.h"

#ifdef OMQ_NO_BLAS

int omq_blas_threads(void) { return 1; }

void omq_blas_give_back(int threads) { (void)threads; }

const char *omq_blas_name(void) { return "none"; }

#else
#include <cblas.h>
#include <pthread.h>
#include <stdatomic.h>

#ifdef OMQ_DOUBLE
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_single;

static void set_threads(int n)
{
    pthread_mutex_lock(&lock);
    openblas_set_num_threads(n);
    is_single = n == 1;
    pthread_mutex_unlock(&lock);
}

int omq_blas_threads(void) { return openblas_get_num_threads(); }

void omq_blas_give_back(int threads) { set_threads(threads); }

const char *omq_blas_name(void) { return openblas_get_config(); }

void omq_gemm_blas(bool ta, bool tb, int m, int n, int k, const omq_real *a, int lda,
                   const omq_real *b, int ldb, omq_real beta, omq_real *c, int ldc)
{
    if (!is_single)
        set_threads(1);
    GEMM(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1,
         a, lda, b, ldb, beta, c, ldc);
}
#endif
