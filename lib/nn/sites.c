/* SPDX-License-Identifier: MIT
 *
 * Sites: where a plan's tensors are quantized, and which share a quantizer. A
 * tensor with one reader is quantized for that; what several read, what is added
 * and sums are the residual stream, whose readers get a requantization of their own.
 */
#include "nn/nn_internal.h"

#include <stdio.h>
#include <string.h>

/* How often units read tensor t, as input or residual; *last is one of them. */
static int readers(const struct omq_plan *p, int t, int *last)
{
    int n = 0;

    for (int u = 0; u < p->n_units; u++)
        if (p->units[u].in == t || p->units[u].res == t) {
            *last = u;
            n += (p->units[u].in == t) + (p->units[u].res == t);
        }
    return n;
}

static int add_site(struct omq_plan *p, const char *name, const char *suffix, int layer, int tensor)
{
    struct omq_site *s = &p->sites[p->n_sites];

    *s = (struct omq_site){.layer = layer, .is_signed = p->tensors[tensor].is_signed,
                           .is_normed = p->tensors[tensor].is_normed,
                           .max = p->tensors[tensor].max};
    snprintf(s->name, sizeof(s->name), "%.*s.%s", OMQ_NAME_SIZE - 8, name, suffix);
    return p->n_sites++;
}

/* Whether a unit reads codes at a step of its own choice: its layer's, or that
 * of its output. Averages and residuals take those of the stream as they are. */
static bool needs_requant(const struct omq_unit *u, int t)
{
    if (u->kind == OMQ_UNIT_CONCAT)
        return u->in == t || u->res == t;
    return u->in == t && (u->kind == OMQ_UNIT_CONV || u->kind == OMQ_UNIT_MAXPOOL);
}

/* Puts a requantization of tensor `from`, which unit `at` reads, before it. The
 * output of a max pool or concat has its site by now, which is its input's too. */
static void insert_requant(struct omq_plan *p, int at, int from)
{
    struct omq_unit *u = &p->units[at], *reader = u + 1;
    const struct omq_tensor *in = &p->tensors[from];
    const char *name;
    int t = p->n_tensors++;
    bool second = u->in != from;

    memmove(reader, u, sizeof(*u) * (size_t)(p->n_units - at));
    p->n_units++;
    name = reader->layer >= 0 ? p->layers[reader->layer].name : reader->name;
    *u = (struct omq_unit){.kind = OMQ_UNIT_REQUANT, .in = from, .out = t, .res = -1,
                           .groups = 1, .oc = in->c, .layer = -1,
                           .win = {.h = in->h, .w = in->w, .c = in->c, .c_count = in->c,
                                   .kh = 1, .kw = 1, .sh = 1, .sw = 1, .oh = in->h, .ow = in->w}};
    snprintf(u->name, sizeof(u->name), "%.*s.in%s", OMQ_NAME_SIZE - 8, name, second ? "2" : "");
    p->tensors[t] = *in;
    *(second ? &reader->res : &reader->in) = t;
    p->tensors[t].site = reader->layer >= 0 ? add_site(p, name, "in", reader->layer, t)
                                            : p->tensors[reader->out].site;
}

static void requantize_readers(struct omq_plan *p, int t)
{
    for (int u = 0; u < p->n_units; u++)
        while (needs_requant(&p->units[u], t))
            insert_requant(p, u++, t);
}

/* Whether tensor t, which unit r alone reads, has the quantizer of r's output.
 * That of a concat may have another sign or end than one of its inputs. */
static bool shares_output(const struct omq_plan *p, const struct omq_unit *r, int t)
{
    const struct omq_tensor *in = &p->tensors[t], *out = &p->tensors[r->out];

    return r->kind == OMQ_UNIT_MAXPOOL || (r->kind == OMQ_UNIT_CONCAT &&
                                           in->is_signed == out->is_signed && in->max == out->max);
}

/* A shortcut's output is another reading of the stream that it comes from. */
static void share_with_shortcuts(struct omq_plan *p, int t)
{
    for (int u = 0; u < p->n_units; u++)
        if (p->units[u].kind == OMQ_UNIT_SHORTCUT && p->units[u].in == t) {
            p->tensors[p->units[u].out].site = p->tensors[t].site;
            share_with_shortcuts(p, p->units[u].out);
        }
}

static int place_site(struct omq_plan *p, int t, struct omq_err *err)
{
    struct omq_tensor *tensor = &p->tensors[t];
    const struct omq_unit *from = &p->units[omq_plan_writer(p, t)], *r;
    const bool is_sum = from->kind == OMQ_UNIT_CONV && from->res >= 0;
    int reader = -1, n = readers(p, t, &reader);

    if (n == 0)
        return omq_fail(err, OMQ_EUNSUP, "nothing reads the output of '%s'", from->name);
    r = &p->units[reader];
    if (from->kind == OMQ_UNIT_SHORTCUT) { /* its input gives it its site */
        requantize_readers(p, t);
    } else if (n == 1 && !is_sum && shares_output(p, r, t)) {
        tensor->site = p->tensors[r->out].site;
    } else if (n == 1 && !is_sum && r->kind == OMQ_UNIT_CONV && r->in == t) {
        tensor->site = add_site(p, p->layers[r->layer].name, "in", r->layer, t);
    } else {
        tensor->site = add_site(p, from->name, "out", -1, t);
        requantize_readers(p, t);
        share_with_shortcuts(p, t);
    }
    return OMQ_OK;
}

/* Backwards over the tensors, so that the output of a max pool or concat is
 * placed before its input, which shares its quantizer. */
int omq_place_sites(struct omq_plan *p, struct omq_err *err)
{
    int rc;

    for (int t = p->n_tensors - 1; t >= 1; t--)
        if (!p->tensors[t].is_logits && (rc = place_site(p, t, err)) < 0)
            return rc;
    for (int u = 0; u < p->n_units; u++)
        if (p->units[u].res == 0 || (p->units[u].in == 0 && p->units[u].kind != OMQ_UNIT_CONV))
            return omq_fail(err, OMQ_EUNSUP, "'%s' reads the input image: only convolutions and "
                            "linear layers can", p->units[u].name);
    return OMQ_OK;
}
