/* SPDX-License-Identifier: MIT
 *
 * omq-run: what a model says of images, at the precision that is active.
 */
#define _GNU_SOURCE /* clock_gettime, strdup */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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
    { .name = "time", .arg = "MS", .number = &bench_ms, .def = "1000", .min = 1, .max = 3600000,
      .unit = "milliseconds", .help = "How long --bench times each precision." },
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

/* ---- what runs ---- */

struct session {
    const char *path;
    struct omq_model *model;        /* the follower's, if there is one */
    struct omq_follow *follower;    /* or NULL */
    struct tool_governor governor;
    struct omq_presence *presence;  /* or NULL */
    struct omq_model_shape shape;
    uint8_t *pixels;                /* [batch_size][image] */
    char **names;                   /* [batch_size] */
    float *logits;                  /* [batch_size][n_classes] */
    size_t image;
    int ran_at;                     /* of the last batch, or set since; -1: none yet */
    bool waiting;                   /* for a frame */
    bool ended;                     /* nothing more can be run */
    char reason[256];               /* why the next switch comes, or the last one came */
    uint64_t switched_ms;
    double next_update;
    int status;
};

static const char *precision_name(struct omq_model *m, int i)
{
    struct omq_model_precision p;

    omq_model_precision(m, i, &p);
    return p.name;
}

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

static int open_model(struct session *s)
{
    struct omq_open_options opt = open_options();
    struct omq_err err = { 0 };
    int rc;

    if (follow) {
        rc = omq_follow_open(&s->follower, s->path, control, &opt, &err);
        s->model = rc == OMQ_OK ? omq_follow_model(s->follower) : NULL;
    } else {
        rc = omq_model_open(&s->model, s->path, &opt, &err);
    }
    if (rc != OMQ_OK)
        return tool_fail(&err);
    omq_model_shape(s->model, &s->shape);
    s->image = (size_t)s->shape.height * (size_t)s->shape.width * (size_t)s->shape.channels;
    return TOOL_OK;
}

/* ---- what others see ---- */

/* Opens, or brings up to date, what omq-switch --status shows of us. */
static void publish(struct session *s, bool open)
{
    struct omq_counters c;
    struct omq_presence_state state;
    struct omq_err err = { 0 };
    int rc = OMQ_OK;

    omq_model_counters(s->model, &c);
    state = (struct omq_presence_state){
        .precision = precision_name(s->model, s->ran_at >= 0 ? s->ran_at
                                                             : omq_model_active(s->model)),
        .waiting = s->waiting,
        .switches = c.switches, .batches = c.batches, .images = c.images,
        .reason = s->switched_ms ? s->reason : NULL, .switched_ms = s->switched_ms,
    };
    if (open) {
        omq_presence_close(s->presence);
        s->presence = NULL;
        rc = omq_presence_open(&s->presence, tool_state_dir(), s->path, &state, &err);
    } else if (s->presence) {
        rc = omq_presence_update(s->presence, &state, &err);
    }
    if (rc < 0 && !tool_common.quiet)
        tool_message("omq-switch --status does not see this process: %s", err.msg);
    s->next_update = tool_now() + 1;
}

/* ---- who switches ---- */

static bool same_shape(const struct omq_model_shape *a, const struct omq_model_shape *b)
{
    return a->height == b->height && a->width == b->width && a->channels == b->channels &&
           a->n_classes == b->n_classes && a->resize == b->resize && a->bicubic == b->bicubic;
}

/* Images are of the old model's size, and so is the room for its answers. */
static void take_new_model(struct session *s)
{
    struct omq_model_shape shape;

    s->model = omq_follow_model(s->follower);
    s->ran_at = -1;
    omq_model_shape(s->model, &shape);
    if (!same_shape(&shape, &s->shape)) {
        tool_message("'%s' was replaced by a model for other images or classes: start anew",
                     s->path);
        s->status = TOOL_FAILED;
        s->ended = true;
        return;
    }
    if (governor) { /* it knows the old one's precisions */
        tool_governor_close(&s->governor);
        s->status = tool_governor_open(&s->governor, s->model, governor, floor_, true);
        s->ended = s->status != TOOL_OK;
    }
    if (!tool_common.quiet)
        tool_message("'%s' was replaced; the new model runs at %s", s->path,
                     precision_name(s->model, omq_model_active(s->model)));
    publish(s, true);
}

/* Before a batch, and while there is none. */
static void look_at_switch(struct session *s)
{
    enum omq_follow_event event;
    struct omq_err err = { 0 };

    if (omq_follow_poll(s->follower, &event, &err) < 0)
        tool_message("%s", err.msg);
    else if (event == OMQ_FOLLOW_REPLACED)
        take_new_model(s);
    else if (event == OMQ_FOLLOW_SWITCHED)
        snprintf(s->reason, sizeof(s->reason), "omq-switch");
    if (tool_now() >= s->next_update && !s->ended)
        publish(s, false);
}

/* After a batch: was it the first one at another precision? Or while there is
 * none: will it be? */
static void note_precision(struct session *s, int ran_at)
{
    struct timespec t;

    if (s->ran_at >= 0 && ran_at != s->ran_at) {
        clock_gettime(CLOCK_REALTIME, &t);
        s->switched_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
        if (!tool_common.quiet)
            tool_message("%s -> %s: %s", precision_name(s->model, s->ran_at),
                         precision_name(s->model, ran_at), s->reason);
        s->ran_at = ran_at;
        publish(s, false);
    }
    s->ran_at = ran_at;
}

