/* SPDX-License-Identifier: MIT
 *
 * The input is a configuration, then a zero byte and a --set, up to four times.
 * What is accepted must come back from its own dump; what is refused must have
 * left the caller's struct alone and say why, line by line.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

static void check_refused(int rc, const struct omq_config *c, const struct omq_diag *d)
{
    int lines = 0;

    for (const char *p = d->text; p && (p = strchr(p, '\n')); p++)
        lines++;
    for (size_t i = 0; i < sizeof(*c); i++)
        if (((const unsigned char *)c)[i] != 0xA5)
            abort();
    if (rc != OMQ_ECONFIG || d->n_errors < 1 || d->n_errors > 100)
        abort();
    if (lines != d->n_errors + (d->n_errors == 100))
        abort();
}

static void check_accepted(const struct omq_config *c)
{
    struct omq_config again;
    struct omq_err err;
    char *text = omq_config_dump(c);

    if (!text)
        abort();
    memset(&again, 0x5A, sizeof(again));
    if (omq_config_parse(&again, text, strlen(text), "dump", NULL, 0, NULL, &err) < 0 ||
        memcmp(&again, c, sizeof(again)) != 0)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *sets[4];
    struct omq_config c;
    struct omq_diag diag = {0};
    struct omq_err err;
    size_t n;
    int n_sets = 0, rc;

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    n = strlen(text);
    for (size_t at = n + 1; at <= size && n_sets < 4; at += strlen(text + at) + 1)
        sets[n_sets++] = text + at;
    memset(&c, 0xA5, sizeof(c));
    rc = omq_config_parse(&c, text, n, "fuzz.yaml", sets, n_sets, &diag, &err);
    if (rc < 0)
        check_refused(rc, &c, &diag);
    else if (diag.n_errors > 0 || diag.text)
        abort();
    else
        check_accepted(&c);
    omq_diag_release(&diag);
    free(text);
    return 0;
}
