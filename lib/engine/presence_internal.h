/* SPDX-License-Identifier: MIT
 *
 * What writing and reading of presence share: the folder, the text of a file,
 * and what makes a process that process.
 */
#ifndef OMQ_ENGINE_PRESENCE_INTERNAL_H
#define OMQ_ENGINE_PRESENCE_INTERNAL_H

#include <stddef.h>

#include "engine/presence.h"

/* Of a file's text; all fields at their longest fit. */
enum { PRESENCE_TEXT_SIZE = 6144 };

/* Opens the folder, which has to be ours alone. If it is missing it is made,
 * or, without make, *fd is -1. */
int omq_presence_folder(const char *dir, bool make, int *fd, struct omq_err *err) OMQ_WARN_UNUSED;

/* When the process of this pid started: 1, 0 if it is gone or a zombie, -1 if
 * that cannot be told. */
int omq_presence_start(uint64_t pid, uint64_t *start);

/* Copies s, with '?' for control characters; what does not fit is cut. */
void omq_presence_clean(char *dst, size_t size, const char *s);

/* The text of a file; buf is PRESENCE_TEXT_SIZE. Returns its length. */
size_t omq_presence_print(const struct omq_presence_entry *e, char *buf);

/* The reverse; text has a zero byte behind its n bytes. False if it is none. */
bool omq_presence_parse(const char *text, size_t n, struct omq_presence_entry *e);

#endif
