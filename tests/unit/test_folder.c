/* SPDX-License-Identifier: MIT
 *
 * format: folder: trees of links to the pictures of the image decoder's tests,
 * and damaged ones through loader and data set.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "data/data_internal.h"
#include "datahelp.h"
#include "failalloc.h"

#define PICTURES "tests/fuzz/image/corpus/"

static struct omq_err err;
static struct omq_data_config cfg;

static void setup(void)
{
    datahelp_setup();
    memset(&err, 0, sizeof(err));
    cfg = (struct omq_data_config){
        .format = OMQ_FORMAT_FOLDER, .n_size = 1, .size = {8}, .n_mean = 1, .n_std = 1,
        .mean = {0.5}, .std = {0.25}, .workers = 1,
    };
    snprintf(cfg.root, sizeof(cfg.root), "%s", datahelp_dir);
}

static void put(const char *name, const char *picture)
{
    char target[256];

    snprintf(target, sizeof(target), "%s%s", PICTURES, picture);
    datahelp_link(name, target);
}

/* Two classes with three and two training pictures, one test picture each. */
static void put_tree(void)
{
    put("train/dog/b.jpg", "rgb.jpg");
    put("train/dog/a.PNG", "type2-8-laced.png");
    put("train/dog/more/0.jpeg", "cmyk.jpg");
    put("train/cat/1.JPEG", "grey.jpg");
    put("train/cat/10.JPEG", "type0-16-laced.png"); /* content tells, not the name */
    put("val/cat/x.jpg", "progressive.jpg");
    put("val/dog/y.jpg", "ycck.jpg");
}

static void open_fails(enum omq_split split, int code, const char *a, const char *b)
{
    struct omq_dataset *d = NULL;
    int rc = omq_dataset_open(&d, &cfg, split, 1, &err);

    datahelp_fails(rc, &err, code, a, b, NULL);
    ck_assert_ptr_null(d);
}

/* The pixels of picture i are those of this file, decoded and fitted. */
static void same_picture(const struct omq_dataset *d, int i, const char *picture)
{
    uint8_t got[64 * 64 * 3];
    struct omq_image im = datahelp_picture(picture, d->channels);

    ck_assert_int_eq(omq_image_fit(&im, d->height > d->width ? d->height : d->width, d->height,
                                   d->width, OMQ_BILINEAR, &err), OMQ_OK);
    ck_assert_msg(omq_dataset_pixels(d, i, &(struct omq_draw){0}, got, &err) == OMQ_OK, "%s",
                  err.msg);
    ck_assert_int_eq(memcmp(got, im.pixels, (size_t)(d->height * d->width * d->channels)), 0);
    omq_image_release(&im);
}

START_TEST(as_image_folder)
{
    static const char *const in_order[] = {"grey.jpg", "type0-16-laced.png", "type2-8-laced.png",
                                           "rgb.jpg", "cmyk.jpg"};
    struct omq_dataset *d;

    put_tree();
    cfg.grayscale = _i % 2;
    cfg.n_size = 1 + _i / 2;
    cfg.size[1] = 5;
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 5);
    ck_assert_int_eq(d->n_classes, 2);
    ck_assert_int_eq(d->height, 8);
    ck_assert_int_eq(d->width, _i / 2 ? 5 : 8);
    ck_assert_int_eq(d->channels, _i % 2 ? 1 : 3);
    ck_assert_ptr_null(d->pixels);
    ck_assert_str_eq(d->class_names[0], "cat");
    ck_assert_str_eq(d->class_names[1], "dog");
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(d->labels[i], i >= 2);
        same_picture(d, i, in_order[i]);
    }
    omq_dataset_close(d);
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 2);
    ck_assert_int_eq(d->labels[0], 0);
    same_picture(d, 0, "progressive.jpg");
    same_picture(d, 1, "ycck.jpg");
    omq_dataset_close(d);
}
END_TEST

