/* SPDX-License-Identifier: MIT
 *
 * Jobs: random inputs that favour extremes, odd sizes, unaligned arrays, and
 * canaries around outputs.
 */
#include "checkkern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 64
#define CANARY 0xa5

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

struct buf buf_make(struct omq_rng *r, size_t count, size_t size)
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

struct buf buf_guarded(struct omq_rng *r, size_t count, size_t size)
{
    struct buf b = buf_make(r, count * size + GUARD, 1);
    size_t shift = (size_t)(b.p - b.base) % size;

    b.p -= shift;
    b.size = count * size;
    memset(b.p - GUARD / 2, CANARY, GUARD / 2);
    memset(b.p + b.size, CANARY, GUARD);
    return b;
}

bool buf_intact(const struct buf *b)
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

/* ---- jobs */

static void pick_gemm(struct job *j, struct omq_rng *r)
{
    static const int ks[] = {1, 4, 25, 144, 145, 500, 1151};

    j->m = odd_size(r);
    j->n = between(r, 0, 1) ? odd_size(r) : 10;
    j->k = between(r, 0, 2) ? ks[omq_rng_below(r, 7)] : odd_size(r);
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

/* Windows of first layers, and wider strides than those above. */
static bool pick_large_window(struct omq_window *g, struct omq_rng *r)
{
    const int k = between(r, 0, 1) ? 7 : 11, s = between(r, 1, 5);

    g->kh = k, g->kw = between(r, 0, 3) ? k : between(r, 1, 11);
    g->sh = s, g->sw = between(r, 0, 3) ? s : between(r, 1, 5);
    g->ph = between(r, 0, g->kh / 2), g->pw = between(r, 0, g->kw / 2);
    g->h = between(r, g->kh, 24), g->w = between(r, g->kw, 24);
    g->oh = (g->h + 2 * g->ph - g->kh) / g->sh + 1;
    return true;
}

/* A window that the direct kernels serve; dw of any number of outputs. */
static bool pick_conv(struct job *j, const struct op *op, struct omq_rng *r, int index)
{
    const bool of_x = op->out[0] == X_REAL, few = !of_x && between(r, 0, 1);
    struct omq_window *g = &j->g;

    j->images = between(r, 1, 5);
    j->whole = between(r, 0, 1);
    j->scale = (omq_real)omq_rng_uniform(r);
    j->oc = between(r, 0, 1) ? 16 * between(r, 1, 5)
          : of_x            ? 2 * between(r, 4, 40) : between(r, 8, 80);
    if (!(between(r, 0, 7) == 0 ? pick_large_window(g, r)
                         : pick_window(g, r, index % 144 + 144 * between(r, 0, 15))) ||
        g->ph == g->kh || g->pw == g->kw)
        return false;
    g->w += between(r, 0, 14) * g->sw;
    g->ow = (g->w + 2 * g->pw - g->kw) / g->sw + 1;
    g->c = g->c_count = few ? between(r, 1, 15)
                             : between(r, 0, 1) ? 16 * between(r, 1, 5) : between(r, 16, 80);
    g->c_begin = 0;
    return few ? omq_conv_few(g, j->oc) : omq_conv_direct(g, j->oc + j->oc % 2);
}

/* Weights of conv_dinput_s16, of 8 bits, with zeros for channels that are missing. */
static struct buf dinput_s16(struct omq_rng *r, const struct job *j)
{
    const size_t n = omq_conv_dinput_weights(&j->g, j->oc);
    const size_t group = 16 * (size_t)j->g.kh * (size_t)j->g.kw * (size_t)j->oc;
    struct buf b = random_s16(r, n, 128);

    for (size_t i = 0; i < n; i++)
        if (i / group * 16 + i % 32 / 2 >= (size_t)j->g.c)
            S16S(b)[i] = 0;
        else if (S16S(b)[i] > INT8_MAX)
            S16S(b)[i] = INT8_MAX;
    return b;
}

void job_fill(struct job *j, const struct op *op, struct omq_rng *r)
{
    const bool sums = op->shape == GEMM;
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
    } else if (op->shape == DWCONV) {
        n = out_count(j, IMAGE_REAL, &size) + out_count(j, POOL_REAL, &size) +
            out_count(j, DK_REAL, &size);
    } else if (op->shape == CONV) {
        j->q = random_bytes(r, (size_t)j->images * image_size(&j->g));
        j->dy = random_s16(r, conv_outputs(j), omq_conv_dy_max(&j->g, j->oc));
        j->w_s16 = dinput_s16(r, j);
        j->scratch = buf_guarded(r, omq_conv_scratch(&j->g, j->oc, j->images) / sizeof(omq_real),
                                 sizeof(omq_real));
        n = 0;
    } else {
        j->q = random_bytes(r, n);
    }
    if (op->shape == GEMM) {
        n = (size_t)j->lda * (size_t)(j->ta ? j->k : j->m);
        j->y = random_reals(r, (size_t)j->ldb * (size_t)(j->tb ? j->n : j->k), real_kind, 15,
                            false);
    } else {
        j->y = random_reals(r, n, real_kind, j->q_max, false);
    }
    j->x = random_reals(r, n, real_kind, j->q_max, op->specials);
    for (int i = 0; i < 4; i++)
        j->ch[i] = random_reals(r, (size_t)j->c, between(r, 2, 8), 3, false);
    for (int i = 0; i < 2; i++) {
        size_t count = out_count(j, op->out[i], &size);

        j->init[i] = buf_make(r, count, size);
        if (size == sizeof(omq_real) && op->out[i] != C_DOUBLE)
            for (size_t e = 0; e < count; e++)
                REALS(j->init[i])[e] = (op->shape == GEMM && j->beta == 0) ||
                        (op->out[0] == X_REAL && !j->in_place)
                    ? (omq_real)NAN : random_real(r, sums ? 4 : 5, 15);
        j->out[i] = buf_guarded(r, count, size);
    }
}

