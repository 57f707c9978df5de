/* SPDX-License-Identifier: MIT
 *
 * Reading a TensorProto: its values lie in raw_data, or in a list of its type.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "port/onnx_parse.h"
#include "port/source.h"

/* How values of a type are stored: in raw_data, and in which list. */
static const struct elem {
    int elem, size, field;
} elems[] = {
    {OMQ_ONNX_FLOAT, 4, ONNX_TENSOR_FLOAT_DATA},  {OMQ_ONNX_DOUBLE, 8, ONNX_TENSOR_DOUBLE_DATA},
    {OMQ_ONNX_FLOAT16, 2, ONNX_TENSOR_INT32_DATA},{OMQ_ONNX_BFLOAT16, 2, ONNX_TENSOR_INT32_DATA},
    {OMQ_ONNX_S32, 4, ONNX_TENSOR_INT32_DATA},    {OMQ_ONNX_S64, 8, ONNX_TENSOR_INT64_DATA},
};

static const struct elem *elem_of(int elem)
{
    for (size_t i = 0; i < sizeof(elems) / sizeof(elems[0]); i++)
        if (elems[i].elem == elem)
            return &elems[i];
    return NULL;
}

/* One value, by its type; of floats i is 0. */
static void decode(const struct elem *e, uint64_t bits, double *d, int64_t *i)
{
    const uint32_t low = (uint32_t)bits;
    float f;

    *i = 0;
    switch (e->elem) {
    case OMQ_ONNX_FLOAT:
        memcpy(&f, &low, sizeof(f));
        *d = (double)f;
        return;
    case OMQ_ONNX_DOUBLE:
        memcpy(d, &bits, sizeof(*d));
        return;
    case OMQ_ONNX_FLOAT16:
        *d = (double)omq_from_half(low & 0xffff);
        return;
    case OMQ_ONNX_BFLOAT16:
        *d = (double)omq_from_half_brain(low & 0xffff);
        return;
    case OMQ_ONNX_S32:
        *i = (int32_t)low;
        break;
    default:
        *i = (int64_t)bits;
    }
    *d = (double)*i;
}

/* Where values go: only counted, or to one of two arrays of `room`. */
struct sink {
    float *floats;
    int64_t *ints;
    size_t n, room;
};

static void put(struct sink *s, const struct elem *e, uint64_t bits)
{
    double d;
    int64_t i;

    if (s->n < s->room) {
        decode(e, bits, &d, &i);
        if (s->floats)
            s->floats[s->n] = (float)d;
        if (s->ints)
            s->ints[s->n] = i;
    }
    s->n++;
}

static void put_fixed(struct sink *s, const struct elem *e, struct omq_span bytes, int size)
{
    for (size_t at = 0; bytes.n - at >= (size_t)size; at += (size_t)size) {
        uint64_t bits = 0;

        for (int k = 0; k < size; k++)
            bits |= (uint64_t)bytes.p[at + (size_t)k] << 8 * k;
        put(s, e, bits);
    }
}

/* All values in the order of the message; false where it is damaged. */
static bool each_value(const struct omq_onnx_tensor_in *t, struct sink *s)
{
    struct omq_fields fields = omq_fields_of(t->message);
    const struct elem *e = elem_of(t->elem);
    struct omq_field f;
    uint64_t v;

    while (omq_fields_next(&fields, &f)) {
        if (f.number == ONNX_TENSOR_RAW_DATA && f.wire == OMQ_WIRE_BYTES) {
            if (f.bytes.n % (size_t)e->size)
                return false;
            put_fixed(s, e, f.bytes, e->size);
        } else if ((int)f.number != e->field) {
            continue;
        } else if (f.wire != OMQ_WIRE_BYTES) {
            put(s, e, f.value);
        } else if (e->field == ONNX_TENSOR_FLOAT_DATA || e->field == ONNX_TENSOR_DOUBLE_DATA) {
            put_fixed(s, e, f.bytes, e->size);
        } else {
            while (omq_packed_next(&f.bytes, &v))
                put(s, e, v);
        }
    }
    return !fields.failed;
}

static bool add_dim(struct omq_onnx_tensor_in *t, uint64_t dim)
{
    if (t->ndim == OMQ_ONNX_MAX_DIMS || dim > SIZE_MAX || !omq_mul_size(t->n, (size_t)dim, &t->n))
        return false;
    t->dims[t->ndim++] = dim;
    return true;
}

static bool get_dims(struct omq_onnx_tensor_in *t, const struct omq_field *f)
{
    struct omq_span s = f->bytes;
    uint64_t dim;

    if (f->wire == OMQ_WIRE_VARINT)
        return add_dim(t, f->value);
    while (omq_packed_next(&s, &dim))
        if (!add_dim(t, dim))
            return false;
    return s.n == 0;
}

static int elsewhere(struct omq_err *err)
{
    return omq_fail(err, OMQ_EUNSUP, "the values of a tensor are in another file: export with "
                    "external_data=False, or onnx.save(onnx.load(FILE), OTHER)");
}

/* All but the values. */
static int get_head(struct omq_onnx_tensor_in *t, struct omq_err *err)
{
    struct omq_fields fields = omq_fields_of(t->message);
    struct omq_field f;

    while (omq_fields_next(&fields, &f)) {
        switch (f.number) {
        case ONNX_TENSOR_DIMS:
            if (!get_dims(t, &f))
                return omq_fail(err, OMQ_EFORMAT, "a tensor has more than %d dimensions, or is "
                                "larger than memory", OMQ_ONNX_MAX_DIMS);
            break;
        case ONNX_TENSOR_DATA_TYPE:
            t->elem = f.value < 1000 ? (int)f.value : 1000;
            break;
        case ONNX_TENSOR_NAME:
            t->name = f.bytes;
            break;
        case ONNX_TENSOR_SEGMENT:
        case ONNX_TENSOR_EXTERNAL_DATA:
            return elsewhere(err);
        case ONNX_TENSOR_DATA_LOCATION:
            if (f.value != 0)
                return elsewhere(err);
            break;
        }
    }
    return fields.failed ? omq_fail(err, OMQ_EFORMAT, "a tensor is damaged") : OMQ_OK;
}

int omq_onnx_tensor_parse(struct omq_onnx_tensor_in *t, struct omq_span message,
                          struct omq_err *err)
{
    struct sink count = {0};
    char name[96];
    int rc;

    *t = (struct omq_onnx_tensor_in){.message = message, .n = 1};
    if ((rc = get_head(t, err)) < 0)
        return rc;
    /* of other types only the shape is known, and nothing can read them */
    if (elem_of(t->elem) && (!each_value(t, &count) || count.n != t->n))
        return omq_fail(err, OMQ_EFORMAT, "tensor '%s' has %zu values where its shape has %zu",
                        omq_span_text(t->name, name, sizeof(name)), count.n, t->n);
    return OMQ_OK;
}

bool omq_onnx_tensor_ints(const struct omq_onnx_tensor_in *t, int64_t ints[16])
{
    struct sink s = {.ints = ints, .room = 16};

    return (t->elem == OMQ_ONNX_S64 || t->elem == OMQ_ONNX_S32) && t->n <= 16 &&
           each_value(t, &s);
}

bool omq_onnx_tensor_floats(const struct omq_onnx_tensor_in *t, float *values)
{
    struct sink s = {.floats = values, .room = t->n};

    return elem_of(t->elem) && t->elem != OMQ_ONNX_S64 && t->elem != OMQ_ONNX_S32 &&
           each_value(t, &s);
}
