/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdint.h>

#include "base/place.h"
#include "base/rng.h"

Suite *omq_suite_place(void);

enum { THINGS = 60 };

/* What is needed at one time lies apart, and what is not may share. */
START_TEST(places_do_not_overlap)
{
    struct omq_place live[THINGS];
    struct omq_places p = {.live = live};
    size_t begin[THINGS], end[THINGS], all = 0;
    int from[THINGS], last[THINGS], now = -5;
    struct omq_rng r;

    omq_rng_init(&r, 1, OMQ_STREAM_TEST, (uint32_t)_i, 0);
    for (int i = 0; i < THINGS; i++) {
        const size_t size = 1 + omq_rng_below(&r, 100);

        now += (int)omq_rng_below(&r, 3);
        from[i] = now;
        last[i] = now + (int)omq_rng_below(&r, 6);
        begin[i] = omq_places_take(&p, size, from[i], last[i]);
        end[i] = begin[i] + size;
        all += size;
        ck_assert(end[i] <= p.size);
        for (int j = 0; j < i; j++)
            ck_assert(last[j] < from[i] || end[j] <= begin[i] || end[i] <= begin[j]);
    }
    ck_assert(2 * p.size < all);
}
END_TEST

START_TEST(too_much_is_seen)
{
    struct omq_place live[2];
    struct omq_places p = {.live = live};

    omq_places_take(&p, 100, 0, 5);
    omq_places_take(&p, SIZE_MAX - 50, 0, 5);
    ck_assert(p.size == SIZE_MAX);
}
END_TEST

Suite *omq_suite_place(void)
{
    Suite *s = suite_create("place");
    TCase *t = tcase_create("place");

    tcase_add_loop_test(t, places_do_not_overlap, 0, 20);
    tcase_add_test(t, too_much_is_seen);
    suite_add_tcase(s, t);
    return s;
}
