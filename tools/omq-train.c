/* SPDX-License-Identifier: MIT
 *
 * omq-train: trains one network for all widths of a configuration.
 */
#define _GNU_SOURCE /* SIGHUP, open_memstream, write */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omq_tools.h"
#include "tool.h"

static struct tool_list sets, maps, skips;
static const char *init;
static bool no_strict, dry_run, dump_config, resume, force, bench, recalibrate;
static const char *output, *bits, *profile, *data;
static int bench_steps;

static const struct tool_option options[] = {
    { .name = "set", .letter = 's', .arg = "KEY=VALUE", .list = &sets,
      .help = "Set a key of the configuration, as in train.lr=0.05 or bits=[8,4]. Can be given "
              "several times; the last one wins." },
    { .name = "init", .letter = 'i', .arg = "FILE", .text = &init,
      .help = "Begin with the weights of a file: safetensors, npz, or a model.omq. Short for "
              "--set init=FILE." },
    { .name = "map", .arg = "OLD=NEW", .list = &maps,
      .help = "Change names in that file, where OLD is a name or what stands before one of its "
              "dots; one that fits no name is an error. Can be given several times. Short for "
              "--set init_map=[OLD=NEW,...]." },
    { .name = "skip", .arg = "PATTERN", .list = &skips,
      .help = "Keep the random values of parameters: by name, pattern of names, or module, as in "
              "linear; one that fits none is an error. Can be given several times. Short for "
              "--set init_skip=[PATTERN,...]." },
    { .name = "no-strict", .flag = &no_strict,
      .help = "Load what fits, and list what is missing, unexpected or of another shape. Short "
              "for --set init_strict=false." },
    { .name = "dry-run", .letter = 'n', .flag = &dry_run,
      .help = "Check configuration, data, memory and output_dir, report what learns in which "
              "epochs, layers, parameters and bytes of each width on standard output, and "
              "create nothing." },
    { .name = "dump-config", .flag = &dump_config,
      .help = "Print the configuration with all defaults filled in, and exit." },
    { .name = "resume", .letter = 'r', .flag = &resume,
      .help = "Continue the run in output_dir from its last checkpoint." },
    { .name = "force", .letter = 'f', .flag = &force,
      .help = "Start anew although output_dir holds a run, whose files are replaced one by one: "
              "model.omq when all is done, so that after a stop it still is the earlier run's." },
    { .name = "bench", .flag = &bench,
      .help = "Time training steps instead of training; writes no file." },
    { .name = "steps", .arg = "N", .number = &bench_steps, .min = 1, .max = 100000,
      .unit = "steps", .help = "Steps that --bench times, after a warm-up; without the option, "
                               "20." },
    { .name = "recalibrate", .flag = &recalibrate,
      .help = "Instead of a configuration, take a model that is trained: estimate its batch "
              "norm anew, and add widths that it has not, without training." },
    { .name = "output", .letter = 'o', .arg = "FILE", .text = &output,
      .help = "Where --recalibrate writes the model, which may be where it was read; it is "
              "replaced when all is done." },
    { .name = "bits", .letter = 'b', .arg = "LIST", .text = &bits,
      .help = "Widths that --recalibrate works on, such as 4,w3a8, also new ones; without "
              "the option, all that the model has." },
    { .name = "profile", .arg = "TEXT", .text = &profile,
      .help = "A profile that --recalibrate adds, such as \"fast 2 conv1=8 layer3*=w4a8\", as "
              "the configuration's profiles are; without --bits, nothing else is done." },
    { .name = "data", .letter = 'd', .arg = "DIR", .text = &data,
      .help = "Folder of the images for --recalibrate; without the option, the model's own." },
};

static const char *const examples[] = {
    "omq-train --dry-run configs/quickstart.yaml",
    "omq-train --set train.epochs=5 --set output_dir=runs/short configs/quickstart.yaml",
    NULL,
};

/* A key of the configuration is set by --set. */
static void unknown_option(const char *typed)
{
    char word[64];
    size_t n = strcspn(typed, "=");
    const char *key;

    snprintf(word, sizeof(word), "%.*s", (int)n, typed);
    for (char *p = word; *p; p++)
        *p = *p == '-' ? '_' : *p;
    if ((key = omq_train_find_key(word)))
        tool_usage("unknown option '--%.*s'; did you mean '--set %s=%s'?", (int)n, typed, key,
                   typed[n] ? typed + n + 1 : "VALUE");
}

static const struct tool program = {
    .name = "omq-train",
    .operand = "CONFIG.yaml",
    .summary = "Trains one network for all quantization widths of a configuration.",
    .examples = examples,
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .shared = TOOL_WITH_JSON | TOOL_WITH_THREADS,
    .unknown = unknown_option,
};

