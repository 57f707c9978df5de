/* SPDX-License-Identifier: MIT
 *
 * Views against the wavelet transform that they are said to be, written down
 * in double, and the packing of codes: nothing is lost, nothing is added, and
 * nothing is written beyond the buffers that were promised.
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

/* ---- Haar's transform of one line ---- */

enum { MAX_IN = 35 };

/* x[n] -> sums, then differences, then those of finer levels; the last of an odd
 * number is the last of the sums. */
static void analyse(double *x, int n, int levels)
{
    for (int l = 0; l < levels; l++) {
        double y[MAX_IN];
        int pairs = n / 2, sums = n - pairs;

        for (int i = 0; i < pairs; i++) {
            y[i] = (x[2 * i] + x[2 * i + 1]) / sqrt(2);
            y[sums + i] = (x[2 * i] - x[2 * i + 1]) / sqrt(2);
        }
        if (n % 2)
            y[sums - 1] = x[n - 1];
        memcpy(x, y, sizeof(*x) * (size_t)n);
        n = sums;
    }
}

static void synthesise(double *x, int n, int levels)
{
    for (int l = levels; l-- > 0;) {
        double y[MAX_IN];
        int len = n;

        for (int i = 0; i < l; i++)
            len = (len + 1) / 2;
        for (int i = 0, sums = len - len / 2; i < len / 2; i++) {
            y[2 * i] = (x[i] + x[sums + i]) / sqrt(2);
            y[2 * i + 1] = (x[i] - x[sums + i]) / sqrt(2);
        }
        if (len % 2)
            y[len - 1] = x[len / 2];
        memcpy(x, y, sizeof(*x) * (size_t)len);
    }
}

static double energy(const double *x, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

/* What the others are compared with is what it should be. */
START_TEST(the_transform_is_orthonormal)
{
    double w[MAX_IN], x[MAX_IN];
    struct omq_rng r;

    init_rng(&r, _i);
    for (int in = 1; in <= MAX_IN; in++) {
        for (int i = 0; i < in; i++)
            w[i] = x[i] = omq_rng_normal(&r);
        analyse(x, in, _i);
        ck_assert_double_eq_tol(energy(x, in), energy(w, in), 1e-12);
        synthesise(x, in, _i);
        for (int i = 0; i < in; i++)
            ck_assert_double_eq_tol(x[i], w[i], 1e-13);
    }
}
END_TEST

/* ---- views ---- */

enum { OUT = 3 };

/* Buffers of the size that is promised: a sanitizer sees beyond. */
struct view_case {
    struct omq_view_spec v;
    int kk;
    size_t n, n_offsets;
    omq_real *w, *dst, *offsets, *dw, *doffsets;
};

static omq_real *random_reals(size_t n, struct omq_rng *r)
{
    omq_real *x = malloc(sizeof(*x) * n);

    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++)
        x[i] = (omq_real)omq_rng_normal(r);
    return x;
}

/* kernel 0: one position, 1: 3 x 3, 2: 2 x 1. */
static void open_view(struct view_case *t, const struct omq_quant_config *q, int in, int kernel)
{
    static const int kernels[][2] = {{1, 1}, {3, 3}, {2, 1}};
    int dims[4] = {OUT, in, kernels[kernel][0], kernels[kernel][1]}, box[4];
    struct omq_rng r;

    *t = (struct view_case){.v = omq_view_of(q, 4, false, dims), .kk = dims[2] * dims[3]};
    t->n = (size_t)(OUT * in * t->kk);
    omq_view_offset_dims(&t->v, box);
    ck_assert(box[0] == OUT && box[2] == dims[2] && box[3] == dims[3]);
    t->n_offsets = (size_t)(OUT * box[1] * t->kk);
    init_rng(&r, 100 * q->levels + in);
    t->w = random_reals(t->n, &r);
    t->dst = random_reals(t->n, &r);
    t->dw = random_reals(t->n, &r);
    t->offsets = random_reals(t->n_offsets, &r);
    t->doffsets = random_reals(t->n_offsets, &r);
}

static void close_view(struct view_case *t)
{
    free(t->w);
    free(t->dst);
    free(t->dw);
    free(t->offsets);
    free(t->doffsets);
}

/* The line of x[OUT][n][kk] at kernel position j of filter o, and its place. */
static size_t place(const struct view_case *t, int n, int o, int i, int j)
{
    return (size_t)((o * n + i) * t->kk + j);
}

static void take(const struct view_case *t, const omq_real *x, int n, int o, int j, double *line)
{
    for (int i = 0; i < n; i++)
        line[i] = (double)x[place(t, n, o, i, j)];
}

