/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a tar file, and as a shard: members that are all there and have
 * harmless names, samples with a label each, or an error with a message.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../check.h"
#include "data/data_internal.h"
#include "data/untar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void list(int fd, size_t size)
{
    struct omq_err err = {0};
    struct omq_untar_member m;
    struct omq_untar t;
    uint64_t end = 0;
    int rc;

    omq_untar_open(&t, fd, size, "input");
    while ((rc = omq_untar_next(&t, &m, &err)) == 1) {
        check(m.offset >= end + 512 && m.size <= size && m.offset <= size - m.size);
        check(m.name[0] && m.name[0] != '/' && strlen(m.name) < OMQ_UNTAR_NAME);
        check(strncmp(m.name, "../", 3) != 0 && !strstr(m.name, "/../"));
        end = m.offset + m.size;
    }
    check_said(rc == 0 || (rc < 0 && err.code == rc && strstr(err.msg, "'input'")));
}

static void open_set(int fd, size_t size)
{
    struct omq_err err = {0};
    struct omq_raw raw = {0};
    int rc = omq_shard_index(&raw, fd, size, "input", &err);

    check_said(rc == OMQ_OK || (err.code == rc && strstr(err.msg, "'input'")));
    for (int i = 0; rc == OMQ_OK && i < raw.n; i++)
        check(raw.labels[i] < raw.n_classes && raw.n_classes <= OMQ_MAX_CLASSES);
    omq_raw_release(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("input", MFD_CLOEXEC);

    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    list(fd, size);
    open_set(fd, size);
    close(fd);
    return 0;
}
