/* SPDX-License-Identifier: MIT
 *
 * From a picture to the network's pixels and codes. scripts/check-transform.py
 * compares all of it with Pillow; here are the rules that need no Pillow.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "data/data_internal.h"
#include "data/transform.h"
#include "datahelp.h"
#include "failalloc.h"

Suite *omq_suite_transform(void);

static struct omq_err err;

/* Everything on. */
static struct omq_data_config busy(void)
{
    return (struct omq_data_config){
        .augment = {
            .hflip = 0.5,
            .vflip = 0.5,
            .random_resized_crop = {true, 2, 2, {0.08, 1}, {0.75, 1.25}},
            .color_jitter = {0.4, 0.4, 0.4, 0.1},
            .random_erasing = {0.5, 2, 2, {0.02, 0.33}, {0.3, 3.3}},
            .mixup = 0.5,
            .cutmix = 1,
        },
    };
}

/* A picture without two equal rows, columns or channels. */
static struct omq_image picture(int h, int w, int c)
{
    struct omq_image im = {h, w, c, malloc((size_t)h * (size_t)w * (size_t)c)};

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int ch = 0; ch < c; ch++)
                im.pixels[(y * w + x) * c + ch] =
                    (uint8_t)(128 + 127 * sin(0.37 * y * (ch + 1) + 0.23 * x + ch));
    return im;
}

static void transform(const struct omq_transform *t, uint8_t *out, const struct omq_image *in,
                      int epoch, uint32_t sample)
{
    int rc = omq_transform_check(t, &err);

    if (rc == OMQ_OK)
        rc = omq_transform(t, out, in, 5, epoch, sample, &err);
    ck_assert_msg(rc == OMQ_OK, "%s", err.msg);
}

/* ---- the parts ---- */

START_TEST(test_flips)
{
    for (int c = 1; c <= 4; c++) {
        struct omq_image im = picture(5, 4, c), other = picture(5, 4, c);
        struct omq_move m = {0};

        for (int k = 0; k < 4; k++) {
            m.hflip = k & 1;
            m.vflip = k & 2;
            omq_move_apply(other.pixels, im.pixels, 5, 4, c, &m);
            for (int y = 0; y < 5; y++)
                for (int x = 0; x < 4; x++)
                    for (int ch = 0; ch < c; ch++)
                        ck_assert_int_eq(other.pixels[(y * 4 + x) * c + ch],
                                         im.pixels[((m.vflip ? 4 - y : y) * 4 +
                                                    (m.hflip ? 3 - x : x)) * c + ch]);
            omq_flip(other.pixels, 5, 4, c, m.hflip, m.vflip); /* and back */
            ck_assert_int_eq(memcmp(other.pixels, im.pixels, (size_t)(20 * c)), 0);
        }
        omq_image_release(&im);
        omq_image_release(&other);
    }
}
END_TEST

static bool inside(const struct omq_box *b, int h, int w)
{
    return b->top >= 0 && b->left >= 0 && b->height >= 0 && b->width >= 0 &&
           b->top + b->height <= h && b->left + b->width <= w;
}

START_TEST(test_crop_boxes)
{
    enum { H = 300, W = 400, N = 4000 };
    const double scale[2] = {0.08, 1}, ratio[2] = {3.0 / 4, 4.0 / 3};
    int small = 0, top = 0;
    struct omq_box b;
    struct omq_rng r;

    omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        double share, shape;

        omq_crop_draw(&b, H, W, scale, ratio, &r);
        ck_assert(inside(&b, H, W));
        share = (double)b.height * b.width / (H * W);
        shape = (double)b.width / b.height;
        ck_assert(share > 0.078 && share <= 1 && shape > 0.74 && shape < 1.35);
        small += share < 0.54;
        top += b.top < (H - b.height) / 2;
    }
    /* large boxes that do not fit are drawn anew: more than half are small */
    ck_assert_msg(small > N * 0.6 && small < N * 0.75, "%d", small);
    ck_assert_msg(top > N * 0.40 && top < N * 0.52, "%d", top);
}
END_TEST

