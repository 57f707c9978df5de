/* SPDX-License-Identifier: MIT
 *
 * What is said on the way: notes, to the caller's log.
 */
#include "train/train_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void omq_train_note(const struct omq_train_callbacks *cb, const char *fmt, ...)
{
    char line[1024];
    va_list ap;

    if (!cb || !cb->log)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    (cb->log)(cb->ctx, line); /* not the macro of <tgmath.h> */
}

void omq_train_note_lines(const struct omq_train_callbacks *cb, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        omq_train_note(cb, "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void omq_train_note_left_out(const struct omq_train_callbacks *cb, int n)
{
    if (n > 0)
        omq_train_note(cb, "warning: %d damaged image%s left out of the evaluation", n,
                       n == 1 ? "" : "s");
}

void omq_train_note_replaced(const struct omq_train_callbacks *cb, struct omq_loader *a,
                             struct omq_loader *b, const char *where)
{
    const char *why_a, *why_b = "";
    int n = omq_loader_take_skipped(a, &why_a);

    if (b)
        n += omq_loader_take_skipped(b, &why_b);
    if (n > 0)
        omq_train_note(cb, "warning: %d damaged image%s in %s, others took their place: %.560s", n,
                       n == 1 ? "" : "s", where, *why_a ? why_a : why_b);
}
