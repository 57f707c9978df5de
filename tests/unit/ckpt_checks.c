/* SPDX-License-Identifier: MIT
 *
 * Each check of the loader triggered, and damage everywhere. A part of the
 * suite in test_ckpt.c.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckpt_sample.h"

/* ---- each check of the loader */

/* One field of the sample changed, all checksums made right again. */
static const struct patch {
    int entry; /* -1: header */
    int pos, size;
    uint64_t value;
    int code;
    const char *text;
} patches[] = {
    {-1, 8, 2, 2, OMQ_EVERSION, "format version 2, this program reads up to 1"},
    {-1, 8, 2, 0, OMQ_EFORMAT, "format version 0"},
    {-1, 10, 2, 7, OMQ_OK, NULL}, /* a newer minor version */
    {-1, 12, 4, 65, OMQ_EFORMAT, "at byte 12 gives its size as 65"},
    {-1, 16, 4, 0x04030201, OMQ_EFORMAT, "not little-endian"},
    {-1, 20, 4, 0, OMQ_EFORMAT, "is incomplete"},
    {-1, 20, 4, 3, OMQ_EUNSUP, "unknown flags 0x3"},
    {-1, 24, 8, 1 << 20, OMQ_EFORMAT, "of 1048576 (it is truncated"},
    {-1, 24, 8, 1024, OMQ_EFORMAT, "behind its end at byte 1024"},
    {-1, 24, 8, 63, OMQ_EFORMAT, "does not fit into the 63 bytes"},
    {-1, 24, 8, UINT64_MAX, OMQ_EFORMAT, "(it is truncated"},
    {-1, 32, 8, 128, OMQ_EFORMAT, "puts the table of contents at byte 128"},
    {-1, 40, 4, 2, OMQ_EFORMAT, "counts 2 sections"},
    {-1, 40, 4, 65537, OMQ_EFORMAT, "counts 65537 sections"},
    {-1, 40, 4, 60000, OMQ_EFORMAT, "60000 entries of 64 bytes, does not fit"},
    {-1, 44, 4, 56, OMQ_EFORMAT, "size of an entry as 56"},
    {-1, 44, 4, 68, OMQ_EFORMAT, "size of an entry as 68"},
    {-1, 44, 4, 1032, OMQ_EFORMAT, "size of an entry as 1032"},
    {-1, 44, 4, 1024, OMQ_EFORMAT, "does not fit"},
    {CONV1, 0, 4, 0x41314141, OMQ_EFORMAT, "entry 3 of the table of contents: the kind, 41 41 31"},
    {META, 0, 4, 0x41544d45, OMQ_EFORMAT, "section 'META' must stand here"},
    {CONV1, 0, 4, 0x4154454d, OMQ_EFORMAT, "section 'META' (entry 3) at byte"},
    {CONV1, 0, 4, 0x534d4944, OMQ_EFORMAT, "there is a second one of this kind"},
    {CONV1, 0, 4, 0x7a7a7a41, OMQ_EUNSUP, "section 'Azzz' (entry 3)"},
    {CONV1, 4, 4, 2, OMQ_EUNSUP, "unknown flags 0x2"},
    {CONV1, 8, 8, 8, OMQ_EFORMAT, "not a multiple of 64"},
    {CONV1, 8, 8, UINT64_MAX - 63, OMQ_EFORMAT, "beyond the end of the file"},
    {CONV1, 8, 8, 64, OMQ_EFORMAT, "it begins before byte"},
    {CONV1, 16, 8, UINT64_MAX, OMQ_EFORMAT, "beyond the end of the file"},
    {CONV1, 16, 8, 80, OMQ_EFORMAT, "yet 80 bytes are stored for 12"},
    {CONV1, 24, 8, 16, OMQ_EFORMAT, "yet 12 bytes are stored for 16"},
    {META, 24, 8, 1 << 24, OMQ_EFORMAT, "cannot unpack to 16777216"},
    {META, 24, 8, UINT64_MAX, OMQ_EFORMAT, "cannot unpack to"},
    {META, 24, 8, sizeof(SAMPLE_META), OMQ_EFORMAT, "bytes do not unpack to"},
    {META, 24, 8, sizeof(SAMPLE_META) - 2, OMQ_EFORMAT, "bytes do not unpack to"},
    {META, 24, 8, 0, OMQ_EFORMAT, "not in the range 1 to 16777216"},
    {META, 36, 4, 12345, OMQ_EFORMAT, "checksum of the unpacked bytes"},
    {META, 44, 2, 1, OMQ_EFORMAT, "fields of a tensor"},
    {NAME, 40, 4, 1, OMQ_EFORMAT, "fields of a tensor"},
    {DIMS, 46, 1, 1, OMQ_EFORMAT, "fields of a tensor"},
    {DIMS, 52, 4, 1, OMQ_EFORMAT, "fields of a tensor"},
    {CONV1, 44, 2, 0, OMQ_EFORMAT, "unknown type of elements, 0"},
    {CONV1, 44, 2, 7, OMQ_EFORMAT, "unknown type of elements, 7"},
    {CONV1, 44, 2, 6, OMQ_EFORMAT, "do not match its 12 bytes"},
    {CONV1, 44, 2, OMQ_I32, OMQ_OK, NULL},
    {CONV1, 46, 1, 9, OMQ_EFORMAT, "9 dimensions"},
    {CONV1, 46, 1, 2, OMQ_EFORMAT, "'conv1.step' at byte"},
    {CONV1, 46, 1, 0, OMQ_EFORMAT, "dimension 0 is not in use, yet not 0"},
    {CONV1, 47, 1, 4, OMQ_EFORMAT, "packed elements of 4 bits"},
    {PACK, 47, 1, 0, OMQ_EFORMAT, "packed elements of 0 bits"},
    {PACK, 47, 1, 9, OMQ_EFORMAT, "packed elements of 9 bits"},
    {CONV2, 40, 4, 0, OMQ_EFORMAT, "its index is 0 instead of 1"},
    {CONV2, 48, 4, 0, OMQ_EFORMAT, "10 bytes at 0, is not the next one in NAME"},
    {CONV2, 48, 4, UINT32_MAX, OMQ_EFORMAT, "is not the next one in NAME"},
    {CONV2, 52, 4, 9, OMQ_EFORMAT, "is not the next one in NAME"},
    {CONV2, 52, 4, 10000, OMQ_EFORMAT, "is not the next one in NAME"},
    {CONV2, 52, 4, UINT32_MAX, OMQ_EFORMAT, "is not the next one in NAME"},
    {CONV2, 52, 4, 23, OMQ_EFORMAT, "its name is not 1 to 255 bytes of UTF-8"},
    {CONV2, 56, 8, 1, OMQ_EFORMAT, "the last 8 bytes of its entry"},
};

