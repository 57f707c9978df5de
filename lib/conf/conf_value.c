/* SPDX-License-Identifier: MIT
 *
 * One YAML scalar to one value. The type comes from the schema: libyaml hands
 * over raw text, so that 1e-4 is a number and "no" is never a boolean.
 */
#include "conf/conf_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"

/* True if all of v is made of these characters, and short; keeps leading spaces away from
 * strtoll(). */
static bool made_of(const struct omq_conf_scalar *v, const char *chars)
{
    return v->plain && v->n > 0 && v->n < 64 && strspn(v->text, chars) == v->n;
}

static bool wrong_type(const struct omq_conf_key *k, const struct omq_conf_scalar *v, char *why,
                       size_t size)
{
    struct omq_conf_key one = *k;
    char want[160], found[64];

    /* say what an entry has to be, not the list */
    if (k->type == OMQ_CONF_INTS)
        one.type = OMQ_CONF_INT;
    else if (k->type == OMQ_CONF_NUMBERS)
        one.type = OMQ_CONF_NUMBER;
    omq_conf_expectation(&one, want, sizeof(want));
    if (v->n == 0 && v->plain)
        snprintf(why, size, "no value for '%s': expected %s", k->path, want);
    else
        snprintf(why, size, "wrong type for '%s': expected %s, found %s'%s'", k->path, want,
                 v->plain ? "" : "the text ", omq_conf_quote(v->text, v->n, found));
    return false;
}

static bool out_of_range(const struct omq_conf_key *k, const struct omq_conf_scalar *v, char *why,
                         size_t size)
{
    char found[64];

    snprintf(why, size, "'%s' is out of range for '%s': %.10g to %.10g",
             omq_conf_quote(v->text, v->n, found), k->path, k->lo, k->hi);
    return false;
}

static bool to_int(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                   char *why, size_t size)
{
    long long x;
    char *end;
    int i;

    if (!made_of(v, "+-0123456789"))
        return wrong_type(k, v, why, size);
    errno = 0;
    x = strtoll(v->text, &end, 10);
    if (*end)
        return wrong_type(k, v, why, size);
    if (errno || (double)x < k->lo || (double)x > k->hi)
        return out_of_range(k, v, why, size);
    i = (int)x;
    memcpy(dst, &i, sizeof(i));
    return true;
}

static bool to_u64(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                   char *why, size_t size)
{
    unsigned long long x;
    char found[64], *end;
    uint64_t u;

    if (!made_of(v, "-0123456789"))
        return wrong_type(k, v, why, size);
    errno = 0;
    x = strtoull(v->text, &end, 10);
    if (*end)
        return wrong_type(k, v, why, size);
    if (errno || v->text[0] == '-') { /* strtoull() would wrap a negative one around */
        snprintf(why, size, "'%s' is out of range for '%s': 0 to 18446744073709551615",
                 omq_conf_quote(v->text, v->n, found), k->path);
        return false;
    }
    u = x;
    memcpy(dst, &u, sizeof(u));
    return true;
}

static bool to_number(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                      char *why, size_t size)
{
    double x;

    if (!v->plain || !omq_number_parse(v->text, v->n, &x))
        return wrong_type(k, v, why, size);
    if (!isfinite(x) || x < k->lo || x > k->hi)
        return out_of_range(k, v, why, size);
    x += 0.0; /* no negative zero: equal values are equal bytes */
    memcpy(dst, &x, sizeof(x));
    return true;
}

static bool to_bool(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                    char *why, size_t size)
{
    bool b;

    if (!v->plain || (strcmp(v->text, "true") != 0 && strcmp(v->text, "false") != 0))
        return wrong_type(k, v, why, size);
    b = v->text[0] == 't';
    memcpy(dst, &b, sizeof(b));
    return true;
}

static bool to_word(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                    char *why, size_t size)
{
    char want[160], found[64];

    for (int i = 0; k->words[i]; i++) {
        if (strlen(k->words[i]) == v->n && memcmp(k->words[i], v->text, v->n) == 0) {
            memcpy(dst, &i, sizeof(i));
            return true;
        }
    }
    if (v->n == 0)
        return wrong_type(k, v, why, size);
    snprintf(why, size, "unknown word '%s' for '%s': expected %s",
             omq_conf_quote(v->text, v->n, found), k->path,
             omq_conf_expectation(k, want, sizeof(want)));
    return false;
}

static bool has_control(const char *text, size_t n)
{
    for (size_t i = 0, length; i < n; i += length) {
        long c = omq_utf8_decode(text + i, n - i, &length);

        if (omq_conf_is_control(c) || c == 0xFEFF) /* which only a file may begin with */
            return true;
    }
    return false;
}

static bool to_string(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                      char *why, size_t size)
{
    const size_t room = k->type == OMQ_CONF_TEXTS ? omq_conf_element_size(k->type) : k->size;

    if (v->plain && (strcmp(v->text, "null") == 0 || strcmp(v->text, "~") == 0)) {
        snprintf(why, size,
                 "wrong type for '%s': expected text, found null (quote it to mean '%s')",
                 k->path, v->text);
        return false;
    }
    if (has_control(v->text, v->n)) {
        snprintf(why, size, "a control character or line break in '%s'", k->path);
        return false;
    }
    if (v->n >= room) {
        snprintf(why, size, "'%s' is too long: %zu bytes, at most %zu", k->path, v->n, room - 1);
        return false;
    }
    memset(dst, 0, room);
    memcpy(dst, v->text, v->n);
    return true;
}

static bool to_precision(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                         char *why, size_t size)
{
    struct omq_precision p;
    char found[64];

    if (strlen(v->text) == v->n && (v->plain || v->text[0] == 'w') &&
        omq_precision_parse(v->text, &p)) {
        memcpy(dst, &p, sizeof(p));
        return true;
    }
    snprintf(why, size,
             "'%s' in '%s' is no precision: widths are 1 to 8 and 32 (float), "
             "as in 4, w4a8 or {w: 4, a: 8}",
             omq_conf_quote(v->text, v->n, found), k->path);
    return false;
}

bool omq_conf_convert(const struct omq_conf_key *k, const struct omq_conf_scalar *v, void *dst,
                      char *why, size_t size)
{
    switch (k->type) {
    case OMQ_CONF_BOOL: return to_bool(k, v, dst, why, size);
    case OMQ_CONF_INTS:
    case OMQ_CONF_INT: return to_int(k, v, dst, why, size);
    case OMQ_CONF_U64: return to_u64(k, v, dst, why, size);
    case OMQ_CONF_NUMBERS:
    case OMQ_CONF_NUMBER: return to_number(k, v, dst, why, size);
    case OMQ_CONF_WORD: return to_word(k, v, dst, why, size);
    case OMQ_CONF_TEXTS:
    case OMQ_CONF_STRING: return to_string(k, v, dst, why, size);
    case OMQ_CONF_BITS: return to_precision(k, v, dst, why, size);
    case OMQ_CONF_SECTION: break;
    }
    return wrong_type(k, v, why, size);
}
