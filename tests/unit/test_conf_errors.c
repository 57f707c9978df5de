/* SPDX-License-Identifier: MIT
 *
 * Configurations with mistakes: each has its line, column and sentence, all are
 * told at once, and texts made to do harm do none.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "confhelp.h"

Suite *omq_suite_conf_errors(void);

/* One mistake behind MINIMAL, so on line 4, and the one message it gives. */
static const struct {
    const char *line, *want;
} mistakes[] = {
    {"sede: 1", "x.yaml:4:1: error: unknown key 'sede' (did you mean 'seed'?)"},
    {"xyzzy: {a: [1, {b: 2}]}", "x.yaml:4:1: error: unknown key 'xyzzy'"},
    {"lr: 1", "x.yaml:4:1: error: unknown key 'lr' (it belongs in 'train')"},
    {"train: {weigth_decay: 1}",
     "x.yaml:4:9: error: unknown key 'weigth_decay' in 'train' (did you mean 'weight_decay'?)"},
    {"train: {seed: 1}",
     "x.yaml:4:9: error: unknown key 'seed' in 'train' (it belongs at the top level)"},
    {"train: {hflip: 1}",
     "x.yaml:4:9: error: unknown key 'hflip' in 'train' (it belongs in 'data.augment')"},
    {"train: {width: 1}", "x.yaml:4:9: error: unknown key 'width' in 'train' (it belongs in "
                          "'data.synthetic' or in 'model')"},
    {"train: {worker: 1}",
     "x.yaml:4:9: error: unknown key 'worker' in 'train' (did you mean 'data.workers'?)"},
    {"train: {wd: 1}", "x.yaml:4:9: error: unknown key 'wd' in 'train' (use 'train.weight_decay')"},
    {"batch: 1", "x.yaml:4:1: error: unknown key 'batch' (use 'train.batch_size')"},
    {"num_workers: 1", "x.yaml:4:1: error: unknown key 'num_workers' (use 'data.workers')"},
    {"bit_width_list: 1", "x.yaml:4:1: error: unknown key 'bit_width_list' (use 'bits')"},
    {"lr0: 1", "x.yaml:4:1: error: unknown key 'lr0' (use 'train.lr')"},
    {"log_interval: 1",
     "x.yaml:4:1: error: unknown key 'log_interval' (use 'train.eval_every', in epochs)"},
    {"train.lr: 1", "x.yaml:4:1: error: unknown key 'train.lr' (write 'lr' inside 'train')"},
    {"? [a]\n: 1", "x.yaml:4:3: error: a key must be a word"},
    {"\"se\\0ed\": 1", "x.yaml:4:1: error: unknown key 'se?ed' (did you mean 'seed'?)"},
    {"model: {arch: b}", "x.yaml:4:1: error: duplicate key 'model', which line 3 has already"},
    {"train: {lr: 1, lr: 1}",
     "x.yaml:4:16: error: duplicate key 'train.lr', which line 4 has already"},

    {"threads: 1.5", "x.yaml:4:10: error: wrong type for 'threads': expected an integer from 0 to "
                     "256, found '1.5'"},
    {"threads: '1'", "x.yaml:4:10: error: wrong type for 'threads': expected an integer from 0 to "
                     "256, found the text '1'"},
    {"threads:", "x.yaml:4:9: error: no value for 'threads': expected an integer from 0 to 256"},
    {"threads: [1]", "x.yaml:4:10: error: wrong type for 'threads': expected an integer from 0 to "
                     "256, found a list"},
    {"threads: {a: 1}", "x.yaml:4:10: error: wrong type for 'threads': expected an integer from 0 "
                        "to 256, found a mapping"},
    {"threads: 0x10", "x.yaml:4:10: error: wrong type for 'threads': expected an integer from 0 "
                      "to 256, found '0x10'"},
    {"threads: 257", "x.yaml:4:10: error: '257' is out of range for 'threads': 0 to 256"},
    {"threads: 99999999999999999999",
     "x.yaml:4:10: error: '99999999999999999999' is out of range for 'threads': 0 to 256"},
    {"seed: -1",
     "x.yaml:4:7: error: '-1' is out of range for 'seed': 0 to 18446744073709551615"},
    {"seed: 18446744073709551616", "x.yaml:4:7: error: '18446744073709551616' is out of range for "
                                   "'seed': 0 to 18446744073709551615"},
    {"train: {nesterov: yes}", "x.yaml:4:19: error: wrong type for 'train.nesterov': expected true "
                               "or false, found 'yes'"},
    {"train: {lr: 20}", "x.yaml:4:13: error: '20' is out of range for 'train.lr': 0 to 10"},
    {"train: {lr: 1e999}", "x.yaml:4:13: error: '1e999' is out of range for 'train.lr': 0 to 10"},
    {"train: {lr: .nan}", "x.yaml:4:13: error: wrong type for 'train.lr': expected a number from 0 "
                          "to 10, found '.nan'"},
    {"train: {lr: nan}", "x.yaml:4:13: error: wrong type for 'train.lr': expected a number from 0 "
                         "to 10, found 'nan'"},
    {"train: {lr: 1e-4x}", "x.yaml:4:13: error: wrong type for 'train.lr': expected a number from "
                           "0 to 10, found '1e-4x'"},
    {"train: {optimizer: rms}",
     "x.yaml:4:20: error: unknown word 'rms' for 'train.optimizer': expected one of sgd, adam"},
    {"train: 3", "x.yaml:4:8: error: wrong type for 'train': expected a mapping of keys, found "
                 "'3'"},
    {"profiles: fast 8",
     "x.yaml:4:11: error: wrong type for 'profiles': expected a list of at most 16 texts of at "
     "most 255 bytes, found 'fast 8'"},
    {"profiles: [{fast: 8}]", "x.yaml:4:12: error: a mapping inside the list of 'profiles'"},
    {"train: {milestones: [1, [2]]}",
     "x.yaml:4:25: error: a list inside the list of 'train.milestones'"},
    {"train: {milestones: [1, x]}", "x.yaml:4:25: error: wrong type for 'train.milestones': "
                                    "expected an integer from 1 to 100000, found 'x'"},
    {"train: {milestones: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]}",
     "x.yaml:4:61: error: 'train.milestones' has more than 16 entries"},

    {"bits: []", "x.yaml:4:7: error: 'bits' is empty: list 1 to 32 precisions"},
    {"bits: 8", "x.yaml:4:7: error: wrong type for 'bits': expected a list of 1 to 32 precisions, "
                "as in [8, w4a8, {w: 2, a: 4}], found '8'"},
    {"bits: [8, 9]", "x.yaml:4:11: error: '9' in 'bits' is no precision: widths are 1 to 8 and 32 "
                     "(float), as in 4, w4a8 or {w: 4, a: 8}"},
    {"bits: [w4a8, {w: 4, a: 8}]", "x.yaml:4:14: error: 'w4a8' is listed twice in 'bits'"},
    {"bits: [{w: 4}]", "x.yaml:4:8: error: a precision in 'bits' needs 'w' and 'a'"},
    {"bits: [{w: 4, a: 8, b: 1}]",
     "x.yaml:4:21: error: a precision in 'bits' has 'w' and 'a' once each"},
    {"bits: [{w: 4, w: 4, a: 8}]",
     "x.yaml:4:15: error: a precision in 'bits' has 'w' and 'a' once each"},
    {"bits: [{w: w1a1, a: 8}]", "x.yaml:4:12: error: a precision inside a precision in 'bits'"},
    {"bits: [{w: [1], a: 8}]", "x.yaml:4:12: error: 'w' and 'a' in 'bits' are integers"},

    {"threads: &x 1",
     "x.yaml:4:10: error: anchors and aliases are not supported: repeat the value"},
    {"threads: *x",
     "x.yaml:4:10: error: anchors and aliases are not supported: repeat the value"},
    {"threads: !!int 1",
     "x.yaml:4:10: error: tags are not supported: the type comes from the key"},
    {"---\nseed: 1", "x.yaml:4:1: error: a second document: only one is supported"},
    {"%YAML 1.1", "x.yaml:4:1: error: a line that begins with '%': YAML directives are not "
                  "supported"},
    {"seed: [1", "x.yaml:4:7: error: wrong type for 'seed': expected an integer from 0 to "
                 "18446744073709551615, found a list\n"
                 "x.yaml:5:1: error: did not find expected ',' or ']' (while parsing a flow "
                 "sequence)"},
    {"\tseed: 1", "x.yaml:4:1: error: found character that cannot start any token (indent by "
                  "spaces, not by tabs, and quote text that begins with @ or `)"},
    {"train:\n  lr: 1\n epochs: 2", "x.yaml:6:2: error: did not find expected key (keys of one "
                                   "section begin in the same column)"},

    {"train: {widths_per_step: 4}\nbits: [8, 2]", "x.yaml:4:26: error: 'train.widths_per_step' is "
                                                  "4, but 'bits' has 2 entries (0 is all)"},
    {"train: {batches: own, distill: 0.5}",
     "x.yaml:4:32: error: 'train.distill' is more than 0, but with 'train.batches: own' the "
     "precisions see different images: say shared"},
    {"train: {loss_weights: [1, 2]}",
     "x.yaml:4:23: error: 'train.loss_weights' has 2 entries, but 'bits' has 8"},
    {"train: {loss_weights: [0]}\nbits: [1]",
     "x.yaml:4:23: error: 'train.loss_weights' are all 0: nothing would be learned"},
    {"train: {epochs: 3, loss_weights: [1, 0]}\nbits: [4, 8]",
     "x.yaml:4:34: error: 'train.loss_weights' has 0 for w8a8, which learns alone first: set "
     "'train.highest_first' to 0"},
    {"train: {widths_per_step: 1, distill: 0.5}",
     "x.yaml:4:38: error: 'train.distill' is more than 0, but with 'train.widths_per_step' 1 no "
     "higher precision is in the step to follow"},
    {"train: {milestones: [3]}",
     "x.yaml:4:21: error: 'train.milestones' are for 'train.schedule' step, and it is cosine"},
    {"train: {milestones: [3, 3]}",
     "x.yaml:4:21: error: 'train.milestones' are not ascending: 3 after 3"},
    {"train: {schedule: step}",
     "x.yaml:4:1: error: missing required key 'train.milestones', which schedule step needs"},
    {"train: {min_lr: 0.5}",
     "x.yaml:4:17: error: 'train.min_lr' is 0.5, above 'train.lr', which is 0.1"},
    {"train: {warmup_epochs: 11}",
     "x.yaml:4:24: error: 'train.warmup_epochs' is 11, more than 'train.epochs', which is 10"},
    {"quant: {method: adabits}", "x.yaml:4:17: error: only 'quant.method' omq has views: set "
                                 "'quant.view' to off"},
    {"quant: {method: any-precision, view: offsets}",
     "x.yaml:4:38: error: only 'quant.method' omq has views: set 'quant.view' to off"},
    {"quant: {method: adabits, view: off, grid: symmetric}\nbits: [2]",
     "x.yaml:4:43: error: only 'quant.method' omq has a choice of 'quant.grid': leave it at auto"},
    {"quant: {method: double-rounding, view: off, weight_steps: channel}",
     "x.yaml:4:59: error: only 'quant.method' omq has 'quant.weight_steps' channel"},
    {"quant: {method: double-rounding, view: off}\nbits: [8, w32a8, 32]",
     "x.yaml:5:7: error: only 'quant.method' omq has float weights, but 'bits' lists 32"},
    {"quant: {grid: midrise}", "x.yaml:4:15: error: 'quant.grid' midrise has 1 to 7 bits, but "
                               "'bits' lists 8 for weights"},
    {"quant: {grid: symmetric}", "x.yaml:4:15: error: 'quant.grid' symmetric has 2 to 8 bits, but "
                                 "'bits' lists 1 for weights"},
    {"quant: {grid: symmetric, first_last_bits: 1}\nbits: [8, 4]",
     "x.yaml:4:15: error: 'quant.grid' symmetric has 2 to 8 bits, but 'quant.first_last_bits' "
     "is 1"},
};

