/* SPDX-License-Identifier: MIT
 *
 * A set: KEY=VALUE, as options have it.
 */
#include "conf/conf_internal.h"

#include <string.h>

/* The key of "a.b=c"; -1 after an error. All of set is printable text. */
static int find_set(struct omq_conf_state *s, int number, const char *set, const char *equals)
{
    char section[OMQ_CONF_PATH_SIZE] = "", found[64];

    for (const char *p = set; p <= equals; p++) {
        if (*p != '.' && p < equals)
            continue;
        if (p > set && p[-1] != '.')
            continue;
        omq_conf_error(s, (struct omq_conf_place){number, 1, (int)(p - set) + 1},
                       "an empty word in the key '%s'",
                       omq_conf_quote(set, (size_t)(equals - set), found));
        return -1;
    }
    for (const char *p = set;; p++) {
        size_t n = strcspn(p, ".=");
        struct omq_conf_place at = {number, 1, (int)(p - set) + 1};
        int k = omq_conf_find(section, p, n);

        if (k < 0) {
            omq_conf_unknown_key(s, at, section, p, n);
            return -1;
        }
        p += n;
        if (*p == '=')
            return k;
        if (omq_conf_keys[k].type != OMQ_CONF_SECTION) {
            at.column = (int)(p - set) + 1;
            omq_conf_error(s, at, "'%s' has no keys inside", omq_conf_keys[k].path);
            return -1;
        }
        snprintf(section, sizeof(section), "%s", omq_conf_keys[k].path);
    }
}

void omq_conf_read_set(struct omq_conf_state *s, int number, const char *set)
{
    const char *equals = strchr(set, '=');
    size_t length = strlen(set);
    struct omq_conf_place at = {number, 1, 1};
    char found[64];
    int k;

    if (!omq_conf_check_text(s, at, set, length))
        return;
    if (strpbrk(set, "\r\n")) {
        at.column = (int)strcspn(set, "\r\n") + 1;
        omq_conf_error(s, at, "a line break: a set is one line");
        return;
    }
    if (!equals) {
        omq_conf_error(s, at, "no '=' in '%s': expected KEY=VALUE, as in train.lr=0.1",
                       omq_conf_quote(set, length, found));
        return;
    }
    k = find_set(s, number, set, equals);
    if (k < 0)
        return;
    /* the key is ASCII, now that it is known */
    at.column = (int)(equals - set) + 2;
    s->given[k] = true;
    s->place[k] = at;
    omq_conf_read_value(s, k, at, equals + 1);
}
