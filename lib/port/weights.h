/* SPDX-License-Identifier: MIT
 *
 * Other people's weights: from the arrays of a source, by their PyTorch names, to
 * the parameters of a net. Every precision's batch norm starts from the one that
 * came in. docs/weights.md has the rules of names for users.
 *
 * Way: source -> entries (weights_names.c: prefixes off, --map, --skip, other
 * libraries' names) -> targets, what the net expects (weights_load.c) -> values.
 */
#ifndef OMQ_PORT_WEIGHTS_H
#define OMQ_PORT_WEIGHTS_H

#include <stdbool.h>

#include "conf/conf.h"
#include "nn/nn.h"
#include "port/source.h"

struct omq_weights_result {
    int loaded;        /* arrays that were taken */
    int missing, unexpected, misshapen, skipped;
    const char *idle_skip; /* the first of cfg->skip that fits no name of either side, or NULL */
    char *text;        /* a line for each of these but skipped ones; allocated, or NULL */
};
void omq_weights_result_release(struct omq_weights_result *r);

/* Takes weights over, cfg->file being the source already. What is skipped, or (not
 * strict) missing or misshapen, keeps its value. OMQ_ECONFIG if something does not fit,
 * which says to try the remedy, with the list in r->text, which is to be released also
 * after a failure. If names do not fit the net is as it was; other failures may leave it
 * half filled. */
int omq_weights_load(struct omq_net *net, const struct omq_source *s,
                     const struct omq_init_config *cfg, const char *remedy,
                     struct omq_weights_result *r, struct omq_err *err) OMQ_WARN_UNUSED;

/* ---- between weights_load.c and weights_names.c ---- */

enum { OMQ_ENTRY_NAME = OMQ_SOURCE_NAME + OMQ_NAME_SIZE };

/* An array of the source, under the name that it has for us. */
struct omq_entry {
    char name[OMQ_ENTRY_NAME];
    const struct omq_source_array *array;
    bool taken, skipped;
};
struct omq_entries {
    int n;
    struct omq_entry *list; /* by name */
};

/* What the net expects. */
struct omq_expected {
    char name[OMQ_NAME_SIZE];
    enum omq_param_kind kind;
    int layer;
    const struct omq_param *param; /* of the first precision: has the shape */
    struct omq_entry *entry;       /* where its values are, or NULL */
};
struct omq_expected_list {
    int n;
    struct omq_expected *list; /* in the order of the layers */
    struct omq_expected **sorted; /* by name */
    int head;                /* of the last layer's weight */
};
/* NULL if the net has no parameter of that name. */
const struct omq_expected *omq_expected_find(const struct omq_expected_list *t, const char *name);

/* The entries of a source, named as the targets are where that can be known. */
int omq_entries_init(struct omq_entries *e, const struct omq_source *s,
                     const struct omq_expected_list *t, const struct omq_init_config *cfg,
                     struct omq_err *err) OMQ_WARN_UNUSED;
void omq_entries_release(struct omq_entries *e);
struct omq_entry *omq_entry_find(const struct omq_entries *e, const char *name);
/* Whether a pattern fits the name, or a module it is in; whether one of cfg->skip does. */
bool omq_name_fits(const char *pattern, const char *name);
bool omq_name_skipped(const struct omq_init_config *cfg, const char *name);

#endif
