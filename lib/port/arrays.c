/* SPDX-License-Identifier: MIT */
#include "port/arrays.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* Collects: after the first failure, nothing more. */
struct collector {
    struct omq_arrays *a;
    int rc;
    struct omq_err *err;
};

__attribute__((format(printf, 5, 0)))
static uint8_t *add_array(struct omq_arrays *a, enum omq_array_type type, int ndim,
                          const int *dims, const char *fmt, va_list args)
{
    struct omq_array x = {.type = type, .ndim = ndim,
                          .n_bytes = type == OMQ_ARRAY_F32 ? sizeof(float) : 1};

    if (a->n == a->room) {
        int room = a->room ? 2 * a->room : 64;
        struct omq_array *list = realloc(a->list, (size_t)room * sizeof(*list));

        if (!list)
            return NULL;
        a->list = list;
        a->room = room;
    }
    vsnprintf(x.name, sizeof(x.name), fmt, args);
    for (int i = 0; i < ndim; i++) {
        x.dims[i] = dims[i];
        x.n_bytes *= (size_t)dims[i];
    }
    x.bytes = calloc(x.n_bytes, 1);
    if (x.bytes)
        a->list[a->n++] = x;
    return x.bytes;
}

uint8_t *omq_arrays_add(struct omq_arrays *a, enum omq_array_type type, int ndim, const int *dims,
                        const char *fmt, ...)
{
    va_list args;
    uint8_t *bytes;

    va_start(args, fmt);
    bytes = add_array(a, type, ndim, dims, fmt, args);
    va_end(args);
    return bytes;
}

/* An array to fill, or NULL. */
__attribute__((format(printf, 5, 6)))
static uint8_t *add(struct collector *c, enum omq_array_type type, int ndim, const int *dims,
                    const char *fmt, ...)
{
    uint8_t *bytes;
    va_list args;

    if (c->rc < 0)
        return NULL;
    va_start(args, fmt);
    bytes = add_array(c->a, type, ndim, dims, fmt, args);
    va_end(args);
    if (!bytes)
        c->rc = omq_fail(c->err, OMQ_ENOMEM, "cannot allocate the arrays of a model");
    return bytes;
}

void omq_arrays_put_reals(uint8_t *to, const omq_real *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = (float)from[i];
        uint32_t bits;

        memcpy(&bits, &value, sizeof(bits));
        omq_put_le32(to + sizeof(bits) * i, bits);
    }
}

static void put_reals(uint8_t *to, const omq_real *from, size_t n)
{
    if (to)
        omq_arrays_put_reals(to, from, n);
}

static void put_u8(uint8_t *to, int value)
{
    if (to)
        *to = (uint8_t)value;
}

/* ---- what all choices share ---- */

/* PyTorch has the weights of a linear layer as a matrix. */
static int weight_dims(const struct omq_layer *l, int dims[4])
{
    dims[0] = l->out;
    dims[1] = l->linear ? l->in * l->kh * l->kw : l->in;
    dims[2] = l->kh;
    dims[3] = l->kw;
    return l->linear ? 2 : 4;
}

static void add_shared(struct collector *c, const struct omq_net *net)
{
    for (int i = 0; i < net->plan.n_layers; i++) {
        const struct omq_layer *l = &net->plan.layers[i];
        const struct omq_layer_params *lp = omq_net_layer(net, 0, i);
        int dims[4], ndim = weight_dims(l, dims);

        if (lp->weight) /* a packed model has none */
            put_reals(add(c, OMQ_ARRAY_F32, ndim, dims, "%s", lp->weight->name),
                      lp->weight->value, lp->weight->n);
        if (lp->bias)
            put_reals(add(c, OMQ_ARRAY_F32, 1, dims, "%s", lp->bias->name), lp->bias->value,
                      lp->bias->n);
    }
}

/* ---- what each has for itself ---- */

const char *omq_arrays_tag(const struct omq_choice *c, char buf[OMQ_ARRAY_TAG_SIZE])
{
    if (!c->layers && c->w == c->a)
        snprintf(buf, OMQ_ARRAY_TAG_SIZE, "%d", c->w);
    else
        snprintf(buf, OMQ_ARRAY_TAG_SIZE, ".%s", c->name);
    return buf;
}

static void put_codes(uint8_t *to, const int8_t *k, const struct omq_layer *l)
{
    for (size_t i = 0; to && i < omq_layer_size(l); i++)
        to[i] = (uint8_t)k[omq_export_weight_at(l, i)];
}

