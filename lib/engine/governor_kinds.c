/* SPDX-License-Identifier: MIT
 *
 * The kinds of governors: what each wants, given a sample. To add one, write a
 * function and a row of omq_governor_kinds[]; governor.h says what each does.
 */
#include "engine/governor_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* latency: the window is of WINDOW_S, and of MIN_BATCHES at least, but none before STALE_S. */
static const double WINDOW_S = 1, STALE_S = 60, HYSTERESIS = 0.2, OVERLOAD = 2, STEP_COST = 1.25;
static const double LATENCY_UP_S = 3;
enum { MIN_BATCHES = 50, READY_BATCHES = 20, IN_A_ROW = 3 };
/* The others. Margins are in the unit of the reading. */
static const double DOWN_S = 2, UP_S = 10;
static const double THERMAL_MARGIN = 5, LOAD_MARGIN = 10, BATTERY_MARGIN = 5;
static const double BATTERY_LOWEST = 0.5; /* of the limit: where the lowest is reached */

/* The slack of rounded times: 2.3 - 0.3 is a bit less than 2. */
static const double TIME_EPS = 1e-9;

/* Seconds for which a condition has been true of every reading, however far apart these are:
 * where images come every few minutes there are no others. -1 if it is not. */
static double held(struct omq_governor_held *h, bool is_true, double now)
{
    if (is_true && !h->on)
        h->since = now;
    h->on = is_true;
    return is_true ? now - h->since + TIME_EPS : -1;
}

/* Three digits, without exponent for what occurs here. */
static const char *digits(double x, char buf[24])
{
    snprintf(buf, 24, fabs(x) < 999.5 ? "%.3g" : "%.0f", x);
    return buf;
}

static bool manual(struct omq_governor *g, const struct omq_governor_sample *s,
                   struct omq_governor_wish *w)
{
    (void)g;
    (void)s;
    (void)w;
    return false;
}

/* ---- latency */

/* The k-th last batch; 0 is the last. */
static int back(const struct omq_governor *g, int k)
{
    return (g->next - 1 - k + 2 * GOVERNOR_WINDOW) % GOVERNOR_WINDOW;
}

/* Adds a batch; forgets those too old to count. */
static void add_batch(struct omq_governor *g, double ms)
{
    g->batch_t[g->next] = g->now;
    g->batch_ms[g->next] = ms;
    g->next = (g->next + 1) % GOVERNOR_WINDOW;
    if (g->n_batches < GOVERNOR_WINDOW)
        g->n_batches++;
    while (g->n_batches > 1) {
        double age = g->now - g->batch_t[back(g, g->n_batches - 1)];

        if (age <= WINDOW_S || (g->n_batches <= MIN_BATCHES && age <= STALE_S))
            break;
        g->n_batches--;
    }
}

/* Whether the 95th percentile is over x, beyond doubt: more batches are over x
 * than a twentieth and two standard errors of that, and not just one. Counts, so
 * that it can be done each batch. */
static bool p95_over(const struct omq_governor *g, double x)
{
    double n = g->n_batches;
    int over = 0;

    for (int k = 0; k < g->n_batches; k++)
        over += g->batch_ms[back(g, k)] > x;
    return over > 1 && over > 0.05 * n + 2 * sqrt(n * 0.05 * 0.95);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x < y) - (x > y);
}

/* By nearest rank: as many batches are longer as fit into a twentieth. */
static double p95(const struct omq_governor *g)
{
    double ms[GOVERNOR_WINDOW];

    for (int k = 0; k < g->n_batches; k++)
        ms[k] = g->batch_ms[back(g, k)];
    qsort(ms, (size_t)g->n_batches, sizeof(ms[0]), descending);
    return ms[g->n_batches / 20];
}

/* The shortest of the last IN_A_ROW batches, 0 if there are not so many. */
static double fastest_in_a_row(const struct omq_governor *g)
{
    double ms = INFINITY;

    if (g->n_batches < IN_A_ROW)
        return 0;
    for (int k = 0; k < IN_A_ROW; k++)
        ms = fmin(ms, g->batch_ms[back(g, k)]);
    return ms;
}

/* Where to go down to if batches take ms now; the active one if nothing helps. */
static int lower(const struct omq_governor *g, double ms)
{
    int a = g->active, best = a;

    for (int i = a + 1; i < g->n; i++) {
        if (g->ms[a] == 0 || g->ms[i] == 0)
            return a + 1;
        if (g->ms[i] < g->ms[best])
            best = i;
        if (g->ms[i] < g->ms[a] && ms * (g->ms[i] / g->ms[a]) <= g->limit)
            return i;
    }
    return best;
}

/* Where to go up to: one step, but past a precision that takes longer than a better one. */
static int upper(const struct omq_governor *g)
{
    int best = g->active - 1;

    for (int i = best - 1; i >= 0; i--) {
        if (g->ms[i] > 0 && g->ms[i] < g->ms[best])
            best = i;
    }
    return best;
}

/* What a batch of a better precision costs, in batches of the active one. */
static double cost_of(const struct omq_governor *g, int better)
{
    double there = g->ms[better], here = g->ms[g->active];

    return there > 0 && here > 0 ? fmax(there / here, 1) : STEP_COST;
}

