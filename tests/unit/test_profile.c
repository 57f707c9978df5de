/* SPDX-License-Identifier: MIT
 *
 * Profiles as people write them: what each layer gets, and what is refused.
 */
#include <check.h>
#include <string.h>

#include "graphhelp.h"
#include "model_sample.h"
#include "nn/nn.h"

Suite *omq_suite_profile(void);

static struct omq_net net;
static struct omq_model_info info;

static void setup(void) { model_make(&net, &info, "off"); }
static void teardown(void) { model_release(&net, &info); }

static const struct omq_profile *added(const char *text)
{
    ck_assert_msg(omq_profile_add(&info, &net, text, &err) == OMQ_OK, "%s", err.msg);
    return &info.profiles[info.n_profiles - 1];
}

START_TEST(the_last_that_names_a_layer_counts)
{
    const int w8 = omq_net_find(&net, (struct omq_precision){8, 8});
    const int w2 = omq_net_find(&net, (struct omq_precision){2, 2});
    const int w4a8 = omq_net_find(&net, (struct omq_precision){4, 8});
    const char *first = net.plan.layers[0].name;
    const struct omq_profile *f;
    char text[200];

    snprintf(text, sizeof(text), "  both 2   *=w4a8 %s=8 ", first);
    f = added(text);
    ck_assert_str_eq(f->name, "both");
    ck_assert_int_eq(f->stream, w2);
    ck_assert_int_eq(f->layers[0], w8);
    for (int l = 1; l < net.plan.n_layers; l++)
        ck_assert_int_eq(f->layers[l], w4a8);

    f = added("none w4a8");
    for (int l = 0; l < net.plan.n_layers; l++)
        ck_assert_int_eq(f->layers[l], w4a8);
    ck_assert_int_eq(omq_choice_count(&net, &info), net.n_precisions + 4);
}
END_TEST

/* Of the layers' names, those that a pattern names are 8 bits wide. */
START_TEST(patterns_have_stars_and_question_marks)
{
    static const struct {
        const char *pattern, *name;
        bool yes;
    } cases[] = {
        {"*", "x", true}, {"a*", "a", true}, {"a*b", "axxb", true}, {"a*b", "axbc", false},
        {"*.conv?", "layer1.0.conv2", true}, {"*.conv?", "layer1.0.conv22", false},
        {"*1*1*", "l1.1", true}, {"*1*1*", "l1.2", false}, {"a?", "a", false}, {"ab", "abc", false},
        {"**", "ab", true}, {"a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    char *name = net.plan.layers[0].name;
    char text[128];

    snprintf(name, OMQ_NAME_SIZE, "%s", cases[_i].name);
    for (int l = 1; l < net.plan.n_layers; l++)
        snprintf(net.plan.layers[l].name, OMQ_NAME_SIZE, "-");
    snprintf(text, sizeof(text), "p 2 *=2 %s=8", cases[_i].pattern);
    if (omq_profile_add(&info, &net, text, &err) == OMQ_OK)
        ck_assert(net.precisions[info.profiles[2].layers[0]].w == (cases[_i].yes ? 8 : 2));
    else
        ck_assert_msg(!cases[_i].yes && strstr(err.msg, "no layer is called"), "%s", err.msg);
}
END_TEST

START_TEST(mistakes_are_said)
{
    static const struct {
        const char *text, *say;
    } cases[] = {
        {"", "a profile has no name"},
        {"p", "'p' has no precision"},
        {"p 9", "'9' is no precision"},
        {"p w3a3", "the model has no precision 'w3a3'; it has 8 w4a8 2"},
        {"p 32", "'32' is float"},
        {"p 8 *", "'*' is not LAYER=PRECISION"},
        {"p 8 nosuch=8", "no layer is called 'nosuch'"},
        {"p 8 *=", "'' is no precision"},
        {"w4a8 8", "'w4a8' means something else"},
        {"all 8", "'all' means something else"},
        {"a,b 8", "no ',', '=', '/' or control characters"},
        {"a/b 8", "no ',', '=', '/' or control characters"},
        {"a\nb 8", "no ',', '=', '/' or control characters"},
        {".. 8", "no '.' in front"},
        {"\x80 8", "a name has up to 63 bytes"},
        {"a234567890123456789012345678901234567890123456789012345678901234 8", "up to 63 bytes"},
        {"fast 8", "two profiles are called 'fast'"},
    };

    ck_assert_int_eq(omq_profile_add(&info, &net, cases[_i].text, &err), OMQ_ECONFIG);
    ck_assert_msg(strstr(err.msg, cases[_i].say), "%s", err.msg);
    ck_assert_int_eq(info.n_profiles, 2);
}
END_TEST

START_TEST(there_are_256_at_most)
{
    char text[32];

    while (info.n_profiles < 256) {
        snprintf(text, sizeof(text), "p%d 8", info.n_profiles);
        added(text);
    }
    ck_assert_int_eq(omq_profile_add(&info, &net, "more 8", &err), OMQ_ECONFIG);
    ck_assert_str_eq(err.msg, "profile 'more 8': 256 profiles are possible");
    ck_assert_int_eq(info.n_profiles, 256);
}
END_TEST

Suite *omq_suite_profile(void)
{
    Suite *s = suite_create("profile");
    TCase *t = tcase_create("profile");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_last_that_names_a_layer_counts);
    tcase_add_loop_test(t, patterns_have_stars_and_question_marks, 0, 12);
    tcase_add_loop_test(t, mistakes_are_said, 0, 17);
    tcase_add_test(t, there_are_256_at_most);
    suite_add_tcase(s, t);
    return s;
}
