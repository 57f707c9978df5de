/* SPDX-License-Identifier: MIT
 *
 * The table: filled once, a level at a time, each kernel only after it gave
 * the reference's bits on a small case.
 */
#include <stdio.h>
#include <string.h>

#include "kern/kern_internal.h"

static struct omq_kern table;
static enum omq_isa table_isa;
static const char *conv_sets[2]; /* instruction sets of conv_codes and conv_bits */

void omq_kern_fill_ref(struct omq_kern *k)
{
    memset(k, 0, sizeof(*k));
#define OMQ_KERNEL(slot, function, level) \
    if (OMQ_LEVEL_##level == OMQ_LEVEL_REF) \
        k->slot = function;
#include "kern/kernels.def"
#undef OMQ_KERNEL
}

bool omq_kern_allows(enum omq_kern_level level, enum omq_isa max_isa)
{
    if (level == OMQ_LEVEL_BLAS)
        return max_isa > OMQ_ISA_REF;
    return (enum omq_isa)level <= max_isa && omq_cpu_has((enum omq_isa)level);
}

/* Bits of weight times bits of code up to which counting is the faster, as
 * measured (checkkern --bench conv_); 0: never. Of AArch64 not measured, but what
 * instructions suggest: three do 128 products of bits, one of dotprod does 16 of
 * bytes, and one of neon 8. */
static int bits_at_most(void)
{
#if defined(__x86_64__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
#ifndef OMQ_OLD_SIMD
    if (table.conv_codes == omq_conv_codes_amx)
        return 0;
#endif
    if (table.conv_bits == omq_conv_bits_avx512vpopcntdq)
        return 2;
    if (table.conv_bits == omq_conv_bits_avx2 && table.conv_codes != omq_conv_codes_avx512vnni)
        return 1;
#elif defined(__AARCH64EL__) && !defined(OMQ_DOUBLE) && !defined(OMQ_NO_SIMD)
    if (table.conv_bits == omq_conv_bits_neon)
        return table.conv_codes == omq_conv_codes_dotprod ? 1 : 2;
#endif
    return 0;
}

bool omq_conv_by_bits(const struct omq_conv_shape *s)
{
    const int bits = s->w_bits * (s->x_max == 1 ? 1 : 2);

    return omq_conv_bits_serve(s) && bits <= bits_at_most() && s->n_runs * s->run >= 128 * bits;
}

/* A list of names in *dropped, cut where its buffer ends. */
static void drop(const char *name, const char **dropped)
{
    static char names[256];
    size_t len = strlen(names);

    snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? ", " : "", name);
    if (dropped)
        *dropped = names;
}

static void check_filled(const struct omq_kern *k)
{
    void (*f[sizeof(*k) / sizeof(void (*)(void))])(void);

    _Static_assert(sizeof(f) == sizeof(*k), "struct omq_kern holds function pointers only");
    memcpy(f, k, sizeof(f));
    for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
        if (!f[i])
            OMQ_BUG("a kernel has no reference row in kernels.def");
}

/* The set of a kernel is the end of its name. */
static void note_conv(size_t slot, const char *function)
{
    const char *set = strrchr(function, '_') + 1;

    if (slot == offsetof(struct omq_kern, conv_codes))
        conv_sets[0] = set;
    if (slot == offsetof(struct omq_kern, conv_bits))
        conv_sets[1] = set;
}

void omq_kern_init(enum omq_isa max_isa, const char **dropped)
{
    const int blas_threads = omq_blas_threads();
    struct omq_kern ref, trial;

    if (dropped)
        *dropped = NULL;
    omq_kern_fill_ref(&ref);
    check_filled(&ref);
    table = ref;
    conv_sets[0] = conv_sets[1] = omq_isa_name(OMQ_ISA_REF);
    table_isa = max_isa;
    while (!omq_cpu_has(table_isa))
        table_isa--;
    if (max_isa == OMQ_ISA_REF)
        return;
#define OMQ_KERNEL(slot, function, level) \
    if (OMQ_LEVEL_##level != OMQ_LEVEL_REF && omq_kern_allows(OMQ_LEVEL_##level, max_isa)) { \
        trial = ref; \
        trial.slot = function; \
        if (omq_kern_passes(&trial, &ref)) { \
            table.slot = function; \
            note_conv(offsetof(struct omq_kern, slot), #function); \
        } else { \
            drop(#function, dropped); \
        } \
    }
#include "kern/kernels.def"
#undef OMQ_KERNEL
    omq_blas_give_back(blas_threads);
}

const struct omq_kern *omq_kern(void)
{
    return &table;
}

enum omq_isa omq_kern_isa(void)
{
    return table_isa;
}

const char *omq_kern_conv_set(bool by_bits)
{
    return conv_sets[by_bits];
}
