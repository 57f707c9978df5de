/* SPDX-License-Identifier: MIT
 *
 * Between values and u8 codes.
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
