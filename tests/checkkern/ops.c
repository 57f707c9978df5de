/* SPDX-License-Identifier: MIT
 *
 * The operators: how each is called, what it writes, and how much.
 */
#include "checkkern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN(op, ...) \
    static void run_##op(const struct omq_kern *k, struct job *j) { k->op(__VA_ARGS__); }
#define ACC(j) ((j)->in_place ? REALS((j)->out[0]) : REALS((j)->x))

RUN(gemm, j->ta, j->tb, j->m, j->n, j->k, REALS(j->x), j->lda, REALS(j->y), j->ldb, j->beta,
    REALS(j->out[0]), j->ldc)
RUN(im2row_u8, &j->g, U8S(j->q), j->zero_point, REALS(j->out[0]))
RUN(im2row, &j->g, REALS(j->x), REALS(j->out[0]))
RUN(row2im, &j->g, REALS(j->x), REALS(j->out[0]))
RUN(maxpool_u8, &j->g, U8S(j->q), (ptrdiff_t)j->g.w * j->g.c, U8S(j->out[0]),
    (ptrdiff_t)j->g.ow * j->g.c)
RUN(maxpool, &j->g, REALS(j->x), (ptrdiff_t)j->g.w * j->g.c, REALS(j->out[0]),
    (ptrdiff_t)j->g.ow * j->g.c)
/* The maxima need not be the image's: any that are met, or not, will do. */
RUN(unpool_u8, &j->g, U8S(j->q), U8S(j->q2), REALS(j->x), REALS(j->out[0]))
RUN(unpool, &j->g, REALS(j->x), REALS(j->y), REALS(j->x), REALS(j->out[0]))
RUN(conv_dweight_s16, &j->g, j->oc, j->images, U8S(j->q), j->zero_point, S16S(j->dy), j->scale,
    REALS(j->out[0]), j->scratch.p)
RUN(conv_dinput_s16, &j->g, j->oc, j->images, S16S(j->dy), S16S(j->w_s16), j->scale, j->in_place,
    REALS(j->out[0]), j->scratch.p)
RUN(pack_codes, &j->cs, S8S(j->q2), j->out[0].p, S32S(j->out[1]))
RUN(conv_codes, &j->cs, &j->io, j->scratch.p)
RUN(pack_bits, &j->cs, S8S(j->q2), j->out[0].p, S32S(j->out[1]))
RUN(conv_bits, &j->cs, &j->io, j->scratch.p)
RUN(dwconv_codes, &j->cs, &j->io)
RUN(dwconv, &j->g, REALS(j->x), REALS(j->y), REALS(j->out[0]))
RUN(dwconv_dweight, &j->g, REALS(j->x), REALS(j->y), REALS(j->out[0]))
RUN(dwconv_dinput, &j->g, REALS(j->y), REALS(j->x), REALS(j->out[0]))
RUN(channel_stats, j->n, j->c, REALS(j->x), DOUBLES(j->out[0]), DOUBLES(j->out[1]))
RUN(affine, j->n, j->c, ACC(j), REALS(j->ch[0]), REALS(j->ch[1]), REALS(j->out[0]))
RUN(affine_res, j->n, j->c, ACC(j), REALS(j->ch[0]), REALS(j->y), &j->add, REALS(j->ch[2]),
    REALS(j->out[0]))
RUN(quantize_s16, COUNT(j), REALS(j->x), j->k, S16S(j->out[0]), REALS(j->out[1]))
/* The widest grid of either kind that q_max, up to 255, has room for. */
static void run_quantize_weights(const struct omq_kern *k, struct job *j)
{
    int bits = 1;

    while (bits < 7 && 2 << bits <= j->q_max + 1)
        bits++;
    k->quantize_weights(COUNT(j), REALS(j->x), (omq_real)0.37, j->in_place,
                        (1 << bits) - 1, S8S(j->out[0]));
}
/* One or more channels to an offset, of windows that have a loop of their own and others. */
static void run_add_offsets(const struct omq_kern *k, struct job *j)
{
    static const size_t windows[] = {5, 9, 1};
    const size_t kk = windows[j->c % 3], c = j->in_place ? 1 + (size_t)j->n % 5 : 2;

    k->add_offsets(COUNT(j) / (c * kk), c, kk, REALS(j->x), (omq_real)0.7, REALS(j->y),
                   REALS(j->out[0]));
}
/* Any number of bits, of bytes for 8 bits each. */
static void run_unpack_row(const struct omq_kern *k, struct job *j)
{
    const int bits = 1 + j->r.q_max % 8;

    k->unpack_row(bits, j->in_place && bits < 8, COUNT(j), U8S(j->q), S8S(j->out[0]));
}
/* One matrix, or as many as there are numbers of rows that share them. */
static void run_transpose_u8(const struct omq_kern *k, struct job *j)
{
    const int n = j->n % 3 == 0 ? 3 : j->n % 2 == 0 ? 2 : 1;

    k->transpose_u8((size_t)n, j->n / n, j->c, U8S(j->q), U8S(j->out[0]));
}
RUN(rescale_u8, (size_t)j->n, (size_t)j->c, U8S(j->q), j->c, &j->r, U8S(j->out[0]), j->c)
static void run_look_up_u8(const struct omq_kern *k, struct job *j)
{
    const int c = 1 + j->c % 5;
    uint8_t tables[5][256];

    for (int i = 0; i < 5 * 256; i++)
        tables[i / 256][i % 256] = (uint8_t)(i * 167 + i / 256);
    k->look_up_u8(COUNT(j) / (size_t)c, c, (const uint8_t(*)[256])tables, U8S(j->q),
                  U8S(j->out[0]));
}
RUN(rescale_backward, j->n, j->c, U8S(j->q), &j->r, REALS(j->x), j->in_place, REALS(j->out[0]),
    REALS(j->out[1]))
