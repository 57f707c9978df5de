/* SPDX-License-Identifier: MIT */
#include "port/proto_read.h"

#include "base/bytes.h"

bool omq_packed_next(struct omq_span *s, uint64_t *out)
{
    enum { MAX_BYTES = 10 };

    *out = 0;
    for (size_t i = 0; i < s->n && i < MAX_BYTES; i++) {
        *out |= (uint64_t)(s->p[i] & 127) << 7 * i;
        if (s->p[i] < 128) {
            s->p += i + 1;
            s->n -= i + 1;
            return true;
        }
    }
    return false;
}

/* The next n bytes to out->bytes. */
static bool take(struct omq_fields *f, uint64_t n, struct omq_field *out)
{
    if (n > f->left.n)
        return false;
    out->bytes = (struct omq_span){f->left.p, (size_t)n};
    f->left.p += n;
    f->left.n -= (size_t)n;
    return true;
}

static bool next(struct omq_fields *f, struct omq_field *out)
{
    uint64_t key, n;

    if (!omq_packed_next(&f->left, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return false;
    *out = (struct omq_field){.number = (uint32_t)(key >> 3), .wire = (enum omq_wire)(key & 7)};
    switch (key & 7) {
    case OMQ_WIRE_VARINT:
        out->bytes.p = f->left.p;
        if (!omq_packed_next(&f->left, &out->value))
            return false;
        out->bytes.n = (size_t)(f->left.p - out->bytes.p);
        return true;
    case OMQ_WIRE_FIXED64:
        if (!take(f, 8, out))
            return false;
        out->value = omq_get_le64(out->bytes.p);
        return true;
    case OMQ_WIRE_FIXED32:
        if (!take(f, 4, out))
            return false;
        out->value = omq_get_le32(out->bytes.p);
        return true;
    case OMQ_WIRE_BYTES:
        return omq_packed_next(&f->left, &n) && take(f, n, out);
    default: /* groups, which no message of ours has */
        return false;
    }
}

bool omq_fields_next(struct omq_fields *f, struct omq_field *out)
{
    if (f->failed || f->left.n == 0)
        return false;
    f->failed = !next(f, out);
    return !f->failed;
}
