/* SPDX-License-Identifier: MIT
 *
 * Images: a data set (one table row a format), whose pictures are in memory or
 * are decoded when they are asked for; the preprocessing that turns pixels into
 * the network's u8 input codes; and the loader that prepares batches on its own
 * threads ahead of the step.
 *
 * Layout is NHWC everywhere: u8 [n][height][width][channels].
 */
#ifndef OMQ_DATA_DATA_H
#define OMQ_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"
#include "data/image.h"

enum omq_split { OMQ_SPLIT_TRAIN, OMQ_SPLIT_VALIDATION, OMQ_SPLIT_TEST };

struct omq_pictures; /* pictures in files, by number; data_internal.h */

/* A data set is immutable once open: any thread may read it. */
struct omq_dataset {
    int n;
    int height, width, channels; /* of what the network takes */
    int n_classes;            /* of the whole file; names in classes.txt if it is there */
    const uint8_t *pixels;    /* [n][height][width][channels]; NULL: they come from source */
    const uint16_t *labels;   /* [n], < n_classes */
    const char *const *class_names; /* [n_classes] */
    uint32_t fingerprint;     /* CRC-32 of pixels, or of the names of pictures, and labels */
    struct omq_data_config cfg; /* that it was opened with */
    struct omq_pictures *source; /* NULL where pixels is not */
    const uint32_t *in_source;  /* [n]: number in source; NULL: the same */
};

/* Opens one split. TRAIN and VALIDATION share the training files: the images in
 * use (data.train_limit) and, of those, the held-out share (data.validation) are
 * drawn class by class from seed; both splits keep the order of the file. A
 * TRAIN or VALIDATION split without images is OMQ_ECONFIG. */
int omq_dataset_open(struct omq_dataset **out, const struct omq_data_config *cfg,
                     enum omq_split split, uint64_t seed, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_dataset_close(struct omq_dataset *d); /* NULL is fine */

/* Which pixels of a picture the network sees: those of a test, or of an epoch of
 * training, changed at random as cfg.augment says. */
struct omq_draw {
    bool train;
    uint64_t seed; /* of training, as epoch */
    int epoch;
};

/* Picture i as it is stored. *im is the set's if d->pixels, and may only be read;
 * else it is the caller's to release. A damaged one is OMQ_EFORMAT or OMQ_EUNSUP,
 * a file that cannot be read OMQ_EIO.
 *
 * Memory, where it comes from a file: its bytes, at most OMQ_IMAGE_MAX_FILE, while
 * they are decoded, and what image.h says. */
int omq_dataset_image(const struct omq_dataset *d, int i, struct omq_image *im,
                      struct omq_err *err) OMQ_WARN_UNUSED;

/* Picture i as the network takes it, to out[height][width][channels]. Fails as
 * omq_dataset_image(). Any thread; the result depends on the arguments only. */
int omq_dataset_pixels(const struct omq_dataset *d, int i, const struct omq_draw *draw,
                       uint8_t *out, struct omq_err *err) OMQ_WARN_UNUSED;

/* Number i of n images (at most d->n) that stand for all: of a set in memory the
 * first ones, else evenly spread, since folders come class by class. */
int omq_dataset_some(const struct omq_dataset *d, int i, int n);

/* Whether a failure was of one picture, and cfg.on_bad_image says to go on. */
bool omq_dataset_may_skip(const struct omq_dataset *d, int code);

/* Pixels to the network's input: code = clamp(rint(((p/255 - mean)/std)/step)
 * + 128, 0, 255), one table a channel, computed in double; zero point 128.
 * step = max over channels of max(|0 - mean|, |1 - mean|)/std / 127, rounded to
 * float before it is used, so that (code - 128) * step is what the network sees. */
struct omq_preprocess {
    int height, width, channels;
    double mean[OMQ_MAX_CHANNELS], std[OMQ_MAX_CHANNELS];
    float step;
    uint8_t table[OMQ_MAX_CHANNELS][256];
};

/* mean and std: cfg's, repeated for all channels where it gives one. A count
 * that does not fit the channels, or std <= 0, is OMQ_ECONFIG. */
int omq_preprocess_init(struct omq_preprocess *p, const struct omq_data_config *cfg, int height,
                        int width, int channels, struct omq_err *err) OMQ_WARN_UNUSED;

/* One image of pixels [h][w][c] to codes of the same layout. */
void omq_preprocess_apply(const struct omq_preprocess *p, const uint8_t *pixels, uint8_t *codes);

struct omq_batch {
    int n;                  /* images; the last batch of an epoch may be smaller */
    const uint8_t *codes;   /* [n][height][width][channels] */
    const uint16_t *labels; /* [n] */
    double own;             /* share of labels[i]; the rest is of labels[n - 1 - i] (mixup) */
};

struct omq_loader_options {
    int batch_size, workers;
    bool shuffle;           /* by (seed, epoch); else in file order */
    bool augment;           /* the set's cfg.augment, by (seed, epoch, sample) */
    bool drop_last;         /* leave out an incomplete last batch */
    uint64_t seed;
};

/* One consumer thread. Batches come in order and do not depend on workers.
 * ds and pre must outlive the loader.
 *
 * Where a picture is damaged and cfg.on_bad_image is skip, the next one of the set
 * that is not takes its place, with its own label.
 *
 * Memory: workers + 2 batches of codes, one image's pixels a worker, and for a set
 * that is not in memory what omq_dataset_image() needs, once a worker. */
struct omq_loader;
int omq_loader_open(struct omq_loader **out, const struct omq_dataset *ds,
                    const struct omq_preprocess *pre, const struct omq_loader_options *opt,
                    struct omq_err *err) OMQ_WARN_UNUSED;
void omq_loader_close(struct omq_loader *l); /* NULL is fine; also in mid-epoch */

int omq_loader_batches(const struct omq_loader *l); /* of one epoch */

/* Starts epoch at batch `first` (to resume in mid-epoch); drops what was
 * prepared of an epoch before. From `first` = batches on, the epoch is over.
 * Before the first start there is no batch. */
void omq_loader_start(struct omq_loader *l, int epoch, int first);

/* Whether batches are mixed from the next start on, if cfg says so (they are at
 * first): statistics for a test are better taken from images as they are. Ends an
 * epoch. */
void omq_loader_set_mixing(struct omq_loader *l, bool mixing);

/* The next batch, valid until the next call of next, start or close: 1, or 0 at
 * the end of the epoch. Waits for the workers; adds the seconds waited to
 * *wait_s (if not NULL). What a worker failed with comes in the place of its
 * batch, and again from every call until the next start. */
int omq_loader_next(struct omq_loader *l, struct omq_batch *b, double *wait_s,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* Damaged pictures in the batches that were given since this was last called, and
 * what was wrong with the first of them ("" without any); *why is l's. */
int omq_loader_take_skipped(struct omq_loader *l, const char **why);

#endif
