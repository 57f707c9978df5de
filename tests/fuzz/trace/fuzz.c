/* SPDX-License-Identifier: MIT
 *
 * Any bytes as a trace for each kind of governor: an error with a message, or shares of
 * the time that add up.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../check.h"
#include "engine/governor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct omq_governor_precision precisions[] = {
    {"w8a8", 20, 91}, {"w4a4", 12, 90}, {"w2a2", 0, NAN}, {"mixed", 7, 80},
};

static void run(const char *spec, const char *path)
{
    struct omq_governor_summary sum;
    struct omq_err err = {0};
    struct omq_governor *g;
    double all = 0;
    int rc;

    check_said(omq_governor_open(&g, spec, NULL, precisions, 4, &err) == OMQ_OK);
    rc = omq_governor_simulate(g, path, NULL, NULL, &sum, &err);
    check_said(rc == OMQ_OK || (err.code == rc && strstr(err.msg, path)));
    for (int i = 0; rc == OMQ_OK && i < 4; i++)
        all += sum.share[i];
    check(rc < 0 || (fabs(all - 1) < 1e-6 && sum.n_switches <= sum.n_samples));
    omq_governor_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const specs[] = {"latency:15", "battery:50", "thermal:60", "load:50",
                                        "manual"};
    int fd = memfd_create("trace", MFD_CLOEXEC);
    char path[64];

    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
        run(specs[i], path);
    close(fd);
    return 0;
}