static void latency_down(struct omq_governor *g, struct omq_governor_wish *w)
{
    double row = fastest_in_a_row(g), ms;
    char a[24], b[24];

    w->urgent = row > OVERLOAD * g->limit;
    ms = w->urgent ? row : p95(g);
    w->to = lower(g, ms);
    if (w->urgent)
        snprintf(w->reason, sizeof(w->reason), "latency: %d batches of %s ms and more, over "
                 "twice %s ms", IN_A_ROW, digits(ms, a), digits(g->limit, b));
    else
        snprintf(w->reason, sizeof(w->reason), "latency: p95 %s ms over %s ms", digits(ms, a),
                 digits(g->limit, b));
}

static void latency_up(struct omq_governor *g, struct omq_governor_wish *w)
{
    double cost, wait = omq_governor_patience(g, LATENCY_UP_S);
    double target = (1 - HYSTERESIS) * g->limit;
    char a[24], b[24];
    int to;

    if (g->active == 0)
        return;
    to = upper(g);
    cost = cost_of(g, to);
    if (held(&g->low, !p95_over(g, target / cost), g->now) < wait)
        return;
    w->to = to;
    snprintf(w->reason, sizeof(w->reason), "latency: p95 %s ms, %s ms expected there, for %.0f s",
             digits(p95(g), a), digits(p95(g) * cost, b), wait);
}

static bool latency(struct omq_governor *g, const struct omq_governor_sample *s,
                    struct omq_governor_wish *w)
{
    bool ready, over;

    if (!(s->batch_ms >= 0) || isinf(s->batch_ms))
        return false;
    add_batch(g, s->batch_ms);
    ready = g->n_batches >= READY_BATCHES ||
            (g->n_batches >= IN_A_ROW &&
             g->now - g->batch_t[back(g, g->n_batches - 1)] >= WINDOW_S - TIME_EPS);
    over = fastest_in_a_row(g) > OVERLOAD * g->limit || (ready && p95_over(g, g->limit));
    if (over)
        latency_down(g, w);
    if (over || !ready)
        g->low.on = false;
    else
        latency_up(g, w);
    return true;
}

/* ---- thermal, load */

static void band(struct omq_governor *g, double reading, double margin, struct omq_governor_wish *w)
{
    double wait = omq_governor_patience(g, UP_S);
    const char *name = g->kind->name, *unit = g->kind->unit;
    double over = held(&g->high, reading > g->limit, g->now);
    double under = held(&g->low, reading <= g->limit - margin, g->now);
    char a[24], b[24];

    if (over >= DOWN_S && g->active < g->n - 1) {
        w->to = g->active + 1;
        snprintf(w->reason, sizeof(w->reason), "%s: %s %s, over %s %s for %.0f s", name,
                 digits(reading, a), unit, digits(g->limit, b), unit, DOWN_S);
    } else if (under >= wait && g->active > 0) {
        w->to = g->active - 1;
        snprintf(w->reason, sizeof(w->reason), "%s: %s %s, at most %s %s for %.0f s", name,
                 digits(reading, a), unit, digits(g->limit - margin, b), unit, wait);
    }
}

static bool thermal(struct omq_governor *g, const struct omq_governor_sample *s,
                    struct omq_governor_wish *w)
{
    if (!(s->temp_c >= -50 && s->temp_c <= 150))
        return false;
    band(g, s->temp_c, THERMAL_MARGIN, w);
    return true;
}

static bool load(struct omq_governor *g, const struct omq_governor_sample *s,
                 struct omq_governor_wish *w)
{
    if (!(s->load_percent >= 0 && s->load_percent <= 100))
        return false;
    band(g, s->load_percent, LOAD_MARGIN, w);
    return true;
}

/* ---- battery */

/* Linear: the best at the limit, the lowest at BATTERY_LOWEST of it. */
static int for_charge(const struct omq_governor *g, double percent)
{
    double missing = (g->limit - percent) / (g->limit * (1 - BATTERY_LOWEST));

    if (missing <= 0)
        return 0;
    return (int)ceil(fmin(missing, 1) * (g->n - 1) - 1e-9);
}

static bool battery(struct omq_governor *g, const struct omq_governor_sample *s,
                    struct omq_governor_wish *w)
{
    double percent = s->battery_percent, wait = omq_governor_patience(g, UP_S), low, high;
    int down, up;
    char a[24], b[24];

    if (!(percent >= 0 && percent <= 100))
        return false;
    down = s->charging ? 0 : for_charge(g, percent);
    up = s->charging ? 0 : for_charge(g, percent - BATTERY_MARGIN);
    low = held(&g->low, down > g->active, g->now);
    high = held(&g->high, up < g->active, g->now);
    if (low >= DOWN_S) {
        w->to = down;
        snprintf(w->reason, sizeof(w->reason), "battery: %s %% under %s %%", digits(percent, a),
                 digits(g->limit, b));
    } else if (high >= wait) {
        w->to = up;
        snprintf(w->reason, sizeof(w->reason), "battery: %s %%%s for %.0f s", digits(percent, a),
                 s->charging ? ", charging" : ", recovered", wait);
    }
    return true;
}

const struct omq_governor_kind omq_governor_kinds[] = {
    {"manual", NULL, NULL, 0, 0, NULL, manual},
    {"latency", "ms", "MS", 0.01, 60000, "batch_ms", latency},
    {"battery", "%", "PERCENT", 5, 95, "battery_percent", battery},
    {"thermal", "C", "DEGREES", 30, 110, "temp_c", thermal},
    {"load", "%", "PERCENT", 20, 99, "load_percent", load},
    {NULL, NULL, NULL, 0, 0, NULL, NULL},
};
