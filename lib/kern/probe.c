/* SPDX-License-Identifier: MIT
 *
 * The self-test: whether a kernel gives the reference's bits on a small case.
 */
#include <string.h>

#include "kern/kern_internal.h"

/* One small case of every kernel: CH channels leave a tail behind vectors of
 * any width, values are halves (ties of rint) beyond both ends of the codes,
 * and the products of gemm stay exact in any order. */
enum {
    CH = 37, PIX = 12, CODES = PIX * CH, RGB = 3, TAPS = 9 * CH, CONV_CH = 32, CONV_N = 3,
    RUN = 14, BITS_RUN = 128, RUNS = 2, OC = 37, OC_PAD = 48, W_WIDTHS = 8,
    WINDOW_N = 24, WINDOW_SIDE = 4, WINDOW_CH = 16
};

struct probe_conv {
    _Alignas(64) uint8_t packed[RUNS * BITS_RUN * OC_PAD]; /* more than enough */
    int32_t start[OC_PAD];
    uint8_t y[PIX * OC];
    omq_real reals[PIX * OC];
};

struct probe {
    omq_real gemm[PIX * PIX];
    omq_real rows_u8[PIX * TAPS], rows[PIX * TAPS], image[CODES];
    uint8_t pool_u8[CODES];
    omq_real pool[CODES], unpool_u8[CODES], unpool[CODES];
    omq_real conv_dinput[CONV_N * PIX * CONV_CH];
    omq_real conv_dweight[9 * CONV_CH * CONV_CH];
    omq_real conv_dweight_few[9 * 4 * CONV_CH];
    struct probe_conv codes[W_WIDTHS], bits[3], dwconv[2];
    omq_real window[WINDOW_N * 4 * WINDOW_CH];
    omq_real dw[CODES], dw_dk[TAPS], dw_dx[CODES];
    int16_t q_s16[CODES];
    omq_real q_scale;
    double mean[CH], m2[CH];
    uint8_t epilogue[2][CODES];
    omq_real epilogue_grad[2][CODES], epilogue_sums[2][3][CH];
    omq_real affine[CODES], affine_res[CODES], real[CODES], relu[CODES];
    uint8_t transposed[CODES], rescaled[CODES], looked_up[CODES];
    int8_t weights[2][CODES], unpacked[W_WIDTHS][CODES];
    omq_real rescale_grad[CODES], rescale_ds[CH];
    omq_real relu_grad[CODES], sum_g[CH], sum_gx[CH], norm_grad[CODES];
    omq_real sum_grad[CODES];
    omq_real scale[CODES], add[CODES], sum[CH];
    omq_real offsets[2][CODES];
};

/* What the kernels are called with. */
struct inputs {
    omq_real x[CODES], y[CODES], rows[PIX * TAPS], a[CH], b[CH], m[OC_PAD], b_pad[OC_PAD];
    uint8_t q[CODES], images[CONV_N * PIX * CONV_CH], tables[RGB][256];
    int16_t w_s16[9 * CONV_CH * CONV_CH], dy[CONV_N * PIX * CONV_CH];
};

static void make_inputs(struct inputs *in)
{
    for (int i = 0; i < CODES; i++) {
        in->x[i] = (omq_real)((i * 29) % 61 - 15) / 2;
        in->y[i] = (omq_real)((i * 17) % 23 - 11) / 4;
        in->q[i] = (uint8_t)(i * 71);
    }
    for (int i = 0; i < PIX * TAPS; i++)
        in->rows[i] = in->x[i % CODES];
    for (int j = 0; j < CH; j++) {
        in->a[j] = (omq_real)(j + 1) / 3;
        in->b[j] = (omq_real)(18 - j) / 7;
    }
    for (int j = 0; j < OC_PAD; j++) {
        in->m[j] = (omq_real)(j % 8 + 1) / 64;
        in->b_pad[j] = (omq_real)(j % 9) / 2;
    }
    for (int i = 0; i < 9 * CONV_CH * CONV_CH; i++)
        in->w_s16[i] = (int16_t)((i * 59) % 255 - 127);
    for (int i = 0; i < CONV_N * PIX * CONV_CH; i++) {
        in->dy[i] = (int16_t)((i * 7919) % 65535 - 32767);
        in->images[i] = (uint8_t)(i * 71);
    }
    for (int i = 0; i < RGB * 256; i++)
        in->tables[i / 256][i % 256] = (uint8_t)(i * 167 + i / 256);
}

static const struct omq_addend added = {.r = (omq_real)0.375, .zero = (omq_real)-2.3};

