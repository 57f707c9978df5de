/* SPDX-License-Identifier: MIT
 *
 * Small training runs on synthetic images, for the suites of training.
 */
#ifndef OMQ_TESTS_TRAINHELP_H
#define OMQ_TESTS_TRAINHELP_H

#include "train/train_internal.h"

extern char train_dir[64]; /* of one test: runs are its folders a and b */

void train_setup(void);
/* Fails the test if anything but what runs write was left. */
void train_teardown(void);
/* A run into folder `out` of it, not yet begun; `more` are further --set. */
struct omq_train *train_open(const char *out, const char *const *more, int n_more);
/* To its end. */
void train_run(struct omq_train *t, bool resume);

#endif
