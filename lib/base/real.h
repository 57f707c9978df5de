/* SPDX-License-Identifier: MIT
 *
 * The number type of training: float. The gradient checks build the same
 * sources a second time with -DOMQ_DOUBLE, so that a derivative can be
 * compared with a difference quotient without drowning in rounding. The math
 * functions of <tgmath.h> (rint, fma, floor, sqrt) follow the type.
 */
#ifndef OMQ_BASE_REAL_H
#define OMQ_BASE_REAL_H

#include <tgmath.h>

#ifdef OMQ_DOUBLE
typedef double omq_real;
#else
typedef float omq_real;
#endif

#endif