/* The engine's convolutions: 3 x 4 pixels of codes that are cut from q. */
static void probe_conv(const struct omq_kern *k, const struct omq_conv_shape *s, bool by_bits,
                       const struct inputs *in, struct probe_conv *p)
{
    enum { MOST = RUNS * BITS_RUN };
    const ptrdiff_t run_at[RUNS] = {0, s->run + 10};
    const int levels = 1 << s->w_bits, size = OC * s->n_runs * s->run;
    static char scratch[MOST * 2 * 64 + 64];
    static int8_t w[OC * MOST];
    uint8_t x[3 * 4 * 12 + MOST + 10 + 3];
    const struct omq_conv_io io = {
        .n = 1, .oh = 3, .ow = 4, .x = x, .x_row = 48, .x_pixel = 12, .run_at = run_at,
        .w = p->packed, .start = p->start, .m = in->m, .b = in->b_pad,
        .add = added, .res = s->w_bits % 2 ? NULL : in->q, .res_row = 4 * OC, .res_pixel = OC,
        .y = s->q_max > 0 ? (void *)p->y : p->reals, .y_row = 4 * OC, .y_pixel = OC,
    };

    for (int i = 0; i < (int)sizeof(x); i++)
        x[i] = (uint8_t)(i % 5 == 0 ? s->x_max : in->q[i] & s->x_max);
    for (int i = 0; i < size; i++) {
        const int level = i % 7 == 0 ? 0 : i % 11 == 0 ? levels - 1 : i * 59 % levels;

        w[i] = (int8_t)(s->midrise ? 2 * level - (levels - 1) : level - levels / 2);
    }
    (by_bits ? k->pack_bits : k->pack_codes)(s, w, p->packed, p->start);
    (by_bits ? k->conv_bits : k->conv_codes)(s, &io, scratch);
}

/* Each width of weights, with as many bits of codes (but 7: with 8). */
static void probe_codes(const struct omq_kern *k, const struct inputs *in, struct probe *p)
{
    for (int bits = 1; bits <= W_WIDTHS; bits++) {
        const int x_max = bits == 7 ? 255 : (1 << bits) - 1;
        const struct omq_conv_shape s = {.oc = OC, .n_runs = RUNS, .run = RUN, .w_bits = bits,
                                         .midrise = bits <= 2, .x_max = x_max,
                                         .zero_point = bits / 4, .q_max = bits == 5 ? 0 : x_max};

        probe_conv(k, &s, false, in, &p->codes[bits - 1]);
    }
}

/* Windows of 3 x 3 at 2 x 2 places of an image, which serves as WINDOW_N: as many as some
 * kernel takes in another way than a few. To reals, which tell all sums apart. */
static void probe_window(const struct omq_kern *k, const struct inputs *in, omq_real *y)
{
    enum { ROW = WINDOW_SIDE * WINDOW_CH, Y_ROW = 2 * WINDOW_CH, WEIGHTS = 9 * WINDOW_CH };
    static const ptrdiff_t run_at[3] = {0, ROW, 2 * ROW};
    static const struct omq_conv_shape s = {.oc = WINDOW_CH, .n_runs = 3, .run = 3 * WINDOW_CH,
                                            .w_bits = 8, .x_max = 255};
    static char scratch[1 << 18];
    static int8_t w[WEIGHTS * WINDOW_CH];
    static uint8_t packed[sizeof(w)];
    int32_t start[WINDOW_CH];
    uint8_t x[WINDOW_SIDE * ROW + 3];
    const struct omq_conv_io io = {
        .n = WINDOW_N, .oh = 2, .ow = 2, .x = x, .x_row = ROW, .x_pixel = WINDOW_CH,
        .run_at = run_at, .w = packed, .start = start, .m = in->m,
        .b = in->b_pad, .y = y, .y_image = 2 * Y_ROW, .y_row = Y_ROW, .y_pixel = WINDOW_CH,
    };

    if (omq_conv_codes_scratch(&s) > sizeof(scratch))
        OMQ_BUG("the probe's scratch is too small");
    for (int i = 0; i < (int)sizeof(x); i++)
        x[i] = i % 5 == 0 ? 255 : in->q[i % CODES];
    for (int i = 0; i < (int)sizeof(w); i++)
        w[i] = (int8_t)(i % 7 == 0 ? -128 : i * 59 % 256 - 128);
    k->pack_codes(&s, w, packed, start);
    k->conv_codes(&s, &io, scratch);
}

static void probe_bits(const struct omq_kern *k, const struct inputs *in, struct probe *p)
{
    for (int i = 0; i < 3; i++) {
        const struct omq_conv_shape s = {.oc = OC, .n_runs = RUNS, .run = BITS_RUN,
                                         .w_bits = 1 + i / 2, .midrise = true,
                                         .x_max = i == 1 ? 3 : 1, .q_max = 255};

        probe_conv(k, &s, true, in, &p->bits[i]);
    }
}

