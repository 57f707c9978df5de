/* SPDX-License-Identifier: MIT
 *
 * Configurations that are right: values, defaults and sets, dumps, those that
 * come with the source, and the manual page. Mistakes are test_conf_errors.c.
 */
#define _GNU_SOURCE
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "confhelp.h"

Suite *omq_suite_conf(void);

START_TEST(test_defaults)
{
    accept(MINIMAL);
    ck_assert_str_eq(c.output_dir, "runs/a");
    ck_assert_uint_eq(c.seed, 1);
    ck_assert_int_eq(c.threads, 0);
    ck_assert_int_eq(c.n_precisions, 8);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(c.precisions[i].w, 8 - i);
        ck_assert_int_eq(c.precisions[i].a, 8 - i);
    }
    ck_assert_int_eq(c.data.format, OMQ_FORMAT_IDX);
    ck_assert_int_eq(c.data.workers, 1);
    ck_assert(c.data.validation == 0);
    ck_assert(c.model.width == 1.0);
    ck_assert_int_eq(c.quant.method, OMQ_METHOD_OMQ);
    ck_assert_int_eq(c.quant.view, OMQ_VIEW_OFFSETS);
    ck_assert_int_eq(c.quant.levels, 1);
    ck_assert(c.quant.view_max_bits == 1 && c.quant.detach);
    ck_assert_int_eq(c.quant.grid, OMQ_GRID_AUTO);
    ck_assert_int_eq(c.quant.weight_steps, OMQ_STEPS_LAYER);
    ck_assert_int_eq(c.quant.first_last_bits, 8);
    ck_assert(c.quant.offset_decay == 1e-4);
    ck_assert_int_eq(c.train.epochs, 10);
    ck_assert_int_eq(c.train.batch_size, 128);
    ck_assert_int_eq(c.train.optimizer, OMQ_OPT_SGD);
    ck_assert(c.train.lr == 0.1 && c.train.momentum == 0.9 && c.train.beta2 == 0.999);
    ck_assert(c.train.nesterov);
    ck_assert(c.train.weight_decay == 5e-4 && c.train.step_lr == 0.1 && c.train.gamma == 0.1);
    ck_assert_int_eq(c.train.schedule, OMQ_SCHED_COSINE);
    ck_assert(c.train.warmup_epochs == 0.5 && c.train.min_lr == 0);
    ck_assert_int_eq(c.train.widths_per_step, 4);
    ck_assert_int_eq(c.train.teacher, OMQ_TEACHER_HIGHEST);
    ck_assert_int_eq(c.train.batches, OMQ_BATCHES_OWN);
    ck_assert(c.train.distill == 0 && c.train.label_smoothing == 0 && c.train.clip_norm == 5);
    ck_assert(c.train.bn_momentum == 0.1);
    ck_assert_int_eq(c.train.bn_batches, 64);
    ck_assert_int_eq(c.train.eval_every, 1);
    ck_assert_int_eq(c.train.save_every, 1);
}
END_TEST

START_TEST(test_every_type)
{
    accept("---\n"
           "# a comment with [ and ' in it\n"
           "output_dir: \"don't [panic] #1\"\n"
           "seed: 18446744073709551615\n"
           "bits: [8, w4a8, {w: 1, a: 32}, {a: 2, w: 32}, 32]\n"
           "data:\n"
           "  format: idx\n"
           "  mean: [0.5, .25, 1e-1]\n"
           "  std: [0.25]\n"
           "  root: 'it''s'\n"
           "  prefix: true\n"
           "  transpose: true\n"
           "  augment:\n"
           "model:\n"
           "  arch: 8\n"
           "train:\n"
           "  lr: +1E-3\n"
           "  nesterov: false\n"
           "  schedule: step\n"
           "  milestones:\n"
           "  - 2\n"
           "  - 010\n"
           "  loss_weights: [0, 1, 2, 3, 4]\n");
    ck_assert_str_eq(c.output_dir, "don't [panic] #1");
    ck_assert_str_eq(c.data.root, "it's");
    ck_assert_str_eq(c.data.prefix, "true"); /* the schema says text */
    ck_assert_str_eq(c.model.arch, "8");
    ck_assert_uint_eq(c.seed, UINT64_MAX);
    ck_assert_int_eq(c.n_precisions, 5);
    ck_assert(c.precisions[1].w == 4 && c.precisions[1].a == 8);
    ck_assert(c.precisions[2].w == 1 && c.precisions[2].a == 32);
    ck_assert(c.precisions[3].w == 32 && c.precisions[3].a == 2);
    ck_assert(c.precisions[4].w == 32 && c.precisions[4].a == 32);
    ck_assert_int_eq(c.data.n_mean, 3);
    ck_assert(c.data.mean[0] == 0.5 && c.data.mean[1] == 0.25 && c.data.mean[2] == 0.1);
    ck_assert(c.data.transpose && !c.train.nesterov);
    ck_assert(c.train.lr == 1e-3);
    ck_assert_int_eq(c.train.n_milestones, 2);
    ck_assert(c.train.milestones[0] == 2 && c.train.milestones[1] == 10);
    ck_assert_int_eq(c.train.n_loss_weights, 5);
    ck_assert(c.train.loss_weights[4] == 4);
}
END_TEST

