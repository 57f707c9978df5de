/* SPDX-License-Identifier: MIT
 *
 * The templates for the sets that take all of their kernels.
 */
#include "kern/ref/template.h"

#define OP im2row_u8
#define SRC uint8_t
#define DST omq_real
#define ZERO_POINT , int zero_point
#define CONVERT(x) ((omq_real)((int)(x)-zero_point))
#include "kern/ref/im2row_template.h"

#define OP im2row
#define SRC omq_real
#define DST omq_real
#define ZERO_POINT
#define CONVERT(x) (x)
#include "kern/ref/im2row_template.h"

#include "kern/ref/codes_template.h"
#include "kern/ref/rows_template.h"
#include "kern/ref/dwconv_template.h"
