/* SPDX-License-Identifier: MIT
 *
 * Every kernel above the reference, compared with it: same bits from random
 * inputs that favour extremes, odd sizes, unaligned arrays and canaries around
 * outputs. gemm and the gradients of convolutions have an error bound instead,
 * and must be exact where every partial sum is an integer.
 *
 *   checkkern [--seed N] [NAME]    kernels whose name contains NAME
 *   checkkern --bench [NAME]       TSV: op shape isa ns rate unit x-ref
 *
 * OMQ_CPU=ref|avx2|avx512|avx512vnni limits the instruction sets.
 */
#define _POSIX_C_SOURCE 200809L
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "kern/kern_internal.h"

#define REAL_EPS (sizeof(omq_real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON)
#define GUARD 64
#define CANARY 0xa5

enum shape { FLAT, ROWS, WINDOW, POOL, CONV, GEMM, GEMM_S16 };
enum out {
    NONE, NC_REAL, NC_U8, C_REAL, C3_REAL, C_DOUBLE, TAPS_REAL, TAPS_S16, IMAGE_REAL, POOL_REAL,
    POOL_U8, Y_REAL, X_REAL, W_REAL, MN_REAL, MN_S32,
};

/* An array at an odd place: ends where its allocation ends, but for the guard. */
struct buf {
    char *base, *p;
    size_t size;
};

/* One call: what goes in, and room for what comes out. */
struct job {
    int n, c;                /* FLAT, ROWS */
    struct omq_window g;     /* WINDOW, CONV */
    int oc, images;          /* CONV */
    int m, k, lda, ldb, ldc; /* GEMM, with n */
    bool ta, tb, in_place, whole;
    omq_real beta;
    int q_max, zero_point;
    struct omq_rescale r;
    struct buf x, y, ch[4], q, q2; /* inputs */
    struct buf scratch;            /* CONV */
    struct buf out[2], init[2];    /* results; what they hold before the call */
};

#define REALS(b) ((omq_real *)(void *)(b).p)
#define S16S(b) ((int16_t *)(void *)(b).p)
#define S32S(b) ((int32_t *)(void *)(b).p)
#define DOUBLES(b) ((double *)(void *)(b).p)
#define U8S(b) ((uint8_t *)(b).p)
#define S8S(b) ((int8_t *)(void *)(b).p)
#define COUNT(j) ((size_t)(j)->n * (size_t)(j)->c)

/* ---- the operators: how each is called, and what it writes */

#define RUN(op, ...) \
    static void run_##op(const struct omq_kern *k, struct job *j) { k->op(__VA_ARGS__); }
#define ACC(j) ((j)->in_place ? REALS((j)->out[0]) : REALS((j)->x))

RUN(gemm, j->ta, j->tb, j->m, j->n, j->k, REALS(j->x), j->lda, REALS(j->y), j->ldb, j->beta,
    REALS(j->out[0]), j->ldc)
RUN(gemm_s16, j->m, j->n, j->k, S16S(j->q), S16S(j->q2), S32S(j->out[0]))
RUN(im2row_u8, &j->g, U8S(j->q), j->zero_point, REALS(j->out[0]))
RUN(im2row_s16, &j->g, U8S(j->q), j->zero_point, S16S(j->out[0]))
RUN(im2row, &j->g, REALS(j->x), REALS(j->out[0]))
RUN(row2im, &j->g, REALS(j->x), REALS(j->out[0]))
RUN(maxpool_u8, &j->g, U8S(j->q), U8S(j->out[0]))
RUN(maxpool, &j->g, REALS(j->x), REALS(j->out[0]))
/* The maxima need not be the image's: any that are met, or not, will do. */
RUN(unpool_u8, &j->g, U8S(j->q), U8S(j->q2), REALS(j->x), REALS(j->out[0]))
RUN(unpool, &j->g, REALS(j->x), REALS(j->y), REALS(j->x), REALS(j->out[0]))
RUN(conv_u8, &j->g, j->oc, j->images, U8S(j->q), j->zero_point, S8S(j->q2), REALS(j->out[0]),
    j->scratch.p)
RUN(conv_dweight, &j->g, j->oc, j->images, U8S(j->q), j->zero_point, REALS(j->x), REALS(j->out[0]),
    j->scratch.p)
RUN(conv_dinput, &j->g, j->oc, j->images, REALS(j->x), REALS(j->y), j->in_place, REALS(j->out[0]),
    j->scratch.p)
RUN(channel_stats, j->n, j->c, REALS(j->x), DOUBLES(j->out[0]), DOUBLES(j->out[1]))
RUN(affine, j->n, j->c, ACC(j), REALS(j->ch[0]), REALS(j->ch[1]), REALS(j->out[0]))
RUN(affine_res, j->n, j->c, ACC(j), REALS(j->ch[0]), REALS(j->y), REALS(j->ch[1]),
    REALS(j->ch[2]), REALS(j->out[0]))
