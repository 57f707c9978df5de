/* SPDX-License-Identifier: MIT
 *
 * ncnn: a .param of layers, a line each, and a .bin of their weights.
 *
 * Its integers are signed bytes without a zero point, made of floats before each
 * convolution: round(x / step), a half away from 0. Codes of up to 7 bits fit,
 * and so do those of the image, which never reach -128. From one integer
 * convolution to the next, blobs are codes. All others are floats: clipped to their
 * quantizer's range where integer convolutions read them, and rounded to its levels
 * by layers of their own where others do, so that the residual stream has its 8
 * bits. A first or last layer that reads such 8 bits is in floating point; any other
 * one is refused.
 *
 * From ncnn's docs/developer-guide and src/modelbin.cpp, version of July 2026.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "port/port.h"

enum { NONE = -1, LOGITS = -2, DATA = 0 }; /* blobs; others are numbers from 1 */

struct tensor {
    int readers, taken;
    int blob;     /* the first of as many as there are readers */
    bool on_grid; /* its values are rounded to its levels */
    bool is_int8; /* it has one reader, a convolution that takes codes */
};

struct writer {
    const struct omq_export_numbers *n;
    FILE *param, *bin; /* param: the layers, without the top of the file */
    int n_layers, n_blobs;
    struct tensor *tensors;
};

/* ---- .bin ---- */

static void put_u32(FILE *f, uint32_t v)
{
    uint8_t bytes[4];

    omq_put_le32(bytes, v);
    fwrite(bytes, 1, sizeof(bytes), f);
}

static void put_float(FILE *f, double v)
{
    const float x = (float)v;
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    put_u32(f, bits);
}

/* [out][in][kh][kw], a filter times -1 where its scale is negative. As integers
 * filled up to a multiple of 4 bytes, or as floats. */
static void put_weights(FILE *f, const struct omq_layer *l, const struct omq_export_unit *u,
                        bool is_int8, double in_step)
{
    const size_t n = omq_layer_size(l);

    put_u32(f, is_int8 ? 0x000d4b38 : 0);
    for (size_t i = 0; i < n; i++) {
        const int k = u->k[omq_export_weight_at(l, i)];
        const omq_real scale = u->scale[i / omq_layer_filter(l)];

        if (is_int8)
            putc((uint8_t)(scale < 0 ? -k : k), f);
        else
            put_float(f, k * (double)scale / in_step);
    }
    for (size_t i = n; is_int8 && i % 4; i++)
        putc(0, f);
}

/* Biases; for integers, the reciprocals of the real values of one code. Their
 * product with the input's is that of 1 / scale; 0 stands for a scale of 0.
 * out_step is 0 where the result is not one of codes. */
static void put_scales(FILE *f, int out, const struct omq_export_unit *u, bool is_int8,
                       double in_step, double out_step)
{
    for (int o = 0; o < out; o++)
        put_float(f, (double)u->bias[o]);
    for (int o = 0; is_int8 && o < out; o++) {
        const double scale = u->scale[o] < 0 ? -(double)u->scale[o] : (double)u->scale[o];

        put_float(f, scale > 0 ? in_step / scale : 0);
    }
    if (is_int8)
        put_float(f, 1 / in_step);
    if (is_int8 && out_step > 0)
        put_float(f, 1 / out_step);
}

/* ---- .param ---- */

static void put_blob(const struct writer *w, int blob)
{
    if (blob == DATA || blob == LOGITS)
        fprintf(w->param, " %s", blob == DATA ? "data" : "logits");
    else
        fprintf(w->param, " %d", blob);
}

/* The beginning of a line; names are words there. */
static void start_layer(struct writer *w, const char *type, const char *name, const char *suffix,
                        int n_in, int n_out)
{
    fprintf(w->param, "%-20s ", type);
    for (const char *p = name; *p; p++)
        putc(*p > ' ' && *p < 127 ? *p : '_', w->param);
    fprintf(w->param, "%s %d %d", suffix, n_in, n_out);
    w->n_layers++;
}

/* A layer from one blob or two to a new one, which is returned: `out` if that is
 * not NONE. The parameters end the line. */
