/* SPDX-License-Identifier: MIT
 *
 * Pictures: those of tests/fuzz/image/corpus against what Pillow made of them
 * (pillow.tsv there; scripts/gen-pictures.py writes both), damage, limits, and
 * memory that runs out.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/file.h"
#include "data/image.h"
#include "data/transform.h"
#include "datahelp.h"
#include "failalloc.h"

Suite *omq_suite_image(void);

static struct omq_err err;

static uint8_t *load(const char *name, size_t *n)
{
    char path[256];
    uint8_t *bytes;
    int rc;

    snprintf(path, sizeof(path), "tests/fuzz/image/corpus/%s", name);
    rc = omq_file_read(path, 1 << 20, &bytes, n, &err);
    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    return bytes;
}

static void bytes_fail(const uint8_t *bytes, size_t n, int code, const char *a, const char *b)
{
    for (int channels = 1; channels <= 3; channels += 2) {
        struct omq_image im = {.height = 77};

        datahelp_fails(omq_image_decode(&im, bytes, n, channels, "F", &err), &err, code, "'F'", a,
                       b);
        ck_assert_int_eq(im.height, 77);
    }
}

/* ---- what Pillow says */

/* Releases in. */
static int crop(struct omq_image *im, struct omq_image *in, const struct omq_box *box, int h, int w,
                const char *filter)
{
    int rc;

    *im = (struct omq_image){h, w, in->channels,
                             malloc((size_t)h * (size_t)w * (size_t)in->channels)};
    rc = omq_image_crop(im->pixels, in, box, h, w,
                        strcmp(filter, "bicubic") == 0 ? OMQ_BICUBIC : OMQ_BILINEAR, &err);
    omq_image_release(in);
    return rc;
}

/* Does what a line of pillow.tsv orders. */
static struct omq_image obey(const char *order, const char *name)
{
    struct omq_image im, in;
    struct omq_box box;
    char word[16];
    double factor;
    int c, side, h, w, rc = OMQ_OK;

    if (sscanf(order, "decode %d", &c) == 1) {
        im = datahelp_picture(name, c);
    } else if (sscanf(order, "resize %d %15s %d %d", &c, word, &h, &w) == 4) {
        in = datahelp_picture(name, c);
        box = (struct omq_box){0, 0, in.height, in.width};
        rc = crop(&im, &in, &box, h, w, word);
    } else if (sscanf(order, "crop %d %15s %d %d %d %d %d %d", &c, word, &box.top, &box.left,
                      &box.height, &box.width, &h, &w) == 8) {
        in = datahelp_picture(name, c);
        rc = crop(&im, &in, &box, h, w, word);
    } else if (sscanf(order, "jitter %d %15s %lf", &c, word, &factor) == 3) {
        static const char letters[] = "bcsh"; /* in the order of their numbers */
        struct omq_jitter j = {.n = 1, .order = {(int)(strchr(letters, word[0]) - letters)}};

        j.factor[j.order[0]] = factor;
        im = datahelp_picture(name, c);
        omq_jitter_apply(im.pixels, (size_t)im.height * (size_t)im.width, c, &j);
    } else {
        ck_assert_int_eq(sscanf(order, "fit %d %15s %d %d %d", &c, word, &side, &h, &w), 5);
        im = datahelp_picture(name, c);
        rc = omq_image_fit(&im, side, h, w,
                           strcmp(word, "bicubic") == 0 ? OMQ_BICUBIC : OMQ_BILINEAR, &err);
    }
    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    return im;
}

START_TEST(as_pillow)
{
    FILE *f = fopen("tests/fuzz/image/pillow.tsv", "r");
    char line[256], order[64], name[64];
    int n_lines = 0, w, h;
    unsigned crc;

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f)) {
        struct omq_image im;
        size_t n;

        ck_assert_int_eq(sscanf(line, "%63[^\t]\t%63[^\t]\t%d\t%d\t%x", order, name, &w, &h, &crc),
                         5);
        im = obey(order, name);
        n = (size_t)im.height * (size_t)im.width * (size_t)im.channels;
        ck_assert_msg(im.width == w && im.height == h && crc32_z(0, im.pixels, n) == crc,
                      "%s %s: not what Pillow has", order, name);
        omq_image_release(&im);
        n_lines++;
    }
    fclose(f);
    ck_assert_int_gt(n_lines, 100);
}
END_TEST

/* ---- damage */

