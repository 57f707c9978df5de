/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#include "data/data_internal.h"
#include "datahelp.h"

Suite *omq_suite_data(void);

static struct omq_err err;

static struct omq_data_config idx_config(void)
{
    struct omq_data_config c = {.format = OMQ_FORMAT_IDX};

    snprintf(c.root, sizeof(c.root), "%s", datahelp_dir);
    return c;
}

/* n images of 1 x 2 pixels that hold the image's own number, with these labels. */
static void put_numbered(const char *prefix, int n, const uint8_t *labels)
{
    uint8_t pixels[2 * 1024];
    char name[128];

    ck_assert_int_le(n, 1024);
    for (int i = 0; i < n; i++) {
        pixels[2 * i] = (uint8_t)(i >> 8);
        pixels[2 * i + 1] = (uint8_t)i;
    }
    snprintf(name, sizeof(name), "%s-images-idx3-ubyte", prefix);
    datahelp_put_idx(name, DIMS((uint32_t)n, 1, 2), pixels);
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", prefix);
    datahelp_put_idx(name, DIMS((uint32_t)n), labels);
}

static int number_of(const struct omq_dataset *d, int i)
{
    return d->pixels[2 * i] << 8 | d->pixels[2 * i + 1];
}

static void open_fails(const struct omq_data_config *cfg, enum omq_split split, int code,
                       const char *a, const char *b)
{
    struct omq_dataset *d = (struct omq_dataset *)&err;
    int rc = omq_dataset_open(&d, cfg, split, 1, &err);

    datahelp_fails(rc, &err, code, a, b, NULL);
    ck_assert_ptr_eq(d, (struct omq_dataset *)&err); /* out is untouched */
}

/* ---- the folder ---- */

/* Some unpack each file to a folder of its name. */
START_TEST(test_folders_beside_files)
{
    struct omq_data_config c = idx_config();
    struct omq_dataset *d;

    ck_assert_int_eq(mkdir(datahelp_path("train-images-idx3-ubyte"), 0700), 0);
    datahelp_put_idx("train-images.idx3-ubyte", DIMS(1, 1, 1), (uint8_t[]){1});
    datahelp_put_idx("train-labels.idx1-ubyte", DIMS(1), (uint8_t[]){0});
    d = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 1);
    omq_dataset_close(d);
}
END_TEST

START_TEST(test_missing_files)
{
    struct omq_data_config c = idx_config();

    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "cannot find the training images",
               "train-images-idx3-ubyte, train-images.idx3-ubyte");
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "t10k-images-idx3-ubyte", "test-images-idx3-ubyte");
    datahelp_put_idx("train-images-idx3-ubyte", DIMS(1, 1, 1), (uint8_t[]){1});
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "cannot find the training labels", datahelp_dir);
    snprintf(c.root, sizeof(c.root), "%s/none/fashion-mnist//", datahelp_dir);
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "cannot open the folder",
               "run scripts/fetch-data.sh fashion-mnist '");
    snprintf(c.root, sizeof(c.root), "%s/none/mnist", datahelp_dir);
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "No such file", "run scripts/fetch-data.sh mnist '");
    snprintf(c.root, sizeof(c.root), "%s/none/my-mnist", datahelp_dir);
    ck_assert_int_lt(omq_dataset_open(&(struct omq_dataset *){NULL}, &c, OMQ_SPLIT_TEST, 1, &err),
                     0);
    ck_assert_ptr_null(strstr(err.msg, "fetch-data"));
    snprintf(c.root, sizeof(c.root), "%s/train-images-idx3-ubyte", datahelp_dir);
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "is not a folder", NULL);
    c.root[0] = 0;
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.root is empty", NULL);
}
END_TEST