enum { N_PATCHES = sizeof(patches) / sizeof(patches[0]) };

START_TEST(patched_field)
{
    const struct patch *t = &patches[_i];
    uint8_t *p = (t->entry < 0 ? ckpt_good : image_entry(ckpt_good, t->entry)) + t->pos;
    uint64_t v = t->value;

    for (int i = 0; i < t->size; i++, v >>= 8)
        p[i] = (uint8_t)v;
    if (t->entry >= 0 && t->pos < 16 && t->pos >= 8)
        image_reseal_table(ckpt_good, ckpt_size); /* not the section it now points to */
    else if (t->entry < 0)
        image_reseal_header(ckpt_good);
    else
        image_reseal(ckpt_good, ckpt_size);
    if (t->code == OMQ_OK)
        ckpt_assert_opens(ckpt_good, ckpt_size, 0);
    else
        ckpt_assert_refused(ckpt_good, ckpt_size, 0, t->code, t->text);
}
END_TEST

START_TEST(checksums)
{
    uint8_t *conv1 = image_entry(ckpt_good, CONV1);
    char place[80];

    ckpt_good[41] ^= 1; /* the header */
    ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT,
                        "the header at byte 0: checksum does not match");
    ckpt_good[41] ^= 1;
    conv1[52] ^= 1; /* the table */
    ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT,
                        "the table of contents at byte 64: checksum does not match");
    conv1[52] ^= 1;
    for (int i = 0; i < N_ENTRIES; i++) { /* a section */
        uint64_t at = omq_get_le64(image_entry(ckpt_good, i) + 8);

        ckpt_good[at] ^= 1;
        snprintf(place, sizeof(place), "at byte %llu: checksum does not match (the file is "
                 "damaged; copy it again)", (unsigned long long)at);
        ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT, place);
        if (i == CONV1)
            ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT,
                                "section 'QPAR' 'conv1.step' at byte");
        ckpt_good[at] ^= 1;
    }
    conv1[36] ^= 1; /* the second checksum of a plain section */
    image_reseal_table(ckpt_good, ckpt_size);
    ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT, "its two checksums differ");
    conv1[36] ^= 1;
    image_reseal_table(ckpt_good, ckpt_size);
    ckpt_assert_opens(ckpt_good, ckpt_size, 0);
}
END_TEST

