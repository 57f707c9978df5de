/* SPDX-License-Identifier: MIT */
#include "failalloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_long fail_from, count;

void failalloc_set(long nth)
{
    fail_from = nth;
    count = 0;
}

long failalloc_count(void) { return count; }

static bool refuse(void)
{
    long nth = ++count;

    if (fail_from == 0 || nth < fail_from)
        return false;
    errno = ENOMEM;
    return true;
}

/* The linker resolves __real_x to x, and our calls of x to __wrap_x. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);

void *__wrap_malloc(size_t n) { return refuse() ? NULL : __real_malloc(n); }

void *__wrap_calloc(size_t n, size_t size) { return refuse() ? NULL : __real_calloc(n, size); }

void *__wrap_realloc(void *p, size_t n) { return refuse() ? NULL : __real_realloc(p, n); }

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return refuse() ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s) { return refuse() ? NULL : __real_strdup(s); }
