/* SPDX-License-Identifier: MIT
 *
 * The configuration: strict, typed YAML into one plain struct, by one schema
 * table (conf/schema.c) that also prints --dump-config and omq-config(5).
 *
 * struct omq_config owns nothing: it can be copied and needs no release. Every
 * value in it has been checked for its own range; what depends on the data or
 * the network is checked by whoever builds those.
 */
#ifndef OMQ_CONF_CONF_H
#define OMQ_CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum {
    OMQ_MAX_PRECISIONS = 32,
    OMQ_MAX_CHANNELS = 4,    /* of an input image */
    OMQ_MAX_MILESTONES = 16,
    OMQ_MAX_LEVELS = 4,      /* of a view's wavelet */
    OMQ_PATH_SIZE = 1024,
    OMQ_MAX_PROFILE_TEXTS = 16, /* in a configuration */
    OMQ_PROFILE_TEXT_SIZE = 256,
    OMQ_MAX_INIT_TEXTS = 16,    /* of each list */
    OMQ_FLOAT_BITS = 32,     /* the "width" that means f32 */
};

/* A precision: bits of weights and of activations, 1 to 8, or 32 for float.
 * Written "w4a8"; "4" for w4a4. */
struct omq_precision {
    int w, a;
};

/* Whether it is not of integers alone, which is what the engine runs. */
static inline bool omq_precision_is_float(struct omq_precision p)
{
    return p.w == OMQ_FLOAT_BITS || p.a == OMQ_FLOAT_BITS;
}

enum omq_shortcut { OMQ_SHORTCUT_B, OMQ_SHORTCUT_A };
enum omq_format {
    OMQ_FORMAT_IDX, OMQ_FORMAT_SYNTHETIC, OMQ_FORMAT_FOLDER, OMQ_FORMAT_SHARDS,
    OMQ_FORMAT_CIFAR10, OMQ_FORMAT_CIFAR100
};
enum omq_interpolation { OMQ_INTERPOLATION_BILINEAR, OMQ_INTERPOLATION_BICUBIC };
enum omq_on_bad_image { OMQ_BAD_IMAGE_STOP, OMQ_BAD_IMAGE_SKIP };
enum omq_quant_method {
    OMQ_METHOD_OMQ, OMQ_METHOD_ANY_PRECISION, OMQ_METHOD_ADABITS, OMQ_METHOD_DOUBLE_ROUNDING
};
enum omq_view { OMQ_VIEW_OFF, OMQ_VIEW_OFFSETS };
enum omq_grid_kind { OMQ_GRID_AUTO, OMQ_GRID_MIDRISE, OMQ_GRID_SYMMETRIC };
enum omq_steps { OMQ_STEPS_LAYER, OMQ_STEPS_CHANNEL };
enum omq_optimizer { OMQ_OPT_SGD, OMQ_OPT_ADAM };
enum omq_batches { OMQ_BATCHES_OWN, OMQ_BATCHES_SHARED };
enum omq_teacher { OMQ_TEACHER_HIGHEST, OMQ_TEACHER_NEXT };
enum omq_lr_schedule { OMQ_SCHED_COSINE, OMQ_SCHED_STEP };

/* Random changes of the training images; all zero is none. */
struct omq_augment_config {
    int crop_padding;      /* zero pixels around, then a random crop */
    double hflip, vflip;   /* probabilities of mirror images */
    struct {               /* ranges: lowest and highest, n is 2 */
        bool enabled;
        int n_scale, n_ratio;
        double scale[2];   /* share of the picture's area */
        double ratio[2];   /* width / height */
    } random_resized_crop;
    struct {               /* how far a factor may be from 1; of hue, from 0 */
        double brightness, contrast, saturation, hue;
    } color_jitter;
    struct {
        double probability;
        int n_scale, n_ratio;
        double scale[2];   /* share of the image's area */
        double ratio[2];   /* height / width */
    } random_erasing;
    double mixup, cutmix;  /* alpha of the Beta distribution; 0 = off */
};

