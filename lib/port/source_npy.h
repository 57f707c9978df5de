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
    bool fortran;     /* its order: the first dimension is the fastest */
    enum omq_source_type type;
    size_t size;      /* of a value; of other types 0 */
    int ndim;
    uint64_t dims[OMQ_SOURCE_DIMS];
};

/* From the first n bytes of a file. What is no array of little-endian floats in C order is of
 * another type. */
int omq_npy_parse(struct omq_npy *out, const uint8_t *bytes, size_t n,
                  struct omq_err *err) OMQ_WARN_UNUSED;

#endif
