/* SPDX-License-Identifier: MIT
 *
 * How arrays are called: prefixes that wrappers leave, the user's changes, and the
 * names that other libraries have for the same networks.
 */
#define _POSIX_C_SOURCE 200809L /* fnmatch */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/weights.h"

/* What DataParallel, Lightning, torch.compile and savers of checkpoints put before
 * all names. */
static const char *const prefixes[] = {"module.", "model.", "state_dict.", "_orig_mod."};

/* The last layer, as torchvision, akamaster's and kuangliu's networks and timm call it. */
static const char *const heads[] = {"fc", "linear", "classifier", "classifier.1", "head",
                                    "head.fc"};

/* Words within names that mean the same. */
static const struct { const char *a, *b; } words[] = {{".downsample.", ".shortcut."}};

static bool begins(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

static bool ends(const char *s, const char *with)
{
    size_t n = strlen(s), n_with = strlen(with);

    return n >= n_with && strcmp(s + n - n_with, with) == 0;
}

/* s with its first n bytes replaced. */
static void replace(char s[OMQ_ENTRY_NAME], size_t n, const char *by)
{
    char whole[2 * OMQ_ENTRY_NAME];

    snprintf(whole, sizeof(whole), "%s%s", by, s + n);
    whole[OMQ_ENTRY_NAME - 1] = 0; /* a name that long fits nothing */
    memcpy(s, whole, strlen(whole) + 1);
}

/* ---- prefixes ---- */

/* Takes one off, where most names have it and the net's have not. */
static bool strip(struct omq_entries *e, const struct omq_expected_list *t, const char *prefix)
{
    int n = 0;

    for (int i = 0; i < t->n; i++)
        if (begins(t->list[i].name, prefix))
            return false;
    for (int i = 0; i < e->n; i++)
        n += begins(e->list[i].name, prefix);
    if (2 * n <= e->n)
        return false;
    for (int i = 0; i < e->n; i++)
        if (begins(e->list[i].name, prefix))
            replace(e->list[i].name, strlen(prefix), "");
    return true;
}

static void strip_all(struct omq_entries *e, const struct omq_expected_list *t)
{
    enum { DEPTH = 8 };

    for (int depth = 0; depth < DEPTH; depth++) {
        bool any = false;

        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
            any |= strip(e, t, prefixes[i]);
        if (!any)
            return;
    }
}

/* ---- the user's words ---- */

/* OLD is the whole name, or what stands before one of its dots. */
static bool map_fits(const char *map, const char *name)
{
    size_t n = strcspn(map, "=");

    return map[n] == '=' && strncmp(name, map, n) == 0 &&
           (n == 0 || map[n - 1] == '.' || name[n] == '.' || name[n] == 0);
}

static void map_name(char name[OMQ_ENTRY_NAME], const struct omq_init_config *cfg)
{
    for (int i = 0; i < cfg->n_map; i++)
        if (map_fits(cfg->map[i], name)) {
            size_t n = strcspn(cfg->map[i], "=");

            replace(name, n, cfg->map[i] + n + 1);
            return;
        }
}

/* One that changes nothing is a slip of the pen: what it was for would be left as it is. */
static int check_maps(const struct omq_entries *e, const char *path,
                      const struct omq_init_config *cfg, struct omq_err *err)
{
    for (int i = 0; i < cfg->n_map; i++) {
        bool fits = false;

        for (int k = 0; k < e->n && !fits; k++)
            fits = map_fits(cfg->map[i], e->list[k].name);
        if (!fits)
            return omq_fail(err, OMQ_ECONFIG, "init_map has '%s', which fits no name in '%.200s', "
                            "such as '%.100s'; leave it out, and --dry-run lists the names that "
                            "do not fit", cfg->map[i], path, e->n ? e->list[0].name : "");
    }
    return OMQ_OK;
}

bool omq_name_fits(const char *pattern, const char *name)
{
    char within[OMQ_PROFILE_TEXT_SIZE + 2];

    snprintf(within, sizeof(within), "%s.*", pattern);
    return fnmatch(pattern, name, 0) == 0 || fnmatch(within, name, 0) == 0;
}

bool omq_name_skipped(const struct omq_init_config *cfg, const char *name)
{
    for (int i = 0; i < cfg->n_skip; i++)
        if (omq_name_fits(cfg->skip[i], name))
            return true;
    return false;
}

/* ---- other libraries' names ---- */

/* Blocks of timm's EfficientNet family, blocks.I.J, which torchvision counts through. */
enum { TIMM_MOST = 32 };
struct timm {
    bool there[TIMM_MOST][TIMM_MOST], expands[TIMM_MOST][TIMM_MOST];
    int n;
};

static bool timm_block(const char *name, int *i, int *j, int *rest)
{
    *rest = 0;
    return sscanf(name, "blocks.%2d.%2d.%n", i, j, rest) == 2 && *rest > 0 && *i >= 0 && *j >= 0 &&
           *i < TIMM_MOST && *j < TIMM_MOST;
}

static void timm_count(struct timm *t, const struct omq_entries *e)
{
    int i, j, rest;

    *t = (struct timm){0};
    for (int k = 0; k < e->n; k++)
        if (timm_block(e->list[k].name, &i, &j, &rest)) {
            t->n += !t->there[i][j];
            t->there[i][j] = true;
            t->expands[i][j] |= begins(e->list[k].name + rest, "conv_pwl.");
        }
}

/* Which block of all it is, from 1: features.0 is the stem. */
static int timm_number(const struct timm *t, int i, int j)
{
    int n = 1;

    for (int a = 0; a <= i; a++)
        for (int b = 0; b < (a == i ? j : TIMM_MOST); b++)
            n += t->there[a][b];
    return n;
}

/* timm's MobileNetV2 -> torchvision's. */
static void timm_rename(const struct timm *t, char name[OMQ_ENTRY_NAME])
{
    static const struct { const char *timm, *first, *other; } parts[] = {
        {"conv_dw.", "conv.0.0.", "conv.1.0."}, {"conv_pw.", "conv.1.", "conv.0.0."},
        {"conv_pwl.", "", "conv.2."},           {"bn1.", "conv.0.1.", "conv.0.1."},
        {"bn2.", "conv.2.", "conv.1.1."},       {"bn3.", "", "conv.3."},
    };
    static const struct { const char *timm; bool is_head; const char *part; } ends_of[] = {
        {"conv_stem.", false, "0."}, {"bn1.", false, "1."},
        {"conv_head.", true, "0."},  {"bn2.", true, "1."},
    };
    char by[64];
    int i, j, rest;

    for (size_t k = 0; k < sizeof(ends_of) / sizeof(ends_of[0]); k++)
        if (begins(name, ends_of[k].timm)) {
            snprintf(by, sizeof(by), "features.%d.%s", ends_of[k].is_head ? t->n + 1 : 0,
                     ends_of[k].part);
            replace(name, strlen(ends_of[k].timm), by);
            return;
        }
    if (!timm_block(name, &i, &j, &rest))
        return;
    for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++)
        if (begins(name + rest, parts[k].timm)) {
            snprintf(by, sizeof(by), "features.%d.%s", timm_number(t, i, j),
                     t->expands[i][j] ? parts[k].other : parts[k].first);
            replace(name, (size_t)rest + strlen(parts[k].timm), by);
            return;
        }
}

