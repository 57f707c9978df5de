/* SPDX-License-Identifier: MIT
 *
 * What follows a convolution in one unit: batch norm (norm.c), residual add, ReLU
 * and the output's quantizer, as struct omq_epilogue has it.
 * Training uses the same fold as the engine, with the batch's statistics in
 * place of the running ones. Backward recomputes v from acc.
 */
#include "nn/nn_internal.h"

#include <string.h>

static int shape_add(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *a = &g->nodes[node->in[0]], *b = &g->nodes[node->in[1]];

    if (a->h != b->h || a->w != b->w || a->c != b->c)
        return omq_fail(err, OMQ_ECONFIG, "add '%s' cannot join %d x %d x %d and %d x %d x %d",
                        node->name, a->h, a->w, a->c, b->h, b->w, b->c);
    return omq_shape_same(g, node, err);
}

static int shape_relu(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    if (node->max != 0 && !(node->max >= 1e-6 && node->max <= 1e6))
        return omq_fail(err, OMQ_ECONFIG, "relu '%s' ends at %g; the range is 1e-6 to 1e6, or 0 "
                        "(no end)", node->name, node->max);
    return omq_shape_same(g, node, err);
}

const struct omq_op_row omq_op_batchnorm = {"batchnorm", 1, omq_shape_same};
const struct omq_op_row omq_op_relu = {"relu", 1, shape_relu};
const struct omq_op_row omq_op_add = {"add", 2, shape_add};

static const struct omq_layer_params *params_of(const struct omq_exec *x, const struct omq_unit *u)
{
    return u->layer < 0 ? NULL : omq_net_layer(x->net, x->precision, u->layer);
}

static void fold(struct omq_exec *x, int ui, double s_out, int zp_out)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_layer_params *lp = params_of(x, u);
    const struct omq_tensor_buf *in = &x->tensors[u->in];
    const struct omq_tensor_buf *res = u->res < 0 ? NULL : &x->tensors[u->res];
    struct omq_unit_buf *b = &x->units[ui];
    struct omq_norm norm;

    if (!lp) {
        omq_fold_pool((double)omq_tensor_step(in), u->win.kh * u->win.kw, s_out, zp_out, &b->m[0],
                      &b->b[0]);
        for (int c = 1; c < u->oc; c++) {
            b->m[c] = b->m[0];
            b->b[c] = b->b[0];
        }
        return;
    }
    norm = omq_layer_norm(lp);
    if (x->mode == OMQ_MODE_TRAIN && omq_has_norm(x, u)) {
        norm.mean = b->real_mean;
        norm.var = b->real_var;
    }
    omq_fold(u->oc, x->layers[u->layer].unit, x->layers[u->layer].n_units,
             (double)omq_tensor_step(in), &norm,
             in->is_real || x->layers[u->layer].is_float
                 ? 0
                 : omq_layer_bias_parts(x->net, x->precision, u->layer, &in->act),
             s_out, res ? 0 : zp_out, b->m, b->b);
    if (res)
        b->add = omq_fold_residual((double)omq_tensor_step(res),
                                   res->is_real ? 0 : res->act.zero_point, s_out, zp_out);
}

/* v of pixels [from, from + n) of one image, a sum without the rounding within. */
static void values(const struct omq_exec *x, int ui, int image, int from, int n, omq_real *res_buf,
                   omq_real *v)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_unit_buf *b = &x->units[ui];
    size_t at = ((size_t)image * u->win.oh * u->win.ow + from) * u->oc;
    const omq_real *res;

    if (u->res < 0) {
        x->kern->affine(n, u->oc, b->acc + at, b->m, b->b, v);
        return;
    }
    res = x->tensors[u->res].is_real ? x->tensors[u->res].x + at : res_buf;
    if (res == res_buf) /* raw codes: the zero point is in add.zero */
        x->kern->codes_to_real((size_t)n * u->oc, x->tensors[u->res].q + at, 0, res_buf);
    x->kern->affine_res(n, u->oc, b->acc + at, b->m, res, &b->add, b->b, v);
}

/* What the convolution of a unit with a residual gives to the sum, in one image. */
static void summands(const struct omq_exec *x, int ui, int image, omq_real *v)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_unit_buf *b = &x->units[ui];
    const int pixels = u->win.oh * u->win.ow;

    x->kern->affine(pixels, u->oc, b->acc + (size_t)image * (size_t)pixels * (size_t)u->oc, b->m,
                    b->b, v);
}

/* What the fused kernels need; false where they do not serve: they make codes, and take a
 * residual of codes. A precision has all its tensors in codes, or real. */
