/* SPDX-License-Identifier: MIT
 *
 * Between values and integers.
 */
/* A NaN becomes 0. */
static inline uint8_t OMQ_FN(code)(omq_real v, omq_real top)
{
    omq_real r = rint(v);

    r = r > 0 ? r : 0;
    r = r < top ? r : top;
    return (uint8_t)(int)r;
}

void OMQ_FN(quantize_u8)(size_t n, const omq_real *restrict v, int q_max, uint8_t *restrict q)
{
    const omq_real top = q_max;

    for (size_t i = 0; i < n; i++)
        q[i] = OMQ_FN(code)(v[i], top);
}

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

void OMQ_FN(requantize)(int n, int c, const int32_t *restrict acc, const omq_real *restrict m,
                        const omq_real *restrict b, const uint8_t *restrict res,
                        const omq_real *restrict r, int stride, int q_max,
                        uint8_t *restrict out)
{
    const omq_real top = q_max;

    for (int i = 0; i < n; i++, acc += c, out += stride) {
        if (!res) {
            for (int j = 0; j < c; j++)
                out[j] = OMQ_FN(code)(fma((omq_real)acc[j], m[j], b[j]), top);
            continue;
        }
        for (int j = 0; j < c; j++)
            out[j] = OMQ_FN(code)(fma((omq_real)acc[j], m[j], fma((omq_real)res[j], r[j], b[j])),
                                  top);
        res += stride;
    }
}

void OMQ_FN(rescale_u8)(size_t n, const uint8_t *restrict q, const struct omq_rescale *r,
                        uint8_t *restrict out)
{
    const omq_real ratio = r->ratio, zero = r->zp_out, top = r->q_max;
    const int zp_in = r->zp_in;

    for (size_t i = 0; i < n; i++)
        out[i] = OMQ_FN(code)(fma((omq_real)((int)q[i] - zp_in), ratio, zero), top);
}

void OMQ_FN(codes_to_real)(size_t n, const uint8_t *restrict q, int zero_point,
                           omq_real *restrict x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (omq_real)((int)q[i] - zero_point);
}
