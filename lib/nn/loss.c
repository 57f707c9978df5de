/* SPDX-License-Identifier: MIT */
#include "nn/nn_internal.h"

/* Softmax of one row, into p; returns the log of the normalizer. */
static double softmax(int c, const omq_real *logits, double *p)
{
    double top = (double)logits[0], sum = 0;

    for (int j = 1; j < c; j++)
        top = fmax(top, (double)logits[j]);
    for (int j = 0; j < c; j++)
        sum += p[j] = exp((double)logits[j] - top);
    for (int j = 0; j < c; j++)
        p[j] /= sum;
    return top + log(sum);
}

double omq_loss(int n, int c, const omq_real *logits, const struct omq_targets *t, double scale,
                omq_real *dlogits, omq_real *probs, double *row)
{
    double loss = 0, d = t->teacher ? t->distill : 0;

    for (int i = 0; i < n; i++) {
        const omq_real *z = logits + (size_t)i * c;
        double log_sum = softmax(c, z, row);
        int own = t->labels[i], other = t->labels[n - 1 - i];

        for (int j = 0; j < c; j++) {
            size_t at = (size_t)i * c + j;
            double share = (own == j ? t->own : 0) + (other == j ? 1 - t->own : 0);
            double hard = share * (1 - t->smoothing) + t->smoothing / c;
            double want = (1 - d) * hard + (t->teacher ? d * (double)t->teacher[at] : 0);

            loss += want * (log_sum - (double)z[j]);
            dlogits[at] = (omq_real)(scale * (row[j] - want) / n);
            if (probs)
                probs[at] = (omq_real)row[j];
        }
    }
    return loss / n;
}