/* No box of ten fits: the largest of an allowed shape, in the centre. */
START_TEST(test_crop_fallback)
{
    const double whole[2] = {1, 1}, ratio[2] = {3.0 / 4, 4.0 / 3}, wide[2] = {20, 30};
    struct omq_box b;
    struct omq_rng r;

    omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
    omq_crop_draw(&b, 6, 100, whole, ratio, &r);
    ck_assert(b.top == 0 && b.height == 6 && b.left == 46 && b.width == 8);
    omq_crop_draw(&b, 101, 6, whole, ratio, &r);
    ck_assert(b.top == 46 && b.height == 8 && b.left == 0 && b.width == 6);
    omq_crop_draw(&b, 5, 5, whole, wide, &r); /* a quarter of a pixel high */
    ck_assert(b.top == 2 && b.height == 1 && b.left == 0 && b.width == 5);
}
END_TEST

START_TEST(test_erasing)
{
    enum { H = 20, W = 30, C = 3, N = 500 };
    struct omq_data_config cfg = busy();
    uint8_t codes[H * W * C];
    int erased = 0;

    for (uint32_t s = 0; s < N; s++) {
        int n = 0, y0 = H, y1 = -1, x0 = W, x1 = -1;

        memset(codes, 7, sizeof(codes));
        omq_erase(codes, H, W, C, &cfg.augment, 1, 2, s);
        for (int i = 0; i < H * W; i++) {
            int y = i / W, x = i % W;

            ck_assert(codes[C * i] == 7 || codes[C * i] == 128);
            ck_assert(codes[C * i] == codes[C * i + 1] && codes[C * i] == codes[C * i + 2]);
            if (codes[C * i] == 7)
                continue;
            n++;
            y0 = y < y0 ? y : y0;
            y1 = y > y1 ? y : y1;
            x0 = x < x0 ? x : x0;
            x1 = x > x1 ? x : x1;
        }
        if (n == 0)
            continue;
        erased++;
        ck_assert_int_eq(n, (y1 - y0 + 1) * (x1 - x0 + 1)); /* one box */
        ck_assert(n > 0.015 * H * W && n < 0.36 * H * W);
    }
    ck_assert(erased > N * 0.42 && erased < N * 0.58);
    cfg.augment.random_erasing.probability = 0;
    memset(codes, 7, sizeof(codes));
    for (uint32_t s = 0; s < 50; s++)
        omq_erase(codes, H, W, C, &cfg.augment, 1, 2, s);
    ck_assert_int_eq(codes[0], 7);
    ck_assert_int_eq(memcmp(codes, codes + 1, sizeof(codes) - 1), 0);
}
END_TEST

/* Mean 1/2 and variance 1 / (4 (2 alpha + 1)). */
START_TEST(test_beta)
{
    static const double alphas[] = {0.001, 0.2, 1, 2.5, 100, 1e-320};
    enum { N = 20000 };
    double alpha = alphas[_i], want = 1 / (4 * (2 * alpha + 1)), sum = 0, squares = 0;
    struct omq_rng r;

    omq_rng_init(&r, 1, OMQ_STREAM_TEST, 0, 0);
    for (int i = 0; i < N; i++) {
        double x = omq_beta_draw(alpha, &r);

        ck_assert(x >= 0 && x <= 1);
        sum += x - 0.5;
        squares += (x - 0.5) * (x - 0.5);
    }
    ck_assert_msg(fabs(sum / N) < 4 * sqrt(want / N), "mean %g", 0.5 + sum / N);
    ck_assert_msg(fabs(squares / N - want) < 0.05 * want, "variance %g", squares / N);
}
END_TEST

/* ---- batches ---- */

enum { MIX_N = 5, MIX_SIDE = 16, MIX_IMAGE = MIX_SIDE * MIX_SIDE };

static void codes_of_batch(uint8_t *codes)
{
    for (int i = 0; i < MIX_N * MIX_IMAGE; i++)
        codes[i] = (uint8_t)(40 * (i / MIX_IMAGE) + i % 37);
}

