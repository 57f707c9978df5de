/* SPDX-License-Identifier: MIT
 *
 * Quantization, the method itself: grids, weight and activation quantizers,
 * the views, folding, packing. The one place that knows bit-widths.
 *
 * A weight code k (int8) means the value k * e, where e is the *unit*: the
 * step s on the symmetric grid, s/2 on the mid-rise grid (whose codes are odd).
 * An activation code q (u8) means s * (q - zero_point).
 */
#ifndef OMQ_QUANT_QUANT_H
#define OMQ_QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/real.h"
#include "conf/conf.h"
#include "kern/kern.h"

/* Weight grid of one width. */
struct omq_grid {
    int bits;
    bool midrise;
    int k_min, k_max; /* codes; midrise: odd ones only */
    omq_real edge;    /* straight-through range: |w| <= edge * step, the outer cell's edge */
};

/* auto: mid-rise at 1 to 3 bits, symmetric from 4. midrise has 1 to 7 bits,
 * symmetric 2 to 8: where the kind does not have the width, the other grid is
 * used (1: mid-rise, 8: symmetric). bits in 1..8. */
struct omq_grid omq_grid_of(enum omq_grid_kind kind, int bits);

/* The largest |k|: of two's complement grids that of k_min. */
int omq_grid_largest(const struct omq_grid *g);

/* e for a step s. */
omq_real omq_grid_unit(const struct omq_grid *g, omq_real step);

/* Codes of w[out][n]:
 *   mid-rise:  j = clamp(floor(w/s) + 2^(b-1), 0, 2^b - 1), k = 2j - (2^b - 1)
 *   symmetric: k = clamp(rint(w/s), k_min, k_max)
 * step[n_steps], n_steps 1 (a layer) or out (a channel); every step > 0. Where
 * w/s is NaN, which only a run that diverged has, k is k_min. */
void omq_weights_quantize(const struct omq_grid *g, int out, size_t n, const omq_real *w,
                          const omq_real *step, int n_steps, int8_t *k);

/* LSQ backward (Esser et al., ICLR 2020, eq. 3), straight-through up to the
 * outer cell edge, of the n weights of one output. dq: gradient of the dequantized
 * weights. Writes dw = dq inside, 0 outside; adds to dstep
 *   gscale * sum dq * (value/s - (inside ? w/s : 0)), gscale = 1/sqrt(N Qmax),
 * N (n_shared) the weights that share the step, Qmax the largest value/s (at least 1). */
void omq_weights_backward(const struct omq_grid *g, size_t n, size_t n_shared, const omq_real *w,
                          const int8_t *k, omq_real step, const omq_real *dq, omq_real *dw,
                          omq_real *dstep);

/* Steps of least squared error: at 1 bit 2 * mean|w|, else by search. Positive
 * for all weights; of zeros, on the mid-rise grid, next to nothing. */
void omq_weights_init_step(const struct omq_grid *g, int out, size_t n, const omq_real *w,
                           omq_real *step, int n_steps);

/* Activations of `bits` bits: q in 0 .. 2^bits - 1; zero_point 2^(bits-1) if
 * signed (then bits is at least 2), else 0. */
struct omq_act {
    int bits, q_max, zero_point;
};
struct omq_act omq_act_of(int bits, bool is_signed);

/* A step of least squared error over x[n] (real values) among those that are at most twice
 * the mean of |x| where x is not 0. */
omq_real omq_act_init_step(const struct omq_act *a, size_t n, const omq_real *x);
/* The squared error of every stride-th of n real values, in codes of that step. */
double omq_act_error(const struct omq_act *a, omq_real step, size_t n, size_t stride,
                     const omq_real *x);

/* What a method does about the activations that a layer reads. Its parameter is
 * one number a site and precision, 0 before the first batch. */
struct omq_act_method {
    bool learned;  /* has the parameter */
    bool is_clip;  /* which is a clipping level: learns as weights do, at train.lr */
    /* Its first value, from n real inputs. */
    omq_real (*init)(const struct omq_act *a, size_t n, const omq_real *x);
    /* The quantizer's step; param is 0 if there is none. */
    omq_real (*step)(const struct omq_act *a, omq_real param);
    /* dL/dparam from sum, over n values, of dL/dy * dy/dstep. */
    double (*gradient)(const struct omq_act *a, double sum, double n);
};

/* Batch norm of one channel count, or its stand-in: with gamma == NULL the
 * output is y + beta (beta NULL: 0). */
struct omq_norm {
    const omq_real *gamma, *beta;
    const omq_real *mean, *var; /* of the convolution's real output */
    double eps;
};

/* Folds scales and batch norm into the epilogue's fma(acc, m[c], b[c]), computed in
 * double, rounded once. unit[c] (or unit[0] if n_units == 1) times s_in is the real value
 * of one unit of acc; s_out, zp_out describe the output (1 and 0: real output; zp_out is
 * 0, too, where a residual is added). The bias is a whole number of acc's unit / parts, as
 * runtimes have it that add it in integers to sums of codes that were made so many times
 * larger; 0: as it is. */
void omq_fold(int c, const omq_real *unit, int n_units, double s_in, const struct omq_norm *norm,
              int parts, double s_out, int zp_out, omq_real *m, omq_real *b);
