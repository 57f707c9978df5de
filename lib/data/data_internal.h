/* SPDX-License-Identifier: MIT
 *
 * Inside lib/data: what a reader of one format delivers, and the steps between
 * a reader and a batch. A new format is one file with a struct omq_reader, and
 * one row in the table of data.c; a new format of pictures is one file with a
 * struct omq_image_format, and one row in the table of image.c.
 */
#ifndef OMQ_DATA_DATA_INTERNAL_H
#define OMQ_DATA_DATA_INTERNAL_H

#include "data/data.h"
#include "data/image.h"

enum {
    OMQ_MAX_CLASSES = 32768, /* ImageNet-21k has 21,841; a label has 16 bits */
    OMQ_MAX_CLASS_NAME = 127, /* bytes */
    OMQ_MAX_SIDE = 16384, /* height and width of an image */
};

/* The pixels of one data set; a file or a configuration that claims more is
 * refused before anything is allocated. */
#define OMQ_MAX_DATA_BYTES (UINT64_C(1) << 32)

/* Pictures in files, by number; a reader's struct begins with it. Immutable: any
 * thread may ask. */
struct omq_pictures {
    /* The bytes of a picture, from malloc, and its name for messages, which is cut
     * off where it is too long. */
    int (*get)(const struct omq_pictures *s, uint32_t i, uint8_t **bytes, size_t *n_bytes,
               char *name, size_t name_size, struct omq_err *err);
    void (*close)(struct omq_pictures *s);
    uint32_t fingerprint; /* of the names of all */
};

/* All images of the training or the test files. Owns its blocks, which come from
 * malloc, and source; zeroed is empty. */
struct omq_raw {
    int n, height, width, channels, n_classes;
    uint8_t *pixels;    /* [n][height][width][channels], or NULL */
    struct omq_pictures *source; /* where pixels is NULL */
    uint32_t *in_source; /* [n]; a reader leaves it NULL: sample i is picture i */
    uint16_t *labels;   /* [n], < n_classes <= OMQ_MAX_CLASSES */
    const char **names; /* [n_classes], the text behind it; or NULL: "0", "1", ... */
};
void omq_raw_release(struct omq_raw *raw);

struct omq_reader {
    enum omq_format format;
    /* Fills *raw (zeroed before); the caller releases it, after a failure too. */
    int (*read)(struct omq_raw *raw, const struct omq_data_config *cfg, bool test, uint64_t seed,
                struct omq_err *err);
};
extern const struct omq_reader omq_reader_idx, omq_reader_synthetic, omq_reader_folder,
    omq_reader_shards, omq_reader_cifar10, omq_reader_cifar100;

/* height, width and channels within the limits above, else OMQ_EUNSUP; what
 * names the file or the keys. *n_bytes is n * height * width * channels. */
int omq_data_check_shape(uint64_t n, uint64_t height, uint64_t width, uint64_t channels,
                         const char *what, size_t *n_bytes, struct omq_err *err) OMQ_WARN_UNUSED;

/* n names of classes from "a\nb\n" (which loses its line ends); the array and
 * its text are one block for free(). name stands for the file in messages. */
int omq_class_names_parse(const char ***names, int *n, const uint8_t *text, size_t n_bytes,
                          const char *name, struct omq_err *err) OMQ_WARN_UNUSED;

/* A file of class names in root, such as "classes.txt", if it is there: 1, with its text and
 * path for free(); else 0. */
int omq_class_names_read(uint8_t **text, size_t *n_bytes, char **path, const char *root,
                         const char *file, struct omq_err *err) OMQ_WARN_UNUSED;

/* The names in root/classes.txt, if it is there; at least raw->n_classes of them,
 * which becomes their number. */
int omq_class_names_of(struct omq_raw *raw, const char *root,
                       struct omq_err *err) OMQ_WARN_UNUSED;

/* "0" to "n - 1", the same way; NULL when out of memory. */
const char **omq_class_names_number(int n);

/* Files of a folder, as one text: names in order, each with its zero. Grows by
 * omq_names_*(); zeroed is empty, free() for the three blocks. */
struct omq_names {
    uint32_t *at; /* [n]: where each begins in text */
    char *text;
    size_t n, cap_n, size, cap_size;
};
/* OMQ_ENOMEM is the only failure. */
int omq_names_add(struct omq_names *l, const char *prefix, const char *name,
                  struct omq_err *err) OMQ_WARN_UNUSED;
void omq_names_release(struct omq_names *l);
/* CRC-32 of what was summed before and of the names in order. */
uint32_t omq_names_sum(const struct omq_names *l, uint32_t before);

/* The folders in `path` that do not begin with a dot, sorted by bytes; links to
 * folders count. *n_files: what else does not begin with a dot. */
int omq_list_folders(struct omq_names *l, const char *path, size_t *n_files,
                     struct omq_err *err) OMQ_WARN_UNUSED;

/* The names in `path` with this begin and end, sorted by bytes. */
int omq_list_files(struct omq_names *l, const char *path, const char *begin, const char *end,
                   struct omq_err *err) OMQ_WARN_UNUSED;

/* Whether what a name ends in, from a dot on (NULL: it has none), is that of a picture:
 * .jpg, .jpeg or .png, in any case. */