/* Writes the name with one word for another to buf; false if it has not got it. */
static bool swap_word(const char *name, const char *from, const char *to, char buf[OMQ_ENTRY_NAME])
{
    const char *at = strstr(name, from);

    if (!at)
        return false;
    snprintf(buf, OMQ_ENTRY_NAME, "%.*s%s%s", (int)(at - name), name, to, at + strlen(from));
    return true;
}

/* A name that the net has not got takes its word for the same. */
static void rename_words(struct omq_entry *e, const struct omq_expected_list *t)
{
    char buf[OMQ_ENTRY_NAME];

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (int back = 0; back < 2; back++) {
            const char *from = back ? words[i].b : words[i].a, *to = back ? words[i].a : words[i].b;

            if (!omq_expected_find(t, e->name) && swap_word(e->name, from, to, buf) &&
                omq_expected_find(t, buf)) {
                memcpy(e->name, buf, sizeof(buf));
                return;
            }
        }
}

/* What stands before ".weight" or ".bias" of the net's last layer. */
static void head_name(const struct omq_expected_list *t, char buf[OMQ_NAME_SIZE])
{
    snprintf(buf, OMQ_NAME_SIZE, "%s", t->list[t->head].name);
    if (ends(buf, ".weight"))
        buf[strlen(buf) - strlen(".weight")] = 0;
}

