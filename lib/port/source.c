/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include "port/source.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

/* Of a file: what a size_t and the wish to notice a wrong file allow. */
#define MAX_BYTES (SIZE_MAX / 2 < UINT64_C(1) << 33 ? SIZE_MAX / 2 : (size_t)1 << 33)

static const struct kind {
    size_t n; /* bytes of magic, which begins at `at` */
    const char *magic;
    size_t at;
    int (*read)(struct omq_source *s, struct omq_err *err); /* NULL: the sentence instead */
    const char *sentence;
} kinds[] = {
    {4, "\x93OMQ", 0, omq_source_model, NULL},
    {4, "PK\3\4", 0, omq_source_npz, NULL},
    {4, "PK\5\6", 0, omq_source_npz, NULL},
    {1, "{", 8, omq_source_safetensors, NULL},
    {2, "\x80\x02", 0, NULL, "a pickle of PyTorch, which only Python can read: save it as "
     "safetensors (safetensors.torch.save_file) or with numpy.savez"},
    {8, "\x89HDF\r\n\x1a\n", 0, NULL, "an HDF5 file: save the weights as safetensors or with "
     "numpy.savez"},
};

static int read_kind(struct omq_source *s, struct omq_err *err)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kind *k = &kinds[i];

        if (s->n_bytes < k->at + k->n || memcmp(s->file + k->at, k->magic, k->n) != 0)
            continue;
        if (k->read)
            return k->read(s, err);
        return omq_fail(err, OMQ_EUNSUP, "'%s' is %s", s->path, k->sentence);
    }
    return omq_fail(err, OMQ_EUNSUP, "'%s' is no safetensors, npz or .omq file", s->path);
}

int omq_source_parse(struct omq_source *s, const char *path, uint8_t *bytes, size_t n,
                     struct omq_err *err)
{
    int rc;

    *s = (struct omq_source){.file = bytes, .n_bytes = n, .path = strdup(path)};
    if (!s->path)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    else
        rc = read_kind(s, err);
    if (rc < 0)
        omq_source_release(s);
    return rc;
}

int omq_source_open(struct omq_source *s, const char *path, struct omq_err *err)
{
    uint8_t *bytes;
    size_t n;
    int rc;

    *s = (struct omq_source){0};
    if ((rc = omq_file_read(path, MAX_BYTES, &bytes, &n, err)) < 0)
        return rc;
    return omq_source_parse(s, path, bytes, n, err);
}

void omq_source_release(struct omq_source *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->list[i].name);
    for (int i = 0; i < s->n_rooms; i++)
        free(s->rooms[i]);
    free(s->rooms);
    free(s->list);
    free(s->file);
    free(s->path);
    *s = (struct omq_source){0};
}

/* ---- arrays ---- */

struct omq_source_array *omq_source_add(struct omq_source *s, const char *name, size_t n_name,
                                        struct omq_err *err)
{
    struct omq_source_array *grown;
    char *copy;

    if (n_name == 0 || n_name >= OMQ_SOURCE_NAME || memchr(name, 0, n_name)) {
        (void)omq_fail(err, OMQ_EFORMAT, "'%s' has an array whose name is empty, or longer than %d "
                       "bytes, or holds a zero", s->path, OMQ_SOURCE_NAME - 1);
        return NULL;
    }
    if (s->n == OMQ_SOURCE_MOST) {
        (void)omq_fail(err, OMQ_EUNSUP, "'%s' has more than %d arrays", s->path, OMQ_SOURCE_MOST);
        return NULL;
    }
    if (s->n == s->room) {
        int room = s->room ? 2 * s->room : 64;

        grown = realloc(s->list, sizeof(*grown) * (size_t)room);
        if (!grown)
            goto no_memory;
        s->list = grown;
        s->room = room;
    }
    copy = malloc(n_name + 1);
    if (!copy)
        goto no_memory;
    memcpy(copy, name, n_name);
    copy[n_name] = 0;
    s->list[s->n] = (struct omq_source_array){.name = copy};
    return &s->list[s->n++];

no_memory:
    (void)omq_fail(err, OMQ_ENOMEM, "cannot allocate the list of the arrays in '%s'", s->path);
    return NULL;
}

