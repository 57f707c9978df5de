/* SPDX-License-Identifier: MIT
 *
 * Bytes to structs and back: header, switch word, entries, names.
 */
#include "ckpt/ckpt_internal.h"

#include <string.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/utf8.h"

static const uint8_t magic[8] = {0x93, 'O', 'M', 'Q', '\r', '\n', 0x1a, '\n'};

const char omq_ckpt_frame[CKPT_FRAME][5] = {OMQ_SEC_META, "NAME", "DIMS"};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [OMQ_F32] = {"f32", 4}, [OMQ_I8] = {"i8", 1},   [OMQ_U8] = {"u8", 1},
    [OMQ_I32] = {"i32", 4}, [OMQ_U64] = {"u64", 8}, [OMQ_F64] = {"f64", 8},
};

/* In the order in which they are written. */
static const struct {
    const char *kind;
    int min_bits, max_bits; /* of a packed element */
} kinds[] = {
    {OMQ_SEC_QPAR, 0, 0}, {OMQ_SEC_WEIGHT, 0, 0}, {OMQ_SEC_PACK, 1, 8},
    {OMQ_SEC_OPT, 0, 0},  {OMQ_SEC_RNG, 0, 0},
};

enum { N_DTYPES = sizeof(dtypes) / sizeof(dtypes[0]), N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

#define TEXT_MODE "was damaged by a transfer in text mode; copy it again in binary mode"

/* What people hand over instead of a model. */
static const struct {
    const char *bytes;
    size_t n;
    const char *message;
} impostors[] = {
    {"\x93OMQ\n\x1a\n", 7, TEXT_MODE},
    {"\x93OMQ\r\r\n", 7, TEXT_MODE},
    {"\x93OMQ\r\n\x1a\r", 8, TEXT_MODE},
    {"\x13OMQ", 4, "lost the eighth bit of every byte; copy it again in binary mode"},
    {"\x1f\x8b", 2, "is compressed with gzip; unpack it with 'gzip -d' first"},
    {"\x28\xb5\x2f\xfd", 4, "is compressed with zstd; unpack it with 'zstd -d' first"},
    {"\xfd" "7zXZ", 5, "is compressed with xz; unpack it with 'xz -d' first"},
    {"PK\x03\x04", 4, "is a zip archive (as of PyTorch or numpy), not a model of omq-train"},
    {"\x89PNG", 4, "is an image, not a model of omq-train"},
    {"\xff\xd8\xff", 3, "is an image, not a model of omq-train"},
};

static bool looks_like_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 && p[i] != '\n' && p[i] != '\r' && p[i] != '\t')
            return false;
    return true;
}

static int not_omq(const uint8_t *p, size_t n, struct omq_err *err)
{
    if (n == 0)
        return omq_fail(err, OMQ_EFORMAT, "is empty");
    for (size_t i = 0; i < sizeof(impostors) / sizeof(impostors[0]); i++)
        if (n >= impostors[i].n && memcmp(p, impostors[i].bytes, impostors[i].n) == 0)
            return omq_fail(err, OMQ_EFORMAT, "%s", impostors[i].message);
    if (looks_like_text(p, n))
        return omq_fail(err, OMQ_EFORMAT, "is text, not a model; "
                        "give the .omq file that omq-train wrote");
    return omq_fail(err, OMQ_EFORMAT, "is not an .omq file; "
                    "give the .omq file that omq-train wrote");
}

int omq_ckpt_magic_check(const uint8_t *p, size_t n_bytes, struct omq_err *err)
{
    struct omq_cursor c = omq_cursor_init(p, n_bytes);
    unsigned major;

    if (n_bytes == 0 || memcmp(p, magic, n_bytes < sizeof(magic) ? n_bytes : sizeof(magic)) != 0)
        return not_omq(p, n_bytes, err);
    if (n_bytes < CKPT_HEADER_SIZE)
        return omq_fail(err, OMQ_EFORMAT, "ends inside its header, at byte %zu "
                        "(it is truncated; copy it again)", n_bytes);
    omq_cursor_take(&c, sizeof(magic));
    major = omq_cursor_le16(&c);
    if (major > CKPT_MAJOR)
        return omq_fail(err, OMQ_EVERSION, "has format version %u, this program reads up to %d; "
                        "use a newer omq", major, CKPT_MAJOR);
    if (major < CKPT_MAJOR)
        return omq_fail(err, OMQ_EFORMAT, "has format version %u, which does not exist "
                        "(the file is damaged; copy it again)", major);
    return OMQ_OK;
}

/* The switch word and the field itself count as zero. */
static uint32_t header_crc(const uint8_t p[CKPT_HEADER_SIZE])
{
    uint8_t copy[CKPT_HEADER_SIZE];

    memcpy(copy, p, 52);
    memset(copy + 52, 0, sizeof(copy) - 52);
    return (uint32_t)crc32_z(0, copy, sizeof(copy));
}

