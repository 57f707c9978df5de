/* SPDX-License-Identifier: MIT
 *
 * Format c: the order of the file, and the interface, which stands in both files, so
 * that neither needs the other's name.
 */
#include "port/c_source.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

bool omq_c_by_bits(const struct omq_export_numbers *n, int unit)
{
    const struct omq_act act = n->tensors[n->net->plan.units[unit].in].act;

    return n->units[unit].grid.bits == 1 && act.q_max == 1 && act.zero_point == 0;
}

/* Neither ends the comment, nor continues a line, nor begins a trigraph. */
void omq_c_put_comment(FILE *f, const char *text)
{
    for (; *text; text++)
        putc(*text >= ' ' && *text <= '~' && !strchr("*\\?", *text) ? *text : '_', f);
}

/* Octal is for what is not of C's own character set, and for trigraphs. */
void omq_c_put_string(FILE *f, const char *text)
{
    putc('"', f);
    for (; *text; text++)
        if ((unsigned char)*text < 128 && isprint((unsigned char)*text) &&
            !strchr("\"\\?", *text))
            putc(*text, f);
        else
            fprintf(f, "\\%03o", (unsigned)(unsigned char)*text);
    putc('"', f);
}

/* ---- text with places for names ---- */

static bool integer_logits(const struct omq_c_source *s)
{
    return s->job->opt->integer || s->job->opt->cmsis;
}

static void put_line(const struct omq_c_source *s, const char *line)
{
    for (; *line; line++) {
        if (*line != '$') {
            putc(*line, s->f);
            continue;
        }
        line++;
        if (*line == 'l')
            fputs(integer_logits(s) ? "int32_t" : "float", s->f);
        else if (*line == 'u')
            fprintf(s->f, "%d", s->logit_one);
        else
            fputs(*line == 'N' ? s->upper : s->job->name, s->f);
    }
    putc('\n', s->f);
}

static void put_lines(const struct omq_c_source *s, const char *const *lines)
{
    for (; *lines; lines++)
        put_line(s, *lines);
}

/* A part of the file: after a blank line. */
static void put_text(const struct omq_c_source *s, const char *const *lines)
{
    putc('\n', s->f);
    put_lines(s, lines);
}

/* ---- the interface ---- */

static const char *const intro[] = {
    " *",
    " *     static uint32_t arena[($N_ARENA_BYTES + 3) / 4];",
    " *     $l logits[$N_CLASSES];",
    " *     int best = $n_run(pixels, logits, arena);",
    " */",
    "#ifndef $N_H",
    "#define $N_H",
    "",
    "#include <stdint.h>",
    "",
    "#ifdef __cplusplus",
    "extern \"C\" {",
    "#endif",
    NULL,
};

static const char *const run_prototype[] = {
    "/* Runs one image, pixels [$N_HEIGHT][$N_WIDTH][$N_CHANNELS] of 0 to 255, writes a",
    " * logit for each class, and returns the class of the largest. The arena is",
    " * $N_ARENA_BYTES of memory, aligned to 4, and need not be kept between calls. */",
    "int $n_run(const uint8_t *pixels, $l *logits, void *arena);",
    NULL,
};

static const char *const buffer_prototype[] = {
    "/* What the calls of CMSIS-NN need at most on this core, at any precision. If it is more",
    " * than $N_BUFFER_BYTES, which only another version of CMSIS-NN could want,",
    " * $n_run() returns -1, as where CMSIS-NN refuses a layer; if it is less, that may be",
    " * defined as so much, in all files. */",
    "int32_t $n_buffer_bytes(void);",
    NULL,
};

static const char *const set_precision_comment[] = {
    "/* The precision of what runs from now on: by name, or by its width where weights and",
    " * activations have the same. Returns 0, or -1 if the file has no such precision, and",
    " * all stays as it was. At first it is the first of these:",
    NULL,
};

static const char *const set_prototypes[] = {
    " */",
    "int $n_set_precision(const char *name);",
    "int $n_set_bits(int bits);",
    "",
    "#ifdef __cplusplus",
    "}",
    "#endif",
    "",
    "#endif",
    NULL,
};

