/* SPDX-License-Identifier: MIT
 *
 * The precisions and profiles of a model, as one list.
 */
#include "nn/nn_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int omq_choice_count(const struct omq_net *net, const struct omq_model_info *info)
{
    return net->n_precisions + info->n_profiles;
}

/* Of a profile: each layer at the bits that it has there. */
static uint64_t profile_bytes(const struct omq_net *net, const int *layers)
{
    uint64_t n = 0;

    for (int i = 0; i < net->plan.n_layers; i++)
        n += omq_layer_bytes(net, layers[i], i);
    return n;
}

struct omq_choice omq_choice_at(const struct omq_net *net, const struct omq_model_info *info,
                                int i)
{
    struct omq_choice c = {.precision = i, .top1 = (double)NAN};

    if (i < net->n_precisions) {
        omq_precision_name(net->precisions[i], c.name);
        c.w = net->precisions[i].w;
        c.a = net->precisions[i].a;
        c.weight_bytes = omq_net_weight_bytes(net, i);
        if (info->results[i].known)
            c.top1 = info->results[i].top1;
    } else {
        const struct omq_profile *f = &info->profiles[i - net->n_precisions];

        snprintf(c.name, sizeof(c.name), "%s", f->name);
        c.precision = f->stream;
        c.layers = f->layers;
        c.weight_bytes = profile_bytes(net, f->layers);
    }
    return c;
}

static int find_bits(const struct omq_choice *choices, int n, int w, int a)
{
    for (int i = 0; i < n; i++)
        if (!choices[i].layers && choices[i].w == w && choices[i].a == a)
            return i;
    return -1;
}

/* As people write it: "4" for w4a4. */
static const char *short_name(const struct omq_choice *c, char buf[64])
{
    if (!c->layers && c->w == c->a)
        snprintf(buf, 64, "%d", c->w);
    else
        snprintf(buf, 64, "%s", c->name);
    return buf;
}

int omq_choice_find(const struct omq_choice *choices, int n, const char *word,
                    struct omq_err *err)
{
    struct omq_precision p;
    char list[512] = "", name[64];
    int at;

    for (int i = 0; i < n; i++)
        if (strcmp(choices[i].name, word) == 0)
            return i;
    if (omq_precision_parse(word, &p) && (at = find_bits(choices, n, p.w, p.a)) >= 0)
        return at;
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof(list) - used, "%s%s", i ? " " : "",
                 short_name(&choices[i], name));
    }
    return omq_fail(err, OMQ_EARG, "the model has no precision '%s'; it has %s", word, list);
}

int omq_choice_switch(const struct omq_choice *choices, int n, struct omq_switch_word word)
{
    int profile = 0;

    if (word.profile < 0)
        return find_bits(choices, n, word.w, word.a);
    for (int i = 0; i < n; i++)
        if (choices[i].layers && profile++ == word.profile)
            return i;
    return -1;
}
