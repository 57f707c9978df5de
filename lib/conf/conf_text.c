/* SPDX-License-Identifier: MIT
 *
 * What a text must be before libyaml sees it. Nesting is not judged here: the
 * reader counts the depth of the events. libyaml looks at most 1024 characters
 * ahead of an event, so that its quadratic cost for deep nesting is bounded.
 * Directives are refused because it compares each with all before.
 */
#include "conf/conf_internal.h"

#include "base/utf8.h"

bool omq_conf_is_control(long c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFFFE ||
           c == 0xFFFF;
}

/* False, with the place from 1 and the reason, if it is not fit. */
static bool is_fit(const char *text, size_t n, struct omq_conf_place *at, const char **why)
{
    size_t length = 1;

    at->line = at->column = 1;
    if (n > OMQ_CONF_MAX_BYTES) {
        *why = "the text is larger than the limit of 1048576 bytes";
        return false;
    }
    for (size_t i = 0; i < n; i += length) {
        long c = omq_utf8_decode(text + i, n - i, &length);

        *why = NULL;
        if (c < 0)
            *why = "this is not UTF-8 text";
        else if (c == 0)
            *why = "a zero byte: this is not a text file";
        else if (omq_conf_is_control(c) && c != '\t' && c != '\n' && c != '\r')
            *why = "a control character";
        else if (c == '%' && at->column == 1)
            *why = "a line that begins with '%': YAML directives are not supported";
        if (*why)
            return false;
        if (c == '\n' || (c == '\r' && !(i + 1 < n && text[i + 1] == '\n'))) {
            at->line++;
            at->column = 1;
        } else {
            at->column++;
        }
    }
    return true;
}

bool omq_conf_check_text(struct omq_conf_state *s, struct omq_conf_place start, const char *text,
                         size_t n)
{
    struct omq_conf_place at;
    const char *why;

    if (is_fit(text, n, &at, &why))
        return true;
    at.source = start.source;
    if (at.line == 1)
        at.column += start.column - 1;
    omq_conf_error(s, at, "%s", why);
    return false;
}
