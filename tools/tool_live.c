/* SPDX-License-Identifier: MIT
 *
 * What omq-run and omq-switch share: lists of precisions, governors, and where the
 * state of followers is.
 */
#define _GNU_SOURCE /* getuid */

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omq_tools.h"
#include "tool.h"

const char *tool_state_dir(void)
{
    static char dir[PATH_MAX + 8]; /* what is longer is no path: the system says so */
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (runtime && runtime[0] == '/')
        snprintf(dir, sizeof(dir), "%s/omq", runtime);
    else
        snprintf(dir, sizeof(dir), "/tmp/omq-%lu", (unsigned long)getuid());
    return dir;
}

/* ---- lists of precisions ---- */

static int find(void *m, const char *word, struct omq_err *err)
{
    return omq_model_find(m, word, err);
}

/* Not float, which only omq-eval runs. */
static bool is_integer(void *m, int i)
{
    struct omq_model_precision p;

    omq_model_precision(m, i, &p);
    return p.w != 32 && p.a != 32;
}

int tool_choose_precisions(struct omq_model *m, const char *words, int **list, int *n)
{
    const struct tool_choices all = { m, omq_model_count(m), find, is_integer };

    return tool_choose(&all, words, list, n);
}

const char *tool_precision_name(struct omq_model *m, int i)
{
    struct omq_model_precision p;

    omq_model_precision(m, i, &p);
    return p.name;
}

/* ---- governors ---- */

/* Products of bits: what a governor takes for better. */
static int rank(struct omq_model *m, int i)
{
    struct omq_model_precision p;

    omq_model_precision(m, i, &p);
    return p.w * p.a;
}

/* The integer precisions, not the profiles, from best to worst. */
static int sort_precisions(struct tool_governor *g, struct omq_model *m)
{
    int n = 0, status = tool_choose_precisions(m, "all", &g->list, &g->n);

    if (status != TOOL_OK)
        return status;
    for (int i = 0; i < g->n; i++) {
        int at = n, item = g->list[i];

        if (rank(m, item) == 0)
            continue;
        for (; at > 0 && rank(m, g->list[at - 1]) < rank(m, item); at--)
            g->list[at] = g->list[at - 1];
        g->list[at] = item;
        n++;
    }
    g->n = n < OMQ_GOVERNOR_MAX_PRECISIONS ? n : OMQ_GOVERNOR_MAX_PRECISIONS;
    return TOOL_OK;
}

/* A few batches of one image each, so that it knows where to go at once. */
static void measure(struct tool_governor *g, struct omq_model *m, struct omq_governor_precision *p)
{
    for (int i = 0; i < g->n; i++) {
        struct omq_model_bench b;

        if (omq_model_bench(m, g->list[i], 1, 0.02, &b, NULL) == OMQ_OK)
            p[i].ms = b.ms;
    }
}

/* The governor goes on from what the model was asked for, which may be being prepared
 * still; or why it cannot. */
static const char *adopt(struct tool_governor *g, struct omq_model *m)
{
    g->seen = omq_model_asked(m);
    for (int i = 0; i < g->n; i++)
        if (g->list[i] == g->seen)
            return omq_governor_set(g->governor, i, NULL) == OMQ_OK ? NULL : "below its floor";
    return "a profile";
}

/* What somebody else set is theirs: if it is none of the governor's, that rests until
 * another one is. */
static void go_on(struct tool_governor *g, struct omq_model *m)
{
    const char *why = adopt(g, m);

    g->is_resting = why != NULL;
    if (why && !tool_common.quiet)
        tool_message("the governor rests while %s is set, which is %s: omq-switch --bits "
                     "sets another", tool_precision_name(m, g->seen), why);
}

