/* SPDX-License-Identifier: MIT
 *
 * omq-switch: the precisions of a model, and which one is active, also in
 * processes that follow it.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "omq_tools.h"
#include "tool.h"

static const char *bits, *budget, *control;
static bool get, status, watch, wait_for, measure;
static int timeout_s;

static const struct tool_option options[] = {
    { .name = "bits", .letter = 'b', .arg = "NAME", .text = &bits,
      .help = "Make this precision the active one: a width such as 3, a precision such as w4a8, "
              "or the name of a profile." },
    { .name = "budget", .arg = "LIMIT", .text = &budget,
      .help = "Make the best precision active that keeps to latency=5ms (an image, measured on "
              "this machine), bytes=200k (of packed weights) or top1=90 (percent; the smallest "
              "one that reaches it)." },
    { .name = "get", .letter = 'g', .flag = &get,
      .help = "Print the name of the active precision only." },
    { .name = "wait", .letter = 'w', .flag = &wait_for,
      .help = "After --bits or --budget, wait until all processes that follow the model run it." },
    { .name = "timeout", .arg = "S", .number = &timeout_s, .min = 1, .max = 86400,
      .unit = "seconds", .help = "How long --wait waits; without the option, 10." },
    { .name = "status", .letter = 's', .flag = &status,
      .help = "List the processes that follow the model." },
    { .name = "watch", .flag = &watch,
      .help = "Print a line whenever a process that follows the model switches, comes or goes, "
              "until interrupted." },
    { .name = "measure", .letter = 'm', .flag = &measure,
      .help = "Also show the milliseconds an image takes at each precision on this machine." },
    { .name = "control", .arg = "FILE", .text = &control,
      .help = "Keep the switch word in this file in place of the model, which is not written "
              "to then." },
};

static const char *const examples[] = {
    "omq-switch runs/quickstart/model.omq",
    "omq-switch --bits 2 runs/quickstart/model.omq",
    "omq-switch --budget bytes=20k runs/quickstart/model.omq",
    NULL,
};

/* "set" is nearest to get, which is the contrary. */
static void unknown_option(const char *typed)
{
    if (strncmp(typed, "set", 3) == 0 && (typed[3] == '\0' || typed[3] == '='))
        tool_usage("unknown option '--set'; did you mean '--bits'?");
}

static const struct tool program = {
    .name = "omq-switch",
    .operand = "MODEL",
    .summary = "Shows a model's precisions, and sets the active one, in running processes too.",
    .examples = examples,
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .shared = TOOL_WITH_JSON | TOOL_WITH_THREADS,
    .stray = tool_stray_precision,
    .unknown = unknown_option,
};

static volatile sig_atomic_t stop_signal;

/* ---- the table ---- */

struct row {
    struct omq_model_precision p;
    double ms; /* an image; NaN: not measured, or not measurable */
};

struct table {
    struct omq_model *model;
    const char *path, *word_path; /* word_path: the file with the switch word */
    int n, active;                /* active: -1: no precision was ever set */
    struct row *rows;
};

