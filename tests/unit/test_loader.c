/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include <zlib.h>

#include "base/bytes.h"
#include "data/data_internal.h"
#include "data/transform.h"
#include "datahelp.h"

Suite *omq_suite_loader(void);

static struct omq_err err;

/* ---- preprocessing ---- */

START_TEST(test_preprocess_table)
{
    static const struct omq_data_config configs[] = {
        {.n_mean = 1, .n_std = 1, .mean = {0.286}, .std = {0.353}},
        {.n_mean = 1, .n_std = 3, .mean = {0}, .std = {1, 0.5, 0.25}},
        {.n_mean = 3, .n_std = 3, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}},
    };

    for (int k = 0; k < 3; k++) {
        const struct omq_data_config *c = &configs[k];
        int channels = k == 0 ? 1 : 3;
        struct omq_preprocess p;
        double reach = 0;

        ck_assert_int_eq(omq_preprocess_init(&p, c, 28, 20, channels, &err), OMQ_OK);
        ck_assert_int_eq(p.height * 1000 + p.width * 10 + p.channels, 28200 + channels);
        for (int ch = 0; ch < channels; ch++) {
            double m = c->mean[c->n_mean == 1 ? 0 : ch], s = c->std[c->n_std == 1 ? 0 : ch];

            reach = fmax(reach, fmax(m, 1 - m) / s);
        }
        ck_assert(p.step == (float)(reach / 127));
        for (int ch = 0; ch < channels; ch++) {
            double m = c->mean[c->n_mean == 1 ? 0 : ch], s = c->std[c->n_std == 1 ? 0 : ch];

            ck_assert(p.mean[ch] == m && p.std[ch] == s);
            for (int v = 0; v < 256; v++) {
                /* the code is the nearest one, and it stays off code 0 */
                double x = (v / 255.0 - m) / s, seen = (p.table[ch][v] - 128) * (double)p.step;

                ck_assert(fabs(x - seen) <= 0.5000001 * p.step);
                ck_assert_int_ge(p.table[ch][v], 1);
            }
        }
    }
}
END_TEST

/* By hand: mean = std = 0.5 maps 0 to -1, 255 to 1, and the step is 1/127. */
START_TEST(test_preprocess_by_hand)
{
    struct omq_data_config c = {.n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.5}};
    uint8_t in[8] = {0, 255, 127, 128, 64, 191, 1, 254}, out[8];
    struct omq_preprocess p;

    ck_assert_int_eq(omq_preprocess_init(&p, &c, 2, 4, 1, &err), OMQ_OK);
    omq_preprocess_apply(&p, in, out);
    ck_assert_int_eq(memcmp(out, (uint8_t[]){1, 255, 128, 128, 65, 191, 2, 254}, 8), 0);

    c.mean[1] = 0;
    c.std[1] = 1;
    c.n_mean = c.n_std = 2; /* each channel by its own table */
    ck_assert_int_eq(omq_preprocess_init(&p, &c, 2, 2, 2, &err), OMQ_OK);
    omq_preprocess_apply(&p, in, out);
    ck_assert_int_eq(out[0], 1);
    ck_assert_int_eq(out[1], 255);
    ck_assert_int_eq(out[3], 192);
    ck_assert_int_eq(out[6], 2);
}
END_TEST

static void preprocess_fails(const struct omq_data_config *c, int height, int channels, int code,
                             const char *a, const char *b)
{
    struct omq_preprocess p = {.height = 77};

    datahelp_fails(omq_preprocess_init(&p, c, height, 8, channels, &err), &err, code, a, b, NULL);
    ck_assert_int_eq(p.height, 77);
}

