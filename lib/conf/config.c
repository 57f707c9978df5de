/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "conf/conf_internal.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* The summary that goes with the lines of diag. If the caller asked for no
 * lines, the first one is the best that the summary can hold. */
static int fail(struct omq_conf_state *s, bool quiet, struct omq_err *err)
{
    const char *text = s->diag->text;

    if (s->no_memory)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate memory to read '%s'", s->name);
    if (quiet && text)
        return omq_fail(err, OMQ_ECONFIG, "%.*s", (int)strcspn(text, "\n"), text);
    return omq_fail(err, OMQ_ECONFIG, "%d %s in the configuration '%s'", s->n_errors,
                    s->n_errors == 1 ? "error" : "errors", s->name);
}

int omq_config_parse(struct omq_config *c, const char *text, size_t n_bytes, const char *name,
                     const char *const *sets, int n_sets, struct omq_diag *diag,
                     struct omq_err *err)
{
    struct omq_diag own = {0};
    struct omq_conf_state *s = calloc(1, sizeof(*s)), *done = s;
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), old;
    int rc = OMQ_OK;

    if (!s || !plain || !(s->name = strdup(name))) {
        rc = omq_fail(err, OMQ_ENOMEM, "cannot allocate memory to read '%s'", name);
        goto free_state;
    }
    old = uselocale(plain); /* of this thread only: messages say 0.1, not 0,1 */
    s->diag = diag ? diag : &own;
    omq_config_default(&s->c);
    omq_conf_read_file(s, text, n_bytes);
    for (int i = 0; i < n_sets && !s->stop; i++)
        omq_conf_read_set(s, i + 1, sets[i]);
    if (!s->stop && !s->incomplete)
        omq_conf_cross_check(s);
    if (s->n_errors > 0 || s->no_memory) {
        rc = fail(s, !diag, err);
    } else {
        memcpy(c, &s->c, sizeof(*c)); /* with its padding */
        done = s->diag->read;
        s->diag->read = s;
    }
    uselocale(old);
    omq_diag_release(&own);

free_state:
    if (plain)
        freelocale(plain);
    omq_conf_state_close(done);
    return rc;
}

int omq_config_load(struct omq_config *c, const char *path, const char *const *sets, int n_sets,
                    struct omq_diag *diag, struct omq_err *err)
{
    const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    uint8_t *text = NULL;
    size_t n = 0;
    int rc = omq_file_read(path, OMQ_CONF_MAX_BYTES, &text, &n, err);

    /* too large a file is the user's mistake like any other */
    if (rc == OMQ_ENOMEM) {
        if (err)
            err->code = OMQ_ECONFIG;
        return OMQ_ECONFIG;
    }
    if (rc < 0)
        return rc;
    rc = omq_config_parse(c, (const char *)text, n, name, sets, n_sets, diag, err);
    free(text);
    return rc;
}
