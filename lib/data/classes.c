/* SPDX-License-Identifier: MIT
 *
 * Names of classes: one a line of text, or numbers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/data_internal.h"

enum { MAX_NAME = OMQ_MAX_CLASS_NAME, MAX_TEXT = 8 << 20 /* bytes of classes.txt */ };

static bool is_blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The length of the next line, without its end, which is taken off *text. */
static size_t next_line(const uint8_t **text, size_t *n_bytes)
{
    const uint8_t *end = memchr(*text, '\n', *n_bytes);
    size_t len = end ? (size_t)(end - *text) : *n_bytes;

    *text += end ? len + 1 : len;
    *n_bytes -= end ? len + 1 : len;
    return len;
}

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
    if (!omq_utf8_printable((const char *)line, n))
        return omq_fail(err, OMQ_EFORMAT, "'%s': line %d is not UTF-8 text without control "
                        "characters", file, number);
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
        const uint8_t *line = text;
        size_t len = next_line(&text, &n_bytes);

        rc = take_name(dst, line, len, name, i + 1, err);
        if (rc < 0) {
            free(list);
            return rc;
        }
        list[i] = dst;
        dst += rc + 1;
    }
    *names = list;
    *n = lines;
    return OMQ_OK;
}

int omq_class_names_read(uint8_t **text, size_t *n_bytes, char **path, const char *root,
                         const char *file, struct omq_err *err)
{
    char *name = omq_path_join(root, file);
    struct stat st;
    int rc = 0;

    if (!name)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    if (stat(name, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            rc = omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", name);
    } else if (!S_ISREG(st.st_mode)) {
        rc = omq_fail(err, OMQ_EIO, "'%s' is not a regular file", name);
    } else if ((rc = omq_file_read(name, MAX_TEXT, text, n_bytes, err)) == OMQ_OK) {
        *path = name;
        return 1;
    }
    free(name);
    return rc;
}

int omq_class_names_of(struct omq_raw *raw, const char *root, struct omq_err *err)
{
    uint8_t *text = NULL;
    char *path = NULL;
    size_t n_bytes;
    int n, rc = omq_class_names_read(&text, &n_bytes, &path, root, "classes.txt", err);

    if (rc <= 0)
        return rc;
    rc = omq_class_names_parse(&raw->names, &n, text, n_bytes, path, err);
    if (rc == OMQ_OK && n < raw->n_classes)
        rc = omq_fail(err, OMQ_EFORMAT, "'%s' names %d classes, but the labels go up to %d: "
                      "expected at least %d names", path, n, raw->n_classes - 1, raw->n_classes);
    if (rc == OMQ_OK)
        raw->n_classes = n;
    free(text);
    free(path);
    return rc;
}

/* ---- names of folders ---- */

/* The number of the folder that is called by n bytes, or -1. */
static int find_folder(const struct omq_names *folders, const uint8_t *name, size_t n)
{
    size_t lo = 0, hi = folders->n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const char *at = folders->text + folders->at[mid];
        size_t n_at = strlen(at);
        int order = memcmp(at, name, n_at < n ? n_at : n);

        if (order == 0)
            order = (n_at > n) - (n_at < n);
        if (order == 0)
            return (int)mid;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return -1;
}

/* Names from "FOLDER<tab>NAME" lines into slots of OMQ_MAX_CLASS_NAME + 1 bytes,
 * where the folders that are not named stay empty. */
static int take_map(char *slots, const struct omq_names *folders, const uint8_t *text,
                    size_t n_bytes, const char *file, struct omq_err *err)
{
    for (int number = 1; n_bytes > 0; number++) {
        const uint8_t *line = text, *tab;
        size_t len = next_line(&text, &n_bytes);
        int folder, rc;

        if (len == 0 || (len == 1 && *line == '\r'))
            continue;
        tab = memchr(line, '\t', len);
        if (!tab)
            return omq_fail(err, OMQ_EFORMAT, "'%s': line %d has no tab: expected the name of a "
                            "folder, a tab, and the name of its class", file, number);
        folder = find_folder(folders, line, (size_t)(tab - line));
        if (folder < 0)
            continue; /* the list may be of a larger set */
        rc = take_name(slots + (size_t)folder * (OMQ_MAX_CLASS_NAME + 1), tab + 1,
                       len - (size_t)(tab + 1 - line), file, number, err);
        if (rc < 0)
            return rc;
    }
    return OMQ_OK;
}

/* The beginning of a name, '?' for bytes that are not printable ASCII. */
static const char *in_ascii(const char *name, char shown[48])
{
    int n = snprintf(shown, 48, "%.47s", name);

    for (int i = 0; i < n; i++)
        if (shown[i] < 0x20 || shown[i] >= 0x7f)
            shown[i] = '?';
    return shown;
}

static int take_folder_name(char *slot, const char *name, const char *root, struct omq_err *err)
{
    size_t n = strlen(name);
    char shown[48];

    if (n > OMQ_MAX_CLASS_NAME)
        return omq_fail(err, OMQ_EUNSUP, "'%.200s': the name of the class '%.200s' is longer than "
                        "%d bytes", root, name, OMQ_MAX_CLASS_NAME);
    if (!omq_utf8_printable(name, n))
        return omq_fail(err, OMQ_EUNSUP, "'%.200s': the name of the class folder '%s' is not UTF-8 "
                        "text without control characters: rename it", root,
                        in_ascii(name, shown));
    memcpy(slot, name, n + 1);
    return OMQ_OK;
}

int omq_class_names_map(const char ***names, const struct omq_names *folders, const char *root,
                        struct omq_err *err)
{
    enum { SLOT = OMQ_MAX_CLASS_NAME + 1 };
    const char **list = malloc(folders->n * (sizeof(*list) + SLOT));
    char *slots = (char *)(list + folders->n), *path = NULL;
    uint8_t *text = NULL;
    size_t n_bytes;
    int rc;

    if (!list)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the names of %zu classes", folders->n);
    memset(slots, 0, folders->n * SLOT);
    rc = omq_class_names_read(&text, &n_bytes, &path, root, "classes.txt", err);
    if (rc > 0) {
        rc = take_map(slots, folders, text, n_bytes, path, err);
        free(text);
        free(path);
    }
    for (size_t i = 0; rc == OMQ_OK && i < folders->n; i++, slots += SLOT) {
        list[i] = slots;
        if (!*slots)
            rc = take_folder_name(slots, folders->text + folders->at[i], root, err);
    }
    if (rc < 0)
        free(list);
    else
        *names = list;
    return rc;
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
