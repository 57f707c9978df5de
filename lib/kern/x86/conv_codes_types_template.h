/* SPDX-License-Identifier: MIT
 *
 * What a call of conv_codes and a block of its pixels are, for the files that
 * include conv_codes_template.h. They first define OMQ_MR and PANEL (blocks of
 * 16 outputs, at most).
 */
#define OMQ_SUFFIX _none /* vec_template.h asks for one */
#include "kern/x86/block.h"
#include "kern/x86/vec_template.h"

enum { OUTPUTS = VEC, INPUTS = 4, BLOCK = OUTPUTS * INPUTS };

struct conv_codes {
    const struct omq_conv_shape *s;
    const struct omq_conv_io *io;
    ptrdiff_t steps;                 /* of four inputs, in a run */
    ptrdiff_t k_bytes;               /* of an unpacked block of 16 outputs */
    int first, outputs;              /* of this panel; outputs at most 16 * PANEL */
};

/* Some pixels of the output. */
struct pixels {
    const uint8_t *x[OMQ_MR], *res[OMQ_MR];
    ptrdiff_t y[OMQ_MR];
};
