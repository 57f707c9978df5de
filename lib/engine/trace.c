/* SPDX-License-Identifier: MIT
 *
 * Traces: what was seen, recorded as a table, and a governor run over it.
 */
#include "engine/governor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/number.h"

enum { MAX_BYTES = 64 << 20, MAX_LINES = 1000000, MAX_LINE = 500 };

enum { T_S, BATCH_MS, BATTERY, CHARGING, TEMP, LOAD, N_KNOWN };

static const struct {
    const char *name;
    double lo, hi;
} known[N_KNOWN] = {
    [T_S] = {"t_s", -1e12, 1e12},          [BATCH_MS] = {"batch_ms", 0, 1e9},
    [BATTERY] = {"battery_percent", 0, 100}, [CHARGING] = {"charging", 0, 1},
    [TEMP] = {"temp_c", -50, 150},         [LOAD] = {"load_percent", 0, 100},
};

struct trace {
    const char *path;
    const char *text; /* n_bytes, and a zero byte */
    size_t n_bytes, pos;
    long line; /* the last one taken, from 1 */
    int n_columns, column[N_KNOWN]; /* which of the known; none twice */
    double before; /* t_s of the last sample */
};

/* The next line that is not empty, without its end: 1, or 0 if there is none. */
static int take_line(struct trace *t, const char **line, size_t *n, struct omq_err *err)
{
    do {
        const char *end;

        if (t->pos == t->n_bytes)
            return 0;
        *line = t->text + t->pos;
        end = memchr(*line, '\n', t->n_bytes - t->pos);
        *n = end ? (size_t)(end - *line) : t->n_bytes - t->pos;
        t->pos += *n + (end ? 1 : 0);
        if (++t->line > MAX_LINES)
            return omq_fail(err, OMQ_EFORMAT, "'%s' has more than %d lines", t->path, MAX_LINES);
        if (*n > MAX_LINE)
            return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld is longer than %d bytes", t->path,
                            t->line, MAX_LINE);
        if (*n > 0 && (*line)[*n - 1] == '\r')
            --*n;
    } while (*n == 0);
    return 1;
}

/* The next field of a line, without blanks around it, moved past it; false behind the last.
 * *line NULL means that there is none left. */
static bool take_field(const char **line, size_t *n, const char **field, size_t *size)
{
    const char *comma;

    if (!*line)
        return false;
    comma = memchr(*line, ',', *n);
    *field = *line;
    *size = comma ? (size_t)(comma - *line) : *n;
    *n -= *size + (comma ? 1 : 0);
    *line = comma ? comma + 1 : NULL;
    for (; *size > 0 && **field == ' '; --*size)
        ++*field;
    while (*size > 0 && (*field)[*size - 1] == ' ')
        --*size;
    return true;
}

static int known_column(const char *name, size_t n)
{
    for (int k = 0; k < N_KNOWN; k++)
        if (strlen(known[k].name) == n && memcmp(known[k].name, name, n) == 0)
            return k;
    return -1;
}

static int take_header(struct trace *t, struct omq_err *err)
{
    bool seen[N_KNOWN] = {false};
    const char *line, *name;
    char quoted[48];
    size_t n, size;
    int rc = take_line(t, &line, &n, err);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is empty; its first line names the columns, such "
                        "as 't_s,batch_ms'", t->path);
    while (take_field(&line, &n, &name, &size)) {
        int k = known_column(name, size);

        if (k < 0)
            return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld: unknown column %s; there are t_s, "
                            "batch_ms, battery_percent, charging, temp_c, load_percent", t->path,
                            t->line, omq_governor_quote(name, size, quoted));
        if (seen[k])
            return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld: the column '%s' comes twice",
                            t->path, t->line, known[k].name);
        seen[k] = true;
        t->column[t->n_columns++] = k;
    }
    if (!seen[T_S])
        return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld: no column 't_s', the time in seconds",
                        t->path, t->line);
    return OMQ_OK;
}

/* One field; missing is NaN. */
static int take_value(const struct trace *t, int k, const char *text, size_t n, double *x,
                      struct omq_err *err)
{
    char quoted[48];

