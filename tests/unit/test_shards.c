/* SPDX-License-Identifier: MIT
 *
 * format: shards, and the tar files that it reads: written here byte by byte,
 * then damaged.
 */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/data_internal.h"
#include "data/untar.h"
#include "datahelp.h"
#include "failalloc.h"

enum { CAP = 1 << 18 };

static struct omq_err err;
static struct omq_data_config cfg;
static uint8_t tar[CAP];
static size_t n_tar;

static void setup(void)
{
    datahelp_setup();
    memset(&err, 0, sizeof(err));
    n_tar = 0;
    cfg = (struct omq_data_config){
        .format = OMQ_FORMAT_SHARDS, .n_size = 1, .size = {8}, .n_mean = 1, .n_std = 1,
        .mean = {0.5}, .std = {0.25},
    };
    snprintf(cfg.root, sizeof(cfg.root), "%s", datahelp_dir);
}

/* ---- writing ---- */

static void sum_up(uint8_t *h)
{
    unsigned sum = 0;
    char text[9];

    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += h[i];
    snprintf(text, sizeof(text), "%06o", sum);
    memcpy(h + 148, text, 7); /* and the blank stays */
}

/* One member; returns its header. */
static uint8_t *add(char type, const char *name, const void *data, size_t n)
{
    uint8_t *h = tar + n_tar;
    char size[13];

    ck_assert_uint_le(n_tar + 1024 + n, CAP);
    memset(h, 0, 512 + (n + 511) / 512 * 512);
    memcpy(h, name, strnlen(name, 100));
    memcpy(h + 100, "0000644", 7);
    snprintf(size, sizeof(size), "%011o", (unsigned)n);
    memcpy(h + 124, size, 12);
    h[156] = (uint8_t)type;
    memcpy(h + 257, "ustar\0" "00", 8);
    if (n)
        memcpy(h + 512, data, n);
    sum_up(h);
    n_tar += 512 + (n + 511) / 512 * 512;
    return h;
}

static uint8_t *add_text(char type, const char *name, const char *text)
{
    return add(type, name, text, strlen(text));
}

static void add_picture(const char *name, const char *picture)
{
    char path[256];
    uint8_t *bytes;
    size_t n;

    snprintf(path, sizeof(path), "tests/fuzz/image/corpus/%s", picture);
    ck_assert_int_eq(omq_file_read(path, CAP, &bytes, &n, &err), OMQ_OK);
    add('0', name, bytes, n);
    free(bytes);
}

static void end(void)
{
    memset(tar + n_tar, 0, 1024);
    n_tar += 1024;
}

static void put_shard(const char *name)
{
    end();
    datahelp_put(name, tar, n_tar);
    n_tar = 0;
}

/* ---- the archive ---- */

/* Reads `tar` to the first failure, or the end; names in order, with sizes. */
static int list(char *names, size_t size)
{
    struct omq_untar_member m;
    struct omq_untar t;
    int fd, rc;

    datahelp_put("list.tar", tar, n_tar);
    fd = open(datahelp_path("list.tar"), O_RDONLY);
    ck_assert_int_ge(fd, 0);
    omq_untar_open(&t, fd, n_tar, "list.tar");
    *names = 0;
    while ((rc = omq_untar_next(&t, &m, &err)) == 1) {
        size_t at = strlen(names);

        ck_assert_uint_le(m.offset + m.size, n_tar);
        snprintf(names + at, size - at, "%s=%llu ", m.name, (unsigned long long)m.size);
    }
    close(fd);
    return rc;
}

static void listed(const char *want)
{
    char names[4096];
    int rc = list(names, sizeof(names));

    ck_assert_msg(rc == 0, "%s", err.msg);
    ck_assert_str_eq(names, want);
}

static void list_fails(int code, const char *part)
{
    char names[4096];

    datahelp_fails(list(names, sizeof(names)), &err, code, "'list.tar'", part, NULL);
    n_tar = 0;
}

START_TEST(plain)
{
    uint8_t *h;

    add_text('0', "a.cls", "1");
    add_text('5', "folder/", "");
    h = add_text('0', "b", "22");
    memcpy(h + 345, "folder/deep", 11); /* the prefix of ustar */
    sum_up(h);
    h = add_text('0', "old", "333");
    memcpy(h + 257, "ustar  ", 8); /* GNU's: what is there is no prefix */
    h[345] = 'x';
    h[156] = 0;
    sum_up(h);
    h = add_text('0', "0123456789" "0123456789" "0123456789" "0123456789" "0123456789"
                      "0123456789" "0123456789" "0123456789" "0123456789" "0123456789", "");
    end();
    listed("a.cls=1 folder/deep/b=2 old=3 "
           "0123456789012345678901234567890123456789012345678901234567890123456789"
           "012345678901234567890123456789=0 ");
    n_tar -= 512; /* one block of zeros is an end, too */
    listed("a.cls=1 folder/deep/b=2 old=3 "
           "0123456789012345678901234567890123456789012345678901234567890123456789"
           "012345678901234567890123456789=0 ");
}
END_TEST