RUN(quantize_u8, COUNT(j), REALS(j->x), j->q_max, U8S(j->out[0]))
RUN(requantize, j->n, j->c, S32S(j->x), REALS(j->ch[0]), REALS(j->ch[1]),
    j->in_place ? NULL : U8S(j->q), REALS(j->ch[2]), j->c, j->q_max, U8S(j->out[0]))
RUN(rescale_u8, COUNT(j), U8S(j->q), &j->r, U8S(j->out[0]))
RUN(rescale_backward, j->n, j->c, U8S(j->q), &j->r, REALS(j->x), j->in_place, REALS(j->out[0]),
    REALS(j->out[1]))
RUN(codes_to_real, COUNT(j), U8S(j->q), j->zero_point, REALS(j->out[0]))
RUN(relu, COUNT(j), ACC(j), REALS(j->out[0]))
RUN(quantize_backward, j->n, j->c, REALS(j->x), j->q_max, j->zero_point, REALS(j->out[0]),
    REALS(j->out[1]))
/* Four sets of channels serve both; the sums of the backward pass are outputs. */
#define EPILOGUE(j) &(struct omq_epilogue){.m = REALS((j)->ch[0]), .b = REALS((j)->ch[1]), \
    .r = REALS((j)->ch[2]), .mu = (j)->ta ? REALS((j)->ch[3]) : NULL, .q_max = (j)->q_max, \
    .zero_point = (j)->zero_point}
RUN(epilogue, j->n, j->c, EPILOGUE(j), REALS(j->x), j->in_place ? U8S(j->q) : NULL,
    U8S(j->out[0]))
RUN(epilogue_backward, j->n, j->c, EPILOGUE(j), REALS(j->x), j->in_place ? U8S(j->q) : NULL,
    REALS(j->out[0]), &(struct omq_epilogue_sums){REALS(j->out[1]), REALS(j->out[1]) + j->c,
    REALS(j->out[1]) + 2 * j->c})
RUN(relu_backward, COUNT(j), REALS(j->x), REALS(j->out[0]))
RUN(norm_sums, j->n, j->c, REALS(j->y), REALS(j->x), REALS(j->ch[0]), REALS(j->out[0]),
    REALS(j->out[1]))
RUN(norm_backward, j->n, j->c, REALS(j->out[0]), REALS(j->x), REALS(j->ch[0]), REALS(j->ch[1]),
    REALS(j->ch[2]), REALS(j->ch[3]))
RUN(scale, j->n, j->c, REALS(j->out[0]), REALS(j->ch[0]))
RUN(add, COUNT(j), REALS(j->x), REALS(j->out[0]))
RUN(channel_sum, j->n, j->c, REALS(j->x), REALS(j->out[0]))

#define R sizeof(omq_real)
static const struct op {
    const char *slot;
    void (*run)(const struct omq_kern *k, struct job *j);
    enum shape shape;
    enum out out[2];
    bool specials;  /* inputs hold NaN and infinities too */
    size_t traffic; /* bytes read and written for one element (WINDOW: of the rows) */
} ops[] = {
    {"gemm", run_gemm, GEMM, {MN_REAL}, false, 0},
    {"gemm_s16", run_gemm_s16, GEMM_S16, {MN_S32}, false, 0},
    {"im2row_u8", run_im2row_u8, WINDOW, {TAPS_REAL}, false, R},
    {"im2row_s16", run_im2row_s16, WINDOW, {TAPS_S16}, false, 2},
    {"im2row", run_im2row, WINDOW, {TAPS_REAL}, true, R},
    {"row2im", run_row2im, WINDOW, {IMAGE_REAL}, false, R},
    {"maxpool_u8", run_maxpool_u8, POOL, {POOL_U8}, false, 1},
    {"maxpool", run_maxpool, POOL, {POOL_REAL}, true, R},
    {"unpool_u8", run_unpool_u8, POOL, {IMAGE_REAL}, false, 1 + 2 * R},
    {"unpool", run_unpool, POOL, {IMAGE_REAL}, false, 3 * R},
    {"conv_u8", run_conv_u8, CONV, {Y_REAL}, false, 0},
    {"conv_dweight", run_conv_dweight, CONV, {W_REAL}, false, 0},
    {"conv_dinput", run_conv_dinput, CONV, {X_REAL}, false, 0},
    {"channel_stats", run_channel_stats, ROWS, {C_DOUBLE, C_DOUBLE}, false, 2 * R},
    {"affine", run_affine, ROWS, {NC_REAL}, false, 2 * R},
    {"affine_res", run_affine_res, ROWS, {NC_REAL}, false, 3 * R},
    {"quantize_u8", run_quantize_u8, FLAT, {NC_U8}, true, R + 1},
    {"requantize", run_requantize, ROWS, {NC_U8}, false, R + 2},
    {"rescale_u8", run_rescale_u8, FLAT, {NC_U8}, false, 2},
    {"rescale_backward", run_rescale_backward, ROWS, {NC_REAL, C_REAL}, false, 3 * R + 1},
    {"codes_to_real", run_codes_to_real, FLAT, {NC_REAL}, false, R + 1},
    {"relu", run_relu, FLAT, {NC_REAL}, true, 2 * R},
    {"quantize_backward", run_quantize_backward, ROWS, {NC_REAL, C_REAL}, false, 3 * R},
    {"epilogue", run_epilogue, ROWS, {NC_U8}, true, R + 1},
    {"epilogue_backward", run_epilogue_backward, ROWS, {NC_REAL, C3_REAL}, false, 3 * R},
    {"relu_backward", run_relu_backward, FLAT, {NC_REAL}, true, 3 * R},
    {"norm_sums", run_norm_sums, ROWS, {C_REAL, C_REAL}, false, 2 * R},
    {"norm_backward", run_norm_backward, ROWS, {NC_REAL}, false, 3 * R},
    {"scale", run_scale, ROWS, {NC_REAL}, false, 2 * R},
    {"add", run_add, FLAT, {NC_REAL}, false, 3 * R},
    {"channel_sum", run_channel_sum, ROWS, {C_REAL}, false, R},
};

