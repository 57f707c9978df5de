/* SPDX-License-Identifier: MIT
 *
 * The text of a presence file: "omq presence 1", then a line "KEY VALUE" for
 * each field. Unknown keys are skipped, so that a newer program may add some.
 */
#include "engine/presence_internal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char head[] = "omq presence 1\n";

#define NUMBER(name, max) {#name, offsetof(struct omq_presence_entry, name), 0, max}
#define TEXT(name, size) {#name, offsetof(struct omq_presence_entry, name), size, 0}
static const struct field {
    const char *key;
    size_t at, size; /* of a text; 0: a number */
    uint64_t max;
} fields[] = {
    NUMBER(pid, INT_MAX),
    NUMBER(start, UINT64_MAX),
    NUMBER(dev, UINT64_MAX),
    NUMBER(ino, UINT64_MAX),
    TEXT(path, OMQ_PRESENCE_PATH_SIZE),
    TEXT(precision, OMQ_PRESENCE_NAME_SIZE),
    NUMBER(waiting, 1),
    NUMBER(switches, UINT64_MAX),
    NUMBER(batches, UINT64_MAX),
    NUMBER(images, UINT64_MAX),
    NUMBER(switched_ms, UINT64_MAX),
    TEXT(reason, OMQ_PRESENCE_REASON_SIZE),
};
enum { N_FIELDS = sizeof(fields) / sizeof(fields[0]) };

static bool is_control(char c) { return (unsigned char)c < ' ' || c == 0x7f; }

void omq_presence_clean(char *dst, size_t size, const char *s)
{
    size_t n = 0;

    for (; *s && n + 1 < size; s++)
        dst[n++] = is_control(*s) ? '?' : *s;
    dst[n] = 0;
}

size_t omq_presence_print(const struct omq_presence_entry *e, char *buf)
{
    size_t n = (size_t)snprintf(buf, PRESENCE_TEXT_SIZE, "%s", head);

    for (int i = 0; i < N_FIELDS; i++) {
        const char *at = (const char *)e + fields[i].at;
        char *to = buf + n;
        size_t left = PRESENCE_TEXT_SIZE - n;
        uint64_t x;

        if (fields[i].size) {
            n += (size_t)snprintf(to, left, "%s %s\n", fields[i].key, at);
        } else {
            memcpy(&x, at, sizeof(x));
            n += (size_t)snprintf(to, left, "%s %" PRIu64 "\n", fields[i].key, x);
        }
    }
    return n;
}

static bool take_number(const char *s, size_t n, uint64_t max, uint64_t *out)
{
    uint64_t x = 0;

    if (n < 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(x, 10, &x) ||
            __builtin_add_overflow(x, (uint64_t)(s[i] - '0'), &x))
            return false;
    }
    *out = x;
    return x <= max;
}

/* The value of one field, into its place. */
static bool take_value(const struct field *f, const char *s, size_t n, struct omq_presence_entry *e)
{
    char *at = (char *)e + f->at;
    uint64_t x;

    if (!f->size) {
        if (!take_number(s, n, f->max, &x))
            return false;
        memcpy(at, &x, sizeof(x));
        return true;
    }
    if (n >= f->size)
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_control(s[i]))
            return false;
    memcpy(at, s, n);
    at[n] = 0;
    return true;
}

bool omq_presence_parse(const char *text, size_t n, struct omq_presence_entry *e)
{
    bool seen[N_FIELDS] = {false};
    size_t head_size = sizeof(head) - 1;
    const char *s = text + head_size;

    if (n <= head_size || strlen(text) != n || text[n - 1] != '\n' ||
        memcmp(text, head, head_size) != 0)
        return false;
    memset(e, 0, sizeof(*e));
    while (*s) {
        const char *end = strchr(s, '\n'), *value = memchr(s, ' ', (size_t)(end - s));
        int i = 0;

        if (!value)
            return false;
        while (i < N_FIELDS && (strlen(fields[i].key) != (size_t)(value - s) ||
                                memcmp(fields[i].key, s, (size_t)(value - s)) != 0))
            i++;
        if (i < N_FIELDS) {
            if (seen[i] || !take_value(&fields[i], value + 1, (size_t)(end - value - 1), e))
                return false;
            seen[i] = true;
        }
        s = end + 1;
    }
    for (int i = 0; i < N_FIELDS; i++)
        if (!seen[i])
            return false;
    return e->path[0] == '/' && e->precision[0];
}
