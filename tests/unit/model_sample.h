/* SPDX-License-Identifier: MIT
 *
 * The network of the tests of model files, and the bytes of its file. What is
 * not expected to fail fails the test with the library's sentence.
 */
#ifndef OMQ_TESTS_MODEL_SAMPLE_H
#define OMQ_TESTS_MODEL_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "ckpt/ckpt.h"
#include "nn/nn.h"

enum { SIDE = 8, CHANNELS = 2, CLASSES = 5 };

/* Fixture: a model file in a folder of its own, which a test may overwrite; its
 * bytes, but META not compressed; and afterwards jansson's allocator of before. */
extern char model_path[96];
extern uint8_t *model_good;
extern size_t model_size;
void model_setup(void);
void model_teardown(void);

/* A network of four precisions with quant.view, random values, results of two
 * precisions and two profiles. */
void model_make(struct omq_net *net, struct omq_model_info *info, const char *view);
void model_release(struct omq_net *net, struct omq_model_info *info);
void model_write(const struct omq_net *net, const struct omq_model_info *info, const char *to);

/* The file at model_path; allocated. */
void model_read_bytes(uint8_t **p, size_t *n);
/* An image with another META; allocated. */
uint8_t *model_with_meta(const uint8_t *image, const char *text, size_t n, size_t *n_out);
struct omq_ckpt *model_open(const uint8_t *image, size_t n);

/* omq_model_get() from an image; why has no text if it succeeds. */
int model_get(const uint8_t *image, size_t n, struct omq_net *net, struct omq_model_info *info,
              struct omq_err *why);
/* Not a model, and a sentence that has text. */
void model_refuse(const uint8_t *image, size_t n, int code, const char *text);

#endif
