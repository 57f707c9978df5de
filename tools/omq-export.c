/* SPDX-License-Identifier: MIT
 *
 * omq-export: a model as files that other programs run.
 */
#define _GNU_SOURCE /* isatty */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "omq_tools.h"
#include "tool.h"

static const char *bits, *format, *output, *name, *style, *act_type, *weight_type;
static bool with_main, integer, cmsis, force, list_formats;

static const char *const styles[] = { "qcdq", "exact", "qonnx", "float", NULL };
static const char *const act_types[] = { "u8", "s8", NULL };
static const char *const weight_types[] = { "s8", "u8", NULL };
static int vectors;

static const struct tool_option options[] = {
    { .name = "bits", .letter = 'b', .arg = "LIST", .text = &bits,
      .help = "Precisions to export, with commas between: a width such as 4, a precision such as "
              "w4a8, the name of a profile, or all, which are those of integers; without the "
              "option, all if the format's file holds several, else the best that it can hold." },
    { .name = "format", .letter = 'f', .arg = "NAME", .text = &format,
      .help = "Format, see --list-formats; without the option, the one that the output's name "
              "ends like." },
    { .name = "output", .letter = 'o', .arg = "FILE", .text = &output, .def = "-",
      .help = "Where to write, - being standard output. Several precisions, if the format's file "
              "holds one, become a tar with a manifest.json." },
    { .name = "name", .arg = "NAME", .text = &name,
      .help = "What the network is called in what is written; without the option, after the "
              "output or the model." },
    { .name = "vectors", .arg = "N", .number = &vectors, .min = 1, .max = 65536, .unit = "images",
      .help = "Also write N images, and what the precisions answer, to a file beside the output: "
              "the same name with _vectors.npz in place of its ending." },
    { .name = "style", .arg = "NAME", .text = &style, .words = styles,
      .help = "Variant of format onnx: qcdq has codes everywhere, exact has sums of integers and "
              "else floats, qonnx is for FINN and hls4ml, float has weights in float." },
    { .name = "act-type", .arg = "TYPE", .text = &act_type, .def = "u8", .words = act_types,
      .help = "Type of activations in format onnx; s8 is for TensorRT, and keeps 7 bits of the 8 "
              "where none is negative." },
    { .name = "weight-type", .arg = "TYPE", .text = &weight_type, .def = "s8",
      .words = weight_types,
      .help = "Type of weights in format onnx, style qcdq; with u8 ONNX Runtime is exact on x86 "
              "processors without VNNI, too." },
    { .name = "main", .flag = &with_main,
      .help = "With format c, add a main function that classifies images from standard input." },
    { .name = "integer", .flag = &integer,
      .help = "With format c, use no floating point." },
    { .name = "cmsis", .flag = &cmsis,
      .help = "With format c, call CMSIS-NN, in integers, for convolutions, linear layers and "
              "pools." },
    { .name = "force", .flag = &force, .help = "Write even what is no text to a terminal." },
    { .name = "list-formats", .flag = &list_formats,
      .help = "Print the formats, how the names of their files end, whether one holds several "
              "precisions, and what they are; MODEL may be missing then." },
};

static const char *const examples[] = {
    "omq-export --bits 8,2 -o model.json runs/quickstart/model.omq",
    "omq-export --format json runs/quickstart/model.omq | head",
    "omq-export --list-formats",
    NULL,
};

static void stray(const char *operand)
{
    tool_stray_precision(operand);
    tool_usage("one MODEL at a time; did you mean '-o %s'?", operand);
}

static const struct tool program = {
    .name = "omq-export",
    .operand = "MODEL",
    .alone = &list_formats,
    .summary = "Writes a model in a format that other programs run.",
    .examples = examples,
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .stray = stray,
};

static int print_formats(void)
{
    const char *end;

    printf("%-12s %-12s %-10s %s\n", "format", "files", "precisions", "for");
    for (int i = 0; i < omq_export_format_count(); i++) {
        char ends[32] = "";

        for (int n = 0; (end = omq_export_format_suffix(i, n)); n++)
            snprintf(ends + strlen(ends), sizeof(ends) - strlen(ends), "%s%s", n ? " " : "", end);
        printf("%-12s %-12s %-10s %s\n", omq_export_format_name(i), ends,
               omq_export_format_holds_several(i) ? "several" : "one",
               omq_export_format_summary(i));
    }
    return tool_finish(TOOL_OK);
}

/* The format's index; a wrong word is bad usage. */
static int find_format(void)
{
    struct omq_err err = { 0 };
    int i = format ? omq_export_format_find(format, &err) : omq_export_format_of(output, &err);

    if (i < 0)
        tool_usage("%s", err.msg);
    return i;
}

/* Standard output, or one by another name. Only a device is opened: a pipe's reader would
 * take that for all. */
static bool is_terminal(const char *path)
{
    struct stat st;
    bool is;
    int fd;

    if (strcmp(path, "-") == 0)
        return isatty(STDOUT_FILENO);
    if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode) ||
        (fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK)) < 0)
        return false;
    is = isatty(fd);
    close(fd);
    return is;
}

