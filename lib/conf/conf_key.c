/* SPDX-License-Identifier: MIT
 *
 * What is asked of a row of the schema: which one a path names, what a value of its type
 * looks like, and where it was given.
 */
#include "conf/conf_internal.h"

#include <stdio.h>
#include <string.h>

const char *omq_conf_last_word(const char *path, size_t *n_section)
{
    const char *dot = strrchr(path, '.');

    *n_section = dot ? (size_t)(dot - path) : 0;
    return dot ? dot + 1 : path;
}

int omq_conf_find(const char *section, const char *word, size_t n)
{
    size_t n_want = strlen(section), n_section;

    for (int i = 0; i < omq_conf_n_keys; i++) {
        const char *path = omq_conf_keys[i].path;
        const char *last = omq_conf_last_word(path, &n_section);

        if (n_section == n_want && memcmp(path, section, n_want) == 0 && strlen(last) == n &&
            memcmp(last, word, n) == 0)
            return i;
    }
    return -1;
}

size_t omq_conf_element_size(enum omq_conf_type type)
{
    switch (type) {
    case OMQ_CONF_INTS: return sizeof(int);
    case OMQ_CONF_NUMBERS: return sizeof(double);
    case OMQ_CONF_BITS: return sizeof(struct omq_precision);
    case OMQ_CONF_TEXTS: return OMQ_PROFILE_TEXT_SIZE;
    default: return 0;
    }
}

char *omq_conf_expectation(const struct omq_conf_key *k, char *buf, size_t size)
{
    size_t n;

    switch (k->type) {
    case OMQ_CONF_SECTION:
        snprintf(buf, size, "a mapping of keys");
        break;
    case OMQ_CONF_BOOL:
        snprintf(buf, size, "true or false");
        break;
    case OMQ_CONF_INT:
        snprintf(buf, size, "an integer from %.10g to %.10g", k->lo, k->hi);
        break;
    case OMQ_CONF_U64:
        snprintf(buf, size, "an integer from 0 to 18446744073709551615");
        break;
    case OMQ_CONF_NUMBER:
        snprintf(buf, size, "a number from %.10g to %.10g", k->lo, k->hi);
        break;
    case OMQ_CONF_WORD:
        n = (size_t)snprintf(buf, size, "one of ");
        for (int i = 0; k->words[i] && n < size; i++)
            n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? ", " : "", k->words[i]);
        break;
    case OMQ_CONF_STRING:
        snprintf(buf, size, "text of at most %zu bytes", k->size - 1);
        break;
    case OMQ_CONF_INTS:
        snprintf(buf, size, "%sa list of at most %zu integers from %.10g to %.10g",
                 k->one ? "an integer, or " : "", k->size, k->lo, k->hi);
        break;
    case OMQ_CONF_NUMBERS:
        snprintf(buf, size, "a list of at most %zu numbers from %.10g to %.10g", k->size, k->lo,
                 k->hi);
        break;
    case OMQ_CONF_BITS:
        snprintf(buf, size, "a list of 1 to %zu precisions, as in [8, w4a8, {w: 2, a: 4}]",
                 k->size);
        break;
    case OMQ_CONF_TEXTS:
        snprintf(buf, size, "a list of at most %zu texts of at most %d bytes", k->size,
                 OMQ_PROFILE_TEXT_SIZE - 1);
        break;
    }
    return buf;
}

static int find_row(const char *path)
{
    int row = 0;

    while (row < omq_conf_n_keys && strcmp(omq_conf_keys[row].path, path) != 0)
        row++;
    return row;
}

bool omq_conf_is_key(const char *path) { return find_row(path) < omq_conf_n_keys; }

int omq_conf_row(const char *path)
{
    int row = find_row(path);

    if (row == omq_conf_n_keys)
        OMQ_BUG("a key is named that the schema does not have");
    return row;
}

const char *omq_config_find_key(const char *word)
{
    const char *found = NULL;
    int n_found = 0;
    size_t n;

    for (int i = 0; i < omq_conf_n_keys; i++) {
        const char *path = omq_conf_keys[i].path;

        if (omq_conf_keys[i].type == OMQ_CONF_SECTION)
            continue;
        if (strcmp(path, word) == 0)
            return path;
        if (strcmp(omq_conf_last_word(path, &n), word) == 0) {
            found = path;
            n_found++;
        }
    }
    return n_found == 1 ? found : NULL;
}

struct omq_conf_place omq_conf_place_of(const struct omq_conf_state *s, const char *path)
{
    char section[OMQ_CONF_PATH_SIZE] = "";
    const int row = omq_conf_row(path);
    size_t n;

    if (s->given[row])
        return s->place[row];
    omq_conf_last_word(path, &n);
    memcpy(section, path, n);
    if (n > 0 && s->given[omq_conf_row(section)])
        return s->place[omq_conf_row(section)];
    return (struct omq_conf_place){0, 1, 1};
}
