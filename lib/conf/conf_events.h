/* SPDX-License-Identifier: MIT
 *
 * Events of libyaml, one after another. The reader stands at an event; what it says that
 * no configuration may have is an error already.
 */
#ifndef OMQ_CONF_CONF_EVENTS_H
#define OMQ_CONF_CONF_EVENTS_H

#include <yaml.h>

#include "conf/conf_internal.h"

struct omq_conf_reader {
    struct omq_conf_state *s;
    int source;
    int first_column; /* of a set: the column where its value begins, */
    int n_columns;    /* and how many its one line has */
    yaml_parser_t parser;
    yaml_event_t event;
    int depth;
    bool stop; /* nothing more can be read of this text */
    int line_of[OMQ_CONF_MAX_KEYS]; /* where this source gave a key; 0: not yet */
};

/* Where the event begins. */
struct omq_conf_place omq_conf_here(const struct omq_conf_reader *r);
/* Moves to the next event; false at the end of what can be read. */
bool omq_conf_next(struct omq_conf_reader *r);
/* From the first event of a node to its last. */
void omq_conf_skip(struct omq_conf_reader *r);
/* The event's scalar, which lives until the next event; and whether there is nothing. */
struct omq_conf_scalar omq_conf_scalar(const struct omq_conf_reader *r);
bool omq_conf_is_empty(const struct omq_conf_reader *r);

#endif
