/* SPDX-License-Identifier: MIT
 *
 * What all governors share: when a switch may happen, and how steps up that
 * did not last make the next one wait longer. What they want is in
 * governor_kinds.c.
 */
#include "engine/governor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Seconds between two switches, and until a step up has proved itself; how
 * often the wait for one doubles. */
static const double RESIDENCY_S = 0.5, PROOF_S = 30;
enum { MAX_RETRIES = 6 };

struct omq_governor_sample omq_governor_sample_at(double t_s)
{
    return (struct omq_governor_sample){
        .t_s = t_s, .batch_ms = NAN, .battery_percent = NAN, .temp_c = NAN, .load_percent = NAN,
    };
}

static int check_precisions(const struct omq_governor_precision *p, int n, struct omq_err *err)
{
    if (n < 1 || n > OMQ_GOVERNOR_MAX_PRECISIONS)
        return omq_fail(err, OMQ_EARG, "%d precisions, a governor takes 1 to %d", n,
                        OMQ_GOVERNOR_MAX_PRECISIONS);
    for (int i = 0; i < n; i++) {
        size_t length = strlen(p[i].name);
        char name[48];

        if (length < 1 || length >= OMQ_GOVERNOR_NAME_SIZE)
            return omq_fail(err, OMQ_EARG, "the name of precision %d, %s, has %zu bytes, not 1 "
                            "to %d", i, omq_governor_quote(p[i].name, length, name), length,
                            OMQ_GOVERNOR_NAME_SIZE - 1);
        if (!(p[i].ms >= 0) || isinf(p[i].ms))
            return omq_fail(err, OMQ_EARG, "%g ms a batch for '%s' is no time; 0 is not known",
                            p[i].ms, p[i].name);
    }
    return OMQ_OK;
}

int omq_governor_open(struct omq_governor **out, const char *spec, const char *floor,
                      const struct omq_governor_precision *p, int n, struct omq_err *err)
{
    const struct omq_governor_kind *kind;
    bool allowed[OMQ_GOVERNOR_MAX_PRECISIONS];
    struct omq_governor *g;
    double limit;
    int rc;

    rc = check_precisions(p, n, err);
    if (rc == OMQ_OK)
        rc = omq_governor_parse(spec, &kind, &limit, err);
    if (rc == OMQ_OK)
        rc = omq_governor_floor(floor, p, n, allowed, err);
    if (rc < 0)
        return rc;
    g = omq_calloc(1, sizeof(*g));
    if (!g)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a governor");
    g->kind = kind;
    g->limit = limit;
    g->best_ms = p[0].ms;
    for (int i = 0; i < n; i++) {
        if (!allowed[i])
            continue;
        g->index[g->n] = i;
        g->ms[g->n++] = p[i].ms;
    }
    *out = g;
    return OMQ_OK;
}

void omq_governor_close(struct omq_governor *g) { free(g); }

int omq_governor_active(const struct omq_governor *g) { return g->index[g->active]; }

const char *omq_governor_lacks(const struct omq_governor *g)
{
    return g->has_read ? NULL : g->kind->reading;
}

int omq_governor_misses(const struct omq_governor *g)
{
    int best = 0;

    if (!g->kind->reading || strcmp(g->kind->reading, "batch_ms") != 0)
        return -1;
    for (int i = 0; i < g->n; i++)
        if (g->ms[i] < g->ms[best])
            best = i;
    return g->ms[best] > g->limit ? g->index[best] : -1;
}

double omq_governor_patience(const struct omq_governor *g, double base)
{
    return ldexp(base, g->retries);
}

/* What was measured at another precision says nothing about this one. */
static void become(struct omq_governor *g, int active)
{
    g->active = active;
    g->switched = g->now;
    g->n_batches = g->next = 0;
    g->high.on = g->low.on = false;
}

int omq_governor_set(struct omq_governor *g, int precision, struct omq_err *err)
{
    for (int i = 0; i < g->n; i++) {
        if (g->index[i] != precision)
            continue;
        if (i != g->active) {
            become(g, i);
            g->unproven = false;
        }
        return OMQ_OK;
    }
    return omq_fail(err, OMQ_EARG, "precision %d is none that the governor's floor allows",
                    precision);
}

/* A step up proves itself by lasting, and to some degree by being followed by
 * another; else the next one has to wait twice as long. */
static void learn(struct omq_governor *g, int to)
{
    if (to > g->active) {
        if (g->unproven && g->retries < MAX_RETRIES)
            g->retries++;
        g->unproven = false;
        return;
    }
    if (g->unproven && g->retries > 0)
        g->retries--;
    g->unproven = true;
    g->proven = g->now + omq_governor_patience(g, PROOF_S);
}

struct omq_governor_decision omq_governor_step(struct omq_governor *g,
                                               const struct omq_governor_sample *s)
{
    struct omq_governor_decision d = {.precision = g->index[g->active]};
    struct omq_governor_wish w = {.to = g->active};

    if (!isfinite(s->t_s) || (g->started && s->t_s < g->now))
        return d;
    if (!g->started)
        g->switched = s->t_s;
    g->started = true;
    g->now = s->t_s;
    if (g->unproven && g->now >= g->proven) {
        g->unproven = false;
        g->retries = 0;
    }
    if (g->kind->wish(g, s, &w))
        g->has_read = true;
    if (w.to == g->active || (!w.urgent && g->now - g->switched < RESIDENCY_S))
        return d;
    learn(g, w.to);
    become(g, w.to);
    d.precision = g->index[g->active];
    d.changed = true;
    memcpy(d.reason, w.reason, sizeof(d.reason));
    return d;
}