START_TEST(test_not_a_regular_file)
{
    struct omq_data_config c = idx_config();

    ck_assert_int_eq(mkfifo(datahelp_path("train-images-idx3-ubyte"), 0600), 0);
    datahelp_put_idx("train-labels-idx1-ubyte", DIMS(1), (uint8_t[]){1});
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "train-images-idx3-ubyte' is not a regular file",
               NULL);
    ck_assert_int_eq(mkdir(datahelp_path("t10k-images-idx3-ubyte"), 0700), 0);
    datahelp_put_idx("t10k-labels-idx1-ubyte", DIMS(1), (uint8_t[]){1});
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "cannot find the test images",
               "looked for files t10k-");
}
END_TEST

/* The same bytes by every accepted name, packed or not, whatever the suffix says. */
START_TEST(test_names_and_gzip_are_equal)
{
    static const char *const images[] = {
        "t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte",
        "test-images-idx3-ubyte.gz",
    };
    struct omq_data_config c = idx_config();
    uint8_t raw[64], gz[256];
    size_t n = datahelp_small(raw), m = datahelp_pack(gz, sizeof(gz), raw, n);
    uint32_t print = 0;

    datahelp_put_idx("t10k-labels.idx1-ubyte", DIMS(3), (uint8_t[]){2, 0, 2});
    for (int i = 0; i < 4; i++) {
        for (int packed = 0; packed < 2; packed++) {
            struct omq_dataset *d;

            datahelp_put(images[i], packed ? gz : raw, packed ? m : n);
            d = datahelp_open(&c, OMQ_SPLIT_TEST, 1);
            ck_assert_int_eq(d->n, 3);
            ck_assert_int_eq(d->height * 10 + d->width, 22);
            ck_assert_int_eq(d->channels, 1);
            ck_assert_int_eq(d->n_classes, 3);
            ck_assert_str_eq(d->class_names[2], "2");
            ck_assert_int_eq(d->labels[1], 0);
            ck_assert_int_eq(memcmp(d->pixels, raw + 16, 12), 0);
            ck_assert(print == 0 || print == d->fingerprint);
            print = d->fingerprint;
            omq_dataset_close(d);
        }
        remove(datahelp_path(images[i]));
    }
    /* 12 pixels, then the labels as u16, little-endian */
    memcpy(raw + 28, (uint8_t[]){2, 0, 0, 0, 2, 0}, 6);
    ck_assert_uint_eq(print, crc32(0, raw + 16, 18));
}
END_TEST

START_TEST(test_counts_must_agree)
{
    struct omq_data_config c = idx_config();
    uint8_t raw[64];

    datahelp_put("train-images-idx3-ubyte", raw, datahelp_small(raw));
    datahelp_put_idx("train-labels-idx1-ubyte", DIMS(4), (uint8_t[]){0, 1, 2, 3});
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "has 4 labels", "has 3 images");
    datahelp_put("train-labels-idx1-ubyte", raw, 28);
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "train-labels-idx1-ubyte' has 3 dimensions",
               NULL);
}
END_TEST

START_TEST(test_channels)
{
    struct omq_data_config c = idx_config();
    uint8_t pixels[24];
    struct omq_dataset *d;

    for (int i = 0; i < 24; i++)
        pixels[i] = (uint8_t)i;
    datahelp_put_idx("train-images-idx4-ubyte", DIMS(2, 2, 2, 3), pixels);
    datahelp_put_idx("train-labels-idx1-ubyte", DIMS(2), (uint8_t[]){0, 1});
    d = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->channels, 3);
    ck_assert_int_eq(memcmp(d->pixels, pixels, 24), 0);
    omq_dataset_close(d);
}
END_TEST

/* EMNIST: a prefix, "test" for "t10k", labels from 1, images column by column. */
START_TEST(test_emnist)
{
    struct omq_data_config c = idx_config();
    struct omq_dataset *d;

    snprintf(c.prefix, sizeof(c.prefix), "emnist-letters-");
    c.transpose = true;
    datahelp_put_idx("emnist-letters-test-images-idx3-ubyte", DIMS(2, 2, 3),
            (uint8_t[]){1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16});
    datahelp_put_idx("emnist-letters-test-labels-idx1-ubyte", DIMS(2), (uint8_t[]){1, 26});
    d = datahelp_open(&c, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->height, 3);
    ck_assert_int_eq(d->width, 2);
    ck_assert_int_eq(d->n_classes, 27);
    ck_assert_int_eq(memcmp(d->pixels, (uint8_t[]){1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16}, 12),
                     0);
    omq_dataset_close(d);
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "emnist-letters-train-images-idx3-ubyte", NULL);
}
END_TEST

