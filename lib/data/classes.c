/* SPDX-License-Identifier: MIT
 *
 * Names of classes: one a line of text, or numbers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/data_internal.h"

enum { MAX_NAME = 127 };

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\r'; }

/* One line, without its blanks at the end, to dst. Returns its length. */
static int take_name(char *dst, const uint8_t *line, size_t n, const char *file, int number,
                     struct omq_err *err)
{
    while (n > 0 && is_blank(line[n - 1]))
        n--;
    if (n == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%s': line %d is empty: one class name a line", file,
                        number);
    if (n > MAX_NAME)
        return omq_fail(err, OMQ_EFORMAT, "'%s': the name in line %d is longer than %d bytes",
                        file, number, MAX_NAME);
    for (size_t i = 0; i < n; i++)
        if (line[i] < 0x20 || line[i] == 0x7f)
            return omq_fail(err, OMQ_EFORMAT, "'%s': line %d has a control character (%02x)",
                            file, number, line[i]);
    memcpy(dst, line, n);
    dst[n] = 0;
    return (int)n;
}

int omq_class_names_parse(const char ***names, int *n, const uint8_t *text, size_t n_bytes,
                          const char *name, struct omq_err *err)
{
    size_t size;
    int lines = 1, rc;
    const char **list;
    char *dst;

    while (n_bytes > 0 && (text[n_bytes - 1] == '\n' || is_blank(text[n_bytes - 1])))
        n_bytes--;
    if (n_bytes == 0)
        return omq_fail(err, OMQ_EFORMAT, "'%s' is empty: one class name a line", name);
    for (size_t i = 0; i < n_bytes; i++)
        lines += text[i] == '\n';
    if (lines > OMQ_MAX_CLASSES)
        return omq_fail(err, OMQ_EUNSUP, "'%s' names %d classes: the limit is %d", name, lines,
                        OMQ_MAX_CLASSES);
    /* a line end becomes the zero of its name; the last one needs its own */
    if (!omq_add_size(n_bytes + 1, (size_t)lines * sizeof(*list), &size) ||
        !(list = malloc(size)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the names of %d classes", lines);
    dst = (char *)(list + lines);
    for (int i = 0; i < lines; i++) {
        const uint8_t *end = memchr(text, '\n', n_bytes);
        size_t len = end ? (size_t)(end - text) : n_bytes;

        rc = take_name(dst, text, len, name, i + 1, err);
        if (rc < 0) {
            free(list);
            return rc;
        }
        list[i] = dst;
        dst += rc + 1;
        text += end ? len + 1 : len;
        n_bytes -= end ? len + 1 : len;
    }
    *names = list;
    *n = lines;
    return OMQ_OK;
}

const char **omq_class_names_number(int n)
{
    enum { DIGITS = 12 };
    const char **list = malloc((size_t)n * (sizeof(*list) + DIGITS));
    char *text = list ? (char *)(list + n) : NULL;

    for (int i = 0; list && i < n; i++, text += DIGITS) {
        snprintf(text, DIGITS, "%d", i);
        list[i] = text;
    }
    return list;
}
