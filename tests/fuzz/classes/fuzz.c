/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a classes.txt: an error with a message, or names as long as they may be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "data/data_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct omq_err err = {0};
    const char **names;
    size_t all = 0;
    int n, rc = omq_class_names_parse(&names, &n, data, size, "input", &err);

    if (rc < 0) {
        check_said(err.code == rc && rc != OMQ_ENOMEM && strstr(err.msg, "'input'"));
        return 0;
    }
    check(n > 0 && n <= OMQ_MAX_CLASSES);
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(names[i]);

        check(length > 0 && length <= OMQ_MAX_CLASS_NAME);
        all += length + 1;
    }
    check(all <= size + 1);
    free(names);
    return 0;
}