int tool_governor_open(struct tool_governor *g, struct omq_model *m, const char *spec,
                       const char *floor, bool is_live)
{
    struct omq_governor_precision p[OMQ_GOVERNOR_MAX_PRECISIONS] = { { 0 } };
    struct omq_err err = { 0 };
    int status = sort_precisions(g, m), fastest;

    if (status != TOOL_OK)
        return status;
    for (int i = 0; i < g->n; i++) {
        struct omq_model_precision info;

        omq_model_precision(m, g->list[i], &info);
        p[i].name = info.name;
        p[i].top1 = info.top1;
    }
    if (strncmp(spec, "latency", strlen("latency")) == 0)
        measure(g, m, p);
    if (omq_governor_open(&g->governor, spec, floor, p, g->n, &err) != OMQ_OK)
        return tool_fail(&err);
    fastest = omq_governor_misses(g->governor);
    if (fastest >= 0)
        tool_message("warning: the governor cannot keep to that here: %s, the fastest that it may "
                     "choose, takes %.3g ms for one image", p[fastest].name, p[fastest].ms);
    if (!is_live)
        return TOOL_OK;
    g->sensors = calloc(1, sizeof(*g->sensors));
    if (!g->sensors) {
        tool_message("out of memory");
        return TOOL_FAILED;
    }
    omq_sensors_init(g->sensors, "");
    g->is_manual = strcmp(spec, "manual") == 0;
    if (g->is_manual && (!adopt(g, m) || rank(m, g->seen) == 0))
        return TOOL_OK;
    if (omq_model_set_wait(m, g->list[omq_governor_active(g->governor)], &err) != OMQ_OK)
        return tool_fail(&err);
    g->seen = omq_model_asked(m);
    return TOOL_OK;
}

void tool_governor_close(struct tool_governor *g)
{
    omq_governor_close(g->governor);
    free(g->sensors);
    free(g->list);
    *g = (struct tool_governor){ 0 };
}

void tool_governor_step(struct tool_governor *g, struct omq_model *m, int ran_at, double ms,
                        char *reason, size_t size)
{
    struct omq_governor_sample s = omq_governor_sample_at(omq_now());
    bool looks = s.t_s >= g->next_look;
    struct omq_governor_decision d;
    struct omq_err err = { 0 };

    if (g->is_manual)
        return;
    /* somebody else set another one, or what was asked for could not be prepared */
    if (omq_model_asked(m) != g->seen)
        go_on(g, m);
    if (g->is_resting)
        return;
    /* what ran on while the next precision was being prepared says nothing of that one */
    if (ran_at == g->list[omq_governor_active(g->governor)])
        s.batch_ms = ms;
    if (looks) {
        omq_sensors_read(g->sensors, &s);
        g->next_look = s.t_s + 1;
    }
    d = omq_governor_step(g->governor, &s);
    /* said once, at the second look: the load is known from then on */
    if (looks && ++g->n_looks == 2 && omq_governor_lacks(g->governor))
        tool_message("warning: the governor changes nothing: no sensor here gives %s",
                     omq_governor_lacks(g->governor));
    if (!d.changed)
        return;
    snprintf(reason, size, "%s", d.reason);
    g->seen = g->list[d.precision];
    if (omq_model_set(m, g->seen, &err) != OMQ_OK)
        tool_message("%s", err.msg);
}

/* ---- a trace ---- */

struct printer {
    struct omq_model *m;
    const struct tool_governor *g;
};

static const char *name_of(const struct printer *p, int i)
{
    return tool_precision_name(p->m, p->g->list[i]);
}

static void print_switch(void *ctx, const struct omq_governor_switch *s)
{
    const struct printer *p = ctx;

    if (!tool_common.json) {
        printf("%.3f\t%s\t%s\t%s\n", s->t_s, name_of(p, s->from), name_of(p, s->to), s->reason);
        return;
    }
    printf("{\"t_s\":");
    tool_json_number(stdout, s->t_s);
    printf(",\"from\":");
    tool_json_string(stdout, name_of(p, s->from));
    printf(",\"to\":");
    tool_json_string(stdout, name_of(p, s->to));
    printf(",\"reason\":");
    tool_json_string(stdout, s->reason);
    printf("}\n");
}

int tool_governor_simulate(struct tool_governor *g, struct omq_model *m, const char *trace)
{
    struct printer p = { m, g };
    struct omq_governor_summary sum;
    struct omq_err err = { 0 };

    if (omq_governor_simulate(g->governor, trace, print_switch, &p, &sum, &err) != OMQ_OK)
        return tool_fail(&err);
    if (omq_governor_lacks(g->governor))
        tool_message("warning: the governor changes nothing: '%s' has no %s",
                     strcmp(trace, "-") == 0 ? "standard input" : trace,
                     omq_governor_lacks(g->governor));
    if (tool_common.quiet)
        return TOOL_OK;
    tool_message("%ld sample%s over %.1f s, %ld switch%s", sum.n_samples,
                 sum.n_samples == 1 ? "" : "s", sum.duration_s, sum.n_switches,
                 sum.n_switches == 1 ? "" : "es");
    for (int i = 0; i < g->n; i++)
        if (sum.share[i] > 0)
            tool_message("%s: %.1f %% of the time", name_of(&p, i), 100 * sum.share[i]);
    return TOOL_OK;
}