/* The constant fields. A matching checksum says that a program wrote them so. */
static int check_fields(uint32_t header_size, uint32_t order, uint32_t flags, uint64_t toc_pos,
                        struct omq_err *err)
{
    if (header_size != CKPT_HEADER_SIZE)
        return omq_fail(err, OMQ_EFORMAT, "the header at byte 12 gives its size as %u instead "
                        "of %d", header_size, CKPT_HEADER_SIZE);
    if (order != 0x01020304)
        return omq_fail(err, OMQ_EFORMAT, "the header at byte 16 is not little-endian");
    if (!(flags & CKPT_FLAG_COMPLETE))
        return omq_fail(err, OMQ_EFORMAT, "is incomplete: the program that wrote it was stopped; "
                        "use another checkpoint");
    if (flags != CKPT_FLAG_COMPLETE)
        return omq_fail(err, OMQ_EUNSUP, "the header at byte 20 has unknown flags 0x%x; "
                        "use a newer omq", flags);
    if (toc_pos != CKPT_HEADER_SIZE)
        return omq_fail(err, OMQ_EFORMAT, "the header at byte 32 puts the table of contents at "
                        "byte %llu instead of %d", (unsigned long long)toc_pos, CKPT_HEADER_SIZE);
    return OMQ_OK;
}

static int check_table_size(const struct ckpt_header *h, struct omq_err *err)
{
    if (h->n_entries == 0)
        return omq_fail(err, OMQ_EFORMAT, "has a switch word and nothing else: it is a control "
                        "file (omq-switch --control), not a model");
    if (h->n_entries < CKPT_FRAME || h->n_entries > CKPT_MAX_ENTRIES)
        return omq_fail(err, OMQ_EFORMAT, "the header at byte 40 counts %u sections; the range is "
                        "%d to %d", h->n_entries, CKPT_FRAME, CKPT_MAX_ENTRIES);
    if (h->entry_size < CKPT_ENTRY_SIZE || h->entry_size > CKPT_MAX_ENTRY_SIZE ||
        h->entry_size % 8 != 0)
        return omq_fail(err, OMQ_EFORMAT, "the header at byte 44 gives the size of an entry as "
                        "%u; it is a multiple of 8 from %d to %d", h->entry_size, CKPT_ENTRY_SIZE,
                        CKPT_MAX_ENTRY_SIZE);
    /* at most 2^16 * 2^10: no overflow */
    if (h->file_size < CKPT_HEADER_SIZE ||
        (uint64_t)h->n_entries * h->entry_size > h->file_size - CKPT_HEADER_SIZE)
        return omq_fail(err, OMQ_EFORMAT, "the table of contents, %u entries of %u bytes, does "
                        "not fit into the %llu bytes of the file", h->n_entries, h->entry_size,
                        (unsigned long long)h->file_size);
    return OMQ_OK;
}

int omq_ckpt_header_decode(struct ckpt_header *h, const uint8_t *p, size_t n_bytes,
                           struct omq_err *err)
{
    struct omq_cursor c = omq_cursor_init(p, n_bytes);
    uint32_t header_size, order, flags, crc;
    uint64_t toc_pos;
    int rc = omq_ckpt_magic_check(p, n_bytes, err);

    if (rc < 0)
        return rc;
    omq_cursor_take(&c, 12); /* magic and versions */
    header_size = omq_cursor_le32(&c);
    order = omq_cursor_le32(&c);
    flags = omq_cursor_le32(&c);
    h->file_size = omq_cursor_le64(&c);
    toc_pos = omq_cursor_le64(&c);
    h->n_entries = omq_cursor_le32(&c);
    h->entry_size = omq_cursor_le32(&c);
    h->toc_crc = omq_cursor_le32(&c);
    crc = omq_cursor_le32(&c);
    if (crc != header_crc(p))
        return omq_fail(err, OMQ_EFORMAT, "the header at byte 0: checksum does not match "
                        "(the file is damaged; copy it again)");
    rc = check_fields(header_size, order, flags, toc_pos, err);
    if (rc == OMQ_OK)
        rc = check_table_size(h, err);
    /* A damaged word costs no more than the choice it held. */
    if (rc == OMQ_OK && omq_ckpt_switch_decode(&h->active, p + CKPT_SWITCH_POS, NULL) < 0)
        h->active = (struct omq_switch_word){.profile = -1};
    return rc;
}

