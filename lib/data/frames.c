/* SPDX-License-Identifier: MIT
 *
 * Images one by one, for omq-run: pictures, idx files, and raw frames from a
 * pipe.
 */
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#include "data/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/data_internal.h"
#include "data/image.h"

#define IDLE_MS 100 /* between calls of the idle function */

struct omq_frames {
    const char *const *paths;
    int n_paths, at;       /* at: the path that is being read, or is next */
    struct omq_model_shape shape;
    size_t frame;          /* bytes */
    struct omq_idx idx;    /* of paths[at], if idx.bytes */
    size_t i;              /* images read of it */
    bool (*idle)(void *ctx); /* or NULL */
    void *idle_ctx;
    double next_idle;      /* when it is called again, though bytes of a frame come */
    char name[4200];
};

int omq_frames_open(struct omq_frames **out, const char *const *paths, int n_paths,
                    const struct omq_model_shape *shape, struct omq_err *err)
{
    struct omq_frames *f = calloc(1, sizeof(*f));

    if (!f)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a list of images");
    f->paths = paths;
    f->n_paths = n_paths;
    f->shape = *shape;
    f->frame = (size_t)shape->height * (size_t)shape->width * (size_t)shape->channels;
    *out = f;
    return OMQ_OK;
}

void omq_frames_close(struct omq_frames *f)
{
    if (!f)
        return;
    free(f->idx.bytes);
    free(f);
}

void omq_frames_on_idle(struct omq_frames *f, bool (*fn)(void *ctx), void *ctx)
{
    f->idle = fn;
    f->idle_ctx = ctx;
}

/* ---- standard input ---- */

/* Until there is something to read, or the end: true. A signal that comes between
 * two looks is seen by the next one. begun: a part of the frame is there. */
static bool wait_for_input(struct omq_frames *f, bool begun)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int rc = 0;

    while (f->idle && rc <= 0) {
        rc = poll(&p, 1, IDLE_MS);
        if (rc < 0 && errno != EINTR)
            return true; /* read() tells why */
        if (rc > 0 && (!begun || omq_now() < f->next_idle))
            return true;
        if (!f->idle(f->idle_ctx))
            return false;
        f->next_idle = omq_now() + 1e-3 * IDLE_MS;
    }
    return true;
}

/* Until n bytes or the end; -1 with errno, -2 if it was not to be waited for. */
static ssize_t read_all(struct omq_frames *f, uint8_t *p, size_t n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r;

        if (!wait_for_input(f, got > 0))
            return -2;
        r = read(STDIN_FILENO, p + got, n - got);
        if (r == 0)
            break;
        if (r > 0)
            got += (size_t)r;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)got;
}

static int next_raw(struct omq_frames *f, uint8_t *pixels, struct omq_err *err)
{
    ssize_t n = read_all(f, pixels, f->frame);

    if (n == (ssize_t)f->frame) {
        snprintf(f->name, sizeof(f->name), "-[%zu]", f->i++);
        return 1;
    }
    f->at = n == -2 ? f->n_paths : f->at + 1;
    if (n == -1)
        return omq_fail_errno(err, OMQ_EIO, "cannot read standard input");
    if (n > 0)
        return omq_fail(err, OMQ_EFORMAT, "standard input ends inside frame %zu, after %zd of %zu "
                        "bytes (%d x %d x %d)", f->i, n, f->frame, f->shape.height,
                        f->shape.width, f->shape.channels);
    return 0;
}

/* ---- files ---- */

static bool is_idx(const uint8_t *p, size_t n)
{
    static const uint8_t gzip[] = {0x1f, 0x8b}, idx[] = {0, 0, 8};

    return (n >= sizeof(gzip) && memcmp(p, gzip, sizeof(gzip)) == 0) ||
           (n >= sizeof(idx) && memcmp(p, idx, sizeof(idx)) == 0);
}

