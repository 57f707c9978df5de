/* SPDX-License-Identifier: MIT
 *
 * Operators of ONNX over rows and columns: pools and means, pads, and the shortcut
 * that has no weights.
 */
#include <string.h>

#include "port/onnx_build.h"

/* Whether axes (an attribute, or input k) are those of rows and columns. */
static bool over_pixels(const struct omq_onnx_builder *b, int node, int k)
{
    struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, "axes");
    bool seen[2] = {false, false};
    int n = a.n_ints;

    if (!a.present && !omq_onnx_get_ints(b, node, k, a.ints, &n))
        return false;
    for (int i = 0; i < n; i++) {
        int64_t axis = a.ints[i] < 0 ? a.ints[i] + 4 : a.ints[i];

        if (axis != 2 && axis != 3)
            return false;
        seen[axis - 2] = true;
    }
    return seen[0] && seen[1];
}

int omq_onnx_build_squeeze(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    int rc = omq_onnx_image(b, node, 0, 0, &x);

    if (rc < 0)
        return rc;
    if (omq_onnx_origin(b, x)->h != 1 || omq_onnx_origin(b, x)->w != 1 || !over_pixels(b, node, 1))
        return omq_onnx_refuse(&b->in, node, b->err, "is read of the rows and columns of one pixel "
                               "only (axes 2 and 3)");
    return omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
}

/* ---- pools ---- */

int omq_onnx_check_auto_pad(const struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, "auto_pad");

    if (a.present && !omq_span_is(a.s, "NOTSET") && !omq_span_is(a.s, "VALID"))
        return omq_onnx_refuse(&b->in, node, b->err, "pads automatically: export it with pads");
    return OMQ_OK;
}

/* Kernel, stride and pad, which comes on top of what stands before it; false if they are not
 * square, or rounding up would add to the output. */
static bool get_pool(const struct omq_onnx_builder *b, int node, const struct omq_node *in,
                     int before, struct omq_node *n)
{
    static const char *const names[] = {"kernel_shape", "strides", "pads", "dilations"};
    int64_t values[4] = {0, 1, 0, 1};

    for (int i = 0; i < 4; i++) {
        const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, names[i]);

        for (int k = 0; a.present && k < a.n_ints; k++)
            if (a.ints[k] != a.ints[0])
                return false;
        if (a.present && a.n_ints != (i == 2 ? 4 : 2))
            return false;
        if (a.present)
            values[i] = a.ints[0];
        if (values[i] < 0 || values[i] > 1 << 14)
            return false;
    }
    n->kernel = (int)values[0];
    n->stride = (int)values[1];
    n->pad = (int)values[2];
    before += n->pad;
    return values[0] > 0 && values[1] > 0 && values[3] == 1 &&
           (omq_onnx_attribute_int(&b->in, node, "ceil_mode", 0) == 0 ||
            ((in->h + 2 * before - n->kernel) % n->stride == 0 &&
             (in->w + 2 * before - n->kernel) % n->stride == 0));
}

int omq_onnx_build_pool(struct omq_onnx_builder *b, int node)
{
    const bool is_max = omq_span_is(b->in.nodes[node].op, "MaxPool");
    struct omq_node n = {.op = is_max ? OMQ_OP_MAXPOOL : OMQ_OP_AVGPOOL};
    const struct omq_onnx_fact *x;
    const struct omq_node *in;
    int rc = omq_onnx_image(b, node, 0, is_max ? 0 : OMQ_ALLOW_PAD, &x);

    if (rc < 0)
        return rc;
    in = omq_onnx_origin(b, x);
    if ((rc = omq_onnx_check_auto_pad(b, node)) < 0)
        return rc;
    if (!get_pool(b, node, in, x->pad, &n))
        return omq_onnx_refuse(&b->in, node, b->err, "has a window, strides or pads that are not "
                               "the same on all sides, or dilations, or rounds up");
    if (!is_max && n.pad && omq_onnx_attribute_int(&b->in, node, "count_include_pad", 0) == 0)
        return omq_onnx_refuse(&b->in, node, b->err, "leaves its pads out of the average");
    n.pad += x->pad;
    if (!is_max && n.pad == 0 && n.kernel == in->h && n.kernel == in->w)
        n = (struct omq_node){.op = OMQ_OP_GLOBALPOOL};
    return omq_onnx_over(b, node, x, n, false);
}

int omq_onnx_build_global(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    int rc = omq_onnx_image(b, node, 0, 0, &x);

    return rc < 0 ? rc : omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_GLOBALPOOL},
                                       false);
}

