/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "datahelp.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "base/file.h"

char datahelp_dir[64];

void datahelp_setup(void)
{
    snprintf(datahelp_dir, sizeof(datahelp_dir), "/tmp/omq-test-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(datahelp_dir));
}

const char *datahelp_path(const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", datahelp_dir, name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void datahelp_teardown(void)
{
    ck_assert_int_eq(nftw(datahelp_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* mkdir -p of what is before the last slash */
static void make_folders(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s", datahelp_path(name));
    for (char *p = path + strlen(datahelp_dir) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0777);
        *p = '/';
    }
}

void datahelp_link(const char *name, const char *target)
{
    char *from = realpath(target, NULL);

    ck_assert_msg(from != NULL, "no %s: run the tests from the root of the source", target);
    make_folders(name);
    ck_assert_int_eq(symlink(from, datahelp_path(name)), 0);
    free(from);
}

void datahelp_put(const char *name, const void *bytes, size_t n)
{
    FILE *f;

    make_folders(name);
    f = fopen(datahelp_path(name), "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

size_t datahelp_pack(uint8_t *out, size_t cap, const uint8_t *in, size_t n)
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

size_t datahelp_header(uint8_t *out, int n_dims, const uint32_t *dims)
{
    memcpy(out, (uint8_t[]){0, 0, 8, (uint8_t)n_dims}, 4);
    for (int i = 0; i < n_dims; i++)
        for (int b = 0; b < 4; b++)
            out[4 + 4 * i + b] = (uint8_t)(dims[i] >> (24 - 8 * b));
    return 4 + 4 * (size_t)n_dims;
}

void datahelp_put_idx(const char *name, int n_dims, const uint32_t *dims, const uint8_t *values)
{
    uint8_t buf[1 << 14];
    size_t at = datahelp_header(buf, n_dims, dims), n = 1;

    for (int i = 0; i < n_dims; i++)
        n *= dims[i];
    ck_assert_uint_le(at + n, sizeof(buf));
    memcpy(buf + at, values, n);
    datahelp_put(name, buf, at + n);
}

struct omq_data_config datahelp_synthetic(int n, int h, int w, int c, int classes)
{
    return (struct omq_data_config){
        .format = OMQ_FORMAT_SYNTHETIC, .n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.25},
        .synthetic = {.height = h, .width = w, .channels = c, .classes = classes, .n_train = n,
                      .n_test = n},
    };
}

size_t datahelp_small(uint8_t out[64])
{
    size_t at = datahelp_header(out, DIMS(3, 2, 2));

    for (int i = 0; i < 12; i++)
        out[at + (size_t)i] = (uint8_t)(i * 20);
    return at + 12;
}

void datahelp_fails(int rc, struct omq_err *err, int code, const char *a, const char *b,
                    const char *c)
{
    const char *parts[] = {a, b, c};
    size_t n = strlen(err->msg);

    ck_assert_int_eq(rc, code);
    ck_assert_int_eq(err->code, code);
    for (int i = 0; i < 3; i++)
        if (parts[i])
            ck_assert_msg(strstr(err->msg, parts[i]) != NULL, "no \"%s\" in \"%s\"", parts[i],
                          err->msg);
    ck_assert_uint_gt(n, 10);
    ck_assert_uint_lt(n, sizeof(err->msg) - 1);
    ck_assert(!strchr(err->msg, '\n') && err->msg[n - 1] != '.');
    memset(err, 0, sizeof(*err));
}

struct omq_dataset *datahelp_open(const struct omq_data_config *cfg, enum omq_split split,
                                  uint64_t seed)
{
    struct omq_dataset *d = NULL;
    struct omq_err err;
    int rc = omq_dataset_open(&d, cfg, split, seed, &err);

    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    for (int i = 0; i < d->n; i++)
        ck_assert_int_lt(d->labels[i], d->n_classes);
    return d;
}

struct omq_image datahelp_picture(const char *name, int channels)
{
    struct omq_image im;
    struct omq_err err;
    char path[256];
    uint8_t *bytes;
    size_t n;

    snprintf(path, sizeof(path), "tests/fuzz/image/corpus/%s", name);
    ck_assert_msg(omq_file_read(path, 1 << 20, &bytes, &n, &err) == OMQ_OK &&
                  omq_image_decode(&im, bytes, n, channels, name, &err) == OMQ_OK, "%s", err.msg);
    free(bytes);
    return im;
}
