/* SPDX-License-Identifier: MIT
 *
 * Inside engine: what is planned (engine.c: shapes; arrange.c: places; fill.c: values), what
 * executes it (units.c: one unit; run.c: all of them), and the plans that a live
 * model has ready (resident.c).
 */
#ifndef OMQ_ENGINE_ENGINE_INTERNAL_H
#define OMQ_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"

/* ---- a plan ---- */

/* Codes [n][h][w][c] with a border around each image, which holds the zero
 * point: what convolutions with padding read. */
struct omq_engine_tensor {
    struct omq_act act;
    double step;
    int h, w, c, border;
    bool is_logits;    /* has no codes */
    ptrdiff_t row, image; /* bytes from a row to the next, from image to image */
    size_t offset;     /* in scratch, an image: n images are at n * offset */
};

struct omq_engine_unit {
    enum omq_unit_kind kind;
    int in, out, res;      /* tensors; res -1 = none */
    struct omq_window win; /* of the first group */
    int groups, oc;        /* a depthwise one counts as one group */
    bool is_depthwise;     /* by dwconv_codes */
    struct omq_rescale rescale; /* REQUANT */
    omq_real *m, *b;       /* CONV: [groups][channels of one, padded]; AVGPOOL: [1] */
    struct omq_addend add; /* CONV with a residual */
    /* CONV, of a group each, weights of whichever kernel it is: */
    struct omq_conv_shape shape;
    bool by_bits;          /* by pack_bits and conv_bits */
    ptrdiff_t *run_at;     /* [shape.n_runs] */
    uint8_t *w;            /* [groups][group_bytes] */
    size_t group_bytes;
    int32_t *start;        /* [groups][channels of one, padded] */
};

struct omq_engine {
    int n_units, n_tensors;
    struct omq_engine_unit *units;
    struct omq_engine_tensor *tensors;
    size_t image_bytes;   /* of scratch: the tensors of one image */
    size_t kernel_bytes, row_bytes; /* of scratch, for each thread */
    size_t weight_bytes;
    struct omq_arena arena;
};

/* Channels of a group's arrays: those of whole blocks of 16. */
static inline int omq_engine_padded(const struct omq_engine_unit *u)
{
    return omq_conv_padded(u->oc / u->groups);
}

/* ---- fill.c ---- */

/* What planning reads. */
struct omq_planner {
    struct omq_engine *e;
    const struct omq_net *net;
    const int *layer_precision; /* or NULL */
    int precision;
    struct omq_err *err;
};

static inline int omq_planner_precision(const struct omq_planner *p, int layer)
{
    return layer >= 0 && p->layer_precision ? p->layer_precision[layer] : p->precision;
}

/* Weights, factors and what convolutions read, of units whose shapes and places are
 * known and whose memory is there. */
int omq_engine_fill(struct omq_planner *p) OMQ_WARN_UNUSED;

/* ---- arrange.c ---- */

/* Borders, distances and places of all tensors. Needs the sizes of tensors and
 * what units read and write. */
int omq_engine_arrange(struct omq_engine *e, struct omq_err *err) OMQ_WARN_UNUSED;
/* How a convolution's window lies in its input: the runs of its shape, and then,
 * in u->run_at, where they are. */
void omq_engine_runs(const struct omq_engine *e, struct omq_engine_unit *u);
void omq_engine_place_runs(const struct omq_engine *e, struct omq_engine_unit *u);

/* ---- units.c ---- */

struct omq_engine_io {
    const struct omq_engine *e;
    int n;              /* images */
    int part, parts;    /* which share of the work this is, for threads */
    char *tensors;      /* of all parts */
    void *kernel, *row; /* of this one: kernel_bytes, row_bytes */
    float *logits;
    const struct omq_engine_watch *watch; /* one part only; or NULL */
};

/* An image's first code, inside the border. */
uint8_t *omq_engine_codes(const struct omq_engine_io *io, int tensor, int image);
/* The network's input, with its border; one unit. */
void omq_engine_load(const struct omq_engine_io *io, const uint8_t *codes);
void omq_engine_unit_run(const struct omq_engine_io *io, int unit);

/* ---- resident.c: plans that are ready ----
 *
 * One plan a choice of the model, made when it is first needed, and the one that
 * is active. At most `limit` are kept: the active one, those in use, and those
 * used last. All functions but open and close may be called by any thread. */

struct omq_residents;

struct omq_residents_options {
    int limit;   /* at least 1 */
    int active;  /* a choice that can be prepared, but for: */
    bool lazy;   /* nothing is prepared before it is taken */
    void (*log)(void *ctx, const char *line); /* or NULL */
    void *log_ctx;
};
/* net and info are borrowed. Prepares the active choice, and with a limit of all
 * of them all that can be, if it is not lazy. */
int omq_residents_open(struct omq_residents **out, const struct omq_net *net,
                       const struct omq_model_info *info, const struct omq_residents_options *opt,
                       struct omq_err *err) OMQ_WARN_UNUSED;
void omq_residents_close(struct omq_residents *r); /* no plan may be taken; NULL is fine */

/* The plan of a choice, or with OMQ_ACTIVE of the active one; *choice is which.
 * It stays until omq_residents_give(). Prepares it if need be. */
int omq_residents_take(struct omq_residents *r, int *choice, const struct omq_engine **plan,
                       struct omq_err *err) OMQ_WARN_UNUSED;
void omq_residents_give(struct omq_residents *r, int choice);

/* As omq_model_set() and omq_model_set_wait(). */
int omq_residents_set(struct omq_residents *r, int choice, bool wait,
                      struct omq_err *err) OMQ_WARN_UNUSED;
int omq_residents_active(const struct omq_residents *r);
int omq_residents_asked(struct omq_residents *r);
bool omq_residents_ready(struct omq_residents *r, int choice);
/* Whether all are ready, and stay so: net and info are not looked at any more. */
bool omq_residents_complete(struct omq_residents *r);
/* Adds switches, failed_switches and prepared. */
void omq_residents_count(struct omq_residents *r, struct omq_counters *out);

/* ---- batch.c ---- */

/* omq_model_run(), for measurements: the counters do not see it. */
int omq_model_run_uncounted(struct omq_model *m, struct omq_batch_io *b,
                            struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- model.c ---- */

/* Keeps a precision ready, and shows its plan, until omq_model_give(). */
int omq_model_take(struct omq_model *m, int precision, const struct omq_engine **plan,
                   struct omq_err *err) OMQ_WARN_UNUSED;
void omq_model_give(struct omq_model *m, int precision);
/* The choice that a switch word names; -1: none, or a float one, which cannot run. */
int omq_model_find_switch(const struct omq_model *m, struct omq_switch_word word);

#endif