int omq_onnx_build_mean(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    struct omq_onnx_fact mean;
    int rc = omq_onnx_image(b, node, 0, 0, &x);

    if (rc < 0)
        return rc;
    if (!over_pixels(b, node, 1))
        return omq_onnx_refuse(&b->in, node, b->err, "is read over rows and columns (axes 2 and 3) "
                               "only");
    rc = omq_onnx_over(b, node, x, (struct omq_node){.op = OMQ_OP_GLOBALPOOL}, false);
    if (rc < 0 || omq_onnx_attribute_int(&b->in, node, "keepdims", 1) != 0)
        return rc;
    mean = b->facts[b->in.nodes[node].out[0]];
    return omq_onnx_over(b, node, &mean, (struct omq_node){.op = OMQ_OP_FLATTEN}, true);
}

/* ---- pads, and the shortcut that has no weights ---- */

/* x[:, :, ::2, ::2], a dimension at a time or both: a Pad of channels comes next. */
int omq_onnx_build_slice(struct omq_onnx_builder *b, int node)
{
    int64_t first[16], end[16], axes[16], steps[16], *const lists[] = {first, end, axes, steps};
    const struct omq_onnx_fact *x;
    struct omq_onnx_fact out;
    int n = 0, k, rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_STEPS, &x);

    if (rc < 0)
        return rc;
    out = *x;
    for (int i = 0; i < 4; i++) {
        if (!omq_onnx_get_ints(b, node, i + 1, lists[i], &k) || (i > 0 && k != n))
            k = 0;
        n = k;
    }
    for (k = 0; k < n; k++) {
        const int64_t axis = axes[k] < 0 ? axes[k] + 4 : axes[k];
        const int size = axis == 2 ? omq_onnx_origin(b, x)->h : omq_onnx_origin(b, x)->w;

        if (axis < 2 || axis > 3 || first[k] != 0 || end[k] < size || steps[k] < 1 ||
            steps[k] > 64 || out.steps[axis - 2])
            break;
        out.steps[axis - 2] = (int)steps[k];
    }
    if (n == 0 || k < n)
        return omq_onnx_refuse(&b->in, node, b->err, "is read as x[:, :, ::2, ::2] only, in a "
                               "shortcut of ResNets for CIFAR");
    b->facts[b->in.nodes[node].out[0]] = out;
    return OMQ_OK;
}

static int pad_amounts(const struct omq_onnx_builder *b, int node, int64_t pads[16])
{
    const struct omq_onnx_attribute a = omq_onnx_attribute_of(&b->in, node, "pads"),
                                    mode = omq_onnx_attribute_of(&b->in, node, "mode");
    double value = a.present ? (double)omq_onnx_attribute_of(&b->in, node, "value").f : 0;
    int n = a.n_ints;

    memcpy(pads, a.ints, sizeof(a.ints));
    if ((mode.present && !omq_span_is(mode.s, "constant")) ||
        (!a.present && !omq_onnx_get_ints(b, node, 1, pads, &n)) || n != 8 ||
        (omq_onnx_fact_of(b, node, 2) && !omq_onnx_get_number(b, node, 2, &value)) || value != 0 ||
        omq_onnx_fact_of(b, node, 3)) /* the dimensions, in any order */
        return omq_onnx_refuse(&b->in, node, b->err, "is read of images, with zeros, only");
    return OMQ_OK;
}

/* Of channels: a shortcut; of pixels: what the convolution that follows adds. */
int omq_onnx_build_pad(struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x;
    struct omq_onnx_fact *out = &b->facts[b->in.nodes[node].out[0]];
    int64_t p[16];
    int rc;

    if ((rc = omq_onnx_image(b, node, 0, OMQ_ALLOW_STEPS | OMQ_ALLOW_PAD, &x)) < 0 ||
        (rc = pad_amounts(b, node, p)) < 0)
        return rc;
    for (int i = 0; i < 8; i++)
        if (p[i] < 0 || p[i] > 1 << 12 || (i % 4 == 0 && p[i] != 0))
            return omq_onnx_refuse(&b->in, node, b->err, "has a pad of %lld", (long long)p[i]);
    if (p[1] + p[5] > 0 && p[1] == p[5] && p[2] + p[3] + p[6] + p[7] == 0 && x->pad == 0 &&
        x->steps[0] == x->steps[1])
        return omq_onnx_over(b, node, x, (struct omq_node){
                                 .op = OMQ_OP_SHORTCUT, .stride = x->steps[0] ? x->steps[0] : 1,
                                 .channels = omq_onnx_origin(b, x)->c + 2 * (int)p[1]}, false);
    if (p[1] != 0 || p[5] != 0 || p[3] != p[2] || p[6] != p[2] || p[7] != p[2] || x->steps[0] ||
        x->steps[1])
        return omq_onnx_refuse(&b->in, node, b->err, "is not the same on all sides");
    *out = *x;
    out->pad += (int)p[2];
    return OMQ_OK;
}
