/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <zlib.h>

#include "base/rng.h"
#include "data/data.h"
#include "data/data_internal.h"

Suite *omq_suite_data(void);

/* ---- files of a test: a folder that is removed after it ---- */

static char dir[64];

static void setup(void)
{
    strcpy(dir, "/tmp/omq-test-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static const char *in_dir(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void teardown(void)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    ck_assert_ptr_nonnull(d);
    while ((e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove(in_dir(e->d_name));
    closedir(d);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_dir(name), "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* One gzip member; returns its size. */
static size_t pack(uint8_t *out, size_t cap, const uint8_t *in, size_t n)
{
    z_stream z = {0};
    size_t size;

    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
    z.next_in = (Bytef *)in;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size = cap - z.avail_out;
    deflateEnd(&z);
    return size;
}

/* The header of an idx file of unsigned bytes; returns its size. */
static size_t idx_header(uint8_t *out, int n_dims, const uint32_t *dims)
{
    memcpy(out, (uint8_t[]){0, 0, 8, (uint8_t)n_dims}, 4);
    for (int i = 0; i < n_dims; i++)
        for (int b = 0; b < 4; b++)
            out[4 + 4 * i + b] = (uint8_t)(dims[i] >> (24 - 8 * b));
    return 4 + 4 * (size_t)n_dims;
}

#define DIMS(...) (int)(sizeof((uint32_t[]){__VA_ARGS__}) / 4), (uint32_t[]){__VA_ARGS__}

static void put_idx(const char *name, int n_dims, const uint32_t *dims, const uint8_t *values)
{
    uint8_t buf[1 << 14];
    size_t at = idx_header(buf, n_dims, dims), n = 1;

    for (int i = 0; i < n_dims; i++)
        n *= dims[i];
    ck_assert_uint_le(at + n, sizeof(buf));
    memcpy(buf + at, values, n);
    put(name, buf, at + n);
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
    put_idx(name, DIMS((uint32_t)n, 1, 2), pixels);
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", prefix);
    put_idx(name, DIMS((uint32_t)n), labels);
}

static int number_of(const struct omq_dataset *d, int i)
{
    return d->pixels[2 * i] << 8 | d->pixels[2 * i + 1];
}

static struct omq_data_config idx_config(void)
{
    struct omq_data_config c = {.format = OMQ_FORMAT_IDX};

    snprintf(c.root, sizeof(c.root), "%s", dir);
    return c;
}

static struct omq_data_config synthetic_config(int n, int h, int w, int c, int classes)
{
    return (struct omq_data_config){
        .format = OMQ_FORMAT_SYNTHETIC, .n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.25},
        .synthetic = {.height = h, .width = w, .channels = c, .classes = classes, .n_train = n,
                      .n_test = n},
    };
}

/* ---- expectations ---- */

static struct omq_err err;

/* code, and every one of up to three parts in the message, which is a sentence
 * without line end and full stop. */
static void fails(int rc, int code, const char *a, const char *b, const char *c)
{
    const char *parts[] = {a, b, c};
    size_t n = strlen(err.msg);

    ck_assert_int_eq(rc, code);
    ck_assert_int_eq(err.code, code);
    for (int i = 0; i < 3; i++)
        if (parts[i])
            ck_assert_msg(strstr(err.msg, parts[i]) != NULL, "no \"%s\" in \"%s\"", parts[i],
                          err.msg);
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_lt(n, sizeof(err.msg) - 1);
    ck_assert(!strchr(err.msg, '\n') && err.msg[n - 1] != '.');
    memset(&err, 0, sizeof(err));
}

static void open_fails(const struct omq_data_config *cfg, enum omq_split split, int code,
                       const char *a, const char *b)
{
    struct omq_dataset *d = (struct omq_dataset *)&err;
    int rc = omq_dataset_open(&d, cfg, split, 1, &err);

    fails(rc, code, a, b, NULL);
    ck_assert_ptr_eq(d, (struct omq_dataset *)&err); /* out is untouched */
}

static struct omq_dataset *open_split(const struct omq_data_config *cfg, enum omq_split split,
                                      uint64_t seed)
{
    struct omq_dataset *d = NULL;
    int rc = omq_dataset_open(&d, cfg, split, seed, &err);

    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    for (int i = 0; i < d->n; i++)
        ck_assert_int_lt(d->labels[i], d->n_classes);
    return d;
}

static void decode_fails(const uint8_t *bytes, size_t n, enum omq_idx_kind kind, int code,
                         const char *a, const char *b)
{
    struct omq_idx x = {.n_dims = 77};

    fails(omq_idx_decode(&x, bytes, n, "F", kind, &err), code, "'F'", a, b);
    ck_assert_int_eq(x.n_dims, 77);
}

/* ---- the idx file ---- */

/* 3 images of 2 x 2: 16 + 12 bytes */
static size_t small_idx(uint8_t out[64])
{
    size_t at = idx_header(out, DIMS(3, 2, 2));

    for (int i = 0; i < 12; i++)
        out[at + (size_t)i] = (uint8_t)(i * 20);
    return at + 12;
}

static void is_small(const uint8_t *bytes, size_t n)
{
    struct omq_idx x;
    int rc = omq_idx_decode(&x, bytes, n, "F", OMQ_IDX_IMAGES, &err);

    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(x.n_dims, 3);
    ck_assert_uint_eq(x.dims[0], 3);
    ck_assert_uint_eq(x.dims[1], 2);
    ck_assert_uint_eq(x.dims[2], 2);
    ck_assert_uint_eq(x.n_bytes, 12);
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(x.bytes[i], i * 20);
    free(x.bytes);
}

START_TEST(test_idx_plain_and_gzip)
{
    uint8_t raw[64], gz[256];
    size_t n = small_idx(raw), m = pack(gz, sizeof(gz), raw, n);

    is_small(raw, n);
    is_small(gz, m);
    /* two members, cut in the header: the data is what both hold in a row */
    m = pack(gz, sizeof(gz), raw, 7);
    m += pack(gz + m, sizeof(gz) - m, raw + 7, n - 7);
    is_small(gz, m);
}
END_TEST

START_TEST(test_idx_every_truncation_fails)
{
    uint8_t raw[64], gz[256];
    size_t n = small_idx(raw), m = pack(gz, sizeof(gz), raw, n);

    decode_fails(raw, 0, OMQ_IDX_IMAGES, OMQ_EFORMAT, "only 0 bytes", NULL);
    for (size_t i = 1; i < 4; i++)
        decode_fails(raw, i, OMQ_IDX_IMAGES, OMQ_EFORMAT, "not an idx file: it has only", NULL);
    for (size_t i = 4; i < 16; i++)
        decode_fails(raw, i, OMQ_IDX_IMAGES, OMQ_EFORMAT, "ends inside its header", NULL);
    for (size_t i = 16; i < n; i++)
        decode_fails(raw, i, OMQ_IDX_IMAGES, OMQ_EFORMAT, "expected 28", "3 x 2 x 2");
    for (size_t i = 2; i < m; i++)
        decode_fails(gz, i, OMQ_IDX_IMAGES, OMQ_EFORMAT, "truncated gzip file", NULL);
}
END_TEST

START_TEST(test_idx_extra_bytes)
{
    uint8_t raw[64], gz[256];
    size_t n = small_idx(raw), m;

    raw[n] = 9;
    decode_fails(raw, n + 1, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 29 bytes, expected 28", NULL);
    m = pack(gz, sizeof(gz), raw, n + 1);
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "more values than the expected 12", NULL);
    m = pack(gz, sizeof(gz), raw, n - 1);
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 11 values, expected 12", NULL);
    m = pack(gz, sizeof(gz), raw, n);
    gz[m] = 'x';
    decode_fails(gz, m + 1, OMQ_IDX_IMAGES, OMQ_EFORMAT, "after the end of its gzip data", NULL);
    gz[m] = 0x1f;
    gz[m + 1] = 'x';
    decode_fails(gz, m + 2, OMQ_IDX_IMAGES, OMQ_EFORMAT, "damaged gzip", NULL);
}
END_TEST

/* A changed header cannot agree with the size any more; a changed gzip file is
 * refused, or it is a change that means nothing (the time stamp, for one). */
START_TEST(test_idx_every_bit_flip)
{
    uint8_t raw[64], gz[256];
    size_t n = small_idx(raw), m = pack(gz, sizeof(gz), raw, n);
    int refused = 0;

    for (size_t bit = 0; bit < 16 * 8; bit++) {
        struct omq_idx x;

        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_lt(omq_idx_decode(&x, raw, n, "F", OMQ_IDX_IMAGES, &err), 0);
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < m * 8; bit++) {
        struct omq_idx x;

        gz[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (omq_idx_decode(&x, gz, m, "F", OMQ_IDX_IMAGES, &err) < 0) {
            refused++;
        } else {
            free(x.bytes);
            is_small(gz, m);
        }
        gz[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_gt(refused, (int)(m - 10) * 8 - 8);
    gz[m - 6] ^= 1; /* the stored CRC */
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "incorrect data check", NULL);
}
END_TEST

START_TEST(test_idx_wrong_kind)
{
    uint8_t b[64];
    size_t n = small_idx(b);

    decode_fails((const uint8_t *)"P5 28 28", 8, OMQ_IDX_IMAGES, OMQ_EFORMAT,
                 "starts with 50 35 20 32, expected 00 00 08 03", NULL);
    decode_fails(b, n, OMQ_IDX_LABELS, OMQ_EFORMAT, "has 3 dimensions, expected 1",
                 "file of images");
    b[2] = 0x0d;
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EUNSUP, "32-bit floats (idx type 0d)", "unsigned");
    b[2] = 0x0a;
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EFORMAT, "not an idx file", NULL);
    n = idx_header(b, DIMS(4));
    decode_fails(b, n + 4, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 1 dimension,", "file of labels");
    n = idx_header(b, DIMS(1, 1, 1, 5));
    decode_fails(b, n + 5, OMQ_IDX_IMAGES, OMQ_EUNSUP, "5 channels", "1 to 4");
    b[3] = 200;
    decode_fails(b, n + 5, OMQ_IDX_IMAGES, OMQ_EFORMAT, "200 dimensions", NULL);
}
END_TEST

/* Nothing of what these claim may be allocated. */
START_TEST(test_idx_claims_are_checked_first)
{
    static const uint8_t zeros[1 << 16];
    uint8_t b[128], gz[256];
    size_t n, m;

    n = idx_header(b, DIMS(0, 28, 28));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EFORMAT, "no images", NULL);
    n = idx_header(b, DIMS(5, 0, 28));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EUNSUP, "0 x 28", NULL);
    n = idx_header(b, DIMS(0xffffffff, 0xffffffff, 0xffffffff));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EUNSUP, "4294967295 x 4294967295 pixels", NULL);
    n = idx_header(b, DIMS(0xffffffff, 16384, 16384, 4));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_ENOMEM, "4 GiB", NULL);
    n = idx_header(b, DIMS(5000, 1024, 1024));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_ENOMEM, "5000 images of 1024 x 1024 x 1", "4 GiB");
    n = idx_header(b, DIMS(4000, 1024, 1024));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 16 bytes, expected 4194304016", NULL);
    m = pack(gz, sizeof(gz), b, n);
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "claims 4000 x 1024 x 1024 values",
                 "gzip data can hold");
    n = idx_header(b, DIMS(0));
    decode_fails(b, n, OMQ_IDX_LABELS, OMQ_EFORMAT, "claims 0 labels", NULL);
    n = idx_header(b, DIMS(0xffffffff));
    decode_fails(b, n, OMQ_IDX_LABELS, OMQ_EFORMAT, "claims 4294967295 labels", NULL);
    /* the best of compression is not mistaken for a lie */
    {
        uint8_t *big = calloc(1, 16 + sizeof(zeros) * 64), *small = malloc(1 << 16);
        struct omq_idx x;

        n = idx_header(big, DIMS(64, 256, 256));
        m = pack(small, 1 << 16, big, n + sizeof(zeros) * 64);
        ck_assert_uint_gt(sizeof(zeros) * 64 / m, 900);
        ck_assert_int_eq(omq_idx_decode(&x, small, m, "F", OMQ_IDX_IMAGES, &err), OMQ_OK);
        ck_assert_int_eq(memcmp(x.bytes, big + n, x.n_bytes), 0);
        free(x.bytes);
        free(big);
        free(small);
    }
}
END_TEST

