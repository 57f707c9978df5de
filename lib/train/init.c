/* SPDX-License-Identifier: MIT */
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

int omq_init(const char *word, struct omq_err *err)
{
    enum omq_isa isa = omq_cpu_isa();

    if (word && !omq_isa_parse(word, &isa))
        return omq_fail(err, OMQ_EARG, "unknown kernel level 'OMQ_CPU=%s'; try " OMQ_ISA_NAMES,
                        word);
    omq_kern_init(isa, &dropped);
    return OMQ_OK;
}

void omq_build_info(char *buf, size_t size)
{
    snprintf(buf, size, "built with %s; kernels %s%s%s; %s", COMPILER,
             omq_isa_name(omq_kern_isa()), dropped ? ", wrong here and left out: " : "",
             dropped ? dropped : "", omq_blas_name());
}
