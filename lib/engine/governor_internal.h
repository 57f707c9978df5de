/* SPDX-License-Identifier: MIT
 *
 * What the files of the governors share.
 */
#ifndef OMQ_ENGINE_GOVERNOR_INTERNAL_H
#define OMQ_ENGINE_GOVERNOR_INTERNAL_H

#include <stddef.h>

#include "engine/governor.h"

enum { GOVERNOR_WINDOW = 256 };

/* Since when a condition has been true of every reading. */
struct omq_governor_held {
    bool on;
    double since;
};

/* What a kind wants: `to` is an index among the allowed. */
struct omq_governor_wish {
    int to;
    bool urgent; /* does not wait for the residency */
    char reason[OMQ_GOVERNOR_REASON_SIZE];
};

struct omq_governor_kind {
    const char *name;
    const char *unit, *argument; /* NULL: takes none */
    double lo, hi;               /* of the argument */
    const char *reading;         /* that it goes by; NULL: none */
    /* Returns whether the sample had that reading. */
    bool (*wish)(struct omq_governor *g, const struct omq_governor_sample *s,
                 struct omq_governor_wish *w);
};

/* All kinds, a row each; the last has no name. */
extern const struct omq_governor_kind omq_governor_kinds[];

struct omq_governor {
    const struct omq_governor_kind *kind;
    double limit;
    double best_ms; /* of p[0], allowed or not */

    /* the precisions that the floor allows, best first */
    int n;
    int index[OMQ_GOVERNOR_MAX_PRECISIONS]; /* into the caller's */
    double ms[OMQ_GOVERNOR_MAX_PRECISIONS];

    int active; /* among the allowed */
    bool started;
    bool has_read; /* what it goes by, at least once */
    double now, switched; /* t_s of the last sample, of the last switch */

    /* the last step up: whether it may still be taken back, and until when */
    bool unproven;
    double proven;
    int retries;    /* steps up that were taken back, at most MAX_RETRIES */

    struct omq_governor_held high, low;

    int n_batches, next; /* a ring: the next one goes there */
    double batch_t[GOVERNOR_WINDOW], batch_ms[GOVERNOR_WINDOW];
};

/* base times two for each step up that was taken back. */
double omq_governor_patience(const struct omq_governor *g, double base);

/* The text in quotes, shortened, with '?' for what is not printable. */
const char *omq_governor_quote(const char *s, size_t n, char buf[48]);

int omq_governor_parse(const char *spec, const struct omq_governor_kind **kind, double *limit,
                       struct omq_err *err) OMQ_WARN_UNUSED;

/* allowed[n]: which precisions floor (or NULL) lets through; at least one. */
int omq_governor_floor(const char *floor, const struct omq_governor_precision *p, int n,
                       bool *allowed, struct omq_err *err) OMQ_WARN_UNUSED;

#endif
