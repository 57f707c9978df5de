/* SPDX-License-Identifier: MIT
 *
 * Changes to the bytes of an .omq file, for tests: its checksums made right
 * again, so that a test gets past them to the check it is about, and a section
 * replaced by a longer or shorter one. Written without lib/ckpt, on purpose.
 */
#ifndef OMQ_TESTS_CKPT_IMAGE_H
#define OMQ_TESTS_CKPT_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/bytes.h"

/* Bytes 52 to 63 of the header count as zero. */
static inline void image_reseal_header(uint8_t *p)
{
    uint8_t head[64] = {0};

    for (int i = 0; i < 52; i++)
        head[i] = p[i];
    omq_put_le32(p + 52, (uint32_t)crc32_z(0, head, sizeof(head)));
}

static inline uint8_t *image_entry(const uint8_t *p, int i)
{
    return (uint8_t *)p + 64 + (size_t)i * omq_get_le32(p + 44);
}

static inline uint8_t *image_section(const uint8_t *p, int i)
{
    return (uint8_t *)p + omq_get_le64(image_entry(p, i) + 8);
}

/* One entry; of a plain section the raw checksum follows the stored one. */
static inline void image_reseal_section(uint8_t *entry, const uint8_t *p, size_t n)
{
    uint64_t offset = omq_get_le64(entry + 8), size = omq_get_le64(entry + 16);

    if (offset > n || size > n - offset)
        return;
    omq_put_le32(entry + 32, (uint32_t)crc32_z(0, p + offset, (size_t)size));
    if (!(omq_get_le32(entry + 4) & 1))
        omq_put_le32(entry + 36, omq_get_le32(entry + 32));
}

/* Header and table only: a change of a section stays visible. */
static inline void image_reseal_table(uint8_t *p, size_t n)
{
    uint64_t size = (uint64_t)omq_get_le32(p + 40) * omq_get_le32(p + 44);

    if (size <= n - 64)
        omq_put_le32(p + 48, (uint32_t)crc32_z(0, p + 64, (size_t)size));
    image_reseal_header(p);
}

/* Everything; n is at least 64. */
static inline void image_reseal(uint8_t *p, size_t n)
{
    uint64_t count = omq_get_le32(p + 40), size = omq_get_le32(p + 44);

    for (uint64_t i = 0; size >= 64 && i < count && (i + 1) * size <= n - 64; i++)
        image_reseal_section(p + 64 + i * size, p, n);
    image_reseal_table(p, n);
}

/* A new image, allocated, of a valid one: stored bytes of section `which` (-1:
 * none) replaced, and entries of entry_size bytes, new ones 0xff. Resealed. */
static inline uint8_t *image_replace(const uint8_t *p, int which, const void *stored, size_t n,
                                     uint32_t entry_size, size_t *n_out)
{
    uint32_t count = omq_get_le32(p + 40);
    size_t pos = 64 + (size_t)count * entry_size, cap = omq_get_le64(p + 24) + n + 256;
    uint8_t *out = calloc(1, cap + (size_t)count * entry_size);

    if (!out)
        abort();
    memcpy(out, p, 64);
    omq_put_le32(out + 44, entry_size);
    for (int i = 0; i < (int)count; i++) {
        const uint8_t *old = image_entry(p, i), *from = image_section(p, i);
        size_t size = omq_get_le64(old + 16);
        uint8_t *e = image_entry(out, i);

        if (i == which) {
            from = stored;
            size = n;
        }
        memset(e, 0xff, entry_size);
        memcpy(e, old, 64);
        pos = (pos + 63) / 64 * 64;
        omq_put_le64(e + 8, pos);
        omq_put_le64(e + 16, size);
        if (!(omq_get_le32(e + 4) & 1))
            omq_put_le64(e + 24, size);
        if (size > 0)
            memcpy(out + pos, from, size);
        pos += size;
    }
    omq_put_le64(out + 24, pos);
    image_reseal(out, pos);
    *n_out = pos;
    return out;
}

/* The same with section `which`, so far plain, compressed. */
static inline uint8_t *image_compress(const uint8_t *p, int which, size_t *n_out)
{
    const uint8_t *e = image_entry(p, which);
    uLong n_raw = (uLong)omq_get_le64(e + 16);
    uLongf n = compressBound(n_raw);
    uint8_t *stored = malloc(n), *out;

    if (!stored || compress(stored, &n, image_section(p, which), n_raw) != Z_OK)
        abort();
    out = image_replace(p, which, stored, n, omq_get_le32(p + 44), n_out);
    omq_put_le32(image_entry(out, which) + 4, 1);
    omq_put_le64(image_entry(out, which) + 24, n_raw);
    omq_put_le32(image_entry(out, which) + 36, omq_get_le32(e + 36));
    image_reseal(out, *n_out);
    free(stored);
    return out;
}

#endif