static void classes_fail(const char *text, size_t n, int code, const char *part)
{
    struct omq_data_config c = idx_config();

    datahelp_put("classes.txt", text, n);
    open_fails(&c, OMQ_SPLIT_TEST, code, "classes.txt'", part);
}

START_TEST(test_class_names)
{
    struct omq_data_config c = idx_config();
    static char many[2 * (OMQ_MAX_CLASSES + 1) + 1];
    static char large[(8 << 20) + 1];
    char longest[200];
    struct omq_dataset *d;

    put_numbered("t10k", 3, (uint8_t[]){0, 2, 1});
    datahelp_put("classes.txt", "cat\r\ndog  \nold oak\nbee\n\n", 24);
    d = datahelp_open(&c, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n_classes, 4); /* more names than labels: all are classes */
    ck_assert_str_eq(d->class_names[0], "cat");
    ck_assert_str_eq(d->class_names[1], "dog");
    ck_assert_str_eq(d->class_names[2], "old oak");
    ck_assert_str_eq(d->class_names[3], "bee");
    omq_dataset_close(d);
    datahelp_put("classes.txt", "a\nb\nc", 5);
    d = datahelp_open(&c, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n_classes, 3);
    ck_assert_str_eq(d->class_names[2], "c");
    omq_dataset_close(d);

    classes_fail("a\nb\n", 4, OMQ_EFORMAT, "names 2 classes, but the labels go up to 2");
    classes_fail("a\n\nc\n", 5, OMQ_EFORMAT, "line 2 is empty");
    classes_fail("a\nb\tc\nd\n", 8, OMQ_EFORMAT, "line 2 is not UTF-8 text without control");
    classes_fail("a\nb\0\nd\n", 7, OMQ_EFORMAT, "line 2 is not UTF-8 text without control");
    classes_fail("", 0, OMQ_EFORMAT, "is empty");
    classes_fail(" \n\n", 3, OMQ_EFORMAT, "is empty");
    for (int i = 0; i < OMQ_MAX_CLASSES + 1; i++)
        memcpy(many + 2 * i, "x\n", 2);
    classes_fail(many, 2 * (OMQ_MAX_CLASSES + 1), OMQ_EUNSUP,
                 "names 32769 classes: the limit is 32768");
    memset(longest, 'n', sizeof(longest));
    classes_fail(longest, 128, OMQ_EFORMAT, "line 1 is longer than 127");
    memset(large, '\n', sizeof(large)); /* which read to its end would be empty */
    classes_fail(large, sizeof(large) - 1, OMQ_EFORMAT, "is empty");
    classes_fail(large, sizeof(large), OMQ_ENOMEM, "larger than the limit of 8388608 bytes");
    remove(datahelp_path("classes.txt"));
    ck_assert_int_eq(mkdir(datahelp_path("classes.txt"), 0700), 0);
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "classes.txt' is not a regular file", NULL);
}
END_TEST

/* ---- splits ---- */

enum { N_SPLIT = 200 };

/* 200 images: 60 of each class 0 to 2, 20 of class 4, none of class 3. */
static void put_split_files(uint8_t labels[N_SPLIT])
{
    for (int i = 0; i < N_SPLIT; i++)
        labels[i] = (uint8_t)(i % 10 == 9 ? 4 : i % 3);
    for (int i = 0, count[3] = {0}; i < N_SPLIT; i++) /* make 60 of each */
        if (labels[i] < 3 && ++count[labels[i]] > 60)
            for (uint8_t c = 0; c < 3; c++)
                if (count[c] < 60) {
                    count[labels[i]]--;
                    labels[i] = c;
                    count[c]++;
                    break;
                }
    put_numbered("train", N_SPLIT, labels);
}

