/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fuzz/ckpt/image.h"
#include "base/file.h"
#include "ckpt/ckpt.h"
#include "failalloc.h"

Suite *omq_suite_ckpt(void);

/* ---- the sample: every type, every kind, one kind from the future */

static const char json[] = "{\"format_version\": 1, \"graph\": [\"a network network network\"]}";

static const float f32[6] = {0.5f, -1, 2, 3, -4, 1e-30f};
static const double f64[1] = {3.25};
static const int8_t i8[7] = {-128, -1, 0, 1, 2, 3, 127};
static const int32_t i32[4] = {INT32_MIN, -1, 0, INT32_MAX};
static const uint64_t u64[4] = {0, 1, 2, UINT64_MAX};
static const uint8_t u8[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 255};

/* In the order of the file, which is not that of addition. */
static const struct sample {
    const char *kind, *name;
    enum omq_dtype dtype;
    int bits, ndim;
    uint64_t dims[OMQ_CKPT_MAX_DIMS];
    const void *data;
    size_t n_bytes;
} samples[] = {
    {"QPAR", "conv1.step", OMQ_F32, 0, 1, {3}, f32, 12},
    {"QPAR", "conv2.step", OMQ_F32, 0, 1, {1}, f32 + 2, 4},
    {"WFPT", "conv1.weight", OMQ_F32, 0, 4, {3, 2, 1, 1}, f32, 24},
    {"WFPT", "sc\xc3\xa4lar", OMQ_F64, 0, 0, {0}, f64, 8},
    {"pACK", "conv1", OMQ_U8, 4, 2, {5, 2}, u8, 10},
    {"oPTM", "conv1.weight", OMQ_I8, 0, 8, {1, 1, 7, 1, 1, 1, 1, 1}, i8, 7},
    {"rNGS", "state", OMQ_U64, 0, 1, {4}, u64, 32},
    {"hISt", "log", OMQ_U8, 0, 1, {10}, u8, 10},
    {"xTRa", "new", OMQ_I32, 5, 2, {2, 2}, i32, 16},
};

enum { N_SAMPLES = sizeof(samples) / sizeof(samples[0]), N_ENTRIES = N_SAMPLES + 3 };
enum { META = 0, NAME = 1, DIMS = 2, CONV1 = 3, CONV2 = 4, WEIGHT = 5, SCALAR = 6, PACK = 7 };

static char dir[] = "/tmp/omq-ckpt-XXXXXX";
static char path[64], fifo[64];
static uint8_t *good; /* the bytes of the sample */
static size_t n_good;

static struct omq_ckpt_writer *sample_writer(const char *meta)
{
    struct omq_ckpt_writer *w;
    struct omq_err err;

    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    omq_ckpt_set_meta(w, meta, strlen(meta));
    omq_ckpt_set_switch(w, (struct omq_switch_word){.w = 4, .a = 8, .profile = -1});
    for (int k = 0; k < N_SAMPLES; k++) { /* the second half first */
        const struct sample *s = &samples[(k + N_SAMPLES / 2) % N_SAMPLES];
        char name[32];

        snprintf(name, sizeof(name), "%s", s->name); /* names are copied */
        ck_assert_int_eq(omq_ckpt_add(w, s->kind, name, s->dtype, s->bits, s->ndim, s->dims,
                                      s->data, &err), OMQ_OK);
    }
    return w;
}