START_TEST(test_sets)
{
    const char *sets[] = {
        "train.lr=0.5", "train.lr=1e-3", "bits=[8, w4a8]", "train={epochs: 3, nesterov: false}",
        "data.prefix=", "data.root=a#b=c", "output_dir='x: y'", "data.augment={hflip: 0.5}",
        "bits=[{w: 1, a: 2}]", "data.mean=[]", "data.mean=[0.25]", "data.format=folder",
        "data.size=[8, 16]", "data.size=24", "data.resize=24",
    };

    ck_assert_int_eq(parse_sets(MINIMAL "seed: 7\ntrain: {lr: 0.2, epochs: 4}\n", sets, 15),
                     OMQ_OK);
    ck_assert(c.train.lr == 1e-3);
    ck_assert_int_eq(c.n_precisions, 1);
    ck_assert(c.precisions[0].w == 1 && c.precisions[0].a == 2);
    ck_assert_int_eq(c.precisions[1].w, 0);
    ck_assert_int_eq(c.train.epochs, 3);
    ck_assert(!c.train.nesterov);
    ck_assert_str_eq(c.data.root, "a#b=c");
    ck_assert_str_eq(c.output_dir, "x: y");
    ck_assert(c.data.augment.hflip == 0.5);
    ck_assert(c.data.n_mean == 1 && c.data.mean[0] == 0.25);
    ck_assert_int_eq(c.data.n_size, 1); /* a value alone is a list of it */
    ck_assert(c.data.size[0] == 24 && c.data.size[1] == 0);
    ck_assert_uint_eq(c.seed, 7);
    ck_assert_int_eq(c.train.widths_per_step, 1); /* the default follows a short list */
}
END_TEST

/* 0.4 of two epochs is none: the highest, whose loss counts nothing, does not learn alone. */
START_TEST(test_highest_never_alone)
{
    ck_assert_int_eq(parse_sets(MINIMAL "bits: [8, 4]\ntrain: {epochs: 2, loss_weights: [0, 1]}\n",
                                NULL, 0),
                     OMQ_OK);
    ck_assert_int_eq(omq_config_highest_epochs(&c.train), 0);
}
END_TEST

/* c must be what its own dump says, byte for byte; returns the dump. */
static char *round_trip(void)
{
    struct omq_config first = c, again;
    char *text;

    memcpy(&first, &c, sizeof(c));
    text = omq_config_dump(&c);
    ck_assert_ptr_nonnull(text);
    memset(&again, 0x5A, sizeof(again));
    ck_assert_msg(omq_config_parse(&again, text, strlen(text), "dump", NULL, 0, NULL, &err) ==
                      OMQ_OK, "%s", err.msg);
    ck_assert_mem_eq(&again, &first, sizeof(again));
    return text;
}

START_TEST(test_dump)
{
    char *text;

    accept("output_dir: \"a \\\"b\\\\c: [d] # \xC3\xA9\"\n"
           "bits: [w8a8, w4a8, 32, {w: 32, a: 1}]\n"
           "profiles: ['fast 8 *=\"4\"', b 32]\n"
           "data: {root: ' x ', mean: [0.1, 0.2, 0.30000000000000004], std: [0.2]}\n"
           "model: {arch: ~x, width: 0.3333333333333333}\n"
           "train: {lr: 1e-300, min_lr: -0, weight_decay: 2.5e-05, schedule: step,\n"
           "        milestones: [1, 5], loss_weights: [1, 0.5, 0.125, 1e-9]}\n");
    text = round_trip();
    ck_assert_ptr_nonnull(strstr(text, "output_dir: \"a \\\"b\\\\c: [d] # \xC3\xA9\"\nseed: 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nbits: [8, w4a8, 32, w32a1]\n"
                                       "profiles: [\"fast 8 *=\\\"4\\\"\", \"b 32\"]\n"
                                       "init: \"\"\ninit_map: []\ninit_skip: []\n"
                                       "init_strict: true\ninit_bn_eps: 1e-05\n"
                                       "data:\n  format: idx\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  mean: [0.1, 0.2, 0.30000000000000004]\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  augment:\n    crop_padding: 0\n    hflip: 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  lr: 1e-300\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  min_lr: 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  milestones: [1, 5]\n"));
    free(text);
    accept(MINIMAL "bits: [3]\n");
    free(round_trip());
}
END_TEST