static int open_table(struct table *t)
{
    struct omq_err err = { 0 };
    struct stat st;

    if (stat(t->path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a FIFO would be waited for */
        tool_message("'%s' is not a regular file, so it has no switch word", t->path);
        return TOOL_FAILED;
    }
    if (omq_model_open_to_look(&t->model, t->path, tool_common.threads, &err) != OMQ_OK)
        return tool_fail(&err);
    t->n = omq_model_count(t->model);
    t->rows = calloc((size_t)t->n, sizeof(*t->rows));
    if (!t->rows) {
        tool_message("out of memory");
        return TOOL_FAILED;
    }
    for (int i = 0; i < t->n; i++) {
        omq_model_precision(t->model, i, &t->rows[i].p);
        t->rows[i].ms = NAN;
    }
    t->active = -1;
    if (bits || budget || status || watch) /* a damaged word is no hindrance */
        return TOOL_OK;
    if (omq_switch_stored(t->model, t->word_path, &t->active, &err) == OMQ_OK)
        return TOOL_OK;
    if (control && access(control, F_OK) < 0 && errno == ENOENT)
        return TOOL_OK; /* it will be made */
    return tool_fail(&err);
}

static int measure_rows(struct table *t)
{
    for (int i = 0; i < t->n; i++) {
        struct omq_model_bench b;
        struct omq_err err = { 0 };
        int rc = omq_model_bench(t->model, i, 1, 0.2, &b, &err);

        if (rc == OMQ_OK)
            t->rows[i].ms = b.ms;
        else if (rc != OMQ_EUNSUP) /* float, which only omq-eval runs, or without steps */
            return tool_fail(&err);
    }
    return TOOL_OK;
}

static void print_json_row(const struct table *t, int i)
{
    const struct row *r = &t->rows[i];

    printf("{\"precision\":");
    tool_json_string(stdout, r->p.name);
    printf(",\"w\":%d,\"a\":%d,\"top1\":", r->p.w, r->p.a);
    tool_json_number(stdout, r->p.top1);
    printf(",\"weight_bytes\":%llu,\"ms\":", (unsigned long long)r->p.weight_bytes);
    tool_json_number(stdout, r->ms);
    printf(",\"active\":%s}\n", i == t->active ? "true" : "false");
}

static void print_table(const struct table *t)
{
    int width = (int)strlen("precision");
    char human[32];

    for (int i = 0; i < t->n; i++)
        if ((int)strlen(t->rows[i].p.name) > width)
            width = (int)strlen(t->rows[i].p.name);
    if (!tool_common.json)
        printf("  %-*s   top-1          weight bytes%s\n", width, "precision",
               measure ? "  ms/image" : "");
    for (int i = 0; i < t->n; i++) {
        const struct row *r = &t->rows[i];

        if (tool_common.json) {
            print_json_row(t, i);
            continue;
        }
        printf("%s ", i == t->active ? "*" : " ");
        tool_put_clean(stdout, r->p.name, "");
        printf("%*s", width - (int)strlen(r->p.name), "");
        tool_put_figure(stdout, r->p.top1, 8, 2);
        printf("  %10s %9llu", tool_bytes(r->p.weight_bytes, human, sizeof(human)),
               (unsigned long long)r->p.weight_bytes);
        if (measure)
            tool_put_figure(stdout, r->ms, 10, 3);
        putchar('\n');
    }
}

/* ---- --budget ---- */

enum limit_kind { LIMIT_LATENCY, LIMIT_BYTES, LIMIT_TOP1 };

static const struct limit_row {
    const char *name;
    enum limit_kind kind;
    const char *units[3]; /* the first is the plain one */
    double scale[3];
} limits[] = {
    { "latency", LIMIT_LATENCY, { "ms", "s", "us" }, { 1, 1e3, 1e-3 } },
    { "bytes", LIMIT_BYTES, { "", "k", "M" }, { 1, 1e3, 1e6 } },
    { "top1", LIMIT_TOP1, { "%", "%", "%" }, { 1, 1, 1 } },
};

/* "latency=5ms" */
static const struct limit_row *parse_budget(double *value)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t n = strlen(limits[i].name);
        char *end;

        if (strncmp(budget, limits[i].name, n) != 0 || (budget[n] != '=' && budget[n] != ':'))
            continue;
        *value = strtod(budget + n + 1, &end);
        if (end == budget + n + 1 || !isfinite(*value) || *value <= 0)
            break;
        for (int u = 0; u < 3; u++)
            if (*end == '\0' || strcasecmp(end, limits[i].units[u]) == 0) {
                *value *= *end ? limits[i].scale[u] : 1;
                return &limits[i];
            }
        break;
    }
    tool_usage("option '--budget': '%s' is none of latency=5ms (or us, s), bytes=200k (or M) and "
               "top1=90 (percent)", budget);
}

/* Only omq-eval runs it. */
static bool is_float(const struct row *r) { return r->p.w == 32 || r->p.a == 32; }

static bool keeps(const struct row *r, enum limit_kind kind, double value)
{
    switch (kind) {
    case LIMIT_LATENCY:
        return r->ms <= value; /* false for NaN */
    case LIMIT_BYTES:
        return (double)r->p.weight_bytes <= value;
    case LIMIT_TOP1:
        return r->p.top1 >= value;
    }
    return false;
}

/* Whether a is to be preferred among those that keep to the limit: the smaller
 * one for an accuracy that both reach, else the more accurate one; one whose accuracy
 * is known before others; the larger one where that decides nothing. */
static bool is_better(const struct row *a, const struct row *b, enum limit_kind kind)
{
    if (kind == LIMIT_TOP1)
        return a->p.weight_bytes < b->p.weight_bytes;
    if (isnan(a->p.top1) != isnan(b->p.top1))
        return isnan(b->p.top1);
    if (isnan(a->p.top1) || a->p.top1 == b->p.top1)
        return a->p.weight_bytes > b->p.weight_bytes;
    return a->p.top1 > b->p.top1;
}

/* What the limit is of; less is better but for top-1. NaN: not known. */
static double figure(const struct row *r, enum limit_kind kind)
{
    return kind == LIMIT_LATENCY ? r->ms
         : kind == LIMIT_BYTES ? (double)r->p.weight_bytes : r->p.top1;
}