/* Windows of five and of nine pixels, to codes and to reals. */
static void probe_dwconv(const struct omq_kern *k, const struct inputs *in, struct probe *p)
{
    static const ptrdiff_t run_at[9] = {0, 1, 2, 40, 41, 43, 80, 81, 85};
    static int8_t w[OC * 9];
    uint8_t x[9 * 40 + 120 + OC];

    for (int i = 0; i < (int)sizeof(x); i++)
        x[i] = i % 5 == 0 ? 255 : in->q[i % CODES];
    for (int i = 0; i < OC * 9; i++)
        w[i] = (int8_t)((i * 59) % 256 - 128);
    for (int i = 0; i < 2; i++) {
        struct probe_conv *to = &p->dwconv[i];
        const struct omq_conv_shape s = {.oc = OC, .n_runs = i ? 9 : 5, .run = 1, .w_bits = 8,
                                         .x_max = 255, .zero_point = 3, .q_max = i ? 255 : 0};
        const struct omq_conv_io io = {
            .n = 1, .oh = 3, .ow = 4, .x = x, .x_row = 80, .x_pixel = 40, .run_at = run_at,
            .w = to->packed, .start = to->start, .m = in->m, .b = in->b_pad,
            .add = added, .res = i ? NULL : in->q, .res_row = 4 * OC, .res_pixel = OC,
            .y = i ? (void *)to->y : to->reals, .y_row = 4 * OC, .y_pixel = OC,
        };

        omq_dwconv_pack(&s, w, (int16_t *)(void *)to->packed, to->start);
        k->dwconv_codes(&s, &io);
    }
}

/* Calls of k, where a row replaced the reference: the others would be the same. */
#define PROBE(op, ...)              \
    do {                            \
        if (row->op != ref->op)     \
            k->op(__VA_ARGS__);     \
    } while (0)

/* Kernels of windows: whole rows, pooling, and the gradients of convolutions. */
static void probe_windows(const struct omq_kern *k, const struct omq_kern *ref,
                          const struct omq_kern *row, const struct inputs *in, struct probe *p)
{
    static const struct omq_window g = {
        .h = 3, .w = 4, .c = CH, .c_count = CH,
        .kh = 3, .kw = 3, .sh = 1, .sw = 1, .ph = 1, .pw = 1, .oh = 3, .ow = 4,
    };
    static int32_t scratch[((CONV_N + 1) * 5 * 6 + CONV_N * (PIX + 4)) * CONV_CH + 64];
    struct omq_window direct = g, few = g;

    direct.c = direct.c_count = CONV_CH;
    few.c = few.c_count = 4;
    PROBE(im2row_u8, &g, in->q, 128, p->rows_u8);
    PROBE(im2row, &g, in->x, p->rows);
    PROBE(row2im, &g, in->rows, p->image);
    PROBE(maxpool_u8, &g, in->q, g.w * g.c, p->pool_u8, g.ow * g.c);
    PROBE(maxpool, &g, in->x, g.w * g.c, p->pool, g.ow * g.c);
    PROBE(unpool_u8, &g, in->q, in->q, in->y, p->unpool_u8); /* any values will do for maxima */
    PROBE(unpool, &g, in->x, in->x, in->y, p->unpool);
    PROBE(conv_dweight_s16, &direct, CONV_CH, CONV_N, in->images, 128, in->dy, in->a[0],
          p->conv_dweight, scratch);
    PROBE(conv_dweight_s16, &few, CONV_CH, CONV_N, in->images, 128, in->dy, in->a[0],
          p->conv_dweight_few, scratch);
    PROBE(conv_dinput_s16, &direct, CONV_CH, CONV_N, in->dy, in->w_s16, in->a[0], false,
          p->conv_dinput, scratch);
    PROBE(dwconv, &g, in->x, in->rows, p->dw);
    PROBE(dwconv_dweight, &g, in->x, in->y, p->dw_dk);
    PROBE(dwconv_dinput, &g, in->y, in->rows, p->dw_dx);
}

static void probe_engine(const struct omq_kern *k, const struct omq_kern *ref,
                         const struct omq_kern *row, const struct inputs *in, struct probe *p)
{
    if (row->pack_codes != ref->pack_codes || row->conv_codes != ref->conv_codes) {
        probe_codes(k, in, p);
        probe_window(k, in, p->window);
    }
    if (row->pack_bits != ref->pack_bits || row->conv_bits != ref->conv_bits)
        probe_bits(k, in, p);
    if (row->dwconv_codes != ref->dwconv_codes)
        probe_dwconv(k, in, p);
}

