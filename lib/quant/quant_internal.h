/* SPDX-License-Identifier: MIT
 *
 * Inside quant: the wavelet transform that the views work with.
 *
 * Coefficients have the shape of the weights, [out][in][kh][kw]. Each level
 * splits its box into a half of sums and a half of differences along every
 * axis that is transformed; the next level works on the box of sums, which
 * begins at 0 of every axis. Scale s (0 is the coarsest) is the box after
 * levels - s levels without the one after levels - s + 1.
 */
#ifndef OMQ_QUANT_QUANT_INTERNAL_H
#define OMQ_QUANT_QUANT_INTERNAL_H

#include "quant/quant.h"

/* Where the axes that are transformed do not include `out`, each filter is
 * transformed alone: then v has dims[0] == 1. tmp: as many reals as x. */
void omq_wavelet_analyse(const struct omq_view_spec *v, omq_real *x, omq_real *tmp);
/* The inverse, which is the transpose. */
void omq_wavelet_synthesise(const struct omq_view_spec *v, omq_real *x, omq_real *tmp);

/* Is axis a (0 out, 1 in, 2 kh, 3 kw) transformed? */
bool omq_wavelet_along(const struct omq_view_spec *v, int a);

#endif