START_TEST(test_preprocess_limits)
{
    struct omq_data_config good = {.n_mean = 1, .n_std = 1, .mean = {0.5}, .std = {0.5}}, c;

    c = good;
    c.n_mean = 2;
    preprocess_fails(&c, 8, 3, OMQ_ECONFIG, "data.mean has 2 values", "3 channels");
    c = good;
    c.n_std = 0;
    preprocess_fails(&c, 8, 1, OMQ_ECONFIG, "data.std has 0 values", "1 channel:");
    c = good;
    c.std[0] = 0;
    preprocess_fails(&c, 8, 1, OMQ_ECONFIG, "data.std is 0", "above 0");
    c.std[0] = NAN;
    preprocess_fails(&c, 8, 1, OMQ_ECONFIG, "data.std is not a finite number", NULL);
    c.std[0] = 1e-300;
    preprocess_fails(&c, 8, 1, OMQ_ECONFIG, "range of a float", NULL);
    preprocess_fails(&good, 8, 5, OMQ_EUNSUP, "5 channels", "1 to 4");
    preprocess_fails(&good, -1, 1, OMQ_EARG, "negative", NULL);
}
END_TEST

/* ---- augmentation and order ---- */

static void augment(uint8_t *out, const uint8_t *in, int height, int width, int channels,
                    int crop_padding, double hflip, uint64_t seed, int epoch, uint32_t sample)
{
    const struct omq_augment_config cfg = {.crop_padding = crop_padding, .hflip = hflip};
    struct omq_move m;

    omq_move_draw(&m, &cfg, seed, epoch, sample);
    omq_move_apply(out, in, height, width, channels, &m);
}

START_TEST(test_augment_identity_and_mirror)
{
    uint8_t in[3 * 4 * 2], out[sizeof(in)];

    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i + 1);
    for (uint32_t s = 0; s < 50; s++) {
        augment(out, in, 3, 4, 2, 0, 0, 1, 0, s);
        ck_assert_int_eq(memcmp(in, out, sizeof(in)), 0);
        augment(out, in, 3, 4, 2, 0, 1, 1, 0, s);
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 4; x++)
                for (int c = 0; c < 2; c++)
                    ck_assert_int_eq(out[(y * 4 + x) * 2 + c], in[(y * 4 + 3 - x) * 2 + c]);
    }
}
END_TEST

/* The move and mirror that turn in (all pixels unlike, none 0) into out; fails
 * unless all of out is explained by them. */
static void explain(const uint8_t *in, const uint8_t *out, int h, int w, int pad, int *dy,
                    int *dx, bool *flip)
{
    int found = 0;

    for (int f = 0; f < 2; f++)
        for (int my = -pad; my <= pad; my++)
            for (int mx = -pad; mx <= pad; mx++) {
                bool same = true;

                for (int i = 0; i < h * w && same; i++) {
                    int y = i / w + my, x = (f ? w - 1 - i % w : i % w) + mx;
                    bool inside = y >= 0 && y < h && x >= 0 && x < w;

                    same = out[i] == (inside ? in[y * w + x] : 0);
                }
                if (same) {
                    found++;
                    *dy = my;
                    *dx = mx;
                    *flip = f;
                }
            }
    ck_assert_int_eq(found, 1);
}

START_TEST(test_augment_crops)
{
    enum { H = 6, W = 5, PAD = 2, N = 2000 };
    uint8_t in[H * W], out[H * W], again[H * W];
    int moves[2 * PAD + 1][2 * PAD + 1] = {{0}}, flips = 0, changed = 0;

    for (int i = 0; i < H * W; i++)
        in[i] = (uint8_t)(i + 1);
    for (uint32_t s = 0; s < N; s++) {
        int dy = 0, dx = 0;
        bool flip = false;

        augment(out, in, H, W, 1, PAD, 0.25, 9, 4, s);
        explain(in, out, H, W, PAD, &dy, &dx, &flip);
        moves[dy + PAD][dx + PAD]++;
        flips += flip;
        augment(again, in, H, W, 1, PAD, 0.25, 9, 4, s);
        ck_assert_int_eq(memcmp(out, again, sizeof(out)), 0);
        augment(again, in, H, W, 1, PAD, 0.25, 9, 5, s);
        changed += memcmp(out, again, sizeof(out)) != 0;
    }
    for (int i = 0; i < 25; i++) /* 80 expected each */
        ck_assert(moves[i / 5][i % 5] > 40 && moves[i / 5][i % 5] < 130);
    ck_assert(flips > N / 5 && flips < N * 3 / 10);
    ck_assert_int_gt(changed, N * 8 / 10); /* another epoch is another draw */
}
END_TEST

