/* SPDX-License-Identifier: MIT
 *
 * omq.h - the installed header of libomq: a model that runs at any of its
 * precisions, and changes between them while it runs.
 *
 *     struct omq_model *model;
 *     struct omq_err err;
 *     int at;
 *
 *     if (omq_model_open(&model, "model.omq", NULL, &err) < 0)
 *         ... err.msg says why ...
 *     omq_model_run(model, &(struct omq_batch_io){.images = pixels, .n = 1,
 *                   .precision = OMQ_ACTIVE, .logits = logits}, &err);
 *     if ((at = omq_model_find(model, "2", &err)) >= 0)
 *         omq_model_set(model, at, &err);
 *     omq_model_close(model);
 *
 * Conventions for the whole library:
 *  - fallible functions return OMQ_OK (0) or a negative OMQ_E* code and fill
 *    the caller's struct omq_err with a sentence that can be printed as it is;
 *    on success the struct is untouched; err may be NULL;
 *  - the library never prints, exits or reads the environment;
 *  - on failure, output arguments and objects keep the state they had.
 */
#ifndef OMQ_H
#define OMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OMQ_VERSION "0.1.0"

enum {
    OMQ_OK = 0,
    OMQ_EIO = -1,       /* the system could not read, write or create */
    OMQ_EFORMAT = -2,   /* a file's bytes are not what its format says */
    OMQ_EVERSION = -3,  /* a file of a newer format */
    OMQ_ECONFIG = -4,   /* a configuration that cannot be used */
    OMQ_EARG = -5,      /* an argument out of its documented range */
    OMQ_ENOMEM = -6,    /* memory, or a stated limit on it */
    OMQ_EUNSUP = -7,    /* well formed, but not supported */
    OMQ_EDIVERGED = -8, /* training met a NaN or an infinity */
    OMQ_ESTOPPED = -9,  /* stopped on request after writing a checkpoint */
    OMQ_EOVERTAKEN = -10 /* another switch took the place of this one */
};

/* Filled by a failing function; the message has no newline and no full stop. */
struct omq_err {
    int code;
    char msg[1020];
};

#if defined(__GNUC__)
#define OMQ_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define OMQ_WARN_UNUSED
#endif

/* The library's version, "MAJOR.MINOR.PATCH". */
const char *omq_version(void);

/* Chooses the kernels. isa: a level, as "ref" or "avx2", or NULL for the best this
 * machine has (the programs pass $OMQ_CPU); any other word is OMQ_EARG, with the
 * words there are. Call it before anything else, or not at
 * all: omq_model_open() then takes the best. Later calls change nothing. */
