/* SPDX-License-Identifier: MIT
 *
 * The wavelet views and the packing of codes: nothing is lost, nothing is
 * added, and nothing is written beyond the buffers that were promised.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "quant/quant.h"

Suite *omq_suite_view(void);

static void init_rng(struct omq_rng *r, int seed)
{
    omq_rng_init(r, (uint64_t)seed, OMQ_STREAM_TEST, 17, 0);
}

/* ---- views ---- */

enum { VIEW_OUT = 3, VIEW_KK = 5, MAX_IN = 19, MAX_LEVELS = 4 };

struct view_case {
    struct omq_view_spec v;
    omq_real w[VIEW_OUT * MAX_IN * VIEW_KK], dst[VIEW_OUT * MAX_IN * VIEW_KK];
    omq_real offsets[VIEW_OUT * MAX_IN * VIEW_KK], gains[MAX_LEVELS + 1];
    omq_real *scratch; /* of the size that is promised: a sanitizer sees beyond */
    size_t n;
    int coarse;
};

static void open_view(struct view_case *t, enum omq_view view, int levels, int in)
{
    struct omq_rng r;

    *t = (struct view_case){.v = {view, levels, VIEW_OUT, in, VIEW_KK}};
    t->n = (size_t)VIEW_OUT * (size_t)in * VIEW_KK;
    t->coarse = omq_view_coarse(in, levels);
    t->scratch = malloc(sizeof(omq_real) * omq_view_scratch(&t->v));
    ck_assert_ptr_nonnull(t->scratch);
    init_rng(&r, 100 * levels + in);
    for (size_t i = 0; i < t->n; i++)
        t->w[i] = (omq_real)omq_rng_normal(&r);
    for (int s = 0; s <= levels; s++)
        t->gains[s] = 1;
}

static void apply(struct view_case *t)
{
    omq_view_forward(&t->v, t->w, t->gains, t->offsets, t->dst, t->scratch);
}

