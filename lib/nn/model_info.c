/* SPDX-License-Identifier: MIT */
#include "nn/nn_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* Bytes of a name that fit its place, whole characters only. */
static int fitting(const char *name)
{
    size_t n = strlen(name);

    if (n >= OMQ_CLASS_NAME_SIZE)
        for (n = OMQ_CLASS_NAME_SIZE - 1; (name[n] & 0xc0) == 0x80;)
            n--;
    return (int)n;
}

bool omq_class_name_is(const char *stored, const char *name)
{
    const size_t n = (size_t)fitting(name);

    return strlen(stored) == n && memcmp(stored, name, n) == 0;
}

int omq_model_info_set_classes(struct omq_model_info *info, const char *const *names, int n,
                               struct omq_err *err)
{
    char(*copy)[OMQ_CLASS_NAME_SIZE] = calloc((size_t)n, sizeof(*copy));

    if (!copy)
        return omq_fail(err, OMQ_ENOMEM, "cannot allocate %d class names", n);
    for (int i = 0; i < n; i++) {
        if (!omq_utf8_printable(names[i], strlen(names[i]))) {
            free(copy);
            return omq_fail(err, OMQ_EFORMAT, "the name of class %d is not UTF-8 text without "
                            "control characters", i);
        }
        snprintf(copy[i], sizeof(copy[i]), "%.*s", fitting(names[i]), names[i]);
    }
    free(info->class_names);
    info->class_names = copy;
    info->n_class_names = n;
    return OMQ_OK;
}

void omq_model_info_release(struct omq_model_info *info)
{
    for (int i = 0; i < info->n_profiles; i++)
        free(info->profiles[i].layers);
    free(info->profiles);
    free(info->class_names);
    *info = (struct omq_model_info){0};
}

void omq_param_file_name(const struct omq_net *net, const struct omq_param *p,
                         char buf[OMQ_FILE_NAME_SIZE])
{
    char precision[16];

    if (p->precision < 0)
        snprintf(buf, OMQ_FILE_NAME_SIZE, "%s", p->name);
    else
        snprintf(buf, OMQ_FILE_NAME_SIZE, "%s@%s", p->name,
                 omq_precision_name(net->precisions[p->precision], precision));
}