static void write_sample(const char *to, const char *meta)
{
    struct omq_ckpt_writer *w = sample_writer(meta);
    struct omq_err err;

    ck_assert_msg(omq_ckpt_write(w, to, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_writer_close(w);
}

static void read_bytes(const char *from, uint8_t **p, size_t *n)
{
    struct omq_err err;

    ck_assert_int_eq(omq_file_read(from, 1 << 24, p, n, &err), OMQ_OK);
}

static void write_bytes(const char *to, const void *p, size_t n)
{
    FILE *f = fopen(to, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/m.omq", dir);
    snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    write_sample(path, json);
    read_bytes(path, &good, &n_good);
}

static void teardown(void)
{
    unlink(path);
    unlink(fifo);
    ck_assert_int_eq(rmdir(dir), 0); /* fails if a temporary file is left */
    free(good);
}

/* Opens from a block of exactly n bytes, so that a sanitizer sees reads beyond. */
static int open_bytes(const uint8_t *p, size_t n, uint64_t max_bytes, struct omq_ckpt **c,
                      struct omq_err *err)
{
    uint8_t *copy = malloc(n ? n : 1);
    int rc;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, p, n);
    rc = omq_ckpt_open_memory(c, copy, n, "m.omq", max_bytes, err);
    free(copy);
    return rc;
}

static void assert_refused(const uint8_t *p, size_t n, uint64_t max_bytes, int code,
                           const char *text)
{
    struct omq_ckpt *c = NULL;
    struct omq_err err = {0};
    int rc = open_bytes(p, n, max_bytes, &c, &err);

    if (rc == OMQ_OK)
        omq_ckpt_close(c);
    ck_assert_msg(rc == code, "'%s' expected, code %d, message '%s'", text, rc, err.msg);
    ck_assert_int_eq(err.code, code);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(strncmp(err.msg, "'m.omq': ", 9), 0);
    ck_assert_msg(strstr(err.msg, text) != NULL, "'%s' is not in '%s'", text, err.msg);
}

static void assert_opens(const uint8_t *p, size_t n, uint64_t max_bytes)
{
    struct omq_ckpt *c;
    struct omq_err err;

    ck_assert_msg(open_bytes(p, n, max_bytes, &c, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_close(c);
}

static void assert_is_sample(const struct omq_ckpt *c)
{
    const char *meta;
    size_t n;

    meta = omq_ckpt_meta(c, &n);
    ck_assert_uint_eq(n, sizeof(json) - 1);
    ck_assert_str_eq(meta, json);
    ck_assert_int_eq(omq_ckpt_count(c), N_SAMPLES);
    for (int i = 0; i < N_SAMPLES; i++) {
        const struct omq_tensor_info *t = omq_ckpt_at(c, i);
        const struct sample *s = &samples[i];
        const void *data = NULL;
        struct omq_err err;

        ck_assert_str_eq(t->kind, s->kind);
        ck_assert_str_eq(t->name, s->name);
        ck_assert_int_eq(t->dtype, s->dtype);
        ck_assert_int_eq(t->bits, s->bits);
        ck_assert_int_eq(t->ndim, s->ndim);
        ck_assert_mem_eq(t->dims, s->dims, sizeof(t->dims));
        ck_assert_uint_eq(t->n_bytes, s->n_bytes);
        ck_assert_uint_eq((uintptr_t)t->data % 64, 0);
        ck_assert_mem_eq(t->data, s->data, s->n_bytes);
        ck_assert_ptr_eq(omq_ckpt_find(c, s->kind, s->name), t);
        ck_assert_int_eq(omq_ckpt_get(c, s->kind, s->name, s->dtype, s->ndim, s->dims, &data,
                                      &err), OMQ_OK);
        ck_assert_ptr_eq(data, t->data);
    }
    ck_assert_ptr_null(omq_ckpt_at(c, -1));
    ck_assert_ptr_null(omq_ckpt_at(c, N_SAMPLES));
    ck_assert_ptr_null(omq_ckpt_find(c, "QPAR", "conv1.weight"));
    ck_assert_ptr_null(omq_ckpt_find(c, "WFPT", "zzz"));
    ck_assert_int_eq(omq_ckpt_switch(c).w, 4);
    ck_assert_int_eq(omq_ckpt_switch(c).a, 8);
    ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
}

/* ---- what is written can be read */

START_TEST(round_trip)
{
    struct omq_ckpt *c;
    struct omq_err err;

    ck_assert_msg(omq_ckpt_open(&c, path, 0, &err) == OMQ_OK, "%s", err.msg);
    assert_is_sample(c);
    omq_ckpt_close(c);
    ck_assert_int_eq(open_bytes(good, n_good, 0, &c, &err), OMQ_OK);
    assert_is_sample(c);
    omq_ckpt_close(c);
    ck_assert_uint_eq(good[4 + 64], 1); /* META is long enough to be compressed */
    omq_ckpt_close(NULL);
    omq_ckpt_writer_close(NULL);
}
END_TEST

START_TEST(round_trip_without_tensors)
{
    struct omq_ckpt_writer *w;
    struct omq_ckpt *c;
    struct omq_err err;
    size_t n;

    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    omq_ckpt_set_meta(w, "{}", 2);
    ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_OK);
    omq_ckpt_writer_close(w);
    ck_assert_int_eq(omq_ckpt_open(&c, path, 0, &err), OMQ_OK);
    ck_assert_str_eq(omq_ckpt_meta(c, &n), "{}");
    ck_assert_int_eq(omq_ckpt_count(c), 0);
    ck_assert_ptr_null(omq_ckpt_find(c, "WFPT", "x"));
    ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
    ck_assert_int_eq(omq_ckpt_switch(c).w, 0);
    omq_ckpt_close(c);
}
END_TEST

/* Many names, sorted neither before nor after: duplicates and look-up. */
START_TEST(many_tensors)
{
    enum { N = 1000 };
    struct omq_ckpt_writer *w;
    struct omq_ckpt *c;
    struct omq_err err;
    static uint64_t values[N];
    char name[20];

    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    omq_ckpt_set_meta(w, "{}", 2);
    for (int i = 0; i < N; i++) {
        values[i] = (uint64_t)i;
        snprintf(name, sizeof(name), "t%d", i * 7919 % N);
        ck_assert_int_eq(omq_ckpt_add(w, "WFPT", name, OMQ_U64, 0, 0, NULL, &values[i], &err),
                         OMQ_OK);
        ck_assert_int_eq(omq_ckpt_add(w, "WFPT", name, OMQ_U64, 0, 0, NULL, &values[i], &err),
                         OMQ_EARG);
    }
    ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_OK);
    omq_ckpt_writer_close(w);
    ck_assert_int_eq(omq_ckpt_open(&c, path, 0, &err), OMQ_OK);
    ck_assert_int_eq(omq_ckpt_count(c), N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "t%d", i * 7919 % N);
        ck_assert_uint_eq(*(const uint64_t *)omq_ckpt_find(c, "WFPT", name)->data, (uint64_t)i);
    }
    omq_ckpt_close(c);
}
END_TEST

START_TEST(same_additions_same_bytes)
{
    struct omq_ckpt_writer *w = sample_writer(json);
    struct omq_err err;
    uint8_t *p;
    size_t n;

    for (int i = 0; i < 2; i++) { /* a writer may write again */
        ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_OK);
        read_bytes(path, &p, &n);
        ck_assert_uint_eq(n, n_good);
        ck_assert_mem_eq(p, good, n);
        free(p);
    }
    omq_ckpt_writer_close(w);
}
END_TEST