/* A section that says nothing, or one of its keys, turns the crop on. */
START_TEST(test_augment)
{
    static const char *const texts[] = {"{}", "{scale: [0.2, 1]}", "{ratio: [1, 1]}",
                                        "{enabled: false, scale: [0.2, 1]}"};
    static const char all_out[] = "output_dir: a\nmodel: {arch: b}\ndata:\n  {root: d, mean: "
                                  "[0.1], std: [0.2], augment: {random_resized_crop: }}\n";
    const struct omq_augment_config *a = &c.data.augment;
    const char *scale[] = {"data.augment.random_resized_crop.scale=[0.5, 1]"};

    accept(MINIMAL);
    ck_assert(a->crop_padding == 0 && a->hflip == 0 && a->vflip == 0);
    ck_assert(!a->random_resized_crop.enabled && a->random_erasing.probability == 0);
    ck_assert(a->color_jitter.brightness == 0 && a->color_jitter.hue == 0);
    ck_assert(a->mixup == 0 && a->cutmix == 0);
    accept(all_out); /* its keys may be commented out */
    ck_assert(!a->random_resized_crop.enabled);
    for (int i = 0; i < 4; i++) {
        char text[256], set[256];
        const char *sets[] = {set};

        snprintf(text, sizeof(text), "output_dir: a\nmodel: {arch: b}\ndata: {root: d, mean: [0.1],"
                 " std: [0.2], augment: {random_resized_crop: %s}}\n", texts[i]);
        accept(text);
        ck_assert_int_eq(a->random_resized_crop.enabled, i < 3);
        ck_assert(a->random_resized_crop.scale[0] == (i % 2 ? 0.2 : 0.08));
        ck_assert(a->random_resized_crop.ratio[1] == (i == 2 ? 1 : 4.0 / 3));
        free(round_trip());
        snprintf(set, sizeof(set), "data.augment.random_resized_crop=%s", texts[i]);
        ck_assert_int_eq(parse_sets(MINIMAL, sets, 1), OMQ_OK);
        ck_assert_int_eq(a->random_resized_crop.enabled, i < 3);
    }
    ck_assert_int_eq(parse_sets(MINIMAL, scale, 1), OMQ_OK);
    ck_assert(a->random_resized_crop.enabled && a->random_resized_crop.scale[0] == 0.5);
}
END_TEST

START_TEST(test_load)
{
    char dir[] = "/tmp/omq-conf-XXXXXX", path[64];
    const char *set = "seed=5";
    FILE *f;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/a.yaml", dir);
    ck_assert_int_eq(omq_config_load(&c, path, NULL, 0, &diag, &err), OMQ_EIO);
    ck_assert_ptr_null(diag.text);
    ck_assert_ptr_nonnull(strstr(err.msg, "cannot open '"));

    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(MINIMAL, f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(omq_config_load(&c, path, &set, 1, &diag, &err), OMQ_OK);
    ck_assert_uint_eq(c.seed, 5);

    f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < (1 << 20) + (1 << 17); i++)
        fputc('\n', f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(omq_config_load(&c, path, NULL, 0, &diag, &err), OMQ_ECONFIG);
    ck_assert_ptr_nonnull(strstr(err.msg, "larger than the limit"));
    ck_assert_uint_eq(c.seed, 5);
    unlink(path);
    rmdir(dir);
}
END_TEST

START_TEST(test_precision)
{
    static const char *const good[] = {"1", "8", "32", "w4a8", "w32a8", "w8a32", "w32a32"};
    static const char *const bad[] = {"",   "0",    "9",    "16",    "-1",    "+1",   "08",
                                      "w4", "w4a",  "w4a9", "W4a8",  "a8",    "w4a8 ", " 4",
                                      "33",   "w3a2x", "w0a1", "w4 a8", "322", "4.0"};
    struct omq_precision p = {5, 5};
    char name[16], list[32];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(omq_precision_parse(good[i], &p), "%s", good[i]);
    p = (struct omq_precision){5, 5};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!omq_precision_parse(bad[i], &p), "%s", bad[i]);
        ck_assert(p.w == 5 && p.a == 5);
    }
    ck_assert(omq_precision_parse("w32a8", &p) && p.w == 32 && p.a == 8);
    ck_assert_str_eq(omq_precision_name(p, name), "w32a8");
    ck_assert(omq_precision_parse("3", &p) && p.w == 3 && p.a == 3);
    ck_assert_str_eq(omq_precision_name(p, name), "w3a3");

    struct omq_precision some[] = {{8, 8}, {4, 8}, {32, 32}, {1, 1}};

    omq_precision_list(some, 4, list, sizeof(list));
    ck_assert_str_eq(list, "8 w4a8 32 1");
    omq_precision_list(some, 4, list, 8);
    ck_assert_str_eq(list, "8 w4a8 ");
    omq_precision_list(some, 0, list, sizeof(list));
    ck_assert_str_eq(list, "");
}
END_TEST