RUN(codes_to_real, COUNT(j), U8S(j->q), j->zero_point, REALS(j->out[0]))
RUN(relu, COUNT(j), ACC(j), REALS(j->out[0]))
/* Sets of channels serve both; the sums of the backward pass are outputs. */
#define EPILOGUE(j) &(struct omq_epilogue){.m = REALS((j)->ch[0]), .b = REALS((j)->ch[1]), \
    .add = (j)->add, .mu = (j)->ta ? REALS((j)->ch[3]) : NULL, .q_max = (j)->q_max, \
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
    REALS(j->ch[2]), REALS(j->ch[3]), j->in_place ? EPILOGUE(j) : NULL)
RUN(scale, j->n, j->c, REALS(j->out[0]), REALS(j->ch[0]))
RUN(add, COUNT(j), REALS(j->x), REALS(j->out[0]))
RUN(channel_sum, j->n, j->c, REALS(j->x), REALS(j->out[0]))

#define R sizeof(omq_real)
static const struct op ops[] = {
    {"gemm", run_gemm, GEMM, {MN_REAL}, false, 0},
    {"im2row_u8", run_im2row_u8, WINDOW, {TAPS_REAL}, false, R},
    {"im2row", run_im2row, WINDOW, {TAPS_REAL}, true, R},
    {"row2im", run_row2im, WINDOW, {IMAGE_REAL}, false, R},
    {"maxpool_u8", run_maxpool_u8, POOL, {POOL_U8}, false, 1},
    {"maxpool", run_maxpool, POOL, {POOL_REAL}, true, R},
    {"unpool_u8", run_unpool_u8, POOL, {IMAGE_REAL}, false, 1 + 2 * R},
    {"unpool", run_unpool, POOL, {IMAGE_REAL}, false, 3 * R},
    {"conv_dweight_s16", run_conv_dweight_s16, CONV, {W_REAL}, false, 0},
    {"conv_dinput_s16", run_conv_dinput_s16, CONV, {X_REAL}, false, 0},
    {"pack_codes", run_pack_codes, CODES, {CODES_PACKED, CODES_START}, false, 1},
    {"conv_codes", run_conv_codes, CODES, {CODES_Y}, false, 0},
    {"pack_bits", run_pack_bits, BITS, {CODES_PACKED, CODES_START}, false, 1},
    {"conv_bits", run_conv_bits, BITS, {CODES_Y}, false, 0},
    {"dwconv_codes", run_dwconv_codes, DWCODES, {CODES_Y}, false, 0},
    {"dwconv", run_dwconv, DWCONV, {POOL_REAL}, false, 0},
    {"dwconv_dweight", run_dwconv_dweight, DWCONV, {DK_REAL}, false, 0},
    {"dwconv_dinput", run_dwconv_dinput, DWCONV, {IMAGE_REAL}, false, 0},
    {"channel_stats", run_channel_stats, ROWS, {C_DOUBLE, C_DOUBLE}, false, 2 * R},
    {"affine", run_affine, ROWS, {NC_REAL}, false, 2 * R},
    {"affine_res", run_affine_res, ROWS, {NC_REAL}, false, 3 * R},
    {"quantize_s16", run_quantize_s16, FLAT, {N_S16, ONE_REAL}, false, R + 2},
    {"quantize_weights", run_quantize_weights, FLAT, {NC_U8}, true, R + 1},
    {"add_offsets", run_add_offsets, FLAT, {NC_REAL}, true, 2 * R + R / 2},
    {"unpack_row", run_unpack_row, FLAT, {NC_U8}, false, 2},
    {"transpose_u8", run_transpose_u8, ROWS, {NC_U8}, false, 2},
    {"rescale_u8", run_rescale_u8, ROWS, {NC_U8}, false, 2},
    {"look_up_u8", run_look_up_u8, ROWS, {NC_U8}, false, 2},
    {"rescale_backward", run_rescale_backward, ROWS, {NC_REAL, C_REAL}, false, 3 * R + 1},
    {"codes_to_real", run_codes_to_real, FLAT, {NC_REAL}, false, R + 1},
    {"relu", run_relu, FLAT, {NC_REAL}, true, 2 * R},
    {"epilogue", run_epilogue, ROWS, {NC_U8}, true, R + 1},
    {"epilogue_backward", run_epilogue_backward, ROWS, {NC_REAL, C3_REAL}, false, 3 * R},
    {"relu_backward", run_relu_backward, FLAT, {NC_REAL}, true, 3 * R},
    {"norm_sums", run_norm_sums, ROWS, {C_REAL, C_REAL}, false, 2 * R},
    {"norm_backward", run_norm_backward, ROWS, {NC_REAL}, false, 3 * R},
    {"scale", run_scale, ROWS, {NC_REAL}, false, 2 * R},
    {"add", run_add, FLAT, {NC_REAL}, false, 3 * R},
    {"channel_sum", run_channel_sum, ROWS, {C_REAL}, false, R},
};

