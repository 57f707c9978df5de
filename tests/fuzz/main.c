/* SPDX-License-Identifier: MIT
 *
 * Replays inputs through a fuzz target without clang's libFuzzer:
 *
 *     TARGET FILE|FOLDER...
 *
 * Each file, and each file of a folder (not of its folders), is run as it is
 * and then cut short at 32 places: a truncated file is the commonest damage. An
 * input ends at the end of its own allocation, so that AddressSanitizer and
 * valgrind see a read past it. A target that fails crashes. Exit 1 if an
 * argument cannot be read or there was no input at all.
 */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { MAX_INPUT = 64 << 20, N_CUTS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Targets that need one define it, as for libFuzzer. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static int n_inputs;

static int run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        fprintf(stderr, "out of memory for an input of %zu bytes\n", size);
        return 1;
    }
    if (size)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int replay_file(const char *path)
{
    uint8_t *data;
    size_t size;
    struct omq_err err;
    if (omq_file_read(path, MAX_INPUT, &data, &size, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    int status = run(data, size);
    for (size_t i = 0; i < N_CUTS && i < size && !status; i++)
        status = run(data, size > N_CUTS ? size / N_CUTS * i : i);
    free(data);
    n_inputs++;
    return status;
}

static int replay_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort), status = 0;
    if (n < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char *name = omq_path_join(path, entries[i]->d_name);
        struct stat st;
        if (!name || stat(name, &st) < 0)
            status = 1;
        else if (S_ISREG(st.st_mode))
            status |= replay_file(name);
        free(name);
        free(entries[i]);
    }
    free(entries);
    return status;
}

int main(int argc, char **argv)
{
    int status = 0;
    if (LLVMFuzzerInitialize && LLVMFuzzerInitialize(&argc, &argv) != 0)
        return 1;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) < 0) {
            perror(argv[i]);
            status = 1;
        } else if (S_ISDIR(st.st_mode)) {
            status |= replay_folder(argv[i]);
        } else {
            status |= replay_file(argv[i]);
        }
    }
    printf("%s: %d inputs\n", argv[0], n_inputs);
    return status || n_inputs == 0;
}
