/* SPDX-License-Identifier: MIT
 *
 * Between export.c, which knows the model, and write.c, which knows files.
 */
#ifndef OMQ_PORT_INTERNAL_H
#define OMQ_PORT_INTERNAL_H

#include "port/port.h"

enum { OMQ_EXPORT_NAME_SIZE = 64 };

struct omq_export {
    struct omq_net net;
    struct omq_model_info info;
    int n;
    struct omq_choice *choices;
    char *path; /* of the model */
};

struct omq_export_request {
    const struct omq_export *x;
    const struct omq_export_format *format;
    const struct omq_export_options *opt;
    const char *output;
    char name[OMQ_EXPORT_NAME_SIZE]; /* of what is written */
};

/* ---- formats.c ---- */

/* "omq, npz, ...": the formats, or those whose file holds several choices. */
void omq_export_list_formats(bool only_several, char list[256]);

/* ---- write.c ---- */

/* The n choices to where they belong; see omq_export_write(). */
int omq_export_put(const struct omq_export_request *r, const int *choices, int n,
                   struct omq_err *err) OMQ_WARN_UNUSED;

#endif