static const struct {
    const char *name;
    int code;
    const char *a, *b;
} bad[] = {
    {"empty", OMQ_EFORMAT, "is not a picture", "only 0 bytes"},
    {"short", OMQ_EFORMAT, "is not a picture", "only 2 bytes"},
    {"gif", OMQ_EFORMAT, "neither a JPEG nor a PNG", "starts with 47 49 46 38"},
    {"start-only.jpg", OMQ_EFORMAT, "damaged in its header", "premature end of JPEG file"},
    {"no-end.jpg", OMQ_EFORMAT, "damaged at row", "premature end of JPEG file"},
    {"cut.jpg", OMQ_EFORMAT, "damaged at row", "premature end of JPEG file"},
    {"cut-progressive.jpg", OMQ_EFORMAT, "damaged in scan", "premature end of JPEG file"},
    {"no-pixels.jpg", OMQ_EFORMAT, "damaged in its header", "missing SOS marker"},
    {"two-components.jpg", OMQ_EUNSUP, "has 2 components", "1, 3 or 4"},
    {"many-scans.jpg", OMQ_EUNSUP, "more than 100 scans", NULL},
    {"empty-size.jpg", OMQ_EFORMAT, "damaged in its header", "empty JPEG image"},
    {"huge.jpg", OMQ_EUNSUP, "cannot be read", "maximum supported image dimension is 65500"},
    {"large.jpg", OMQ_EUNSUP, "65000 x 65000 pixels: the limits are 65500", "67108864"},
    {"liar.jpg", OMQ_EFORMAT, "claims 8000 x 8000 pixels, more than 187 bytes", "can hold"},
    {"start-only.png", OMQ_EFORMAT, "damaged in its header", "breaks off"},
    {"cut.png", OMQ_EFORMAT, "damaged before its first row", "breaks off"},
    {"no-end.png", OMQ_EFORMAT, "damaged after its pixels", "breaks off"},
    {"sum.png", OMQ_EFORMAT, "damaged after its pixels", "checksum"},
    {"too-few-rows.png", OMQ_EFORMAT, "damaged at row 3 of 4", "too short"},
    {"filter.png", OMQ_EFORMAT, "damaged before its first row", "filter"},
    {"index.png", OMQ_EFORMAT, "damaged at row 3 of 4", "palette"},
    {"no-palette.png", OMQ_EFORMAT, "damaged before its first row", "missing PLTE"},
    {"depth.png", OMQ_EFORMAT, "damaged in its header", "bit depth"},
    {"empty-size.png", OMQ_EFORMAT, "damaged in its header", "width"},
    {"huge.png", OMQ_EUNSUP, "65535 x 65535 pixels: the limits are 65500", "67108864"},
    {"large.png", OMQ_EUNSUP, "16384 x 8192 pixels", "67108864"},
    {"liar.png", OMQ_EFORMAT, "claims 8192 x 8192 pixels, more than 68 bytes", "can hold"},
};
enum { N_BAD = sizeof(bad) / sizeof(bad[0]) };

START_TEST(bad_files)
{
    size_t n;
    uint8_t *bytes = load(bad[_i].name, &n);

    bytes_fail(bytes, n, bad[_i].code, bad[_i].a, bad[_i].b);
    free(bytes);
}
END_TEST

static const char *const cut[] = {"grey.jpg", "rgb.jpg", "progressive.jpg", "cmyk.jpg",
                                  "type0-8.png", "type2-8-laced.png", "type3-4-laced.png"};
enum { N_CUT = sizeof(cut) / sizeof(cut[0]) };

/* (The last 4 bytes of a PNG are a checksum of nothing, which libspng does not miss.) */
START_TEST(every_truncation_fails)
{
    size_t n, n_cut;
    uint8_t *bytes = load(cut[_i], &n);

    n_cut = bytes[0] == 0x89 ? n - 4 : n;
    for (size_t i = 0; i < n_cut; i++) {
        uint8_t *part = malloc(i ? i : 1); /* so that a read past the end is seen */

        memcpy(part, bytes, i);
        bytes_fail(part, i, OMQ_EFORMAT, NULL, NULL);
        free(part);
    }
    free(bytes);
}
END_TEST

/* Whatever comes, it is a picture or a message. A PNG has a checksum: what is
 * not refused is what it was. */
START_TEST(every_bit_flip)
{
    size_t n, size;
    uint8_t *bytes = load(cut[_i], &n);
    struct omq_image good = datahelp_picture(cut[_i], 3);
    bool png = bytes[0] == 0x89;

    size = (size_t)good.height * (size_t)good.width * 3;
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct omq_image im = {0};
        int rc;

        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rc = omq_image_decode(&im, bytes, n, 3, "F", &err);
        ck_assert(rc == OMQ_OK ? im.pixels != NULL : !im.pixels && strstr(err.msg, "'F'"));
        ck_assert(!png || rc < 0 || memcmp(im.pixels, good.pixels, size) == 0);
        omq_image_release(&im);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    omq_image_release(&good);
    free(bytes);
}
END_TEST

/* ---- limits */

static void put_be32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
}

