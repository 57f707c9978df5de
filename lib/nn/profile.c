/* SPDX-License-Identifier: MIT
 *
 * Profiles as people write them.
 */
#include "nn/nn_internal.h"

#include <stdlib.h>
#include <string.h>

/* A profile being read: one word of the text after the other. */
struct reader {
    const struct omq_net *net;
    const char *text, *at;
    char word[OMQ_PROFILE_TEXT_SIZE];
    struct omq_err *err;
};

/* False at the end of the text. */
static bool take_word(struct reader *r)
{
    size_t n;

    r->at += strspn(r->at, " ");
    n = strcspn(r->at, " ");
    if (n >= sizeof(r->word))
        n = sizeof(r->word) - 1;
    memcpy(r->word, r->at, n);
    r->word[n] = 0;
    r->at += n;
    return n > 0;
}

/* Index of the precision called `word` in the net, or a negative OMQ_E*. */
static int precision_of(const struct reader *r, const char *word)
{
    struct omq_precision p;
    char list[256];
    int i;

    if (!omq_precision_parse(word, &p))
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': '%s' is no precision, such as 4 or "
                        "w4a8", r->text, word);
    if (omq_precision_is_float(p))
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': '%s' is float, and profiles are of "
                        "integers", r->text, word);
    if ((i = omq_net_find(r->net, p)) >= 0)
        return i;
    omq_precision_list(r->net->precisions, r->net->n_precisions, list, sizeof(list));
    return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': the model has no precision '%s'; it has "
                    "%s", r->text, word, list);
}

/* Whether a name is what a pattern of letters, * and ? stands for. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) { /* what it stands for is one longer */
            pattern = star;
            name = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == 0;
}

/* LAYER=PRECISION, in r->word. */
static int read_layers(struct reader *r, int *layers)
{
    char *equals = strchr(r->word, '=');
    int found = 0, precision;

    if (!equals)
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': '%s' is not LAYER=PRECISION", r->text,
                        r->word);
    *equals = 0;
    if ((precision = precision_of(r, equals + 1)) < 0)
        return precision;
    for (int l = 0; l < r->net->plan.n_layers; l++)
        if (matches(r->word, r->net->plan.layers[l].name)) {
            layers[l] = precision;
            found++;
        }
    if (!found)
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': no layer is called '%s'; the first is "
                        "'%s'", r->text, r->word, r->net->plan.layers[0].name);
    return OMQ_OK;
}

static bool means_something_else(const char *name)
{
    struct omq_precision p;

    return strcmp(name, "all") == 0 || omq_precision_parse(name, &p);
}

/* Names are words of lists on command lines, beside those of precisions, and of the names of
 * files in archives. */
bool omq_profile_name_valid(const char *name)
{
    const size_t n = strlen(name);

    return n < sizeof(((struct omq_profile *)0)->name) && omq_ckpt_name_valid(name, n) &&
           name[0] != '.' && !strpbrk(name, " ,=") && !means_something_else(name);
}

static int check_name(const struct reader *r, const struct omq_model_info *info)
{
    if (means_something_else(r->word))
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': the name '%s' means something else",
                        r->text, r->word);
    if (!omq_profile_name_valid(r->word))
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': a name has up to %zu bytes, no '.' in "
                        "front, and no ',', '=', '/' or control characters", r->text,
                        sizeof(info->profiles->name) - 1);
    for (int i = 0; i < info->n_profiles; i++)
        if (strcmp(info->profiles[i].name, r->word) == 0)
            return omq_fail(r->err, OMQ_ECONFIG, "two profiles are called '%s'", r->word);
    if (info->n_profiles == OMQ_MAX_PROFILES)
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s': %d profiles are possible", r->text,
                        OMQ_MAX_PROFILES);
    return OMQ_OK;
}

static int read_profile(struct reader *r, const struct omq_model_info *info,
                        struct omq_profile *f)
{
    int rc;

    if (!take_word(r))
        return omq_fail(r->err, OMQ_ECONFIG, "a profile has no name");
    if ((rc = check_name(r, info)) < 0)
        return rc;
    memcpy(f->name, r->word, strlen(r->word) + 1); /* it fits: that was checked */
    if (!take_word(r))
        return omq_fail(r->err, OMQ_ECONFIG, "profile '%s' has no precision", r->text);
    if ((f->stream = precision_of(r, r->word)) < 0)
        return f->stream;
    for (int l = 0; l < r->net->plan.n_layers; l++)
        f->layers[l] = f->stream;
    while (take_word(r))
        if ((rc = read_layers(r, f->layers)) < 0)
            return rc;
    return OMQ_OK;
}

int omq_profile_add(struct omq_model_info *info, const struct omq_net *net, const char *text,
                    struct omq_err *err)
{
    struct reader r = {.net = net, .text = text, .at = text, .err = err};
    struct omq_profile f = {.layers = calloc((size_t)net->plan.n_layers, sizeof(int))};
    const size_t n = sizeof(f) * (size_t)(info->n_profiles + 1);
    struct omq_profile *grown;
    int rc;

    if (!f.layers)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a profile");
    if ((rc = read_profile(&r, info, &f)) < 0)
        goto err_free;
    if (!(grown = realloc(info->profiles, n))) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate a profile");
        goto err_free;
    }
    info->profiles = grown;
    info->profiles[info->n_profiles++] = f;
    return OMQ_OK;

err_free:
    free(f.layers);
    return rc;
}
