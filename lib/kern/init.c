/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "kern/kern.h"

/* Kernels that gave other results than the reference on this machine. */
static const char *dropped;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool done;

int omq_init(const char *word, struct omq_err *err)
{
    enum omq_isa isa = OMQ_ISA_REF;

    if (word && !omq_isa_parse(word, &isa))
        return omq_fail(err, OMQ_EARG, "unknown kernel level '%s'; try " OMQ_ISA_NAMES, word);
    pthread_mutex_lock(&lock);
    if (!done)
        omq_kern_init(word ? isa : omq_cpu_isa(), &dropped);
    done = true;
    pthread_mutex_unlock(&lock);
    return OMQ_OK;
}

const char *omq_kern_dropped(void)
{
    return dropped;
}