/* What a residual of step s_res adds to it. */
struct omq_addend omq_fold_residual(double s_res, int zp_res, double s_out, int zp_out);
/* Those parts: how many times larger codes of weights up to k_max can be made in 4 bits,
 * which int4 kernels have, or, where they do not fit, in 8; and not so far that two
 * products leave 16 bits, which kernels for processors without VNNI cannot hold, unless
 * they do anyway; nor that sums of `terms` products leave half of 32 bits. */
int omq_bias_parts(int k_max, int x_max, int64_t terms);

/* The same for an average of count codes: v = fma(sum of (code - zero point),
 * m, b). */
void omq_fold_pool(double s_in, int count, double s_out, int zp_out, omq_real *m, omq_real *b);

/* Views: what a width changes in a layer's shared weights. Offsets of the
 * coarsest scale of a wavelet transform along the input channels, `levels` deep,
 * are transformed back and added (quant/view.c has the formula), so that offsets
 * of 0 give the weights bit for bit. Without levels each weight has an offset. */
struct omq_view_spec {
    bool offsets; /* false: off */
    bool detach;  /* what has offsets leaves the shared weights alone */
    int levels;
    int dims[4];  /* of the weights: [out][in][kh][kw] */
};
/* The view of a layer at a width; edge: the first or last layer, which has none. */
struct omq_view_spec omq_view_of(const struct omq_quant_config *q, int bits, bool edge,
                                 const int dims[4]);
/* [out][in / 2^levels, rounded up][kh][kw] */
void omq_view_offset_dims(const struct omq_view_spec *v, int dims[4]);

/* w -> dst, what is quantized, both [out][in][kh][kw]; offsets of
 * omq_view_offset_dims(), not used where the view is off. */
void omq_view_forward(const struct omq_view_spec *v, const omq_real *w, const omq_real *offsets,
                      omq_real *dst);
/* Gradient: adds to doffsets, and to dw: with detach, without what lies along
 * the offsets. */
void omq_view_backward(const struct omq_view_spec *v, const omq_real *ddst, omq_real *dw,
                       omq_real *doffsets);

/* ---- methods ----
 *
 * quant.method: how weights become codes, and what activations learn. omq's own
 * is the first row of the table; the others are what it is compared with, each
 * by the formulas of its paper (quant/method_*.c). */

/* Learned weight steps: none, one set a precision, or one for all of them. */
enum omq_wstep { OMQ_WSTEP_NONE, OMQ_WSTEP_PRECISION, OMQ_WSTEP_SHARED };

/* A layer's weights at one precision, on their way to codes. */
struct omq_weights {
    struct omq_grid grid;
    int out, fan_out;       /* fan_out: out * kh * kw; of a linear layer out */
    size_t n;               /* weights of an output */
    size_t n_shared;        /* weights of a step, perhaps not all of them here */
    const omq_real *w;      /* [out][n], after the view */
    const omq_real *step;   /* [n_steps]; NULL where there are none */
    int n_steps;
    omq_real *scratch;      /* [out][n], until backward */
    int8_t *k;              /* [out][n] */
    omq_real *unit;         /* [n_units], of room for out: real value of one code */
    /* set by forward: */
    int n_units;            /* 1 or out */
    const omq_real *x;      /* [out][n]: k * unit stands for x * scale */
    omq_real scale, peak;   /* peak: of omq_tanh_forward() */
};

struct omq_method {
    struct omq_grid (*grid)(enum omq_grid_kind kind, int bits);
    enum omq_wstep wstep;
    /* First steps; NULL where there are none. */
    void (*init_step)(const struct omq_weights *q, omq_real *step);
    /* Codes and units. */
    void (*forward)(struct omq_weights *q);
    /* dq: gradient of the dequantized weights. Writes dw, that of w, and adds to
     * dstep (NULL where there are no steps). */
    void (*backward)(const struct omq_weights *q, const omq_real *dq, omq_real *dw,
                     omq_real *dstep);
    const struct omq_act_method *act; /* where a layer reads */
    const struct omq_act_method *act_unnormed; /* there, of what no batch norm gave; NULL: act */
    bool is_separable; /* codes and gradients of an output depend on it and its step only */
    bool edges_of_omq; /* first and last layer with bits of their own: omq's method */
};
/* The row of a method. plain_edge: of a first or last layer with bits of its
 * own, which papers that leave those layers in float have nothing to say about. */
const struct omq_method *omq_method_of(enum omq_quant_method kind, bool plain_edge);
/* The residual stream's quantizer, which is omq's whatever the method. */
const struct omq_act_method *omq_stream_method(void);

/* Codes at their true width: level j of grid g (j = 0 .. 2^bits - 1) as a
 * little-endian stream of `bits` bits a code, a row of n codes starting on a
 * byte. Symmetric j = k + 2^(bits-1); mid-rise j = (k + 2^bits - 1) / 2. */
size_t omq_pack_row_bytes(int bits, size_t n);
unsigned omq_grid_level(const struct omq_grid *g, int k); /* j of code k */
void omq_pack(const struct omq_grid *g, size_t rows, size_t n, const int8_t *k, uint8_t *packed);
/* Code i of a row. */
int omq_packed_code(const struct omq_grid *g, const uint8_t *row, size_t i);
void omq_unpack(const struct omq_grid *g, size_t rows, size_t n, const uint8_t *packed, int8_t *k);

#endif