/* The byte table of omq-format(5), from the first byte of an empty file. */
START_TEST(bytes_as_specified)
{
    static const uint8_t head[24] = {0x93, 0x4f, 0x4d, 0x51, 0x0d, 0x0a, 0x1a, 0x0a, 1, 0, 0, 0,
                                     64,   0,    0,    0,    4,    3,    2,    1,    1, 0, 0, 0};
    const uint8_t *conv1 = image_entry(good, CONV1), *pack = image_entry(good, PACK);
    const uint8_t *dims = image_section(good, DIMS);

    ck_assert_mem_eq(good, head, sizeof(head));
    ck_assert_uint_eq(omq_get_le64(good + 24), n_good);
    ck_assert_uint_eq(omq_get_le64(good + 32), 64);
    ck_assert_uint_eq(omq_get_le32(good + 40), N_ENTRIES);
    ck_assert_uint_eq(omq_get_le32(good + 44), 64);
    ck_assert_uint_eq(omq_get_le32(good + 56), 0x00000804);
    ck_assert_uint_eq(omq_get_le32(good + 60), 0xfffff7fb);
    ck_assert_mem_eq(conv1, "QPAR\0\0\0\0", 8);
    ck_assert_uint_eq(omq_get_le64(conv1 + 16), 12);
    ck_assert_uint_eq(omq_get_le32(conv1 + 40), 0);
    ck_assert_mem_eq(conv1 + 44, "\1\0\1\0", 4); /* f32, one dimension */
    ck_assert_uint_eq(omq_get_le32(conv1 + 52), 10);
    ck_assert_mem_eq(pack + 44, "\3\0\2\4", 4); /* u8, two dimensions, 4 bits */
    ck_assert_mem_eq(image_section(good, NAME), "conv1.step\0conv2.step\0conv1.weight\0", 35);
    ck_assert_uint_eq(omq_get_le64(dims + 64 * 2), 3);
    ck_assert_uint_eq(omq_get_le64(dims + 64 * 2 + 8), 2);
    ck_assert_mem_eq(image_section(good, CONV1), "\0\0\0\x3f\0\0\x80\xbf", 8); /* 0.5, -1 */
}
END_TEST

START_TEST(get_says_what_is_wrong)
{
    struct omq_ckpt *c;
    struct omq_err err;
    const void *data = NULL;
    const uint64_t dims[] = {3, 2, 1, 1}, other[] = {3, 2, 3, 3};

    ck_assert_int_eq(open_bytes(good, n_good, 0, &c, &err), OMQ_OK);
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv9", OMQ_F32, 4, dims, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_str_eq(err.msg, "'m.omq' has no section 'WFPT' 'conv9'");
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv1.weight", OMQ_F32, 4, other, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "'m.omq': section 'WFPT' 'conv1.weight' is "
                                          "f32 [3, 2, 1, 1], expected f32 [3, 2, 3, 3]"));
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv1.weight", OMQ_I32, 4, dims, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_int_eq(omq_ckpt_get(c, "WFPT", "conv1.weight", OMQ_F32, 3, dims, &data, &err),
                     OMQ_EFORMAT);
    ck_assert_ptr_null(data);
    omq_ckpt_close(c);
}
END_TEST

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
    {META, 24, 8, sizeof(json), OMQ_EFORMAT, "bytes do not unpack to"},
    {META, 24, 8, sizeof(json) - 2, OMQ_EFORMAT, "bytes do not unpack to"},
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
    uint8_t *p = (t->entry < 0 ? good : image_entry(good, t->entry)) + t->pos;
    uint64_t v = t->value;

    for (int i = 0; i < t->size; i++, v >>= 8)
        p[i] = (uint8_t)v;
    if (t->entry >= 0 && t->pos < 16 && t->pos >= 8)
        image_reseal_table(good, n_good); /* not the section it now points to */
    else if (t->entry < 0)
        image_reseal_header(good);
    else
        image_reseal(good, n_good);
    if (t->code == OMQ_OK)
        assert_opens(good, n_good, 0);
    else
        assert_refused(good, n_good, 0, t->code, t->text);
}
END_TEST