const struct op *op_find(const char *slot)
{
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(ops[i].slot, slot) == 0)
            return &ops[i];
    fprintf(stderr, "checkkern: no check for '%s'\n", slot);
    exit(1);
}

uint32_t op_index(const struct op *op)
{
    return (uint32_t)(op - ops);
}

/* ---- sizes */

size_t window_taps(const struct omq_window *g)
{
    return (size_t)g->oh * (size_t)g->ow * (size_t)g->kh * (size_t)g->kw * (size_t)g->c_count;
}

size_t image_size(const struct omq_window *g)
{
    return (size_t)g->h * (size_t)g->w * (size_t)g->c;
}

size_t conv_outputs(const struct job *j)
{
    return (size_t)j->images * (size_t)j->g.oh * (size_t)j->g.ow * (size_t)j->oc;
}

size_t conv_weights(const struct job *j)
{
    return (size_t)j->oc * (size_t)j->g.kh * (size_t)j->g.kw * (size_t)j->g.c;
}

size_t out_count(const struct job *j, enum out out, size_t *size)
{
    const struct omq_window *g = &j->g;

    *size = out == NC_U8 || out == POOL_U8 ? 1 : out == N_S16 ? 2
        : out == C_DOUBLE ? sizeof(double) : sizeof(omq_real);
    switch (out) {
    case NC_REAL:
    case NC_U8:
    case N_S16:
        return COUNT(j);
    case ONE_REAL:
        return 1;
    case C_REAL:
    case C_DOUBLE:
        return (size_t)j->c;
    case C3_REAL:
        return 3 * (size_t)j->c;
    case TAPS_REAL:
        return window_taps(g);
    case IMAGE_REAL:
        return image_size(g);
    case POOL_REAL:
    case POOL_U8:
        return (size_t)g->oh * (size_t)g->ow * (size_t)g->c;
    case DK_REAL:
        return (size_t)g->kh * (size_t)g->kw * (size_t)g->c;
    case X_REAL:
        return (size_t)j->images * image_size(g);
    case W_REAL:
        return conv_weights(j);
    case MN_REAL:
        return (size_t)j->m * (size_t)j->ldc;
    case CODES_Y:
    case CODES_PACKED:
    case CODES_START:
        return codes_count(j, out, size);
    case NONE:
        break;
    }
    return 0;
}

void job_shape(const struct job *j, const struct op *op, char *s, size_t size)
{
    const struct omq_window *g = &j->g;

    if (op->shape == WINDOW || op->shape == POOL || op->shape == DWCONV)
        snprintf(s, size, "h%d,w%d,c%d,g%d+%d,k%dx%d,s%dx%d,p%dx%d", g->h, g->w, g->c, g->c_begin,
                 g->c_count, g->kh, g->kw, g->sh, g->sw, g->ph, g->pw);
    else if (op->shape == CONV)
        snprintf(s, size, "n%d,h%d,w%d,c%d,o%d,k%dx%d,s%dx%d,p%dx%d", j->images, g->h, g->w, g->c,
                 j->oc, g->kh, g->kw, g->sh, g->sw, g->ph, g->pw);
    else if (op->shape == GEMM)
        snprintf(s, size, "m%d,n%d,k%d,%c%c%s", j->m, j->n, j->k, j->ta ? 't' : 'n',
                 j->tb ? 't' : 'n', j->beta == 0 ? "" : ",add");
    else if (IS_CODES(op))
        codes_shape(j, s, size);
    else
        snprintf(s, size, "n%d,c%d", j->n, j->c);
}
