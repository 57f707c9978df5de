/* SPDX-License-Identifier: MIT
 *
 * The schema table turned outward: a configuration as YAML, and the list of
 * keys for omq-config(5).
 */
#define _GNU_SOURCE
#include "conf/conf_internal.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* The shortest decimal that reads back as x. */
static void print_number(FILE *f, double x)
{
    char buf[40];

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buf, sizeof(buf), "%.*g", digits, x);
        if (strtod(buf, NULL) == x)
            break;
    }
    fputs(buf, f);
}

/* Double quotes: the checked text has no control characters, so that only two
 * characters need an escape. */
static void print_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

static void print_precision(FILE *f, struct omq_precision p)
{
    char name[16];

    if (p.w == p.a)
        fprintf(f, "%d", p.w);
    else
        fputs(omq_precision_name(p, name), f);
}

static void print_list(FILE *f, const struct omq_conf_key *k, const char *field, int n)
{
    fputc('[', f);
    for (int i = 0; i < n; i++) {
        const char *p = field + (size_t)i * omq_conf_element_size(k->type);

        if (i > 0)
            fputs(", ", f);
        if (k->type == OMQ_CONF_INTS)
            fprintf(f, "%d", *(const int *)p);
        else if (k->type == OMQ_CONF_NUMBERS)
            print_number(f, *(const double *)p);
        else if (k->type == OMQ_CONF_TEXTS)
            print_string(f, p);
        else
            print_precision(f, *(const struct omq_precision *)p);
    }
    fputc(']', f);
}

/* The value of key k as YAML; of a SECTION nothing. */
static void print_value(FILE *f, const struct omq_config *c, const struct omq_conf_key *k)
{
    const char *field = (const char *)c + k->offset;

    switch (k->type) {
    case OMQ_CONF_SECTION: break;
    case OMQ_CONF_BOOL: fputs(*(const bool *)field ? "true" : "false", f); break;
    case OMQ_CONF_INT: fprintf(f, "%d", *(const int *)field); break;
    case OMQ_CONF_U64: fprintf(f, "%llu", (unsigned long long)*(const uint64_t *)field); break;
    case OMQ_CONF_NUMBER: print_number(f, *(const double *)field); break;
    case OMQ_CONF_WORD: fputs(k->words[*(const int *)field], f); break;
    case OMQ_CONF_STRING: print_string(f, field); break;
    case OMQ_CONF_INTS:
    case OMQ_CONF_NUMBERS:
    case OMQ_CONF_BITS:
    case OMQ_CONF_TEXTS:
        print_list(f, k, field, *(const int *)((const char *)c + k->count_offset));
        break;
    }
}

static void print_yaml(FILE *f, const struct omq_config *c)
{
    for (int i = 0; i < omq_conf_n_keys; i++) {
        const struct omq_conf_key *k = &omq_conf_keys[i];
        const char *word = k->path;
        size_t n;

        for (const char *p = k->path; (p = strchr(p, '.')); p++)
            fputs("  ", f);
        word = omq_conf_last_word(k->path, &n);
        fprintf(f, "%s:%s", word, k->type == OMQ_CONF_SECTION ? "" : " ");
        print_value(f, c, k);
        fputc('\n', f);
    }
}

static bool is_empty(const struct omq_config *c, const struct omq_conf_key *k)
{
    const char *field = (const char *)c + k->offset;

    if (k->type == OMQ_CONF_STRING)
        return *field == 0;
    return omq_conf_element_size(k->type) > 0 &&
           *(const int *)((const char *)c + k->count_offset) == 0;
}

static void print_mdoc(FILE *f, const struct omq_config *c)
{
    char want[160];

    fputs(".Bl -tag -width Ds\n", f);
    for (int i = 0; i < omq_conf_n_keys; i++) {
        const struct omq_conf_key *k = &omq_conf_keys[i];

        if (k->type == OMQ_CONF_SECTION)
            continue;
        fprintf(f, ".It Cm %s\n%s\n", k->path, k->doc);
        fprintf(f, "Type: %s;\n", omq_conf_expectation(k, want, sizeof(want)));
        if (k->required) {
            fputs("required.\n", f);
        } else if (is_empty(c, k)) {
            fputs("default: empty.\n", f);
        } else {
            fputs("default: ", f);
            print_value(f, c, k);
            fputs(".\n", f);
        }
    }
    fputs(".El\n", f);
}

/* Calls print under the C locale, which has a point in its numbers. */
static void in_c_locale(FILE *f, const struct omq_config *c,
                        void print(FILE *f, const struct omq_config *c))
{
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t old = plain ? uselocale(plain) : (locale_t)0;

    print(f, c);
    if (plain) {
        uselocale(old);
        freelocale(plain);
    }
}

char *omq_config_dump(const struct omq_config *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    bool bad;

    if (!f)
        return NULL;
    in_c_locale(f, c, print_yaml);
    bad = ferror(f);
    if (fclose(f) == 0 && !bad)
        return text;
    free(text);
    return NULL;
}

void omq_config_forget_place(struct omq_config *c)
{
    memset(c->output_dir, 0, sizeof(c->output_dir));
    c->output_dir[0] = '.';
    c->threads = 0;
}

/* The value on a line of a dump, up to its end. */
static const char *value_of(const char *line, int *n)
{
    const char *value = line + strcspn(line, ":") + 1;

    value += *value == ' ';
    *n = (int)strcspn(value, "\n");
    return value;
}

/* Both dumps have a line a key, in the order of the table. */
static void print_changes(FILE *f, const char *was, const char *is)
{
    for (int i = 0; i < omq_conf_n_keys; i++) {
        int n_was, n_is;
        const char *old = value_of(was, &n_was), *new = value_of(is, &n_is);

        if (n_was != n_is || memcmp(old, new, (size_t)n_is) != 0)
            fprintf(f, "%s is %.*s, and was %.*s\n", omq_conf_keys[i].path, n_is, new, n_was,
                    old);
        was = old + n_was + 1;
        is = new + n_is + 1;
    }
}

char *omq_config_changes(const struct omq_config *was, const struct omq_config *is)
{
    char *old = omq_config_dump(was), *new = omq_config_dump(is), *text = NULL;
    size_t n = 0;
    FILE *f = old && new ? open_memstream(&text, &n) : NULL;
    bool bad = !f;

    if (f) {
        print_changes(f, old, new);
        bad = ferror(f);
        bad = fclose(f) != 0 || bad;
    }
    free(old);
    free(new);
    if (!bad)
        return text;
    free(text);
    return NULL;
}

void omq_config_print_mdoc(FILE *f)
{
    struct omq_config c;

    omq_config_default(&c);
    in_c_locale(f, &c, print_mdoc);
}
