/* SPDX-License-Identifier: MIT */
#define OMQ_SUFFIX _ref
#include "kern/ref/template.h"

#define POOL maxpool_u8
#define UNPOOL unpool_u8
#define SRC uint8_t
#include "kern/ref/maxpool_template.h"

#define POOL maxpool
#define UNPOOL unpool
#define SRC omq_real
#include "kern/ref/maxpool_template.h"