/* ---- the folder ---- */

START_TEST(test_missing_files)
{
    struct omq_data_config c = idx_config();

    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "cannot find the training images",
               "train-images-idx3-ubyte, train-images.idx3-ubyte");
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "t10k-images-idx3-ubyte", "test-images-idx3-ubyte");
    ck_assert_ptr_null(strstr(err.msg, "fetch-data"));
    put_idx("train-images-idx3-ubyte", DIMS(1, 1, 1), (uint8_t[]){1});
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "cannot find the training labels", dir);
    snprintf(c.root, sizeof(c.root), "%s/none/fashion-mnist//", dir);
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "cannot open the folder",
               "run scripts/fetch-data.sh fashion-mnist");
    snprintf(c.root, sizeof(c.root), "%s/none/mnist", dir);
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "No such file", "run scripts/fetch-data.sh mnist");
    snprintf(c.root, sizeof(c.root), "%s/none/my-mnist", dir);
    ck_assert_int_lt(omq_dataset_open(&(struct omq_dataset *){NULL}, &c, OMQ_SPLIT_TEST, 1, &err),
                     0);
    ck_assert_ptr_null(strstr(err.msg, "fetch-data"));
    snprintf(c.root, sizeof(c.root), "%s/train-images-idx3-ubyte", dir);
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "is not a folder", NULL);
    c.root[0] = 0;
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.root is empty", NULL);
}
END_TEST