static void say_nearest(const struct table *t, enum limit_kind kind)
{
    static const char *const units[] = { "ms an image", "bytes", "%" };
    const double sign = kind == LIMIT_TOP1 ? -1 : 1;
    const struct row *best = NULL;

    for (int i = 0; i < t->n; i++) {
        const struct row *r = &t->rows[i];

        if (!is_float(r) && !isnan(figure(r, kind)) &&
            (!best || sign * figure(r, kind) < sign * figure(best, kind)))
            best = r;
    }
    if (best)
        tool_message("the nearest is %s with %.*g %s", best->p.name, kind == LIMIT_BYTES ? 15 : 4,
                     figure(best, kind), units[kind]);
}

static int choose(struct table *t, int *chosen)
{
    double value;
    const struct limit_row *limit = parse_budget(&value);
    int rc = limit->kind == LIMIT_LATENCY ? measure_rows(t) : TOOL_OK;

    *chosen = -1;
    for (int i = 0; i < t->n; i++) {
        const struct row *r = &t->rows[i];

        if (!is_float(r) && keeps(r, limit->kind, value) &&
            (*chosen < 0 || is_better(r, &t->rows[*chosen], limit->kind)))
            *chosen = i;
    }
    if (rc == TOOL_OK && *chosen < 0) {
        tool_message("no precision of '%s' keeps to %s; the active one stays", t->path, budget);
        say_nearest(t, limit->kind);
        return TOOL_FAILED;
    }
    return rc;
}

/* ---- the run ---- */

static int set_active(struct table *t, int to)
{
    struct omq_err err = { 0 };
    const char *name = t->rows[to].p.name;
    int rc;

    if (is_float(&t->rows[to])) {
        tool_message("%s is float, which only omq-eval runs", name);
        return TOOL_FAILED;
    }
    if (omq_switch_store(t->model, to, t->word_path, control != NULL, &err) != OMQ_OK) {
        rc = tool_fail(&err);
        if (!control && access(t->path, W_OK) < 0)
            tool_message("a read-only model has its switch word elsewhere: give --control FILE");
        return rc;
    }
    if (tool_common.json) {
        t->active = to;
        print_json_row(t, to);
    } else if (budget) {
        printf("%s\n", name);
    }
    if (tool_common.verbose)
        tool_message("the switch word of '%s' is %s now", t->word_path, name);
    return wait_for ? tool_followers_wait(t->path, name, timeout_s) : TOOL_OK;
}

static int run(struct table *t)
{
    struct omq_err err = { 0 };
    int to = -1, rc = TOOL_OK;

    if (bits) {
        to = omq_model_find(t->model, bits, &err);
        return to < 0 ? tool_fail(&err) : set_active(t, to);
    }
    if (budget)
        return (rc = choose(t, &to)) == TOOL_OK ? set_active(t, to) : rc;
    if (status)
        return tool_followers_show(t->path);
    if (watch)
        return tool_followers_watch(t->path, &stop_signal);
    if (t->active < 0)
        t->active = omq_model_active(t->model);
    if (get && tool_common.json)
        print_json_row(t, t->active);
    else if (get)
        printf("%s\n", t->rows[t->active].p.name);
    if (get)
        return TOOL_OK;
    if (measure)
        rc = measure_rows(t);
    if (rc == TOOL_OK)
        print_table(t);
    return rc;
}

static void on_signal(int number)
{
    stop_signal = number;
}

static void check_usage(const char *model)
{
    double value;

    if ((bits != NULL) + (budget != NULL) + get + status + watch > 1)
        tool_usage("give only one of --bits, --budget, --get, --status and --watch");
    if (wait_for && !bits && !budget)
        tool_usage("--wait goes with --bits or --budget");
    if (timeout_s && !wait_for)
        tool_usage("--timeout is for --wait");
    if (!timeout_s)
        timeout_s = 10;
    if (measure && (bits || budget || get || status || watch))
        tool_usage("--measure is for the table");
    if (budget)
        (void)parse_budget(&value);
    if (strcmp(model, "-") == 0)
        tool_usage("the model must be a file: standard input has nothing to switch");
    if (control && (!*control || strcmp(control, "-") == 0))
        tool_usage("option '--control': the switch word must be in a file");
}

int main(int argc, char **argv)
{
    struct table t = { .path = tool_start(&program, argc, argv) };
    int rc;

    t.word_path = control ? control : t.path;
    check_usage(t.path);
    if (watch)
        tool_catch_signals(on_signal, tool_stop_signals);
    tool_init_library();
    rc = open_table(&t);
    if (rc == TOOL_OK)
        rc = run(&t);
    omq_model_close(t.model);
    free(t.rows);
    return tool_finish(rc);
}