static const struct op *find_op(const char *slot)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(ops[i].slot, slot) == 0)
            return &ops[i];
    fprintf(stderr, "checkkern: no check for '%s'\n", slot);
    exit(1);
}

/* ---- random inputs */

static int between(struct omq_rng *r, int lo, int hi)
{
    return lo + (int)omq_rng_below(r, (uint32_t)(hi - lo) + 1);
}

static int odd_size(struct omq_rng *r)
{
    static const int sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65};

    return sizes[omq_rng_below(r, sizeof(sizes) / sizeof(sizes[0]))];
}

static struct buf buf_make(struct omq_rng *r, size_t count, size_t size)
{
    struct buf b = {.size = count * size};
    size_t offset = GUARD + omq_rng_below(r, 16) * size;

    b.base = malloc(offset + b.size);
    if (!b.base) {
        fprintf(stderr, "checkkern: out of memory\n");
        exit(1);
    }
    b.p = b.base + offset;
    memset(b.p, 0, b.size);
    return b;
}

/* The same with canaries on both sides. */
static struct buf buf_guarded(struct omq_rng *r, size_t count, size_t size)
{
    struct buf b = buf_make(r, count * size + GUARD, 1);
    size_t shift = (size_t)(b.p - b.base) % size;

    b.p -= shift;
    b.size = count * size;
    memset(b.p - GUARD / 2, CANARY, GUARD / 2);
    memset(b.p + b.size, CANARY, GUARD);
    return b;
}

static bool buf_intact(const struct buf *b)
{
    for (int i = 0; i < GUARD; i++)
        if ((uint8_t)b->p[b->size + (size_t)i] != CANARY ||
            (uint8_t)b->p[-1 - i / 2] != CANARY)
            return false;
    return true;
}

/* kind: 0 all low, 1 all high, 2 halves, 3 large, 4 whole, 5.. uniform. */
static omq_real random_real(struct omq_rng *r, int kind, int q_max)
{
    switch (kind) {
    case 0:
        return -(omq_real)q_max;
    case 1:
        return 2 * (omq_real)q_max;
    case 2:
        return (omq_real)between(r, -20, 2 * q_max + 20) / 2;
    case 3:
        return (omq_real)((omq_rng_uniform(r) - 0.5) * 1e15);
    case 4:
        return (omq_real)between(r, -3, 3);
    default:
        return (omq_real)((omq_rng_uniform(r) * 1.5 - 0.25) * q_max);
    }
}

static struct buf random_reals(struct omq_rng *r, size_t n, int kind, int q_max, bool specials)
{
    static const omq_real special[] = {NAN, INFINITY, -INFINITY, -0.0f};
    struct buf b = buf_make(r, n, sizeof(omq_real));

    if (kind < 0)
        kind = between(r, 0, 8);
    for (size_t i = 0; i < n; i++) {
        REALS(b)[i] = random_real(r, kind, q_max);
        if (specials && omq_rng_below(r, 8) == 0)
            REALS(b)[i] = special[omq_rng_below(r, 4)];
    }
    return b;
}

static struct buf random_bytes(struct omq_rng *r, size_t n)
{
    struct buf b = buf_make(r, n, 1);
    int kind = between(r, 0, 4);

    for (size_t i = 0; i < n; i++)
        U8S(b)[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 255 : between(r, 0, 255));
    return b;
}

static struct buf random_s16(struct omq_rng *r, size_t n, int max)
{
    struct buf b = buf_make(r, n, sizeof(int16_t));
    int kind = between(r, 0, 4);