START_TEST(long_names)
{
    char name[301] = "", want[400], pax[400];
    uint8_t *h;

    for (int i = 0; i < 300; i++)
        name[i] = i % 10 ? 'n' : '/';
    name[0] = 'n';
    add('L', "././@LongLink", name, 301);
    add_text('0', "cut", "1");
    add_text('0', "own", "");
    snprintf(want, sizeof(want), "%s=1 own=0 ", name);
    end();
    listed(want);

    n_tar = 0;
    snprintf(pax, sizeof(pax), "30 mtime=1700000000.123456789\n310 path=%s\n", name);
    add_text('g', "pax_global_header", "11 a=hello\n");
    add_text('x', "PaxHeaders/x", pax);
    add_text('0', "cut", "1");
    add_text('0', "own", "");
    end();
    listed(want);

    n_tar = 0; /* the size of a file beyond 8 GiB stands in its pax header */
    add_text('x', "x", "9 size=3\n");
    h = add_text('0', "sized", "abc");
    memset(h + 124, '7', 11);
    sum_up(h);
    add_text('x', "x", "9 size=1\n");
    add_text('L', "././@LongLink", "longer"); /* the record is not this header's */
    add_text('0', "cut", "a");
    end();
    listed("sized=3 longer=1 ");
}
END_TEST

/* Octal, binary, and what they must not be. */
START_TEST(sizes)
{
    static const struct {
        uint8_t field[12];
        int code;
        const char *part;
    } cases[] = {
        {"3           ", 0, NULL},
        {"   3        ", 0, NULL},
        {{0x80, [11] = 3}, 0, NULL},
        {"-3          ", OMQ_EFORMAT, "no size"},
        {"3x          ", OMQ_EFORMAT, "no size"},
        {"8           ", OMQ_EFORMAT, "no size"},
        {{0xff, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 253}, OMQ_EFORMAT, "no size"},
        {{0x80, 1, [11] = 3}, OMQ_EFORMAT, "no size"},
        {{0x80, [4] = 0x7f, 255, 255, 255, 255, 255, 255, 255}, OMQ_EFORMAT, "cut off"},
        {{0x80, [4] = 0xff, 255, 255, 255, 255, 255, 255, 255}, OMQ_EFORMAT, "no size"},
        {"777777777777", OMQ_EFORMAT, "cut off"},
    };
    uint8_t *h = add_text('0', "three", "abc");

    memcpy(h + 124, cases[_i].field, 12);
    sum_up(h);
    end();
    if (cases[_i].code)
        list_fails(cases[_i].code, cases[_i].part);
    else
        listed("three=3 ");
}
END_TEST