/* By the first bytes; of a file only, since those of a pipe would be gone. */
static bool is_idx_file(const char *path)
{
    struct stat st;
    uint8_t p[4];
    ssize_t n;
    int fd;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
        (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    n = read(fd, p, sizeof(p));
    close(fd);
    return n > 0 && is_idx(p, (size_t)n);
}

/* What was read into f->idx is made what the model takes, or goes. */
static int take_idx(struct omq_frames *f, struct omq_err *err)
{
    const uint32_t *dims = f->idx.dims, channels = f->idx.n_dims == 4 ? dims[3] : 1;
    const struct omq_model_shape *s = &f->shape;
    int rc = OMQ_OK;

    f->i = 0;
    if (s->transpose)
        rc = omq_idx_transpose(&f->idx, err);
    if (rc == OMQ_OK && dims[1] == (uint32_t)s->height && dims[2] == (uint32_t)s->width &&
        channels == (uint32_t)s->channels)
        return OMQ_OK;
    if (rc == OMQ_OK)
        rc = omq_fail(err, OMQ_EARG, "the images of '%s' are %u x %u x %u, but the model takes %d "
                      "x %d x %d", f->paths[f->at], dims[1], dims[2], channels, s->height, s->width,
                      s->channels);
    free(f->idx.bytes);
    f->idx = (struct omq_idx){0};
    return rc;
}

static int decode_picture(const struct omq_frames *f, const uint8_t *bytes, size_t n,
                          uint8_t *pixels, struct omq_err *err)
{
    const struct omq_model_shape *s = &f->shape;
    struct omq_image im;
    int rc;

    if (s->channels != 1 && s->channels != 3)
        return omq_fail(err, OMQ_EUNSUP, "pictures have 1 or 3 channels, but the model takes %d: "
                        "give it raw frames on standard input", s->channels);
    if (n > 0 && n % f->frame == 0 && !omq_image_is_known(bytes, n))
        return omq_fail(err, OMQ_EFORMAT, "'%s' is no picture; if it is %zu frame%s of %d x %d x "
                        "%d bytes, give it as standard input: <%s", f->paths[f->at], n / f->frame,
                        n == f->frame ? "" : "s", s->height, s->width, s->channels,
                        f->paths[f->at]);
    if ((rc = omq_image_decode(&im, bytes, n, s->channels, f->paths[f->at], err)) < 0)
        return rc;
    if ((rc = omq_image_fit(&im, s->resize, s->height, s->width,
                            s->bicubic ? OMQ_BICUBIC : OMQ_BILINEAR, err)) == OMQ_OK)
        memcpy(pixels, im.pixels, f->frame);
    else
        omq_wrap(err, rc, "'%s'", f->paths[f->at]);
    omq_image_release(&im);
    return rc;
}

/* Opens paths[at]; 1 with its only image, 0 if it is an idx file, which may be larger than
 * a picture unless it comes from a pipe. */
static int open_file(struct omq_frames *f, uint8_t *pixels, struct omq_err *err)
{
    const char *path = f->paths[f->at];
    uint8_t *bytes;
    size_t n;
    int rc;

    if (is_idx_file(path)) {
        rc = omq_idx_read(&f->idx, path, OMQ_IDX_IMAGES, err);
        return rc < 0 ? rc : take_idx(f, err);
    }
    if ((rc = omq_file_read(path, OMQ_IMAGE_MAX_FILE, &bytes, &n, err)) < 0)
        return rc;
    if (is_idx(bytes, n)) {
        if ((rc = omq_idx_decode(&f->idx, bytes, n, path, OMQ_IDX_IMAGES, err)) == OMQ_OK)
            rc = take_idx(f, err);
    } else if ((rc = decode_picture(f, bytes, n, pixels, err)) == OMQ_OK) {
        rc = 1;
    }
    free(bytes);
    return rc;
}

static int next_of_idx(struct omq_frames *f, uint8_t *pixels)
{
    if (f->i == f->idx.dims[0]) {
        free(f->idx.bytes);
        f->idx = (struct omq_idx){0};
        f->at++;
        f->i = 0;
        return 0;
    }
    memcpy(pixels, f->idx.bytes + f->i * f->frame, f->frame);
    snprintf(f->name, sizeof(f->name), "%s[%zu]", f->paths[f->at], f->i++);
    return 1;
}

int omq_frames_next(struct omq_frames *f, uint8_t *pixels, const char **name, struct omq_err *err)
{
    int rc = 0;

    *name = f->name;
    while (rc == 0 && f->at < f->n_paths) {
        if (strcmp(f->paths[f->at], "-") == 0) {
            rc = next_raw(f, pixels, err);
        } else if (f->idx.bytes) {
            rc = next_of_idx(f, pixels);
        } else if ((rc = open_file(f, pixels, err)) != 0) {
            snprintf(f->name, sizeof(f->name), "%s", f->paths[f->at++]);
        }
    }
    return rc;
}