    for (size_t i = 0; i < n; i++)
        S16S(b)[i] = (int16_t)(kind == 0 ? -max : kind == 1 ? max : between(r, -max, max));
    return b;
}

static struct buf random_s8(struct omq_rng *r, size_t n)
{
    struct buf b = buf_make(r, n, 1);
    int kind = between(r, 0, 4);

    for (size_t i = 0; i < n; i++)
        S8S(b)[i] = (int8_t)(kind == 0 ? -127 : kind == 1 ? 127 : between(r, -127, 127));
    return b;
}

/* ---- jobs */

static void pick_gemm(struct job *j, struct omq_rng *r, bool s16)
{
    static const int ks[] = {1, 4, 25, 144, 145, 500, 1151};

    j->m = odd_size(r);
    j->n = between(r, 0, 1) ? odd_size(r) : 10;
    j->k = between(r, 0, 2) ? ks[omq_rng_below(r, 7)] : odd_size(r);
    if (s16 && between(r, 0, 15) == 0)
        j->k = 9216;
    j->ta = between(r, 0, 1);
    j->tb = between(r, 0, 1);
    j->whole = between(r, 0, 1);
    j->lda = (j->ta ? j->m : j->k) + between(r, 0, 3);
    j->ldb = (j->tb ? j->k : j->n) + between(r, 0, 3);
    j->ldc = j->n + between(r, 0, 3);
    j->beta = (omq_real)between(r, 0, 1);
}

/* Each kernel, stride and padding in turn; image and channels at random. */
static bool pick_window(struct omq_window *g, struct omq_rng *r, int index)
{
    static const int kernels[] = {1, 2, 3, 5};
    int groups;

    g->kh = kernels[index % 4], index /= 4;
    g->kw = kernels[index % 4], index /= 4;
    g->sh = index % 3 + 1, index /= 3;
    g->sw = index % 3 + 1, index /= 3;
    g->ph = index % 4, index /= 4;
    g->pw = index % 4;
    if (g->ph > g->kh || g->pw > g->kw)
        return false;
    do {
        g->h = between(r, 1, 8);
        g->w = between(r, 1, 8);
    } while (g->h + 2 * g->ph < g->kh || g->w + 2 * g->pw < g->kw);
    g->oh = (g->h + 2 * g->ph - g->kh) / g->sh + 1;
    g->ow = (g->w + 2 * g->pw - g->kw) / g->sw + 1;
    g->c_count = odd_size(r) % 34;
    if (g->c_count == 0)
        g->c_count = 1;
    groups = between(r, 0, 1) ? between(r, 2, 3) : 1;
    g->c = groups * g->c_count;
    g->c_begin = between(r, 0, groups - 1) * g->c_count;
    return true;
}

/* A window of pick_window() that the direct kernels serve. */
static bool pick_conv(struct job *j, struct omq_rng *r, int index)
{
    struct omq_window *g = &j->g;

    j->images = between(r, 1, 3);
    j->whole = between(r, 0, 1);
    j->oc = 16 * between(r, 1, 5);
    if (!pick_window(g, r, index % 144 + 144 * between(r, 0, 15)) || g->ph == g->kh ||
        g->pw == g->kw)
        return false;
    g->w += between(r, 3, 14) * g->sw;
    g->ow = (g->w + 2 * g->pw - g->kw) / g->sw + 1;
    g->c = g->c_count = 16 * between(r, 1, 5);
    g->c_begin = 0;
    return omq_conv_direct(g, j->oc);
}

enum { WINDOW_CASES = 4 * 4 * 3 * 3 * 4 * 4, CASES = 400 };

static size_t window_taps(const struct omq_window *g)
{
    return (size_t)g->oh * (size_t)g->ow * (size_t)g->kh * (size_t)g->kw * (size_t)g->c_count;
}

static size_t image_size(const struct omq_window *g)
{
    return (size_t)g->h * (size_t)g->w * (size_t)g->c;
}

static size_t conv_outputs(const struct job *j)
{
    return (size_t)j->images * (size_t)j->g.oh * (size_t)j->g.ow * (size_t)j->oc;
}

static size_t conv_weights(const struct job *j)
{
    return (size_t)j->oc * (size_t)j->g.kh * (size_t)j->g.kw * (size_t)j->g.c;
}

