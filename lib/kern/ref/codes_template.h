/* SPDX-License-Identifier: MIT
 *
 * Between values and u8 codes.
 */
/* A NaN becomes 0. */
void OMQ_FN(quantize_u8)(size_t n, const omq_real *restrict v, int q_max, uint8_t *restrict q)
{
    const omq_real top = q_max;

    for (size_t i = 0; i < n; i++) {
        omq_real r = rint(v[i]);

        r = r > 0 ? r : 0;
        r = r < top ? r : top;
        q[i] = (uint8_t)(int)r;
    }
}

void OMQ_FN(codes_to_real)(size_t n, const uint8_t *restrict q, int zero_point,
                           omq_real *restrict x)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (omq_real)((int)q[i] - zero_point);
}