struct omq_data_config {
    enum omq_format format;
    char root[OMQ_PATH_SIZE];  /* folder of the files */
    char prefix[64];           /* before "train-images-idx3-ubyte" (EMNIST) */
    bool transpose;            /* images are stored column by column (EMNIST) */
    int train_limit;           /* training images used, class-balanced; 0 = all */
    double validation;         /* share of the training images held out, 0 to 0.5 */
    /* formats whose pictures have any size: */
    int n_size, size[2];       /* of the network's input: its side, or height and width */
    int resize;                /* shorter side before a test's central crop; 0 = of the input */
    enum omq_interpolation interpolation;
    bool grayscale;            /* one channel, not three */
    enum omq_on_bad_image on_bad_image;
    int n_mean, n_std;         /* one a channel, or one for all */
    double mean[OMQ_MAX_CHANNELS], std[OMQ_MAX_CHANNELS]; /* of pixels scaled to 0..1 */
    int workers;               /* loader threads */
    struct omq_augment_config augment;
    struct {                   /* format: synthetic */
        int height, width, channels, classes, n_train, n_test;
    } synthetic;
};

/* Weights to begin with; see port/weights.h. */
struct omq_init_config {
    char file[OMQ_PATH_SIZE]; /* empty: none */
    int n_map, n_skip;
    char map[OMQ_MAX_INIT_TEXTS][OMQ_PROFILE_TEXT_SIZE];  /* "OLD=NEW" */
    char skip[OMQ_MAX_INIT_TEXTS][OMQ_PROFILE_TEXT_SIZE]; /* patterns */
    bool strict;
    double bn_eps;            /* of the batch norm in the file */
};

struct omq_model_config {
    char arch[64]; /* a name of the table in nn/arch.c, or empty: */
    char onnx[OMQ_PATH_SIZE]; /* the graph, and weights, of this file */
    double width;  /* multiplier of channel counts */
    enum omq_shortcut shortcut; /* of the CIFAR ResNets, where the shape changes */
};

struct omq_quant_config {
    enum omq_quant_method method;
    enum omq_view view;
    int levels;               /* of the view's wavelet; 0: every weight has an offset */
    bool detach;              /* what offsets reach does not move the shared weights */
    int view_max_bits;        /* wider weights have no view; 0 = all have */
    enum omq_grid_kind grid;
    enum omq_steps weight_steps;
    /* Of the first convolution and the last linear layer; 0: as the others. */
    int first_last_bits;
    double offset_decay;      /* weight decay of view: offsets */
};

struct omq_train_config {
    int epochs, batch_size;
    enum omq_optimizer optimizer;
    double lr, momentum, beta2, weight_decay;
    bool nesterov;
    double step_lr;           /* learning rate of quantizer steps, times lr */
    enum omq_lr_schedule schedule;
    double warmup_epochs, min_lr;
    int n_milestones, milestones[OMQ_MAX_MILESTONES]; /* epochs; schedule: step */
    double gamma;             /* factor at a milestone */
    int widths_per_step;      /* precisions a step; 0 = all of them */
    enum omq_batches batches; /* one for all precisions of a step, or one each */
    double highest_first;     /* share of the epochs in which only the highest learns */
    double views_last;        /* of those that follow, in which only views learn */
    double views_lr;          /* their learning rate, times lr */
    double distill;           /* share of the loss that follows the teacher */
    enum omq_teacher teacher; /* the highest precision, or the one that just ran */
    int n_loss_weights;       /* 0 = all 1; else one for each entry of bits */
    double loss_weights[OMQ_MAX_PRECISIONS];
    double label_smoothing, clip_norm; /* clip_norm 0 = off */
    double bn_momentum;
    int bn_batches;           /* after the last epoch, for exact statistics; 0 = none */
    int calibration_images;   /* where weights came in: for first steps and norms */
    int eval_every, save_every; /* epochs */
};