START_TEST(test_mistake)
{
    char *text, *want;

    ck_assert(asprintf(&text, "%s%s\n", MINIMAL, mistakes[_i].line) > 0);
    ck_assert(asprintf(&want, "%s\n", mistakes[_i].want) > 0);
    refuse(text, want);
    free(text);
    free(want);
}
END_TEST

/* The same, for keys of data. */
static const struct {
    const char *data, *want;
} data_mistakes[] = {
    {"size: 8.5", "x.yaml:2:48: error: wrong type for 'data.size': expected an integer from 1 to "
                  "4096, found '8.5'"},
    {"size: {h: 8}", "x.yaml:2:48: error: wrong type for 'data.size': expected an integer, or a "
                     "list of at most 2 integers from 1 to 4096, found a mapping"},
    {"size: [8, 0]", "x.yaml:2:52: error: '0' is out of range for 'data.size': 1 to 4096"},
    {"size: [8, 8, 3]", "x.yaml:2:55: error: 'data.size' has more than 2 entries"},
    {"size: 8", "x.yaml:2:48: error: 'data.size' is for formats whose pictures have any size: "
                "folder and shards"},
    {"size: 8, format: cifar10", "x.yaml:2:48: error: 'data.size' is for formats whose pictures "
                                 "have any size: folder and shards"},
    {"size: [32, 31], format: cifar100", "x.yaml:2:48: error: 'data.size' is for formats whose "
                                         "pictures have any size: folder and shards"},
    {"resize: 40", "x.yaml:2:50: error: 'data.resize' is for formats whose pictures have any size: "
                   "folder and shards"},
    {"grayscale: true, format: cifar10", "x.yaml:2:53: error: 'data.grayscale' is for formats "
                                         "whose pictures have any size: folder and shards"},
    {"transpose: true, format: folder, size: 8", "x.yaml:2:53: error: 'data.transpose' is for "
                                                 "format idx"},
    {"prefix: a, format: cifar100", "x.yaml:2:50: error: 'data.prefix' is for formats idx and "
                                    "shards"},
    {"format: shards",
     "x.yaml:2:1: error: missing required key 'data.size', which format shards needs"},
    {"format: folder, size: []", "x.yaml:2:64: error: 'data.size' is empty, which format folder "
                                 "needs"},
    {"format: folder, size: [8, 24], resize: 23",
     "x.yaml:2:81: error: 'data.resize' is 23, less than 'data.size', which is 24: nothing could "
     "be cut from the middle"},
    {"on_bad_image: ignore", "x.yaml:2:56: error: unknown word 'ignore' for 'data.on_bad_image': "
                             "expected one of stop, skip"},
};

