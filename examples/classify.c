/* SPDX-License-Identifier: MIT
 *
 * classify.c - a program around libomq: the class of each raw frame on standard
 * input, and from frame FROM on at another precision.
 *
 *     cc -o classify classify.c $(pkg-config --cflags --libs omq)
 *     ./classify model.omq [FROM PRECISION] <frames
 */
#include <stdio.h>
#include <stdlib.h>

#include <omq.h>

static int fail(const char *message)
{
    fprintf(stderr, "classify: %s\n", message);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct omq_model *model;
    struct omq_model_shape shape;
    struct omq_model_precision ran;
    struct omq_err err;
    char *end = "";
    long from = argc == 4 ? strtol(argv[2], &end, 10) : -1;
    size_t got;

    if ((argc != 2 && argc != 4) || *end)
        return fail("usage: classify MODEL [FROM PRECISION] <frames");
    if (omq_model_open(&model, argv[1], NULL, &err) < 0)
        return fail(err.msg);
    omq_model_shape(model, &shape);

    size_t size = (size_t)shape.height * (size_t)shape.width * (size_t)shape.channels;
    unsigned char *frame = malloc(size);
    float *logits = malloc((size_t)shape.n_classes * sizeof(*logits));
    struct omq_batch_io batch = { .images = frame, .type = OMQ_PIXELS, .n = 1,
                                  .precision = OMQ_ACTIVE, .logits = logits };

    if (!frame || !logits)
        return fail("out of memory");
    for (long i = 0; (got = fread(frame, 1, size, stdin)) == size; i++) {
        int precision = i == from ? omq_model_find(model, argv[3], &err) : OMQ_ACTIVE;
        int best = 0;

        if (i == from && (precision < 0 || omq_model_set_wait(model, precision, &err) < 0))
            return fail(err.msg);
        if (omq_model_run(model, &batch, &err) < 0)
            return fail(err.msg);
        for (int c = 1; c < shape.n_classes; c++)
            best = logits[c] > logits[best] ? c : best;
        omq_model_precision(model, batch.ran_at, &ran);
        if (printf("%ld\t%d\t%s\t%s\n", i, best, omq_model_class_name(model, best), ran.name) < 0)
            break;
    }
    free(logits);
    free(frame);
    omq_model_close(model);
    if (ferror(stdout) || fclose(stdout) != 0)
        return fail("cannot write the answers");
    if (ferror(stdin))
        return fail("cannot read the frames");
    return got == 0 ? EXIT_SUCCESS : fail("the last frame is cut off");
}
