/* SPDX-License-Identifier: MIT
 *
 * ONNX files, as far as bytes and numbers go; what a runtime makes of them is
 * tests/cli/51-export-onnx.sh.
 */
#define _GNU_SOURCE /* open_memstream */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "each.h"
#include "failalloc.h"
#include "graphhelp.h"
#include "model_sample.h"
#include "port/onnx.h"
#include "port/onnx_parse.h"

Suite *omq_suite_onnx(void);

enum { W8 = 0, W4A8 = 1, W2 = 2, FAST = 4, SLOW = 5 }; /* choices of the sample */

static struct omq_net net;
static struct omq_model_info info;
static struct omq_export_options opt;

static void setup(void)
{
    model_make(&net, &info, "offsets");
    opt = (struct omq_export_options){.format = "onnx"};
}

static void teardown(void) { model_release(&net, &info); }

static struct omq_export_numbers *numbers_of(int choice)
{
    struct omq_export_numbers *n;

    ck_assert_msg(omq_export_numbers_open(&n, &net, &info, choice, &err) == OMQ_OK, "%s", err.msg);
    return n;
}

/* ---- protobuf ---- */

START_TEST(messages_have_protobufs_bytes)
{
    static const uint8_t want[] = {0x08, 0xac, 0x02, /* 1: 300 */
                                   0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
                                   0xa2, 0x01, 0x02, 'h', 'i',   /* 20: "hi" */
                                   0x2a, 0x04, 0x2a, 0x02, 0x08, 0x00}; /* 5: {5: {1: 0}} */
    struct omq_proto p = {0};
    char text[201] = "";
    size_t outer, inner;

    omq_proto_int(&p, 1, 300);
    omq_proto_int(&p, 2, -1);
    omq_proto_text(&p, 20, "hi");
    outer = omq_proto_begin(&p, 5);
    inner = omq_proto_begin(&p, 5);
    omq_proto_int(&p, 1, 0);
    omq_proto_end(&p, inner);
    omq_proto_end(&p, outer);
    ck_assert(!p.failed && p.n == sizeof(want) && memcmp(p.bytes, want, p.n) == 0);
    omq_proto_release(&p);
    memset(text, 'a', 200); /* a length of two bytes moves what it is of */
    outer = omq_proto_begin(&p, 1);
    omq_proto_text(&p, 2, text);
    omq_proto_end(&p, outer);
    ck_assert_uint_eq(p.n, 1 + 2 + 1 + 2 + 200);
    ck_assert(memcmp(p.bytes, "\x0a\xcb\x01\x12\xc8\x01" "aa", 8) == 0);
    omq_proto_release(&p);
}
END_TEST

/* ---- numbers ---- */

START_TEST(activations_are_u8_or_s8)
{
    struct omq_export_numbers *n = numbers_of(W2);
    struct omq_onnx_act a = omq_onnx_act_of(n, 0, false), b = omq_onnx_act_of(n, 0, true);

    ck_assert(a.zero_point == 128 && a.min == 0 && a.max == 255 && a.bits == 8 && !a.is_s8);
    ck_assert(b.zero_point == 0 && b.min == -128 && b.max == 127 && b.bits == 8 && b.is_s8);
    ck_assert(a.step == b.step && a.step == (double)net.pre.step);
    for (int t = 1; t < net.plan.n_tensors - 1; t++) {
        const struct omq_act *act = &n->tensors[t].act;

        a = omq_onnx_act_of(n, t, false);
        b = omq_onnx_act_of(n, t, true);
        ck_assert(a.max == act->q_max && a.zero_point == act->zero_point);
        ck_assert(b.zero_point == 0 && b.max <= 127 && b.min == -act->zero_point);
        /* as far, with every other level where there are too many */
        ck_assert(b.step == (act->zero_point == 0 && act->bits == 8 ? 2 : 1) * a.step);
    }
    omq_export_numbers_close(n);
}
END_TEST