START_TEST(test_mixup)
{
    struct omq_augment_config cfg = {.mixup = 1};
    uint8_t old[MIX_N * MIX_IMAGE], codes[MIX_N * MIX_IMAGE];
    double sum = 0;

    codes_of_batch(old);
    for (uint32_t b = 0; b < 200; b++) {
        double own;

        memcpy(codes, old, sizeof(codes));
        own = omq_mix(codes, MIX_N, MIX_SIDE, MIX_SIDE, 1, &cfg, 1, 0, b);
        ck_assert(own >= 0 && own <= 1);
        for (int i = 0; i < MIX_N * MIX_IMAGE; i++) {
            int partner = (MIX_N - 1 - i / MIX_IMAGE) * MIX_IMAGE + i % MIX_IMAGE;

            ck_assert_double_le(fabs(codes[i] - (own * old[i] + (1 - own) * old[partner])), 0.5);
        }
        sum += own;
    }
    ck_assert(sum > 80 && sum < 120);
}
END_TEST

START_TEST(test_cutmix)
{
    struct omq_augment_config cfg = {.cutmix = 1};
    uint8_t old[MIX_N * MIX_IMAGE], codes[MIX_N * MIX_IMAGE];
    int changed = 0;

    codes_of_batch(old);
    for (uint32_t b = 0; b < 200; b++) {
        double own;
        int n_own = 0;

        memcpy(codes, old, sizeof(codes));
        own = omq_mix(codes, MIX_N, MIX_SIDE, MIX_SIDE, 1, &cfg, 1, 0, b);
        for (int i = 0; i < MIX_IMAGE; i++) {
            bool same = codes[i] == old[i];

            n_own += same;
            for (int k = 0; k < MIX_N; k++) { /* the same box in all */
                int from = same ? k : MIX_N - 1 - k;

                ck_assert_int_eq(codes[k * MIX_IMAGE + i], old[from * MIX_IMAGE + i]);
            }
        }
        ck_assert_double_eq_tol(own, (double)n_own / MIX_IMAGE, 1e-12);
        changed += own < 1;
    }
    ck_assert_int_gt(changed, 150);
}
END_TEST

START_TEST(test_mix_choices)
{
    struct omq_augment_config none = {0}, both = {.mixup = 1, .cutmix = 1};
    uint8_t old[MIX_N * MIX_IMAGE], codes[MIX_N * MIX_IMAGE];
    int boxes = 0;

    codes_of_batch(old);
    memcpy(codes, old, sizeof(codes));
    ck_assert(omq_mix(codes, MIX_N, MIX_SIDE, MIX_SIDE, 1, &none, 1, 0, 0) == 1);
    ck_assert_int_eq(memcmp(codes, old, sizeof(codes)), 0);
    ck_assert(omq_mix(codes, 1, MIX_SIDE, MIX_SIDE, 1, &both, 1, 0, 0) <= 1); /* with itself */
    ck_assert_int_eq(memcmp(codes, old, sizeof(codes)), 0);
    for (uint32_t b = 0; b < 200; b++) {
        bool box = true;

        memcpy(codes, old, sizeof(codes));
        omq_mix(codes, MIX_N, MIX_SIDE, MIX_SIDE, 1, &both, 1, 0, b);
        for (int i = 0; i < MIX_IMAGE; i++)
            box = box && (codes[i] == old[i] || codes[i] == old[(MIX_N - 1) * MIX_IMAGE + i]);
        boxes += box;
    }
    ck_assert_msg(boxes > 70 && boxes < 130, "%d", boxes);
}
END_TEST

/* ---- all together ---- */

