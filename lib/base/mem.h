/* SPDX-License-Identifier: MIT
 *
 * Memory: checked size arithmetic and the arena.
 *
 * An arena is filled in two passes by the same planning code. With base ==
 * NULL omq_arena_take() returns NULL and only counts; omq_arena_commit() then
 * allocates what was counted, zeroed, and the second pass hands out pointers.
 * Nothing is freed alone; omq_arena_release() frees all. Not thread-safe.
 */
#ifndef OMQ_BASE_MEM_H
#define OMQ_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define OMQ_ALIGN 64

/* *out = a * b (or a + b); false on overflow, *out then unspecified. */
static inline bool omq_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool omq_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* n rounded up to a multiple of OMQ_ALIGN: of an n that is known to be far from SIZE_MAX,
 * and checked as those above. */
static inline size_t omq_align_up(size_t n)
{
    return (n + OMQ_ALIGN - 1) / OMQ_ALIGN * OMQ_ALIGN;
}

static inline bool omq_align_size(size_t n, size_t *out)
{
    *out = omq_align_up(n);
    return *out >= n;
}

/* n * size zeroed bytes aligned to OMQ_ALIGN, or NULL (also on overflow; a
 * size of 0 gives a valid pointer). Free with free(). */
void *omq_calloc(size_t n, size_t size);

struct omq_arena {
    char *base;  /* NULL while counting */
    size_t used; /* bytes taken, or counted, so far; SIZE_MAX after overflow */
    size_t size; /* bytes of base */
};

/* n * size bytes, zeroed, aligned to OMQ_ALIGN; NULL while counting. Taking
 * more than was counted is a bug and aborts. */
void *omq_arena_take(struct omq_arena *a, size_t n, size_t size);

/* Ends the counting pass: allocates. On OMQ_ENOMEM the arena is unchanged;
 * what names the purpose in the message. */
int omq_arena_commit(struct omq_arena *a, const char *what,
                     struct omq_err *err) OMQ_WARN_UNUSED;

/* Frees everything; the arena is as new. */
void omq_arena_release(struct omq_arena *a);

#endif
