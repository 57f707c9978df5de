/* SPDX-License-Identifier: MIT
 *
 * How well each layer is represented at one precision. The signal of the
 * weights is what the view makes of them; that of the activations is what the
 * engine has before it rounds. Noise is what rounding and clipping change.
 */
#include "eval/eval.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "omq_tools.h"

struct noise {
    double signal, noise; /* sums of squares */
    uint64_t n, clipped;
};

static void add(struct noise *s, double value, double quantized, bool clipped)
{
    double d = value - quantized;

    s->signal += value * value;
    s->noise += d * d;
    s->n++;
    s->clipped += clipped;
}

/* NaN where there was nothing to see; without noise infinite. */
static double sqnr_db(const struct noise *s) { return 10 * log10(s->signal / s->noise); }

static double clipped_percent(const struct noise *s)
{
    return 100.0 * (double)s->clipped / (double)s->n;
}

/* ---- weights ---- */

static int weight_noise(const struct omq_net *net, int precision, int layer, struct noise *s,
                        struct omq_err *err)
{
    const struct omq_layer *l = &net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(net, precision, layer);
    size_t n = lp->weight->n, per_out = n / (size_t)l->out;
    omq_real *unit = omq_calloc((size_t)l->out, sizeof(*unit));
    omq_real *w = omq_calloc(n, sizeof(*w));
    omq_real *scratch = omq_calloc(n, sizeof(*scratch));
    int8_t *k = omq_calloc(n, 1);
    struct omq_weights q;
    omq_real end;
    int rc = OMQ_OK;

    if (!w || !unit || !scratch || !k) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the weights of '%s'", l->name);
        goto out;
    }
    omq_layer_view(net, precision, layer, w);
    q = omq_layer_weights(net, precision, layer, w, k, unit, scratch);
    omq_layer_method(net, layer)->forward(&q);
    end = q.grid.midrise ? 1 : (omq_real)0.5; /* from the outer code to its cell's edge */
    for (size_t i = 0; i < n; i++) {
        omq_real x = q.x[i] * q.scale, e = unit[q.n_units == 1 ? 0 : i / per_out];

        add(s, (double)x, (double)(k[i] * e),
            x < ((omq_real)q.grid.k_min - end) * e || x > ((omq_real)q.grid.k_max + end) * e);
    }
out:
    free(w);
    free(unit);
    free(scratch);
    free(k);
    return rc;
}

/* ---- activations ---- */

struct watcher {
    const struct omq_plan *plan;
    const struct omq_engine *engine;
    struct noise *units; /* [n_units], of what each unit writes */
};

/* In units of the step. What a ReLU takes away is not noise. */
static void see(void *ctx, int unit, omq_real v, uint8_t q)
{
    struct watcher *w = ctx;
    struct omq_act act = omq_engine_act(w->engine, w->plan->units[unit].out);
    double x = act.zero_point == 0 && v < 0 ? 0 : (double)v;

    add(&w->units[unit], x - act.zero_point, (double)q - act.zero_point,
        rint(x) < 0 || rint(x) > act.q_max);
}

/* Pixels against their codes: the input's quantizer is a table. */
static void input_noise(const struct omq_preprocess *pre, const uint8_t *pixels, size_t n,
                        struct noise *s)
{
    for (size_t i = 0; i < n; i++) {
        int c = (int)(i % (size_t)pre->channels);
        double x = (pixels[i] / 255.0 - pre->mean[c]) / pre->std[c] / (double)pre->step;

        add(s, x, pre->table[c][pixels[i]] - 128.0, rint(x) < -128 || rint(x) > 127);
    }
}

/* Adds the noise of the units whose rounding made tensor t, looking through those
 * that only choose or move codes; of the network's input, `input`. */
static void add_noise_of(const struct omq_plan *p, int t, const struct noise *units,
                         const struct noise *input, struct noise *sum)
{
    const struct noise *from = input;

    for (int i = p->n_units - 1; i >= 0; i--) {
        const struct omq_unit *u = &p->units[i];

        if (u->out != t)
            continue;
        from = &units[i];
        if (u->kind == OMQ_UNIT_CONCAT)
            add_noise_of(p, u->res, units, input, sum);
        if (u->kind == OMQ_UNIT_CONCAT || u->kind == OMQ_UNIT_MAXPOOL ||
            u->kind == OMQ_UNIT_SHORTCUT) {
            from = input;
            t = u->in;
        }
    }
    sum->signal += from->signal;
    sum->noise += from->noise;
    sum->n += from->n;
    sum->clipped += from->clipped;
}

