/* SPDX-License-Identifier: MIT
 *
 * Kernels: every hot loop, behind one table of function pointers that
 * omq_kern_init() fills for the machine it finds. A kernel allocates nothing,
 * keeps no state, and may run on any thread.
 *
 * Names: omq_<op>_<types>_<isa>, e.g. omq_conv_codes_avx2, omq_relu_ref;
 * types are left out where only omq_real is meant.
 *
 * Layout: activations are [pixels][channels] (NHWC), weights [out][k] with
 * k = (kh, kw, in). "real" is omq_real. Every variant of an elementwise kernel
 * gives the same bits as _ref: sums run over pixels in order, a channel apart,
 * or are of integers. gemm sums reals in an order of its own.
 */
#ifndef OMQ_KERN_KERN_H
#define OMQ_KERN_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"

/* Instruction sets of x86-64 and then of AArch64, lowest first; a level includes
 * the ones below it of its architecture, but for AVX-VNNI, which a machine with
 * AVX-512 may lack. neon is what every AArch64 has. Only this architecture's have
 * names that are words: another's would mean ref, and nobody would notice. */
enum omq_isa {
    OMQ_ISA_REF, OMQ_ISA_AVX2, OMQ_ISA_AVXVNNI, OMQ_ISA_AVX512, OMQ_ISA_AVX512VNNI,
    OMQ_ISA_AVX512VPOPCNTDQ, OMQ_ISA_AMX, OMQ_ISA_NEON, OMQ_ISA_DOTPROD, OMQ_ISA_COUNT
};
#if defined(__aarch64__)
#define OMQ_ISA_NAMES "ref, neon or dotprod"
#else
#define OMQ_ISA_NAMES "ref, avx2, avxvnni, avx512, avx512vnni, avx512vpopcntdq or amx"
#endif

/* Geometry of a convolution or pooling over one image; channels are those of
 * one group. Rows and columns outside the image read as 0. The output rows
 * from oy0 on are the same window with ph - oy0 * sh, which may be negative,
 * and a smaller oh. */
struct omq_window {
    int h, w, c;            /* input image; c is the channel stride of a pixel */
    int c_begin, c_count;   /* the channels read: one group's */
    int kh, kw, sh, sw, ph, pw;
    int oh, ow;             /* output size */
};

/* From codes to codes of another step: the value of code q is
 * v = fma(q - zp_in, ratio, zp_out), in units of the output's step. */
struct omq_rescale {
    int zp_in, zp_out, q_max;
    omq_real ratio; /* s_in / s_out */
};

/* What follows acc[n][c] in one unit, in channel j: v = fma(acc, m[j], b[j]), to which a
 * residual of codes is added as runtimes do whose convolutions give 8 bits:
 *   t = clamp(rint(fma(acc, m[j], b[j])), OMQ_PART_MIN, OMQ_PART_MAX), a NaN staying one
 *   v = fma(res, r, t + zero)
 * and then q = clamp(rint(v), 0, q_max), half to even; a NaN gives 0. */
enum { OMQ_PART_MIN = -128, OMQ_PART_MAX = 127 };
struct omq_addend {
    omq_real r;    /* one code of res, in codes of v */
    omq_real zero; /* v where t and res are 0 */
};
struct omq_epilogue {
    const omq_real *m, *b;
    struct omq_addend add; /* with a residual */
    const omq_real *mu; /* mean of acc; NULL: no sum_gx */
    int q_max, zero_point;
};
struct omq_epilogue_sums {
    omq_real *ds, *g, *gx; /* [c] each, added to; gx only with mu */
};

/* A convolution of the integer engine. A window is n_runs runs of `run` codes
 * that lie together in x: kh runs of kw * c codes, or one run, where it is a
 * whole image. x must be readable for three bytes after its last window. */
struct omq_conv_shape {
    int oc;             /* channels of y */
    int n_runs, run;
    int w_bits;         /* 1 to 8 */
    bool midrise;       /* weights k = 2j - (2^w_bits - 1); else k = j - 2^(w_bits - 1) */
    int x_max;          /* codes of x are 0 .. x_max */
    int zero_point;     /* of x */
    int q_max;          /* codes of y are 0 .. q_max; 0: y are reals */
};
/* What one call computes: n images of oh rows of ow pixels. Distances are in
 * bytes of x and res, in elements of y. oc_pad below is oc, rounded up to a
 * multiple of 16. Work may be split into calls by images, by rows, and by outputs
 * at multiples of 16 (w, start, m, b, res and y moved on, and oc less): each
 * call unpacks the weights that it is given. w is best aligned to 64 bytes. */
