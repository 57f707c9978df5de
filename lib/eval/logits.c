/* SPDX-License-Identifier: MIT
 *
 * Logits as an array of NumPy, f32 [images][classes] in the order of the data set.
 */
#include "eval/eval.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"

static void put_header(FILE *f, int n, int classes)
{
    enum { HEADER = 128, PRELUDE = 10 }; /* a multiple of 64, which any two ints fit */
    char h[HEADER + 1];
    uint8_t size[2];

    omq_put_le16(size, HEADER - PRELUDE);
    fwrite("\x93NUMPY\x01\x00", 8, 1, f);
    fwrite(size, sizeof(size), 1, f);
    snprintf(h, sizeof(h), "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n,
             classes);
    fprintf(f, "%-*s\n", HEADER - PRELUDE - 1, h);
}

int omq_eval_put_logits(const char *path, const float *logits, int n, int classes,
                        struct omq_err *err)
{
    size_t all = (size_t)n * (size_t)classes;
    struct omq_atomic a;
    int rc = omq_atomic_open(&a, path, err);

    if (rc < 0)
        return rc;
    put_header(a.f, n, classes);
    for (size_t i = 0; i < all; i++) {
        uint8_t le[4];
        uint32_t bits;

        memcpy(&bits, &logits[i], sizeof(bits));
        omq_put_le32(le, bits);
        fwrite(le, sizeof(le), 1, a.f);
    }
    return omq_atomic_commit(&a, err);
}