START_TEST(test_not_a_regular_file)
{
    struct omq_data_config c = idx_config();

    ck_assert_int_eq(mkfifo(in_dir("train-images-idx3-ubyte"), 0600), 0);
    put_idx("train-labels-idx1-ubyte", DIMS(1), (uint8_t[]){1});
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EIO, "train-images-idx3-ubyte' is not a regular file",
               NULL);
    ck_assert_int_eq(mkdir(in_dir("t10k-images-idx3-ubyte"), 0700), 0);
    put_idx("t10k-labels-idx1-ubyte", DIMS(1), (uint8_t[]){1});
    open_fails(&c, OMQ_SPLIT_TEST, OMQ_EIO, "is not a regular file", NULL);
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
    size_t n = small_idx(raw), m = pack(gz, sizeof(gz), raw, n);
    uint32_t print = 0;

    put_idx("t10k-labels.idx1-ubyte", DIMS(3), (uint8_t[]){2, 0, 2});
    for (int i = 0; i < 4; i++) {
        for (int packed = 0; packed < 2; packed++) {
            struct omq_dataset *d;

            put(images[i], packed ? gz : raw, packed ? m : n);
            d = open_split(&c, OMQ_SPLIT_TEST, 1);
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
        remove(in_dir(images[i]));
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

    put("train-images-idx3-ubyte", raw, small_idx(raw));
    put_idx("train-labels-idx1-ubyte", DIMS(4), (uint8_t[]){0, 1, 2, 3});
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "has 4 labels", "has 3 images");
    put("train-labels-idx1-ubyte", raw, 28);
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
    put_idx("train-images-idx4-ubyte", DIMS(2, 2, 2, 3), pixels);
    put_idx("train-labels-idx1-ubyte", DIMS(2), (uint8_t[]){0, 1});
    d = open_split(&c, OMQ_SPLIT_TRAIN, 1);
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

    strcpy(c.prefix, "emnist-letters-");
    c.transpose = true;
    put_idx("emnist-letters-test-images-idx3-ubyte", DIMS(2, 2, 3),
            (uint8_t[]){1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16});
    put_idx("emnist-letters-test-labels-idx1-ubyte", DIMS(2), (uint8_t[]){1, 26});
    d = open_split(&c, OMQ_SPLIT_TEST, 1);
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

    put("classes.txt", text, n);
    open_fails(&c, OMQ_SPLIT_TEST, code, "classes.txt'", part);
}

