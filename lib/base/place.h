/* SPDX-License-Identifier: MIT
 *
 * Places in memory for things that are not needed all the time: what is not needed
 * at the same time may have the same place.
 */
#ifndef OMQ_BASE_PLACE_H
#define OMQ_BASE_PLACE_H

#include <stddef.h>

/* What is there at some time, in order of its places. */
struct omq_place {
    size_t begin, end;
    int last; /* time of its last use */
};
struct omq_places {
    struct omq_place *live; /* the caller's: room for as many as there are in all */
    int n;
    size_t size;            /* bytes of all places so far; SIZE_MAX after overflow */
};

/* The first gap of `size` bytes among what is still used at `now` or later; times do
 * not decrease from call to call. */
size_t omq_places_take(struct omq_places *p, size_t size, int now, int last);

#endif