START_TEST(test_shuffle_is_a_permutation)
{
    enum { N = 1000 };
    uint32_t a[N], b[N];
    bool seen[N] = {false};
    int same = 0;

    omq_shuffle(a, N, 5, 0);
    for (int i = 0; i < N; i++) {
        ck_assert_uint_lt(a[i], N);
        ck_assert(!seen[a[i]]);
        seen[a[i]] = true;
    }
    omq_shuffle(b, N, 5, 0);
    ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
    omq_shuffle(b, N, 5, 1);
    for (int i = 0; i < N; i++)
        same += a[i] == b[i];
    ck_assert_int_lt(same, 10);
    omq_shuffle(b, N, 6, 0);
    ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
    omq_shuffle(a, 1, 5, 0);
    ck_assert_uint_eq(a[0], 0);
}
END_TEST

/* A run that is resumed, or repeated years later, needs these very draws. */
START_TEST(test_draws_are_pinned)
{
    enum { H = 6, W = 5, N = 100 };
    uint8_t in[H * W], out[H * W], role[N], le[4];
    uint16_t labels[N];
    uint32_t order[N];
    uLong crc = 0;

    for (int i = 0; i < H * W; i++)
        in[i] = (uint8_t)(i + 1);
    for (uint32_t s = 0; s < N; s++) {
        augment(out, in, H, W, 1, 2, 0.5, 1, 2, s);
        crc = crc32(crc, out, sizeof(out));
    }
    ck_assert_uint_eq(crc, 0xfd59c30c);
    omq_shuffle(order, N, 1, 2);
    crc = 0;
    for (int i = 0; i < N; i++) {
        omq_put_le32(le, order[i]);
        crc = crc32(crc, le, sizeof(le));
    }
    ck_assert_uint_eq(crc, 0x191892e7);
    for (int i = 0; i < N; i++)
        labels[i] = (uint16_t)(i % 7);
    ck_assert_int_eq(omq_split_draw(role, labels, N, 7, 60, 0.25, 1, &err), OMQ_OK);
    ck_assert_uint_eq(crc32(0, role, N), 0xf8ea6a56);
}
END_TEST

/* ---- the loader ---- */

/* images large enough for workers to be busy when a test interrupts them */
enum { SIDE = 48, IMAGE = SIDE * SIDE, N_LOAD = 37, BATCH = 8 };

static struct omq_data_config load_cfg;
static struct omq_dataset *load_ds;
static struct omq_preprocess load_pre;

static void setup_loader(void)
{
    load_cfg = datahelp_synthetic(N_LOAD, SIDE, SIDE, 1, 7);
    load_cfg.augment.crop_padding = 1;
    load_cfg.augment.hflip = 0.5;
    load_ds = datahelp_open(&load_cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(omq_preprocess_init(&load_pre, &load_cfg, SIDE, SIDE, 1, &err), OMQ_OK);
}

static void teardown_loader(void) { omq_dataset_close(load_ds); }

static struct omq_loader *open_loader(const struct omq_loader_options *opt)
{
    struct omq_loader *l = NULL;
    int rc = omq_loader_open(&l, load_ds, &load_pre, opt, &err);

    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
    return l;
}

struct epoch {
    uint8_t codes[N_LOAD * IMAGE];
    uint16_t labels[N_LOAD];
    int n, batches;
};

static void collect(struct omq_loader *l, struct epoch *e)
{
    struct omq_batch b;

    memset(e, 0, sizeof(*e));
    while (omq_loader_next(l, &b, NULL, &err) == 1) {
        ck_assert_int_le(e->n + b.n, N_LOAD);
        memcpy(e->codes + e->n * IMAGE, b.codes, (size_t)b.n * IMAGE);
        memcpy(e->labels + e->n, b.labels, (size_t)b.n * sizeof(*b.labels));
        e->n += b.n;
        e->batches++;
    }
    ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 0); /* the end stays the end */
}

static int workers_of(int i) { return (const int[]){1, 2, 3, 8}[i]; }

