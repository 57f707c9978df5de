/* SPDX-License-Identifier: MIT
 *
 * format: cifar10 and cifar100, from files that are made here.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/data_internal.h"
#include "datahelp.h"

enum { PLANE = 32 * 32, IMAGE = 3 * PLANE, N = 70 /* more than are read at once */ };

static struct omq_err err;
static struct omq_data_config cfg;

static void setup(void)
{
    datahelp_setup();
    memset(&err, 0, sizeof(err));
    cfg = (struct omq_data_config){
        .format = OMQ_FORMAT_CIFAR10, .n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.25},
    };
    snprintf(cfg.root, sizeof(cfg.root), "%s", datahelp_dir);
}

/* The byte of image i in channel ch at pixel k. */
static uint8_t value(int i, int ch, int k) { return (uint8_t)(i * 31 + ch * 85 + k * 7 + k / 32); }

/* n records from image `first` on, label i % 10; of CIFAR-100 i % 20 and 99 - i % 100. */
static void put_records(const char *name, int first, int n, int n_labels)
{
    size_t record = (size_t)(n_labels + IMAGE);
    uint8_t *bytes = malloc((size_t)n * record), *p = bytes;

    ck_assert_ptr_nonnull(bytes);
    for (int i = first; i < first + n; i++) {
        *p++ = (uint8_t)(n_labels == 1 ? i % 10 : i % 20);
        if (n_labels == 2)
            *p++ = (uint8_t)(99 - i % 100);
        for (int j = 0; j < IMAGE; j++)
            *p++ = value(i, j / PLANE, j % PLANE);
    }
    datahelp_put(name, bytes, (size_t)n * record);
    free(bytes);
}

static void check_pixels(const struct omq_dataset *d)
{
    ck_assert_int_eq(d->height, 32);
    ck_assert_int_eq(d->width, 32);
    ck_assert_int_eq(d->channels, 3);
    for (int i = 0; i < d->n; i++)
        for (int j = 0; j < IMAGE; j++)
            ck_assert_int_eq(d->pixels[i * IMAGE + j], value(i, j % 3, j / 3));
}

START_TEST(ten)
{
    static const char names[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n"
                                "truck\n\n";
    const char *below = _i ? "cifar-10-batches-bin/" : "";
    struct omq_dataset *d;
    char name[64];

    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof(name), "%sdata_batch_%d.bin", below, i + 1);
        put_records(name, i * N, N, 1);
    }
    snprintf(name, sizeof(name), "%stest_batch.bin", below);
    put_records(name, 0, 3, 1);
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 5 * N);
    ck_assert_int_eq(d->n_classes, 10);
    ck_assert_str_eq(d->class_names[9], "9");
    for (int i = 0; i < d->n; i++)
        ck_assert_int_eq(d->labels[i], i % 10);
    check_pixels(d);
    omq_dataset_close(d);
    snprintf(name, sizeof(name), "%sbatches.meta.txt", below);
    datahelp_put(name, names, sizeof(names) - 1);
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 3);
    ck_assert_str_eq(d->class_names[9], "truck");
    check_pixels(d);
    omq_dataset_close(d);
}
END_TEST

START_TEST(hundred)
{
    struct omq_dataset *d;

    cfg.format = OMQ_FORMAT_CIFAR100;
    put_records("train.bin", 0, 2 * N, 2);
    put_records("cifar-100-binary/train.bin", 0, N, 2); /* goes before */
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, N);
    ck_assert_int_eq(d->n_classes, 100);
    for (int i = 0; i < d->n; i++)
        ck_assert_int_eq(d->labels[i], 99 - i);
    check_pixels(d);
    omq_dataset_close(d);
}
END_TEST

static void open_fails(enum omq_split split, int code, const char *a, const char *b)
{
    struct omq_dataset *d = NULL;
    int rc = omq_dataset_open(&d, &cfg, split, 1, &err);

    datahelp_fails(rc, &err, code, a, b, NULL);
    ck_assert_ptr_null(d);
}

START_TEST(refused)
{
    uint8_t *bytes = calloc(3, 3074);

    ck_assert_ptr_nonnull(bytes);
    open_fails(OMQ_SPLIT_TEST, OMQ_EIO, "test_batch.bin'", "No such file");
    datahelp_put("test_batch.bin", bytes, 0);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "test_batch.bin' has 0 bytes", "3073");
    datahelp_put("test_batch.bin", bytes, 3074);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "test_batch.bin' has 3074 bytes", "3073");
    datahelp_put("test_batch.bin", bytes, 3072);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "test_batch.bin' has 3072 bytes", "3073");
    bytes[3073] = 10;
    datahelp_put("test_batch.bin", bytes, 2 * 3073);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "record 1 has the label 10", "0 to 9");
    datahelp_put("test_batch.bin", bytes, 3073);
    datahelp_put("batches.meta.txt", "a\nb\n", 4);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "batches.meta.txt' names 2 classes", "10");
    remove(datahelp_path("batches.meta.txt"));
    ck_assert_int_eq(mkfifo(datahelp_path("batches.meta.txt"), 0600), 0); /* not waited for */
    open_fails(OMQ_SPLIT_TEST, OMQ_EIO, "batches.meta.txt' is not a regular file", NULL);
    cfg.format = OMQ_FORMAT_CIFAR100;
    memset(bytes, 0, 3 * 3074);
    bytes[3074] = 20;
    datahelp_put("test.bin", bytes, 2 * 3074);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "record 1 has the label 20", "0 to 19");
    bytes[3074] = 19;
    bytes[3075] = 100;
    datahelp_put("test.bin", bytes, 2 * 3074);
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "record 1 has the label 100", "0 to 99");
    free(bytes);
    cfg.root[0] = 0;
    open_fails(OMQ_SPLIT_TEST, OMQ_ECONFIG, "data.root", "test.bin");
}
END_TEST

Suite *omq_suite_cifar(void)
{
    Suite *s = suite_create("cifar");
    TCase *files = tcase_create("files");

    tcase_add_checked_fixture(files, setup, datahelp_teardown);
    tcase_add_loop_test(files, ten, 0, 2);
    tcase_add_test(files, hundred);
    tcase_add_test(files, refused);
    suite_add_tcase(s, files);
    return s;
}
