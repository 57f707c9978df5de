/* SPDX-License-Identifier: MIT
 *
 * The text is a dictionary as Python writes it, of three keys in any order:
 * {'descr': '<f4', 'fortran_order': False, 'shape': (64, 3), }
 */
#include "port/source_npy.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* What is left of the text. After the first mismatch `ok` stays false. */
struct text {
    const char *p, *end;
    bool ok;
};

static void skip_spaces(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\n'))
        t->p++;
}

/* Whether c comes next; then it is taken. */
static bool take(struct text *t, char c)
{
    skip_spaces(t);
    if (!t->ok || t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static void need(struct text *t, char c)
{
    if (!take(t, c))
        t->ok = false;
}

static void get_string(struct text *t, char *buf, size_t size)
{
    const char quote = take(t, '\'') ? '\'' : '"';
    size_t n = 0;

    buf[0] = 0;
    if (quote == '"')
        need(t, '"');
    while (t->ok && t->p < t->end && *t->p != quote && n + 1 < size)
        buf[n++] = *t->p++;
    buf[n] = 0;
    need(t, quote);
}

static uint64_t get_number(struct text *t)
{
    uint64_t v = 0;

    skip_spaces(t);
    if (t->p == t->end || *t->p < '0' || *t->p > '9')
        t->ok = false;
    for (; t->ok && t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (unsigned)(*t->p - '0'), &v))
            t->ok = false;
    return v;
}

static void get_shape(struct text *t, struct omq_npy *out)
{
    need(t, '(');
    while (t->ok && !take(t, ')')) {
        if (out->ndim == OMQ_SOURCE_DIMS) {
            t->ok = false;
            return;
        }
        out->dims[out->ndim++] = get_number(t);
        if (!take(t, ',')) {
            need(t, ')');
            return;
        }
    }
}

static bool get_bool(struct text *t)
{
    static const char *const words[] = {"False", "True"};

    skip_spaces(t);
    for (int i = 0; t->ok && i < 2; i++) {
        size_t n = strlen(words[i]);

        if ((size_t)(t->end - t->p) >= n && memcmp(t->p, words[i], n) == 0) {
            t->p += n;
            return i;
        }
    }
    t->ok = false;
    return false;
}

/* "<f4": order, kind, bytes of a value. */
static void set_type(struct omq_npy *out)
{
    static const struct { const char *word; enum omq_source_type type; size_t size; } floats[] = {
        {"<f4", OMQ_SOURCE_F32, 4}, {"<f8", OMQ_SOURCE_F64, 8}, {"<f2", OMQ_SOURCE_F16, 2},
    };

    out->type = OMQ_SOURCE_OTHER;
    for (size_t i = 0; i < sizeof(floats) / sizeof(floats[0]); i++)
        if (strcmp(out->descr, floats[i].word) == 0 && !(out->fortran && out->ndim > 1)) {
            out->type = floats[i].type;
            out->size = floats[i].size;
        }
}

static int parse_text(struct omq_npy *out, struct text *t, struct omq_err *err)
{
    unsigned seen = 0;
    char key[16];

    need(t, '{');
    while (t->ok && !take(t, '}')) {
        get_string(t, key, sizeof(key));
        need(t, ':');
        if (strcmp(key, "descr") == 0 && !(seen & 1)) {
            get_string(t, out->descr, sizeof(out->descr));
            seen |= 1;
        } else if (strcmp(key, "fortran_order") == 0 && !(seen & 2)) {
            out->fortran = get_bool(t);
            seen |= 2;
        } else if (strcmp(key, "shape") == 0 && !(seen & 4)) {
            get_shape(t, out);
            seen |= 4;
        } else {
            t->ok = false;
        }
        if (!take(t, ',')) {
            need(t, '}');
            break;
        }
    }
    skip_spaces(t);
    if (!t->ok || seen != 7 || t->p != t->end)
        return omq_fail(err, OMQ_EFORMAT, "its header is not one of NumPy's, or its values are no "
                        "plain numbers");
    set_type(out);
    return OMQ_OK;
}

int omq_npy_parse(struct omq_npy *out, const uint8_t *bytes, size_t n, struct omq_err *err)
{
    struct omq_cursor c = omq_cursor_init(bytes, n);
    const uint8_t *magic = omq_cursor_take(&c, 6), *text;
    unsigned major = omq_cursor_u8(&c), minor = omq_cursor_u8(&c);
    size_t n_text = major == 1 ? omq_cursor_le16(&c) : omq_cursor_le32(&c);
    struct text t;

    *out = (struct omq_npy){0};
    if (!magic || memcmp(magic, "\x93NUMPY", 6) != 0 || major < 1 || major > 3 || minor != 0)
        return omq_fail(err, OMQ_EFORMAT, "it is no array of NumPy, or one of a newer format");
    text = omq_cursor_take(&c, n_text);
    if (!text)
        return omq_fail(err, OMQ_EFORMAT, "its header is longer than the file, or than %d bytes",
                        OMQ_NPY_MAX);
    t = (struct text){(const char *)text, (const char *)text + n_text, true};
    out->n_header = c.pos;
    return parse_text(out, &t, err);
}