START_TEST(test_data_mistake)
{
    char *text, *want;

    ck_assert(asprintf(&text, "output_dir: runs/a\n"
                              "data: {root: d, mean: [0.1], std: [0.2], %s}\n"
                              "model: {arch: lenet5}\n", data_mistakes[_i].data) > 0);
    ck_assert(asprintf(&want, "%s\n", data_mistakes[_i].want) > 0);
    refuse(text, want);
    free(text);
    free(want);
}
END_TEST

/* A mistake on line 2, in column 52 or behind. */
START_TEST(test_augment)
{
    static const struct {
        const char *augment, *want;
    } cases[] = {
        {"random_resized_crop: {scale: [0.5, 0.2]}",
         "81: error: 'data.augment.random_resized_crop.scale' is not ascending: 0.2 after 0.5"},
        {"random_resized_crop: {scale: [0, 1]}",
         "82: error: '0' is out of range for 'data.augment.random_resized_crop.scale': 0.001 to 1"},
        {"random_erasing: {ratio: [1]}",
         "76: error: 'data.augment.random_erasing.ratio' has 1 entry: give the least and the "
         "largest value"},
        {"color_jitter: {hue: 0.6}",
         "72: error: '0.6' is out of range for 'data.augment.color_jitter.hue': 0 to 0.5"},
        {"crop_padding: 4, random_resized_crop: {}",
         "66: error: 'data.augment.crop_padding' and 'random_resized_crop' are both ways to crop: "
         "choose one"},
        {"mix_up: 1",
         "52: error: unknown key 'mix_up' in 'data.augment' (did you mean 'mixup'?)"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256], want[256];

        snprintf(text, sizeof(text), "{output_dir: a, model: {arch: lenet5},\n"
                 "data: {root: d, mean: [0.1], std: [0.2], augment: {%s}}}\n", cases[i].augment);
        snprintf(want, sizeof(want), "x.yaml:2:%s\n", cases[i].want);
        refuse(text, want);
    }
}
END_TEST

