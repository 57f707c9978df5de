/* SPDX-License-Identifier: MIT
 *
 * A model file without master weights and training state: what omq-run, omq-eval
 * and omq-switch need.
 */
#include "port/port.h"

#include <stdlib.h>

static int write_packed(const struct omq_net *net, const struct omq_model_info *info, FILE *f,
                        struct omq_err *err)
{
    struct omq_ckpt_writer *w;
    char *meta = NULL;
    int rc = omq_ckpt_writer_open(&w, err);

    if (rc < 0)
        return rc;
    if ((rc = omq_model_put(w, net, info, &meta, err)) == OMQ_OK)
        rc = omq_ckpt_write_stream(w, f, "the packed model", err);
    omq_ckpt_writer_close(w);
    free(meta);
    return rc;
}

int omq_export_omq(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err)
{
    const struct omq_export_numbers *n = job->choices[0];
    int *choices = calloc((size_t)job->n, sizeof(*choices));
    struct omq_model_info info;
    struct omq_net net;
    int rc;

    if (!choices)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a packed model");
    for (int i = 0; i < job->n; i++)
        choices[i] = job->choices[i]->number;
    rc = omq_model_pack(&net, &info, n->net, n->info, choices, job->n, err);
    free(choices);
    if (rc < 0)
        return rc;
    rc = write_packed(&net, &info, out[0], err);
    omq_net_release(&net);
    omq_model_info_release(&info);
    return rc;
}