static int run_images(const struct omq_net *net, const struct omq_engine *e,
                      const struct omq_dataset *ds, int images, struct noise *units,
                      struct noise *input, struct omq_err *err)
{
    struct watcher w = {&net->plan, e, units};
    struct omq_engine_watch watch = {.ctx = &w, .value = see};
    size_t image = (size_t)ds->height * (size_t)ds->width * (size_t)ds->channels;
    uint8_t *codes = omq_calloc(1, image), *pixels = omq_calloc(1, image);
    float *logits = omq_calloc((size_t)net->n_classes, sizeof(*logits));
    char *scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    int rc = OMQ_OK;

    if (!codes || !pixels || !logits || !scratch)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the activations of an image");
    images = images < ds->n ? images : ds->n;
    for (int i = 0; rc == OMQ_OK && i < images; i++) {
        rc = omq_dataset_pixels(ds, omq_dataset_some(ds, i, images), &(struct omq_draw){0}, pixels,
                                err);
        if (omq_dataset_may_skip(ds, rc)) {
            rc = OMQ_OK;
            continue;
        }
        if (rc < 0)
            break;
        omq_preprocess_apply(&net->pre, pixels, codes);
        input_noise(&net->pre, pixels, image, input);
        omq_engine_run_watched(e, codes, 1, logits, scratch, &watch);
    }
    free(pixels);
    free(codes);
    free(logits);
    free(scratch);
    return rc;
}

static int activation_noise(const struct omq_net *net, const struct omq_eval_how *how,
                            const struct omq_dataset *ds, int images, struct noise *layers,
                            struct omq_err *err)
{
    const struct omq_plan *p = &net->plan;
    struct noise *units = omq_calloc((size_t)p->n_units, sizeof(*units)), input = {0};
    struct omq_engine *e = NULL;
    int rc;

    if (!units)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d units", p->n_units);
    rc = omq_engine_open(&e, net, how->layer_precision, how->precision, err);
    if (rc == OMQ_OK)
        rc = run_images(net, e, ds, images, units, &input, err);
    for (int i = 0; rc == OMQ_OK && i < p->n_units; i++) {
        if (p->units[i].layer >= 0)
            add_noise_of(p, p->units[i].in, units, &input, &layers[p->units[i].layer]);
    }
    omq_engine_close(e);
    free(units);
    return rc;
}

/* ---- together ---- */

/* Bits of what each layer reads: those of its codes, or the input image's 8. */
static int input_bits(const struct omq_net *net, int layer, int precision)
{
    const struct omq_plan *p = &net->plan;

    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].layer == layer) {
            int site = p->tensors[p->units[i].in].site;

            if (site < 0)
                return 8;
            return omq_site_bits(net, precision, site) == OMQ_FLOAT_BITS
                       ? OMQ_FLOAT_BITS
                       : omq_site_act(net, precision, site).bits;
        }
    OMQ_BUG("a layer without a unit");
}

static void describe(const struct omq_net *net, const struct omq_eval_how *how, int layer,
                     struct omq_eval_layer *out)
{
    int precision = how->layer_precision ? how->layer_precision[layer] : how->precision;

    *out = (struct omq_eval_layer){
        .w_bits = omq_layer_bits(net, precision, layer),
        .a_bits = input_bits(net, layer, precision),
    };
    snprintf(out->name, sizeof(out->name), "%s", net->plan.layers[layer].name);
}

int omq_eval_layers_of(const struct omq_net *net, const struct omq_eval_how *how,
                       const struct omq_dataset *ds, int images, struct omq_eval_layer *layers,
                       struct omq_err *err)
{
    int n = net->plan.n_layers, rc = OMQ_OK;
    struct noise *inputs = omq_calloc((size_t)n, sizeof(*inputs));
    bool is_float = false;

    if (!inputs)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a table of %d layers", n);
    for (int i = 0; i < n; i++) {
        describe(net, how, i, &layers[i]);
        is_float |= layers[i].w_bits == OMQ_FLOAT_BITS || layers[i].a_bits == OMQ_FLOAT_BITS;
    }
    if (!is_float) /* the values before rounding are the integer engine's */
        rc = activation_noise(net, how, ds, images, inputs, err);
    for (int i = 0; rc == OMQ_OK && i < n; i++) {
        int precision = how->layer_precision ? how->layer_precision[i] : how->precision;
        struct noise weights = {0};

        /* of a packed net, what its weights were rounded from is not known */
        if (layers[i].w_bits != OMQ_FLOAT_BITS && !net->packed)
            rc = weight_noise(net, precision, i, &weights, err);
        layers[i].w_sqnr_db = sqnr_db(&weights);
        layers[i].w_clipped = clipped_percent(&weights);
        layers[i].a_sqnr_db = sqnr_db(&inputs[i]);
        layers[i].a_clipped = clipped_percent(&inputs[i]);
    }
    free(inputs);
    return rc;
}
