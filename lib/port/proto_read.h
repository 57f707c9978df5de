/* SPDX-License-Identifier: MIT
 *
 * Reading protocol buffers: the fields of one message, one after the other. A
 * message inside is bytes, and read by a reader of its own by whoever wants it, so
 * that nothing is ever deeper than the messages that are known.
 */
#ifndef OMQ_PORT_PROTO_READ_H
#define OMQ_PORT_PROTO_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* n bytes of a file; no text ends in a zero. */
struct omq_span {
    const uint8_t *p;
    size_t n;
};

enum omq_wire { OMQ_WIRE_VARINT = 0, OMQ_WIRE_FIXED64 = 1, OMQ_WIRE_BYTES = 2,
                OMQ_WIRE_FIXED32 = 5 };

struct omq_field {
    uint32_t number;
    enum omq_wire wire;
    uint64_t value;        /* VARINT; FIXED32 and FIXED64 as they are */
    struct omq_span bytes; /* BYTES; of the other wires, how they are stored */
};

struct omq_fields {
    struct omq_span left;
    bool failed;           /* the message is damaged: there are no more fields */
};

static inline struct omq_fields omq_fields_of(struct omq_span message)
{
    return (struct omq_fields){.left = message};
}

/* The next field; false at the end, or where the message is damaged. */
bool omq_fields_next(struct omq_fields *f, struct omq_field *out);
/* The next integer of packed ones; false at the end, or (span.n then > 0) where
 * they are damaged. */
bool omq_packed_next(struct omq_span *s, uint64_t *out);

#endif