static size_t out_count(const struct job *j, enum out out, size_t *size)
{
    const struct omq_window *g = &j->g;

    *size = out == NC_U8 || out == POOL_U8 ? 1 : out == TAPS_S16 ? 2 : out == MN_S32 ? 4
        : out == C_DOUBLE ? sizeof(double) : sizeof(omq_real);
    switch (out) {
    case NC_REAL:
    case NC_U8:
        return COUNT(j);
    case C_REAL:
    case C_DOUBLE:
        return (size_t)j->c;
    case C3_REAL:
        return 3 * (size_t)j->c;
    case TAPS_REAL:
    case TAPS_S16:
        return window_taps(g);
    case IMAGE_REAL:
        return image_size(g);
    case POOL_REAL:
    case POOL_U8:
        return (size_t)g->oh * (size_t)g->ow * (size_t)g->c;
    case Y_REAL:
        return conv_outputs(j);
    case X_REAL:
        return (size_t)j->images * image_size(g);
    case W_REAL:
        return conv_weights(j);
    case MN_REAL:
        return (size_t)j->m * (size_t)j->ldc;
    case MN_S32:
        return (size_t)j->m * (size_t)j->n;
    case NONE:
        break;
    }
    return 0;
}

/* Inputs and room for outputs of a job whose sizes are chosen. Results start
 * as data (many kernels add), but as NaN where a sum must not read them. */
static void job_fill(struct job *j, const struct op *op, struct omq_rng *r)
{
    const bool sums = op->shape == GEMM || op->shape == CONV;
    const int real_kind = op->shape == POOL || (sums && j->whole) ? 4 : sums ? 9 : -1;
    size_t n = COUNT(j), size;

    if (op->shape == WINDOW) {
        n = op->out[0] == IMAGE_REAL ? window_taps(&j->g) : image_size(&j->g);
        j->q = random_bytes(r, image_size(&j->g));
    } else if (op->shape == POOL) {
        n = out_count(j, IMAGE_REAL, &size) + out_count(j, POOL_REAL, &size);
        j->q = random_bytes(r, n);
        j->q2 = random_bytes(r, n);
        for (size_t i = 0; i < n; i++) /* many that are equal */
            U8S(j->q)[i] &= 3, U8S(j->q2)[i] &= 3;
    } else if (op->shape == CONV) {
        j->q = random_bytes(r, (size_t)j->images * image_size(&j->g));
        j->q2 = random_s8(r, conv_weights(j));
        j->scratch = buf_guarded(r, omq_conv_scratch(&j->g, j->oc, j->images) / R, R);
        n = conv_outputs(j);
    } else if (op->shape == GEMM_S16) {
        int max = (int)sqrt((double)INT32_MAX / j->k);
        int max_a = max > 255 && between(r, 0, 1) ? 255 : max < INT16_MAX ? max : INT16_MAX;
        int max_w = max_a == 255 ? 127 : max_a;

        j->q = random_s16(r, (size_t)j->m * (size_t)j->k, max_a);
        j->q2 = random_s16(r, (size_t)j->n * (size_t)j->k, max_w);
        n = 0;
    } else {
        j->q = random_bytes(r, n);
    }
    if (op->shape == GEMM) {
        n = (size_t)j->lda * (size_t)(j->ta ? j->k : j->m);
        j->y = random_reals(r, (size_t)j->ldb * (size_t)(j->tb ? j->n : j->k), real_kind, 15,
                            false);
    } else if (op->shape == CONV) {
        j->y = random_reals(r, conv_weights(j), real_kind, 15, false);
    } else {
        j->y = random_reals(r, n, real_kind, j->q_max, false);
    }
    j->x = random_reals(r, n, real_kind, j->q_max, op->specials);
    for (int i = 0; i < 4; i++)
        j->ch[i] = random_reals(r, (size_t)j->c, between(r, 2, 8), 3, false);
    for (int i = 0; i < 2; i++) {
        size_t count = out_count(j, op->out[i], &size);

        j->init[i] = buf_make(r, count, size);
        if (size == sizeof(omq_real) && op->out[i] != C_DOUBLE && op->out[i] != MN_S32)
            for (size_t e = 0; e < count; e++)
                REALS(j->init[i])[e] = (op->shape == GEMM && j->beta == 0) ||
                        (op->out[0] == X_REAL && !j->in_place)
                    ? (omq_real)NAN : random_real(r, sums ? 4 : 5, 15);
        j->out[i] = buf_guarded(r, count, size);
    }
}

static bool job_make(struct job *j, const struct op *op, struct omq_rng *r, int index)
{
    *j = (struct job){.n = odd_size(r), .c = op->shape == FLAT ? 1 : odd_size(r)};
    j->q_max = (1 << between(r, 1, 8)) - 1;
    j->zero_point = between(r, 0, 1) ? (j->q_max + 1) / 2 : 0;
    j->in_place = between(r, 0, 1);
    j->ta = between(r, 0, 1);
    j->r = (struct omq_rescale){.zp_in = between(r, 0, 1) ? 128 : 0, .zp_out = j->zero_point,
                                .q_max = j->q_max, .ratio = (omq_real)between(r, 1, 256) / 128};
    if (op->shape == FLAT && between(r, 0, 3) == 0)
        j->n = 1000 + odd_size(r);
    if (op->shape == GEMM || op->shape == GEMM_S16)
        pick_gemm(j, r, op->shape == GEMM_S16);
    if (op->shape == WINDOW || op->shape == POOL) {
        if (!pick_window(&j->g, r, index))
            return false;
        if (op->shape == POOL && (j->g.ph > j->g.kh / 2 || j->g.pw > j->g.kw / 2))
            return false;
    }
    if (op->shape == CONV && !pick_conv(j, r, index))
        return false;
    job_fill(j, op, r);
    return true;
}