/* Sums of random codes, before and after. w[oc][ic][kh][kw], from k[oc][kh][kw][ic]. */
static void check_sums(const struct omq_export_numbers *n, int unit, struct omq_onnx_act x,
                       const struct omq_onnx_codes *c)
{
    const struct omq_unit *from = &n->net->plan.units[unit];
    const struct omq_export_unit *u = &n->units[unit];
    const int pixels = from->win.kh * from->win.kw, ic = from->win.c_count;
    struct omq_rng r;

    omq_rng_init(&r, 5, OMQ_STREAM_TEST, (uint64_t)unit, 0);
    for (int o = 0; o < from->oc; o++) {
        double acc = 0, sum = c->bias[o], want, unit_of_sum = x.step * (double)c->scale[o];

        for (int p = 0; p < pixels; p++)
            for (int i = 0; i < ic; i++) {
                int code = (int)omq_rng_below(&r, (uint32_t)x.max + 1) - x.zero_point;

                acc += code * u->k[(o * pixels + p) * ic + i];
                sum += code * c->k[(o * ic + i) * pixels + p];
            }
        want = acc * (double)u->scale[o] + (double)u->bias[o];
        assert_each(c->scale[o] > 0, "scale %g", (double)c->scale[o]);
        assert_each(fabs(sum * unit_of_sum - want) <= 0.001 * unit_of_sum + 1e-5 * fabs(want) +
                                                          1e-5,
                    "output %d of '%s': %g, not %g", o, from->name, sum * unit_of_sum, want);
    }
}

/* Codes are as many times larger as the bias has parts, and two products stay in 16 bits. */
static void check_range(const struct omq_export_numbers *n, int unit, struct omq_onnx_act x,
                        const struct omq_onnx_codes *c)
{
    const struct omq_unit *u = &n->net->plan.units[unit];
    const struct omq_grid *g = &n->units[unit].grid;
    const int filter = u->win.kh * u->win.kw * u->win.c_count;
    const int k_max = omq_grid_largest(g);
    const int times = n->units[unit].parts;

    ck_assert_int_ge(times * k_max, k_max <= 7 ? 6 : 33);
    ck_assert(times == 1 || 2 * times * k_max * x.max <= 32767);
    for (int o = 0; o < u->oc; o++) {
        int before = 0, after = 0;

        for (int i = o * filter; i < (o + 1) * filter; i++) {
            before = abs(n->units[unit].k[i]) > before ? abs(n->units[unit].k[i]) : before;
            after = abs(c->k[i]) > after ? abs(c->k[i]) : after;
        }
        assert_each(after == 0 || after == times * before, "'%s': codes up to %d, not %d times %d",
                    u->name, after, times, before);
    }
}

START_TEST(sums_stand_for_the_same_values)
{
    static const int choices[] = {W8, W4A8, W2, FAST, SLOW};
    struct omq_export_numbers *n = numbers_of(choices[_i]);

    for (int i = 0; i < net.plan.n_units; i++) {
        const struct omq_unit *u = &net.plan.units[i];
        struct omq_onnx_codes c;
        struct omq_onnx_act x;

        if (u->kind != OMQ_UNIT_CONV)
            continue;
        x = omq_onnx_act_of(n, u->in, false);
        ck_assert_msg(omq_onnx_codes_init(&c, n, i, x, &err) == OMQ_OK, "%s", err.msg);
        check_range(n, i, x, &c);
        check_sums(n, i, x, &c);
        omq_onnx_codes_release(&c);
    }
    omq_export_numbers_close(n);
}
END_TEST

