/* SPDX-License-Identifier: MIT
 *
 * The words that open a governor: its kind with an argument, and the floor.
 */
#include "engine/governor_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "conf/conf.h"

_Static_assert((int)OMQ_GOVERNOR_MAX_PRECISIONS == (int)OMQ_MAX_PRECISIONS, "one limit");

/* A number, alone or with this unit behind it. */
static bool number_with_unit(const char *s, const char *unit, double *out)
{
    size_t n = strlen(s), unit_size = strlen(unit);

    if (n > unit_size && memcmp(s + n - unit_size, unit, unit_size) == 0)
        n -= unit_size;
    return omq_number_parse(s, n, out);
}

const char *omq_governor_quote(const char *s, size_t n, char buf[48])
{
    size_t used = 0;

    buf[used++] = '\'';
    for (size_t i = 0; i < n && i < 40; i++)
        buf[used++] = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
    snprintf(buf + used, 48 - used, "%s'", n > 40 ? "..." : "");
    return buf;
}

/* "manual, latency:MS, ..." */
static void list_kinds(char *buf, size_t size)
{
    size_t used = 0;

    for (const struct omq_governor_kind *k = omq_governor_kinds; k->name && used < size; k++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s%s%s", used ? ", " : "", k->name,
                                 k->argument ? ":" : "", k->argument ? k->argument : "");
}

int omq_governor_parse(const char *spec, const struct omq_governor_kind **kind, double *limit,
                       struct omq_err *err)
{
    size_t n = strcspn(spec, ":=");
    const char *arg = spec[n] ? spec + n + 1 : NULL;
    const struct omq_governor_kind *k = omq_governor_kinds;
    char list[160], word[48];
    double x = 0;

    while (k->name && (strlen(k->name) != n || memcmp(k->name, spec, n) != 0))
        k++;
    if (!k->name) {
        list_kinds(list, sizeof(list));
        return omq_fail(err, OMQ_EARG, "unknown governor %s; there are %s",
                        omq_governor_quote(spec, n, word), list);
    }
    if (!k->argument && arg)
        return omq_fail(err, OMQ_EARG, "the governor '%s' takes no argument, found %s", k->name,
                        omq_governor_quote(arg, strlen(arg), word));
    if (k->argument && (!arg || !*arg))
        return omq_fail(err, OMQ_EARG, "the governor '%s' needs a limit: '%s:%s', %g to %g %s",
                        k->name, k->name, k->argument, k->lo, k->hi, k->unit);
    if (k->argument && !number_with_unit(arg, k->unit, &x))
        return omq_fail(err, OMQ_EARG, "%s is no limit for the governor '%s': %g to %g %s",
                        omq_governor_quote(arg, strlen(arg), word), k->name, k->lo, k->hi,
                        k->unit);
    if (k->argument && !(x >= k->lo && x <= k->hi))
        return omq_fail(err, OMQ_EARG, "%s is out of range for the governor '%s': %g to %g %s",
                        omq_governor_quote(arg, strlen(arg), word), k->name, k->lo, k->hi,
                        k->unit);
    *kind = k;
    *limit = x;
    return OMQ_OK;
}

/* Whether word means the precision of this name: the same, or "4" for "w4a4". */
static bool means(const char *word, const char *name)
{
    struct omq_precision p, q;

    if (strcmp(word, name) == 0)
        return true;
    return omq_precision_parse(word, &p) && omq_precision_parse(name, &q) && p.w == q.w &&
           p.a == q.a;
}

static int floor_by_name(const char *word, const struct omq_governor_precision *p, int n,
                         bool *allowed, struct omq_err *err)
{
    char list[512] = "", quoted[48];
    size_t used = 0;

    for (int i = 0; i < n; i++) {
        if (!means(word, p[i].name))
            continue;
        for (int k = 0; k < n; k++)
            allowed[k] = k <= i;
        return OMQ_OK;
    }
    for (int i = 0; i < n && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, " %s", p[i].name);
    return omq_fail(err, OMQ_EARG, "unknown precision %s for the floor; there are%s, or "
                    "'top1:PERCENT'", omq_governor_quote(word, strlen(word), quoted), list);
}

static int floor_by_top1(const char *text, const struct omq_governor_precision *p, int n,
                         bool *allowed, struct omq_err *err)
{
    char quoted[48];
    int best = -1, reached = 0;
    double want;

    if (!number_with_unit(text, "%", &want) || !(want >= 0 && want <= 100))
        return omq_fail(err, OMQ_EARG, "%s is no accuracy for the floor: 'top1:PERCENT', 0 to "
                        "100 %%", omq_governor_quote(text, strlen(text), quoted));
    for (int i = 0; i < n; i++) {
        allowed[i] = p[i].top1 >= want; /* false for NaN */
        reached += allowed[i];
        if (!isnan(p[i].top1) && (best < 0 || p[i].top1 > p[best].top1))
            best = i;
    }
    if (reached > 0)
        return OMQ_OK;
    if (best < 0)
        return omq_fail(err, OMQ_EARG, "no accuracy is known, so none can be the floor; name a "
                        "precision, such as '%s'", p[n - 1].name);
    return omq_fail(err, OMQ_EARG, "no precision reaches a top1 of %g %%; the best is '%s' with "
                    "%.2f %%", want, p[best].name, p[best].top1);
}

int omq_governor_floor(const char *floor, const struct omq_governor_precision *p, int n,
                       bool *allowed, struct omq_err *err)
{
    if (floor && (strncmp(floor, "top1:", 5) == 0 || strncmp(floor, "top1=", 5) == 0))
        return floor_by_top1(floor + 5, p, n, allowed, err);
    if (floor)
        return floor_by_name(floor, p, n, allowed, err);
    for (int i = 0; i < n; i++)
        allowed[i] = true;
    return OMQ_OK;
}
