/* SPDX-License-Identifier: MIT
 *
 * Requantization: codes of the residual stream to the codes of the layer that
 * reads them, by the engine's kernel.
 */
#include "nn/nn_internal.h"

#include <string.h>

struct job {
    struct omq_exec *x;
    int ui;
};

/* All of a thread at once: some kernels make a table of what each code becomes. */
static void forward_images(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    struct omq_exec *x = j->x;
    const struct omq_unit *u = &x->net->plan.units[j->ui];
    struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    size_t at = (size_t)begin * out->n_image, n = (size_t)(end - begin) * out->n_image;
    double start = omq_now();

    if (out->is_real)
        memcpy(out->x + at, in->x + at, sizeof(omq_real) * n);
    else
        x->kern->rescale_u8(1, n, in->q + at, 0, &x->units[j->ui].rescale, out->q + at, 0);
    x->threads[thread].t.quant += omq_now() - start;
}

static void forward(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    struct job j = {x, ui};

    if (!out->is_real && omq_needs_step(x, u->out)) {
        size_t n = out->n_image * (size_t)(x->n < 16 ? x->n : 16);

        x->kern->codes_to_real(n, in->q, in->act.zero_point, out->g);
        for (size_t i = 0; i < n; i++)
            out->g[i] *= in->step;
        omq_site_init_step(x, x->net->plan.tensors[u->out].site, 0, n, out->g);
    }
    if (!out->is_real)
        x->units[ui].rescale = (struct omq_rescale){
            .zp_in = in->act.zero_point, .zp_out = out->act.zero_point, .q_max = out->act.q_max,
            .ratio = in->step / out->step,
        };
    omq_pool_run(x->pool, forward_images, &j, x->n);
}

static void backward_image(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_unit_buf *b = &x->units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    const size_t at = (size_t)image * out->n_image;
    omq_real *ds = b->ds_i + (size_t)image * u->oc;
    double start = omq_now();

    if (out->is_real) {
        omq_add_grad(x, u->in, image, b->first_in, out->n_image, out->g + at);
    } else {
        memset(ds, 0, sizeof(*ds) * (size_t)u->oc);
        x->kern->rescale_backward(u->win.oh * u->win.ow, u->oc, in->q + at, &b->rescale,
                                  out->g + at, b->first_in, in->g + at, ds);
    }
    x->threads[thread].t.quant += omq_now() - start;
}

static void backward(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_unit_buf *b = &x->units[ui];
    double ds = 0;

    b->first_in = omq_claim_grad(x, u->in);
    omq_exec_images(x, ui, backward_image);
    if (x->tensors[u->out].is_real)
        return;
    for (size_t i = 0; i < (size_t)x->n * (size_t)u->oc; i++)
        ds += (double)b->ds_i[i];
    omq_site_add_grad(x, u->out, ds);
}

const struct omq_unit_row omq_unit_requant = {forward, backward};