static void job_free(struct job *j)
{
    free(j->x.base);
    free(j->y.base);
    free(j->q.base);
    free(j->q2.base);
    free(j->scratch.base);
    for (int i = 0; i < 4; i++)
        free(j->ch[i].base);
    for (int i = 0; i < 2; i++) {
        free(j->init[i].base);
        free(j->out[i].base);
    }
}

static void job_run(struct job *j, const struct op *op, const struct omq_kern *k)
{
    for (int i = 0; i < 2; i++)
        memcpy(j->out[i].p, j->init[i].p, j->init[i].size);
    if (j->in_place && op->shape != CONV && j->init[0].size == j->x.size)
        memcpy(j->out[0].p, j->x.p, j->x.size);
    op->run(k, j);
}

static void job_shape(const struct job *j, const struct op *op, char *s, size_t size)
{
    const struct omq_window *g = &j->g;

    if (op->shape == WINDOW || op->shape == POOL)
        snprintf(s, size, "h%d,w%d,c%d,g%d+%d,k%dx%d,s%dx%d,p%dx%d", g->h, g->w, g->c, g->c_begin,
                 g->c_count, g->kh, g->kw, g->sh, g->sw, g->ph, g->pw);
    else if (op->shape == CONV)
        snprintf(s, size, "n%d,h%d,w%d,c%d,o%d,k%dx%d,s%dx%d,p%dx%d", j->images, g->h, g->w, g->c,
                 j->oc, g->kh, g->kw, g->sh, g->sw, g->ph, g->pw);
    else if (op->shape == GEMM)
        snprintf(s, size, "m%d,n%d,k%d,%c%c%s", j->m, j->n, j->k, j->ta ? 't' : 'n',
                 j->tb ? 't' : 'n', j->beta == 0 ? "" : ",add");
    else if (op->shape == GEMM_S16)
        snprintf(s, size, "m%d,n%d,k%d", j->m, j->n, j->k);
    else
        snprintf(s, size, "n%d,c%d", j->n, j->c);
}

/* ---- comparison */

/* |difference| <= 2 (k + 2) eps (sum |a||b| + |c|): each side is within half
 * of it of the exact value, in any order of summation. */
static const char *compare_gemm(const struct job *j, const omq_real *want, const omq_real *got)
{
    const omq_real *a = REALS(j->x), *b = REALS(j->y), *c = REALS(j->init[0]);

    for (int i = 0; i < j->m; i++) {
        for (int o = 0; o < j->ldc; o++) {
            int at = i * j->ldc + o;
            double sum = j->beta == 0 || o >= j->n ? 0 : fabs((double)c[at]);

            if (o >= j->n) {
                if (memcmp(&want[at], &got[at], sizeof(*want)) != 0)
                    return "wrote between the rows of c";
                continue;
            }
            for (int p = 0; p < j->k; p++)
                sum += fabs((double)a[j->ta ? p * j->lda + i : i * j->lda + p] *
                            (double)b[j->tb ? o * j->ldb + p : p * j->ldb + o]);
            if (!(fabs((double)want[at] - (double)got[at]) <= 2 * (j->k + 2) * REAL_EPS * sum))
                return "error above the bound";
        }
    }
    return NULL;
}

/* x = |x - zero_point|, and the same for reals, so that the reference gives the
 * sum of magnitudes. */
static void magnitudes(struct job *j)
{
    struct buf *const reals[] = {&j->x, &j->y, &j->init[0]};

    for (size_t i = 0; i < j->q.size; i++)
        U8S(j->q)[i] = (uint8_t)abs(U8S(j->q)[i] - j->zero_point);
    j->zero_point = 0;
    for (int i = 0; i < 3; i++)
        for (size_t e = 0; e < reals[i]->size / sizeof(omq_real); e++)
            REALS(*reals[i])[e] = (omq_real)fabs((double)REALS(*reals[i])[e]);
}

/* |difference| <= 2 (terms + 2) eps (sum of magnitudes), as for gemm. Spoils
 * the job's inputs. */
