/* SPDX-License-Identifier: MIT
 *
 * Shapes and pads that a graph computes, as PyTorch writes x.view(x.size(0), -1)
 * and F.pad(): lists or tables of a few integers, known here but for the number of
 * images.
 */
#include <string.h>

#include "port/onnx_build.h"

struct omq_onnx_fact omq_onnx_fact_of_tensor(const struct omq_onnx_tensor_in *t)
{
    struct omq_onnx_fact f = {.kind = OMQ_FACT_TENSOR, .tensor = *t};

    f.has_ints = omq_onnx_tensor_ints(t, f.ints);
    f.has_number = t->n == 1 && omq_onnx_tensor_floats(t, &f.number);
    return f;
}

bool omq_onnx_get_ints(const struct omq_onnx_builder *b, int node, int k, int64_t ints[16],
                       int *n)
{
    const struct omq_onnx_fact *f = omq_onnx_fact_of(b, node, k);

    if (!f || (f->kind != OMQ_FACT_INTS && !f->has_ints))
        return false;
    *n = f->kind == OMQ_FACT_INTS ? f->n : (int)f->tensor.n;
    memcpy(ints, f->ints, sizeof(f->ints));
    return true;
}

bool omq_onnx_get_number(const struct omq_onnx_builder *b, int node, int k, double *v)
{
    const struct omq_onnx_fact *f = omq_onnx_fact_of(b, node, k);
    int64_t ints[16];
    int n;

    if (f && f->has_number) {
        *v = (double)f->number;
        return true;
    }
    if (!omq_onnx_get_ints(b, node, k, ints, &n) || n != 1 || ints[0] == OMQ_ONNX_IMAGES)
        return false;
    *v = (double)ints[0];
    return true;
}

/* ---- the operators: what they make of input 0 goes to *out ---- */

static bool whole_shape(const struct omq_onnx_builder *b, const struct omq_onnx_fact *x,
                        struct omq_onnx_fact *out)
{
    const struct omq_node *n = omq_onnx_origin(b, x);

    if (x->kind == OMQ_FACT_INTS && x->cols == 0) {
        out->n = 1;
        out->ints[0] = x->n;
        return true;
    }
    if (x->kind == OMQ_FACT_TENSOR) {
        out->n = x->tensor.ndim;
        for (int i = 0; i < x->tensor.ndim; i++)
            out->ints[i] = (int64_t)x->tensor.dims[i];
        return true;
    }
    out->n = x->flat ? 2 : 4;
    out->ints[0] = OMQ_ONNX_IMAGES;
    out->ints[1] = x->flat ? (int64_t)n->c * n->h * n->w : n->c;
    out->ints[2] = n->h;
    out->ints[3] = n->w;
    return x->kind == OMQ_FACT_IMAGE && !x->pad && !x->steps[0] && !x->steps[1];
}

/* From start on, before end, which count from the end if below 0 (opset 15). */
static bool shape(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    int64_t start, end;

    if (!whole_shape(b, omq_onnx_fact_of(b, node, 0), out))
        return false;
    start = omq_onnx_attribute_int(&b->in, node, "start", 0);
    end = omq_onnx_attribute_int(&b->in, node, "end", out->n);
    start = start < -out->n ? 0 : start < 0 ? start + out->n : start;
    end = end < -out->n ? 0 : end < 0 ? end + out->n : end > out->n ? out->n : end;
    out->n = end > start ? (int)(end - start) : 0;
    if (out->n > 0)
        memmove(out->ints, out->ints + start, sizeof(*out->ints) * (size_t)out->n);
    return true;
}

static bool same(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    const struct omq_onnx_fact *x = omq_onnx_fact_of(b, node, 0);

    out->cols = x->kind == OMQ_FACT_INTS ? x->cols : 0;
    return omq_onnx_get_ints(b, node, 0, out->ints, &out->n);
}

/* Exporters say so of initializers that are the same. */
static bool identity(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    *out = *omq_onnx_fact_of(b, node, 0);
    return true;
}

static bool gather(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    int64_t from[16], at[16];
    int n;

    if (!omq_onnx_get_ints(b, node, 0, from, &n) || !omq_onnx_get_ints(b, node, 1, at, &out->n))
        return false;
    for (int i = 0; i < out->n; i++) {
        if (at[i] < -n || at[i] >= n)
            return false;
        out->ints[i] = from[at[i] < 0 ? at[i] + n : at[i]];
    }
    return true;
}

/* Rows of a table, forwards or backwards. */
static bool slice(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    int64_t from[16], first[16], end[16], step[16] = {1}, axis[16] = {0};
    struct omq_onnx_fact x = {0};
    int one = 1, cols, rows;

    if (!same(b, node, &x) || !omq_onnx_get_ints(b, node, 1, first, &one) || one != 1 ||
        !omq_onnx_get_ints(b, node, 2, end, &one) || one != 1 ||
        (omq_onnx_fact_of(b, node, 3) && !omq_onnx_get_ints(b, node, 3, axis, &one)) || one != 1 ||
        (omq_onnx_fact_of(b, node, 4) && !omq_onnx_get_ints(b, node, 4, step, &one)) || one != 1 ||
        axis[0] != 0 || (step[0] != 1 && step[0] != -1))
        return false;
    memcpy(from, x.ints, sizeof(from));
    cols = x.cols ? x.cols : 1;
    rows = x.n / cols;
    first[0] = first[0] < -rows ? -1 : first[0] < 0 ? first[0] + rows : first[0];
    end[0] = end[0] < -rows ? -1 : end[0] < 0 ? end[0] + rows : end[0];
    if (step[0] < 0 && first[0] >= rows)
        first[0] = rows - 1;
    if (step[0] > 0 && first[0] < 0)
        first[0] = 0;
    out->cols = x.cols;
    for (int64_t r = first[0]; r >= 0 && r < rows && (step[0] > 0 ? r < end[0] : r > end[0]);
         r += step[0])
        for (int c = 0; c < cols; c++)
            out->ints[out->n++] = from[r * cols + c];
    return true;
}