struct omq_conv_io {
    int n, oh, ow;
    const uint8_t *x;                    /* the first window's first code */
    ptrdiff_t x_image, x_row, x_pixel;   /* from a window to that of the next image, ... */
    const ptrdiff_t *run_at;             /* [n_runs], from a window's first code */
    const void *w;                       /* of pack_codes, as are: */
    const int32_t *start;                /* [oc_pad] */
    const omq_real *m, *b;               /* [oc_pad] */
    struct omq_addend add;               /* with res */
    const uint8_t *res;                  /* or NULL */
    ptrdiff_t res_image, res_row, res_pixel;
    void *y;                             /* uint8_t, or omq_real where q_max is 0 */
    ptrdiff_t y_image, y_row, y_pixel;
};

struct omq_kern {
    /* c[m][n] = beta * c + op(a)[m][k] op(b)[k][n], row-major with leading
     * dimensions; op transposes where ta/tb. beta is 0 (c is not read) or 1. */
    void (*gemm)(bool ta, bool tb, int m, int n, int k, const omq_real *a, int lda,
                 const omq_real *b, int ldb, omq_real beta, omq_real *c, int ldc);

    /* Rows of a convolution as a matrix: rows[oh*ow][kh*kw*c_count] from one
     * image; u8 codes become code - zero_point, outside is 0. */
    void (*im2row_u8)(const struct omq_window *g, const uint8_t *image, int zero_point,
                      omq_real *rows);
    void (*im2row)(const struct omq_window *g, const omq_real *image, omq_real *rows);
    /* The transpose of im2row: adds rows into image. */
    void (*row2im)(const struct omq_window *g, const omq_real *rows, omq_real *image);

    /* out[oh][ow][c] = the largest value of each channel in its window (all
     * channels: c_begin is 0), pixels outside the image left out. Rows of the image
     * and of out lie `row` and out_row values apart. */
    void (*maxpool_u8)(const struct omq_window *g, const uint8_t *image, ptrdiff_t row,
                       uint8_t *out, ptrdiff_t out_row);
    void (*maxpool)(const struct omq_window *g, const omq_real *image, ptrdiff_t row,
                    omq_real *out, ptrdiff_t out_row);
    /* Backward: adds each dout to dimage where the window first has its out. */
    void (*unpool_u8)(const struct omq_window *g, const uint8_t *image, const uint8_t *out,
                      const omq_real *dout, omq_real *dimage);
    void (*unpool)(const struct omq_window *g, const omq_real *image, const omq_real *out,
                   const omq_real *dout, omq_real *dimage);
    /* Gradients of a convolution without such rows, of n whole images, from codes
     * x[n][h][w][c] and dy[n][oh][ow][oc] = scale * (dy in 16 bits, at most
     * omq_conv_dy_max()): dw[oc][kh][kw][c] += sum of dy * (x - zero_point) where
     * omq_conv_direct(), but oc may be odd, or omq_conv_few(), and dx[n][h][w][c] = (or,
     * if add, +=) sum of dy * w where omq_conv_direct(), w being codes [c/16, rounded
     * up][kh][kw][oc/2][16][2] with each row of taps from right to left, and 0 for
     * channels that are missing.
     * Sums are of integers, exact, and rounded to reals and scaled, fma(sum, scale, dw), at
     * places that the geometry fixes: for dx once, at its end, and for dw after
     * every omq_conv_band() output rows, rows being those of two successive
     * images at once. If add, pixels that no window sees are left alone. No two
     * overlap; scratch holds omq_conv_scratch() bytes, aligned as reals. */
    void (*conv_dweight_s16)(const struct omq_window *g, int oc, int n, const uint8_t *x,
                             int zero_point, const int16_t *dy, omq_real scale, omq_real *dw,
                             void *scratch);
    void (*conv_dinput_s16)(const struct omq_window *g, int oc, int n, const int16_t *dy,
                            const int16_t *w, omq_real scale, bool add, omq_real *dx,
                            void *scratch);

