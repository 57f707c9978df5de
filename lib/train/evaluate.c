/* SPDX-License-Identifier: MIT */
#include "train/train_internal.h"

#include "eval/eval.h"

enum { BATCH = 64 };

int omq_train_evaluate(struct omq_train *t, int precision, int *skipped, struct omq_err *err)
{
    struct omq_eval_counts n;
    int rc = omq_eval_net(&t->net, precision, t->held_out, t->pool, BATCH, &n, err);

    if (rc < 0)
        return rc;
    t->info.results[precision] = (struct omq_result){
        .known = true, .top1 = 100.0 * n.top1 / n.samples, .loss = n.loss, .samples = n.samples,
    };
    *skipped = n.skipped;
    return OMQ_OK;
}