START_TEST(gaps_and_tail)
{
    uint64_t end = omq_get_le64(image_entry(ckpt_good, CONV1) + 8) + 12;
    uint8_t *longer = calloc(1, ckpt_size + 64);

    ckpt_good[end] = 1;
    ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT, "before it is not zero");
    ckpt_good[end] = 0;
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, ckpt_good, ckpt_size);
    ckpt_assert_refused(longer, ckpt_size + 64, 0, OMQ_EFORMAT, "has 64 bytes behind its end");
    omq_put_le64(longer + 24, ckpt_size + 64);
    image_reseal(longer, ckpt_size + 64);
    ckpt_assert_refused(longer, ckpt_size + 64, 0, OMQ_EFORMAT, "the last section ends at byte");
    free(longer);
}
END_TEST

/* A hole of 64 zero bytes before the last section. */
START_TEST(hole)
{
    uint8_t *last = image_entry(ckpt_good, N_ENTRIES - 1), *p = calloc(1, ckpt_size + 64);
    uint64_t at = omq_get_le64(last + 8);

    ck_assert_ptr_nonnull(p);
    omq_put_le64(last + 8, at + 64);
    omq_put_le64(ckpt_good + 24, ckpt_size + 64);
    memcpy(p, ckpt_good, at);
    memcpy(p + at + 64, ckpt_good + at, ckpt_size - at);
    image_reseal(p, ckpt_size + 64);
    ckpt_assert_refused(p, ckpt_size + 64, 0, OMQ_EFORMAT, "bytes before it belong to nothing");
    free(p);
}
END_TEST

static void refuse_section(int which, const void *stored, size_t n, const char *text)
{
    size_t n_out;
    uint8_t *p = image_replace(ckpt_good, which, stored, n, 64, &n_out);

    if (text)
        ckpt_assert_refused(p, n_out, 0, OMQ_EFORMAT, text);
    else
        ckpt_assert_opens(p, n_out, 0);
    free(p);
}

START_TEST(meta_text)
{
    free(ckpt_good);
    ckpt_write(ckpt_path, "{}"); /* too short to be compressed */
    ckpt_read_bytes(ckpt_path, &ckpt_good, &ckpt_size);
    refuse_section(META, "{\"a\": \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"}", 18, NULL);
    refuse_section(META, "{\0}", 3, "not UTF-8");
    refuse_section(META, "\xff", 1, "not UTF-8");
    refuse_section(META, "\x80", 1, "not UTF-8");
    refuse_section(META, "\xc3", 1, "not UTF-8");         /* cut off */
    refuse_section(META, "\xf0\x9f\x98", 3, "not UTF-8"); /* cut off */
    refuse_section(META, "\xc0\xaf", 2, "not UTF-8");     /* overlong */
    refuse_section(META, "\xe0\x80\xaf", 3, "not UTF-8"); /* overlong */
    refuse_section(META, "\xed\xa0\x80", 3, "not UTF-8"); /* surrogate */
    refuse_section(META, "\xf4\x90\x80\x80", 4, "not UTF-8"); /* beyond U+10FFFF */
    refuse_section(META, "\xe2\x82\x28", 3, "not UTF-8");
    refuse_section(META, "", 0, "it has 0 bytes");
}
END_TEST