static void put_precisions(const struct omq_c_source *s)
{
    for (int i = 0; i < s->job->n; i++) {
        const struct omq_choice *c = &s->job->choices[i]->choice;

        fputs(" *   ", s->f);
        omq_c_put_comment(s->f, c->name);
        fprintf(s->f, ": %" PRIu64 " bytes of weights", c->weight_bytes);
        if (isfinite(c->top1))
            fprintf(s->f, ", top-1 %.2f %%", c->top1);
        putc('\n', s->f);
    }
}

static void put_arena(const struct omq_c_source *s)
{
    const uint32_t size = s->places->n_bytes;

    if (s->job->opt->cmsis)
        fprintf(s->f, "#ifndef %s_BUFFER_BYTES /* of CMSIS-NN, on any core */\n"
                "#define %s_BUFFER_BYTES %" PRIu32 "\n#endif\n"
                "#define %s_ARENA_BYTES (%" PRIu32 " + %s_BUFFER_BYTES)\n", s->upper, s->upper,
                omq_c_cmsis_buffer(s), s->upper, size, s->upper);
    else
        fprintf(s->f, "#define %s_ARENA_BYTES %" PRIu32 "\n", s->upper, size);
}

static void put_classes(const struct omq_c_source *s)
{
    const struct omq_model_info *info = s->job->choices[0]->info;

    if (info->n_class_names == 0)
        return;
    fputs("\n/* The classes:\n", s->f);
    for (int i = 0; i < info->n_class_names; i++) {
        fprintf(s->f, " *   %d: ", i);
        omq_c_put_comment(s->f, info->class_names[i]);
        putc('\n', s->f);
    }
    fputs(" */\n", s->f);
}

static void put_interface(const struct omq_c_source *s)
{
    const struct omq_net *net = s->job->choices[0]->net;
    const struct { const char *name; uint32_t value; } macros[] = {
        {"HEIGHT", (uint32_t)net->pre.height}, {"WIDTH", (uint32_t)net->pre.width},
        {"CHANNELS", (uint32_t)net->pre.channels}, {"CLASSES", (uint32_t)net->n_classes},
        {"PRECISIONS", (uint32_t)s->job->n},
    };

    fprintf(s->f, "/* %s: a neural network in integers, written by omq-export " OMQ_VERSION "\n",
            s->job->name);
    put_lines(s, intro);
    putc('\n', s->f);
    for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
        fprintf(s->f, "#define %s_%s %" PRIu32 "\n", s->upper, macros[i].name, macros[i].value);
    put_arena(s);
    if (integer_logits(s))
        fprintf(s->f, "#define %s_LOGIT_ONE %d /* the logit that is 1.0 */\n", s->upper,
                s->logit_one);
    put_classes(s);
    put_text(s, run_prototype);
    if (s->job->opt->cmsis)
        put_text(s, buffer_prototype);
    putc('\n', s->f);
    put_lines(s, set_precision_comment);
    put_precisions(s);
    put_lines(s, set_prototypes);
}

/* ---- the code ---- */

static bool has_kind(const struct omq_c_source *s, enum omq_unit_kind kind)
{
    for (int i = 0; i < s->plan->n_units; i++)
        if (s->plan->units[i].kind == kind)
            return true;
    return false;
}

/* Whether a convolution runs by bits, or one does not. */
static bool has_conv(const struct omq_c_source *s, bool by_bits)
{
    for (int c = 0; c < s->job->n; c++)
        for (int i = 0; i < s->plan->n_units; i++)
            if (s->plan->units[i].kind == OMQ_UNIT_CONV &&
                omq_c_by_bits(s->job->choices[c], i) == by_bits)
                return true;
    return false;
}

/* Whether a precision has a convolution that CMSIS-NN computes in int4, or one in int8
 * that is not of the logits. */
static bool has_cmsis_conv(const struct omq_c_source *s, bool int4)
{
    for (int c = 0; c < s->job->n; c++)
        for (int i = 0; i < s->plan->n_units - 1; i++) {
            const struct omq_unit *u = &s->plan->units[i];

            if (u->kind == OMQ_UNIT_CONV && !omq_c_cmsis_depthwise(u) &&
                omq_c_cmsis_int4(s->job->choices[c], i) == int4)
                return true;
        }
    return false;
}

