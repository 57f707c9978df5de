/* SPDX-License-Identifier: MIT */
#include "eval/eval.h"

static int argmax(int n, const float *x)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* Whether class i comes before the label. */
static bool is_ahead(const float *x, int i, int label)
{
    if (isnan(x[i]) || isnan(x[label]))
        return true;
    return x[i] > x[label] || (x[i] == x[label] && i < label);
}

/* -log softmax(x)[label]. */
static double cross_entropy(int n, const float *x, int label)
{
    double top = (double)x[argmax(n, x)], sum = 0;

    for (int i = 0; i < n; i++)
        sum += exp((double)x[i] - top);
    return log(sum) + top - (double)x[label];
}

struct omq_answer omq_answer_of(int n_classes, const float *logits, int label)
{
    struct omq_answer a = {.loss = cross_entropy(n_classes, logits, label)};

    for (int i = 0; i < n_classes; i++)
        a.rank += i != label && is_ahead(logits, i, label);
    a.predicted = argmax(n_classes, logits);
    if (a.rank > 0 && a.predicted == label) /* among NaN, none of which is right */
        a.predicted = label == 0;
    return a;
}