/* A network is an architecture or a file, and just one of them. */
START_TEST(test_networks)
{
    refuse("output_dir: o\ndata: {format: synthetic, mean: [0], std: [1]}\n"
           "model: {onnx: net.onnx, arch: lenet5}\n",
           "x.yaml:3:15: error: 'model.onnx' is a network already: leave out 'model.arch'\n");
    accept("output_dir: o\ndata: {format: synthetic, mean: [0], std: [1]}\n"
           "model: {onnx: net.onnx}\n");
    ck_assert_str_eq(c.model.onnx, "net.onnx");
}
END_TEST

START_TEST(test_missing)
{
    refuse("", "x.yaml:1:1: error: missing required key 'output_dir'\n"
               "x.yaml:1:1: error: missing required key 'model.arch'\n"
               "x.yaml:1:1: error: missing required key 'data.root', which format idx needs\n"
               "x.yaml:1:1: error: missing required key 'data.mean', which format idx needs\n"
               "x.yaml:1:1: error: missing required key 'data.std', which format idx needs\n");
    refuse("output_dir: ''\nmodel:\n  width: 1\ndata: {format: synthetic}\n",
           "x.yaml:1:13: error: 'output_dir' is empty\n"
           "x.yaml:2:1: error: missing required key 'model.arch'\n");
    refuse("[1]\n",
           "x.yaml:1:1: error: a configuration is a mapping, as in 'output_dir: runs/a'\n");
    /* a key with an error is not missing as well, nor is one of a broken section */
    refuse("output_dir: [1]\nmodel: 3\ndata: {format: synthetic}\n",
           "x.yaml:1:13: error: wrong type for 'output_dir': expected text of at most 1023 bytes, "
           "found a list\n"
           "x.yaml:2:8: error: wrong type for 'model': expected a mapping of keys, found '3'\n");
}
END_TEST

