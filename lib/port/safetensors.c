/* SPDX-License-Identifier: MIT
 *
 * safetensors: 8 bytes, a JSON header, and the arrays one behind the other, as
 * the reference writer has them: by alignment, then by name, without holes.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "port/arrays.h"

/* The header's metadata has texts only. */
static json_t *metadata_of(const struct omq_export_job *job)
{
    static const char *const grids[] = {
        [OMQ_GRID_AUTO] = "auto", [OMQ_GRID_MIDRISE] = "midrise",
        [OMQ_GRID_SYMMETRIC] = "symmetric",
    };
    const struct omq_net *net = job->choices[0]->net;
    char *config = omq_config_dump(&job->choices[0]->info->config), eps[32];
    json_t *o = json_object(), *bits = json_string("");
    char tag[OMQ_ARRAY_TAG_SIZE];

    snprintf(eps, sizeof(eps), "%g", OMQ_BN_EPS);
    for (int i = 0; i < job->n; i++) {
        const char *word = omq_arrays_tag(&job->choices[i]->choice, tag);
        json_t *more = json_sprintf("%s%s%s", json_string_value(bits), i ? "," : "",
                                    word + (*word == '.')); /* as --bits has it */

        json_decref(bits);
        bits = more;
    }
    if (!o || !config || json_object_set_new(o, "format", json_string("pt")) ||
        json_object_set_new(o, "omq.version", json_string(OMQ_VERSION)) ||
        json_object_set_new(o, "omq.name", json_string(job->name)) ||
        json_object_set(o, "omq.bits", bits) ||
        json_object_set_new(o, "omq.weight_grid", json_string(grids[net->quant.grid])) ||
        json_object_set_new(o, "omq.bn_eps", json_string(eps)) ||
        json_object_set_new(o, "omq.config", json_string(config))) {
        json_decref(o);
        o = NULL;
    }
    json_decref(bits);
    free(config);
    return o;
}

static json_t *array_of(const struct omq_array *a, uint64_t offset)
{
    static const char *const types[] = {
        [OMQ_ARRAY_F32] = "F32", [OMQ_ARRAY_I8] = "I8", [OMQ_ARRAY_U8] = "U8",
    };
    json_t *shape = json_array();
    int failed = !shape;

    for (int i = 0; !failed && i < a->ndim; i++)
        failed = json_array_append_new(shape, json_integer(a->dims[i]));
    if (failed) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", types[a->type], "shape", shape,
                     "data_offsets", (json_int_t)offset, (json_int_t)(offset + a->n_bytes));
}

/* Allocated; NULL when out of memory. */
static char *header_of(const struct omq_export_job *job, const struct omq_arrays *a)
{
    json_t *o = json_object();
    char *text = NULL;
    uint64_t offset = 0;
    int failed = !o || json_object_set_new(o, "__metadata__", metadata_of(job));

    for (int i = 0; !failed && i < a->n; i++) {
        failed = json_object_set_new(o, a->list[i].name, array_of(&a->list[i], offset));
        offset += a->list[i].n_bytes;
    }
    if (!failed)
        text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

int omq_export_safetensors(const struct omq_export_job *job, FILE *const out[2],
                           struct omq_err *err)
{
    enum { ALIGN = 8, MOST = 100000000 }; /* of the header; MOST is the readers' limit */
    struct omq_arrays a;
    uint8_t size[ALIGN];
    size_t n, pad;
    char *header;
    int rc = omq_arrays_init(&a, job, err);

    if (rc < 0)
        return rc;
    header = header_of(job, &a);
    n = header ? strlen(header) : 0;
    pad = (ALIGN - n % ALIGN) % ALIGN;
    if (!header) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate the header of a safetensors file");
    } else if (n + pad > MOST) {
        rc = omq_fail(err, OMQ_EUNSUP, "%d arrays are too many for a safetensors file: export "
                      "fewer precisions", a.n);
    } else {
        omq_put_le64(size, n + pad);
        fwrite(size, sizeof(size), 1, out[0]);
        fprintf(out[0], "%s%*s", header, (int)pad, "");
        for (int i = 0; i < a.n; i++)
            fwrite(a.list[i].bytes, 1, a.list[i].n_bytes, out[0]);
    }
    free(header);
    omq_arrays_release(&a);
    return rc;
}