START_TEST(test_view_of_a_test)
{
    struct omq_data_config cfg = busy(); /* none of which a test knows */
    struct omq_transform t = {&cfg, 12, 10, 3, false};
    struct omq_image in = picture(30, 41, 3), same = picture(12, 10, 3), want = picture(30, 41, 3);
    uint8_t out[12 * 10 * 3];

    transform(&t, out, &same, 0, 0);
    ck_assert_int_eq(memcmp(out, same.pixels, sizeof(out)), 0);
    transform(&t, out, &in, 0, 0);
    ck_assert_int_eq(omq_image_fit(&want, 12, 12, 10, OMQ_BILINEAR, &err), OMQ_OK);
    ck_assert_int_eq(memcmp(out, want.pixels, sizeof(out)), 0);
    cfg.resize = 14; /* also where the size is right already */
    transform(&t, out, &same, 0, 0);
    ck_assert_int_ne(memcmp(out, same.pixels, sizeof(out)), 0);
    omq_image_release(&in);
    omq_image_release(&same);
    omq_image_release(&want);
}
END_TEST

/* Each change alone is one that the others do not shift. */
START_TEST(test_changes_are_apart)
{
    struct omq_data_config cfg = busy(), plain = busy();
    struct omq_transform t = {&cfg, 16, 16, 3, true}, u = {&plain, 16, 16, 3, true};
    struct omq_image in = picture(40, 30, 3);
    uint8_t a[16 * 16 * 3], b[sizeof(a)];
    int differ = 0;

    plain.augment.color_jitter.brightness = plain.augment.color_jitter.contrast = 0;
    plain.augment.color_jitter.saturation = plain.augment.color_jitter.hue = 0;
    for (uint32_t s = 0; s < 20; s++) {
        struct omq_jitter j;

        transform(&t, a, &in, 3, s);
        transform(&u, b, &in, 3, s);
        differ += memcmp(a, b, sizeof(a)) != 0;
        omq_jitter_draw(&j, &cfg.augment, 5, 3, s);
        omq_jitter_apply(b, 16 * 16, 3, &j);
        ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
        transform(&t, b, &in, 3, s);
        ck_assert_int_eq(memcmp(a, b, sizeof(a)), 0);
        transform(&t, b, &in, 4, s);
        differ += memcmp(a, b, sizeof(a)) != 0;
    }
    ck_assert_int_eq(differ, 40);
    omq_image_release(&in);
}
END_TEST

/* A picture that has to be resized before it is padded. */
START_TEST(test_padding_of_a_resized_picture)
{
    struct omq_data_config cfg = {.augment = {.crop_padding = 2, .hflip = 0.5}};
    struct omq_transform t = {&cfg, 16, 16, 1, true}, test = {&cfg, 16, 16, 1, false};
    struct omq_image in = picture(40, 30, 1);
    uint8_t fitted[256], want[256], out[256];

    transform(&test, fitted, &in, 0, 0);
    for (uint32_t s = 0; s < 50; s++) {
        struct omq_move m;

        omq_move_draw(&m, &cfg.augment, 5, 1, s);
        omq_move_apply(want, fitted, 16, 16, 1, &m);
        transform(&t, out, &in, 1, s);
        ck_assert_int_eq(memcmp(out, want, sizeof(out)), 0);
    }
    omq_image_release(&in);
}
END_TEST

/* A run that is resumed, or repeated years later, needs these very draws. */
START_TEST(test_draws_are_pinned)
{
    struct omq_data_config cfg = busy();
    struct omq_transform t = {&cfg, 16, 16, 3, true};
    struct omq_image in = picture(40, 30, 3);
    uint8_t out[4 * 16 * 16 * 3];
    uLong crc = 0;

    for (uint32_t s = 0; s < 100; s++) {
        uint8_t *one = out + s % 4 * (16 * 16 * 3);
        double own;

        transform(&t, one, &in, 3, s);
        omq_erase(one, 16, 16, 3, &cfg.augment, 5, 3, s);
        if (s % 4 < 3)
            continue;
        own = omq_mix(out, 4, 16, 16, 3, &cfg.augment, 5, 3, s);
        crc = crc32(crc, out, sizeof(out));
        ck_assert(own >= 0 && own <= 1);
    }
    ck_assert_uint_eq(crc, 0x2e614841);
    omq_image_release(&in);
}
END_TEST

