/* SPDX-License-Identifier: MIT
 *
 * One node of an ONNX file: how messages call it, and its attributes, which are
 * parsed when they are asked for.
 */
#include "port/onnx_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- texts ---- */

bool omq_span_is(struct omq_span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

char *omq_span_text(struct omq_span s, char *buf, size_t size)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;

    for (size_t i = 0; i < n; i++)
        buf[i] = s.p[i] < 32 || s.p[i] == 127 ? '?' : (char)s.p[i];
    buf[n] = 0;
    return buf;
}

char *omq_onnx_node_text(const struct omq_onnx_in *m, int node, char buf[128])
{
    const struct omq_onnx_node_in *n = &m->nodes[node];

    if (n->name.n > 0)
        return omq_span_text(n->name, buf, 128);
    if (n->n_out > 0 && n->out[0] >= 0)
        return omq_span_text(m->values[n->out[0]].name, buf, 128);
    snprintf(buf, 128, "%d", node);
    return buf;
}

int omq_onnx_refuse(const struct omq_onnx_in *m, int node, struct omq_err *err, const char *fmt,
                    ...)
{
    char why[512], name[128], op[64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    return omq_fail(err, OMQ_EUNSUP, "'%s': node '%s': %s %s", m->path,
                    omq_onnx_node_text(m, node, name),
                    omq_span_text(m->nodes[node].op, op, sizeof(op)), why);
}

/* ---- attributes ---- */

static void add_int(struct omq_onnx_attribute *a, uint64_t v)
{
    const int room = (int)(sizeof(a->ints) / sizeof(a->ints[0]));

    if (a->n_ints >= 0 && a->n_ints < room)
        a->ints[a->n_ints++] = (int64_t)v;
    else
        a->n_ints = -1;
}

static struct omq_onnx_attribute parse_attribute(struct omq_span message, struct omq_span *name)
{
    struct omq_fields fields = omq_fields_of(message);
    struct omq_onnx_attribute a = {.present = true};
    struct omq_field f;
    uint32_t bits;
    uint64_t v;

    *name = (struct omq_span){0};
    while (omq_fields_next(&fields, &f)) {
        switch (f.number) {
        case ONNX_ATTRIBUTE_NAME: *name = f.bytes; break;
        case ONNX_ATTRIBUTE_I: a.i = (int64_t)f.value; break;
        case ONNX_ATTRIBUTE_S: a.s = f.bytes; break;
        case ONNX_ATTRIBUTE_T: a.t = f.bytes; break;
        case ONNX_ATTRIBUTE_F:
            bits = (uint32_t)f.value;
            memcpy(&a.f, &bits, sizeof(a.f));
            break;
        case ONNX_ATTRIBUTE_INTS:
            if (f.wire != OMQ_WIRE_BYTES)
                add_int(&a, f.value);
            while (f.wire == OMQ_WIRE_BYTES && omq_packed_next(&f.bytes, &v))
                add_int(&a, v);
            break;
        }
    }
    return a;
}

struct omq_onnx_attribute omq_onnx_attribute_of(const struct omq_onnx_in *m, int node,
                                                const char *name)
{
    struct omq_fields fields = omq_fields_of(m->nodes[node].message);
    struct omq_field f;

    while (omq_fields_next(&fields, &f))
        if (f.number == ONNX_NODE_ATTRIBUTE && f.wire == OMQ_WIRE_BYTES) {
            struct omq_span found;
            struct omq_onnx_attribute a = parse_attribute(f.bytes, &found);

            if (omq_span_is(found, name))
                return a;
        }
    return (struct omq_onnx_attribute){0};
}

int64_t omq_onnx_attribute_int(const struct omq_onnx_in *m, int node, const char *name,
                               int64_t none)
{
    struct omq_onnx_attribute a = omq_onnx_attribute_of(m, node, name);

    return a.present ? a.i : none;
}
