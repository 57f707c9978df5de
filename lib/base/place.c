/* SPDX-License-Identifier: MIT */
#include "base/place.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

static void forget(struct omq_places *p, int now)
{
    int kept = 0;

    for (int i = 0; i < p->n; i++)
        if (p->live[i].last >= now)
            p->live[kept++] = p->live[i];
    p->n = kept;
}

size_t omq_places_take(struct omq_places *p, size_t size, int now, int last)
{
    size_t begin = 0, end;
    int at;

    forget(p, now);
    for (at = 0; at < p->n && p->live[at].begin - begin < size; at++)
        begin = p->live[at].end;
    if (!omq_add_size(begin, size, &end))
        end = SIZE_MAX;
    memmove(p->live + at + 1, p->live + at, sizeof(*p->live) * (size_t)(p->n - at));
    p->live[at] = (struct omq_place){begin, end, last};
    p->n++;
    if (end > p->size)
        p->size = end;
    return begin;
}