    *x = NAN;
    if (k != T_S && (n == 0 || (n == 3 && memcmp(text, "nan", 3) == 0)))
        return OMQ_OK;
    if (!omq_number_parse(text, n, x))
        return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld: %s is %s: %s", t->path, t->line,
                        known[k].name, n ? "no number" : "missing",
                        omq_governor_quote(text, n, quoted));
    if (!(*x >= known[k].lo && *x <= known[k].hi) || (k == CHARGING && *x != 0 && *x != 1))
        return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld: %s is %s, out of range: %g %s %g",
                        t->path, t->line, known[k].name, omq_governor_quote(text, n, quoted),
                        known[k].lo, k == CHARGING ? "or" : "to", known[k].hi);
    return OMQ_OK;
}

/* The next sample: 1, or 0 if there is none. */
static int take_sample(struct trace *t, struct omq_governor_sample *s, struct omq_err *err)
{
    double x[N_KNOWN];
    const char *line, *text;
    size_t n, size;
    int i = 0, rc = take_line(t, &line, &n, err);

    if (rc <= 0)
        return rc;
    for (int k = 0; k < N_KNOWN; k++)
        x[k] = NAN;
    for (; take_field(&line, &n, &text, &size); i++) {
        if (i < t->n_columns) {
            rc = take_value(t, t->column[i], text, size, &x[t->column[i]], err);
            if (rc < 0)
                return rc;
        }
    }
    if (i != t->n_columns)
        return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld has %d value%s for %d column%s", t->path,
                        t->line, i, i == 1 ? "" : "s", t->n_columns, t->n_columns == 1 ? "" : "s");
    if (x[T_S] < t->before)
        return omq_fail(err, OMQ_EFORMAT, "'%s' line %ld: time goes back, from %.10g to %.10g s",
                        t->path, t->line, t->before, x[T_S]);
    t->before = x[T_S];
    *s = (struct omq_governor_sample){
        .t_s = x[T_S], .batch_ms = x[BATCH_MS], .battery_percent = x[BATTERY],
        .charging = x[CHARGING] == 1, .temp_c = x[TEMP], .load_percent = x[LOAD],
    };
    return 1;
}

static int check(struct trace t, struct omq_err *err)
{
    struct omq_governor_sample s;
    long n = 0;
    int rc = take_header(&t, err);

    if (rc < 0)
        return rc;
    while ((rc = take_sample(&t, &s, err)) > 0)
        n++;
    if (rc == 0 && n == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%s' has no samples, only names of columns", t.path);
    return rc;
}

/* What a batch recorded at p[0] would take at the active precision. */
static double scaled(const struct omq_governor *g, double ms)
{
    double here = g->ms[g->active];

    return here > 0 && g->best_ms > 0 ? ms * (here / g->best_ms) : ms;
}

static void run(struct omq_governor *g, struct trace t,
                void (*switched)(void *ctx, const struct omq_governor_switch *s), void *ctx,
                struct omq_governor_summary *out)
{
    struct omq_governor_summary sum = {0};
    struct omq_governor_sample s;
    double first = 0, before = 0;

    if (take_header(&t, NULL) < 0)
        return; /* cannot be: it was checked */
    while (take_sample(&t, &s, NULL) > 0) {
        int from = omq_governor_active(g);
        struct omq_governor_decision d;

        if (sum.n_samples++ == 0)
            first = before = s.t_s;
        sum.share[from] += s.t_s - before;
        before = s.t_s;
        s.batch_ms = scaled(g, s.batch_ms);
        d = omq_governor_step(g, &s);
        sum.n_switches += d.changed;
        if (d.changed && switched)
            switched(ctx, &(struct omq_governor_switch){s.t_s, from, d.precision, d.reason});
    }
    sum.duration_s = before - first;
    for (int i = 0; i < OMQ_GOVERNOR_MAX_PRECISIONS && sum.duration_s > 0; i++)
        sum.share[i] /= sum.duration_s;
    if (!(sum.duration_s > 0))
        sum.share[omq_governor_active(g)] = 1;
    *out = sum;
}

int omq_governor_simulate(struct omq_governor *g, const char *path,
                          void (*switched)(void *ctx, const struct omq_governor_switch *s),
                          void *ctx, struct omq_governor_summary *out, struct omq_err *err)
{
    struct trace t = {.path = strcmp(path, "-") == 0 ? "standard input" : path,
                      .before = -INFINITY};
    uint8_t *text;
    int rc = omq_file_read(path, MAX_BYTES, &text, &t.n_bytes, err);

    if (rc < 0)
        return rc;
    t.text = (const char *)text;
    rc = check(t, err);
    if (rc == OMQ_OK)
        run(g, t, switched, ctx, out);
    free(text);
    return rc;
}