static void count_classes(const struct omq_dataset *d, int count[5])
{
    memset(count, 0, 5 * sizeof(*count));
    ck_assert_int_eq(d->n_classes, 5);
    for (int i = 0; i < d->n; i++)
        count[d->labels[i]]++;
}

/* Marks the images of d in seen, which must be new, in file order, and have
 * kept their labels. */
static void mark(const struct omq_dataset *d, bool seen[N_SPLIT], const uint8_t *labels)
{
    for (int i = 0; i < d->n; i++) {
        int id = number_of(d, i);

        ck_assert_int_lt(id, N_SPLIT);
        ck_assert(!seen[id]);
        seen[id] = true;
        ck_assert_int_eq(d->labels[i], labels[id]);
        ck_assert(i == 0 || number_of(d, i - 1) < id);
    }
}

START_TEST(test_split_validation)
{
    struct omq_data_config c = idx_config();
    uint8_t labels[N_SPLIT];
    bool seen[N_SPLIT] = {false};
    struct omq_dataset *train, *held, *again, *other;
    int count[5];

    put_split_files(labels);
    c.validation = 0.2;
    train = datahelp_open(&c, OMQ_SPLIT_TRAIN, 7);
    held = datahelp_open(&c, OMQ_SPLIT_VALIDATION, 7);
    mark(train, seen, labels);
    mark(held, seen, labels);
    ck_assert_int_eq(train->n + held->n, N_SPLIT);
    count_classes(held, count);
    for (int k = 0; k < 3; k++)
        ck_assert_int_eq(count[k], 12);
    ck_assert_int_eq(count[3], 0);
    ck_assert_int_eq(count[4], 4);

    again = datahelp_open(&c, OMQ_SPLIT_VALIDATION, 7);
    other = datahelp_open(&c, OMQ_SPLIT_VALIDATION, 8);
    ck_assert_uint_eq(again->fingerprint, held->fingerprint);
    ck_assert_uint_ne(other->fingerprint, held->fingerprint);
    omq_dataset_close(train);
    omq_dataset_close(held);
    omq_dataset_close(again);
    omq_dataset_close(other);
}
END_TEST

START_TEST(test_split_limit)
{
    struct omq_data_config c = idx_config();
    uint8_t labels[N_SPLIT];
    bool seen[N_SPLIT] = {false};
    struct omq_dataset *d, *held;
    int count[5];

    put_split_files(labels);
    d = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    mark(d, seen, labels);
    ck_assert_int_eq(d->n, N_SPLIT);
    omq_dataset_close(d);

    c.train_limit = 100; /* 20 of class 4 are all there are; 80 over three: 27 27 26 */
    d = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    count_classes(d, count);
    ck_assert_int_eq(d->n, 100);
    ck_assert_int_eq(count[0] * 10000 + count[1] * 100 + count[2], 272726);
    ck_assert_int_eq(count[4], 20);
    omq_dataset_close(d);

    /* what is held out comes out of what is used */
    c.train_limit = 40;
    c.validation = 0.5;
    memset(seen, 0, sizeof(seen));
    d = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    held = datahelp_open(&c, OMQ_SPLIT_VALIDATION, 1);
    mark(d, seen, labels);
    mark(held, seen, labels);
    count_classes(d, count);
    for (int k = 0; k < 5; k++)
        ck_assert_int_eq(count[k], k == 3 ? 0 : 5);
    ck_assert_int_eq(held->n, 20);
    omq_dataset_close(d);
    omq_dataset_close(held);

    c.train_limit = 100000;
    c.validation = 0;
    d = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, N_SPLIT);
    omq_dataset_close(d);
}
END_TEST

