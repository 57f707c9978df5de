/* SPDX-License-Identifier: MIT
 *
 * Each layer of generated C alone: given what the engine's layer read, how far is what
 * it writes from what the engine's wrote? Arguments are a precision and a file of, for
 * each image and layer, input, residual if there is one, and output as they are stored
 * (of the logits, as 32-bit integers). Prints for each layer the largest difference and
 * how many values differ.
 */
#include "net.c"

#include <stdio.h>
#include <stdlib.h>

enum { N_LAYERS = sizeof(layers) / sizeof(layers[0]) };

static uint32_t arena[(NET_ARENA_BYTES + 3) / 4], most[N_LAYERS], differ[N_LAYERS];
static int32_t got[NET_CLASSES];

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static size_t size_of(const cmsis_nn_dims *d)
{
    return (size_t)d->h * (size_t)d->w * (size_t)d->c;
}

static void load(FILE *f, void *to, size_t size)
{
    if (fread(to, 1, size, f) != size)
        fail("the file ends early");
}

static void compare(FILE *f, int i, const struct memory *m)
{
    const int8_t *out = m->arena + layers[i].out;

    for (size_t j = 0; j < size_of(&layers[i].output); j++) {
        int32_t want, have = i == N_LAYERS - 1 ? got[j] : out[j];
        int8_t code;
        uint32_t d;

        if (i == N_LAYERS - 1) {
            load(f, &want, sizeof(want));
        } else {
            load(f, &code, 1);
            want = code;
        }
        d = (uint32_t)(have > want ? have - want : want - have);
        most[i] = d > most[i] ? d : most[i];
        differ[i] += d > 0;
    }
}

/* A concat has its second input there, which is what its first one leaves. */
static size_t size_of_res(const struct layer *l, const struct numbers *n)
{
#ifdef HAS_CONCAT
    if (n->run == concat)
        return size_of(&l->output) - size_of(&l->input);
#endif
    (void)n;
    return size_of(&l->output);
}

static void run_layer(FILE *f, int i, const struct memory *m)
{
    const struct layer *l = &layers[i];
    const struct numbers *n = &precisions[active].layers[i];

    load(f, m->arena + l->in, size_of(&l->input));
    if (l->res != NONE)
        load(f, m->arena + l->res, size_of_res(l, n));
    if (n->run(l, n, m) != ARM_CMSIS_NN_SUCCESS)
        fail("CMSIS-NN refuses a layer");
    compare(f, i, m);
}

int main(int argc, char **argv)
{
    const struct memory m = {(int8_t *)arena, got,
                             {(int8_t *)arena + TENSOR_BYTES, NET_BUFFER_BYTES}};
    FILE *f = argc == 3 ? fopen(argv[2], "rb") : NULL;
    int c;

    if (!f || net_set_precision(argv[1]) != 0)
        fail("arguments are a precision and a file");
    if (net_buffer_bytes() > NET_BUFFER_BYTES)
        fail("the buffer is too small");
    while ((c = getc(f)) != EOF) {
        ungetc(c, f);
        for (int i = 0; i < N_LAYERS; i++)
            run_layer(f, i, &m);
    }
    for (int i = 0; i < N_LAYERS; i++)
        printf("%u %u\n", (unsigned)most[i], (unsigned)differ[i]);
    return 0;
}