START_TEST(test_class_names)
{
    struct omq_data_config c = idx_config();
    char many[1001 * 2 + 1] = "", longest[200];
    struct omq_dataset *d;

    put_numbered("t10k", 3, (uint8_t[]){0, 2, 1});
    put("classes.txt", "cat\r\ndog  \nold oak\nbee\n\n", 24);
    d = open_split(&c, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n_classes, 4); /* more names than labels: all are classes */
    ck_assert_str_eq(d->class_names[0], "cat");
    ck_assert_str_eq(d->class_names[1], "dog");
    ck_assert_str_eq(d->class_names[2], "old oak");
    ck_assert_str_eq(d->class_names[3], "bee");
    omq_dataset_close(d);
    put("classes.txt", "a\nb\nc", 5);
    d = open_split(&c, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n_classes, 3);
    ck_assert_str_eq(d->class_names[2], "c");
    omq_dataset_close(d);

    classes_fail("a\nb\n", 4, OMQ_EFORMAT, "names 2 classes, but the labels go up to 2");
    classes_fail("a\n\nc\n", 5, OMQ_EFORMAT, "line 2 is empty");
    classes_fail("a\nb\tc\nd\n", 8, OMQ_EFORMAT, "line 2 has a control character (09)");
    classes_fail("a\nb\0\nd\n", 7, OMQ_EFORMAT, "line 2 has a control character (00)");
    classes_fail("", 0, OMQ_EFORMAT, "is empty");
    classes_fail(" \n\n", 3, OMQ_EFORMAT, "is empty");
    for (int i = 0; i < 1001; i++)
        memcpy(many + 2 * i, "x\n", 2);
    classes_fail(many, 2002, OMQ_EUNSUP, "names 1001 classes: the limit is 1000");
    memset(longest, 'n', sizeof(longest));
    classes_fail(longest, 128, OMQ_EFORMAT, "line 1 is longer than 127");
    remove(in_dir("classes.txt"));
    ck_assert_int_eq(mkdir(in_dir("classes.txt"), 0700), 0);
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
    train = open_split(&c, OMQ_SPLIT_TRAIN, 7);
    held = open_split(&c, OMQ_SPLIT_VALIDATION, 7);
    mark(train, seen, labels);
    mark(held, seen, labels);
    ck_assert_int_eq(train->n + held->n, N_SPLIT);
    count_classes(held, count);
    for (int k = 0; k < 3; k++)
        ck_assert_int_eq(count[k], 12);
    ck_assert_int_eq(count[3], 0);
    ck_assert_int_eq(count[4], 4);

    again = open_split(&c, OMQ_SPLIT_VALIDATION, 7);
    other = open_split(&c, OMQ_SPLIT_VALIDATION, 8);
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
    d = open_split(&c, OMQ_SPLIT_TRAIN, 1);
    mark(d, seen, labels);
    ck_assert_int_eq(d->n, N_SPLIT);
    omq_dataset_close(d);

    c.train_limit = 100; /* 20 of class 4 are all there are; 80 over three: 27 27 26 */
    d = open_split(&c, OMQ_SPLIT_TRAIN, 1);
    count_classes(d, count);
    ck_assert_int_eq(d->n, 100);
    ck_assert_int_eq(count[0] * 10000 + count[1] * 100 + count[2], 272726);
    ck_assert_int_eq(count[4], 20);
    omq_dataset_close(d);

    /* what is held out comes out of what is used */
    c.train_limit = 40;
    c.validation = 0.5;
    memset(seen, 0, sizeof(seen));
    d = open_split(&c, OMQ_SPLIT_TRAIN, 1);
    held = open_split(&c, OMQ_SPLIT_VALIDATION, 1);
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
    d = open_split(&c, OMQ_SPLIT_TRAIN, 1);
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
    open_fails(&c, OMQ_SPLIT_VALIDATION, OMQ_ECONFIG, "no validation images", "0.1 and 3");
    c.train_limit = 1;
    c.validation = 0.5;
    open_fails(&c, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "no training images", "0.5 and 1 ");
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
        struct omq_dataset *d = open_split(&c, splits[s], 1);
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
    struct omq_data_config c = synthetic_config(50, 9, 7, 3, 5), longer = c;
    struct omq_dataset *a = open_split(&c, OMQ_SPLIT_TRAIN, 3), *b, *t, *o;

    longer.synthetic.n_train = 80;
    b = open_split(&longer, OMQ_SPLIT_TRAIN, 3);
    t = open_split(&c, OMQ_SPLIT_TEST, 3);
    o = open_split(&c, OMQ_SPLIT_TRAIN, 4);
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
    struct omq_data_config c = synthetic_config(N, SIDE, SIDE, 1, CLASSES);
    struct omq_dataset *train = open_split(&c, OMQ_SPLIT_TRAIN, 1);
    struct omq_dataset *test = open_split(&c, OMQ_SPLIT_TEST, 1);
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
    struct omq_data_config c = synthetic_config(10, 4, 4, 1, 2), bad;

    bad = c;
    bad.synthetic.classes = 1001;
    open_fails(&bad, OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.synthetic.classes is 1001", "1 to 1000");
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

/* ---- preprocessing ---- */

START_TEST(test_preprocess_table)
{
    static const struct omq_data_config configs[] = {
        {.n_mean = 1, .n_std = 1, .mean = {0.286}, .std = {0.353}},
        {.n_mean = 1, .n_std = 3, .mean = {0}, .std = {1, 0.5, 0.25}},
        {.n_mean = 3, .n_std = 3, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
    };

    for (int k = 0; k < 3; k++) {
        const struct omq_data_config *c = &configs[k];
        int channels = k == 0 ? 1 : 3;
        struct omq_preprocess p;
        double reach = 0;

        ck_assert_int_eq(omq_preprocess_init(&p, c, 28, 20, channels, &err), OMQ_OK);
        ck_assert_int_eq(p.height * 1000 + p.width * 10 + p.channels, 28200 + channels);
        for (int ch = 0; ch < channels; ch++) {
            double m = c->mean[c->n_mean == 1 ? 0 : ch], s = c->std[c->n_std == 1 ? 0 : ch];

            reach = fmax(reach, fmax(m, 1 - m) / s);
        }
        ck_assert(p.step == (float)(reach / 127));
        for (int ch = 0; ch < channels; ch++) {
            double m = c->mean[c->n_mean == 1 ? 0 : ch], s = c->std[c->n_std == 1 ? 0 : ch];

            ck_assert(p.mean[ch] == m && p.std[ch] == s);
            for (int v = 0; v < 256; v++) {
                /* the code is the nearest one, and it stays off code 0 */
                double x = (v / 255.0 - m) / s, seen = (p.table[ch][v] - 128) * (double)p.step;

                ck_assert(fabs(x - seen) <= 0.5000001 * p.step);
                ck_assert_int_ge(p.table[ch][v], 1);
            }
        }
    }
}
END_TEST

/* By hand: mean = std = 0.5 maps 0 to -1, 255 to 1, and the step is 1/127. */
START_TEST(test_preprocess_by_hand)
{
    struct omq_data_config c = {.n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.5}};
    uint8_t in[8] = {0, 255, 127, 128, 64, 191, 1, 254}, out[8];
    struct omq_preprocess p;

    ck_assert_int_eq(omq_preprocess_init(&p, &c, 2, 4, 1, &err), OMQ_OK);
    omq_preprocess_apply(&p, in, out);
    ck_assert_int_eq(memcmp(out, (uint8_t[]){1, 255, 128, 128, 65, 191, 2, 254}, 8), 0);

    c.mean[1] = 0;
    c.std[1] = 1;
    c.n_mean = c.n_std = 2; /* each channel by its own table */
    ck_assert_int_eq(omq_preprocess_init(&p, &c, 2, 2, 2, &err), OMQ_OK);
    omq_preprocess_apply(&p, in, out);
    ck_assert_int_eq(out[0], 1);
    ck_assert_int_eq(out[1], 255);
    ck_assert_int_eq(out[3], 192);
    ck_assert_int_eq(out[6], 2);
}
END_TEST

START_TEST(test_preprocess_limits)
{
    struct omq_data_config good = {.n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.5}}, c;
    struct omq_preprocess p = {.height = 77};

    c = good;
    c.n_mean = 2;
    fails(omq_preprocess_init(&p, &c, 8, 8, 3, &err), OMQ_ECONFIG, "data.mean has 2 values",
          "3 channels", NULL);
    c = good;
    c.n_std = 0;
    fails(omq_preprocess_init(&p, &c, 8, 8, 1, &err), OMQ_ECONFIG, "data.std has 0 values",
          "1 channel:", NULL);
    c = good;
    c.std[0] = 0;
    fails(omq_preprocess_init(&p, &c, 8, 8, 1, &err), OMQ_ECONFIG, "data.std is 0", NULL, NULL);
    c.std[0] = NAN;
    fails(omq_preprocess_init(&p, &c, 8, 8, 1, &err), OMQ_ECONFIG, "data.std is not", NULL, NULL);
    c.std[0] = 1e-300;
    fails(omq_preprocess_init(&p, &c, 8, 8, 1, &err), OMQ_ECONFIG, "range of a float", NULL,
          NULL);
    fails(omq_preprocess_init(&p, &good, 8, 8, 5, &err), OMQ_EUNSUP, "5 channels", NULL, NULL);
    fails(omq_preprocess_init(&p, &good, -1, 8, 1, &err), OMQ_EARG, "negative", NULL, NULL);
    ck_assert_int_eq(p.height, 77);
}
END_TEST

/* ---- augmentation and order ---- */

START_TEST(test_augment_identity_and_mirror)
{
    uint8_t in[3 * 4 * 2], out[sizeof(in)];

    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i + 1);
    for (uint32_t s = 0; s < 50; s++) {
        omq_augment(out, in, 3, 4, 2, 0, 0, 1, 0, s);
        ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
        omq_augment(out, in, 3, 4, 2, 0, 1, 1, 0, s);
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 4; x++)
                for (int c = 0; c < 2; c++)
                    ck_assert_int_eq(out[(y * 4 + x) * 2 + c], in[(y * 4 + 3 - x) * 2 + c]);
    }
}
END_TEST

