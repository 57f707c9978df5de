/* SPDX-License-Identifier: MIT
 *
 * The switch word: its bits, and its place in a file. Eight aligned bytes are
 * read and written by one system call each; the complement finds a torn write.
 */
#define _GNU_SOURCE
#include "ckpt/ckpt_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"

enum { MAX_BITS = 32, MAX_PROFILE = 65534 };

static bool is_valid(struct omq_switch_word s)
{
    if (s.profile >= 0)
        return s.profile <= MAX_PROFILE && s.w == 0 && s.a == 0;
    return s.profile == -1 && s.w >= 1 && s.w <= MAX_BITS && s.a >= 1 && s.a <= MAX_BITS;
}

int omq_ckpt_switch_decode(struct omq_switch_word *s, const uint8_t p[8], struct omq_err *err)
{
    uint32_t word = omq_get_le32(p), complement = omq_get_le32(p + 4);
    struct omq_switch_word v = {
        .w = (int)(word & 0xff), .a = (int)(word >> 8 & 0xff), .profile = (int)(word >> 16) - 1,
    };

    if (word == 0 && complement == 0) {
        *s = (struct omq_switch_word){.profile = -1};
        return OMQ_OK;
    }
    if (complement != (uint32_t)~word)
        return omq_fail(err, OMQ_EFORMAT, "the switch word at byte %d does not match its "
                        "complement; set it again with omq-switch", CKPT_SWITCH_POS);
    if (!is_valid(v))
        return omq_fail(err, OMQ_EFORMAT, "the switch word at byte %d, 0x%08x, names no "
                        "precision; set it again with omq-switch", CKPT_SWITCH_POS, word);
    *s = v;
    return OMQ_OK;
}

int omq_ckpt_switch_encode(uint8_t p[8], struct omq_switch_word s, struct omq_err *err)
{
    uint32_t word;

    if (omq_switch_is_unset(s)) {
        omq_put_le64(p, 0);
        return OMQ_OK;
    }
    if (!is_valid(s))
        return omq_fail(err, OMQ_EARG, "w%da%d with profile %d is no precision: bits are 1 to %d, "
                        "or 0 0 with a profile from 0 to %d", s.w, s.a, s.profile, MAX_BITS,
                        MAX_PROFILE);
    word = (uint32_t)s.w | (uint32_t)s.a << 8 | (uint32_t)(s.profile + 1) << 16;
    omq_put_le32(p, word);
    omq_put_le32(p + 4, ~word);
    return OMQ_OK;
}

/* Opens path and reads its header, as far as it goes. *fd is open on success. */
static int open_header(const char *path, int flags, int *fd, uint8_t p[CKPT_HEADER_SIZE],
                       struct omq_err *err)
{
    struct stat st;
    ssize_t n;
    int rc;