START_TEST(names)
{
    static const struct {
        const char *bytes; /* of the first name, 'conv1.step' */
        const char *text;
    } names[] = {
        {"conv1/step", "its name is not"},     {"conv1.\nabc", "its name is not"},
        {"conv1.\x7f" "abc", "its name is not"}, {"conv1.\xff" "abc", "its name is not"},
        {"conv1.\xc2\x85" "ab", "its name is not"}, {"conv1.\xc2\xa0" "ab", NULL},
        {"conv2.step", "section 'QPAR' 'conv2.step' is there twice"},
        {"conv1\0step", "its name is not"},    {"zzzzzzzzzz", NULL},
    };
    uint8_t *section = image_section(ckpt_good, NAME), *longer;
    size_t n = omq_get_le64(image_entry(ckpt_good, NAME) + 16);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        memcpy(section, names[i].bytes, 10);
        image_reseal(ckpt_good, ckpt_size);
        if (names[i].text)
            ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT, names[i].text);
        else
            ckpt_assert_opens(ckpt_good, ckpt_size, 0);
    }
    section[10] = 'x'; /* no zero byte behind it */
    refuse_section(NAME, section, n, "is not the next one in NAME");
    section[10] = 0;
    longer = calloc(1, 4096);
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, section, n);
    refuse_section(NAME, longer, n + 5, "5 bytes belong to no tensor");
    refuse_section(NAME, longer, n - 1, "is not the next one in NAME");
    refuse_section(NAME, longer, 4096, "it has 4096 bytes, which is not in the range");
    free(longer);
}
END_TEST

START_TEST(shapes)
{
    static const struct {
        uint64_t dims[8]; /* of conv1.weight, 24 bytes */
        const char *text;
    } shapes[] = {
        {{3, 2, 1, 1}, NULL},
        {{1, 1, 6, 1}, NULL},
        {{3, 2, 1, 1, 1}, "dimension 4 is not in use"},
        {{3, 2, 1, 2}, "do not match its 24 bytes"},
        {{3, 2, 1, 0}, "do not match its 24 bytes"},
        {{0, 0, 0, 0}, "do not match its 24 bytes"},
        {{6, 1ull << 62, 4, 1}, "do not match its 24 bytes"},         /* 0 after overflow */
        {{(1ull << 62) + 6, 1, 1, 1}, "do not match its 24 bytes"}, /* 24 after overflow */
        {{UINT64_MAX, UINT64_MAX, UINT64_MAX, 1}, "'conv1.weight'"},
    };
    uint8_t *row = image_section(ckpt_good, DIMS) + (WEIGHT - 3) * 64;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (int k = 0; k < 8; k++)
            omq_put_le64(row + k * 8, shapes[i].dims[k]);
        image_reseal(ckpt_good, ckpt_size);
        if (shapes[i].text)
            ckpt_assert_refused(ckpt_good, ckpt_size, 0, OMQ_EFORMAT, shapes[i].text);
        else
            ckpt_assert_opens(ckpt_good, ckpt_size, 0);
    }
    memset(row, 0, 64); /* a section without bytes */
    refuse_section(WEIGHT, "", 0, "do not match its 0 bytes");
    refuse_section(DIMS, image_section(ckpt_good, DIMS), N_SAMPLES * 64 - 8, "not in the range");
}
END_TEST