static void add_weights(struct collector *c, const struct omq_export_numbers *n, const char *tag,
                        const struct omq_export_unit *u, int layer)
{
    const struct omq_layer *l = &n->net->plan.layers[layer];
    int dims[4], ndim = weight_dims(l, dims);

    put_codes(add(c, OMQ_ARRAY_I8, ndim, dims, "%s.weight.q%s", l->name, tag), u->k, l);
    put_reals(add(c, OMQ_ARRAY_F32, 1, dims, "%s.weight.q%s.scale", l->name, tag), u->unit,
              (size_t)l->out);
}

static void add_norm(struct collector *c, const struct omq_export_numbers *n, const char *tag,
                     int layer)
{
    const int precision = n->choice.layers ? n->choice.layers[layer] : n->choice.precision;
    const struct omq_layer *l = &n->net->plan.layers[layer];
    const struct omq_layer_params *lp = omq_net_layer(n->net, precision, layer);
    const struct { const char *name; const struct omq_param *p; } parts[] = {
        {"weight", lp->gamma}, {"bias", lp->beta}, {"running_mean", lp->mean},
        {"running_var", lp->var},
    };

    for (size_t i = 0; lp->gamma && i < sizeof(parts) / sizeof(parts[0]); i++)
        put_reals(add(c, OMQ_ARRAY_F32, 1, &l->out, "%s.b%s.%s", l->norm, tag, parts[i].name),
                  parts[i].p->value, (size_t)l->out);
}

static void add_quantizer(struct collector *c, const struct omq_export_tensor *t, const char *name,
                          const char *tag)
{
    const omq_real step = (omq_real)t->step; /* which it was */

    put_reals(add(c, OMQ_ARRAY_F32, 0, NULL, "%s.a%s.scale", name, tag), &step, 1);
    put_u8(add(c, OMQ_ARRAY_U8, 0, NULL, "%s.a%s.zero_point", name, tag), t->act.zero_point);
    put_u8(add(c, OMQ_ARRAY_U8, 0, NULL, "%s.a%s.max", name, tag), t->act.q_max);
}

/* Tensors of one site, such as those around a pooling, share its quantizer. */
static bool is_seen(const struct omq_plan *p, int tensor)
{
    for (int t = 0; t < tensor; t++)
        if (p->tensors[t].site == p->tensors[tensor].site && p->tensors[t].site >= 0)
            return true;
    return false;
}

static void add_choice(struct collector *c, const struct omq_export_numbers *n)
{
    const struct omq_plan *p = &n->net->plan;
    char tag[OMQ_ARRAY_TAG_SIZE];

    omq_arrays_tag(&n->choice, tag);
    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].kind == OMQ_UNIT_CONV) {
            add_weights(c, n, tag, &n->units[i], p->units[i].layer);
            add_norm(c, n, tag, p->units[i].layer);
        }
    for (int t = 0; t < p->n_tensors; t++) {
        const struct omq_tensor *tensor = &p->tensors[t];

        if (!tensor->is_logits && !is_seen(p, t))
            add_quantizer(c, &n->tensors[t],
                          tensor->is_input ? "input" : p->sites[tensor->site].name, tag);
    }
}

/* ---- all of it ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct omq_array *)a)->name, ((const struct omq_array *)b)->name);
}

static int by_type(const void *a, const void *b)
{
    int x = (int)((const struct omq_array *)a)->type, y = (int)((const struct omq_array *)b)->type;

    return x != y ? x - y : by_name(a, b);
}

/* Names of layers and profiles are a file's: any text. */
static int sort(struct omq_arrays *a, struct omq_err *err)
{
    qsort(a->list, (size_t)a->n, sizeof(*a->list), by_name);
    for (int i = 1; i < a->n; i++)
        if (strcmp(a->list[i - 1].name, a->list[i].name) == 0)
            return omq_fail(err, OMQ_EUNSUP, "two arrays would be called '%s': export one "
                            "precision at a time", a->list[i].name);
    qsort(a->list, (size_t)a->n, sizeof(*a->list), by_type);
    return OMQ_OK;
}

int omq_arrays_init(struct omq_arrays *a, const struct omq_export_job *job, struct omq_err *err)
{
    struct collector c = {.a = a, .err = err};

    *a = (struct omq_arrays){0};
    add_shared(&c, job->choices[0]->net);
    for (int i = 0; i < job->n; i++)
        add_choice(&c, job->choices[i]);
    if (c.rc == OMQ_OK)
        c.rc = sort(a, err);
    if (c.rc < 0)
        omq_arrays_release(a);
    return c.rc;
}

void omq_arrays_release(struct omq_arrays *a)
{
    for (int i = 0; i < a->n; i++)
        free(a->list[i].bytes);
    free(a->list);
    *a = (struct omq_arrays){0};
}
