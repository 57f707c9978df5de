/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdio.h>

#include "kern/kern.h"
#include "omq_tools.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* Kernels that gave other results than the reference on this machine. */
static const char *dropped;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool done;

int omq_init(const char *word, struct omq_err *err)
{
    enum omq_isa isa = omq_cpu_isa();

    if (word && !omq_isa_parse(word, &isa))
        return omq_fail(err, OMQ_EARG, "unknown kernel level 'OMQ_CPU=%s'; there are ref, avx2, "
                        "avx512 and avx512vnni", word);
    pthread_mutex_lock(&lock);
    if (!done)
        omq_kern_init(isa, &dropped);
    done = true;
    pthread_mutex_unlock(&lock);
    return OMQ_OK;
}

void omq_build_info(char *buf, size_t size)
{
    snprintf(buf, size, "built with %s; kernels %s%s%s; %s", COMPILER,
             omq_isa_name(omq_kern_isa()), dropped ? ", wrong here and left out: " : "",
             dropped ? dropped : "", omq_blas_name());
}
