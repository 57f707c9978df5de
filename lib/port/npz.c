/* SPDX-License-Identifier: MIT
 *
 * npz, the archives of NumPy: a ZIP of stored files NAME.npy. Of no date, so that
 * the same arrays are the same bytes.
 */
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "port/arrays.h"

enum {
    NPY_ALIGN = 64, NPY_HEADER_SIZE = 192, /* which the longest shape fits */
    ZIP_VERSION = 20, ZIP_UTF8 = 1 << 11, ZIP_STORED = 0,
    DOS_DATE = 1 << 5 | 1, /* 1980-01-01 */
    LOCAL_SIZE = 30, ENTRY_SIZE = 46, END_SIZE = 22,
};

/* ---- .npy ---- */

/* Format 1.0: magic, size of the text, the text, filled up with spaces. Returns
 * the number of bytes. */
static size_t npy_header(const struct omq_array *a, uint8_t h[NPY_HEADER_SIZE])
{
    static const char *const types[] = {
        [OMQ_ARRAY_F32] = "<f4", [OMQ_ARRAY_I8] = "|i1", [OMQ_ARRAY_U8] = "|u1",
    };
    enum { PRELUDE = 10 };
    char text[NPY_HEADER_SIZE];
    size_t n, size;

    n = (size_t)snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': (",
                         types[a->type]);
    for (int i = 0; i < a->ndim; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%d%s", a->dims[i],
                              a->ndim == 1 ? "," : i < a->ndim - 1 ? ", " : "");
    n += (size_t)snprintf(text + n, sizeof(text) - n, "), }");
    size = (PRELUDE + n + 1 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN;
    memset(h, ' ', size);
    memcpy(h, "\x93NUMPY\x01\x00", 8);
    omq_put_le16(h + 8, (uint16_t)(size - PRELUDE));
    memcpy(h + PRELUDE, text, n);
    h[size - 1] = '\n';
    return size;
}

/* ---- ZIP ---- */

/* What an array's entry says of it. */
struct entry {
    char name[OMQ_ARRAY_NAME_SIZE + 8];
    uint32_t crc, size;
    uint8_t header[NPY_HEADER_SIZE];
    size_t header_size;
};

static struct entry entry_of(const struct omq_array *a)
{
    struct entry e;

    snprintf(e.name, sizeof(e.name), "%s.npy", a->name);
    e.header_size = npy_header(a, e.header);
    e.size = (uint32_t)(e.header_size + a->n_bytes);
    e.crc = (uint32_t)crc32_z(crc32_z(0, e.header, e.header_size), a->bytes, a->n_bytes);
    return e;
}

/* The 26 bytes that both headers of a file have. */
static void put_common(uint8_t *p, const struct entry *e)
{
    omq_put_le16(p, ZIP_VERSION);
    omq_put_le16(p + 2, ZIP_UTF8);
    omq_put_le16(p + 4, ZIP_STORED);
    omq_put_le16(p + 6, 0);
    omq_put_le16(p + 8, DOS_DATE);
    omq_put_le32(p + 10, e->crc);
    omq_put_le32(p + 14, e->size);
    omq_put_le32(p + 18, e->size);
    omq_put_le16(p + 22, (uint16_t)strlen(e->name));
    omq_put_le16(p + 24, 0);
}

static void put_file(FILE *f, const struct omq_array *a, const struct entry *e)
{
    uint8_t h[LOCAL_SIZE] = "PK\3\4";

    put_common(h + 4, e);
    fwrite(h, sizeof(h), 1, f);
    fwrite(e->name, 1, strlen(e->name), f);
    fwrite(e->header, 1, e->header_size, f);
    fwrite(a->bytes, 1, a->n_bytes, f);
}

static void put_entry(FILE *f, const struct entry *e, uint64_t offset)
{
    uint8_t h[ENTRY_SIZE] = "PK\1\2";

    omq_put_le16(h + 4, ZIP_VERSION);
    put_common(h + 6, e);
    omq_put_le32(h + 42, (uint32_t)offset);
    fwrite(h, sizeof(h), 1, f);
    fwrite(e->name, 1, strlen(e->name), f);
}

static void put_end(FILE *f, int n, uint64_t offset, uint64_t size)
{
    uint8_t h[END_SIZE] = "PK\5\6";

    omq_put_le16(h + 8, (uint16_t)n);
    omq_put_le16(h + 10, (uint16_t)n);
    omq_put_le32(h + 12, (uint32_t)size);
    omq_put_le32(h + 16, (uint32_t)offset);
    fwrite(h, sizeof(h), 1, f);
}

/* Of both headers, the name, and the file. */
static uint64_t most_bytes(const struct omq_array *a)
{
    return LOCAL_SIZE + ENTRY_SIZE + 2 * sizeof(((struct entry *)0)->name) + NPY_HEADER_SIZE +
           a->n_bytes;
}

static void put_zip(FILE *f, const struct omq_arrays *a)
{
    uint64_t offset = 0, start, size = 0;

    for (int i = 0; i < a->n; i++) {
        struct entry e = entry_of(&a->list[i]);

        put_file(f, &a->list[i], &e);
        offset += LOCAL_SIZE + strlen(e.name) + e.size;
    }
    start = offset;
    offset = 0;
    for (int i = 0; i < a->n; i++) {
        struct entry e = entry_of(&a->list[i]);

        put_entry(f, &e, offset);
        offset += LOCAL_SIZE + strlen(e.name) + e.size;
        size += ENTRY_SIZE + strlen(e.name);
    }
    put_end(f, a->n, start, size);
}

int omq_npz_put(FILE *f, const struct omq_arrays *a, struct omq_err *err)
{
    uint64_t size = END_SIZE;

    for (int i = 0; i < a->n; i++)
        size += most_bytes(&a->list[i]);
    if (a->n >= UINT16_MAX || size >= UINT32_MAX)
        return omq_fail(err, OMQ_EUNSUP, "%d arrays of %llu bytes are too many for an npz, which "
                        "holds 65534 and 4 GiB: export less, or take safetensors", a->n,
                        (unsigned long long)size);
    put_zip(f, a);
    return OMQ_OK;
}

int omq_export_npz(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err)
{
    struct omq_arrays a;
    int rc = omq_arrays_init(&a, job, err);

    if (rc == OMQ_OK)
        rc = omq_npz_put(out[0], &a, err);
    omq_arrays_release(&a);
    return rc;
}
