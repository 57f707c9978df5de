/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "data/data_internal.h"
#include "datahelp.h"

Suite *omq_suite_idx(void);

static struct omq_err err;

static void decode_fails(const uint8_t *bytes, size_t n, enum omq_idx_kind kind, int code,
                         const char *a, const char *b)
{
    struct omq_idx x = {.n_dims = 77};

    datahelp_fails(omq_idx_decode(&x, bytes, n, "F", kind, &err), &err, code, "'F'", a, b);
    ck_assert_int_eq(x.n_dims, 77);
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
    size_t n = datahelp_small(raw), m = datahelp_pack(gz, sizeof(gz), raw, n);

    is_small(raw, n);
    is_small(gz, m);
    /* two members, cut in the header: the data is what both hold in a row */
    m = datahelp_pack(gz, sizeof(gz), raw, 7);
    m += datahelp_pack(gz + m, sizeof(gz) - m, raw + 7, n - 7);
    is_small(gz, m);
}
END_TEST

START_TEST(test_idx_every_truncation_fails)
{
    uint8_t raw[64], gz[256];
    size_t n = datahelp_small(raw), m = datahelp_pack(gz, sizeof(gz), raw, n);

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
    size_t n = datahelp_small(raw), m;

    raw[n] = 9;
    decode_fails(raw, n + 1, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 29 bytes, expected 28", NULL);
    m = datahelp_pack(gz, sizeof(gz), raw, n + 1);
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "more values than the expected 12", NULL);
    m = datahelp_pack(gz, sizeof(gz), raw, n - 1);
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 11 values, expected 12", NULL);
    m = datahelp_pack(gz, sizeof(gz), raw, n);
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
    size_t n = datahelp_small(raw), m = datahelp_pack(gz, sizeof(gz), raw, n);
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
    size_t n = datahelp_small(b);

    decode_fails((const uint8_t *)"P5 28 28", 8, OMQ_IDX_IMAGES, OMQ_EFORMAT,
                 "starts with 50 35 20 32, expected 00 00 08 03", NULL);
    decode_fails(b, n, OMQ_IDX_LABELS, OMQ_EFORMAT, "has 3 dimensions, expected 1",
                 "file of images");
    b[2] = 0x0d;
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EUNSUP, "32-bit floats (idx type 0d)", "unsigned");
    b[2] = 0x0a;
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EFORMAT, "not an idx file", NULL);
    n = datahelp_header(b, DIMS(4));
    decode_fails(b, n + 4, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 1 dimension,", "file of labels");
    n = datahelp_header(b, DIMS(1, 1, 1, 5));
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

    n = datahelp_header(b, DIMS(0, 28, 28));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EFORMAT, "no images", NULL);
    n = datahelp_header(b, DIMS(5, 0, 28));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EUNSUP, "0 x 28", NULL);
    n = datahelp_header(b, DIMS(0xffffffff, 0xffffffff, 0xffffffff));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EUNSUP, "4294967295 x 4294967295 pixels", NULL);
    n = datahelp_header(b, DIMS(0xffffffff, 16384, 16384, 4));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_ENOMEM, "4 GiB", NULL);
    n = datahelp_header(b, DIMS(5000, 1024, 1024));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_ENOMEM, "5000 images of 1024 x 1024 x 1", "4 GiB");
    n = datahelp_header(b, DIMS(4000, 1024, 1024));
    decode_fails(b, n, OMQ_IDX_IMAGES, OMQ_EFORMAT, "has 16 bytes, expected 4194304016", NULL);
    m = datahelp_pack(gz, sizeof(gz), b, n);
    decode_fails(gz, m, OMQ_IDX_IMAGES, OMQ_EFORMAT, "claims 4000 x 1024 x 1024 values",
                 "gzip data can hold");
    n = datahelp_header(b, DIMS(0));
    decode_fails(b, n, OMQ_IDX_LABELS, OMQ_EFORMAT, "claims 0 labels", NULL);
    n = datahelp_header(b, DIMS(0xffffffff));
    decode_fails(b, n, OMQ_IDX_LABELS, OMQ_EFORMAT, "claims 4294967295 labels", NULL);
    /* the best of compression is not mistaken for a lie */
    {
        uint8_t *big = calloc(1, 16 + sizeof(zeros) * 64), *small = malloc(1 << 16);
        struct omq_idx x;

        n = datahelp_header(big, DIMS(64, 256, 256));
        m = datahelp_pack(small, 1 << 16, big, n + sizeof(zeros) * 64);
        ck_assert_uint_gt(sizeof(zeros) * 64 / m, 900);
        ck_assert_int_eq(omq_idx_decode(&x, small, m, "F", OMQ_IDX_IMAGES, &err), OMQ_OK);
        ck_assert_int_eq(memcmp(x.bytes, big + n, x.n_bytes), 0);
        free(x.bytes);
        free(big);
        free(small);
    }
}
END_TEST

Suite *omq_suite_idx(void)
{
    Suite *s = suite_create("idx");
    TCase *decode = tcase_create("decode");

    tcase_add_test(decode, test_idx_plain_and_gzip);
    tcase_add_test(decode, test_idx_every_truncation_fails);
    tcase_add_test(decode, test_idx_extra_bytes);
    tcase_add_test(decode, test_idx_every_bit_flip);
    tcase_add_test(decode, test_idx_wrong_kind);
    tcase_add_test(decode, test_idx_claims_are_checked_first);

    suite_add_tcase(s, decode);
    return s;
}
