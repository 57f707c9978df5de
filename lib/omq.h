/* SPDX-License-Identifier: MIT
 *
 * omq.h - the installed header of libomq.
 *
 * Conventions for the whole library:
 *  - fallible functions return OMQ_OK (0) or a negative OMQ_E* code and fill
 *    the caller's struct omq_err with a sentence that can be printed as it is;
 *    on success the struct is untouched; err may be NULL;
 *  - the library never prints, exits or reads the environment;
 *  - on failure, output arguments and objects keep the state they had.
 */
#ifndef OMQ_H
#define OMQ_H

#ifdef __cplusplus
extern "C" {
#endif

#define OMQ_VERSION "0.1.0"

enum {
    OMQ_OK = 0,
    OMQ_EIO = -1,       /* the system could not read, write or create */
    OMQ_EFORMAT = -2,   /* a file's bytes are not what its format says */
    OMQ_EVERSION = -3,  /* a file of a newer format */
    OMQ_ECONFIG = -4,   /* a configuration that cannot be used */
    OMQ_EARG = -5,      /* an argument out of its documented range */
    OMQ_ENOMEM = -6,    /* memory, or a stated limit on it */
    OMQ_EUNSUP = -7,    /* well formed, but not supported */
    OMQ_EDIVERGED = -8, /* training met a NaN or an infinity */
    OMQ_ESTOPPED = -9,  /* stopped on request after writing a checkpoint */
};

/* Filled by a failing function; the message has no newline and no full stop. */
struct omq_err {
    int code;
    char msg[1020];
};

#if defined(__GNUC__)
#define OMQ_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define OMQ_WARN_UNUSED
#endif

/* The library's version, "MAJOR.MINOR.PATCH". */
const char *omq_version(void);

#ifdef __cplusplus
}
#endif

#endif
