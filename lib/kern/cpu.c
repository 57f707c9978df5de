/* SPDX-License-Identifier: MIT
 *
 * What the processor and the operating system offer. An instruction set
 * counts only if the kernel also saves its registers (XCR0); CPUID alone says
 * yes on systems where the first AVX instruction faults.
 */
#define _DEFAULT_SOURCE /* syscall() */
#include <string.h>
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "kern/kern.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define XCR0_AVX 0x06u    /* XMM, YMM */
#define XCR0_AVX512 0xe6u /* and opmask, ZMM high halves, ZMM16-31 */
#define XCR0_TILES 0x60000u /* their shapes, and their data */
#define LEAF7_1_EAX_AVXVNNI 0x10u
#define LEAF7_EDX_AMX (1u << 24 | 1u << 25) /* AMX-TILE, AMX-INT8 */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static unsigned xcr0(void)
{
    unsigned lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

/* Whether the system lets this process have tiles. */
static bool ask_for_tiles(void)
{
#ifdef __linux__
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

/* The levels as bits. */
static unsigned levels(void)
{
    const unsigned need_ecx1 = bit_OSXSAVE | bit_AVX | bit_FMA;
    const unsigned need_avx512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    unsigned a, b, c, d, a1, b1, c1, d1, saved, has = 1u << OMQ_ISA_REF;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need_ecx1) != need_ecx1)
        return has;
    saved = xcr0();
    if ((saved & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        !(b & bit_AVX2))
        return has;
    has |= 1u << OMQ_ISA_AVX2;
    if (a >= 1 && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) && (a1 & LEAF7_1_EAX_AVXVNNI))
        has |= 1u << OMQ_ISA_AVXVNNI;
    if ((saved & XCR0_AVX512) != XCR0_AVX512 || (b & need_avx512) != need_avx512)
        return has;
    has |= 1u << OMQ_ISA_AVX512;
    if (c & bit_AVX512VNNI)
        has |= 1u << OMQ_ISA_AVX512VNNI;
    if ((c & bit_AVX512VNNI) && (c & bit_AVX512VPOPCNTDQ) && (c & bit_AVX512VBMI))
        has |= 1u << OMQ_ISA_AVX512VPOPCNTDQ;
    if ((has >> OMQ_ISA_AVX512VPOPCNTDQ & 1) && (d & LEAF7_EDX_AMX) == LEAF7_EDX_AMX &&
        (saved & XCR0_TILES) == XCR0_TILES)
        has |= 1u << OMQ_ISA_AMX;
    return has;
}

#elif defined(__aarch64__)

/* Without a kernel to ask, what the compiler was told. */
static bool dotprod(void)
{
#ifdef __linux__
    const unsigned long asimddp = 1ul << 20; /* HWCAP_ASIMDDP */

    return getauxval(AT_HWCAP) & asimddp;
#elif defined(__ARM_FEATURE_DOTPROD)
    return true;
#else
    return false;
#endif
}

static bool ask_for_tiles(void) { return false; }

static unsigned levels(void)
{
    return 1u << OMQ_ISA_REF | 1u << OMQ_ISA_NEON | (unsigned)dotprod() << OMQ_ISA_DOTPROD;
}

#else

static bool ask_for_tiles(void) { return false; }

static unsigned levels(void)
{
    return 1u << OMQ_ISA_REF;
}

#endif

/* Asked for once: CPUID takes its time in a virtual machine. The permission for AMX is the
 * whole process's, so it is asked for with AMX only. */
bool omq_cpu_has(enum omq_isa isa)
{
    static unsigned found;
    static bool asked;

    if (found == 0)
        found = levels();
    if (isa == OMQ_ISA_AMX && (found >> isa & 1) && !asked) {
        asked = true;
        if (!ask_for_tiles())
            found &= ~(1u << isa);
    }
    return found >> isa & 1;
}

enum omq_isa omq_cpu_isa(void)
{
    int isa = OMQ_ISA_COUNT - 1;

    while (!omq_cpu_has((enum omq_isa)isa))
        isa--;
    return (enum omq_isa)isa;
}

static const char *const isa_names[OMQ_ISA_COUNT] = {
    "ref", "avx2", "avxvnni", "avx512", "avx512vnni", "avx512vpopcntdq", "amx", "neon", "dotprod",
};

const char *omq_isa_name(enum omq_isa isa)
{
    return isa_names[isa];
}

/* Whether an instruction set is of this architecture, as OMQ_ISA_NAMES. */
static bool is_ours(enum omq_isa isa)
{
#if defined(__aarch64__)
    return isa == OMQ_ISA_REF || isa >= OMQ_ISA_NEON;
#else
    return isa < OMQ_ISA_NEON;
#endif
}

bool omq_isa_parse(const char *word, enum omq_isa *isa)
{
    for (int i = 0; i < OMQ_ISA_COUNT; i++) {
        if (strcmp(word, isa_names[i]) == 0 && is_ours((enum omq_isa)i)) {
            *isa = (enum omq_isa)i;
            return true;
        }
    }
    return false;
}