START_TEST(checksums)
{
    uint8_t *conv1 = image_entry(good, CONV1);
    char place[80];

    good[41] ^= 1; /* the header */
    assert_refused(good, n_good, 0, OMQ_EFORMAT, "the header at byte 0: checksum does not match");
    good[41] ^= 1;
    conv1[52] ^= 1; /* the table */
    assert_refused(good, n_good, 0, OMQ_EFORMAT,
                   "the table of contents at byte 64: checksum does not match");
    conv1[52] ^= 1;
    for (int i = 0; i < N_ENTRIES; i++) { /* a section */
        uint64_t at = omq_get_le64(image_entry(good, i) + 8);

        good[at] ^= 1;
        snprintf(place, sizeof(place), "at byte %llu: checksum does not match (the file is "
                 "damaged; copy it again)", (unsigned long long)at);
        assert_refused(good, n_good, 0, OMQ_EFORMAT, place);
        if (i == CONV1)
            assert_refused(good, n_good, 0, OMQ_EFORMAT, "section 'QPAR' 'conv1.step' at byte");
        good[at] ^= 1;
    }
    conv1[36] ^= 1; /* the second checksum of a plain section */
    image_reseal_table(good, n_good);
    assert_refused(good, n_good, 0, OMQ_EFORMAT, "its two checksums differ");
    conv1[36] ^= 1;
    image_reseal_table(good, n_good);
    assert_opens(good, n_good, 0);
}
END_TEST

START_TEST(gaps_and_tail)
{
    uint64_t end = omq_get_le64(image_entry(good, CONV1) + 8) + 12;
    uint8_t *longer = calloc(1, n_good + 64);

    good[end] = 1;
    assert_refused(good, n_good, 0, OMQ_EFORMAT, "before it is not zero");
    good[end] = 0;
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, good, n_good);
    assert_refused(longer, n_good + 64, 0, OMQ_EFORMAT, "has 64 bytes behind its end");
    omq_put_le64(longer + 24, n_good + 64);
    image_reseal(longer, n_good + 64);
    assert_refused(longer, n_good + 64, 0, OMQ_EFORMAT, "the last section ends at byte");
    free(longer);
}
END_TEST

/* A hole of 64 zero bytes before the last section. */
START_TEST(hole)
{
    uint8_t *last = image_entry(good, N_ENTRIES - 1), *p = calloc(1, n_good + 64);
    uint64_t at = omq_get_le64(last + 8);

    ck_assert_ptr_nonnull(p);
    omq_put_le64(last + 8, at + 64);
    omq_put_le64(good + 24, n_good + 64);
    memcpy(p, good, at);
    memcpy(p + at + 64, good + at, n_good - at);
    image_reseal(p, n_good + 64);
    assert_refused(p, n_good + 64, 0, OMQ_EFORMAT, "bytes before it belong to nothing");
    free(p);
}
END_TEST

static void refuse_section(int which, const void *stored, size_t n, const char *text)
{
    size_t n_out;
    uint8_t *p = image_replace(good, which, stored, n, 64, &n_out);

    if (text)
        assert_refused(p, n_out, 0, OMQ_EFORMAT, text);
    else
        assert_opens(p, n_out, 0);
    free(p);
}

START_TEST(meta_text)
{
    free(good);
    write_sample(path, "{}"); /* too short to be compressed */
    read_bytes(path, &good, &n_good);
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
    uint8_t *section = image_section(good, NAME), *longer;
    size_t n = omq_get_le64(image_entry(good, NAME) + 16);

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        memcpy(section, names[i].bytes, 10);
        image_reseal(good, n_good);
        if (names[i].text)
            assert_refused(good, n_good, 0, OMQ_EFORMAT, names[i].text);
        else
            assert_opens(good, n_good, 0);
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
    uint8_t *row = image_section(good, DIMS) + (WEIGHT - 3) * 64;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        for (int k = 0; k < 8; k++)
            omq_put_le64(row + k * 8, shapes[i].dims[k]);
        image_reseal(good, n_good);
        if (shapes[i].text)
            assert_refused(good, n_good, 0, OMQ_EFORMAT, shapes[i].text);
        else
            assert_opens(good, n_good, 0);
    }
    refuse_section(DIMS, image_section(good, DIMS), N_SAMPLES * 64 - 8, "not in the range");
}
END_TEST

START_TEST(newer_minor_version)
{
    size_t n;
    uint8_t *p = image_replace(good, -1, NULL, 0, 72, &n);
    struct omq_ckpt *c;
    struct omq_err err;

    p[10] = 1;
    image_reseal(p, n);
    ck_assert_msg(open_bytes(p, n, 0, &c, &err) == OMQ_OK, "%s", err.msg);
    assert_is_sample(c);
    omq_ckpt_close(c);
    free(p);
}
END_TEST

/* ---- compression */

static uint8_t *compress_all(size_t *n)
{
    uint8_t *p = image_compress(good, 1, n), *q;

    for (int i = 2; i < N_ENTRIES; i++, p = q) {
        q = image_compress(p, i, n);
        free(p);
    }
    return p;
}

START_TEST(every_section_may_be_compressed)
{
    size_t n;
    uint8_t *p = compress_all(&n);
    struct omq_ckpt *c;
    struct omq_err err;

    ck_assert_msg(open_bytes(p, n, 0, &c, &err) == OMQ_OK, "%s", err.msg);
    assert_is_sample(c);
    omq_ckpt_close(c);
    free(p);
}
END_TEST

