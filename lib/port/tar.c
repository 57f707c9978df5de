/* SPDX-License-Identifier: MIT
 *
 * ustar archives: regular files of nobody, from 1970, so that the same contents
 * are the same bytes.
 */
#include "port/port.h"

#include <string.h>

enum { BLOCK = 512 };

/* POSIX.1-1988 ustar header. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char linked[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char rest[12];
};

static void checksum(struct header *h)
{
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;

    memset(h->checksum, ' ', sizeof(h->checksum));
    for (size_t i = 0; i < sizeof(*h); i++)
        sum += p[i];
    snprintf(h->checksum, 7, "%06o", sum % 0777777u);
}

int omq_tar_put(FILE *f, const char *name, const void *bytes, size_t n, struct omq_err *err)
{
    static const char zeros[BLOCK];
    struct header h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};

    _Static_assert(sizeof(h) == BLOCK, "a header is a block");
    if (strlen(name) > sizeof(h.name) || (uint64_t)n >> 33)
        return omq_fail(err, OMQ_EUNSUP, "'%s' does not fit into a tar: a name has at most %zu "
                        "bytes, a file 8 GiB", name, sizeof(h.name));
    memcpy(h.name, name, strlen(name));
    memcpy(h.mode, "0000644", 8);
    memcpy(h.uid, "0000000", 8);
    memcpy(h.gid, "0000000", 8);
    snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)n);
    memcpy(h.mtime, "00000000000", 12);
    checksum(&h);
    fwrite(&h, sizeof(h), 1, f);
    fwrite(bytes, 1, n, f);
    fwrite(zeros, 1, (BLOCK - n % BLOCK) % BLOCK, f);
    return OMQ_OK;
}

void omq_tar_end(FILE *f)
{
    static const char zeros[2 * BLOCK];

    fwrite(zeros, 1, sizeof(zeros), f);
}
