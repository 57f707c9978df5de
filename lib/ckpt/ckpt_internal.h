/* SPDX-License-Identifier: MIT
 *
 * The byte layout of omq-format(5), shared by the reader and the writer.
 */
#ifndef OMQ_CKPT_CKPT_INTERNAL_H
#define OMQ_CKPT_CKPT_INTERNAL_H

#include "base/mem.h"
#include "ckpt/ckpt.h"

enum {
    CKPT_MAJOR = 1,
    CKPT_MINOR = 0,
    CKPT_HEADER_SIZE = 64,
    CKPT_SUMS_POS = 48,    /* of the checksums of table and header, 8 bytes */
    CKPT_SWITCH_POS = 56,  /* of the switch word, 8 bytes */
    CKPT_ENTRY_SIZE = 64,  /* that we write; newer minor versions may use more */
    CKPT_MAX_ENTRY_SIZE = 1024,
    CKPT_MAX_ENTRIES = 65536,
    CKPT_ALIGN = 64,       /* of sections */
    CKPT_MAX_META = 16 << 20,
    CKPT_MAX_NAME = 255,
    CKPT_DIMS_ROW = 8 * OMQ_CKPT_MAX_DIMS,
    CKPT_FRAME = 3,        /* META, NAME and DIMS stand before the tensors */
    CKPT_FLAG_COMPLETE = 1, /* of the header */
    CKPT_FLAG_ZLIB = 1,     /* of an entry */
};

struct ckpt_header {
    uint64_t file_size;
    uint32_t n_entries, entry_size;
    uint32_t toc_crc;
    struct omq_switch_word active; /* unset if damaged */
};

/* An entry of the table of contents. */
struct ckpt_entry {
    char kind[5];
    uint32_t flags;
    uint64_t offset, stored_size, raw_size;
    uint32_t stored_crc, raw_crc;
    uint32_t index;
    uint16_t dtype;
    uint8_t ndim, bits;
    uint32_t name_pos, name_len;
    uint64_t reserved;
};

struct omq_ckpt {
    char *path; /* for messages */
    uint8_t *file; /* all of it, aligned to 64 bytes; h.file_size bytes */
    struct ckpt_header h;
    struct omq_arena unpacked; /* META, and sections that were compressed */
    const char *meta;
    size_t n_meta;
    struct omq_tensor_info *tensors; /* in the order of the file */
    const struct omq_tensor_info **sorted; /* the same by kind and name */
    int n_tensors;
};

/* Checks everything in c->file, whose header is in c->h already, and fills the
 * rest of *c, also in part on failure. Memory stays within max_bytes. */
int omq_ckpt_load(struct omq_ckpt *c, uint64_t max_bytes, struct omq_err *err) OMQ_WARN_UNUSED;

/* Its first part, the table of contents. */
int omq_ckpt_table_check(const struct omq_ckpt *c, uint64_t max_bytes,
                         struct omq_err *err) OMQ_WARN_UNUSED;
void omq_ckpt_entry_at(const struct omq_ckpt *c, int i, struct ckpt_entry *e);
/* Prefixes the message with the place of section i, and the name of its tensor where that
 * is known; returns rc. */
int omq_ckpt_in_section(const struct ckpt_entry *e, int i, const char *name, int rc,
                        struct omq_err *err);

/* The kinds META, NAME, DIMS, in their order in a file. */
extern const char omq_ckpt_frame[CKPT_FRAME][5];

/* All checks of a header that need no more of the file than its n_bytes (at
 * most 64) first bytes. */
int omq_ckpt_header_decode(struct ckpt_header *h, const uint8_t *p, size_t n_bytes,
                           struct omq_err *err) OMQ_WARN_UNUSED;
/* The part of them that the switch word needs: magic and major version. */
int omq_ckpt_magic_check(const uint8_t *p, size_t n_bytes, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_ckpt_header_encode(uint8_t p[CKPT_HEADER_SIZE], const struct ckpt_header *h);

void omq_ckpt_entry_decode(struct ckpt_entry *e, const uint8_t p[CKPT_ENTRY_SIZE]);
void omq_ckpt_entry_encode(uint8_t p[CKPT_ENTRY_SIZE], const struct ckpt_entry *e);

/* The 8 bytes of a switch word. Decoding checks complement and ranges, encoding
 * the ranges (OMQ_EARG). */
int omq_ckpt_switch_decode(struct omq_switch_word *s, const uint8_t p[8],
                           struct omq_err *err) OMQ_WARN_UNUSED;
int omq_ckpt_switch_encode(uint8_t p[8], struct omq_switch_word s,
                           struct omq_err *err) OMQ_WARN_UNUSED;

/* Bytes of an element and its name; 0 and NULL for an unknown type. */
size_t omq_ckpt_dtype_size(int dtype);
const char *omq_ckpt_dtype_name(int dtype);

bool omq_ckpt_kind_valid(const char *kind);          /* four ASCII letters */
int omq_ckpt_kind_rank(const char *kind);            /* place in the writer's order, -1: unknown */
bool omq_ckpt_bits_valid(const char *kind, int bits); /* of a packed element, for this kind */

/* Bytes of a tensor with these dimensions, each at least 1; false if one is 0
 * or the product does not fit. */
bool omq_ckpt_tensor_size(int dtype, int ndim, const uint64_t *dims, size_t *n_bytes);

/* Order of kind, then name: negative, 0 or positive. */
int omq_ckpt_key_compare(const char *kind_a, const char *name_a, const char *kind_b,
                         const char *name_b);

/* Values are stored in little-endian order and used in place. */
int omq_ckpt_host_check(struct omq_err *err) OMQ_WARN_UNUSED;

#endif
