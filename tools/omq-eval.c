/* SPDX-License-Identifier: MIT
 *
 * omq-eval: accuracy of one model at any of its precisions.
 */
#define _GNU_SOURCE /* isatty */

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "omq_tools.h"
#include "tool.h"

static const char *bits, *data, *split, *engine, *logits;
static int batch_size, limit;
static bool per_layer, confusion;

static const char *const splits[] = { "test", "validation", "train", NULL };
static const char *const engines[] = { "int", "float", NULL };

static const struct tool_option options[] = {
    { .name = "bits", .letter = 'b', .arg = "LIST", .text = &bits, .def = "all",
      .help = "Precisions to evaluate, with commas between: a width such as 4, a precision such "
              "as w4a8, the name of a profile, or all." },
    { .name = "data", .letter = 'd', .arg = "DIR", .text = &data,
      .help = "Folder of the data set; without the option, the one the model was trained on." },
    { .name = "split", .arg = "NAME", .text = &split, .def = "test", .words = splits,
      .help = "Part of the data set to use." },
    { .name = "engine", .arg = "NAME", .text = &engine, .def = "int", .words = engines,
      .help = "Compute in integers, as a deployed model does, or with the floating-point forward "
              "pass of the training." },
    { .name = "batch", .arg = "N", .number = &batch_size, .def = "64", .min = 1, .max = 4096,
      .unit = "images", .help = "Images a batch." },
    { .name = "limit", .letter = 'l', .arg = "N", .number = &limit, .min = 1, .max = INT_MAX,
      .unit = "images", .help = "Use N images only: the first ones, or, of a folder or shards, "
                                "N that are evenly spread." },
    { .name = "per-layer", .letter = 'p', .flag = &per_layer,
      .help = "Also show how well each layer is represented: signal to quantization noise in dB "
              "and share clipped in percent, of its weights and of its input." },
    { .name = "confusion", .letter = 'c', .flag = &confusion,
      .help = "Also show how often each class was taken for each other one." },
    { .name = "logits", .arg = "FILE", .text = &logits,
      .help = "Also write the outputs of the network to a file of NumPy (.npy), a row an image in "
              "the order of the data set; for one precision only." },
};

static const char *const examples[] = {
    "omq-eval runs/quickstart/model.omq",
    "omq-eval --bits 8,2 --json runs/quickstart/model.omq",
    NULL,
};

static const struct tool program = {
    .name = "omq-eval",
    .operand = "MODEL",
    .summary = "Measures the accuracy of a model at any of its precisions.",
    .examples = examples,
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .shared = TOOL_WITH_JSON | TOOL_WITH_THREADS,
    .stray = tool_stray_precision,
};

/* All results that may belong to one precision. */
struct result {
    struct omq_eval_result numbers;
    struct omq_eval_layer *layers; /* NULL without --per-layer */
    int n_layers;
    uint32_t *confusion;           /* [n_classes][n_classes]; NULL without --confusion */
    int n_classes;
};

/* ---- which precisions ---- */

static int find(void *e, const char *word, struct omq_err *err)
{
    return omq_eval_find(e, word, err);
}

/* The forward pass of the training has no profiles. */
static bool can_run(void *e, int i)
{
    return strcmp(engine, "float") != 0 || !omq_eval_is_profile(e, i);
}

/* ---- the table ---- */

/* Text of a hostile model in a column, without control characters. */
static void put_column(const char *s, int width)
{
    tool_put_clean(stdout, s, "");
    printf("%*s", width > (int)strlen(s) ? width - (int)strlen(s) : 0, "");
}

static void print_header(int width)
{
    printf("%-*s   top-1   top-5      loss          weight bytes  images/s\n", width,
           "precision");
}

static void print_row(const struct omq_eval_result *r, int width)
{
    char human[32];

    put_column(r->precision, width);
    tool_put_figure(stdout, r->top1, 8, 2);
    tool_put_figure(stdout, r->top5, 8, 2);
    tool_put_figure(stdout, r->loss, 10, 4);
    printf("  %10s %9llu  %8.0f\n", tool_bytes(r->weight_bytes, human, sizeof(human)),
           (unsigned long long)r->weight_bytes, r->images_per_s);
}

