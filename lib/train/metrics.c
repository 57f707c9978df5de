/* SPDX-License-Identifier: MIT
 *
 * metrics.jsonl and metrics.csv: a row for each precision after each epoch,
 * the same figures in both. Kept in memory and rewritten whole, so that a
 * reader never sees half a row and a resumed run drops what it will repeat.
 */
#include "train/train_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static const char csv_head[] =
    "step,epoch,split,precision,train_loss,loss,top1,lr,images_per_s,time_s\n";

static int append(char **text, size_t *n, struct omq_err *err, const char *fmt, ...)
{
    char row[512], *grown;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(row, sizeof(row), fmt, ap);
    va_end(ap);
    grown = len < 0 || (size_t)len >= sizeof(row) ? NULL : realloc(*text, *n + (size_t)len + 1);
    if (!grown)
        return omq_fail(err, OMQ_ENOMEM, "cannot keep the run's metrics");
    memcpy(grown + *n, row, (size_t)len + 1);
    *text = grown;
    *n += (size_t)len;
    return OMQ_OK;
}

/* The epoch of a row, which follows its step in both files; -1: it is none. */
static int epoch_of(const char *line, size_t n)
{
    char head[64];
    int epoch;

    snprintf(head, sizeof(head), "%.*s", (int)(n < sizeof(head) ? n : sizeof(head) - 1), line);
    if (sscanf(head, "{\"step\": %*[0-9], \"epoch\": %d,", &epoch) == 1 ||
        sscanf(head, "%*[0-9],%d,", &epoch) == 1)
        return epoch;
    return -1;
}

/* Keeps the rows of text that are of the first epochs. */
static size_t keep_until(char *text, int epochs)
{
    char *to = text;

    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        size_t n = (size_t)(end + 1 - line);
        int epoch = epoch_of(line, n);

        if (epoch >= 0 && epoch <= epochs) {
            memmove(to, line, n);
            to += n;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

/* Rows of an earlier run: absent is empty. */
static int read_rows(char **text, size_t *n, const char *dir, const char *name, int epochs,
                     struct omq_err *err)
{
    char *path = omq_path_join(dir, name);
    uint8_t *bytes;
    int rc = OMQ_OK;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    if (access(path, F_OK) == 0 &&
        (rc = omq_file_read(path, 1u << 30, &bytes, n, err)) == OMQ_OK) {
        *text = (char *)bytes;
        *n = keep_until(*text, epochs);
    }
    free(path);
    return rc;
}

int omq_metrics_open(struct omq_metrics *m, const char *dir, int epochs, struct omq_err *err)
{
    char *rows = NULL, *last;
    size_t n_rows = 0;
    int rc;

    *m = (struct omq_metrics){0};
    if ((rc = append(&m->csv, &m->n_csv, err, "%s", csv_head)) < 0 || epochs < 0)
        return rc;
    rc = read_rows(&m->jsonl, &m->n_jsonl, dir, "metrics.jsonl", epochs, err);
    if (rc == OMQ_OK)
        rc = read_rows(&rows, &n_rows, dir, "metrics.csv", epochs, err);
    for (char *line = rows, *end; rc == OMQ_OK && line && (end = strchr(line, '\n'));
         line = end + 1) {
        *end = 0;
        rc = append(&m->csv, &m->n_csv, err, "%s\n", line);
        if ((last = strrchr(line, ',')) != NULL)
            m->earlier_s = strtod(last + 1, NULL);
    }
    free(rows);
    return rc;
}

/* A number, or what the file has in place of one that is not finite: JSON null, and CSV
 * a gap. */
static const char *number(char *buf, size_t size, double x, const char *none)
{
    if (isfinite(x))
        snprintf(buf, size, "%.6g", x);
    else
        snprintf(buf, size, "%s", none);
    return buf;
}

int omq_metrics_add(struct omq_metrics *m, const struct omq_train_progress *p, uint64_t step,
                    const char *split, struct omq_err *err)
{
    const double time_s = m->earlier_s + p->elapsed_s;
    const double images_per_s = p->images_per_s > 0 ? p->images_per_s : (double)NAN;

    for (int i = 0; i < p->n_precisions; i++) {
        const struct omq_train_precision *r = &p->precisions[i];
        char a[32], b[32], c[32], d[32], e[32];
        int rc;

        rc = append(&m->jsonl, &m->n_jsonl, err,
                    "{\"step\": %llu, \"epoch\": %d, \"split\": \"%s\", \"precision\": \"%s\", "
                    "\"train_loss\": %s, \"loss\": %s, \"top1\": %s, \"lr\": %s, "
                    "\"images_per_s\": %s, \"time_s\": %.3f}\n",
                    (unsigned long long)step, p->epoch, split, r->name,
                    number(a, sizeof(a), r->loss, "null"),
                    number(b, sizeof(b), r->eval_loss, "null"),
                    number(c, sizeof(c), r->top1, "null"), number(d, sizeof(d), p->lr, "null"),
                    number(e, sizeof(e), images_per_s, "null"), time_s);
        if (rc < 0)
            return rc;
        rc = append(&m->csv, &m->n_csv, err, "%llu,%d,%s,%s,%s,%s,%s,%s,%s,%.3f\n",
                    (unsigned long long)step, p->epoch, split, r->name,
                    number(a, sizeof(a), r->loss, ""), number(b, sizeof(b), r->eval_loss, ""),
                    number(c, sizeof(c), r->top1, ""), number(d, sizeof(d), p->lr, ""),
                    number(e, sizeof(e), images_per_s, ""), time_s);
        if (rc < 0)
            return rc;
    }
    return OMQ_OK;
}

static int write_one(const char *dir, const char *name, const char *text, size_t n,
                     struct omq_err *err)
{
    char *path = omq_path_join(dir, name);
    struct omq_atomic a;
    int rc;

    if (!path)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate a file name");
    rc = omq_atomic_open(&a, path, err);
    if (rc == OMQ_OK) {
        fwrite(text, 1, n, a.f); /* commit finds the error again */
        rc = omq_atomic_commit(&a, err);
    }
    free(path);
    return rc;
}

int omq_metrics_write(const struct omq_metrics *m, const char *dir, struct omq_err *err)
{
    int rc = write_one(dir, "metrics.jsonl", m->jsonl ? m->jsonl : "", m->n_jsonl, err);

    return rc < 0 ? rc : write_one(dir, "metrics.csv", m->csv, m->n_csv, err);
}

void omq_metrics_release(struct omq_metrics *m)
{
    free(m->jsonl);
    free(m->csv);
    *m = (struct omq_metrics){0};
}
