/* SPDX-License-Identifier: MIT */
#include "conf/conf_events.h"

#include <string.h>

static struct omq_conf_place place_of(const struct omq_conf_reader *r, yaml_mark_t m)
{
    /* libyaml ends every text with a line break of its own */
    if (r->source > 0 && m.line > 0)
        return (struct omq_conf_place){r->source, 1, r->first_column + r->n_columns};
    return (struct omq_conf_place){
        .source = r->source,
        .line = (int)m.line + 1,
        .column = (int)m.column + (m.line == 0 ? r->first_column : 1),
    };
}

struct omq_conf_place omq_conf_here(const struct omq_conf_reader *r)
{
    return place_of(r, r->event.start_mark);
}

static bool is_start(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
}

static bool is_end(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT;
}

/* What to look for, where libyaml says in the words of its grammar what it met. */
static const char *hint(const char *problem)
{
    static const char *const hints[][2] = {
        {"found character that cannot start any token",
         "indent by spaces, not by tabs, and quote text that begins with @ or `"},
        {"did not find expected key", "keys of one section begin in the same column"},
        {"mapping values are not allowed in this context",
         "a blank stands behind the ':' of each key, and none is indented more than those before"},
    };

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strcmp(problem, hints[i][0]) == 0)
            return hints[i][1];
    return NULL;
}

static void syntax_error(struct omq_conf_reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *why = p->problem ? p->problem : "this is not YAML";
    const char *more = hint(why);

    r->stop = true;
    if (p->error == YAML_MEMORY_ERROR) {
        r->s->no_memory = r->s->stop = true;
        return;
    }
    if (!more)
        more = p->context;
    if (more)
        omq_conf_error(r->s, place_of(r, p->problem_mark), "%s (%s)", why, more);
    else
        omq_conf_error(r->s, place_of(r, p->problem_mark), "%s", why);
}

/* What YAML has and a configuration must not. */
static void refuse(struct omq_conf_reader *r)
{
    const yaml_event_t *e = &r->event;
    bool block = false, anchor = e->type == YAML_ALIAS_EVENT, tag = false;

    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        block = e->data.sequence_start.style == YAML_BLOCK_SEQUENCE_STYLE;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        block = e->data.mapping_start.style == YAML_BLOCK_MAPPING_STYLE;
    }
    if (anchor)
        omq_conf_error(r->s, omq_conf_here(r),
                       "anchors and aliases are not supported: repeat the value");
    if (tag)
        omq_conf_error(r->s, omq_conf_here(r),
                       "tags are not supported: the type comes from the key");
    if (block && r->source > 0) {
        omq_conf_error(r->s, omq_conf_here(r),
                       "only [a, b], {a: b} or one value: quote a text with ': '");
        r->stop = true;
    }
}

bool omq_conf_next(struct omq_conf_reader *r)
{
    yaml_event_delete(&r->event);
    if (r->stop || r->s->stop)
        return false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        memset(&r->event, 0, sizeof(r->event));
        syntax_error(r);
        return false;
    }
    r->depth += is_start(&r->event) - is_end(&r->event);
    if (r->depth > OMQ_CONF_MAX_DEPTH) {
        omq_conf_error(r->s, omq_conf_here(r), "nested deeper than %d levels", OMQ_CONF_MAX_DEPTH);
        r->stop = true;
    } else {
        refuse(r);
    }
    r->stop |= r->s->stop;
    return !r->stop;
}

void omq_conf_skip(struct omq_conf_reader *r)
{
    int outside = r->depth - is_start(&r->event);

    while (r->depth > outside && omq_conf_next(r))
        ;
}

struct omq_conf_scalar omq_conf_scalar(const struct omq_conf_reader *r)
{
    return (struct omq_conf_scalar){
        .text = (const char *)r->event.data.scalar.value,
        .n = r->event.data.scalar.length,
        .plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
    };
}

bool omq_conf_is_empty(const struct omq_conf_reader *r)
{
    return r->event.type == YAML_SCALAR_EVENT && omq_conf_scalar(r).plain &&
           omq_conf_scalar(r).n == 0;
}
