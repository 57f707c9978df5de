/* SPDX-License-Identifier: MIT
 *
 * What the programs need of a live model beyond omq.h: a look at it, its speed and its place
 * in a switch word. Thread rules are omq.h's.
 */
#ifndef OMQ_ENGINE_LIVE_H
#define OMQ_ENGINE_LIVE_H

#include <stdbool.h>

#include "omq.h"

struct omq_model_bench {
    double ms, ms_p10, ms_p90; /* of a batch: median and percentiles */
    double images_per_s;
    int runs, threads;
    char kernel[64];    /* what the convolutions ran on, as in OMQ_CPU */
};
/* omq_model_open() of a model whose precisions are to be looked at: each is prepared when it
 * is run, one at a time, so that one which cannot be is no hindrance. */
int omq_model_open_to_look(struct omq_model **out, const char *path, int threads,
                           struct omq_err *err) OMQ_WARN_UNUSED;
/* Threads that share a batch. */
int omq_model_threads(const struct omq_model *m);
/* Runs batches of generated images at a precision for about so long, and three
 * times at least, after a warm-up. Other users of the model disturb it. */
int omq_model_bench(struct omq_model *m, int precision, int batch, double seconds,
                    struct omq_model_bench *out, struct omq_err *err) OMQ_WARN_UNUSED;

/* The switch word of a model file or a control file, as a precision of m: stored
 * by one write, and read (-1: never set, or to what cannot run). A control file is
 * made if it is not there. */
int omq_switch_store(const struct omq_model *m, int precision, const char *path, bool is_control,
                     struct omq_err *err) OMQ_WARN_UNUSED;
int omq_switch_stored(const struct omq_model *m, const char *path, int *precision,
                      struct omq_err *err) OMQ_WARN_UNUSED;

#endif
