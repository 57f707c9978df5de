/* SPDX-License-Identifier: MIT
 *
 * Files: read whole with a limit or in parts, write atomically.
 *
 * An atomic file is written to a temporary name beside its target, flushed to
 * disk, and renamed over the target by omq_atomic_commit(), with the mode that
 * the target had. Until then the target is as it was; after any failure the
 * temporary file is gone. Of a link, the target is what it leads to. A target
 * that exists and is no regular file (a device, a pipe), or is reached through
 * a link in /proc (/dev/stdout), is written directly.
 */
#ifndef OMQ_BASE_FILE_H
#define OMQ_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"

/* Reads all of path ("-" is standard input) into *out, at most max_bytes
 * (more is OMQ_ENOMEM, naming the limit). The caller frees *out; one zero byte
 * follows the n_bytes. */
int omq_file_read(const char *path, size_t max_bytes, uint8_t **out, size_t *n_bytes,
                  struct omq_err *err) OMQ_WARN_UNUSED;

/* Opens a regular file for reading and says its size: the descriptor, which the caller
 * closes, or OMQ_EIO. Anything else is refused, and not waited for: it has no size to
 * compare with, and to open a pipe could take for ever. */
int omq_open_regular(const char *path, uint64_t *size, struct omq_err *err) OMQ_WARN_UNUSED;

/* The bytes [offset, offset + n) of fd to p. They were compared with the file's size: if
 * there are fewer now, that is OMQ_EIO too. name stands for the file in messages. */
int omq_read_at(int fd, uint64_t offset, void *p, size_t n, const char *name,
                struct omq_err *err) OMQ_WARN_UNUSED;

struct omq_atomic {
    char *path;          /* as it was given */
    char *target, *temp; /* temp NULL: written directly */
    FILE *f; /* write here; errors are found again by commit */
};

/* Opens a temporary file in the directory of path. */
int omq_atomic_open(struct omq_atomic *a, const char *path, struct omq_err *err) OMQ_WARN_UNUSED;

/* Flushes, fsyncs and closes the stream, and leaves nothing to commit but the
 * rename. On failure as after omq_atomic_abort(). */
int omq_atomic_flush(struct omq_atomic *a, struct omq_err *err) OMQ_WARN_UNUSED;

/* Flushes if that is not done, renames, fsyncs the directory. On failure the
 * temporary file is removed and the old target stands, but for a directory that
 * cannot be synced: then the new one does, and the error says so. The struct is
 * released either way. */
int omq_atomic_commit(struct omq_atomic *a, struct omq_err *err) OMQ_WARN_UNUSED;

/* Removes the temporary file; harmless after commit or a failed open. */
void omq_atomic_abort(struct omq_atomic *a);

/* Whether omq_atomic_open() would succeed, as far as that can be known without opening a
 * device or a pipe; leaves nothing. What cannot be written is better known before the work
 * than after it. */
int omq_file_try(const char *path, struct omq_err *err) OMQ_WARN_UNUSED;

/* Whether both are of one file, under whatever names. */
bool omq_is_same_file(const struct stat *a, const struct stat *b);

/* Creates a directory and its parents, as mkdir -p. */
int omq_make_dirs(const char *path, struct omq_err *err) OMQ_WARN_UNUSED;

/* Whether path is a directory that can be written to, or can become one: what can be known of
 * that without creating anything. */
int omq_check_dirs(const char *path, struct omq_err *err) OMQ_WARN_UNUSED;

/* "dir/name", allocated; NULL when out of memory. */
char *omq_path_join(const char *dir, const char *name);

#endif
