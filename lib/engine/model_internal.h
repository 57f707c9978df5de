/* SPDX-License-Identifier: MIT
 *
 * omq.h's model: a file's network, the plans that are ready, and room for the
 * batches that run (batch.c).
 */
#ifndef OMQ_ENGINE_MODEL_INTERNAL_H
#define OMQ_ENGINE_MODEL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine_internal.h"

struct omq_model {
    struct omq_net net;
    struct omq_model_info info;
    struct omq_preprocess pre;
    int n_classes, n_choices;
    struct omq_choice *choices; /* [n_choices] */
    struct omq_residents *residents;
    struct omq_pool *pool;
    pthread_mutex_t pool_lock;  /* whoever runs the pool has it */
    pthread_mutex_t work_lock;
    struct omq_work *idle;      /* batch.c */
    atomic_ullong batches, images;
};

static inline int omq_model_check_choice(const struct omq_model *m, int i, struct omq_err *err)
{
    if (i >= 0 && i < m->n_choices)
        return OMQ_OK;
    return omq_fail(err, OMQ_EARG, "the model has no precision number %d", i);
}

/* batch.c: memory of batches that have run. */
void omq_model_free_work(struct omq_model *m);

#endif