static bool fused(const struct omq_exec *x, int ui, struct omq_epilogue *e, const uint8_t **res)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const struct omq_unit_buf *b = &x->units[ui];

    if (out->is_real)
        return false;
    *e = (struct omq_epilogue){.m = b->m, .b = b->b, .add = b->add,
                               .mu = omq_has_norm(x, u) ? b->mu : NULL,
                               .q_max = out->act.q_max, .zero_point = out->act.zero_point};
    *res = u->res < 0 ? NULL : x->tensors[u->res].q;
    return true;
}

/* A ReLU's end, where values are real: v = min(v, max). */
static void end_relu(const struct omq_unit *u, size_t n, omq_real *v)
{
    const omq_real max = (omq_real)u->max;

    for (size_t i = 0; u->max > 0 && i < n; i++)
        v[i] = v[i] > max ? max : v[i];
}

/* Nothing passes from where the end is reached. */
static void end_relu_backward(const struct omq_unit *u, size_t n, const omq_real *v, omq_real *g)
{
    const omq_real max = (omq_real)u->max;

    for (size_t i = 0; u->max > 0 && i < n; i++)
        g[i] = v[i] >= max ? 0 : g[i];
}

static int block_pixels(const struct omq_unit *u)
{
    return OMQ_BLOCK > u->oc ? OMQ_BLOCK / u->oc : 1;
}

/* The first value of the output's step, from the first images' real outputs, and where a
 * residual is added from what the convolution gives, too; the gradient's buffer is free
 * to hold them. */
static void init_step(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_tensor_buf *out = &x->tensors[u->out];
    int pixels = u->win.oh * u->win.ow, images = x->n < 16 ? x->n : 16;
    struct omq_thread_buf *t = &x->threads[0];
    int pb = block_pixels(u);
    const struct omq_act part = omq_act_of(8, true);
    omq_real least = 0;

    fold(x, ui, 1, 0);
    if (u->res >= 0) {
        for (int i = 0; i < images; i++)
            summands(x, ui, i, out->g + (size_t)i * out->n_image);
        least = omq_act_init_step(&part, out->n_image * (size_t)images, out->g);
    }
    for (int i = 0; i < images; i++)
        for (int p = 0; p < pixels; p += pb)
            values(x, ui, i, p, pixels - p < pb ? pixels - p : pb, t->res,
                   out->g + ((size_t)i * pixels + p) * u->oc);
    end_relu(u, out->n_image * (size_t)images, out->g);
    omq_site_init_step(x, x->net->plan.tensors[u->out].site, least, out->n_image * images,
                       out->g);
}

void omq_epilogue_fold(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_tensor_buf *out = &x->tensors[u->out];

    if (omq_takes_stats(x, u))
        omq_norm_stats(x, ui);
    if (out->is_real) {
        fold(x, ui, 1, 0);
        return;
    }
    if (omq_needs_step(x, u->out))
        init_step(x, ui);
    fold(x, ui, (double)out->step, out->act.zero_point);
}

void omq_epilogue_forward(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_tensor_buf *out = &x->tensors[u->out];
    struct omq_thread_buf *t = &x->threads[thread];
    int pixels = u->win.oh * u->win.ow, pb = block_pixels(u);
    size_t first = (size_t)image * out->n_image;
    struct omq_epilogue e;
    const uint8_t *res;
    double start = omq_now();

    if (fused(x, ui, &e, &res)) {
        x->kern->epilogue(pixels, u->oc, &e, x->units[ui].acc + first, res ? res + first : NULL,
                          out->q + first);
        t->t.quant += omq_now() - start;
        return;
    }
    for (int p = 0; p < pixels; p += pb) {
        int n = pixels - p < pb ? pixels - p : pb;
        size_t at = ((size_t)image * pixels + p) * u->oc, count = (size_t)n * u->oc;

        values(x, ui, image, p, n, t->res, out->x + at);
        if (u->relu)
            x->kern->relu(count, out->x + at, out->x + at);
        end_relu(u, count, out->x + at);
    }
    t->t.quant += omq_now() - start;
}