START_TEST(bad_names)
{
    static const char *const names[][2] = {
        {"/etc/passwd", "begins with a slash"}, {"../up", "'..'"}, {"a/../../up", "'..'"},
        {"a/..", "'..'"}, {"", "empty"}, {"a\nb", "control"}, {"a\033[2J", "control"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char pax[64];

        add_text('0', names[i][0], "x");
        list_fails(OMQ_EFORMAT, names[i][1]);
        if (!*names[i][0])
            continue;
        snprintf(pax, sizeof(pax), "%d path=%s\n", (int)strlen(names[i][0]) + 9 -
                 (strlen(names[i][0]) < 2), names[i][0]);
        add_text('x', "x", pax);
        add_text('0', "good", "x");
        list_fails(OMQ_EFORMAT, NULL);
    }
    add_text('0', "..a/b../...", "x"); /* no step up */
    end();
    listed("..a/b../...=1 ");
}
END_TEST

START_TEST(bad_members)
{
    static const char types[] = "12346SDMVX\177";
    static char big[(1 << 16) + 1];
    uint8_t *h;

    for (const char *t = types; *t; t++) {
        add_text(*t, "odd", "");
        end();
        list_fails(OMQ_EUNSUP, *t < '3' ? "a link" : *t < '7' ? "device" : "is ");
    }
    h = add_text('0', "a", "x");
    h[0]++;
    list_fails(OMQ_EFORMAT, "checksum");
    add_text('0', "a", "x");
    list_fails(OMQ_EFORMAT, "no end");
    add_text('0', "a", "x");
    n_tar -= 512;
    list_fails(OMQ_EFORMAT, "cut off");
    add_text('0', "a", "x");
    n_tar -= 513;
    list_fails(OMQ_EFORMAT, "no end");
    list_fails(OMQ_EFORMAT, "no end"); /* nothing at all */
    add_text('0', "a", "x");
    end();
    add_text('0', "b", "x");
    end();
    list_fails(OMQ_EFORMAT, "goes on");
    memcpy(tar, (uint8_t[]){0x1f, 0x8b, 8, 0}, 4);
    memset(tar + 4, 1, 1020);
    n_tar = 1024;
    list_fails(OMQ_EFORMAT, "gunzip");
    memset(big, 'n', sizeof(big));
    add('L', "l", big, 1025);
    list_fails(OMQ_EFORMAT, "too long");
    add('L', "l", big, 1024);
    list_fails(OMQ_EFORMAT, "too long");
    add('x', "x", big, sizeof(big));
    list_fails(OMQ_EFORMAT, "too long");
}
END_TEST

START_TEST(bad_pax)
{
    static const char *const records[] = {
        "8 path=a", "9 path=ab\n", "7 path=a\n", "0 path=a\n", "x", " 8 path=a\n", "5 abc\n",
        "3 \n", "99999999999999999999 path=a\n", "11 size=-12\n",
        "28 size=99999999999999999999\n", "8 size=\n", "22 GNU.sparse.major=1\n", "12345678",
    };

    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        add_text('x', "x", records[i]);
        add_text('0', "good", "x");
        end();
        list_fails(OMQ_EFORMAT, "header at byte 0");
    }
    add('x', "x", "11 path=a\0b\n", 12);
    add_text('0', "good", "x");
    end();
    list_fails(OMQ_EFORMAT, NULL);
}
END_TEST

/* ---- samples ---- */

static void add_samples(void)
{
    add_picture("c1/one.JPG", "rgb.jpg");
    add_text('0', "c1/one.cls", "1\n");
    add_text('0', "c1/one.json", "{}");
    add_text('0', "._c1", "hidden");
    add_text('0', "c0/two.cls", "0");
    add_picture("c0/two.png", "type2-8-laced.png");
}

static void same_picture(const struct omq_dataset *d, int i, const char *picture)
{
    struct omq_image want = datahelp_picture(picture, d->channels), got;

    ck_assert_msg(omq_dataset_image(d, i, &got, &err) == OMQ_OK, "%s", err.msg);
    ck_assert_int_eq(got.height, want.height);
    ck_assert_int_eq(got.width, want.width);
    ck_assert_int_eq(memcmp(got.pixels, want.pixels,
                            (size_t)(want.height * want.width * want.channels)), 0);
    omq_image_release(&want);
    omq_image_release(&got);
}

START_TEST(samples)
{
    struct omq_dataset *d;

    add_samples();
    put_shard("train-000001.tar");
    add_picture("0.jpeg", "cmyk.jpg");
    add_text('0', "0.cls", "2");
    put_shard("train-000000.tar");
    add_picture("9.jpg", "grey.jpg");
    add_text('0', "9.cls", "1");
    put_shard("val-0.tar");
    datahelp_put("training.tar", "x", 1);
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 3);
    ck_assert_int_eq(d->n_classes, 3);
    ck_assert_str_eq(d->class_names[2], "2");
    ck_assert_int_eq(d->labels[0] * 100 + d->labels[1] * 10 + d->labels[2], 210);
    same_picture(d, 0, "cmyk.jpg");
    same_picture(d, 1, "rgb.jpg");
    same_picture(d, 2, "type2-8-laced.png");
    omq_dataset_close(d);

    datahelp_put("classes.txt", "a\nb\nc\nd\n", 8);
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 1);
    ck_assert_int_eq(d->n_classes, 4);
    ck_assert_str_eq(d->class_names[1], "b");
    same_picture(d, 0, "grey.jpg");
    add_samples();
    put_shard("val-0.tar"); /* another file while the set is open */
    datahelp_fails(omq_dataset_image(d, 0, &(struct omq_image){0}, &err), &err, OMQ_EIO,
                   "val-0.tar'", "not the file any more", NULL);
    omq_dataset_close(d);
}
END_TEST