    /* The engine's convolutions: weights k[oc][n_runs][run] to what is kept of
     * them, omq_conv_packed_size() bytes, and start[oc_pad] = -zero_point * sum
     * of k (0 behind oc). Codes stand in blocks of 16 outputs by four inputs,
     * [oc_pad/16][n_runs][run/4, rounded up][16][4], a block as w_bits planes of
     * 64 bits: bit 4 * output + input of plane p, a little-endian number, is bit
     * p of j. Blocks of 8 bits are the 64 codes k as they are. Codes that are
     * missing have j (k) = 0. */
    void (*pack_codes)(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                       int32_t *start);
    /* y = clamp(rint(v), 0, q_max), a NaN giving 0, or y = v where q_max is 0:
     *   acc = start[o] + sum over the window of x * k, exact, missing codes as 0:
     *         the caller keeps n_runs * run * x_max * max|k| < 2^31
     *   v as in struct omq_epilogue
     * scratch: omq_conv_codes_scratch() bytes. */
    void (*conv_codes)(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                       void *scratch);

    /* The same by counting bits, where omq_conv_by_bits(): the same y, from other
     * packed weights of as many bytes, [oc_pad/16][n_runs][run/32][w_bits][16], a
     * little-endian word of 32 bits for the inputs of an output in one plane of j.
     * Bits of x are packed in scratch, those of neighbours once where x_pixel is
     * a multiple of 64. */
    void (*pack_bits)(const struct omq_conv_shape *s, const int8_t *k, void *packed,
                      int32_t *start);
    void (*conv_bits)(const struct omq_conv_shape *s, const struct omq_conv_io *io,
                      void *scratch);

    /* A depthwise convolution of the engine: output o sees channel o alone, so run is
     * 1 and a window is n_runs pixels. y is that of conv_codes, w is of
     * omq_dwconv_pack(), and nothing behind a window is read. */
    void (*dwconv_codes)(const struct omq_conv_shape *s, const struct omq_conv_io *io);
    /* Depthwise convolutions of reals, in training, of one image (c_begin is 0, c_count
     * is not looked at), with k[kh][kw][c]:
     *   y[oh][ow][c] = sum over the window of x * k, taps in order
     *   dk += sum over the pixels, in order, of dy * x
     *   dx += dy * k, pixel by pixel, taps in order
     * each product rounded before it is added. */
    void (*dwconv)(const struct omq_window *g, const omq_real *x, const omq_real *k, omq_real *y);
    void (*dwconv_dweight)(const struct omq_window *g, const omq_real *x, const omq_real *dy,
                           omq_real *dk);
    void (*dwconv_dinput)(const struct omq_window *g, const omq_real *dy, const omq_real *k,
                          omq_real *dx);

    /* Mean and sum of squared deviations of each channel of x[n][c], in one
     * pass, in double: with d = x - x[0], s1 = sum of d and s2 = sum of d^2,
     * x[0] + s1 / n and s2 - s1 * s1 / n. x[0] is one of the values, so
     * s1^2 / n is at most n times the result, and little of it cancels. */
    void (*channel_stats)(int n, int c, const omq_real *x, double *mean, double *m2);

    /* v[i][j] = fma(acc[i][j], m[j], b[j]); with res, where nothing is rounded, v =
     * fma(acc, m[j], fma(res, r, b[j] + zero)). v may be acc. */
    void (*affine)(int n, int c, const omq_real *acc, const omq_real *m, const omq_real *b,
                   omq_real *v);
    void (*affine_res)(int n, int c, const omq_real *acc, const omq_real *m, const omq_real *res,
                       const struct omq_addend *add, const omq_real *b, omq_real *v);

