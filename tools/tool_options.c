/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* getopt_long */

#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "omq_tools.h"

enum {
    MAX_OPTIONS = 48,
    LONG_BASE = 256,   /* getopt value of row i: told apart from every letter */
};

struct tool_common tool_common;

static const struct tool *tool;
static bool want_help, want_version, want_complete, want_mdoc;

static const struct tool_option json_option = {
    .name = "json", .flag = &tool_common.json,
    .help = "Write the data on standard output as JSON, one object a line." };
static const struct tool_option threads_option = {
    .name = "threads", .letter = 't', .arg = "N", .number = &tool_common.threads,
    .min = 1, .max = OMQ_MAX_THREADS, .unit = "threads",
    .help = "Compute on N threads; without the option, on one a processor." };
static const struct tool_option shared_options[] = {
    { .name = "quiet", .letter = 'q', .flag = &tool_common.quiet,
      .help = "Print no progress and no notes, only warnings and errors." },
    { .name = "verbose", .letter = 'v', .count = &tool_common.verbose,
      .help = "Say more on standard error. Twice: even more." },
    { .name = "help", .letter = 'h', .flag = &want_help,
      .help = "Print a summary of the options and exit." },
    { .name = "version", .flag = &want_version,
      .help = "Print the version, how it was built and the kernels in use, and exit." },
};
static const struct tool_option hidden_options[] = {
    { .name = "complete", .flag = &want_complete, .help = "" },
    { .name = "print-mdoc", .flag = &want_mdoc, .help = "" },
};

/* All rows in the order of help; the hidden ones last, from n_shown on. */
static const struct tool_option *rows[MAX_OPTIONS];
static int n_rows, n_shown;

static void add_rows(const struct tool_option *o, int n)
{
    for (int i = 0; i < n && n_rows < MAX_OPTIONS; i++)
        rows[n_rows++] = &o[i];
}

static void collect_rows(void)
{
    n_rows = 0;
    add_rows(tool->options, tool->n_options);
    if (tool->shared & TOOL_WITH_THREADS)
        add_rows(&threads_option, 1);
    if (tool->shared & TOOL_WITH_JSON)
        add_rows(&json_option, 1);
    add_rows(shared_options, (int)(sizeof(shared_options) / sizeof(shared_options[0])));
    n_shown = n_rows;
    add_rows(hidden_options, (int)(sizeof(hidden_options) / sizeof(hidden_options[0])));
}

static void print_version(void)
{
    char info[512];

    tool_init_library();
    omq_build_info(info, sizeof(info));
    printf("%s (omq) %s\n%s\n", tool->name, omq_version(), info);
}

/* ---- parsing ---- */

struct tool_list tool_more;

/* How far name is from what was typed; the start of a name is near it. */
static int typing_distance(const char *typed, const char *name)
{
    if (strlen(typed) >= 2 && strncmp(typed, name, strlen(typed)) == 0)
        return 1;
    return omq_typo_edits(typed, name);
}

static _Noreturn void unknown_long(const char *element)
{
    const char *best = NULL;
    char typed[64];
    int best_distance;

    if (tool->unknown)
        tool->unknown(element + 2);
    snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(element + 2, "="), element + 2);
    best_distance = omq_typo_limit(typed) + 1;
    for (int i = 0; i < n_shown; i++) {
        int distance = typing_distance(typed, rows[i]->name);

        if (distance < best_distance) {
            best_distance = distance;
            best = rows[i]->name;
        }
    }
    if (best)
        tool_usage("unknown option '--%s'; did you mean '--%s'?", typed, best);
    tool_usage("unknown option '--%s'", typed);
}

static int parse_number(const struct tool_option *o, const char *s)
{
    char *end;
    long v;
    bool in_range;

    errno = 0;
    v = strtol(s, &end, 10);
    if (*s == '\0' || *end || (*s != '-' && (*s < '0' || *s > '9')))
        tool_usage("option '--%s': '%s' is not a whole number", o->name, s);
    in_range = errno == 0 && v >= o->min && v <= o->max;
    if (!in_range && o->max == INT_MAX && v < o->min)
        tool_usage("option '--%s': %s is out of range; give %d or more %s", o->name, s, o->min,
                   o->unit);
    if (!in_range)
        tool_usage("option '--%s': %s is out of range; give %d to %d %s", o->name, s, o->min,
                   o->max, o->unit);
    return (int)v;
}

static void check_word(const struct tool_option *o, const char *s)
{
    char known[192];

    for (int i = 0; o->words[i]; i++)
        if (strcmp(o->words[i], s) == 0)
            return;
    tool_option_suffix(&(struct tool_option){ .words = o->words }, known, sizeof(known));
    known[strlen(known) - 1] = '\0'; /* drops the ")"; " (" is skipped below */
    tool_usage("option '--%s': unknown word '%s'; give %s", o->name, s, known + 2);
}

