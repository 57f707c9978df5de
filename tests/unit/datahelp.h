/* SPDX-License-Identifier: MIT
 *
 * What the tests of lib/data share: idx files in a folder of their own, and
 * what they expect of messages.
 */
#ifndef OMQ_TESTS_DATAHELP_H
#define OMQ_TESTS_DATAHELP_H

#include <stddef.h>
#include <stdint.h>

#include "data/data.h"
#include "data/image.h"

/* The fixture: a new folder before a test, which is removed after it. */
extern char datahelp_dir[64];
void datahelp_setup(void);
void datahelp_teardown(void);

/* The path of a file in it; valid until the next call. */
const char *datahelp_path(const char *name);
/* A file, or a symbolic link to one of the source; folders before it are made. */
void datahelp_link(const char *name, const char *target);
void datahelp_put(const char *name, const void *bytes, size_t n);

/* One gzip member; returns its size. */
size_t datahelp_pack(uint8_t *out, size_t cap, const uint8_t *in, size_t n);

/* n_dims and dims of an idx file, as two arguments */
#define DIMS(...) (int)(sizeof((uint32_t[]){__VA_ARGS__}) / 4), (uint32_t[]){__VA_ARGS__}

/* The header of an idx file of unsigned bytes; returns its size. */
size_t datahelp_header(uint8_t *out, int n_dims, const uint32_t *dims);
void datahelp_put_idx(const char *name, int n_dims, const uint32_t *dims, const uint8_t *values);

/* 3 images of 2 x 2 pixels 0, 20, 40, ...: 16 + 12 bytes */
size_t datahelp_small(uint8_t out[64]);

struct omq_data_config datahelp_synthetic(int n, int h, int w, int c, int classes);

/* Opens a split that must open, and checks its labels. */
struct omq_dataset *datahelp_open(const struct omq_data_config *cfg, enum omq_split split,
                                  uint64_t seed);

/* A picture of tests/fuzz/image/corpus, for omq_image_release(). */
struct omq_image datahelp_picture(const char *name, int channels);

/* rc and err hold code, and the message every one of up to three parts; it is a
 * sentence without line end and full stop. Clears err. */
void datahelp_fails(int rc, struct omq_err *err, int code, const char *a, const char *b,
                    const char *c);

#endif