    /* q = rint(x * (q_max / max|x|)), so that x is nearly q * *scale with *scale =
     * max|x| / q_max. All q are 0 and *scale is 0 where max|x| is (or is so small
     * that its inverse overflows), and *scale is NaN where an x is not finite. */
    void (*quantize_s16)(size_t n, const omq_real *x, int q_max, int16_t *q, omq_real *scale);
    /* Codes of weights, with t = w / s, s > 0; a NaN gives the least:
     *   midrise: k = 2 clamp(floor(t), -half, half - 1) + 1, half = (k_max + 1) / 2
     *   else:    k = clamp(rint(t), -k_max, k_max), half to even; k_max <= 127 */
    void (*quantize_weights)(size_t n, const omq_real *w, omq_real s, bool midrise, int k_max,
                             int8_t *k);
    /* dst[n][c][kk] = w[n][c][kk] + f * offsets[n][kk], each product rounded before it
     * is added: c channels of kk weights to an offset. No two overlap. */
    void (*add_offsets)(size_t n, size_t c, size_t kk, const omq_real *w, omq_real f,
                        const omq_real *offsets, omq_real *dst);
    /* Codes k[n] of levels j of `bits` bits each, side by side from the lowest bit of
     * the first byte on: midrise (1 to 7 bits) 2j - (2^bits - 1), else j - 2^(bits - 1). */
    void (*unpack_row)(int bits, bool midrise, size_t n, const uint8_t *packed, int8_t *k);
    /* dst[n][n_cols][n_rows] = src[n][n_rows][n_cols], each transposed; no two overlap. */
    void (*transpose_u8)(size_t n, int n_rows, int n_cols, const uint8_t *src, uint8_t *dst);
    /* out = clamp(rint(v), 0, q_max) of each code of rows of n, which lie q_row and
     * out_row bytes apart; a NaN gives 0. */
    void (*rescale_u8)(size_t rows, size_t n, const uint8_t *q, ptrdiff_t q_row,
                       const struct omq_rescale *r, uint8_t *out, ptrdiff_t out_row);
    /* out[i][j] = tables[j][q[i][j]], i < n, j < c. */
    void (*look_up_u8)(size_t n, int c, const uint8_t (*tables)[256], const uint8_t *q,
                       uint8_t *out);
    /* x = code - zero_point. */
    void (*codes_to_real)(size_t n, const uint8_t *q, int zero_point, omq_real *x);
    /* y = max(x, 0), a NaN staying one; y may be x. */
    void (*relu)(size_t n, const omq_real *x, omq_real *y);

    /* Backward of rescale_u8, as epilogue_backward is of epilogue's codes, but with
     * what passes added to dq, or stored there if store. */
    void (*rescale_backward)(int n, int c, const uint8_t *q, const struct omq_rescale *r,
                             const omq_real *g, bool store, omq_real *dq, omq_real *ds);
    /* From acc and the raw codes of a residual (NULL: none) to codes, and back, through
     * codes of step s, v being in units of s with the zero point: straight through where
     * 0 <= v <= q_max, else 0. g is dL/d(dequantized output) on entry, dL/d(input in real
     * units) on return. ds[j] += sum over i of g * (inside: rint(v) - v; below:
     * -zero_point; above: q_max - zero_point). Then norm_sums (channel_sum without mu) of
     * what is left in g.
     * With a residual and c = fma(acc, m, b), g keeps what the residual gets, sums are
     * of what the convolution gets, which is nothing where c is beyond t's ends, and to
     * ds of v inside comes t - c (t beyond those ends), the step's part in t. */
    void (*epilogue)(int n, int c, const struct omq_epilogue *e, const omq_real *acc,
                     const uint8_t *res, uint8_t *q);
    void (*epilogue_backward)(int n, int c, const struct omq_epilogue *e, const omq_real *acc,
                              const uint8_t *res, omq_real *g,
                              const struct omq_epilogue_sums *sum);
    /* g = 0 where v <= 0. */
    void (*relu_backward)(size_t n, const omq_real *v, omq_real *g);

    /* sum_g[j] += sum of g; sum_gx[j] += sum of g * (x - mu[j]). */
    void (*norm_sums)(int n, int c, const omq_real *g, const omq_real *x, const omq_real *mu,
                      omq_real *sum_g, omq_real *sum_gx);
    /* g = a[j] * g + k[j] * (x - mu[j]) + d[j], in place; with the epilogue of a residual
     * (or NULL), 0 in place of g where fma(x, m[j], b[j]) is beyond the ends of t. */
    void (*norm_backward)(int n, int c, omq_real *g, const omq_real *x, const omq_real *mu,
                          const omq_real *a, const omq_real *k, const omq_real *d,
                          const struct omq_epilogue *e);
    /* g[i][j] *= a[j]. */
    void (*scale)(int n, int c, omq_real *g, const omq_real *a);
    /* y += x; sum[j] += sum of x[i][j]. */
    void (*add)(size_t n, const omq_real *x, omq_real *y);
    void (*channel_sum)(int n, int c, const omq_real *x, omq_real *sum);
};

