/* SPDX-License-Identifier: MIT
 *
 * Protocol buffers, the wire format: fields of a number and a type, integers in
 * groups of 7 bits, messages inside with their length before them.
 */
#include "port/onnx.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "port/proto_read.h"

enum { VARINT_MAX = 10 }; /* bytes */

void omq_proto_release(struct omq_proto *p)
{
    free(p->bytes);
    *p = (struct omq_proto){0};
}

/* Room for n more bytes. */
static bool grow(struct omq_proto *p, size_t n)
{
    size_t need, room = p->room ? p->room : 4096;
    uint8_t *bytes;

    if (p->failed || !omq_add_size(p->n, n, &need) || need > SIZE_MAX / 2) {
        p->failed = true;
        return false;
    }
    if (need <= p->room)
        return true;
    while (room < need)
        room *= 2;
    bytes = realloc(p->bytes, room);
    if (!bytes) {
        p->failed = true;
        return false;
    }
    p->bytes = bytes;
    p->room = room;
    return true;
}

static void put(struct omq_proto *p, const void *bytes, size_t n)
{
    if (n > 0 && grow(p, n)) {
        memcpy(p->bytes + p->n, bytes, n);
        p->n += n;
    }
}

static size_t varint(uint64_t v, uint8_t buf[VARINT_MAX])
{
    size_t n = 0;

    for (; v > 127; v >>= 7)
        buf[n++] = (uint8_t)(v | 128);
    buf[n++] = (uint8_t)v;
    return n;
}

static void put_varint(struct omq_proto *p, uint64_t v)
{
    uint8_t buf[VARINT_MAX];

    put(p, buf, varint(v, buf));
}

static void put_key(struct omq_proto *p, int field, enum omq_wire wire)
{
    put_varint(p, (uint64_t)field << 3 | wire);
}

void omq_proto_int(struct omq_proto *p, int field, int64_t v)
{
    put_key(p, field, OMQ_WIRE_VARINT);
    put_varint(p, (uint64_t)v);
}

void omq_proto_bytes(struct omq_proto *p, int field, const void *bytes, size_t n)
{
    put_key(p, field, OMQ_WIRE_BYTES);
    put_varint(p, n);
    put(p, bytes, n);
}

void omq_proto_text(struct omq_proto *p, int field, const char *text)
{
    omq_proto_bytes(p, field, text, strlen(text));
}

size_t omq_proto_begin(struct omq_proto *p, int field)
{
    put_key(p, field, OMQ_WIRE_BYTES);
    return p->n;
}

/* What has no length yet moves up to make place for it: a message is copied once
 * for each that it lies in. */
void omq_proto_end(struct omq_proto *p, size_t begin)
{
    uint8_t buf[VARINT_MAX];
    const size_t n = varint(p->n - begin, buf);

    if (!grow(p, n))
        return;
    memmove(p->bytes + begin + n, p->bytes + begin, p->n - begin);
    memcpy(p->bytes + begin, buf, n);
    p->n += n;
}