/* What is no picture: hidden, of another kind, an empty folder of a test. */
START_TEST(other_files)
{
    struct omq_dataset *d;
    uint32_t before;

    put_tree();
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    before = d->fingerprint;
    omq_dataset_close(d);
    datahelp_put("train/readme.txt", "x", 1);
    datahelp_put("train/.hidden/z.jpg", "x", 1);
    datahelp_put("train/cat/.z.jpg", "x", 1);
    datahelp_put("train/cat/boxes.txt", "x", 1);
    datahelp_put("train/cat/none/notes", "x", 1);
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 5);
    ck_assert_uint_eq(d->fingerprint, before);
    omq_dataset_close(d);
    put("train/cat/2.jpg", "rgb.jpg");
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 6);
    ck_assert_uint_ne(d->fingerprint, before);
    omq_dataset_close(d);
    put("train/ant/1.jpg", "rgb.jpg"); /* a class without test pictures moves no label */
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n_classes, 3);
    ck_assert_int_eq(d->labels[0], 1);
    ck_assert_int_eq(d->labels[1], 2);
    omq_dataset_close(d);
    put("test/dog/1.jpg", "rgb.jpg"); /* test goes before val */
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 1);
    ck_assert_int_eq(d->labels[0], 2);
    omq_dataset_close(d);
}
END_TEST

/* ImageNet has a folder test without classes beside val. */
START_TEST(test_without_classes)
{
    struct omq_dataset *d;

    put_tree();
    put("test/1.jpg", "rgb.jpg");
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 2);
    omq_dataset_close(d);
}
END_TEST

START_TEST(only_a_test)
{
    struct omq_dataset *d;

    put("val/b/1.jpg", "rgb.jpg");
    put("val/a/1.jpg", "rgb.jpg");
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 2);
    ck_assert_str_eq(d->class_names[1], "b");
    omq_dataset_close(d);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EIO, "/train'", "data.root");
}
END_TEST

/* Folder by folder, as os.walk() goes that ImageFolder sorts. */
START_TEST(order_of_folders)
{
    static const char *const order[] = {"z.jpg", "a/1.jpg", "a-b/1.jpg", "a/b/1.jpg"};
    struct omq_dataset *d;

    for (int i = 0; i < 4; i++) {
        char name[32];

        snprintf(name, sizeof(name), "train/cat/%s", order[i]);
        datahelp_put(name, "no picture", 10);
    }
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 4);
    for (int i = 0; i < 4; i++) {
        struct omq_image im;

        datahelp_fails(omq_dataset_image(d, i, &im, &err), &err, OMQ_EFORMAT, "train/cat/",
                       order[i], NULL);
    }
    omq_dataset_close(d);
}
END_TEST

START_TEST(what_cannot_be_resized)
{
    const struct omq_draw draw = {0};
    struct omq_dataset *d;
    uint8_t out[1];

    put_tree();
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    d->height = 1 << 20;
    datahelp_fails(omq_dataset_pixels(d, 0, &draw, out, &err), &err, OMQ_EUNSUP,
                   "train/cat/1.JPEG': cannot resize", NULL, NULL);
    omq_dataset_close(d);
}
END_TEST

START_TEST(shown_names)
{
    static const char text[] = "dog\tdog, domestic dog\r\n\nzebra\tzebra\nca\tno\ncatt\tno\n";
    struct omq_dataset *d;

    put_tree();
    datahelp_put("classes.txt", text, sizeof(text) - 1);
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_str_eq(d->class_names[0], "cat");
    ck_assert_str_eq(d->class_names[1], "dog, domestic dog");
    omq_dataset_close(d);
    datahelp_put("classes.txt", "cat\tcat\ndog\n", 12);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "classes.txt': line 2", "tab");
    datahelp_put("classes.txt", "cat\t\n", 5);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "classes.txt': line 1", "empty");
    datahelp_put("classes.txt", "cat\0s\tx\ncat\ty\n", 14); /* not read past a zero */
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_str_eq(d->class_names[0], "y");
    omq_dataset_close(d);
}
END_TEST