static size_t put_chunk(uint8_t *to, const char *kind, const uint8_t *data, size_t n)
{
    put_be32(to, (uint32_t)n);
    memcpy(to + 4, kind, 4);
    if (n > 0)
        memmove(to + 8, data, n);
    put_be32(to + 8 + n, (uint32_t)crc32_z(0, to + 4, n + 4));
    return n + 12;
}

/* A grey PNG of one bit a pixel whose IDAT is n_zeros zeros, and with a profile
 * of n_profile zeros if that is not 0. The caller frees it. */
static uint8_t *zeros_png(uint32_t w, uint32_t h, size_t n_zeros, size_t n_profile, size_t *n)
{
    static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    size_t most = n_zeros > n_profile ? n_zeros : n_profile;
    uint8_t *zeros = calloc(1, most), *out = malloc(most / 100 + 4096), *packed;
    uint8_t head[13] = {[8] = 1};
    uLongf size = most / 100 + 1024;

    ck_assert(zeros && out && (packed = malloc(size + 3)));
    memcpy(out, magic, 8);
    put_be32(head, w);
    put_be32(head + 4, h);
    *n = 8 + put_chunk(out + 8, "IHDR", head, 13);
    if (n_profile) {
        memcpy(packed, "p\0", 3);
        ck_assert_int_eq(compress2(packed + 3, &size, zeros, n_profile, 9), Z_OK);
        *n += put_chunk(out + *n, "iCCP", packed, size + 3);
        size = most / 100 + 1024;
    }
    ck_assert_int_eq(compress2(packed, &size, zeros, n_zeros, 9), Z_OK);
    *n += put_chunk(out + *n, "IDAT", packed, size);
    *n += put_chunk(out + *n, "IEND", NULL, 0);
    free(packed);
    free(zeros);
    return out;
}

START_TEST(bombs)
{
    struct omq_image im;
    size_t n;
    uint8_t *bytes = zeros_png(8192, 8192, 8192 * 1025, 0, &n);

    /* the most that is allowed, from few bytes */
    ck_assert_uint_lt(n, 10000);
    ck_assert_int_eq(omq_image_decode(&im, bytes, n, 1, "F", &err), OMQ_OK);
    ck_assert(im.height == 8192 && im.width == 8192 && im.pixels[8192 * 8192 - 1] == 0);
    omq_image_release(&im);
    free(bytes);
    /* what follows the last row is not even decompressed */
    bytes = zeros_png(8, 8, 64 << 20, 0, &n);
    ck_assert_int_eq(omq_image_decode(&im, bytes, n, 1, "F", &err), OMQ_OK);
    omq_image_release(&im);
    free(bytes);
    bytes = zeros_png(8, 8, 16, 17 << 20, &n);
    bytes_fail(bytes, n, OMQ_EUNSUP, "limit of 16 MiB", NULL);
    free(bytes);
}
END_TEST

START_TEST(other_channels)
{
    struct omq_image im = {.height = 77};

    datahelp_fails(omq_image_decode(&im, (const uint8_t *)"", 0, 4, "F", &err), &err, OMQ_EARG,
                   "'F' to 4 channels", "1 or 3", NULL);
    ck_assert_int_eq(im.height, 77);
}
END_TEST

/* ---- sizes */

START_TEST(fit_leaves_alone_what_fits)
{
    struct omq_image im = datahelp_picture("rgb.jpg", 3);
    uint8_t *before = im.pixels;

    ck_assert_int_eq(omq_image_fit(&im, 37, 23, 37, OMQ_BILINEAR, &err), OMQ_OK);
    ck_assert_ptr_eq(im.pixels, before);
    /* but not where its edges are to be cut off */
    ck_assert_int_eq(omq_image_fit(&im, 40, 23, 37, OMQ_BILINEAR, &err), OMQ_OK);
    ck_assert(im.pixels != before && im.height == 23 && im.width == 37);
    omq_image_release(&im);
}
END_TEST

