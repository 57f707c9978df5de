/* SPDX-License-Identifier: MIT
 *
 * omq-run: what a model says of images, at the precision that is active.
 */
#define _GNU_SOURCE /* _exit, isatty */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omq_tools.h"
#include "tool.h"

static const char *bits, *control, *governor, *floor_, *resident, *trace;
static bool follow, bench;
static int batch_size, top, bench_ms;

static const struct tool_option options[] = {
    { .name = "bits", .letter = 'b', .arg = "LIST", .text = &bits,
      .help = "Precision to run at: a width such as 4, a precision such as w4a8, or the name of a "
              "profile; without the option, the one that omq-switch stored, or the best. With "
              "--bench, several with commas between, or all." },
    { .name = "batch", .arg = "N", .number = &batch_size, .def = "1", .min = 1, .max = 4096,
      .unit = "images", .help = "Images that are run together." },
    { .name = "top", .arg = "N", .number = &top, .def = "1", .min = 1, .max = 100,
      .unit = "classes", .help = "Show the N most likely classes." },
    { .name = "follow", .letter = 'f', .flag = &follow,
      .help = "Change the precision when omq-switch says so, and the model when another file "
              "takes its name." },
    { .name = "control", .arg = "FILE", .text = &control,
      .help = "Follow the switch word of this file in place of the model's own." },
    { .name = "governor", .letter = 'g', .arg = "SPEC", .text = &governor,
      .help = "Choose the precision by what is measured: latency:MS, battery:%, thermal:C, "
              "load:% or manual." },
    { .name = "floor", .arg = "WORD", .text = &floor_,
      .help = "What a governor never goes below: a precision, or top1:90, an accuracy in "
              "percent." },
    { .name = "resident", .arg = "N", .text = &resident, .def = "all",
      .help = "Precisions kept ready in memory, or all." },
    { .name = "bench", .flag = &bench,
      .help = "Time batches of generated images at each precision in place of running any." },
    { .name = "time", .arg = "MS", .number = &bench_ms, .min = 1, .max = 3600000,
      .unit = "milliseconds",
      .help = "How long --bench times each precision; without the option, 1000." },
    { .name = "simulate", .arg = "FILE", .text = &trace,
      .help = "Play the governor on a recorded trace, a table with commas between columns, and "
              "show what it would have done." },
};

static const char *const examples[] = {
    "omq-run runs/quickstart/model.omq image.png",
    "omq-run --bits 2 --json runs/quickstart/model.omq image.png",
    "omq-run --bench --batch 32 runs/quickstart/model.omq",
    NULL,
};

static const struct tool program = {
    .name = "omq-run",
    .operand = "MODEL",
    .more = "[IMAGE...]",
    .summary = "Classifies images by a model, at the precision that is active.",
    .examples = examples,
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .shared = TOOL_WITH_JSON | TOOL_WITH_THREADS,
};

static volatile sig_atomic_t stop_signal;

/* ---- the model ---- */

static void log_line(void *ctx, const char *line)
{
    (void)ctx;
    tool_message("%s", line);
}

static struct omq_open_options open_options(void)
{
    struct omq_open_options opt = { .threads = tool_common.threads, .log = log_line,
                                    .precision = bench ? NULL : bits };
    char *end;
    long n;

    if (strcmp(resident, "all") == 0)
        return opt;
    n = strtol(resident, &end, 10);
    if (*end || end == resident || n < 1 || n > 100)
        tool_usage("option '--resident': '%s' is neither a number from 1 to 100 nor all", resident);
    opt.resident = (int)n;
    return opt;
}

/* With --follow the model is the follower's. */
static int open_model(const char *path, struct omq_model **model, struct omq_follow **follower)
{
    struct omq_open_options opt = open_options();
    struct omq_err err = { 0 };
    int rc;

    if (follow) {
        rc = omq_follow_open(follower, path, control, &opt, &err);
        *model = rc == OMQ_OK ? omq_follow_model(*follower) : NULL;
    } else {
        rc = omq_model_open(model, path, &opt, &err);
    }
    return rc == OMQ_OK ? TOOL_OK : tool_fail(&err);
}

