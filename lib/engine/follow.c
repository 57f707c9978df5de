/* SPDX-License-Identifier: MIT
 *
 * Following the switch word. The word is read through a file that stays open;
 * a model that is replaced, as whole files are by a rename, is another inode
 * under the same name. What is done to the file in place is told, and ignored:
 * the model has its own copy.
 */
#define _GNU_SOURCE
#include "engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* Seconds between looks at names, and how long a word may stay damaged. */
#define LOOK_S 1.0

/* What tells one file from another, and from what it was. */
struct identity {
    dev_t dev;
    ino_t ino;
    off_t size;
};

struct omq_follow {
    char *path, *control, *precision; /* control, precision: or NULL */
    struct omq_open_options opt;
    struct omq_model *model;
    struct identity seen;             /* of path, when last looked at */
    int fd;                           /* of the file with the word */
    struct omq_switch_word word;      /* the last one that was acted on */
    double next_look, torn_since;     /* torn_since: 0, the word is not damaged */
    bool told;                        /* that the word cannot be read */
};

static bool identify(const char *path, struct identity *id)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return false;
    *id = (struct identity){st.st_dev, st.st_ino, st.st_size};
    return true;
}

static bool same_word(struct omq_switch_word a, struct omq_switch_word b)
{
    return a.w == b.w && a.a == b.a && a.profile == b.profile;
}

static bool is_unset(struct omq_switch_word w) { return w.w == 0 && w.profile < 0; }

/* ---- opening ---- */