START_TEST(newer_minor_version)
{
    size_t n;
    uint8_t *p = image_replace(ckpt_good, -1, NULL, 0, 72, &n);
    struct omq_ckpt *c;
    struct omq_err err;

    p[10] = 1;
    image_reseal(p, n);
    ck_assert_msg(ckpt_open_bytes(p, n, 0, &c, &err) == OMQ_OK, "%s", err.msg);
    ckpt_assert_is_sample(c);
    omq_ckpt_close(c);
    free(p);
}
END_TEST

/* ---- compression */

START_TEST(every_section_may_be_compressed)
{
    size_t n;
    uint8_t *p = ckpt_compress_all(&n);
    struct omq_ckpt *c;
    struct omq_err err;

    ck_assert_msg(ckpt_open_bytes(p, n, 0, &c, &err) == OMQ_OK, "%s", err.msg);
    ckpt_assert_is_sample(c);
    omq_ckpt_close(c);
    free(p);
}
END_TEST

START_TEST(damaged_stream)
{
    size_t n, n_stored = omq_get_le64(image_entry(ckpt_good, META) + 16);
    uint8_t stored[200] = {0}, *p;

    ck_assert_uint_lt(n_stored, sizeof(stored) - 1);
    memcpy(stored, image_section(ckpt_good, META), n_stored);
    refuse_section(META, stored, n_stored, NULL);
    refuse_section(META, stored, n_stored + 1, "do not unpack"); /* a byte behind the stream */
    refuse_section(META, stored, n_stored - 1, "do not unpack");
    stored[0] ^= 0x40;
    refuse_section(META, stored, n_stored, "do not unpack");
    stored[0] ^= 0x40;
    p = ckpt_compress_all(&n);
    image_section(p, WEIGHT)[0] ^= 0x40;
    image_reseal(p, n);
    ckpt_assert_refused(p, n, 0, OMQ_EFORMAT, "section 'WFPT' 'conv1.weight' at byte");
    free(p);
}
END_TEST

/* 17 MiB of META in 17 KiB, within the ratio. */
START_TEST(limits_of_what_is_unpacked)
{
    const size_t n_raw = 17 << 20;
    char *raw = malloc(n_raw);
    uLongf n = compressBound(n_raw);
    uint8_t *stored = malloc(n), *p, *e;
    size_t n_out;

    ck_assert(raw && stored);
    memset(raw, ' ', n_raw);
    ck_assert_int_eq(compress2(stored, &n, (uint8_t *)raw, n_raw, 9), Z_OK);
    p = image_replace(ckpt_good, META, stored, n, 64, &n_out);
    e = image_entry(p, META);
    omq_put_le64(e + 24, n_raw);
    omq_put_le32(e + 36, (uint32_t)crc32_z(0, (uint8_t *)raw, n_raw));
    image_reseal(p, n_out);
    ckpt_assert_refused(p, n_out, 0, OMQ_EFORMAT, "which is not in the range 1 to 16777216");
    ckpt_assert_refused(p, n_out, 1 << 24, OMQ_ENOMEM, "larger than the limit of 16777216 bytes");
    free(p);
    free(stored);
    free(raw);
}
END_TEST

START_TEST(limit_of_the_file)
{
    const uint64_t content = ckpt_size + sizeof(SAMPLE_META) - 1; /* META is compressed */

    ckpt_assert_opens(ckpt_good, ckpt_size, content);
    ckpt_assert_refused(ckpt_good, ckpt_size, content - 1, OMQ_ENOMEM, "larger than the limit");
    ckpt_assert_refused(ckpt_good, ckpt_size, ckpt_size - 1, OMQ_ENOMEM, "more than the limit of");
    ckpt_assert_refused(ckpt_good, ckpt_size, 1, OMQ_ENOMEM, "more than the limit of 1");
}
END_TEST

/* ---- not an .omq file */

