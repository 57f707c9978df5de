/* SPDX-License-Identifier: MIT
 *
 * Following the switch word. The word is read through a file that stays open;
 * a model that is replaced, as whole files are by a rename, is another inode
 * under the same name. What is done to the file in place is told, and ignored:
 * the model has its own copy.
 */
#define _GNU_SOURCE /* st_mtim */
#include "engine/engine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* Seconds between looks at names, and how long a word may stay damaged. */
#define LOOK_S 1.0

/* What is followed of one model file. */
struct source {
    struct omq_model *model;
    int held;                    /* the file, whose inode nobody else can have meanwhile; or -1 */
    off_t size;                  /* of it, when it was opened, */
    uint8_t sums[OMQ_CKPT_SUMS]; /* and what it held */
    int fd;                      /* of the file with the word */
    struct omq_switch_word word; /* the last one that was acted on, */
    struct timespec written;     /* and when that file was last written to */
};

struct omq_follow {
    char *path, *control, *precision; /* control, precision: or NULL */
    struct omq_open_options opt;
    struct source now;
    bool keeps_precision;             /* the word has not changed since it was asked for */
    struct stat refused;              /* what had the name, and could not be opened */
    int refused_code;                 /* of the error */
    double next_look, torn_since;     /* torn_since: 0, the word is not damaged */
    bool told_change, told_control, told_word; /* what is wrong with them */
};

/* Whether the file of fd is the one that st is of. */
static bool is_file(int fd, const struct stat *st)
{
    struct stat own;

    return fd >= 0 && fstat(fd, &own) == 0 && omq_is_same_file(&own, st);
}

static struct timespec last_write(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_mtim : (struct timespec){0};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* ---- opening ---- */

static int copy_text(char **to, const char *from, struct omq_err *err)
{
    if (from && !(*to = strdup(from)))
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a follower");
    return OMQ_OK;
}

static void release(struct source *s)
{
    omq_model_close(s->model);
    if (s->held >= 0)
        close(s->held);
    if (s->fd >= 0)
        close(s->fd);
}

static int open_word(const struct omq_follow *f, int *fd, struct omq_err *err)
{
    if (f->control && access(f->control, F_OK) < 0 && errno == ENOENT)
        return omq_fail(err, OMQ_EIO, "there is no '%s' with a switch word: omq-switch --control "
                        "makes it", f->control);
    return omq_switch_open(fd, f->control ? f->control : f->path, err);
}

/* The file is held first, then the word is read, then the model, so that no file and no word
 * that comes between is missed. A control file that is open already stays: fd -1. */
static int open_source(const struct omq_follow *f, struct source *s, struct omq_err *err)
{
    struct omq_open_options opt = f->opt;
    struct stat st;
    int rc;

    *s = (struct source){.held = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), .fd = -1,
                         .word = {.profile = -1}};
    if (s->held >= 0 && fstat(s->held, &st) == 0)
        s->size = st.st_size;
    omq_ckpt_sums(s->held, s->sums);
    if (f->control && f->now.fd >= 0) {
        s->word = f->now.word;
        s->written = f->now.written;
    } else if ((rc = open_word(f, &s->fd, err)) < 0) {
        return rc;
    } else {
        s->written = last_write(s->fd);
        (void)!omq_switch_look(s->fd, &s->word, NULL); /* a damaged word counts as never set */
    }
    opt.precision = f->now.model ? NULL : f->precision;
    return omq_model_open(&s->model, f->path, &opt, err);
}

/* What s is to run at, or -1: what it does. That is what its word names, or, if it names
 * nothing or is the old one in vain, what is active now. */
static int choose(const struct omq_follow *f, const struct source *s, bool keeps)
{
    int by_word = omq_model_find_switch(s->model, s->word), by_name;
    struct omq_model_precision old;

    if (!f->now.model)
        return keeps ? -1 : by_word;
    omq_model_precision(f->now.model, omq_model_active(f->now.model), &old);
    by_name = omq_model_find(s->model, old.name, NULL);
    return by_name >= 0 && (keeps || by_word < 0) ? by_name : by_word;
}

