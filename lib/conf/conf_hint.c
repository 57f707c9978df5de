/* SPDX-License-Identifier: MIT
 *
 * What somebody meant who typed a key that does not exist.
 */
#include "conf/conf_internal.h"

#include <string.h>

#include "base/typo.h"

/* Names that other tools give to our keys. */
static const struct {
    const char *word, *path, *note;
} synonyms[] = {
    {"batch", "train.batch_size", ""},
    {"bit_width_list", "bits", ""},
    {"bs", "train.batch_size", ""},
    {"clip_grad", "train.clip_norm", ""},
    {"cutmix_alpha", "data.augment.cutmix", ""},
    {"data_dir", "data.root", ""},
    {"decay_milestones", "train.milestones", ""},
    {"decay_rate", "train.gamma", ""},
    {"learning_rate", "train.lr", ""},
    {"log_interval", "train.eval_every", ", in epochs"},
    {"lr0", "train.lr", ""},
    {"mixup_alpha", "data.augment.mixup", ""},
    {"num_epochs", "train.epochs", ""},
    {"num_workers", "data.workers", ""},
    {"opt", "train.optimizer", ""},
    {"output", "output_dir", ""},
    {"reprob", "data.augment.random_erasing.probability", ""},
    {"save_period", "train.save_every", ""},
    {"sched", "train.schedule", ""},
    {"scheduler", "train.schedule", ""},
    {"smoothing", "train.label_smoothing", ""},
    {"wd", "train.weight_decay", ""},
};

static bool in_section(const char *path, size_t n_section, const char *section)
{
    return strlen(section) == n_section && memcmp(path, section, n_section) == 0;
}

/* The word stands in other sections: " (it belongs in 'train')". */
static bool hint_section(const char *word, char *buf, size_t size)
{
    size_t used = 0, n;

    for (int i = 0; i < omq_conf_n_keys && used < size; i++) {
        const char *path = omq_conf_keys[i].path;

        if (strcmp(omq_conf_last_word(path, &n), word) != 0)
            continue;
        used += (size_t)snprintf(buf + used, size - used, "%s",
                                 used ? " or " : " (it belongs ");
        if (used < size && n > 0)
            used += (size_t)snprintf(buf + used, size - used, "in '%.*s'", (int)n, path);
        else if (used < size)
            used += (size_t)snprintf(buf + used, size - used, "at the top level");
    }
    if (used > 0 && used < size)
        snprintf(buf + used, size - used, ")");
    return used > 0;
}

/* The nearest key, one of this section before one of another. */
static void hint_nearest(const char *section, const char *word, char *buf, size_t size)
{
    int best = -1, best_cost = 2 * omq_typo_limit(word) + 2;
    size_t n;

    for (int i = 0; i < omq_conf_n_keys; i++) {
        const char *path = omq_conf_keys[i].path, *last = omq_conf_last_word(path, &n);
        int edits = omq_typo_edits(word, last), cost = 2 * edits + !in_section(path, n, section);

        if (cost < best_cost && edits < (int)strlen(last)) {
            best = i;
            best_cost = cost;
        }
    }
    if (best >= 0) {
        const char *path = omq_conf_keys[best].path, *last = omq_conf_last_word(path, &n);

        snprintf(buf, size, " (did you mean '%s'?)", in_section(path, n, section) ? last : path);
    }
}

/* " (did you mean 'lr'?)" for a word that `section` does not have, or "". */
static char *hint(const char *section, const char *word, char *buf, size_t size)
{
    size_t n;

    buf[0] = 0;
    for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++) {
        if (strcmp(synonyms[i].word, word) == 0) {
            snprintf(buf, size, " (use '%s'%s)", synonyms[i].path, synonyms[i].note);
            return buf;
        }
    }
    for (int i = 0; i < omq_conf_n_keys; i++) {
        const char *path = omq_conf_keys[i].path, *last = omq_conf_last_word(path, &n);

        if (n > 0 && strcmp(path, word) == 0) {
            snprintf(buf, size, " (write '%s' inside '%.*s')", last, (int)n, path);
            return buf;
        }
    }
    if (!hint_section(word, buf, size))
        hint_nearest(section, word, buf, size);
    return buf;
}

void omq_conf_unknown_key(struct omq_conf_state *s, struct omq_conf_place at, const char *section,
                          const char *word, size_t n)
{
    char found[64], text[256];

    hint(section, omq_conf_quote(word, n, found), text, sizeof(text));
    if (*section)
        omq_conf_error(s, at, "unknown key '%s' in '%s'%s", found, section, text);
    else
        omq_conf_error(s, at, "unknown key '%s'%s", found, text);
}
