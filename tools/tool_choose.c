/* SPDX-License-Identifier: MIT
 *
 * Lists of precisions on a command line: "8,w4a8,all".
 */
#define _GNU_SOURCE /* strndup */

#include <stdlib.h>
#include <string.h>

#include "omq_tools.h"
#include "tool.h"

static void add_index(int *list, int *n, int index)
{
    for (int i = 0; i < *n; i++)
        if (list[i] == index)
            return;
    list[(*n)++] = index;
}

/* list has room for all there are. */
static int add_word(const struct tool_choices *c, const char *word, int *list, int *n)
{
    struct omq_err err = { 0 };
    int index;

    if (strcmp(word, "all") == 0) {
        for (int i = 0; i < c->n; i++)
            if (!c->is_in_all || c->is_in_all(c->ctx, i))
                add_index(list, n, i);
        return TOOL_OK;
    }
    index = c->find(c->ctx, word, &err);
    if (index < 0)
        return tool_fail(&err);
    add_index(list, n, index);
    return TOOL_OK;
}

static int out_of_memory(void)
{
    tool_message("out of memory");
    return TOOL_FAILED;
}

int tool_choose(const struct tool_choices *c, const char *words, int **list, int *n)
{
    int rc = TOOL_OK;

    *n = 0;
    *list = calloc((size_t)c->n + 1, sizeof(**list));
    if (!*list)
        return out_of_memory();
    for (bool more = true; more && rc == TOOL_OK;) {
        size_t length = strcspn(words, ",");
        char *word = strndup(words, length);

        rc = word ? add_word(c, word, *list, n) : out_of_memory();
        free(word);
        more = words[length] != '\0';
        words += length + more;
    }
    if (rc != TOOL_OK) {
        free(*list);
        *list = NULL;
    }
    return rc;
}

void tool_stray_precision(const char *operand)
{
    int w, a, n;

    if ((sscanf(operand, "%1d%n", &w, &n) == 1 && operand[n] == '\0') ||
        (sscanf(operand, "w%1da%1d%n", &w, &a, &n) == 2 && operand[n] == '\0'))
        tool_usage("one MODEL at a time; did you mean '--bits %s'?", operand);
}
