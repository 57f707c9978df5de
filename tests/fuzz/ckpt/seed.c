/* SPDX-License-Identifier: MIT
 *
 * Writes the corpus: seed DIRECTORY. Small valid files; the fuzzer finds the
 * invalid ones.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "ckpt/ckpt.h"
#include "ckpt_image.h"

static const float floats[6] = {0.5f, -1, 2, 3, -4, 5};
static const uint64_t words[4] = {1, 2, 3, UINT64_MAX};

static void must(int rc, const struct omq_err *err)
{
    if (rc == OMQ_OK)
        return;
    fprintf(stderr, "seed: %s\n", err->msg);
    exit(1);
}

static void add_tensors(struct omq_ckpt_writer *w, struct omq_err *err)
{
    must(omq_ckpt_add(w, OMQ_SEC_QPAR, "w4a4:conv1.step", OMQ_F32, 0, 1, (uint64_t[]){3}, floats,
                      err), err);
    must(omq_ckpt_add(w, OMQ_SEC_WEIGHT, "conv1.weight", OMQ_F32, 0, 4, (uint64_t[]){3, 2, 1, 1},
                      floats, err), err);
    must(omq_ckpt_add(w, OMQ_SEC_PACK, "w4:conv1", OMQ_U8, 4, 2, (uint64_t[]){3, 2}, words, err),
         err);
    must(omq_ckpt_add(w, OMQ_SEC_OPT, "conv1.weight", OMQ_F64, 0, 0, NULL, words, err), err);
    must(omq_ckpt_add(w, OMQ_SEC_RNG, "step", OMQ_U64, 0, 1, (uint64_t[]){4}, words, err), err);
    must(omq_ckpt_add(w, "xTRa", "new", OMQ_I32, 3, 1, (uint64_t[]){2}, words, err), err);
}

static void write_file(struct omq_ckpt_writer *w, const char *dir, const char *name)
{
    struct omq_err err;
    char *path = omq_path_join(dir, name);

    must(omq_ckpt_write(w, path, &err), &err);
    free(path);
}

/* As dir/from, with all its sections compressed. */
static void write_compressed(const char *dir, const char *from, const char *name)
{
    char *in = omq_path_join(dir, from), *out = omq_path_join(dir, name);
    struct omq_atomic a;
    struct omq_err err;
    uint8_t *p, *q;
    size_t n;

    must(omq_file_read(in, 1 << 20, &p, &n, &err), &err);
    for (int i = 1; i < (int)omq_get_le32(p + 40); i++) {
        q = image_compress(p, i, &n);
        free(p);
        p = q;
    }
    must(omq_atomic_open(&a, out, &err), &err);
    fwrite(p, 1, n, a.f);
    must(omq_atomic_commit(&a, &err), &err);
    free(p);
    free(in);
    free(out);
}

int main(int argc, char **argv)
{
    static const char json[] = "{\"format_version\": 1, \"graph\": [], \"precisions\": [], "
                               "\"profiles\": [], \"preprocess\": {}, \"config\": {}, "
                               "\"results\": [], \"provenance\": {}}";
    struct omq_ckpt_writer *w;
    struct omq_err err;

    if (argc != 2)
        return fprintf(stderr, "usage: seed DIRECTORY\n"), 2;
    must(omq_ckpt_writer_open(&w, &err), &err);
    omq_ckpt_set_meta(w, "{}", 2);
    write_file(w, argv[1], "empty.omq");
    omq_ckpt_set_switch(w, (struct omq_switch_word){.w = 4, .a = 8, .profile = -1});
    add_tensors(w, &err);
    write_file(w, argv[1], "plain.omq");
    omq_ckpt_set_switch(w, (struct omq_switch_word){.profile = 2});
    omq_ckpt_set_meta(w, json, sizeof(json) - 1);
    write_file(w, argv[1], "meta.omq");
    write_compressed(argv[1], "meta.omq", "compressed.omq");
    omq_ckpt_writer_close(w);
    return 0;
}
