/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ckpt_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

const float ckpt_floats[6] = {0.5f, -1, 2, 3, -4, 1e-30f};
static const double f64[1] = {3.25};
static const int8_t i8[7] = {-128, -1, 0, 1, 2, 3, 127};
static const int32_t i32[4] = {INT32_MIN, -1, 0, INT32_MAX};
static const uint64_t u64[4] = {0, 1, 2, UINT64_MAX};
static const uint8_t u8[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 255};

/* In the order of the file, which is not that of addition. */
const struct sample ckpt_tensors[N_SAMPLES] = {
    {"QPAR", "conv1.step", OMQ_F32, 0, 1, {3}, ckpt_floats, 12},
    {"QPAR", "conv2.step", OMQ_F32, 0, 1, {1}, ckpt_floats + 2, 4},
    {"WFPT", "conv1.weight", OMQ_F32, 0, 4, {3, 2, 1, 1}, ckpt_floats, 24},
    {"WFPT", "sc\xc3\xa4lar", OMQ_F64, 0, 0, {0}, f64, 8},
    {"pACK", "conv1", OMQ_U8, 4, 2, {5, 2}, u8, 10},
    {"oPTM", "conv1.weight", OMQ_I8, 0, 8, {1, 1, 7, 1, 1, 1, 1, 1}, i8, 7},
    {"rNGS", "state", OMQ_U64, 0, 1, {4}, u64, 32},
    {"xLOg", "log", OMQ_U8, 0, 1, {10}, u8, 10},
    {"xTRa", "new", OMQ_I32, 5, 2, {2, 2}, i32, 16},
};

char ckpt_dir[] = "/tmp/omq-ckpt-XXXXXX";
char ckpt_path[64], ckpt_fifo[64];
uint8_t *ckpt_good;
size_t ckpt_size;

struct omq_ckpt_writer *ckpt_writer(const char *meta)
{
    struct omq_ckpt_writer *w;
    struct omq_err err;

    ck_assert_int_eq(omq_ckpt_writer_open(&w, &err), OMQ_OK);
    omq_ckpt_set_meta(w, meta, strlen(meta));
    omq_ckpt_set_switch(w, (struct omq_switch_word){.w = 4, .a = 8, .profile = -1});
    for (int k = 0; k < N_SAMPLES; k++) { /* the second half first */
        const struct sample *s = &ckpt_tensors[(k + N_SAMPLES / 2) % N_SAMPLES];
        char name[32];

        snprintf(name, sizeof(name), "%s", s->name); /* names are copied */
        ck_assert_int_eq(omq_ckpt_add(w, s->kind, name, s->dtype, s->bits, s->ndim, s->dims,
                                      s->data, &err), OMQ_OK);
    }
    return w;
}

void ckpt_write(const char *to, const char *meta)
{
    struct omq_ckpt_writer *w = ckpt_writer(meta);
    struct omq_err err;

    ck_assert_msg(omq_ckpt_write(w, to, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_writer_close(w);
}

void ckpt_read_bytes(const char *from, uint8_t **p, size_t *n)
{
    struct omq_err err;

    ck_assert_int_eq(omq_file_read(from, 1 << 24, p, n, &err), OMQ_OK);
}

void ckpt_write_bytes(const char *to, const void *p, size_t n)
{
    FILE *f = fopen(to, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

void ckpt_setup(void)
{
    memcpy(ckpt_dir + sizeof(ckpt_dir) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(ckpt_dir));
    snprintf(ckpt_path, sizeof(ckpt_path), "%s/m.omq", ckpt_dir);
    snprintf(ckpt_fifo, sizeof(ckpt_fifo), "%s/fifo", ckpt_dir);
    ckpt_write(ckpt_path, SAMPLE_META);
    ckpt_read_bytes(ckpt_path, &ckpt_good, &ckpt_size);
}

void ckpt_teardown(void)
{
    unlink(ckpt_path);
    unlink(ckpt_fifo);
    ck_assert_int_eq(rmdir(ckpt_dir), 0); /* fails if a temporary file is left */
    free(ckpt_good);
}

int ckpt_open_bytes(const uint8_t *p, size_t n, uint64_t max_bytes, struct omq_ckpt **c,
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

void ckpt_assert_refused(const uint8_t *p, size_t n, uint64_t max_bytes, int code,
                         const char *text)
{
    struct omq_ckpt *c = NULL;
    struct omq_err err = {0};
    int rc = ckpt_open_bytes(p, n, max_bytes, &c, &err);

    if (rc == OMQ_OK)
        omq_ckpt_close(c);
    ck_assert_msg(rc == code, "'%s' expected, code %d, message '%s'", text, rc, err.msg);
    ck_assert_int_eq(err.code, code);
    ck_assert_ptr_null(c);
    ck_assert_int_eq(strncmp(err.msg, "'m.omq': ", 9), 0);
    ck_assert_msg(strstr(err.msg, text) != NULL, "'%s' is not in '%s'", text, err.msg);
}

void ckpt_assert_opens(const uint8_t *p, size_t n, uint64_t max_bytes)
{
    struct omq_ckpt *c;
    struct omq_err err;

    ck_assert_msg(ckpt_open_bytes(p, n, max_bytes, &c, &err) == OMQ_OK, "%s", err.msg);
    omq_ckpt_close(c);
}

void ckpt_assert_is_sample(const struct omq_ckpt *c)
{
    const char *meta;
    size_t n;

    meta = omq_ckpt_meta(c, &n);
    ck_assert_uint_eq(n, sizeof(SAMPLE_META) - 1);
    ck_assert_str_eq(meta, SAMPLE_META);
    ck_assert_int_eq(omq_ckpt_count(c), N_SAMPLES);
    for (int i = 0; i < N_SAMPLES; i++) {
        const struct omq_tensor_info *t = omq_ckpt_at(c, i);
        const struct sample *s = &ckpt_tensors[i];
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

uint8_t *ckpt_compress_all(size_t *n)
{
    uint8_t *p = image_compress(ckpt_good, 1, n), *q;

    for (int i = 2; i < N_ENTRIES; i++, p = q) {
        q = image_compress(p, i, n);
        free(p);
    }
    return p;
}

void ckpt_assert_is_old(void)
{
    uint8_t *p;
    size_t n;

    ckpt_read_bytes(ckpt_path, &p, &n);
    ck_assert_uint_eq(n, ckpt_size);
    ck_assert_mem_eq(p, ckpt_good, n);
    free(p);
}
