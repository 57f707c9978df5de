/* SPDX-License-Identifier: MIT
 *
 * Inside engine: what is planned (engine.c: values; arrange.c: places), and
 * what executes it (units.c: one unit; run.c: all of them).
 */
#ifndef OMQ_ENGINE_ENGINE_INTERNAL_H
#define OMQ_ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"

/* Codes [n][h][w][c] with a border around each image, which holds the zero
 * point: what convolutions with padding read. */
struct omq_engine_tensor {
    struct omq_act act;
    double step;
    int h, w, c, border;
    bool is_logits;    /* has no codes */
    ptrdiff_t row, image; /* bytes from a row to the next, from image to image */
    size_t offset;     /* in scratch, an image: n images are at n * offset */
};

struct omq_engine_unit {
    enum omq_unit_kind kind;
    int in, out, res;      /* tensors; res -1 = none */
    struct omq_window win; /* of the first group */
    int groups, oc;
    struct omq_rescale rescale; /* REQUANT */
    omq_real *m, *b, *r;   /* CONV: [groups][channels of one, padded]; AVGPOOL: m, b [1] */
    /* CONV, of a group each: */
    struct omq_conv_shape shape;
    ptrdiff_t *run_at;     /* [shape.n_runs] */
    uint8_t *w;            /* [groups][group_bytes] */
    size_t group_bytes;
    int32_t *start;        /* [groups][channels of one, padded] */
};

struct omq_engine {
    int n_units, n_tensors;
    struct omq_engine_unit *units;
    struct omq_engine_tensor *tensors;
    size_t image_bytes;   /* of scratch: the tensors of one image */
    size_t kernel_bytes, row_bytes; /* of scratch, for each thread */
    size_t weight_bytes;
    struct omq_arena arena;
};

/* Channels of a group's arrays: those of whole blocks of 16. */
static inline int omq_engine_padded(const struct omq_engine_unit *u)
{
    return (u->oc / u->groups + 15) / 16 * 16;
}

/* ---- arrange.c ---- */

/* Borders, distances and places of all tensors. Needs the sizes of tensors and
 * what units read and write. */
int omq_engine_arrange(struct omq_engine *e, struct omq_err *err) OMQ_WARN_UNUSED;
/* How a convolution's window lies in its input: the runs of its shape, and then,
 * in u->run_at, where they are. */
void omq_engine_runs(const struct omq_engine *e, const struct omq_engine_unit *u, int *n_runs,
                     int *run);
void omq_engine_place_runs(const struct omq_engine *e, struct omq_engine_unit *u);

/* ---- units.c ---- */

struct omq_engine_io {
    const struct omq_engine *e;
    int n;              /* images */
    int part, parts;    /* which share of the work this is, for threads */
    char *tensors;      /* of all parts */
    void *kernel, *row; /* of this one: kernel_bytes, row_bytes */
    float *logits;
    const struct omq_engine_watch *watch; /* one part only; or NULL */
};

/* An image's first code, inside the border. */
uint8_t *omq_engine_codes(const struct omq_engine_io *io, int tensor, int image);
/* The network's input, with its border; one unit. */
void omq_engine_load(const struct omq_engine_io *io, const uint8_t *codes);
void omq_engine_unit_run(const struct omq_engine_io *io, int unit);

#endif
