/* SPDX-License-Identifier: MIT
 *
 * YAML to values. Every function that reads a node leaves the reader at the node's
 * last event, so that an error costs one message and reading goes on behind it.
 */
#include <string.h>

#include "conf/conf_events.h"

/* What begins here, for a message. */
static const char *collection(const struct omq_conf_reader *r)
{
    return r->event.type == YAML_MAPPING_START_EVENT ? "mapping" : "list";
}

/* The value of key k is of the wrong kind of node; an alias has had its say. */
static void wrong_node(struct omq_conf_reader *r, int k)
{
    const struct omq_conf_key *row = &omq_conf_keys[k];
    char want[160], found[64];

    r->s->bad[k] = true;
    omq_conf_expectation(row, want, sizeof(want));
    if (omq_conf_is_empty(r))
        omq_conf_error(r->s, omq_conf_here(r), "no value for '%s': expected %s", row->path, want);
    else if (r->event.type == YAML_SCALAR_EVENT)
        omq_conf_error(r->s, omq_conf_here(r), "wrong type for '%s': expected %s, found '%s'",
                       row->path, want,
                       omq_conf_quote(omq_conf_scalar(r).text, omq_conf_scalar(r).n, found));
    else if (r->event.type != YAML_ALIAS_EVENT)
        omq_conf_error(r->s, omq_conf_here(r), "wrong type for '%s': expected %s, found a %s",
                       row->path, want, collection(r));
    omq_conf_skip(r);
}

static bool is_word(struct omq_conf_scalar v, const char *word)
{
    return v.n == strlen(word) && memcmp(v.text, word, v.n) == 0;
}

/* {w: 4, a: 8}, from its first event. */
static bool read_pair(struct omq_conf_reader *r, const struct omq_conf_key *k,
                      struct omq_precision *p)
{
    struct omq_conf_place at = omq_conf_here(r);
    bool ok = true;
    char why[256];

    *p = (struct omq_precision){0, 0};
    while (omq_conf_next(r) && r->event.type != YAML_MAPPING_END_EVENT) {
        struct omq_conf_place key_at = omq_conf_here(r);
        struct omq_precision q;
        int *width = NULL;

        if (r->event.type == YAML_SCALAR_EVENT && is_word(omq_conf_scalar(r), "w"))
            width = &p->w;
        else if (r->event.type == YAML_SCALAR_EVENT && is_word(omq_conf_scalar(r), "a"))
            width = &p->a;
        else
            omq_conf_skip(r);
        if (!omq_conf_next(r))
            return false;
        if (!width || *width) {
            omq_conf_error(r->s, key_at, "a precision in '%s' has 'w' and 'a' once each", k->path);
            ok = false;
        } else if (r->event.type == YAML_SCALAR_EVENT) {
            struct omq_conf_scalar v = omq_conf_scalar(r);

            /* one width, not a pair again */
            if (!omq_conf_convert(k, &v, &q, why, sizeof(why))) {
                omq_conf_error(r->s, omq_conf_here(r), "%s", why);
                q.w = OMQ_FLOAT_BITS;
                ok = false;
            } else if (v.text[0] == 'w') {
                omq_conf_error(r->s, omq_conf_here(r), "a precision inside a precision in '%s'",
                               k->path);
                ok = false;
            }
            *width = q.w;
            continue;
        } else {
            omq_conf_error(r->s, omq_conf_here(r), "'w' and 'a' in '%s' are integers", k->path);
            *width = OMQ_FLOAT_BITS;
            ok = false;
        }
        omq_conf_skip(r);
    }
    if (!r->stop && ok && (!p->w || !p->a)) {
        omq_conf_error(r->s, at, "a precision in '%s' needs 'w' and 'a'", k->path);
        return false;
    }
    return ok;
}

/* The precision that has just become the last of n is not there already. */
static bool check_unique(struct omq_conf_reader *r, const struct omq_conf_key *k,
                         struct omq_conf_place at, int n)
{
    const struct omq_precision *p = r->s->c.precisions;
    char name[16];

    for (int i = 0; i < n - 1; i++) {
        if (p[i].w == p[n - 1].w && p[i].a == p[n - 1].a) {
            omq_conf_error(r->s, at, "'%s' is listed twice in '%s'",
                           omq_precision_name(p[i], name), k->path);
            return false;
        }
    }
    return true;
}