static bool has_depthwise(const struct omq_c_source *s)
{
    for (int i = 0; i < s->plan->n_units; i++)
        if (s->plan->units[i].kind == OMQ_UNIT_CONV && omq_c_cmsis_depthwise(&s->plan->units[i]))
            return true;
    return false;
}

static void put_cmsis_functions(const struct omq_c_source *s)
{
    const struct { bool needed; const char *const *text; } parts[] = {
        {true, omq_c_cmsis_layer}, {true, omq_c_cmsis_params},
        {has_cmsis_conv(s, false) || has_cmsis_conv(s, true) || has_depthwise(s),
         omq_c_cmsis_add},
        {has_cmsis_conv(s, false), omq_c_cmsis_conv_s8},
        {has_cmsis_conv(s, true), omq_c_cmsis_conv_s4},
        {has_depthwise(s), omq_c_cmsis_depthwise_s8}, {true, omq_c_cmsis_logits},
        {has_kind(s, OMQ_UNIT_MAXPOOL), omq_c_cmsis_max_pool},
        {has_kind(s, OMQ_UNIT_CONCAT), omq_c_cmsis_concat},
        {has_kind(s, OMQ_UNIT_SHORTCUT), omq_c_cmsis_shortcut},
        {has_kind(s, OMQ_UNIT_REQUANT), omq_c_cmsis_requant},
        {has_kind(s, OMQ_UNIT_AVGPOOL), omq_c_cmsis_average},
    };

    fprintf(s->f, "\nenum { TENSOR_BYTES = %" PRIu32 " };\n", s->places->n_bytes);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].needed)
            put_text(s, parts[i].text);
}

static void put_functions(const struct omq_c_source *s)
{
    const bool integer = s->job->opt->integer, requant = has_kind(s, OMQ_UNIT_REQUANT);
    const bool average = has_kind(s, OMQ_UNIT_AVGPOOL);
    const struct { bool needed; const char *const *text; } parts[] = {
        {true, omq_c_layer}, {!integer, omq_c_float_numbers}, {integer, omq_c_fixed_numbers},
        {!integer, omq_c_float_code}, {integer, omq_c_fixed_code},
        {has_conv(s, false), omq_c_conv}, {has_conv(s, true), omq_c_conv_bits},
        {!integer && (requant || average), omq_c_float_rescaled},
        {integer && (requant || average), omq_c_fixed_rescaled},
        {requant, omq_c_requant}, {average, omq_c_average},
        {has_kind(s, OMQ_UNIT_MAXPOOL), omq_c_max_pool},
        {has_kind(s, OMQ_UNIT_CONCAT), omq_c_concat},
        {has_kind(s, OMQ_UNIT_SHORTCUT), omq_c_shortcut},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].needed)
            put_text(s, parts[i].text);
}

static void put_input_codes(const struct omq_c_source *s)
{
    const struct omq_preprocess *pre = &s->job->choices[0]->net->pre;

    fprintf(s->f, "\n/* From pixels to codes of the input, a table a channel. */\n"
            "static const uint8_t input_codes[%d][256] OMQ_ROM = {", pre->channels);
    for (int c = 0; c < pre->channels; c++) {
        fputs(c ? ",\n   {" : "\n   {", s->f);
        for (int i = 0; i < 256; i++)
            fprintf(s->f, "%s%d", i == 0 ? "" : i % 16 ? ", " : ",\n    ", pre->table[c][i]);
        fputs("}", s->f);
    }
    fputs("\n};\n", s->f);
}

static void put_precision_table(const struct omq_c_source *s)
{
    fputs("\nstatic const struct {\n    const char *name;\n    int bits; /* of weights and "
          "activations; 0 if they differ */\n    const struct numbers *layers;\n"
          "} precisions[] = {\n", s->f);
    for (int i = 0; i < s->job->n; i++) {
        const struct omq_choice *c = &s->job->choices[i]->choice;

        fputs("    {", s->f);
        omq_c_put_string(s->f, c->name);
        fprintf(s->f, ", %d, layers_%d},\n", c->w == c->a ? c->w : 0, i);
    }
    fputs("};\n", s->f);
}

