/* SPDX-License-Identifier: MIT
 *
 * Depthwise convolutions of reals, in training: a channel apart, taps in order, then
 * pixels.
 */
static inline void OMQ_FN(dw_add)(int c, const omq_real *restrict a, const omq_real *restrict b,
                                  omq_real *restrict y)
{
    for (int j = 0; j < c; j++)
        y[j] += a[j] * b[j];
}

/* Runs body for each output pixel and each tap of its window that is in the image: `out`
 * and `in` are where their channels begin, `w` where the tap's do. */
#define DW_FOR(g, body)                                                                   \
    for (int oy_ = 0; oy_ < (g)->oh; oy_++)                                               \
        for (int ox_ = 0; ox_ < (g)->ow; ox_++) {                                         \
            const int y_ = oy_ * (g)->sh - (g)->ph, x_ = ox_ * (g)->sw - (g)->pw;         \
            const size_t out = ((size_t)oy_ * (size_t)(g)->ow + (size_t)ox_) * (size_t)(g)->c; \
                                                                                          \
            for (int ky_ = y_ < 0 ? -y_ : 0; ky_ < (g)->kh && y_ + ky_ < (g)->h; ky_++)   \
                for (int kx_ = x_ < 0 ? -x_ : 0; kx_ < (g)->kw && x_ + kx_ < (g)->w; kx_++) { \
                    const size_t in = ((size_t)(y_ + ky_) * (size_t)(g)->w +              \
                                       (size_t)(x_ + kx_)) * (size_t)(g)->c;              \
                    const size_t w = (size_t)(ky_ * (g)->kw + kx_) * (size_t)(g)->c;      \
                                                                                          \
                    body;                                                                 \
                }                                                                         \
        }

void OMQ_FN(dwconv)(const struct omq_window *g, const omq_real *x, const omq_real *k, omq_real *y)
{
    memset(y, 0, sizeof(*y) * (size_t)g->oh * (size_t)g->ow * (size_t)g->c);
    DW_FOR(g, OMQ_FN(dw_add)(g->c, x + in, k + w, y + out))
}

void OMQ_FN(dwconv_dweight)(const struct omq_window *g, const omq_real *x, const omq_real *dy,
                            omq_real *dk)
{
    DW_FOR(g, OMQ_FN(dw_add)(g->c, x + in, dy + out, dk + w))
}

void OMQ_FN(dwconv_dinput)(const struct omq_window *g, const omq_real *dy, const omq_real *k,
                           omq_real *dx)
{
    DW_FOR(g, OMQ_FN(dw_add)(g->c, dy + out, k + w, dx + in))
}

#undef DW_FOR
