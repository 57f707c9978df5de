/* SPDX-License-Identifier: MIT
 *
 * What omq-train shows of a training: a line in place on a terminal, lines in a log,
 * and tables of all precisions.
 */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "omq_tools.h"
#include "tool.h"

enum { LINE_SIZE = 1024 };

static struct {
    bool live;
    double last_shown; /* as omq_now() */
    struct omq_train_progress last;
} show;

/* Appends a part of a line, two spaces apart, if it fits the columns as a
 * whole; a part is never cut. Returns whether it did. */
__attribute__((format(printf, 3, 4)))
static bool add_part(char *line, int columns, const char *fmt, ...)
{
    size_t used = strlen(line);
    char part[160];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(part, sizeof(part), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(part) || (int)used + n > columns ||
        used + (size_t)n >= LINE_SIZE)
        return false;
    memcpy(line + used, part, (size_t)n + 1);
    return true;
}

static void add_top1(char *line, int columns, const struct omq_train_progress *p)
{
    bool first = true;
    char name[16];

    for (int i = 0; i < p->n_precisions; i++) {
        if (isnan(p->precisions[i].top1))
            continue;
        if (!add_part(line, columns, "%s%s:%.1f", first ? "  top-1 " : " ",
                      tool_short_precision(p->precisions[i].name, name, sizeof(name)),
                      p->precisions[i].top1))
            return;
        first = false;
    }
}

static void format_line(char line[LINE_SIZE], int columns, const struct omq_train_progress *p,
                        bool with_step)
{
    char left[32];

    line[0] = '\0';
    if (p->n_epochs == 0) {
        add_part(line, columns, "calibrated");
        add_top1(line, columns, p);
        return;
    }
    add_part(line, columns, "epoch %d/%d", p->epoch, p->n_epochs);
    if (with_step)
        add_part(line, columns, "  step %d/%d", p->step, p->n_steps);
    add_part(line, columns, "  loss %.4f", p->loss);
    if (!with_step && tool_common.verbose)
        add_part(line, columns, "  lr %.3g", p->lr);
    if (p->images_per_s > 0) /* not where a resumed run had only the epoch's end to do */
        add_part(line, columns, "  %.0f images/s", p->images_per_s);
    if (p->left_s >= 0)
        add_part(line, columns, "  %s left", tool_duration(p->left_s, left, sizeof(left)));
    add_top1(line, columns, p);
}

static void put_line(const struct omq_train_progress *p, bool with_step)
{
    char line[LINE_SIZE];

    format_line(line, LINE_SIZE - 1, p, with_step);
    tool_progress_clear();
    fprintf(stderr, "%s\n", line);
}

static void on_step(void *ctx, const struct omq_train_progress *p)
{
    const double live_interval = 0.1, log_interval = 10;
    double t = omq_now();
    char line[LINE_SIZE];

    (void)ctx;
    if (show.live && t - show.last_shown >= live_interval) {
        format_line(line, tool_progress_columns(), p, true);
        tool_progress(line);
        show.last_shown = t;
    } else if (!show.live && tool_common.verbose >= 2 && t - show.last_shown >= log_interval) {
        put_line(p, true);
        show.last_shown = t;
    }
}

static void put_precisions(const struct omq_train_progress *p)
{
    char name[16];

    tool_progress_clear();
    fprintf(stderr, "precision    top-1     loss  training loss\n");
    for (int i = 0; i < p->n_precisions; i++) {
        const struct omq_train_precision *q = &p->precisions[i];

        fprintf(stderr, "%-9s", tool_short_precision(q->name, name, sizeof(name)));
        tool_put_figure(stderr, q->top1, 9, 2);
        tool_put_figure(stderr, q->eval_loss, 9, 4);
        tool_put_figure(stderr, q->loss, 15, 4);
        putc('\n', stderr);
    }
}

static void on_epoch(void *ctx, const struct omq_train_progress *p)
{
    (void)ctx;
    show.last = *p;
    if (tool_common.quiet)
        return;
    put_line(p, false);
    if (tool_common.verbose && p->epoch < p->n_epochs)
        put_precisions(p);
}

static void on_log(void *ctx, const char *line)
{
    (void)ctx;
    if (!tool_common.quiet || strncmp(line, "warning: ", 9) == 0)
        tool_message("%s", line);
}

const struct omq_train_callbacks *tool_training_begin(bool live)
{
    static const struct omq_train_callbacks callbacks = { .step = on_step, .epoch = on_epoch,
                                                          .log = on_log };

    show.live = live;
    show.last_shown = -1e9;
    return &callbacks;
}

double tool_training_end(void)
{
    if (show.last.n_precisions == 0)
        return -1;
    put_precisions(&show.last);
    return show.last.elapsed_s;
}