static void print_layers(const struct result *r)
{
    int width = (int)strlen("layer");

    for (int i = 0; i < r->n_layers; i++)
        if ((int)strlen(r->layers[i].name) > width)
            width = (int)strlen(r->layers[i].name);
    printf("\n  %-*s     w  SQNR dB  clipped %%     a  SQNR dB  clipped %%\n", width, "layer");
    for (int i = 0; i < r->n_layers; i++) {
        const struct omq_eval_layer *l = &r->layers[i];

        printf("  ");
        put_column(l->name, width);
        printf("  %4d", l->w_bits);
        tool_put_figure(stdout, l->w_sqnr_db, 9, 2);
        tool_put_figure(stdout, l->w_clipped, 11, 3);
        printf("  %4d", l->a_bits);
        tool_put_figure(stdout, l->a_sqnr_db, 9, 2);
        tool_put_figure(stdout, l->a_clipped, 11, 3);
        printf("\n");
    }
    printf("\n");
}

static void print_confusion(const struct omq_eval *e, const struct result *r)
{
    const char *corner = "label";
    int width = (int)strlen(corner);

    for (int c = 0; c < r->n_classes; c++)
        if ((int)strlen(omq_eval_class_name(e, c)) > width)
            width = (int)strlen(omq_eval_class_name(e, c));
    printf("\n  %-*s  taken for class\n  %*s ", width, corner, width, "");
    for (int c = 0; c < r->n_classes; c++)
        printf(" %6d", c);
    printf("\n");
    for (int label = 0; label < r->n_classes; label++) {
        printf("  ");
        put_column(omq_eval_class_name(e, label), width);
        printf(" ");
        for (int c = 0; c < r->n_classes; c++)
            printf(" %6lu",
                   (unsigned long)r->confusion[(size_t)label * (size_t)r->n_classes + (size_t)c]);
        printf("\n");
    }
    printf("\n");
}

static void print_table(const struct omq_eval *e, const struct result *r, int width)
{
    print_row(&r->numbers, width);
    if (r->layers)
        print_layers(r);
    if (r->confusion)
        print_confusion(e, r);
}

/* ---- JSON ---- */

static void json_layers(const struct result *r)
{
    printf(",\"layers\":[");
    for (int i = 0; i < r->n_layers; i++) {
        const struct omq_eval_layer *l = &r->layers[i];
        const struct tool_number numbers[] = {
            { "w", l->w_bits }, { "a", l->a_bits },
            { "w_sqnr_db", l->w_sqnr_db }, { "w_clipped", l->w_clipped },
            { "a_sqnr_db", l->a_sqnr_db }, { "a_clipped", l->a_clipped },
        };

        printf("%s{\"name\":", i ? "," : "");
        tool_json_string(stdout, l->name);
        tool_json_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));
        printf("}");
    }
    printf("]");
}

static void json_confusion(const struct omq_eval *e, const struct result *r)
{
    size_t n = (size_t)r->n_classes;

    printf(",\"classes\":[");
    for (int c = 0; c < r->n_classes; c++) {
        printf("%s", c ? "," : "");
        tool_json_string(stdout, omq_eval_class_name(e, c));
    }
    printf("],\"confusion\":[");
    for (size_t i = 0; i < n * n; i++)
        printf("%s%lu%s", i % n ? "," : i ? ",[" : "[", (unsigned long)r->confusion[i],
               i % n == n - 1 ? "]" : "");
    printf("]");
}

static void print_json(const struct omq_eval *e, const struct result *r)
{
    const struct omq_eval_result *m = &r->numbers;
    const struct tool_number numbers[] = {
        { "w", m->w }, { "a", m->a }, { "top1", m->top1 }, { "top5", m->top5 },
        { "loss", m->loss }, { "samples", m->samples }, { "skipped", m->skipped },
        { "seconds", m->seconds }, { "images_per_s", m->images_per_s },
    };

    printf("{\"precision\":");
    tool_json_string(stdout, m->precision);
    tool_json_numbers(numbers, sizeof(numbers) / sizeof(numbers[0]));
    printf(",\"weight_bytes\":%llu", (unsigned long long)m->weight_bytes);
    if (r->layers)
        json_layers(r);
    if (r->confusion)
        json_confusion(e, r);
    printf("}\n");
}

/* ---- the run ---- */