static const struct omq_rescale rescale = {.zp_in = 128, .zp_out = 8, .q_max = 15, .ratio = 0.25f};

/* Values, codes and weights, from one to the other. */
static void probe_values(const struct omq_kern *k, const struct omq_kern *ref,
                         const struct omq_kern *row, const struct inputs *in, struct probe *p)
{
    PROBE(gemm, false, true, PIX, PIX, CH, in->x, CH, in->y, CH, 0, p->gemm, PIX);
    PROBE(channel_stats, PIX, CH, in->x, p->mean, p->m2);
    PROBE(affine, PIX, CH, in->x, in->a, in->b, p->affine);
    PROBE(affine_res, PIX, CH, in->x, in->a, in->y, &added, in->b, p->affine_res);
    PROBE(quantize_s16, CODES, in->y, 32767, p->q_s16, &p->q_scale);
    PROBE(quantize_weights, CODES, in->x, in->a[1], false, 127, p->weights[0]);
    PROBE(quantize_weights, CODES, in->x, in->a[1], true, 7, p->weights[1]);
    PROBE(add_offsets, CODES / 18, 2, 9, in->x, in->a[0], in->y, p->offsets[0]);
    PROBE(add_offsets, CODES / 2, 2, 1, in->x, in->a[0], in->y, p->offsets[1]);
    for (int bits = 1; bits <= W_WIDTHS; bits++)
        PROBE(unpack_row, bits, bits <= 2, CODES, in->q, p->unpacked[bits - 1]);
    PROBE(transpose_u8, 1, PIX, CH, in->q, p->transposed);
    PROBE(rescale_u8, 1, CODES, in->q, 0, &rescale, p->rescaled, 0);
    PROBE(look_up_u8, CODES / RGB, RGB, in->tables, in->q, p->looked_up);
    PROBE(codes_to_real, CODES, in->q, 128, p->real);
    PROBE(relu, CODES, in->x, p->relu);
    PROBE(channel_sum, PIX, CH, in->x, p->sum);
}

/* Kernels that change one of their arguments in place begin with y there. */
static void probe_gradients(const struct omq_kern *k, const struct omq_kern *ref,
                            const struct omq_kern *row, const struct inputs *in, struct probe *p)
{
    const struct omq_epilogue e = {.m = in->a, .b = in->b, .add = added, .mu = in->a,
                                   .q_max = 15, .zero_point = 8};
    omq_real *const in_place[] = {p->epilogue_grad[0], p->epilogue_grad[1], p->relu_grad,
                                  p->norm_grad, p->sum_grad, p->scale, p->add};

    for (size_t i = 0; i < sizeof(in_place) / sizeof(in_place[0]); i++)
        memcpy(in_place[i], in->y, sizeof(in->y));
    PROBE(rescale_backward, PIX, CH, in->q, &rescale, in->y, true, p->rescale_grad,
          p->rescale_ds);
    for (int i = 0; i < 2; i++) {
        const struct omq_epilogue_sums sums = {p->epilogue_sums[i][0], p->epilogue_sums[i][1],
                                               p->epilogue_sums[i][2]};

        PROBE(epilogue, PIX, CH, &e, in->x, i ? in->q : NULL, p->epilogue[i]);
        PROBE(epilogue_backward, PIX, CH, &e, in->x, i ? in->q : NULL, p->epilogue_grad[i],
              &sums);
    }
    PROBE(relu_backward, CODES, in->x, p->relu_grad);
    PROBE(norm_sums, PIX, CH, in->y, in->x, in->a, p->sum_g, p->sum_gx);
    PROBE(norm_backward, PIX, CH, p->norm_grad, in->x, in->a, in->a, in->b, in->b, NULL);
    PROBE(norm_backward, PIX, CH, p->sum_grad, in->x, in->a, in->a, in->b, in->b, &e);
    PROBE(scale, PIX, CH, p->scale, in->a);
    PROBE(add, CODES, in->x, p->add);
}

static void probe_run(const struct omq_kern *k, const struct omq_kern *ref,
                      const struct omq_kern *row, const struct inputs *in, struct probe *p)
{
    memset(p, 0, sizeof(*p));
    probe_windows(k, ref, row, in, p);
    probe_engine(k, ref, row, in, p);
    probe_values(k, ref, row, in, p);
    probe_gradients(k, ref, row, in, p);
}

bool omq_kern_passes(const struct omq_kern *trial, const struct omq_kern *ref)
{
    static struct inputs in;
    static struct probe got, want;

    make_inputs(&in);
    probe_run(ref, ref, trial, &in, &want);
    probe_run(trial, ref, trial, &in, &got);
    return memcmp(&got, &want, sizeof(got)) == 0;
}