bool job_make(struct job *j, const struct op *op, struct omq_rng *r, int index)
{
    *j = (struct job){.n = odd_size(r), .c = op->shape == FLAT ? 1 : odd_size(r)};
    j->q_max = (1 << between(r, 1, 8)) - 1;
    j->zero_point = between(r, 0, 1) ? (j->q_max + 1) / 2 : 0;
    j->in_place = between(r, 0, 1);
    j->ta = between(r, 0, 1);
    j->r = (struct omq_rescale){.zp_in = between(r, 0, 1) ? 128 : 0, .zp_out = j->zero_point,
                                .q_max = j->q_max, .ratio = (omq_real)between(r, 1, 256) / 128};
    j->add = (struct omq_addend){.r = (omq_real)between(r, 1, 300) / 150,
                                 .zero = (omq_real)between(r, -500, 500) / 3};
    j->k = between(r, 0, 1) ? INT16_MAX : between(r, 1023, INT16_MAX);
    if (op->shape == FLAT && between(r, 0, 3) == 0)
        j->n = 1000 + odd_size(r);
    if (op->shape == GEMM)
        pick_gemm(j, r);
    if (op->shape == WINDOW || op->shape == POOL || op->shape == DWCONV) {
        if (!pick_window(&j->g, r, index))
            return false;
        if (op->shape == POOL && (j->g.ph > j->g.kh / 2 || j->g.pw > j->g.kw / 2))
            return false;
    }
    if (op->shape == CONV && !pick_conv(j, op, r, index))
        return false;
    if (IS_CODES(op)) {
        codes_make(j, op, r);
        return true;
    }
    job_fill(j, op, r);
    return true;
}

void job_free(struct job *j)
{
    struct buf *const bufs[] = {&j->x, &j->y, &j->q, &j->q2, &j->dy, &j->w_s16, &j->scratch};

    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
        buf_free(bufs[i]);
    for (int i = 0; i < 4; i++)
        buf_free(&j->ch[i]);
    for (int i = 0; i < 2; i++) {
        buf_free(&j->init[i]);
        buf_free(&j->out[i]);
    }
    codes_free(j);
}

/* FNV-1a */
uint64_t job_inputs(const struct job *j)
{
    const struct buf *const inputs[] = {&j->x, &j->y, &j->q, &j->q2, &j->dy, &j->w_s16, &j->packed,
                                        &j->start, &j->res, &j->ch[0], &j->ch[1], &j->ch[2],
                                        &j->ch[3]};
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        for (size_t k = 0; k < inputs[i]->size; k++)
            sum = (sum ^ (uint8_t)inputs[i]->p[k]) * UINT64_C(0x100000001b3);
    return sum;
}

void job_run(struct job *j, const struct op *op, const struct omq_kern *k)
{
    for (int i = 0; i < 2; i++)
        memcpy(j->out[i].p, j->init[i].p, j->init[i].size);
    if (j->in_place && op->shape != CONV && !IS_CODES(op) && j->init[0].size == j->x.size)
        memcpy(j->out[0].p, j->x.p, j->x.size);
    op->run(k, j);
}