static void show_progress(const struct omq_eval *e, int index, int i, int n)
{
    char line[160];

    if (!tool_progress_wanted())
        return;
    snprintf(line, sizeof(line), "%s: %d of %d", omq_eval_name(e, index), i + 1, n);
    tool_progress(line);
}

/* Everything asked for about one precision. On failure, r holds nothing. */
static int measure(struct omq_eval *e, int index, struct result *r, struct omq_err *err)
{
    int rc;

    *r = (struct result){ .n_classes = omq_eval_classes(e) };
    if (confusion) {
        r->confusion = calloc((size_t)r->n_classes * (size_t)r->n_classes, sizeof(*r->confusion));
        if (!r->confusion) {
            err->code = OMQ_ENOMEM;
            snprintf(err->msg, sizeof(err->msg), "cannot allocate a confusion matrix of %d classes",
                     r->n_classes);
            return OMQ_ENOMEM;
        }
    }
    rc = omq_eval_run(e, index, &r->numbers, r->confusion, err);
    if (rc == OMQ_OK && per_layer)
        rc = omq_eval_layers(e, index, &r->layers, &r->n_layers, err);
    if (rc != OMQ_OK) {
        free(r->confusion);
        *r = (struct result){ 0 };
    }
    return rc;
}

/* The same ones for every precision. */
static void say_skipped(int n)
{
    if (n > 0)
        tool_message("warning: %d damaged image%s could not be decoded and %s left out", n,
                     n == 1 ? "" : "s", n == 1 ? "was" : "were");
}

/* Table or JSON, each precision as soon as it is known. */
static int evaluate(struct omq_eval *e, const int *list, int n)
{
    bool sections = per_layer || confusion; /* after each row; they part the table */
    int width = (int)strlen("precision");
    struct omq_err err = { 0 };
    struct result r;

    for (int i = 0; i < n; i++)
        if ((int)strlen(omq_eval_name(e, list[i])) > width)
            width = (int)strlen(omq_eval_name(e, list[i]));
    for (int i = 0; i < n && !tool_stdout_broken(); i++) {
        show_progress(e, list[i], i, n);
        if (measure(e, list[i], &r, &err) != OMQ_OK)
            return tool_fail(&err);
        tool_progress_clear();
        if (i == 0)
            say_skipped(r.numbers.skipped);
        if (!tool_common.json && (i == 0 || sections))
            print_header(width);
        if (tool_common.json)
            print_json(e, &r);
        else
            print_table(e, &r, width);
        free(r.layers);
        free(r.confusion);
    }
    return TOOL_OK;
}

static int run(struct omq_eval *e)
{
    const struct tool_choices all = { e, omq_eval_count(e), find, can_run };
    int *list, n, rc = tool_choose(&all, bits, &list, &n);

    if (rc == TOOL_OK && logits && n != 1)
        tool_usage("--logits is for one precision: choose it by --bits");
    if (rc == TOOL_OK)
        rc = evaluate(e, list, n);
    free(list);
    return rc;
}

/* Under any name; but what goes to /dev/null goes there twice. */
static bool is_stdout(const char *path)
{
    struct stat st, out;

    return strcmp(path, "-") == 0 ||
           (stat(path, &st) == 0 && fstat(STDOUT_FILENO, &out) == 0 && !S_ISCHR(st.st_mode) &&
            omq_is_same_file(&st, &out));
}

int main(int argc, char **argv)
{
    const char *model = tool_start(&program, argc, argv);
    struct omq_eval_options opt = { 0 };
    struct omq_err err = { 0 };
    struct omq_eval *e = NULL;
    int status;

    if (strcmp(model, "-") == 0 && isatty(STDIN_FILENO))
        tool_usage("standard input is a terminal, not a model");
    if (logits && is_stdout(logits))
        tool_usage("option '--logits': give a file: standard output has the table");
    tool_init_library();
    opt = (struct omq_eval_options){ .data = data, .split = split, .engine = engine,
                                     .threads = tool_common.threads, .batch_size = batch_size,
                                     .limit = limit, .logits = logits };
    if (omq_eval_open(&e, model, &opt, &err) != OMQ_OK)
        return tool_finish(tool_fail(&err));
    status = run(e);
    omq_eval_close(e);
    return tool_finish(status);
}
