/* SPDX-License-Identifier: MIT
 *
 * What all programs share: one table of options that drives the parser, --help,
 * completion and the OPTIONS section of the man page; messages; the rules for
 * standard output; JSON and number formatting.
 *
 * A program is one thread of control that may exit from here: bad usage ends it
 * with status 2. stdout carries data only, stderr everything else.
 */
#ifndef OMQ_TOOL_H
#define OMQ_TOOL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "omq.h"

enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2, TOOL_STOPPED = 75 };

/* Values of an option that may be given several times, in order. */
struct tool_list {
    const char **items;
    int n;
};

/* A row of the table. Exactly one of the pointers flag ... list is set and says
 * what the option is; flag and count take no argument, the others need arg. */
struct tool_option {
    const char *name;     /* long form, without the dashes */
    char letter;          /* 0: none */
    const char *arg;      /* how help calls the argument */
    const char *help;     /* sentences; ranges, words and def are added to them */
    const char *def;      /* the value without the option, parsed like any other */
    bool *flag;
    int *count;
    int *number;          /* min to max; the unit is for messages */
    const char **text;
    struct tool_list *list;
    int min, max;
    const char *unit;
    const char *const *words; /* NULL-terminated: the only values text may have */
};

enum { TOOL_WITH_JSON = 1, TOOL_WITH_THREADS = 2 }; /* shared options not all programs have */

struct tool {
    const char *name;      /* "omq-train" */
    const char *operand;   /* "CONFIG.yaml"; there is always exactly one */
    const char *more;      /* "[IMAGE...]": operands that may follow it; NULL: none */
    const bool *alone;     /* an option's flag that does without the operand; NULL: none */
    const char *summary;   /* one sentence */
    const char *const *examples; /* NULL-terminated command lines */
    const struct tool_option *options;
    int n_options;
    unsigned shared;
    /* May end the program by tool_usage(), knowing better what was meant: an option that there is
     * not, without its dashes; an operand behind the one there is. NULL: do not know. */
    void (*unknown)(const char *typed), (*stray)(const char *operand);
};

/* Values of the shared options. */
extern struct tool_common {
    bool quiet, json;
    int verbose, threads; /* threads 0: one a processor */
} tool_common;

/* ---- tool_options.c: the command line ---- */

/* Parses the command line and returns the operand (or NULL, see alone); those
 * behind it are in tool_more. Serves --help, --version and the hidden --complete and
 * --print-mdoc, and ends the program on bad usage. Calls tool_begin(). */
const char *tool_start(const struct tool *t, int argc, char **argv);
extern struct tool_list tool_more;

/* ---- tool_help.c: what the options are, on standard output ---- */

/* What follows the help of an option: " (1 to 8 threads; default 2)", or nothing. */
void tool_option_suffix(const struct tool_option *o, char *buf, size_t size);
/* rows[n] in order; for people, as a list of mdoc, and for the shell: a line an option,
 * "--name", and after a tab the name of its argument, or its words with "|" between. */
void tool_print_help(const struct tool *tool, const struct tool_option *const *rows, int n);
void tool_print_mdoc(const struct tool_option *const *rows, int n);
void tool_print_completion(const struct tool_option *const *rows, int n);

/* ---- tool.c: everything else ---- */

/* Sets the name for messages, secures file descriptors 0 to 2 and ignores
 * SIGPIPE: a reader that goes away must not end a training. */
void tool_begin(const char *name);

/* fn for these signals, which a 0 ends, but for those that the parent ignores, as a shell
 * script does for jobs in the background, and nohup. tool_stop_signals: SIGINT, SIGTERM. */
void tool_catch_signals(void (*fn)(int number), const int *numbers);
extern const int tool_stop_signals[];

/* omq_init() with $OMQ_CPU, and with --verbose how it was built. Ends the program if the
 * variable names no kernel level. */
void tool_init_library(void);

/* Closes stdout and returns the status for main(): TOOL_FAILED in place of
 * TOOL_OK, with a message, if not all of the output could be written (without
 * a message if the reader of a pipe went away). */
int tool_finish(int status);

/* Whether writing to stdout has failed already: stop working for it. */
bool tool_stdout_broken(void);

/* Whether the reader of a pipe went away, seen without writing to it; and that or
 * tool_stdout_broken(): what comes seldom is waited for in vain then. */
bool tool_reader_gone(void);
bool tool_reader_left(void);

/* "NAME: message\n" on stderr. Control characters, which a hostile file may
 * have put into a message, are replaced. */
