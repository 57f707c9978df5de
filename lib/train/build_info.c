/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "kern/kern.h"
#include "omq_tools.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

void omq_build_info(char *buf, size_t size)
{
    const char *dropped = omq_kern_dropped();

    snprintf(buf, size, "built with %s; kernels %s%s%s; %s", COMPILER,
             omq_isa_name(omq_kern_isa()), dropped ? ", wrong here and left out: " : "",
             dropped ? dropped : "", omq_blas_name());
}
