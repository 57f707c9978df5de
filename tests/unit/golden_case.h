/* SPDX-License-Identifier: MIT
 *
 * Golden vectors as text: files of cases, cases of lines KEY VALUE. A file that is not
 * such a one fails the test.
 */
#ifndef OMQ_TESTS_GOLDEN_CASE_H
#define OMQ_TESTS_GOLDEN_CASE_H

#include <stdint.h>

#include "base/real.h"

enum { MAX_LINES = 128, MAX_VALUES = 4096 };

/* A case: borrowed lines of the file's text. */
struct gcase {
    const char *kind;
    int number, n;
    struct {
        char *key, *value;
    } lines[MAX_LINES];
};

/* Calls check for every case of a file; returns how many there are. */
int golden_each(const char *path, void (*check)(const struct gcase *c));

/* The numbers of a value, at most MAX_VALUES; 0 of them if it is NULL. */
int golden_parse(const char *value, double *out);
/* The value of a key; NULL if there is none. */
const char *golden_text(const struct gcase *c, const char *key);
double golden_number(const struct gcase *c, const char *key); /* which must be there */
int golden_integer(const struct gcase *c, const char *key);
/* Reals of a key; NULL if the case has none. out has MAX_VALUES. */
const omq_real *golden_reals(const struct gcase *c, const char *key, omq_real *out, int *n);
int golden_bytes(const struct gcase *c, const char *key, uint8_t *out); /* returns how many */
/* got[n] is what the case says under key, to the bit. */
void golden_same_reals(const struct gcase *c, const char *key, const omq_real *got, int n);
void golden_same_bytes(const struct gcase *c, const char *key, const uint8_t *got, int n);

#endif
