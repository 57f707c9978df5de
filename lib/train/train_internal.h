/* SPDX-License-Identifier: MIT
 *
 * Inside train: one run's state, and the parts that the loop calls.
 */
#ifndef OMQ_TRAIN_TRAIN_INTERNAL_H
#define OMQ_TRAIN_TRAIN_INTERNAL_H

#include "base/err.h"
#include "base/pool.h"
#include "conf/conf.h"
#include "data/data.h"
#include "nn/nn.h"
#include "omq_tools.h"

/* ---- optimizer.c ---- */

/* State of SGD (m) or Adam (m, v), a slot for every parameter. */
struct omq_optim {
    omq_real **m, **v;  /* [n_params]; NULL where there is none */
    uint64_t *n_updates; /* [n_params]; Adam's t */
    size_t *first;      /* [n_params + 1]: where each active parameter begins */
    double *sums;       /* of each block of them */
    struct omq_arena arena;
};

int omq_optim_init(struct omq_optim *o, const struct omq_net *net,
                   const struct omq_train_config *cfg, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_optim_release(struct omq_optim *o);

/* Parameters of a step. */
struct omq_learners {
    bool shared; /* what all precisions have in common */
    bool precision[OMQ_MAX_PRECISIONS];
};

/* Zeroes gradients. */
void omq_optim_zero_grad(struct omq_optim *o, const struct omq_net *net, struct omq_pool *pool,
                         const struct omq_learners *which);
/* Norm of the gradients; not finite if one of them is not. */
double omq_optim_grad_norm(struct omq_optim *o, const struct omq_net *net, struct omq_pool *pool,
                           const struct omq_learners *which);
/* One update, gradients first times grad_scale. */
void omq_optim_step(struct omq_optim *o, const struct omq_net *net, struct omq_pool *pool,
                    const struct omq_train_config *cfg, double offset_decay, double lr,
                    double grad_scale, const struct omq_learners *which);

/* ---- schedule.c: which precisions learn when, and how fast ---- */

/* What an epoch is for. One precision alone has the second stage only. */
enum omq_stage {
    OMQ_STAGE_HIGHEST,  /* the highest precision learns alone */
    OMQ_STAGE_TOGETHER, /* several precisions a step */
    OMQ_STAGE_VIEWS,    /* what those that have a view have of their own */
    OMQ_N_STAGES
};

/* A function of the configuration and the network's precisions. */
struct omq_schedule {
    int n;                            /* precisions */
    int order[OMQ_MAX_PRECISIONS];    /* from the highest to the lowest */
    double share[OMQ_MAX_PRECISIONS]; /* of the steps together, by rank in that order */
    bool has_view[OMQ_MAX_PRECISIONS]; /* by precision */
    int epochs[OMQ_N_STAGES];
    int widths[OMQ_N_STAGES];         /* precisions that learn in a step, at most */
};

void omq_schedule_init(struct omq_schedule *s, const struct omq_train_config *cfg,
                       const struct omq_net *net);
/* Of all stages. */
int omq_schedule_epochs(const struct omq_schedule *s);
/* Whether a run of another schedule that has done so many epochs, and steps of the next, can
 * go on with s as if that had been its schedule from the start, but for learning rates. */
bool omq_schedule_goes_on(const struct omq_schedule *s, const struct omq_schedule *was, int epochs,
                          int steps);
/* Of an epoch, from 0. */
enum omq_stage omq_schedule_stage(const struct omq_schedule *s, int epoch);
/* Learning rate in an epoch, from 0, of which a share is done. */
double omq_schedule_lr(const struct omq_schedule *s, const struct omq_train_config *cfg, int epoch,
                       double share);
/* The precisions of a step of an epoch, the highest first; number: of the step in the
 * run. Returns how many. */
int omq_schedule_choose(const struct omq_schedule *s, uint64_t seed, int epoch, uint32_t number,
                        int *chosen);

/* Indices of the precisions from the highest to the lowest. */
void omq_schedule_order(const struct omq_precision *p, int n, int *order);
/* Share of the steps in which each rank of that order is drawn, when k of n
 * precisions take part in a step (0: all of them): the highest in every step if
 * k > 1, the others in proportion to 1/bits, bits the smaller of weights' and
 * activations'. */
void omq_schedule_shares(const struct omq_precision *p, const int *order, int n, int k,
                         double *share);

/* ---- begin.c ---- */

struct omq_onnx_net; /* port/onnx_read.h */

/* What a network begins with. All 0 before. */
struct omq_beginning {
    bool resuming;             /* a checkpoint has the weights: none are loaded */
    bool has_weights;          /* of a file */
    char *said;                /* about them, a line each, or NULL */
    struct omq_onnx_net *onnx; /* model.onnx, from the graph until the weights */
    bool *added_norms;         /* [n_layers]: has one that the file has not; NULL: none has */
};

/* The graph of cfg->model, for images like those of d. */
int omq_begin_graph(struct omq_beginning *b, const struct omq_config *cfg,
                    const struct omq_dataset *d, struct omq_graph *g,
                    struct omq_err *err) OMQ_WARN_UNUSED;
/* Weights of model.onnx and of init into the net of that graph, none when resuming. */
int omq_begin_weights(struct omq_beginning *b, const struct omq_init_config *init,
                      struct omq_net *net, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_begin_release(struct omq_beginning *b);

/* ---- run state ---- */

/* Where a run stands: all that a checkpoint needs beside network and optimizer. */
struct omq_position {
    int epoch, step; /* epochs done; steps done of the next one */
    double loss_sum[OMQ_MAX_PRECISIONS]; /* of this epoch */
    uint64_t loss_count[OMQ_MAX_PRECISIONS];
    double best;     /* mean top-1 over widths of best.omq; < 0 = none */
};

struct omq_train {
    struct omq_config config;
    struct omq_diag diag;        /* where the configuration says what */
    /* opened by omq_train_prepare() */
    struct omq_dataset *train, *held_out; /* held_out: what is evaluated */
    struct omq_pool *pool;
    struct omq_net net;
    struct omq_exec *exec;       /* NULL if train.epochs is 0 */
    struct omq_optim optim;
    struct omq_loader *loader;
    struct omq_loader *others;   /* batches of all but the highest; NULL: they share its */
    omq_real *dlogits, *teacher; /* [batch][classes] */
    double *row;                 /* [classes], omq_loss()'s scratch */
    struct omq_schedule schedule;
    struct omq_model_info info;
    struct omq_beginning beginning;
    struct omq_position at;
    int others_epoch;            /* of t->others, which counts its own */
    double wait_s;               /* waited for the loader in this epoch */
    bool has_checkpoint;         /* last.omq is of this run */
};

/* Data and network: what a report needs. Does nothing the second time. */
int omq_train_open_model(struct omq_train *t, struct omq_err *err) OMQ_WARN_UNUSED;
/* And buffers: everything that can fail before a run. Does nothing
 * the second time. After a failure the run can only be closed. */
int omq_train_prepare(struct omq_train *t, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_train_release(struct omq_train *t); /* all but t itself */

/* begin.c: gives norms that an ONNX file had not got the statistics of the first batch,
 * without a change of what the network computes. */
int omq_train_settle_norms(struct omq_train *t, struct omq_err *err) OMQ_WARN_UNUSED;

/* step.c: one joint step, the highest precision on this batch. OMQ_EDIVERGED
 * leaves the parameters as they were before the step. */
int omq_train_step(struct omq_train *t, const struct omq_batch *batch,
                   struct omq_err *err) OMQ_WARN_UNUSED;
/* Starts the loaders where the run is. */
void omq_train_start(struct omq_train *t);

/* ---- stages.c: what is done to whole precisions before, between and after steps ----
 *
 * They fail where a batch of images does. */

/* First steps and statistics of every precision, from the first batch, so that
 * even one that no step draws can be evaluated. */
int omq_train_initialize(struct omq_train *t, struct omq_err *err) OMQ_WARN_UNUSED;
/* Starts the other precisions from the highest: its batch norm, steps that fit
 * the weights and activations as they are now. */
int omq_train_spread(struct omq_train *t, struct omq_err *err) OMQ_WARN_UNUSED;
/* What a stage asks for after an epoch's steps, before it is evaluated: the others follow
 * the highest while that learns alone, and where a precision has learned all that it will,
 * its statistics are taken anew. */
int omq_train_finish_epoch(struct omq_train *t, const volatile sig_atomic_t *stop,
                           struct omq_err *err) OMQ_WARN_UNUSED;
/* Batch norm statistics of every precision, or of those chosen (if not NULL), taken
 * anew as the mean over n batches of training images, which are not mixed, with the
 * final weights; a later call starts afresh. Returns early, with statistics of fewer
 * batches, when *stop is set. */
int omq_train_recalibrate(struct omq_train *t, int n, const bool *chosen,
                          const volatile sig_atomic_t *stop,
                          struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- evaluate.c ---- */

/* A precision on the held-out images, by the integer engine (a float one by the forward
 * with frozen statistics), into info.results; *skipped: damaged images, which were left
 * out. */
int omq_train_evaluate(struct omq_train *t, int precision, int *skipped,
                       struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- checkpoint.c ---- */

/* Writes NAME in the output folder: the model, and with state what --resume needs. */
int omq_checkpoint_save(struct omq_train *t, const char *name, bool state,
                        struct omq_err *err) OMQ_WARN_UNUSED;
/* The run that wrote a checkpoint, beside the one that reads it. */
struct omq_earlier_run {
    int threads;
    struct omq_schedule schedule;
    bool other_optimizer;
    bool other_data; /* it trained on other images */
    char *changes;   /* of the configuration since, a line each; the reader's to free */
};
/* Reads last.omq back into a prepared run, whose network it must fit. earlier->changes is set
 * after failures, too. */
int omq_checkpoint_load(struct omq_train *t, struct omq_earlier_run *earlier,
                        struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- notes.c ---- */

/* One sentence to the log, if there is one. */
void omq_train_note(const struct omq_train_callbacks *cb, const char *fmt, ...) OMQ_PRINTF(2, 3);
/* Each line of the text. */
void omq_train_note_lines(const struct omq_train_callbacks *cb, const char *text);
/* Of n damaged images that were evaluated, if there were; of those that loaders (b may be
 * NULL) have had since they were last asked. */
void omq_train_note_left_out(const struct omq_train_callbacks *cb, int n);
void omq_train_note_replaced(const struct omq_train_callbacks *cb, struct omq_loader *a,
                             struct omq_loader *b, const char *where);

/* ---- run_folder.c ---- */

bool omq_folder_has(const char *dir, const char *name);
/* Whether a run may begin there, or be resumed: a run is not to mix with another. Creates
 * nothing. */
int omq_folder_check(const char *dir, bool resuming, bool force,
                     struct omq_err *err) OMQ_WARN_UNUSED;
/* Creates it, keeps other processes' runs away until it is left, which it has to be after
 * failures, too, and then checks it and finds out whether it can be written to. */
int omq_folder_hold(const char *dir, bool resuming, bool force, int *held,
                    struct omq_err *err) OMQ_WARN_UNUSED;
void omq_folder_leave(int *held);
/* What a run ends with: model.omq and last.omq. */
int omq_folder_save_complete(struct omq_train *t, struct omq_err *err) OMQ_WARN_UNUSED;
/* best.omq, where the mean top-1 is the best so far, or nothing is held out. */
int omq_folder_save_best(struct omq_train *t, double mean, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- metrics.c ---- */

/* metrics.jsonl and metrics.csv: read what is there of the epochs done, append in memory,
 * rewrite atomically. */
struct omq_metrics {
    char *jsonl, *csv;
    size_t n_jsonl, n_csv;
    double earlier_s; /* what the run had taken at its last row, before it was resumed */
};
/* epochs: that a resumed run has done; -1: it is a new one. */
int omq_metrics_open(struct omq_metrics *m, const char *dir, int epochs,
                     struct omq_err *err) OMQ_WARN_UNUSED;
/* A row for each precision: after an epoch. */
int omq_metrics_add(struct omq_metrics *m, const struct omq_train_progress *p, uint64_t step,
                    const char *split, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_metrics_write(const struct omq_metrics *m, const char *dir,
                      struct omq_err *err) OMQ_WARN_UNUSED;
void omq_metrics_release(struct omq_metrics *m);

/* ---- fit.c: the error that other weights make ---- */

/* Moments of what a layer reads, in units of its codes, or real where they are. */
struct omq_fit {
    int k, groups; /* inputs of an output, kh * kw * in, in that order; groups of channels */
    bool full;     /* all moments of a group, else their diagonal */
    omq_real *s;   /* [groups][k][k], or [groups][k] */
    double *mean;  /* [groups][k] */
    struct omq_arena arena;
};

/* From some rows of each of the n images that x holds, once the units before u ran;
 * zero_point is that of u's input. Close it only after success. */
int omq_fit_open(struct omq_fit *f, const struct omq_exec *x, const struct omq_unit *u, int n,
                 int zero_point, struct omq_pool *pool, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_fit_close(struct omq_fit *f);
/* What opening it takes. */
size_t omq_fit_bytes(const struct omq_unit *u, int n, int threads);
/* errors[out]: expected squared error of each output's sums with weights q in place of
 * exact, both [out][in][kh][kw]; normed: what is left of it after the best scale and
 * shift. scratch: four times as long as the weights. */
void omq_fit_errors(const struct omq_fit *f, const struct omq_layer *l, bool normed,
                    const omq_real *exact, const omq_real *q, omq_real *scratch, double *errors);

/* ---- fit_steps.c ---- */

/* A precision's steps of a layer, which must be its own, of least error; weight[out]:
 * what each output's counts. */
int omq_fit_weight_steps(const struct omq_net *net, int precision, int layer,
                         const struct omq_fit *fit, const double *weight, struct omq_pool *pool,
                         struct omq_err *err) OMQ_WARN_UNUSED;
/* What that takes. */
size_t omq_fit_weight_steps_bytes(const struct omq_net *net, int layer, int threads);
/* The step of least squared error of n values. */
omq_real omq_fit_act_step(const struct omq_act *a, size_t n, const omq_real *x);

/* ---- calibrate.c ---- */

/* Calibrates precisions of net after a target: a precision of a network of the same
 * graph and weights, or of net itself. Everything is borrowed. */
struct omq_calibration {
    struct omq_net *net, *target;
    int target_precision, precision; /* precision: at work */
    struct omq_pool *pool;
    const volatile sig_atomic_t *stop; /* or NULL; the caller's to set */
    struct omq_loader *loader;
    struct omq_batch batch;          /* the images */
    struct omq_exec *x, *exact;      /* of net; of the target, after its forward */
    struct omq_arena arena;
    omq_real *values, *image;        /* a sample of a tensor; one image of it */
    double *weight, *scale, *target_scale; /* [outputs] of a layer */
    struct omq_sum_moments *moments; /* [outputs] */
    bool *placed;                    /* [n_sites]: has its step */
    bool again;                      /* a unit ran before its output's step was what it is */
};

/* How many images it takes when as many are wanted: as fit a GiB with what each adds to the
 * activations of both; *bytes: what all of the calibration takes. */
int omq_calibration_images(struct omq_net *net, struct omq_net *target, struct omq_pool *pool,
                           int wanted, size_t *bytes);
/* With cfg->train.calibration_images of the images, or fewer. Close it only after
 * success. */
int omq_calibration_open(struct omq_calibration *c, struct omq_net *net, struct omq_net *target,
                         int target_precision, const struct omq_dataset *images,
                         const struct omq_config *cfg, struct omq_pool *pool,
                         struct omq_err *err) OMQ_WARN_UNUSED;
void omq_calibration_close(struct omq_calibration *c);
/* Sets steps and batch norm of a precision; OMQ_ESTOPPED leaves it half done. */
int omq_calibrate(struct omq_calibration *c, int precision, struct omq_err *err) OMQ_WARN_UNUSED;

/* OMQ_ESTOPPED, for who was asked to stop before all was done. */
int omq_calibration_stopped(struct omq_err *err);

/* ---- ptq.c ---- */

/* The network in floating point, with weights and batch norm of a precision. */
int omq_train_open_exact(struct omq_net *net, const struct omq_net *from, int precision,
                         struct omq_err *err) OMQ_WARN_UNUSED;

/* Every precision but float ones, from the weights in floating point and the batch
 * norm of the highest; of a run in which that begins alone, the highest. */
int omq_train_calibrate(struct omq_train *t, const struct omq_train_callbacks *cb,
                        const volatile sig_atomic_t *stop, struct omq_err *err) OMQ_WARN_UNUSED;

#endif