__attribute__((format(printf, 8, 9)))
static int put_layer(struct writer *w, const char *type, const char *name, const char *suffix,
                     int a, int b, int out, const char *fmt, ...)
{
    va_list args;

    if (out == NONE)
        out = w->n_blobs;
    w->n_blobs++;
    start_layer(w, type, name, suffix, b == NONE ? 1 : 2, 1);
    put_blob(w, a);
    if (b != NONE)
        put_blob(w, b);
    put_blob(w, out);
    va_start(args, fmt);
    vfprintf(w->param, fmt, args);
    va_end(args);
    putc('\n', w->param);
    return out;
}

/* What a tensor's codes can stand for, in steps. */
static int lowest(const struct omq_export_tensor *t) { return -t->act.zero_point; }
static int highest(const struct omq_export_tensor *t) { return t->act.q_max - t->act.zero_point; }

/* Numbers have a point or an exponent, and at most 15 characters. */
static int put_clip(struct writer *w, const char *name, const struct omq_export_tensor *t,
                    double step, int blob)
{
    return put_layer(w, "Clip", name, "/clip", blob, NONE, NONE, " 0=%.8e 1=%.8e",
                     lowest(t) * step, highest(t) * step);
}

/* To the levels of the tensor's quantizer. */
static int put_rounding(struct writer *w, const char *name, const struct omq_export_tensor *t,
                        int blob)
{
    enum { MULTIPLY = 2, ROUND = 18 };

    blob = put_layer(w, "BinaryOp", name, "/div", blob, NONE, NONE, " 0=%d 1=1 2=%.8e", MULTIPLY,
                     1 / t->step);
    blob = put_layer(w, "UnaryOp", name, "/round", blob, NONE, NONE, " 0=%d", ROUND);
    blob = put_clip(w, name, t, 1, blob);
    return put_layer(w, "BinaryOp", name, "/mul", blob, NONE, NONE, " 0=%d 1=1 2=%.8e", MULTIPLY,
                     t->step);
}

/* ---- tensors ---- */

static int take(struct writer *w, int tensor)
{
    struct tensor *t = &w->tensors[tensor];

    return t->readers > 1 ? t->blob + t->taken++ : t->blob;
}

/* A blob has one reader: of a tensor with more, each gets its own. */
static void give(struct writer *w, int tensor, const char *name, int blob)
{
    struct tensor *t = &w->tensors[tensor];

    t->blob = blob;
    if (t->readers < 2)
        return;
    t->blob = w->n_blobs;
    w->n_blobs += t->readers;
    start_layer(w, "Split", name, "/split", 1, t->readers);
    put_blob(w, blob);
    for (int i = 0; i < t->readers; i++)
        put_blob(w, t->blob + i);
    putc('\n', w->param);
}

/* Its values before quantization, to what its readers expect. */
static void quantize(struct writer *w, int tensor, const char *name, int blob, bool is_clipped)
{
    const struct omq_export_tensor *t = &w->n->tensors[tensor];

    if (w->n->net->plan.tensors[tensor].is_logits)
        return;
    if (w->tensors[tensor].on_grid)
        blob = put_rounding(w, name, t, blob);
    else if (!is_clipped)
        blob = put_clip(w, name, t, t->step, blob);
    give(w, tensor, name, blob);
}

/* ---- units ---- */

static bool is_int8(const struct omq_export_numbers *n, const struct omq_unit *u)
{
    const struct omq_export_tensor *in = &n->tensors[u->in];

    return n->net->plan.tensors[u->in].is_input || (highest(in) <= 127 && lowest(in) >= -127);
}

/* " 9=3 -23310=2,LOW,HIGH", or nothing: the clipping that is part of a layer. */
static void activation_of(const struct omq_export_tensor *t, bool is_clipped, char buf[64])
{
    buf[0] = '\0';
    if (is_clipped)
        snprintf(buf, 64, " 9=3 -23310=2,%.8e,%.8e", lowest(t) * t->step, highest(t) * t->step);
}