START_TEST(test_strings)
{
    char text[4096], name[1100];

    refuse("output_dir: null\n" MINIMAL,
           "x.yaml:1:13: error: wrong type for 'output_dir': expected text, found null (quote it "
           "to mean 'null')\n"
           "x.yaml:2:1: error: duplicate key 'output_dir', which line 1 has already\n");
    refuse("output_dir: \"a\\nb\"\n"
           "data: {root: \"a\\0b\", mean: [0], std: [1], prefix: \"\\u2028\"}\n"
           "model: {arch: \"\\x9b\"}\n",
           "x.yaml:1:13: error: a control character or line break in 'output_dir'\n"
           "x.yaml:2:14: error: a control character or line break in 'data.root'\n"
           "x.yaml:2:51: error: a control character or line break in 'data.prefix'\n"
           "x.yaml:3:15: error: a control character or line break in 'model.arch'\n");
    memset(name, 'a', sizeof(name));
    snprintf(text, sizeof(text), "output_dir: %.1023s\ndata: {format: synthetic}\n"
                                 "model: {arch: %.63s}\n", name, name);
    accept(text);
    ck_assert_uint_eq(strlen(c.output_dir), 1023);
    setup();
    snprintf(text, sizeof(text), "output_dir: %.1024s\ndata: {format: synthetic}\n"
                                 "model: {arch: %.64s}\n", name, name);
    refuse(text, "x.yaml:1:13: error: 'output_dir' is too long: 1024 bytes, at most 1023\n"
                 "x.yaml:3:15: error: 'model.arch' is too long: 64 bytes, at most 63\n");
}
END_TEST

/* Foreign text is cut and made printable before it goes to a terminal. */
START_TEST(test_quoting)
{
    refuse(MINIMAL "\"\\e[31m\\x9b\\u00e9\": 1\n",
           "x.yaml:4:1: error: unknown key '?[31m?\xC3\xA9'\n");
    refuse(MINIMAL "train: {lr: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n",
           "x.yaml:4:13: error: wrong type for 'train.lr': expected a number from 0 to 10, found "
           "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'\n");
    /* columns count characters, not bytes */
    refuse(MINIMAL "data2: {\xC3\xA9: 1, lr: 1}\nthreads: \xE2\x82\xAC\n",
           "x.yaml:4:1: error: unknown key 'data2' (did you mean 'data'?)\n"
           "x.yaml:5:10: error: wrong type for 'threads': expected an integer from 0 to 256, found "
           "'\xE2\x82\xAC'\n");
}
END_TEST

