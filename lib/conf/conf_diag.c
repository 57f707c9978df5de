/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "conf/conf_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void omq_conf_state_close(struct omq_conf_state *s)
{
    if (s)
        free(s->name);
    free(s);
}

void omq_diag_release(struct omq_diag *d)
{
    omq_conf_state_close(d->read);
    free(d->text);
    *d = (struct omq_diag){0};
}

/* Appends one line to the text of d. */
static bool add_line(struct omq_diag *d, const char *line)
{
    size_t old = d->text ? strlen(d->text) : 0, n = strlen(line);
    char *p = realloc(d->text, old + n + 2);

    if (!p)
        return false;
    memcpy(p + old, line, n);
    memcpy(p + old + n, "\n", 2);
    d->text = p;
    return true;
}

void omq_conf_error(struct omq_conf_state *s, struct omq_conf_place at, const char *fmt, ...)
{
    char msg[512];
    char *line;
    va_list ap;
    int n;

    if (s->n_errors >= OMQ_CONF_MAX_ERRORS) {
        s->stop = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (at.source > 0)
        n = asprintf(&line, "--set #%d:%d: error: %s", at.source, at.column, msg);
    else
        n = asprintf(&line, "%s:%d:%d: error: %s", s->name, at.line ? at.line : 1,
                     at.column ? at.column : 1, msg);
    s->n_errors++;
    s->diag->n_errors++;
    if (n < 0 || !add_line(s->diag, line))
        s->no_memory = s->stop = true;
    if (n >= 0)
        free(line);
    if (s->n_errors < OMQ_CONF_MAX_ERRORS || s->stop)
        return;
    s->stop = true;
    snprintf(msg, sizeof(msg), "stopped after %d errors: there may be more", s->n_errors);
    if (!add_line(s->diag, msg))
        s->no_memory = true;
}

int omq_diag_wrap(const struct omq_diag *d, const char *key, int rc, struct omq_err *err)
{
    char first[OMQ_CONF_PATH_SIZE];
    struct omq_conf_place at;

    if (rc != OMQ_ECONFIG || !d->read || !err)
        return rc;
    if (!key) {
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(err->msg, " :"), err->msg);
        if (!omq_conf_is_key(first))
            return rc;
        key = first;
    }
    at = omq_conf_place_of(d->read, key);
    if (at.source > 0)
        return omq_wrap(err, rc, "--set #%d:%d", at.source, at.column);
    return omq_wrap(err, rc, "%s:%d:%d", d->read->name, at.line, at.column);
}

char *omq_conf_quote(const char *text, size_t n, char buf[64])
{
    size_t k = 0;

    for (size_t i = 0, length; i < n; i += length) {
        long c = omq_utf8_decode(text + i, n - i, &length);

        if (k >= 48) {
            memcpy(buf + k, "...", 4);
            return buf;
        }
        if (c < 0)
            length = 1;
        if (c < 0x20 || (c >= 0x7F && c < 0xA0)) {
            buf[k++] = '?';
        } else {
            memcpy(buf + k, text + i, length);
            k += length;
        }
    }
    buf[k] = 0;
    return buf;
}