static void put_conv(struct writer *w, int unit)
{
    const struct omq_plan *p = &w->n->net->plan;
    const struct omq_unit *u = &p->units[unit];
    const struct omq_layer *l = &p->layers[u->layer];
    const bool fits = is_int8(w->n, u), is_logits = p->tensors[u->out].is_logits;
    const bool is_clipped = u->res < 0 && !is_logits && !w->tensors[u->out].on_grid;
    const int weights = (int)omq_layer_size(l), in = take(w, u->in);
    const struct omq_export_tensor part = { /* in a sum */
        .act = {.q_max = OMQ_PART_MAX - OMQ_PART_MIN, .zero_point = -OMQ_PART_MIN},
        .step = w->n->tensors[u->out].step,
    };
    const bool gives_int8 = fits && is_clipped && !l->linear && w->tensors[u->out].is_int8;
    const double in_step = w->n->tensors[u->in].step;
    const int out = is_logits ? LOGITS : NONE;
    char act[64], groups[32] = "", int8[32] = "";
    int blob;

    activation_of(&w->n->tensors[u->out], is_clipped, act);
    if (u->groups > 1)
        snprintf(groups, sizeof(groups), " 7=%d", u->groups);
    if (fits)
        snprintf(int8, sizeof(int8), " 8=%d", (u->groups > 1 ? 1 : 2) + (gives_int8 ? 100 : 0));
    if (l->linear)
        blob = put_layer(w, "InnerProduct", l->name, "", in, NONE, out, " 0=%d 1=1 2=%d%s%s",
                         l->out, weights, int8, act);
    else
        blob = put_layer(w, u->groups > 1 ? "ConvolutionDepthWise" : "Convolution", l->name, "", in,
                         NONE, out, " 0=%d 1=%d 11=%d 3=%d 13=%d 4=%d 14=%d 5=1 6=%d%s%s%s", l->out,
                         l->kw, l->kh, u->win.sw, u->win.sh, u->win.pw, u->win.ph, weights, groups,
                         int8, act);
    put_weights(w->bin, l, &w->n->units[unit], fits, in_step);
    put_scales(w->bin, l->out, &w->n->units[unit], fits, in_step,
               gives_int8 ? w->n->tensors[u->out].step : 0);
    if (u->res >= 0) {
        blob = put_rounding(w, l->name, &part, blob);
        blob = put_layer(w, "BinaryOp", l->name, "/add", blob, take(w, u->res), NONE, " 0=0");
    }
    quantize(w, u->out, u->name, blob, is_clipped);
}

static void put_pool(struct writer *w, const struct omq_unit *u)
{
    const bool is_max = u->kind == OMQ_UNIT_MAXPOOL;
    int blob = put_layer(w, "Pooling", u->name, "", take(w, u->in), NONE, NONE,
                         " 0=%d 1=%d 11=%d 2=%d 12=%d 3=%d 13=%d 5=1%s", !is_max, u->win.kw,
                         u->win.kh, u->win.sw, u->win.sh, u->win.pw, u->win.ph,
                         is_max ? "" : " 6=1");

    if (is_max) /* of what is on the levels already, or will be */
        give(w, u->out, u->name, blob);
    else
        quantize(w, u->out, u->name, blob, false);
}

/* Codes that move stay on their levels. */
static void put_concat(struct writer *w, const struct omq_unit *u)
{
    const int a = take(w, u->in), b = take(w, u->res);

    give(w, u->out, u->name, put_layer(w, "Concat", u->name, "", a, b, NONE, " 0=0"));
}

/* Every stride-th pixel is the largest one of a window of one pixel. */
static void put_shortcut(struct writer *w, const struct omq_unit *u)
{
    const int first = (u->oc - u->win.c) / 2;
    int blob = put_layer(w, "Pooling", u->name, "/pixels", take(w, u->in), NONE, NONE,
                         " 0=0 1=1 11=1 2=%d 12=%d 5=1", u->win.sw, u->win.sh);

    blob = put_layer(w, "Padding", u->name, "", blob, NONE, NONE, " 4=0 5=0.0 7=%d 8=%d", first,
                     u->oc - u->win.c - first);
    give(w, u->out, u->name, blob);
}

