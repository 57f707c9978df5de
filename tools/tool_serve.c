/* SPDX-License-Identifier: MIT
 *
 * Images through a model that may be switched meanwhile: by omq-switch, by a governor,
 * or by another model that takes its name.
 */
#define _GNU_SOURCE /* clock_gettime, strdup */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "omq_tools.h"
#include "tool.h"

struct session {
    const struct tool_serving *what;
    struct omq_model *model;       /* the follower's, if there is one */
    struct omq_model_shape shape;
    struct tool_governor governor;
    struct omq_presence *presence; /* or NULL */
    bool told_unseen;              /* that others do not see us */
    uint8_t *pixels;               /* [batch_size][image] */
    char **names;                  /* [batch_size] */
    float *logits;                 /* [batch_size][n_classes] */
    size_t image;
    int ran_at;                    /* of the last batch, or set since */
    bool waiting;                  /* for a frame */
    bool ended;                    /* nothing more can be run */
    char reason[256];              /* why the next switch comes, or the last one came */
    uint64_t switched_ms;
    double next_update;
    int status;
};

/* ---- what others see ---- */

/* Opens, or brings up to date, what omq-switch --status shows of a follower. */
static void publish(struct session *s, bool open)
{
    struct omq_counters c;
    struct omq_presence_state state;
    struct omq_err err = { 0 };
    int rc;

    if (!s->what->follower)
        return;
    omq_model_counters(s->model, &c);
    state = (struct omq_presence_state){
        .precision = tool_precision_name(s->model, s->ran_at),
        .waiting = s->waiting,
        .switches = c.switches, .batches = c.batches, .images = c.images,
        .reason = s->switched_ms ? s->reason : NULL, .switched_ms = s->switched_ms,
    };
    if (open || !s->presence) { /* what failed is tried again */
        struct omq_presence *old = s->presence; /* who looks is to see one or both */

        s->presence = NULL;
        rc = omq_presence_open(&s->presence, tool_state_dir(), s->what->path, &state, &err);
        omq_presence_close(old);
    } else {
        rc = omq_presence_update(s->presence, &state, &err);
    }
    if (rc < 0 && !s->told_unseen && !tool_common.quiet)
        tool_message("omq-switch --status does not see this process: %s", err.msg);
    s->told_unseen = rc < 0;
    s->next_update = omq_now() + 1;
}

/* ---- who switches ---- */

static bool same_shape(const struct omq_model_shape *a, const struct omq_model_shape *b)
{
    return a->height == b->height && a->width == b->width && a->channels == b->channels &&
           a->n_classes == b->n_classes && a->resize == b->resize && a->bicubic == b->bicubic &&
           a->transpose == b->transpose;
}

/* Images are of the old model's size, and so is the room for its answers. */
static void take_new_model(struct session *s)
{
    struct omq_model_shape shape;

    s->model = omq_follow_model(s->what->follower);
    omq_model_shape(s->model, &shape);
    if (!same_shape(&shape, &s->shape)) {
        tool_message("'%s' was replaced by a model for other images or classes: start anew",
                     s->what->path);
        s->status = TOOL_FAILED;
        s->ended = true;
        return;
    }
    if (s->what->governor) { /* it knows the old one's precisions */
        int status;

        tool_governor_close(&s->governor);
        status = tool_governor_open(&s->governor, s->model, s->what->governor, s->what->floor,
                                    true);
        if (status != TOOL_OK) {
            tool_message("'%s' was replaced by a model that the governor cannot begin on: start "
                         "anew", s->what->path);
            s->status = TOOL_FAILED;
            s->ended = true;
            return;
        }
    }
    s->ran_at = omq_model_active(s->model);
    if (!tool_common.quiet)
        tool_message("'%s' was replaced; the new model runs at %s", s->what->path,
                     tool_precision_name(s->model, s->ran_at));
    publish(s, true);
}

/* Before a batch, and while there is none. */
static void look_at_switch(struct session *s)
{
    enum omq_follow_event event;
    struct omq_err err = { 0 };

    if (omq_follow_poll(s->what->follower, &event, &err) < 0) {
        tool_message("%s", err.msg);
    } else if (event == OMQ_FOLLOW_REPLACED) {
        take_new_model(s);
    } else if (event == OMQ_FOLLOW_SWITCHED) {
        snprintf(s->reason, sizeof(s->reason), "omq-switch");
        s->governor.seen = -1; /* it goes on from there, also if that was set all along */
    }
    if (omq_now() >= s->next_update && !s->ended)
        publish(s, false);
}

/* After a batch: was it the first one at another precision? Or while there is
 * none: will it be? */
static void note_precision(struct session *s, int ran_at)
{
    struct timespec t;

    if (ran_at != s->ran_at) {
        clock_gettime(CLOCK_REALTIME, &t);
        s->switched_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
        if (!tool_common.quiet)
            tool_message("%s -> %s: %s", tool_precision_name(s->model, s->ran_at),
                         tool_precision_name(s->model, ran_at), s->reason);
        s->ran_at = ran_at;
        publish(s, false);
    }
}