START_TEST(test_loader_in_file_order)
{
    struct omq_loader_options opt = {.batch_size = BATCH, .workers = workers_of(_i)};
    struct omq_loader *l = open_loader(&opt);
    uint8_t codes[IMAGE];
    struct epoch e;

    ck_assert_int_eq(omq_loader_batches(l), 5);
    ck_assert_int_eq(omq_loader_next(l, &(struct omq_batch){0}, NULL, &err), 0);
    omq_loader_start(l, 0, 0);
    collect(l, &e);
    ck_assert_int_eq(e.n, N_LOAD);
    ck_assert_int_eq(e.batches, 5);
    for (int i = 0; i < N_LOAD; i++) {
        omq_preprocess_apply(&load_pre, load_ds->pixels + i * IMAGE, codes);
        ck_assert_int_eq(memcmp(codes, e.codes + i * IMAGE, IMAGE), 0);
        ck_assert_int_eq(e.labels[i], load_ds->labels[i]);
    }
    omq_loader_close(l);
}
END_TEST

/* Three epochs by any number of workers are what the definition says, made
 * here one image after the other. */
START_TEST(test_loader_does_not_depend_on_workers)
{
    struct omq_loader_options opt = {
        .batch_size = BATCH, .workers = workers_of(_i), .shuffle = true, .augment = true,
        .seed = 11,
    };
    struct omq_loader *l = open_loader(&opt);
    struct epoch e;

    for (int epoch = 0; epoch < 3; epoch++) {
        uint32_t order[N_LOAD];

        omq_loader_start(l, epoch, 0);
        collect(l, &e);
        ck_assert_int_eq(e.n, N_LOAD);
        omq_shuffle(order, N_LOAD, 11, epoch);
        for (int i = 0; i < N_LOAD; i++) {
            uint8_t pixels[IMAGE], codes[IMAGE];

            augment(pixels, load_ds->pixels + order[i] * IMAGE, SIDE, SIDE, 1, 1, 0.5, 11,
                        epoch, order[i]);
            omq_preprocess_apply(&load_pre, pixels, codes);
            ck_assert_int_eq(memcmp(codes, e.codes + i * IMAGE, IMAGE), 0);
            ck_assert_int_eq(e.labels[i], load_ds->labels[order[i]]);
        }
    }
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_restarts_in_mid_epoch)
{
    struct omq_loader_options opt = {
        .batch_size = BATCH, .workers = workers_of(_i), .shuffle = true, .augment = true,
    };
    struct omq_loader *l = open_loader(&opt);
    struct omq_batch b;
    struct epoch all, rest;

    omq_loader_start(l, 4, 0);
    collect(l, &all);
    for (int first = 0; first <= 5; first++) {
        int skip = first * BATCH < N_LOAD ? first * BATCH : N_LOAD;

        omq_loader_start(l, 9, 0); /* another epoch, dropped at some point */
        for (int i = 0; i < first; i++)
            ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 1);
        omq_loader_start(l, 4, first);
        collect(l, &rest);
        ck_assert_int_eq(rest.n, N_LOAD - skip);
        ck_assert_int_eq(memcmp(rest.codes, all.codes + skip * IMAGE, (size_t)rest.n * IMAGE), 0);
        ck_assert_int_eq(memcmp(rest.labels, all.labels + skip, (size_t)rest.n * 2), 0);
    }
    omq_loader_start(l, 4, 1000);
    ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 0);
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_closes_at_any_time)
{
    struct omq_loader_options opt = {
        .batch_size = 1, .workers = workers_of(_i), .shuffle = true, .augment = true,
    };
    struct omq_batch b;

    omq_loader_close(NULL);
    omq_loader_close(open_loader(&opt));
    for (int n = 0; n < 20; n++) {
        struct omq_loader *l = open_loader(&opt);

        omq_loader_start(l, n, 0);
        if (n % 2)
            omq_loader_start(l, n + 1, n);
        for (int i = 0; i < n; i++)
            ck_assert_int_ge(omq_loader_next(l, &b, NULL, &err), 0);
        omq_loader_close(l);
    }
}
END_TEST

