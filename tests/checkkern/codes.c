/* SPDX-License-Identifier: MIT
 *
 * Jobs of the engine's convolutions. What a kernel reads ends where a page does,
 * and the next one may not be touched; y has gaps, which must stay as they are.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "checkkern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    BEYOND = 3, /* bytes of x that may be read behind its last window */
    TRAINED = 2,
    BELL = 6    /* evenly spread numbers, whose mean a weight near the middle is */
};

static size_t whole_pages(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

/* Zeros that end at the end of their page. */
static struct buf buf_at_edge(size_t size)
{
    const size_t pages = whole_pages(size), page = whole_pages(1);
    struct buf b = {.size = size, .mapped = pages + page};

    b.base = mmap(NULL, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b.base == MAP_FAILED || mprotect(b.base + pages, page, PROT_NONE) != 0) {
        fprintf(stderr, "checkkern: cannot map memory\n");
        exit(1);
    }
    b.p = b.base + pages - size;
    return b;
}

void buf_free(struct buf *b)
{
    if (b->mapped)
        munmap(b->base, b->mapped);
    else
        free(b->base);
}

/* ---- sizes */

/* A layer, as the engine lays it out: images with their padding, h rows of w
 * pixels, `pixel` bytes from one to the next. */
struct layer {
    int n, oh, ow, c, oc, kh, kw, sh, sw;
    int pixel, row_gap, image_gap; /* bytes */
    bool apart;                    /* a run is a pixel's codes, not a row's */
};

static void layer_geometry(struct job *j, const struct layer *l)
{
    struct omq_conv_io *io = &j->io;
    const ptrdiff_t row = (ptrdiff_t)((l->ow - 1) * l->sw + l->kw) * l->pixel + l->row_gap;
    const int per_row = l->apart ? l->kw : 1;

    j->cs.oc = l->oc;
    j->cs.n_runs = l->kh * per_row;
    j->cs.run = l->apart ? l->c : l->kw * l->c;
    io->n = l->n, io->oh = l->oh, io->ow = l->ow;
    io->x_image = ((l->oh - 1) * l->sh + l->kh) * row + l->image_gap;
    io->x_row = l->sh * row;
    io->x_pixel = (ptrdiff_t)l->sw * l->pixel;
    for (int r = 0; r < j->cs.n_runs; r++)
        j->run_at[r] = r / per_row * row + r % per_row * (ptrdiff_t)l->pixel;
    io->run_at = j->run_at;
    j->c = (l->oc + 15) / 16 * 16;
}

/* From the first code of the first window to behind the last of the last. */
static size_t x_size(const struct job *j)
{
    const struct omq_conv_io *io = &j->io;

    return (size_t)((io->n - 1) * io->x_image + (io->oh - 1) * io->x_row +
                    (io->ow - 1) * io->x_pixel + j->run_at[j->cs.n_runs - 1]) +
           (size_t)j->cs.run;
}

static size_t res_size(const struct job *j)
{
    const struct omq_conv_io *io = &j->io;

    return (size_t)((io->n - 1) * io->res_image + (io->oh - 1) * io->res_row +
                    (io->ow - 1) * io->res_pixel + j->cs.oc);
}

static void gaps(int oh, int ow, int pixel, int row_gap, int image_gap, ptrdiff_t at[3])
{
    at[2] = pixel;
    at[1] = (ptrdiff_t)ow * pixel + row_gap;
    at[0] = oh * at[1] + image_gap;
}

static void y_and_res(struct job *j, const int gap[6])
{
    struct omq_conv_io *io = &j->io;
    ptrdiff_t at[3];

    gaps(io->oh, io->ow, j->cs.oc + gap[0], gap[1], gap[2], at);
    io->y_image = at[0], io->y_row = at[1], io->y_pixel = at[2];
    gaps(io->oh, io->ow, j->cs.oc + gap[3], gap[4], gap[5], at);
    io->res_image = at[0], io->res_row = at[1], io->res_pixel = at[2];
}

size_t codes_count(const struct job *j, enum out out, size_t *size)
{
    *size = out == CODES_PACKED ? 1 : out == CODES_START ? sizeof(int32_t)
          : j->cs.q_max > 0 ? 1 : sizeof(omq_real);
    return out == CODES_PACKED ? omq_conv_packed_size(&j->cs)
         : out == CODES_START ? (size_t)j->c : (size_t)(j->io.n * j->io.y_image);
}

void codes_shape(const struct job *j, char *s, size_t size)
{
    const struct omq_conv_shape *c = &j->cs;

    snprintf(s, size, "n%d,%dx%d,%dx%d,o%d,w%d%s,x%d%s%s", j->io.n, j->io.oh, j->io.ow, c->n_runs,
             c->run, c->oc, c->w_bits, c->midrise ? "m" : "", c->x_max, j->io.res ? ",res" : "",
             c->q_max ? "" : ",reals");
}

double codes_macs(const struct job *j)
{
    return (double)j->io.n * j->io.oh * j->io.ow * j->cs.oc * j->cs.n_runs * j->cs.run;
}

/* ---- contents */

static int between(struct omq_rng *r, int lo, int hi)
{
    return lo + (int)omq_rng_below(r, (uint32_t)(hi - lo) + 1);
}

/* kind: 0 lowest, 1 highest, else any. */
static int random_level(struct omq_rng *r, int kind, int lo, int hi)
{
    return kind == 0 ? lo : kind == 1 ? hi : between(r, lo, hi);
}

/* kind: TRAINED, about the middle, as such weights are; 3 the same with a few of the
 * ends; 4 both ends; else as above. */
static int weight_level(struct omq_rng *r, int kind, int hi)
{
    const int end = between(r, 0, 1) * hi;
    int sum = 0;

    if (kind == 4 || (kind == 3 && between(r, 0, 99) == 0))
        return end;
    if (kind != TRAINED && kind != 3)
        return random_level(r, kind, 0, hi);
    for (int i = 0; i < BELL; i++)
        sum += between(r, 0, hi);
    return (sum + BELL / 2) / BELL;
}

static struct buf random_weights(struct omq_rng *r, const struct omq_conv_shape *s, int kind)
{
    struct buf b = buf_at_edge((size_t)s->oc * (size_t)s->n_runs * (size_t)s->run);
    const int levels = 1 << s->w_bits;

    for (size_t i = 0; i < b.size; i++) {
        const int level = weight_level(r, kind, levels - 1);

        S8S(b)[i] = (int8_t)(s->midrise ? 2 * level - (levels - 1) : level - levels / 2);
    }
    return b;
}

static struct buf random_codes(struct omq_rng *r, size_t size, int max)
{
    struct buf b = buf_at_edge(size);
    const int kind = between(r, 0, 5);

    for (size_t i = 0; i < size; i++)
        U8S(b)[i] = (uint8_t)random_level(r, kind, 0, max);
    return b;
}

/* v in and about the range of y; or halves, so that rint has ties; or far off. */
static void random_affine(struct job *j, struct omq_rng *r, bool specials)
{
    static const omq_real special[] = {NAN, INFINITY, -INFINITY, 0};
    const int kind = between(r, 0, 5), top = j->cs.q_max ? j->cs.q_max : 255;
    const double k = (double)j->cs.n_runs * j->cs.run;
    const double sum = sqrt(k) * j->cs.x_max * (1 << (j->cs.w_bits - 1));

    for (int set = 0; set < 2; set++)
        j->ch[set] = buf_make(r, (size_t)j->c, sizeof(omq_real));
    for (int o = 0; o < j->c; o++) {
        double v = omq_rng_uniform(r), sign = between(r, 0, 3) ? 1 : -1;

        REALS(j->ch[0])[o] = (omq_real)(sign * (kind == 0 ? 0.5 : kind == 1 ? v * 1e30
                                                                            : v * 2 * top / sum));
        REALS(j->ch[1])[o] = (omq_real)(kind == 0 ? between(r, -top, 2 * top) / 2.0
                                                  : (v - 0.25) * 2 * top);
        if (specials && kind == 2 && between(r, 0, 3) == 0)
            REALS(j->ch[between(r, 0, 1)])[o] = special[between(r, 0, 3)];
    }
    if (kind == 0) /* ties */
        j->io.add = (struct omq_addend){(omq_real)0.5, (omq_real)(between(r, -255, 255) / 2.0)};
    else
        j->io.add = (struct omq_addend){(omq_real)(omq_rng_uniform(r) * 4),
                                        (omq_real)((omq_rng_uniform(r) - 0.5) * 2 * top)};
}

static void fill_out(struct job *j, const struct op *op, struct omq_rng *r)
{
    for (int i = 0; i < 2; i++) {
        size_t size, count = op->out[i] == NONE ? 0 : codes_count(j, op->out[i], &size);

        if (op->out[i] == NONE)
            size = 1;
        j->init[i] = buf_make(r, count, size);
        for (size_t e = 0; e < count * size; e++)
            U8S(j->init[i])[e] = (uint8_t)between(r, 0, 100);
        j->out[i] = buf_guarded(r, count, size);
    }
}

/* Codes begin at a multiple of `align`. */
static void codes_fill(struct job *j, const struct op *op, struct omq_rng *r, int weights,
                       size_t align)
{
    const struct omq_conv_shape *s = &j->cs;
    const size_t beyond = op->shape == DWCODES ? (size_t)s->oc - 1 : BEYOND;
    const size_t codes = (x_size(j) + beyond + align - 1) / align * align;

    j->q2 = random_weights(r, s, weights);
    j->packed = buf_at_edge(op->shape == DWCODES ? omq_dwconv_packed_size(s)
                                                 : omq_conv_packed_size(s));
    j->start = buf_make(r, (size_t)j->c, sizeof(int32_t));
    if (op->shape == BITS)
        omq_pack_bits_ref(s, S8S(j->q2), j->packed.p, S32S(j->start));
    else if (op->shape == DWCODES)
        omq_dwconv_pack(s, S8S(j->q2), S16S(j->packed), S32S(j->start));
    else
        omq_pack_codes_ref(s, S8S(j->q2), j->packed.p, S32S(j->start));
    j->q = random_codes(r, codes, s->x_max);
    if (op->shape != DWCODES)
        memset(j->q.p + j->q.size - BEYOND, 255, BEYOND);
    j->res = random_codes(r, res_size(j), 255);
    random_affine(j, r, s->q_max > 0);
    j->scratch = buf_guarded(r, omq_conv_codes_scratch(s), 1);
    fill_out(j, op, r);
    j->io.x = U8S(j->q), j->io.w = j->packed.p, j->io.start = S32S(j->start);
    j->io.m = REALS(j->ch[0]), j->io.b = REALS(j->ch[1]);
    j->io.res = j->in_place ? U8S(j->res) : NULL;
    j->io.y = j->out[0].p;
}

/* ---- jobs */

static void pick_bits(struct omq_conv_shape *s, int i)
{
    s->w_bits = i == 2 ? 2 : 1, s->midrise = true;
    s->x_max = i == 1 ? 3 : 1;
}

void codes_make(struct job *j, const struct op *op, struct omq_rng *r)
{
    static const int kernels[] = {1, 1, 2, 3, 3, 5, 7}, strides[] = {1, 1, 2, 3};
    struct omq_conv_shape *s = &j->cs;
    struct layer l = {
        .n = between(r, 1, 3), .oh = between(r, 1, 6), .ow = between(r, 1, 17),
        .c = between(r, 1, 40), .oc = between(r, 1, 70), .kh = kernels[between(r, 0, 6)],
        .kw = kernels[between(r, 0, 6)], .sh = strides[between(r, 0, 3)],
        .sw = strides[between(r, 0, 3)], .row_gap = between(r, 0, 1) * between(r, 0, 9),
        .image_gap = between(r, 0, 9), .apart = between(r, 0, 2) == 0,
    };
    const bool linear = between(r, 0, 7) == 0; /* a row of n pixels */
    int gap[6];

    if (linear)
        l.n = l.oh = l.kh = l.kw = 1, l.c = between(r, 1, 600);
    if (between(r, 0, 3) == 0) { /* minimal filtering has its tiles here, seldom all at once */
        l.kh = l.kw = 3, l.sh = l.sw = 1, l.c = 16 * between(r, 1, 3), l.apart = false;
        l.oh += op->shape == CODES && between(r, 0, 3) == 0 ? 40 : 0;
        if (op->shape == CODES && between(r, 0, 5) == 0) /* few tiles at once */
            l.n = 1, l.c = 16 * between(r, 4, 40), l.oc = between(r, 1, 20);
    }
    if (op->shape == BITS) /* long runs too: counts of many steps are added up in bytes */
        l.c = (l.apart || l.kw % 2 || between(r, 0, 3) ? 64 : 32) * between(r, 1, linear ? 40 : 2);
    l.pixel = l.c + (l.apart ? between(r, 0, 7) : 0);
    for (int i = 0; i < 6; i++)
        gap[i] = between(r, 0, 1) * between(r, 0, 9);
    *s = (struct omq_conv_shape){.w_bits = between(r, 1, 8), .midrise = between(r, 0, 1)};
    if (s->w_bits == 8)
        s->midrise = false;
    s->x_max = (1 << between(r, 1, 8)) - 1;
    if (between(r, 0, 3) == 0) /* sums of two products may not fit in 16 bits */
        s->w_bits = between(r, 7, 8), s->midrise = s->w_bits == 7, s->x_max = 255;
    if (op->shape == BITS)
        pick_bits(s, between(r, 0, 2));
    s->zero_point = op->shape == BITS ? 0 : between(r, 0, 1) ? (s->x_max + 1) / 2 : 0;
    s->q_max = between(r, 0, 3) == 0 ? 0 : between(r, 0, 1) ? (1 << between(r, 1, 8)) - 1
                                                            : between(r, 1, 255);
    if (op->shape == DWCODES)
        l.c = 1, l.apart = true, l.pixel = l.oc + between(r, 0, 7);
    layer_geometry(j, &l);
    y_and_res(j, gap);
    codes_fill(j, op, r, between(r, 0, 7), 1);
}

/* Layers of ResNet-20 and ResNet-18, once in each width. */
static const struct {
    int n, oh, c, oc, k, s;
} bench_layers[] = {
    {1, 32, 16, 16, 3, 1},   {8, 32, 16, 16, 3, 1},  {1, 16, 32, 32, 3, 1}, {8, 16, 32, 32, 3, 1},
    {1, 8, 64, 64, 3, 1},    {8, 8, 64, 64, 3, 1},   {1, 56, 64, 64, 3, 1}, {4, 56, 64, 64, 3, 1},
    {1, 28, 128, 128, 3, 1}, {4, 28, 128, 128, 3, 1}, {1, 14, 256, 256, 3, 1},
    {4, 14, 256, 256, 3, 1}, {1, 7, 512, 512, 3, 1}, {4, 7, 512, 512, 3, 1}, {1, 112, 3, 64, 7, 2},
    {1, 28, 64, 128, 1, 2},  {1, 7, 256, 512, 1, 2}, {1, 1, 512, 1000, 1, 1},
};
enum { BENCH_LAYERS = sizeof(bench_layers) / sizeof(bench_layers[0]) };

/* Depthwise ones of MobileNetV2. */
static const struct {
    int oh, c, s;
} bench_depthwise[] = {
    {112, 32, 1}, {56, 96, 2}, {56, 144, 1}, {28, 192, 1}, {14, 384, 1}, {14, 576, 1}, {7, 960, 1},
};
enum { BENCH_DEPTHWISE = sizeof(bench_depthwise) / sizeof(bench_depthwise[0]) };

static bool depthwise_bench(struct job *j, const struct op *op, struct omq_rng *r, int i)
{
    const int bits = i < BENCH_DEPTHWISE ? 8 : 4;
    const int at = i % BENCH_DEPTHWISE, oh = bench_depthwise[at].oh;
    const int c = bench_depthwise[at].c, s = bench_depthwise[at].s;
    const struct layer l = {.n = 1, .oh = oh, .ow = oh, .c = 1, .oc = c, .kh = 3, .kw = 3, .sh = s,
                            .sw = s, .pixel = c, .apart = true};
    const int gap[6] = {0};

    *j = (struct job){.cs = {.w_bits = bits, .x_max = (1 << bits) - 1, .q_max = (1 << bits) - 1}};
    layer_geometry(j, &l);
    y_and_res(j, gap);
    codes_fill(j, op, r, TRAINED, 64);
    return true;
}

int codes_bench_count(const struct op *op)
{
    if (op->shape == DWCODES)
        return 2 * BENCH_DEPTHWISE;
    return (op->out[0] == CODES_PACKED ? 1 : op->shape == BITS ? 3 : 4) * BENCH_LAYERS;
}

bool codes_bench(struct job *j, const struct op *op, struct omq_rng *r, int i)
{
    static const int widths[] = {8, 4, 2, 1};
    const int at = i % BENCH_LAYERS, turn = i / BENCH_LAYERS;
    const int bits = op->out[0] == CODES_PACKED ? 2 : widths[turn];
    const int c = bench_layers[at].c, k = bench_layers[at].k, s = bench_layers[at].s;
    const int oh = bench_layers[at].oh;
    const struct layer l = {
        .n = bench_layers[at].n, .oh = oh, .ow = oh, .c = c, .oc = bench_layers[at].oc, .kh = k,
        .kw = k, .sh = s, .sw = s, .pixel = c,
    };
    const int gap[6] = {0};

    if (op->shape == DWCODES)
        return depthwise_bench(j, op, r, i);
    *j = (struct job){.cs = {.w_bits = bits, .midrise = bits <= 2, .x_max = (1 << bits) - 1,
                             .q_max = (1 << bits) - 1}};
    if (op->shape == BITS)
        pick_bits(&j->cs, turn);
    layer_geometry(j, &l);
    if (op->shape == BITS && !omq_conv_bits_serve(&j->cs))
        return false;
    y_and_res(j, gap);
    codes_fill(j, op, r, TRAINED, 64);
    return true;
}

void codes_free(struct job *j)
{
    buf_free(&j->packed);
    buf_free(&j->start);
    buf_free(&j->res);
}
