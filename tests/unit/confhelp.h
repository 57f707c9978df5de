/* SPDX-License-Identifier: MIT
 *
 * Configurations as text for the tests of lib/conf, which must be accepted or
 * refused with just these diagnostics.
 */
#ifndef OMQ_TESTS_CONFHELP_H
#define OMQ_TESTS_CONFHELP_H

#include <check.h>
#include <string.h>

#include "conf/conf.h"

/* The least that is a configuration, on three lines. */
#define MINIMAL \
    "output_dir: runs/a\n" \
    "data: {root: d, mean: [0.1], std: [0.2]}\n" \
    "model: {arch: lenet5}\n"

static struct omq_config c;
static struct omq_diag diag;
static struct omq_err err;

static inline void setup(void) { memset(&c, 0xA5, sizeof(c)); }

static inline void teardown(void) { omq_diag_release(&diag); }

static inline int parse_sets(const char *text, const char *const *sets, int n_sets)
{
    return omq_config_parse(&c, text, strlen(text), "x.yaml", sets, n_sets, &diag, &err);
}

/* text must be accepted; c is the result. */
static inline void accept(const char *text)
{
    int rc = parse_sets(text, NULL, 0);

    ck_assert_msg(rc == OMQ_OK, "%s", diag.text ? diag.text : err.msg);
    ck_assert_ptr_null(diag.text);
    ck_assert_int_eq(diag.n_errors, 0);
}

/* The diagnostics must be exactly `want`, and c untouched. */
static inline void refuse_sets(const char *text, const char *const *sets, int n_sets,
                               const char *want)
{
    int rc = parse_sets(text, sets, n_sets), lines = 0;

    ck_assert_int_eq(rc, OMQ_ECONFIG);
    ck_assert_str_eq(diag.text ? diag.text : "", want);
    for (const char *p = want; (p = strchr(p, '\n')); p++)
        lines++;
    ck_assert_int_eq(diag.n_errors, lines);
    for (size_t i = 0; i < sizeof(c); i++)
        ck_assert_int_eq(((unsigned char *)&c)[i], 0xA5);
    omq_diag_release(&diag);
}

static inline void refuse(const char *text, const char *want)
{
    refuse_sets(text, NULL, 0, want);
}

#endif