/* A batch that the consumer holds is not written to, however long it takes. */
START_TEST(test_loader_keeps_the_batch)
{
    struct omq_loader_options opt = {.batch_size = 2, .workers = workers_of(_i), .shuffle = true};
    struct omq_loader *l = open_loader(&opt);
    struct omq_batch b;
    double wait_s = 0;

    omq_loader_start(l, 0, 0);
    while (omq_loader_next(l, &b, &wait_s, &err) == 1) {
        uint8_t codes[2 * IMAGE];

        memcpy(codes, b.codes, (size_t)b.n * IMAGE);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        ck_assert_int_eq(memcmp(codes, b.codes, (size_t)b.n * IMAGE), 0);
    }
    ck_assert(wait_s >= 0 && wait_s < 60);
    omq_loader_close(l);
}
END_TEST

START_TEST(test_loader_last_batch)
{
    struct omq_loader_options opt = {.batch_size = BATCH, .workers = 2, .drop_last = true};
    struct omq_loader *l = open_loader(&opt);
    struct epoch e;

    ck_assert_int_eq(omq_loader_batches(l), 4);
    omq_loader_start(l, 0, 0);
    collect(l, &e);
    ck_assert_int_eq(e.n, 32);
    omq_loader_close(l);

    opt.drop_last = false;
    opt.batch_size = 1 << 30; /* memory is taken for the images there are */
    l = open_loader(&opt);
    ck_assert_int_eq(omq_loader_batches(l), 1);
    omq_loader_start(l, 0, 0);
    collect(l, &e);
    ck_assert_int_eq(e.n, N_LOAD);
    omq_loader_close(l);
}
END_TEST

static void loader_fails(const struct omq_preprocess *pre, const struct omq_loader_options *opt,
                         int code, const char *a, const char *b)
{
    struct omq_loader *l = NULL;
    int rc = omq_loader_open(&l, load_ds, pre, opt, &err);

    datahelp_fails(rc, &err, code, a, b, NULL);
    ck_assert_ptr_null(l);
}

START_TEST(test_loader_limits)
{
    struct omq_loader_options good = {.batch_size = 8, .workers = 1}, opt;
    struct omq_preprocess pre = load_pre;

    opt = good;
    opt.batch_size = 0;
    loader_fails(&load_pre, &opt, OMQ_EARG, "0 images", NULL);
    opt = good;
    opt.workers = 0;
    loader_fails(&load_pre, &opt, OMQ_EARG, "data.workers is 0", "1 to 256");
    opt = good;
    opt.batch_size = 38;
    opt.drop_last = true;
    loader_fails(&load_pre, &opt, OMQ_ECONFIG, "train.batch_size is 38", "only 37 images");
    opt = good;
    opt.augment = true;
    load_ds->cfg.augment.crop_padding = SIDE;
    loader_fails(&load_pre, &opt, OMQ_ECONFIG, "crop_padding is 48", "0 to 47");
    pre.width = 47;
    loader_fails(&pre, &good, OMQ_EARG, "48 x 48 x 1", "48 x 47 x 1");
}
END_TEST

Suite *omq_suite_loader(void)
{
    Suite *s = suite_create("loader");
    TCase *preprocess = tcase_create("preprocess"), *augment = tcase_create("augment");
    TCase *loader = tcase_create("loader");

    tcase_add_test(preprocess, test_preprocess_table);
    tcase_add_test(preprocess, test_preprocess_by_hand);
    tcase_add_test(preprocess, test_preprocess_limits);

    tcase_add_test(augment, test_augment_identity_and_mirror);
    tcase_add_test(augment, test_augment_crops);
    tcase_add_test(augment, test_shuffle_is_a_permutation);
    tcase_add_test(augment, test_draws_are_pinned);

    tcase_add_checked_fixture(loader, setup_loader, teardown_loader);
    tcase_add_loop_test(loader, test_loader_in_file_order, 0, 4);
    tcase_add_loop_test(loader, test_loader_does_not_depend_on_workers, 0, 4);
    tcase_add_loop_test(loader, test_loader_restarts_in_mid_epoch, 0, 4);
    tcase_add_loop_test(loader, test_loader_closes_at_any_time, 0, 4);
    tcase_add_loop_test(loader, test_loader_keeps_the_batch, 0, 4);
    tcase_add_test(loader, test_loader_last_batch);
    tcase_add_test(loader, test_loader_limits);

    suite_add_tcase(s, preprocess);
    suite_add_tcase(s, augment);
    suite_add_tcase(s, loader);
    return s;
}