    *fd = open(path, flags | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */
    if (*fd < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot open '%s'", path);
    if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        rc = omq_fail(err, OMQ_EIO, "'%s' is not a regular file, so it has no switch word", path);
        goto err_close;
    }
    n = pread(*fd, p, CKPT_HEADER_SIZE, 0);
    if (n < 0) {
        rc = omq_fail_errno(err, OMQ_EIO, "cannot read '%s'", path);
        goto err_close;
    }
    rc = omq_ckpt_magic_check(p, (size_t)n, err);
    if (rc == OMQ_EFORMAT)
        omq_fail(err, rc, "'%s' is neither a model nor a control file, which omq-switch "
                 "--control makes under a name that is free", path);
    else if (rc < 0)
        omq_wrap(err, rc, "'%s'", path);
    if (rc < 0)
        goto err_close;
    return OMQ_OK;

err_close:
    close(*fd);
    return rc;
}

int omq_switch_open(int *fd, const char *path, struct omq_err *err)
{
    uint8_t p[CKPT_HEADER_SIZE];

    return open_header(path, O_RDONLY, fd, p, err);
}

int omq_switch_look(int fd, struct omq_switch_word *s, struct omq_err *err)
{
    uint8_t word[8];
    ssize_t n = pread(fd, word, sizeof(word), CKPT_SWITCH_POS);

    if (n < 0)
        return omq_fail_errno(err, OMQ_EIO, "cannot read the switch word");
    if (n != (ssize_t)sizeof(word))
        return omq_fail(err, OMQ_EFORMAT, "the file was cut off before its switch word");
    return omq_ckpt_switch_decode(s, word, err);
}

void omq_ckpt_sums(int fd, uint8_t sums[OMQ_CKPT_SUMS])
{
    if (pread(fd, sums, OMQ_CKPT_SUMS, CKPT_SUMS_POS) != OMQ_CKPT_SUMS)
        memset(sums, 0, OMQ_CKPT_SUMS);
}

int omq_switch_read(const char *path, struct omq_switch_word *s, struct omq_err *err)
{
    int fd, rc = omq_switch_open(&fd, path, err);

    if (rc < 0)
        return rc;
    rc = omq_switch_look(fd, s, err);
    close(fd);
    return rc < 0 ? omq_wrap(err, rc, "'%s'", path) : OMQ_OK;
}

int omq_switch_create(const char *path, struct omq_err *err)
{
    uint8_t p[CKPT_HEADER_SIZE];
    struct omq_atomic a;
    int rc;

    if (access(path, F_OK) == 0)
        return OMQ_OK;
    omq_ckpt_header_encode(p, &(struct ckpt_header){.file_size = sizeof(p),
                                                    .entry_size = CKPT_ENTRY_SIZE,
                                                    .active = {.profile = -1}});
    if ((rc = omq_atomic_open(&a, path, err)) < 0)
        return rc;
    fwrite(p, sizeof(p), 1, a.f);
    if ((rc = omq_atomic_flush(&a, err)) < 0)
        return rc;
    /* a rename would replace one that was made meanwhile, with its word */
    if (a.temp && (link(a.temp, a.target) == 0 || errno == EEXIST)) {
        omq_atomic_abort(&a);
        return OMQ_OK;
    }
    return omq_atomic_commit(&a, err); /* not all file systems have links */
}

/* Whether the open file has that name; another one may have taken it since. */
static bool is_named(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && omq_is_same_file(&a, &b);
}

/* *lost: what was written to is no longer at path. */
static int write_word(const char *path, const uint8_t word[8], bool *lost, struct omq_err *err)
{
    uint8_t p[CKPT_HEADER_SIZE];
    ssize_t n;
    int fd, rc = open_header(path, O_RDWR, &fd, p, err);

    if (rc < 0)
        return rc;
    n = pwrite(fd, word, 8, CKPT_SWITCH_POS);
    if (n != 8) {
        errno = n < 0 ? errno : ENOSPC;
        rc = omq_fail_errno(err, OMQ_EIO, "cannot write the switch word of '%s'", path);
    }
    *lost = !is_named(fd, path);
    if (close(fd) < 0 && rc == OMQ_OK)
        rc = omq_fail_errno(err, OMQ_EIO, "cannot write the switch word of '%s'", path);
    return rc;
}

int omq_switch_write(const char *path, struct omq_switch_word s, struct omq_err *err)
{
    enum { TRIES = 16 };
    uint8_t word[8];
    bool lost = true;
    int rc = omq_ckpt_switch_encode(word, s, err);

    for (int i = 0; rc == OMQ_OK && lost && i < TRIES; i++)
        rc = write_word(path, word, &lost, err);
    if (rc == OMQ_OK && lost)
        rc = omq_fail(err, OMQ_EIO, "'%s' is replaced by other files all the time: set its switch "
                      "word when that is over", path);
    return rc;
}

int omq_ckpt_write_over(struct omq_ckpt_writer *w, const char *path, struct omq_err *err)
{
    struct omq_switch_word before = {.profile = -1}, after, now;
    int fd, rc = omq_switch_open(&fd, path, err);

    if (rc < 0)
        return rc;
    if (omq_switch_look(fd, &before, NULL) == OMQ_OK)
        omq_ckpt_set_switch(w, before);
    rc = omq_ckpt_write(w, path, err);
    /* set meanwhile, in what is not at path any more, and not once more in what is */
    if (rc == OMQ_OK && omq_switch_look(fd, &after, NULL) == OMQ_OK &&
        !omq_switch_is_same(after, before) && omq_switch_read(path, &now, NULL) == OMQ_OK &&
        omq_switch_is_same(now, before))
        rc = omq_switch_write(path, after, err);
    close(fd);
    return rc;
}