START_TEST(damaged_stream)
{
    size_t n, n_stored = omq_get_le64(image_entry(good, META) + 16);
    uint8_t stored[200] = {0}, *p;

    ck_assert_uint_lt(n_stored, sizeof(stored) - 1);
    memcpy(stored, image_section(good, META), n_stored);
    refuse_section(META, stored, n_stored, NULL);
    refuse_section(META, stored, n_stored + 1, "do not unpack"); /* a byte behind the stream */
    refuse_section(META, stored, n_stored - 1, "do not unpack");
    stored[0] ^= 0x40;
    refuse_section(META, stored, n_stored, "do not unpack");
    stored[0] ^= 0x40;
    p = compress_all(&n);
    image_section(p, WEIGHT)[0] ^= 0x40;
    image_reseal(p, n);
    assert_refused(p, n, 0, OMQ_EFORMAT, "section 'WFPT' 'conv1.weight' at byte");
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
    p = image_replace(good, META, stored, n, 64, &n_out);
    e = image_entry(p, META);
    omq_put_le64(e + 24, n_raw);
    omq_put_le32(e + 36, (uint32_t)crc32_z(0, (uint8_t *)raw, n_raw));
    image_reseal(p, n_out);
    assert_refused(p, n_out, 0, OMQ_EFORMAT, "which is not in the range 1 to 16777216");
    assert_refused(p, n_out, 1 << 24, OMQ_ENOMEM, "larger than the limit of 16777216 bytes");
    free(p);
    free(stored);
    free(raw);
}
END_TEST

START_TEST(limit_of_the_file)
{
    const uint64_t content = n_good + sizeof(json) - 1; /* META is compressed */

    assert_opens(good, n_good, content);
    assert_refused(good, n_good, content - 1, OMQ_ENOMEM, "larger than the limit");
    assert_refused(good, n_good, n_good - 1, OMQ_ENOMEM, "more than the limit of");
    assert_refused(good, n_good, 1, OMQ_ENOMEM, "more than the limit of 1");
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
        assert_refused((const uint8_t *)files[i].bytes, files[i].n, 0, OMQ_EFORMAT, files[i].text);
}
END_TEST

/* ---- damage anywhere */

START_TEST(every_truncation)
{
    for (size_t n = 0; n < n_good; n++)
        assert_refused(good, n, 0, OMQ_EFORMAT, "");
}
END_TEST