START_TEST(refused)
{
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EIO, "/train'", "data.root");
    open_fails(OMQ_SPLIT_TEST, OMQ_EIO, "/test' or 'val'", "data.root");
    put("train/1.jpg", "rgb.jpg");
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "1 files, but no folders of classes", "train'");
    put_tree();
    put("val/3.jpg", "rgb.jpg");
    put("val/cow/1.jpg", "rgb.jpg");
    open_fails(OMQ_SPLIT_TEST, OMQ_EFORMAT, "has the class 'cow'", "val'");
    mkdir(datahelp_path("train/empty"), 0777);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EFORMAT, "train/empty' has no pictures", ".jpg");
    ck_assert_int_eq(rmdir(datahelp_path("train/empty")), 0);
    datahelp_put("train/cat/2.Bmp", "BM", 2);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EUNSUP, "train/cat/2.Bmp'", "JPEG or a PNG");
    remove(datahelp_path("train/cat/2.Bmp"));
    ck_assert_int_eq(symlink("..", datahelp_path("train/cat/ring")), 0);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EUNSUP, "/ring/cat' is a folder that its class already has",
               "take out the link");
    remove(datahelp_path("train/cat/ring"));
    ck_assert_int_eq(symlink("more", datahelp_path("train/dog/again")), 0);
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EUNSUP, "is a folder that its class already has", "/dog/");
    remove(datahelp_path("train/dog/again"));
    put("train/cat/1/2/3/4/5/6/7/8/x.jpg", "rgb.jpg");
    omq_dataset_close(datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1));
    put("train/cat/1/2/3/4/5/6/7/8/9/x.jpg", "rgb.jpg");
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EUNSUP, "/cat/1/2/3/4/5/6/7/8'", "nested deeper than 8");
    remove(datahelp_path("train/cat/1/2/3/4/5/6/7/8/9/x.jpg"));
    remove(datahelp_path("train/cat/1/2/3/4/5/6/7/8/9"));
    put("train/a\nb/1.jpg", "rgb.jpg");
    open_fails(OMQ_SPLIT_TRAIN, OMQ_EUNSUP, "class folder 'a?b' is not UTF-8", "rename it");
    cfg.resize = 7;
    open_fails(OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.resize is 7", "8 x 8");
    cfg.n_size = 0;
    open_fails(OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.size", NULL);
    cfg.root[0] = 0;
    open_fails(OMQ_SPLIT_TRAIN, OMQ_ECONFIG, "data.root", NULL);
}
END_TEST

/* A part of the training pictures: what is in the split is what it says. */
START_TEST(splits)
{
    struct omq_dataset *whole, *part[2];
    int at[2] = {0};

    for (int i = 0; i < 12; i++) {
        char name[64];

        snprintf(name, sizeof(name), "train/%s/%02d.jpg", i % 2 ? "a" : "b", i);
        put(name, i % 3 ? "rgb.jpg" : "grey.jpg");
    }
    whole = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 3);
    cfg.validation = 0.25;
    part[0] = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 3);
    part[1] = datahelp_open(&cfg, OMQ_SPLIT_VALIDATION, 3);
    ck_assert_int_eq(part[0]->n, 9);
    ck_assert_int_eq(part[1]->n, 3);
    ck_assert_uint_ne(part[0]->fingerprint, whole->fingerprint);
    for (int i = 0; i < 12; i++) {
        int p = at[0] < 9 && part[0]->in_source[at[0]] == (uint32_t)i ? 0 : 1;
        uint8_t a[8 * 8 * 3], b[8 * 8 * 3];

        ck_assert_uint_eq(part[p]->in_source[at[p]], (uint32_t)i);
        ck_assert_int_eq(part[p]->labels[at[p]], whole->labels[i]);
        ck_assert_int_eq(omq_dataset_pixels(whole, i, &(struct omq_draw){0}, a, &err), OMQ_OK);
        ck_assert_int_eq(omq_dataset_pixels(part[p], at[p]++, &(struct omq_draw){0}, b, &err),
                         OMQ_OK);
        ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
    }
    omq_dataset_close(whole);
    omq_dataset_close(part[0]);
    omq_dataset_close(part[1]);
}
END_TEST