/* Opens the file that has the name, whole, and follows it. */
static int take(struct omq_follow *f, struct omq_err *err)
{
    struct source s;
    int rc = open_source(f, &s, err), at;
    bool keeps = f->keeps_precision && (!f->now.model || omq_switch_is_same(s.word, f->now.word));

    if (rc == OMQ_OK && (at = choose(f, &s, keeps)) >= 0)
        rc = omq_model_set_wait(s.model, at, err);
    if (rc < 0) {
        release(&s);
        return rc;
    }
    if (omq_model_find_switch(s.model, s.word) < 0)
        s.word = (struct omq_switch_word){.profile = -1}; /* told at the next look, if it is set */
    if (s.fd < 0) {
        s.fd = f->now.fd;
        f->now.fd = -1;
    }
    release(&f->now);
    f->now = s;
    f->keeps_precision = keeps;
    f->told_change = f->told_word = false;
    f->torn_since = 0;
    return OMQ_OK;
}

int omq_follow_open(struct omq_follow **out, const char *path, const char *control,
                    const struct omq_open_options *opt, struct omq_err *err)
{
    struct omq_follow *f = calloc(1, sizeof(*f));
    int rc;

    if (!f)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a follower");
    f->now.held = f->now.fd = -1;
    if (opt)
        f->opt = *opt;
    if ((rc = copy_text(&f->path, path, err)) == OMQ_OK &&
        (rc = copy_text(&f->control, control, err)) == OMQ_OK &&
        (rc = copy_text(&f->precision, f->opt.precision, err)) == OMQ_OK) {
        f->keeps_precision = f->precision != NULL;
        rc = take(f, err);
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
    release(&f->now);
    free(f->path);
    free(f->control);
    free(f->precision);
    free(f);
}

struct omq_model *omq_follow_model(const struct omq_follow *f) { return f->now.model; }

/* ---- other files ---- */

/* Its contents, owner or mode have not changed since. */
static bool is_refused(const struct omq_follow *f, const struct stat *st)
{
    return omq_is_same_file(&f->refused, st) && same_time(f->refused.st_ctim, st->st_ctim);
}

/* Another model of this size was written over it, or it was cut off. */
static bool is_changed(const struct source *s, off_t size)
{
    uint8_t sums[OMQ_CKPT_SUMS];

    omq_ckpt_sums(s->held, sums);
    return size != s->size || memcmp(sums, s->sums, sizeof(sums)) != 0;
}

/* Told once for a file, though it is written to meanwhile. */
static int refuse(struct omq_follow *f, const struct stat *st, const struct omq_err *why,
                  struct omq_err *err)
{
    bool told = omq_is_same_file(&f->refused, st) && f->refused_code == why->code;

    f->refused = *st;
    f->refused_code = why->code;
    return told ? OMQ_OK : omq_fail(err, why->code, "%s", why->msg);
}

/* A name that is gone for a while is no other file. What could not be opened is tried again
 * when it has changed: it may have been half a copy. */
static int look_at_name(struct omq_follow *f, enum omq_follow_event *event, struct omq_err *err)
{
    struct omq_err why;
    struct stat st;
    int rc;

    if (stat(f->path, &st) < 0)
        return OMQ_OK;
    if (is_file(f->now.held, &st)) {
        if (f->told_change || !is_changed(&f->now, st.st_size))
            return OMQ_OK;
        f->told_change = true;
        return omq_fail(err, OMQ_EFORMAT, "'%s' was changed in place: going on with the model as "
                        "it was; replace files by a rename", f->path);
    }
    if (is_refused(f, &st))
        return OMQ_OK;
    if (!S_ISREG(st.st_mode)) { /* to open a pipe is to wait for who writes to it */
        omq_fail(&why, OMQ_EIO, "'%s' is not a regular file any more: going on with the model "
                 "as it was", f->path);
        return refuse(f, &st, &why, err);
    }
    if ((rc = take(f, &why)) < 0) {
        omq_wrap(&why, rc, "going on with the model as it was");
        return refuse(f, &st, &why, err);
    }
    f->refused = (struct stat){0};
    *event = OMQ_FOLLOW_REPLACED;
    return OMQ_OK;
}

/* The word is looked at through the new file from now on, if it can be opened. */
static int look_at_control(struct omq_follow *f, struct omq_err *err)
{
    struct omq_err why;
    struct stat st;
    int fd;

    if (!f->control || stat(f->control, &st) < 0 || is_file(f->now.fd, &st))
        return OMQ_OK;
    if (omq_switch_open(&fd, f->control, &why) == OMQ_OK) {
        close(f->now.fd);
        f->now.fd = fd;
        f->now.written = last_write(fd);
        f->told_control = false;
        return OMQ_OK;
    }
    if (f->told_control)
        return OMQ_OK;
    f->told_control = true;
    return omq_fail(err, why.code, "going on with the switch word as it was: %s", why.msg);
}

/* ---- another word ---- */

/* A write may be under way, or the file cut off: tell it if it lasts. */
static int unreadable(struct omq_follow *f, const struct omq_err *why, struct omq_err *err)
{
    double now = omq_now();

    if (f->torn_since == 0)
        f->torn_since = now;
    if (now - f->torn_since < LOOK_S || f->told_word)
        return OMQ_OK;
    f->told_word = true;
    return omq_fail(err, why->code, "'%s': %s", f->control ? f->control : f->path, why->msg);
}

/* Whether somebody has set the word that it was; what else was written to a model in place
 * is told. */
static bool is_set_again(struct omq_follow *f)
{
    const struct timespec before = f->now.written;

    f->now.written = last_write(f->now.fd);
    return !same_time(before, f->now.written) && (f->control || !f->told_change);
}

/* once: the look of a second, for a word set again, after a governor changed what was
 * active. */
static int look_at_word(struct omq_follow *f, bool once, enum omq_follow_event *event,
                        struct omq_err *err)
{
    struct omq_switch_word word;
    struct omq_err why;
    struct stat st;
    int rc, at;

    if (omq_switch_look(f->now.fd, &word, &why) < 0)
        return unreadable(f, &why, err);
    f->torn_since = 0;
    f->told_word = false;
    if (omq_switch_is_same(word, f->now.word) && !(once && is_set_again(f)))
        return OMQ_OK;
    if (!f->control && fstat(f->now.held, &st) == 0 && is_changed(&f->now, st.st_size))
        return OMQ_OK; /* another model's word, written over this one: told by the name's look */
    f->now.word = word;
    f->now.written = last_write(f->now.fd);
    if (omq_switch_is_unset(word))
        return OMQ_OK;
    at = omq_model_find_switch(f->now.model, word);
    if (at < 0)
        return omq_fail(err, OMQ_EARG, "the switch word of '%s' names a precision that the model "
                        "does not have, or as float only: going on with the one it was",
                        f->control ? f->control : f->path);
    if ((rc = omq_model_set(f->now.model, at, err)) < 0)
        return rc;
    f->keeps_precision = false;
    *event = OMQ_FOLLOW_SWITCHED;
    return OMQ_OK;
}

int omq_follow_poll(struct omq_follow *f, enum omq_follow_event *event, struct omq_err *err)
{
    double now = omq_now();
    bool once = now >= f->next_look;

    *event = OMQ_FOLLOW_NOTHING;
    if (once) {
        int rc = look_at_name(f, event, err);

        f->next_look = now + LOOK_S;
        if (rc == OMQ_OK)
            rc = look_at_control(f, err);
        if (rc < 0 || *event != OMQ_FOLLOW_NOTHING)
            return rc;
    }
    return look_at_word(f, once, event, err);
}
