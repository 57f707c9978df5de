/* SPDX-License-Identifier: MIT
 *
 * The formats: a row each.
 */
#include "port/port_internal.h"

#include <string.h>

const struct omq_export_format omq_export_formats[] = {
    {.name = "omq", .summary = "packed integers for omq's own programs: chosen precisions only",
     .suffixes = {".omq"}, .several = true, .write = omq_export_omq},
    {.name = "npz", .summary = "arrays for NumPy: weights, and codes and scales of each precision",
     .suffixes = {".npz"}, .several = true, .write = omq_export_npz},
    {.name = "safetensors", .summary = "the same arrays for PyTorch and others",
     .suffixes = {".safetensors"}, .several = true, .write = omq_export_safetensors},
    {.name = "ncnn", .summary = "a graph and weights for ncnn; activations of at most 7 bits",
     .suffixes = {".param", ".bin"}, .act_bits = 7, .write = omq_export_ncnn},
    {.name = "json", .summary = "what the model is: layers, shapes, precisions, sizes, provenance",
     .suffixes = {".json"}, .several = true, .is_text = true, .write = omq_export_json},
    {.name = "c", .summary = "C99 for microcontrollers and anything else, without libraries",
     .suffixes = {".c", ".h"}, .one_stream = true, .several = true, .is_text = true,
     .takes_main = true, .takes_integer = true, .takes_cmsis = true, .write = omq_export_c},
    {.name = "onnx", .summary = "for ONNX Runtime and all that reads ONNX; styles qcdq, exact, "
     "qonnx, float", .suffixes = {".onnx"}, .styles = omq_onnx_styles, .takes_types = true,
     .write = omq_export_onnx},
    {.name = "onnx-switch", .summary = "onnx, with an input that chooses the precision",
     .suffixes = {".onnx"}, .several = true, .styles = omq_onnx_switch_styles,
     .takes_types = true, .write = omq_export_onnx_switch},
};

enum { N_FORMATS = sizeof(omq_export_formats) / sizeof(omq_export_formats[0]) };

int omq_export_format_count(void) { return N_FORMATS; }
const char *omq_export_format_name(int i) { return omq_export_formats[i].name; }
const char *omq_export_format_summary(int i) { return omq_export_formats[i].summary; }
const char *omq_export_format_suffix(int i, int n) { return omq_export_formats[i].suffixes[n]; }
bool omq_export_format_holds_several(int i) { return omq_export_formats[i].several; }
bool omq_export_format_is_text(int i) { return omq_export_formats[i].is_text; }

void omq_export_list_formats(bool only_several, char list[256])
{
    list[0] = '\0';
    for (int i = 0; i < N_FORMATS; i++)
        if (omq_export_formats[i].several || !only_several)
            snprintf(list + strlen(list), 256 - strlen(list), "%s%s", list[0] ? ", " : "",
                     omq_export_formats[i].name);
}

int omq_export_format_find(const char *name, struct omq_err *err)
{
    char list[256];

    for (int i = 0; i < N_FORMATS; i++)
        if (strcmp(name, omq_export_formats[i].name) == 0)
            return i;
    omq_export_list_formats(false, list);
    return omq_fail(err, OMQ_EARG, "unknown format '%s'; there are %s", name, list);
}

/* Of formats with the same ending the first. */
int omq_export_format_of(const char *output, struct omq_err *err)
{
    const size_t n = strlen(output);
    char list[256];

    for (int i = 0; i < N_FORMATS; i++)
        for (int s = 0; omq_export_formats[i].suffixes[s]; s++) {
            const char *suffix = omq_export_formats[i].suffixes[s];

            if (n > strlen(suffix) && strcmp(output + n - strlen(suffix), suffix) == 0)
                return i;
        }
    omq_export_list_formats(false, list);
    if (strcmp(output, "-") == 0)
        return omq_fail(err, OMQ_EARG, "give --format, or an --output whose name ends like one; "
                        "there are %s", list);
    return omq_fail(err, OMQ_EARG, "the name '%s' does not say in what format: give --format; "
                    "there are %s", output, list);
}
