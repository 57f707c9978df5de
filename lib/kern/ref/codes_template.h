/* SPDX-License-Identifier: MIT
 *
 * Between values and integers.
 */
#include <float.h>

#ifdef OMQ_DOUBLE
typedef uint64_t OMQ_FN(bits);
#else
typedef uint32_t OMQ_FN(bits);
#endif

/* Magnitudes compare as their bits do, a NaN above all: a maximum that compilers
 * vectorize, and that tells what is not finite. */
void OMQ_FN(quantize_s16)(size_t n, const omq_real *restrict x, int q_max, int16_t *restrict q,
                          omq_real *scale)
{
    OMQ_FN(bits) most = 0;
    omq_real max, factor;

    for (size_t i = 0; i < n; i++) {
        OMQ_FN(bits) bits;

        memcpy(&bits, &x[i], sizeof(bits));
        bits = bits << 1 >> 1;
        most = bits > most ? bits : most;
    }
    memcpy(&max, &most, sizeof(max));
    factor = (omq_real)q_max / max;
    *scale = isfinite(max) ? isfinite(factor) ? max / (omq_real)q_max : 0 : (omq_real)NAN;
    if (!(*scale > 0)) {
        memset(q, 0, sizeof(*q) * n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        q[i] = (int16_t)(int)rint(x[i] * factor);
}

/* rint(x) for |x| <= 256, by the sum's own rounding: without SSE4.1 rint() is a
 * call. */
static inline omq_real OMQ_FN(nearest)(omq_real x)
{
    const omq_real magic = (omq_real)1.5 / (sizeof(x) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON);

    return (x + magic) - magic;
}

/* A NaN is lo. */
static inline omq_real OMQ_FN(clamp)(omq_real x, omq_real lo, omq_real hi)
{
    x = x > lo ? x : lo;
    return x < hi ? x : hi;
}

#ifndef OMQ_OWN_QUANTIZE_WEIGHTS
/* Clamping first changes nothing: the ends are whole. */
void OMQ_FN(quantize_weights)(size_t n, const omq_real *restrict w, omq_real s, bool midrise,
                              int k_max, int8_t *restrict k)
{
    const int half = (k_max + 1) / 2;

    if (!midrise) {
        for (size_t i = 0; i < n; i++)
            k[i] = (int8_t)(int)OMQ_FN(nearest)(OMQ_FN(clamp)(w[i] / s, (omq_real)-k_max,
                                                              (omq_real)k_max));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        omq_real t = OMQ_FN(clamp)(w[i] / s, (omq_real)-half, (omq_real)half);
        omq_real r = OMQ_FN(nearest)(t);
        int j = (int)r - (r > t); /* floor(t) */

        k[i] = (int8_t)(2 * (j < half ? j : half - 1) + 1);
    }
}
#endif

#ifndef OMQ_OWN_RESCALE_U8
/* A NaN becomes 0. */
static inline uint8_t OMQ_FN(code)(omq_real v, omq_real top)
{
    omq_real r = rint(v);

    r = r > 0 ? r : 0;
    r = r < top ? r : top;
    return (uint8_t)(int)r;
}

void OMQ_FN(rescale_u8)(size_t rows, size_t n, const uint8_t *restrict q, ptrdiff_t q_row,
                        const struct omq_rescale *r, uint8_t *restrict out, ptrdiff_t out_row)
{
    const omq_real ratio = r->ratio, zero = r->zp_out, top = r->q_max;
    const int zp_in = r->zp_in;

    for (; rows > 0; rows--, q += q_row, out += out_row)
        for (size_t i = 0; i < n; i++)
            out[i] = OMQ_FN(code)(fma((omq_real)((int)q[i] - zp_in), ratio, zero), top);
}
#endif

void OMQ_FN(codes_to_real)(size_t n, const uint8_t *restrict q, int zero_point,
                           omq_real *restrict x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (omq_real)((int)q[i] - zero_point);
}
