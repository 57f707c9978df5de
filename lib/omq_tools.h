/* SPDX-License-Identifier: MIT
 *
 * What the programs need beyond omq.h: training and evaluation. Not installed,
 * not stable. The programs see these two headers only.
 */
#ifndef OMQ_TOOLS_H
#define OMQ_TOOLS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/typo.h"
#include "base/utf8.h"
#include "data/frames.h"
#include "engine/governor.h"
#include "engine/live.h"
#include "engine/presence.h"
#include "omq.h"

enum { OMQ_TOOLS_MAX_PRECISIONS = 32 };

/* One line about build and machine: compiler, BLAS, kernel level. */
void omq_build_info(char *buf, size_t size);

/* ---- training ---- */

struct omq_train;

struct omq_train_precision {
    char name[16];  /* "w4a8" */
    double loss;    /* of training, mean over the epoch so far; NaN = none yet */
    /* Percent, of the last evaluation, and its loss. NaN: none yet, or, after an epoch,
     * none after this one. */
    double top1;
    double eval_loss;
};

/* A snapshot for progress lines. */
struct omq_train_progress {
    int epoch, n_epochs; /* epoch counts from 1 */
    int step, n_steps;   /* in this epoch, from 1 */
    double loss;         /* mean over the epoch so far, all precisions */
    double lr;           /* that the last step had; NaN: there was none */
    double images_per_s; /* of the epoch, without evaluations; 0: none yet */
    double elapsed_s, left_s; /* left_s < 0: not known yet */
    int n_precisions;
    struct omq_train_precision precisions[OMQ_TOOLS_MAX_PRECISIONS];
};

/* All may be NULL. Called on the thread that called omq_train_run(). */
struct omq_train_callbacks {
    void *ctx;
    void (*step)(void *ctx, const struct omq_train_progress *p);
    void (*epoch)(void *ctx, const struct omq_train_progress *p); /* after its evaluation */
    /* A note: one sentence, no newline. One that begins with "warning: " is
     * shown even to those who asked for quiet. */
    void (*log)(void *ctx, const char *line);
};

/* Reads and checks the configuration. `sets` are "key=value". On OMQ_ECONFIG
 * *errors (if not NULL) may get all problems, a line each, to be freed. */
