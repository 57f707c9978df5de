/* SPDX-License-Identifier: MIT
 *
 * Requantization: codes of the residual stream to the codes of the layer that
 * reads them, by a 256-entry table. Backward counts gradients by code, since
 * all that depends on the value depends on the code alone.
 */
#include "nn/nn_internal.h"

#include <string.h>

struct job {
    struct omq_exec *x;
    int ui;
};

static void forward_images(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    struct omq_exec *x = j->x;
    const struct omq_unit *u = &x->net->plan.units[j->ui];
    const uint8_t *table = x->units[j->ui].table;
    struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    double start = omq_now();

    if (out->is_real) {
        memcpy(out->x + (size_t)begin * out->n_image, in->x + (size_t)begin * out->n_image,
               sizeof(omq_real) * out->n_image * (size_t)(end - begin));
        return;
    }
    for (size_t i = (size_t)begin * out->n_image; i < (size_t)end * out->n_image; i++)
        out->q[i] = table[in->q[i]];
    x->threads[thread].t.quant += omq_now() - start;
}

static void forward(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    struct omq_unit_buf *b = &x->units[ui];
    struct job j = {x, ui};

    if (!out->is_real && x->mode == OMQ_MODE_TRAIN && !(out->step > 0)) {
        size_t n = out->n_image * (size_t)(x->n < 16 ? x->n : 16);

        x->kern->codes_to_real(n, in->q, in->act.zero_point, out->g);
        for (size_t i = 0; i < n; i++)
            out->g[i] *= in->step;
        omq_site_init_step(x, x->net->plan.tensors[u->out].site, n, out->g);
    }
    if (!out->is_real)
        omq_requant_table(in->act, in->step, out->act, out->step, b->table, b->requant_v);
    omq_pool_run(x->pool, forward_images, &j, x->n);
}

static void backward_images(void *arg, int thread, int begin, int end)
{
    const struct job *j = arg;
    struct omq_exec *x = j->x;
    const struct omq_unit *u = &x->net->plan.units[j->ui];
    struct omq_unit_buf *b = &x->units[j->ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    double start = omq_now();
    omq_real pass[256];

    for (int q = 0; q < 256; q++)
        pass[q] = b->requant_v[q] >= 0 && b->requant_v[q] <= (omq_real)out->act.q_max;
    for (int i = begin; i < end; i++) {
        const omq_real *g = out->g + (size_t)i * out->n_image;
        const uint8_t *q = in->q + (size_t)i * in->n_image;
        omq_real *dst = omq_image_grad(x, u->in, i, b->first_in);
        omq_real *hist = b->hist_i + 256 * (size_t)i;

        if (out->is_real) {
            x->kern->add(out->n_image, g, dst);
            continue;
        }
        memset(hist, 0, 256 * sizeof(*hist));
        for (size_t e = 0; e < out->n_image; e++) {
            hist[q[e]] += g[e];
            dst[e] += g[e] * pass[q[e]];
        }
    }
    x->threads[thread].t.quant += omq_now() - start;
}

static void backward(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    struct omq_unit_buf *b = &x->units[ui];
    struct job j = {x, ui};
    double ds = 0;

    b->first_in = omq_claim_grad(x, u->in);
    omq_pool_run(x->pool, backward_images, &j, x->n);
    if (out->is_real)
        return;
    for (int q = 0; q < 256; q++) {
        double v = (double)b->requant_v[q], zp = out->act.zero_point, sum = 0;
        double d = v >= 0 && v <= out->act.q_max ? b->table[q] - v : b->table[q] - zp;

        for (int i = 0; i < x->n; i++)
            sum += (double)b->hist_i[256 * (size_t)i + q];
        ds += sum * d;
    }
    omq_site_add_grad(x, u->out, ds);
}

const struct omq_unit_row omq_unit_requant = {forward, backward};