/* One entry of a list, from its first event, to dst. */
static bool read_element(struct omq_conf_reader *r, const struct omq_conf_key *k, void *dst)
{
    char why[256];

    if (r->event.type == YAML_SCALAR_EVENT) {
        struct omq_conf_scalar v = omq_conf_scalar(r);

        if (omq_conf_convert(k, &v, dst, why, sizeof(why)))
            return true;
        omq_conf_error(r->s, omq_conf_here(r), "%s", why);
        return false;
    }
    if (k->type == OMQ_CONF_BITS && r->event.type == YAML_MAPPING_START_EVENT)
        return read_pair(r, k, dst);
    if (r->event.type != YAML_ALIAS_EVENT)
        omq_conf_error(r->s, omq_conf_here(r), "a %s inside the list of '%s'",
                       collection(r), k->path);
    omq_conf_skip(r);
    return false;
}

static void read_list(struct omq_conf_reader *r, int k)
{
    const struct omq_conf_key *row = &omq_conf_keys[k];
    char *field = (char *)&r->s->c + row->offset;
    size_t element = omq_conf_element_size(row->type), n = 0;
    struct omq_conf_place at = omq_conf_here(r);
    bool too_many = false;
    int count;

    memset(field, 0, element * row->size);
    while (omq_conf_next(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        struct omq_conf_place at_element = omq_conf_here(r);

        if (n == row->size) {
            if (!too_many)
                omq_conf_error(r->s, at_element, "'%s' has more than %zu entries", row->path,
                               row->size);
            too_many = r->s->bad[k] = true;
            omq_conf_skip(r);
        } else if (!read_element(r, row, field + n * element)) {
            r->s->bad[k] = true;
        } else {
            n++;
            if (row->type == OMQ_CONF_BITS && !check_unique(r, row, at_element, (int)n))
                r->s->bad[k] = true;
        }
    }
    if (r->stop)
        return;
    count = (int)n;
    memcpy((char *)&r->s->c + row->count_offset, &count, sizeof(count));
    if (row->type == OMQ_CONF_BITS && n == 0 && !r->s->bad[k]) {
        omq_conf_error(r->s, at, "'%s' is empty: list 1 to %zu precisions", row->path, row->size);
        r->s->bad[k] = true;
    }
}

/* A value alone, for a list of it. */
static void read_only_element(struct omq_conf_reader *r, int k)
{
    const struct omq_conf_key *row = &omq_conf_keys[k];
    char *field = (char *)&r->s->c + row->offset;
    int count = 1;

    memset(field, 0, omq_conf_element_size(row->type) * row->size);
    if (!read_element(r, row, field))
        r->s->bad[k] = true;
    memcpy((char *)&r->s->c + row->count_offset, &count, sizeof(count));
}

static void read_entry(struct omq_conf_reader *r, const char *section);

/* The value of key k, from its first event to its last. */
static void read_value(struct omq_conf_reader *r, int k)
{
    const struct omq_conf_key *row = &omq_conf_keys[k];
    struct omq_conf_state *s = r->s;
    yaml_event_type_t type = r->event.type;
    char why[256];

    if (row->type == OMQ_CONF_SECTION) {
        if (type == YAML_MAPPING_START_EVENT)
            while (omq_conf_next(r) && r->event.type != YAML_MAPPING_END_EVENT)
                read_entry(r, row->path);
        else if (omq_conf_is_empty(r)) /* all keys of a section may be commented out */
            s->given[k] = false;
        else
            wrong_node(r, k);
        return;
    }
    s->place[k] = omq_conf_here(r);
    s->bad[k] = false;
    if (omq_conf_element_size(row->type) > 0 && type == YAML_SEQUENCE_START_EVENT) {
        read_list(r, k);
    } else if (row->one && type == YAML_SCALAR_EVENT) {
        read_only_element(r, k);
    } else if (omq_conf_element_size(row->type) == 0 && type == YAML_SCALAR_EVENT) {
        struct omq_conf_scalar v = omq_conf_scalar(r);

        if (!omq_conf_convert(row, &v, (char *)&s->c + row->offset, why, sizeof(why))) {
            omq_conf_error(s, omq_conf_here(r), "%s", why);
            s->bad[k] = true;
        }
    } else {
        wrong_node(r, k);
    }
}

/* One key and its value, from the first event of the key. */
static void read_entry(struct omq_conf_reader *r, const char *section)
{
    struct omq_conf_state *s = r->s;
    struct omq_conf_place at = omq_conf_here(r);
    int k = -1;

    if (r->event.type == YAML_SCALAR_EVENT) {
        k = omq_conf_find(section, omq_conf_scalar(r).text, omq_conf_scalar(r).n);
        if (k < 0)
            omq_conf_unknown_key(s, at, section, omq_conf_scalar(r).text, omq_conf_scalar(r).n);
    } else {
        if (r->event.type != YAML_ALIAS_EVENT)
            omq_conf_error(s, at, "a key must be a word");
        omq_conf_skip(r);
    }
    if (k >= 0 && r->line_of[k]) {
        if (r->source > 0)
            omq_conf_error(s, at, "duplicate key '%s'", omq_conf_keys[k].path);
        else
            omq_conf_error(s, at, "duplicate key '%s', which line %d has already",
                           omq_conf_keys[k].path, r->line_of[k]);
        k = -1;
    }
    if (!omq_conf_next(r))
        return;
    if (k < 0) {
        omq_conf_skip(r);
        return;
    }
    r->line_of[k] = at.line;
    s->given[k] = true;
    s->place[k] = at;
    read_value(r, k);
}

/* Reads a text whose one document is the value of key k; k < 0: of everything. */
static void read_text(struct omq_conf_reader *r, const char *text, size_t n, int k)
{
    struct omq_conf_state *s = r->s;

    if (!yaml_parser_initialize(&r->parser)) {
        s->no_memory = s->stop = r->stop = true;
        return;
    }
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, n);
    /* the start of the stream, then of the document or the end */
    if (!omq_conf_next(r) || !omq_conf_next(r))
        goto done;
    if (r->event.type == YAML_STREAM_END_EVENT) {
        if (k >= 0)
            omq_conf_error(s, omq_conf_here(r), "no value for '%s'", omq_conf_keys[k].path);
        goto done;
    }
    if (!omq_conf_next(r))
        goto done;
    if (k >= 0) {
        read_value(r, k);
    } else if (r->event.type == YAML_MAPPING_START_EVENT) {
        while (omq_conf_next(r) && r->event.type != YAML_MAPPING_END_EVENT)
            read_entry(r, "");
    } else if (!omq_conf_is_empty(r)) {
        omq_conf_error(s, omq_conf_here(r),
                       "a configuration is a mapping, as in 'output_dir: runs/a'");
        r->stop = true;
    }
    if (omq_conf_next(r) && omq_conf_next(r) && r->event.type != YAML_STREAM_END_EVENT) {
        omq_conf_error(s, omq_conf_here(r), "a second document: only one is supported");
        r->stop = true;
    }
done:
    yaml_event_delete(&r->event);
    yaml_parser_delete(&r->parser);
}

void omq_conf_read_file(struct omq_conf_state *s, const char *text, size_t n)
{
    struct omq_conf_reader r = {.s = s, .first_column = 1};

    r.stop = !omq_conf_check_text(s, (struct omq_conf_place){0, 1, 1}, text, n);
    if (!r.stop)
        read_text(&r, text, n, -1);
    s->incomplete = r.stop;
}

void omq_conf_read_value(struct omq_conf_state *s, int k, struct omq_conf_place at,
                         const char *text)
{
    struct omq_conf_reader r = {.s = s, .source = at.source, .first_column = at.column};

    for (const char *p = text; *p; p++)
        r.n_columns += ((unsigned char)*p & 0xC0) != 0x80;
    r.stop = !omq_conf_check_text(s, at, text, strlen(text));
    if (!r.stop && text[0] == 0 && omq_conf_keys[k].type == OMQ_CONF_STRING) {
        memset((char *)&s->c + omq_conf_keys[k].offset, 0, omq_conf_keys[k].size);
        s->bad[k] = false;
        return;
    }
    if (!r.stop)
        read_text(&r, text, strlen(text), k);
    s->bad[k] |= r.stop;
}