static double energy(const omq_real *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

START_TEST(coarse_channels_halve_upwards)
{
    static const int want[][5] = {{1, 1, 1, 1, 1}, {2, 1, 1, 1, 1}, {3, 2, 1, 1, 1},
                                  {5, 3, 2, 1, 1}, {16, 8, 4, 2, 1}, {19, 10, 5, 3, 2}};

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        for (int l = 0; l < 5; l++)
            ck_assert_int_eq(omq_view_coarse(want[i][0], l), want[i][l]);
}
END_TEST

START_TEST(views_start_at_the_weights)
{
    struct view_case t;

    for (int view = OMQ_VIEW_OFF; view <= OMQ_VIEW_OFFSETS; view++)
        for (int in = 1; in <= MAX_IN; in++) {
            open_view(&t, (enum omq_view)view, _i, in);
            apply(&t);
            ck_assert(memcmp(t.dst, t.w, t.n * sizeof(*t.w)) == 0);
            free(t.scratch);
        }
}
END_TEST

/* All gains g: the weights times g. One gain 0: its scale is gone, and what is
 * gone from each scale adds up to the weights, in energy too. */
START_TEST(gains_split_the_energy)
{
    struct view_case t;

    for (int in = 1; in <= MAX_IN; in++) {
        double sum[VIEW_OUT * MAX_IN * VIEW_KK] = {0}, total = 0;

        open_view(&t, OMQ_VIEW_GAINS, _i, in);
        for (int s = 0; s <= _i; s++)
            t.gains[s] = -2.5f;
        apply(&t);
        for (size_t i = 0; i < t.n; i++)
            ck_assert_float_eq_tol((float)t.dst[i], -2.5f * (float)t.w[i], 1e-5f);
        for (int s = 0; s <= _i; s++) {
            for (int j = 0; j <= _i; j++)
                t.gains[j] = j != s;
            apply(&t);
            for (size_t i = 0; i < t.n; i++) {
                t.dst[i] = t.w[i] - t.dst[i];
                sum[i] += (double)t.dst[i];
            }
            total += energy(t.dst, t.n);
        }
        for (size_t i = 0; i < t.n; i++)
            ck_assert_double_eq_tol(sum[i], (double)t.w[i], 1e-5);
        ck_assert_double_eq_tol(total, energy(t.w, t.n), 1e-4 * energy(t.w, t.n));
        free(t.scratch);
    }
}
END_TEST

/* The coarsest scale by hand: of 2^l channels, one offset x adds x / sqrt(2)^l
 * to each. */
START_TEST(offsets_reach_their_channels)
{
    struct view_case t;
    int in = 1 << _i;

    open_view(&t, OMQ_VIEW_OFFSETS, _i, in);
    ck_assert_int_eq(t.coarse, 1);
    t.offsets[VIEW_KK + 2] = 3; /* out 1, kernel element 2 */
    apply(&t);
    for (int o = 0; o < VIEW_OUT; o++)
        for (int c = 0; c < in; c++)
            for (int j = 0; j < VIEW_KK; j++) {
                int i = (o * in + c) * VIEW_KK + j;
                double add = o == 1 && j == 2 ? 3 / pow(sqrt(2), _i) : 0;

                ck_assert_double_eq_tol((double)t.dst[i], (double)t.w[i] + add, 1e-5);
            }
    free(t.scratch);
}
END_TEST

START_TEST(offsets_keep_their_energy)
{
    struct view_case t;
    struct omq_rng r;

    init_rng(&r, _i);
    for (int in = 1; in <= MAX_IN; in++) {
        size_t n = (size_t)(VIEW_OUT * omq_view_coarse(in, _i) * VIEW_KK);

        open_view(&t, OMQ_VIEW_OFFSETS, _i, in);
        for (size_t i = 0; i < n; i++)
            t.offsets[i] = (omq_real)omq_rng_normal(&r);
        apply(&t);
        for (size_t i = 0; i < t.n; i++)
            t.dst[i] -= t.w[i];
        ck_assert_double_eq_tol(energy(t.dst, t.n), energy(t.offsets, n),
                                1e-4 * energy(t.offsets, n));
        free(t.scratch);
    }
}
END_TEST

/* The backward pass writes within its scratch too, and adds. */
START_TEST(view_gradients_add_up)
{
    struct view_case t;
    omq_real dw[VIEW_OUT * MAX_IN * VIEW_KK], dg[MAX_LEVELS + 1];
    omq_real doff[VIEW_OUT * MAX_IN * VIEW_KK];

    for (int view = OMQ_VIEW_OFF; view <= OMQ_VIEW_OFFSETS; view++)
        for (int in = 1; in <= MAX_IN; in += 3) {
            size_t n_off = (size_t)(VIEW_OUT * omq_view_coarse(in, _i) * VIEW_KK);
            double sum = 0;

            open_view(&t, (enum omq_view)view, _i, in);
            for (size_t i = 0; i < t.n; i++)
                dw[i] = 1;
            memset(dg, 0, sizeof(dg));
            memset(doff, 0, sizeof(doff));
            omq_view_backward(&t.v, t.w, t.gains, t.w, dw, dg, doff, t.scratch);
            for (size_t i = 0; i < t.n; i++)
                ck_assert_float_eq_tol((float)dw[i], 1 + (float)t.w[i], 1e-5f);
            for (int s = 0; s <= _i; s++)
                sum += (double)dg[s];
            if (view == OMQ_VIEW_GAINS) /* sum over scales of <c, c> */
                ck_assert_double_eq_tol(sum, energy(t.w, t.n), 1e-4 * energy(t.w, t.n));
            if (view == OMQ_VIEW_OFFSETS) /* a part of the energy: the coarsest scale's */
                ck_assert(energy(doff, n_off) > 0 &&
                          energy(doff, n_off) <= energy(t.w, t.n) * 1.0001);
            free(t.scratch);
        }
}
END_TEST

/* ---- packing ---- */

START_TEST(packed_rows_are_whole_bytes)
{
    for (int bits = 1; bits <= 8; bits++)
        for (size_t n = 0; n < 40; n++) {
            size_t want = n * (size_t)bits / 8 + (n * (size_t)bits % 8 ? 1 : 0);

            ck_assert_uint_eq(omq_pack_row_bytes(bits, n), want);
        }
    ck_assert_uint_eq(omq_pack_row_bytes(3, (size_t)1 << 40), (size_t)3 << 37);
}
END_TEST

/* A row as bits of text: level j of code i in bits i * width and up. */
START_TEST(packing_is_a_stream_of_bits_and_comes_back)
{
    static const enum omq_grid_kind kinds[] = {OMQ_GRID_AUTO, OMQ_GRID_MIDRISE,
                                               OMQ_GRID_SYMMETRIC};
    struct omq_grid g = omq_grid_of(kinds[_i / 8], 1 + _i % 8);
    struct omq_rng r;

    init_rng(&r, _i);
    for (size_t n = 1; n <= 21; n++) {
        enum { ROWS = 3 };
        size_t row = omq_pack_row_bytes(g.bits, n);
        uint8_t *packed = malloc(ROWS * row); /* no byte more: a sanitizer sees beyond */
        int8_t k[ROWS * 21], back[ROWS * 21];

        ck_assert_ptr_nonnull(packed);
        memset(packed, 0xff, ROWS * row);
        for (size_t i = 0; i < ROWS * n; i++) {
            int levels = g.midrise ? 1 << g.bits : g.k_max - g.k_min + 1;
            int j = (int)omq_rng_below(&r, (uint32_t)levels);

            k[i] = (int8_t)(g.midrise ? 2 * j - g.k_max : g.k_min + j);
        }
        omq_pack(&g, ROWS, n, k, packed);
        for (size_t i = 0; i < ROWS * n; i++) {
            int level = 0;

            for (int b = 0; b < g.bits; b++) {
                size_t at = i % n * (size_t)g.bits + (size_t)b;

                level |= (packed[i / n * row + at / 8] >> at % 8 & 1) << b;
            }
            ck_assert_int_eq(level, g.midrise ? (k[i] + g.k_max) / 2
                                              : k[i] + (1 << (g.bits - 1)));
        }
        if (n * (size_t)g.bits % 8) /* the rest of a row's last byte is 0 */
            ck_assert_int_eq(packed[row - 1] >> n * (size_t)g.bits % 8, 0);
        memset(back, 99, sizeof(back));
        omq_unpack(&g, ROWS, n, packed, back);
        ck_assert(memcmp(k, back, ROWS * n) == 0);
        free(packed);
    }
}
END_TEST

Suite *omq_suite_view(void)
{
    Suite *s = suite_create("view");
    TCase *t = tcase_create("view");

    tcase_add_test(t, coarse_channels_halve_upwards);
    tcase_add_loop_test(t, views_start_at_the_weights, 1, MAX_LEVELS + 1);
    tcase_add_loop_test(t, gains_split_the_energy, 1, MAX_LEVELS + 1);
    tcase_add_loop_test(t, offsets_reach_their_channels, 1, MAX_LEVELS + 1);
    tcase_add_loop_test(t, offsets_keep_their_energy, 1, MAX_LEVELS + 1);
    tcase_add_loop_test(t, view_gradients_add_up, 1, MAX_LEVELS + 1);
    tcase_add_test(t, packed_rows_are_whole_bytes);
    tcase_add_loop_test(t, packing_is_a_stream_of_bits_and_comes_back, 0, 3 * 8);
    suite_add_tcase(s, t);
    return s;
}