/* All cases: levels, kernels, detached or not. */
enum { N_LEVELS = OMQ_MAX_LEVELS + 1, N_KERNELS = 3, N_SHAPES = N_LEVELS * N_KERNELS * 2 };

static struct omq_quant_config shape(int i)
{
    return (struct omq_quant_config){.view = OMQ_VIEW_OFFSETS, .levels = i % N_LEVELS,
                                     .detach = i / N_LEVELS / N_KERNELS};
}

static int kernel_of(int i) { return i / N_LEVELS % N_KERNELS; }

/* Which layers have a view; how many offsets. */
START_TEST(views_know_their_width)
{
    static const int channels[][N_LEVELS] = {{1, 1, 1, 1, 1}, {2, 1, 1, 1, 1}, {3, 2, 1, 1, 1},
                                             {5, 3, 2, 1, 1}, {16, 8, 4, 2, 1},
                                             {19, 10, 5, 3, 2}};
    struct omq_quant_config q = {.view = OMQ_VIEW_OFFSETS, .levels = 2, .detach = true};
    static const int dims[4] = {8, 16, 3, 5};

    for (int bits = 1; bits <= 8; bits++) {
        ck_assert(omq_view_of(&q, bits, false, dims).offsets);
        ck_assert(omq_view_of(&q, bits, false, dims).detach);
        ck_assert(!omq_view_of(&q, bits, true, dims).offsets);
        ck_assert(!omq_view_of(&q, bits, true, dims).detach);
    }
    ck_assert(!omq_view_of(&q, OMQ_FLOAT_BITS, false, dims).offsets);
    q.view_max_bits = 3;
    for (int bits = 1; bits <= 8; bits++)
        ck_assert_int_eq(omq_view_of(&q, bits, false, dims).offsets, bits <= 3);
    q.view = OMQ_VIEW_OFF;
    ck_assert(!omq_view_of(&q, 1, false, dims).offsets && !omq_view_of(&q, 1, false, dims).detach);
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        for (int l = 0; l < N_LEVELS; l++) {
            struct omq_view_spec v = {.dims = {7, channels[i][0], 3, 5}, .levels = l};
            int box[4];

            omq_view_offset_dims(&v, box);
            ck_assert(box[0] == 7 && box[1] == channels[i][l] && box[2] == 3 && box[3] == 5);
        }
}
END_TEST

/* Off, and with offsets of 0: the weights bit for bit. */
START_TEST(views_start_at_the_weights)
{
    for (int in = 1; in <= MAX_IN; in++)
        for (int off = 0; off < 2; off++) {
            struct omq_quant_config q = shape(_i);
            struct view_case t;

            q.view = off ? OMQ_VIEW_OFF : OMQ_VIEW_OFFSETS;
            open_view(&t, &q, in, kernel_of(_i));
            memset(t.offsets, 0, sizeof(*t.offsets) * t.n_offsets);
            omq_view_forward(&t.v, t.w, off ? NULL : t.offsets, t.dst);
            ck_assert(memcmp(t.dst, t.w, sizeof(*t.w) * t.n) == 0);
            close_view(&t);
        }
}
END_TEST

START_TEST(views_that_are_off_pass_gradients_on)
{
    struct omq_quant_config q = {.view = OMQ_VIEW_OFF, .detach = true, .levels = 1};
    struct view_case t;

    open_view(&t, &q, 7, 1);
    memcpy(t.dst, t.dw, sizeof(*t.dw) * t.n);
    omq_view_backward(&t.v, t.w, t.dw, NULL);
    for (size_t i = 0; i < t.n; i++)
        ck_assert(t.dw[i] == t.dst[i] + t.w[i]);
    close_view(&t);
}
END_TEST

/* The coarsest scale by hand: of 2^l channels, one offset x adds x / sqrt(2)^l
 * to each. */
START_TEST(offsets_reach_their_channels)
{
    struct omq_quant_config q = {.view = OMQ_VIEW_OFFSETS, .levels = _i};
    struct view_case t;
    int in = 1 << _i;

    open_view(&t, &q, in, 1);
    ck_assert_uint_eq(t.n_offsets, OUT * 9);
    memset(t.offsets, 0, sizeof(*t.offsets) * t.n_offsets);
    t.offsets[9 + 2] = 3; /* out 1, kernel position 2 */
    omq_view_forward(&t.v, t.w, t.offsets, t.dst);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < in; i++)
            for (int j = 0; j < 9; j++) {
                double add = o == 1 && j == 2 ? 3 / pow(sqrt(2), _i) : 0;

                ck_assert_double_eq_tol((double)t.dst[place(&t, in, o, i, j)],
                                        (double)t.w[place(&t, in, o, i, j)] + add, 1e-6);
            }
    close_view(&t);
}
END_TEST