START_TEST(test_all_at_once)
{
    const char *sets[] = {"train.epochs=none", "nothing"};

    refuse_sets("sede: 3\n"
                "bits: [8, 9, 4, w4a4]\n"
                "train:\n"
                "  lr: 1e9\n"
                "  warmup_epochs: 100\n"
                "  min_lr: 1\n"
                "data: {root: a, mean: [0.1]}\n",
                sets, 2,
                "x.yaml:1:1: error: unknown key 'sede' (did you mean 'seed'?)\n"
                "x.yaml:2:11: error: '9' in 'bits' is no precision: widths are 1 to 8 and 32 "
                "(float), as in 4, w4a8 or {w: 4, a: 8}\n"
                "x.yaml:2:17: error: 'w4a4' is listed twice in 'bits'\n"
                "x.yaml:4:7: error: '1e9' is out of range for 'train.lr': 0 to 10\n"
                "--set #1:14: error: wrong type for 'train.epochs': expected an integer from 0 to "
                "100000, found 'none'\n"
                "--set #2:1: error: no '=' in 'nothing': expected KEY=VALUE, as in train.lr=0.1\n"
                "x.yaml:1:1: error: missing required key 'output_dir'\n"
                "x.yaml:1:1: error: missing required key 'model.arch'\n"
                "x.yaml:7:1: error: missing required key 'data.std', which format idx needs\n");
    ck_assert_str_eq(err.msg, "9 errors in the configuration 'x.yaml'");
    /* a broken file does not hide the sets */
    refuse_sets("a: [\n", sets + 1, 1,
                "x.yaml:1:1: error: unknown key 'a'\n"
                "x.yaml:2:1: error: did not find expected node content (while parsing a flow "
                "node)\n"
                "--set #1:1: error: no '=' in 'nothing': expected KEY=VALUE, as in train.lr=0.1\n");
}
END_TEST

START_TEST(test_no_diag)
{
    static const char text[] = "sede: 3\n";

    ck_assert_int_eq(omq_config_parse(&c, text, strlen(text), "x.yaml", NULL, 0, NULL, &err),
                     OMQ_ECONFIG);
    ck_assert_str_eq(err.msg, "x.yaml:1:1: error: unknown key 'sede' (did you mean 'seed'?)");
}
END_TEST

START_TEST(test_cap)
{
    char *text = calloc(100000, 8), *p = text, *end;
    int lines = 0;

    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < 99999; i++)
        p += snprintf(p, 9, "k%d: 1\n", i % 1000);
    ck_assert_int_eq(parse_sets(text, NULL, 0), OMQ_ECONFIG);
    ck_assert_int_eq(diag.n_errors, 100);
    for (p = diag.text; (end = strchr(p, '\n')) && end[1]; p = end + 1)
        lines++;
    ck_assert_int_eq(lines, 100);
    ck_assert_str_eq(p, "stopped after 100 errors: there may be more\n");
    free(text);
}
END_TEST

static const struct {
    const char *set, *want;
} bad_sets[] = {
    {"train.lr", "1: error: no '=' in 'train.lr': expected KEY=VALUE, as in train.lr=0.1"},
    {"a..b=1", "3: error: an empty word in the key 'a..b'"},
    {".lr=1", "1: error: an empty word in the key '.lr'"},
    {"train.=1", "7: error: an empty word in the key 'train.'"},
    {"=1", "1: error: an empty word in the key ''"},
    {"sede=1", "1: error: unknown key 'sede' (did you mean 'seed'?)"},
    {"train.weigth_decay=1",
     "7: error: unknown key 'weigth_decay' in 'train' (did you mean 'weight_decay'?)"},
    {"train.lr.x=1", "9: error: 'train.lr' has no keys inside"},
    {"train.lr=", "10: error: no value for 'train.lr'"},
    {"train.lr=20", "10: error: '20' is out of range for 'train.lr': 0 to 10"},
    {"train.lr=  20", "12: error: '20' is out of range for 'train.lr': 0 to 10"},
    {"bits=[8, 9]", "10: error: '9' in 'bits' is no precision: widths are 1 to 8 and 32 (float), "
                    "as in 4, w4a8 or {w: 4, a: 8}"},
    {"train={epochs: 3, epochs: 3}", "19: error: duplicate key 'train.epochs'"},
    {"train={lrr: 3}", "8: error: unknown key 'lrr' in 'train' (did you mean 'lr'?)"},
    {"output_dir=a: b",
     "12: error: only [a, b], {a: b} or one value: quote a text with ': '"},
    {"bits=- 8", "6: error: only [a, b], {a: b} or one value: quote a text with ': '"},
    {"bits=[8", "8: error: did not find expected ',' or ']' (while parsing a flow sequence)"},
    {"seed=1\nthreads: 2", "7: error: a line break: a set is one line"},
    {"seed=&a 1", "6: error: anchors and aliases are not supported: repeat the value"},
    {"output_dir=\xC3\xA9\x80", "13: error: this is not UTF-8 text"},
    {"output_dir=%a", "12: error: a line that begins with '%': YAML directives are not supported"},
    {"model.arch=", "12: error: 'model.arch' is empty"},
    {"train.widths_per_step=9",
     "23: error: 'train.widths_per_step' is 9, but 'bits' has 8 entries (0 is all)"},
};