/* The scale is what the bias needs: it is kept, whatever the weights are worth. */
START_TEST(next_to_nothing_is_a_scale_too)
{
    static const float gammas[] = {0, 1e-38f, 1e-20f, -1e-9f};
    struct omq_param *gamma = omq_net_layer(&net, W8, 0)->gamma;
    struct omq_export_numbers *n;
    struct omq_onnx_codes c;
    struct omq_onnx_act x;

    for (int o = 0; o < 4; o++)
        gamma->value[o] = gammas[o];
    omq_net_layer(&net, W8, 0)->beta->value[0] = 0;
    n = numbers_of(W8);
    x = omq_onnx_act_of(n, 0, false);
    ck_assert(omq_onnx_codes_init(&c, n, 0, x, &err) == OMQ_OK);
    check_sums(n, 0, x, &c);
    omq_onnx_codes_release(&c);
    omq_export_numbers_close(n);
}
END_TEST

/* ---- what QLinearConv makes of codes ---- */

enum { IMAGES = 6 };

/* As ONNX Runtime's kernel: the sum of codes and bias, to codes of `to` with one rounding. */
static double requantized(int64_t sum, double unit_of_sum, const struct omq_onnx_act *to)
{
    const double v = rint((double)sum * unit_of_sum / to->step) + to->zero_point;

    return to->step * ((v < 0 ? 0 : v > 255 ? 255 : v) - to->zero_point);
}

static int64_t sum_at(const struct omq_unit *u, const struct omq_onnx_codes *c, int zero_point,
                      const uint8_t *x, int y0, int x0, int o)
{
    const struct omq_window *w = &u->win;
    const int first = o / (u->oc / u->groups) * w->c_count;
    int64_t sum = c->bias[o];

    for (int i = 0; i < w->c_count; i++)
        for (int ky = 0; ky < w->kh; ky++)
            for (int kx = 0; kx < w->kw; kx++) {
                const int iy = y0 * w->sh - w->ph + ky, ix = x0 * w->sw - w->pw + kx;

                if (iy >= 0 && iy < w->h && ix >= 0 && ix < w->w)
                    sum += c->k[((o * w->c_count + i) * w->kh + ky) * w->kw + kx] *
                           (x[(iy * w->w + ix) * w->c + first + i] - zero_point);
            }
    return sum;
}

/* All outputs of one unit for one image, from the codes that omq has for its inputs. Before
 * a residual is added, half a level of what is rounded there is lost, and half a level of the
 * output's anyway. */
static void compare_unit(const struct omq_export_numbers *n, const struct omq_exec *x, int unit,
                         const struct omq_onnx_codes *c, int image)
{
    const struct omq_unit *u = &net.plan.units[unit];
    const struct omq_tensor *to = &net.plan.tensors[u->out], *from = &net.plan.tensors[u->in];
    const struct omq_onnx_act in = omq_onnx_act_of(n, u->in, false);
    const size_t n_to = (size_t)to->h * (size_t)to->w * (size_t)to->c;
    const size_t n_from = (size_t)from->h * (size_t)from->w * (size_t)from->c;
    const uint8_t *codes = omq_exec_codes(x, u->in) + (size_t)image * n_from;
    int differ = 0;

    for (size_t i = 0; i < n_to; i++) {
        const int o = (int)(i % (size_t)u->oc), at = (int)(i / (size_t)u->oc);
        const int64_t sum = sum_at(u, c, in.zero_point, codes, at / u->win.ow, at % u->win.ow, o);
        const double unit_of_sum = in.step * (double)c->scale[o];
        struct omq_onnx_act out = omq_onnx_act_of(n, u->out, false), before = out;
        double v;
        int code;

        if (to->is_logits) {
            const double want = (double)omq_exec_reals(x, u->out)[(size_t)image * n_to + i];

            assert_each(fabs((double)sum * unit_of_sum - want) <= 0.5 * unit_of_sum + 1e-5,
                        "a logit of %g is %g", want, (double)sum * unit_of_sum);
            continue;
        }
        if (u->res >= 0)
            before = omq_onnx_act_before_add(n, unit);
        v = requantized(sum, unit_of_sum, &before);
        if (u->res >= 0) {
            const struct omq_onnx_act res = omq_onnx_act_of(n, u->res, false);

            v += res.step * (omq_exec_codes(x, u->res)[(size_t)image * n_to + i] -
                             res.zero_point);
        }
        v = rint((u->relu && v < 0 ? 0 : v) / out.step) + out.zero_point;
        code = (int)(v < out.min ? out.min : v > out.max ? out.max : v);
        code = abs(code - omq_exec_codes(x, u->out)[(size_t)image * n_to + i]);
        assert_each(code <= 1, "'%s': %d levels", u->name, code);
        differ += code;
    }
    assert_each(differ <= 1, "'%s': %d codes differ", u->name, differ);
}

