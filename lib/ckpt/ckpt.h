/* SPDX-License-Identifier: MIT
 *
 * The .omq container: named tensors and sections, nothing about networks. The
 * specification is omq-format(5), and it changes before this does.
 *
 * A reader holds a private copy of the file, fully checked before open
 * returns: whatever it hands out is in bounds and matched its checksum. It is
 * immutable: any thread may read it.
 */
#ifndef OMQ_CKPT_CKPT_H
#define OMQ_CKPT_CKPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum omq_dtype { OMQ_F32 = 1, OMQ_I8 = 2, OMQ_U8 = 3, OMQ_I32 = 4, OMQ_U64 = 5, OMQ_F64 = 6 };

enum { OMQ_CKPT_MAX_DIMS = 8 };

/* Kinds of section, as PNG chunk names: an upper-case first letter is
 * critical, a lower-case last one is safe to copy by a program that does not
 * know it. */
#define OMQ_SEC_META "META" /* JSON text */
#define OMQ_SEC_WEIGHT "WFPT" /* master weights, one tensor each */
#define OMQ_SEC_QPAR "QPAR"   /* parameters of one precision, one tensor each */
#define OMQ_SEC_PACK "pACK"   /* packed integer weights */
#define OMQ_SEC_OPT "oPTM"    /* optimizer state */
#define OMQ_SEC_RNG "rNGS"    /* position of a training run */

struct omq_tensor_info {
    char kind[5];
    const char *name;
    enum omq_dtype dtype;
    int bits; /* of one packed weight for pACK (dims count stored elements), else 0 */
    int ndim;
    uint64_t dims[OMQ_CKPT_MAX_DIMS];
    const void *data; /* aligned to 64 bytes, values in the machine's order */
    size_t n_bytes;
};

/* The switch word: the active precision, outside every checksum. {0, 0, -1}
 * means that none was ever set. */
struct omq_switch_word {
    int w, a;    /* bits; 0 0 = unset, or a profile is active */
    int profile; /* index into the profiles of META, or -1 */
};

static inline bool omq_switch_is_unset(struct omq_switch_word s)
{
    return s.w == 0 && s.a == 0 && s.profile == -1;
}
static inline bool omq_switch_is_same(struct omq_switch_word a, struct omq_switch_word b)
{
    return a.w == b.w && a.a == b.a && a.profile == b.profile;
}

struct omq_ckpt;

/* Opens a file ("-" is standard input); more than max_bytes (0: 4 GiB) of
 * content is refused before it is allocated. */
int omq_ckpt_open(struct omq_ckpt **out, const char *path, uint64_t max_bytes,
                  struct omq_err *err) OMQ_WARN_UNUSED;
/* The same from memory, which is copied; name stands for it in messages. */
int omq_ckpt_open_memory(struct omq_ckpt **out, const void *p, size_t n_bytes, const char *name,
                         uint64_t max_bytes, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_ckpt_close(struct omq_ckpt *c); /* NULL is fine */

/* The META section, UTF-8 with a zero byte behind it. */
const char *omq_ckpt_meta(const struct omq_ckpt *c, size_t *n_bytes);
struct omq_switch_word omq_ckpt_switch(const struct omq_ckpt *c); /* as it was when opened */

/* Tensors, in the order of the file; also those of kinds that only a newer
 * version knows: copy them if the fourth letter is lower-case. */
int omq_ckpt_count(const struct omq_ckpt *c);
const struct omq_tensor_info *omq_ckpt_at(const struct omq_ckpt *c, int i);

/* By kind and name, or NULL. */
const struct omq_tensor_info *omq_ckpt_find(const struct omq_ckpt *c, const char *kind,
                                            const char *name);

/* By kind, name, dtype and exact shape; anything else is OMQ_EFORMAT with a
 * sentence that names the file, the tensor, and what was expected. */
int omq_ckpt_get(const struct omq_ckpt *c, const char *kind, const char *name,
                 enum omq_dtype dtype, int ndim, const uint64_t *dims, const void **data,
                 struct omq_err *err) OMQ_WARN_UNUSED;

/* Whether a writer takes META of this text, a tensor of this name. */
bool omq_ckpt_name_valid(const char *name, size_t n_bytes);

/* Writing: collect, then write atomically. The data of tensors and META are
 * borrowed until omq_ckpt_write() returns; names and shapes are copied. The
 * same additions give the same bytes, and META must be one of them. */
struct omq_ckpt_writer;
int omq_ckpt_writer_open(struct omq_ckpt_writer **out, struct omq_err *err) OMQ_WARN_UNUSED;
void omq_ckpt_writer_close(struct omq_ckpt_writer *w); /* NULL is fine */
void omq_ckpt_set_meta(struct omq_ckpt_writer *w, const char *json, size_t n_bytes);
void omq_ckpt_set_switch(struct omq_ckpt_writer *w, struct omq_switch_word s);
/* Names are unique within a kind, UTF-8, 1 to 255 bytes, without '/' and
 * control characters; dims are at least 1. Plain bytes are U8 with one
 * dimension. A wrong argument is OMQ_EARG and adds nothing. */
int omq_ckpt_add(struct omq_ckpt_writer *w, const char *kind, const char *name,
                 enum omq_dtype dtype, int bits, int ndim, const uint64_t *dims, const void *data,
                 struct omq_err *err) OMQ_WARN_UNUSED;
/* To a file, atomically; "-" writes to standard output. The writer keeps its
 * additions, and may write again. */
int omq_ckpt_write(struct omq_ckpt_writer *w, const char *path,
                   struct omq_err *err) OMQ_WARN_UNUSED;
/* The same in the place of a container that omq-switch may set while this writes: its switch
 * word stays, in place of the writer's. */
int omq_ckpt_write_over(struct omq_ckpt_writer *w, const char *path,
                        struct omq_err *err) OMQ_WARN_UNUSED;
/* To a stream; name stands for it in messages. */
int omq_ckpt_write_stream(struct omq_ckpt_writer *w, FILE *f, const char *name,
                          struct omq_err *err) OMQ_WARN_UNUSED;

/* OMQ_EARG if an output would take the place of the model file that it is made from. "-" is
 * standard input, and standard output. */
int omq_ckpt_check_output(const char *model, const char *output,
                          struct omq_err *err) OMQ_WARN_UNUSED;

/* The switch word of a file in place: one pread, one pwrite. Both check magic
 * and version, reading the complement too: where it does not match, a write
 * may be under way, so keep what is active and read again later. A write goes to
 * the file that is at path when it ends: it is done again where that is another. */
int omq_switch_read(const char *path, struct omq_switch_word *s,
                    struct omq_err *err) OMQ_WARN_UNUSED;
int omq_switch_write(const char *path, struct omq_switch_word s,
                     struct omq_err *err) OMQ_WARN_UNUSED;

/* For those who look often: *fd is open for reading, to be closed by close();
 * looking is one pread. */
int omq_switch_open(int *fd, const char *path, struct omq_err *err) OMQ_WARN_UNUSED;
int omq_switch_look(int fd, struct omq_switch_word *s, struct omq_err *err) OMQ_WARN_UNUSED;

/* What tells a container from another one of its size: the checksums of its table and its
 * header, which the switch word is not in. Zeros, where they cannot be read. */
enum { OMQ_CKPT_SUMS = 8 };
void omq_ckpt_sums(int fd, uint8_t sums[OMQ_CKPT_SUMS]);

/* Makes a control file, with a word that was never set: a file that has nothing
 * but a switch word, which all functions above take. One that is there stays. */
int omq_switch_create(const char *path, struct omq_err *err) OMQ_WARN_UNUSED;

#endif