void tool_message(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The message, "try 'NAME --help'", exit 2. */
_Noreturn void tool_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints a library error and returns the status that belongs to its code. */
int tool_fail(const struct omq_err *err);

/* Text to f with control characters replaced, but for those in keep. */
void tool_put_clean(FILE *f, const char *s, const char *keep);

/* s as one word of a shell command. */
void tool_put_shell(FILE *f, const char *s);

/* A JSON string, valid whatever the bytes of s; a JSON number, exact, or null
 * where x is not finite. */
void tool_json_string(FILE *f, const char *s);
void tool_json_number(FILE *f, double x);

/* ,"NAME":VALUE for each of n, on standard output. */
struct tool_number {
    const char *name;
    double value;
};
void tool_json_numbers(const struct tool_number *list, size_t n);

/* A column of a table for people: "-" where there is no figure (NaN). */
void tool_put_figure(FILE *f, double x, int width, int digits);

/* "8" for "w8a8", other names as they are: into buf, which is returned. */
const char *tool_short_precision(const char *name, char *buf, size_t size);

/* "76.6 KiB" and "1:02:03": into buf, which is returned. */
const char *tool_bytes(uint64_t n, char *buf, size_t size);
const char *tool_duration(double seconds, char *buf, size_t size);

/* ---- one line on the terminal behind stderr, rewritten in place ---- */

bool tool_progress_wanted(void); /* stderr is a terminal, and no -q */
int tool_progress_columns(void); /* that fit now; asks the terminal each time */
void tool_progress(const char *line); /* shows it, cut to fit */
void tool_progress_clear(void);  /* before anything else is printed */

/* ---- tool_choose.c: lists of precisions ---- */

/* What can be chosen from: find() gives a word's index, or a negative code and a
 * sentence; is_in_all() whether "all" means it too (NULL: any of the n). */
struct tool_choices {
    void *ctx;
    int n;
    int (*find)(void *ctx, const char *word, struct omq_err *err);
    bool (*is_in_all)(void *ctx, int i);
};
/* "8,w4a8,..." or "all" to indices in that order, none twice: *n of them in *list,
 * to be freed. Returns the program's status; *list is NULL if that is not TOOL_OK. */
int tool_choose(const struct tool_choices *c, const char *words, int **list, int *n);
/* For struct tool's stray: "8" and "w4a8" are values of --bits. */
void tool_stray_precision(const char *operand);

/* ---- tool_live.c: what the programs around a live model share ---- */

/* $XDG_RUNTIME_DIR/omq, or /tmp/omq-UID: where followers say who they are. */
const char *tool_state_dir(void);

/* tool_choose() for a model: all are those that are not float. */
int tool_choose_precisions(struct omq_model *m, const char *words, int **list, int *n);

/* "w4a8", or a profile's; the model's. */
const char *tool_precision_name(struct omq_model *m, int i);

/* A governor of a model's precisions; zero is none. */
struct tool_governor {
    struct omq_governor *governor;
    int *list, n;    /* the model's precisions, as the governor numbers them */
    int seen;        /* what the model was asked for last, when last looked at */
    bool is_manual;
    bool is_resting; /* what was asked for is none that it may choose */
    double next_look; /* at the sensors */
    int n_looks;     /* so far */
    struct omq_sensors *sensors;
};

/* Opens a governor of all precisions from best to worst, measuring how fast each
 * is if that is what it looks at. is_live: it reads sensors, and its first choice
 * becomes the active one; manual goes on from the one that is. These return the
 * program's status. */
int tool_governor_open(struct tool_governor *g, struct omq_model *m, const char *spec,
                       const char *floor, bool is_live);
void tool_governor_close(struct tool_governor *g);
/* After a batch that took ms at a precision: sets another one, and says why, if it is
 * time. */
void tool_governor_step(struct tool_governor *g, struct omq_model *m, int ran_at, double ms,
                        char *reason, size_t size);
/* The switches on a trace, on stdout, and the time at each precision. */
int tool_governor_simulate(struct tool_governor *g, struct omq_model *m, const char *trace);

/* ---- tool_serve.c: images through a model that may be switched meanwhile ---- */

struct tool_serving {
    const char *path;            /* of the model */
    struct omq_model *model;
    struct omq_follow *follower; /* whose model it is, until another takes its name; or NULL */
    const char *governor, *floor; /* what they were given as; NULL: none */
    int batch_size, top;         /* classes that are shown of an image */
    const volatile sig_atomic_t *stop;
};
/* A line for each image of the files, "-" being frames on standard input, until there are
 * no more or *stop. Returns the program's status. */
int tool_serve(const struct tool_serving *what, const char *const *paths, int n_paths);

/* ---- tool_answer.c: what omq-run prints ---- */

/* One line an image: its name, then class and confidence of the `top` most likely
 * ones, and the precision. Takes the logits of what it shows away. */
void tool_put_answer(const struct omq_model *m, const char *name, float *logits, int top,
                     const char *precision, double ms);

struct omq_model_bench;
/* The speed of a precision, with a header before the first. */
void tool_put_bench(const char *name, int batch, const struct omq_model_bench *b, bool is_first);

/* ---- tool_training.c: what omq-train shows of a training ---- */

struct omq_train_callbacks;
/* For one omq_train_run() or omq_recalibrate(). live: in a line that is rewritten in
 * place. */
const struct omq_train_callbacks *tool_training_begin(bool live);
/* The last table; returns the seconds that all took, -1 (and no table) where there was
 * nothing to do. */
double tool_training_end(void);

/* ---- tool_followers.c: the processes that follow a model ---- */

/* A table of them. These return the program's status. */
int tool_followers_show(const char *model);
/* Each that begins, switches or ends, until *stop or nobody reads. */
int tool_followers_watch(const char *model, const volatile sig_atomic_t *stop);
/* Until all run a precision or the time is over; tells which do not. */
int tool_followers_wait(const char *model, const char *precision, int timeout_s);

#endif
