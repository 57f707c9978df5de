/* SPDX-License-Identifier: MIT
 *
 * The number type of training: float. The gradient checks build the same
 * sources a second time with -DOMQ_REAL=double, so that a derivative can be
 * compared with a difference quotient without drowning in rounding.
 */
#ifndef OMQ_BASE_REAL_H
#define OMQ_BASE_REAL_H

#include <tgmath.h>

#ifndef OMQ_REAL
#define OMQ_REAL float
#endif

typedef OMQ_REAL omq_real;

#endif