/* Given the same codes, every unit gives the same, but for what is next to the middle of two
 * levels, and the logits differ by what the bias was rounded. So nothing but such a code in
 * between makes an image's logits differ. */
START_TEST(units_are_at_most_a_level_away)
{
    static const int choices[] = {W8, W4A8, W2};
    struct omq_export_numbers *n = numbers_of(choices[_i]);
    const size_t image = (size_t)SIDE * SIDE * CHANNELS;
    struct omq_pool *pool;
    struct omq_exec *x;
    struct omq_rng r;
    uint8_t codes[IMAGES * SIDE * SIDE * CHANNELS];

    omq_rng_init(&r, 8, OMQ_STREAM_TEST, 0, 0);
    for (size_t i = 0; i < IMAGES * image; i++)
        codes[i] = (uint8_t)omq_rng_below(&r, 256);
    ck_assert(omq_pool_open(&pool, 1, &err) == OMQ_OK);
    ck_assert(omq_exec_open(&x, &net, pool, IMAGES, false, &err) == OMQ_OK);
    omq_exec_forward(x, n->choice.precision, OMQ_MODE_FROZEN, codes, IMAGES, 0);
    for (int i = 0; i < net.plan.n_units; i++) {
        struct omq_onnx_codes c;

        if (net.plan.units[i].kind != OMQ_UNIT_CONV)
            continue;
        ck_assert_msg(omq_onnx_codes_init(&c, n, i,
                                          omq_onnx_act_of(n, net.plan.units[i].in, false),
                                          &err) == OMQ_OK, "%s", err.msg);
        for (int k = 0; k < IMAGES; k++)
            compare_unit(n, x, i, &c, k);
        omq_onnx_codes_release(&c);
    }
    omq_exec_close(x);
    omq_pool_close(pool);
    omq_export_numbers_close(n);
}
END_TEST

/* ---- files ---- */

static int try_write(int (*write)(const struct omq_export_job *, FILE *const *, struct omq_err *),
                     const int *choices, int n, char **bytes, size_t *size)
{
    struct omq_export_numbers *numbers[33];
    const struct omq_export_job job = {.opt = &opt, .name = "net", .n = n, .choices = numbers};
    FILE *out[2] = {open_memstream(bytes, size), NULL};
    int rc;

    ck_assert_ptr_nonnull(out[0]);
    for (int i = 0; i < n; i++)
        numbers[i] = numbers_of(choices[i]);
    rc = write(&job, out, &err);
    ck_assert_int_eq(fclose(out[0]), 0);
    for (int i = 0; i < n; i++)
        omq_export_numbers_close(numbers[i]);
    return rc;
}

/* How often the bytes have a text. */
static int count(const char *bytes, size_t size, const char *text)
{
    const size_t n = strlen(text);
    int found = 0;

    for (size_t i = 0; i + n <= size; i++)
        found += memcmp(bytes + i, text, n) == 0;
    return found;
}

/* op_type is field 4 of a node. */
static void has_ops(const char *bytes, size_t size, const char *op, int n)
{
    char field[32] = {0x22, (char)strlen(op)};

    snprintf(field + 2, sizeof(field) - 2, "%s", op);
    ck_assert_msg(count(bytes, size, field) == n, "%d %s, not %d", count(bytes, size, field), op,
                  n);
}