START_TEST(test_split_small_shares)
{
    uint16_t labels[50];
    uint8_t role[50];
    int held = 0;

    for (int i = 0; i < 50; i++)
        labels[i] = (uint16_t)(i / 5);
    /* ten classes of five: the tenth part is 5 images, though none has a whole one */
    ck_assert_int_eq(omq_split_draw(role, labels, 50, 10, 0, 0.1, 1, &err), OMQ_OK);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_ne(role[i], OMQ_ROLE_UNUSED);
        held += role[i] == OMQ_ROLE_VALIDATION;
    }
    ck_assert_int_eq(held, 5);
    /* fewer images than classes: one each of the first */
    ck_assert_int_eq(omq_split_draw(role, labels, 50, 10, 3, 0, 1, &err), OMQ_OK);
    for (int i = 0, used[10] = {0}; i < 50; i++) {
        used[labels[i]] += role[i] == OMQ_ROLE_TRAIN;
        if (i % 5 == 4)
            ck_assert_int_eq(used[labels[i]], labels[i] < 3);
    }
}
END_TEST

START_TEST(test_split_without_images)
{
    struct omq_data_config c = idx_config();

    put_numbered("train", 3, (uint8_t[]){0, 1, 1});
    open_fails(&c, OMQ_SPLIT_VALIDATION, OMQ_ECONFIG, "no validation images",
               "data.validation is 0");
    c.validation = 0.1;
    open_fails(&c, OMQ_SPLIT_VALIDATION, OMQ_ECONFIG, "0.1: of 3 training images",
               "none for validation");
    c.train_limit = 1;
    c.validation = 0.5;
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "0.5: of 1 training images", "none for training");
}
END_TEST

START_TEST(test_unknown_format)
{
    struct omq_data_config c = {.format = (enum omq_format)99};

    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EARG, "format number 99", NULL);
    omq_dataset_close(NULL);
}
END_TEST

/* What is shipped; needs the root of the source tree as working directory. */
START_TEST(test_shipped_subset)
{
    static const enum omq_split splits[] = {OMQ_SPLIT_TRAIN, OMQ_SPLIT_TEST};
    static const uint32_t prints[] = {0xca07e33c, 0xfd1862d1};
    struct omq_data_config c = {.format = OMQ_FORMAT_IDX, .root = "data/fashion-mnist-small"};

    for (int s = 0; s < 2; s++) {
        struct omq_dataset *d = datahelp_open(&c, splits[s], 1);
        int count[10] = {0};

        ck_assert_int_eq(d->n, s == 0 ? 6000 : 1000);
        ck_assert_int_eq(d->height * 100 + d->width, 2828);
        ck_assert_int_eq(d->n_classes, 10);
        ck_assert_str_eq(d->class_names[0], "T-shirt/top");
        ck_assert_str_eq(d->class_names[9], "Ankle boot");
        for (int i = 0; i < d->n; i++)
            count[d->labels[i]]++;
        for (int k = 0; k < 10; k++)
            ck_assert_int_eq(count[k], d->n / 10);
        ck_assert_uint_eq(d->fingerprint, prints[s]);
        omq_dataset_close(d);
    }
}
END_TEST

/* ---- synthetic ---- */

START_TEST(test_synthetic_repeats)
{
    struct omq_data_config c = datahelp_synthetic(50, 9, 7, 3, 5), longer = c;
    struct omq_dataset *a = datahelp_open(&c, OMQ_SPLIT_TRAIN, 3), *b, *t, *o;

    longer.synthetic.n_train = 80;
    b = datahelp_open(&longer, OMQ_SPLIT_TRAIN, 3);
    t = datahelp_open(&c, OMQ_SPLIT_TEST, 3);
    o = datahelp_open(&c, OMQ_SPLIT_TRAIN, 4);
    ck_assert_int_eq(a->n, 50);
    ck_assert_int_eq(a->height * 100 + a->width * 10 + a->channels, 973);
    ck_assert_int_eq(a->n_classes, 5);
    /* a sample does not depend on how many there are */
    ck_assert_int_eq(memcmp(a->pixels, b->pixels, 50 * 9 * 7 * 3), 0);
    ck_assert_int_eq(memcmp(a->labels, b->labels, 100), 0);
    ck_assert_uint_ne(a->fingerprint, t->fingerprint);
    ck_assert_uint_ne(a->fingerprint, o->fingerprint);
    /* integers only: the same on every machine */
    ck_assert_uint_eq(a->fingerprint, 0x50795358);
    omq_dataset_close(a);
    omq_dataset_close(b);
    omq_dataset_close(t);
    omq_dataset_close(o);
}
END_TEST