/* What is no sample is left out; a picture that has nothing in it is one, and damaged. */
START_TEST(others_and_an_empty_picture)
{
    struct omq_dataset *d;

    cfg.on_bad_image = OMQ_BAD_IMAGE_SKIP;
    add_text('0', "README.txt", "pictures of things");
    add_samples();
    add_text('0', "index.json", "{}");
    add_text('0', "z.cls", "1");
    add_text('0', "z.jpg", "");
    add_text('0', "LICENSE.md", "");
    put_shard("train-0.tar");
    d = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(d->n, 3);
    datahelp_fails(omq_dataset_image(d, 2, &(struct omq_image){0}, &err), &err, OMQ_EFORMAT,
                   "train-0.tar: z.jpg", NULL, NULL);
    ck_assert(omq_dataset_may_skip(d, OMQ_EFORMAT));
    omq_dataset_close(d);
}
END_TEST

START_TEST(prefix)
{
    struct omq_dataset *d;

    snprintf(cfg.prefix, sizeof(cfg.prefix), "imagenet-");
    add_samples();
    put_shard("imagenet-train-0.tar");
    add_samples();
    put_shard("imagenet-test-0.tar");
    d = datahelp_open(&cfg, OMQ_SPLIT_TEST, 1);
    ck_assert_int_eq(d->n, 2);
    omq_dataset_close(d);
}
END_TEST

static void samples_fail(int code, const char *a, const char *b)
{
    struct omq_dataset *d = NULL;
    int rc;

    put_shard("train-0.tar");
    rc = omq_dataset_open(&d, &cfg, OMQ_SPLIT_TRAIN, 1, &err);
    datahelp_fails(rc, &err, code, "train-0.tar", a, b);
    ck_assert_ptr_null(d);
}

START_TEST(bad_samples)
{
    static const char *const classes[] = {
        "", "\n", "x", "1x", "-1", "1 1", "32768", "99999999999999999999",
        "1\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    };
    struct omq_dataset *d = NULL;

    datahelp_fails(omq_dataset_open(&d, &cfg, OMQ_SPLIT_TRAIN, 1, &err), &err, OMQ_EIO,
                   "train-*.tar", "data.root", NULL);
    samples_fail(OMQ_EFORMAT, "no samples", NULL);
    add_picture("a.jpg", "rgb.jpg");
    samples_fail(OMQ_EFORMAT, "'a' has no class", NULL);
    add_picture("a.jpg", "rgb.jpg");
    add_picture("b.jpg", "rgb.jpg");
    add_text('0', "a.cls", "0");
    samples_fail(OMQ_EFORMAT, "'a' has no class", "follow each other");
    add_text('0', "a.cls", "0");
    samples_fail(OMQ_EFORMAT, "'a' has no picture", NULL);
    add_picture("a.jpg", "rgb.jpg");
    add_picture("a.png", "type0-4.png");
    samples_fail(OMQ_EFORMAT, "'a.png' is the second", NULL);
    add_text('0', "a.cls", "0");
    add_text('0', "a.cls", "0");
    samples_fail(OMQ_EFORMAT, "'a.cls' is the second", NULL);
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        add_text('0', "a.cls", classes[i]);
        samples_fail(OMQ_EFORMAT, "'a.cls' is no class", "0 to 32767");
    }
}
END_TEST

START_TEST(without_memory)
{
    int rc = OMQ_ENOMEM;

    add_samples();
    put_shard("train-0.tar");
    for (long n = 1; rc < 0; n++) {
        struct omq_dataset *d = NULL;

        failalloc_set(n);
        rc = omq_dataset_open(&d, &cfg, OMQ_SPLIT_TRAIN, 1, &err);
        failalloc_set(0);
        if (rc < 0)
            ck_assert_msg(rc == OMQ_ENOMEM, "%ld: %s", n, err.msg);
        ck_assert_int_lt(n, 200);
        omq_dataset_close(d);
    }
}
END_TEST

Suite *omq_suite_shards(void)
{
    Suite *s = suite_create("shards");
    TCase *archive = tcase_create("archive"), *set = tcase_create("set");

    tcase_add_checked_fixture(archive, setup, datahelp_teardown);
    tcase_add_test(archive, plain);
    tcase_add_test(archive, long_names);
    tcase_add_loop_test(archive, sizes, 0, 11);
    tcase_add_test(archive, bad_names);
    tcase_add_test(archive, bad_members);
    tcase_add_test(archive, bad_pax);

    tcase_add_checked_fixture(set, setup, datahelp_teardown);
    tcase_add_test(set, samples);
    tcase_add_test(set, others_and_an_empty_picture);
    tcase_add_test(set, prefix);
    tcase_add_test(set, bad_samples);
    tcase_add_test(set, without_memory);

    suite_add_tcase(s, archive);
    suite_add_tcase(s, set);
    return s;
}