struct omq_config {
    char output_dir[OMQ_PATH_SIZE];
    uint64_t seed;
    int threads;              /* 0 = one a processor */
    int n_precisions;
    struct omq_precision precisions[OMQ_MAX_PRECISIONS]; /* as listed; no two equal */
    int n_profiles;
    char profiles[OMQ_MAX_PROFILE_TEXTS][OMQ_PROFILE_TEXT_SIZE]; /* for omq_profile_add() */
    struct omq_init_config init;
    struct omq_data_config data;
    struct omq_model_config model;
    struct omq_quant_config quant;
    struct omq_train_config train;
};

/* Every problem found, one line each: "FILE:LINE:COLUMN: error: ...". Zero it
 * before first use; release it after. */
struct omq_diag {
    char *text; /* NULL if there is nothing to say */
    int n_errors;
    struct omq_conf_state *read; /* without errors: where its keys were given */
};
void omq_diag_release(struct omq_diag *d);

/* Prefixes the error rc that a value of key led to later on, if it is OMQ_ECONFIG, with the
 * place of the key, or of its section if the key has its default. key NULL: the one that the
 * error's sentence begins with, if it does. Returns rc. */
int omq_diag_wrap(const struct omq_diag *d, const char *key, int rc, struct omq_err *err);

/* The defaults, which are a valid configuration but for output_dir, data.root,
 * data.mean, data.std and model.arch (or model.onnx), which are empty. */
void omq_config_default(struct omq_config *c);

/* Reads path ("-" is standard input), then applies `sets` ("train.lr=0.1"),
 * later ones winning, checked by the same table; messages about a set cite it
 * as "--set #2:COLUMN". All problems go to diag (which may be NULL); then
 * OMQ_ECONFIG with a summary in err, and *c is untouched. */
int omq_config_load(struct omq_config *c, const char *path, const char *const *sets, int n_sets,
                    struct omq_diag *diag, struct omq_err *err) OMQ_WARN_UNUSED;

/* The same from a text in memory; name stands for the file in messages. */
int omq_config_parse(struct omq_config *c, const char *text, size_t n_bytes, const char *name,
                     const char *const *sets, int n_sets, struct omq_diag *diag,
                     struct omq_err *err) OMQ_WARN_UNUSED;

/* The whole configuration as YAML that omq_config_parse() reads back to the
 * same struct. Allocated; NULL when out of memory. */
char *omq_config_dump(const struct omq_config *c);
/* Leaves out where a run is written and on how many threads, which a model file does not
 * say: "." and 0. */
void omq_config_forget_place(struct omq_config *c);
/* What differs, a line a key: "train.lr is 0.1, and was 0.2\n". Allocated; NULL when out
 * of memory. */
char *omq_config_changes(const struct omq_config *was, const struct omq_config *is);

/* The key of which word is all or, for one key only, the last part; NULL: none, or several. */
const char *omq_config_find_key(const char *word);

/* The keys with type, range, default and meaning, as the mdoc list that
 * omq-config.5 includes. */
void omq_config_print_mdoc(FILE *f);

/* "8", "w4a8", "32" or "w32a8" to a precision; false if it is none. */
bool omq_precision_parse(const char *s, struct omq_precision *p);

/* "w4a8" into buf (always the long form). Returns buf. */
char *omq_precision_name(struct omq_precision p, char buf[16]);
/* Orders precisions from low to high: by the weights' width, then the activations'. */
int omq_precision_rank(struct omq_precision p);

/* Epochs in which the highest of several precisions learns alone. */
int omq_config_highest_epochs(const struct omq_train_config *c);

/* "8 4 2 1" or "8 w4a8": the list as people write it, for messages. */
void omq_precision_list(const struct omq_precision *p, int n, char *buf, size_t size);

#endif