bool omq_is_picture(const char *ending);

/* The pictures below `path` by the end of their names, sorted by bytes, as "name" or
 * "folder/name". Names with a dot in front and files of other kinds are left out; a
 * picture of a kind that is not read is OMQ_EUNSUP. */
int omq_list_pictures(struct omq_names *l, const char *path,
                      struct omq_err *err) OMQ_WARN_UNUSED;

/* A regular file's bytes [offset, offset + n), from malloc; at most
 * OMQ_IMAGE_MAX_FILE. */
int omq_read_range(int fd, uint64_t offset, size_t n, const char *name, uint8_t **bytes,
                   struct omq_err *err) OMQ_WARN_UNUSED;

/* One shard of `size` bytes as a set of its own, without a shape; for tests. The
 * caller releases *raw, zeroed before, after a failure too. */
int omq_shard_index(struct omq_raw *raw, int fd, uint64_t size, const char *name,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* The records of one file of CIFAR-10, or with fine of CIFAR-100, behind those that
 * raw has; the caller releases *raw, after a failure too. */
int omq_cifar_read(struct omq_raw *raw, int fd, uint64_t size, const char *name, bool fine,
                   struct omq_err *err) OMQ_WARN_UNUSED;

/* What a set of pictures of any size shows the network, to raw, as cfg says;
 * OMQ_ECONFIG if it does not. */
int omq_pictures_shape(struct omq_raw *raw, const struct omq_data_config *cfg,
                       struct omq_err *err) OMQ_WARN_UNUSED;

/* Names to show for classes that are called by folders, sorted: a line "FOLDER
 * <tab> NAME" of root/classes.txt, else the folder's. *names is for free(). */
int omq_class_names_map(const char ***names, const struct omq_names *folders, const char *root,
                        struct omq_err *err) OMQ_WARN_UNUSED;

/* The contents of one idx file of unsigned bytes. */
struct omq_idx {
    int n_dims;
    uint32_t dims[4];
    size_t n_bytes; /* product of dims */
    uint8_t *bytes; /* from malloc */
};
enum omq_idx_kind { OMQ_IDX_LABELS, OMQ_IDX_IMAGES };

/* Reads a file, plain or gzip as its first bytes tell. On success the caller
 * frees x->bytes; on failure *x is untouched. Never takes more memory than
 * 1032 times the file (what gzip can hold), nor more than OMQ_MAX_DATA_BYTES. */
int omq_idx_read(struct omq_idx *x, const char *path, enum omq_idx_kind kind,
                 struct omq_err *err) OMQ_WARN_UNUSED;

/* The same from memory; name stands for the file in messages. */
int omq_idx_decode(struct omq_idx *x, const uint8_t *bytes, size_t n_bytes, const char *name,
                   enum omq_idx_kind kind, struct omq_err *err) OMQ_WARN_UNUSED;

/* Turns images that are stored column by column, [n][w][h][c], to [n][h][w][c]; OMQ_ENOMEM is
 * the only failure. */
int omq_idx_transpose(struct omq_idx *x, struct omq_err *err) OMQ_WARN_UNUSED;

/* What becomes of a training image. */
enum omq_role { OMQ_ROLE_UNUSED, OMQ_ROLE_TRAIN, OMQ_ROLE_VALIDATION };

/* Draws role[i] of n images. limit (0: none) images are used, as equally many
 * of each class as there are; of those the share `validation` is held out,
 * class by class. A function of labels, limit, validation and seed only.
 * OMQ_ENOMEM is the only failure. */
int omq_split_draw(uint8_t *role, const uint16_t *labels, int n, int n_classes, int limit,
                   double validation, uint64_t seed, struct omq_err *err) OMQ_WARN_UNUSED;

/* The order of n images in an epoch: a permutation by (seed, epoch). */
void omq_shuffle(uint32_t *order, int n, uint64_t seed, int epoch);

struct omq_image_format {
    uint8_t magic[8]; /* what it starts with */
    int n_magic;
    /* As omq_image_decode(); channels is 1 or 3, and the magic is there. */
    int (*decode)(struct omq_image *out, const uint8_t *bytes, size_t n_bytes, int channels,
                  const char *name, struct omq_err *err);
};
extern const struct omq_image_format omq_image_jpeg, omq_image_png;

/* Height and width that a file claims within the limits of image.h: 0 is
 * OMQ_EFORMAT, too large OMQ_EUNSUP. */
int omq_image_check_size(uint64_t height, uint64_t width, const char *name,
                         struct omq_err *err) OMQ_WARN_UNUSED;

/* Pixels, not set, for a size within the limits; OMQ_ENOMEM is the only failure. */
int omq_image_alloc(struct omq_image *im, int height, int width, int channels,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* One pixel of an image of 1 or 3 channels. The weights are ITU-R 601's in 16
 * bits, rounded as in Pillow. */
static inline void omq_image_put(uint8_t *dst, int channels, unsigned r, unsigned g, unsigned b)
{
    if (channels == 1) {
        dst[0] = (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
    } else {
        dst[0] = (uint8_t)r;
        dst[1] = (uint8_t)g;
        dst[2] = (uint8_t)b;
    }
}

#endif