/* The mean image of each class in training recognizes most test images. */
START_TEST(test_synthetic_can_be_learned)
{
    enum { SIDE = 12, IMAGE = SIDE * SIDE, CLASSES = 10, N = 600 };
    struct omq_data_config c = datahelp_synthetic(N, SIDE, SIDE, 1, CLASSES);
    struct omq_dataset *train = datahelp_open(&c, OMQ_SPLIT_TRAIN, 1);
    struct omq_dataset *test = datahelp_open(&c, OMQ_SPLIT_TEST, 1);
    static double mean[CLASSES][IMAGE];
    int right = 0;

    memset(mean, 0, sizeof(mean));
    for (int i = 0; i < N; i++)
        for (int p = 0; p < IMAGE; p++)
            mean[train->labels[i]][p] += train->pixels[i * IMAGE + p] / (double)(N / CLASSES);
    for (int i = 0; i < N; i++) {
        double best = INFINITY;
        int at = 0;

        for (int k = 0; k < CLASSES; k++) {
            double d = 0;

            for (int p = 0; p < IMAGE; p++)
                d += pow(test->pixels[i * IMAGE + p] - mean[k][p], 2);
            if (d < best) {
                best = d;
                at = k;
            }
        }
        right += at == test->labels[i];
    }
    ck_assert_int_gt(right, N * 8 / 10);
    omq_dataset_close(train);
    omq_dataset_close(test);
}
END_TEST

START_TEST(test_synthetic_limits)
{
    struct omq_data_config c = datahelp_synthetic(10, 4, 4, 1, 2), bad;

    bad = c;
    bad.synthetic.classes = OMQ_MAX_CLASSES + 1;
    open_fails(&bad, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.synthetic.classes is 32769",
               "1 to 32768");
    bad.synthetic.classes = 0;
    open_fails(&bad, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.synthetic.classes is 0", NULL);
    bad = c;
    bad.synthetic.n_test = 0;
    open_fails(&bad, OMQ_SPLIT_TEST, OMQ_ECONFIG, "0 images of 4 x 4 x 1", NULL);
    bad = c;
    bad.synthetic.channels = 5;
    open_fails(&bad, OMQ_SPLIT_TEST, OMQ_EUNSUP, "data.synthetic", "5 channels");
    bad = c;
    bad.synthetic.height = 20000;
    open_fails(&bad, OMQ_SPLIT_TEST, OMQ_EUNSUP, "20000 x 4", "16384");
    bad = c;
    bad.synthetic.n_train = INT32_MAX;
    open_fails(&bad, OMQ_SPLIT_TRAIN, OMQ_ENOMEM, "limit of 4 GiB", NULL);
}
END_TEST

Suite *omq_suite_data(void)
{
    Suite *s = suite_create("data");
    TCase *files = tcase_create("files"), *made = tcase_create("made");

    tcase_add_checked_fixture(files, datahelp_setup, datahelp_teardown);
    tcase_add_test(files, test_missing_files);
    tcase_add_test(files, test_folders_beside_files);
    tcase_add_test(files, test_not_a_regular_file);
    tcase_add_test(files, test_names_and_gzip_are_equal);
    tcase_add_test(files, test_counts_must_agree);
    tcase_add_test(files, test_channels);
    tcase_add_test(files, test_emnist);
    tcase_add_test(files, test_class_names);
    tcase_add_test(files, test_split_validation);
    tcase_add_test(files, test_split_limit);
    tcase_add_test(files, test_split_without_images);

    tcase_add_test(made, test_split_small_shares);
    tcase_add_test(made, test_unknown_format);
    tcase_add_test(made, test_shipped_subset);
    tcase_add_test(made, test_synthetic_repeats);
    tcase_add_test(made, test_synthetic_can_be_learned);
    tcase_add_test(made, test_synthetic_limits);

    suite_add_tcase(s, files);
    suite_add_tcase(s, made);
    return s;
}
