/* SPDX-License-Identifier: MIT
 *
 * Which training images are used, and which of those are held out.
 */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "data/data_internal.h"

/* take[c] of the count[c] images of each class, limit in all: every class
 * gives the same number, classes that have fewer give what they have, and what
 * does not divide evenly goes to the first classes. */
static void share_out(int *take, const int *count, int n_classes, int limit)
{
    int left = limit;

    for (int c = 0; c < n_classes; c++)
        take[c] = 0;
    while (left > 0) {
        int open = 0, each;

        for (int c = 0; c < n_classes; c++)
            open += take[c] < count[c];
        if (open == 0)
            break;
        each = left >= open ? left / open : 1;
        for (int c = 0; c < n_classes && left > 0; c++) {
            int add = count[c] - take[c] < each ? count[c] - take[c] : each;

            take[c] += add;
            left -= add;
        }
    }
}

static void permute(uint32_t *x, int n, struct omq_rng *r)
{
    for (int i = n - 1; i > 0; i--) {
        uint32_t j = omq_rng_below(r, (uint32_t)i + 1), t = x[i];

        x[i] = x[j];
        x[j] = t;
    }
}

void omq_shuffle(uint32_t *order, int n, uint64_t seed, int epoch)
{
    struct omq_rng r;

    for (int i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    omq_rng_init(&r, seed, OMQ_STREAM_SHUFFLE, (uint32_t)epoch, 0);
    permute(order, n, &r);
}

/* by_class: image numbers sorted by class, each class in file order; start[c]
 * is where class c begins. */
static void sort_by_class(uint32_t *by_class, int *start, const int *count, const uint16_t *labels,
                          int n, int n_classes)
{
    int at = 0;

    for (int c = 0; c < n_classes; c++) {
        start[c] = at;
        at += count[c];
    }
    for (int i = 0; i < n; i++)
        by_class[start[labels[i]]++] = (uint32_t)i;
    for (int c = 0; c < n_classes; c++)
        start[c] -= count[c];
}

int omq_split_draw(uint8_t *role, const uint16_t *labels, int n, int n_classes, int limit,
                   double validation, uint64_t seed, struct omq_err *err)
{
    int *count = calloc((size_t)n_classes * 3, sizeof(*count));
    uint32_t *by_class = malloc((size_t)n * sizeof(*by_class));
    int *take, *start, used = 0;

    if (!count || !by_class) {
        free(count);
        free(by_class);
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the split of %d images", n);
    }
    take = count + n_classes;
    start = take + n_classes;
    for (int i = 0; i < n; i++) {
        count[labels[i]]++;
        role[i] = OMQ_ROLE_UNUSED;
    }
    sort_by_class(by_class, start, count, labels, n, n_classes);
    share_out(take, count, n_classes, limit > 0 && limit < n ? limit : n);
    for (int c = 0; c < n_classes; c++) {
        /* rounding the running total keeps the share exact over all classes,
         * also where one class has too few images to give its own share */
        int held = (int)(floor(validation * (used + take[c]) + 0.5) -
                         floor(validation * used + 0.5));
        uint32_t *mine = by_class + start[c];
        struct omq_rng r;

        omq_rng_init(&r, seed, OMQ_STREAM_SPLIT, (uint32_t)c, 0);
        permute(mine, count[c], &r);
        for (int i = 0; i < take[c]; i++)
            role[mine[i]] = i < held ? OMQ_ROLE_VALIDATION : OMQ_ROLE_TRAIN;
        used += take[c];
    }
    free(count);
    free(by_class);
    return OMQ_OK;
}
