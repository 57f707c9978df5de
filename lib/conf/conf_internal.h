/* SPDX-License-Identifier: MIT
 *
 * Inside of the configuration: the schema table and what reads it.
 *
 * A key is named by its row's index everywhere. Nothing here is seen outside
 * lib/conf and its tests.
 */
#ifndef OMQ_CONF_CONF_INTERNAL_H
#define OMQ_CONF_CONF_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "conf/conf.h"

enum {
    OMQ_CONF_MAX_KEYS = 128,
    OMQ_CONF_MAX_ERRORS = 100,      /* then reading stops */
    OMQ_CONF_MAX_DEPTH = 32,        /* of nested YAML collections */
    OMQ_CONF_MAX_BYTES = 1 << 20,
    OMQ_CONF_PATH_SIZE = 96,        /* of "train.lr" with room to spare */
};

enum omq_conf_type {
    OMQ_CONF_SECTION,
    OMQ_CONF_BOOL,
    OMQ_CONF_INT,
    OMQ_CONF_U64,
    OMQ_CONF_NUMBER,
    OMQ_CONF_WORD,    /* an enum, by its words */
    OMQ_CONF_STRING,
    OMQ_CONF_INTS,
    OMQ_CONF_NUMBERS,
    OMQ_CONF_BITS,
    OMQ_CONF_TEXTS,   /* each of OMQ_PROFILE_TEXT_SIZE bytes with its zero */
};

/* One row of the schema. Sections are rows too, before their keys. */
struct omq_conf_key {
    const char *path;         /* "train.lr" */
    enum omq_conf_type type;
    size_t offset;            /* in struct omq_config; of the first element of a list */
    size_t count_offset;      /* lists: of their int count */
    size_t size;              /* bytes of a string with its zero; most entries of a list */
    double lo, hi;            /* both allowed; of each entry of a list */
    const char *const *words; /* in the order of the enum; NULL ends them */
    bool required;
    bool one;                 /* lists: a value alone is a list of it */
    const char *doc;          /* mdoc text, one sentence a line */
};

extern const struct omq_conf_key omq_conf_keys[];
extern const int omq_conf_n_keys;

/* The word of a value of data.format. */
const char *omq_conf_format_word(int format);

/* The row of section + "." + word (section "" is the top level), or -1. The
 * word is n bytes and may hold anything. */
int omq_conf_find(const char *section, const char *word, size_t n);

/* The row of a path, which must be there. */
int omq_conf_row(const char *path);
bool omq_conf_is_key(const char *path); /* or a section */

/* The part of a path behind its last dot; the length of the part before it
 * goes to *n_section (0 at the top level). */
const char *omq_conf_last_word(const char *path, size_t *n_section);

/* Bytes of one element of a list of this type. */
size_t omq_conf_element_size(enum omq_conf_type type);

/* "a number from 0 to 1", "one of sgd, adam", "true or false", ... */
char *omq_conf_expectation(const struct omq_conf_key *k, char *buf, size_t size);

/* Where something was said. */
struct omq_conf_place {
    int source;       /* 0: the file or nowhere; n: --set #n */
    int line, column; /* from 1 */
};

struct omq_conf_state {
    struct omq_config c;
    char *name; /* of the file */
    struct omq_diag *diag;
    int n_errors;
    bool stop;        /* at the cap of errors, or out of memory */
    bool no_memory;
    bool incomplete;  /* the file could not be read to its end */
    bool given[OMQ_CONF_MAX_KEYS]; /* by the file or a set */
    bool bad[OMQ_CONF_MAX_KEYS];   /* given, with an error */
    struct omq_conf_place place[OMQ_CONF_MAX_KEYS]; /* of the last value given */
};

void omq_conf_state_close(struct omq_conf_state *s);

/* Of the last value of a key; of its section, if it has none; else the file's begin. */
struct omq_conf_place omq_conf_place_of(const struct omq_conf_state *s, const char *path);

/* Adds a line to the diagnostics; at the cap it sets s->stop. */
void omq_conf_error(struct omq_conf_state *s, struct omq_conf_place at, const char *fmt,
                    ...) OMQ_PRINTF(3, 4);

/* n bytes of foreign text made fit for a message: cut to about 48 bytes at a
 * character, without control characters. Returns buf. */
char *omq_conf_quote(const char *text, size_t n, char buf[64]);

/* One YAML scalar as it was written. */
struct omq_conf_scalar {
    const char *text; /* n bytes and a zero */
    size_t n;
    bool plain;       /* not quoted and not a block */
};

/* Converts v by the type of k, checks it and stores it at dst (the field, or
 * one element of the list). False, with the reason in why, if it does not fit. */
bool omq_conf_convert(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                      char *why, size_t size);

/* The error of word[n], which `section` does not have, with what may be meant. */
void omq_conf_unknown_key(struct omq_conf_state *s, struct omq_conf_place at, const char *section,
                          const char *word, size_t n);

/* Whether a character ends or hides a line: neither can a message show it, nor a dump have
 * it. A decoder's -1 is one too. */
bool omq_conf_is_control(long c);

/* Checks a raw text that begins at `start`: size, UTF-8, no control characters, no
 * directives. False, after an error, if it is not fit to be fed to libyaml. */
bool omq_conf_check_text(struct omq_conf_state *s, struct omq_conf_place start, const char *text,
                         size_t n);

/* Reads into s: the file (source 0), the value of key k, which begins at `at` of a set,
 * and a set, number 1 on. */
void omq_conf_read_file(struct omq_conf_state *s, const char *text, size_t n);
void omq_conf_read_value(struct omq_conf_state *s, int k, struct omq_conf_place at,
                         const char *text);
void omq_conf_read_set(struct omq_conf_state *s, int number, const char *set);

/* What takes more than one key to judge. */
void omq_conf_cross_check(struct omq_conf_state *s);

#endif