/* Fills the table: reference first, then upwards to the highest level that
 * the machine has and max_isa allows; OMQ_ISA_REF also keeps BLAS out. Each
 * kernel is compared with the reference on a small case, and one that differs
 * is left out (noted in *dropped, a static string, if not NULL). Call once,
 * before any thread; afterwards the table is constant. */
void omq_kern_init(enum omq_isa max_isa, const char **dropped);

/* The kernels that omq_init() left out because they gave other results than the
 * reference here; static, NULL: none. */
const char *omq_kern_dropped(void);

/* The table; omq_kern_init() has run. */
const struct omq_kern *omq_kern(void);

/* Whether the conv_ kernels serve: one group, 16 channels of x or more, oc even and 8
 * or more, padding below the window's size, and windows small enough to leave dy at
 * least 10 bits and a sign. */
bool omq_conv_direct(const struct omq_window *g, int oc);
/* The same for fewer than 16 channels of x, 8 outputs or more, an odd number too, and
 * without dx: a network's first convolution. */
bool omq_conv_few(const struct omq_window *g, int oc);
/* Values of conv_dinput_s16's w. */
size_t omq_conv_dinput_weights(const struct omq_window *g, int oc);
/* The largest |dy| for which no sum of the gradients that there are can overflow,
 * whatever the codes and the weights (of 8 bits): at most 32767. */
int omq_conv_dy_max(const struct omq_window *g, int oc);
/* How many images one call best takes: pairs, as many as conv_dweight_s16 sums
 * up without rounding, if that is any; two where omq_conv_few(). */
int omq_conv_images(const struct omq_window *g, int oc);
/* Bytes of scratch for a conv_ kernel and n images. */
size_t omq_conv_scratch(const struct omq_window *g, int oc, int n);

/* Whether pack_bits and conv_bits serve (codes and weights of one bit, or of one
 * and two; midrise weights, no zero point, runs of multiples of 64) and the
 * table's are faster than its pack_codes and conv_codes. */
bool omq_conv_by_bits(const struct omq_conv_shape *s);
/* The runs of s, of windows g: its rows, or, where what an output sees of one pixel does
 * not lie beside what it sees of the next (apart), its pixels, or the image as one run
 * (whole); and where each begins in images whose rows lie `row` bytes apart. */
void omq_conv_set_runs(struct omq_conv_shape *s, const struct omq_window *g, bool apart,
                       bool whole);
void omq_conv_place_runs(const struct omq_conv_shape *s, const struct omq_window *g, bool apart,
                         ptrdiff_t row, ptrdiff_t *run_at);
/* oc_pad of oc outputs. */
static inline int omq_conv_padded(int oc) { return (oc + 15) / 16 * 16; }
/* Of pack_ and conv_codes, and of pack_ and conv_bits; at: where output o begins in packed
 * weights, a multiple of 16. */
size_t omq_conv_packed_at(const struct omq_conv_shape *s, int o);
size_t omq_conv_packed_size(const struct omq_conv_shape *s);
size_t omq_conv_codes_scratch(const struct omq_conv_shape *s);

/* Weights k[oc][n_runs] of a depthwise convolution to what dwconv_codes reads, in
 * omq_dwconv_packed_size() bytes, and start[oc_pad] as of pack_codes: in 16 bits,
 * [oc_pad/16][n_runs/2, rounded up][16][2], 0 where there are none. They are few. */
void omq_dwconv_pack(const struct omq_conv_shape *s, const int8_t *k, int16_t *packed,
                     int32_t *start);
size_t omq_dwconv_packed_size(const struct omq_conv_shape *s);

/* Name, version and build of the BLAS; "none" without. */
const char *omq_blas_name(void);

/* What this machine offers (CPUID and XCR0 both; who asks for AMX asks the kernel
 * for the permission to use it; elsewhere what the kernel says), and the highest of it. For
 * one thread, as omq_kern_init(). */
bool omq_cpu_has(enum omq_isa isa);
enum omq_isa omq_cpu_isa(void);
/* The level that omq_kern_init() took. */
enum omq_isa omq_kern_isa(void);
/* The instruction set of the table's conv_codes or conv_bits, as in OMQ_CPU. */
const char *omq_kern_conv_set(bool by_bits);
const char *omq_isa_name(enum omq_isa isa);
/* One of OMQ_ISA_NAMES, as in OMQ_CPU; false for any other word. */
bool omq_isa_parse(const char *word, enum omq_isa *isa);

#endif