/* ---- signals ---- */

static volatile sig_atomic_t stop;
static volatile sig_atomic_t live; /* progress is one line in place on a terminal */

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, 0 };

static void on_signal(int number)
{
    static const char text[] = "\nomq-train: finishing the step; Ctrl-C now stops at once\n";
    int saved = errno;

    if (stop && number == SIGINT) {
        signal(number, SIG_DFL);
        raise(number); /* delivered when this handler returns */
        return;
    }
    if (!stop) {
        size_t skip = live ? 0 : 1; /* the newline that leaves the progress line */

        if (write(STDERR_FILENO, text + skip, sizeof(text) - 1 - skip) < 0) {
            /* nobody to tell */
        }
    }
    errno = saved;
    stop = number;
}

/* ---- the jobs ---- */

/* Without a checkpoint the same command starts again. */
static void say_how_to_continue(const struct omq_train *t, const char *config)
{
    fprintf(stderr, "to continue: omq-train%s",
            omq_train_has_checkpoint(t) ? " --resume" : force ? " --force" : "");
    for (int i = 0; i < sets.n; i++) {
        fprintf(stderr, " --set ");
        tool_put_shell(stderr, sets.items[i]);
    }
    fprintf(stderr, " ");
    tool_put_shell(stderr, config);
    putc('\n', stderr);
}

static int train(struct omq_train *t, const char *config)
{
    struct omq_err err = { 0 };
    double seconds;
    char took[32];
    int rc;

    live = tool_progress_wanted();
    rc = omq_train_run(t, resume, force, tool_training_begin(live), &stop, &err);
    tool_progress_clear();
    if (rc != OMQ_OK) {
        rc = tool_fail(&err);
        if (rc == TOOL_STOPPED)
            say_how_to_continue(t, config);
        return rc;
    }
    if (tool_common.quiet)
        return TOOL_OK;
    seconds = tool_training_end();
    if (seconds < 0)
        tool_message("the run in '%s' is complete: nothing to do", omq_train_output_dir(t));
    else
        tool_message("model in '%s/model.omq' after %s", omq_train_output_dir(t),
                     tool_duration(seconds, took, sizeof(took)));
    return TOOL_OK;
}

static int run_recalibrate(const char *model)
{
    struct omq_recalibrate_options opt = { .bits = bits, .profile = profile, .data = data,
                                           .cb = tool_training_begin(false), .stop = &stop,
                                           .threads = tool_common.threads };
    struct omq_err err = { 0 };

    if (omq_recalibrate(model, output, &opt, &err) != OMQ_OK)
        return tool_fail(&err);
    if (!tool_common.quiet) {
        tool_training_end();
        tool_message("model in '%s'", output);
    }
    return TOOL_OK;
}

/* What does not fit, where nobody has noted it yet. */
static void say_weights(const struct omq_train *t)
{
    tool_put_clean(stderr, omq_train_weights_said(t), "\n");
}

static void bench_json(const struct omq_train_bench *b)
{
    const struct tool_number numbers[] = {
        { "step_ms", b->step_ms }, { "ms_p10", b->ms_p10 }, { "ms_p90", b->ms_p90 },
        { "images_per_s", b->images_per_s }, { "conv", b->conv }, { "dx", b->dx },
        { "dw", b->dw }, { "quant", b->quant }, { "norm", b->norm }, { "other", b->other },
        { "wait", b->wait },
    };

    printf("{\"widths\":");
    tool_json_string(stdout, b->widths);
    printf(",\"kernel\":");
    tool_json_string(stdout, b->kernel);
    printf(",\"threads\":%d,\"batch_size\":%d,\"steps\":%d", b->threads, b->batch_size,
           bench_steps);
    tool_json_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));
    printf("}\n");
}

static int run_bench(struct omq_train *t)
{
    struct omq_train_bench b = { 0 };
    struct omq_err err = { 0 };

    if (omq_train_bench(t, bench_steps, &b, &err) != OMQ_OK) {
        say_weights(t);
        return tool_fail(&err);
    }
    if (tool_common.json) {
        bench_json(&b);
        return TOOL_OK;
    }
    printf("widths %s, batch %d, threads %d, kernels %s, steps %d\n", b.widths, b.batch_size,
           b.threads, b.kernel, bench_steps);
    printf(" ms/step      p10      p90  images/s   conv     dx     dw  quant   norm  other   "
           "wait\n");
    printf("%8.1f %8.1f %8.1f %9.0f %5.1f%% %5.1f%% %5.1f%% %5.1f%% %5.1f%% %5.1f%% %5.1f%%\n",
           b.step_ms, b.ms_p10, b.ms_p90, b.images_per_s, 100 * b.conv, 100 * b.dx, 100 * b.dw,
           100 * b.quant, 100 * b.norm, 100 * b.other, 100 * b.wait);
    return TOOL_OK;
}