static void put_input(struct writer *w)
{
    const struct omq_preprocess *pre = &w->n->net->pre;
    int blob;

    start_layer(w, "Input", "data", "", 0, 1);
    put_blob(w, DATA);
    fprintf(w->param, " 0=%d 1=%d 2=%d\n", pre->width, pre->height, pre->channels);
    w->n_blobs++;
    blob = put_layer(w, "Scale", "data", "/normalize", DATA, NONE, NONE, " 0=%d 1=1",
                     pre->channels);
    for (int c = 0; c < pre->channels; c++)
        put_float(w->bin, 1 / (255 * pre->std[c]));
    for (int c = 0; c < pre->channels; c++)
        put_float(w->bin, -pre->mean[c] / pre->std[c]);
    quantize(w, 0, "data", blob, true);
}

/* ---- all of it ---- */

static int check_units(const struct omq_export_numbers *n, struct omq_err *err)
{
    const struct omq_plan *p = &n->net->plan;

    for (int i = 0; i < p->n_units; i++) {
        const struct omq_unit *u = &p->units[i];

        if (u->kind != OMQ_UNIT_CONV)
            continue;
        if (!is_int8(n, u) && !p->layers[u->layer].edge)
            return omq_fail(err, OMQ_EUNSUP, "the input of '%s' has %d bits at '%s', but ncnn's "
                            "integers have a sign: choose a precision with activations of at most "
                            "7 bits", p->layers[u->layer].name, n->tensors[u->in].act.bits,
                            n->choice.name);
        if (u->groups > 1 && (u->groups != u->oc || u->groups != u->win.c))
            return omq_fail(err, OMQ_EUNSUP, "'%s' has %d groups: ncnn has scales a channel only "
                            "for one group, or for one a channel", p->layers[u->layer].name,
                            u->groups);
    }
    return OMQ_OK;
}

/* From the last unit to the first, whose values must be on their levels: of what
 * others than integer convolutions read, perhaps through a pooling. */
static void find_readers(struct writer *w)
{
    const struct omq_plan *p = &w->n->net->plan;

    for (int i = p->n_units - 1; i >= 0; i--) {
        const struct omq_unit *u = &p->units[i];
        struct tensor *in = &w->tensors[u->in];

        in->readers++;
        if (u->res >= 0) {
            w->tensors[u->res].readers++;
            w->tensors[u->res].on_grid |= u->kind == OMQ_UNIT_CONV || w->tensors[u->out].on_grid;
        }
        in->on_grid |= u->kind == OMQ_UNIT_CONV ? !is_int8(w->n, u)
                     : u->kind == OMQ_UNIT_REQUANT || u->kind == OMQ_UNIT_AVGPOOL ||
                       w->tensors[u->out].on_grid;
        in->is_int8 = in->readers == 1 && u->kind == OMQ_UNIT_CONV && is_int8(w->n, u) &&
                      !p->layers[u->layer].linear;
    }
}

static void put_net(struct writer *w)
{
    const struct omq_plan *p = &w->n->net->plan;

    w->n_blobs = 0;
    find_readers(w);
    put_input(w);
    for (int i = 0; i < p->n_units; i++) {
        const struct omq_unit *u = &p->units[i];

        if (u->kind == OMQ_UNIT_CONV)
            put_conv(w, i);
        else if (u->kind == OMQ_UNIT_REQUANT)
            quantize(w, u->out, u->name, take(w, u->in), false);
        else if (u->kind == OMQ_UNIT_CONCAT)
            put_concat(w, u);
        else if (u->kind == OMQ_UNIT_SHORTCUT)
            put_shortcut(w, u);
        else
            put_pool(w, u);
    }
}

int omq_export_ncnn(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err)
{
    const struct omq_export_numbers *n = job->choices[0];
    struct writer w = {.n = n, .bin = out[1]};
    char *text = NULL;
    size_t size = 0;
    bool failed = false;
    int rc = check_units(n, err);

    if (rc < 0)
        return rc;
    w.tensors = calloc((size_t)n->net->plan.n_tensors, sizeof(*w.tensors));
    w.param = w.tensors ? open_memstream(&text, &size) : NULL;
    if (w.param) {
        put_net(&w);
        failed = ferror(w.param) != 0;
        failed |= fclose(w.param) != 0;
    }
    if (!w.param || failed)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the layers of an ncnn file");
    else
        fprintf(out[0], "7767517\n%d %d\n%s", w.n_layers, w.n_blobs, text);
    free(text);
    free(w.tensors);
    return rc;
}
