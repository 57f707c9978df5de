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
#include "quant/quant_internal.h"

Suite *omq_suite_view(void);

static void init_rng(struct omq_rng *r, int seed)
{
    omq_rng_init(r, (uint64_t)seed, OMQ_STREAM_TEST, 17, 0);
}

/* ---- views ---- */

enum { VIEW_OUT = 5, VIEW_KH = 3, VIEW_KW = 2, VIEW_KK = VIEW_KH * VIEW_KW, MAX_IN = 19 };
enum { MAX_LEVELS = 4, N_AXES = OMQ_AXIS_KERNEL + 1, N_WAVELETS = OMQ_WAVELET_DB2 + 1 };
enum { N_SHAPES = (MAX_LEVELS + 1) * N_AXES * N_WAVELETS, MAX_N = VIEW_OUT * MAX_IN * VIEW_KK };

struct view_case {
    struct omq_view_spec v;
    omq_real w[MAX_N], dst[MAX_N], offsets[MAX_N], gains[(MAX_LEVELS + 1) * VIEW_OUT];
    omq_real *scratch; /* of the size that is promised: a sanitizer sees beyond */
    size_t n, n_offsets;
};

/* Configuration number i < N_SHAPES of a view. */
static struct omq_quant_config shape(enum omq_view view, int i)
{
    return (struct omq_quant_config){
        .view = view, .levels = i % (MAX_LEVELS + 1),
        .axis = (enum omq_axis)(i / (MAX_LEVELS + 1) % N_AXES),
        .wavelet = (enum omq_wavelet)(i / (MAX_LEVELS + 1) / N_AXES),
    };
}