int omq_init(const char *isa, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- a model ----
 *
 * A model is for any number of threads: all functions but open and close may be
 * called at any time by any of them. Its own threads take no signals but those of
 * their faults. Of a process that forks only the parent goes on with its models:
 * their threads are not in the child, which can neither run nor close them.
 *
 * Pointers are not NULL but where that is said. Rounding is to nearest, as C has
 * it at the start. A thread that is inside is not to be cancelled. */

struct omq_model;

enum { OMQ_ACTIVE = -1 }; /* in place of a precision: the one that is active */
enum { OMQ_MAX_THREADS = 256 };

struct omq_open_options {
    int threads;           /* that share a batch, OMQ_MAX_THREADS at most; 0: one a processor */
    int resident;          /* precisions kept ready at once; 0: all, from the start */
    const char *precision; /* active at first; NULL: as the file says, or the best */
    /* Told what nobody waits for, such as a switch that failed; may be NULL. Any
     * thread may call it, until the model is closed, which it may not do itself. The
     * line has no newline. */
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
};

/* Opens a file ("-" is standard input), or a copy of one in memory (name stands
 * for it in messages). Nothing that happens to the file later reaches the
 * model. opt NULL: all zero. */
int omq_model_open(struct omq_model **out, const char *path, const struct omq_open_options *opt,
                   struct omq_err *err) OMQ_WARN_UNUSED;
int omq_model_open_memory(struct omq_model **out, const void *bytes, size_t n_bytes,
                          const char *name, const struct omq_open_options *opt,
                          struct omq_err *err) OMQ_WARN_UNUSED;
/* No thread may be inside. NULL is fine. */
void omq_model_close(struct omq_model *m);

/* What the model takes and gives. Strings are the model's. */
struct omq_model_shape {
    int height, width, channels; /* of an image, [height][width][channels] */
    int n_classes;
    const double *mean, *std;    /* [channels], of OMQ_VALUES; the model's */
    const char *arch;            /* "onnx": the graph is that of an ONNX file */
    /* Pictures of any size, as the model was tested: their shorter side is resized to
     * `resize` pixels, antialiased, and height x width are cut from the centre. */
    int resize;
    bool bicubic; /* else bilinear */
    bool transpose; /* of idx files: they hold images column by column */
};
void omq_model_shape(const struct omq_model *m, struct omq_model_shape *out);
/* "" if the model has no name for it, or no such class. */
const char *omq_model_class_name(const struct omq_model *m, int c);

/* Precisions, best first as the model lists them; then its profiles. */
struct omq_model_precision {
    const char *name;      /* "w4a8", or a profile's; the model's */
    int w, a;              /* bits; 0 0 for a profile */
    double top1;           /* percent, when it was trained; NaN: not known */
    uint64_t weight_bytes; /* packed */
    bool resident;         /* ready */
};
int omq_model_count(const struct omq_model *m);
/* Of precision i, or OMQ_ACTIVE; name is "" if there is no such one. */
void omq_model_precision(struct omq_model *m, int i, struct omq_model_precision *out);
/* Index of "4" (w4a4), "w4a8" or a profile's name; OMQ_EARG with what there is. */
int omq_model_find(const struct omq_model *m, const char *word,
                   struct omq_err *err) OMQ_WARN_UNUSED;

/* Makes a precision, by its index, the active one. If it is ready, that is one store, and
 * batches that start later run at it. If not, it is prepared by the model's own
 * thread and becomes active then, while the old one serves on; what fails there
 * is logged, counted, and leaves the old one. omq_model_set_wait() returns when
 * it is active, or with the reason why not: OMQ_EOVERTAKEN if another precision
 * was asked for meanwhile. omq_model_asked() is the one that was asked for last,
 * which is not active yet while it is being prepared; once it has failed, it is
 * the active one. */
int omq_model_set(struct omq_model *m, int precision, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_model_set_wait(struct omq_model *m, int precision, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_model_active(const struct omq_model *m);
int omq_model_asked(const struct omq_model *m);

/* A batch. It runs at one precision from start to end. */
enum omq_image_type {
    OMQ_PIXELS, /* uint8_t, 0 to 255 */
    OMQ_VALUES /* float, (pixel / 255 - mean) / std, as networks are trained with */
};
struct omq_batch_io {
    const void *images;       /* [n][height][width][channels] */
    enum omq_image_type type;
    int n;                    /* at least 1 */
    int precision;            /* of this batch alone, by index: 0 is the best; or OMQ_ACTIVE */
    float *logits;            /* [n][n_classes], written */
    int ran_at;               /* written: the precision that it ran at */
};
int omq_model_run(struct omq_model *m, struct omq_batch_io *b, struct omq_err *err) OMQ_WARN_UNUSED;

struct omq_counters {
    uint64_t batches, images;
    uint64_t switches, failed_switches;
    uint64_t prepared; /* precisions that were made ready, again and again if they had to go */
};
void omq_model_counters(const struct omq_model *m, struct omq_counters *out);

/* ---- following the switch ----
 *
 * A follower runs a model file as omq-switch says: it looks at the file's switch
 * word, or at a control file's, and once a second whether another file took the
 * name of either. One thread at a time may use it. Its model is for any, but they
 * must be outside while it is polled, which may close the model. omq-switch's
 * --wait, --watch and --status know of omq-run only, not of other followers. */

struct omq_follow;

/* Opens the model at path. control: another file that has the switch word; NULL:
 * the model's own. opt->precision is active until a word says otherwise. */
int omq_follow_open(struct omq_follow **out, const char *path, const char *control,
                    const struct omq_open_options *opt, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_follow_close(struct omq_follow *f); /* the model too; NULL is fine */

/* The model, until the next poll. */
struct omq_model *omq_follow_model(const struct omq_follow *f);

/* Looks, and does what is to be done: one read of 8 bytes most of the time, so
 * call it before each batch. *event: what happened. On failure all is as it was;
 * each problem is told once. */
enum omq_follow_event {
    OMQ_FOLLOW_NOTHING,
    OMQ_FOLLOW_SWITCHED, /* the word names another precision, which was set */
    OMQ_FOLLOW_REPLACED /* another model, whole; the old one is closed */
};
int omq_follow_poll(struct omq_follow *f, enum omq_follow_event *event,
                    struct omq_err *err) OMQ_WARN_UNUSED;

#ifdef __cplusplus
}
#endif

#endif