START_TEST(styles_have_their_operators)
{
    static const struct {
        const char *style;
        int conv, gemm, integer, dq, clip, quant, relu;
    } of[] = {
        /* a Clip also of the sum, which nothing but a quantizer reads: see clips() */
        {NULL, 3, 1, 0, 10 + 8, 3, 0, 3}, {"exact", 0, 0, 4, 5, 3, 0, 3},
        {"qonnx", 3, 1, 0, 0, 0, 9 + 4, 3}, {"float", 3, 1, 0, 9, 3, 0, 3},
    };
    const int choice = W2;
    char *bytes;
    size_t n;

    opt.style = of[_i].style;
    ck_assert_msg(try_write(omq_export_onnx, &choice, 1, &bytes, &n) == OMQ_OK, "%s", err.msg);
    has_ops(bytes, n, "Conv", of[_i].conv);
    has_ops(bytes, n, "Gemm", of[_i].gemm);
    has_ops(bytes, n, "ConvInteger", of[_i].integer);
    has_ops(bytes, n, "Clip", of[_i].clip);
    has_ops(bytes, n, "Quant", of[_i].quant);
    has_ops(bytes, n, "Relu", of[_i].relu);
    has_ops(bytes, n, "DequantizeLinear", of[_i].dq);
    free(bytes);
}
END_TEST

/* TensorRT dequantizes 8 bits only, and wants nothing between a quantizer and that. */
START_TEST(s8_is_for_tensorrt)
{
    const int choice = W8;
    char *bytes;
    size_t n;

    opt.act_s8 = true;
    ck_assert_msg(try_write(omq_export_onnx, &choice, 1, &bytes, &n) == OMQ_OK, "%s", err.msg);
    has_ops(bytes, n, "Clip", 0);
    has_ops(bytes, n, "DequantizeLinear", 9 + 4); /* of activations and weights */
    ck_assert_int_eq(count(bytes, n, "bias/dq"), 0);
    free(bytes);
}
END_TEST

/* Whatever nodes are called: reading names anything that is made twice. */
START_TEST(names_are_not_taken_twice)
{
    static const char *const styles[] = {"qcdq", "exact", "qonnx", "float"};
    static const char *const ends[] = {"_q", "_dq", ".scale", "_conv", "_c", ".zp", ".weight",
                                       ".weight_q", "_affine", "_scale"};
    const int choice = W2, last = net.plan.n_units - 1;
    struct omq_onnx_in in;
    char *bytes;
    size_t n;

    opt.style = styles[_i];
    for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]); e++)
        for (int i = 0; i < last; i++) {
            char was[OMQ_NAME_SIZE], *name = net.plan.units[(i + 1) % last].name;

            snprintf(was, sizeof(was), "%s", name);
            snprintf(name, OMQ_NAME_SIZE, "%.60s%s", net.plan.units[i].name, ends[e]);
            ck_assert_msg(try_write(omq_export_onnx, &choice, 1, &bytes, &n) == OMQ_OK, "%s",
                          err.msg);
            ck_assert_msg(omq_onnx_in_init(&in, "m.onnx",
                                           (struct omq_span){(uint8_t *)bytes, n}, &err) == OMQ_OK,
                          "%s", err.msg);
            omq_onnx_in_release(&in);
            free(bytes);
            snprintf(name, OMQ_NAME_SIZE, "%s", was);
        }
}
END_TEST

