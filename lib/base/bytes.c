/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

const uint8_t *omq_cursor_take(struct omq_cursor *c, size_t n)
{
    const uint8_t *p = c->p + c->pos;

    if (c->failed)
        return NULL;
    if (n > c->size - c->pos) {
        c->failed = true;
        return NULL;
    }
    c->pos += n;
    return p;
}

/* Little-endian value of the next n bytes, n <= 8; 0 on failure. */
static uint64_t take_le(struct omq_cursor *c, size_t n)
{
    const uint8_t *p = omq_cursor_take(c, n);
    uint64_t v = 0;

    for (size_t i = n; p && i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

uint8_t omq_cursor_u8(struct omq_cursor *c) { return (uint8_t)take_le(c, 1); }
uint16_t omq_cursor_le16(struct omq_cursor *c) { return (uint16_t)take_le(c, 2); }
uint32_t omq_cursor_le32(struct omq_cursor *c) { return (uint32_t)take_le(c, 4); }
uint64_t omq_cursor_le64(struct omq_cursor *c) { return take_le(c, 8); }
uint32_t omq_cursor_be32(struct omq_cursor *c)
{
    return __builtin_bswap32((uint32_t)take_le(c, 4));
}

static void put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

void omq_put_le16(uint8_t *p, uint16_t v) { put_le(p, v, 2); }
void omq_put_le32(uint8_t *p, uint32_t v) { put_le(p, v, 4); }
void omq_put_le64(uint8_t *p, uint64_t v) { put_le(p, v, 8); }

uint32_t omq_get_le32(const uint8_t *p)
{
    struct omq_cursor c = omq_cursor_init(p, 4);

    return omq_cursor_le32(&c);
}

uint64_t omq_get_le64(const uint8_t *p)
{
    struct omq_cursor c = omq_cursor_init(p, 8);

    return omq_cursor_le64(&c);
}
