/* SPDX-License-Identifier: MIT
 *
 * Golden vectors: images and what the integer engine makes of them, for those who
 * bring an exported network to another machine.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/engine.h"
#include "port/arrays.h"

/* Image i, of noise in squares of 1, 2, 4 or 8 pixels: smooth enough to reach the
 * deeper layers, and the same for all models of its size. */
static void draw(const struct omq_preprocess *pre, int i, uint8_t *pixels)
{
    const int shift = i % 4, w = pre->width, c = pre->channels;
    struct omq_rng r;

    omq_rng_init(&r, 0, OMQ_STREAM_VECTORS, (uint32_t)i, 0);
    for (int y = 0; y < pre->height; y++)
        for (int x = 0; x < w; x++) {
            const int from = ((y >> shift << shift) * w + (x >> shift << shift)) * c;

            for (int ch = 0; ch < c; ch++) {
                const int at = (y * w + x) * c + ch;

                pixels[at] = from + ch == at ? (uint8_t)omq_rng_below(&r, 256) : pixels[from + ch];
            }
        }
}

/* codes [n][h][w][c], to logits [n][classes] as little-endian floats. */
static int run(const struct omq_export_numbers *n, const uint8_t *codes, int count, uint8_t *to,
               struct omq_err *err)
{
    const size_t classes = (size_t)n->net->n_classes;
    const struct omq_preprocess *pre = &n->net->pre;
    const size_t image = (size_t)pre->height * (size_t)pre->width * (size_t)pre->channels;
    float *logits = calloc(classes, sizeof(*logits));
    struct omq_engine *e;
    void *scratch;
    int rc = omq_engine_open(&e, n->net, n->choice.layers, n->choice.precision, err);

    if (rc < 0) {
        free(logits);
        return rc;
    }
    scratch = omq_calloc(1, omq_engine_scratch_size(e, 1, 1));
    if (!scratch || !logits)
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate what the vectors need");
    for (int i = 0; rc == OMQ_OK && i < count; i++) {
        omq_engine_run(e, codes + (size_t)i * image, 1, logits, scratch);
        omq_arrays_put_reals(to + (size_t)i * classes * sizeof(float), logits, classes);
    }
    free(scratch);
    free(logits);
    omq_engine_close(e);
    return rc;
}

/* What an npz cannot hold takes long to make. */
static int check_size(const struct omq_export_job *job, struct omq_err *err)
{
    const struct omq_net *net = job->choices[0]->net;
    const uint64_t image = (uint64_t)net->pre.height * (uint64_t)net->pre.width *
                           (uint64_t)net->pre.channels;
    const uint64_t each = 2 * image + (uint64_t)job->n * (uint64_t)net->n_classes * sizeof(float);

    if ((uint64_t)job->opt->vectors * each < UINT32_MAX)
        return OMQ_OK;
    return omq_fail(err, OMQ_EUNSUP, "%d images, and their logits, of %llu bytes each are too many "
                    "for an npz, which holds 4 GiB: give a smaller number to --vectors",
                    job->opt->vectors, (unsigned long long)each);
}

static int fill(struct omq_arrays *a, const struct omq_export_job *job, struct omq_err *err)
{
    const struct omq_net *net = job->choices[0]->net;
    const struct omq_preprocess *pre = &net->pre;
    const int count = job->opt->vectors;
    const int dims[] = {count, pre->height, pre->width, pre->channels};
    const int logits_dims[] = {count, net->n_classes};
    const size_t image = (size_t)pre->height * (size_t)pre->width * (size_t)pre->channels;
    uint8_t *pixels = omq_arrays_add(a, OMQ_ARRAY_U8, 4, dims, "pixels");
    uint8_t *codes = omq_arrays_add(a, OMQ_ARRAY_U8, 4, dims, "codes");
    int rc = OMQ_OK;

    if (!pixels || !codes)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the vectors");
    for (int i = 0; i < count; i++) {
        draw(pre, i, pixels + (size_t)i * image);
        omq_preprocess_apply(pre, pixels + (size_t)i * image, codes + (size_t)i * image);
    }
    for (int i = 0; rc == OMQ_OK && i < job->n; i++) {
        uint8_t *logits = omq_arrays_add(a, OMQ_ARRAY_F32, 2, logits_dims, "logits.%s",
                                         job->choices[i]->choice.name);

        rc = logits ? run(job->choices[i], codes, count, logits, err)
                    : omq_fail(err, OMQ_ENOMEM, "cannot allocate the vectors");
    }
    return rc;
}

int omq_export_vectors(const struct omq_export_job *job, FILE *out, struct omq_err *err)
{
    struct omq_arrays a = {0};
    int rc = check_size(job, err);

    if (rc == OMQ_OK)
        rc = fill(&a, job, err);
    if (rc == OMQ_OK)
        rc = omq_npz_put(out, &a, err);
    omq_arrays_release(&a);
    return rc;
}
