/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "trainhelp.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char train_dir[64];

void train_setup(void)
{
    snprintf(train_dir, sizeof(train_dir), "/tmp/omq-train-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(train_dir));
}

void train_teardown(void)
{
    const char *names[] = {"a", "b"};
    const char *files[] = {"last.omq", "best.omq", "model.omq", "metrics.jsonl", "metrics.csv"};
    char path[160];

    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 5; j++) {
            snprintf(path, sizeof(path), "%s/%s/%s", train_dir, names[i], files[j]);
            unlink(path);
        }
        snprintf(path, sizeof(path), "%s/%s", train_dir, names[i]);
        rmdir(path);
    }
    snprintf(path, sizeof(path), "%s/c.yaml", train_dir);
    unlink(path);
    ck_assert_msg(rmdir(train_dir) == 0, "something was left in %s", train_dir);
}

struct omq_train *train_open(const char *out, const char *const *more, int n_more)
{
    const char *sets[16] = {0};
    char output[128], path[96];
    struct omq_train *t;
    struct omq_err err;
    FILE *f;

    snprintf(path, sizeof(path), "%s/c.yaml", train_dir);
    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "output_dir: x\nthreads: 1\nbits: [8, 4, {w: 4, a: 8}, 2, 1]\n"
               "data: {format: synthetic, augment: {crop_padding: 1, hflip: 0.5}, mean: [0.5], "
               "std: [0.25], synthetic: {height: 8, width: 8, channels: 1, classes: 4, train: 96, "
               "test: 32}}\n"
               "model: {arch: resnet8, width: 0.25}\n"
               "quant: {view: offsets, view_max_bits: 2}\n"
               "train: {epochs: 2, batch_size: 16, lr: 0.05, widths_per_step: 3}\n");
    fclose(f);
    snprintf(output, sizeof(output), "output_dir=%s/%s", train_dir, out);
    sets[0] = output;
    for (int i = 0; i < n_more; i++)
        sets[1 + i] = more[i];
    ck_assert_msg(omq_train_open(&t, path, sets, 1 + n_more, NULL, &err) == OMQ_OK, "%s", err.msg);
    return t;
}

void train_run(struct omq_train *t, bool resume)
{
    struct omq_err err = {0};
    int rc = omq_train_run(t, resume, false, NULL, NULL, &err);

    ck_assert_msg(rc == OMQ_OK, "%d %s", rc, err.msg);
}