/* ---- damaged pictures, through the loader ---- */

enum { N = 20, BATCH = 6 };

/* Pictures 7, 8 and 13 are damaged, each in another way. */
static struct omq_dataset *open_damaged(void)
{
    for (int i = 0; i < N; i++) {
        char name[64];

        const char *picture = i % 3 ? "rgb.jpg" : "grey.jpg";

        snprintf(name, sizeof(name), "train/c%d/%02d.jpg", i / 10, i);
        put(name, i == 7 ? "cut.jpg" : i == 8 ? "huge.jpg" : i == 13 ? "empty" : picture);
    }
    return datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
}

static struct omq_loader *open_loader(const struct omq_dataset *d, struct omq_preprocess *pre,
                                      int workers, bool shuffle)
{
    struct omq_loader_options opt = {.batch_size = BATCH, .workers = workers, .shuffle = shuffle,
                                     .seed = 5};
    struct omq_loader *l = NULL;

    ck_assert_int_eq(omq_preprocess_init(pre, &cfg, d->height, d->width, d->channels, &err),
                     OMQ_OK);
    ck_assert_msg(omq_loader_open(&l, d, pre, &opt, &err) == OMQ_OK, "%s", err.msg);
    return l;
}

START_TEST(damage_stops)
{
    struct omq_dataset *d = open_damaged();
    struct omq_preprocess pre;
    struct omq_loader *l = open_loader(d, &pre, 1 + _i, false);
    struct omq_batch b;

    for (int again = 0; again < 2; again++) {
        omq_loader_start(l, 0, 0);
        ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 1);
        for (int i = 0; i < 3; i++) /* in the place of its batch, and then for ever */
            datahelp_fails(omq_loader_next(l, &b, NULL, &err), &err, OMQ_EFORMAT,
                           "train/c0/07.jpg'", NULL, NULL);
    }
    omq_loader_start(l, 0, 3); /* behind the damage */
    ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 1);
    ck_assert_int_eq(omq_loader_next(l, &b, NULL, NULL), 0);
    omq_loader_start(l, 0, 1); /* and closed with an error that nobody took */
    omq_loader_close(l);
    omq_dataset_close(d);
}
END_TEST

START_TEST(damage_is_skipped)
{
    struct omq_dataset *d;
    struct omq_preprocess pre;
    struct omq_loader *l;
    struct omq_batch b;
    const char *why;
    int at = 0;

    cfg.on_bad_image = OMQ_BAD_IMAGE_SKIP;
    d = open_damaged();
    l = open_loader(d, &pre, 1 + _i, false);
    omq_loader_start(l, 0, 0);
    ck_assert_int_eq(omq_loader_take_skipped(l, &why), 0);
    ck_assert_str_eq(why, "");
    while (omq_loader_next(l, &b, NULL, &err) == 1)
        for (int i = 0; i < b.n; i++, at++) {
            int from = at == 7 || at == 8 ? 9 : at == 13 ? 14 : at;
            uint8_t pixels[8 * 8 * 3], codes[8 * 8 * 3];

            ck_assert_int_eq(omq_dataset_pixels(d, from, &(struct omq_draw){0}, pixels, &err),
                             OMQ_OK);
            omq_preprocess_apply(&pre, pixels, codes);
            ck_assert_int_eq(memcmp(codes, b.codes + (size_t)i * sizeof(codes), sizeof(codes)), 0);
            ck_assert_int_eq(b.labels[i], d->labels[from]);
        }
    ck_assert_int_eq(at, N);
    ck_assert_int_eq(omq_loader_take_skipped(l, &why), 4); /* 7 and 8, 8, and 13 */
    ck_assert_ptr_nonnull(strstr(why, "07.jpg"));
    ck_assert_int_eq(omq_loader_take_skipped(l, &why), 0);
    omq_loader_close(l);
    omq_dataset_close(d);
}
END_TEST

