/* SPDX-License-Identifier: MIT */
#define OMQ_SUFFIX _ref
#include "kern/ref/all_template.h"
