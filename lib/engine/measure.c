/* SPDX-License-Identifier: MIT
 *
 * The speed of a model at one precision.
 */
#include "engine/live.h"

#include <stdlib.h>

#include "base/clock.h"
#include "engine/engine_internal.h"

enum { WARM_UP = 2, LEAST_RUNS = 3, MOST_RUNS = 100000 };

static int time_runs(struct omq_model *m, struct omq_batch_io *b, double seconds, double *ms,
                     int *n, struct omq_err *err)
{
    double begin = 0;
    int rc;

    for (int i = -WARM_UP;; i++) {
        double start = omq_now();

        if (i == 0)
            begin = start;
        if (i == MOST_RUNS || (i >= LEAST_RUNS && start - begin > seconds)) {
            *n = i;
            return OMQ_OK;
        }
        if ((rc = omq_model_run_uncounted(m, b, err)) < 0)
            return rc;
        if (i >= 0)
            ms[i] = 1e3 * (omq_now() - start);
    }
}

static void fill(uint8_t *pixels, size_t n)
{
    uint32_t x = 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        pixels[i] = (uint8_t)(x >> 24);
    }
}

static void summarize(double *ms, int n, int batch, struct omq_model_bench *out)
{
    struct omq_times t = omq_times_of(ms, n);

    *out = (struct omq_model_bench){
        .ms = t.median, .ms_p10 = t.p10, .ms_p90 = t.p90,
        .images_per_s = 1e3 * batch / t.median, .runs = n,
    };
}

int omq_model_bench(struct omq_model *m, int precision, int batch, double seconds,
                    struct omq_model_bench *out, struct omq_err *err)
{
    struct omq_model_shape shape;
    struct omq_batch_io b = {.n = batch, .precision = precision};
    const struct omq_engine *plan;
    uint8_t *pixels;
    double *ms;
    size_t image;
    int n = 0, rc;

    if (batch < 1)
        return omq_fail(err, OMQ_EARG, "cannot time a batch of %d images", batch);
    if ((rc = omq_model_take(m, precision, &plan, err)) < 0) /* ready while it is timed */
        return rc;
    omq_model_shape(m, &shape);
    image = (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;
    b.images = pixels = omq_calloc((size_t)batch, image);
    b.logits = omq_calloc((size_t)batch, sizeof(float) * (size_t)shape.n_classes);
    ms = omq_calloc(MOST_RUNS, sizeof(*ms));
    if (!pixels || !b.logits || !ms) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate %d images to measure with", batch);
    } else {
        fill(pixels, (size_t)batch * image);
        rc = time_runs(m, &b, seconds, ms, &n, err);
    }
    if (rc == OMQ_OK) {
        summarize(ms, n, batch, out);
        out->threads = omq_model_threads(m);
        omq_engine_kernel(plan, out->kernel, sizeof(out->kernel));
    }
    omq_model_give(m, precision);
    free(pixels);
    free(b.logits);
    free(ms);
    return rc;
}
