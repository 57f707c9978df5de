/* SPDX-License-Identifier: MIT
 *
 * Presence: processes that run a model say so in a folder of their user, one
 * small file a process and model, so that others can list them and wait until
 * they have switched.
 *
 * The folder (the programs pass $XDG_RUNTIME_DIR/omq, or /tmp/omq-UID) is made
 * if it is missing, but not its parents. One that is a symbolic link, belongs
 * to somebody else, or is open to others is refused. A file is replaced as a
 * whole, by a rename, so that readers see one state or the next. Nothing is
 * flushed to disk: after a crash of the machine there is no process to find.
 *
 * A process is named by its pid and its start time (/proc/PID/stat, field 22),
 * so that a pid used again is not mistaken for it. Processes in another pid
 * namespace cannot see each other: do not share a folder with a container.
 *
 * One thread at a time may use a struct omq_presence. In a child made by
 * fork(), update does nothing but fail, and close leaves the parent's file.
 */
#ifndef OMQ_ENGINE_PRESENCE_H
#define OMQ_ENGINE_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    OMQ_PRESENCE_NAME_SIZE = 64,
    OMQ_PRESENCE_REASON_SIZE = 256,
    OMQ_PRESENCE_PATH_SIZE = 4096,
};

/* What a process says of its model. */
struct omq_presence_state {
    const char *precision;  /* the active one's name */
    bool waiting;           /* for input; else running */
    uint64_t switches, batches, images; /* so far */
    const char *reason;     /* of the last switch; NULL or "" if there was none */
    uint64_t switched_ms;   /* when that was, milliseconds since 1970; 0: never */
};

/* The same, as found; texts have '?' for control characters. */
struct omq_presence_entry {
    uint64_t pid, start;    /* start: clock ticks after the machine's */
    uint64_t dev, ino;      /* of the model when it was opened */
    uint64_t waiting;       /* 0 or 1 */
    uint64_t switches, batches, images;
    uint64_t switched_ms;
    uint64_t updated_ms;    /* when the file was last written */
    char precision[OMQ_PRESENCE_NAME_SIZE];
    char reason[OMQ_PRESENCE_REASON_SIZE];
    char path[OMQ_PRESENCE_PATH_SIZE]; /* absolute, of the model */
};

struct omq_presence;

/* Publishes that this process runs the model at path, a file that is there.
 * To follow a model that was replaced, open again, then close the old one. */
int omq_presence_open(struct omq_presence **out, const char *dir, const char *path,
                      const struct omq_presence_state *s, struct omq_err *err) OMQ_WARN_UNUSED;

/* Publishes a new state: five system calls, for each switch and now and then
 * between, not for each batch. On failure the last state stands, and the next
 * update tries anew: to be noted at most, the work goes on. */
int omq_presence_update(struct omq_presence *p, const struct omq_presence_state *s,
                        struct omq_err *err);

/* Removes the file. NULL is fine. */
void omq_presence_close(struct omq_presence *p);

/* Calls fn for every process in dir, by pid; if model is not NULL, for those
 * that run it: the same file (device and inode), or one that was at this path.
 * Files of processes that are gone are removed; those that make no sense are
 * left out. A folder that is missing is an empty one. */
int omq_presence_list(const char *dir, const char *model,
                      void (*fn)(void *ctx, const struct omq_presence_entry *e), void *ctx,
                      struct omq_err *err) OMQ_WARN_UNUSED;

#endif