uint8_t *omq_source_room(struct omq_source *s, size_t n, struct omq_err *err)
{
    void **grown = realloc(s->rooms, sizeof(*grown) * ((size_t)s->n_rooms + 1));
    uint8_t *room = grown ? calloc(n ? n : 1, 1) : NULL;

    if (grown)
        s->rooms = grown;
    if (room)
        s->rooms[s->n_rooms++] = room;
    else
        (void)omq_fail(err, OMQ_ENOMEM, "cannot allocate the weights of '%s'", s->path);
    return room;
}

bool omq_source_count(struct omq_source_array *a, size_t size, size_t *n_bytes)
{
    a->n = 1;
    for (int i = 0; i < a->ndim; i++)
        if (a->dims[i] > SIZE_MAX || !omq_mul_size(a->n, (size_t)a->dims[i], &a->n))
            return false;
    return omq_mul_size(a->n, size, n_bytes);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct omq_source_array *)a)->name,
                  ((const struct omq_source_array *)b)->name);
}

int omq_source_seal(struct omq_source *s, struct omq_err *err)
{
    if (s->n > 1)
        qsort(s->list, (size_t)s->n, sizeof(*s->list), by_name);
    for (int i = 1; i < s->n; i++)
        if (strcmp(s->list[i - 1].name, s->list[i].name) == 0)
            return omq_fail(err, OMQ_EFORMAT, "'%s' has two arrays called '%s'", s->path,
                            s->list[i].name);
    return OMQ_OK;
}

/* ---- values ---- */

static float from_bits(uint32_t bits)
{
    float v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* IEEE 754 binary16; the subnormal ones are normal floats. */
float omq_from_half(uint32_t h)
{
    const uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;

    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0)
        return (sign ? -1.0f : 1.0f) * (float)mantissa * 0x1p-24f;
    return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

float omq_from_half_brain(uint32_t h) { return from_bits(h << 16); }

static void convert(enum omq_source_type type, const uint8_t *p, size_t n, float *values)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        double d;

        switch (type) {
        case OMQ_SOURCE_F32:
            values[i] = from_bits(omq_get_le32(p + 4 * i));
            break;
        case OMQ_SOURCE_F16:
            values[i] = omq_from_half((uint32_t)p[2 * i] | (uint32_t)p[2 * i + 1] << 8);
            break;
        case OMQ_SOURCE_BF16:
            values[i] = omq_from_half_brain((uint32_t)p[2 * i] | (uint32_t)p[2 * i + 1] << 8);
            break;
        default:
            bits = omq_get_le64(p + 8 * i);
            memcpy(&d, &bits, sizeof(d));
            values[i] = (float)d;
        }
    }
}

int omq_source_read(const struct omq_source *s, const struct omq_source_array *a, float *values,
                    struct omq_err *err)
{
    static const size_t sizes[] = {
        [OMQ_SOURCE_F32] = 4, [OMQ_SOURCE_F64] = 8, [OMQ_SOURCE_F16] = 2, [OMQ_SOURCE_BF16] = 2,
    };
    uint8_t *inflated;
    int rc;

    if (a->type == OMQ_SOURCE_OTHER)
        return omq_fail(err, OMQ_EUNSUP, "'%s' in '%s' is of type %s: weights are floats of 16, 32 "
                        "or 64 bits, of NumPy little-endian and in C order "
                        "(numpy.ascontiguousarray(a, '<f4'))", a->name, s->path, a->type_name);
    if (!a->zip.deflated) {
        convert(a->type, a->bytes, a->n, values);
        return OMQ_OK;
    }
    /* cannot overflow: it was counted */
    if ((rc = omq_source_inflate(s, a, a->n * sizes[a->type], &inflated, err)) < 0)
        return rc;
    convert(a->type, inflated + a->zip.skip, a->n, values);
    free(inflated);
    return OMQ_OK;
}