/* The move and mirror that turn in (all pixels unlike, none 0) into out; fails
 * unless all of out is explained by them. */
static void explain(const uint8_t *in, const uint8_t *out, int h, int w, int pad, int *dy,
                    int *dx, bool *flip)
{
    int found = 0;

    for (int f = 0; f < 2; f++)
        for (int my = -pad; my <= pad; my++)
            for (int mx = -pad; mx <= pad; mx++) {
                bool same = true;

                for (int i = 0; i < h * w && same; i++) {
                    int y = i / w + my, x = (f ? w - 1 - i % w : i % w) + mx;
                    bool inside = y >= 0 && y < h && x >= 0 && x < w;

                    same = out[i] == (inside ? in[y * w + x] : 0);
                }
                if (same) {
                    found++;
                    *dy = my;
                    *dx = mx;
                    *flip = f;
                }
            }
    ck_assert_int_eq(found, 1);
}

START_TEST(test_augment_crops)
{
    enum { H = 6, W = 5, PAD = 2, N = 2000 };
    uint8_t in[H * W], out[H * W], again[H * W];
    int moves[2 * PAD + 1][2 * PAD + 1] = {{0}}, flips = 0, changed = 0;

    for (int i = 0; i < H * W; i++)
        in[i] = (uint8_t)(i + 1);
    for (uint32_t s = 0; s < N; s++) {
        int dy = 0, dx = 0;
        bool flip = false;

        omq_augment(out, in, H, W, 1, PAD, 0.25, 9, 4, s);
        explain(in, out, H, W, PAD, &dy, &dx, &flip);
        moves[dy + PAD][dx + PAD]++;
        flips += flip;
        omq_augment(again, in, H, W, 1, PAD, 0.25, 9, 4, s);
        ck_assert_int_eq(memcmp(out, again, sizeof(out)), 0);
        omq_augment(again, in, H, W, 1, PAD, 0.25, 9, 5, s);
        changed += memcmp(out, again, sizeof(out)) != 0;
    }
    for (int i = 0; i < 25; i++) /* 80 expected each */
        ck_assert(moves[i / 5][i % 5] > 40 && moves[i / 5][i % 5] < 130);
    ck_assert(flips > N / 5 && flips < N * 3 / 10);
    ck_assert_int_gt(changed, N * 8 / 10); /* another epoch is another draw */
}
END_TEST

