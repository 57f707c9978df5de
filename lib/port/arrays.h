/* SPDX-License-Identifier: MIT
 *
 * A model as named arrays, which npz and safetensors hold: its shared parameters
 * by their PyTorch names and, of each choice, integer codes, scales, steps and
 * batch norm. omq-export(1) says how they are called.
 */
#ifndef OMQ_PORT_ARRAYS_H
#define OMQ_PORT_ARRAYS_H

#include <stddef.h>
#include <stdint.h>

#include "port/port.h"

enum omq_array_type { OMQ_ARRAY_F32, OMQ_ARRAY_I8, OMQ_ARRAY_U8 };
enum { OMQ_ARRAY_NAME_SIZE = OMQ_NAME_SIZE + 64 + 24 }; /* of a layer, a profile, endings */

struct omq_array {
    char name[OMQ_ARRAY_NAME_SIZE];
    enum omq_array_type type;
    int ndim, dims[4];
    size_t n_bytes;
    uint8_t *bytes; /* in C order, little-endian */
};
struct omq_arrays {
    int n, room;
    struct omq_array *list; /* by type, then by name; no name twice */
};

/* Another array to fill, zeroed, or NULL when out of memory. The name is one printf
 * makes. */
uint8_t *omq_arrays_add(struct omq_arrays *a, enum omq_array_type type, int ndim, const int *dims,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* n reals to the bytes of an array. */
void omq_arrays_put_reals(uint8_t *to, const omq_real *from, size_t n);

/* All arrays of a job. OMQ_EUNSUP where two would have the same name. */
int omq_arrays_init(struct omq_arrays *a, const struct omq_export_job *job,
                    struct omq_err *err) OMQ_WARN_UNUSED;
void omq_arrays_release(struct omq_arrays *a);
/* As an npz; OMQ_EUNSUP where there are too many. */
int omq_npz_put(FILE *f, const struct omq_arrays *a, struct omq_err *err) OMQ_WARN_UNUSED;

/* What stands for a choice in names: "4" for w4a4, else a dot and its name; into
 * buf, which is returned. */
enum { OMQ_ARRAY_TAG_SIZE = 72 };
const char *omq_arrays_tag(const struct omq_choice *c, char buf[OMQ_ARRAY_TAG_SIZE]);

#endif
