/* SPDX-License-Identifier: MIT
 *
 * Governors: which precision of a live model is active, chosen from what is
 * measured.
 *
 *     manual         never changes anything: users and the switch word decide
 *     latency:MS     keeps the 95th percentile of batch times at or below MS
 *     battery:%      below that charge, less and less; the lowest precision from
 *                    half of it on
 *     thermal:C      one step down while it is hotter than C degrees Celsius
 *     load:%         one step down while the machine's processors are busier
 *
 * A governor is a pure function of its samples: it reads no clock and no file,
 * so what it does live it does again on a recorded trace. One thread at a time
 * may use it.
 *
 * How they decide (the figures are the constants of governor_kinds.c):
 *  - Between two switches lie at least 500 ms, but for an overload.
 *  - latency looks at the batches of the last second, at most at the last 256,
 *    and at least at the last 50 of the last minute. The percentile is over the
 *    target when more of them are than a twentieth and two standard errors
 *    (3 of 20, 6 of 50, 17 of 200):
 *    a few slow batches are no trend. Then it goes down: with figures of `ms`,
 *    to the best precision that should keep the target, else to the fastest (and
 *    nowhere, if none is faster); without figures, one step. Three batches in a
 *    row over twice the target are an overload: down at once. Up it goes one
 *    step, or past precisions that take longer than a better one, when the time
 *    expected there (scaled by `ms`, without figures by 1.25) has been below 80 %
 *    of the target for 3 s.
 *  - thermal and load go down when over the limit for 2 s, and again 2 s after
 *    the reading that follows; up one step when 5 degrees (load: 10 points)
 *    below it for 10 s.
 *  - battery goes down when the charge has been asking for it for 2 s, linearly
 *    from the limit (the best) to half of it (the lowest); up when 5 points more
 *    would ask for it, or while charging to the best, for 10 s.
 *  - A step up that is taken back within 30 s doubles the time to wait for the
 *    next, and these 30 s, up to 64 times; one that is not sets both back, and a
 *    second step up before that halves them.
 *  - Readings that are missing change nothing. What holds for some seconds is
 *    what every reading of them says, be they only the first and the last.
 */
#ifndef OMQ_ENGINE_GOVERNOR_H
#define OMQ_ENGINE_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    OMQ_GOVERNOR_MAX_PRECISIONS = 32,
    OMQ_GOVERNOR_NAME_SIZE = 64,   /* of a precision's or profile's name */
    OMQ_GOVERNOR_REASON_SIZE = 128,
};

struct omq_governor_precision {
    const char *name; /* "w4a4", or a profile's */
    double ms;        /* of a batch, measured or expected; 0: not known */
    double top1;      /* validation accuracy in percent; NaN: not known */
};

/* What is seen at one moment. A reading that is missing, not finite, or out of
 * its range is NaN. */
struct omq_governor_sample {
    double t_s;             /* never less than before; else the sample is ignored */
    double batch_ms;        /* of the batch that just ended, at the active precision */
    double battery_percent; /* 0 to 100 */
    bool charging;          /* on mains; looked at where battery_percent is known */
    double temp_c;          /* -50 to 150 */
    double load_percent;    /* 0 to 100 */
};

/* At t_s, all readings missing. */
struct omq_governor_sample omq_governor_sample_at(double t_s);

struct omq_governor_decision {
    int precision; /* that is to be active from now on */
    bool changed;
    char reason[OMQ_GOVERNOR_REASON_SIZE]; /* if changed: "latency: p95 7.3 ms over 5 ms" */
};

struct omq_governor;

/* spec is one of the words above, units optional, '=' as good as ':': "latency:5ms",
 * "latency:5", "battery:30%", "thermal:75C", "load:80%", "manual". p lists [n] precisions
 * from best to worst; they are copied. floor, if not NULL, is "4", "w4a4" or a profile's
 * name: that precision and those before it may be chosen; or "top1:90": those whose top1
 * is at least 90. OMQ_EARG for what is unknown or out of range, with what there is. The
 * best one that may be chosen is active first. */
int omq_governor_open(struct omq_governor **out, const char *spec, const char *floor,
                      const struct omq_governor_precision *p, int n,
                      struct omq_err *err) OMQ_WARN_UNUSED;
void omq_governor_close(struct omq_governor *g); /* NULL is fine */

/* The active precision, an index into p. */
int omq_governor_active(const struct omq_governor *g);

/* Somebody else chose (the switch word, a user): the governor goes on from
 * there. OMQ_EARG below the floor; then nothing changes. */
int omq_governor_set(struct omq_governor *g, int precision, struct omq_err *err) OMQ_WARN_UNUSED;

/* The precision that is expected to be the fastest of those that may be chosen, where even
 * that would miss a target of latency, by the ms of p; else -1, or if one is not known. */
int omq_governor_misses(const struct omq_governor *g);

struct omq_governor_decision omq_governor_step(struct omq_governor *g,
                                               const struct omq_governor_sample *s);

/* The reading that g goes by, as traces call it, if no sample has had it, so that g can
 * change nothing; else NULL. */
const char *omq_governor_lacks(const struct omq_governor *g);

/* ---- traces ---- */

struct omq_governor_switch {
    double t_s;
    int from, to; /* precisions */
    const char *reason;
};

struct omq_governor_summary {
    long n_samples, n_switches;
    double duration_s;
    double share[OMQ_GOVERNOR_MAX_PRECISIONS]; /* of the time, by precision; the sum is 1 */
};

/* Runs g, which must be new, over a trace ("-" is standard input): a table with
 * commas between columns. The first line names them, in any order, t_s and any
 * of batch_ms, battery_percent, charging (0 or 1), temp_c, load_percent; a value
 * that is empty or "nan" is missing. At most 64 MiB, a million lines of 500
 * bytes. batch_ms is as recorded at p[0]: for another precision it is scaled by
 * their `ms`, where both are known. switched (may be NULL) is called for every
 * switch. An error names the line (OMQ_EFORMAT), and then nothing was run. */
int omq_governor_simulate(struct omq_governor *g, const char *path,
                          void (*switched)(void *ctx, const struct omq_governor_switch *s),
                          void *ctx, struct omq_governor_summary *out,
                          struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- sensors ---- */

/* Where the machine's readings come from. */
struct omq_sensors {
    const char *root;     /* "" for the machine's own /sys and /proc; borrowed */
    bool primed;          /* busy and total are those of the last reading */
    uint64_t busy, total; /* of /proc/stat, ticks */
};

void omq_sensors_init(struct omq_sensors *s, const char *root);

/* Fills in battery, temperature and load; cannot fail: what is not there, or
 * makes no sense, is missing. The charge is the mean of the system's batteries
 * (not those of mice and the like), charging if one is and none is drained; the
 * temperature is that of the hottest thermal zone; the load is the share since
 * the last call, so missing in the first. A millisecond or so: call it about
 * once a second. */
void omq_sensors_read(struct omq_sensors *s, struct omq_governor_sample *out);

#endif