/* A path of the source tree: tests run from its root, or OMQ_SRC names it. */
static char *source_path(const char *name)
{
    const char *root = getenv("OMQ_SRC");
    char *path = omq_path_join(root ? root : ".", name);

    ck_assert_ptr_nonnull(path);
    return path;
}

static int load_folder(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;

    ck_assert_msg(d != NULL, "cannot open '%s': run from the source tree or set OMQ_SRC", path);
    while ((e = readdir(d))) {
        char *file = omq_path_join(path, e->d_name);
        size_t length = strlen(e->d_name);

        ck_assert_ptr_nonnull(file);
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            n += load_folder(file);
        } else if (length > 5 && strcmp(e->d_name + length - 5, ".yaml") == 0) {
            int rc = omq_config_load(&c, file, NULL, 0, &diag, &err);

            ck_assert_msg(rc == OMQ_OK, "%s%s", diag.text ? diag.text : "", err.msg);
            free(round_trip());
            n++;
        }
        free(file);
    }
    closedir(d);
    return n;
}

START_TEST(test_shipped)
{
    char *path = source_path("configs");

    ck_assert_int_ge(load_folder(path), 6);
    free(path);
}
END_TEST

START_TEST(test_dedicated)
{
    char *path = source_path("configs/fashion-mnist-dedicated.yaml");
    const char *set = "bits=[2]";

    ck_assert_int_eq(omq_config_load(&c, path, &set, 1, &diag, &err), OMQ_OK);
    ck_assert(c.n_precisions == 1 && c.precisions[0].w == 2);
    free(path);
}
END_TEST

START_TEST(test_man_page)
{
    static const char begin[] = "\n.\\\" begin keys", end[] = ".\\\" end keys";
    char *path = source_path("man/omq-config.5"), *page, *keys = NULL, *from, *to;
    uint8_t *bytes = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&keys, &n);

    ck_assert_ptr_nonnull(f);
    omq_config_print_mdoc(f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_msg(omq_file_read(path, 1 << 20, &bytes, &n, &err) == OMQ_OK, "%s", err.msg);
    page = (char *)bytes;
    from = strstr(page, begin);
    ck_assert_ptr_nonnull(from);
    from = strchr(from + 1, '\n') + 1;
    to = strstr(from, end);
    ck_assert_ptr_nonnull(to);
    *to = 0;
    ck_assert_msg(strcmp(from, keys) == 0,
                  "man/omq-config.5 is not what the schema says: run scripts/gen-config-man.sh");
    free(keys);
    free(page);
    free(path);
}
END_TEST

Suite *omq_suite_conf(void)
{
    Suite *s = suite_create("conf");
    TCase *t = tcase_create("conf");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, test_defaults);
    tcase_add_test(t, test_every_type);
    tcase_add_test(t, test_sets);
    tcase_add_test(t, test_dump);
    tcase_add_test(t, test_augment);
    tcase_add_test(t, test_load);
    tcase_add_test(t, test_precision);
    tcase_add_test(t, test_shipped);
    tcase_add_test(t, test_dedicated);
    tcase_add_test(t, test_highest_never_alone);
    tcase_add_test(t, test_man_page);
    suite_add_tcase(s, t);
    return s;
}