static const char *compare_conv(const struct op *op, const struct omq_kern *ref, struct job *j,
                                const omq_real *want)
{
    const struct omq_window *g = &j->g;
    const size_t n = j->out[0].size / sizeof(omq_real);
    const double terms = op->out[0] == W_REAL ? (double)j->images * g->oh * g->ow
        : (double)j->oc * g->kh * g->kw;
    omq_real *got = malloc(j->out[0].size);
    const char *why = got ? NULL : "out of memory";

    if (got)
        memcpy(got, j->out[0].p, j->out[0].size);
    magnitudes(j);
    job_run(j, op, ref);
    for (size_t i = 0; !why && i < n; i++)
        if (!(fabs((double)want[i] - (double)got[i]) <=
              2 * (terms + 2) * REAL_EPS * (double)REALS(j->out[0])[i]))
            why = "error above the bound";
    free(got);
    return why;
}

static const char *compare(const struct op *op, const struct omq_kern *ref, struct job *j,
                           const struct buf want[2])
{
    for (int i = 0; i < 2; i++)
        if (!buf_intact(&j->out[i]))
            return "wrote outside its output";
    if (op->shape == CONV && !buf_intact(&j->scratch))
        return "wrote outside its scratch";
    if (op->shape == GEMM && !j->whole)
        return compare_gemm(j, (const omq_real *)(const void *)want[0].p, REALS(j->out[0]));
    if (op->shape == CONV && op->out[0] != Y_REAL && !j->whole)
        return compare_conv(op, ref, j, (const omq_real *)(const void *)want[0].p);
    for (int i = 0; i < 2; i++)
        if (memcmp(want[i].p, j->out[i].p, want[i].size) != 0)
            return i == 0 ? "first output differs" : "second output differs";
    return NULL;
}

static bool check(const struct op *op, const char *name, const struct omq_kern *ref,
                  const struct omq_kern *trial, uint32_t seed)
{
    const int cases = op->shape == WINDOW || op->shape == POOL ? WINDOW_CASES
                      : op->shape == CONV                     ? 2 * CASES
                                                              : CASES;
    int n_run = 0;

    for (int i = 0; i < cases; i++) {
        struct omq_rng r;
        struct job j;
        struct buf want[2];
        const char *why;
        char shape[128];

        omq_rng_init(&r, seed, OMQ_STREAM_TEST, (uint32_t)(op - ops), (uint32_t)i);
        if (!job_make(&j, op, &r, i))
            continue;
        n_run++;
        job_run(&j, op, ref);
        for (int o = 0; o < 2; o++) {
            want[o] = buf_make(&r, j.out[o].size / 8 + 1, 8);
            want[o].size = j.out[o].size;
            memcpy(want[o].p, j.out[o].p, j.out[o].size);
        }
        job_run(&j, op, trial);
        why = compare(op, ref, &j, want);
        if (why) {
            job_shape(&j, op, shape, sizeof(shape));
            printf("FAIL %s: %s: %s, q_max %d, zero point %d, case %d, --seed %" PRIu32 "\n", name,
                   why, shape, j.q_max, j.zero_point, i, seed);
        }
        for (int o = 0; o < 2; o++)
            free(want[o].base);
        job_free(&j);
        if (why)
            return false;
    }
    printf("ok   %s: %d cases\n", name, n_run);
    return true;
}

/* ---- bench */

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Least time of one call, over about 30 ms of calls. */
static double time_job(struct job *j, const struct op *op, const struct omq_kern *k)
{
    double best = 1e30, start = now_ns();
    int calls = 1;

    op->run(k, j);
    while (now_ns() - start < 3e7) {
        double t = now_ns();

        for (int i = 0; i < calls; i++)
            op->run(k, j);
        t = now_ns() - t;
        if (t / calls < best)
            best = t / calls;
        if (t < 2e4)
            calls *= 2;
    }
    return best;
}

/* The i-th shape to time: layers of resnet8 and lenet5, images of 28 x 28. */
static bool bench_job(struct job *j, const struct op *op, struct omq_rng *r, int i)
{
    static const int layers[][3] = {{28, 16, 3}, {14, 32, 3}, {7, 64, 3}, {24, 20, 5}};
    static const int convs[][4] = {
        {28, 16, 16, 1}, {14, 32, 32, 1}, {7, 64, 64, 1}, {28, 16, 32, 2},
    };
    static const int gemms[][3] = {{784, 16, 144}, {196, 32, 288}, {49, 64, 576}, {128, 10, 500}};
    const int side = layers[i][0], c = layers[i][1], k = layers[i][2];

    *j = (struct job){.n = side * side, .c = c, .q_max = 15, .in_place = false,
                      .ta = op->shape == ROWS,
                      .r = {.q_max = 15, .ratio = (omq_real)0.1}};
    if (op->shape == GEMM || op->shape == GEMM_S16) {
        j->m = gemms[i][0], j->n = gemms[i][1], j->k = gemms[i][2];
        j->tb = true, j->lda = j->ldb = j->k, j->ldc = j->n;
    }
    j->g = (struct omq_window){
        .h = side, .w = side, .c = c, .c_count = c, .kh = k, .kw = k, .sh = 1, .sw = 1,
        .ph = k / 2, .pw = k / 2, .oh = side, .ow = side,
    };
    if (op->shape == POOL)
        j->g = (struct omq_window){.h = side, .w = side, .c = c, .c_count = c, .kh = 2, .kw = 2,
                                   .sh = 2, .sw = 2, .oh = side / 2, .ow = side / 2};
    if (op->shape == CONV) {
        const int h = convs[i][0], s = convs[i][3];

        j->oc = convs[i][2], j->images = 2;
        j->g = (struct omq_window){
            .h = h, .w = h, .c = convs[i][1], .c_count = convs[i][1], .kh = 3, .kw = 3, .sh = s,
            .sw = s, .ph = 1, .pw = 1, .oh = (h - 1) / s + 1, .ow = (h - 1) / s + 1,
        };
    }
    job_fill(j, op, r);
    /* Plain values: repeated calls in place must not end in infinities. */
    for (size_t e = 0; e < j->x.size / sizeof(omq_real); e++)
        REALS(j->x)[e] = (omq_real)(omq_rng_uniform(r) * 20 - 2);
    for (size_t e = 0; e < j->y.size / sizeof(omq_real); e++)
        REALS(j->y)[e] = (omq_real)(omq_rng_uniform(r) - 0.5);
    for (int o = 0; o < 4; o++)
        for (int e = 0; e < j->c; e++)
            REALS(j->ch[o])[e] = 1;
    return true;
}

