/* SPDX-License-Identifier: MIT
 *
 * What a model is, for people and scripts: shapes, precisions, sizes, accuracies.
 */
#include "port/port.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* Products of single bits: what a bit-serial machine would do. */
static uint64_t bit_operations(const struct omq_export_numbers *n)
{
    const struct omq_plan *p = &n->net->plan;
    uint64_t sum = 0;

    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].kind == OMQ_UNIT_CONV)
            sum += omq_unit_macs(&p->units[i]) * (uint64_t)omq_export_bits(n, i) *
                   (uint64_t)n->tensors[p->units[i].in].act.bits;
    return sum;
}

static json_t *precision_of(const struct omq_export_numbers *n)
{
    const struct omq_plan *p = &n->net->plan;
    json_t *o = json_pack("{s:s, s:I, s:I}", "name", n->choice.name, "weight_bytes",
                          (json_int_t)n->choice.weight_bytes, "bit_operations",
                          (json_int_t)bit_operations(n));
    json_t *bits = json_object();

    if (isfinite(n->choice.top1))
        json_object_set_new(o, "top1", json_real(n->choice.top1));
    for (int i = 0; i < p->n_units; i++)
        if (p->units[i].kind == OMQ_UNIT_CONV)
            json_object_set_new(bits, p->layers[p->units[i].layer].name,
                                json_pack("[i,i]", omq_export_bits(n, i),
                                          n->tensors[p->units[i].in].act.bits));
    json_object_set_new(o, "layer_bits", bits); /* of weights and of the input */
    return o;
}

static json_t *layer_of(const struct omq_plan *p, const struct omq_unit *u)
{
    const struct omq_layer *l = &p->layers[u->layer];

    return json_pack("{s:s, s:s, s:[i,i,i,i], s:i, s:i, s:i, s:[i,i,i], s:I, s:I}", "name", l->name,
                     "type", l->linear ? "linear" : "conv", "weights", l->out, l->in, l->kh, l->kw,
                     "groups", u->groups, "stride", u->win.sh, "pad", u->win.ph, "output",
                     u->win.oh, u->win.ow, u->oc, "n_weights", (json_int_t)omq_layer_size(l),
                     "macs", (json_int_t)omq_unit_macs(u));
}

static json_t *reals(const double *x, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_real(x[i]));
    return list;
}

static json_t *model_of(const struct omq_export_job *job)
{
    const struct omq_net *net = job->choices[0]->net;
    const struct omq_model_info *info = job->choices[0]->info;
    json_t *layers = json_array(), *precisions = json_array(), *classes = json_array();

    for (int i = 0; i < net->plan.n_units; i++)
        if (net->plan.units[i].kind == OMQ_UNIT_CONV)
            json_array_append_new(layers, layer_of(&net->plan, &net->plan.units[i]));
    for (int i = 0; i < job->n; i++)
        json_array_append_new(precisions, precision_of(job->choices[i]));
    for (int i = 0; i < info->n_class_names; i++)
        json_array_append_new(classes, json_string(info->class_names[i]));
    return json_pack("{s:s, s:s, s:[i,i,i], s:o, s:o, s:i, s:o, s:I, s:I, s:o, s:o, s:{s:I}}",
                     "omq", OMQ_VERSION, "name", job->name, "input", net->pre.height,
                     net->pre.width, net->pre.channels, "mean",
                     reals(net->pre.mean, net->pre.channels), "std",
                     reals(net->pre.std, net->pre.channels), "n_classes", net->n_classes,
                     "classes", classes, "n_weights", (json_int_t)omq_net_weights(net), "macs",
                     (json_int_t)omq_net_macs(net), "precisions", precisions, "layers", layers,
                     "provenance", "data_crc32", (json_int_t)info->data_fingerprint);
}

int omq_export_json(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err)
{
    json_t *model = model_of(job);
    char *text = model ? json_dumps(model, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    const bool made = text != NULL;

    if (made)
        fprintf(out[0], "%s\n", text);
    free(text);
    json_decref(model);
    return made ? OMQ_OK : omq_fail(err, OMQ_ENOMEM, "cannot allocate a description");
}