int omq_train_open(struct omq_train **out, const char *config_path, const char *const *sets,
                   int n_sets, char **errors, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_train_close(struct omq_train *t); /* NULL is fine */

/* The key that a word names, by all of it or, where that is so of one only, its last part:
 * "train.lr" for "lr"; NULL: none, or several. */
const char *omq_train_find_key(const char *word);

/* The resolved configuration as YAML, ending in a newline; allocated, NULL when
 * out of memory. */
char *omq_train_dump_config(const struct omq_train *t);

/* Where the run's files go; owned by t. */
const char *omq_train_output_dir(const struct omq_train *t);

/* Opens data, builds the network, counts: the --dry-run report, to f, as text
 * or as one JSON object. Creates nothing. */
int omq_train_report(struct omq_train *t, FILE *f, bool json, struct omq_err *err) OMQ_WARN_UNUSED;

/* About the weights that the network begins with, after the report, a run or a bench,
 * also after its failure: a line, with its newline, for each that did not fit, and
 * one that counts them; "" if there are none. Owned by t. omq_train_run() notes
 * them by itself. */
const char *omq_train_weights_said(const struct omq_train *t);

/* Trains. resume: from last.omq in output_dir, bit-identical to a run that was
 * never stopped; without it an output_dir that already holds last.omq is
 * refused, unless force. When *stop becomes non-zero the step is finished, a
 * checkpoint written, and OMQ_ESTOPPED returned; while precisions are calibrated
 * (train.epochs 0), OMQ_ESTOPPED is all, and nothing is written. */
int omq_train_run(struct omq_train *t, bool resume, bool force,
                  const struct omq_train_callbacks *cb, const volatile sig_atomic_t *stop,
                  struct omq_err *err) OMQ_WARN_UNUSED;

/* Whether --resume could go on from what a run has left. */
bool omq_train_has_checkpoint(const struct omq_train *t);

/* Times n_steps training steps after a warm-up; writes nothing. */
struct omq_train_bench {
    double step_ms, ms_p10, ms_p90, images_per_s;
    /* Shares of the step, which with wait sum 1: of convolutions, and the gradients of their
     * input and weights; of quantization, batch norm, and all the rest. */
    double conv, dx, dw, quant, norm, other;
    double wait;       /* for images */
    int batch_size, threads;
    char widths[128];  /* "8 4 2 1" */
    char kernel[32];
};
int omq_train_bench(struct omq_train *t, int n_steps, struct omq_train_bench *out,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* Takes the batch norm statistics of a trained model anew, and adds precisions that
 * it has not; its weights stay. The result goes to output, whole or not at all, which
 * may be the model itself. cb: log, and epoch, once, with the figures of all
 * precisions. When *stop becomes non-zero, OMQ_ESTOPPED, and nothing is written. */
struct omq_recalibrate_options {
    const char *bits; /* "4,w3a8": which ones, also new ones; NULL: all it has */
    const char *profile; /* one more, as in the configuration's `profiles`, or NULL; with
                          * it and no bits, nothing is estimated and no data is read */
    const char *data; /* root folder, or NULL: the model's own */
    int threads;      /* 0: one a processor */
    const struct omq_train_callbacks *cb;  /* or NULL */
    const volatile sig_atomic_t *stop;     /* or NULL */
};
int omq_recalibrate(const char *model, const char *output,
                    const struct omq_recalibrate_options *opt,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- evaluation ---- */

struct omq_eval;

struct omq_eval_options {
    const char *data;    /* root folder, or NULL: the model's own */
    const char *split;   /* "test" (NULL), "train" or "validation" */
    const char *engine;  /* "int" (NULL) or "float": the training forward */
    int threads;         /* 0: one a processor */
    int batch_size;      /* 0: 64 */
    int limit;           /* so many images only (omq_dataset_some()); 0: all */
    const char *logits;  /* file for the logits of each run, as .npy; or NULL */
};

/* Opens model ("-": standard input) and data. */
int omq_eval_open(struct omq_eval **out, const char *model, const struct omq_eval_options *opt,
                  struct omq_err *err) OMQ_WARN_UNUSED;
void omq_eval_close(struct omq_eval *e);

/* The precisions of the model, best first as listed in it; "w4a8" names. */
int omq_eval_count(const struct omq_eval *e);
const char *omq_eval_name(const struct omq_eval *e, int precision);
bool omq_eval_is_profile(const struct omq_eval *e, int precision); /* of the int engine only */
/* Index of "4", "w4a8" or a profile's name; OMQ_EARG with the list otherwise. */
int omq_eval_find(const struct omq_eval *e, const char *word, struct omq_err *err) OMQ_WARN_UNUSED;

struct omq_eval_result {
    char precision[64];
    int w, a;            /* 0 0 for a profile */
    int samples;
    int skipped;         /* damaged images, which are not counted */
    double top1, top5;   /* percent */
    double loss, seconds, images_per_s;
    uint64_t weight_bytes; /* packed, of this precision */
};
/* confusion, if not NULL, gets [n_classes][n_classes] counts, row = label. */
int omq_eval_run(struct omq_eval *e, int precision, struct omq_eval_result *out,
                 uint32_t *confusion, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_eval_classes(const struct omq_eval *e);
const char *omq_eval_class_name(const struct omq_eval *e, int c);

/* How well each layer is represented at one precision. */
struct omq_eval_layer {
    char name[96];
    int w_bits, a_bits;
    double w_sqnr_db, w_clipped; /* weights: signal to quantization noise; share clipped, percent */
    double a_sqnr_db, a_clipped; /* its input activations, over up to 256 images */
};
/* *layers is allocated, *n of them. */
int omq_eval_layers(struct omq_eval *e, int precision, struct omq_eval_layer **layers, int *n,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- export ---- */

struct omq_export;

struct omq_export_options {
    const char *format;  /* a name of omq_export_format_name() */
    int vectors;         /* images of a file of golden vectors beside the others; 0: none */
    const char *style;   /* a variant of the format, or NULL */
    const char *name;    /* what is written is called; NULL: after the output, or the model */
    bool with_main, integer, cmsis, act_s8, weight_u8;
    /* Called for each file that is there, in order; "-" is standard output. Or NULL. */
    void (*wrote)(void *ctx, const char *path, bool is_tar);
    void *ctx;
};

/* The formats, in order: name, what it is, the endings of its files, NULL behind the last. */
int omq_export_format_count(void);
const char *omq_export_format_name(int i);
const char *omq_export_format_summary(int i);
const char *omq_export_format_suffix(int i, int n);
/* Whether one file holds several precisions: else several are a tar. */
bool omq_export_format_holds_several(int i);
bool omq_export_format_is_text(int i); /* what goes to standard output */
/* Index of a name, or of the format whose files end like `output`; OMQ_EARG. */
int omq_export_format_find(const char *name, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_export_format_of(const char *output, struct omq_err *err) OMQ_WARN_UNUSED;

/* Reads a model ("-": standard input). */
int omq_export_open(struct omq_export **out, const char *model,
                    struct omq_err *err) OMQ_WARN_UNUSED;
void omq_export_close(struct omq_export *x); /* NULL is fine */
/* Its precisions, then its profiles, as omq_eval_count() and so on. */
int omq_export_count(const struct omq_export *x);
const char *omq_export_name(const struct omq_export *x, int i);
bool omq_export_is_float(const struct omq_export *x, int i);
/* The precision that a format's file has if nothing is said: the first of integers that it
 * can hold, or that it cannot; -1 if there is none of integers. */
int omq_export_default(const struct omq_export *x, int format);
int omq_export_find(const struct omq_export *x, const char *word,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* Writes n precisions, best first, to `output`, whole or not at all: a file, files
 * beside each other where the format has several, or "-", standard output. More
 * than the format's file holds become a tar with a manifest.json. OMQ_EARG for
 * options that the format has not, and where an output is the model itself. */
int omq_export_write(struct omq_export *x, const struct omq_export_options *opt, const int *choices,
                     int n, const char *output, struct omq_err *err) OMQ_WARN_UNUSED;

#endif