START_TEST(impostors)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } files[] = {
        {"", 0, "is empty"},
        {"\x1f\x8b\x08\0\0\0", 6, "compressed with gzip"},
        {"\x28\xb5\x2f\xfd\0", 5, "compressed with zstd"},
        {"PK\x03\x04\x14\0", 6, "zip archive"},
        {"\x89PNG\r\n\x1a\n", 8, "an image"},
        {"output_dir: runs\nseed: 1\n", 25, "is text, not a model"},
        {"\x93OMQ\n\x1a\n\1\0\0\0", 11, "in text mode"},
        {"\x93OMQ\r\r\n\x1a\r\n", 10, "in text mode"},
        {"\x13OMQ\r\n\x1a\n", 8, "eighth bit"},
        {"\0\0\0\0", 4, "is not an .omq file"},
        {"\x93", 1, "ends inside its header, at byte 1"},
        {"\x93OMQ\r\n\x1a\n\1", 9, "ends inside its header, at byte 9"},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        ckpt_assert_refused((const uint8_t *)files[i].bytes, files[i].n, 0, OMQ_EFORMAT,
                            files[i].text);
}
END_TEST

/* ---- damage anywhere */

START_TEST(every_truncation)
{
    for (size_t n = 0; n < ckpt_size; n++)
        ckpt_assert_refused(ckpt_good, n, 0, OMQ_EFORMAT, "");
}
END_TEST

START_TEST(every_bit)
{
    struct omq_err err;
    struct omq_ckpt *c;

    for (size_t i = 0; i < ckpt_size * 8; i++) {
        ckpt_good[i / 8] ^= (uint8_t)(1 << i % 8);
        if (i / 8 >= 56 && i / 8 < 64) {
            ck_assert_int_eq(ckpt_open_bytes(ckpt_good, ckpt_size, 0, &c, &err), OMQ_OK);
            ck_assert_int_eq(omq_ckpt_switch(c).w, 0); /* the complement does not match */
            ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
            omq_ckpt_close(c);
        } else {
            int rc = ckpt_open_bytes(ckpt_good, ckpt_size, 0, &c, &err);

            ck_assert_msg(rc == OMQ_EFORMAT || (rc == OMQ_EVERSION && i / 8 / 2 == 4),
                          "bit %zu: %d", i, rc);
        }
        ckpt_good[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}
END_TEST

/* The same behind right checksums: any answer, but no crash. */
START_TEST(every_byte_resealed)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint8_t *p = malloc(ckpt_size);
    struct omq_ckpt *c;
    struct omq_err err;
    int opened = 0, refused = 0;

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < ckpt_size; i++) {
        for (size_t k = 0; k < sizeof(values); k++) {
            memcpy(p, ckpt_good, ckpt_size);
            p[i] = values[k];
            image_reseal(p, ckpt_size);
            if (ckpt_open_bytes(p, ckpt_size, 1 << 20, &c, &err) < 0) {
                refused++;
                continue;
            }
            omq_ckpt_close(c);
            opened++;
        }
    }
    ck_assert_int_gt(opened, 1000);
    ck_assert_int_gt(refused, 1000);
    free(p);
}
END_TEST

TCase *omq_tcase_ckpt_checks(void)
{
    TCase *t = tcase_create("checks");

    tcase_add_loop_test(t, patched_field, 0, N_PATCHES);
    tcase_add_test(t, checksums);
    tcase_add_test(t, gaps_and_tail);
    tcase_add_test(t, hole);
    tcase_add_test(t, meta_text);
    tcase_add_test(t, names);
    tcase_add_test(t, shapes);
    tcase_add_test(t, newer_minor_version);
    tcase_add_test(t, every_section_may_be_compressed);
    tcase_add_test(t, damaged_stream);
    tcase_add_test(t, limits_of_what_is_unpacked);
    tcase_add_test(t, limit_of_the_file);
    tcase_add_test(t, impostors);
    tcase_add_test(t, every_truncation);
    tcase_add_test(t, every_bit);
    tcase_add_test(t, every_byte_resealed);
    tcase_set_timeout(t, 60); /* under valgrind */
    return t;
}
