/* SPDX-License-Identifier: MIT
 *
 * The folder of a run: one run in it, one process at a time, and the models that
 * it keeps there.
 */
#define _GNU_SOURCE /* O_DIRECTORY, flock */
#include "train/train_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"

bool omq_folder_has(const char *dir, const char *name)
{
    char *path = omq_path_join(dir, name);
    bool there = path && access(path, F_OK) == 0;

    free(path);
    return there;
}

int omq_folder_check(const char *dir, bool resuming, bool force, struct omq_err *err)
{
    static const char *const files[] = {"model.omq", "best.omq", "metrics.jsonl"};
    bool there = omq_folder_has(dir, "last.omq");

    if (resuming && !there)
        return omq_fail(err, OMQ_ECONFIG, "there is no '%s/last.omq' to resume from", dir);
    if (resuming || force)
        return OMQ_OK;
    if (there)
        return omq_fail(err, OMQ_ECONFIG, "'%s' already holds a run: --resume continues it, "
                        "--force starts again", dir);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (omq_folder_has(dir, files[i]))
            return omq_fail(err, OMQ_ECONFIG, "'%s' already holds '%s' of a run: --force replaces "
                            "it, or choose another output_dir", dir, files[i]);
    return OMQ_OK;
}

/* Whether checkpoints can be written there. */
static int try_to_write(const char *dir, struct omq_err *err)
{
    char *path = omq_path_join(dir, "last.omq");
    int rc;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    rc = omq_file_try(path, err);
    free(path);
    return rc;
}

int omq_folder_hold(const char *dir, bool resuming, bool force, int *held, struct omq_err *err)
{
    int rc = omq_make_dirs(dir, err);

    if (rc < 0)
        return rc;
    if ((*held = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", dir);
    /* not all file systems have locks: without them, nothing is refused */
    if (flock(*held, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return omq_fail(err, OMQ_ECONFIG, "another run is at work in '%s': wait for it, or choose "
                        "another output_dir", dir);
    rc = omq_folder_check(dir, resuming, force, err); /* others may have run there meanwhile */
    return rc < 0 ? rc : try_to_write(dir, err);
}

void omq_folder_leave(int *held)
{
    if (*held >= 0)
        close(*held);
    *held = -1;
}

/* ---- models ---- */

/* In this order: where a run is complete there is its model, which others may have
 * switched or recalibrated since, and which is not to be written again. */
int omq_folder_save_complete(struct omq_train *t, struct omq_err *err)
{
    int rc = omq_checkpoint_save(t, "model.omq", false, err);

    return rc < 0 ? rc : omq_checkpoint_save(t, "last.omq", true, err);
}

int omq_folder_save_best(struct omq_train *t, double mean, struct omq_err *err)
{
    /* without held-out images there is nothing honest to choose by */
    if (t->config.data.validation > 0 && mean <= t->at.best)
        return OMQ_OK;
    t->at.best = mean;
    return omq_checkpoint_save(t, "best.omq", false, err);
}
