/* SPDX-License-Identifier: MIT
 *
 * Folding: the one place where scales and batch norm become the epilogue's
 * multiply-adds. In double, rounded once; trainer, engine and exports all
 * call it.
 */
#include "quant/quant.h"

enum {
    BIAS_MAX = 1 << 30, /* in parts; beyond, no runtime could add it */
    INT4_CODES = 7,     /* what int4 holds of both signs */
};

int omq_bias_parts(int k_max, int x_max, int64_t terms)
{
    const int64_t product = (int64_t)k_max * x_max;
    const int64_t in_sum = INT32_MAX / 2 / (terms * product);
    const int64_t in_pair = INT16_MAX / (2 * product);
    int64_t most = k_max <= INT4_CODES ? INT4_CODES / k_max
                   : k_max < INT8_MAX  ? INT8_MAX / k_max : 1; /* -128 is one of 8 bits, too */

    if (in_pair >= 1 && in_pair < most)
        most = in_pair;
    return (int)(in_sum < most ? in_sum : most);
}

void omq_fold(int c, const omq_real *unit, int n_units, double s_in, const struct omq_norm *norm,
              int parts, double s_out, int zp_out, omq_real *m, omq_real *b)
{
    for (int j = 0; j < c; j++) {
        double scale = (double)unit[n_units == 1 ? 0 : j] * s_in;
        double shift = norm->beta ? (double)norm->beta[j] : 0;

        if (norm->gamma) {
            double g = (double)norm->gamma[j] / sqrt((double)norm->var[j] + norm->eps);

            scale *= g;
            shift -= g * (double)norm->mean[j];
        }
        if (parts > 0 && fabs(shift) < fabs(scale / parts) * BIAS_MAX)
            shift = scale / parts * rint(shift / (scale / parts));
        m[j] = (omq_real)(scale / s_out);
        b[j] = (omq_real)(shift / s_out + zp_out);
    }
}

struct omq_addend omq_fold_residual(double s_res, int zp_res, double s_out, int zp_out)
{
    const double r = s_res / s_out;

    return (struct omq_addend){.r = (omq_real)r, .zero = (omq_real)(zp_out - r * zp_res)};
}

void omq_fold_pool(double s_in, int count, double s_out, int zp_out, omq_real *m, omq_real *b)
{
    *m = (omq_real)(s_in / (count * s_out));
    *b = (omq_real)zp_out;
}
