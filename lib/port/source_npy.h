/* SPDX-License-Identifier: MIT
 *
 * The text before the values of an array of NumPy, format 1.0 to 3.0.
 */
#ifndef OMQ_PORT_SOURCE_NPY_H
#define OMQ_PORT_SOURCE_NPY_H

#include "port/source.h"

enum { OMQ_NPY_MAX = 10000 }; /* bytes of it, as NumPy's own reader has it */

struct omq_npy {
    size_t n_header;  /* bytes before the values */
    char descr[16];   /* "<f4" */
    enum omq_source_type type;
    size_t size;      /* of a value */
    int ndim;
    uint64_t dims[OMQ_SOURCE_DIMS];
};

/* From the first n bytes of a file. OMQ_EUNSUP for what is not an array of
 * little-endian numbers in C order. */
int omq_npy_parse(struct omq_npy *out, const uint8_t *bytes, size_t n,
                  struct omq_err *err) OMQ_WARN_UNUSED;

#endif
