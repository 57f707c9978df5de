/* SPDX-License-Identifier: MIT
 *
 * The processes that follow a model: who they are, and what they run.
 */
#define _GNU_SOURCE /* nanosleep */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "omq_tools.h"
#include "tool.h"

struct followers {
    struct omq_presence_entry *list;
    int n, room;
    bool failed; /* out of memory */
};

static void collect(void *ctx, const struct omq_presence_entry *e)
{
    struct followers *f = ctx;

    if (f->n == f->room) {
        int room = f->room ? 2 * f->room : 16;
        struct omq_presence_entry *list = realloc(f->list, (size_t)room * sizeof(*list));

        if (!list) {
            f->failed = true;
            return;
        }
        f->list = list;
        f->room = room;
    }
    f->list[f->n++] = *e;
}

static int list_followers(const char *model, struct followers *f)
{
    struct omq_err err = { 0 };

    f->n = 0;
    if (omq_presence_list(tool_state_dir(), model, collect, f, &err) < 0)
        return tool_fail(&err);
    if (f->failed) {
        tool_message("out of memory");
        return TOOL_FAILED;
    }
    return TOOL_OK;
}

static void put_entry(const struct omq_presence_entry *e)
{
    if (tool_common.json) {
        printf("{\"pid\":%llu,\"precision\":", (unsigned long long)e->pid);
        tool_json_string(stdout, e->precision);
        printf(",\"waiting\":%s,\"batches\":%llu,\"images\":%llu,\"switches\":%llu,"
               "\"reason\":", e->waiting ? "true" : "false", (unsigned long long)e->batches,
               (unsigned long long)e->images, (unsigned long long)e->switches);
        tool_json_string(stdout, e->reason);
        printf(",\"updated_ms\":%llu}\n", (unsigned long long)e->updated_ms);
        return;
    }
    printf("%8llu  %-9s %-7s %9llu %9llu %8llu  ", (unsigned long long)e->pid, e->precision,
           e->waiting ? "waits" : "runs", (unsigned long long)e->batches,
           (unsigned long long)e->images, (unsigned long long)e->switches);
    tool_put_clean(stdout, e->reason, "");
    putchar('\n');
}

static void put_entry_header(void)
{
    if (!tool_common.json)
        printf("%8s  %-9s %-7s %9s %9s %8s  %s\n", "pid", "precision", "state", "batches",
               "images", "switches", "last switch");
}

int tool_followers_show(const char *model)
{
    struct followers f = { 0 };
    int rc = list_followers(model, &f);

    if (rc == TOOL_OK)
        put_entry_header();
    for (int i = 0; rc == TOOL_OK && i < f.n; i++)
        put_entry(&f.list[i]);
    free(f.list);
    return rc;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* The same process before; NULL: it is new. */
static const struct omq_presence_entry *find(const struct followers *f,
                                             const struct omq_presence_entry *e)
{
    for (int i = 0; i < f->n; i++)
        if (f->list[i].pid == e->pid && f->list[i].start == e->start)
            return &f->list[i];
    return NULL;
}

int tool_followers_watch(const char *model, const volatile sig_atomic_t *stop)
{
    struct followers now = { 0 }, before = { 0 };
    int rc = TOOL_OK;

    put_entry_header();
    while (!*stop && rc == TOOL_OK && !tool_reader_left()) {
        struct followers swap;

        rc = list_followers(model, &now);
        for (int i = 0; rc == TOOL_OK && i < now.n; i++) {
            const struct omq_presence_entry *old = find(&before, &now.list[i]);

            if (!old || strcmp(old->precision, now.list[i].precision) != 0)
                put_entry(&now.list[i]);
        }
        for (int i = 0; rc == TOOL_OK && i < before.n; i++)
            if (!find(&now, &before.list[i]))
                printf(tool_common.json ? "{\"pid\":%llu,\"ended\":true}\n" : "%8llu  ended\n",
                       (unsigned long long)before.list[i].pid);
        swap = before;
        before = now;
        now = swap;
        pause_ms(100);
    }
    free(now.list);
    free(before.list);
    return rc;
}

int tool_followers_wait(const char *model, const char *precision, int timeout_s)
{
    struct followers f = { 0 };
    const double end = omq_now() + timeout_s;
    int rc, behind;

    for (;;) {
        rc = list_followers(model, &f);
        behind = 0;
        for (int j = 0; rc == TOOL_OK && j < f.n; j++)
            behind += strcmp(f.list[j].precision, precision) != 0;
        if (rc != TOOL_OK || behind == 0 || omq_now() >= end)
            break;
        pause_ms(20);
    }
    for (int j = 0; rc == TOOL_OK && j < f.n; j++)
        if (strcmp(f.list[j].precision, precision) != 0)
            tool_message("process %llu still runs %s", (unsigned long long)f.list[j].pid,
                         f.list[j].precision);
    free(f.list);
    return behind ? TOOL_FAILED : rc;
}