static bool concat(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    for (int k = 0; k < b->in.nodes[node].n_in; k++) {
        const struct omq_onnx_fact *x = omq_onnx_fact_of(b, node, k);
        int64_t ints[16];
        int n;

        if (!omq_onnx_get_ints(b, node, k, ints, &n) || out->n + n > OMQ_ONNX_FACT_INTS ||
            (x->kind == OMQ_FACT_INTS && x->cols))
            return false;
        memcpy(out->ints + out->n, ints, sizeof(*ints) * (size_t)n);
        out->n += n;
    }
    return true;
}

/* To [-1] or [n], or [-1, columns]. */
static bool reshape(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    int64_t to[16];
    int n;

    if (!same(b, node, out) || !omq_onnx_get_ints(b, node, 1, to, &n) || n < 1 || n > 2 ||
        (to[0] != -1 && (n == 2 || to[0] != out->n)) ||
        (n == 2 && (to[1] < 1 || to[1] > 16 || out->n % to[1])))
        return false;
    out->cols = n == 2 ? (int)to[1] : 0;
    return true;
}

static bool transpose(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    struct omq_onnx_fact x = {0};
    int rows;

    if (!same(b, node, &x) || x.cols == 0)
        return false;
    rows = x.n / x.cols;
    out->n = x.n;
    out->cols = rows;
    for (int i = 0; i < x.n; i++)
        out->ints[i % x.cols * rows + i / x.cols] = x.ints[i];
    return rows > 0;
}

static bool constant_of_shape(const struct omq_onnx_builder *b, int node,
                              struct omq_onnx_fact *out)
{
    const struct omq_onnx_attribute value = omq_onnx_attribute_of(&b->in, node, "value");
    struct omq_onnx_tensor_in t;
    int64_t n[16], v[16] = {0};
    int one;

    if (!omq_onnx_get_ints(b, node, 0, n, &one) || one != 1 || n[0] < 0 ||
        n[0] > OMQ_ONNX_FACT_INTS ||
        (value.present && (omq_onnx_tensor_parse(&t, value.t, NULL) < 0 || t.n != 1 ||
                           !omq_onnx_tensor_ints(&t, v))))
        return false;
    out->n = (int)n[0];
    for (int i = 0; i < out->n; i++)
        out->ints[i] = v[0];
    return true;
}

/* Of two lists of the same length, or one of them a number. */
static bool arithmetic(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out)
{
    const struct omq_span op = b->in.nodes[node].op;
    int64_t x[16], y[16];
    int n_x, n_y;

    if (!omq_onnx_get_ints(b, node, 0, x, &n_x) || !omq_onnx_get_ints(b, node, 1, y, &n_y) ||
        (n_x != n_y && n_x != 1 && n_y != 1))
        return false;
    out->n = n_x > n_y ? n_x : n_y;
    for (int i = 0; i < out->n; i++) {
        int64_t u = x[n_x > 1 ? i : 0], v = y[n_y > 1 ? i : 0];

        if (u == OMQ_ONNX_IMAGES || v == OMQ_ONNX_IMAGES ||
            (omq_span_is(op, "Mul")   ? __builtin_mul_overflow(u, v, &out->ints[i])
             : omq_span_is(op, "Sub") ? __builtin_sub_overflow(u, v, &out->ints[i])
                                      : __builtin_add_overflow(u, v, &out->ints[i])))
            return false;
    }
    return true;
}

static const struct {
    const char *op;
    bool (*build)(const struct omq_onnx_builder *b, int node, struct omq_onnx_fact *out);
} rows[] = {
    {"Shape", shape},       {"Identity", identity},   {"Gather", gather},
    {"Slice", slice},       {"Concat", concat},       {"Unsqueeze", same},
    {"Squeeze", same},      {"Cast", same},           {"Reshape", reshape},
    {"Add", arithmetic},    {"Sub", arithmetic},      {"Mul", arithmetic},
    {"Transpose", transpose}, {"ConstantOfShape", constant_of_shape},
};

/* Whether all that a node reads, or all but an image, is integers or constant. */
static bool computes_ints(const struct omq_onnx_builder *b, int node)
{
    const struct omq_onnx_fact *x = omq_onnx_fact_of(b, node, 0);

    if (!x || x->kind == OMQ_FACT_NONE)
        return false;
    if (omq_span_is(b->in.nodes[node].op, "Shape"))
        return true;
    for (int k = 0; k < b->in.nodes[node].n_in; k++) {
        x = omq_onnx_fact_of(b, node, k);
        if (x && x->kind == OMQ_FACT_IMAGE)
            return false;
    }
    return true;
}

bool omq_onnx_build_ints(struct omq_onnx_builder *b, int node, int *rc)
{
    struct omq_onnx_fact out = {.kind = OMQ_FACT_INTS};

    if (!computes_ints(b, node))
        return false;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (omq_span_is(b->in.nodes[node].op, rows[i].op)) {
            *rc = rows[i].build(b, node, &out)
                      ? OMQ_OK
                      : omq_onnx_refuse(&b->in, node, b->err, "computes a shape, or changes "
                                        "constants, in a way that is not known: export with "
                                        "constants folded");
            b->facts[b->in.nodes[node].out[0]] = out;
            return true;
        }
    return false;
}
