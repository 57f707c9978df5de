/* SPDX-License-Identifier: MIT */
#include "conf/conf.h"

#include <string.h>

/* One width at *s, moved past it; 0 if there is none. */
static int take_width(const char **s)
{
    const char *p = *s;

    if (p[0] == '3' && p[1] == '2') {
        *s = p + 2;
        return OMQ_FLOAT_BITS;
    }
    if (p[0] < '1' || p[0] > '8')
        return 0;
    *s = p + 1;
    return p[0] - '0';
}

bool omq_precision_parse(const char *s, struct omq_precision *p)
{
    struct omq_precision q;

    if (*s == 'w') {
        s++;
        q.w = take_width(&s);
        if (!q.w || *s++ != 'a')
            return false;
        q.a = take_width(&s);
    } else {
        q.w = q.a = take_width(&s);
    }
    if (!q.a || *s)
        return false;
    *p = q;
    return true;
}

char *omq_precision_name(struct omq_precision p, char buf[16])
{
    /* two digits each are all that a precision has */
    snprintf(buf, 16, "w%da%d", p.w % 100, p.a % 100);
    return buf;
}

void omq_precision_list(const struct omq_precision *p, int n, char *buf, size_t size)
{
    char name[16];
    size_t used = 0;

    if (size > 0)
        buf[0] = 0;
    for (int i = 0; i < n && used < size; i++) {
        omq_precision_name(p[i], name);
        if (p[i].w == p[i].a)
            used += (size_t)snprintf(buf + used, size - used, "%s%d", i ? " " : "", p[i].w);
        else
            used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? " " : "", name);
    }
}

int omq_precision_rank(struct omq_precision p) { return p.w * 64 + p.a; }
