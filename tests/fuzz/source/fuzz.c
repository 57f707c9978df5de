/* SPDX-License-Identifier: MIT
 *
 * The readers of weights on any bytes: an error with a message, or arrays whose
 * values can all be read, as many as their shapes say. Names and prefixes then go
 * through the matching with a small network, which must take what fits or say why
 * not. Models of ours have a target of their own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "port/source.h"
#include "port/weights.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SMALL = 1 << 20 }; /* values of an array that is worth the time to read */

static struct omq_net net;
static struct omq_err err;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct omq_preprocess pre = {.height = 8, .width = 8, .channels = 3, .step = 1};
    const struct omq_quant_config quant = {.levels = 1};
    const struct omq_model_config model = {.arch = "resnet8", .width = 0.25};
    const struct omq_precision precisions[] = {{8, 8}, {2, 2}};
    struct omq_graph g;

    (void)argc;
    (void)argv;
    omq_kern_init(OMQ_ISA_REF, NULL);
    check_said(omq_arch_build(&g, &model, 8, 8, 3, 4, &err) == OMQ_OK);
    check_said(omq_net_init(&net, &g, precisions, 2, &quant, &pre, 1, false, &err) == OMQ_OK);
    return 0;
}

static void read_all(const struct omq_source *s)
{
    for (int i = 0; i < s->n; i++) {
        const struct omq_source_array *a = &s->list[i];
        size_t n = 1;
        float *values;

        for (int d = 0; d < a->ndim; d++)
            n *= (size_t)a->dims[d];
        check(n == a->n && (i == 0 || strcmp(s->list[i - 1].name, a->name) < 0));
        if (a->n > SMALL)
            continue;
        values = malloc(sizeof(float) * (a->n + 1));
        check(values != NULL);
        err.msg[0] = 0;
        check_said(omq_source_read(s, a, values, &err) == OMQ_OK || err.msg[0]);
        free(values);
    }
}

static void load(const struct omq_source *s, bool strict)
{
    struct omq_init_config cfg = {.n_map = 2, .map = {"net=layer1", "="}, .n_skip = 1,
                                  .skip = {"*.bn2"}, .strict = strict, .bn_eps = 1e-3};
    struct omq_weights_result r;
    int rc;

    err.msg[0] = 0;
    rc = omq_weights_load(&net, s, &cfg, "", &r, &err);
    check_said(rc == OMQ_OK || (err.msg[0] && err.code == rc && rc != OMQ_ENOMEM));
    check(rc != OMQ_OK || !strict || r.missing + r.unexpected + r.misshapen == 0);
    omq_weights_result_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct omq_source s;
    uint8_t *copy;

    if (size >= 4 && memcmp(data, "\x93OMQ", 4) == 0)
        return 0;
    copy = malloc(size ? size : 1);
    check(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    err.msg[0] = 0;
    if (omq_source_parse(&s, "input", copy, size, &err) < 0) {
        check_said(err.msg[0] && err.code < 0 && err.code != OMQ_ENOMEM);
        return 0;
    }
    read_all(&s);
    load(&s, true);
    load(&s, false);
    omq_source_release(&s);
    return 0;
}