static int copy_text(char **to, const char *from, struct omq_err *err)
{
    if (from && !(*to = strdup(from)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a follower");
    return OMQ_OK;
}

/* The name is looked at first, then the word is read, then the model, so that no file and no
 * word that comes between is missed. */
static int open_first(struct omq_follow *f, struct omq_err *err)
{
    struct omq_switch_word word = {.profile = -1};
    int rc, at;

    (void)!identify(f->path, &f->seen); /* one that is not there yet is another one soon */
    if ((rc = omq_switch_open(&f->fd, f->control ? f->control : f->path, err)) < 0)
        return rc;
    (void)!omq_switch_look(f->fd, &word, NULL); /* a damaged word counts as never set */
    if ((rc = omq_model_open(&f->model, f->path, &f->opt, err)) < 0)
        return rc;
    f->word = word;
    at = omq_model_find_switch(f->model, word);
    return at < 0 || f->precision ? OMQ_OK : omq_model_set_wait(f->model, at, err);
}

int omq_follow_open(struct omq_follow **out, const char *path, const char *control,
                    const struct omq_open_options *opt, struct omq_err *err)
{
    struct omq_follow *f = calloc(1, sizeof(*f));
    int rc;

    if (!f)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a follower");
    f->fd = -1;
    if (opt)
        f->opt = *opt;
    if ((rc = copy_text(&f->path, path, err)) == OMQ_OK &&
        (rc = copy_text(&f->control, control, err)) == OMQ_OK &&
        (rc = copy_text(&f->precision, f->opt.precision, err)) == OMQ_OK) {
        f->opt.precision = f->precision;
        rc = open_first(f, err);
    }
    if (rc < 0) {
        omq_follow_close(f);
        return rc;
    }
    f->next_look = omq_now() + LOOK_S;
    *out = f;
    return OMQ_OK;
}

void omq_follow_close(struct omq_follow *f)
{
    if (!f)
        return;
    omq_model_close(f->model);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->control);
    free(f->precision);
    free(f);
}

struct omq_model *omq_follow_model(const struct omq_follow *f) { return f->model; }

/* ---- another file ---- */

/* The new model takes up what its own word says, or the precision that was
 * active, if it has one of that name. */
static int open_new(const struct omq_follow *f, struct omq_model **new, int *fd,
                    struct omq_switch_word *word, struct omq_err *err)
{
    struct omq_open_options opt = f->opt;
    struct omq_model_precision old;
    int rc, at = -1;

    omq_model_precision(f->model, omq_model_active(f->model), &old);
    opt.precision = NULL;
    if ((rc = omq_model_open(new, f->path, &opt, err)) < 0)
        return rc;
    if (f->control)
        *word = f->word;
    else if ((rc = omq_switch_open(fd, f->path, err)) < 0)
        return rc;
    else
        (void)!omq_switch_look(*fd, word, NULL);
    if (is_unset(*word))
        at = omq_model_find(*new, old.name, NULL);
    else
        at = omq_model_find_switch(*new, *word);
    return at < 0 ? OMQ_OK : omq_model_set_wait(*new, at, err);
}

static int replace(struct omq_follow *f, struct omq_err *err)
{
    struct omq_switch_word word = {.profile = -1};
    struct omq_model *new = NULL;
    int fd = -1, rc = open_new(f, &new, &fd, &word, err);

    if (rc < 0) {
        omq_model_close(new);
        if (fd >= 0)
            close(fd);
        return omq_wrap(err, "going on with the model as it was");
    }
    omq_model_close(f->model);
    f->model = new;
    f->word = word;
    if (fd >= 0) {
        close(f->fd);
        f->fd = fd;
    }
    return OMQ_OK;
}

/* A name that is gone for a while is no other file. */
static int look_at_name(struct omq_follow *f, enum omq_follow_event *event, struct omq_err *err)
{
    struct identity id, seen = f->seen;
    int rc;

    if (!identify(f->path, &id))
        return OMQ_OK;
    f->seen = id;
    if (id.dev == seen.dev && id.ino == seen.ino) {
        if (id.size == seen.size)
            return OMQ_OK;
        return omq_fail(err, OMQ_EFORMAT, "'%s' was changed in place: going on with the model as "
                        "it was; replace files by a rename", f->path);
    }
    if ((rc = replace(f, err)) == OMQ_OK)
        *event = OMQ_FOLLOW_REPLACED;
    return rc;
}

/* ---- another word ---- */

/* A write may be under way, or the file cut off: tell it if it lasts. */
static int unreadable(struct omq_follow *f, const struct omq_err *why, struct omq_err *err)
{
    double now = omq_now();

    if (f->torn_since == 0)
        f->torn_since = now;
    if (now - f->torn_since < LOOK_S || f->told)
        return OMQ_OK;
    f->told = true;
    return omq_fail(err, why->code, "'%s': %s", f->control ? f->control : f->path, why->msg);
}

static int look_at_word(struct omq_follow *f, enum omq_follow_event *event, struct omq_err *err)
{
    struct omq_switch_word word;
    struct omq_err why;
    int rc, at;

    if (omq_switch_look(f->fd, &word, &why) < 0)
        return unreadable(f, &why, err);
    f->torn_since = 0;
    f->told = false;
    if (same_word(word, f->word))
        return OMQ_OK;
    f->word = word;
    if (is_unset(word))
        return OMQ_OK;
    at = omq_model_find_switch(f->model, word);
    if (at < 0)
        return omq_fail(err, OMQ_EARG, "the switch word of '%s' names a precision that the model "
                        "does not have: going on with the one it was",
                        f->control ? f->control : f->path);
    if ((rc = omq_model_set(f->model, at, err)) == OMQ_OK)
        *event = OMQ_FOLLOW_SWITCHED;
    return rc;
}

int omq_follow_poll(struct omq_follow *f, enum omq_follow_event *event, struct omq_err *err)
{
    double now = omq_now();

    *event = OMQ_FOLLOW_NOTHING;
    if (now >= f->next_look) {
        int rc = look_at_name(f, event, err);

        f->next_look = now + LOOK_S;
        if (rc < 0 || *event != OMQ_FOLLOW_NOTHING)
            return rc;
    }
    return look_at_word(f, event, err);
}
