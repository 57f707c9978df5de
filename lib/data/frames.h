/* SPDX-License-Identifier: MIT
 *
 * Images one by one, as omq-run takes them. One thread at a time may use a
 * struct omq_frames.
 */
#ifndef OMQ_DATA_FRAMES_H
#define OMQ_DATA_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "omq.h"

/* Images one by one, from files (JPEG, PNG, idx; told by their content) and, as
 * "-", raw frames of the model's size on standard input. Pictures of another
 * size are resized and cut as shape says. */
struct omq_frames;
int omq_frames_open(struct omq_frames **out, const char *const *paths, int n_paths,
                    const struct omq_model_shape *shape, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_frames_close(struct omq_frames *f); /* NULL is fine */
/* While a frame of standard input is waited for, whole, fn is called about ten
 * times a second; when it returns false, the images end there, and a frame of which only
 * a part has come is dropped. Without fn, reading waits. */
void omq_frames_on_idle(struct omq_frames *f, bool (*fn)(void *ctx), void *ctx);
/* The next one to pixels [height][width][channels]: 1, or 0 at the end. A file
 * that is no image is a failure, and the next call goes on behind it. name: the
 * file's, with the image's number in it; f's, until the next call. */
int omq_frames_next(struct omq_frames *f, uint8_t *pixels, const char **name,
                    struct omq_err *err) OMQ_WARN_UNUSED;

#endif
