/* SPDX-License-Identifier: MIT
 *
 * The members of a tar file, one after the other. One thread at a time.
 */
#ifndef OMQ_DATA_UNTAR_H
#define OMQ_DATA_UNTAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { OMQ_UNTAR_NAME = 1024 }; /* bytes of the name of a member, with its zero */

struct omq_untar {
    int fd;           /* the caller's */
    const char *name; /* the caller's; for messages */
    uint64_t size, at;
    char next_name[OMQ_UNTAR_NAME]; /* of the next header; empty: its own */
    bool has_size;
    uint64_t next_size;
};

struct omq_untar_member {
    char name[OMQ_UNTAR_NAME]; /* relative, without "..", printable */
    uint64_t offset, size;   /* of its bytes, which are all there */
};

/* fd: `size` bytes of a regular file. */
void omq_untar_open(struct omq_untar *t, int fd, uint64_t size, const char *name);

/* The next file in it: 1, or 0 at the end. Folders are passed over, links and
 * devices refused (OMQ_EUNSUP). Reads headers only, at most 64 KiB each. */
int omq_untar_next(struct omq_untar *t, struct omq_untar_member *m,
                   struct omq_err *err) OMQ_WARN_UNUSED;

#endif