START_TEST(bad_sizes)
{
    struct omq_image im = datahelp_picture("rgb.jpg", 3), tall = {65500, 1, 1, NULL};
    const struct omq_box all = {0, 0, 23, 37}, all_tall = {0, 0, 65500, 1}, one = {0, 0, 1, 1};
    uint8_t pixels[8] = {1, 2, 3, 4, 5, 6, 7, 8}, kept[8];
    struct omq_image pair = {2, 2, 2, pixels};

    datahelp_fails(omq_image_crop(NULL, &im, &all, 0, 5, OMQ_BILINEAR, &err), &err, OMQ_EARG,
                   "5 x 0 pixels", NULL, NULL);
    datahelp_fails(omq_image_crop(NULL, &im, &all, 5, 5, (enum omq_resample)2, &err), &err,
                   OMQ_EARG, "filter number 2", NULL, NULL);
    datahelp_fails(omq_image_crop(NULL, &im, &all, 1 << 15, 1 << 15, OMQ_BILINEAR, &err), &err,
                   OMQ_EUNSUP, "32768 x 32768", "67108864", NULL);
    datahelp_fails(omq_image_crop(NULL, &im, &all, 1, 65501, OMQ_BILINEAR, &err), &err, OMQ_EUNSUP,
                   "65501 x 1", "65500 a side", NULL);
    datahelp_fails(omq_image_crop(NULL, &pair, &one, 1, 1, OMQ_BILINEAR, &err), &err, OMQ_EARG,
                   "a picture of 2 channels", NULL, NULL);
    datahelp_fails(omq_image_fit(&pair, 5, 5, 5, OMQ_BILINEAR, &err), &err, OMQ_EARG,
                   "a picture of 2 channels", NULL, NULL);
    ck_assert_int_eq(omq_image_fit_to(kept, &pair, 2, 2, 2, OMQ_BILINEAR, &err), OMQ_OK);
    ck_assert_mem_eq(kept, pixels, sizeof(pixels)); /* what stays may have any number */
    tall.pixels = calloc(65500, 1);
    datahelp_fails(omq_image_crop(NULL, &tall, &all_tall, 10, 65500, OMQ_BILINEAR, &err), &err,
                   OMQ_EUNSUP, "between the passes", NULL, NULL);
    datahelp_fails(omq_image_fit(&im, 0, 5, 5, OMQ_BILINEAR, &err), &err, OMQ_EARG, "0 pixels",
                   "1 to 65500", NULL);
    datahelp_fails(omq_image_fit(&im, 20, 21, 5, OMQ_BILINEAR, &err), &err, OMQ_EUNSUP,
                   "37 x 23 pixels, 32 x 20 when resized", "cropped to 5 x 21", NULL);
    ck_assert(im.height == 23 && im.width == 37);
    /* only what is seen is computed: 256 x 16768000 pixels would be too many */
    ck_assert_int_eq(omq_image_fit(&tall, 256, 224, 224, OMQ_BICUBIC, &err), OMQ_OK);
    ck_assert(tall.height == 224 && tall.width == 224);
    omq_image_release(&tall);
    omq_image_release(&im);
}
END_TEST

/* ---- memory runs out */

static const char *const lean[] = {"rgb.jpg", "progressive.jpg", "type3-4-laced.png",
                                   "type6-16.png", "profile.png"};
enum { N_LEAN = sizeof(lean) / sizeof(lean[0]) };

static int all_steps(struct omq_image *im, const uint8_t *bytes, size_t n)
{
    uint8_t other[7 * 5 * 3];
    int rc = omq_image_decode(im, bytes, n, 3, "F", &err);

    if (rc == OMQ_OK)
        rc = omq_image_crop(other, im, &(struct omq_box){0, 0, im->height, im->width}, 7, 5,
                            OMQ_BICUBIC, &err);
    if (rc == OMQ_OK)
        rc = omq_image_fit(im, 12, 11, 10, OMQ_BILINEAR, &err);
    return rc;
}

START_TEST(without_memory)
{
    size_t n;
    uint8_t *bytes = load(lean[_i], &n);
    int tries = 0, rc;

    do {
        struct omq_image im = {0};

        err = (struct omq_err){0};
        failalloc_set(++tries);
        rc = all_steps(&im, bytes, n);
        failalloc_set(0);
        ck_assert_msg(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]), "%d: %s", rc, err.msg);
        omq_image_release(&im);
    } while (rc != OMQ_OK && tries < 200);
    ck_assert_int_eq(rc, OMQ_OK);
    ck_assert_int_gt(tries, 15); /* so the failures really came */
    free(bytes);
}
END_TEST

Suite *omq_suite_image(void)
{
    Suite *s = suite_create("image");
    TCase *pillow = tcase_create("pillow"), *damage = tcase_create("damage");
    TCase *limits = tcase_create("limits"), *sizes = tcase_create("sizes");

    tcase_add_test(pillow, as_pillow);
    tcase_add_loop_test(damage, bad_files, 0, N_BAD);
    tcase_add_loop_test(damage, every_truncation_fails, 0, N_CUT);
    tcase_add_loop_test(damage, every_bit_flip, 0, N_CUT);
    tcase_add_test(limits, bombs);
    tcase_add_test(limits, other_channels);
    tcase_add_loop_test(limits, without_memory, 0, N_LEAN);
    tcase_add_test(sizes, fit_leaves_alone_what_fits);
    tcase_add_test(sizes, bad_sizes);

    suite_add_tcase(s, pillow);
    suite_add_tcase(s, damage);
    suite_add_tcase(s, limits);
    suite_add_tcase(s, sizes);
    return s;
}