/* The word of the list that the source's head has: the only one there is. */
static const char *find_head(const struct omq_entries *e)
{
    const char *found = NULL;
    char name[OMQ_NAME_SIZE];

    for (size_t k = 0; k < sizeof(heads) / sizeof(heads[0]); k++) {
        snprintf(name, sizeof(name), "%s.weight", heads[k]);
        for (int i = 0; i < e->n; i++)
            if (strcmp(e->list[i].name, name) == 0) {
                if (found)
                    return NULL;
                found = heads[k];
            }
    }
    return found;
}

static bool is_head_word(const char *name)
{
    for (size_t k = 0; k < sizeof(heads) / sizeof(heads[0]); k++)
        if (strcmp(heads[k], name) == 0)
            return true;
    return false;
}

static void rename_head(struct omq_entries *e, const struct omq_expected_list *t)
{
    const char *from = find_head(e);
    char to[OMQ_NAME_SIZE], own[OMQ_NAME_SIZE];

    head_name(t, to);
    if (!from || !is_head_word(to) || strcmp(from, to) == 0)
        return;
    snprintf(own, sizeof(own), "%s.weight", from);
    if (omq_expected_find(t, own)) /* another layer of the net is called so */
        return;
    for (int i = 0; i < e->n; i++) {
        char *name = e->list[i].name;
        size_t n = strlen(from);

        if (begins(name, from) && (strcmp(name + n, ".weight") == 0 ||
                                   strcmp(name + n, ".bias") == 0))
            replace(name, n, to);
    }
}

static void rename_all(struct omq_entries *e, const struct omq_expected_list *t)
{
    bool is_timm = false;
    struct timm timm;

    for (int i = 0; i < e->n; i++)
        is_timm |= strcmp(e->list[i].name, "conv_stem.weight") == 0;
    if (is_timm && omq_expected_find(t, "features.0.0.weight")) {
        timm_count(&timm, e);
        for (int i = 0; i < e->n; i++)
            timm_rename(&timm, e->list[i].name);
    }
    for (int i = 0; i < e->n; i++)
        rename_words(&e->list[i], t);
    rename_head(e, t);
}

/* ---- the list ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct omq_entry *)a)->name, ((const struct omq_entry *)b)->name);
}

int omq_entries_init(struct omq_entries *e, const struct omq_source *s,
                     const struct omq_expected_list *t, const struct omq_init_config *cfg,
                     struct omq_err *err)
{
    int rc;

    for (int i = 0; i < cfg->n_map; i++)
        if (!strchr(cfg->map[i], '='))
            return omq_fail(err, OMQ_ECONFIG, "init_map has '%s', which is not OLD=NEW",
                            cfg->map[i]);
    *e = (struct omq_entries){.list = calloc((size_t)s->n + 1, sizeof(*e->list))};
    if (!e->list)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate the names of %d arrays", s->n);
    for (int i = 0; i < s->n; i++) {
        if (ends(s->list[i].name, "num_batches_tracked")) /* PyTorch's; nothing needs it */
            continue;
        e->list[e->n].array = &s->list[i];
        snprintf(e->list[e->n++].name, OMQ_ENTRY_NAME, "%s", s->list[i].name);
    }
    strip_all(e, t);
    if ((rc = check_maps(e, s->path, cfg, err)) < 0)
        return rc;
    for (int i = 0; i < e->n; i++)
        map_name(e->list[i].name, cfg);
    rename_all(e, t);
    for (int i = 0; i < e->n; i++)
        e->list[i].skipped = omq_name_skipped(cfg, e->list[i].name);
    qsort(e->list, (size_t)e->n, sizeof(*e->list), by_name);
    for (int i = 1; i < e->n; i++)
        if (strcmp(e->list[i].name, e->list[i - 1].name) == 0)
            return omq_fail(err, OMQ_ECONFIG, "'%s' and '%s' of '%s' would both be '%s'",
                            e->list[i - 1].array->name, e->list[i].array->name, s->path,
                            e->list[i].name);
    return OMQ_OK;
}

void omq_entries_release(struct omq_entries *e)
{
    free(e->list);
    *e = (struct omq_entries){0};
}

struct omq_entry *omq_entry_find(const struct omq_entries *e, const char *name)
{
    struct omq_entry key;

    if (e->n == 0)
        return NULL;
    snprintf(key.name, sizeof(key.name), "%s", name);
    return bsearch(&key, e->list, (size_t)e->n, sizeof(key), by_name);
}