START_TEST(every_bit)
{
    struct omq_err err;
    struct omq_ckpt *c;

    for (size_t i = 0; i < n_good * 8; i++) {
        good[i / 8] ^= (uint8_t)(1 << i % 8);
        if (i / 8 >= 56 && i / 8 < 64) {
            ck_assert_int_eq(open_bytes(good, n_good, 0, &c, &err), OMQ_OK);
            ck_assert_int_eq(omq_ckpt_switch(c).w, 0); /* the complement does not match */
            ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
            omq_ckpt_close(c);
        } else {
            int rc = open_bytes(good, n_good, 0, &c, &err);

            ck_assert_msg(rc == OMQ_EFORMAT || (rc == OMQ_EVERSION && i / 8 / 2 == 4),
                          "bit %zu: %d", i, rc);
        }
        good[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}
END_TEST

/* The same behind right checksums: any answer, but no crash. */
START_TEST(every_byte_resealed)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint8_t *p = malloc(n_good);
    struct omq_ckpt *c;
    struct omq_err err;
    int opened = 0, refused = 0;

    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n_good; i++) {
        for (size_t k = 0; k < sizeof(values); k++) {
            memcpy(p, good, n_good);
            p[i] = values[k];
            image_reseal(p, n_good);
            if (open_bytes(p, n_good, 1 << 20, &c, &err) < 0) {
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

/* ---- memory runs out */

START_TEST(open_without_memory)
{
    size_t n;
    uint8_t *p = compress_all(&n);
    long tries = 0;
    int rc;

    do {
        struct omq_ckpt *c = NULL;
        struct omq_err err = {0};

        failalloc_set(++tries);
        rc = omq_ckpt_open_memory(&c, p, n, "m.omq", 0, &err);
        failalloc_set(0);
        ck_assert(rc == OMQ_OK || (rc == OMQ_ENOMEM && !c && err.msg[0]));
        omq_ckpt_close(c);
    } while (rc != OMQ_OK && tries < 100);
    ck_assert_int_eq(rc, OMQ_OK);
    ck_assert_int_gt(tries, 5); /* so the failures really came */
    free(p);
}
END_TEST

/* From the first allocation of the writer to the rename. */
static int write_something(const char *to, struct omq_err *err)
{
    struct omq_ckpt_writer *w = NULL;
    int rc = omq_ckpt_writer_open(&w, err);

    if (rc == OMQ_OK)
        omq_ckpt_set_meta(w, "{}", 2);
    for (int i = 0; rc == OMQ_OK && i < 100; i++) { /* the list grows once */
        char name[16];

        snprintf(name, sizeof(name), "t%d", i);
        rc = omq_ckpt_add(w, "WFPT", name, OMQ_F32, 0, 1, (uint64_t[]){6}, f32, err);
    }
    if (rc == OMQ_OK)
        rc = omq_ckpt_write(w, to, err);
    omq_ckpt_writer_close(w);
    return rc;
}

static void assert_old_file(void)
{
    uint8_t *p;
    size_t n;

    read_bytes(path, &p, &n);
    ck_assert_uint_eq(n, n_good);
    ck_assert_mem_eq(p, good, n);
    free(p);
}

START_TEST(write_without_memory)
{
    long tries = 0;
    int rc;

    for (;;) {
        struct omq_err err = {0};

        failalloc_set(++tries);
        rc = write_something(path, &err);
        failalloc_set(0);
        if (rc == OMQ_OK || tries == 1000)
            break;
        ck_assert_int_eq(rc, OMQ_ENOMEM);
        ck_assert_uint_ne(err.msg[0], 0);
        assert_old_file();
    }
    ck_assert_int_eq(rc, OMQ_OK);
    ck_assert_int_gt(tries, 100);
}
END_TEST

/* ---- the system fails */

START_TEST(wrong_arguments)
{
    struct omq_ckpt_writer *w;
    struct omq_err err;
    char name[300];
    const uint64_t one[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, none[1] = {0};
    const uint64_t huge[2] = {1ull << 32, 1ull << 32};

    memset(name, 'a', sizeof(name));
    name[256] = 0;
    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_EARG); /* no META */
    assert_old_file();
#define ADD(kind, name, dtype, bits, ndim, dims) \
    omq_ckpt_add(w, kind, name, dtype, bits, ndim, dims, f32, &err)
    ck_assert_int_eq(ADD("WFPT", "", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", name, OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a/b", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a\x01", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "\xff", OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("META", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("ABCD", "a", OMQ_U8, 0, 1, one), OMQ_EARG); /* critical, unknown */
    ck_assert_int_eq(ADD("WFP", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPTX", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WF1T", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", 0, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", 7, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 4, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("pACK", "a", OMQ_U8, 0, 1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 0, 9, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 0, -1, one), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_U8, 0, 1, none), OMQ_EARG);
    ck_assert_int_eq(ADD("WFPT", "a", OMQ_F32, 0, 2, huge), OMQ_EARG);
    name[255] = 0;
    ck_assert_int_eq(ADD("WFPT", name, OMQ_F32, 0, 1, one), OMQ_OK);
    ck_assert_int_eq(ADD("WFPT", name, OMQ_F32, 0, 1, one), OMQ_EARG);
    ck_assert_ptr_nonnull(strstr(err.msg, "added twice"));
    ck_assert_int_eq(ADD("oPTM", name, OMQ_F32, 0, 1, one), OMQ_OK);
#undef ADD
    omq_ckpt_set_meta(w, "\xff", 1);
    ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_EARG);
    omq_ckpt_set_meta(w, "{}", 2);
    omq_ckpt_set_switch(w, (struct omq_switch_word){.w = 4, .profile = -1});
    ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_EARG);
    assert_old_file();
    omq_ckpt_set_switch(w, (struct omq_switch_word){.profile = -1});
    ck_assert_int_eq(omq_ckpt_write(w, path, &err), OMQ_OK);
    omq_ckpt_writer_close(w);
}
END_TEST

/* Runs fn in a child whose descriptor `fd` is `on`; 0 if it returned true. */
static int in_child(bool (*fn)(void), int fd, int on)
{
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (on >= 0 && dup2(on, fd) < 0)
            _exit(2);
        _exit(fn() ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static bool full_stdout_is_reported(void)
{
    struct omq_err err;

    return write_something("-", &err) == OMQ_EIO &&
           strcmp(err.msg, "cannot write standard output: No space left on device") == 0;
}

START_TEST(write_to_dev_full)
{
    struct omq_err err;
    int fd = open("/dev/full", O_WRONLY);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(in_child(full_stdout_is_reported, STDOUT_FILENO, fd), 0);
    close(fd);
    ck_assert_int_eq(write_something("/dev/full", &err), OMQ_EIO);
    ck_assert_str_eq(err.msg, "cannot write '/dev/full': No space left on device");
}
END_TEST

/* A file that may not grow beyond 1000 bytes stands for a disk that fills up. */
static bool full_disk_is_reported(void)
{
    struct rlimit limit = {1000, 1000};
    struct omq_err err;

    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit) == 0 && write_something(path, &err) == OMQ_EIO &&
           strstr(err.msg, "cannot write '") && strstr(err.msg, "File too large");
}

START_TEST(full_disk_keeps_the_old_file)
{
    ck_assert_int_eq(in_child(full_disk_is_reported, -1, -1), 0);
    assert_old_file();
}
END_TEST

START_TEST(unwritable_directory_keeps_the_old_file)
{
    struct omq_err err;
    bool root = geteuid() == 0;
    int rc;

    ck_assert_int_eq(chmod(dir, 0555), 0);
    ck_assert(!root || seteuid(65534) == 0);
    rc = write_something(path, &err);
    ck_assert(!root || seteuid(0) == 0);
    ck_assert_int_eq(chmod(dir, 0755), 0);
    ck_assert_int_eq(rc, OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Permission denied"));
    assert_old_file();
    ck_assert_int_eq(write_something("/nonexistent/m.omq", &err), OMQ_EIO);
}
END_TEST

START_TEST(open_what_cannot_be_read)
{
    struct omq_ckpt *c = NULL;
    struct omq_err err;

    ck_assert_int_eq(omq_ckpt_open(&c, "/nonexistent.omq", 0, &err), OMQ_EIO);
    ck_assert_str_eq(err.msg, "cannot open '/nonexistent.omq': No such file or directory");
    ck_assert_int_eq(omq_ckpt_open(&c, dir, 0, &err), OMQ_EIO);
    ck_assert_ptr_nonnull(strstr(err.msg, "Is a directory"));
    ck_assert_ptr_null(c);
}
END_TEST

/* ---- pipes */

/* Opens what a child writes into a pipe, in pieces. */
static int open_fed(const uint8_t *p, size_t n, uint64_t max_bytes, struct omq_ckpt **c,
                    struct omq_err *err)
{
    int rc, status;
    pid_t pid;

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = open(fifo, O_WRONLY);

        signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; i < n; i += 50)
            if (write(fd, p + i, n - i < 50 ? n - i : 50) < 0)
                break;
        _exit(0);
    }
    rc = omq_ckpt_open(c, fifo, max_bytes, err);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    unlink(fifo);
    return rc;
}

START_TEST(read_from_a_pipe)
{
    struct omq_ckpt *c = NULL;
    struct omq_err err;
    uint8_t *longer = calloc(1, n_good + 1);

    ck_assert_msg(open_fed(good, n_good, 0, &c, &err) == OMQ_OK, "%s", err.msg);
    assert_is_sample(c);
    omq_ckpt_close(c);
    c = NULL;
    ck_assert_int_eq(open_fed(good, n_good - 1, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "(it is truncated"));
    ck_assert_int_eq(open_fed(good, 40, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_int_eq(open_fed(good, 0, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "is empty"));
    ck_assert_ptr_nonnull(longer);
    memcpy(longer, good, n_good);
    ck_assert_int_eq(open_fed(longer, n_good + 1, 0, &c, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "goes on behind its end"));
    free(longer);
    omq_put_le64(good + 24, 1ull << 40); /* a claim that only the limit can refute */
    image_reseal_header(good);
    ck_assert_int_eq(open_fed(good, n_good, 0, &c, &err), OMQ_ENOMEM);
    ck_assert_ptr_nonnull(strstr(err.msg, "more than the limit of 4294967296"));
    ck_assert_ptr_null(c);
}
END_TEST

static bool stdin_is_sample(void)
{
    struct omq_ckpt *c;
    struct omq_err err;

    if (omq_ckpt_open(&c, "-", 0, &err) < 0)
        return false;
    assert_is_sample(c);
    omq_ckpt_close(c);
    return true;
}

static bool stdin_is_refused(void)
{
    struct omq_ckpt *c;
    struct omq_err err;

    return omq_ckpt_open(&c, "-", 0, &err) == OMQ_EFORMAT &&
           strcmp(err.msg, "'standard input': is empty") == 0;
}

static bool write_sample_to_stdout(void)
{
    write_sample("-", json);
    return true;
}

START_TEST(standard_input_and_output)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0); /* which holds more than the sample */
    ck_assert_int_eq(in_child(write_sample_to_stdout, STDOUT_FILENO, fds[1]), 0);
    close(fds[1]);
    ck_assert_int_eq(in_child(stdin_is_sample, STDIN_FILENO, fds[0]), 0);
    ck_assert_int_eq(in_child(stdin_is_refused, STDIN_FILENO, fds[0]), 0);
    close(fds[0]);
}
END_TEST

/* ---- the switch word */

START_TEST(switch_round_trip)
{
    static const struct omq_switch_word words[] = {
        {8, 8, -1}, {1, 1, -1}, {4, 8, -1}, {32, 32, -1}, {0, 0, 0}, {0, 0, 65534}, {0, 0, -1},
    };
    struct omq_switch_word s;
    struct omq_ckpt *c;
    struct omq_err err;
    uint8_t *p;
    size_t n;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        ck_assert_int_eq(omq_switch_write(path, words[i], &err), OMQ_OK);
        ck_assert_int_eq(omq_switch_read(path, &s, &err), OMQ_OK);
        ck_assert_mem_eq(&s, &words[i], sizeof(s));
        ck_assert_int_eq(omq_ckpt_open(&c, path, 0, &err), OMQ_OK); /* no checksum is hurt */
        s = omq_ckpt_switch(c);
        ck_assert_mem_eq(&s, &words[i], sizeof(s));
        omq_ckpt_close(c);
    }
    read_bytes(path, &p, &n); /* nothing else has changed */
    ck_assert_uint_eq(n, n_good);
    ck_assert_uint_eq(omq_get_le64(p + 56), 0);
    memcpy(p + 56, good + 56, 8);
    ck_assert_mem_eq(p, good, n);
    free(p);
}
END_TEST

START_TEST(switch_refuses_words)
{
    static const struct omq_switch_word words[] = {
        {0, 8, -1}, {8, 0, -1}, {33, 8, -1}, {8, 33, -1}, {-1, 8, -1},
        {8, 8, 0},  {0, 8, 1},  {0, 0, -2},  {0, 0, 65535}, {0, 0, INT32_MAX},
    };
    struct omq_err err;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        ck_assert_int_eq(omq_switch_write(path, words[i], &err), OMQ_EARG);
    assert_old_file();
}
END_TEST

START_TEST(switch_word_damaged)
{
    static const struct {
        uint32_t word, complement;
        const char *text;
    } words[] = {
        {0x0804, 0xfffff7fa, "does not match its complement"},
        {0x0804, 0, "does not match its complement"},
        {0, 0xffffffff, "names no precision"},
        {0x0004, 0xfffffffb, "names no precision"},
        {0x10808, 0xfffef7f7, "names no precision"},
        {0x2121, 0xffffdede, "names no precision"},
    };
    struct omq_switch_word s = {7, 7, 7};
    struct omq_ckpt *c;
    struct omq_err err;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        omq_put_le32(good + 56, words[i].word);
        omq_put_le32(good + 60, words[i].complement);
        write_bytes(path, good, n_good);
        ck_assert_int_eq(omq_switch_read(path, &s, &err), OMQ_EFORMAT);
        ck_assert_ptr_nonnull(strstr(err.msg, words[i].text));
        ck_assert_ptr_nonnull(strstr(err.msg, path));
        ck_assert_int_eq(s.w, 7); /* untouched */
        ck_assert_int_eq(omq_ckpt_open(&c, path, 0, &err), OMQ_OK);
        ck_assert_int_eq(omq_ckpt_switch(c).w, 0);
        ck_assert_int_eq(omq_ckpt_switch(c).profile, -1);
        omq_ckpt_close(c);
    }
    s = (struct omq_switch_word){2, 2, -1};
    ck_assert_int_eq(omq_switch_write(path, s, &err), OMQ_OK);
    ck_assert_int_eq(omq_switch_read(path, &s, &err), OMQ_OK);
}
END_TEST

/* Neither reads nor writes the word of what is not a model. */
START_TEST(switch_checks_the_file)
{
    struct omq_switch_word s = {4, 4, -1};
    struct omq_err err;
    char text[100];
    uint8_t *p;
    size_t n;

    memset(text, 'a', sizeof(text));
    write_bytes(path, text, sizeof(text));
    ck_assert_int_eq(omq_switch_write(path, s, &err), OMQ_EFORMAT);
    ck_assert_ptr_nonnull(strstr(err.msg, "is text"));
    ck_assert_int_eq(omq_switch_read(path, &s, &err), OMQ_EFORMAT);
    read_bytes(path, &p, &n);
    ck_assert_mem_eq(p, text, sizeof(text));
    free(p);
    write_bytes(path, good, 60);
    ck_assert_int_eq(omq_switch_write(path, s, &err), OMQ_EFORMAT);
    good[8] = 2;
    write_bytes(path, good, n_good);
    ck_assert_int_eq(omq_switch_write(path, s, &err), OMQ_EVERSION);
    ck_assert_int_eq(omq_switch_read(path, &s, &err), OMQ_EVERSION);
    unlink(path);
    ck_assert_int_eq(omq_switch_read(path, &s, &err), OMQ_EIO);
    ck_assert_int_eq(omq_switch_write(path, s, &err), OMQ_EIO);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(omq_switch_read(fifo, &s, &err), OMQ_EIO); /* and does not wait */
    ck_assert_int_eq(omq_switch_write(fifo, s, &err), OMQ_EIO);
    ck_assert_int_eq(omq_switch_write(dir, s, &err), OMQ_EIO);
}
END_TEST

static void add_checks(TCase *t)
{
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
}

static void add_system(TCase *t)
{
    tcase_add_test(t, open_without_memory);
    tcase_add_test(t, write_without_memory);
    tcase_add_test(t, wrong_arguments);
    tcase_add_test(t, write_to_dev_full);
    tcase_add_test(t, full_disk_keeps_the_old_file);
    tcase_add_test(t, unwritable_directory_keeps_the_old_file);
    tcase_add_test(t, open_what_cannot_be_read);
    tcase_add_test(t, read_from_a_pipe);
    tcase_add_test(t, standard_input_and_output);
    tcase_set_timeout(t, 60);
}

Suite *omq_suite_ckpt(void)
{
    Suite *s = suite_create("ckpt");
    TCase *t = tcase_create("round trip"), *c = tcase_create("checks");
    TCase *y = tcase_create("system"), *w = tcase_create("switch word");
    TCase *all[] = {t, c, y, w};

    tcase_add_test(t, round_trip);
    tcase_add_test(t, round_trip_without_tensors);
    tcase_add_test(t, many_tensors);
    tcase_add_test(t, same_additions_same_bytes);
    tcase_add_test(t, bytes_as_specified);
    tcase_add_test(t, get_says_what_is_wrong);
    add_checks(c);
    add_system(y);
    tcase_add_test(w, switch_round_trip);
    tcase_add_test(w, switch_refuses_words);
    tcase_add_test(w, switch_word_damaged);
    tcase_add_test(w, switch_checks_the_file);
    for (int i = 0; i < 4; i++) {
        tcase_add_checked_fixture(all[i], setup, teardown);
        suite_add_tcase(s, all[i]);
    }
    return s;
}
