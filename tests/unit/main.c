/* SPDX-License-Identifier: MIT
 *
 * The main of the unit tests, and once more, in double, of the gradient checks.
 *
 *     unit [SUITE...]            runs all suites, or those named
 *     unit --but SUITE...        all but those named
 *     unit --no-kernels SUITE... those named, in which a kernel that is called is
 *                                a crash
 *     unit --levels              prints the kernel levels of this machine, lowest first
 *
 * suites.h is written by the Makefile: SUITE(name) for each test_<name>.c,
 * which exports `Suite *omq_suite_<name>(void)`. OMQ_CPU chooses the kernel
 * level; CK_FORK=no (see Check's manual) keeps all tests in one process.
 */
#define _POSIX_C_SOURCE 200809L
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/kern.h"

#define SUITE(name) Suite *omq_suite_##name(void);
#include "suites.h"
#undef SUITE

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define SUITE(name) {#name, omq_suite_##name},
#include "suites.h"
#undef SUITE
};
enum { N_SUITES = sizeof(suites) / sizeof(suites[0]) };

static int print_levels(void)
{
    for (int i = OMQ_ISA_REF; i < OMQ_ISA_COUNT; i++)
        if (omq_cpu_has((enum omq_isa)i))
            puts(omq_isa_name((enum omq_isa)i));
    return 0;
}

/* Chooses the kernels; false for a word in OMQ_CPU that is none. */
static bool init_kernels(void)
{
    const char *word = getenv("OMQ_CPU"), *dropped = NULL;
    enum omq_isa isa = omq_cpu_isa();
    if (word && !omq_isa_parse(word, &isa)) {
        fprintf(stderr, "unit: unknown OMQ_CPU '%s'; try " OMQ_ISA_NAMES "\n", word);
        return false;
    }
    omq_kern_init(isa, &dropped);
    printf("kernels: %s\n", omq_isa_name(omq_kern_isa()));
    if (dropped)
        printf("kernels: left out: %s\n", dropped);
    fflush(stdout); /* before Check forks */
    return true;
}

static bool named(const char *name, int n_words, char **words)
{
    for (int i = 0; i < n_words; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

/* Whether each word is a suite's name. */
static bool known(int n_words, char **words)
{
    for (int i = 0; i < n_words; i++) {
        int k = 0;
        while (k < N_SUITES && strcmp(suites[k].name, words[i]) != 0)
            k++;
        if (k == N_SUITES) {
            fprintf(stderr, "unit: no suite '%s'; there are:", words[i]);
            for (k = 0; k < N_SUITES; k++)
                fprintf(stderr, " %s", suites[k].name);
            fprintf(stderr, "\n");
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
    bool but = strcmp(option, "--but") == 0;
    int n_words = argc - 1 - (*option != 0);
    char **words = argv + argc - n_words;

    if (argc == 2 && strcmp(option, "--levels") == 0)
        return print_levels();
    if (!known(n_words, words) || !init_kernels())
        return 2;
    if (strcmp(option, "--no-kernels") == 0)
        memset((void *)omq_kern(), 0, sizeof(struct omq_kern)); /* the object is not const */
    else if (*option && !but) {
        fprintf(stderr, "unit: unknown option '%s'\n", option);
        return 2;
    }

    /* Check's default of 4 seconds a test is too tight for a busy machine. */
    setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    SRunner *sr = srunner_create(NULL);
    for (int k = 0; k < N_SUITES; k++)
        if (n_words == 0 || named(suites[k].name, n_words, words) != but)
            srunner_add_suite(sr, suites[k].make());
    srunner_run_all(sr, CK_ENV);
    int n_run = srunner_ntests_run(sr), n_failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return n_run > 0 && n_failed == 0 ? 0 : 1;
}