static void check_terminal(int format)
{
    const bool is_text = omq_export_format_is_text(format) && vectors == 0;

    if (force || is_text || !is_terminal(output))
        return;
    if (strcmp(output, "-") == 0)
        tool_usage("standard output is a terminal: give -o FILE, a pipe, or --force");
    tool_usage("'%s' is a terminal: give another file, a pipe, or --force", output);
}

static int find(void *x, const char *word, struct omq_err *err)
{
    return omq_export_find(x, word, err);
}

static bool is_integer(void *x, int i)
{
    return !omq_export_is_float(x, i);
}

/* What is exported when nothing is said; of a model without integers all, which says so. */
static const char *default_bits(struct omq_export *x, int format)
{
    int i = omq_export_format_holds_several(format) ? -1 : omq_export_default(x, format);

    return i < 0 ? "all" : omq_export_name(x, i);
}

/* Text that is put together; what does not fit is cut, as messages are. */
struct text {
    char s[2048];
};

static void add(struct text *t, const char *a, const char *b, const char *c)
{
    const size_t used = strlen(t->s);

    snprintf(t->s + used, sizeof(t->s) - used, "%s%s%s", a, b, c);
}

/* What was written: "in 'm.param' and 'm.bin'". */
struct places {
    struct text names;
    int n;
    bool has_hidden_tar; /* by a name that does not say so */
};

static void add_place(void *ctx, const char *path, bool is_tar)
{
    struct places *p = ctx;
    const char *dot = strrchr(path, '.');

    if (strcmp(path, "-") == 0)
        add(&p->names, "on standard output", "", "");
    else
        add(&p->names, p->n ? " and '" : "in '", path, "'");
    p->n++;
    if (is_tar && !(dot && strcmp(dot, ".tar") == 0)) {
        add(&p->names, ", a tar", "", "");
        p->has_hidden_tar = true;
    }
}

/* Whether a precision was chosen among several, which nobody asked for. */
static bool is_chosen(struct omq_export *x, int format, const int *list)
{
    if (bits || omq_export_format_holds_several(format))
        return false;
    for (int i = 0; i < omq_export_count(x); i++)
        if (i != list[0] && !omq_export_is_float(x, i))
            return true;
    return false;
}

/* A line where more happened than what the options name. */
static void say_what_is_where(struct omq_export *x, const int *list, int n, bool chosen,
                              const struct places *p)
{
    struct text what = { "" };

    for (int i = 0; i < n; i++)
        add(&what, i ? ", " : "", omq_export_name(x, list[i]), "");
    if (!tool_common.quiet && (chosen || p->n > 1 || p->has_hidden_tar))
        tool_message("%s %s%s", what.s, p->names.s, chosen ? "; --bits chooses others" : "");
}

static bool has_word(const char *words, const char *word)
{
    const size_t n = strlen(word);

    for (const char *p = words; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    return false;
}

/* All precisions are not all if some are in floating point. */
static void say_what_is_missing(struct omq_export *x, const char *words)
{
    struct text what = { "" };

    for (int i = 0; i < omq_export_count(x); i++)
        if (omq_export_is_float(x, i))
            add(&what, what.s[0] ? ", " : "", omq_export_name(x, i), "");
    if (!tool_common.quiet && what.s[0] && has_word(words, "all"))
        tool_message("without %s: formats hold precisions of integers", what.s);
}

static int export(struct omq_export *x, int i)
{
    const struct tool_choices all = { x, omq_export_count(x), find, is_integer };
    struct places places = { .n = 0 };
    const struct omq_export_options opt = {
        .format = omq_export_format_name(i), .style = style, .name = name,
        .with_main = with_main, .integer = integer, .cmsis = cmsis,
        .act_s8 = strcmp(act_type, "s8") == 0, .weight_u8 = strcmp(weight_type, "u8") == 0,
        .vectors = vectors, .wrote = add_place, .ctx = &places,
    };
    const char *words = bits ? bits : default_bits(x, i);
    struct omq_err err = { 0 };
    int *list, n, rc = tool_choose(&all, words, &list, &n);

    if (rc == TOOL_OK && omq_export_write(x, &opt, list, n, output, &err) != OMQ_OK)
        rc = strcmp(output, "-") == 0 && tool_reader_gone() ? TOOL_FAILED : tool_fail(&err);
    if (rc == TOOL_OK)
        say_what_is_missing(x, words);
    if (rc == TOOL_OK)
        say_what_is_where(x, list, n, is_chosen(x, i, list), &places);
    free(list);
    return rc;
}

int main(int argc, char **argv)
{
    const char *model = tool_start(&program, argc, argv);
    struct omq_err err = { 0 };
    struct omq_export *x = NULL;
    int i, status;

    if (list_formats)
        return print_formats();
    if (strcmp(model, "-") == 0 && isatty(STDIN_FILENO))
        tool_usage("standard input is a terminal, not a model");
    i = find_format();
    check_terminal(i);
    tool_init_library();
    if (omq_export_open(&x, model, &err) != OMQ_OK)
        status = tool_fail(&err);
    else
        status = export(x, i);
    omq_export_close(x);
    return status == TOOL_OK ? tool_finish(status) : status; /* what failed has been said */
}