static void bench(const struct op *op, const struct omq_kern *ref, const struct omq_kern *trial,
                  const char *isa)
{
    for (int i = 0; i < 4; i++) {
        struct omq_rng r;
        struct job j;
        char shape[128];
        bool macs = op->shape == CONV || op->shape == GEMM || op->shape == GEMM_S16;
        double t_ref, t, work;

        omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
        bench_job(&j, op, &r, i);
        job_run(&j, op, ref);
        job_shape(&j, op, shape, sizeof(shape));
        t_ref = time_job(&j, op, ref);
        t = trial == ref ? t_ref : time_job(&j, op, trial);
        work = macs ? (double)j.m * j.n * j.k
            : (double)(op->shape == WINDOW || op->shape == POOL ? window_taps(&j.g) : COUNT(&j)) *
              (double)op->traffic;
        work = op->shape == CONV ? (double)conv_outputs(&j) * j.g.kh * j.g.kw * j.g.c
            : macs ? (double)j.m * j.n * j.k
            : (double)(op->shape == WINDOW ? window_taps(&j.g) : COUNT(&j)) * (double)op->traffic;
        printf("%s\t%s\t%s\t%.0f\t%.2f\t%s\t%.2f\n", op->slot, shape, isa, t, work / t,
               macs ? "GMAC/s" : "GB/s", t_ref / t);
        job_free(&j);
    }
}

/* ---- the program */

static const char *const level_names[] = {"ref", "blas", "avx2", "avx512", "avx512vnni"};

int main(int argc, char **argv)
{
    enum omq_isa max_isa = OMQ_ISA_COUNT - 1;
    const char *cpu = getenv("OMQ_CPU"), *dropped, *name = "";
    struct omq_kern ref, trial;
    bool timing = false;
    unsigned long seed = 1;
    int passed = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            timing = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoul(argv[++i], NULL, 10);
        else if (argv[i][0] != '-')
            name = argv[i];
        else {
            fprintf(stderr, "usage: checkkern [--bench] [--seed N] [NAME]\n");
            return 2;
        }
    }
    if (cpu && !omq_isa_parse(cpu, &max_isa)) {
        fprintf(stderr, "checkkern: OMQ_CPU is '%s', not ref, avx2, avx512 or avx512vnni\n", cpu);
        return 2;
    }
    omq_kern_init(max_isa, &dropped);
    omq_kern_fill_ref(&ref);
    if (dropped)
        printf("FAIL omq_kern_init: dropped %s\n", dropped);
    failed += dropped != NULL;
    passed += dropped == NULL;
    if (timing)
        printf("op\tshape\tisa\tns\trate\tunit\tx-ref\n");
#define OMQ_KERNEL(slot, function, level) \
    if (omq_kern_allows(OMQ_LEVEL_##level, max_isa) && strstr(#function, name)) { \
        trial = ref; \
        trial.slot = function; \
        if (timing) \
            bench(find_op(#slot), &ref, OMQ_LEVEL_##level == OMQ_LEVEL_REF ? &ref : &trial, \
                  level_names[OMQ_LEVEL_##level]); \
        else if (OMQ_LEVEL_##level != OMQ_LEVEL_REF) { \
            bool ok = check(find_op(#slot), #function, &ref, &trial, (uint32_t)seed); \
            passed += ok; \
            failed += !ok; \
        } \
    }
#include "kern/kernels.def"
#undef OMQ_KERNEL
    if (!timing)
        printf("%d passed, %d failed\n", passed, failed);
    return failed > 0;
}
