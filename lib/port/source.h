/* SPDX-License-Identifier: MIT
 *
 * Named arrays of numbers in other programs' files: safetensors, npz, and the
 * parameters of a model of ours. What is opened has been checked: no name stands
 * twice, every array lies in the file, and its bytes are those of its shape.
 *
 * A file is read whole, but values are converted (and those of an npz inflated)
 * one array at a time, when they are asked for, by whoever knows that their shape
 * is the one he needs: what a file promises costs no memory.
 */
#ifndef OMQ_PORT_SOURCE_H
#define OMQ_PORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    OMQ_SOURCE_DIMS = 8,
    OMQ_SOURCE_NAME = 512,      /* bytes of a name, with its zero */
    OMQ_SOURCE_MOST = 1 << 16,  /* arrays of a file */
};

enum omq_source_type {
    OMQ_SOURCE_F32, OMQ_SOURCE_F64, OMQ_SOURCE_F16, OMQ_SOURCE_BF16,
    OMQ_SOURCE_OTHER, /* is there, but cannot be read; its size is not checked */
};

struct omq_source_array {
    char *name;
    enum omq_source_type type;
    char type_name[40];          /* as the file calls it */
    int ndim;
    uint64_t dims[OMQ_SOURCE_DIMS];
    size_t n;                    /* values; their product */
    const uint8_t *bytes;        /* in the file, little-endian, C order */
    size_t n_bytes;              /* there */
    struct {                     /* of an npz: */
        bool deflated;
        size_t skip;             /* bytes of the member before the values */
        uint32_t crc;            /* of the whole member */
    } zip;
};

struct omq_source {
    char *path;                    /* for messages */
    int n, room;
    struct omq_source_array *list; /* by name */
    uint8_t *file;                 /* what the arrays point into */
    size_t n_bytes;
    int n_rooms;
    void **rooms;                  /* and what was made of it */
};

/* Opens a file, whose kind its first bytes tell. OMQ_EUNSUP for other kinds (a
 * pickle of PyTorch, say: the sentence has the way out). */
int omq_source_open(struct omq_source *s, const char *path, struct omq_err *err) OMQ_WARN_UNUSED;
/* The same from memory, which it takes over, also on failure. */
int omq_source_parse(struct omq_source *s, const char *path, uint8_t *bytes, size_t n,
                     struct omq_err *err) OMQ_WARN_UNUSED;
void omq_source_release(struct omq_source *s);

/* All values of an array of this source. OMQ_EUNSUP where they are no floats,
 * OMQ_EFORMAT where what was compressed is damaged. */
int omq_source_read(const struct omq_source *s, const struct omq_source_array *a, float *values,
                    struct omq_err *err) OMQ_WARN_UNUSED;

/* Bits of floats of 16 bits: IEEE 754 binary16, and bfloat16. */
float omq_from_half(uint32_t bits);
float omq_from_half_brain(uint32_t bits);

/* ---- for the readers, one a kind of file ---- */

/* Each fills s->list from s->file and calls omq_source_seal(). */
int omq_source_safetensors(struct omq_source *s, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_source_npz(struct omq_source *s, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_source_model(struct omq_source *s, struct omq_err *err) OMQ_WARN_UNUSED;

/* Another array with a copy of the name, everything else zero; NULL after a failure. */
struct omq_source_array *omq_source_add(struct omq_source *s, const char *name, size_t n_name,
                                        struct omq_err *err);
/* n zeroed bytes that live as long as the source; NULL when out of memory. */
uint8_t *omq_source_room(struct omq_source *s, size_t n, struct omq_err *err);
/* Sets a->n from a->dims and *n_bytes to that many of `size`; false on overflow. */
bool omq_source_count(struct omq_source_array *a, size_t size, size_t *n_bytes);
/* Sorts by name, and refuses names that stand twice. */
int omq_source_seal(struct omq_source *s, struct omq_err *err) OMQ_WARN_UNUSED;
/* source_npz.c: a compressed array, for free(); its values, n_values bytes, begin at
 * a->zip.skip. */
int omq_source_inflate(const struct omq_source *s, const struct omq_source_array *a,
                       size_t n_values, uint8_t **out, struct omq_err *err) OMQ_WARN_UNUSED;

#endif
