/* SPDX-License-Identifier: MIT
 *
 * The idx reader on any bytes, as images and as labels: an error with a
 * message, or an array of the size that its dimensions say.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "data/data_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_kind(const uint8_t *data, size_t size, enum omq_idx_kind kind)
{
    struct omq_err err = {0};
    struct omq_idx x = {.n_dims = -1};
    size_t n = 1, sum = 0;

    if (omq_idx_decode(&x, data, size, "input", kind, &err) < 0) {
        if (x.n_dims != -1 || err.code >= 0 || !strstr(err.msg, "'input'"))
            abort();
        return;
    }
    for (int i = 0; i < x.n_dims; i++)
        n *= x.dims[i];
    if (n != x.n_bytes || n == 0 || (kind == OMQ_IDX_LABELS ? x.n_dims != 1 : x.n_dims < 3))
        abort();
    for (size_t i = 0; i < n; i++) /* every byte is there to be read */
        sum += x.bytes[i];
    if (sum > 255 * n)
        abort();
    free(x.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_kind(data, size, OMQ_IDX_IMAGES);
    try_kind(data, size, OMQ_IDX_LABELS);
    return 0;
}
