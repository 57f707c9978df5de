/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a file of CIFAR-10 and of CIFAR-100, twice, as batches are: an error
 * with a message, or all records with labels in range.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../check.h"
#include "data/data_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IMAGE = 32 * 32 * 3 };

static void try_kind(int fd, const uint8_t *data, size_t size, bool fine)
{
    size_t record = IMAGE + 1 + (size_t)fine, n = size / record;
    struct omq_err err = {0};
    struct omq_raw raw = {0};
    int rc = omq_cifar_read(&raw, fd, size, "input", fine, &err);

    if (rc == OMQ_OK) {
        check_said(omq_cifar_read(&raw, fd, size, "input", fine, &err) == OMQ_OK);
        check(n > 0 && n * record == size && raw.n == (int)(2 * n));
        for (size_t i = 0; i < 2 * n; i++) {
            const uint8_t *p = data + (i % n) * record, *pixels = raw.pixels + i * IMAGE;

            check(raw.labels[i] == p[fine] && raw.labels[i] < (fine ? 100 : 10));
            check(pixels[0] == p[1 + fine] && pixels[IMAGE - 1] == p[record - 1]);
        }
    } else {
        check_said(err.code == rc && strstr(err.msg, "'input'"));
    }
    omq_raw_release(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    try_kind(fd, data, size, false);
    try_kind(fd, data, size, true);
    close(fd);
    return 0;
}
