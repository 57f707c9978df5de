/* SPDX-License-Identifier: MIT
 *
 * Export: a model at one or more of its choices (precisions and profiles), as
 * files that other programs run or read.
 *
 * Data: a model file -> net and info -> numbers (port/numbers.c: a choice as the
 * integer engine computes it) -> a format's function -> stdio streams -> files, a
 * tar, or a pipe (port/write.c). A format is one row of formats.c and one file
 * or more of its own, which see this header and nothing of the streams' ends.
 */
#ifndef OMQ_PORT_PORT_H
#define OMQ_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "nn/nn.h"
#include "omq_tools.h"

/* ---- numbers.c: a choice as the engine computes it ---- */

struct omq_export_tensor {
    struct omq_act act; /* the logits have none: bits is 0 */
    double step;        /* real value = (code - act.zero_point) * step; of the logits 1 */
};

/* A unit of the plan. With acc = sum over the window of (x - zero point of x) * k,
 * where what lies outside the image is 0, and v = fmaf(acc, m, b) or, with a
 * residual, v = fmaf(res, r, clamp(rintf(fmaf(acc, m, b)), -128, 127) + zero), its
 * output's code is clamp(rintf(v), 0, q_max), or v itself where the output is the
 * logits. */
struct omq_export_unit {
    /* CONV: */
    struct omq_grid grid;
    int parts;               /* of acc's unit, of which the bias has a whole number; or 0 */
    int8_t *k;               /* [oc][kh][kw][channels of a group] */
    omq_real *unit;          /* [oc]: real value of one code of the weights */
    omq_real *m, *b;         /* [oc]; AVGPOOL: [1], of the sum */
    struct omq_addend add;   /* with a residual: of its codes as they are */
    omq_real *scale, *bias;  /* [oc]: real output is acc * scale + bias + residual */
    struct omq_rescale rescale; /* REQUANT: v = fmaf(code - zp_in, ratio, zp_out) */
};

struct omq_export_numbers {
    const struct omq_net *net;           /* plan.units, plan.tensors and layers go with these */
    const struct omq_model_info *info;
    int number;                          /* of the choice, as omq_choice_at() */
    struct omq_choice choice;
    struct omq_export_tensor *tensors;   /* [plan.n_tensors] */
    struct omq_export_unit *units;       /* [plan.n_units] */
    struct omq_arena arena;
};
/* OMQ_EUNSUP, OMQ_EARG as omq_engine_open(); OMQ_EUNSUP for scales that are not finite.
 * net and info are borrowed. */
int omq_export_numbers_open(struct omq_export_numbers **out, const struct omq_net *net,
                            const struct omq_model_info *info, int choice,
                            struct omq_err *err) OMQ_WARN_UNUSED;
void omq_export_numbers_close(struct omq_export_numbers *n); /* NULL is fine */
/* Bits of a unit's weights (CONV). */
int omq_export_bits(const struct omq_export_numbers *n, int unit);
/* For formats that have weights as PyTorch has: where in [out][kh][kw][in], which is k's
 * order, weight i of [out][in][kh][kw] is. */
size_t omq_export_weight_at(const struct omq_layer *l, size_t i);

/* ---- formats.c ---- */

/* What a format's function is asked for. */
struct omq_export_job {
    const struct omq_export_options *opt;
    const char *name;   /* a C identifier: of what is written */
    int n;              /* choices; more than one only if the format holds several */
    struct omq_export_numbers *const *choices; /* [n] */
};

struct omq_export_format {
    const char *name, *summary;
    const char *suffixes[3];   /* of its files, ".c" first; NULL-terminated */
    bool one_stream;           /* of several files, the first alone can hold all */
    bool several;              /* one file holds several choices */
    bool is_text;              /* for people, too */
    int act_bits;              /* most that its layers may read; 0: any */
    const char *const *styles; /* words of --style, the default first, or NULL */
    bool takes_main, takes_integer, takes_cmsis, takes_types;
    /* Writes to out[], one a suffix; out[1] is NULL where out[0] is to hold all. What
     * streams say is checked afterwards. OMQ_EUNSUP for what the format cannot hold. */
    int (*write)(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
};
extern const struct omq_export_format omq_export_formats[];

/* Formats: one function each. */
/* A packed model file (omq-format(5)). */
int omq_export_omq(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
int omq_export_npz(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
int omq_export_safetensors(const struct omq_export_job *job, FILE *const out[2],
                           struct omq_err *err);
int omq_export_ncnn(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
int omq_export_json(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
int omq_export_c(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
int omq_export_onnx(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err);
int omq_export_onnx_switch(const struct omq_export_job *job, FILE *const out[2],
                           struct omq_err *err);
extern const char *const omq_onnx_styles[], *const omq_onnx_switch_styles[];

/* ---- vectors.c ---- */

/* opt->vectors images and the logits of all choices, as an npz. */
int omq_export_vectors(const struct omq_export_job *job, FILE *out, struct omq_err *err);

/* ---- tar.c ---- */

/* One regular file of a ustar archive, owner 0, time 0; the end of the archive. */
int omq_tar_put(FILE *f, const char *name, const void *bytes, size_t n,
                struct omq_err *err) OMQ_WARN_UNUSED;
void omq_tar_end(FILE *f);

#endif