/* Of real values, pass by pass. */
static void backward_passes(struct omq_exec *x, int ui, int image, struct omq_thread_buf *t,
                            const struct omq_epilogue_sums *sum)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const struct omq_unit_buf *b = &x->units[ui];
    int pixels = u->win.oh * u->win.ow, pb = block_pixels(u), oc = u->oc;
    size_t first = (size_t)image * out->n_image;

    for (int p = 0; u->relu && p < pixels; p += pb) {
        int n = pixels - p < pb ? pixels - p : pb;
        omq_real *g = out->g + first + (size_t)p * oc;

        values(x, ui, image, p, n, t->res, t->v);
        x->kern->relu_backward((size_t)n * oc, t->v, g);
        end_relu_backward(u, (size_t)n * (size_t)oc, t->v, g);
    }
    if (omq_has_norm(x, u))
        x->kern->norm_sums(pixels, oc, out->g + first, b->acc + first, b->mu, sum->g, sum->gx);
    else
        x->kern->channel_sum(pixels, oc, out->g + first, sum->g);
}

void omq_epilogue_backward(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    struct omq_unit_buf *b = &x->units[ui];
    struct omq_thread_buf *t = &x->threads[thread];
    size_t sums = (size_t)image * u->oc, first = (size_t)image * out->n_image;
    size_t bytes = sizeof(omq_real) * (size_t)u->oc;
    struct omq_epilogue_sums sum = {b->ds_i + sums, b->g_i + sums, b->gx_i + sums};
    struct omq_epilogue e;
    const uint8_t *res;
    double start = omq_now();

    memset(sum.ds, 0, bytes);
    memset(sum.g, 0, bytes);
    memset(sum.gx, 0, bytes);
    if (fused(x, ui, &e, &res))
        x->kern->epilogue_backward(u->win.oh * u->win.ow, u->oc, &e, b->acc + first,
                                   res ? res + first : NULL, out->g + first, &sum);
    else
        backward_passes(x, ui, image, t, &sum);
    if (u->res >= 0)
        omq_add_grad(x, u->res, image, b->first_res, out->n_image, out->g + first);
    t->t.quant += omq_now() - start;
}

void omq_epilogue_reduce(struct omq_exec *x, int ui)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_layer_params *lp = params_of(x, u);
    const struct omq_unit_buf *b = &x->units[ui];
    double ds = 0;

    for (int c = 0; c < u->oc; c++) {
        ds += omq_sum_images(x, b->ds_i, u->oc, c);
        if (lp && lp->bias)
            lp->bias->grad[c] += (omq_real)omq_sum_images(x, b->g_i, u->oc, c);
    }
    omq_norm_reduce(x, ui);
    if (!x->tensors[u->out].is_real)
        omq_site_add_grad(x, u->out, ds);
}

void omq_epilogue_norm(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    struct omq_unit_buf *b = &x->units[ui];
    size_t at = (size_t)image * x->tensors[u->out].n_image;
    double start = omq_now();
    struct omq_epilogue e;
    const uint8_t *res = NULL;
    const bool ends = fused(x, ui, &e, &res) && res;

    if (!omq_has_norm(x, u) && !ends)
        return;
    x->kern->norm_backward(u->win.oh * u->win.ow, u->oc, x->tensors[u->out].g + at, b->acc + at,
                           b->mu, b->ka, b->kk, b->kd, ends ? &e : NULL);
    x->threads[thread].t.norm += omq_now() - start;
}

/* ---- to look at ---- */

const omq_real *omq_exec_sums(const struct omq_exec *x, int unit, double *scale)
{
    const struct omq_unit *u = &x->net->plan.units[unit];

    for (int c = 0; c < u->oc; c++)
        scale[c] = omq_acc_unit(x, u, c);
    return x->units[unit].acc;
}

/* Of codes that another step makes of the same input. */
static void requantized(const struct omq_tensor_buf *in, int image, omq_real *to)
{
    const uint8_t *q = in->q + (size_t)image * in->n_image;

    for (size_t i = 0; i < in->n_image; i++)
        to[i] = in->step * (omq_real)(q[i] - in->act.zero_point);
}

void omq_exec_values(struct omq_exec *x, int unit, int image, omq_real *to)
{
    const struct omq_unit *u = &x->net->plan.units[unit];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const omq_real zero = (omq_real)out->act.zero_point;
    const omq_real least = u->relu ? 0 : -INFINITY, *v = x->threads[0].v;
    int pixels = u->win.oh * u->win.ow, pb = block_pixels(u);

    if (u->kind == OMQ_UNIT_REQUANT) {
        requantized(&x->tensors[u->in], image, to);
        return;
    }
    for (int p = 0; p < pixels; p += pb) {
        int n = pixels - p < pb ? pixels - p : pb;

        values(x, unit, image, p, n, x->threads[0].res, x->threads[0].v);
        for (int i = 0; i < n * u->oc; i++)
            to[i] = fmax((v[i] - zero) * out->step, least);
        end_relu(u, (size_t)n * (size_t)u->oc, to);
        to += n * u->oc;
    }
}