START_TEST(test_what_cannot_be)
{
    struct omq_data_config cfg = {.augment = {.crop_padding = 8}};
    struct omq_transform t = {&cfg, 9, 8, 3, true};

    datahelp_fails(omq_transform_check(&t, &err), &err, OMQ_ECONFIG,
                   "data.augment.crop_padding is 8", "9 x 8", "0 to 7");
    t.train = false;
    ck_assert_int_eq(omq_transform_check(&t, &err), OMQ_OK);
    cfg = busy();
    t = (struct omq_transform){&cfg, 9, 8, 4, true};
    datahelp_fails(omq_transform_check(&t, &err), &err, OMQ_ECONFIG, "data.augment.color_jitter",
                   "1 or 3 channels", "have 4");
    memset(&cfg.augment.color_jitter, 0, sizeof(cfg.augment.color_jitter));
    datahelp_fails(omq_transform_check(&t, &err), &err, OMQ_ECONFIG,
                   "data.augment.random_resized_crop", "1 or 3 channels", "have 4");
    t.channels = 1;
    ck_assert_int_eq(omq_transform_check(&t, &err), OMQ_OK);
}
END_TEST

START_TEST(test_without_memory)
{
    struct omq_data_config cfg[2] = {busy(), {.augment = {.crop_padding = 5}}};
    struct omq_transform t = {&cfg[_i], 16, 16, 3, true};
    struct omq_image in = picture(40, 30, 3);
    uint8_t out[16 * 16 * 3];
    int tries = 0, rc;

    do {
        failalloc_set(++tries);
        rc = omq_transform(&t, out, &in, 5, 0, 1, &err);
        failalloc_set(0);
        ck_assert_msg(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]), "%d: %s", rc, err.msg);
    } while (rc != OMQ_OK && tries < 100);
    ck_assert_int_eq(rc, OMQ_OK);
    ck_assert_int_gt(tries, 1);
    omq_image_release(&in);
}
END_TEST

/* ---- through the loader ---- */

enum { SIDE = 20, IMAGE = SIDE * SIDE * 3, N_LOAD = 22, BATCH = 8 };

/* One epoch, image after image, by the definition. */
static void by_definition(const struct omq_dataset *ds, const struct omq_preprocess *pre,
                          int epoch, uint8_t *codes, double *own)
{
    const struct omq_augment_config *a = &ds->cfg.augment;
    const struct omq_transform t = {&ds->cfg, SIDE, SIDE, 3, true};
    uint32_t order[N_LOAD];
    uint8_t pixels[IMAGE];

    omq_shuffle(order, N_LOAD, 5, epoch);
    for (int i = 0; i < N_LOAD; i++) {
        struct omq_image in = {SIDE, SIDE, 3, (uint8_t *)ds->pixels + order[i] * IMAGE};

        transform(&t, pixels, &in, epoch, order[i]);
        omq_preprocess_apply(pre, pixels, codes + i * IMAGE);
        omq_erase(codes + i * IMAGE, SIDE, SIDE, 3, a, 5, epoch, order[i]);
    }
    for (int b = 0; b * BATCH < N_LOAD; b++)
        own[b] = omq_mix(codes + b * BATCH * IMAGE, N_LOAD - b * BATCH < BATCH
                                                        ? N_LOAD - b * BATCH : BATCH,
                         SIDE, SIDE, 3, a, 5, epoch, (uint32_t)b);
}