START_TEST(a_switch_has_a_branch_a_choice)
{
    const int choices[] = {W8, W4A8, W2, FAST, SLOW}, many[33] = {W8};
    char *bytes;
    size_t n;

    ck_assert_msg(try_write(omq_export_onnx_switch, choices, 5, &bytes, &n) == OMQ_OK, "%s",
                  err.msg);
    has_ops(bytes, n, "If", 4);
    has_ops(bytes, n, "Conv", 5 * 3);
    ck_assert_int_eq(count(bytes, n, "{\"8\":\"w8a8\",\"408\":\"w4a8\",\"2\":\"w2a2\","
                                     "\"10000\":\"fast\",\"10001\":\"slow\"}"), 1);
    free(bytes);
    ck_assert_int_eq(try_write(omq_export_onnx_switch, choices, 1, &bytes, &n), OMQ_EARG);
    has_text("nothing to switch to");
    free(bytes);
    ck_assert_int_eq(try_write(omq_export_onnx_switch, many, 33, &bytes, &n), OMQ_EARG);
    has_text("between 32 precisions, not 33");
    free(bytes);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    const int choice = W8;
    char *bytes;
    size_t n;

    opt.style = "exact";
    opt.act_s8 = true;
    ck_assert_int_eq(try_write(omq_export_onnx, &choice, 1, &bytes, &n), OMQ_EARG);
    has_text("for style 'qcdq' only");
    free(bytes);
    opt = (struct omq_export_options){.format = "onnx", .act_s8 = true, .weight_u8 = true};
    ck_assert_int_eq(try_write(omq_export_onnx, &choice, 1, &bytes, &n), OMQ_EARG);
    has_text("activations of type u8 only");
    free(bytes);
    opt = (struct omq_export_options){.format = "onnx"};
    snprintf(net.plan.units[0].name, sizeof(net.plan.units[0].name), "logits");
    ck_assert_int_eq(try_write(omq_export_onnx, &choice, 1, &bytes, &n), OMQ_EUNSUP);
    has_text("'logits'");
    free(bytes);
    memcpy(net.plan.units[0].name, net.plan.units[1].name, sizeof(net.plan.units[0].name));
    ck_assert_int_eq(try_write(omq_export_onnx, &choice, 1, &bytes, &n), OMQ_EUNSUP);
    has_text("as the quantizer before another one is");
    free(bytes);
}
END_TEST

START_TEST(writing_says_so_when_memory_runs_out)
{
    static const char *const styles[] = {"qcdq", "exact", "qonnx", "float"};
    struct omq_export_numbers *n = numbers_of(W4A8);
    const struct omq_export_job job = {.opt = &opt, .name = "net", .n = 1, .choices = &n};
    FILE *out[2] = {fopen("/dev/null", "w"), NULL};
    long i = 0;
    int rc;

    ck_assert_ptr_nonnull(out[0]);
    opt.style = styles[_i];
    do {
        err.msg[0] = 0;
        failalloc_set(++i);
        rc = omq_export_onnx(&job, out, &err);
        failalloc_set(0);
        ck_assert_msg(rc == OMQ_OK || (rc == OMQ_ENOMEM && err.msg[0]), "allocation %ld: %d, %s",
                      i, rc, err.msg);
    } while (rc != OMQ_OK);
    ck_assert_int_gt(i, 4);
    fclose(out[0]);
    omq_export_numbers_close(n);
}
END_TEST

Suite *omq_suite_onnx(void)
{
    Suite *s = suite_create("onnx");
    TCase *t = tcase_create("onnx");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, messages_have_protobufs_bytes);
    tcase_add_test(t, activations_are_u8_or_s8);
    tcase_add_loop_test(t, sums_stand_for_the_same_values, 0, 5);
    tcase_add_test(t, next_to_nothing_is_a_scale_too);
    tcase_add_loop_test(t, units_are_at_most_a_level_away, 0, 3);
    tcase_add_loop_test(t, styles_have_their_operators, 0, 4);
    tcase_add_test(t, s8_is_for_tensorrt);
    tcase_add_loop_test(t, names_are_not_taken_twice, 0, 4);
    tcase_add_test(t, a_switch_has_a_branch_a_choice);
    tcase_add_test(t, what_does_not_fit_is_refused);
    tcase_add_loop_test(t, writing_says_so_when_memory_runs_out, 0, 4);
    suite_add_tcase(s, t);
    return s;
}