/* A pair's weights, to the bit: one rounding of the product, one of the sum. */
START_TEST(pairs_round_twice)
{
    struct omq_quant_config q = {.view = OMQ_VIEW_OFFSETS, .levels = 1};
    struct view_case t;

    open_view(&t, &q, 6, _i);
    omq_view_forward(&t.v, t.w, t.offsets, t.dst);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < t.kk; j++) {
                omq_real add = t.offsets[place(&t, 3, o, i / 2, j)] * (omq_real)sqrt(0.5);

                ck_assert(t.dst[place(&t, 6, o, i, j)] == t.w[place(&t, 6, o, i, j)] + add);
            }
    close_view(&t);
}
END_TEST

START_TEST(offsets_are_the_coarsest_scale)
{
    for (int in = 1; in <= MAX_IN; in++) {
        struct omq_quant_config q = shape(_i);
        struct view_case t;
        int n;

        open_view(&t, &q, in, kernel_of(_i));
        n = (int)t.n_offsets / OUT / t.kk;
        omq_view_forward(&t.v, t.w, t.offsets, t.dst);
        for (int o = 0; o < OUT; o++)
            for (int j = 0; j < t.kk; j++) {
                double x[MAX_IN] = {0};

                take(&t, t.offsets, n, o, j, x);
                synthesise(x, in, q.levels);
                for (int i = 0; i < in; i++)
                    ck_assert_double_eq_tol((double)t.dst[place(&t, in, o, i, j)],
                                            (double)t.w[place(&t, in, o, i, j)] + x[i], 1e-6);
            }
        close_view(&t);
    }
}
END_TEST

/* Both gradients are added to what is there. Detached, dw gets all scales but
 * the one that has offsets. */
START_TEST(gradients_are_those_of_the_transform)
{
    for (int in = 1; in <= MAX_IN; in++) {
        struct omq_quant_config q = shape(_i);
        omq_real *dw, *doffsets;
        struct view_case t;
        struct omq_rng r;
        int n;

        open_view(&t, &q, in, kernel_of(_i));
        n = (int)t.n_offsets / OUT / t.kk;
        init_rng(&r, in);
        dw = random_reals(t.n, &r);
        doffsets = random_reals(t.n_offsets, &r);
        memcpy(t.dw, dw, sizeof(*dw) * t.n);
        memcpy(t.doffsets, doffsets, sizeof(*doffsets) * t.n_offsets);
        omq_view_backward(&t.v, t.w, t.dw, t.doffsets);
        for (int o = 0; o < OUT; o++)
            for (int j = 0; j < t.kk; j++) {
                double x[MAX_IN];

                take(&t, t.w, in, o, j, x);
                analyse(x, in, q.levels);
                for (int i = 0; i < n; i++) {
                    size_t at = place(&t, n, o, i, j);

                    ck_assert_double_eq_tol((double)t.doffsets[at],
                                            (double)doffsets[at] + x[i], 5e-6);
                    x[i] = q.detach ? 0 : x[i];
                }
                synthesise(x, in, q.levels);
                for (int i = 0; i < in; i++) {
                    size_t at = place(&t, in, o, i, j);

                    ck_assert_double_eq_tol((double)t.dw[at], (double)dw[at] + x[i], 5e-6);
                    if (q.detach && q.levels == 0)
                        ck_assert(t.dw[at] == dw[at]);
                }
            }
        free(dw);
        free(doffsets);
        close_view(&t);
    }
}
END_TEST

/* ---- packing ---- */

static const enum omq_grid_kind kinds[] = {OMQ_GRID_AUTO, OMQ_GRID_MIDRISE, OMQ_GRID_SYMMETRIC};

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

    tcase_add_loop_test(t, the_transform_is_orthonormal, 0, N_LEVELS);
    tcase_add_test(t, views_know_their_width);
    tcase_add_loop_test(t, views_start_at_the_weights, 0, N_SHAPES);
    tcase_add_test(t, views_that_are_off_pass_gradients_on);
    tcase_add_loop_test(t, offsets_reach_their_channels, 0, N_LEVELS);
    tcase_add_loop_test(t, pairs_round_twice, 0, N_KERNELS);
    tcase_add_loop_test(t, offsets_are_the_coarsest_scale, 0, N_SHAPES);
    tcase_add_loop_test(t, gradients_are_those_of_the_transform, 0, N_SHAPES);
    tcase_add_test(t, packed_rows_are_whole_bytes);
    tcase_add_loop_test(t, packing_is_a_stream_of_bits_and_comes_back, 0, 3 * 8);
    suite_add_tcase(s, t);
    return s;
}