/* Not mixed, until that is taken back. */
static void unmixed(struct omq_loader *l, const struct omq_dataset *ds,
                         const struct omq_preprocess *pre)
{
    const struct omq_transform t = {&ds->cfg, SIDE, SIDE, 3, true};
    uint8_t pixels[IMAGE], codes[IMAGE];
    struct omq_batch plain, again;
    uint32_t order[N_LOAD];

    omq_shuffle(order, N_LOAD, 5, 2);
    omq_loader_set_mixing(l, false);
    ck_assert_int_eq(omq_loader_next(l, &plain, NULL, &err), 0); /* it has ended an epoch */
    omq_loader_start(l, 2, 0);
    ck_assert_int_eq(omq_loader_next(l, &plain, NULL, &err), 1);
    ck_assert(plain.own == 1);
    for (int i = 0; i < plain.n; i++) {
        struct omq_image in = {SIDE, SIDE, 3, (uint8_t *)ds->pixels + order[i] * IMAGE};

        transform(&t, pixels, &in, 2, order[i]);
        omq_preprocess_apply(pre, pixels, codes);
        omq_erase(codes, SIDE, SIDE, 3, &ds->cfg.augment, 5, 2, order[i]);
        ck_assert_int_eq(memcmp(codes, plain.codes + i * IMAGE, IMAGE), 0);
    }
    omq_loader_set_mixing(l, true);
    omq_loader_start(l, 2, 0);
    ck_assert_int_eq(omq_loader_next(l, &again, NULL, &err), 1);
    ck_assert(again.own < 1);
}

START_TEST(test_loader)
{
    struct omq_data_config cfg = datahelp_synthetic(N_LOAD, SIDE, SIDE, 3, 4);
    struct omq_loader_options opt = {
        .batch_size = BATCH, .workers = _i + 1, .shuffle = true, .augment = true, .seed = 5,
    };
    uint8_t *want = malloc(N_LOAD * IMAGE);
    struct omq_loader *l = NULL;
    struct omq_dataset *ds;
    struct omq_preprocess pre;
    struct omq_batch b;
    double own[3];

    cfg.augment = busy().augment;
    ds = datahelp_open(&cfg, OMQ_SPLIT_TRAIN, 1);
    ck_assert_int_eq(omq_preprocess_init(&pre, &cfg, SIDE, SIDE, 3, &err), OMQ_OK);
    ck_assert_int_eq(omq_loader_open(&l, ds, &pre, &opt, &err), OMQ_OK);
    for (int epoch = 0; epoch < 3; epoch++) {
        int first = epoch == 1; /* a run that is resumed within an epoch */

        by_definition(ds, &pre, epoch, want, own);
        omq_loader_start(l, epoch, first);
        for (int i = first; i < 3; i++) {
            ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 1);
            ck_assert(b.own == own[i]);
            ck_assert_int_eq(memcmp(b.codes, want + i * BATCH * IMAGE, (size_t)b.n * IMAGE), 0);
        }
    }
    unmixed(l, ds, &pre);
    omq_loader_close(l);
    opt.augment = false;
    ck_assert_int_eq(omq_loader_open(&l, ds, &pre, &opt, &err), OMQ_OK);
    omq_loader_start(l, 0, 0);
    ck_assert_int_eq(omq_loader_next(l, &b, NULL, &err), 1);
    ck_assert(b.own == 1);
    omq_loader_close(l);
    omq_dataset_close(ds);
    free(want);
}
END_TEST

Suite *omq_suite_transform(void)
{
    Suite *s = suite_create("transform");
    TCase *parts = tcase_create("parts"), *batches = tcase_create("batches");
    TCase *all = tcase_create("all"), *loader = tcase_create("loader");

    tcase_add_test(parts, test_flips);
    tcase_add_test(parts, test_crop_boxes);
    tcase_add_test(parts, test_crop_fallback);
    tcase_add_test(parts, test_erasing);
    tcase_add_loop_test(parts, test_beta, 0, 6);
    tcase_add_test(batches, test_mixup);
    tcase_add_test(batches, test_cutmix);
    tcase_add_test(batches, test_mix_choices);
    tcase_add_test(all, test_view_of_a_test);
    tcase_add_test(all, test_changes_are_apart);
    tcase_add_test(all, test_padding_of_a_resized_picture);
    tcase_add_test(all, test_draws_are_pinned);
    tcase_add_test(all, test_what_cannot_be);
    tcase_add_loop_test(all, test_without_memory, 0, 2);
    tcase_add_loop_test(loader, test_loader, 0, 3);
    suite_add_tcase(s, parts);
    suite_add_tcase(s, batches);
    suite_add_tcase(s, all);
    suite_add_tcase(s, loader);
    return s;
}