/* Standard input has nothing: whoever waits for a switch need not wait for it. */
static bool while_idle(void *ctx)
{
    struct session *s = ctx;

    if (s->follower) {
        s->waiting = true;
        look_at_switch(s);
        if (!s->ended)
            note_precision(s, omq_model_active(s->model));
        s->waiting = false;
    }
    return !stop_signal && !s->ended && !tool_reader_left();
}

/* ---- answers ---- */

static int run_batch(struct session *s, int n)
{
    struct omq_batch_io b = { .images = s->pixels, .n = n, .precision = OMQ_ACTIVE,
                              .logits = s->logits };
    struct omq_err err = { 0 };
    double start = tool_now(), ms;

    if (omq_model_run(s->model, &b, &err) != OMQ_OK)
        return tool_fail(&err);
    ms = 1e3 * (tool_now() - start);
    note_precision(s, b.ran_at);
    for (int i = 0; i < n; i++)
        tool_put_answer(s->model, s->names[i], s->logits + (size_t)i * (size_t)s->shape.n_classes,
                        top, precision_name(s->model, b.ran_at), ms);
    if (governor)
        tool_governor_step(&s->governor, s->model, ms, s->reason, sizeof(s->reason));
    return TOOL_OK;
}

/* Images until the batch is full; *n of them. False at the end. */
static bool fill_batch(struct session *s, struct omq_frames *frames, int *n)
{
    for (*n = 0; *n < batch_size && !stop_signal;) {
        struct omq_err err = { 0 };
        const char *name;
        int rc = omq_frames_next(frames, s->pixels + (size_t)*n * s->image, &name, &err);

        if (rc == 0)
            return false;
        if (rc < 0) {
            (void)tool_fail(&err);
            s->status = TOOL_FAILED;
            continue;
        }
        free(s->names[*n]);
        s->names[*n] = strdup(name);
        if (!s->names[*n]) {
            tool_message("out of memory");
            s->status = TOOL_FAILED;
            return false;
        }
        ++*n;
    }
    return !stop_signal;
}

static void answer_all(struct session *s, struct omq_frames *frames)
{
    bool more = true;
    int n, rc = TOOL_OK;

    omq_frames_on_idle(frames, while_idle, s);
    while (more && rc == TOOL_OK && !tool_stdout_broken()) { /* which flushes: each answer now */
        more = fill_batch(s, frames, &n);
        if (s->follower && !s->ended)
            look_at_switch(s);
        if (s->ended)
            break;
        if (n > 0)
            rc = run_batch(s, n);
    }
    if (rc != TOOL_OK)
        s->status = rc;
}

static int answer(struct session *s)
{
    static const char *const standard_input[] = { "-" };
    const char *const *paths = tool_more.n ? tool_more.items : standard_input;
    struct omq_frames *frames = NULL;
    struct omq_err err = { 0 };

    s->pixels = calloc((size_t)batch_size, s->image);
    s->names = calloc((size_t)batch_size, sizeof(*s->names));
    s->logits = calloc((size_t)batch_size, sizeof(*s->logits) * (size_t)s->shape.n_classes);
    if (!s->pixels || !s->names || !s->logits) {
        tool_message("cannot allocate a batch of %d images", batch_size);
        s->status = TOOL_FAILED;
    } else if (omq_frames_open(&frames, paths, tool_more.n ? tool_more.n : 1, &s->shape,
                               &err) != OMQ_OK) {
        s->status = tool_fail(&err);
    } else {
        if (follow)
            publish(s, true);
        answer_all(s, frames);
    }
    omq_frames_close(frames);
    for (int i = 0; s->names && i < batch_size; i++)
        free(s->names[i]);
    free(s->names);
    free(s->pixels);
    free(s->logits);
    return s->status;
}

/* ---- --bench ---- */

static int run_bench(struct session *s)
{
    int n, *list, status = tool_choose_precisions(s->model, bits ? bits : "all", &list, &n);

    if (status != TOOL_OK)
        return status;
    for (int i = 0; i < n && !stop_signal && !tool_stdout_broken(); i++) {
        struct omq_model_bench b;
        struct omq_err err = { 0 };
        const char *name = precision_name(s->model, list[i]);

        if (omq_model_bench(s->model, list[i], batch_size, 1e-3 * bench_ms, &b, &err) != OMQ_OK) {
            free(list);
            return tool_fail(&err);
        }
        tool_put_bench(name, batch_size, &b, i == 0);
    }
    free(list);
    return TOOL_OK;
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
    if (strcmp(model, "-") == 0 && isatty(STDIN_FILENO))
        tool_usage("standard input is a terminal, not a model");
    if (strcmp(model, "-") == 0 && (trace ? strcmp(trace, "-") == 0 : !bench && reads_frames()))
        tool_usage("standard input cannot be the model and the %s", trace ? "trace" : "images");
    if (!bench && !trace && tool_more.n == 0 && isatty(STDIN_FILENO))
        tool_usage("no image given, and standard input is a terminal");
}

int main(int argc, char **argv)
{
    struct session s = { .path = tool_start(&program, argc, argv), .ran_at = -1 };
    int status;

    check_usage(s.path);
    tool_catch_signals(on_signal);
    tool_init_library();
    status = open_model(&s);
    if (status == TOOL_OK && governor)
        status = tool_governor_open(&s.governor, s.model, governor, floor_, !trace);
    if (status == TOOL_OK)
        status = bench ? run_bench(&s) : trace ? tool_governor_simulate(&s.governor, s.model, trace)
                                               : answer(&s);
    tool_governor_close(&s.governor);
    omq_presence_close(s.presence);
    if (s.follower)
        omq_follow_close(s.follower);
    else
        omq_model_close(s.model);
    return tool_finish(status);
}
