/* SPDX-License-Identifier: MIT
 *
 * Files of weights in memory for the tests of their readers.
 */
#ifndef OMQ_TESTS_SOURCEHELP_H
#define OMQ_TESTS_SOURCEHELP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "arrayhelp.h"
#include "base/bytes.h"

static struct omq_err err;

/* A file that is being made, with a 0 behind it. */
struct bytes {
    uint8_t *p;
    size_t n, room;
};

static inline void put(struct bytes *b, const void *p, size_t n)
{
    if (b->n + n >= b->room) {
        b->room = 2 * (b->n + n) + 1;
        b->p = realloc(b->p, b->room);
        ck_assert_ptr_nonnull(b->p);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

static inline void put_le(struct bytes *b, uint64_t v, size_t n)
{
    uint8_t le[8];

    omq_put_le64(le, v);
    put(b, le, n);
}

/* A safetensors file of this header, and n_data bytes 0, 1, 2 ... or values. */
static inline struct bytes safetensors(const char *header, const void *data, size_t n_data)
{
    struct bytes b = {0};

    put_le(&b, strlen(header), 8);
    put(&b, header, strlen(header));
    for (size_t i = 0; i < n_data; i++)
        put(&b, data ? (const uint8_t *)data + i : (const uint8_t *)&(uint8_t){(uint8_t)i}, 1);
    return b;
}

/* Opens a copy, which the source owns. */
static inline int open_bytes(struct omq_source *s, const struct bytes *b)
{
    uint8_t *copy = malloc(b->n ? b->n : 1);

    ck_assert_ptr_nonnull(copy);
    if (b->n)
        memcpy(copy, b->p, b->n);
    err = (struct omq_err){0};
    return omq_source_parse(s, "w.bin", copy, b->n, &err);
}

/* Not a source, and a sentence that has text. Takes b. */
static inline void refuse_bytes(struct bytes b, int code, const char *text)
{
    struct omq_source s;

    ck_assert_msg(open_bytes(&s, &b) == code, "%d '%s', not '%s'", err.code, err.msg, text);
    ck_assert_msg(strstr(err.msg, text) != NULL, "'%s' is not in '%s'", text, err.msg);
    free(b.p);
}

/* Takes b. */
static inline void accept_bytes(struct omq_source *s, struct bytes b)
{
    ck_assert_msg(open_bytes(s, &b) == OMQ_OK, "%s", err.msg);
    free(b.p);
}

static inline void same_values(const struct omq_source *s, const char *name, const float *want,
                               size_t n)
{
    const struct omq_source_array *a = find_array(s, name);
    float values[64];

    ck_assert_msg(a != NULL, "no '%s'", name);
    ck_assert_uint_eq(a->n, n);
    ck_assert_msg(omq_source_read(s, a, values, &err) == OMQ_OK, "%s", err.msg);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(values[i] == want[i], "%s[%zu] is %g, not %g", name, i, (double)values[i],
                      (double)want[i]);
}

#endif