/* Files that have gone, and sets that are damaged as a whole, stop in any case. */
START_TEST(damage_has_limits)
{
    struct omq_dataset *d;
    struct omq_preprocess pre;
    struct omq_loader *l;
    struct omq_batch b;

    cfg.on_bad_image = OMQ_BAD_IMAGE_SKIP;
    put("train/a/1.jpg", "cut.jpg");
    put("train/a/2.jpg", "cut.png");
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    l = open_loader(d, &pre, 2, true);
    omq_loader_start(l, 0, 0);
    datahelp_fails(omq_loader_next(l, &b, NULL, &err), &err, OMQ_EFORMAT, "1 damaged image",
                   "train/a/", NULL);
    ck_assert_int_eq(unlink(datahelp_path("train/a/1.jpg")), 0);
    ck_assert_int_eq(mkfifo(datahelp_path("train/a/1.jpg"), 0666), 0);
    ck_assert_int_eq(unlink(datahelp_path("train/a/2.jpg")), 0);
    omq_loader_start(l, 0, 0);
    datahelp_fails(omq_loader_next(l, &b, NULL, &err), &err, OMQ_EIO, "train/a/", NULL, NULL);
    for (int i = 0; i < 2; i++)
        datahelp_fails(omq_dataset_pixels(d, i, &(struct omq_draw){0}, (uint8_t[8 * 8 * 3]){0},
                                          &err), &err, OMQ_EIO,
                       i ? "No such file" : "not a regular file", NULL, NULL);
    omq_loader_close(l);
    omq_dataset_close(d);
}
END_TEST

/* Every allocation of opening and of one picture may fail. */
START_TEST(without_memory)
{
    struct omq_dataset *d;
    int rc = OMQ_ENOMEM;

    put_tree();
    datahelp_put("classes.txt", "cat\tcats\n", 9);
    for (long n = 1; rc < 0; n++) {
        d = NULL;
        failalloc_set(n);
        rc = omq_dataset_open(&d, &cfg, OMQ_SPLIT_TEST, 1, &err);
        if (rc == OMQ_OK)
            rc = omq_dataset_pixels(d, 0, &(struct omq_draw){0}, (uint8_t[8 * 8 * 3]){0}, &err);
        failalloc_set(0);
        if (rc < 0)
            ck_assert_msg(rc == OMQ_ENOMEM, "%ld: %s", n, err.msg);
        ck_assert_int_lt(n, 200);
        omq_dataset_close(d);
    }
}
END_TEST

Suite *omq_suite_folder(void)
{
    Suite *s = suite_create("folder");
    TCase *tree = tcase_create("tree"), *damage = tcase_create("damage");

    tcase_add_checked_fixture(tree, setup, datahelp_teardown);
    tcase_add_loop_test(tree, as_image_folder, 0, 4);
    tcase_add_test(tree, other_files);
    tcase_add_test(tree, test_without_classes);
    tcase_add_test(tree, only_a_test);
    tcase_add_test(tree, order_of_folders);
    tcase_add_test(tree, what_cannot_be_resized);
    tcase_add_test(tree, shown_names);
    tcase_add_test(tree, refused);
    tcase_add_test(tree, splits);
    tcase_add_test(tree, without_memory);

    tcase_add_checked_fixture(damage, setup, datahelp_teardown);
    tcase_add_loop_test(damage, damage_stops, 0, 3);
    tcase_add_loop_test(damage, damage_is_skipped, 0, 3);
    tcase_add_test(damage, damage_has_limits);

    suite_add_tcase(s, tree);
    suite_add_tcase(s, damage);
    return s;
}