static void apply(const struct tool_option *o, const char *arg)
{
    if (o->flag) {
        *o->flag = true;
    } else if (o->count) {
        ++*o->count;
    } else if (o->number) {
        *o->number = parse_number(o, arg);
    } else if (o->text) {
        if (o->words)
            check_word(o, arg);
        *o->text = arg;
    } else {
        o->list->items[o->list->n++] = arg;
    }
}

/* Room for as many values as there are arguments, so that apply() cannot fail;
 * kept to the end of the program. */
static void prepare_values(int argc)
{
    for (int i = 0; i < n_rows; i++) {
        if (rows[i]->list) {
            rows[i]->list->items = calloc((size_t)argc + 1, sizeof(*rows[i]->list->items));
            if (!rows[i]->list->items) {
                tool_message("out of memory");
                exit(TOOL_FAILED);
            }
        }
        if (rows[i]->def)
            apply(rows[i], rows[i]->def);
    }
}

/* getopt_long() takes abbreviations, which break scripts when an option is
 * added; this looks at what was really typed. */
static void refuse_abbreviation(const struct tool_option *o, char **argv)
{
    const char *element = optarg && optarg == argv[optind - 1] ? argv[optind - 2]
                                                               : argv[optind - 1];
    size_t n = strcspn(element + 2, "=");

    if (n != strlen(o->name) || strncmp(element + 2, o->name, n) != 0)
        unknown_long(element);
}

static const struct tool_option *find_letter(int letter)
{
    for (int i = 0; i < n_rows; i++)
        if (rows[i]->letter == letter)
            return rows[i];
    return NULL;
}

static void missing_value(int value)
{
    const struct tool_option *o = value >= LONG_BASE ? rows[value - LONG_BASE]
                                                     : find_letter(value);

    if (value >= LONG_BASE)
        tool_usage("option '--%s' needs a value: %s", o->name, o->arg);
    tool_usage("option '-%c' needs a value: %s", value, o ? o->arg : "");
}

static void parse(int argc, char **argv)
{
    struct option longs[MAX_OPTIONS + 1] = { { 0 } };
    char letters[2 * MAX_OPTIONS + 2] = ":"; /* tells a missing value from an unknown option */
    int value;
    size_t n = 1;

    for (int i = 0; i < n_rows; i++) {
        longs[i] = (struct option){ rows[i]->name,
                                    rows[i]->arg ? required_argument : no_argument, NULL,
                                    LONG_BASE + i };
        if (rows[i]->letter)
            letters[n++] = rows[i]->letter;
        if (rows[i]->letter && rows[i]->arg)
            letters[n++] = ':';
    }
    opterr = 0;
    while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (value == ':')
            missing_value(optopt);
        if (value == '?' && optopt == 0)
            unknown_long(argv[optind - 1]);
        if (value == '?' && optopt >= LONG_BASE)
            tool_usage("option '--%s' takes no value", rows[optopt - LONG_BASE]->name);
        if (value == '?')
            tool_usage("unknown option '-%c'", optopt);
        if (value >= LONG_BASE) {
            refuse_abbreviation(rows[value - LONG_BASE], argv);
            apply(rows[value - LONG_BASE], optarg);
        } else {
            apply(find_letter(value), optarg);
        }
        if (want_help || want_version || want_complete || want_mdoc)
            return;
    }
}

const char *tool_start(const struct tool *t, int argc, char **argv)
{
    tool = t;
    tool_begin(t->name);
    collect_rows();
    prepare_values(argc);
    parse(argc, argv);
    if (want_help)
        tool_print_help(tool, rows, n_shown);
    else if (want_version)
        print_version();
    else if (want_complete)
        tool_print_completion(rows, n_shown);
    else if (want_mdoc)
        tool_print_mdoc(rows, n_shown);
    if (want_help || want_version || want_complete || want_mdoc)
        exit(tool_finish(TOOL_OK));
    if (optind == argc && t->alone && *t->alone)
        return NULL;
    if (optind == argc)
        tool_usage("no %s given", tool->operand);
    if (argc - optind > 1 && tool->stray)
        tool->stray(argv[optind + 1]);
    if (argc - optind > 1 && !tool->more)
        tool_usage("one %s at a time: what is '%s'?", tool->operand, argv[optind + 1]);
    if (argv[optind][0] == '\0')
        tool_usage("the name of %s is empty", tool->operand);
    tool_more.items = (const char **)(argv + optind + 1);
    tool_more.n = argc - optind - 1;
    return argv[optind];
}