static void put_class_names(const struct omq_c_source *s)
{
    const struct omq_model_info *info = s->job->choices[0]->info;

    fprintf(s->f, "\nstatic const char *const class_names[%s_CLASSES] = {\n", s->upper);
    for (int i = 0; i < s->job->choices[0]->net->n_classes; i++) {
        fputs("    ", s->f);
        omq_c_put_string(s->f, i < info->n_class_names ? info->class_names[i] : "");
        fputs(",\n", s->f);
    }
    fputs("};\n", s->f);
}

static const char *const no_lines[] = {NULL};

static int put_source(const struct omq_c_source *s, struct omq_err *err)
{
    const bool cmsis = s->job->opt->cmsis;
    int rc;

    fprintf(s->f, "\n#include <string.h>\n%s\n"
            "/* Where constants go: __attribute__((section(\".name\"))) */\n"
            "#ifndef OMQ_ROM\n#define OMQ_ROM\n#endif\n",
            cmsis ? "\n#include <arm_nnfunctions.h>\n" : "");
    if (cmsis)
        put_cmsis_functions(s);
    else
        put_functions(s);
    put_input_codes(s);
    if ((rc = cmsis ? omq_c_cmsis_put_tables(s, err) : omq_c_put_tables(s, err)) < 0)
        return rc;
    put_precision_table(s);
    put_text(s, omq_c_set);
    put_text(s, cmsis ? omq_c_cmsis_run : omq_c_run);
    if (s->job->opt->with_main) {
        put_class_names(s);
        put_text(s, omq_c_main);
        put_lines(s, cmsis ? omq_c_cmsis_main_check : no_lines);
        put_lines(s, omq_c_main_end);
    }
    return OMQ_OK;
}

/* ---- what does not fit ---- */

static int check_unit(const struct omq_export_job *job, int unit, struct omq_err *err)
{
    const struct omq_unit *u = &job->choices[0]->net->plan.units[unit];
    const int sizes[] = {u->win.h, u->win.w, u->win.c, u->win.oh, u->win.ow, u->oc, u->win.kh,
                         u->win.kw, u->win.sh, u->win.ph, u->groups};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (sizes[i] > UINT16_MAX)
            return omq_fail(err, OMQ_EUNSUP, "'%s' has a size of %d: format 'c' holds up to %d",
                            u->name, sizes[i], UINT16_MAX);
    if (u->kind == OMQ_UNIT_CONV && omq_unit_filter(u) * (size_t)u->oc > INT32_MAX / 8)
        return omq_fail(err, OMQ_EUNSUP, "'%s' has more weights than format 'c' can hold",
                        u->name);
    return OMQ_OK;
}

int omq_export_c(const struct omq_export_job *job, FILE *const out[2], struct omq_err *err)
{
    struct omq_c_source s = {.job = job, .plan = &job->choices[0]->net->plan, .f = out[0],
                             .logit_one = job->opt->integer ? 1 << OMQ_C_LOGIT_SHIFT : 1};
    struct omq_c_places places;
    int rc = OMQ_OK;

    for (int i = 0; rc == OMQ_OK && i < s.plan->n_units; i++)
        rc = check_unit(job, i, err);
    if (rc == OMQ_OK && job->opt->cmsis)
        rc = omq_c_cmsis_logit_one(job, &s.logit_one, err);
    if (rc < 0 || (rc = omq_c_places_init(&places, job, err)) < 0)
        return rc;
    s.places = &places;
    for (size_t i = 0; job->name[i] && i < sizeof(s.upper) - 1; i++)
        s.upper[i] = (char)toupper((unsigned char)job->name[i]);
    put_interface(&s);
    rc = put_source(&s, err);
    if (rc == OMQ_OK && out[1]) {
        s.f = out[1];
        put_interface(&s);
    }
    omq_c_places_release(&places);
    return rc;
}