/* While there is no batch: whoever waits for a switch need not wait for one. */
static void follow(struct session *s)
{
    look_at_switch(s);
    if (!s->ended)
        note_precision(s, omq_model_active(s->model));
}

/* Standard input has nothing. */
static bool while_idle(void *ctx)
{
    struct session *s = ctx;

    if (s->what->follower) {
        s->waiting = true;
        follow(s);
        s->waiting = false;
    }
    return !*s->what->stop && !s->ended && !tool_reader_left();
}

/* ---- answers ---- */

static int run_batch(struct session *s, int n)
{
    struct omq_batch_io b = { .images = s->pixels, .n = n, .precision = OMQ_ACTIVE,
                              .logits = s->logits };
    struct omq_err err = { 0 };
    double start = omq_now(), ms;

    if (omq_model_run(s->model, &b, &err) != OMQ_OK)
        return tool_fail(&err);
    ms = 1e3 * (omq_now() - start);
    note_precision(s, b.ran_at);
    for (int i = 0; i < n; i++)
        tool_put_answer(s->model, s->names[i], s->logits + (size_t)i * (size_t)s->shape.n_classes,
                        s->what->top, tool_precision_name(s->model, b.ran_at), ms);
    if (s->what->governor)
        tool_governor_step(&s->governor, s->model, b.ran_at, ms, s->reason, sizeof(s->reason));
    return TOOL_OK;
}

/* Images until the batch is full, which may take long; *n of them. False at the end. */
static bool fill_batch(struct session *s, struct omq_frames *frames, int *n)
{
    for (*n = 0; *n < s->what->batch_size && !*s->what->stop && !s->ended;) {
        struct omq_err err = { 0 };
        const char *name;
        int rc = omq_frames_next(frames, s->pixels + (size_t)*n * s->image, &name, &err);

        if (rc == 0)
            return false;
        if (rc < 0) {
            (void)tool_fail(&err);
            s->status = TOOL_FAILED;
            continue;
        }
        free(s->names[*n]);
        s->names[*n] = strdup(name);
        if (!s->names[*n]) {
            tool_message("out of memory");
            s->status = TOOL_FAILED;
            return false;
        }
        ++*n;
        if (s->what->follower && omq_now() >= s->next_update)
            follow(s);
    }
    return !*s->what->stop;
}

static void answer_all(struct session *s, struct omq_frames *frames)
{
    bool more = true;
    int n, rc = TOOL_OK;

    omq_frames_on_idle(frames, while_idle, s);
    while (more && rc == TOOL_OK && !tool_stdout_broken()) { /* which flushes: each answer now */
        more = fill_batch(s, frames, &n);
        if (s->what->follower && !s->ended)
            look_at_switch(s);
        if (s->ended) {
            if (n > 0)
                tool_message("images read but not answered: %d", n);
            break;
        }
        if (n > 0)
            rc = run_batch(s, n);
    }
    if (rc != TOOL_OK)
        s->status = rc;
}

static int answer(struct session *s, const char *const *paths, int n_paths)
{
    const int batch_size = s->what->batch_size;
    struct omq_frames *frames = NULL;
    struct omq_err err = { 0 };

    s->pixels = calloc((size_t)batch_size, s->image);
    s->names = calloc((size_t)batch_size, sizeof(*s->names));
    s->logits = calloc((size_t)batch_size, sizeof(*s->logits) * (size_t)s->shape.n_classes);
    if (!s->pixels || !s->names || !s->logits) {
        tool_message("cannot allocate a batch of %d images", batch_size);
        s->status = TOOL_FAILED;
    } else if (omq_frames_open(&frames, paths, n_paths, &s->shape, &err) != OMQ_OK) {
        s->status = tool_fail(&err);
    } else {
        publish(s, true);
        answer_all(s, frames);
    }
    omq_frames_close(frames);
    for (int i = 0; s->names && i < batch_size; i++)
        free(s->names[i]);
    free(s->names);
    free(s->pixels);
    free(s->logits);
    return s->status;
}

int tool_serve(const struct tool_serving *what, const char *const *paths, int n_paths)
{
    struct session s = { .what = what, .model = what->model };
    int status = TOOL_OK;

    omq_model_shape(s.model, &s.shape);
    s.image = (size_t)s.shape.height * (size_t)s.shape.width * (size_t)s.shape.channels;
    if (what->governor)
        status = tool_governor_open(&s.governor, s.model, what->governor, what->floor, true);
    s.ran_at = omq_model_active(s.model);
    if (status == TOOL_OK)
        status = answer(&s, paths, n_paths);
    tool_governor_close(&s.governor);
    omq_presence_close(s.presence);
    return status;
}