START_TEST(test_bad_set)
{
    const char *sets[] = {"seed=2", bad_sets[_i].set};
    char *want;

    ck_assert(asprintf(&want, "--set #2:%s\n", bad_sets[_i].want) > 0);
    refuse_sets(MINIMAL, sets, 2, want);
    free(want);
}
END_TEST

/* A million brackets take libyaml minutes, if they are all fed to it. */
START_TEST(test_hostile)
{
    static const char *const patterns[] = {
        "[", "{", "- ", "? ", "[\n", "a: [", "{a: ", "%TAG !a! x\n", "\"", "'", "!", "&", "|\n ",
    };
    size_t n = 1 << 20, k = strlen(patterns[_i]);
    char *text = malloc(n + 1);
    clock_t start = clock();

    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < n; i++)
        text[i] = patterns[_i][i % k];
    text[n] = 0;
    ck_assert_int_eq(parse_sets(text, NULL, 0), OMQ_ECONFIG);
    ck_assert_int_ge(diag.n_errors, 1);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 5);
    free(text);
}
END_TEST

START_TEST(test_text)
{
    static const char zero[] = "seed: 1\nthr\0eads: 1\n";
    char *big = malloc((1 << 20) + 2);

    ck_assert_int_eq(omq_config_parse(&c, zero, sizeof(zero) - 1, "x.yaml", NULL, 0, NULL, &err),
                     OMQ_ECONFIG);
    ck_assert_str_eq(err.msg, "x.yaml:2:4: error: a zero byte: this is not a text file");
    refuse("a: \xC3\xA9\r\nb: caf\xE9\n", "x.yaml:2:7: error: this is not UTF-8 text\n");
    refuse("a: \xC0\x80\n", "x.yaml:1:4: error: this is not UTF-8 text\n");
    refuse("a: \xED\xA0\x80\n", "x.yaml:1:4: error: this is not UTF-8 text\n");
    refuse("a: \xF4\x90\x80\x80\n", "x.yaml:1:4: error: this is not UTF-8 text\n");
    refuse("a: \xE2\x82", "x.yaml:1:4: error: this is not UTF-8 text\n");
    refuse("a: \x1B[0m\n", "x.yaml:1:4: error: a control character\n");
    refuse("a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
           "x.yaml:1:1: error: unknown key 'a'\n"
           "x.yaml:1:35: error: nested deeper than 32 levels\n");

    ck_assert_ptr_nonnull(big);
    memset(big, '#', (1 << 20) + 1);
    memcpy(big, MINIMAL, strlen(MINIMAL));
    ck_assert_int_eq(omq_config_parse(&c, big, 1 << 20, "x.yaml", NULL, 0, NULL, &err), OMQ_OK);
    ck_assert_int_eq(omq_config_parse(&c, big, (1 << 20) + 1, "x.yaml", NULL, 0, NULL, &err),
                     OMQ_ECONFIG);
    ck_assert_str_eq(err.msg,
                     "x.yaml:1:1: error: the text is larger than the limit of 1048576 bytes");
    free(big);
    /* a byte order mark is no error */
    accept("\xEF\xBB\xBF" MINIMAL);
}
END_TEST

Suite *omq_suite_conf_errors(void)
{
    Suite *s = suite_create("conf_errors");
    TCase *t = tcase_create("conf_errors");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, test_mistake, 0, sizeof(mistakes) / sizeof(mistakes[0]));
    tcase_add_loop_test(t, test_data_mistake, 0,
                        sizeof(data_mistakes) / sizeof(data_mistakes[0]));
    tcase_add_test(t, test_augment);
    tcase_add_test(t, test_networks);
    tcase_add_test(t, test_missing);
    tcase_add_test(t, test_strings);
    tcase_add_test(t, test_quoting);
    tcase_add_test(t, test_all_at_once);
    tcase_add_test(t, test_no_diag);
    tcase_add_test(t, test_cap);
    tcase_add_loop_test(t, test_bad_set, 0, sizeof(bad_sets) / sizeof(bad_sets[0]));
    tcase_add_loop_test(t, test_hostile, 0, 13);
    tcase_add_test(t, test_text);
    suite_add_tcase(s, t);
    return s;
}