static int print_config(const struct omq_train *t)
{
    char *text = omq_train_dump_config(t);

    if (!text) {
        tool_message("out of memory");
        return TOOL_FAILED;
    }
    fputs(text, stdout);
    free(text);
    return TOOL_OK;
}

static int report(struct omq_train *t)
{
    struct omq_err err = { 0 };
    int rc = omq_train_report(t, stdout, tool_common.json, &err);

    if (!tool_common.quiet)
        say_weights(t);
    return rc == OMQ_OK ? TOOL_OK : tool_fail(&err);
}

static void check_usage(void)
{
    if (dry_run + dump_config + bench + resume + recalibrate > 1)
        tool_usage("give only one of --dry-run, --dump-config, --bench, --resume and "
                   "--recalibrate");
    if (recalibrate && !output)
        tool_usage("--recalibrate needs --output FILE, which may be the model itself");
    if (recalibrate && strcmp(output, "-") == 0)
        tool_usage("--recalibrate writes a file: give --output its name");
    if (recalibrate && (sets.n || init || maps.n || skips.n || no_strict))
        tool_usage("--recalibrate has the model's configuration: there is nothing to --set");
    if (!recalibrate && (output || bits || profile || data))
        tool_usage("--output, --bits, --profile and --data are for --recalibrate only");
    if (force && (dry_run || dump_config || bench || resume || recalibrate))
        tool_usage("--force is for a new run only");
    if (bench_steps && !bench)
        tool_usage("--steps is for --bench only");
    if (tool_common.json && !dry_run && !bench)
        tool_usage("--json is for --dry-run and --bench only");
    if (!bench_steps)
        bench_steps = 20;
}

/* Text in quotes of YAML. */
static void put_quoted(FILE *f, const char *s)
{
    putc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putc('\\', f);
        putc(*s, f);
    }
    putc('"', f);
}

/* "KEY=["A","B"]", or without brackets the one value; kept to the end. */
static void add_set(const char *key, const char *const *values, int n, bool is_list)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (f) {
        fprintf(f, "%s=%s", key, is_list ? "[" : "");
        for (int i = 0; i < n; i++) {
            fputs(i ? "," : "", f);
            put_quoted(f, values[i]);
        }
        fputs(is_list ? "]" : "", f);
    }
    if (!f || fclose(f) != 0) {
        tool_message("out of memory");
        exit(tool_finish(TOOL_FAILED));
    }
    sets.items[sets.n++] = text;
}

/* Options that are short for a --set come after all of those, so that messages
 * count them as they were typed; the list has room (see tool_options.c). */
static void add_sets(void)
{
    static char text[32];

    if (init)
        add_set("init", &init, 1, false);
    if (maps.n)
        add_set("init_map", maps.items, maps.n, true);
    if (skips.n)
        add_set("init_skip", skips.items, skips.n, true);
    if (no_strict)
        sets.items[sets.n++] = "init_strict=false";
    if (tool_common.threads) {
        snprintf(text, sizeof(text), "threads=%d", tool_common.threads);
        sets.items[sets.n++] = text;
    }
}

static int open_failed(char *errors, const struct omq_err *err)
{
    size_t n = errors ? strlen(errors) : 0;

    if (n == 0) {
        free(errors);
        return tool_fail(err);
    }
    tool_put_clean(stderr, errors, "\n");
    if (errors[n - 1] != '\n')
        putc('\n', stderr);
    free(errors);
    return err->code == OMQ_ECONFIG ? TOOL_USAGE : TOOL_FAILED;
}

int main(int argc, char **argv)
{
    const char *config = tool_start(&program, argc, argv);
    struct omq_err err = { 0 };
    struct omq_train *t = NULL;
    char *errors = NULL;
    int status;

    check_usage();
    if (recalibrate) {
        tool_catch_signals(on_signal, signals);
        tool_init_library();
        return tool_finish(run_recalibrate(config));
    }
    if (strcmp(config, "-") == 0 && isatty(STDIN_FILENO))
        tool_usage("standard input is a terminal, not a configuration");
    add_sets();
    if (!dry_run && !dump_config && !bench)
        tool_catch_signals(on_signal, signals);
    tool_init_library();
    if (omq_train_open(&t, config, sets.items, sets.n, &errors, &err) != OMQ_OK)
        return tool_finish(open_failed(errors, &err));
    if (dump_config)
        status = print_config(t);
    else if (dry_run)
        status = report(t);
    else if (bench)
        status = run_bench(t);
    else
        status = train(t, config);
    omq_train_close(t);
    return tool_finish(status);
}
