/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *omq_calloc(size_t n, size_t size)
{
    size_t total;
    void *p;

    if (!omq_mul_size(n, size, &total) || !omq_align_size(total, &total))
        return NULL;
    if (total == 0)
        total = OMQ_ALIGN;
    p = aligned_alloc(OMQ_ALIGN, total);
    if (p)
        memset(p, 0, total);
    return p;
}

void *omq_arena_take(struct omq_arena *a, size_t n, size_t size)
{
    size_t total, end;
    void *p;

    if (!omq_mul_size(n, size, &total) || !omq_align_size(total, &total) ||
        !omq_add_size(a->used, total, &end)) {
        a->used = SIZE_MAX;
        return NULL;
    }
    if (a->base && end > a->size)
        OMQ_BUG("arena: the second pass takes more than the first counted");
    p = a->base ? a->base + a->used : NULL;
    a->used = end;
    return p;
}

int omq_arena_commit(struct omq_arena *a, const char *what, struct omq_err *err)
{
    char *p = a->used == SIZE_MAX ? NULL : omq_calloc(a->used, 1);

    if (!p)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %.1f MiB for %s",
                        (double)a->used / (1 << 20), what);
    a->base = p;
    a->size = a->used;
    a->used = 0;
    return OMQ_OK;
}

void omq_arena_release(struct omq_arena *a)
{
    free(a->base);
    *a = (struct omq_arena){0};
}
