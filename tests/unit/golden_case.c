/* SPDX-License-Identifier: MIT */
#include "golden_case.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* ---- values ---- */

const char *golden_text(const struct gcase *c, const char *key)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->lines[i].key, key) == 0)
            return c->lines[i].value;
    return NULL;
}

int golden_parse(const char *text, double *out)
{
    int n = 0;
    char *end;

    for (; text && *text; text = end) {
        ck_assert_int_lt(n, MAX_VALUES);
        out[n++] = strtod(text, &end);
        ck_assert_msg(end > text, "not a number: %.20s", text);
        while (*end == ' ')
            end++;
    }
    return n;
}

double golden_number(const struct gcase *c, const char *key)
{
    double values[MAX_VALUES];

    ck_assert_msg(golden_parse(golden_text(c, key), values) == 1, "case %d has no single '%s'",
                  c->number, key);
    return values[0];
}

int golden_integer(const struct gcase *c, const char *key) { return (int)golden_number(c, key); }

const omq_real *golden_reals(const struct gcase *c, const char *key, omq_real *out, int *n)
{
    double values[MAX_VALUES];

    *n = golden_parse(golden_text(c, key), values);
    for (int i = 0; i < *n; i++)
        out[i] = (omq_real)values[i];
    return *n ? out : NULL;
}

int golden_bytes(const struct gcase *c, const char *key, uint8_t *out)
{
    double values[MAX_VALUES];
    int n = golden_parse(golden_text(c, key), values);

    for (int i = 0; i < n; i++)
        out[i] = (uint8_t)values[i];
    return n;
}

void golden_same_reals(const struct gcase *c, const char *key, const omq_real *got, int n_got)
{
    omq_real want[MAX_VALUES];
    int n;

    golden_reals(c, key, want, &n);
    ck_assert_int_eq(n, n_got);
    for (int i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i], "case %d (%s), %s[%d]: got %a, golden %a", c->number,
                      c->kind, key, i, (double)got[i], (double)want[i]);
}

void golden_same_bytes(const struct gcase *c, const char *key, const uint8_t *got, int n_got)
{
    uint8_t want[MAX_VALUES];
    int n = golden_bytes(c, key, want);

    ck_assert_int_eq(n, n_got);
    for (int i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i], "case %d (%s), %s[%d]: got %d, golden %d", c->number,
                      c->kind, key, i, got[i], want[i]);
}

/* ---- files ---- */

/* Takes a line from *text, without its end; NULL at the end of the file. */
static char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');

    if (!*line)
        return NULL;
    ck_assert_ptr_nonnull(end);
    *end = 0;
    *text = end + 1;
    return line;
}

int golden_each(const char *path, void (*check)(const struct gcase *c))
{
    struct gcase c = {.number = -1};
    uint8_t *content;
    struct omq_err err;
    size_t size;
    char *at, *line;

    ck_assert_msg(omq_file_read(path, 1 << 20, &content, &size, &err) == OMQ_OK,
                  "%s (run the tests from the top of the tree)", err.msg);
    for (at = (char *)content; (line = next_line(&at)) != NULL;) {
        char *value = strchr(line, ' ');

        if (line[0] == '#')
            continue;
        if (strcmp(line, "end") == 0) {
            check(&c);
            continue;
        }
        ck_assert_ptr_nonnull(value);
        *value++ = 0;
        if (strcmp(line, "case") == 0) {
            c = (struct gcase){.kind = value, .number = c.number + 1};
            continue;
        }
        ck_assert_int_lt(c.n, MAX_LINES);
        c.lines[c.n].key = line;
        c.lines[c.n++].value = value;
    }
    free(content);
    return c.number + 1;
}