/* ---- what is done with it ---- */

static int run_bench(struct omq_model *m)
{
    int n, *list, status = tool_choose_precisions(m, bits ? bits : "all", &list, &n);

    if (status != TOOL_OK)
        return status;
    for (int i = 0; i < n && !tool_stdout_broken(); i++) {
        struct omq_model_bench b;
        struct omq_err err = { 0 };
        const char *name = tool_precision_name(m, list[i]);

        if (omq_model_bench(m, list[i], batch_size, 1e-3 * bench_ms, &b, &err) != OMQ_OK) {
            free(list);
            return tool_fail(&err);
        }
        tool_put_bench(name, batch_size, &b, i == 0);
    }
    free(list);
    return TOOL_OK;
}

static int simulate(struct omq_model *m)
{
    struct tool_governor g = { 0 };
    int status = tool_governor_open(&g, m, governor, floor_, false);

    if (status == TOOL_OK)
        status = tool_governor_simulate(&g, m, trace);
    tool_governor_close(&g);
    return status;
}

static int serve(const char *path, struct omq_model *m, struct omq_follow *follower)
{
    static const char *const standard_input[] = { "-" };
    const struct tool_serving what = {
        .path = path, .model = m, .follower = follower, .governor = governor, .floor = floor_,
        .batch_size = batch_size, .top = top, .stop = &stop_signal,
    };

    return tool_more.n ? tool_serve(&what, tool_more.items, tool_more.n)
                       : tool_serve(&what, standard_input, 1);
}

/* ---- the run ---- */

static void on_signal(int number)
{
    if (stop_signal)
        _exit(128 + number);
    stop_signal = number;
}

static bool reads_frames(void)
{
    for (int i = 0; i < tool_more.n; i++)
        if (strcmp(tool_more.items[i], "-") == 0)
            return true;
    return tool_more.n == 0;
}

static void check_usage(const char *model)
{
    follow = follow || control;
    if (bench && (follow || governor || trace || tool_more.n))
        tool_usage("--bench takes neither images nor --follow, --governor or --simulate");
    if (bench_ms && !bench)
        tool_usage("--time is for --bench");
    if (!bench_ms)
        bench_ms = 1000;
    if (trace && (follow || tool_more.n))
        tool_usage("--simulate takes neither images nor --follow");
    if (trace && !governor)
        tool_usage("--simulate needs a --governor");
    if (floor_ && !governor)
        tool_usage("--floor is for a --governor");
    if (!bench && bits && (strchr(bits, ',') || strcmp(bits, "all") == 0))
        tool_usage("one precision at a time: several are for --bench");
    if (strcmp(model, "-") == 0 && follow)
        tool_usage("a model from standard input cannot be followed");
    if (control && strcmp(control, "-") == 0)
        tool_usage("option '--control': the switch word must be in a file");
    if (strcmp(model, "-") == 0 && isatty(STDIN_FILENO))
        tool_usage("standard input is a terminal, not a model");
    if (strcmp(model, "-") == 0 && (trace ? strcmp(trace, "-") == 0 : !bench && reads_frames()))
        tool_usage("standard input cannot be the model and the %s", trace ? "trace" : "images");
    if (!bench && !trace && tool_more.n == 0 && isatty(STDIN_FILENO))
        tool_usage("no image given, and standard input is a terminal");
}

int main(int argc, char **argv)
{
    const char *path = tool_start(&program, argc, argv);
    struct omq_model *model = NULL;
    struct omq_follow *follower = NULL;
    int status;

    check_usage(path);
    tool_init_library();
    status = open_model(path, &model, &follower);
    if (!bench && !trace) /* which look for no signal, as opening does */
        tool_catch_signals(on_signal, tool_stop_signals);
    if (status == TOOL_OK)
        status = bench ? run_bench(model) : trace ? simulate(model)
                                                  : serve(path, model, follower);
    if (follower)
        omq_follow_close(follower);
    else
        omq_model_close(model);
    return tool_finish(status);
}