START_TEST(test_shuffle_is_a_permutation)
{
    enum { N = 1000 };
    uint32_t a[N], b[N];
    bool seen[N] = {false};
    int same = 0;

    omq_shuffle(a, N, 5, 0);
    for (int i = 0; i < N; i++) {
        ck_assert_uint_lt(a[i], N);
        ck_assert(!seen[a[i]]);
        seen[a[i]] = true;
    }
    omq_shuffle(b, N, 5, 0);
    ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
    omq_shuffle(b, N, 5, 1);
    for (int i = 0; i < N; i++)
        same += a[i] == b[i];
    ck_assert_int_lt(same, 10);
    omq_shuffle(b, N, 6, 0);
    ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
    omq_shuffle(a, 1, 5, 0);
    ck_assert_uint_eq(a[0], 0);
}
END_TEST

/* ---- the loader ---- */

enum { SIDE = 6, IMAGE = SIDE * SIDE, N_LOAD = 37, BATCH = 8 };

static struct omq_data_config load_cfg;
static struct omq_dataset *load_ds;
static struct omq_preprocess load_pre;

static void setup_loader(void)
{
    load_cfg = synthetic_config(N_LOAD, SIDE, SIDE, 1, 7);
    load_cfg.augment.crop_padding = 1;
    load_cfg.augment.hflip = 0.5;
    load_ds = open_split(&load_cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(omq_preprocess_init(&load_pre, &load_cfg, SIDE, SIDE, 1, &err), OMQ_OK);
}

static void teardown_loader(void) { omq_dataset_close(load_ds); }

static struct omq_loader *open_loader(const struct omq_loader_options *opt)
{
    struct omq_loader *l = NULL;
    int rc = omq_loader_open(&l, load_ds, &load_pre, &load_cfg, opt, &err);

    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    return l;
}

struct epoch {
    uint8_t codes[N_LOAD * IMAGE];
    uint16_t labels[N_LOAD];
    int n, batches;
};

static void collect(struct omq_loader *l, struct epoch *e)
{
    struct omq_batch b;

    memset(e, 0, sizeof(*e));
    while (omq_loader_next(l, &b, NULL)) {
        ck_assert_int_le(e->n + b.n, N_LOAD);
        memcpy(e->codes + e->n * IMAGE, b.codes, (size_t)b.n * IMAGE);
        memcpy(e->labels + e->n, b.labels, (size_t)b.n * sizeof(*b.labels));
        e->n += b.n;
        e->batches++;
    }
    ck_assert(!omq_loader_next(l, &b, NULL)); /* the end stays the end */
}

static int workers_of(int i) { return (const int[]){1, 2, 3, 8}[i]; }

START_TEST(test_loader_in_file_order)
{
    struct omq_loader_options opt = {.batch_size = BATCH, .workers = workers_of(_i)};
    struct omq_loader *l = open_loader(&opt);
    uint8_t codes[IMAGE];
    struct epoch e;

    ck_assert_int_eq(omq_loader_batches(l), 5);
    ck_assert(!omq_loader_next(l, &(struct omq_batch){0}, NULL)); /* not started yet */
    omq_loader_start(l, 0, 0);
    collect(l, &e);
    ck_assert_int_eq(e.n, N_LOAD);
    ck_assert_int_eq(e.batches, 5);
    for (int i = 0; i < N_LOAD; i++) {
        omq_preprocess_apply(&load_pre, load_ds->pixels + i * IMAGE, codes);
        ck_assert_int_eq(memcmp(codes, e.codes + i * IMAGE, IMAGE), 0);
        ck_assert_int_eq(e.labels[i], load_ds->labels[i]);
    }
    omq_loader_close(l);
}
END_TEST

/* Three epochs by any number of workers are what the definition says, made
 * here one image after the other. */
START_TEST(test_loader_does_not_depend_on_workers)
{
    struct omq_loader_options opt = {
        .batch_size = BATCH, .workers = workers_of(_i), .shuffle = true, .augment = true,
        .seed = 11,
    };
    struct omq_loader *l = open_loader(&opt);
    struct epoch e;

    for (int epoch = 0; epoch < 3; epoch++) {
        uint32_t order[N_LOAD];

        omq_loader_start(l, epoch, 0);
        collect(l, &e);
        ck_assert_int_eq(e.n, N_LOAD);
        omq_shuffle(order, N_LOAD, 11, epoch);
        for (int i = 0; i < N_LOAD; i++) {
            uint8_t pixels[IMAGE], codes[IMAGE];

            omq_augment(pixels, load_ds->pixels + order[i] * IMAGE, SIDE, SIDE, 1, 1, 0.5, 11,
                        epoch, order[i]);
            omq_preprocess_apply(&load_pre, pixels, codes);
            ck_assert_int_eq(memcmp(codes, e.codes + i * IMAGE, IMAGE), 0);
            ck_assert_int_eq(e.labels[i], load_ds->labels[order[i]]);
        }
    }
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_restarts_in_mid_epoch)
{
    struct omq_loader_options opt = {
        .batch_size = BATCH, .workers = workers_of(_i), .shuffle = true, .augment = true,
    };
    struct omq_loader *l = open_loader(&opt);
    struct omq_batch b;
    struct epoch all, rest;

    omq_loader_start(l, 4, 0);
    collect(l, &all);
    for (int first = 0; first <= 5; first++) {
        int skip = first * BATCH < N_LOAD ? first * BATCH : N_LOAD;

        omq_loader_start(l, 9, 0); /* another epoch, dropped at some point */
        for (int i = 0; i < first; i++)
            ck_assert(omq_loader_next(l, &b, NULL));
        omq_loader_start(l, 4, first);
        collect(l, &rest);
        ck_assert_int_eq(rest.n, N_LOAD - skip);
        ck_assert_int_eq(memcmp(rest.codes, all.codes + skip * IMAGE, (size_t)rest.n * IMAGE), 0);
        ck_assert_int_eq(memcmp(rest.labels, all.labels + skip, (size_t)rest.n * 2), 0);
    }
    omq_loader_start(l, 4, 1000);
    ck_assert(!omq_loader_next(l, &b, NULL));
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_closes_at_any_time)
{
    struct omq_loader_options opt = {
        .batch_size = 1, .workers = workers_of(_i), .shuffle = true, .augment = true,
    };
    struct omq_batch b;

    omq_loader_close(NULL);
    omq_loader_close(open_loader(&opt));
    for (int n = 0; n < 20; n++) {
        struct omq_loader *l = open_loader(&opt);

        omq_loader_start(l, n, 0);
        if (n % 2)
            omq_loader_start(l, n + 1, n);
        for (int i = 0; i < n; i++)
            omq_loader_next(l, &b, NULL);
        omq_loader_close(l);
    }
}
END_TEST

/* A batch that the consumer holds is not written to, however long it takes. */
START_TEST(test_loader_keeps_the_batch)
{
    struct omq_loader_options opt = {.batch_size = 2, .workers = workers_of(_i), .shuffle = true};
    struct omq_loader *l = open_loader(&opt);
    struct omq_batch b;
    double wait_s = 0;

    omq_loader_start(l, 0, 0);
    while (omq_loader_next(l, &b, &wait_s)) {
        uint8_t codes[2 * IMAGE];

        memcpy(codes, b.codes, (size_t)b.n * IMAGE);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ck_assert_int_eq(memcmp(codes, b.codes, (size_t)b.n * IMAGE), 0);
    }
    ck_assert(wait_s >= 0 && wait_s < 60);
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_last_batch)
{
    struct omq_loader_options opt = {.batch_size = BATCH, .workers = 2, .drop_last = true};
    struct omq_loader *l = open_loader(&opt);
    struct epoch e;

    ck_assert_int_eq(omq_loader_batches(l), 4);
    omq_loader_start(l, 0, 0);
    collect(l, &e);
    ck_assert_int_eq(e.n, 32);
    omq_loader_close(l);

    opt.drop_last = false;
    opt.batch_size = 1 << 30; /* memory is taken for the images there are */
    l = open_loader(&opt);
    ck_assert_int_eq(omq_loader_batches(l), 1);
    omq_loader_start(l, 0, 0);
    collect(l, &e);
    ck_assert_int_eq(e.n, N_LOAD);
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_limits)
{
    struct omq_loader_options good = {.batch_size = 8, .workers = 1}, opt;
    struct omq_preprocess pre = load_pre;
    struct omq_loader *l = NULL;

    opt = good;
    opt.batch_size = 0;
    fails(omq_loader_open(&l, load_ds, &load_pre, &load_cfg, &opt, &err), OMQ_EARG, "0 images",
          NULL, NULL);
    opt = good;
    opt.workers = 0;
    fails(omq_loader_open(&l, load_ds, &load_pre, &load_cfg, &opt, &err), OMQ_EARG,
          "data.workers is 0", NULL, NULL);
    opt = good;
    opt.batch_size = 38;
    opt.drop_last = true;
    fails(omq_loader_open(&l, load_ds, &load_pre, &load_cfg, &opt, &err), OMQ_ECONFIG,
          "train.batch_size is 38", "only 37 images", NULL);
    opt = good;
    opt.augment = true;
    load_cfg.augment.crop_padding = SIDE;
    fails(omq_loader_open(&l, load_ds, &load_pre, &load_cfg, &opt, &err), OMQ_ECONFIG,
          "crop_padding is 6", "0 to 5", NULL);
    pre.width = 5;
    fails(omq_loader_open(&l, load_ds, &pre, &load_cfg, &good, &err), OMQ_EARG, "6 x 6 x 1",
          "6 x 5 x 1", NULL);
    ck_assert_ptr_null(l);
}
END_TEST

Suite *omq_suite_data(void)
{
    Suite *s = suite_create("data");
    TCase *idx = tcase_create("idx"), *files = tcase_create("files");
    TCase *made = tcase_create("made"), *load = tcase_create("loader");

    tcase_add_test(idx, test_idx_plain_and_gzip);
    tcase_add_test(idx, test_idx_every_truncation_fails);
    tcase_add_test(idx, test_idx_extra_bytes);
    tcase_add_test(idx, test_idx_every_bit_flip);
    tcase_add_test(idx, test_idx_wrong_kind);
    tcase_add_test(idx, test_idx_claims_are_checked_first);

    tcase_add_checked_fixture(files, setup, teardown);
    tcase_add_test(files, test_missing_files);
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
    tcase_add_test(made, test_preprocess_table);
    tcase_add_test(made, test_preprocess_by_hand);
    tcase_add_test(made, test_preprocess_limits);
    tcase_add_test(made, test_augment_identity_and_mirror);
    tcase_add_test(made, test_augment_crops);
    tcase_add_test(made, test_shuffle_is_a_permutation);

    tcase_add_checked_fixture(load, setup_loader, teardown_loader);
    tcase_add_loop_test(load, test_loader_in_file_order, 0, 4);
    tcase_add_loop_test(load, test_loader_does_not_depend_on_workers, 0, 4);
    tcase_add_loop_test(load, test_loader_restarts_in_mid_epoch, 0, 4);
    tcase_add_loop_test(load, test_loader_closes_at_any_time, 0, 4);
    tcase_add_loop_test(load, test_loader_keeps_the_batch, 0, 4);
    tcase_add_test(load, test_loader_last_batch);
    tcase_add_test(load, test_loader_limits);

    suite_add_tcase(s, idx);
    suite_add_tcase(s, files);
    suite_add_tcase(s, made);
    suite_add_tcase(s, load);
    return s;
}
