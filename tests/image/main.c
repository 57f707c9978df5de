/* SPDX-License-Identifier: MIT
 *
 * What the library makes of pictures, for a script that compares it with
 * something else:
 *
 *     build/image
 *
 * reads one order a line from stdin and answers each on stdout:
 *
 *     decode CHANNELS PATH
 *     resize CHANNELS bilinear|bicubic HEIGHT WIDTH PATH
 *     fit CHANNELS bilinear|bicubic SIDE HEIGHT WIDTH PATH
 *
 * The answer is "HEIGHT WIDTH CHANNELS" and a line end, then the pixels; or
 * "error: " and the message.
 */
#include <stdio.h>
#include <string.h>

#include "data/image.h"

enum { MAX_LINE = 4096 };

/* The filter's number, or -1. */
static int filter_number(const char *word)
{
    return strcmp(word, "bilinear") == 0 ? OMQ_BILINEAR
           : strcmp(word, "bicubic") == 0 ? OMQ_BICUBIC
                                          : -1;
}

/* Does what a line says; the result is *im. */
static int obey(struct omq_image *im, const char *line, struct omq_err *err)
{
    struct omq_image in = {0};
    char word[16];
    int c, side, h, w, at = 0, rc;

    if (sscanf(line, "decode %d %n", &c, &at) == 1 && at)
        return omq_image_read(im, line + at, c, err);
    if (sscanf(line, "resize %d %15s %d %d %n", &c, word, &h, &w, &at) == 4 && at) {
        rc = omq_image_read(&in, line + at, c, err);
        if (rc == OMQ_OK)
            rc = omq_image_resize(im, &in, h, w, (enum omq_resample)filter_number(word), err);
        omq_image_release(&in);
        return rc;
    }
    if (sscanf(line, "fit %d %15s %d %d %d %n", &c, word, &side, &h, &w, &at) == 5 && at) {
        rc = omq_image_read(im, line + at, c, err);
        return rc < 0 ? rc
                      : omq_image_fit(im, side, h, w, (enum omq_resample)filter_number(word), err);
    }
    return omq_fail(err, OMQ_EARG, "cannot understand '%s'", line);
}

int main(void)
{
    char line[MAX_LINE];

    while (fgets(line, sizeof(line), stdin)) {
        struct omq_image im = {0};
        struct omq_err err;

        line[strcspn(line, "\n")] = 0;
        if (obey(&im, line, &err) < 0) {
            printf("error: %s\n", err.msg);
        } else {
            size_t n = (size_t)im.height * (size_t)im.width * (size_t)im.channels;

            printf("%d %d %d\n", im.height, im.width, im.channels);
            if (fwrite(im.pixels, 1, n, stdout) != n)
                return 1;
        }
        omq_image_release(&im);
        if (fflush(stdout) != 0)
            return 1;
    }
    return 0;
}
