/* SPDX-License-Identifier: MIT
 *
 * Evaluation of a network on a data set: the trainer uses it after each epoch,
 * omq-eval through omq_tools.h. Results do not depend on the number of threads.
 */
#ifndef OMQ_EVAL_EVAL_H
#define OMQ_EVAL_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "data/data.h"
#include "nn/nn.h"

struct omq_eval_counts {
    int samples, skipped; /* skipped: damaged, and not counted (data.on_bad_image) */
    int top1, top5; /* images whose label is the first, or one of the first five */
    double loss;    /* mean cross-entropy; not finite if a logit is not */
};

/* Evaluates all of ds at a precision (an index): on the integer engine, or, for
 * float precisions, by the frozen training forward. batch: images that are
 * computed together, at most. ds must have the shape that the network takes,
 * and no label that it does not know (OMQ_EARG). */
int omq_eval_net(const struct omq_net *net, int precision, const struct omq_dataset *ds,
                 struct omq_pool *pool, int batch, struct omq_eval_counts *out,
                 struct omq_err *err) OMQ_WARN_UNUSED;

/* The same, with everything that can be chosen. */
struct omq_eval_how {
    int precision;
    const int *layer_precision; /* [n_layers], or NULL: the profile */
    bool use_float;             /* the frozen training forward, for any precision */
    int batch;
    int limit;                  /* so many images only (omq_dataset_some()); 0 = all */
    uint32_t *confusion;        /* [n_classes][n_classes] of the net, row = label; or NULL */
    float *logits;              /* [images][n_classes], in the order of ds; or NULL */
};
int omq_eval_net_how(const struct omq_net *net, const struct omq_eval_how *how,
                     const struct omq_dataset *ds, struct omq_pool *pool,
                     struct omq_eval_counts *out, struct omq_err *err) OMQ_WARN_UNUSED;

/* Opens a split of the data that the model was trained on, in another folder where root is not
 * NULL. OMQ_EARG if its images cannot be shown to net, folders are other classes than the
 * model's, or there is a root for data that needs none. The caller closes *out. */
int omq_eval_open_data(struct omq_dataset **out, const struct omq_net *net,
                       const struct omq_model_info *info, const char *root, enum omq_split split,
                       struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- logits.c ---- */

/* Writes logits[n][classes] as an .npy file. */
int omq_eval_put_logits(const char *path, const float *logits, int n, int classes,
                        struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- answer.c ---- */

/* One image's answer. */
struct omq_answer {
    double loss;   /* cross-entropy */
    int rank;      /* classes ahead of the label; of equal logits the lower index wins */
    int predicted; /* rank 0: the label */
};
/* A logit that is NaN is ahead of every other, so that it never counts as right: predicted
 * is another class then. */
struct omq_answer omq_answer_of(int n_classes, const float *logits, int label);

/* ---- layers.c ---- */

struct omq_eval_layer;

/* Fills layers[n_layers] (omq_tools.h): weights, and activations over `images`
 * images of ds (omq_dataset_some()). What a float layer has none of is NaN. */
int omq_eval_layers_of(const struct omq_net *net, const struct omq_eval_how *how,
                       const struct omq_dataset *ds, int images, struct omq_eval_layer *layers,
                       struct omq_err *err) OMQ_WARN_UNUSED;

#endif
