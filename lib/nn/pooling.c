/* SPDX-License-Identifier: MIT
 *
 * Pooling. The maximum is taken of codes, which keep the order of values; of
 * equal ones the first takes the gradient. An average is the sum of codes,
 * with its own quantizer as the epilogue.
 */
#include "nn/nn_internal.h"

static int shape_pool(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    const struct omq_node *in = &g->nodes[node->in[0]];

    if (node->kernel < 1 || node->kernel > 1024 || node->stride < 1 || node->stride > 1024 ||
        node->pad < 0 || node->pad > node->kernel / 2)
        return omq_fail(err, OMQ_ECONFIG, "pooling '%s' has an attribute out of range", node->name);
    if (in->h + 2 * node->pad < node->kernel || in->w + 2 * node->pad < node->kernel)
        return omq_fail(err, OMQ_ECONFIG,
                        "pooling '%s': a window of %d does not fit an input of %d x %d",
                        node->name, node->kernel, in->h, in->w);
    node->h = (in->h + 2 * node->pad - node->kernel) / node->stride + 1;
    node->w = (in->w + 2 * node->pad - node->kernel) / node->stride + 1;
    node->c = in->c;
    return OMQ_OK;
}

static int shape_global(const struct omq_graph *g, struct omq_node *node, struct omq_err *err)
{
    (void)err;
    node->h = node->w = 1;
    node->c = g->nodes[node->in[0]].c;
    return OMQ_OK;
}

const struct omq_op_row omq_op_maxpool = {"maxpool", 1, shape_pool};
const struct omq_op_row omq_op_avgpool = {"avgpool", 1, shape_pool};
const struct omq_op_row omq_op_globalpool = {"globalpool", 1, shape_global};

/* The part of output (oy, ox)'s window that lies inside the image. */
struct span {
    int y0, y1, x0, x1;
};

static struct span inside(const struct omq_window *w, int oy, int ox)
{
    int y = oy * w->sh - w->ph, x = ox * w->sw - w->pw;

    return (struct span){y < 0 ? 0 : y, y + w->kh > w->h ? w->h : y + w->kh,
                         x < 0 ? 0 : x, x + w->kw > w->w ? w->w : x + w->kw};
}

/* Runs body for every pixel index `at` of the input under output pixel `o`. */
#define FOR_WINDOW(win, o, at, body)                                       \
    do {                                                                   \
        struct span s_ = inside(win, (o) / (win)->ow, (o) % (win)->ow);    \
                                                                           \
        for (int y_ = s_.y0; y_ < s_.y1; y_++)                             \
            for (int x_ = s_.x0; x_ < s_.x1; x_++) {                       \
                size_t at = ((size_t)y_ * (win)->w + x_) * (win)->c;       \
                body                                                       \
            }                                                              \
    } while (0)

static void max_image(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    const ptrdiff_t row = (ptrdiff_t)u->win.w * u->win.c, out_row = (ptrdiff_t)u->win.ow * u->win.c;
    const size_t from = (size_t)image * in->n_image, to = (size_t)image * out->n_image;

    (void)thread;
    if (out->is_real)
        x->kern->maxpool(&u->win, in->x + from, row, out->x + to, out_row);
    else
        x->kern->maxpool_u8(&u->win, in->q + from, row, out->q + to, out_row);
}

static void max_forward(struct omq_exec *x, int ui) { omq_exec_images(x, ui, max_image); }

static void max_image_backward(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in], *out = &x->tensors[u->out];
    const size_t from = (size_t)image * in->n_image, to = (size_t)image * out->n_image;
    omq_real *g = omq_image_grad(x, u->in, image, x->units[ui].first_in);

    (void)thread;
    if (out->is_real)
        x->kern->unpool(&u->win, in->x + from, out->x + to, out->g + to, g);
    else
        x->kern->unpool_u8(&u->win, in->q + from, out->q + to, out->g + to, g);
}

static void max_backward(struct omq_exec *x, int ui)
{
    x->units[ui].first_in = omq_claim_grad(x, x->net->plan.units[ui].in);
    omq_exec_images(x, ui, max_image_backward);
}

enum { SUM_CHANNELS = 64 };

/* Sums of n channels from c on under output o, in double: those of codes are
 * rounded once, as the engine's integers are. */
static void sum_window(const struct omq_tensor_buf *in, const struct omq_window *w, size_t image,
                       int o, int c, int n, omq_real *acc)
{
    double sum[SUM_CHANNELS] = {0};

    FOR_WINDOW(w, o, at, {
        size_t from = image + at + (size_t)c;

        for (int k = 0; k < n; k++)
            sum[k] += in->is_real ? (double)in->x[from + (size_t)k]
                                  : (double)(in->q[from + (size_t)k] - in->act.zero_point);
    });
    for (int k = 0; k < n; k++)
        acc[k] = (omq_real)sum[k];
}

static void sum_image(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *in = &x->tensors[u->in];
    omq_real *acc = x->units[ui].acc + (size_t)image * x->tensors[u->out].n_image;

    (void)thread;
    for (int o = 0; o < u->win.oh * u->win.ow; o++, acc += u->oc)
        for (int c = 0; c < u->oc; c += SUM_CHANNELS)
            sum_window(in, &u->win, (size_t)image * in->n_image, o, c,
                       u->oc - c < SUM_CHANNELS ? u->oc - c : SUM_CHANNELS, acc + c);
}

static void avg_forward(struct omq_exec *x, int ui)
{
    omq_exec_images(x, ui, sum_image);
    omq_epilogue_fold(x, ui);
    omq_exec_images(x, ui, omq_epilogue_forward);
}

static void avg_image_backward(struct omq_exec *x, int ui, int image, int thread)
{
    const struct omq_unit *u = &x->net->plan.units[ui];
    const struct omq_tensor_buf *out = &x->tensors[u->out];
    const omq_real *g = out->g + (size_t)image * out->n_image;
    omq_real *dst = omq_image_grad(x, u->in, image, x->units[ui].first_in);
    omq_real share = 1 / (omq_real)(u->win.kh * u->win.kw);

    omq_epilogue_backward(x, ui, image, thread);
    for (int o = 0; o < u->win.oh * u->win.ow; o++, g += u->oc)
        FOR_WINDOW(&u->win, o, at, {
            for (int c = 0; c < u->oc; c++)
                dst[at + c] += share * g[c];
        });
}

static void avg_backward(struct omq_exec *x, int ui)
{
    x->units[ui].first_in = omq_claim_grad(x, x->net->plan.units[ui].in);
    omq_exec_images(x, ui, avg_image_backward);
    omq_epilogue_reduce(x, ui);
}

const struct omq_unit_row omq_unit_maxpool = {max_forward, max_backward};
const struct omq_unit_row omq_unit_avgpool = {avg_forward, avg_backward};
