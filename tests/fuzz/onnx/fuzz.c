/* SPDX-License-Identifier: MIT
 *
 * Any bytes as an ONNX file: refused with a message, or a graph whose network, if
 * it can be lowered, finds each of its weights in the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "port/onnx_read.h"
#include "port/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIDE = 8, CHANNELS = 3, CLASSES = 5 };

static struct omq_err err;

/* What the network misses it must have been told to skip. */
static void load(struct omq_onnx_net *n, const struct omq_init_config *init)
{
    const struct omq_preprocess pre = {.height = SIDE, .width = SIDE, .channels = CHANNELS,
                                       .step = 1};
    const struct omq_quant_config quant = {.levels = 1};
    const struct omq_precision precisions[] = {{4, 4}, {32, 32}};
    struct omq_weights_result r;
    struct omq_net net;
    int rc;

    err.msg[0] = 0;
    if (omq_net_init(&net, &n->graph, precisions, 2, &quant, &pre, 1, false, &err) < 0) {
        check_said(err.msg[0]);
        return;
    }
    rc = omq_weights_load(&net, &n->weights, init, "", &r, &err);
    check_said(rc == OMQ_OK || rc == OMQ_EFORMAT); /* a value that is not finite */
    check(r.missing + r.unexpected + r.misshapen == 0);
    omq_weights_result_release(&r);
    omq_net_release(&net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int skip = 0; skip < 2; skip++) {
        const struct omq_init_config init = {.n_skip = skip, .skip = {"fc"}, .strict = true,
                                             .bn_eps = OMQ_BN_EPS};
        const struct omq_onnx_want want = {SIDE, SIDE, CHANNELS, CLASSES, &init};
        uint8_t *copy = malloc(size ? size : 1);
        struct omq_onnx_net net;

        check(copy != NULL);
        if (size)
            memcpy(copy, data, size);
        err.msg[0] = 0;
        if (omq_onnx_net_parse(&net, "input", copy, size, &want, &err) < 0) {
            check_said(err.msg[0] && err.code < 0 && err.code != OMQ_ENOMEM);
            continue;
        }
        load(&net, &init);
        omq_onnx_net_release(&net);
    }
    return 0;
}