void omq_ckpt_header_encode(uint8_t p[CKPT_HEADER_SIZE], const struct ckpt_header *h)
{
    memset(p, 0, CKPT_HEADER_SIZE);
    memcpy(p, magic, sizeof(magic));
    omq_put_le16(p + 8, CKPT_MAJOR);
    omq_put_le16(p + 10, CKPT_MINOR);
    omq_put_le32(p + 12, CKPT_HEADER_SIZE);
    omq_put_le32(p + 16, 0x01020304);
    omq_put_le32(p + 20, CKPT_FLAG_COMPLETE);
    omq_put_le64(p + 24, h->file_size);
    omq_put_le64(p + 32, CKPT_HEADER_SIZE);
    omq_put_le32(p + 40, h->n_entries);
    omq_put_le32(p + 44, h->entry_size);
    omq_put_le32(p + 48, h->toc_crc);
    omq_put_le32(p + 52, header_crc(p));
    if (omq_ckpt_switch_encode(p + CKPT_SWITCH_POS, h->active, NULL) < 0)
        OMQ_BUG("ckpt: an unchecked switch word");
}

void omq_ckpt_entry_decode(struct ckpt_entry *e, const uint8_t p[CKPT_ENTRY_SIZE])
{
    struct omq_cursor c = omq_cursor_init(p, CKPT_ENTRY_SIZE);

    memcpy(e->kind, omq_cursor_take(&c, 4), 4);
    e->kind[4] = 0;
    e->flags = omq_cursor_le32(&c);
    e->offset = omq_cursor_le64(&c);
    e->stored_size = omq_cursor_le64(&c);
    e->raw_size = omq_cursor_le64(&c);
    e->stored_crc = omq_cursor_le32(&c);
    e->raw_crc = omq_cursor_le32(&c);
    e->index = omq_cursor_le32(&c);
    e->dtype = omq_cursor_le16(&c);
    e->ndim = omq_cursor_u8(&c);
    e->bits = omq_cursor_u8(&c);
    e->name_pos = omq_cursor_le32(&c);
    e->name_len = omq_cursor_le32(&c);
    e->reserved = omq_cursor_le64(&c);
}

void omq_ckpt_entry_encode(uint8_t p[CKPT_ENTRY_SIZE], const struct ckpt_entry *e)
{
    memcpy(p, e->kind, 4);
    omq_put_le32(p + 4, e->flags);
    omq_put_le64(p + 8, e->offset);
    omq_put_le64(p + 16, e->stored_size);
    omq_put_le64(p + 24, e->raw_size);
    omq_put_le32(p + 32, e->stored_crc);
    omq_put_le32(p + 36, e->raw_crc);
    omq_put_le32(p + 40, e->index);
    omq_put_le16(p + 44, e->dtype);
    p[46] = e->ndim;
    p[47] = e->bits;
    omq_put_le32(p + 48, e->name_pos);
    omq_put_le32(p + 52, e->name_len);
    omq_put_le64(p + 56, e->reserved);
}

size_t omq_ckpt_dtype_size(int dtype)
{
    return dtype > 0 && dtype < N_DTYPES ? dtypes[dtype].size : 0;
}

const char *omq_ckpt_dtype_name(int dtype)
{
    return dtype > 0 && dtype < N_DTYPES ? dtypes[dtype].name : NULL;
}

bool omq_ckpt_kind_valid(const char *kind)
{
    for (int i = 0; i < 4; i++)
        if (!((kind[i] >= 'A' && kind[i] <= 'Z') || (kind[i] >= 'a' && kind[i] <= 'z')))
            return false;
    return kind[4] == 0;
}

int omq_ckpt_kind_rank(const char *kind)
{
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(kind, kinds[i].kind) == 0)
            return i;
    return -1;
}

bool omq_ckpt_bits_valid(const char *kind, int bits)
{
    int rank = omq_ckpt_kind_rank(kind);

    if (rank < 0)
        return bits >= 0 && bits <= 8;
    return bits >= kinds[rank].min_bits && bits <= kinds[rank].max_bits;
}

bool omq_ckpt_name_valid(const char *name, size_t n_bytes)
{
    return n_bytes >= 1 && n_bytes <= CKPT_MAX_NAME && omq_utf8_printable(name, n_bytes) &&
           !memchr(name, '/', n_bytes);
}

bool omq_ckpt_tensor_size(int dtype, int ndim, const uint64_t *dims, size_t *n_bytes)
{
    size_t n = omq_ckpt_dtype_size(dtype);

    for (int i = 0; i < ndim; i++)
        if (__builtin_mul_overflow(n, dims[i], &n))
            return false;
    *n_bytes = n;
    return n > 0;
}

int omq_ckpt_key_compare(const char *kind_a, const char *name_a, const char *kind_b,
                         const char *name_b)
{
    int d = strcmp(kind_a, kind_b);

    return d ? d : strcmp(name_a, name_b);
}

int omq_ckpt_host_check(struct omq_err *err)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    return omq_fail(err, OMQ_EUNSUP, "model files need a little-endian machine");
#else
    (void)err;
    return OMQ_OK;
#endif
}
