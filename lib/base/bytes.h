/* SPDX-License-Identifier: MIT
 *
 * A bounded cursor over bytes with a sticky error: after a read past the end `failed`
 * is set, every later read gives 0, and pos stays where it was. Check once, after a
 * group of reads.
 */
#ifndef OMQ_BASE_BYTES_H
#define OMQ_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct omq_cursor {
    const uint8_t *p;
    size_t size, pos;
    bool failed;
};

static inline struct omq_cursor omq_cursor_init(const void *p, size_t size)
{
    return (struct omq_cursor){.p = p, .size = size};
}

/* The next n bytes, or NULL (and failed) if there are fewer. */
const uint8_t *omq_cursor_take(struct omq_cursor *c, size_t n);
uint8_t omq_cursor_u8(struct omq_cursor *c);
uint16_t omq_cursor_le16(struct omq_cursor *c);
uint32_t omq_cursor_le32(struct omq_cursor *c);
uint64_t omq_cursor_le64(struct omq_cursor *c);
uint32_t omq_cursor_be32(struct omq_cursor *c);

void omq_put_le16(uint8_t *p, uint16_t v);
void omq_put_le32(uint8_t *p, uint32_t v);
void omq_put_le64(uint8_t *p, uint64_t v);
uint32_t omq_get_le32(const uint8_t *p);
uint64_t omq_get_le64(const uint8_t *p);

#endif