static void open_view(struct view_case *t, const struct omq_quant_config *q, int in)
{
    int dims[4] = {VIEW_OUT, in, VIEW_KH, VIEW_KW}, box[4];
    struct omq_rng r;

    *t = (struct view_case){.v = omq_view_of(q, 4, false, dims)};
    t->n = (size_t)VIEW_OUT * (size_t)in * VIEW_KK;
    omq_view_offset_dims(&t->v, box);
    t->n_offsets = (size_t)(box[0] * box[1] * box[2] * box[3]);
    t->scratch = malloc(sizeof(omq_real) * omq_view_scratch(&t->v));
    ck_assert_ptr_nonnull(t->scratch);
    init_rng(&r, 100 * q->levels + in);
    for (size_t i = 0; i < t->n; i++)
        t->w[i] = (omq_real)omq_rng_normal(&r);
    for (int s = 0; s < (q->levels + 1) * t->v.gain_stride; s++)
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

START_TEST(boxes_halve_upwards)
{
    static const int want[][5] = {{1, 1, 1, 1, 1}, {2, 1, 1, 1, 1}, {3, 2, 1, 1, 1},
                                  {5, 3, 2, 1, 1}, {16, 8, 4, 2, 1}, {19, 10, 5, 3, 2}};

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        for (int l = 0; l < 5; l++) {
            struct omq_view_spec v = {.dims = {7, want[i][0], 3, 3}, .levels = 4};
            int box[4];

            omq_view_box(&v, l, box);
            ck_assert(box[0] == 7 && box[1] == want[i][l] && box[2] == 3 && box[3] == 3);
            v.axis = OMQ_AXIS_BOTH;
            omq_view_box(&v, l, box);
            ck_assert(box[0] == (7 + (1 << l) - 1) >> l && box[1] == want[i][l] && box[3] == 3);
            v.axis = OMQ_AXIS_OUT;
            omq_view_box(&v, l, box);
            ck_assert(box[0] == (7 + (1 << l) - 1) >> l && box[1] == want[i][0] && box[2] == 3);
            v.axis = OMQ_AXIS_KERNEL;
            omq_view_box(&v, l, box);
            ck_assert(box[0] == 7 && box[1] == want[i][0]);
            ck_assert(box[2] == (l == 0 ? 3 : l == 1 ? 2 : 1) && box[3] == box[2]);
        }
}
END_TEST

/* Which layers have a view; how much of it has offsets. */
START_TEST(views_know_their_width)
{
    static const int dims[4] = {8, 16, 3, 3};
    struct omq_quant_config q = {.view = OMQ_VIEW_OFFSETS, .levels = 2};
    struct omq_view_spec v;
    int box[4];

    for (int bits = 1; bits <= 8; bits++) {
        ck_assert(omq_view_of(&q, bits, false, dims).offsets);
        ck_assert(!omq_view_of(&q, bits, false, dims).gains);
        ck_assert(!omq_view_of(&q, bits, true, dims).offsets);
    }
    ck_assert(!omq_view_of(&q, OMQ_FLOAT_BITS, false, dims).offsets);
    q.view_max_bits = 3;
    for (int bits = 1; bits <= 8; bits++)
        ck_assert_int_eq(omq_view_of(&q, bits, false, dims).offsets, bits <= 3);
    for (int details = 0; details <= 4; details++) {
        q.offset_details = details;
        v = omq_view_of(&q, 2, false, dims);
        omq_view_offset_dims(&v, box);
        ck_assert_int_eq(box[1], details == 0 ? 4 : details == 1 ? 8 : 16);
    }
}
END_TEST

START_TEST(views_start_at_the_weights)
{
    struct view_case t;

    for (int view = OMQ_VIEW_OFF; view <= OMQ_VIEW_AFFINE; view++)
        for (int in = 1; in <= MAX_IN; in++) {
            struct omq_quant_config q = shape((enum omq_view)view, _i);

            q.offset_details = in % 3;
            q.gains = (enum omq_steps)(in % 2);
            open_view(&t, &q, in);
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
    struct omq_quant_config q = shape(OMQ_VIEW_GAINS, _i);
    struct view_case t;

    for (int in = 1; in <= MAX_IN; in++) {
        double sum[MAX_N] = {0}, total = 0;

        open_view(&t, &q, in);
        for (int s = 0; s <= q.levels; s++)
            t.gains[s] = -2.5f;
        apply(&t);
        for (size_t i = 0; i < t.n; i++)
            ck_assert_float_eq_tol((float)t.dst[i], -2.5f * (float)t.w[i], 1e-5f);
        for (int s = 0; s <= q.levels; s++) {
            for (int j = 0; j <= q.levels; j++)
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

/* One gain an output channel: where filters are not mixed, each has its own. */
START_TEST(gains_of_channels_are_apart)
{
    struct omq_quant_config q = shape(OMQ_VIEW_GAINS, _i);
    struct view_case one, all;
    size_t filter;
    int in = 7;

    q.axis = OMQ_AXIS_IN;
    open_view(&one, &q, in);
    q.gains = OMQ_STEPS_CHANNEL;
    open_view(&all, &q, in);
    filter = all.n / VIEW_OUT;
    for (int o = 0; o < VIEW_OUT; o++)
        for (int s = 0; s <= q.levels; s++)
            all.gains[s * VIEW_OUT + o] = (omq_real)(1 + o + 3 * s);
    apply(&all);
    for (int o = 0; o < VIEW_OUT; o++) {
        for (int s = 0; s <= q.levels; s++)
            one.gains[s] = (omq_real)(1 + o + 3 * s);
        apply(&one);
        ck_assert(memcmp(all.dst + (size_t)o * filter, one.dst + (size_t)o * filter,
                         filter * sizeof(*one.dst)) == 0);
    }
    free(one.scratch);
    free(all.scratch);
}
END_TEST

/* The coarsest scale by hand: of 2^l channels, one offset x adds x / sqrt(2)^l
 * to each. */
START_TEST(offsets_reach_their_channels)
{
    struct omq_quant_config q = {.view = OMQ_VIEW_OFFSETS, .levels = _i};
    struct view_case t;
    int in = 1 << _i;

    open_view(&t, &q, in);
    ck_assert_uint_eq(t.n_offsets, VIEW_OUT * VIEW_KK);
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

/* And where all scales have them, they reach every weight. */
START_TEST(offsets_keep_their_energy)
{
    struct view_case t;
    struct omq_rng r;

    init_rng(&r, _i);
    for (int in = 1; in <= MAX_IN; in++)
        for (int details = 0; details <= MAX_LEVELS; details++) {
            struct omq_quant_config q = shape(OMQ_VIEW_OFFSETS, _i);

            q.offset_details = details;
            open_view(&t, &q, in);
            if (details >= q.levels)
                ck_assert_uint_eq(t.n_offsets, t.n);
            for (size_t i = 0; i < t.n_offsets; i++)
                t.offsets[i] = (omq_real)omq_rng_normal(&r);
            apply(&t);
            for (size_t i = 0; i < t.n; i++)
                t.dst[i] -= t.w[i];
            ck_assert_double_eq_tol(energy(t.dst, t.n), energy(t.offsets, t.n_offsets),
                                    1e-4 * energy(t.offsets, t.n_offsets));
            free(t.scratch);
        }
}
END_TEST

/* The backward pass writes within its scratch too, and adds. */
START_TEST(view_gradients_add_up)
{
    struct view_case t;
    omq_real dw[MAX_N], dg[(MAX_LEVELS + 1) * VIEW_OUT], doff[MAX_N];

    for (int view = OMQ_VIEW_OFF; view <= OMQ_VIEW_AFFINE; view++)
        for (int in = 1; in <= MAX_IN; in += 3) {
            struct omq_quant_config q = shape((enum omq_view)view, _i);
            double sum = 0;

            q.offset_details = in % 2;
            q.gains = (enum omq_steps)(in % 4 < 2);
            open_view(&t, &q, in);
            for (size_t i = 0; i < t.n; i++)
                dw[i] = 1;
            memset(dg, 0, sizeof(dg));
            memset(doff, 0, sizeof(doff));
            omq_view_backward(&t.v, t.w, t.gains, t.w, dw, dg, doff, t.scratch);
            for (size_t i = 0; i < t.n; i++)
                ck_assert_float_eq_tol((float)dw[i], 1 + (float)t.w[i], 1e-5f);
            for (int s = 0; s < (q.levels + 1) * t.v.gain_stride; s++)
                sum += (double)dg[s];
            if (t.v.gains) /* sum over scales of <c, c> */
                ck_assert_double_eq_tol(sum, energy(t.w, t.n), 1e-4 * energy(t.w, t.n));
            if (t.v.offsets) /* a part of the energy: that of some scales */
                ck_assert(energy(doff, t.n_offsets) > 0 &&
                          energy(doff, t.n_offsets) <= energy(t.w, t.n) * 1.0001);
            free(t.scratch);
        }
}
END_TEST

/* With detach, what the offsets learn is what the shared weights do not. */
START_TEST(detached_gradients_are_split)
{
    struct view_case t;
    omq_real dw[2][MAX_N], dg[1], doff[2][MAX_N], u[MAX_N], scratch[3 * MAX_N];
    struct omq_rng r;

    init_rng(&r, _i);
    for (int in = 1; in <= MAX_IN; in++) {
        struct omq_quant_config q = shape(OMQ_VIEW_OFFSETS, _i);

        q.offset_details = in % 2;
        memset(dw, 0, sizeof(dw));
        memset(doff, 0, sizeof(doff));
        for (int i = 0; i < MAX_N; i++)
            u[i] = (omq_real)omq_rng_normal(&r);
        for (int detach = 0; detach < 2; detach++) {
            q.detach = detach;
            open_view(&t, &q, in);
            omq_view_backward(&t.v, t.w, NULL, u, dw[detach], dg, doff[detach], t.scratch);
            if (detach == 0)
                free(t.scratch);
        }
        ck_assert(memcmp(doff[0], doff[1], sizeof(doff[0])) == 0);
        memset(t.w, 0, sizeof(*t.w) * t.n);
        omq_view_forward(&t.v, t.w, NULL, doff[0], t.dst, scratch);
        for (size_t i = 0; i < t.n; i++)
            ck_assert_double_eq_tol((double)(dw[0][i] - dw[1][i]), (double)t.dst[i], 1e-5);
        free(t.scratch);
    }
}
END_TEST

/* ---- bands ---- */

static const enum omq_grid_kind kinds[] = {OMQ_GRID_AUTO, OMQ_GRID_MIDRISE, OMQ_GRID_SYMMETRIC};

/* The view of 3 x 5 x 3 x 2 weights, or others: grid i, along an axis. */
static struct omq_view_spec bands(int grid, enum omq_axis axis, const int dims[4])
{
    struct omq_quant_config q = {.view = OMQ_VIEW_BANDS, .axis = axis, .grid = kinds[grid / 8],
                                 .levels = 3, .wavelet = OMQ_WAVELET_DB2}; /* without effect */

    return omq_view_of(&q, 1 + grid % 8, false, dims);
}

START_TEST(bands_are_for_codes_that_stay_int8)
{
    static const int dims[4] = {3, 5, 3, 2};

    for (int grid = 0; grid < 3 * 8; grid++)
        for (int axis = 0; axis < N_AXES; axis++) {
            struct omq_view_spec v = bands(grid, (enum omq_axis)axis, dims);
            struct omq_grid g = omq_grid_of(kinds[grid / 8], 1 + grid % 8);

            ck_assert_int_eq(v.bands, g.bits <= (axis <= OMQ_AXIS_OUT ? 7 : 6));
            ck_assert(omq_view_k_max(&v, &g) <= 127 && !v.gains && !v.offsets);
            ck_assert_int_eq(omq_view_steps(&v, OMQ_STEPS_LAYER), 1);
            ck_assert_int_eq(omq_view_steps(&v, OMQ_STEPS_CHANNEL),
                             v.bands && axis % 3 ? 1 : 3); /* out, both: filters are mixed */
        }
}
END_TEST

/* A pair of channels by hand, on both grids; and a channel alone. */
START_TEST(bands_are_sums_and_differences)
{
    static const int dims[4] = {1, 3, 1, 1};
    struct omq_view_spec v = bands(1, OMQ_AXIS_IN, dims);
    struct omq_grid g = omq_grid_of(OMQ_GRID_AUTO, 2);
    static const double want[3] = {4, 5, -2};
    omq_real w[3] = {1, 3, 5}, c[3], scratch[9];
    int8_t k[3] = {3, -1, 1}, codes[6]; /* two sums, then the difference */
    const int8_t *got = omq_view_codes(&v, &g, k, codes);

    ck_assert(got[0] == 2 && got[1] == 1 && got[2] == -1);
    ck_assert_double_eq_tol((double)omq_view_unit(&v, &g, 4), sqrt(8), 1e-6);
    v = bands(8 + 7 + 4, OMQ_AXIS_IN, dims);
    g = omq_grid_of(OMQ_GRID_SYMMETRIC, 4);
    got = omq_view_codes(&v, &g, k, codes);
    ck_assert(got[0] == 4 && got[1] == 2 && got[2] == -2);
    ck_assert_double_eq_tol((double)omq_view_unit(&v, &g, 4), sqrt(8), 1e-6);
    omq_view_forward(&v, w, NULL, NULL, c, scratch);
    for (int i = 0; i < 3; i++) /* the last one is smaller, for its code is doubled */
        ck_assert_double_eq_tol((double)c[i], want[i] * sqrt(0.5), 1e-6);
}
END_TEST

/* What the integers mean is what the inverse makes of the coefficients. */
START_TEST(bands_reconstruct_exactly)
{
    static const int shapes[][4] = {{3, 5, 3, 2}, {4, 8, 3, 3}, {1, 1, 1, 1}, {5, 1, 3, 3},
                                    {2, 7, 1, 1}, {6, 6, 5, 5}};
    struct omq_grid g = omq_grid_of(kinds[_i / 8], 1 + _i % 8);
    omq_real w[6 * 6 * 25], x[6 * 6 * 25], tmp[3 * 6 * 6 * 25];
    int8_t k[6 * 6 * 25];
    struct omq_rng r;

    init_rng(&r, _i);
    for (int axis = 0; axis < N_AXES; axis++)
        for (size_t shape = 0; shape < sizeof(shapes) / sizeof(shapes[0]); shape++) {
            struct omq_view_spec v = bands(_i, (enum omq_axis)axis, shapes[shape]);
            size_t n = omq_view_count(v.dims);
            int8_t *scratch = malloc(2 * n); /* no byte more: a sanitizer sees beyond */
            const int8_t *codes;

            ck_assert_ptr_nonnull(scratch);
            for (size_t i = 0; i < n; i++) {
                int span = (g.k_max - g.k_min) / (g.midrise ? 2 : 1);
                int j = i % 3 ? (int)omq_rng_below(&r, (uint32_t)span + 1) : i % 2 ? span : 0;

                k[i] = (int8_t)(g.k_min + j * (g.midrise ? 2 : 1));
                x[i] = (omq_real)k[i] * omq_grid_unit(&g, (omq_real)0.3);
            }
            codes = omq_view_codes(&v, &g, k, scratch);
            if (v.bands)
                omq_wavelet_synthesise(&v, x, (omq_real)sqrt(2), tmp);
            for (size_t i = 0; i < n; i++) {
                ck_assert_int_le(abs(codes[i]), omq_view_k_max(&v, &g));
                ck_assert_double_eq_tol((double)x[i],
                                        codes[i] * (double)omq_view_unit(&v, &g, (omq_real)0.3),
                                        1e-5 * g.k_max);
                w[i] = (omq_real)omq_rng_normal(&r);
            }
            omq_view_forward(&v, w, NULL, NULL, x, tmp);
            if (v.bands)
                omq_wavelet_synthesise(&v, x, (omq_real)sqrt(2), tmp);
            for (size_t i = 0; i < n; i++)
                ck_assert_double_eq_tol((double)x[i], (double)w[i], 1e-5);
            free(scratch);
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

    tcase_add_test(t, boxes_halve_upwards);
    tcase_add_test(t, views_know_their_width);
    tcase_add_loop_test(t, views_start_at_the_weights, 0, N_SHAPES);
    tcase_add_loop_test(t, gains_split_the_energy, 0, N_SHAPES);
    tcase_add_loop_test(t, gains_of_channels_are_apart, 0, N_SHAPES);
    tcase_add_loop_test(t, offsets_reach_their_channels, 0, MAX_LEVELS + 1);
    tcase_add_loop_test(t, offsets_keep_their_energy, 0, N_SHAPES);
    tcase_add_loop_test(t, view_gradients_add_up, 0, N_SHAPES);
    tcase_add_loop_test(t, detached_gradients_are_split, 0, N_SHAPES);
    tcase_add_test(t, bands_are_for_codes_that_stay_int8);
    tcase_add_test(t, bands_are_sums_and_differences);
    tcase_add_loop_test(t, bands_reconstruct_exactly, 0, 3 * 8);
    tcase_add_test(t, packed_rows_are_whole_bytes);
    tcase_add_loop_test(t, packing_is_a_stream_of_bits_and_comes_back, 0, 3 * 8);
    suite_add_tcase(s, t);
    return s;
}
