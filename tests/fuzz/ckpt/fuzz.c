/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a model file: as they are, and with their checksums made right,
 * because nothing behind a CRC-32 is ever reached by chance. Whatever opens is
 * read to the end, so that an address sanitizer sees it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "ckpt/ckpt.h"
#include "ckpt_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 1 << 22 };

static volatile unsigned sink;

static void touch(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sink += ((const uint8_t *)p)[i];
}

static void open_bytes(const uint8_t *data, size_t size)
{
    struct omq_err err;
    struct omq_ckpt *c;
    const char *meta;
    size_t n;

    err.msg[0] = 0;
    if (omq_ckpt_open_memory(&c, data, size, "fuzz", MAX_BYTES, &err) < 0) {
        check_said(err.msg[0] != 0 && err.code < 0);
        return;
    }
    meta = omq_ckpt_meta(c, &n);
    check(meta[n] == 0 && strlen(meta) == n);
    for (int i = 0; i < omq_ckpt_count(c); i++) {
        const struct omq_tensor_info *t = omq_ckpt_at(c, i);
        const void *p;

        touch(t->data, t->n_bytes);
        check((uintptr_t)t->data % 64 == 0);
        check(omq_ckpt_find(c, t->kind, t->name) == t);
        check_said(omq_ckpt_get(c, t->kind, t->name, t->dtype, t->ndim, t->dims, &p, &err) ==
                   OMQ_OK);
        check(p == t->data);
        check(omq_ckpt_get(c, t->kind, t->name, OMQ_U8, 3, (uint64_t[]){9, 9, 9}, &p, &err) < 0 ||
              t->n_bytes == 729);
    }
    omq_ckpt_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    open_bytes(data, size);
    if (size < 64)
        return 0;
    copy = malloc(size);
    check(copy != NULL);
    memcpy(copy, data, size);
    omq_put_le64(copy + 24, size);
    image_reseal(copy, size);
    open_bytes(copy, size);
    free(copy);
    return 0;
}
